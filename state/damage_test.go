package state_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	bolt "go.etcd.io/bbolt"

	"github.com/tandem-sync/tandem/state"
)

var tiny = state.Options{Reserve: -1, SegmentSize: 1000}

// fullFolder makes a state folder with several segments, two control commits and an index, and returns the log's records.
func fullFolder(t testing.TB, dir string) []string {
	t.Helper()
	s, err := state.Open(dir, tiny)
	must(t, err)
	var want []string
	for i := range 30 {
		r := fmt.Sprintf("record %d %s", i, strings.Repeat("y", 60))
		want = append(want, r)
		_, err := s.Log.Append(bg, [][]byte{[]byte(r)})
		must(t, err)
	}
	for i := range 300 {
		k := fmt.Sprintf("key %d", i)
		if i%100 == 0 {
			must(t, s.Control.Update(bg, func(tx state.Tx) error {
				for j := range 300 {
					if err := tx.Put("b", fmt.Sprintf("%s %d", k, j), []byte("value")); err != nil {
						return err
					}
				}
				return nil
			}))
		}
	}
	x, err := s.Index("census", "test", 1)
	must(t, err)
	must(t, x.Update(bg, func(tx state.Tx) error { return tx.Put("b", "k", []byte("v")) }))
	must(t, s.Close())
	return want
}

func segments(t testing.TB, dir string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "log", "*.log"))
	must(t, err)
	return names
}

func edit(t testing.TB, path string, f func([]byte) []byte) {
	t.Helper()
	b, err := os.ReadFile(path)
	must(t, err)
	must(t, os.WriteFile(path, f(b), 0o600))
}

// tryAll opens a folder and reads everything in it; it returns the first error.
func tryAll(dir string) error {
	s, err := state.Open(dir, tiny)
	if err != nil {
		return err
	}
	err = s.Log.Verify(bg)
	viewed := s.Control.View(bg, func(tx state.Tx) error {
		return tx.Each("b", "", func(string, []byte) error { return nil })
	})
	return errors.Join(err, viewed, s.Close())
}

func copyFolder(t testing.TB, from string) string {
	t.Helper()
	to := t.TempDir()
	must(t, os.CopyFS(to, os.DirFS(from)))
	return to
}

func TestDamageIsReported(t *testing.T) {
	whole := t.TempDir()
	fullFolder(t, whole)
	must(t, tryAll(whole))
	damages := map[string]func(t *testing.T, dir string){
		"bit flipped in the first segment": func(t *testing.T, dir string) {
			edit(t, segments(t, dir)[0], func(b []byte) []byte { b[200] ^= 4; return b })
		},
		"bit flipped early in the last segment": func(t *testing.T, dir string) {
			all := segments(t, dir)
			edit(t, all[len(all)-1], func(b []byte) []byte { b[70] ^= 4; return b })
		},
		"segment header": func(t *testing.T, dir string) {
			edit(t, segments(t, dir)[1], func(b []byte) []byte { b[15] ^= 1; return b })
		},
		"middle segment missing": func(t *testing.T, dir string) { must(t, os.Remove(segments(t, dir)[1])) },
		"first segment missing":  func(t *testing.T, dir string) { must(t, os.Remove(segments(t, dir)[0])) },
		"last segment missing":   func(t *testing.T, dir string) { all := segments(t, dir); must(t, os.Remove(all[len(all)-1])) },
		"all segments missing":   func(t *testing.T, dir string) { must(t, os.RemoveAll(filepath.Join(dir, "log"))) },
		"middle segment cut": func(t *testing.T, dir string) {
			edit(t, segments(t, dir)[1], func(b []byte) []byte { return b[:len(b)-80] })
		},
		"middle segment extended": func(t *testing.T, dir string) {
			edit(t, segments(t, dir)[1], func(b []byte) []byte { return append(b, 1) })
		},
		"segments swapped": func(t *testing.T, dir string) {
			all := segments(t, dir)
			b, err := os.ReadFile(all[0])
			must(t, err)
			must(t, os.WriteFile(all[1], b, 0o600))
		},
		"acknowledged end cut": func(t *testing.T, dir string) {
			all := segments(t, dir)
			edit(t, all[len(all)-1], func(b []byte) []byte { return b[:len(b)-1] })
		},
		"control missing": func(t *testing.T, dir string) { must(t, os.Remove(filepath.Join(dir, "control.db"))) },
		"control empty": func(t *testing.T, dir string) {
			edit(t, filepath.Join(dir, "control.db"), func([]byte) []byte { return nil })
		},
		"control is something else": func(t *testing.T, dir string) {
			edit(t, filepath.Join(dir, "control.db"), func([]byte) []byte { return bytes.Repeat([]byte("garbage "), 9000) })
		},
		"control cut": func(t *testing.T, dir string) {
			edit(t, filepath.Join(dir, "control.db"), func(b []byte) []byte { return b[:len(b)/3] })
		},
		"control value changed": func(t *testing.T, dir string) {
			edit(t, filepath.Join(dir, "control.db"), func(b []byte) []byte { return bytes.ReplaceAll(b, []byte("value"), []byte("valse")) })
		},
	}
	for name, damage := range damages {
		t.Run(name, func(t *testing.T) {
			dir := copyFolder(t, whole)
			damage(t, dir)
			problems := state.Check(bg, dir)
			err := tryAll(dir)
			var d *state.DamageError
			if !errors.Is(err, state.ErrDamaged) || !errors.As(err, &d) || d.File == "" || d.Why == "" {
				t.Errorf("opening and reading: %v", err)
			}
			found := false
			for _, p := range problems {
				found = found || errors.Is(p.Err, state.ErrDamaged) && p.Next != ""
			}
			if !found {
				t.Errorf("check found %v", problems)
			}
		})
	}
}

