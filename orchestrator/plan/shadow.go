package plan

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/tandem-sync/tandem/orchestrator/gate"
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/run"
	"github.com/tandem-sync/tandem/orchestrator/wave"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// Shadow lets the target of a wave propose every object of its scopes, and counts what would happen. With silent nothing is recorded (plan).
func (r *Planner) Shadow(ctx context.Context, w wave.Wave, silent bool) (wave.Evidence, error) {
	ev, _, err := r.shadow(ctx, w, silent, nil)
	return ev, err
}

// shadow is Shadow with other managed attributes than those in force; nil: these. It also returns what was judged.
func (r *Planner) shadow(ctx context.Context, w wave.Wave, silent bool, managed *gate.Managed) (wave.Evidence, []gate.Judgement, error) {
	ev := wave.Evidence{OK: true}
	if w.To == scoping.None {
		ev.Counts.Unchanged = len(r.o.View.In(w.Scopes()))
		return ev, nil, nil
	}
	behind := map[ledger.Key]bool{}
	r.behind(w, behind)
	h, err := r.o.Run.Run(ctx, run.Request{Engine: w.To, Profile: engine.ProfileFull, Scopes: w.Scopes(), Ceiling: engine.ModeShadow, Wave: w.ID, Silent: silent, Managed: managed, Phase: "shadow"})
	if err != nil {
		return ev, nil, err
	}
	if !h.Complete {
		var why []string
		for _, p := range h.Problems {
			why = append(why, p.Message)
		}
		return wave.Evidence{Why: strings.Join(why, "; ")}, nil, nil
	}
	ev.From = h.From
	unheard, err := r.silentAbout(ctx, w.Scopes(), h)
	if err != nil {
		return ev, nil, err
	}
	r.behind(w, behind)
	if !silent {
		if err := r.recordSilence(ctx, w, h.Run, unheard); err != nil {
			return ev, nil, err
		}
	}
	var deleted []ledger.Key
	if w.From == scoping.None {
		deleted = slices.DeleteFunc(r.o.View.DeletedIn(w.Scopes()), h.Spoke)
	}
	js := r.chosenOnly(w.Scopes(), slices.Collect(h.Summary.All()))
	ev.Counts, ev.Differences = r.tally(js, behind, unheard, deleted)
	return ev, js, nil
}

// Judge lets the target of a wave propose given objects of its scopes, and counts what would happen. It does not wait for another run of the target:
// evidence that is not OK has the reason why nothing was judged.
func (r *Planner) Judge(ctx context.Context, w wave.Wave, ids []scoping.ObjectID) (wave.Evidence, error) {
	behind := map[ledger.Key]bool{}
	r.behind(w, behind)
	h, err := r.o.Run.Run(ctx, run.Request{Engine: w.To, Profile: engine.ProfileObjects, Scopes: w.Scopes(), Objects: ids, Ceiling: engine.ModeShadow, Wave: w.ID, Silent: true, Try: true})
	switch {
	case errors.Is(err, run.ErrBusy):
		return wave.Evidence{Why: "engine " + w.To + " is running"}, nil
	case !h.Complete:
		return wave.Evidence{Why: "what changed since verify could not be judged"}, nil
	case err != nil:
		return wave.Evidence{OK: true}, err
	}
	js := slices.DeleteFunc(r.chosenOnly(w.Scopes(), slices.Collect(h.Summary.All())), func(j gate.Judgement) bool { return j.Key.Feature == scoping.References })
	r.behind(w, behind)
	ev := wave.Evidence{OK: true}
	ev.Counts, ev.Differences = r.tally(js, behind, nil, nil)
	return ev, nil
}

// behind adds the keys that changed in the directory and that the source of a wave did not evaluate since: the target's difference may be only that,
// and is marked so (standing S5).
func (r *Planner) behind(w wave.Wave, keys map[ledger.Key]bool) {
	for k, d := range r.o.View.Owed() {
		if d.Expected && d.Engine == w.From {
			keys[k] = true
		}
	}
}

// recordSilence records the keys that the target of a wave did not mention: if a person approves the wave, the target is asked for them after the
// cutover (rule P4).
func (r *Planner) recordSilence(ctx context.Context, w wave.Wave, run uint64, unheard []ledger.Key) error {
	rs := make([]ledger.Record, len(unheard))
	for i, k := range unheard {
		rs[i] = ledger.Record{Type: ledger.DecisionType, Engine: w.To, Wave: w.ID, Run: run, Object: &k.Object, Kind: r.o.Census.Sight(k.Object).Kind, Name: r.o.View.Name(k.Object),
			Feature: k.Feature, Outcome: engine.Shadowed, Code: string(gate.CodeUnclaimed), Reason: "a complete run did not propose it", Quietly: true, Epoch: w.ShadowEpoch}
	}
	return r.o.Gate.Record(ctx, rs...)
}

// silentAbout returns the keys in the scopes, linked or to be linked, that a complete run did not mention. They are read again from the directory,
// since deleted objects need not be mentioned.
func (r *Planner) silentAbout(ctx context.Context, scopes []scoping.Scope, h *run.Heard) ([]ledger.Key, error) {
	find := func() []ledger.Key {
		out := r.notProposed(scopes, h)
		for _, id := range r.o.View.In(scopes) {
			k := ledger.Key{Object: id, Feature: scoping.Base(r.o.Census.Sight(id).Kind)}
			if r.o.Census.Expected(id) && !h.Spoke(k) {
				out = append(out, k)
			}
		}
		slices.SortFunc(out, ledger.Key.Compare)
		return slices.Compact(out)
	}
	out := find()
	if len(out) == 0 {
		return nil, nil
	}
	ids := make([]scoping.ObjectID, len(out))
	for i, k := range out {
		ids[i] = k.Object
	}
	if err := r.o.Census.Reread(ctx, ids); err != nil {
		return nil, err
	}
	return find(), nil
}

// notProposed returns the linked keys in the scopes that a complete run did not mention.
func (r *Planner) notProposed(scopes []scoping.Scope, h *run.Heard) []ledger.Key {
	var out []ledger.Key
	r.o.Gate.Read(func(led *ledger.State) {
		for _, id := range led.Objects() {
			row := led.Rows.Get(id)
			f := scoping.Base(row.Kind)
			sight := r.o.Census.Sight(id)
			k := ledger.Key{Object: id, Feature: f}
			if row.State != ledger.Live || !sight.Known || sight.Deleted || h.Spoke(k) {
				continue
			}
			p := sight.Place(id.Directory)
			if slices.ContainsFunc(scopes, func(sc scoping.Scope) bool { return sc.Writes(row.Kind, f) && sc.Covers(p) }) {
				out = append(out, k)
			}
		}
	})
	return out
}

// chosenOnly returns the judgements about objects inside scopes, choices included: a run reads whole subtrees.
func (r *Planner) chosenOnly(scopes []scoping.Scope, js []gate.Judgement) []gate.Judgement {
	if !slices.ContainsFunc(scopes, scoping.Scope.Chooses) {
		return js
	}
	return slices.DeleteFunc(slices.Clone(js), func(j gate.Judgement) bool {
		sight := r.o.Census.Sight(j.Key.Object)
		place := sight.Place(j.Key.Object.Directory)
		return sight.Known && !sight.Deleted && !slices.ContainsFunc(scopes, func(s scoping.Scope) bool { return s.Covers(place) })
	})
}
