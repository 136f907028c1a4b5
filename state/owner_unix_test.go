//go:build unix

package state_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/tandem-sync/tandem/state"
)

// Root would leave files in a service's folder that the service cannot read: it is refused, sees who holds the folder, and may look.
func TestRootDoesNotWriteInTheFolderOfAnother(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("folders are given away by root")
	}
	const somebody = 54321
	dir := t.TempDir()
	must(t, os.Chown(dir, somebody, somebody))
	refused := func() {
		t.Helper()
		_, err := state.Open(dir, state.Options{})
		var owner *state.OwnerError
		if !errors.As(err, &owner) || owner.Owner != "54321" {
			t.Errorf("root opens the folder: %v", err)
		}
	}
	refused()
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("root left %v, %v", left, err)
	}
	// The folder as its owner would have made it.
	must(t, os.Chown(dir, 0, 0))
	s, err := state.Open(dir, state.Options{Command: "the service"})
	must(t, err)
	must(t, os.Chown(dir, somebody, somebody))
	if _, err := state.Open(dir, state.Options{}); !errors.Is(err, state.ErrHeld) {
		t.Errorf("while the service holds it, its holder is named, not: %v", err)
	}
	must(t, s.Close())
	before, err := os.ReadDir(dir)
	must(t, err)
	refused()
	look, err := state.OpenReadOnly(dir, state.Options{})
	must(t, err)
	must(t, look.Close())
	after, err := os.ReadDir(dir)
	must(t, err)
	if len(before) != len(after) {
		t.Errorf("the folder had %v and has %v", before, after)
	}
	if _, err := os.Stat(filepath.Join(dir, "holder.json")); err == nil {
		t.Error("root signed as the holder")
	}
}
