package gate_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tandem-sync/tandem/orchestrator/gate"
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

func gone(p *engine.Proposal) { p.Want, p.Desired = engine.Gone, nil }

func dead(c *gate.Case) { c.Sight.Deleted = true }

// Rule D1: whose delete it is, before any evidence is read.
func TestTombstonesBelongToTheOwnerOfRecord(t *testing.T) {
	recorded := func(owner, record string) func(*gate.Case) {
		return func(c *gate.Case) { dead(c); c.Standing.Owner, c.Standing.Record = owner, record }
	}
	decideAll(t, linked, []variant{
		{"the owner's: waits for the end of the run (D2)", dead, gone, engine.Parked, "delete"},
		{"owned by another", recorded(theirs, theirs), gone, engine.Released, "not-owner"},
		{"written by another, who did not hand it over (T1)", recorded(mine, theirs), gone, engine.Released, "not-owner"},
		{"owned by another, in shadow", func(c *gate.Case) { recorded(theirs, theirs)(c); c.Standing.Shadow = true }, gone, engine.Shadowed, "delete"},
		{"nobody's, died in the owner's scope", recorded(mine, scoping.None), gone, engine.Parked, "delete"},
		{"nobody's, died elsewhere", recorded(theirs, scoping.None), gone, engine.Released, "not-owner"},
		{"not linked", func(c *gate.Case) { dead(c); c.Row = nil }, gone, engine.Unchanged, "not-linked"},
		{"deleted before", func(c *gate.Case) { dead(c); c.Row.State = ledger.DeletedByTandem }, gone, engine.Unchanged, "not-linked"},
		{"a run that only judges", func(c *gate.Case) { dead(c); c.Standing.Ceiling = engine.ModeShadow }, gone, engine.Shadowed, "delete"},
		{"out of sight is no tombstone", nil, func(p *engine.Proposal) { p.Want = engine.OutOfScope }, engine.Deferred, "place"},
	})
}

// Rule V1: a tombstone of what is not in the tenant settles nothing while the census does not see one: an engine that was wrong takes the matter for
// answered, and would not bring the object again.
func TestFalseTombstonesAreLookedInto(t *testing.T) {
	for _, x := range []struct {
		variant
		look, quietly, nothing bool
	}{
		{variant{"alive, and the proposer's", nil, gone, engine.Deferred, "not-gone"}, true, false, false},
		{variant{"alive, and the proposer's, in a run that only judges", func(c *gate.Case) { c.Standing.Ceiling = engine.ModeShadow }, gone, engine.Deferred, "not-gone"}, true, false, false},
		{variant{"alive, and another's, in shadow", func(c *gate.Case) { foreign(c); c.Standing.Shadow = true }, gone, engine.Deferred, "not-gone"}, true, true, false},
		{variant{"alive, and another's", foreign, gone, engine.Unchanged, "not-linked"}, false, false, true},
		{variant{"not seen yet", func(c *gate.Case) { c.Sight = gate.Sight{}; c.Standing.Owner = scoping.None }, gone, engine.Unchanged, "not-linked"}, true, false, true},
		{variant{"dead indeed", dead, gone, engine.Unchanged, "not-linked"}, false, false, true},
	} {
		t.Run(x.name, func(t *testing.T) {
			c, p := x.make(newcomer(), propose())
			v := gate.Decide(c, p)
			check(t, v, x.outcome, x.code)
			if v.NeedSight != x.look || v.Quietly != x.quietly || v.Nothing != x.nothing {
				t.Errorf("looks again %v, quietly %v, nothing %v", v.NeedSight, v.Quietly, v.Nothing)
			}
		})
	}
}

