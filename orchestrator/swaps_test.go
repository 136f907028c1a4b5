package orchestrator_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/run"
	"github.com/tandem-sync/tandem/plugins/engine"
)

// rename gives people of the directory other sign-in names, by their DNs, by way of names that nobody has: the directory gives no name twice either.
func (w *world) rename(names map[string]string) {
	w.t.Helper()
	n := 0
	for dn := range names {
		n++
		w.modify(dn, "userPrincipalName", fmt.Sprintf("for-now-%d@%s", n, w.site.domain))
	}
	for dn, upn := range names {
		w.modify(dn, "userPrincipalName", upn)
	}
}

// waiting gives the held sets that wait for an answer.
func (w *world) waiting() (out []ledger.Hold) {
	for _, h := range w.tandem.Host().Held() {
		if h.State == ledger.HoldOpen {
			out = append(out, h)
		}
	}
	return out
}

// Rule J6 (G3): a ring of users who exchange their sign-in names is one held set; approved, each has its new name and is the object that it was. A chain is
// no ring: it is written without a question.
func TestPeopleWhoExchangeSignInNames(t *testing.T) {
	sites(t, func(t *testing.T, s site) {
		w := newWorld(t, s, 20)
		w.importPolicy()
		sales := "OU=Sales," + s.base
		var dns, upns, ids []string
		for _, name := range []string{"anna", "bert", "carla", "dora", "emil"} {
			dn, _ := w.person(name, sales)
			upn := "people." + name + "@" + s.domain // Samba gives nobody a sign-in name that says somebody else's account name
			w.modify(dn, "userPrincipalName", upn)
			dns, upns = append(dns, dn), append(upns, upn)
		}
		w.sync("connect", engine.ProfileFull)
		for _, upn := range upns {
			ids = append(ids, w.mustUser(upn).ID)
		}
		is := func(order ...int) {
			t.Helper()
			for i, n := range order {
				if got := w.mustUser(upns[n]).ID; got != ids[i] {
					t.Errorf("%s is tenant object %s, want that of %s", upns[n], got, dns[i])
				}
			}
		}
		before := w.ids()
		w.rename(map[string]string{dns[0]: upns[1], dns[1]: upns[2], dns[2]: upns[0], dns[3]: upns[4], dns[4]: "emilia@" + s.domain})
		r, err := w.tandem.Host().Sync(t.Context(), "connect", run.SyncOptions{})
		if err != nil || r.Held != 3 || r.Applied != 2 || r.Failed > 0 || len(r.HeldSets) != 1 {
			t.Fatalf("%+v, %v", r, err)
		}
		is(0, 1, 2, 4) // the chain is written, the ring is not
		sets := w.waiting()
		if len(sets) != 1 {
			t.Fatalf("%+v", sets)
		}
		set := sets[0]
		if set.Class != ledger.NameSwaps || len(set.Entries) != 3 || !strings.Contains(fmt.Sprint(set.Entries), "parking step: signs in as tandem-park-") {
			t.Fatalf("%+v", set)
		}
		if a, err := w.tandem.Host().Answer(t.Context(), set.ID, "approve", "ann", "seen"); err != nil || a == nil || a.Failed+a.Held > 0 {
			t.Fatalf("the approval: %+v, %v", a, err)
		}
		is(1, 2, 0, 4)
		w.same(before, "an exchange of names")
		w.graph.ResetCounters()
		if w.sync("connect", engine.ProfileFull); w.writes() > 0 || len(w.waiting()) > 0 {
			t.Errorf("a further run writes %d times, %d sets are open", w.writes(), len(w.waiting()))
		}
	})
}
