package state_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"

	"github.com/tandem-sync/tandem/state"
)

var bg = context.Background()

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// world does a little of everything and remembers what was acknowledged and what was tried.
type world struct {
	t            *testing.T
	s            *state.Store
	acked, tried []string          // log records, by content; owed ones are acked with their commit
	owed         map[string]bool   // tried records that a commit owes
	control      map[string]string // key → last acknowledged value
	maybe        map[string]string // key → value tried and not acknowledged
	pruned       map[string]bool   // log records that were, or may have been, removed
	seq          int
}

func newWorld(t *testing.T) *world {
	return &world{t: t, control: map[string]string{}, maybe: map[string]string{}, owed: map[string]bool{}, pruned: map[string]bool{}}
}

func (w *world) name() string {
	w.seq++
	return fmt.Sprintf("record-%d-%s", w.seq, strings.Repeat("x", w.seq%150))
}

// step does one round and returns the first failure.
func (w *world) step() error {
	if err := w.append(); err != nil {
		return err
	}
	if err := w.commit(); err != nil {
		return err
	}
	if _, err := w.s.AppendPending(bg); err != nil {
		return err
	}
	if err := w.prune(); err != nil {
		return err
	}
	return w.index()
}

// prune removes all segments but the last two, once a record says from where on a reader needs none of them.
func (w *world) prune() error {
	if err := w.s.EndSegment(bg); err != nil {
		return err
	}
	ended := w.s.Segments()
	if len(ended) < 2 {
		return nil
	}
	base := w.name()
	w.tried = append(w.tried, base, w.name(), w.name())
	last, err := w.s.Log.Append(bg, [][]byte{[]byte(base), []byte(w.tried[len(w.tried)-2]), []byte(w.tried[len(w.tried)-1])})
	if err != nil {
		return err
	}
	w.acked = append(w.acked, w.tried[len(w.tried)-3:]...)
	first := ended[len(ended)-1].First
	err = w.s.Log.Read(bg, 1, func(seq uint64, r []byte) error {
		if seq < first {
			w.pruned[string(r)] = true
		}
		return nil
	})
	if err != nil {
		return err
	}
	return w.s.Prune(bg, first, last-2)
}

func (w *world) append() error {
	batch := []string{w.name(), w.name(), w.name()}
	w.tried = append(w.tried, batch...)
	_, err := w.s.Log.Append(bg, [][]byte{[]byte(batch[0]), []byte(batch[1]), []byte(batch[2])})
	if err == nil {
		w.acked = append(w.acked, batch...)
	}
	return err
}

func (w *world) commit() error {
	debt := w.name()
	key, value := fmt.Sprint("k", w.seq%7), debt
	w.owed[debt], w.maybe[key] = true, value
	err := w.s.Control.Update(bg, func(tx state.Tx) error {
		return errors.Join(tx.Put("b", key, []byte(value)), state.AppendLater(tx, []byte(debt)))
	})
	if err == nil {
		w.control[key] = value
		w.acked = append(w.acked, debt)
		delete(w.maybe, key)
	}
	return err
}

func (w *world) index() error {
	x, err := w.s.Index("index", "test", 1)
	if errors.Is(err, state.ErrIndexUnusable) {
		if err := w.s.RemoveIndex("index"); err != nil {
			return err
		}
		x, err = w.s.Index("index", "test", 1)
	}
	if err != nil {
		return err
	}
	put := func(tx state.Tx) error { return tx.Put("b", fmt.Sprint(w.seq), nil) }
	for _, f := range []func() error{
		func() error { return x.Update(bg, put) },
		func() error { return x.UpdateNoSync(bg, put) },
		func() error { return x.Sync(bg) },
		func() error { return x.UpdateNoSync(bg, put) },
	} {
		if err := f(); err != nil {
			return err
		}
	}
	return x.Close()
}

