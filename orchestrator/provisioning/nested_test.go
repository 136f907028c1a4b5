package provisioning_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/provisioning"
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/scoping"
)

// Groups inside the group that the policy names.
const (
	sub1 = "99999999-0000-4000-8000-000000000002"
	sub2 = "99999999-0000-4000-8000-000000000003"
)

// nests makes a world in which the persons 1 and 2 are hired through a group in a group, 3 directly, and 4 has left, so that a disabling waits for no
// person any more.
func nests(t *testing.T) *world {
	w := newWorld(t, 1, "")
	for n := range 4 {
		w.hire(n + 1)
	}
	w.members = map[int]bool{3: true, 4: true}
	w.nested[sub1] = &nestedGroup{in: group}
	w.nested[sub2] = &nestedGroup{in: sub1, members: []string{cloudID(1), cloudID(2)}}
	w.rest()
	for n := range 4 {
		w.one1(n + 1)
	}
	w.members[4] = false
	w.answer(w.rest().Held[0].ID, "approve")
	if w.rest(); !w.one1(4).off {
		t.Fatal("a leaver is not disabled")
	}
	return w
}

// frozenBy returns why the assignment is frozen; "": it is not.
func frozenBy(r provisioning.Report) string {
	for _, p := range r.Problems {
		if p.Code == string(provisioning.CodeFrozenFrom) {
			return p.Message
		}
	}
	return ""
}

func (w *world) enabled(ns ...int) bool {
	return !slices.ContainsFunc(ns, func(n int) bool { return w.one1(n).off })
}

func TestANestedGroupThatVanishesOrIsEmptiedMovesNobody(t *testing.T) {
	for name, x := range map[string]struct {
		ends func(w *world)
		says string
	}{
		"the inner one is deleted":                 {func(w *world) { delete(w.nested, sub2) }, `group "G3" in group "Hired" of the tenant is not there any more`},
		"the outer one is deleted":                 {func(w *world) { delete(w.nested, sub1) }, `group "G2" in group "Hired" of the tenant is not there any more`},
		"the inner one is emptied":                 {func(w *world) { w.nested[sub2].members = nil }, `group "G3" in group "Hired" of the tenant has no members any more`},
		"both are deleted, one after another":      {func(w *world) { delete(w.nested, sub2); w.rest(); delete(w.nested, sub1) }, `and group "G3" in group "Hired"`},
		"taken out first, then deleted, in one go": {func(w *world) { w.nested[sub1].in = ""; delete(w.nested, sub1) }, `group "G2" in group "Hired" of the tenant is not there any more`},
	} {
		t.Run(name, func(t *testing.T) {
			w := nests(t)
			was := map[string]*nestedGroup{sub1: {in: group}, sub2: {in: sub1, members: []string{cloudID(1), cloudID(2)}}}
			x.ends(w)
			w.members[3] = false
			w.hire(5)
			r := w.rest()
			if why := frozenBy(r); r.Complete || !strings.Contains(why, x.says) || !w.enabled(1, 2, 3) || len(w.accountsOf(5)) != 0 {
				t.Fatalf("%q, want %q; %+v", why, x.says, r)
			}
			n := len(w.log)
			if w.rest(); len(w.log) != n {
				t.Errorf("frozen, it writes %d records in each run", len(w.log)-n)
			}
			w.open() // another process knows it too
			if r := w.rest(); frozenBy(r) == "" || !w.enabled(1, 2, 3) {
				t.Fatalf("in another process: %+v", r)
			}
			w.nested = was
			if r := w.rest(); frozenBy(r) != "" || !r.Complete || !w.enabled(1, 2) || w.enabled(3) || len(w.accountsOf(5)) != 1 {
				t.Errorf("it is there again: %+v", r)
			}
			if held := w.held(ledger.GoneGroups); len(held) != 0 {
				t.Errorf("it is asked about what is there: %+v", held)
			}
		})
	}
}

// held returns the open sets of a class.
func (w *world) held(class ledger.Class) (out []ledger.Hold) {
	for _, h := range w.led.SortedHolds() {
		if h.Class == class && h.State == ledger.HoldOpen && len(h.Entries) > 0 {
			out = append(out, *h)
		}
	}
	return out
}

