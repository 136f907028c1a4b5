package gate_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tandem-sync/tandem/orchestrator/gate"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// piloted gives everything to connect but those in sales who are members of a group, and tells the choice.
func piloted(t *testing.T) (*scoping.Partition, scoping.GUID) {
	t.Helper()
	features := []scoping.Feature{scoping.Users, scoping.Groups}
	p, err := scoping.Compile(scoping.Policy{Features: features, Defaults: scoping.DefaultDefaults(), Assignments: []scoping.Assignment{
		{Name: "a", Directory: "contoso", Under: scoping.Pin{GUID: root, DN: "DC=contoso,DC=test"}, Engine: mine, Features: features},
		{Name: "pilot", Directory: "contoso", Under: scoping.Pin{GUID: sales, DN: "OU=Sales,DC=contoso,DC=test", Ancestors: []scoping.GUID{root}}, Engine: theirs, Features: features,
			Selector: scoping.Selector{MemberOf: scoping.Pin{GUID: guid(40), DN: "CN=Pilots,DC=contoso,DC=test", Ancestors: []scoping.GUID{root}}}},
	}}, map[string]scoping.EngineCaps{mine: {Features: features}, theirs: {Features: features}})
	if err != nil {
		t.Fatal(err)
	}
	return p.Succeed(nil, epoch(5)), p.Choices("contoso")[0].ID
}

// Engines are granted whole subtrees, and told nothing of choices; who owns whom in them, the authority alone knows.
func TestGrantsOfChosenObjectsAreWholeSubtrees(t *testing.T) {
	p, pilots := piloted(t)
	a := gate.Authority{Partition: p, Epoch: epoch(7), Shadows: []gate.Shadow{{Engine: mine, Epoch: epoch(7),
		Scope: scoping.Scope{Directory: "contoso", Under: sales, Features: []scoping.Feature{scoping.Users}, With: []scoping.GUID{pilots}}}}}
	for _, name := range []string{mine, theirs} {
		for _, g := range a.Grants(name) {
			if len(g.Scope.With)+len(g.Scope.Without) > 0 {
				t.Errorf("%s is granted %+v", name, g.Scope)
			}
		}
	}
	chosen, plain := at(sales, root), at(sales, root)
	chosen.Chosen = []scoping.GUID{pilots}
	for _, x := range []struct {
		what               string
		place              scoping.Place
		owner              string
		mineNear, theyNear bool
		shadowed           bool
	}{
		{"a pilot", chosen, theirs, true, true, true},
		{"his neighbour", plain, mine, true, true, false},
		{"elsewhere", at(other, root), mine, true, false, false},
	} {
		if o := a.Owner(x.place, scoping.User, scoping.Users).Engine; o != x.owner {
			t.Errorf("%s belongs to %s", x.what, o)
		}
		near := func(name string) bool { return a.Near(name, x.place, scoping.User, scoping.Users) }
		if near(mine) != x.mineNear || near(theirs) != x.theyNear || a.Shadowed(mine, x.place, scoping.User, scoping.Users) != x.shadowed {
			t.Errorf("%s: near %v %v, shadowed %v", x.what, near(mine), near(theirs), a.Shadowed(mine, x.place, scoping.User, scoping.Users))
		}
	}
}

// An engine that reads a subtree of which it owns some is released from the others; one that owns nothing there is refused.
func TestProposalsOfObjectsThatOthersAreChosenFor(t *testing.T) {
	for _, x := range []struct {
		what    string
		change  func(*gate.Case)
		outcome engine.Outcome
		code    gate.Code
	}{
		{"it owns others there", func(c *gate.Case) { c.Standing.Near = true }, engine.Released, "not-chosen"},
		{"it owns nothing there", func(*gate.Case) {}, engine.Refused, "not-owner"},
		{"it wrote the object last", func(c *gate.Case) { c.Standing.Near, c.Standing.Record = true, mine }, engine.Released, "moved"},
		{"it plans for others there", func(c *gate.Case) { c.Standing.Near, c.Standing.Ceiling = true, engine.ModeShadow }, engine.Released, "not-chosen"},
		{"it is judged for this one", func(c *gate.Case) { c.Standing.Near, c.Standing.Shadow = true, true }, engine.Shadowed, "update"},
	} {
		c, p := linked(), propose()
		foreign(&c)
		rename(&p)
		x.change(&c)
		v := gate.Decide(c, p)
		if v.Outcome != x.outcome || v.Code != x.code || len(v.Writes) > 0 {
			t.Errorf("%s: %s %s, %d writes", x.what, v.Outcome, v.Code, len(v.Writes))
		}
	}
}

// Over a whole session: the pilot's engine writes him, the other one does not, whoever proposes what.
func TestASessionWritesOnlyTheChosen(t *testing.T) {
	p, pilots := piloted(t)
	w := newWorld(t)
	w.account(ann, "ann")
	w.account(bob, "bob")
	s := w.sights[ann]
	s.Chosen = []scoping.GUID{pilots}
	w.sights[ann] = s
	w.g.SetAuthority(gate.Authority{Partition: p, Epoch: epoch(5)}, usual)
	session := w.g.Begin(gate.SessionOptions{Engine: theirs, Run: 1})
	var got []string
	for i, o := range []scoping.ObjectID{ann, bob} {
		q := propose()
		q.Seq, q.Object = uint64(i+1), o
		delete(q.Desired, "userPrincipalName")
		q.Desired["displayName"] = text("Somebody else")
		ds, err := session.Propose(t.Context(), []engine.Proposal{q})
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, strings.TrimSpace(string(ds[0].Outcome)+" "+ds[0].Code))
	}
	if d := cmp.Diff([]string{"applied", "released not-chosen"}, got); d != "" {
		t.Error(d)
	}
}

// Rule P5: an engine that owns what is chosen nowhere, and is granted shadow deeper down by a wave that began earlier, names the nearest grant of its objects;
// that is no proof that it did not know the newer one.
func TestAnOlderShadowInsideDoesNotMakeAnOwnerStale(t *testing.T) {
	w := newWorld(t)
	p, pilots := piloted(t)
	w.g.SetAuthority(gate.Authority{Partition: p, Epoch: epoch(7), Shadows: []gate.Shadow{{Engine: mine, Epoch: epoch(3),
		Scope: scoping.Scope{Directory: "contoso", Under: sales, Features: []scoping.Feature{scoping.Users}, With: []scoping.GUID{pilots}}}}}, usual)
	var shadow engine.Grant
	for _, g := range w.g.Authority().Grants(mine) {
		if g.Mode == engine.ModeShadow {
			shadow = g
		}
	}
	read := func(at scoping.Epoch) engine.Proposal {
		p := propose()
		p.Grant, p.Epoch = shadow.ID, at
		return p
	}
	if shadow.Epoch != epoch(3) {
		t.Fatalf("the shadow grant is %+v", shadow)
	}
	want(t, w.propose(read(epoch(2)))[0], engine.Stale, "epoch") // it did not know the nearest one either
	want(t, w.propose(read(epoch(3)))[0], engine.Applied, "")
}
