package gate_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tandem-sync/tandem/orchestrator/gate"
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// says lets a person have answered the grave parts that match.
func says(s ledger.HoldState, match func(ledger.Grave) bool) func(ledger.Grave) (ledger.HoldState, string) {
	return func(g ledger.Grave) (ledger.HoldState, string) {
		if match(g) {
			return s, "abc"
		}
		return ledger.HoldOpen, ""
	}
}

// quiet checks that a verdict settles the matter and leaves nothing to be remembered.
func quiet(t *testing.T, v gate.Verdict) {
	t.Helper()
	check(t, v, engine.Refused, "rejected")
	if !v.Closed || !v.Nothing {
		t.Errorf("closed %v, nothing to record %v", v.Closed, v.Nothing)
	}
}

// Standing S9: a rejected write counts as settled, is not even parked, and is judged anew when its grave part changes.
func TestRejectedWritesAreSettledAndQuiet(t *testing.T) {
	c, p := linked(), propose()
	dead(&c)
	gone(&p)
	c.Answered = says(ledger.HoldRejected, func(g ledger.Grave) bool { return g.Op == "delete" && g.Target == "c-ann" })
	quiet(t, gate.Decide(c, p))
	quiet(t, gate.Judge(c, p, gate.Evidence{Life: gate.Tombstone}))
	c.Row.CloudID = "c-other"
	c.Cloud.ID = "c-other"
	check(t, gate.Decide(c, p), engine.Parked, "delete")

	c, p = linked(), propose()
	p.Desired[cloud.Enabled] = text("false")
	v := gate.Judge(c, p, gate.Evidence{Life: gate.Living})
	want := []ledger.Grave{{Op: "update", Target: "c-ann", Changes: []ledger.Change{{Attribute: cloud.Enabled, Old: []string{"true"}, New: []string{"false"}}}}}
	if d := cmp.Diff(want, v.Graves); d != "" {
		t.Fatal(d)
	}
	c.Answered = says(ledger.HoldRejected, func(g ledger.Grave) bool { return g.Digest() == want[0].Digest() })
	quiet(t, gate.Decide(c, p))
	p.Desired[cloud.UPN] = text("ann.b@contoso.test")
	check(t, gate.Judge(c, p, gate.Evidence{Life: gate.Living}), engine.Applied, "")
}

// Standing S9: a rejection is of the grave attributes. The others of the same update are written.
func TestRejectionLeavesOrdinaryAttributesAlone(t *testing.T) {
	c, p := linked(), propose()
	p.Desired[cloud.Enabled], p.Desired[cloud.DisplayName] = text("false"), text("Ann B.")
	c.Answered = says(ledger.HoldRejected, func(ledger.Grave) bool { return true })
	v := gate.Decide(c, p)
	check(t, v, engine.Applied, "")
	if d := cmp.Diff(cloud.Values{cloud.DisplayName: {"Ann B."}}, only(t, v).Set); d != "" || v.Class != ledger.Ordinary {
		t.Error(v.Class, d)
	}
}

// Rule T4: a leaver whose removal is rejected stays in the tenant and is nobody's.
func TestRejectedLeaverIsNobodys(t *testing.T) {
	c, p := linked(), propose()
	c.Standing.Owner, c.Standing.Farewell, c.Standing.Leaving = scoping.None, true, string(scoping.Remove)
	check(t, gate.Decide(c, p), engine.Parked, "leaving")
	c.Answered = says(ledger.HoldRejected, func(g ledger.Grave) bool { return g.Detail == "leaving" })
	v := gate.Decide(c, p)
	check(t, v, engine.Unchanged, "rejected")
	if v.Claim == nil || v.Claim.Owner != scoping.None || v.Claim.State != ledger.ParkedRow || !v.Closed {
		t.Errorf("%+v", v)
	}
}

// Standing S9: removed memberships are answered pair by pair.
func TestMembershipsAreAnsweredPairByPair(t *testing.T) {
	for state, want := range map[ledger.HoldState][]string{ledger.HoldOpen: {"c-ann", "c-bob"}, ledger.HoldRejected: {"c-bob"}, ledger.HoldApproved: {"c-ann", "c-bob"}} {
		c := groupCase()
		c.Cloud.Members = []string{"c-ann", "c-bob"}
		c.Answered = says(state, func(g ledger.Grave) bool { return g.Op == "members" && g.Target == "c-staff" && g.End == "c-ann" })
		v := gate.Judge(c, members(), gate.Evidence{LinksRead: true})
		var ends []string
		for i, g := range v.Graves {
			ends = append(ends, g.End)
			if (v.Approved[i] != "") != (state == ledger.HoldApproved && g.End == "c-ann") {
				t.Errorf("%s: %s approved in %q", state, g.End, v.Approved[i])
			}
		}
		if d := cmp.Diff(want, ends); d != "" {
			t.Errorf("%s: %s", state, d)
		}
		if c.Cloud.Members = []string{"c-ann"}; state == ledger.HoldRejected {
			check(t, gate.Decide(c, members()), engine.Unchanged, "")
		}
	}
}

