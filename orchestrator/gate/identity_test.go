package gate_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tandem-sync/tandem/orchestrator/gate"
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// Rules I2 and I3: an anchor that is not what it was is held, never a delete and a create.
func TestDoubtfulAnchorsAreHeld(t *testing.T) {
	bad := func(s gate.Code) func(*gate.Case) { return func(c *gate.Case) { c.Sight.AnchorBad = s } }
	table := []variant{
		{"invalid", bad("anchor-invalid"), rename, engine.Held, "anchor-invalid"},
		{"two living objects have it", bad("duplicate-anchor"), rename, engine.Held, "duplicate-anchor"},
		{"another than when joined", func(c *gate.Case) { c.Sight.Anchor = anchorOf(bob) }, rename, engine.Held, "anchor-changed"},
	}
	decideAll(t, linked, table)
	decideAll(t, newcomer, table[:2])
	decideAll(t, newcomer, []variant{
		{"not 16 bytes", func(c *gate.Case) { c.Sight.Anchor = "YWJj" }, nil, engine.Held, "anchor-invalid"},
		{"not base64", func(c *gate.Case) { c.Sight.Anchor = "!" }, nil, engine.Held, "anchor-invalid"},
	})
}

func account(id string) cloud.Object {
	return cloud.Object{ID: id, Kind: scoping.User, Values: values()}
}

func live(f ...func(*cloud.Object)) func(*gate.Case) {
	return func(c *gate.Case) {
		o := account("c-ann")
		for _, g := range f {
			g(&o)
		}
		c.Live, c.Power = []cloud.Object{o}, map[string]string{"c-ann": ""}
	}
}

// Rule J2: who may not be taken over is not.
func TestJoinsAreRefused(t *testing.T) {
	linkedTo := func(o scoping.ObjectID, alive bool) func(*gate.Case) {
		return func(c *gate.Case) {
			live()(c)
			c.LinkedTo = func(string) (*ledger.Row, bool) { return rowOf(o, scoping.User, "c-ann"), true }
			c.Alive = func(scoping.ObjectID) bool { return alive }
		}
	}
	decideAll(t, newcomer, []variant{
		{"one account with the anchor", live(), rename, engine.Applied, ""},
		{"one account, just as proposed", live(), nil, engine.Unchanged, ""},
		{"linked to another living object", linkedTo(bob, true), nil, engine.Failed, "join-refused"},
		{"linked to an object that is gone", linkedTo(bob, false), rename, engine.Applied, ""},
		{"linked to one whose delete is held", func(c *gate.Case) {
			linkedTo(bob, false)(c)
			c.HeldDelete = func(o scoping.ObjectID) bool { return o == bob }
		}, nil, engine.Failed, "join-refused"},
		{"holding power", func(c *gate.Case) { live()(c); c.Power["c-ann"] = "Global Administrator" }, nil, engine.Failed, "join-refused"},
		{"another kind", live(func(o *cloud.Object) { o.Kind = scoping.Group }), nil, engine.Failed, "join-refused"},
		{"synchronized by Microsoft's engines", live(func(o *cloud.Object) { o.Synced = true }), nil, engine.Failed, "join-refused"},
		{"a guest", live(func(o *cloud.Object) { o.Guest = true }), nil, engine.Failed, "join-refused"},
		{"mail-enabled", live(func(o *cloud.Object) { o.Mailed = true }), nil, engine.Failed, "join-refused"},
		{"role-assignable", live(func(o *cloud.Object) { o.Role = true }), nil, engine.Failed, "join-refused"},
		{"several", func(c *gate.Case) { c.Live = []cloud.Object{account("x"), account("y")} }, nil, engine.Failed, "ambiguous"},
	})
}

// Rule J2: power is asked for before a join, not assumed.
func TestPowerIsAskedForBeforeAJoin(t *testing.T) {
	c := newcomer()
	c.Live = []cloud.Object{account("c-ann")}
	v := gate.Decide(c, propose())
	if d := cmp.Diff([]string{"c-ann"}, v.NeedPower); d != "" || len(v.Writes) > 0 {
		t.Fatal(d, v)
	}
}

