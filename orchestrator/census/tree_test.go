package census_test

import (
	"encoding/base64"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tandem-sync/tandem/orchestrator/census"
	"github.com/tandem-sync/tandem/orchestrator/gate"
	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/scoping"
)

var (
	root  = guid(1)
	sales = guid(2)
	shops = guid(3) // under sales
	other = guid(4)
	ann   = guid(10)
	bob   = guid(11)
)

func guid(n byte) (g scoping.GUID) { g[15] = n; return g }

func entry(g, parent scoping.GUID, class, rdn string, attrs ...string) directory.Entry {
	e := directory.Entry{GUID: g, Parent: parent, DN: rdn + ",…", Attrs: map[string][][]byte{"objectclass": {[]byte(class)}}}
	for i := 0; i+1 < len(attrs); i += 2 {
		e.Attrs[attrs[i]] = nil
		if attrs[i+1] != "" {
			e.Attrs[attrs[i]] = [][]byte{[]byte(attrs[i+1])}
		}
	}
	return e
}

func tombstone(g, last scoping.GUID) directory.Entry {
	return directory.Entry{GUID: g, Deleted: true, LastParent: last, Attrs: map[string][][]byte{"objectclass": {[]byte("user")}}}
}

// contoso is a tree with ann in shops and bob in other.
func contoso() *census.Tree {
	t := census.NewTree("contoso", root, "DC=contoso,DC=test")
	for _, e := range []directory.Entry{entry(sales, root, "organizationalUnit", "OU=Sales"), entry(shops, sales, "organizationalUnit", "OU=Shops"),
		entry(other, root, "organizationalUnit", "OU=Other"), entry(ann, shops, "user", "CN=Ann"), entry(bob, other, "user", "CN=Bob")} {
		t.Apply(e, true)
	}
	return t
}

func said(evs []census.Event) (out []string) {
	names := map[census.EventType]string{census.Appeared: "appeared", census.Moved: "moved", census.Deleted: "deleted", census.Returned: "returned", census.Carried: "carried", census.Changed: "changed"}
	for _, e := range evs {
		out = append(out, fmt.Sprintf("%d %s", e.Object.GUID[15], names[e.Type]))
	}
	return out
}

// Rules T1 and V1: what the census notices, one entry after the other.
func TestEvents(t *testing.T) {
	for _, x := range []struct {
		name    string
		entries []directory.Entry
		want    []string // of the last
	}{
		{"a new user", []directory.Entry{entry(guid(20), sales, "user", "CN=New")}, []string{"20 appeared"}},
		{"nothing new", []directory.Entry{entry(ann, shops, "user", "CN=Ann")}, nil},
		{"moved", []directory.Entry{entry(ann, other, "user", "CN=Ann")}, []string{"10 moved"}},
		{"renamed", []directory.Entry{entry(ann, shops, "user", "CN=Ann B")}, []string{"10 changed"}},
		{"deleted", []directory.Entry{tombstone(ann, shops)}, []string{"10 deleted"}},
		{"deleted twice", []directory.Entry{tombstone(ann, shops), tombstone(ann, shops)}, nil},
		{"a tombstone of somebody unknown", []directory.Entry{tombstone(guid(99), sales)}, nil},
		{"returned", []directory.Entry{tombstone(ann, shops), entry(ann, shops, "user", "CN=Ann")}, []string{"10 returned"}},
		{"returned elsewhere", []directory.Entry{tombstone(ann, shops), entry(ann, other, "user", "CN=Ann")}, []string{"10 returned"}},
		{"an OU moved carries its children (T1)", []directory.Entry{entry(sales, other, "organizationalUnit", "OU=Sales")}, []string{"10 carried"}},
		{"an OU renamed carries nobody", []directory.Entry{entry(sales, root, "organizationalUnit", "OU=Sellers")}, nil},
		{"a new OU", []directory.Entry{entry(guid(30), root, "organizationalUnit", "OU=New")}, nil},
		{"an anchor set", []directory.Entry{entry(ann, shops, "user", "CN=Ann", "ms-ds-consistencyguid", "0123456789abcdef")}, []string{"10 changed"}},
	} {
		tree := contoso()
		var last []census.Event
		for _, e := range x.entries {
			last = tree.Apply(e, true)
		}
		if d := cmp.Diff(x.want, said(last)); d != "" {
			t.Errorf("%s: %s", x.name, d)
		}
	}
}

