package gate_test

import (
	"testing"

	"github.com/tandem-sync/tandem/orchestrator/gate"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// partition gives everything to connect but what lies under other, which is owner's.
func partition(t *testing.T, owner string) *scoping.Partition {
	t.Helper()
	return partitionOf(t, []scoping.Feature{scoping.Users, scoping.Groups}, owner)
}

func partitionOf(t *testing.T, features []scoping.Feature, owner string) *scoping.Partition {
	t.Helper()
	pin := func(g scoping.GUID, dn string, up ...scoping.GUID) scoping.Pin {
		return scoping.Pin{GUID: g, DN: dn, Ancestors: up}
	}
	p, err := scoping.Compile(scoping.Policy{Features: features, Defaults: scoping.DefaultDefaults(), Assignments: []scoping.Assignment{
		{Name: "a", Directory: "contoso", Under: pin(root, "DC=contoso,DC=test"), Engine: mine, Features: features},
		{Name: "b", Directory: "contoso", Under: pin(other, "OU=Other,DC=contoso,DC=test", root), Engine: owner, Features: features},
	}}, map[string]scoping.EngineCaps{mine: {Features: features}, theirs: {Features: features}})
	if err != nil {
		t.Fatal(err)
	}
	return p.Succeed(nil, epoch(5))
}

func at(up ...scoping.GUID) scoping.Place { return scoping.Place{Directory: "contoso", Ancestors: up} }

// Invariant 1: exactly one engine per place and feature; without a partition, nobody.
func TestAuthorityNamesOneOwner(t *testing.T) {
	a := gate.Authority{Partition: partition(t, theirs), Epoch: epoch(5)}
	for _, x := range []struct {
		place scoping.Place
		owner string
	}{{at(sales, root), mine}, {at(other, root), theirs}, {at(guid(99)), scoping.None}} {
		for _, f := range []scoping.Feature{scoping.Users, scoping.References} {
			if o := a.Owner(x.place, scoping.User, f); o.Engine != x.owner {
				t.Errorf("%v %s: %s", x.place, f, o.Engine)
			}
		}
	}
	if o := (gate.Authority{}).Owner(at(sales, root), scoping.User, scoping.Users); o.Engine != scoping.None {
		t.Errorf("nothing in force, yet %s owns it", o.Engine)
	}
}

// Grants: own scopes first, shadows after, each with the epoch at which it changed.
func TestGrantsSayOwnAndShadow(t *testing.T) {
	whole := scoping.Scope{Directory: "contoso", Under: other, Features: []scoping.Feature{scoping.Users}}
	a := gate.Authority{Partition: partition(t, theirs), Shadows: []gate.Shadow{{Engine: mine, Wave: "w1", Scope: whole, Epoch: epoch(7)}}, Epoch: epoch(7)}
	var modes []engine.Mode
	ids := map[uint32]bool{}
	for _, g := range a.Grants(mine) {
		modes, ids[g.ID] = append(modes, g.Mode), true
	}
	if n := len(modes); n < 2 || modes[n-1] != engine.ModeShadow || modes[0] != engine.ModeOwn || len(ids) != n {
		t.Errorf("modes %v, %d ids", modes, len(ids))
	}
	if !a.Shadowed(mine, at(other, root), scoping.User, scoping.Users) || a.Shadowed(mine, at(sales, root), scoping.User, scoping.Users) ||
		a.Shadowed(mine, at(other, root), scoping.Group, scoping.Groups) || a.Shadowed(theirs, at(other, root), scoping.User, scoping.Users) {
		t.Error("the shadow covers the wrong place, feature or engine")
	}
}

// Rule §11: a stop of one engine, of one place, of all.
func TestStopsCloseAdmission(t *testing.T) {
	under := scoping.Scope{Directory: "contoso", Under: other}
	stop := func(s gate.Stop) gate.Authority { return gate.Authority{Stops: []gate.Stop{s}} }
	for name, x := range map[string]struct {
		a       gate.Authority
		engine  string
		place   scoping.Place
		stopped bool
	}{
		"all":                          {stop(gate.Stop{Reason: "audit"}), mine, at(sales, root), true},
		"this engine":                  {stop(gate.Stop{Engine: mine}), mine, at(sales, root), true},
		"the other engine":             {stop(gate.Stop{Engine: theirs}), mine, at(sales, root), false},
		"this place":                   {stop(gate.Stop{Under: &under}), mine, at(other, root), true},
		"another place":                {stop(gate.Stop{Under: &under}), mine, at(sales, root), false},
		"the other engine, this place": {stop(gate.Stop{Engine: theirs, Under: &under}), mine, at(other, root), false},
		"read only (H1)":               {gate.Authority{ReadOnly: "a clone"}, mine, at(sales, root), true},
		"nothing":                      {gate.Authority{}, mine, at(sales, root), false},
	} {
		if got := x.a.Stopped(x.engine, x.place); (got != "") != x.stopped {
			t.Errorf("%s: %q", name, got)
		}
	}
}
