package gate_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tandem-sync/tandem/orchestrator/gate"
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

func rename(p *engine.Proposal) { p.Desired[cloud.DisplayName] = text("Ann B.") }

func foreign(c *gate.Case) { c.Standing.Owner, c.Standing.Record = theirs, theirs }

// Invariant 1, rules P1 and T1.
func TestOnlyTheOwnerWrites(t *testing.T) {
	decideAll(t, linked, []variant{
		{"the owner", nil, rename, engine.Applied, ""},
		{"the owner, nothing new", nil, nil, engine.Unchanged, ""},
		{"somebody else", foreign, rename, engine.Refused, "not-owner"},
		{"somebody else, who lets go", foreign, func(p *engine.Proposal) { p.Want = engine.OutOfScope }, engine.Released, "not-owner"},
		{"somebody else, whose rules leave it out", foreign, func(p *engine.Proposal) { p.Want = engine.Excluded }, engine.Released, "not-owner"},
		{"the owner of before", func(c *gate.Case) { c.Standing.Owner = theirs }, rename, engine.Released, "moved"},
		{"the owner of before, in transit (T1)", func(c *gate.Case) {
			foreign(c)
			c.Row.Transit = &ledger.Transit{From: mine, To: theirs}
		}, rename, engine.Released, "moved"},
		{"nobody's", func(c *gate.Case) { c.Standing.Owner, c.Standing.Record = scoping.None, scoping.None }, rename, engine.Refused, "not-owner"},
		{"a target in shadow", func(c *gate.Case) { foreign(c); c.Standing.Shadow = true }, rename, engine.Shadowed, "update"},
		{"the owner in a run that only judges", func(c *gate.Case) { c.Standing.Ceiling = engine.ModeShadow }, rename, engine.Shadowed, "update"},
		{"a plan for a scope that is not his yet", func(c *gate.Case) { foreign(c); c.Standing.Ceiling = engine.ModeShadow }, rename, engine.Shadowed, "update"},
	})
}

// Rules P1 and P2: what does not settle for the owner stays asked for; what somebody else says changes nothing of the owner's matters.
func TestAnswersToOthersLeaveTheOwnersMattersAlone(t *testing.T) {
	for _, shadow := range []bool{false, true} {
		c, p := linked(), propose()
		foreign(&c)
		c.Standing.Shadow = shadow
		if v := gate.Decide(c, p); v.Closed || v.Claim != nil || !v.Quietly {
			t.Errorf("shadow %v: %+v", shadow, v)
		}
	}
}

// Rule P5: the epoch compared is that of the object's grant, when the run began to read.
func TestStaleEpochsAreRefused(t *testing.T) {
	granted := func(n uint64) func(*gate.Case) { return func(c *gate.Case) { c.Standing.Granted = epoch(n) } }
	gone := func(p *engine.Proposal) { p.Want = engine.Gone }
	decideAll(t, linked, []variant{
		{"older", granted(4), rename, engine.Stale, "epoch"},
		{"older, although nothing would change", granted(4), nil, engine.Stale, "epoch"},
		{"never granted", func(c *gate.Case) { c.Standing.Granted = scoping.Epoch{} }, rename, engine.Stale, "epoch"},
		{"of an earlier incarnation", func(c *gate.Case) { c.Standing.Epoch = scoping.Epoch{Incarnation: 2, N: 1} }, rename, engine.Stale, "epoch"},
		{"as old as the region", granted(5), rename, engine.Applied, ""},
		{"newer than the region, which did not change", granted(9), rename, engine.Applied, ""},
		{"older, a delete", granted(4), gone, engine.Stale, "epoch"},
	})
}

// Rule V1: the census alone says where an object is.
func TestPlacesThatEngineAndCensusDisagreeAboutAreLookedAtAgain(t *testing.T) {
	table := []variant{
		{"not seen", func(c *gate.Case) { c.Sight = gate.Sight{} }, rename, engine.Deferred, "not-seen"},
		{"seen dead", func(c *gate.Case) { c.Sight.Deleted = true }, rename, engine.Deferred, "gone"},
		{"another parent", nil, func(p *engine.Proposal) { p.Parent = other }, engine.Deferred, "place"},
		{"outside for the engine, inside for the census", nil, func(p *engine.Proposal) { p.Want = engine.OutOfScope }, engine.Deferred, "place"},
		{"a tombstone for the engine, alive for the census", nil, func(p *engine.Proposal) { p.Want = engine.Gone }, engine.Deferred, "not-gone"},
	}
	decideAll(t, linked, table)
	for _, x := range table {
		c, p := x.make(linked(), propose())
		if v := gate.Decide(c, p); !v.NeedSight || v.Closed {
			t.Errorf("%s: NeedSight %v, Closed %v", x.name, v.NeedSight, v.Closed)
		}
	}
}

