package orchestrator_test

import (
	"fmt"
	"testing"

	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/run"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// deltas lets both engines run by delta, twice in each order, and fails the test unless everything settled without a full run.
func (w *world) deltas() {
	w.t.Helper()
	for _, e := range []string{"connect", "cloudsync", "cloudsync", "connect"} {
		r, err := w.tandem.Host().Sync(w.t.Context(), e, run.SyncOptions{})
		if err != nil || r.Profile != engine.ProfileDelta || !r.Complete || r.Failed+r.Held+r.Refused > 0 {
			w.t.Fatalf("delta run of %s: %v, %+v", e, err, r)
		}
	}
	if d := w.tandem.Host().Debts(); len(d) > 0 {
		w.t.Errorf("%d debts are left, the first: %+v", len(d), d[0])
	}
}

// absent fails the test if the tenant shows one of the users as living.
func (w *world) absent(upns ...string) {
	w.t.Helper()
	for _, u := range upns {
		if o, lives := w.user(u); lives {
			w.t.Errorf("%s still lives in the tenant as %s", u, o.ID)
		}
	}
}

// Row T1 of the findings: who leaves for `engine: none, leaving: remove` by a selector, and is not chosen any more, is restored with the id that he had, by
// delta runs of his owner alone.
func TestALeaverByASelectorComesBackByDeltaRunsAlone(t *testing.T) {
	sites(t, func(t *testing.T, s site) {
		for _, owner := range []string{"connect", "cloudsync"} {
			t.Run(owner, func(t *testing.T) {
				w := emptyWorld(t, s)
				ou := "OU=Leavers-" + owner + "," + s.base
				w.add(ou, map[string][]string{"objectClass": {"organizationalUnit"}})
				annDN, ann := w.person("ann-"+owner, ou)
				bobDN, bob := w.person("bob-"+owner, ou)
				stays, _ := w.person("stays-"+owner, ou)
				leavers := w.group("Leavers "+owner, ou, stays) // a group that empties would move nobody
				w.group("Crew "+owner, ou, annDN, bobDN)
				for i := range *people {
					w.person(fmt.Sprintf("other%d-%s", i, owner), ou)
				}
				w.modify(stays, "employeeType", "stays")
				w.write()
				w.open()
				text := "version: 1\nfeatures: [users, groups]\nassignments:\n" + assign("everybody", ou, owner) +
					assign("by group", ou, scoping.None, "leaving: remove", fmt.Sprintf("memberOf: %q", leavers)) +
					assign("by filter", ou, scoping.None, "leaving: remove", "priority: 1", `filter: "(employeeType=gone)"`)
				if _, err := w.tandem.Host().Import(t.Context(), "policy.yaml", []byte(text), "test"); err != nil {
					t.Fatal(err)
				}
				w.sync(owner, engine.ProfileFull)
				ids := w.ids()
				for range 2 { // once more: what a restore leaves behind must not stand in the way
					w.join(leavers, annDN)
					w.modify(bobDN, "employeeType", "gone")
					w.deltas()
					w.absent(ann, bob)
					w.owners(map[string]string{ann: scoping.None, bob: scoping.None})

					w.leave(leavers, annDN)
					w.modify(bobDN, "employeeType", "back")
					w.deltas()
					w.same(ids, "leaving and coming back")
					w.owners(map[string]string{ann: owner, bob: owner})
					w.wantMembers("Crew "+owner, "Person ann-"+owner, "Person bob-"+owner)
				}
				w.modify(annDN, "title", "Is back")
				w.deltas()
				if got := w.mustUser(ann).Properties["jobTitle"]; got != "Is back" {
					t.Errorf("%s does not write who came back: %v", owner, got)
				}
			})
		}
	})
}

// Whom the owner's own rules leave out is removed once a person approves of it, and restored by a delta run when the rules take him again.
func TestOneWhomTheRulesLeaveOutComesBackByDeltaRunsAlone(t *testing.T) {
	sites(t, func(t *testing.T, s site) {
		w := newWorld(t, s, 10)
		w.importPolicy()
		annDN, ann := w.person("ann", "OU=Sales,"+s.base)
		w.sync("connect", engine.ProfileFull)
		ids := w.ids()
		w.modify(annDN, "adminDescription", "User_leave-out")
		r, err := w.tandem.Host().Sync(t.Context(), "connect", run.SyncOptions{})
		if err != nil || len(r.HeldSets) != 1 {
			t.Fatalf("who lives and is left out is held: %v, %+v", err, r)
		}
		if sets := w.tandem.Host().Held(); len(sets) != 1 || sets[0].State != ledger.HoldOpen {
			t.Fatalf("held: %+v", sets)
		}
		w.same(ids, "being held")
		w.answer(r.HeldSets[0], "approve")
		w.absent(ann)
		w.deltas()
		w.absent(ann)
		w.modify(annDN, "adminDescription")
		w.deltas()
		w.same(ids, "being taken again")
	})
}
