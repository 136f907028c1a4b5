package ledger

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"

	"github.com/tandem-sync/tandem/scoping"
)

// troubleSection is the shelf's section of troubles, by object.
const troubleSection = "troubles"

// Troubles is what is remembered of keys whose writes are refused or do not last (rule S10), by object. As every write is counted there for a day,
// they may be as many as rows, and are kept packed. Like rows they are read from a shelf when first asked for, in a ledger for display.
type Troubles struct {
	of      scoping.ByObject[kept]
	changed map[scoping.ObjectID]bool // since the last checkpoint
	shelf   Shelf                     // nil: all are here
	shared  shared
	err     error
}

// kept is what is remembered of one object. The zero value is nothing, which the shelf may not know yet.
type kept struct {
	packed string // its troubles by feature; "": none
	ends   int64  // none of them is over before this time
	lost   bool   // a value of it does not last: rare, and asked of every compared key
}

// keep packs what is remembered of an object.
func (t *Troubles) keep(fs map[scoping.Feature]*Trouble) kept {
	if len(fs) == 0 {
		return kept{}
	}
	packed, err := t.shared.packTroubles(fs)
	if err != nil { // texts and numbers always can be
		t.fail(fmt.Errorf("packing troubles: %w", err))
	}
	k := kept{packed: packed, ends: endOf(fs)}
	for _, x := range fs {
		k.lost = k.lost || len(x.NotKept) > 0
	}
	return k
}

// get returns the troubles of an object, which are the caller's.
func (t *Troubles) get(o scoping.ObjectID) map[scoping.Feature]*Trouble {
	k := t.kept(o)
	if k.packed == "" {
		return nil
	}
	fs, err := t.shared.unpackTroubles(k.packed)
	if err != nil {
		t.fail(fmt.Errorf("%w: the troubles of %s in memory: %w", ErrRecord, o, err))
	}
	return fs
}

// one returns the trouble of one feature of an object, which is the caller's; nil if there is none.
func (t *Troubles) one(o scoping.ObjectID, f scoping.Feature) *Trouble {
	k := t.kept(o)
	if k.packed == "" {
		return nil
	}
	x, err := t.shared.troubleIn(k.packed, f)
	if err != nil {
		t.fail(fmt.Errorf("%w: the troubles of %s in memory: %w", ErrRecord, o, err))
	}
	return x
}

// kept returns what is remembered of an object, packed.
func (t *Troubles) kept(o scoping.ObjectID) kept {
	k, known := t.of.Get(o)
	if !known && t.shelf != nil {
		b, err := t.shelf.Get(troubleSection, o.String())
		if err == nil && b != nil {
			k, err = t.stow(o, b)
		}
		if err != nil {
			t.fail(err)
		}
		t.take(o, k)
	}
	return k
}

// fail keeps the first error.
func (t *Troubles) fail(err error) {
	if t.err == nil {
		t.err = err
	}
}

func decodeTroubles(o scoping.ObjectID, b []byte) (fs map[scoping.Feature]*Trouble, err error) {
	if err := json.Unmarshal(b, &fs); err != nil {
		return nil, fmt.Errorf("%w: the troubles of %s: %w", ErrRecord, o, err)
	}
	for f, t := range fs {
		if t == nil {
			return nil, fmt.Errorf("%w: the troubles of %s have nothing about %s", ErrRecord, o, f)
		}
	}
	return fs, nil
}

// stow checks and packs what is stored of an object.
func (t *Troubles) stow(o scoping.ObjectID, b []byte) (kept, error) {
	fs, err := decodeTroubles(o, b)
	if err != nil {
		return kept{}, err
	}
	return t.keep(fs), nil
}

// endOf returns when the first of an object's troubles is over.
func endOf(fs map[scoping.Feature]*Trouble) int64 {
	ends := int64(math.MaxInt64)
	for _, x := range fs {
		ends = min(ends, x.ends())
	}
	return ends
}

// take stores what is remembered of an object without noting a change.
func (t *Troubles) take(o scoping.ObjectID, k kept) {
	t.of.Put(o, k)
}