// Rule J2: a first join writes what the directory has, and clears nothing.
func TestJoinClearsNothing(t *testing.T) {
	c, p := newcomer(), propose()
	live(func(o *cloud.Object) { o.Values["city"], o.Values["state"] = []string{"Oslo"}, []string{"x"} })(&c)
	p.Desired["city"], p.Desired["state"] = text(), text("")
	p.Desired["department"] = text("Sales")
	v := gate.Decide(c, p)
	check(t, v, engine.Applied, "")
	if d := cmp.Diff(cloud.Values{"department": {"Sales"}}, only(t, v).Set); d != "" {
		t.Fatal(d)
	}
	if v.Claim.Origin != ledger.HardMatch || v.Claim.CloudID != "c-ann" || v.Claim.Anchor != annAnchor || v.Reason != "hard-match" {
		t.Errorf("claim %+v, reason %q", v.Claim, v.Reason)
	}
}

// Rule J2: a soft match is the policy's choice, needs a candidate without an anchor, and writes it.
func TestSoftMatch(t *testing.T) {
	soft := func(allowed bool, anchor string) func(*gate.Case) {
		return func(c *gate.Case) {
			o := account("c-ann")
			delete(o.Values, cloud.ImmutableID)
			if anchor != "" {
				o.Values[cloud.ImmutableID] = []string{anchor}
			}
			c.Soft, c.Rules.SoftMatch, c.Power = []cloud.Object{o}, allowed, map[string]string{"c-ann": ""}
		}
	}
	decideAll(t, newcomer, []variant{
		{"allowed", soft(true, ""), nil, engine.Applied, ""},
		{"not allowed: the name is taken", soft(false, ""), nil, engine.Failed, "upn-taken"},
		{"another anchor", soft(true, anchorOf(bob)), nil, engine.Failed, "join-refused"},
	})
	c := newcomer()
	soft(true, "")(&c)
	if w := only(t, gate.Decide(c, propose())); w.Op != cloud.Update || w.Set.First(cloud.ImmutableID) != annAnchor {
		t.Errorf("%+v", w)
	}
}

// Rule J3: creates carry a key that the tenant enforces, and only values.
func TestCreatesCarryTheirKey(t *testing.T) {
	p := propose()
	p.Desired["city"] = text()
	v := gate.Decide(newcomer(), p)
	check(t, v, engine.Applied, "")
	w := only(t, v)
	if _, cleared := w.Set["city"]; w.Op != cloud.Create || w.Anchor != annAnchor || w.Key != "" || cleared {
		t.Errorf("user: %+v", w)
	}
	c, p := groupCase(), groupProposal()
	c.Row, c.Cloud = nil, nil
	v = gate.Decide(c, p)
	w = only(t, v)
	key := cloud.UniqueNameOf(staff.GUID[:])
	if w.Op != cloud.Create || w.Key != key || v.Claim.Key != key || !strings.HasPrefix(key, "tandem-") {
		t.Errorf("group: %+v", w)
	}
}

func TestIncompleteObjectsAreNotCreated(t *testing.T) {
	for _, a := range []string{cloud.UPN, cloud.DisplayName, cloud.Nickname, cloud.Enabled} {
		p := propose()
		p.Desired[a] = text()
		check(t, gate.Decide(newcomer(), p), engine.Failed, "incomplete")
	}
}