// TestControlDamageNeverPanics flips and overwrites random places of the control file. Every outcome but a panic and
// another value is allowed; a place that nothing refers to may go unnoticed.
func TestControlDamageNeverPanics(t *testing.T) {
	whole := t.TempDir()
	fullFolder(t, whole)
	path := filepath.Join(whole, "control.db")
	good, err := os.ReadFile(path)
	must(t, err)
	used := bytes.LastIndexFunc(good, func(r rune) bool { return r != 0 })
	reported := 0
	for seed := range uint64(400) {
		r := rand.New(rand.NewPCG(seed, 1))
		bad := bytes.Clone(good)
		for range 1 + r.IntN(3) {
			at := r.IntN(used)
			if r.IntN(2) == 0 {
				at = at / os.Getpagesize() * os.Getpagesize() // page heads and element tables
				at = min(at+r.IntN(64), len(bad)-9)
			}
			if r.IntN(2) == 0 {
				bad[at] ^= 1 << r.IntN(8)
			} else {
				binary.NativeEndian.PutUint64(bad[at:], r.Uint64())
			}
		}
		must(t, os.WriteFile(path, bad, 0o600))
		s, err := state.Open(whole, tiny)
		if err != nil {
			if !errors.Is(err, state.ErrDamaged) && !errors.Is(err, state.ErrVersion) {
				t.Fatalf("seed %d: %v", seed, err)
			}
			reported++
			continue
		}
		n := 0
		must(t, s.Control.View(bg, func(tx state.Tx) error {
			return tx.Each("b", "", func(_ string, v []byte) error {
				if n++; string(v) != "value" {
					t.Errorf("seed %d: value %q", seed, v)
				}
				return nil
			})
		}))
		if n != 900 {
			t.Errorf("seed %d: %d keys of 900", seed, n)
		}
		must(t, s.Close())
	}
	if reported < 50 {
		t.Errorf("only %d of 400 damages were found", reported)
	}
}

