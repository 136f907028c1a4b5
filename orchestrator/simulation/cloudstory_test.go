package simulation

import (
	"testing"

	"github.com/tandem-sync/tandem/orchestrator/ledger"
)

// cloudStory founds a world in which leavers' accounts are deleted by a person's word, and its hires have accounts, and lets f tell what happens to one
// of them.
func cloudStory(t *testing.T, f func(w *world, a *account)) {
	t.Helper()
	for seed := uint64(1); ; seed++ {
		w := newWorld(seed, Options{Trace: true, Eyes: []Eye{FromCloud}})
		w.guard(func() {
			w.found()
			w.faults = false
		})
		if w.violation == nil && w.cloud.leaving != "remove" {
			continue
		}
		w.guard(func() {
			w.comeToRest()
			f(w, w.tenant.accounts[w.cloud.people[0]])
		})
		if w.violation != nil {
			t.Error(w.violation)
		}
		return
	}
}

// The account of a user that is hired again may be deleted within the tenant's delay, by an answer from before: no reading can show the hire yet. Later it
// is not deleted (seed 1242).
func TestStoryAnApprovedDeleteGoesByWhatTheTenantShowed(t *testing.T) {
	for _, shown := range []bool{false, true} {
		cloudStory(t, func(w *world, a *account) {
			hired := func(in bool) {
				w.joinTenantGroup(w.cloud.hired, a.id, in)
				w.decidedAnew(a.id)
			}
			w.hire() // the group does not become empty
			hired(false)
			deletes := func() ledger.Hold {
				w.pass(2 * delay)
				w.bringAtRest()
				for _, h := range w.host.Held() {
					switch {
					case h.State != ledger.HoldOpen || !h.Entries[0].Object.IsCloud():
					case h.Class == ledger.Deletes:
						return h
					default:
						w.answerAll(h, "approve")
					}
				}
				return ledger.Hold{}
			}
			h := deletes()
			for n := 0; h.ID == ""; h = deletes() { // it is disabled first
				if n++; n > 10 {
					w.fail(nothingLost, "no delete is asked about")
				}
			}
			w.tenant.lag = delay
			hired(true)
			if shown {
				w.pass(2 * delay)
			}
			w.answerAll(h, "approve")
			if n := len(w.entriesOf(a.id)); n == 0 == shown {
				t.Errorf("shown %t: it has %d accounts", shown, n)
			}
		})
	}
}
