package statetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/tandem-sync/tandem/state"
)

func runLog(t *testing.T, disk func(*testing.T, state.Options) Disk) {
	tests := map[string]func(*testing.T, Disk){
		"EmptyLog": emptyLog, "NumbersFromOne": numbers, "SurvivesReopen": logSurvives, "ReadFrom": readFrom,
		"ChainHolds": chainHolds, "CheckHead": checkHead, "ReadStopsAtError": readStops, "PickReadsTheSame": pickReads,
		"ConcurrentAppendsKeepBatches": concurrentAppends, "ReadWhileAppending": readWhileAppending,
		"CancelledAppendsNothing": cancelledAppend, "ClosedRefuses": closedLog, "TooLongRefused": tooLong,
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) { test(t, disk(t, small())) })
	}
}

// batch makes records of some length.
func batch(names ...string) [][]byte {
	var b [][]byte
	for _, n := range names {
		b = append(b, []byte(n+strings.Repeat(".", 50)))
	}
	return b
}

// name undoes batch.
func name(record []byte) string { return strings.TrimRight(string(record), ".") }

func appendTo(t *testing.T, l state.Log, names ...string) uint64 {
	t.Helper()
	last, err := l.Append(bg, batch(names...))
	must(t, err)
	return last
}

// records reads "seq:name" from a number on.
func records(t *testing.T, l state.Log, from uint64) []string {
	t.Helper()
	got := []string{}
	must(t, l.Read(bg, from, func(seq uint64, r []byte) error {
		got = append(got, fmt.Sprintf("%d:%s", seq, name(r)))
		return nil
	}))
	return got
}

func expectRecords(t *testing.T, l state.Log, from uint64, want ...string) {
	t.Helper()
	if got := records(t, l, from); !slices.Equal(got, want) {
		t.Errorf("records from %d: got %q, want %q", from, got, want)
	}
}

func emptyLog(t *testing.T, d Disk) {
	s := open(t, d)
	for range 2 {
		if seq, hash := s.Log.Head(); seq != 0 || hash != [32]byte{} {
			t.Errorf("head %d %x", seq, hash)
		}
		if last, err := s.Log.Append(bg, nil); err != nil || last != 0 {
			t.Errorf("empty append: %d, %v", last, err)
		}
		expectRecords(t, s.Log, 0)
		must(t, s.Log.Verify(bg))
		s = reopen(t, d, s)
	}
}

func numbers(t *testing.T, d Disk) {
	s := open(t, d)
	if last := appendTo(t, s.Log, "a", "b"); last != 2 {
		t.Errorf("last %d", last)
	}
	if last := appendTo(t, s.Log, "c"); last != 3 {
		t.Errorf("last %d", last)
	}
	must(t, func() error { _, err := s.Log.Append(bg, [][]byte{{}}); return err }())
	if last, err := s.Log.Append(bg, nil); last != 4 || err != nil {
		t.Errorf("empty append: %d, %v", last, err)
	}
	expectRecords(t, s.Log, 1, "1:a", "2:b", "3:c", "4:")
}

func logSurvives(t *testing.T, d Disk) {
	s := open(t, d)
	var want []string
	for i := range 40 { // several segments
		want = append(want, fmt.Sprintf("%d:r%d", i+1, i))
		appendTo(t, s.Log, fmt.Sprintf("r%d", i))
		if i%13 == 0 {
			before, hash := s.Log.Head()
			s = reopen(t, d, s)
			if seq, again := s.Log.Head(); seq != before || again != hash {
				t.Fatalf("head %d %x, was %d %x", seq, again, before, hash)
			}
		}
	}
	expectRecords(t, s.Log, 1, want...)
	must(t, s.Log.Verify(bg))
	if s.Torn() != nil {
		t.Errorf("torn: %+v", s.Torn())
	}
}

func readFrom(t *testing.T, d Disk) {
	s := open(t, d)
	for i := range 30 {
		appendTo(t, s.Log, fmt.Sprint(i))
	}
	all := records(t, s.Log, 0)
	for from := uint64(1); from <= 31; from++ {
		expectRecords(t, s.Log, from, all[from-1:]...)
	}
	expectRecords(t, s.Log, 1000)
}

func chainHolds(t *testing.T, d Disk) {
	s := open(t, d)
	for i := range 20 {
		appendTo(t, s.Log, fmt.Sprint(i), "x")
	}
	s = reopen(t, d, s)
	var prev [32]byte
	var last state.LogEntry
	must(t, s.Log.ReadChained(bg, 1, func(e state.LogEntry) error {
		if e.Prev != prev || e.Hash != state.ChainHash(prev, e.Seq, e.Pending, e.Record) {
			t.Errorf("record %d: the chain does not hold", e.Seq)
		}
		prev, last = e.Hash, e
		return nil
	}))
	if seq, hash := s.Log.Head(); seq != last.Seq || hash != prev {
		t.Errorf("head %d %x, chain ends with %d %x", seq, hash, last.Seq, prev)
	}
	must(t, s.Log.ReadChained(bg, 17, func(e state.LogEntry) error {
		if e.Hash != state.ChainHash(e.Prev, e.Seq, e.Pending, e.Record) {
			t.Errorf("record %d read from the middle: the chain does not hold", e.Seq)
		}
		return nil
	}))
}