// An index in which any byte is another is refused, or no value in it is another one: a place that nothing refers to may go unnoticed, and one in the structure may
// hide keys.
func TestADamagedIndexHasNoOtherValues(t *testing.T) {
	dir := t.TempDir()
	s, err := state.Open(dir, tiny)
	must(t, err)
	x, err := s.Index("census", "test", 1)
	must(t, err)
	value := map[string]string{}
	for i := range 300 {
		value[fmt.Sprintf("key %03d", i)] = fmt.Sprintf("value %d of an object", i)
	}
	must(t, x.Update(bg, func(tx state.Tx) error {
		for _, k := range slices.Sorted(maps.Keys(value)) {
			if err := tx.Put("b", k, []byte(value[k])); err != nil {
				return err
			}
		}
		return nil
	}))
	must(t, s.Close())
	path := filepath.Join(dir, "index", "census.idx")
	good, err := os.ReadFile(path)
	must(t, err)
	refused := 0
	for at := 0; at < len(good); at += 97 {
		bad := bytes.Clone(good)
		bad[at] ^= 1 << (at % 8)
		must(t, os.WriteFile(path, bad, 0o600))
		found := len(state.Check(bg, dir)) > 0
		s, err := state.Open(dir, tiny)
		must(t, err)
		x, err := s.Index("census", "test", 1)
		if found != (err != nil) || err != nil && !errors.Is(err, state.ErrIndexUnusable) {
			t.Fatalf("byte %d: %v, and the check finds something: %v", at, err, found)
		}
		if err == nil {
			must(t, x.View(bg, func(tx state.Tx) error {
				return tx.Each("b", "", func(k string, v []byte) error {
					if string(v) == value[k] {
						return nil
					}
					return fmt.Errorf("byte %d: %q is %q", at, k, v)
				})
			}))
		} else {
			refused++
		}
		must(t, s.Close())
	}
	if refused < 50 {
		t.Errorf("only %d damages were found", refused)
	}
}

// An index of a version that wrote no checksums is made anew.
func TestAnIndexWithoutChecksumsIsMadeAnew(t *testing.T) {
	dir := t.TempDir()
	s, err := state.Open(dir, tiny)
	must(t, err)
	old, err := bolt.Open(filepath.Join(dir, "index", "census.idx"), 0o600, nil)
	must(t, err)
	must(t, old.Update(func(tx *bolt.Tx) error {
		b, err := tx.CreateBucket([]byte("state/format"))
		if err != nil {
			return err
		}
		return errors.Join(b.Put([]byte("format"), []byte("test")), b.Put([]byte("version"), binary.BigEndian.AppendUint64(nil, 1)))
	}))
	must(t, old.Close())
	if _, err := s.Index("census", "test", 1); !errors.Is(err, state.ErrIndexUnusable) || !strings.Contains(err.Error(), "without checksums") {
		t.Errorf("opened: %v", err)
	}
	must(t, s.RemoveIndex("census"))
	_, err = s.Index("census", "test", 1)
	must(t, err)
	must(t, s.Close())
}

func TestDamagedIndexIsUnusableAndRebuilt(t *testing.T) {
	dir := t.TempDir()
	fullFolder(t, dir)
	path := filepath.Join(dir, "index", "census.idx")
	edit(t, path, func(b []byte) []byte { return b[:5000] })
	if p := state.Check(bg, dir); len(p) != 1 || !errors.Is(p[0].Err, state.ErrIndexUnusable) {
		t.Errorf("check: %v", p)
	}
	s, err := state.Open(dir, tiny)
	must(t, err)
	if _, err := s.Index("census", "test", 1); !errors.Is(err, state.ErrIndexUnusable) {
		t.Errorf("open: %v", err)
	}
	must(t, s.RemoveIndex("census"))
	_, err = s.Index("census", "test", 1)
	must(t, err)
	must(t, s.Close())
}

func TestIndexNotSyncedBeforeRebootIsUnusable(t *testing.T) {
	dir := t.TempDir()
	fullFolder(t, dir)
	mark := filepath.Join(dir, "index", "census.unsynced")
	must(t, os.WriteFile(mark, []byte("an earlier start of the machine"), 0o600))
	if p := state.Check(bg, dir); len(p) != 1 || !errors.Is(p[0].Err, state.ErrIndexUnusable) {
		t.Errorf("check: %v", p)
	}
	s, err := state.Open(dir, tiny)
	must(t, err)
	if _, err := s.Index("census", "test", 1); !errors.Is(err, state.ErrIndexUnusable) {
		t.Errorf("open: %v", err)
	}
	must(t, s.RemoveIndex("census"))
	x, err := s.Index("census", "test", 1)
	must(t, err)
	must(t, x.View(bg, func(tx state.Tx) error {
		if tx.Get("b", "k") != nil {
			t.Error("the old content came back")
		}
		return nil
	}))
	must(t, s.Close())
}

