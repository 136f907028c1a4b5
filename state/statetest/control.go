package statetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/tandem-sync/tandem/state"
)

// transactional is what Control and Index have in common.
type transactional interface {
	View(context.Context, func(state.Tx) error) error
	Update(context.Context, func(state.Tx) error) error
}

func runControl(t *testing.T, disk func(*testing.T, state.Options) Disk) {
	runTransactions(t, func(t *testing.T) (transactional, func() transactional) {
		d := disk(t, small())
		s := open(t, d)
		return s.Control, func() transactional { return reopen(t, d, s).Control }
	})
	t.Run("TenureEndsWithClose", func(t *testing.T) {
		s := open(t, disk(t, small()))
		if got := s.Control.Tenure(); got.Remaining() != state.Unlimited || got.Holder.Command != "statetest" || got.Holder.PID == 0 {
			t.Errorf("tenure %+v, remaining %v", got.Holder, got.Remaining())
		}
		held := s.Control.Tenure()
		must(t, s.Close())
		if held.Remaining() != 0 || s.Control.Tenure().Remaining() != 0 {
			t.Errorf("tenure remains after close: %v", held.Remaining())
		}
	})
	t.Run("ClosedRefuses", func(t *testing.T) {
		s := open(t, disk(t, small()))
		must(t, s.Close())
		nothing := func(state.Tx) error { return nil }
		if err := s.Control.Update(context.Background(), nothing); !errors.Is(err, state.ErrClosed) {
			t.Errorf("update: %v", err)
		}
		if err := s.Control.View(context.Background(), nothing); !errors.Is(err, state.ErrClosed) {
			t.Errorf("view: %v", err)
		}
	})
}

// runTransactions tests Tx. open returns a store and how to have it again from what is durable.
func runTransactions(t *testing.T, open func(t *testing.T) (transactional, func() transactional)) {
	tests := map[string]func(*testing.T, transactional, func() transactional){
		"CommitSurvivesReopen":      commitSurvives,
		"FailedUpdateWritesNothing": failedUpdate,
		"PanicWritesNothing":        panickingUpdate,
		"CancelledWritesNothing":    cancelledUpdate,
		"AbsentIsNilEmptyIsNot":     absentAndEmpty,
		"PutCopies":                 putCopies,
		"ReadOwnWrites":             readOwnWrites,
		"EachInByteOrder":           eachInOrder,
		"EachMayChangeItsBucket":    eachChanges,
		"EachStopsAtError":          eachStops,
		"ViewRefusesWrites":         viewRefuses,
		"ViewKeepsItsState":         viewKeeps,
		"BadNamesRefused":           badNames,
		"UpdatesDoNotLoseEachOther": concurrentUpdates,
		"ManyKeysAgreeWithMap":      manyKeys,
		"BucketsDoNotMix":           bucketsDoNotMix,
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			c, again := open(t)
			test(t, c, again)
		})
	}
}

var bg = context.Background()

func put(t *testing.T, c transactional, bucket string, pairs ...string) {
	t.Helper()
	must(t, c.Update(bg, func(tx state.Tx) error {
		for i := 0; i < len(pairs); i += 2 {
			if err := tx.Put(bucket, pairs[i], []byte(pairs[i+1])); err != nil {
				return err
			}
		}
		return nil
	}))
}

// list returns "key=value" of all keys with a prefix.
func list(t *testing.T, c transactional, bucket, prefix string) []string {
	t.Helper()
	got := []string{}
	must(t, c.View(bg, func(tx state.Tx) error {
		got = got[:0]
		return tx.Each(bucket, prefix, func(k string, v []byte) error {
			got = append(got, k+"="+string(v))
			return nil
		})
	}))
	return got
}

func expect(t *testing.T, c transactional, bucket, prefix string, want ...string) {
	t.Helper()
	if got := list(t, c, bucket, prefix); !slices.Equal(got, want) {
		t.Errorf("bucket %q prefix %q: got %q, want %q", bucket, prefix, got, want)
	}
}

func commitSurvives(t *testing.T, c transactional, again func() transactional) {
	put(t, c, "b", "k", "v", "l", "w")
	must(t, c.Update(bg, func(tx state.Tx) error { return tx.Delete("b", "l") }))
	expect(t, again(), "b", "", "k=v")
}

