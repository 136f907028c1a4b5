package gate_test

import (
	"context"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tandem-sync/tandem/orchestrator/gate"
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/standing"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

func TestAnEngineThatCannotSayWritesAndSettlesNothing(t *testing.T) {
	dead, absent, theirOwn, shadow := linked(), linked(), linked(), linked()
	dead.Sight.Deleted = true
	absent.Sight = gate.Sight{}
	theirOwn.Standing.Owner = theirs
	shadow.Standing.Ceiling = engine.ModeShadow
	for name, c := range map[string]gate.Case{"linked": linked(), "new": newcomer(), "dead": dead, "absent": absent, "of another engine": theirOwn, "shadow": shadow} {
		for _, p := range []engine.Proposal{
			{Object: ann, Want: engine.Unknown, Reason: engine.NotFound},
			{Object: ann, Kind: scoping.User, Feature: scoping.Users, Want: engine.Unknown, Reason: "asleep"},
			{Object: ann, Kind: scoping.User, Feature: scoping.References, Want: engine.Unknown, Reason: engine.PlaceUnknown},
		} {
			v := gate.Decide(c, p)
			check(t, v, engine.Deferred, gate.CodeUnknown)
			if v.Closed || !v.Nothing || v.NeedSight || v.Op != "" || v.Reason == "" {
				t.Errorf("%s: %+v", name, v)
			}
		}
	}
}

func TestAnEngineThatCannotSayLeavesNoRecordAndKeepsWhatIsOwed(t *testing.T) {
	w := newWorld(t)
	w.account(ann, "ann")
	session := w.begin()
	ds, err := session.Propose(context.Background(), []engine.Proposal{{Seq: 1, Object: ann, Want: engine.Unknown, Reason: engine.NotFound},
		{Seq: 2, Object: bob, Kind: scoping.User, Feature: scoping.Users, Want: engine.Unknown, Reason: "asleep"}})
	if err != nil {
		t.Fatal(err)
	}
	want(t, ds[0], engine.Deferred, gate.CodeUnknown)
	want(t, ds[1], engine.Deferred, gate.CodeUnknown)
	w.wantSaid()
	sum, err := session.End(context.Background(), true)
	if err != nil {
		t.Fatal(err)
	}
	w.ran()
	if d := w.debt(ann, scoping.Users); d.Code != standing.Unasked {
		t.Errorf("owed: %+v", d)
	}
	if _, dirty := w.led.Unsettled[bob][scoping.Users]; dirty || session.Seen(ledger.Key{Object: bob, Feature: scoping.Users}) {
		t.Error("an answer that says nothing is taken for a word about the object")
	}
	var told []scoping.ObjectID
	for _, j := range sum.Unknown {
		told = append(told, j.Key.Object)
	}
	if d := cmp.Diff([]scoping.ObjectID{ann, bob}, told); d != "" || len(slices.Collect(sum.All())) != 0 || sum.Unknown[0].Name == "" {
		t.Errorf("%+v %s", sum, d)
	}
}

// An engine that owns references alone cannot have the object deleted by leaving its references out.
func TestReferencesCannotBeLeftOut(t *testing.T) {
	p := propose()
	p.Feature, p.Want, p.Reason, p.Desired = scoping.References, engine.Excluded, "no-upn", nil
	check(t, gate.Decide(linked(), p), engine.Refused, "wrong-feature")
}
