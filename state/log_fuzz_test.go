package state

import (
	"bytes"
	"context"
	"errors"
	"testing"
)

// openBytes opens a log whose only segment holds b. It is inside the package to plant bytes without a file system: a
// thousand times as many tries.
func openBytes(b []byte) (*segmentLog, error) {
	m := newMemFiles(0)
	m.files[segmentName(1)] = &memInode{data: bytes.Clone(b), synced: len(b), named: true}
	return openLog(m, &space{res: m}, Options{}, beginning{first: 1}, false)
}

// sample returns a segment of three groups: 1, 3 and 1 records.
func sample(tb testing.TB) []byte {
	m := newMemFiles(0)
	l, err := openLog(m, &space{res: m}, Options{}, beginning{first: 1}, false)
	if err != nil {
		tb.Fatal(err)
	}
	for _, batch := range [][][]byte{{[]byte("one")}, {[]byte("two"), []byte("three"), {}}, {bytes.Repeat([]byte("long"), 50)}} {
		if _, err := l.Append(context.Background(), batch); err != nil {
			tb.Fatal(err)
		}
	}
	return m.files[segmentName(1)].data
}

// checkOpened reads a log that opened: in order, chained, and to be continued.
func checkOpened(t *testing.T, l *segmentLog) uint64 {
	t.Helper()
	ctx := context.Background()
	var prev [32]byte
	n := uint64(0)
	err := l.ReadChained(ctx, 1, func(e LogEntry) error {
		if n++; e.Seq != n || n > 1 && e.Prev != prev || e.Hash != ChainHash(e.Prev, e.Seq, e.Pending, e.Record) {
			t.Fatalf("record %d after %d does not continue the chain", e.Seq, n-1)
		}
		prev = e.Hash
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if seq, _ := l.Head(); seq != n {
		t.Fatalf("head %d after %d records", seq, n)
	}
	if last, err := l.Append(ctx, [][]byte{[]byte("next")}); err != nil || last != n+1 {
		t.Fatalf("append: %d, %v", last, err)
	}
	if err := l.Verify(ctx); err != nil {
		t.Fatal(err)
	}
	return n
}

// FuzzLogSegment gives the log any bytes as its only segment: it opens or refuses, and never panics.
func FuzzLogSegment(f *testing.F) {
	b := sample(f)
	f.Add(b)
	f.Add(b[:len(b)-1])
	f.Add(b[:headerSize])
	f.Add(b[:headerSize-1])
	f.Add(append(bytes.Clone(b), make([]byte, 200)...))
	f.Add(append(bytes.Clone(b), b[headerSize:]...))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		l, err := openBytes(b)
		if err != nil {
			if !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrVersion) {
				t.Fatalf("refused as %v", err)
			}
			return
		}
		checkOpened(t, l)
	})
}

// TestEveryFlippedBitIsFound flips each bit of a log. In the last group it looks like a torn tail, which control's head
// then tells from damage; anywhere else it is damage at once. Never is another record read.
func TestEveryFlippedBitIsFound(t *testing.T) {
	good := sample(t)
	ends := groupEnds(t, good)
	for at := range good {
		for bit := range 8 {
			b := bytes.Clone(good)
			b[at] ^= 1 << bit
			l, err := openBytes(b)
			switch lastGroup := at >= ends[len(ends)-2]; {
			case !lastGroup && !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrVersion):
				t.Fatalf("bit %d of byte %d: %v", bit, at, err)
			case lastGroup && err != nil:
				t.Fatalf("bit %d of byte %d in the last group: %v", bit, at, err)
			case lastGroup:
				if n := checkOpened(t, l); n != 4 || l.torn == nil {
					t.Fatalf("bit %d of byte %d in the last group: %d records, torn %+v", bit, at, n, l.torn)
				}
			}
		}
	}
}

func groupEnds(t *testing.T, b []byte) []int {
	t.Helper()
	h, err := decodeHeader("sample", b)
	if err != nil {
		t.Fatal(err)
	}
	r := newSegmentReader("sample", bytes.NewReader(b), h, int64(len(b)))
	var ends []int
	for r.offset < r.end {
		f, err := r.next()
		if err != nil {
			t.Fatal(err)
		}
		if f.last() {
			ends = append(ends, int(r.offset))
		}
	}
	return ends
}