// Rule D1: evidence, not absence.
func TestDeletesNeedEvidence(t *testing.T) {
	table := []struct {
		variant
		life gate.Life
	}{
		{variant{"a tombstone", dead, gone, engine.Applied, ""}, gate.Tombstone},
		{variant{"neither alive nor deleted", dead, gone, engine.Held, "no-evidence"}, gate.Missing},
		{variant{"the host could not read", dead, gone, engine.Deferred, "no-evidence"}, gate.Unread},
		{variant{"alive, and the proposer's own", nil, gone, engine.Held, "filtered"}, gate.Living},
		{variant{"alive, dead for the census", dead, gone, engine.Held, "filtered"}, gate.Living},
		{variant{"alive, in another's scope", func(c *gate.Case) { c.Standing.Owner = theirs }, gone, engine.Released, "alive-elsewhere"}, gate.Living},
		{variant{"frozen meanwhile", func(c *gate.Case) { dead(c); c.Standing.Frozen = true }, gone, engine.Deferred, "frozen"}, gate.Tombstone},
		{variant{"gone from the tenant already", func(c *gate.Case) { dead(c); c.Cloud.Deleted = true }, gone, engine.Unchanged, "gone-already"}, gate.Tombstone},
		{variant{"gone from the tenant for good", func(c *gate.Case) { dead(c); c.Cloud = nil }, gone, engine.Applied, ""}, gate.Tombstone},
	}
	for _, x := range table {
		t.Run(x.name, func(t *testing.T) {
			c, p := x.make(linked(), propose())
			v := gate.Judge(c, p, gate.Evidence{Life: x.life})
			check(t, v, x.outcome, x.code)
			if v.Outcome == engine.Applied {
				if w := only(t, v); w.Op != cloud.Delete || w.CloudID != "c-ann" || v.Class != ledger.Deletes || v.Claim.State != ledger.DeletedByTandem {
					t.Errorf("%+v, class %q, claim %+v", w, v.Class, v.Claim)
				}
			}
		})
	}
}

// Rule D2: kinds of which no restore is promised are counted apart.
func TestGroupsCountAsIrrevocable(t *testing.T) {
	c, p := groupCase(), groupProposal()
	dead(&c)
	gone(&p)
	if v := gate.Judge(c, p, gate.Evidence{Life: gate.Tombstone}); v.Outcome != engine.Applied || v.Class != ledger.Irrevocable || len(v.Graves) != 1 {
		t.Errorf("%+v", v)
	}
}

// Rule D1: living, its owner's own, and left out by his rules: filtered.
func TestFilteredObjectsAreParkedAndCountedApart(t *testing.T) {
	leftOut := func(p *engine.Proposal) { p.Want, p.Reason, p.Desired = engine.Excluded, "no-upn", nil }
	decideAll(t, linked, []variant{
		{"in the tenant", nil, leftOut, engine.Parked, "filtered"},
		{"just moved here (T1)", func(c *gate.Case) { c.Row.Transit = &ledger.Transit{From: theirs, To: mine} }, leftOut, engine.Held, "unclaimed"},
		{"the target's rules would leave it out", func(c *gate.Case) { foreign(c); c.Standing.Shadow = true }, leftOut, engine.Shadowed, "excluded"},
		{"deleted in the tenant", func(c *gate.Case) { c.Cloud.Deleted = true }, leftOut, engine.Unchanged, "excluded"},
	})
	decideAll(t, newcomer, []variant{{"never was in the tenant", nil, leftOut, engine.Unchanged, "excluded"}})
	for life, want := range map[gate.Life]engine.Outcome{gate.Living: engine.Applied, gate.Unread: engine.Deferred, gate.Missing: engine.Deferred} {
		c, p := linked(), propose()
		leftOut(&p)
		v := gate.Judge(c, p, gate.Evidence{Life: life})
		if v.Outcome != want || (len(v.Writes) > 0 && v.Class != ledger.FilteredAway) {
			t.Errorf("life %d: %+v", life, v)
		}
	}
}

func groupCase() gate.Case {
	c := linked()
	c.Sight.Kind, c.Sight.Anchor = scoping.Group, anchorOf(staff)
	c.Row = rowOf(staff, scoping.Group, "c-staff")
	c.Cloud = &cloud.Object{ID: "c-staff", Kind: scoping.Group, Values: cloud.Values{cloud.DisplayName: {"Staff"}, cloud.Nickname: {"staff"}}}
	ends := map[scoping.ObjectID]string{ann: "c-ann", bob: "c-bob"}
	c.Resolve = func(o scoping.ObjectID) (string, gate.RefState) {
		if id, ok := ends[o]; ok {
			return id, gate.RefLinked
		}
		return "", gate.RefWaits
	}
	c.LinkedTo = func(id string) (*ledger.Row, bool) {
		for o, x := range ends {
			if x == id {
				return rowOf(o, scoping.User, id), true
			}
		}
		return nil, false
	}
	return c
}