// Rules F2 and X4: what no engine may propose is refused, also to the owner and in a run that only judges.
func TestMalformedProposalsAreRefused(t *testing.T) {
	set := func(name string, v engine.Value) func(*engine.Proposal) {
		return func(p *engine.Proposal) { p.Desired[name] = v }
	}
	table := []variant{
		{"an attribute of another row (F2)", nil, set("extensionAttribute1", text("x")), engine.Refused, "foreign-attribute"},
		{"the anchor, which is the host's (F2)", nil, set(cloud.ImmutableID, text("x")), engine.Refused, "foreign-attribute"},
		{"a reference in the base feature (F2)", nil, func(p *engine.Proposal) { p.Refs = map[string]engine.Refs{cloud.Members: {}} }, engine.Refused, "foreign-attribute"},
		{"a secret (X4)", nil, set("city", engine.Value{Text: []string{"x"}, Secret: true}), engine.Refused, "secret"},
		{"a feature that is not switched on", nil, func(p *engine.Proposal) { p.Feature = scoping.ExchangeHybrid }, engine.Refused, "unknown-feature"},
		{"a feature of another kind", nil, func(p *engine.Proposal) { p.Feature, p.Desired = scoping.Groups, nil }, engine.Refused, "wrong-feature"},
		{"another kind than the directory's", func(c *gate.Case) { c.Sight.Kind = scoping.Group }, nil, engine.Refused, "wrong-kind"},
		{"a want that nobody knows", nil, func(p *engine.Proposal) { p.Want = 99 }, engine.Refused, "unknown-want"},
	}
	decideAll(t, linked, table)
	decideAll(t, func() gate.Case {
		c := linked()
		c.Standing.Ceiling = engine.ModeShadow
		return c
	}, table[:6])
}

// Rules P6 and §11, and freezes: what may not be written now is deferred; what needs no write is answered.
func TestWritesWaitWhileAdmissionIsClosed(t *testing.T) {
	frozen := func(c *gate.Case) { c.Standing.Frozen = true }
	stopped := func(c *gate.Case) { c.Standing.Stopped = "stopped by carol" }
	doubt := func(c *gate.Case) { c.Pending = &ledger.Open{Doubt: true} }
	quiet := func(at int64) func(*gate.Case) {
		return func(c *gate.Case) { c.Row.Quiet = map[scoping.Feature]int64{scoping.Users: at} }
	}
	dead := func(f func(*gate.Case)) func(*gate.Case) { return func(c *gate.Case) { c.Sight.Deleted = true; f(c) } }
	gone := func(p *engine.Proposal) { p.Want = engine.Gone }
	decideAll(t, linked, []variant{
		{"frozen", frozen, rename, engine.Deferred, "frozen"},
		{"frozen, nothing to write", frozen, nil, engine.Unchanged, ""},
		{"frozen, a delete", dead(frozen), gone, engine.Deferred, "frozen"},
		{"stopped (§11)", stopped, rename, engine.Deferred, "stopped"},
		{"stopped, a delete (§11)", dead(stopped), gone, engine.Deferred, "stopped"},
		{"in doubt (P6)", doubt, rename, engine.InDoubt, "in-doubt"},
		{"in flight (X1)", func(c *gate.Case) { c.Pending = &ledger.Open{} }, rename, engine.Deferred, "on-the-wire"},
		{"quiet (P6)", quiet(now + 1), rename, engine.Deferred, "quiet"},
		{"no longer quiet", quiet(now), rename, engine.Applied, ""},
	})
	for _, f := range []func(*gate.Case){frozen, stopped, doubt, quiet(now + 1)} {
		c, p := linked(), propose()
		f(&c)
		rename(&p)
		if v := gate.Decide(c, p); v.Closed || v.Claim != nil {
			t.Errorf("%s closes the matter", v.Code)
		}
	}
}

// Rule D2: destructive updates wait for the end of their run; others do not.
func TestDestructiveUpdatesAreParked(t *testing.T) {
	have := func(name string, v ...string) func(*gate.Case) {
		return func(c *gate.Case) { c.Cloud.Values[name] = v }
	}
	want := func(name string, v ...string) func(*engine.Proposal) {
		return func(p *engine.Proposal) { p.Desired[name] = text(v...) }
	}
	decideAll(t, linked, []variant{
		{"disabling", nil, want(cloud.Enabled, "false"), engine.Parked, ""},
		{"enabling", have(cloud.Enabled, "false"), nil, engine.Applied, ""},
		{"another UPN", nil, want(cloud.UPN, "ann.b@contoso.test"), engine.Parked, ""},
		{"another mail", have(cloud.Mail, "a@contoso.test"), want(cloud.Mail, "b@contoso.test"), engine.Parked, ""},
		{"a first mail", nil, want(cloud.Mail, "b@contoso.test"), engine.Applied, ""},
		{"clearing", have("city", "Oslo"), want("city"), engine.Parked, ""},
		{"clearing what is empty", nil, want("city"), engine.Unchanged, ""},
		{"another city", have("city", "Oslo"), want("city", "Bergen"), engine.Applied, ""},
		{"an unmanaged attribute stays", have("city", "Oslo"), nil, engine.Unchanged, ""},
	})
}

