package journal_test

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/journal"
	"github.com/tandem-sync/tandem/state"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

var (
	signer  = journal.Signer{Installation: "i1", Key: ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))}
	public  = journal.Public(signer.Key)
	another = journal.Signer{Installation: "i1", Key: ed25519.NewKeyFromSeed([]byte(strings.Repeat("x", ed25519.SeedSize)))}
)

// log returns a store that is closed with the test.
func log(t *testing.T) *state.Store {
	t.Helper()
	s, err := state.Open(t.TempDir(), state.Options{Reserve: -1})
	must(t, err)
	t.Cleanup(func() { must(t, s.Close()) })
	return s
}

// write appends records of a name and ends the segment.
func write(t *testing.T, s *state.Store, name string) {
	t.Helper()
	_, err := s.Log.Append(t.Context(), [][]byte{[]byte(name + "1"), []byte(name + "2")})
	must(t, err)
	must(t, s.EndSegment(t.Context()))
}

func options() journal.Options {
	return journal.Options{Now: func() time.Time { return time.Unix(0, 0) }}
}

func export(t *testing.T, dir string, s *state.Store) (journal.Head, int) {
	t.Helper()
	h, n, err := journal.Export(t.Context(), dir, s, signer, options())
	must(t, err)
	return h, n
}

// records verifies an archive and returns what its records say.
func records(t *testing.T, dir string) (text string, err error) {
	t.Helper()
	_, err = journal.Verify(t.Context(), dir, public, func(e state.LogEntry) error {
		text += string(e.Record) + " "
		return nil
	})
	return text, err
}

func TestAnArchiveHoldsTheWholeChainAlsoOfWhatWasPruned(t *testing.T) {
	s, dir := log(t), filepath.Join(t.TempDir(), "archive")
	if _, err := journal.Read(dir, ""); !errors.Is(err, journal.ErrNone) {
		t.Errorf("no archive: %v", err)
	}
	write(t, s, "a")
	write(t, s, "b")
	if h, n := export(t, dir, s); n != 2 || h.Seq != 4 {
		t.Errorf("%d segments to record %d", n, h.Seq)
	}
	write(t, s, "c")
	must(t, s.Prune(t.Context(), 3, 5))
	if h, n := export(t, dir, s); n != 1 || h.Seq != 6 || len(h.Segments) != 3 {
		t.Errorf("%d more, %+v", n, h)
	}
	if got, err := records(t, dir); err != nil || got != "a1 a2 b1 b2 c1 c2 " {
		t.Errorf("%q, %v", got, err)
	}
}

func TestWithNothingNewNothingIsWritten(t *testing.T) {
	s, dir := log(t), t.TempDir()
	write(t, s, "a")
	export(t, dir, s)
	head, err := os.Stat(filepath.Join(dir, journal.HeadFile))
	must(t, err)
	must(t, s.EndSegment(t.Context()))
	if _, n := export(t, dir, s); n != 0 {
		t.Errorf("%d segments are new", n)
	}
	again, err := os.Stat(filepath.Join(dir, journal.HeadFile))
	must(t, err)
	if !os.SameFile(head, again) || len(s.Segments()) != 1 {
		t.Error("it was written anew")
	}
}

func TestAnArchiveOfAnotherJournalIsRefused(t *testing.T) {
	s, dir := log(t), t.TempDir()
	write(t, s, "a")
	write(t, s, "b")
	export(t, dir, s)
	if _, _, err := journal.Export(t.Context(), dir, s, another, options()); !errors.Is(err, journal.ErrOther) {
		t.Errorf("another key: %v", err)
	}
	diverged := log(t)
	write(t, diverged, "a")
	write(t, diverged, "x")
	if _, _, err := journal.Export(t.Context(), dir, diverged, signer, options()); !errors.Is(err, journal.ErrOther) {
		t.Errorf("another history: %v", err)
	}
	longer := log(t)
	_, err := longer.Log.Append(t.Context(), [][]byte{[]byte("a1"), []byte("a2"), []byte("b1"), []byte("b2"), []byte("c")})
	must(t, err)
	must(t, longer.EndSegment(t.Context()))
	if _, _, err := journal.Export(t.Context(), dir, longer, signer, options()); !errors.Is(err, journal.ErrOther) {
		t.Errorf("other segments: %v", err)
	}
	must(t, s.Prune(t.Context(), 3, 3))
	if _, _, err := journal.Export(t.Context(), t.TempDir(), s, signer, options()); !errors.Is(err, journal.ErrOther) || !strings.Contains(err.Error(), "pruned") {
		t.Errorf("what was pruned is in another archive: %v", err)
	}
}

// Whatever changes in an archive, each byte of it, is found.
func TestDamageIsFound(t *testing.T) {
	s, dir := log(t), t.TempDir()
	write(t, s, "a")
	write(t, s, "b")
	export(t, dir, s)
	files, err := os.ReadDir(dir)
	must(t, err)
	for _, f := range files {
		name := filepath.Join(dir, f.Name())
		good, err := os.ReadFile(name)
		must(t, err)
		found := func(what string, b []byte) {
			t.Helper()
			must(t, os.WriteFile(name, b, 0o600))
			if _, err := records(t, dir); !errors.Is(err, journal.ErrDamaged) && !errors.Is(err, journal.ErrOther) {
				t.Errorf("%s %s: %v", f.Name(), what, err)
			}
		}
		for i := range good {
			if good[i] == ' ' || good[i] == '\n' {
				continue // between the values of a head
			}
			bad := append([]byte(nil), good...)
			bad[i] ^= 1
			if strings.EqualFold(string(bad), string(good)) {
				continue
			}
			found(fmt.Sprintf("with another byte %d (%q)", i, good[i]), bad)
		}
		found("cut off", good[:len(good)/2])
		must(t, os.Remove(name))
		if _, err := records(t, dir); !errors.Is(err, journal.ErrDamaged) && !errors.Is(err, journal.ErrNone) {
			t.Errorf("%s missing: %v", f.Name(), err)
		}
		must(t, os.WriteFile(name, good, 0o600))
	}
	if _, err := records(t, dir); err != nil {
		t.Errorf("as it was: %v", err)
	}
}

// Whatever step an export is broken off at, the archive is as it was or as it should be, and the next export ends it.
func TestAnExportThatIsBrokenOffLosesNothing(t *testing.T) {
	for _, why := range []error{errors.New("crash"), syscall.ENOSPC} {
		for n := 1; ; n++ {
			s, dir := log(t), t.TempDir()
			write(t, s, "a")
			export(t, dir, s)
			write(t, s, "b")
			write(t, s, "c")
			passed := 0
			o := options()
			o.Hook = func(string) error {
				if passed++; passed == n {
					return why
				}
				return nil
			}
			_, _, err := journal.Export(t.Context(), dir, s, signer, o)
			if passed < n {
				must(t, err)
				break
			}
			if !errors.Is(err, why) {
				t.Errorf("step %d: %v", n, err)
			}
			if got, err := records(t, dir); err != nil || got != "a1 a2 " && got != "a1 a2 b1 b2 c1 c2 " {
				t.Errorf("broken off at step %d: %q, %v", n, got, err)
			}
			export(t, dir, s)
			if got, err := records(t, dir); err != nil || got != "a1 a2 b1 b2 c1 c2 " {
				t.Errorf("after step %d: %q, %v", n, got, err)
			}
		}
	}
}