func pickReads(t *testing.T, d Disk) {
	s := open(t, d)
	for i := range 20 {
		appendTo(t, s.Log, fmt.Sprint(i), "x")
	}
	s = reopen(t, d, s)
	all := map[uint64]state.LogEntry{}
	must(t, s.Log.ReadChained(bg, 1, func(e state.LogEntry) error {
		e.Record = bytes.Clone(e.Record)
		all[e.Seq] = e
		return nil
	}))
	for _, seqs := range [][]uint64{nil, {1}, {40}, {3, 4, 17, 39}, {1, 2, 40}} {
		var got []uint64
		must(t, s.Log.Pick(bg, seqs, func(e state.LogEntry) error {
			if w := all[e.Seq]; e.Hash != w.Hash || e.Prev != w.Prev || !bytes.Equal(e.Record, w.Record) {
				t.Errorf("record %d: another one than a reading in order gives", e.Seq)
			}
			got = append(got, e.Seq)
			return nil
		}))
		if !slices.Equal(got, seqs) {
			t.Errorf("picked %v, got %v", seqs, got)
		}
	}
	stop := errors.New("enough")
	if err := s.Log.Pick(bg, []uint64{2, 3}, func(state.LogEntry) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("an error of the function: %v", err)
	}
	if err := s.Log.Pick(bg, []uint64{2, 41}, func(state.LogEntry) error { return nil }); err == nil {
		t.Error("a record that does not exist was read")
	}
}

func checkHead(t *testing.T, d Disk) {
	s := open(t, d)
	for i := range 20 {
		appendTo(t, s.Log, fmt.Sprint(i))
	}
	var hashes [][32]byte
	must(t, s.Log.ReadChained(bg, 1, func(e state.LogEntry) error {
		hashes = append(hashes, e.Hash)
		return nil
	}))
	must(t, s.Log.CheckHead(bg, 0, [32]byte{}))
	for i, h := range hashes {
		must(t, s.Log.CheckHead(bg, uint64(i+1), h))
		h[3] ^= 1
		if err := s.Log.CheckHead(bg, uint64(i+1), h); !errors.Is(err, state.ErrDamaged) {
			t.Errorf("another hash at %d: %v", i+1, err)
		}
	}
	if err := s.Log.CheckHead(bg, 21, hashes[19]); !errors.Is(err, state.ErrDamaged) {
		t.Errorf("a head that leads: %v", err)
	}
}

func readStops(t *testing.T, d Disk) {
	s := open(t, d)
	appendTo(t, s.Log, "a", "b", "c")
	stop, n := errors.New("stop"), 0
	err := s.Log.Read(bg, 1, func(uint64, []byte) error {
		if n++; n == 2 {
			return stop
		}
		return nil
	})
	if !errors.Is(err, stop) || n != 2 {
		t.Errorf("error %v after %d records", err, n)
	}
}

func concurrentAppends(t *testing.T, d Disk) {
	s := open(t, d)
	var mu sync.Mutex
	lasts := map[uint64]string{}
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := range 20 {
				id := fmt.Sprintf("%d-%d", w, i)
				last, err := s.Log.Append(bg, batch(id+"-first", id+"-second"))
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				lasts[last] = id
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	got := records(t, s.Log, 1)
	if len(got) != 320 || len(lasts) != 160 {
		t.Fatalf("%d records, %d batches", len(got), len(lasts))
	}
	for last, id := range lasts {
		if got[last-2] != fmt.Sprintf("%d:%s-first", last-1, id) || got[last-1] != fmt.Sprintf("%d:%s-second", last, id) {
			t.Errorf("batch %s ends at %d: %q", id, last, got[last-2:last])
		}
	}
	must(t, s.Log.Verify(bg))
}

func readWhileAppending(t *testing.T, d Disk) {
	s := open(t, d)
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		defer close(done)
		for i := range 200 {
			if _, err := s.Log.Append(bg, batch(fmt.Sprint(i))); err != nil {
				t.Error(err)
				return
			}
		}
	})
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
		}
		before, _ := s.Log.Head()
		if n := len(records(t, s.Log, 1)); uint64(n) < before {
			t.Errorf("read %d records of %d", n, before)
		}
	}
	wg.Wait()
}

func cancelledAppend(t *testing.T, d Disk) {
	s := open(t, d)
	appendTo(t, s.Log, "a")
	ctx, cancel := context.WithCancel(bg)
	cancel()
	if _, err := s.Log.Append(ctx, batch("b")); !errors.Is(err, context.Canceled) {
		t.Errorf("append: %v", err)
	}
	if err := s.Log.Read(ctx, 1, func(uint64, []byte) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("read: %v", err)
	}
	appendTo(t, s.Log, "c")
	expectRecords(t, s.Log, 1, "1:a", "2:c")
}

func closedLog(t *testing.T, d Disk) {
	s := open(t, d)
	appendTo(t, s.Log, "a")
	must(t, s.Close())
	if _, err := s.Log.Append(bg, batch("b")); !errors.Is(err, state.ErrClosed) {
		t.Errorf("append: %v", err)
	}
	if err := s.Log.Read(bg, 1, func(uint64, []byte) error { return nil }); !errors.Is(err, state.ErrClosed) {
		t.Errorf("read: %v", err)
	}
}

func tooLong(t *testing.T, d Disk) {
	s := open(t, d)
	if _, err := s.Log.Append(bg, [][]byte{make([]byte, state.MaxRecord+1)}); err == nil {
		t.Error("a record longer than MaxRecord was accepted")
	}
	appendTo(t, s.Log, "a")
	expectRecords(t, s.Log, 1, "1:a")
}