func groupProposal() engine.Proposal {
	p := propose()
	p.Object, p.Kind, p.Feature = staff, scoping.Group, scoping.Groups
	p.Desired = map[string]engine.Value{cloud.DisplayName: text("Staff"), cloud.Nickname: text("staff")}
	return p
}

func members(targets ...scoping.ObjectID) engine.Proposal {
	p := groupProposal()
	p.Feature, p.Desired, p.Refs = scoping.References, nil, map[string]engine.Refs{cloud.Members: {Whole: true, Targets: targets}}
	return p
}

// Rule D3: a membership goes only if the host reads the link as gone or its end as deleted.
func TestMembershipsAreRemovedOnlyWithEvidence(t *testing.T) {
	ended := func(o scoping.ObjectID) bool { return o == bob }
	table := []struct {
		name    string
		e       gate.Evidence
		outcome engine.Outcome
		code    gate.Code
		removed []string
	}{
		{"the host reads neither link", gate.Evidence{LinksRead: true}, engine.Applied, "", []string{"c-ann", "c-bob"}},
		{"the host still reads both", gate.Evidence{LinksRead: true, Links: map[scoping.ObjectID]bool{ann: true, bob: true}}, engine.Deferred, "reference-lives", nil},
		{"the host still reads one", gate.Evidence{LinksRead: true, Links: map[scoping.ObjectID]bool{ann: true}}, engine.Partial, "reference-lives", []string{"c-bob"}},
		{"the links could not be read", gate.Evidence{}, engine.Deferred, "reference-lives", nil},
		{"not read, but one end is deleted", gate.Evidence{EndDeleted: ended}, engine.Partial, "reference-lives", []string{"c-bob"}},
		{"read, and the end is deleted", gate.Evidence{LinksRead: true, Links: map[scoping.ObjectID]bool{ann: true, bob: true}, EndDeleted: ended}, engine.Partial, "reference-lives", []string{"c-bob"}},
	}
	for _, x := range table {
		t.Run(x.name, func(t *testing.T) {
			c := groupCase()
			c.Cloud.Members = []string{"c-ann", "c-bob", "c-foreign"}
			v := gate.Decide(c, members())
			check(t, v, engine.Parked, "")
			if len(v.Writes) > 0 {
				t.Fatal("removed before the evidence")
			}
			v = gate.Judge(c, members(), x.e)
			check(t, v, x.outcome, x.code)
			var removed []string
			for _, w := range v.Writes {
				removed = append(removed, w.Refs...)
			}
			if d := cmp.Diff(x.removed, removed); d != "" {
				t.Error(d)
			}
			if len(v.Graves) != len(removed) || (len(removed) > 0 && v.Class != ledger.Memberships) {
				t.Errorf("counted as %d of %q", len(v.Graves), v.Class)
			}
		})
	}
}

// Rule D3: members that Tandem did not link are kept, unless policy says that the directory's list is exclusive.
func TestForeignMembersAreKeptUnlessExclusive(t *testing.T) {
	c := groupCase()
	c.Cloud.Members = []string{"c-foreign"}
	check(t, gate.Decide(c, members()), engine.Unchanged, "")
	c.Rules.Exclusive = true
	check(t, gate.Decide(c, members()), engine.Parked, "")
	check(t, gate.Judge(c, members(), gate.Evidence{}), engine.Deferred, "reference-lives")
	v := gate.Judge(c, members(), gate.Evidence{LinksRead: true})
	if w := only(t, v); w.Op != cloud.RemoveMember || w.Refs[0] != "c-foreign" {
		t.Errorf("%+v", w)
	}
}