func failedUpdate(t *testing.T, c transactional, again func() transactional) {
	put(t, c, "b", "k", "old")
	no := errors.New("no")
	err := c.Update(bg, func(tx state.Tx) error {
		return errors.Join(tx.Put("b", "k", []byte("new")), tx.Put("c", "k", []byte("new")), no)
	})
	if !errors.Is(err, no) {
		t.Errorf("update: %v", err)
	}
	expect(t, c, "b", "", "k=old")
	c = again()
	expect(t, c, "b", "", "k=old")
	expect(t, c, "c", "")
}

func panickingUpdate(t *testing.T, c transactional, _ func() transactional) {
	func() {
		defer func() {
			if r := recover(); r != "caller's" {
				t.Errorf("recovered %v", r)
			}
		}()
		_ = c.Update(bg, func(tx state.Tx) error {
			must(t, tx.Put("b", "k", []byte("new")))
			panic("caller's")
		})
	}()
	expect(t, c, "b", "")
	put(t, c, "b", "k", "after")
	expect(t, c, "b", "", "k=after")
}

func cancelledUpdate(t *testing.T, c transactional, _ func() transactional) {
	ctx, cancel := context.WithCancel(bg)
	err := c.Update(ctx, func(tx state.Tx) error {
		cancel()
		return tx.Put("b", "k", []byte("v"))
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("update: %v", err)
	}
	if err := c.View(ctx, func(state.Tx) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("view: %v", err)
	}
	expect(t, c, "b", "")
}

func absentAndEmpty(t *testing.T, c transactional, _ func() transactional) {
	check := func(tx state.Tx) error {
		if v := tx.Get("nowhere", "k"); v != nil {
			t.Errorf("absent bucket: %q", v)
		}
		if v := tx.Get("b", "other"); v != nil {
			t.Errorf("absent key: %q", v)
		}
		for _, k := range []string{"nil", "empty"} {
			if v := tx.Get("b", k); v == nil || len(v) != 0 {
				t.Errorf("%s value: %#v", k, v)
			}
		}
		return tx.Each("nowhere", "", func(k string, _ []byte) error { return fmt.Errorf("key %q in an absent bucket", k) })
	}
	must(t, c.Update(bg, func(tx state.Tx) error {
		return errors.Join(tx.Put("b", "nil", nil), tx.Put("b", "empty", []byte{}), check(tx), tx.Delete("nowhere", "k"))
	}))
	must(t, c.View(bg, check))
}

func putCopies(t *testing.T, c transactional, _ func() transactional) {
	must(t, c.Update(bg, func(tx state.Tx) error {
		v := []byte("value")
		if err := tx.Put("b", "k", v); err != nil {
			return err
		}
		clear(v)
		return nil
	}))
	expect(t, c, "b", "", "k=value")
}

func readOwnWrites(t *testing.T, c transactional, _ func() transactional) {
	put(t, c, "b", "gone", "1", "changed", "1")
	must(t, c.Update(bg, func(tx state.Tx) error {
		must(t, tx.Put("b", "changed", []byte("2")))
		must(t, tx.Put("b", "new", []byte("1")))
		must(t, tx.Delete("b", "gone"))
		if tx.Get("b", "gone") != nil || string(tx.Get("b", "changed")) != "2" || string(tx.Get("b", "new")) != "1" {
			t.Error("own writes are not read")
		}
		var keys []string
		must(t, tx.Each("b", "", func(k string, _ []byte) error {
			keys = append(keys, k)
			return nil
		}))
		if !slices.Equal(keys, []string{"changed", "new"}) {
			t.Errorf("keys %q", keys)
		}
		return nil
	}))
}

func eachInOrder(t *testing.T, c transactional, _ func() transactional) {
	put(t, c, "b", "b", "1", "a\xff", "2", "a", "3", "ab", "4", "\x00", "5", "Ä", "6", "B", "7")
	expect(t, c, "b", "", "\x00=5", "B=7", "a=3", "ab=4", "a\xff=2", "b=1", "Ä=6")
	expect(t, c, "b", "a", "a=3", "ab=4", "a\xff=2")
	expect(t, c, "b", "a\xff", "a\xff=2")
	expect(t, c, "b", "c")
}

func eachChanges(t *testing.T, c transactional, _ func() transactional) {
	for i := range 500 {
		put(t, c, "b", fmt.Sprintf("%03d", i), "x")
	}
	seen := 0
	must(t, c.Update(bg, func(tx state.Tx) error {
		seen = 0
		return tx.Each("b", "", func(k string, _ []byte) error {
			seen++
			if k == "100" {
				must(t, tx.Put("b", "100a", []byte("new")))
				must(t, tx.Delete("b", "101"))
			}
			return tx.Delete("b", k)
		})
	}))
	if seen != 500 {
		t.Errorf("saw %d keys, want 499 old and 1 new", seen)
	}
	expect(t, c, "b", "")
}

func eachStops(t *testing.T, c transactional, _ func() transactional) {
	put(t, c, "b", "1", "", "2", "", "3", "")
	stop, n := errors.New("stop"), 0
	err := c.View(bg, func(tx state.Tx) error {
		return tx.Each("b", "", func(string, []byte) error {
			if n++; n == 2 {
				return stop
			}
			return nil
		})
	})
	if !errors.Is(err, stop) || n != 2 {
		t.Errorf("error %v after %d keys", err, n)
	}
}

func viewRefuses(t *testing.T, c transactional, _ func() transactional) {
	put(t, c, "b", "k", "v")
	must(t, c.View(bg, func(tx state.Tx) error {
		if err := tx.Put("b", "k", nil); !errors.Is(err, state.ErrReadOnly) {
			t.Errorf("put: %v", err)
		}
		if err := tx.Delete("b", "k"); !errors.Is(err, state.ErrReadOnly) {
			t.Errorf("delete: %v", err)
		}
		return nil
	}))
	expect(t, c, "b", "", "k=v")
}

// viewKeeps holds a view open while an update commits.
func viewKeeps(t *testing.T, c transactional, _ func() transactional) {
	put(t, c, "b", "k", "old")
	started, updated, seen := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		seen <- c.View(bg, func(tx state.Tx) error {
			close(started)
			<-updated
			if v := string(tx.Get("b", "k")); v != "old" {
				return fmt.Errorf("the view sees %q", v)
			}
			return nil
		})
	}()
	<-started
	put(t, c, "b", "k", "new")
	close(updated)
	must(t, <-seen)
	expect(t, c, "b", "", "k=new")
}

