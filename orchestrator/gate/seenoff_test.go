package gate_test

import (
	"time"

	"testing"

	"github.com/tandem-sync/tandem/orchestrator/gate"
	"github.com/tandem-sync/tandem/orchestrator/standing"
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// One who leaves to where no engine writes ends as `leaving` says, also if the rules of the engine that sees it off leave it out: an account whose sign-in name was
// taken away on the way does not stay enabled (rule T4; simulation, seed 23).
func TestLeaversThatRulesLeaveOutAreSeenOff(t *testing.T) {
	p := propose()
	p.Want, p.Reason, p.Desired = engine.Excluded, "no-upn", nil
	leaving := func(l string) gate.Case {
		c := linked()
		c.Standing.Owner, c.Standing.Farewell, c.Standing.Leaving = scoping.None, true, l
		return c
	}
	v := gate.Decide(leaving("disable"), p)
	check(t, v, engine.Applied, "")
	if w := only(t, v); w.Op != cloud.Update || len(w.Set) != 1 || w.Set.First(cloud.Enabled) != "false" {
		t.Errorf("%+v", w)
	}
	check(t, gate.Decide(leaving("remove"), p), engine.Parked, gate.CodeLeaving)
	v = gate.Judge(leaving("remove"), p, gate.Evidence{Life: gate.Living})
	check(t, v, engine.Applied, "")
	if w := only(t, v); w.Op != cloud.Delete {
		t.Errorf("%+v", w)
	}
	v = gate.Decide(leaving("keep"), p)
	check(t, v, engine.Unchanged, "")
	if len(v.Writes) > 0 || !v.Closed {
		t.Errorf("%+v", v)
	}
}

// One who comes back while the request that removes or disables it is tried again is left alone (seed 18529).
func TestWhoComesBackBetweenTwoAttemptsIsNotSeenOff(t *testing.T) {
	for _, leaving := range []scoping.Leaving{scoping.Remove, scoping.Disable} {
		w := newWorld(t)
		p := partition(t, scoping.None)
		policy := p.Policy()
		policy.Defaults.Leaving = leaving
		for i := range policy.Assignments {
			policy.Assignments[i].Leaving = ""
		}
		again, err := scoping.Compile(policy, map[string]scoping.EngineCaps{mine: {Features: policy.Features}})
		if err != nil {
			t.Fatal(err)
		}
		w.g.SetAuthority(gate.Authority{Partition: again.Succeed(nil, epoch(5)), Epoch: epoch(5)}, usual)
		w.account(ann, "ann")
		home := w.sights[ann]
		away := home
		away.Parent, away.Chain = other, []scoping.GUID{other, root}
		w.sights[ann] = away
		w.evidence = gate.Evidence{Life: gate.Living}
		w.answers = []cloud.Result{{Status: cloud.Throttled, RetryAfter: time.Second}}
		w.resting = func() { w.sights[ann] = home }
		s := w.g.Begin(gate.SessionOptions{Engine: mine, Run: 1, Farewell: map[scoping.ObjectID]bool{ann: true}})
		last := propose()
		last.Parent = other
		if _, err := s.Propose(t.Context(), []engine.Proposal{last}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.End(t.Context(), true); err != nil {
			t.Fatal(err)
		}
		if len(w.sent) != 1 {
			t.Errorf("%s: %d requests were sent, the second one after it came back: %+v", leaving, len(w.sent), w.sent)
		}
		w.ran()
		if d := w.debt(ann, scoping.Users); d.To != standing.Owner {
			t.Errorf("%s: nobody looks at it: %+v", leaving, d)
		}
	}
}

// An attempt to disable a leaver is not sent; before the next one a wave's target has become its owner of record, and answers for it (simulation, seed 7946).
func TestOneThatBelongsToAnotherEngineByTheNextAttemptIsNotSeenOff(t *testing.T) {
	w := newWorld(t)
	w.g.SetAuthority(gate.Authority{Partition: partition(t, scoping.None), Epoch: epoch(5)}, usual)
	w.account(ann, "ann")
	away := w.sights[ann]
	away.Parent, away.Chain = other, []scoping.GUID{other, root}
	w.sights[ann] = away
	w.answers = []cloud.Result{{Status: cloud.Throttled, RetryAfter: time.Second}}
	w.resting = func() {
		everything := scoping.Scope{Directory: ann.Directory, Under: root, Features: []scoping.Feature{scoping.Users}}
		w.led.Transfers = append(w.led.Transfers, scoping.Transfer{Scope: everything, From: mine, To: theirs, At: epoch(6)})
	}
	s := w.g.Begin(gate.SessionOptions{Engine: mine, Run: 1, Farewell: map[scoping.ObjectID]bool{ann: true}})
	last := propose()
	last.Parent = other
	ds, err := s.Propose(t.Context(), []engine.Proposal{last})
	if err != nil {
		t.Fatal(err)
	}
	want(t, ds[0], engine.Released, "moved")
	if len(w.sent) != 1 {
		t.Errorf("%d requests were sent, the second one after it was another engine's: %+v", len(w.sent), w.sent)
	}
}

// An update is throttled; before the next attempt its object is moved to another engine's container and deleted. Nothing is written to what is known to be
// deleted but its delete (simulation, seed 5195).
func TestOneThatIsDeletedByTheNextAttemptIsNotUpdated(t *testing.T) {
	w := newWorld(t)
	w.account(ann, "ann")
	w.answers = []cloud.Result{throttled}
	w.resting = func() {
		there := w.sights[ann]
		there.Parent, there.Chain, there.Deleted = other, []scoping.GUID{other, root}, true
		w.sights[ann] = there
	}
	ds := w.propose(renamed("Anna"))
	want(t, ds[0], engine.Deferred, gate.CodeGone)
	if len(w.sent) != 1 {
		t.Errorf("%d requests were sent, the second one after it was deleted: %+v", len(w.sent), w.sent)
	}
}
