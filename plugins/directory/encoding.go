package directory

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/tandem-sync/tandem/scoping"
)

// encodingVersion stands first in an encoded entry; others are refused.
const encodingVersion = 1

// ErrEncoding is the kind of every error of [DecodeEntry].
var ErrEncoding = errors.New("not an encoded directory entry")

// Encode gives a compact form: a version byte, then fields with their lengths. Equal entries have equal bytes.
func (e Entry) Encode() []byte {
	b := make([]byte, 0, 256+len(e.DN))
	b = append(b, encodingVersion, 0)
	if e.Deleted {
		b[1] = 1
	}
	b = append(b, e.GUID[:]...)
	b = append(b, e.Parent[:]...)
	b = append(b, e.LastParent[:]...)
	b = binary.AppendUvarint(b, e.Version)
	b = appendText(b, e.DN)
	b = appendText(b, e.LastKnownParent)
	b = binary.AppendUvarint(b, uint64(len(e.Attrs)))
	for _, name := range slices.Sorted(maps.Keys(e.Attrs)) {
		b = appendText(b, name)
		b = binary.AppendUvarint(b, uint64(len(e.Attrs[name])))
		for _, v := range e.Attrs[name] {
			b = appendText(b, string(v))
		}
	}
	b = binary.AppendUvarint(b, uint64(len(e.Links)))
	for _, name := range slices.Sorted(maps.Keys(e.Links)) {
		b = appendText(b, name)
		b = e.Links[name].append(b)
	}
	return b
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func (l LinkChange) append(b []byte) []byte {
	if l.Whole {
		b = append(b, 1)
	} else {
		b = append(b, 0)
	}
	for _, list := range [][]Link{l.Targets, l.Added, l.Removed} {
		b = binary.AppendUvarint(b, uint64(len(list)))
		for _, t := range list {
			b = append(b, t.GUID[:]...)
			b = appendText(b, string(t.SID))
			b = appendText(b, t.DN)
		}
	}
	return b
}

// DecodeEntry reads what [Entry.Encode] wrote. It copies what it keeps. Any other bytes give an error of kind ErrEncoding.
func DecodeEntry(b []byte) (Entry, error) {
	if len(b) < 2 || b[0] != encodingVersion || b[1] > 1 {
		return Entry{}, fmt.Errorf("%w: unknown version", ErrEncoding)
	}
	r := &reader{rest: b[2:]}
	e := Entry{Deleted: b[1] == 1}
	e.GUID, e.Parent, e.LastParent = r.guid(), r.guid(), r.guid()
	e.Version = r.number()
	e.DN, e.LastKnownParent = string(r.bytes()), string(r.bytes())
	if n := r.count(2); n > 0 {
		e.Attrs = make(map[string][][]byte, n)
		for range n {
			name := string(r.bytes())
			values := make([][]byte, r.count(1))
			for i := range values {
				values[i] = slices.Clone(r.bytes())
			}
			e.Attrs[name] = values
		}
	}
	if n := r.count(5); n > 0 {
		e.Links = make(map[string]LinkChange, n)
		for range n {
			name := string(r.bytes())
			e.Links[name] = r.links()
		}
	}
	if r.bad || len(r.rest) != 0 {
		return Entry{}, fmt.Errorf("%w: damaged at %d bytes from the end", ErrEncoding, len(r.rest))
	}
	return e, nil
}

// reader takes fields off a slice; after the first one that does not fit, bad is set and everything is empty.
type reader struct {
	rest []byte
	bad  bool
}

func (r *reader) fail() { r.bad, r.rest = true, nil }

func (r *reader) number() uint64 {
	v, n := binary.Uvarint(r.rest)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

// count reads how many elements follow, each of at least size bytes: no number makes the caller allocate more than the input.
func (r *reader) count(size int) int {
	n := r.number()
	if n > uint64(len(r.rest)/size) {
		r.fail()
		return 0
	}
	return int(n)
}

func (r *reader) bytes() []byte {
	n := r.count(1)
	v := r.rest[:n]
	r.rest = r.rest[n:]
	return v
}

func (r *reader) guid() (g scoping.GUID) {
	if len(r.rest) < len(g) {
		r.fail()
		return g
	}
	copy(g[:], r.rest)
	r.rest = r.rest[len(g):]
	return g
}

func (r *reader) links() LinkChange {
	var l LinkChange
	if len(r.rest) == 0 || r.rest[0] > 1 {
		r.fail()
		return l
	}
	l.Whole = r.rest[0] == 1
	r.rest = r.rest[1:]
	l.Targets, l.Added, l.Removed = r.list(), r.list(), r.list()
	return l
}

func (r *reader) list() []Link {
	n := r.count(18)
	if n == 0 {
		return nil
	}
	out := make([]Link, n)
	for i := range out {
		out[i].GUID = r.guid()
		if sid := r.bytes(); len(sid) > 0 {
			out[i].SID = slices.Clone(sid)
		}
		out[i].DN = string(r.bytes())
	}
	return out
}