// TestNewerFormatIsRefused: what a newer program wrote is refused and not a byte of it changes.
func TestNewerFormatIsRefused(t *testing.T) {
	newer := map[string]func(t *testing.T, dir string) string{
		"log": func(t *testing.T, dir string) string {
			all := segments(t, dir)
			edit(t, all[len(all)-1], func(b []byte) []byte { b[8] = 9; return b })
			return all[len(all)-1]
		},
		"control": func(t *testing.T, dir string) string {
			path := filepath.Join(dir, "control.db")
			edit(t, path, func(b []byte) []byte {
				table := crc32.MakeTable(crc32.Castagnoli)
				seal := func(v uint64) []byte {
					value := binary.BigEndian.AppendUint64(nil, v)
					sum := crc32.Checksum(append([]byte("state/format\x00version\x00"), value...), table)
					return binary.LittleEndian.AppendUint32(append([]byte("version"), value...), sum)
				}
				if !bytes.Contains(b, seal(1)) {
					t.Fatal("the version is not where this test looks")
				}
				return bytes.ReplaceAll(b, seal(1), seal(2))
			})
			return path
		},
	}
	for name, change := range newer {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			fullFolder(t, dir)
			path := change(t, dir)
			before, err := os.ReadFile(path)
			must(t, err)
			var v *state.VersionError
			if err := tryAll(dir); !errors.Is(err, state.ErrVersion) || !errors.As(err, &v) || v.Found <= v.Known {
				t.Errorf("open: %v", err)
			}
			if p := state.Check(bg, dir); len(p) != 1 || !errors.Is(p[0].Err, state.ErrVersion) {
				t.Errorf("check: %v", p)
			}
			after, err := os.ReadFile(path)
			must(t, err)
			if !bytes.Equal(before, after) {
				t.Error("the file was changed")
			}
		})
	}
}

// TestTornTailIsCutAndReported cuts the last, never acknowledged group at many bytes.
func TestTornTailIsCutAndReported(t *testing.T) {
	dir := t.TempDir()
	want := fullFolder(t, dir)
	all := segments(t, dir)
	last := all[len(all)-1]
	info, err := os.Stat(last)
	must(t, err)
	o := tiny
	o.SegmentSize = 1 << 20
	s, err := state.Open(dir, o)
	must(t, err)
	_, err = s.Log.Append(bg, [][]byte{[]byte("torn 1"), []byte("torn 2"), []byte("torn 3")})
	must(t, err)
	must(t, s.Log.Close()) // without a control commit, so control does not know the group
	must(t, s.Close())
	b, err := os.ReadFile(last)
	must(t, err)
	for cut := int(info.Size()) + 1; cut < len(b); cut += 5 {
		must(t, os.WriteFile(last, b[:cut], 0o600))
		if p := state.Check(bg, dir); len(p) != 1 || !errors.Is(p[0].Err, state.ErrTorn) {
			t.Fatalf("cut at %d: check: %v", cut, p)
		}
		r, err := state.OpenReadOnly(dir, o)
		must(t, err)
		if seq, _ := r.Log.Head(); seq != uint64(len(want)) || r.Torn() == nil {
			t.Fatalf("cut at %d: read-only head %d, torn %+v", cut, seq, r.Torn())
		}
		must(t, r.Close())
		s, err := state.Open(dir, o)
		must(t, err)
		if torn := s.Torn(); torn == nil || torn.Bytes != int64(cut)-info.Size() || torn.Offset != info.Size() {
			t.Fatalf("cut at %d: torn %+v", cut, torn)
		}
		if seq, _ := s.Log.Head(); seq != uint64(len(want)) {
			t.Fatalf("cut at %d: head %d", cut, seq)
		}
		must(t, s.Close())
	}
}

