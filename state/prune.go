package state

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// The first records of a log can be removed, whole segments at a time. First the caller, which knows what records mean, appends a record, the base,
// from which it can begin without them; then control stores the log's new beginning; then the segments are removed. Opening finishes a removal that a
// crash interrupted, and accepts only the beginning in control.

// beginning is where a log begins.
type beginning struct {
	first uint64   // its first record
	base  uint64   // no record before this one is needed; 0: all are
	prev  [32]byte // the hash before first
}

const (
	beginningKey    = "beginning" // in logBucket
	beginningLength = 8 + 8 + 32
)

func (b beginning) encode() []byte {
	return append(append(encodeUint(b.first), encodeUint(b.base)...), b.prev[:]...)
}

// keptBeginning returns the stored beginning.
func keptBeginning(tx Tx) (beginning, error) {
	v := tx.Get(logBucket, beginningKey)
	if v == nil {
		return beginning{first: 1}, nil
	}
	if len(v) != beginningLength {
		return beginning{}, &DamageError{File: "control", Why: "where the log begins is unreadable"}
	}
	var b beginning
	b.first, _ = decodeUint(v[:8])
	b.base, _ = decodeUint(v[8:16])
	copy(b.prev[:], v[16:])
	return b, nil
}

// Segment is a part of a log that nothing is appended to any more.
type Segment struct {
	First, Last uint64   // its records
	Prev, Hash  [32]byte // the hash before First, and that of Last
	Bytes       int64
}

// SegmentFile returns the file name of the segment that begins with a record. Names are in the order of the records.
func SegmentFile(first uint64) string { return segmentName(first) }

// Segments returns the segments that nothing is appended to any more, in order.
func (s *Store) Segments() []Segment {
	all, _, release := s.log.hold()
	defer release()
	var out []Segment
	for i := range len(all) - 1 {
		next := all[i+1].header
		out = append(out, Segment{First: all[i].header.first, Last: next.first - 1, Prev: all[i].header.prev, Hash: next.prev, Bytes: all[i].size})
	}
	return out
}

// EndSegment begins a new segment, so that earlier records can be exported; if nothing was written since the last one began, it does nothing. Kinds
// of error: those of Append.
func (s *Store) EndSegment(ctx context.Context) error {
	l := s.log
	l.writeMu.Lock()
	defer l.writeMu.Unlock()
	if err := errors.Join(ctx.Err(), l.usable(true)); err != nil {
		return fmt.Errorf("end a segment of the log: %w", err)
	}
	if err := l.space.admit(Reserved(ctx)); err != nil {
		return fmt.Errorf("end a segment of the log: %w", err)
	}
	if n := len(l.segments); n == 0 || l.segments[n-1].size <= headerSize {
		return nil
	}
	if err := l.begin(); err != nil {
		return fmt.Errorf("end a segment of the log: %w", l.failed(err))
	}
	return nil
}

