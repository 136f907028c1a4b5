package statetest

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"testing"

	"github.com/tandem-sync/tandem/state"
)

func runOwed(t *testing.T, disk func(*testing.T, state.Options) Disk) {
	owe := func(t *testing.T, s *state.Store, names ...string) {
		t.Helper()
		must(t, s.Control.Update(bg, func(tx state.Tx) error { return state.AppendLater(tx, batch(names...)...) }))
	}
	t.Run("AppendedOnceByTheCaller", func(t *testing.T) {
		d := disk(t, small())
		s := open(t, d)
		appendTo(t, s.Log, "before")
		owe(t, s, "a", "b")
		for range 3 {
			last, err := s.AppendPending(bg)
			if err != nil || last != 3 {
				t.Errorf("append owed: %d, %v", last, err)
			}
		}
		s = reopen(t, d, s)
		expectRecords(t, s.Log, 1, "1:before", "2:a", "3:b")
	})
	t.Run("AppendedOnceByOpening", func(t *testing.T) {
		d := disk(t, small())
		s := open(t, d)
		owe(t, s, "a")
		owe(t, s, "b", "c")
		appendTo(t, s.Log, "between")
		for range 3 {
			s = reopen(t, d, s)
			expectRecords(t, s.Log, 1, "1:between", "2:a", "3:b", "4:c")
		}
		owe(t, s, "d")
		s = reopen(t, d, s)
		expectRecords(t, s.Log, 5, "5:d")
	})
	t.Run("NotOwedWhenTheUpdateFails", func(t *testing.T) {
		d := disk(t, small())
		s := open(t, d)
		no := errors.New("no")
		err := s.Control.Update(bg, func(tx state.Tx) error { return errors.Join(state.AppendLater(tx, batch("a")...), no) })
		if !errors.Is(err, no) {
			t.Error(err)
		}
		s = reopen(t, d, s)
		expectRecords(t, s.Log, 1)
	})
	t.Run("ConcurrentDebtsEachOnce", func(t *testing.T) {
		d := disk(t, small())
		s := open(t, d)
		var wg sync.WaitGroup
		var want []string
		for w := range 4 {
			for i := range 10 {
				want = append(want, fmt.Sprintf("%d-%d", w, i))
			}
			wg.Go(func() {
				for i := range 10 {
					n := fmt.Sprintf("%d-%d", w, i)
					err := s.Control.Update(bg, func(tx state.Tx) error { return state.AppendLater(tx, batch(n)...) })
					_, appended := s.AppendPending(bg)
					if err := errors.Join(err, appended); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		s = reopen(t, d, s)
		var got []string
		must(t, s.Log.Read(bg, 1, func(_ uint64, r []byte) error {
			got = append(got, name(r))
			return nil
		}))
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	})
	t.Run("EachDebtOfOneCommit", func(t *testing.T) {
		d := disk(t, small())
		s := open(t, d)
		must(t, s.Control.Update(bg, func(tx state.Tx) error {
			return errors.Join(state.AppendLater(tx, batch("a")...), state.AppendLater(tx), state.AppendLater(tx, batch("b")...))
		}))
		s = reopen(t, d, s)
		expectRecords(t, s.Log, 1, "1:a", "2:b")
	})
}

func runIndex(t *testing.T, disk func(*testing.T, state.Options) Disk) {
	openIndex := func(t *testing.T, s *state.Store) *state.Index {
		t.Helper()
		x, err := s.Index("census", "test", 3)
		must(t, err)
		return x
	}
	runTransactions(t, func(t *testing.T) (transactional, func() transactional) {
		d := disk(t, small())
		s := open(t, d)
		return openIndex(t, s), func() transactional { return openIndex(t, reopen(t, d, s)) }
	})
	t.Run("OtherFormatUnusableUntilRemoved", func(t *testing.T) {
		s := open(t, disk(t, small()))
		x := openIndex(t, s)
		put(t, x, "b", "k", "v")
		if err := s.RemoveIndex("census"); err == nil {
			t.Error("an open index was removed")
		}
		must(t, x.Close())
		for _, other := range []struct {
			format  string
			version int
		}{{"test", 4}, {"test", 2}, {"other", 3}} {
			if _, err := s.Index("census", other.format, other.version); !errors.Is(err, state.ErrIndexUnusable) {
				t.Errorf("%+v: %v", other, err)
			}
		}
		x = openIndex(t, s)
		expect(t, x, "b", "", "k=v")
		must(t, x.Close())
		must(t, s.RemoveIndex("census"))
		must(t, s.RemoveIndex("census"))
		x, err := s.Index("census", "test", 4)
		must(t, err)
		expect(t, x, "b", "")
	})
	t.Run("UnsyncedUpdateReadAndSynced", func(t *testing.T) {
		d := disk(t, small())
		s := open(t, d)
		x := openIndex(t, s)
		write := func(k string) {
			must(t, x.UpdateNoSync(bg, func(tx state.Tx) error { return tx.Put("b", k, []byte("v")) }))
		}
		write("1")
		expect(t, x, "b", "", "1=v")
		must(t, x.Sync(bg))
		must(t, x.Sync(bg))
		write("2")
		s = reopen(t, d, s) // closing syncs
		x = openIndex(t, s)
		expect(t, x, "b", "", "1=v", "2=v")
		write("3")
		put(t, x, "b", "4", "v")
		expect(t, openIndex(t, reopen(t, d, s)), "b", "", "1=v", "2=v", "3=v", "4=v")
	})
	t.Run("ClosedRefuses", func(t *testing.T) {
		s := open(t, disk(t, small()))
		x := openIndex(t, s)
		must(t, x.Close())
		must(t, x.Close())
		nothing := func(state.Tx) error { return nil }
		for what, err := range map[string]error{
			"update": x.Update(bg, nothing), "unsynced": x.UpdateNoSync(bg, nothing), "view": x.View(bg, nothing), "sync": x.Sync(bg),
		} {
			if !errors.Is(err, state.ErrClosed) {
				t.Errorf("%s: %v", what, err)
			}
		}
	})
	t.Run("OpenOnceAndByGoodName", func(t *testing.T) {
		s := open(t, disk(t, small()))
		openIndex(t, s)
		if _, err := s.Index("census", "test", 3); err == nil {
			t.Error("opened twice")
		}
		for _, bad := range []string{"", "../x", "A", "a.b", "a/b"} {
			if _, err := s.Index(bad, "test", 1); err == nil {
				t.Errorf("index %q was opened", bad)
			}
			if err := s.RemoveIndex(bad); err == nil {
				t.Errorf("index %q was removed", bad)
			}
		}
	})
}

func runStore(t *testing.T, disk func(*testing.T, state.Options) Disk) {
	t.Run("HeldByOne", func(t *testing.T) {
		d := disk(t, small())
		s := open(t, d)
		_, err := d.Open()
		var held *state.HeldError
		if !errors.Is(err, state.ErrHeld) || !errors.As(err, &held) {
			t.Fatalf("second open: %v", err)
		}
		if held.PID != os.Getpid() || held.Command != "statetest" || held.Since.IsZero() {
			t.Errorf("holder %+v", held)
		}
		reopen(t, d, s)
	})
	t.Run("FailedWriteBreaksUntilReopened", func(t *testing.T) {
		fail := ""
		o := small()
		o.Hook = func(point string) error {
			if point == fail {
				return errors.New("disk on fire")
			}
			return nil
		}
		d := disk(t, o)
		s := open(t, d)
		appendTo(t, s.Log, "a")
		fail = state.FailAppendBeforeSync
		for range 2 {
			if _, err := s.Log.Append(bg, batch("b")); !errors.Is(err, state.ErrBroken) {
				t.Errorf("append after a failed sync: %v", err)
			}
			fail = ""
		}
		expectRecords(t, s.Log, 1, "1:a")
		fail = state.FailControlBeforeCommit
		for range 2 {
			err := s.Control.Update(bg, func(tx state.Tx) error { return tx.Put("b", "k", []byte("v")) })
			if !errors.Is(err, state.ErrBroken) {
				t.Errorf("update after a failed commit: %v", err)
			}
			fail = ""
		}
		s = reopen(t, d, s)
		appendTo(t, s.Log, "c")
		put(t, s.Control, "b", "k", "v")
	})
}
