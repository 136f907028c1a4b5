package state

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// segment is one file of a log.
type segment struct {
	header header
	name   string
	f      file
	size   int64 // durable bytes
}

// segmentLog is the Log over a folder of segments.
type segmentLog struct {
	files    files
	space    *space
	hook     Hook
	maxSize  int64 // a segment that has reached it is followed by a new one
	readOnly bool
	torn     *TornTail

	queueMu sync.Mutex
	queue   []*appending

	writeMu sync.Mutex // serializes writing: held by the group's leader
	buf     []byte

	mu       sync.RWMutex // guards the fields below; writers also hold writeMu
	segments []*segment
	begins   beginning
	readers  int    // readings in progress
	retired  []file // of removed segments, which readers may still read
	seq      uint64
	hash     [32]byte
	pending  uint64
	broken   error
	closed   bool

	leftover []string // files before the log's beginning; guarded by writeMu
}

// appending is one call of Append waiting for its group.
type appending struct {
	batch   []pendingRecord
	reserve bool
	done    bool
	last    uint64
	err     error
}

// pendingRecord is a record to append, with the number under which control had it pending, or 0.
type pendingRecord struct {
	id     uint64
	record []byte
}

func (l *segmentLog) Append(ctx context.Context, batch [][]byte) (uint64, error) {
	rs := make([]pendingRecord, len(batch))
	for i, r := range batch {
		rs[i].record = r
	}
	return l.append(ctx, rs)
}

func (l *segmentLog) append(ctx context.Context, batch []pendingRecord) (uint64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	for _, d := range batch {
		if len(d.record) > MaxRecord {
			return 0, fmt.Errorf("append to log: record of %d bytes is longer than %d", len(d.record), MaxRecord)
		}
	}
	if err := l.usable(true); err != nil {
		return 0, fmt.Errorf("append to log: %w", err)
	}
	if len(batch) == 0 {
		seq, _ := l.Head()
		return seq, nil
	}
	a := &appending{batch: batch, reserve: Reserved(ctx)}
	l.queueMu.Lock()
	l.queue = append(l.queue, a)
	l.queueMu.Unlock()
	l.lead(a)
	if a.err != nil {
		return 0, fmt.Errorf("append to log: %w", a.err)
	}
	return a.last, nil
}

// lead waits until a is done, by an earlier leader or by leading all calls that wait now: they share one sync.
func (l *segmentLog) lead(a *appending) {
	l.writeMu.Lock()
	defer l.writeMu.Unlock()
	if a.done {
		return
	}
	l.queueMu.Lock()
	group := l.queue
	l.queue = nil
	l.queueMu.Unlock()
	l.writeGroup(group)
}

// writeGroup writes a group; if it does not fit, calls with the right to the reserve are tried again one by one.
func (l *segmentLog) writeGroup(group []*appending) {
	group = l.turnAway(group)
	if len(group) == 0 {
		return
	}
	err := l.write(group)
	if !errors.Is(err, ErrFull) {
		finish(group, err)
		return
	}
	l.space.exhausted()
	for _, a := range group {
		one := []*appending{a}
		if a.reserve {
			finish(one, l.writeReserved(one))
			continue
		}
		finish(one, err)
	}
}

func finish(group []*appending, err error) {
	for _, a := range group {
		a.err, a.done = err, true
	}
}

// turnAway fails the calls that may not write while the reserve is not complete.
func (l *segmentLog) turnAway(group []*appending) []*appending {
	kept := group[:0]
	for _, a := range group {
		if err := l.space.admit(a.reserve); err != nil {
			finish([]*appending{a}, err)
			continue
		}
		kept = append(kept, a)
	}
	return kept
}

// writeReserved releases reserved space until the group fits or nothing is left.
func (l *segmentLog) writeReserved(group []*appending) error {
	for {
		if err := l.space.release(groupBytes(group)); err != nil {
			return err
		}
		if err := l.write(group); !errors.Is(err, ErrFull) {
			return err
		}
	}
}

func groupBytes(group []*appending) int64 {
	n := int64(headerSize)
	for _, a := range group {
		for _, d := range a.batch {
			n += int64(frameSize + len(d.record))
		}
	}
	return n
}

// write appends a group with one sync. ErrFull leaves the log as it was; any other failure breaks it.
func (l *segmentLog) write(group []*appending) error {
	if err := l.usable(true); err != nil {
		return err
	}
	if err := l.rotate(); err != nil {
		return l.failed(err)
	}
	s := l.segments[len(l.segments)-1]
	seq, hash, pending := l.encode(group)
	if err := l.put(s, l.buf); err != nil {
		return l.undo(s, err)
	}
	if err := l.hook.reach(FailAppendBeforeSync); err != nil {
		return l.breakWith(err)
	}
	if err := s.f.Sync(); err != nil {
		return l.breakWith(fmt.Errorf("sync %s: %w", l.files.path(s.name), err))
	}
	l.mu.Lock()
	s.size += int64(len(l.buf))
	l.seq, l.hash, l.pending = seq, hash, pending
	l.mu.Unlock()
	if err := l.hook.reach(FailAppendAfterSync); err != nil {
		return l.breakWith(err)
	}
	return nil
}

