package cloud

import (
	"encoding/binary"
	"maps"
	"slices"
	"time"
)

// fewMembers is the most members whose own writes are packed. A group gets its 100,000 members in writes of twenty, and packing all of them each time
// would be most of the work.
const fewMembers = 64

// unpacked is the value in Cache.over for an overlay that is not packed.
const unpacked = "-"

// entryOf returns the overlay of an object, or nil. After a change lay has to be called.
func (c *Cache) entryOf(id string) *entry {
	if c.laid != nil && c.laidAt == id {
		return c.laid
	}
	switch packed := c.over[id]; packed {
	case "":
		return nil
	case unpacked:
		return c.wide[id]
	default:
		return unpackEntry(packed)
	}
}

// lay replaces the overlay of an object; an empty one ends it.
func (c *Cache) lay(id string, e *entry) {
	delete(c.wide, id)
	c.laid, c.laidAt = e, id
	switch {
	case e.empty():
		c.laid = nil
		delete(c.over, id)
	case len(e.Members) > fewMembers:
		c.over[id] = unpacked
		c.wide[id] = e
	default:
		c.over[id] = e.pack()
	}
}

// The bits of packed own writes.
const (
	markAgain = 1 << iota // pending.Again
	markSame              // answered at the time of the previous one
	markValue             // has a value, possibly an empty one
)

// packer encodes one overlay. During a first run every object has one until the tenant shows its write; packed it takes a sixth of the memory of its
// maps.
type packer struct {
	b    []byte
	last time.Time
}

// pack encodes an overlay for the memory of this process; stored overlays are JSON.
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

// unpackEntry decodes what pack encoded in this process.
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

// Pack makes a page small, for a refresh that keeps all of its pages until it is committed in one step.
func (p *Page) Pack() {
	for i, u := range p.Upserts {
		p.Upserts[i] = Upsert{ID: u.ID, Kind: u.Kind, packed: u.pack()}
	}
}

func (u Upsert) pack() string {
	if u.packed != "" {
		return u.packed
	}
	var b []byte
	for _, said := range []*bool{u.Synced, u.Guest, u.Mailed, u.Role} {
		switch {
		case said == nil:
			b = append(b, 0)
		case *said:
			b = append(b, 2)
		default:
			b = append(b, 1)
		}
	}
	if u.Manager == nil {
		b = append(b, 0)
	} else {
		b = appendText(append(b, 1), *u.Manager)
	}
	for _, ids := range [][]string{u.AddMembers, u.RemoveMembers} {
		b = appendTexts(b, ids)
	}
	b = binary.AppendUvarint(b, uint64(len(u.Values)))
	for _, n := range slices.Sorted(maps.Keys(u.Values)) {
		code := recordCodes[n]
		if b = binary.AppendUvarint(b, code); code == 0 {
			b = appendText(b, n)
		}
		b = appendTexts(b, u.Values[n])
	}
	return string(b)
}

func appendTexts(b []byte, ts []string) []byte {
	b = binary.AppendUvarint(b, uint64(len(ts)))
	for _, t := range ts {
		b = appendText(b, t)
	}
	return b
}

// unpack returns the upsert as before Pack.
func (u Upsert) unpack() Upsert {
	if u.packed == "" {
		return u
	}
	r := &reader{rest: u.packed}
	out := Upsert{ID: u.ID, Kind: u.Kind, Values: Values{}}
	for _, to := range []**bool{&out.Synced, &out.Guest, &out.Mailed, &out.Role} {
		if n := r.number(); n > 0 {
			said := n == 2
			*to = &said
		}
	}
	if r.number() == 1 {
		manager := r.text()
		out.Manager = &manager
	}
	out.AddMembers, out.RemoveMembers = r.texts(), r.texts()
	for range r.number() {
		name := r.name()
		out.Values[name] = r.texts()
	}
	return out
}