// team is a gate over a group with n members that the directory does not know any more.
func team(t *testing.T, n int) *world {
	w := newWorld(t)
	w.account(ann, "ann")
	w.sights[staff] = gate.Sight{Known: true, Kind: scoping.Group, Parent: sales, Chain: []scoping.GUID{sales, root}, Anchor: anchorOf(staff)}
	group := cloud.Object{ID: "c-staff", Kind: scoping.Group}
	for i := range n {
		o := object(byte(100 + i))
		w.sights[o] = w.sights[ann]
		w.account(o, fmt.Sprint("m", i))
		group.Members = append(group.Members, fmt.Sprint("c-m", i))
	}
	w.cache.Apply(cloud.Page{Upserts: []cloud.Upsert{{ID: "c-staff", Kind: scoping.Group, Values: cloud.Values{cloud.DisplayName: {"Staff"}, cloud.Nickname: {"staff"}},
		AddMembers: group.Members}}}, time.Time{})
	claim := ledger.Claim{CloudID: "c-staff", Anchor: anchorOf(staff), Place: sales, Chain: []scoping.GUID{sales, root}, State: ledger.Live}
	if err := w.g.Record(context.Background(), ledger.Record{Type: ledger.DecisionType, Engine: mine, Object: &staff, Kind: scoping.Group, Feature: scoping.Groups,
		Outcome: engine.Unchanged, Closed: true, Epoch: epoch(5), Claim: &claim}); err != nil {
		t.Fatal(err)
	}
	return w
}

// run is one complete run that proposes the given.
func (w *world) run(ps ...engine.Proposal) gate.Summary {
	w.t.Helper()
	s := w.begin()
	if _, err := s.Propose(context.Background(), ps); err != nil {
		w.t.Fatal(err)
	}
	sum, err := s.End(context.Background(), true)
	if err != nil {
		w.t.Fatal(err)
	}
	return sum
}

// answer lets a person answer the only open set.
func (w *world) answer(verb string) *ledger.Hold {
	w.t.Helper()
	for _, h := range w.led.SortedHolds() {
		if h.State == ledger.HoldOpen {
			if err := w.g.Record(context.Background(), ledger.Record{Type: ledger.AnswerType, Answer: &ledger.Answer{Hold: h.ID, Verb: verb}}); err != nil {
				w.t.Fatal(err)
			}
			return h
		}
	}
	w.t.Fatal("no set is open")
	return nil
}

// An approval of some pairs of a group does not wait for the others, and names people rather than ids.
func TestApprovedPairsGoWhileOthersAreHeld(t *testing.T) {
	w := team(t, 3)
	w.g.SetAuthority(w.g.Authority(), gate.Rules{Objects: 0, Percent: 10})
	w.evidence = gate.Evidence{LinksRead: true}
	stay := object(102)
	if sum := w.run(members(stay)); len(sum.Held) != 1 || len(sum.Held[0].Entries) != 2 || sum.Held[0].Entries[0].EndName == "" {
		t.Fatalf("held %+v", sum.Held)
	}
	w.answer("approve")
	sum := w.run(members(ann)) // ann is new
	o, _ := w.cache.Get("c-staff")
	if d := cmp.Diff([]string{"c-ann", "c-m2"}, o.Members); d != "" || len(sum.Held) != 1 || len(sum.Held[0].Entries) != 1 || sum.Held[0].Entries[0].End != "c-m2" {
		t.Errorf("%s; held %+v", d, sum.Held)
	}
	if len(w.led.History) != 0 {
		t.Errorf("approved removals count: %v", w.led.History)
	}
	if _, dirty := w.led.Unsettled[staff][scoping.References]; !dirty {
		t.Error("the rest is not owed")
	}
}

// Rule D2: what was approved does not count against the next: after an approved mass delete, one more leaver goes.
func TestOneDeleteAfterAnApprovedMassDelete(t *testing.T) {
	w := team(t, 8)
	w.life = gate.Tombstone
	leaver := func(i int) engine.Proposal {
		o := object(byte(100 + i))
		s := w.sights[o]
		s.Deleted, w.sights[o] = true, s
		w.sights[o] = s
		p := propose()
		p.Object, p.Name, p.Want, p.Desired = o, fmt.Sprint("CN=m", i), engine.Gone, nil
		return p
	}
	var all []engine.Proposal
	for i := range 7 {
		all = append(all, leaver(i))
	}
	if sum := w.run(all...); len(sum.Held) != 1 || len(sum.Held[0].Entries) != 7 {
		t.Fatalf("seven deletes over a limit of five: held %+v", sum.Held)
	}
	h := w.answer("approve")
	w.run(all...)
	if s := h.Now(now); s != ledger.HoldDone {
		t.Fatalf("approved and run: %s", s)
	}
	if sum := w.run(leaver(7)); len(sum.Held) != 0 || w.led.Rows.Get(object(107)).State != ledger.DeletedByTandem {
		t.Errorf("one more: held %+v, %s", sum.Held, w.led.Rows.Get(object(107)).State)
	}
}

// Standing S9: an approval counts no more once the object's region changed hands, even if the same engine owns it again, and after a day.
func TestApprovalsAreOfTheOwnerOfThatTime(t *testing.T) {
	for name, x := range map[string]struct {
		change func(*world)
		epoch  uint64
		passes bool
	}{
		"as it was": {func(*world) {}, 5, true},
		"the region changed hands": {func(w *world) {
			a := w.g.Authority()
			a.Partition, a.Epoch = partition(t, theirs).Succeed(nil, epoch(6)), epoch(6)
			w.g.SetAuthority(a, w.g.Rules())
		}, 6, false},
		"a day later": {func(w *world) { w.time = w.time.Add(24 * time.Hour) }, 5, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.g.SetAuthority(w.g.Authority(), gate.Rules{Objects: 0, Percent: 10})
			w.account(ann, "ann")
			p := propose()
			p.Desired[cloud.DisplayName], p.Desired[cloud.Enabled] = text("ann"), text("false")
			w.run(p)
			w.answer("approve")
			x.change(w)
			p.Epoch = epoch(x.epoch)
			sum := w.run(p)
			o, _ := w.cache.Get("c-ann")
			if disabled := o.Values.First(cloud.Enabled) == "false"; disabled != x.passes || (len(sum.Held) == 0) != x.passes {
				t.Errorf("disabled %v, held %+v", disabled, sum.Held)
			}
		})
	}
}