func TestReadOnlyChangesNothing(t *testing.T) {
	dir := t.TempDir()
	fullFolder(t, dir)
	a, err := state.OpenReadOnly(dir, tiny)
	must(t, err)
	b, err := state.OpenReadOnly(dir, tiny)
	must(t, err)
	if _, err := state.Open(dir, tiny); !errors.Is(err, state.ErrHeld) {
		t.Errorf("open beside readers: %v", err)
	}
	nothing := func(state.Tx) error { return nil }
	x, err := a.Index("census", "test", 1)
	must(t, err)
	_, appended := a.Log.Append(bg, [][]byte{nil})
	for what, err := range map[string]error{
		"update": a.Control.Update(bg, nothing), "append": appended, "index": x.Update(bg, nothing),
		"unsynced": x.UpdateNoSync(bg, nothing), "remove": a.RemoveIndex("other"),
	} {
		if !errors.Is(err, state.ErrReadOnly) {
			t.Errorf("%s: %v", what, err)
		}
	}
	must(t, a.Log.Verify(bg))
	must(t, a.Close())
	must(t, b.Close())
	s, err := state.Open(dir, tiny)
	must(t, err)
	if _, err := state.OpenReadOnly(dir, tiny); !errors.Is(err, state.ErrHeld) {
		t.Errorf("reading beside a holder: %v", err)
	}
	if p := state.Check(bg, dir); len(p) != 1 || !errors.Is(p[0].Err, state.ErrHeld) {
		t.Errorf("check beside a holder: %v", p)
	}
	must(t, s.Close())
	if p := state.Check(bg, dir); len(p) != 0 {
		t.Errorf("check: %v", p)
	}
	if p := state.Check(bg, t.TempDir()); len(p) != 1 {
		t.Errorf("check of an empty folder: %v", p)
	}
}

// saved is one file of a backup.
type saved struct {
	name    string
	content []byte
}

func backup(t *testing.T, s *state.Store) []saved {
	t.Helper()
	var files []saved
	must(t, s.Backup(bg, func(name string, size int64, r io.Reader) error {
		b, err := io.ReadAll(r)
		if int64(len(b)) != size {
			t.Errorf("%s has %d bytes, announced %d", name, len(b), size)
		}
		files = append(files, saved{name, b})
		return err
	}))
	return files
}

func restore(dir string, files []saved) error {
	_, err := restoreWith(dir, files, state.RestoreOptions{})
	return err
}

func restoreWith(dir string, files []saved, o state.RestoreOptions) (string, error) {
	return state.Restore(bg, dir, func() (string, io.Reader, error) {
		if len(files) == 0 {
			return "", nil, io.EOF
		}
		f := files[0]
		files = files[1:]
		return f.name, bytes.NewReader(f.content), nil
	}, o)
}

func TestBackupWhileRunningRestores(t *testing.T) {
	dir := t.TempDir()
	want := fullFolder(t, dir)
	s, err := state.Open(dir, tiny)
	must(t, err)
	must(t, s.Control.Update(bg, func(tx state.Tx) error { return state.AppendLater(tx, []byte("owed")) }))
	files := backup(t, s)
	for range 20 { // goes on after the backup
		_, err := s.AppendPending(bg)
		must(t, err)
		must(t, s.Control.Update(bg, func(tx state.Tx) error { return state.AppendLater(tx, []byte("later")) }))
	}
	must(t, s.Close())
	if err := restore(dir, files); err == nil {
		t.Error("restored over living state")
	}
	fresh := filepath.Join(t.TempDir(), "fresh")
	must(t, restore(fresh, files))
	r, err := state.Open(fresh, tiny)
	must(t, err)
	var got []string
	must(t, r.Log.Read(bg, 1, func(_ uint64, b []byte) error {
		got = append(got, string(b))
		return nil
	}))
	if len(got) != len(want)+1 || got[len(want)] != "owed" {
		t.Errorf("restored %d records, last %q", len(got), got[len(got)-1])
	}
	must(t, r.Close())
}

