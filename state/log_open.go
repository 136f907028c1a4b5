package state

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// TornTail is what opening cut from the end of a log: a group that a crash left half written and that was never acknowledged.
type TornTail struct {
	File   string
	Offset int64 // the end of the last whole group
	Bytes  int64 // number of bytes cut
}

// openLog reads the segments' headers and the whole last segment, and cuts a torn tail (readOnly only skips it). Files before the log's beginning are
// ignored.
func openLog(fs files, sp *space, o Options, begins beginning, readOnly bool) (*segmentLog, error) {
	l := &segmentLog{files: fs, space: sp, hook: o.Hook, maxSize: o.segmentSize(), readOnly: readOnly, begins: begins}
	if err := l.load(); err != nil {
		return nil, errors.Join(fmt.Errorf("open log: %w", err), l.Close())
	}
	return l, nil
}

func (l *segmentLog) load() error {
	names, err := l.files.list()
	if err != nil {
		return fmt.Errorf("list segments: %w", err)
	}
	var kept []string
	for _, name := range names {
		switch first, ok := segmentFirst(name); {
		case ok && first < l.begins.first:
			l.leftover = append(l.leftover, name)
		case ok:
			kept = append(kept, name)
		}
	}
	for i, name := range kept {
		if err := l.loadSegment(name, i == len(kept)-1); err != nil {
			return err
		}
	}
	if len(l.segments) == 0 && l.begins.first == 1 {
		return nil
	}
	if err := l.checkBeginning(); err != nil {
		return err
	}
	return l.loadTail(l.segments[len(l.segments)-1])
}

// checkBeginning compares the first segment with the beginning stored in control.
func (l *segmentLog) checkBeginning() error {
	b := l.begins
	if len(l.segments) == 0 {
		return &DamageError{File: l.files.path(segmentName(b.first)), Seq: b.first, Why: "it is missing, and with it all that stays of a log whose first records were removed"}
	}
	first := l.segments[0]
	switch {
	case first.header.first != b.first:
		return &DamageError{File: l.files.path(first.name), Seq: b.first, Why: "the segments before it are missing"}
	case first.header.prev != b.prev:
		return &DamageError{File: l.files.path(first.name), Seq: b.first, Why: "it does not continue the records that were removed"}
	}
	return nil
}

// loadSegment opens one segment. A last one with an incomplete header is empty and is removed.
func (l *segmentLog) loadSegment(name string, last bool) error {
	f, err := l.files.open(name)
	if err != nil {
		return fmt.Errorf("open segment: %w", err)
	}
	s := &segment{name: name, f: f}
	if s.size, err = f.size(); err != nil {
		return errors.Join(fmt.Errorf("open segment: %w", err), f.Close())
	}
	head := make([]byte, min(s.size, headerSize))
	if _, err := f.ReadAt(head, 0); err != nil && !errors.Is(err, io.EOF) {
		return errors.Join(fmt.Errorf("read %s: %w", l.files.path(name), err), f.Close())
	}
	s.header, err = decodeHeader(l.files.path(name), head)
	first, _ := segmentFirst(name)
	switch {
	case err == nil && s.header.first == first:
		l.segments = append(l.segments, s)
		return nil
	case err == nil:
		err = &DamageError{File: l.files.path(name), Why: fmt.Sprintf("it is the segment of record %d", s.header.first)}
	case errors.Is(err, ErrVersion):
	case last && s.size <= headerSize:
		return errors.Join(f.Close(), l.dropSegment(name, s.size))
	case errors.Is(err, errTornHeader):
		err = &DamageError{File: l.files.path(name), Why: err.Error()}
	}
	return errors.Join(err, f.Close())
}

func (l *segmentLog) dropSegment(name string, size int64) error {
	l.torn = &TornTail{File: l.files.path(name), Bytes: size}
	if l.readOnly {
		return nil
	}
	if err := l.hook.reach(FailOpenBeforeCut); err != nil {
		return err
	}
	if err := l.files.remove(name); err != nil {
		return fmt.Errorf("remove unfinished segment: %w", err)
	}
	return l.files.syncDir()
}

// loadTail walks the last segment to find the head and a torn tail.
func (l *segmentLog) loadTail(s *segment) error {
	l.seq, l.hash, l.pending = s.header.first-1, s.header.prev, s.header.pending
	r := newSegmentReader(l.files.path(s.name), s.f, s.header, s.size)
	r.quick = l.readOnly       // the chain is checked when the log is opened for writing
	whole := int64(headerSize) // the end of the last whole group
	for {
		f, err := r.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if errors.Is(err, ErrDamaged) {
			if err := l.tornOrDamaged(s, r, err); err != nil {
				return err
			}
			break
		}
		if err != nil {
			return err
		}
		if f.last() {
			whole, l.seq, l.hash, l.pending = r.offset, f.seq, f.hash, r.pending
		}
	}
	return l.cut(s, whole)
}

// tornOrDamaged decides about an unreadable frame in the last segment. A group is written only after the one before it was synced. So if any frame of
// a later group follows, the unreadable one was acknowledged and is damaged; otherwise it belongs to the group that the crash interrupted.
func (l *segmentLog) tornOrDamaged(s *segment, r *segmentReader, damage error) error {
	later, err := findLaterGroup(s.f, r.offset, s.size, r.seq+1)
	if err != nil {
		return err
	}
	if later {
		return damage
	}
	return nil
}

// findLaterGroup looks for a whole frame, at any offset, of a group that began after record bad.
func findLaterGroup(f io.ReaderAt, from, to int64, bad uint64) (bool, error) {
	if to-from < frameSize {
		return false, nil
	}
	b := make([]byte, to-from)
	if _, err := f.ReadAt(b, from); err != nil && !errors.Is(err, io.EOF) {
		return false, fmt.Errorf("search torn tail: %w", err)
	}
	for i := 1; i+frameSize <= len(b); i++ {
		// Cheap tests first: the number must be possible here.
		seq := binary.LittleEndian.Uint64(b[i+8:])
		if seq <= bad || seq-bad > uint64(len(b)/frameSize) {
			continue
		}
		n, ok := frameLength(b[i:])
		if !ok || i+frameSize+n > len(b) {
			continue
		}
		if c, err := decodeFrame(b[i : i+frameSize+n]); err == nil && c.seq-uint64(c.index) > bad {
			return true, nil
		}
	}
	return false, nil
}

// cut ends the segment after its last whole group and makes the rest durable: after a crash of the process alone there may be whole groups that were
// never synced, which count as written from now on.
func (l *segmentLog) cut(s *segment, whole int64) error {
	if whole != s.size {
		l.torn = &TornTail{File: l.files.path(s.name), Offset: whole, Bytes: s.size - whole}
		s.size = whole
	}
	if l.readOnly {
		return nil
	}
	if l.torn != nil && l.torn.Offset > 0 {
		if err := l.hook.reach(FailOpenBeforeCut); err != nil {
			return err
		}
		if err := s.f.Truncate(whole); err != nil {
			return fmt.Errorf("cut torn tail of %s: %w", l.files.path(s.name), err)
		}
	}
	if err := s.f.Sync(); err != nil {
		return fmt.Errorf("sync %s: %w", l.files.path(s.name), err)
	}
	return l.files.syncDir()
}
