package state

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
)

// segmentReader walks the frames of one segment, checking each.
type segmentReader struct {
	name    string
	b       *bufio.Reader
	offset  int64 // of the next frame
	end     int64
	seq     uint64 // of the last frame read
	pending uint64 // highest number of a pending record so far
	hash    [32]byte
	group   uint32 // of the last frame read
	index   uint32
	buf     []byte
	quick   bool // checks checksums, but not that hashes continue the chain
}

func newSegmentReader(name string, f io.ReaderAt, h header, end int64) *segmentReader {
	return &segmentReader{
		name: name, offset: headerSize, end: end, seq: h.first - 1, pending: h.pending, hash: h.prev,
		b: bufio.NewReaderSize(io.NewSectionReader(f, headerSize, max(0, end-headerSize)), 256<<10),
	}
}

// next returns the next frame, io.EOF at the end, or a *DamageError. The record is valid until the next call.
func (r *segmentReader) next() (frame, error) {
	n, err := r.length()
	if err != nil {
		return frame{}, err
	}
	if cap(r.buf) < n {
		r.buf = make([]byte, n+n/2)
	}
	b := r.buf[:n]
	if _, err := io.ReadFull(r.b, b); err != nil {
		return frame{}, r.readFailed(err)
	}
	f, err := decodeFrame(b)
	if err != nil {
		return frame{}, r.damage(err.Error())
	}
	if err := r.follows(&f); err != nil {
		return frame{}, err
	}
	if !r.quick && ChainHash(r.hash, f.seq, f.pending, f.record) != f.hash {
		return frame{}, r.damage("its hash does not continue the chain")
	}
	r.pass(&f, n)
	return f, nil
}

// skip skips the next frame without checking its content.
func (r *segmentReader) skip() error {
	n, err := r.length()
	if err != nil {
		return err
	}
	head, err := r.b.Peek(frameSize)
	if err != nil {
		return r.readFailed(err)
	}
	f := headFrame(head)
	if err := r.follows(&f); err != nil {
		return err
	}
	if _, err := r.b.Discard(n); err != nil {
		return r.readFailed(err)
	}
	r.pass(&f, n)
	return nil
}

// length returns the next frame's size, checked against the segment's end.
func (r *segmentReader) length() (int, error) {
	if r.offset >= r.end {
		return 0, io.EOF
	}
	if r.end-r.offset < frameSize {
		return 0, r.damage("it is cut off")
	}
	head, err := r.b.Peek(frameSize)
	if err != nil {
		return 0, r.readFailed(err)
	}
	n, ok := frameLength(head)
	if !ok || int64(frameSize+n) > r.end-r.offset {
		return 0, r.damage("its length goes past the end")
	}
	return frameSize + n, nil
}

// follows checks a frame's number and place in its group against the frame before.
func (r *segmentReader) follows(f *frame) error {
	if f.seq != r.seq+1 {
		return r.damage(fmt.Sprintf("record %d stands there", f.seq))
	}
	inGroup := r.index+1 < r.group
	if inGroup && (f.index != r.index+1 || f.group != r.group) || !inGroup && f.index != 0 {
		return r.damage("it does not continue its group")
	}
	return nil
}

func (r *segmentReader) pass(f *frame, n int) {
	r.offset += int64(n)
	r.seq, r.hash, r.group, r.index = f.seq, f.hash, f.group, f.index
	r.pending = max(r.pending, f.pending)
}

func (r *segmentReader) damage(why string) error {
	return &DamageError{File: r.name, Offset: r.offset, Seq: r.seq + 1, Why: why}
}

func (r *segmentReader) readFailed(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return r.damage("the file is shorter than it was")
	}
	return fmt.Errorf("read %s at byte %d: %w", r.name, r.offset, err)
}

func (l *segmentLog) Read(ctx context.Context, from uint64, f func(seq uint64, record []byte) error) error {
	return l.ReadChained(ctx, from, func(e LogEntry) error { return f(e.Seq, e.Record) })
}

func (l *segmentLog) ReadChained(ctx context.Context, from uint64, f func(LogEntry) error) error {
	if err := l.usable(false); err != nil {
		return fmt.Errorf("read log: %w", err)
	}
	segments, head, release := l.hold()
	defer release()
	from = max(from, 1)
	for i, s := range segments {
		until := head // the last record that must be in this segment
		if i+1 < len(segments) {
			until = segments[i+1].header.first - 1
		}
		if until < from {
			continue
		}
		hash, err := l.readSegment(ctx, s, from, until, f)
		if err != nil {
			return err
		}
		if i+1 < len(segments) && hash != segments[i+1].header.prev {
			next := segments[i+1]
			return &DamageError{File: l.files.path(next.name), Seq: next.header.first, Why: "it does not continue the segment before"}
		}
	}
	return nil
}