// check compares the store with what was acknowledged: nothing of it is missing, nothing is there twice, in the order of
// acknowledgement, whole batches only, and an owed record is there exactly when its commit is.
func (w *world) check(where string) {
	w.t.Helper()
	count := map[string]int{}
	must(w.t, w.s.Log.Verify(bg))
	first, base := w.s.Beginning()
	next := first
	must(w.t, w.s.Log.Read(bg, 1, func(seq uint64, r []byte) error {
		if seq != next {
			w.t.Fatalf("%s: record %d is read where %d should be", where, seq, next)
		}
		next++
		count[string(r)]++
		return nil
	}))
	if base != 0 && (base < first || base >= next) {
		w.t.Fatalf("%s: a reader would begin at record %d of %d to %d", where, base, first, next-1)
	}
	tried := map[string]bool{}
	for _, r := range w.tried {
		tried[r] = true
	}
	for r, n := range count {
		if n != 1 || !w.owed[r] && !tried[r] {
			w.t.Fatalf("%s: record %q is there %d times", where, r, n)
		}
	}
	for _, r := range w.acked {
		if count[r] != 1 && !w.pruned[r] {
			w.t.Fatalf("%s: acknowledged record %q is lost", where, r)
		}
	}
	for i := 0; i < len(w.tried); i += 3 {
		if n := count[w.tried[i]] + count[w.tried[i+1]] + count[w.tried[i+2]]; n != 0 && n != 3 && !w.pruned[w.tried[i]] {
			w.t.Fatalf("%s: %d records of a batch of 3", where, n)
		}
	}
	must(w.t, w.s.Control.View(bg, func(tx state.Tx) error {
		return errors.Join(w.checkControl(where, tx, count), w.settle(tx))
	}))
}

func (w *world) checkControl(where string, tx state.Tx, count map[string]int) error {
	for k := range w.maybe {
		if v := string(tx.Get("b", k)); v == w.maybe[k] && count[v] != 1 || v != w.maybe[k] && count[w.maybe[k]] != 0 {
			return fmt.Errorf("%s: control has %q=%q, the log has the owed record %d times", where, k, v, count[w.maybe[k]])
		}
	}
	for k, want := range w.control {
		if v := string(tx.Get("b", k)); v != want && v != w.maybe[k] {
			return fmt.Errorf("%s: control has %q=%q, acknowledged was %q", where, k, v, want)
		}
	}
	return nil
}

// settle takes over what turned out to be there, for the next round.
func (w *world) settle(tx state.Tx) error {
	clear(w.maybe)
	return tx.Each("b", "", func(k string, v []byte) error {
		w.control[k] = string(v)
		return nil
	})
}

// crasher is a disk that can lose power, or at least its process.
type crasher struct {
	open  func() (*state.Store, error)
	crash func(*state.Store)
}

func crashers(t *testing.T, o state.Options, r *rand.Rand) map[string]crasher {
	m, dir := state.Memory(o), t.TempDir()
	return map[string]crasher{
		"memory": {m.Open, func(*state.Store) { m.Crash(r) }},
		"disk": {func() (*state.Store, error) { return state.Open(dir, o) }, func(s *state.Store) {
			// Closing a store broken at a failpoint writes nothing more of the log and of control.
			if s != nil {
				_ = s.Close()
			}
		}},
	}
}

// walk crashes a store at the n-th passing of a point, for n rising until the work is done without passing it so often.
func walk(t *testing.T, c crasher, point string, armed *string, skip *int) (reached bool) {
	w := newWorld(t)
	for n := range 30 {
		*armed, *skip = point, n
		s, err := c.open()
		w.s = s
		for i := 0; err == nil && i < 2; i++ {
			err = w.step()
		}
		fired := *armed == ""
		*armed = ""
		if !fired {
			must(t, err)
			must(t, s.Close())
			return reached
		}
		reached = true
		if !errors.Is(err, errStopped) && !errors.Is(err, state.ErrFull) {
			t.Fatalf("stopped at %s: %v", point, err)
		}
		c.crash(s)
		w.s, err = c.open()
		must(t, err)
		w.check(fmt.Sprintf("after stopping at passing %d of %s", n+1, point))
		must(t, w.step())
		c.crash(w.s)
	}
	return reached
}

var errStopped = errors.New("stopped here")

// TestCrashAtEachFailpoint stops the real code at every durable step, on disk and in memory, and fails for a name in the
// registry that the work never reaches.
func TestCrashAtEachFailpoint(t *testing.T) {
	for _, backend := range []string{"memory", "disk"} {
		for _, point := range append(state.Failpoints(), state.PruneFailpoints()...) {
			if point == state.FailReserveRelease || point == state.FailOpenBeforeCut {
				continue // below: they need a full disk and a torn log
			}
			t.Run(backend+"/"+point, func(t *testing.T) {
				var armed string
				var skip int
				o := state.Options{Reserve: -1, SegmentSize: 1500, Hook: func(p string) error {
					if p != armed {
						return nil
					}
					if skip--; skip >= 0 {
						return nil
					}
					armed = ""
					return errStopped
				}}
				c := crashers(t, o, rand.New(rand.NewPCG(1, 2)))[backend]
				if !walk(t, c, point, &armed, &skip) {
					t.Errorf("%s is in the registry and was never reached", point)
				}
			})
		}
	}
}