// Shops was moved out of Sales, Sales into Shops, and then Shops was changed once more: a reading shows Sales first, and for that long each is below the other one.
// [The host looked for the end of such a tree until its stack overflowed.]
func TestContainersThatChangePlacesAreReadInAnyOrder(t *testing.T) {
	salesMoves, shopsMoves := entry(sales, shops, "organizationalUnit", "OU=Sales"), entry(shops, root, "organizationalUnit", "OU=Shops", "description", "was below")
	for name, order := range map[string][]directory.Entry{"as they moved": {shopsMoves, salesMoves}, "the later change first": {salesMoves, shopsMoves}} {
		tree := contoso()
		tree.Apply(entry(guid(20), sales, "user", "CN=Cleo"), true)
		tree.Apply(order[0], true)
		var below []scoping.GUID
		for id := range tree.Under(sales) {
			below = append(below, id.GUID)
		}
		if len(below) > 2 || tree.DN(ann) == "" || len(tree.Place(ann).Ancestors) == 0 {
			t.Errorf("%s, the first alone: %v below Sales, %s", name, below, tree.DN(ann))
		}
		carried := said(tree.Apply(order[1], true))
		if !slices.Contains(carried, "20 carried") || tree.DN(guid(20)) != "CN=Cleo,OU=Sales,OU=Shops,DC=contoso,DC=test" || tree.DN(ann) != "CN=Ann,OU=Shops,DC=contoso,DC=test" {
			t.Errorf("%s: %v; %s, %s", name, carried, tree.DN(guid(20)), tree.DN(ann))
		}
		if got := tree.Place(guid(20)).Ancestors; !slices.Equal(got, []scoping.GUID{sales, shops, root}) {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// Rule V1: places and names follow the containers; a tombstone keeps the last place of its life.
func TestPlacesAndNames(t *testing.T) {
	tree := contoso()
	want := func(g scoping.GUID, dn string, up ...scoping.GUID) {
		t.Helper()
		if d := cmp.Diff(scoping.Place{Directory: "contoso", Ancestors: up}, tree.Place(g)); d != "" {
			t.Error(d)
		}
		if got := tree.DN(g); got != dn {
			t.Errorf("%s, want %s", got, dn)
		}
	}
	want(ann, "CN=Ann,OU=Shops,OU=Sales,DC=contoso,DC=test", shops, sales, root)
	tree.Apply(entry(sales, other, "organizationalUnit", `OU=S\,ales`), true)
	want(ann, `CN=Ann,OU=Shops,OU=S\,ales,OU=Other,DC=contoso,DC=test`, shops, sales, other, root)
	tree.Apply(tombstone(ann, other), true) // it moved just before it died
	want(ann, "CN=Ann,OU=Other,DC=contoso,DC=test", other, root)
}

// Rules I2 and I3: the anchor is mS-DS-ConsistencyGuid, else objectGUID; wrong lengths and duplicates among the living are told.
func TestAnchors(t *testing.T) {
	b64 := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	const x = "0123456789abcdef"
	set := func(g scoping.GUID, v string) directory.Entry {
		return entry(g, other, "user", "CN=x", "ms-ds-consistencyguid", v)
	}
	tree := contoso()
	want := func(what string, g scoping.GUID, anchor string, bad gate.Code) {
		t.Helper()
		if a, b := tree.Anchor(g); a != anchor || b != bad {
			t.Errorf("%s: %q %q, want %q %q", what, a, b, anchor, bad)
		}
	}
	want("objectGUID", ann, b64(string(ann[:])), "")
	tree.Apply(set(ann, x), false)
	want("set", ann, b64(x), "")
	tree.Apply(set(bob, x), false)
	want("twice", ann, "", "duplicate-anchor")
	want("twice", bob, "", "duplicate-anchor")
	tree.Apply(entry(guid(12), other, "group", "CN=g", "ms-ds-consistencyguid", x), true)
	want("of another kind", guid(12), b64(x), "")
	tree.Apply(tombstone(bob, other), false)
	want("the other died", ann, b64(x), "")
	want("a tombstone has lost the attribute and keeps the anchor as it was", bob, b64(x), "")
	tree.Apply(set(bob, x), true)
	want("the other returned", ann, "", "duplicate-anchor")
	tree.Apply(set(bob, ""), false)
	want("cleared", bob, b64(string(bob[:])), "")
	tree.Apply(set(ann, "short"), false)
	want("not 16 bytes", ann, "", "anchor-invalid")
	tree.Apply(entry(ann, other, "user", "CN=x"), true)
	want("absent from a whole reading", ann, b64(string(ann[:])), "")
	want("unknown", guid(99), "", "")
}

// What is stored is what changed, once; what has to wait comes with a later call, and a tree made of it is the same tree.
func TestTouchedIsWhatChanged(t *testing.T) {
	tree := contoso()
	stored := tree.Touched(map[scoping.ObjectID]bool{{Directory: "contoso", GUID: ann}: true})
	if again := tree.Touched(nil); len(again) != 1 || again[0].GUID != ann {
		t.Fatalf("%+v", again)
	} else {
		stored = append(stored, again...)
	}
	if rest := tree.Touched(nil); len(rest) != 0 {
		t.Errorf("%+v", rest)
	}
	tree.Apply(entry(ann, shops, "user", "CN=Ann"), true)
	if rest := tree.Touched(nil); len(rest) != 0 {
		t.Errorf("nothing changed, yet %+v", rest)
	}
	copied := census.NewTree("contoso", root, "DC=contoso,DC=test")
	for _, o := range stored {
		copied.Put(o)
	}
	if d := cmp.Diff(look(tree), look(copied)); d != "" {
		t.Error(d)
	}
}

// look is everything that a tree answers.
func look(tree *census.Tree) map[string]any {
	out := map[string]any{"all": tree.All(), "len": tree.Len()}
	for n := byte(1); n < 30; n++ {
		g := guid(n)
		o, known := tree.Get(g)
		o.Version = 0
		anchor, bad := tree.Anchor(g)
		var under []scoping.ObjectID
		for id := range tree.Under(g) {
			under = append(under, id)
		}
		out[g.String()] = []any{o, known, anchor, bad, tree.Place(g), tree.DN(g), under}
	}
	return out
}

// model is the census by brute force: what each object is, and nothing derived.
type model map[scoping.GUID]*fact

type fact struct {
	user   bool
	parent scoping.GUID
	gone   bool
	anchor string
}

func (m model) inside(g, container scoping.GUID) bool {
	for f := m[g]; f != nil; f = m[f.parent] {
		if f.parent == container {
			return true
		}
	}
	return false
}

func (m model) anchorOf(g scoping.GUID) string {
	if a := m[g].anchor; a != "" {
		return a
	}
	return string(g[:])
}

// change draws one change that a directory allows: OUs 2 to 5, users 10 to 15.
func (m model) change(t *rapid.T) directory.Entry {
	g := guid(byte(rapid.IntRange(2, 5).Draw(t, "ou")))
	user := rapid.IntRange(0, 3).Draw(t, "user") > 0
	if user {
		g = guid(byte(rapid.IntRange(10, 15).Draw(t, "user")))
	}
	parents := []scoping.GUID{root}
	for p, f := range m {
		if !f.user && p != g && !m.inside(p, g) {
			parents = append(parents, p)
		}
	}
	slices.SortFunc(parents, scoping.GUID.Compare)
	parent := rapid.SampledFrom(parents).Draw(t, "parent")
	if f := m[g]; user && f != nil && rapid.IntRange(0, 3).Draw(t, "dies") == 0 {
		f.gone = true
		f.parent = parent // moved before it died
		return tombstone(g, parent)
	}
	f := &fact{user: user, parent: parent}
	m[g] = f
	if !user {
		return entry(g, parent, "organizationalUnit", fmt.Sprintf("OU=%d", g[15]))
	}
	twin := guid(byte(rapid.IntRange(10, 15).Draw(t, "twin")))
	f.anchor = rapid.SampledFrom([]string{"", "", "0123456789abcdef", "fedcba9876543210", "short", string(g[:]), string(twin[:])}).Draw(t, "anchor")
	return entry(g, parent, "user", fmt.Sprintf("CN=%d", g[15]), "ms-ds-consistencyguid", f.anchor)
}

// Rules V1, I2 and I3: after any changes, one by one, the tree answers as brute force does, as a tree that is read anew does, and every object
// whose place changed had an event.
func TestIncrementalEqualsWhole(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m, tree := model{}, census.NewTree("contoso", root, "DC=contoso,DC=test")
		for range rapid.IntRange(1, 30).Draw(t, "changes") {
			places := map[scoping.GUID]scoping.Place{}
			for g, f := range m {
				if f.user && !f.gone {
					places[g] = tree.Place(g)
				}
			}
			told := map[scoping.GUID]bool{}
			for _, e := range tree.Apply(m.change(t), rapid.Bool().Draw(t, "whole")) {
				told[e.Object.GUID] = true
			}
			for g, p := range places {
				if !cmp.Equal(p, tree.Place(g)) && !told[g] {
					t.Fatalf("%s changed its place, and nobody was told", g)
				}
			}
		}
		m.compare(t, tree)
		again := census.NewTree("contoso", root, "DC=contoso,DC=test")
		var all []census.Object
		for g := range m {
			o, _ := tree.Get(g)
			all = append(all, o)
		}
		for _, o := range all {
			again.Put(o)
		}
		if d := cmp.Diff(look(tree), look(again)); d != "" {
			t.Fatal(d)
		}
	})
}

func (m model) compare(t *rapid.T, tree *census.Tree) {
	living := map[string]int{}
	for g, f := range m {
		if f.user && !f.gone {
			living[m.anchorOf(g)]++
		}
	}
	var all []scoping.ObjectID
	for g, f := range m {
		id := scoping.ObjectID{Directory: "contoso", GUID: g}
		if f.user && !f.gone {
			all = append(all, id)
		}
		want := []scoping.GUID{}
		for x := f; x != nil; x = m[x.parent] {
			want = append(want, x.parent)
		}
		if d := cmp.Diff(want, tree.Place(g).Ancestors); d != "" {
			t.Fatalf("%s: %s", g, d)
		}
		if !f.user {
			m.compareUnder(t, tree, g)
			continue
		}
		wantBad := gate.Code("")
		if a := m.anchorOf(g); len(a) != 16 {
			wantBad = "anchor-invalid"
		} else if !f.gone && living[a] > 1 {
			wantBad = "duplicate-anchor"
		}
		if _, bad := tree.Anchor(g); bad != wantBad {
			t.Fatalf("%s: anchor %q, want %q", g, bad, wantBad)
		}
	}
	slices.SortFunc(all, scoping.ObjectID.Compare)
	if d := cmp.Diff(all, tree.All()); d != "" {
		t.Fatal(d)
	}
}

func (m model) compareUnder(t *rapid.T, tree *census.Tree, container scoping.GUID) {
	got := map[scoping.GUID]bool{}
	for id := range tree.Under(container) {
		got[id.GUID] = true
	}
	for g, f := range m {
		if want := f.user && !f.gone && m.inside(g, container); want != got[g] {
			t.Fatalf("%s under %s: %v, want %v", g, container, got[g], want)
		}
	}
}
