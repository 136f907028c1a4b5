package simulation

import (
	"context"
	"testing"

	"github.com/tandem-sync/tandem/orchestrator/plan"
	"github.com/tandem-sync/tandem/orchestrator/wave"
	"github.com/tandem-sync/tandem/orchestrator/wave/acts"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// labs gives the objects of role lab in Alpha to cloudsync.
const labs = "  - name: labs\n    under: \"OU=Alpha," + rootDN + "\"\n    filter: \"(employeeType=lab)\"\n    engine: cloudsync\n    features: [users, groups]\n"

// follow plans a policy with more assignments and applies it as far as it goes.
func (w *world) follow(more string) []wave.Wave {
	ctx := context.Background()
	p, err := w.host.Plan(ctx, plan.PlanOptions{File: "policy.yaml", Text: []byte(w.policyText("disable", more)), AllowRevert: true})
	if err != nil {
		w.fail(wayBack, "plan: %v", err)
	}
	ws, err := w.host.Apply(ctx, p, acts.ApplyOptions{By: "story", Options: wave.Options{AutoApprove: true}})
	if err != nil {
		w.fail(wayBack, "apply: %v", err)
	}
	return ws
}

// arrives puts a user into a container and lets both engines see him.
func (w *world) arrives(name, ou, role string) *entry {
	e := w.dir.put(entry{guid: w.dir.nextGUID(), parent: w.named(ou), kind: scoping.User, name: name, display: name, upn: name + "@sim.test", enabled: true, role: role})
	w.both()
	return e
}

// Rules P2, P3: an engine that owns some of a container may be asked to look at it for a wave; what left it for another place of the same engine is
// still proposed there.
func TestStoryLeftAContainerThatIsLookedAt(t *testing.T) {
	story(t, func(w *world, ann *entry) {
		w.arrives("bob", "Alpha", "lab")
		w.expect(w.follow(labs)[0], wave.Completed)
		w.both()
		e := *ann
		e.parent, e.dept = w.named("Sales"), "D42"
		w.dir.put(e)
		if r, err := w.syncAs(cloudsync, engine.ProfileDelta); err != nil || !r.Complete {
			w.fail(nothingLost, "%v %v", err, r.Errors)
		}
		w.expect(w.follow("")[0], wave.Completed)
		w.both()
		w.rest()
	})
}

// Rules T1, T3: one whom a filter takes from now on changes his engine, and is neither deleted nor made again; so many at once wait for a person.
func TestStoryManyAreChosenAtOnce(t *testing.T) {
	story(t, func(w *world, ann *entry) {
		var more []*entry
		for _, n := range []string{"b1", "b2", "b3", "b4", "b5", "b6", "b7"} {
			more = append(more, w.arrives(n, "Alpha", ""))
		}
		w.arrives("bob", "Alpha", "lab")
		w.both()
		w.expect(w.follow(labs)[0], wave.Completed)
		promote := func(e *entry) {
			c := *w.dir.now.objects[e.guid]
			c.role = "lab"
			w.dir.put(c)
		}
		owner := func(e *entry) string {
			w.catchUp()
			return w.owner(w.placeNow(e.guid), scoping.User, scoping.Users).Engine
		}
		id := w.account(ann).id
		promote(ann)
		w.both()
		if o := owner(ann); o != cloudsync || w.account(ann).id != id {
			w.fail(noDeath, "ann belongs to %s and is %s, was %s", o, w.account(ann).id, id)
		}
		for _, e := range more {
			promote(e)
		}
		w.both()
		held := w.host.Held()
		if len(held) != 1 || len(held[0].Entries) != len(more) || owner(more[0]) != connect {
			w.fail(noSurprise, "seven change their engine at once: held %v, owner %s", held, owner(more[0]))
		}
		w.answerAll(held[0], "approve")
		w.both()
		w.both()
		if o := owner(more[0]); o != cloudsync {
			w.fail(nothingLost, "after the approval %s belongs to %s", more[0].name, o)
		}
		w.rest()
	})
}
