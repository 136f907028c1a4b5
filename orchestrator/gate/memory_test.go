package gate_test

import (
	"context"
	"testing"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/gate"
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/standing"
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// Rules P2 and P3: what an engine says in a plan's silent run is not said again by itself. Where a wave lets the engine be judged, its log remembers
// what it would write; elsewhere a plan leaves no trace.
func TestSilentRunsKeepWhatAWaveHasToCatchUp(t *testing.T) {
	for _, watched := range []bool{false, true} {
		w := newWorld(t)
		w.account(ann, "ann")
		if watched {
			a := w.g.Authority()
			a.Shadows = []gate.Shadow{{Engine: theirs, Wave: "w1", Scope: scoping.Scope{Directory: "contoso", Under: sales, Features: []scoping.Feature{scoping.Users}}, Epoch: epoch(5)}}
			w.g.SetAuthority(a, usual)
		}
		s := w.g.Begin(gate.SessionOptions{Engine: theirs, Run: 1, Ceiling: engine.ModeShadow, Silent: true})
		same := renamed("ann")
		for _, p := range []engine.Proposal{same, renamed("Ann B.")} {
			if _, err := s.Propose(context.Background(), []engine.Proposal{p}); err != nil {
				t.Fatal(err)
			}
		}
		if watched {
			w.wantSaid("decision") // of the rename alone
		} else {
			w.wantSaid()
		}
	}
}

// Rule P2: references that wait for their other end are owed after a run that only judges, like everything else that did not settle.
func TestWaitingReferencesAreNotSettledByARunThatOnlyJudges(t *testing.T) {
	c := linked()
	c.Standing.Ceiling = engine.ModeShadow
	p := propose()
	p.Feature, p.Desired = scoping.References, nil
	p.Refs = map[string]engine.Refs{cloud.Manager: {Whole: true, Targets: []scoping.ObjectID{bob}}}
	v := gate.Decide(c, p)
	check(t, v, engine.Partial, "reference-missing")
	if v.Nothing || v.Closed || !v.Quietly || len(v.Writes) > 0 {
		t.Errorf("%+v", v)
	}
}

// Rule P2: who comes back while his account is being deleted is asked for again.
func TestWhoReturnsWhileHeIsDeletedIsAskedForAgain(t *testing.T) {
	for _, back := range []bool{false, true} {
		w := newWorld(t)
		w.account(ann, "ann")
		w.life = gate.Tombstone
		sight := w.sights[ann]
		sight.Deleted = true
		w.sights[ann] = sight
		w.during = func(x cloud.Write) {
			sight.Deleted = !back
			w.sights[ann] = sight
		}
		s := w.begin()
		p := propose()
		gone(&p)
		if _, err := s.Propose(context.Background(), []engine.Proposal{p}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.End(context.Background(), true); err != nil {
			t.Fatal(err)
		}
		w.ran()
		d := w.debt(ann, scoping.Users)
		if w.led.Rows.Get(ann).State != ledger.DeletedByTandem || (d.Code == standing.Returned) != back {
			t.Errorf("came back %v: %s, owed %+v", back, w.led.Rows.Get(ann).State, d)
		}
	}
}

// Rule V2: what was written a moment ago and is not shown yet has neither vanished nor left.
func TestNotShownYetIsNotGone(t *testing.T) {
	hidden := func(c *gate.Case) { c.Cloud, c.TooNew = nil, true }
	decideAll(t, linked, []variant{
		{"written a moment ago", hidden, nil, engine.Deferred, "not-shown"},
		{"written long ago", func(c *gate.Case) { c.Cloud = nil }, nil, engine.Held, "vanished"},
		{"a leaver, written a moment ago", func(c *gate.Case) { leaving("disable")(c); hidden(c) }, nil, engine.Deferred, "not-shown"},
		{"a leaver, written long ago", func(c *gate.Case) { leaving("disable")(c); c.Cloud = nil }, nil, engine.Unchanged, "left"},
	})
}

// Rule V2: only a reading that began the tenant's delay after a write says anything about it.
func TestOnlyALaterReadingProvesAbsence(t *testing.T) {
	w := newWorld(t)
	for _, x := range []struct {
		read    time.Duration // after the write
		outcome engine.Outcome
		code    gate.Code
	}{{0, engine.Deferred, "not-shown"}, {59 * time.Second, engine.Deferred, "not-shown"}, {time.Minute, engine.Held, "vanished"}} {
		w.wrote(ann, "c-hidden")
		w.g.Refreshed(w.time.Add(x.read))
		want(t, w.propose(propose())[0], x.outcome, x.code)
	}
}

// wrote settles a write to an account that the cache does not show.
func (w *world) wrote(o scoping.ObjectID, id string) {
	w.t.Helper()
	in := ledger.Record{Type: ledger.IntentType, Engine: mine, Object: &o, Kind: scoping.User, Feature: scoping.Users, Op: string(cloud.Create), Epoch: epoch(5),
		Intent: &ledger.Intent{Write: cloud.Write{ID: "w", Op: cloud.Create, Kind: scoping.User}, Final: true,
			Claim: ledger.Claim{Anchor: anchorOf(o), Place: sales, Chain: []scoping.GUID{sales, root}, State: ledger.Live}}}
	out := ledger.Record{Type: ledger.SettleType, Object: &o, Settle: &ledger.Settlement{Intent: "w", Result: cloud.Result{Status: cloud.Done, CloudID: id}}}
	if err := w.g.Record(context.Background(), in, out); err != nil {
		w.t.Fatal(err)
	}
}

// Rule D3: a manager whom the directory does not name any more goes, although the new one may never be in the tenant.
func TestFormerManagerDoesNotStayForOneWhoIsNotThere(t *testing.T) {
	c := linked()
	c.Cloud.Manager = "c-old"
	c.LinkedTo = func(string) (*ledger.Row, bool) { return rowOf(staff, scoping.User, "c-old"), true }
	p := propose()
	p.Feature, p.Desired = scoping.References, nil
	p.Refs = map[string]engine.Refs{cloud.Manager: {Whole: true, Targets: []scoping.ObjectID{bob}}}
	check(t, gate.Decide(c, p), engine.Parked, "")
	v := gate.Judge(c, p, gate.Evidence{Life: gate.Living, LinksRead: true, Links: map[scoping.ObjectID]bool{bob: true}})
	check(t, v, engine.Partial, "reference-missing")
	if w := only(t, v); w.Op != cloud.ClearManager || v.Closed {
		t.Errorf("%+v", v)
	}
}

// Standing S2: what somebody else changes after a verdict, while another object of the batch is on the wire, is owed again: it is found where the tenant is no
// more what it was when the engine agreed.
func TestVerdictsDoNotSettleWhatCameAfterThem(t *testing.T) {
	for _, news := range []bool{false, true} {
		w := newWorld(t)
		w.account(ann, "ann")
		w.account(bob, "bob")
		p := renamed("bob")
		p.Object, p.Seq = bob, 2
		p.Desired[cloud.UPN], p.Desired[cloud.Nickname] = text("bob@contoso.test"), text("bob")
		ds := w.propose(renamed("Ann B."), p)
		want(t, ds[0], engine.Applied, "")
		want(t, ds[1], engine.Unchanged, "")
		if news {
			w.cache.Apply(cloud.Page{Upserts: []cloud.Upsert{{ID: "c-bob", Kind: scoping.User, Values: cloud.Values{cloud.DisplayName: {"somebody's"}}}}}, w.time)
		}
		if d := w.debt(bob, scoping.Users); (d.Code == standing.Foreign) != news || !news && d.Code != standing.Settled {
			t.Errorf("news %v: owed %+v", news, d)
		}
		if d := w.debt(ann, scoping.Users); d.Code != standing.Settled {
			t.Errorf("what was written is owed: %+v", d)
		}
	}
}

// Waves: a freeze holds the delete of one who moved into its scope and died there, wherever he was written last.
func TestFreezeHoldsDeletesOfWhoDiedInItsScope(t *testing.T) {
	w := newWorld(t)
	w.account(ann, "ann") // in sales
	north := guid(4)
	w.sights[ann] = gate.Sight{Known: true, Deleted: true, Kind: scoping.User, Parent: north, Chain: []scoping.GUID{north, root}, Anchor: annAnchor}
	f := w.g.Freeze([]scoping.Scope{{Directory: "contoso", Under: north, Features: []scoping.Feature{scoping.Users}}}, time.Minute)
	p := propose()
	gone(&p)
	want(t, w.propose(p)[0], engine.Deferred, "frozen")
	f.Release()
	want(t, w.propose(p)[0], engine.Parked, "delete")
}
