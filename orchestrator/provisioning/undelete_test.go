package provisioning_test

import (
	"slices"
	"testing"

	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/provisioning"
	"github.com/tandem-sync/tandem/plugins/provision"
)

// deleted makes a world in which a person's account was deleted by a person's word, since the person was deleted for good; or, with removes, since
// the policy says so of leavers.
func deleted(t *testing.T, removes bool) (*world, *entry) {
	w := newWorld(t, 1, "")
	w.removes = removes
	w.open()
	w.hire(1)
	w.hire(2)
	w.rest()
	e := w.one1(1)
	w.leaves(removes)
	for range 2 { // it is disabled, then deleted
		r := w.rest()
		for _, h := range r.Held {
			w.answer(h.ID, "approve")
		}
	}
	if w.rest(); !e.deleted || w.stateOf(e) != ledger.DeletedByTandem {
		t.Fatalf("%+v, %q", e, w.stateOf(e))
	}
	return w, e
}

// leaves lets the first person leave.
func (w *world) leaves(removes bool) {
	if removes {
		w.members[1] = false
	} else {
		w.people[1].purged, w.people[1].told = true, true
	}
}

func (w *world) stateOf(e *entry) ledger.RowState {
	row, linked := w.led.ByCloud(cloudID(1))
	if !linked || row.Object.GUID != e.guid {
		return ""
	}
	return row.State
}

// An account that was undeleted is reported, and does not stay enabled unnoticed where its user is not brought any more.
func TestAnAccountThatIsUndeletedWithoutItsPersonIsDisabledAndAskedAbout(t *testing.T) {
	for _, removes := range []bool{false, true} {
		w, e := deleted(t, removes)
		records := len(w.log)
		if w.rest(); len(w.log) != records {
			t.Errorf("deleted, it writes %d records in each run", len(w.log)-records)
		}
		w.touch(e, func(e *entry) { e.deleted, e.off = false, false })
		r := w.rest()
		if !e.off || len(r.Held) != 1 || r.Held[0].Class != ledger.Deletes || w.stateOf(e) == ledger.DeletedByTandem {
			t.Fatalf("%+v, %q, enabled %t", r, w.stateOf(e), !e.off)
		}
		records = len(w.log)
		if w.rest(); len(w.log) != records {
			t.Errorf("asked, it writes %d records in each run", len(w.log)-records)
		}
		w.answer(r.Held[0].ID, "reject")
		if r := w.rest(); e.deleted || len(r.Held) != 0 {
			t.Errorf("rejected: %+v", r)
		}
		w.answer(r.Held[0].ID, "forget")
		w.rest()
		w.answer(r.Held[0].ID, "approve")
		if w.rest(); !e.deleted || w.stateOf(e) != ledger.DeletedByTandem {
			t.Errorf("approved: %+v, %q", e, w.stateOf(e))
		}
		w.open()
		if w.stateOf(e) != ledger.DeletedByTandem {
			t.Errorf("another process has %q", w.stateOf(e))
		}
	}
}

// The account and its person are there again, and nothing can be written: people are told why, and the account is a leaver's when the person leaves.
func TestAnUndeletedAccountWithAnObstacleIsNamedAndDisabledWhenItsPersonLeaves(t *testing.T) {
	for name, obstacle := range map[string]func(w *world, e *entry){
		"the directory refuses":    func(w *world, _ *entry) { w.refuses = provision.TakenName },
		"it is an administrator's": func(_ *world, e *entry) { e.protected = "it is in Domain Admins" },
		"it lies elsewhere":        func(_ *world, e *entry) { e.parent = away },
	} {
		t.Run(name, func(t *testing.T) {
			w, e := deleted(t, true)
			w.mayEverywhere = true
			w.members[1] = true
			w.people[1].dept = "b"
			if w.rest(); w.told(1) != provisioning.CodeDeletedIn {
				t.Fatalf("told %q", w.told(1))
			}
			w.touch(e, func(e *entry) { e.deleted, e.off = false, false })
			obstacle(w, e)
			w.rest()
			if s := w.stateOf(e); s != ledger.Live || w.told(1) == "" || w.told(1) == provisioning.CodeDeletedIn {
				t.Errorf("state %q, told %q", s, w.told(1))
			}
			records := len(w.log)
			if w.rest(); len(w.log) != records {
				t.Errorf("it writes %d records in each run", len(w.log)-records)
			}
			w.members[1], w.refuses = false, ""
			w.touch(e, func(e *entry) { e.protected = "" })
			if w.rest(); !e.off {
				t.Error("whose person left stays enabled")
			}
		})
	}
}

// Without an obstacle the account is its person's again.
func TestAnUndeletedAccountIsItsPersonsAgain(t *testing.T) {
	w, e := deleted(t, true)
	w.touch(e, func(e *entry) { e.deleted = false })
	w.members[1] = true
	if w.rest(); w.stateOf(e) != ledger.Live || e.off || w.told(1) != "" || !slices.Contains(e.values[link], provisioning.LinkValue("user", cloudID(1))) {
		t.Errorf("%+v, %q, told %q", e, w.stateOf(e), w.told(1))
	}
}
