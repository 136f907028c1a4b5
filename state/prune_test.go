package state_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/tandem-sync/tandem/state"
)

// parted returns a folder whose log has segments of three records each, and its store.
func parted(t *testing.T, segments int) (string, *state.Store) {
	t.Helper()
	dir := t.TempDir()
	s, err := state.Open(dir, state.Options{Reserve: -1})
	must(t, err)
	for i := range segments {
		_, err := s.Log.Append(bg, [][]byte{fmt.Appendf(nil, "a%d", i), fmt.Appendf(nil, "b%d", i), fmt.Appendf(nil, "c%d", i)})
		must(t, err)
		must(t, s.EndSegment(bg))
	}
	return dir, s
}

func numbers(t *testing.T, s *state.Store) (out []uint64) {
	t.Helper()
	must(t, s.Log.Read(bg, 1, func(seq uint64, _ []byte) error {
		out = append(out, seq)
		return nil
	}))
	return out
}

func TestAPrunedLogOpensFromItsBeginningAndKeepsItsChain(t *testing.T) {
	dir, s := parted(t, 4)
	head, hash := s.Log.Head()
	ended := s.Segments()
	if len(ended) != 4 || ended[1].First != 4 || ended[1].Last != 6 || ended[1].Prev != ended[0].Hash {
		t.Fatalf("%+v", ended)
	}
	must(t, s.Prune(bg, 7, 8))
	for range 2 {
		if first, base := s.Beginning(); first != 7 || base != 8 {
			t.Errorf("it begins with %d and is read from %d", first, base)
		}
		if got := numbers(t, s); !slices.Equal(got, []uint64{7, 8, 9, 10, 11, 12}) {
			t.Errorf("records %v", got)
		}
		must(t, s.Log.Verify(bg))
		must(t, s.Log.CheckHead(bg, head, hash))
		must(t, s.Log.CheckHead(bg, 6, ended[1].Hash)) // the last that was removed
		if err := s.Log.CheckHead(bg, 6, ended[0].Hash); !errors.Is(err, state.ErrDamaged) {
			t.Errorf("another hash before the beginning: %v", err)
		}
		if err := s.Log.CheckHead(bg, 3, ended[0].Hash); !errors.Is(err, state.ErrPruned) {
			t.Errorf("a head that was removed: %v", err)
		}
		must(t, s.Close())
		if ps := state.Check(bg, dir); len(ps) > 0 {
			t.Errorf("%v", ps)
		}
		var err error
		s, err = state.Open(dir, state.Options{Reserve: -1})
		must(t, err)
	}
	last, err := s.Log.Append(bg, [][]byte{[]byte("on")})
	must(t, err)
	if last != head+1 {
		t.Errorf("it goes on with %d", last)
	}
	must(t, s.Close())
}

func TestNothingIsPrunedThatIsNeeded(t *testing.T) {
	_, s := parted(t, 3)
	for _, c := range []struct{ first, base uint64 }{{5, 8}, {7, 6}, {7, 10}, {13, 13}} {
		if err := s.Prune(bg, c.first, c.base); err == nil {
			t.Errorf("pruned to %d with %d", c.first, c.base)
		}
	}
	if got := numbers(t, s); len(got) != 9 {
		t.Errorf("records %v", got)
	}
	must(t, s.Prune(bg, 4, 7))
	if err := s.Prune(bg, 1, 7); err == nil {
		t.Error("what was removed came back")
	}
	must(t, s.Close())
}