// Rule D3: a member between two linked objects is Tandem's only if Tandem wrote the membership or took it over; a row of before has no account, and counts
// it as Tandem's once more.
func TestMembershipsBetweenLinkedObjectsHaveAWriter(t *testing.T) {
	c := groupCase()
	c.Cloud.Members = []string{"c-bob"}
	c.LinkedTo = func(id string) (*ledger.Row, bool) { return rowOf(bob, scoping.User, id), true }
	check(t, gate.Decide(c, members()), engine.Parked, "")
	c.Row.Links = &ledger.Links{}
	v := gate.Decide(c, members())
	check(t, v, engine.Unchanged, "")
	if len(v.Foreign) != 1 || v.Foreign[0] != "c-bob" {
		t.Errorf("kept: %v", v.Foreign)
	}
	c.Rules.Exclusive = true
	check(t, gate.Decide(c, members()), engine.Parked, "")
	c.Rules.Exclusive = false
	c.Resolve = func(scoping.ObjectID) (string, gate.RefState) { return "c-bob", gate.RefLinked }
	v = gate.Decide(c, members(bob))
	check(t, v, engine.Unchanged, "")
	if v.Nothing || v.Claim == nil || len(v.Claim.Took) != 1 {
		t.Errorf("the directory has it too, and it is not taken over: %+v", v.Claim)
	}
}

// Additions need no evidence: they are written at once, while removals of the same proposal wait (rules D2, D3).
func TestAdditionsAreWrittenAtOnce(t *testing.T) {
	c := groupCase()
	c.Cloud.Members = []string{"c-bob"}
	v := gate.Decide(c, members(ann))
	check(t, v, engine.Parked, "")
	if w := only(t, v); w.Op != cloud.AddMembers || len(w.Refs) != 1 || w.Refs[0] != "c-ann" {
		t.Errorf("%+v", w)
	}
}

func TestLargeSetsOfMembersAreAddedInPortions(t *testing.T) {
	c := groupCase()
	var all []scoping.ObjectID
	for i := range byte(45) {
		all = append(all, object(100+i))
	}
	c.Resolve = func(o scoping.ObjectID) (string, gate.RefState) {
		return fmt.Sprintf("c-%03d", o.GUID[15]), gate.RefLinked
	}
	v := gate.Decide(c, members(all...))
	var sizes []int
	for _, w := range v.Writes {
		sizes = append(sizes, len(w.Refs))
	}
	if d := cmp.Diff([]int{20, 20, 5}, sizes); d != "" {
		t.Error(d)
	}
}

// Rule P1: a reference whose end is not in the tenant yet is partial; one that nobody brings settles.
func TestReferencesToTheAbsent(t *testing.T) {
	for state, want := range map[gate.RefState]engine.Outcome{gate.RefWaits: engine.Partial, gate.RefLater: engine.Unchanged, gate.RefNever: engine.Unchanged} {
		c := groupCase()
		c.Resolve = func(scoping.ObjectID) (string, gate.RefState) { return "", state }
		v := gate.Decide(c, members(object(77)))
		if v.Outcome != want {
			t.Errorf("state %d: %s", state, v.Outcome)
		}
	}
}

// T16 of the findings: what was deleted a moment ago gets no more requests about its references.
func TestNoReferencesAreWrittenToWhatWasJustDeleted(t *testing.T) {
	w := newWorld(t)
	var people []byte
	var ends []scoping.ObjectID
	for n := range byte(cloud.MaxMembers + 1) { // two requests
		people, ends = append(people, 100+n), append(ends, object(100+n))
	}
	w.group(nil, people...)
	w.during = func(cloud.Write) {
		w.during = nil
		r := ledger.Record{Type: ledger.DecisionType, Engine: mine, Object: &staff, Kind: scoping.Group, Feature: scoping.Groups, Outcome: engine.Applied, Closed: true,
			Claim: &ledger.Claim{State: ledger.DeletedByTandem}}
		if err := w.g.Record(t.Context(), r); err != nil {
			t.Error(err)
		}
	}
	w.sent = nil
	w.propose(members(ends...))
	if len(w.sent) != 1 {
		t.Errorf("%d requests, the second after the delete", len(w.sent))
	}
}