// Rule J1: link, then the living, then what Tandem deleted, then a create; what somebody else deleted is a conflict.
func TestSearchOrder(t *testing.T) {
	bin := func(state ledger.RowState, o scoping.ObjectID, alive, ours bool) func(*gate.Case) {
		return func(c *gate.Case) {
			d := account("c-old")
			d.Deleted = true
			row := rowOf(o, scoping.User, "c-old")
			row.State = state
			c.Bin = []cloud.Object{d}
			c.LinkedTo = func(string) (*ledger.Row, bool) { return row, ours }
			c.Alive = func(scoping.ObjectID) bool { return alive }
		}
	}
	table := []struct {
		variant
		op string
	}{
		{variant{"nothing there", nil, nil, engine.Applied, ""}, "create"},
		{variant{"deleted by Tandem", bin(ledger.DeletedByTandem, bob, false, true), nil, engine.Applied, ""}, "restore"},
		{variant{"deleted by others", bin(ledger.Live, bob, false, true), nil, engine.Held, "deleted-by-others"}, ""},
		{variant{"deleted, and never ours", bin(ledger.Live, bob, false, false), nil, engine.Held, "deleted-by-others"}, ""},
		{variant{"deleted, of one who lives", bin(ledger.DeletedByTandem, bob, true, true), nil, engine.Failed, "linked-elsewhere"}, ""},
		{variant{"the living come before the deleted", func(c *gate.Case) {
			bin(ledger.DeletedByTandem, bob, false, true)(c)
			live()(c)
			c.LinkedTo = func(string) (*ledger.Row, bool) { return nil, false }
		}, nil, engine.Unchanged, ""}, "join"},
		{variant{"two deleted", func(c *gate.Case) {
			bin(ledger.DeletedByTandem, bob, false, true)(c)
			c.Bin = append(c.Bin, c.Bin[0])
		}, nil, engine.Failed, "ambiguous"}, ""},
	}
	for _, x := range table {
		t.Run(x.name, func(t *testing.T) {
			c, p := x.make(newcomer(), propose())
			v := gate.Decide(c, p)
			check(t, v, x.outcome, x.code)
			if v.Op != x.op {
				t.Errorf("op %q, want %q", v.Op, x.op)
			}
		})
	}
}

// Rule J1, for an object whose link stands: what became of its account decides.
func TestLinkedAccounts(t *testing.T) {
	state := func(s ledger.RowState, f func(*gate.Case)) func(*gate.Case) {
		return func(c *gate.Case) { c.Row.State = s; f(c) }
	}
	deleted := func(c *gate.Case) { c.Cloud.Deleted = true }
	vanished := func(c *gate.Case) { c.Cloud = nil }
	decideAll(t, linked, []variant{
		{"deleted by Tandem: restored", state(ledger.DeletedByTandem, deleted), rename, engine.Applied, ""},
		{"deleted by others: a conflict", state(ledger.Live, deleted), rename, engine.Held, "deleted-by-others"},
		{"deleted by Tandem, beyond retention: created", state(ledger.DeletedByTandem, vanished), rename, engine.Applied, ""},
		{"vanished: never created anew", state(ledger.Live, vanished), rename, engine.Held, "vanished"},
		{"taken over by Microsoft's engines", func(c *gate.Case) { c.Cloud.Synced = true }, rename, engine.Failed, "synced"},
	})
	c, p := linked(), propose()
	state(ledger.DeletedByTandem, deleted)(&c)
	rename(&p)
	v := gate.Decide(c, p)
	if len(v.Writes) != 2 || v.Writes[0].Op != cloud.Restore || v.Writes[1].Op != cloud.Update {
		t.Fatalf("restore, then update: %v", v.Writes)
	}
	if v.Writes[1].Set.First(cloud.UPN) != "ann@contoso.test" {
		t.Error("the sign-in name is not written again: the tenant may have changed it")
	}
}

// Rule J6.
func TestSignInNamesAreUnderVerifiedDomains(t *testing.T) {
	rules := func(refuse bool, initial string) func(*gate.Case) {
		return func(c *gate.Case) {
			c.Rules.Verified = map[string]bool{"fabrikam.test": true}
			c.Rules.UPNRefuse, c.Rules.InitialDomain = refuse, initial
		}
	}
	decideAll(t, newcomer, []variant{
		{"refuse", rules(true, "f.onmicrosoft.com"), nil, engine.Failed, "unverified-suffix"},
		{"no initial domain known", rules(false, ""), nil, engine.Failed, "unverified-suffix"},
		{"initial domain", rules(false, "f.onmicrosoft.com"), nil, engine.Applied, ""},
		{"verified, whatever its case", rules(true, ""), func(p *engine.Proposal) { p.Desired[cloud.UPN] = text("ann@Fabrikam.TEST") }, engine.Applied, ""},
		{"taken by another account", func(c *gate.Case) { c.Soft = []cloud.Object{account("x")} }, nil, engine.Failed, "upn-taken"},
	})
	c := newcomer()
	rules(false, "f.onmicrosoft.com")(&c)
	if upn := only(t, gate.Decide(c, propose())).Set.First(cloud.UPN); upn != "ann@f.onmicrosoft.com" {
		t.Error(upn)
	}
}
