package provisioning_test

import (
	"testing"
	"time"
)

// Which assignment an account is of does not depend on where people move it: it is disabled when its person leaves, or has left, wherever it lies.
func TestTheAccountOfALeaverIsDisabledWhereverItComesBack(t *testing.T) {
	for name, happens := range map[string]func(w *world, e *entry){
		"moved elsewhere, deleted, and undeleted there": func(w *world, e *entry) {
			w.touch(e, func(e *entry) { e.parent = away })
			w.rest()
			w.touch(e, func(e *entry) { e.deleted = true })
			w.rest()
			w.members[1] = false
			w.rest()
			w.touch(e, func(e *entry) { e.deleted = false })
		},
		"disabled elsewhere, brought again, enabled by hand, and left again": func(w *world, e *entry) {
			w.touch(e, func(e *entry) { e.parent = away })
			w.members[1] = false
			if w.rest(); !e.off {
				w.t.Fatal("who left stays enabled")
			}
			w.members[1] = true
			w.rest()
			w.touch(e, func(e *entry) { e.off = false })
			w.rest()
			w.members[1] = false
		},
		"deleted by Tandem elsewhere than it was brought, and undeleted there": func(w *world, e *entry) {
			w.removes = true
			w.open()
			w.members[1] = false
			for range 2 {
				for _, h := range w.rest().Held {
					w.answer(h.ID, "approve")
				}
			}
			if w.rest(); !e.deleted {
				w.t.Fatal("who left is not deleted")
			}
			w.touch(e, func(e *entry) { e.deleted, e.off, e.parent, e.protected = false, false, away, "it is an administrator" })
			w.rest()
			w.touch(e, func(e *entry) { e.protected = "" })
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, 1, "")
			w.mayEverywhere = true
			w.hire(1)
			w.hire(2)
			w.hire(3)
			w.disablesFirst(2)
			e := w.one1(1)
			happens(w, e)
			if w.rest(); !e.off {
				t.Errorf("it stays enabled, told %q: %+v", w.told(1), e)
			}
			w.open()
			if n := len(w.log); len(w.rest().Held) != 0 && !w.removes || len(w.log) != n {
				t.Errorf("at rest it writes %d records", len(w.log)-n)
			}
		})
	}
}

// An account that was made in a container below the assignment's, and was moved elsewhere before anything was agreed about it, is the assignment's too.
func TestAnAccountThatIsMovedBeforeAnythingIsAgreedIsDisabledWhenItsPersonLeaves(t *testing.T) {
	w := newWorld(t, 1, "")
	w.mayEverywhere = true
	w.hire(2)
	w.hire(3)
	w.disablesFirst(2)
	w.hire(1).dept = onsite
	for w.onEnabling = after; w.onEnabling != none; { // nothing is agreed, as the answer is lost
		if _, err := w.run(); err != nil {
			t.Fatal(err)
		}
	}
	e := w.one1(1)
	w.touch(e, func(e *entry) { e.parent = away })
	w.members[1] = false
	w.now = w.now.Add(time.Hour) // nothing may arrive any more
	if w.rest(); !e.off {
		t.Errorf("it stays enabled, told %q: %+v", w.told(1), e)
	}
}