// TestOlderControlBesideNewerLog: after its control store was taken back, a log still takes new debts.
func TestOlderControlBesideNewerLog(t *testing.T) {
	dir := t.TempDir()
	fullFolder(t, dir)
	s, err := state.Open(dir, tiny)
	must(t, err)
	old := backup(t, s)
	for range 3 {
		must(t, s.Control.Update(bg, func(tx state.Tx) error { return state.AppendLater(tx, []byte("first life")) }))
	}
	_, err = s.AppendPending(bg)
	must(t, err)
	must(t, s.Close())
	edit(t, filepath.Join(dir, "control.db"), func([]byte) []byte { return old[0].content })
	s, err = state.Open(dir, tiny)
	must(t, err)
	must(t, s.Control.Update(bg, func(tx state.Tx) error { return state.AppendLater(tx, []byte("second life")) }))
	_, err = s.AppendPending(bg)
	must(t, err)
	found := 0
	must(t, s.Log.Read(bg, 1, func(_ uint64, b []byte) error {
		if string(b) == "second life" {
			found++
		}
		return nil
	}))
	if found != 1 {
		t.Errorf("the new debt is in the log %d times", found)
	}
	must(t, s.Close())
}

// names lists a folder.
func names(t *testing.T, dir string) (out []string) {
	t.Helper()
	es, err := os.ReadDir(dir)
	must(t, err)
	for _, e := range es {
		out = append(out, e.Name())
	}
	return out
}

// snapshot gives every file below a folder with its content.
func snapshot(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	must(t, filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		out[path] = string(b)
		return err
	}))
	return out
}

// TestARestoreThatIsCutOffNeverComesUpUnmarked cuts a restore off after each of its durable steps, into an empty folder and over living state: what
// opens afterwards is the old state or the marked new one, and repeating the restore ends it.
func TestARestoreThatIsCutOffNeverComesUpUnmarked(t *testing.T) {
	source := t.TempDir()
	fullFolder(t, source)
	s, err := state.Open(source, tiny)
	must(t, err)
	files := append(backup(t, s), saved{state.SavedName("cloudsync"), []byte("its keys")})
	must(t, s.Close())
	mark := func(s *state.Store) error {
		return s.Control.Update(bg, func(tx state.Tx) error { return tx.Put("test", "who", []byte("restored")) })
	}
	who := func(dir string) (string, error) {
		s, err := state.Open(dir, tiny)
		if err != nil {
			return "", err
		}
		defer s.Close()
		v := ""
		err = s.Control.View(bg, func(tx state.Tx) error { v = string(tx.Get("test", "who")); return nil })
		return v, err
	}
	cut := errors.New("cut off")
	for _, over := range []bool{false, true} {
		for _, point := range state.RestoreFailpoints() {
			for nth := 1; nth <= 3; nth++ { // a point may be passed more than once
				dir := filepath.Join(t.TempDir(), "state")
				if over {
					fullFolder(t, dir)
					s, err := state.Open(dir, tiny)
					must(t, err)
					must(t, s.Control.Update(bg, func(tx state.Tx) error { return tx.Put("test", "who", []byte("old")) }))
					must(t, s.Close())
				}
				crashed := t.TempDir()
				left := nth
				_, err := restoreWith(dir, files, state.RestoreOptions{Force: over, Mark: mark, Hook: func(p string) error {
					if p != point {
						return nil
					}
					if left--; left == 0 {
						must(t, os.CopyFS(filepath.Join(crashed, "state"), os.DirFS(dir))) // what a crash leaves: nothing is cleaned up
						return cut
					}
					return nil
				}})
				if err == nil {
					continue // passed less often
				}
				dir = filepath.Join(crashed, "state")
				if got, err := who(dir); err == nil && got != "restored" && (!over || got != "old") {
					t.Errorf("over %v, cut off at %s (%d): it opens as %q", over, point, nth, got)
				}
				if _, err := restoreWith(dir, files, state.RestoreOptions{Force: true, Mark: mark}); err != nil {
					t.Errorf("over %v, cut off at %s (%d): repeating it fails: %v", over, point, nth, err)
				}
				if got, err := who(dir); err != nil || got != "restored" {
					t.Errorf("over %v, cut off at %s (%d): after repeating it opens as %q, %v", over, point, nth, got, err)
				}
				if b, err := os.ReadFile(state.SavedFile(dir, "cloudsync")); err != nil || string(b) != "its keys" {
					t.Errorf("what was saved beside it: %q %v", b, err)
				}
			}
		}
	}
}

