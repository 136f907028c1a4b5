// Package statetest is the suite that every implementation of state's Control, Log and Index passes. It tests promises of
// the interfaces only, never how they are kept.
package statetest

import (
	"testing"

	"github.com/tandem-sync/tandem/state"
)

// Disk is one state folder, wherever it is. Open opens what is there; a store opened before is closed by then.
type Disk interface {
	Open() (*state.Store, error)
}

// Run runs the suite. disk returns a new, empty state folder.
func Run(t *testing.T, disk func(t *testing.T, o state.Options) Disk) {
	t.Helper()
	suites := map[string]func(*testing.T, func(*testing.T, state.Options) Disk){
		"Control": runControl, "Log": runLog, "Owed": runOwed, "Index": runIndex, "Store": runStore,
	}
	for name, suite := range suites {
		t.Run(name, func(t *testing.T) { suite(t, disk) })
	}
}

// open opens a disk and closes the store when the test ends.
func open(t *testing.T, d Disk) *state.Store {
	t.Helper()
	s, err := d.Open()
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

// reopen closes a store and opens its disk again.
func reopen(t *testing.T, d Disk, s *state.Store) *state.Store {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
	return open(t, d)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// small keeps test folders small.
func small() state.Options { return state.Options{Reserve: -1, SegmentSize: 512, Command: "statetest"} }
