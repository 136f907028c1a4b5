package cloud

import (
	"encoding/binary"
	"maps"
	"slices"
	"time"
)

// entryOf unpacks the overlay of an object, nil if it has none. After a change it has to be laid again.
func (c *Cache) entryOf(id string) *entry {
	packed, ok := c.over[id]
	if !ok {
		return nil
	}
	return unpackEntry(packed)
}

// lay puts an overlay in place of the one that an object has; an empty one ends it.
func (c *Cache) lay(id string, e *entry) {
	if e.empty() {
		delete(c.over, id)
		return
	}
	c.over[id] = e.pack()
}

// The marks of packed own writes.
const (
	markAgain = 1 << iota // pending.Again
	markSame              // answered when the one before it was
	markValue             // has a value, if perhaps an empty one
)

// packer writes one overlay. A first run has one of every object until the tenant shows what was written: packed they take a sixth of their maps.
type packer struct {
	b    []byte
	last time.Time
}

// pack encodes an overlay for the memory of this process; what is saved is JSON.
func (e *entry) pack() string {
	w := &packer{b: []byte{byte(slices.Index(recordKinds, e.Kind) + 1)}}
	if e.Life == nil {
		w.b = append(w.b, 0)
	} else {
		w.b = append(w.b, 1)
		w.pending(e.Life)
	}
	w.b = binary.AppendUvarint(w.b, uint64(len(e.Fields)))
	for _, n := range slices.Sorted(maps.Keys(e.Fields)) {
		code := recordCodes[n]
		if w.b = binary.AppendUvarint(w.b, code); code == 0 {
			w.b = appendText(w.b, n)
		}
		w.pending(e.Fields[n])
	}
	w.b = binary.AppendUvarint(w.b, uint64(len(e.Members)))
	for _, id := range slices.Sorted(maps.Keys(e.Members)) {
		w.b = appendText(w.b, id)
		w.pending(e.Members[id])
	}
	return string(w.b)
}

func (w *packer) pending(p *pending) {
	mark := byte(0)
	if p.Again {
		mark |= markAgain
	}
	if p.At.Equal(w.last) {
		mark |= markSame
	}
	if p.Value != nil {
		mark |= markValue
	}
	w.b = append(w.b, mark)
	if mark&markSame == 0 {
		w.last = p.At
		w.b = binary.AppendUvarint(binary.AppendUvarint(w.b, uint64(p.At.Unix())), uint64(p.At.Nanosecond()))
	}
	if mark&markValue != 0 {
		w.b = binary.AppendUvarint(w.b, uint64(len(p.Value)))
		for _, v := range p.Value {
			w.b = appendText(w.b, v)
		}
	}
}

// unpackEntry reads what pack wrote in this process.
func unpackEntry(packed string) *entry {
	r, last := &reader{rest: packed[1:]}, time.Time{}
	e := &entry{}
	if n := packed[0]; n > 0 {
		e.Kind = recordKinds[n-1]
	}
	if r.number() == 1 {
		e.Life = r.pending(&last)
	}
	if n := r.number(); n > 0 {
		e.Fields = make(map[string]*pending, n)
		for range n {
			name := r.name()
			e.Fields[name] = r.pending(&last)
		}
	}
	if n := r.number(); n > 0 {
		e.Members = make(map[string]*pending, n)
		for range n {
			id := r.text()
			e.Members[id] = r.pending(&last)
		}
	}
	return e
}

func (r *reader) pending(last *time.Time) *pending {
	mark := r.number()
	p := &pending{Again: mark&markAgain != 0}
	if mark&markSame == 0 {
		seconds := int64(r.number())
		*last = time.Unix(seconds, int64(r.number()))
	}
	if p.At = *last; mark&markValue != 0 {
		p.Value = r.texts()
	}
	return p
}