// CopySegment writes the segment that begins with a record to w, as it is.
func (s *Store) CopySegment(ctx context.Context, first uint64, w io.Writer) error {
	all, _, release := s.log.hold()
	defer release()
	for _, x := range all {
		if x.header.first != first {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if _, err := io.Copy(w, io.NewSectionReader(x.f, 0, x.size)); err != nil {
			return fmt.Errorf("copy log segment %s: %w", x.name, err)
		}
		return nil
	}
	return fmt.Errorf("copy a log segment: none begins with record %d", first)
}

// ReadSegment reads a segment that was copied elsewhere and calls f for each record, after checking it and its place in the chain. Damage is a
// *DamageError with the given name.
func ReadSegment(name string, file io.ReaderAt, size int64, f func(LogEntry) error) (Segment, error) {
	head := make([]byte, min(size, headerSize))
	if _, err := file.ReadAt(head, 0); err != nil && !errors.Is(err, io.EOF) {
		return Segment{}, fmt.Errorf("read %s: %w", name, err)
	}
	h, err := decodeHeader(name, head)
	if errors.Is(err, errTornHeader) {
		err = &DamageError{File: name, Why: err.Error()}
	}
	if err != nil {
		return Segment{}, err
	}
	r := newSegmentReader(name, file, h, size)
	for {
		prev := r.hash
		e, err := r.next()
		if errors.Is(err, io.EOF) {
			return Segment{First: h.first, Last: r.seq, Prev: h.prev, Hash: r.hash, Bytes: size}, nil
		}
		if err == nil {
			err = f(LogEntry{Seq: e.seq, Record: e.record, Prev: prev, Hash: e.hash, Pending: e.pending})
		}
		if err != nil {
			return Segment{}, err
		}
	}
}

// Beginning returns the number of the log's first record, and the base of the last Prune: 0 if the log was never pruned.
func (s *Store) Beginning() (first, base uint64) {
	s.log.mu.RLock()
	defer s.log.mu.RUnlock()
	return s.log.begins.first, s.log.begins.base
}

// Prune removes the segments before the record first, with which a segment has to begin. base is the record from which on readers need none of them;
// it is durable already. It may use the reserve, since it makes room. Readings in progress continue to their end. What an earlier Prune could not
// remove is removed as well; if this one fails, opening or the next one finishes it.
func (s *Store) Prune(ctx context.Context, first, base uint64) error {
	s.pruneMu.Lock()
	defer s.pruneMu.Unlock()
	b, err := s.log.beginAt(first, base)
	if err != nil {
		return fmt.Errorf("prune the log: %w", err)
	}
	err = s.control.Update(WithReserve(context.WithoutCancel(ctx)), func(tx Tx) error { return inner(tx).Put(logBucket, beginningKey, b.encode()) })
	if err != nil {
		return fmt.Errorf("prune the log: %w", err)
	}
	if err := s.log.removeBefore(b); err != nil {
		return fmt.Errorf("prune the log: %w", err)
	}
	return nil
}

// beginAt checks a new beginning.
func (l *segmentLog) beginAt(first, base uint64) (beginning, error) {
	if err := l.usable(true); err != nil {
		return beginning{}, err
	}
	l.mu.RLock()
	defer l.mu.RUnlock()
	if base < first || base > l.seq {
		return beginning{}, fmt.Errorf("record %d, from which on nothing earlier is needed, is not among the records %d to %d that stay", base, first, l.seq)
	}
	for _, x := range l.segments {
		if x.header.first == first && first >= l.begins.first {
			return beginning{first: first, base: base, prev: x.header.prev}, nil
		}
	}
	return beginning{}, fmt.Errorf("no segment begins with record %d", first)
}

// removeBefore removes the segments before the log's beginning, oldest first. After an error the log stays usable: the remaining files are not read.
func (l *segmentLog) removeBefore(b beginning) error {
	l.writeMu.Lock()
	defer l.writeMu.Unlock()
	l.mu.Lock()
	l.begins = b
	for len(l.segments) > 0 && l.segments[0].header.first < b.first {
		l.leftover, l.retired = append(l.leftover, l.segments[0].name), append(l.retired, l.segments[0].f)
		l.segments = l.segments[1:]
	}
	l.mu.Unlock()
	l.retire()
	return l.removeLeftover()
}

// removeLeftover removes files from before the log's beginning.
func (l *segmentLog) removeLeftover() error {
	if l.readOnly || len(l.leftover) == 0 {
		return nil
	}
	for len(l.leftover) > 0 {
		if err := l.hook.reach(FailPruneBeforeRemove); err != nil {
			return err
		}
		if err := l.files.remove(l.leftover[0]); err != nil {
			return fmt.Errorf("remove %s: %w", l.files.path(l.leftover[0]), err)
		}
		l.leftover = l.leftover[1:]
	}
	if err := l.files.syncDir(); err != nil {
		return err
	}
	return l.hook.reach(FailPruneAfterRemove)
}

// hold copies the segments and the head as they are now. Until release their files stay open, even if they are removed.
func (l *segmentLog) hold() (segments []segment, head uint64, release func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.readers++
	segments = make([]segment, len(l.segments))
	for i, s := range l.segments {
		segments[i] = *s
	}
	return segments, l.seq, func() {
		l.mu.Lock()
		l.readers--
		l.mu.Unlock()
		l.retire()
	}
}

// retire closes the files of removed segments once no reading is in progress: only then the file system frees their space.
func (l *segmentLog) retire() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.readers > 0 {
		return
	}
	for _, f := range l.retired {
		_ = f.Close() // it was synced, and is not part of the log any more
	}
	l.retired = nil
}
