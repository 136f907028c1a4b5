package gate_test

import (
	"testing"

	"github.com/tandem-sync/tandem/orchestrator/gate"
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// binned is ann's case while somebody else has deleted her account, and a person wants it back.
func binned() gate.Case {
	c := linked()
	c.Cloud.Deleted, c.Returns = true, "c-ann"
	return c
}

func TestWhatAPersonWantsBackComesBackThroughItsOwner(t *testing.T) {
	v := gate.Decide(binned(), propose())
	check(t, v, engine.Applied, "")
	if len(v.Writes) != 2 || v.Writes[0].Op != cloud.Restore || v.Writes[0].CloudID != "c-ann" || v.Op != "restore" || v.Claim.State != ledger.Live {
		t.Fatalf("%+v", v)
	}
	if w := v.Writes[1]; w.Op != cloud.Update || w.Set.First(cloud.UPN) != "ann@contoso.test" { // the tenant gives deleted users another one
		t.Fatalf("%+v", w)
	}
	stranger := newcomer()
	stranger.Returns, stranger.Bin = "c-old", []cloud.Object{{ID: "c-old", Kind: scoping.User, Deleted: true, Values: values()}}
	if v := gate.Decide(stranger, propose()); len(v.NeedPower) != 1 || v.NeedPower[0] != "c-old" {
		t.Fatalf("one that was never Tandem's comes back without a look at what it may do: %+v", v)
	}
	stranger.Power = map[string]string{"c-old": ""}
	if v := gate.Decide(stranger, propose()); v.Outcome != engine.Applied || v.Writes[0].Op != cloud.Restore || v.Claim.CloudID != "c-old" {
		t.Fatalf("%+v", v)
	}
}

func TestNothingComesBackBesideItsOwnerOrTwice(t *testing.T) {
	twin := cloud.Object{ID: "c-new", Kind: scoping.User, Values: values()}
	decideAll(t, binned, []variant{
		{"nobody asked for it", func(c *gate.Case) { c.Returns = "" }, nil, engine.Held, gate.CodeDeletedByOthers},
		{"another one was asked for", func(c *gate.Case) { c.Returns = "c-bob" }, nil, engine.Held, gate.CodeDeletedByOthers},
		{"somebody made another one of it", func(c *gate.Case) { c.Live = []cloud.Object{twin} }, nil, engine.Failed, gate.CodeAmbiguous},
		{"its sign-in name is another's", func(c *gate.Case) { c.Soft = []cloud.Object{twin} }, nil, engine.Failed, gate.CodeUPNTaken},
		{"it was purged", func(c *gate.Case) { c.Cloud = nil }, nil, engine.Held, gate.CodeVanished},
		{"Microsoft's engines have it", func(c *gate.Case) { c.Cloud.Synced = true }, nil, engine.Failed, gate.CodeJoinRefused},
		{"its owner changed", func(c *gate.Case) { c.Standing.Owner = theirs }, nil, engine.Released, gate.CodeMoved},
		{"it is the next owner's by now, too", func(c *gate.Case) { c.Standing.Granted = epoch(4) }, nil, engine.Stale, gate.CodeEpoch},
		{"writing is stopped", func(c *gate.Case) { c.Standing.Stopped = "stopped" }, nil, engine.Deferred, gate.CodeStopped},
		{"a wave has frozen it", func(c *gate.Case) { c.Standing.Frozen = true }, nil, engine.Deferred, gate.CodeFrozen},
		{"it is only to be judged", func(c *gate.Case) { c.Standing.Ceiling = engine.ModeShadow }, nil, engine.Shadowed, "restore"},
		{"the directory has deleted it", func(c *gate.Case) { c.Sight.Deleted = true }, nil, engine.Deferred, gate.CodeGone},
	})
	c := newcomer()
	c.Returns, c.Bin = "c-old", []cloud.Object{{ID: "c-old", Kind: scoping.User, Deleted: true, Values: values()}}
	c.Power = map[string]string{"c-old": "holds the directory role Global Administrator"}
	check(t, gate.Decide(c, propose()), engine.Failed, gate.CodeJoinRefused)
	c.Power = map[string]string{"c-old": ""}
	c.LinkedTo = func(string) (*ledger.Row, bool) { return rowOf(bob, scoping.User, "c-old"), true }
	check(t, gate.Decide(c, propose()), engine.Held, gate.CodeDeletedByOthers)
}
