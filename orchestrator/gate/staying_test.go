package gate_test

import (
	"testing"

	"github.com/tandem-sync/tandem/orchestrator/gate"
	"github.com/tandem-sync/tandem/orchestrator/ledger"
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
