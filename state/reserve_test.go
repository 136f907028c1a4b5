package state_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/tandem-sync/tandem/state"
)

// TestReserveFileIsReleasedAndMadeWholeAgain fails one write for lack of space and looks at the file that keeps the reserve.
func TestReserveFileIsReleasedAndMadeWholeAgain(t *testing.T) {
	const whole = 3 << 20
	dir, failing := t.TempDir(), ""
	s, err := state.Open(dir, state.Options{Reserve: whole, Hook: func(p string) error {
		if p != failing {
			return nil
		}
		failing = "" // the second try fits
		return syscall.ENOSPC
	}})
	must(t, err)
	size := func() int64 {
		info, err := os.Stat(filepath.Join(dir, "reserve"))
		must(t, err)
		return info.Size()
	}
	if size() != whole {
		t.Fatalf("reserve of %d bytes, want %d", size(), whole)
	}
	for _, point := range []string{state.FailAppendBeforeWrite, state.FailControlBeforeCommit} {
		failing = point
		before := size()
		if point == state.FailAppendBeforeWrite {
			_, err = s.Log.Append(state.WithReserve(bg), [][]byte{[]byte("settlement")})
		} else {
			err = s.Control.Update(state.WithReserve(bg), func(tx state.Tx) error { return tx.Put("b", "k", []byte("rollback")) })
		}
		must(t, err)
		if size() != before-1<<20 {
			t.Errorf("%s: the reserve went from %d to %d bytes", point, before, size())
		}
	}
	_, err = s.Log.Append(bg, [][]byte{[]byte("ordinary")}) // there is space, so the reserve comes first
	must(t, err)
	if size() != whole {
		t.Errorf("reserve of %d bytes after ordinary work, want %d", size(), whole)
	}
	must(t, s.Close())
}
