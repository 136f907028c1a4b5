package state_test

import (
	"errors"
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

// TestIndexesLeaveTheLastQuarterOfTheReserve lets an index file ask for the reserve without end: what is left is for control and log.
func TestIndexesLeaveTheLastQuarterOfTheReserve(t *testing.T) {
	const whole = 8 << 20
	dir, failing := t.TempDir(), ""
	s, err := state.Open(dir, state.Options{Reserve: whole, Hook: func(p string) error {
		if p == failing {
			return syscall.ENOSPC
		}
		return nil
	}})
	must(t, err)
	x, err := s.Index("bulky", "test", 1)
	must(t, err)
	size := func() int64 {
		info, err := os.Stat(filepath.Join(dir, "reserve"))
		must(t, err)
		return info.Size()
	}
	put := func(tx state.Tx) error { return tx.Put("b", "k", []byte("v")) }
	failing = state.FailIndexBeforeCommit
	if err := x.Update(bg, put); !errors.Is(err, state.ErrFull) {
		t.Errorf("an ordinary update of an index on a full disk: %v, want ErrFull", err)
	}
	if size() != whole {
		t.Errorf("ordinary work took the reserve down to %d bytes", size())
	}
	if err := x.Update(state.WithReserve(bg), put); !errors.Is(err, state.ErrFull) {
		t.Errorf("a reserved update of an index that never fits: %v, want ErrFull", err)
	}
	if size() != whole/4 {
		t.Errorf("indexes left %d bytes of the reserve, want %d", size(), whole/4)
	}
	failing = ""
	must(t, x.Update(state.WithReserve(bg), put))
	_, err = s.Log.Append(state.WithReserve(bg), [][]byte{[]byte("settlement")})
	must(t, err)
	must(t, s.Close())
}

// TestRoomIsMadeForOtherProcesses fills a small disk: a part of the reserve becomes free for whoever writes beside the store.
func TestRoomIsMadeForOtherProcesses(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("a small disk is mounted by root")
	}
	dir := t.TempDir()
	must(t, syscall.Mount("tandem-test", dir, "tmpfs", 0, "size=48m"))
	t.Cleanup(func() { must(t, syscall.Unmount(dir, syscall.MNT_DETACH)) })
	s, err := state.Open(dir, state.Options{Reserve: 24 << 20})
	must(t, err)
	must(t, s.MakeRoom()) // there is room
	if info, err := os.Stat(filepath.Join(dir, "reserve")); err != nil || info.Size() != 24<<20 {
		t.Fatalf("the reserve of a disk with room: %v, %v", info, err)
	}
	filler, err := os.Create(filepath.Join(dir, "filler"))
	must(t, err)
	for err == nil {
		_, err = filler.Write(make([]byte, 4096))
	}
	must(t, s.MakeRoom())
	must(t, os.WriteFile(filepath.Join(dir, "another process"), make([]byte, 8<<20), 0o600))
	if err := s.Control.Update(bg, func(tx state.Tx) error { return tx.Put("b", "k", nil) }); !errors.Is(err, state.ErrFull) {
		t.Errorf("ordinary work while the reserve is not whole: %v, want ErrFull", err)
	}
	must(t, s.Control.Update(state.WithReserve(bg), func(tx state.Tx) error { return tx.Put("b", "k", nil) }))
	must(t, filler.Close())
	must(t, s.Close())
}