func badNames(t *testing.T, c transactional, _ func() transactional) {
	bad := map[string][2]string{
		"no bucket": {"", "k"}, "no key": {"b", ""}, "long key": {"b", strings.Repeat("k", state.MaxKey+1)},
		"the state's own bucket": {"state/format", "version"},
	}
	for name, n := range bad {
		err := c.Update(bg, func(tx state.Tx) error { return tx.Put(n[0], n[1], []byte("v")) })
		if err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if err := c.Update(bg, func(tx state.Tx) error { return tx.Delete("state/format", "version") }); err == nil {
		t.Error("the state's own bucket can be emptied")
	}
	longest := strings.Repeat("k", state.MaxKey)
	put(t, c, "b", longest, "v")
	expect(t, c, "b", "", longest+"=v")
}

func concurrentUpdates(t *testing.T, c transactional, _ func() transactional) {
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 10 {
				err := c.Update(bg, func(tx state.Tx) error {
					return tx.Put("b", "n", append(slices.Clone(tx.Get("b", "n")), 'x'))
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	expect(t, c, "b", "", "n="+strings.Repeat("x", 80))
}

func manyKeys(t *testing.T, c transactional, again func() transactional) {
	model := map[string]string{}
	for round := range 20 {
		must(t, c.Update(bg, func(tx state.Tx) error {
			for i := range 100 {
				k := fmt.Sprint((i*7919 + round*31) % 700)
				if (i+round)%3 == 0 {
					delete(model, k)
					must(t, tx.Delete("b", k))
					continue
				}
				model[k] = strings.Repeat(k, round)
				must(t, tx.Put("b", k, []byte(model[k])))
			}
			return nil
		}))
	}
	want := []string{}
	for k, v := range model {
		want = append(want, k+"="+v)
	}
	slices.SortFunc(want, func(a, b string) int {
		return strings.Compare(a[:strings.Index(a, "=")], b[:strings.Index(b, "=")])
	})
	expect(t, again(), "b", "", want...)
}

func bucketsDoNotMix(t *testing.T, c transactional, _ func() transactional) {
	put(t, c, "a", "bk", "1")
	put(t, c, "ab", "k", "2")
	expect(t, c, "a", "", "bk=1")
	expect(t, c, "ab", "", "k=2")
}