// Rule F1: references wait for the base feature, which alone creates.
func TestReferencesWaitForTheBaseFeature(t *testing.T) {
	refs := func(p *engine.Proposal) {
		p.Feature, p.Desired, p.Refs = scoping.References, nil, map[string]engine.Refs{cloud.Manager: {Whole: true, Targets: []scoping.ObjectID{bob}}}
	}
	decideAll(t, newcomer, []variant{{"no account yet", nil, refs, engine.Partial, "waits-for-base"}})
	decideAll(t, linked, []variant{
		{"deleted account", func(c *gate.Case) { c.Cloud.Deleted = true }, refs, engine.Partial, "waits-for-base"},
		{"the other end is not there yet", nil, refs, engine.Partial, "reference-missing"},
		{"synced by Microsoft's engines", func(c *gate.Case) { c.Cloud.Synced = true }, refs, engine.Failed, "synced"},
		{"a tombstone is the base feature's matter", func(c *gate.Case) { c.Sight.Deleted = true }, func(p *engine.Proposal) { refs(p); p.Want = engine.Gone }, engine.Unchanged, "not-linked"},
	})
}

// Deciding is pure: the same case gives the same verdict, and nothing of the case or the proposal is changed.
func TestDecidingIsPureAndOnlyTheOwnerEverWrites(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c, p := anyCase(t), anyProposal(t)
		before := *c.Row
		v, w := gate.Decide(c, p), gate.Decide(c, p)
		if d := cmp.Diff(v, w); d != "" {
			t.Fatalf("two answers to one question: %s", d)
		}
		if d := cmp.Diff(before, *c.Row); d != "" {
			t.Fatalf("deciding changed the row: %s", d)
		}
		s := c.Standing
		if len(v.Writes) == 0 {
			return
		}
		switch {
		case s.Engine != s.Owner && !(s.Farewell && s.Owner == scoping.None):
			t.Fatalf("%s writes what belongs to %s: %+v", s.Engine, s.Owner, v)
		case s.Ceiling == engine.ModeShadow, s.Frozen, s.Stopped != "", c.Pending != nil:
			t.Fatalf("written while admission is closed: %+v", v)
		case s.Granted.Compare(s.Epoch) < 0 && !s.Farewell:
			t.Fatalf("a stale proposal is written: %+v", v)
		case c.Sight.Deleted || !c.Sight.Known || p.Parent != c.Sight.Parent:
			t.Fatalf("written although the census sees it elsewhere: %+v", v)
		}
		for _, x := range v.Writes {
			if x.Op == cloud.Delete || x.Op == cloud.RemoveMember || x.Op == cloud.ClearManager {
				t.Fatalf("%s without evidence", x.Op)
			}
		}
	})
}

func anyCase(t *rapid.T) gate.Case {
	c := linked()
	flag := func(name string) bool { return rapid.Bool().Draw(t, name) }
	seldom := func(name string) bool { return rapid.IntRange(0, 7).Draw(t, name) == 0 }
	engines := rapid.SampledFrom([]string{mine, mine, theirs, scoping.None})
	s := &c.Standing
	s.Owner, s.Record, s.Recorded = engines.Draw(t, "owner"), engines.Draw(t, "record"), flag("recorded")
	s.Granted = epoch(rapid.Uint64Range(4, 6).Draw(t, "granted"))
	s.Shadow, s.Farewell, s.Frozen = flag("shadow"), seldom("farewell"), seldom("frozen")
	s.Leaving = rapid.SampledFrom([]string{"disable", "remove", "keep"}).Draw(t, "leaving")
	if seldom("stopped") {
		s.Stopped = "stopped"
	}
	if seldom("ceiling") {
		s.Ceiling = engine.ModeShadow
	}
	if seldom("pending") {
		c.Pending = &ledger.Open{Doubt: flag("doubt")}
	}
	c.Sight.Deleted, c.Sight.Known = seldom("gone"), !seldom("unknown")
	c.Cloud.Deleted, c.Cloud.Synced = seldom("deleted"), seldom("synced")
	if seldom("tandem deleted it") {
		c.Row.State = ledger.DeletedByTandem
	}
	if seldom("not linked") {
		c.Row.CloudID, c.Cloud = "", nil
	}
	return c
}

func anyProposal(t *rapid.T) engine.Proposal {
	p := propose()
	p.Want = rapid.SampledFrom([]engine.Want{engine.Present, engine.Present, engine.Gone, engine.OutOfScope, engine.Excluded}).Draw(t, "want")
	p.Parent = rapid.SampledFrom([]scoping.GUID{sales, sales, other}).Draw(t, "parent")
	p.Desired[cloud.DisplayName] = text(rapid.SampledFrom([]string{"Ann", "Ann B."}).Draw(t, "name"))
	p.Desired[cloud.Enabled] = text(rapid.SampledFrom([]string{"true", "false"}).Draw(t, "enabled"))
	return p
}
