package ledger

import (
	"encoding/json"
	"fmt"
	"maps"

	"github.com/tandem-sync/tandem/scoping"
)

// troubleSection is where troubles are kept, by object.
const troubleSection = "troubles"

// Troubles is what is remembered of keys whose writes are refused or do not last (rule S10), by object. Every write is counted there for a day, so that there may
// be as many as rows; like them they are read when they are asked for first where the ledger is only looked at.
type Troubles struct {
	of      map[scoping.ObjectID]map[scoping.Feature]*Trouble // nil: nothing is remembered
	changed map[scoping.ObjectID]bool                         // since they were saved last
	shelf   Shelf                                             // nil: all are here
	err     error
}

// get returns the troubles of an object.
func (t *Troubles) get(o scoping.ObjectID) map[scoping.Feature]*Trouble {
	fs, known := t.of[o]
	if known || t.shelf == nil {
		return fs
	}
	b, err := t.shelf.Get(troubleSection, o.String())
	if err == nil && b != nil {
		fs, err = decodeTroubles(o, b)
	}
	if err != nil && t.err == nil {
		t.err = err
	}
	t.put(o, fs)
	return fs
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

func (t *Troubles) put(o scoping.ObjectID, fs map[scoping.Feature]*Trouble) {
	if t.of == nil {
		t.of = map[scoping.ObjectID]map[scoping.Feature]*Trouble{}
	}
	t.of[o] = fs
}

// change returns the troubles of an object to be changed, made where there are none.
func (t *Troubles) change(o scoping.ObjectID) map[scoping.Feature]*Trouble {
	fs := t.get(o)
	if fs == nil {
		fs = map[scoping.Feature]*Trouble{}
		t.put(o, fs)
	}
	t.note(o)
	return fs
}

// drop forgets the troubles of an object.
func (t *Troubles) drop(o scoping.ObjectID) {
	if t.get(o) != nil {
		t.put(o, nil)
		t.note(o)
	}
}

func (t *Troubles) note(o scoping.ObjectID) {
	if t.changed == nil {
		t.changed = map[scoping.ObjectID]bool{}
	}
	t.changed[o] = true
}

// all returns the objects of which something is remembered.
func (t *Troubles) all() map[scoping.ObjectID]map[scoping.Feature]*Trouble {
	if s := t.shelf; s != nil {
		t.shelf = nil
		err := s.Each(troubleSection, func(key string, b []byte) error {
			o, err := scoping.ParseObjectID(key)
			if err != nil {
				return fmt.Errorf("%w: the troubles of %s: %w", ErrRecord, key, err)
			}
			if _, known := t.of[o]; known {
				return nil
			}
			fs, err := decodeTroubles(o, b)
			if err == nil {
				t.put(o, fs)
			}
			return err
		})
		if err != nil && t.err == nil {
			t.err = err
		}
	}
	return t.of
}

// entries encodes what changed.
func (t *Troubles) entries() (out []Entry, err error) {
	for _, o := range sortedObjects(t.changed) {
		e := Entry{Section: troubleSection, Key: o.String()}
		if fs := t.of[o]; len(fs) > 0 {
			if e.Value, err = json.Marshal(fs); err != nil {
				return nil, fmt.Errorf("encoding the troubles of %s: %w", o, err)
			}
		}
		out = append(out, e)
	}
	return out, nil
}

// stored ends a checkpoint.
func (t *Troubles) stored(changed map[scoping.ObjectID]bool, stored bool) {
	if !stored {
		for o := range changed {
			t.note(o)
		}
		return
	}
	maps.DeleteFunc(t.of, func(o scoping.ObjectID, fs map[scoping.Feature]*Trouble) bool {
		return len(fs) == 0 && changed[o] && !t.changed[o]
	})
}

// UnmarshalJSON implements json.Unmarshaler, for checkpoints of version 1.
func (t *Troubles) UnmarshalJSON(b []byte) error {
	if err := json.Unmarshal(b, &t.of); err != nil {
		return err
	}
	for o, fs := range t.of {
		for f, x := range fs {
			if x == nil {
				return fmt.Errorf("the troubles of %s have nothing about %s", o, f)
			}
		}
		t.note(o)
	}
	return nil
}

// MarshalJSON implements json.Marshaler: all of them as one value, for comparing. Checkpoints keep them apart.
func (t *Troubles) MarshalJSON() ([]byte, error) {
	all := maps.Clone(t.all())
	maps.DeleteFunc(all, func(_ scoping.ObjectID, fs map[scoping.Feature]*Trouble) bool { return len(fs) == 0 })
	return json.Marshal(all)
}

// IsZero reports whether nothing is remembered.
func (t *Troubles) IsZero() bool {
	for _, fs := range t.all() {
		if len(fs) > 0 {
			return false
		}
	}
	return true
}
