package state_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/tandem-sync/tandem/state"
)

// FuzzControlFile gives control any bytes: it opens or refuses, never panics.
func FuzzControlFile(f *testing.F) {
	good := f.TempDir()
	s, err := state.Open(good, state.Options{Reserve: -1})
	must(f, err)
	must(f, s.Control.Update(bg, func(tx state.Tx) error { return tx.Put("b", "k", []byte("v")) }))
	must(f, s.Close())
	b, err := os.ReadFile(filepath.Join(good, "control.db"))
	must(f, err)
	f.Add(b, 0, uint64(0))
	f.Add(b[:100], 8, uint64(1))
	for at := 0; at < len(b); at += 512 {
		f.Add(b, at, uint64(0xffffffffffff))
	}
	f.Fuzz(func(t *testing.T, b []byte, at int, mask uint64) {
		dir := t.TempDir()
		bad := bytes.Clone(b)
		for i := range 8 {
			if p := at + i; p >= 0 && p < len(bad) {
				bad[p] ^= byte(mask >> (8 * i))
			}
		}
		for _, d := range []string{"log", "index"} {
			must(t, os.Mkdir(filepath.Join(dir, d), 0o700))
		}
		must(t, os.WriteFile(filepath.Join(dir, "control.db"), bad, 0o600))
		s, err := state.Open(dir, state.Options{Reserve: -1})
		if err != nil {
			if !errors.Is(err, state.ErrDamaged) && !errors.Is(err, state.ErrVersion) {
				t.Fatalf("refused as %v", err)
			}
			return
		}
		err = s.Control.Update(bg, func(tx state.Tx) error { return tx.Put("b", "other", []byte("v")) })
		if err != nil && !errors.Is(err, state.ErrDamaged) && !errors.Is(err, state.ErrBroken) {
			t.Fatalf("update: %v", err)
		}
		if err := s.Close(); err != nil && !errors.Is(err, state.ErrBroken) {
			t.Fatal(err)
		}
	})
}