func TestCrashWhileCuttingTornTail(t *testing.T) {
	for _, backend := range []string{"memory", "disk"} {
		t.Run(backend, func(t *testing.T) {
			armed, cuts := "", 0
			o := state.Options{Reserve: -1, SegmentSize: 1500, Hook: func(p string) error {
				if p == state.FailOpenBeforeCut {
					cuts++
				}
				if p == armed {
					armed = ""
					return errStopped
				}
				return nil
			}}
			w, r := newWorld(t), rand.New(rand.NewPCG(3, 4))
			c := crashers(t, o, r)[backend]
			for range 20 {
				s, err := c.open()
				must(t, err)
				w.s = s
				w.check("after a torn append")
				armed = state.FailAppendTorn
				if err := w.append(); !errors.Is(err, errStopped) {
					t.Fatal(err)
				}
				c.crash(s)
				armed = state.FailOpenBeforeCut
				if s, err = c.open(); err == nil { // the crash left nothing torn
					c.crash(s)
				} else if !errors.Is(err, errStopped) {
					t.Fatal(err)
				}
				armed = ""
			}
			if cuts == 0 {
				t.Error("no tail was ever cut")
			}
		})
	}
}

// TestRandomCrashes runs the work through many crashes at random failpoints, crashes while opening included.
func TestRandomCrashes(t *testing.T) {
	for seed := range uint64(100) {
		r := rand.New(rand.NewPCG(seed, 7))
		left := -1 // failpoints to pass until the crash
		o := state.Options{Reserve: -1, SegmentSize: 700, Hook: func(string) error {
			if left--; left == 0 {
				return errStopped
			}
			return nil
		}}
		m, w := state.Memory(o), newWorld(t)
		for range 12 {
			left = 1 + r.IntN(60)
			s, err := m.Open()
			for w.s = s; err == nil; {
				err = w.step()
			}
			if !errors.Is(err, errStopped) {
				t.Fatalf("seed %d: %v", seed, err)
			}
			m.Crash(r)
			if s != nil {
				if _, err := s.Log.Append(bg, [][]byte{nil}); !errors.Is(err, state.ErrCrashed) {
					t.Fatalf("append after a crash: %v", err)
				}
				if err := s.Control.Update(bg, func(state.Tx) error { return nil }); !errors.Is(err, state.ErrCrashed) {
					t.Fatalf("update after a crash: %v", err)
				}
			}
			left = -1
			w.s, err = m.Reopen()
			must(t, err)
			w.check(fmt.Sprintf("seed %d", seed))
			m.Crash(r)
		}
	}
}

// TestFullDisk fills the disk: ordinary work is turned away and loses nothing, settling goes on out of the reserve, and
// when there is space again everything does.
func TestFullDisk(t *testing.T) {
	released, full := 0, false
	o := state.Options{Reserve: 3 << 20, Hook: func(p string) error {
		if p == state.FailReserveRelease {
			released++
		}
		if p == state.FailControlBeforeCommit && full {
			return syscall.ENOSPC
		}
		return nil
	}}
	m := state.Memory(o)
	s, err := m.Open()
	must(t, err)
	record := make([]byte, 100_000)
	m.SetSpace(250_000)
	n := uint64(0)
	for err == nil {
		if _, err = s.Log.Append(bg, [][]byte{record}); err == nil {
			n++
		}
	}
	if !errors.Is(err, state.ErrFull) || errors.Is(err, state.ErrBroken) || n != 2 {
		t.Fatalf("after %d records: %v", n, err)
	}
	for range 5 {
		_, err := s.Log.Append(state.WithReserve(bg), [][]byte{record})
		must(t, err)
		n++
		if _, err := s.Log.Append(bg, [][]byte{[]byte("small")}); !errors.Is(err, state.ErrFull) {
			t.Fatalf("ordinary work while the reserve is not whole: %v", err)
		}
	}
	if released == 0 {
		t.Error("the reserve was not used")
	}
	full = true
	tries := 0
	err = s.Control.Update(state.WithReserve(bg), func(tx state.Tx) error {
		if tries++; tries == 2 {
			full = false
		}
		return tx.Put("b", "k", []byte("rollback"))
	})
	if err != nil || tries != 2 {
		t.Errorf("control out of the reserve: %v after %d tries", err, tries)
	}
	if err := s.Control.Update(bg, func(state.Tx) error { return nil }); !errors.Is(err, state.ErrFull) {
		t.Errorf("ordinary update while the reserve is not whole: %v", err)
	}
	for err = nil; err == nil; n++ {
		_, err = s.Log.Append(state.WithReserve(bg), [][]byte{record})
	}
	if n--; !errors.Is(err, state.ErrFull) {
		t.Errorf("reserve used up: %v", err)
	}
	m.SetSpace(100 << 20)
	_, err = s.Log.Append(bg, [][]byte{record})
	must(t, err)
	must(t, s.Control.Update(bg, func(state.Tx) error { return nil }))
	must(t, s.Log.Verify(bg))
	if seq, _ := s.Log.Head(); seq != n+1 {
		t.Errorf("head %d, want %d", seq, n+1)
	}
	must(t, s.Close())
}

