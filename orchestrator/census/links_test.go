package census_test

import (
	"context"
	"slices"
	"testing"

	"github.com/tandem-sync/tandem/orchestrator/census"
	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/scoping"
)

// A tree knows which living objects show the link of an object of the tenant, by whichever attribute, whatever else an entry tells.
func TestWhoShowsALinkIsKnown(t *testing.T) {
	g := func(n byte) (g scoping.GUID) { g[15] = n; return g }
	const link, other = "User_aaaaaaaa-0000-4000-8000-000000000001", "Group_aaaaaaaa-0000-4000-8000-000000000002"
	root := g(1)
	tree := census.NewTree("contoso", root, "DC=contoso,DC=test")
	entry := func(n byte, pairs ...string) directory.Entry {
		e := directory.Entry{GUID: g(n), DN: "CN=x,DC=contoso,DC=test", Parent: root, Attrs: map[string][][]byte{"objectclass": {[]byte("top"), []byte("user")}}}
		for i := 0; i < len(pairs); i += 2 {
			if e.Attrs[pairs[i]] = nil; pairs[i+1] != "" {
				e.Attrs[pairs[i]] = [][]byte{[]byte(pairs[i+1])}
			}
		}
		return e
	}
	shows := func(want ...string) {
		t.Helper()
		if o, _ := tree.Get(g(2)); !slices.Equal(o.Links, want) {
			t.Errorf("it shows %q and not %q", o.Links, want)
		}
	}
	tree.Apply(entry(2, "admindescription", link), true)
	shows("admindescription=" + link)
	tree.Apply(entry(2, "msds-externaldirectoryobjectid", other), false)
	shows("admindescription="+link, "msds-externaldirectoryobjectid="+other)
	tree.Apply(entry(2, "samaccountname", "x"), false)
	shows("admindescription="+link, "msds-externaldirectoryobjectid="+other)
	tree.Apply(entry(2, "admindescription", "a note"), false)
	shows("msds-externaldirectoryobjectid=" + other)
	tree.Reading = 7
	tree.Apply(entry(2, "msds-externaldirectoryobjectid", ""), false)
	shows()
	if o, _ := tree.Get(g(2)); o.Reading != 7 {
		t.Error("that a link was taken away is no change")
	}
}

// Over the directory: a link that is written, copied, taken away, and of what dies, and one of an attribute that a policy names later.
func TestLinksAreReadOfTheDirectory(t *testing.T) {
	w := newWorld(t)
	const link = "User_aaaaaaaa-0000-4000-8000-000000000001"
	who := func() int { return len(w.c.Linked("contoso", link)) }
	dn := w.user("Ann")
	w.refresh()
	w.set(dn, "adminDescription", link)
	w.refresh()
	if who() != 1 {
		t.Fatalf("%d show it", who())
	}
	w.set(dn, "adminDescription")
	w.set(dn, "extensionAttribute5", link)
	w.refresh()
	if who() != 0 {
		t.Errorf("%d show it after it was taken away", who())
	}
	w.c.Links([]string{"extensionAttribute5"})
	w.refresh()
	if got := w.c.Linked("contoso", link); len(got) != 1 {
		t.Errorf("%d show it by the attribute that a policy names", len(got))
	}
	if s := w.c.Sight(scoping.ObjectID{Directory: "contoso", GUID: w.c.Linked("contoso", link)[0]}); !slices.Equal(s.Links, []string{link}) {
		t.Errorf("%q", s.Links)
	}
	w.ok(w.c.Reread(context.Background(), []scoping.ObjectID{{Directory: "contoso", GUID: w.c.Linked("contoso", link)[0]}}))
	if who() != 1 {
		t.Error("what is read singly forgets links")
	}
}

// What moves or renames a container changes no entry below it: that is asked by itself.
func TestWhatMovesAContainerCarriesAllBelowIt(t *testing.T) {
	w := newWorld(t)
	inner := w.add("OU=Inner,"+w.ou, "organizationalUnit")
	id := w.idOf(w.add("CN=ann,"+inner, "user"))
	w.refresh()
	carried := func(want bool) {
		t.Helper()
		before, own := w.c.Reading(), w.c.Brief(id).Reading
		w.refresh()
		if got := w.c.Carried(id) > before; got != want || w.c.Brief(id).Reading != own {
			t.Errorf("carried by the newest reading: %v, and its own reading %d, before %d", got, w.c.Brief(id).Reading, own)
		}
	}
	carried(false)
	inner = w.rename(inner, "OU=Called", "")
	carried(true)
	w.rename(inner, "OU=Called", w.add("OU=Other,"+w.ou, "organizationalUnit"))
	carried(true)
	w.set(w.ou, "description", "nothing that anybody reads")
	carried(false)
	if w.c.Carried(scoping.ObjectID{Directory: "contoso"}) != 0 {
		t.Error("what is not there is carried")
	}
}