func (l *segmentLog) Pick(ctx context.Context, seqs []uint64, f func(LogEntry) error) error {
	if err := l.usable(false); err != nil {
		return fmt.Errorf("read log: %w", err)
	}
	segments, head, release := l.hold()
	defer release()
	for i, s := range segments {
		until := head
		if i+1 < len(segments) {
			until = segments[i+1].header.first - 1
		}
		n, _ := slices.BinarySearch(seqs, until+1) // those of this segment and before
		r := newSegmentReader(l.files.path(s.name), s.f, s.header, s.size)
		for _, seq := range seqs[:n] {
			if err := l.pick(ctx, r, seq, f); err != nil {
				return err
			}
		}
		seqs = seqs[n:]
	}
	if len(seqs) > 0 {
		return fmt.Errorf("read log: record %d of %d", seqs[0], head)
	}
	return nil
}

// pick reads forward to one record of a segment.
func (l *segmentLog) pick(ctx context.Context, r *segmentReader, seq uint64, f func(LogEntry) error) error {
	for r.seq+1 < seq {
		if r.seq%checkEvery == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if err := r.skip(); err != nil {
			return l.endOf(r, err)
		}
	}
	prev := r.hash
	e, err := r.next()
	if err != nil {
		return l.endOf(r, err)
	}
	return f(LogEntry{Seq: e.seq, Record: e.record, Prev: prev, Hash: e.hash, Pending: e.pending})
}

// checkEvery is the number of records between two checks of the context.
const checkEvery = 256

// readSegment calls f for the records from..until of one segment and returns the hash of its last.
func (l *segmentLog) readSegment(ctx context.Context, s segment, from, until uint64, f func(LogEntry) error) ([32]byte, error) {
	r := newSegmentReader(l.files.path(s.name), s.f, s.header, s.size)
	for r.seq < until {
		if r.seq%checkEvery == 0 && ctx.Err() != nil {
			return r.hash, ctx.Err()
		}
		if r.seq+1 < from {
			if err := r.skip(); err != nil {
				return r.hash, l.endOf(r, err)
			}
			continue
		}
		prev := r.hash
		e, err := r.next()
		if err != nil {
			return r.hash, l.endOf(r, err)
		}
		if err := f(LogEntry{Seq: e.seq, Record: e.record, Prev: prev, Hash: e.hash, Pending: e.pending}); err != nil {
			return r.hash, err
		}
	}
	if r.offset < r.end {
		return r.hash, r.damage("more follows than the next segment allows")
	}
	return r.hash, nil
}

// endOf turns an early end of a segment into damage, and the failure to read a closed file into ErrClosed.
func (l *segmentLog) endOf(r *segmentReader, err error) error {
	if errors.Is(err, io.EOF) {
		return r.damage("records are missing at the end of the segment")
	}
	if closed := l.usable(false); closed != nil {
		return fmt.Errorf("read log: %w", closed)
	}
	return err
}

// errFound ends a reading early.
var errFound = errors.New("found")

func (l *segmentLog) CheckHead(ctx context.Context, seq uint64, hash [32]byte) error {
	head, last := l.Head()
	switch {
	case seq == 0:
		if hash != [32]byte{} {
			return &DamageError{File: l.files.path(""), Why: "the head kept has a hash but no record"}
		}
		return nil
	case seq < l.first():
		return l.checkRemoved(seq, hash)
	case seq > head:
		return &DamageError{File: l.files.path(""), Seq: seq,
			Why: fmt.Sprintf("the log ends at record %d, the head kept says that %d was written", head, seq)}
	case seq == head:
		return l.sameHash(seq, last, hash)
	}
	var found [32]byte
	err := l.ReadChained(ctx, seq, func(e LogEntry) error {
		found = e.Hash
		return errFound
	})
	if err != nil && !errors.Is(err, errFound) {
		return err
	}
	return l.sameHash(seq, found, hash)
}

// first returns the number of the first record.
func (l *segmentLog) first() uint64 {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.begins.first
}

// checkRemoved compares a head from before the log's beginning: only the hash of the last removed record is known.
func (l *segmentLog) checkRemoved(seq uint64, hash [32]byte) error {
	l.mu.RLock()
	b := l.begins
	l.mu.RUnlock()
	if seq == b.first-1 {
		return l.sameHash(seq, b.prev, hash)
	}
	return fmt.Errorf("%w: record %d, the log begins with %d", ErrPruned, seq, b.first)
}

func (l *segmentLog) sameHash(seq uint64, found, kept [32]byte) error {
	if found == kept {
		return nil
	}
	return &DamageError{File: l.files.path(""), Seq: seq, Why: "its hash is not the one kept: this is another log"}
}

func (l *segmentLog) Verify(ctx context.Context) error {
	return l.ReadChained(ctx, 1, func(LogEntry) error { return nil })
}
