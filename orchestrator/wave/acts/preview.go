package acts

import (
	"context"
	"maps"
	"slices"

	"github.com/tandem-sync/tandem/orchestrator/gate"
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/plan"
	"github.com/tandem-sync/tandem/orchestrator/wave"
	"github.com/tandem-sync/tandem/scoping"
	"github.com/tandem-sync/tandem/scoping/attribute"
)

// Preview is what rolling a wave back would do now.
type Preview struct {
	Engine  string // the engine that gets the scopes back
	Objects int    // number of objects in the scopes that it proposes
	Writes  []gate.Judgement
	Back    []Returned
	Waiting []string // names of objects with a request without an answer: its values are put back as well
}

// Returned is one value that the wave wrote, that the earlier engine does not manage, and that would be put back.
type Returned struct {
	Object    scoping.ObjectID
	Name      string
	Attribute string
	Now       []string // as the tenant shows it
	Before    []string // from before the wave's first write
}

// PreviewRollback returns what rolling a wave back would write: what the earlier engine wants otherwise, and the values that only the wave's target
// wrote. Nothing is written or decided.
func (d *Driver) PreviewRollback(ctx context.Context, w wave.Wave) (Preview, error) {
	p := Preview{Engine: w.From}
	if err := d.o.Run.Prepare(ctx); err != nil {
		return p, err
	}
	var want plan.Wanted
	if w.From != scoping.None {
		var err error
		if want, err = d.o.Plan.Wants(ctx, w.From, w.Scopes()); err != nil {
			return p, err
		}
		p.Objects, p.Writes = want.Objects, want.Differences
	}
	hs, err := d.trails(ctx, w)
	if err != nil {
		return p, err
	}
	d.o.Gate.Read(func(s *ledger.State) {
		for _, id := range slices.SortedFunc(maps.Keys(hs), scoping.ObjectID.Compare) {
			t, sight := hs[id], d.o.Census.Sight(id)
			if len(t.values) == 0 || !sight.Known || sight.Deleted || !covers(w.Scopes(), sight, id, t.kind) {
				continue
			}
			if _, pending := s.Pending(id); pending {
				p.Waiting = append(p.Waiting, sight.Name)
				continue
			}
			if attrs, named := want.Manages[id]; named || w.From == scoping.None && !t.created {
				p.Back = append(p.Back, d.toPutBack(s.Rows.Get(id), id, sight.Name, t, attrs)...)
			}
		}
	})
	return p, nil
}

// covers reports whether an object's base feature is in scopes now.
func covers(scopes []scoping.Scope, sight gate.Sight, id scoping.ObjectID, k scoping.Kind) bool {
	place := sight.Place(id.Directory)
	return slices.ContainsFunc(scopes, func(s scoping.Scope) bool { return s.Writes(k, scoping.Base(k)) && s.Covers(place) })
}

// toPutBack returns the values of an object that a rollback would put back: those that are still as the wave wrote them, and that the earlier engine
// does not manage.
func (d *Driver) toPutBack(row *ledger.Row, id scoping.ObjectID, name string, t *trail, managed []string) (out []Returned) {
	now, shown := d.o.View.Cloud(row)
	if !shown || now.Deleted {
		return nil
	}
	for _, k := range slices.Sorted(maps.Keys(t.values)) {
		x := t.values[k]
		if attribute.FeatureOf(t.kind, k) != "" && !slices.Contains(managed, k) && !slices.Equal(now.Values[k], x.before) && x.wroteIt(now.Values[k]) {
			out = append(out, Returned{Object: id, Name: name, Attribute: k, Now: now.Values[k], Before: x.before})
		}
	}
	return out
}