// TestFullDiskOnDisk does the same to a bbolt file and real segments by failing their writes.
func TestFullDiskOnDisk(t *testing.T) {
	full := ""
	o := state.Options{Reserve: 2 << 20, Hook: func(p string) error {
		if p == full {
			return syscall.ENOSPC
		}
		return nil
	}}
	s, err := state.Open(t.TempDir(), o)
	must(t, err)
	put := func(tx state.Tx) error { return tx.Put("b", "k", []byte("v")) }
	full = state.FailControlBeforeCommit
	if err := s.Control.Update(bg, put); !errors.Is(err, state.ErrFull) || errors.Is(err, state.ErrBroken) {
		t.Errorf("update: %v", err)
	}
	full = state.FailAppendTorn
	if _, err := s.Log.Append(bg, [][]byte{[]byte("a"), []byte("b")}); !errors.Is(err, state.ErrFull) || errors.Is(err, state.ErrBroken) {
		t.Errorf("append: %v", err)
	}
	full = ""
	must(t, s.Control.Update(bg, put))
	last, err := s.Log.Append(bg, [][]byte{[]byte("c")})
	if err != nil || last != 1 {
		t.Errorf("append: %d, %v", last, err)
	}
	must(t, s.Log.Verify(bg))
	must(t, s.Close())
}

func TestLostTenureRefusesUpdates(t *testing.T) {
	m := state.Memory(state.Options{})
	s, err := m.Open()
	must(t, err)
	m.LoseTenure()
	if err := s.Control.Update(bg, func(state.Tx) error { return nil }); !errors.Is(err, state.ErrTenureLost) {
		t.Errorf("update: %v", err)
	}
	if s.Control.Tenure().Remaining() != 0 {
		t.Error("tenure remains")
	}
	must(t, s.Close())
}

// TestUnsyncedIndexAfterCrash: an index is either as it was or refused, never quietly older.
func TestUnsyncedIndexAfterCrash(t *testing.T) {
	m := state.Memory(state.Options{})
	whole, lost := 0, 0
	for seed := range uint64(40) {
		s, err := m.Open()
		must(t, err)
		must(t, s.RemoveIndex("x"))
		x, err := s.Index("x", "test", 1)
		must(t, err)
		must(t, x.UpdateNoSync(bg, func(tx state.Tx) error { return tx.Put("b", "k", []byte("v")) }))
		m.Crash(rand.New(rand.NewPCG(seed, seed)))
		if err := x.View(bg, func(state.Tx) error { return nil }); !errors.Is(err, state.ErrCrashed) {
			t.Fatalf("view after a crash: %v", err)
		}
		s, err = m.Reopen()
		must(t, err)
		x, err = s.Index("x", "test", 1)
		if errors.Is(err, state.ErrIndexUnusable) {
			lost++
		} else {
			must(t, err)
			whole++
			must(t, x.View(bg, func(tx state.Tx) error {
				if string(tx.Get("b", "k")) != "v" {
					t.Error("the index lost an update")
				}
				return nil
			}))
		}
		must(t, s.Close())
	}
	if whole == 0 || lost == 0 {
		t.Errorf("%d whole, %d lost: the simulation does not do both", whole, lost)
	}
}

// A store that cannot be used any more never promises that nothing was written, whatever broke it: who is told so would go on.
func TestABrokenStoreIsNoFullDisk(t *testing.T) {
	for _, cause := range []error{syscall.ENOSPC, state.ErrFull, errors.New("input/output error")} {
		for _, point := range []string{state.FailAppendBeforeSync, state.FailAppendAfterSync, state.FailControlAfterCommit} {
			t.Run(fmt.Sprintf("%s/%v", point, cause), func(t *testing.T) {
				armed := false
				s, err := state.Open(t.TempDir(), state.Options{Hook: func(p string) error {
					if armed && p == point {
						return cause
					}
					return nil
				}})
				must(t, err)
				defer s.Close()
				armed = true
				if point == state.FailControlAfterCommit {
					err = s.Control.Update(bg, func(tx state.Tx) error { return tx.Put("b", "k", []byte("v")) })
				} else {
					_, err = s.Log.Append(bg, [][]byte{[]byte("record")})
				}
				if !errors.Is(err, state.ErrBroken) || errors.Is(err, state.ErrFull) {
					t.Errorf("it says %v", err)
				}
			})
		}
	}
}