// encode fills buf with the group's frames and returns the head after them.
func (l *segmentLog) encode(group []*appending) (seq uint64, hash [32]byte, pending uint64) {
	seq, hash, pending = l.seq, l.hash, l.pending
	if cap(l.buf) > 4<<20 {
		l.buf = nil
	}
	l.buf = l.buf[:0]
	total := 0
	for _, a := range group {
		total += len(a.batch)
	}
	f := frame{group: uint32(total)}
	for _, a := range group {
		for _, d := range a.batch {
			seq++
			hash = ChainHash(hash, seq, d.id, d.record)
			pending = max(pending, d.id)
			f.seq, f.pending, f.hash, f.record = seq, d.id, hash, d.record
			l.buf = f.appendTo(l.buf)
			f.index++
		}
		a.last = seq
	}
	return seq, hash, pending
}

// put writes at the segment's durable end.
func (l *segmentLog) put(s *segment, b []byte) error {
	if err := l.hook.reach(FailAppendBeforeWrite); err != nil {
		return err
	}
	if err := l.hook.reach(FailAppendTorn); err != nil {
		_, torn := s.f.WriteAt(b[:len(b)/2], s.size)
		return errors.Join(err, torn)
	}
	if _, err := s.f.WriteAt(b, s.size); err != nil {
		return fmt.Errorf("write %s: %w", l.files.path(s.name), err)
	}
	return nil
}

// undo removes a write that did not fit. Bytes that stay behind could later follow a shorter group, so failing to cut them breaks the log.
func (l *segmentLog) undo(s *segment, err error) error {
	if !isFull(err) {
		return l.breakWith(err)
	}
	if cut := s.f.Truncate(s.size); cut != nil {
		return l.breakWith(errors.Join(err, fmt.Errorf("cut %s: %w", l.files.path(s.name), cut)))
	}
	return fmt.Errorf("%w: %w", ErrFull, err)
}

// failed sorts an error of a step that leaves nothing behind when the disk is full.
func (l *segmentLog) failed(err error) error {
	if isFull(err) {
		return fmt.Errorf("%w: %w", ErrFull, err)
	}
	return l.breakWith(err)
}

// breakWith ends all writing: after a failed write or sync the kernel may have dropped what it could not write, so a later successful sync would
// prove nothing.
func (l *segmentLog) breakWith(err error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.broken == nil {
		l.broken = brokenBy(err)
	}
	return l.broken
}

// rotate begins a new segment when the last one is full or there is none.
func (l *segmentLog) rotate() error {
	if n := len(l.segments); n > 0 && l.segments[n-1].size < l.maxSize {
		return nil
	}
	return l.begin()
}

// begin begins a new segment.
func (l *segmentLog) begin() error {
	if err := l.hook.reach(FailRotateBeforeCreate); err != nil {
		return err
	}
	s, err := l.createSegment(header{first: l.seq + 1, pending: l.pending, prev: l.hash})
	if err != nil {
		return err
	}
	l.mu.Lock()
	l.segments = append(l.segments, s)
	l.mu.Unlock()
	return l.hook.reach(FailRotateAfterCreate)
}

func (l *segmentLog) createSegment(h header) (*segment, error) {
	s := &segment{header: h, name: segmentName(h.first), size: headerSize}
	f, err := l.files.create(s.name)
	if err != nil {
		return nil, fmt.Errorf("create %s: %w", l.files.path(s.name), err)
	}
	s.f = f
	_, err = f.WriteAt(h.encode(), 0)
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = l.files.syncDir()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("create %s: %w", l.files.path(s.name), err), f.Close(), l.files.remove(s.name))
	}
	return s, nil
}

func (l *segmentLog) usable(toWrite bool) error {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if err := l.files.alive(); err != nil {
		return err
	}
	switch {
	case l.closed:
		return ErrClosed
	case toWrite && l.readOnly:
		return ErrReadOnly
	case toWrite && l.broken != nil:
		return l.broken
	}
	return nil
}

func (l *segmentLog) Head() (uint64, [32]byte) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.seq, l.hash
}

// appended returns the highest number of a pending record that the log has.
func (l *segmentLog) appended() uint64 {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.pending
}

// Close waits for an append in progress. Readers get ErrClosed or an error of the closed file.
func (l *segmentLog) Close() error {
	l.writeMu.Lock()
	defer l.writeMu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil
	}
	l.closed = true
	var errs []error
	for _, s := range l.segments {
		if s.f != nil {
			errs = append(errs, s.f.Close())
		}
	}
	for _, f := range l.retired {
		errs = append(errs, f.Close())
	}
	l.retired = nil
	return errors.Join(errs...)
}