// Nobody can bring back a group that was deleted for good: a person says that its members are to leave.
func TestThatANestedGroupIsGoneIsAPersonsWord(t *testing.T) {
	w := nests(t)
	delete(w.nested, sub2)
	r := w.rest()
	if len(r.Held) != 1 || r.Held[0].Class != ledger.GoneGroups || len(r.Held[0].Entries) != 2 || r.Held[0].Entries[1].Name != "G3" { // G2 has no members without it
		t.Fatalf("%+v", r)
	}
	id := r.Held[0].ID
	w.answer(id, "reject")
	if r := w.rest(); frozenBy(r) == "" || len(r.Held) != 0 || !w.enabled(1, 2, 3) {
		t.Errorf("rejected: %+v", r)
	}
	w.answer(id, "forget")
	w.rest()
	w.answer(id, "approve")
	if r := w.rest(); frozenBy(r) != "" || !r.Complete || w.enabled(1) || w.enabled(2) || !w.enabled(3) {
		t.Fatalf("approved: %+v", r)
	}
	if h := w.led.Holds[id]; h.Now(w.now.UnixMilli()) != ledger.HoldDone {
		t.Errorf("the answer is %s", h.Now(w.now.UnixMilli()))
	}
	w.now = w.now.Add(48 * time.Hour) // the approval is not needed any more
	if r := w.rest(); frozenBy(r) != "" || len(r.Held) != 0 {
		t.Errorf("later: %+v", r)
	}
}

// Taking a group out of its group is a decision about its members. A tenant may show a delete as this first, so no member leaves before its delay has
// passed.
func TestANestedGroupThatIsTakenOutLetsItsMembersLeaveAfterTheDelay(t *testing.T) {
	w := nests(t)
	w.cache = cloud.NewCache(2 * time.Minute)
	w.open()
	w.rest()
	w.nested[sub1].in = ""
	r := w.rest()
	if !strings.Contains(frozenBy(r), "taken out or deleted") || len(r.Held) != 0 || !w.enabled(1, 2) {
		t.Fatalf("%+v", r)
	}
	w.now = w.now.Add(time.Minute)
	w.open()
	if r := w.rest(); frozenBy(r) == "" || !w.enabled(1, 2) {
		t.Fatalf("after a minute, in another process: %+v", r)
	}
	w.now = w.now.Add(time.Minute)
	if r := w.rest(); frozenBy(r) != "" || w.enabled(1) || w.enabled(2) || !w.enabled(3) {
		t.Errorf("after the delay: %+v", r)
	}
	n := len(w.log)
	if w.rest(); len(w.log) != n {
		t.Errorf("at rest it writes %d records", len(w.log)-n)
	}

	w = nests(t)
	w.cache = cloud.NewCache(2 * time.Minute)
	w.open()
	w.rest()
	w.nested[sub1].in = ""
	w.rest()
	w.now = w.now.Add(time.Minute)
	delete(w.nested, sub1) // so it was deleted
	w.rest()
	w.now = w.now.Add(time.Hour)
	if r := w.rest(); !strings.Contains(frozenBy(r), "is not there any more") || !w.enabled(1, 2) {
		t.Errorf("deleted: %+v", r)
	}
}

// A nested group is recorded before any user is brought through it.
func TestANestedGroupIsKnownBeforeItBringsAnybody(t *testing.T) {
	w := nests(t)
	w.hire(5)
	w.members[5] = false
	w.nested[sub1].members = []string{cloudID(5)}
	w.nested["99999999-0000-4000-8000-000000000004"] = &nestedGroup{in: group, members: []string{cloudID(5)}}
	w.dies = 1
	_, _ = w.run()
	if len(w.accountsOf(5)) != 0 {
		t.Error("somebody is brought before it is recorded through which group")
	}
}

// Who is also in the group of another assignment stays where it was brought while its own assignment is frozen.
func TestAFrozenAssignmentKeepsWhomOthersSelectAsWell(t *testing.T) {
	w := nests(t)
	other := "99999999-0000-4000-8000-000000000005"
	w.policy = []scoping.Assignment{{Name: "others", Directory: "contoso", Under: scoping.Pin{GUID: away, DN: "OU=Away,DC=contoso,DC=test", Ancestors: []scoping.GUID{top}}, Engine: "cloudsync", Link: link,
		Features: []scoping.Feature{scoping.UserProvisioning}, From: scoping.From{Groups: []scoping.TenantGroup{{Name: "G5", ID: other}}}}}
	w.nested[other] = &nestedGroup{members: []string{cloudID(1)}}
	w.open()
	w.rest()
	written := w.written[w.one1(1).guid]
	delete(w.nested, sub2)
	if r := w.rest(); frozenBy(r) == "" || w.one1(1).parent != hires || w.written[w.one1(1).guid] != written || w.told(1) != "" {
		t.Errorf("%+v, told %q", w.one1(1), w.told(1))
	}
}