// A log whose first segment is not where control says that it begins lost something, or is another one.
func TestALogWithoutItsBeginningIsDamaged(t *testing.T) {
	for name, spoil := range map[string]func(dir string){
		"the first segment is missing": func(dir string) { must(t, os.Remove(filepath.Join(dir, "log", state.SegmentFile(7)))) },
		"all are missing": func(dir string) {
			for _, first := range []uint64{7, 10, 13} {
				must(t, os.Remove(filepath.Join(dir, "log", state.SegmentFile(first))))
			}
		},
		"another log's": func(dir string) {
			stranger := t.TempDir()
			s, err := state.Open(stranger, state.Options{Reserve: -1})
			must(t, err)
			for i := range 2 {
				_, err := s.Log.Append(bg, [][]byte{[]byte("x"), []byte("y"), fmt.Append(nil, i)})
				must(t, err)
				must(t, s.EndSegment(bg))
			}
			must(t, s.Close())
			b, err := os.ReadFile(filepath.Join(stranger, "log", state.SegmentFile(7)))
			must(t, err)
			must(t, os.WriteFile(filepath.Join(dir, "log", state.SegmentFile(7)), b, 0o600))
		},
	} {
		dir, s := parted(t, 4)
		must(t, s.Prune(bg, 7, 8))
		must(t, s.Close())
		spoil(dir)
		if _, err := state.Open(dir, state.Options{Reserve: -1}); !errors.Is(err, state.ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
		if ps := state.Check(bg, dir); len(ps) == 0 {
			t.Errorf("%s: check finds nothing", name)
		}
	}
}

func TestReadersEndTheirReadingWhileItIsPruned(t *testing.T) {
	_, s := parted(t, 4)
	var read []uint64
	must(t, s.Log.Read(bg, 1, func(seq uint64, _ []byte) error {
		if read = append(read, seq); seq == 2 {
			must(t, s.Prune(bg, 10, 11))
		}
		return nil
	}))
	if len(read) != 12 {
		t.Errorf("read %v", read)
	}
	if got := numbers(t, s); got[0] != 10 {
		t.Errorf("afterwards %v", got)
	}
	must(t, s.Close())
}

func TestABackupThatIsPrunedMeanwhileIsWhole(t *testing.T) {
	for _, when := range []string{"control.db", "log/" + state.SegmentFile(4)} {
		_, s := parted(t, 4)
		files := map[string][]byte{}
		var names []string
		must(t, s.Backup(bg, func(name string, _ int64, content io.Reader) error {
			b, err := io.ReadAll(content)
			files[name], names = b, append(names, name)
			if name == when {
				must(t, s.Prune(bg, 10, 11))
			}
			return err
		}))
		must(t, s.Close())
		to := filepath.Join(t.TempDir(), "restored")
		_, err := state.Restore(bg, to, func() (string, io.Reader, error) {
			if len(names) == 0 {
				return "", nil, io.EOF
			}
			n := names[0]
			names = names[1:]
			return n, bytes.NewReader(files[n]), nil
		}, state.RestoreOptions{})
		if err != nil {
			t.Fatalf("pruned after %s: %v", when, err)
		}
		back, err := state.Open(to, state.Options{Reserve: -1})
		must(t, err)
		if got := numbers(t, back); len(got) != 12 {
			t.Errorf("pruned after %s: records %v", when, got)
		}
		must(t, back.Close())
	}
}

func TestASegmentThatWasCopiedIsReadAndItsDamageFound(t *testing.T) {
	_, s := parted(t, 2)
	var b bytes.Buffer
	must(t, s.CopySegment(bg, 4, &b))
	want := s.Segments()[1]
	must(t, s.Close())
	var got []uint64
	g, err := state.ReadSegment("x", bytes.NewReader(b.Bytes()), int64(b.Len()), func(e state.LogEntry) error {
		got = append(got, e.Seq)
		return nil
	})
	must(t, err)
	if g != want || !slices.Equal(got, []uint64{4, 5, 6}) {
		t.Errorf("%+v with %v, want %+v", g, got, want)
	}
	for i := range b.Len() {
		bad := bytes.Clone(b.Bytes())
		bad[i] ^= 1
		if g, err := state.ReadSegment("x", bytes.NewReader(bad), int64(len(bad)), func(state.LogEntry) error { return nil }); err == nil && g == want {
			t.Fatalf("byte %d is another and nothing is found", i)
		}
	}
	for n := range b.Len() {
		if g, err := state.ReadSegment("x", bytes.NewReader(b.Bytes()[:n]), int64(n), func(state.LogEntry) error { return nil }); err == nil && g == want {
			t.Fatalf("cut at byte %d and nothing is found", n)
		}
	}
}
