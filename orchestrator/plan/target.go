package plan

import (
	"context"
	"errors"
	"slices"

	"github.com/tandem-sync/tandem/orchestrator/problem"
	"github.com/tandem-sync/tandem/scoping"
)

// TargetFor returns the partition in force with one subtree assigned to an engine. Parts of the subtree that assignments of their own give to other
// engines are included unless they are named in except.
func (r *Planner) TargetFor(ctx context.Context, under, to string, features []scoping.Feature, except []string) (*scoping.Partition, error) {
	cur, err := r.o.Control.Partition()
	if err != nil {
		return nil, err
	}
	caps, err := r.o.Run.Capabilities(ctx)
	if err != nil {
		return nil, err
	}
	if _, ok := caps[to]; !ok && to != scoping.None {
		return nil, problem.Refuse("no engine %q is configured (configured: %v)", to, r.o.Engines.Names())
	}
	if len(features) == 0 {
		features = cur.Features()
	}
	for _, f := range features {
		if !cur.On(f) {
			return nil, problem.Refuse("feature %q is not switched on in the policy (on: %v)", f, cur.Features())
		}
	}
	features = withFollowers(cur, features)
	dir, guid, chain, err := r.o.View.Resolve(ctx, under)
	if err != nil {
		return nil, err
	}
	scope := scoping.Scope{Directory: dir, Under: guid, Features: features}
	for _, x := range except {
		d, g, _, err := r.o.View.Resolve(ctx, x)
		if err != nil {
			return nil, err
		}
		if d != dir {
			return nil, problem.Refuse("%s lies in another directory than %s", x, under)
		}
		scope.Except = append(scope.Except, g)
	}
	return r.handAll(cur, scope, r.nameOfContainer(scope, under), chain, to)
}

// withFollowers adds the features that follow others: references, unless the policy assigns them separately (rule F2), and, with users, those of
// their passwords (rule F3).
func withFollowers(p *scoping.Partition, features []scoping.Feature) []scoping.Feature {
	separate := slices.ContainsFunc(p.Regions(), func(r scoping.Region) bool {
		return slices.Equal(r.Scope.Features, []scoping.Feature{scoping.References}) // with another owner than what they belong to
	})
	out := slices.Clone(features)
	if !separate && !slices.Contains(out, scoping.References) {
		out = append(out, scoping.References)
	}
	for _, f := range []scoping.Feature{scoping.PasswordHash, scoping.PasswordWriteback} {
		if slices.Contains(out, scoping.Users) && p.On(f) && !slices.Contains(out, f) {
			out = append(out, f)
		}
	}
	return out
}

// handAll assigns everything that other engines own in a scope to one engine; name is the scope's name in messages.
func (r *Planner) handAll(cur *scoping.Partition, scope scoping.Scope, name string, chain []scoping.GUID, to string) (*scoping.Partition, error) {
	next := cur
	froms := append(cur.Engines(), scoping.None)
	moved := false
	for _, from := range froms {
		if from == to {
			continue
		}
		ho := scoping.HandOver{From: from, To: to, Scope: scope, Assignment: "migrate " + name}
		for _, g := range append([]scoping.GUID{scope.Under}, scope.Except...) {
			if pin, ok := r.o.View.Pin(scoping.ObjectID{Directory: scope.Directory, GUID: g}); ok {
				ho.Pins = append(ho.Pins, pin)
			}
		}
		if from == scoping.None {
			continue // parts without an engine stay so, unless a policy file says otherwise
		}
		p, err := next.Apply(ho, scoping.Epoch{})
		if errors.Is(err, scoping.ErrHandOver) {
			continue
		}
		if err != nil {
			return nil, err
		}
		next, moved = p, true
	}
	if !moved {
		return nil, problem.Refuse("%s owns all of %s already", to, name)
	}
	return next, nil
}

// nameOfContainer returns the directory's name of a scope's top, or called if the census was not read yet.
func (r *Planner) nameOfContainer(s scoping.Scope, called string) string {
	if p, ok := r.o.View.Pin(scoping.ObjectID{Directory: s.Directory, GUID: s.Under}); ok {
		return p.DN
	}
	return called
}