// Rule D3, for managers.
func TestManagersAreClearedOnlyWithEvidence(t *testing.T) {
	manager := func(targets ...scoping.ObjectID) engine.Proposal {
		p := propose()
		p.Feature, p.Desired, p.Refs = scoping.References, nil, map[string]engine.Refs{cloud.Manager: {Whole: true, Targets: targets}}
		return p
	}
	c := groupCase()
	base := linked()
	c.Row, c.Cloud, c.Sight = base.Row, base.Cloud, base.Sight
	if w := only(t, gate.Decide(c, manager(bob))); w.Op != cloud.SetManager || w.Refs[0] != "c-bob" {
		t.Errorf("%+v", w)
	}
	check(t, gate.Decide(c, manager(ann, bob)), engine.Failed, "several-managers")
	c.Cloud.Manager = "c-bob"
	check(t, gate.Decide(c, manager(bob)), engine.Unchanged, "")
	check(t, gate.Decide(c, manager()), engine.Parked, "")
	check(t, gate.Judge(c, manager(), gate.Evidence{LinksRead: true, Links: map[scoping.ObjectID]bool{bob: true}}), engine.Deferred, "reference-lives")
	if w := only(t, gate.Judge(c, manager(), gate.Evidence{LinksRead: true})); w.Op != cloud.ClearManager {
		t.Errorf("%+v", w)
	}
	c.Cloud.Manager = "c-foreign"
	check(t, gate.Decide(c, manager()), engine.Unchanged, "")
}

func leaving(how string) func(*gate.Case) {
	return func(c *gate.Case) {
		c.Standing.Owner, c.Standing.Farewell, c.Standing.Leaving = scoping.None, true, how
	}
}

// Rules T2 and T4: the old owner writes the last values once; then policy disables, removes or keeps.
func TestFarewell(t *testing.T) {
	table := []struct {
		how string
		set cloud.Values
	}{
		{"disable", cloud.Values{cloud.DisplayName: {"Ann B."}, cloud.Enabled: {"false"}}},
		{"keep", cloud.Values{cloud.DisplayName: {"Ann B."}}},
	}
	for _, x := range table {
		c, p := linked(), propose()
		leaving(x.how)(&c)
		rename(&p)
		v := gate.Decide(c, p)
		check(t, v, engine.Applied, "")
		if d := cmp.Diff(x.set, only(t, v).Set); d != "" {
			t.Errorf("%s: %s", x.how, d)
		}
		if v.Claim.Owner != scoping.None || v.Claim.State != ledger.ParkedRow {
			t.Errorf("%s: claim %+v", x.how, v.Claim)
		}
	}
}

// Rule T4: removal counts as a delete, and needs to be read as living at none.
func TestLeaversAreRemovedWhenPolicySaysSo(t *testing.T) {
	c := linked()
	leaving("remove")(&c)
	check(t, gate.Decide(c, propose()), engine.Parked, "leaving")
	check(t, gate.Judge(c, propose(), gate.Evidence{Life: gate.Unread}), engine.Deferred, "no-evidence")
	v := gate.Judge(c, propose(), gate.Evidence{Life: gate.Living})
	check(t, v, engine.Applied, "")
	if w := only(t, v); w.Op != cloud.Delete || v.Class != ledger.Deletes || len(v.Graves) != 1 || v.Claim.Owner != scoping.None {
		t.Errorf("%+v %+v", w, v)
	}
}

// Rule T2: who is not in the tenant stays out of it; and only the one whom the host asked may write.
func TestFarewellCreatesNothingAndIsNotForOthers(t *testing.T) {
	decideAll(t, newcomer, []variant{{"not in the tenant", leaving("disable"), nil, engine.Unchanged, "left"}})
	decideAll(t, linked, []variant{
		{"not asked for", func(c *gate.Case) { leaving("disable")(c); c.Standing.Farewell = false }, rename, engine.Released, "moved"},
		{"claimed by another meanwhile", func(c *gate.Case) { leaving("disable")(c); c.Standing.Owner = theirs }, rename, engine.Released, "moved"},
	})
}