// put replaces the troubles of an object.
func (t *Troubles) put(o scoping.ObjectID, fs map[scoping.Feature]*Trouble) {
	t.take(o, t.keep(fs))
	t.note(o)
}

// drop forgets the troubles of an object.
func (t *Troubles) drop(o scoping.ObjectID) {
	if t.get(o) != nil {
		t.put(o, nil)
	}
}

// forget drops an object's troubles that are over.
func (t *Troubles) forget(o scoping.ObjectID, now int64) {
	fs, before := t.get(o), 0
	before = len(fs)
	maps.DeleteFunc(fs, func(_ scoping.Feature, x *Trouble) bool { return x.ends() <= now })
	if len(fs) < before {
		t.put(o, fs)
	}
}

// forgetAll drops all troubles that are over, at the end of a run.
func (t *Troubles) forgetAll(now int64) {
	t.whole()
	for o, k := range t.of.All() {
		if k.packed != "" && k.ends <= now {
			t.forget(o, now)
		}
	}
}

func (t *Troubles) note(o scoping.ObjectID) {
	if t.changed == nil {
		t.changed = map[scoping.ObjectID]bool{}
	}
	t.changed[o] = true
}

// whole reads everything that is only on the shelf.
func (t *Troubles) whole() {
	s := t.shelf
	if s == nil {
		return
	}
	t.shelf = nil
	err := s.Each(troubleSection, func(key string, b []byte) error {
		o, err := scoping.ParseObjectID(key)
		if err != nil {
			return fmt.Errorf("%w: the troubles of %s: %w", ErrRecord, key, err)
		}
		if _, known := t.of.Get(o); known {
			return nil
		}
		k, err := t.stow(o, b)
		if err == nil {
			t.take(o, k)
		}
		return err
	})
	if err != nil {
		t.fail(err)
	}
}

// all yields the objects with troubles, in no order.
func (t *Troubles) all(yield func(scoping.ObjectID, map[scoping.Feature]*Trouble) bool) {
	t.whole()
	for o, k := range t.of.All() {
		if k.packed != "" && !yield(o, t.get(o)) {
			return
		}
	}
}

// entries encodes what changed.
func (t *Troubles) entries() (out []Entry) {
	for _, o := range sortedObjects(t.changed) {
		e := Entry{Section: troubleSection, Key: o.String()}
		if fs := t.get(o); len(fs) > 0 {
			b, err := json.Marshal(fs)
			if err != nil { // texts and numbers always can be
				t.fail(fmt.Errorf("encoding the troubles of %s: %w", o, err))
			}
			e.Value = b
		}
		out = append(out, e)
	}
	return out
}

// stored ends a checkpoint.
func (t *Troubles) stored(changed map[scoping.ObjectID]bool, stored bool) {
	if !stored {
		for o := range changed {
			t.note(o)
		}
		return
	}
	for o := range changed {
		if k, _ := t.of.Get(o); k.packed == "" && !t.changed[o] {
			t.of.Delete(o)
		}
	}
}

// UnmarshalJSON implements json.Unmarshaler, for checkpoints of version 1.
func (t *Troubles) UnmarshalJSON(b []byte) error {
	var of map[scoping.ObjectID]json.RawMessage
	if err := json.Unmarshal(b, &of); err != nil {
		return err
	}
	for o, x := range of {
		k, err := t.stow(o, x)
		if err != nil {
			return err
		}
		t.take(o, k)
		t.note(o)
	}
	return nil
}

// MarshalJSON implements json.Marshaler: all of them as one value, for comparison. Checkpoints store each by itself.
func (t *Troubles) MarshalJSON() ([]byte, error) {
	all := map[scoping.ObjectID]map[scoping.Feature]*Trouble{}
	maps.Insert(all, t.all)
	return json.Marshal(all)
}

// IsZero reports whether nothing is remembered.
func (t *Troubles) IsZero() bool {
	for range t.all {
		return false
	}
	return true
}
