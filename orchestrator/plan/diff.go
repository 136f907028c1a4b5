package plan

import (
	"context"
	"fmt"
	"slices"

	"github.com/tandem-sync/tandem/orchestrator/gate"
	"github.com/tandem-sync/tandem/orchestrator/problem"
	"github.com/tandem-sync/tandem/orchestrator/run"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// DiffOptions are what is compared.
type DiffOptions struct {
	Under  string
	Engine string          // empty: the owner of the subtree
	Scopes []scoping.Scope // instead of Under, with an engine: exactly these
}

// Diff lets an engine propose everything under a DN and returns what it would write now. Nothing is written, but differences that it finds are owed
// if the engine owns the objects: it does not propose them again by itself.
func (r *Planner) Diff(ctx context.Context, o DiffOptions) (engineName string, objects int, ds []gate.Judgement, err error) {
	if _, err := r.o.Control.Partition(); err != nil {
		return "", 0, nil, err
	}
	if err := r.o.Run.Prepare(ctx); err != nil {
		return "", 0, nil, err
	}
	if len(o.Scopes) > 0 {
		objects, ds, err = r.diffScopes(ctx, o.Engine, o.Scopes)
		return o.Engine, objects, ds, err
	}
	dir, guid, chain, err := r.o.View.Resolve(ctx, o.Under)
	if err != nil {
		return "", 0, nil, err
	}
	engineName = o.Engine
	here := scoping.Place{Directory: dir, Ancestors: append([]scoping.GUID{guid}, chain...)}
	if engineName == "" {
		for _, k := range scoping.Kinds() { // the first kind with an owner there
			if engineName = r.o.Gate.Authority().Owner(here, k, scoping.Base(k)).Engine; engineName != scoping.None && engineName != "" {
				break
			}
		}
	}
	if !slices.Contains(r.o.Engines.Names(), engineName) {
		return engineName, 0, nil, problem.Refuse("no engine owns %s; name one with --engine (configured: %v)", o.Under, r.o.Engines.Names())
	}
	var scopes []scoping.Scope
	if o.Engine == "" {
		if scopes, err = r.o.Run.ScopesUnder(ctx, r.o.Gate.Authority().Grants(engineName), o.Under); err != nil {
			return engineName, 0, nil, err
		}
	} else {
		scopes = []scoping.Scope{{Directory: dir, Under: guid, Features: withFollowers(r.o.Gate.Authority().Partition, r.o.Gate.Authority().Partition.Features())}}
	}
	mine := func(scoping.ObjectID, scoping.Feature) bool { return true }
	if o.Engine == "" { // it reads whole subtrees, and owns what choices leave to it
		auth := r.o.Gate.Authority()
		mine = func(id scoping.ObjectID, f scoping.Feature) bool {
			sight := r.o.Census.Sight(id)
			return !sight.Known || sight.Deleted || auth.Owner(sight.Place(id.Directory), sight.Kind, f).Engine == engineName
		}
	}
	objects, ds, err = r.differences(ctx, engineName, scopes, mine)
	return engineName, objects, ds, err
}

// diffScopes is Diff over exact scopes, choices included.
func (r *Planner) diffScopes(ctx context.Context, engineName string, scopes []scoping.Scope) (int, []gate.Judgement, error) {
	return r.differences(ctx, engineName, scopes, r.within(scopes))
}

// within returns a function that reports whether a feature of an object is in scopes. An object with an unknown place counts as inside.
func (r *Planner) within(scopes []scoping.Scope) func(scoping.ObjectID, scoping.Feature) bool {
	return func(id scoping.ObjectID, f scoping.Feature) bool {
		sight := r.o.Census.Sight(id)
		place := sight.Place(id.Directory)
		return !sight.Known || sight.Deleted || slices.ContainsFunc(scopes, func(s scoping.Scope) bool { return s.Writes(sight.Kind, f) && s.Covers(place) })
	}
}

// Wanted is what an engine would write in scopes, and what it manages there.
type Wanted struct {
	Objects     int // number of objects that it proposes
	Differences []gate.Judgement
	Manages     map[scoping.ObjectID][]string // by proposed object: its attributes
}

// Wants lets an engine propose everything in exact scopes. Nothing is written; differences are owed as by Diff.
func (r *Planner) Wants(ctx context.Context, engineName string, scopes []scoping.Scope) (Wanted, error) {
	out := Wanted{Manages: map[scoping.ObjectID][]string{}}
	h, err := r.judgeAll(ctx, engineName, scopes, true)
	if err != nil {
		return out, err
	}
	out.Objects, out.Differences = r.differing(h, scopes, r.within(scopes))
	for j := range h.Summary.All() {
		if j.Key.Feature != scoping.References {
			out.Manages[j.Key.Object] = append(out.Manages[j.Key.Object], j.Manages...)
		}
	}
	return out, nil
}

// differences lets an engine propose everything in scopes, and returns the number of objects that mine accepts and what it would write to them.
func (r *Planner) differences(ctx context.Context, engineName string, scopes []scoping.Scope, mine func(scoping.ObjectID, scoping.Feature) bool) (int, []gate.Judgement, error) {
	h, err := r.judgeAll(ctx, engineName, scopes, false)
	if err != nil {
		return 0, nil, err
	}
	objects, ds := r.differing(h, scopes, mine)
	return objects, ds, nil
}

// differing returns how many of the proposed objects in scopes mine accepts, and what would be written to them.
func (r *Planner) differing(h *run.Heard, scopes []scoping.Scope, mine func(scoping.ObjectID, scoping.Feature) bool) (objects int, ds []gate.Judgement) {
	seen := map[scoping.ObjectID]bool{}
	for j := range h.Summary.All() {
		e := j.Effect()
		if e == gate.EffectNone || !mine(j.Key.Object, j.Key.Feature) {
			continue
		}
		seen[j.Key.Object] = true
		if e.Differs() {
			ds = append(ds, j)
		}
	}
	for _, k := range r.notProposed(scopes, h) {
		if mine(k.Object, k.Feature) {
			ds = append(ds, gate.Judgement{Key: k, Name: r.o.View.Name(k.Object), Op: gate.OpUnclaimed})
		}
	}
	return len(seen), ds
}

// judgeAll lets an engine propose everything in scopes without recording anything. With manages, judgements name the managed attributes.
func (r *Planner) judgeAll(ctx context.Context, name string, scopes []scoping.Scope, manages bool) (*run.Heard, error) {
	h, err := r.o.Run.Run(ctx, run.Request{Engine: name, Profile: engine.ProfileFull, Scopes: scopes, Ceiling: engine.ModeShadow, Silent: true, Manages: manages})
	if err == nil && !h.Complete {
		err = fmt.Errorf("the run of engine %s was not complete", name)
	}
	return h, err
}
