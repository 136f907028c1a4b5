package gate_test

import (
	"testing"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/gate"
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

func leftOutAs(reason string) engine.Proposal {
	p := groupProposal()
	p.Want, p.Reason, p.Desired = engine.Excluded, reason, nil
	return p
}

// G6 and G11: a linked group that got an address, or grew too large, is not deleted: it stays linked, and that is said once.
func TestGroupsThatAreLeftOutLaterStayLinked(t *testing.T) {
	for reason, code := range map[string]gate.Code{"mail-enabled-group": gate.CodeStaysLinked, "distribution-group": gate.CodeStaysLinked, "too-many-members": gate.CodeStaysAsIs} {
		c := groupCase()
		v := gate.Decide(c, leftOutAs(reason))
		check(t, v, engine.Unchanged, code)
		if v.Excluded != reason || !v.Closed || v.Reason == "" {
			t.Errorf("%s: %+v", reason, v)
		}
		c.Excluded = reason
		c.Standing.Owner, c.Standing.Shadow = theirs, true
		if v := gate.Decide(c, leftOutAs(reason)); v.Outcome != engine.Unchanged || !v.Quietly {
			t.Errorf("%s, judged for a wave: %+v", reason, v)
		}
		c.Excluded = ""
		if v := gate.Decide(c, leftOutAs(reason)); v.Op != "orphan" {
			t.Errorf("%s, and the owner does not leave it out: %+v", reason, v)
		}
	}
	check(t, gate.Decide(groupCase(), leftOutAs("written-back")), engine.Parked, "filtered")
}

func TestAGroupThatIsLeftOutAndNotInTheTenantIsOwedNoMembers(t *testing.T) {
	c := groupCase()
	c.Row, c.Cloud, c.Excluded = nil, nil, "mail-enabled-group"
	v := gate.Decide(c, members(ann))
	check(t, v, engine.Unchanged, "excluded")
	if !v.Nothing {
		t.Errorf("%+v", v)
	}
}

// G11: what is still owed of the members of a group that has grown too large is over; the group's members are written again when it has shrunk.
func TestAGroupThatIsTooLargeFreezesUntilItShrinks(t *testing.T) {
	w := newWorld(t)
	w.group([]string{"c-p100"}, 100, 101)
	if err := w.g.Record(t.Context(), ledger.Record{Type: ledger.DecisionType, Engine: mine, Object: &references.Object, Kind: scoping.Group, Feature: references.Feature, Outcome: engine.Partial}); err != nil {
		t.Fatal(err)
	}
	j := w.judged(gate.SessionOptions{}, leftOutAs("too-many-members"))[ledger.Key{Object: staff, Feature: scoping.Groups}]
	w.wantJudged(j, engine.Unchanged, gate.CodeStaysAsIs, "until it shrinks")
	if len(w.led.Unsettled[staff]) > 0 || w.led.Excluded[staff] != "too-many-members" || len(w.sent) > 0 {
		t.Errorf("dirty %v, excluded %q, sent %v", w.led.Unsettled[staff], w.led.Excluded[staff], w.sent)
	}
	if w.judged(gate.SessionOptions{}, leftOutAs("too-many-members")); len(w.said) > 0 {
		t.Errorf("said again: %v", w.said)
	}
	w.judged(gate.SessionOptions{}, groupProposal(), members(object(100), object(101)))
	if _, still := w.led.Excluded[staff]; still || len(w.members()) != 2 {
		t.Errorf("it has shrunk: excluded %v, members %v", still, w.members())
	}
}

// An object that the rules left out, and take again, may be held, since it was deleted in the tenant: its references wait for it, and are not answered as those of an
// object that is left out. [They stayed the former owner's by the record, and their owner was asked for them in every run; simulation, seed 16685.]
func TestAnObjectThatIsHeldIsLeftOutNoMore(t *testing.T) {
	w := newWorld(t)
	w.account(ann, "ann")
	if err := w.g.Record(t.Context(), ledger.Record{Type: ledger.DecisionType, Engine: mine, Object: &ann, Kind: scoping.User, Feature: scoping.Users, Outcome: engine.Unchanged, Code: "excluded", Excluded: "no-upn"}); err != nil {
		t.Fatal(err)
	}
	w.cache.Apply(cloud.Page{Removed: []cloud.Removal{{ID: "c-ann", Kind: scoping.User}}}, time.Time{})
	ds := w.propose(propose())
	want(t, ds[0], engine.Held, "deleted-by-others")
	if why, still := w.led.Excluded[ann]; still {
		t.Errorf("it is left out: %s", why)
	}
}