func TestARestoreOverLivingStatePutsItAside(t *testing.T) {
	dir := t.TempDir()
	want := fullFolder(t, dir)
	s, err := state.Open(dir, tiny)
	must(t, err)
	files := backup(t, s)
	must(t, s.Close())
	if _, err := restoreWith(dir, files, state.RestoreOptions{}); !errors.Is(err, state.ErrNotEmpty) {
		t.Errorf("without being forced: %v", err)
	}
	aside, err := restoreWith(dir, files, state.RestoreOptions{Force: true})
	must(t, err)
	for _, d := range []string{dir, aside} {
		s, err := state.Open(d, tiny)
		must(t, err)
		if n, _ := s.Log.Head(); int(n) < len(want) {
			t.Errorf("%s holds %d records", d, n)
		}
		must(t, s.Close())
	}
}

func TestRestoreRefusesStrangeBackups(t *testing.T) {
	dir := t.TempDir()
	fullFolder(t, dir)
	s, err := state.Open(dir, tiny)
	must(t, err)
	good := backup(t, s)
	stop := errors.New("disk full")
	err = s.Backup(bg, func(string, int64, io.Reader) error { return stop })
	if !errors.Is(err, stop) {
		t.Errorf("a backup that cannot be written: %v", err)
	}
	must(t, s.Close())
	strange := map[string][]saved{
		"nothing":               nil,
		"a path that leads out": append([]saved{{"../evil", nil}}, good...),
		"another file":          append([]saved{{"log/../../evil", nil}}, good...),
		"without control":       good[1:],
		"without its log":       good[:1],
		"without a segment":     append(append([]saved{}, good[:2]...), good[3:]...),
	}
	for name, files := range strange {
		into := t.TempDir()
		if err := restore(into, files); err == nil {
			t.Errorf("%s: restored", name)
		}
		if left := names(t, into); len(left) > 0 {
			t.Errorf("%s: the empty folder holds %v now", name, left)
		}
		if err := restore(into, good); err != nil {
			t.Errorf("%s: afterwards a good backup is refused: %v", name, err)
		}
		gone := filepath.Join(t.TempDir(), "new")
		if err := restore(gone, files); err == nil || len(names(t, filepath.Dir(gone))) > 0 {
			t.Errorf("%s: a folder that was not there is there now (%v)", name, err)
		}
		before := snapshot(t, dir)
		if _, err := restoreWith(dir, files, state.RestoreOptions{Force: true}); err == nil {
			t.Errorf("%s: restored over living state", name)
		}
		if after := snapshot(t, dir); !maps.Equal(before, after) {
			t.Errorf("%s: the living state was changed", name)
		}
	}
	ctx, cancel := context.WithCancel(bg)
	cancel()
	if _, err := state.Restore(ctx, t.TempDir(), func() (string, io.Reader, error) { return "control.db", bytes.NewReader(nil), nil }, state.RestoreOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// A check beside a running host finds damage in the log, and none where there is none.
func TestCheckBesideARunningStore(t *testing.T) {
	dir := t.TempDir()
	s, err := state.Open(dir, state.Options{Command: "test"})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for range 20 {
		if _, err := s.Log.Append(t.Context(), [][]byte{bytes.Repeat([]byte("record "), 50)}); err != nil {
			t.Fatal(err)
		}
	}
	if p := s.Check(t.Context()); len(p) > 0 {
		t.Fatalf("a whole store: %v", p)
	}
	logs, err := filepath.Glob(filepath.Join(dir, "log", "*"))
	if err != nil || len(logs) == 0 {
		t.Fatal(logs, err)
	}
	b, err := os.ReadFile(logs[0])
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/2] ^= 1
	f, err := os.OpenFile(logs[0], os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(b, 0); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	p := s.Check(t.Context())
	if len(p) != 1 || !errors.Is(p[0].Err, state.ErrDamaged) || p[0].Next == "" {
		t.Fatalf("a damaged log: %v", p)
	}
}
