package census_test

import (
	"errors"
	"testing"

	"github.com/tandem-sync/tandem/orchestrator/census"
	"github.com/tandem-sync/tandem/scoping"
)

// reads is what two kinds of engines read.
func reads(user, group string) map[scoping.Kind][]string {
	return map[scoping.Kind][]string{scoping.User: {user}, scoping.Group: {group}}
}

// reading returns the number of the reading that changed an object last, and the newest.
func (w *world) reading(dn string) (of, newest uint64) {
	w.Helper()
	w.c.Tree("contoso", func(t *census.Tree) {
		d, err := scoping.ParseDN(dn)
		w.ok(err)
		g, ok := t.Named(d)
		if !ok {
			w.Fatalf("%s is not known", dn)
		}
		o, _ := t.Get(g)
		of = o.Reading
	})
	return of, w.c.Reading()
}

// changes wants a change of an attribute to make the object's reading, and to be no event, or neither.
func (w *world) changes(want bool, dn, attr string, values ...string) {
	w.Helper()
	w.c.Changed()
	before, _ := w.reading(dn)
	w.set(dn, attr, values...)
	if n := len(w.refresh()); n != 0 {
		w.Errorf("%s of %s: %d events", attr, dn, n)
	}
	of, newest := w.reading(dn)
	if want && of != newest || !want && of != before {
		w.Errorf("%s of %s: the reading of the object was %d and is %d, the newest is %d", attr, dn, before, of, newest)
	}
	if ids, all := w.c.Changed(); all || len(ids) > 1 || (len(ids) == 1) != want {
		w.Errorf("%s of %s: to be compared again are %v (all: %t)", attr, dn, ids, all)
	}
}

// Rule S2: the census watches what engines read, by kind, also before an engine of a new process has said so.
func TestWhatEnginesReadIsWatched(t *testing.T) {
	w := newWorld(t)
	ann := w.user("ann", "displayName", "Ann", "department", "D")
	bob := w.user("bob")
	all := w.group("all", ann)
	w.refresh()
	w.changes(false, ann, "department", "D1") // no engine reads it
	w.c.Watch("one", reads("Department", "member"))
	w.c.Watch("two", reads("displayName", "description"))
	w.changes(true, ann, "department", "D2")
	w.changes(true, ann, "displayName", "Ann A")
	w.changes(true, ann, "department") // cleared
	w.changes(false, ann, "department")
	w.changes(false, ann, "description", "read of groups")
	w.changes(true, all, "description", "read of groups")
	w.changes(true, all, "member", ann, bob)

	w.open() // another process
	w.changes(true, ann, "department", "D3")
	w.c.WatchOnly([]string{"one"})
	w.changes(false, ann, "displayName", "Ann B")
	w.changes(true, ann, "department", "D4")
	w.open()
	w.changes(false, ann, "displayName", "Ann C")
	w.changes(true, all, "member")
}

// What a directory that is read from the start shows is no change.
func TestAReadingFromTheStartChangesNothingThatIsWatched(t *testing.T) {
	tree := contoso()
	tree.Reading = 7
	if ev := tree.Apply(entry(ann, shops, "user", "CN=Ann", "displayname", "Ann"), true); len(ev) > 0 {
		t.Errorf("events: %v", ev)
	}
	if o, _ := tree.Get(ann); o.Reading == 7 {
		t.Error("the reading changed it")
	}
}

// A choice is not judged anew for the sake of what engines alone read.
func TestWhatOnlyEnginesReadIsNotJudged(t *testing.T) {
	w := newWorld(t)
	ann := w.user("ann", "department", "D")
	w.refresh()
	w.choose(w.choice(100, scoping.Choice{Filter: "(employeeType=pilot)"}))
	w.c.Watch("one", reads("department", "member"))
	w.refresh()
	w.fails = 1 // what is read singly fails
	w.set(ann, "department", "D1")
	w.refresh()
	w.set(ann, "employeeType", "pilot")
	if _, _, err := w.c.Refresh(t.Context()); !errors.Is(err, errBroken) {
		t.Errorf("the choice was not judged: %v", err)
	}
}
