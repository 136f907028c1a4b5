package ledger

import (
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"slices"

	"github.com/tandem-sync/tandem/orchestrator/standing/changes"
	"github.com/tandem-sync/tandem/scoping"
)

// Table holds the rows of a ledger by object. Readers see no more of it than its methods, so that its layout can change. It is guarded as the ledger
// that it belongs to is; rows that it returns are not to be changed, nor kept across a Fold.
//
// A table is whole, or it takes rows from a shelf when they are asked for first: then a row that cannot be read counts as absent, and State.Err says so.
type Table struct {
	rows    map[scoping.ObjectID]*Row // nil: dropped, or not on the shelf
	links   map[string]scoping.ObjectID
	changed map[scoping.ObjectID]bool // since they were saved last
	unlinks map[string]bool           // links that ended since then
	shelf   Shelf                     // nil: the table is whole
	live    map[scoping.Kind]int      // rows in state Live, as the shelf has them
	shared  shared
	news    changes.Set[scoping.ObjectID] // see State.Changed

	moved   changes.Set[scoping.ObjectID] // since transit was brought up to date
	transit map[scoping.ObjectID]struct{} // see InTransit; nil: nobody asked yet
	err     error
}

// Get returns the row of an object, nil if it has none.
func (t *Table) Get(o scoping.ObjectID) *Row {
	r, known := t.rows[o]
	if known || t.shelf == nil {
		return r
	}
	r, err := t.read(o)
	if err != nil {
		t.fail(err)
		return nil
	}
	t.take(o, r)
	return r
}

// read decodes a row of the shelf; nil if there is none.
func (t *Table) read(o scoping.ObjectID) (*Row, error) {
	b, err := t.shelf.Get(rowsSection, o.String())
	if err != nil || b == nil {
		return nil, err
	}
	return decodeRow(o, b)
}

func decodeRow(o scoping.ObjectID, b []byte) (*Row, error) {
	var r Row
	if err := json.Unmarshal(b, &r); err != nil {
		return nil, fmt.Errorf("%w: the row of %s: %w", ErrRecord, o, err)
	}
	if err := r.check(o); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRecord, err)
	}
	return &r, nil
}

// take puts in what is stored; that is no change.
func (t *Table) take(o scoping.ObjectID, r *Row) {
	if t.rows == nil {
		t.rows, t.links = map[scoping.ObjectID]*Row{}, map[string]scoping.ObjectID{}
	}
	t.shared.row(r)
	t.rows[o] = r
	if r != nil && r.CloudID != "" {
		t.links[r.CloudID] = o
	}
}

// fail remembers the first row that could not be read.
func (t *Table) fail(err error) {
	if t.err == nil {
		t.err = err
	}
}

// whole takes every row that is still on the shelf only.
func (t *Table) whole() {
	if t.shelf == nil {
		return
	}
	err := t.shelf.Each(rowsSection, func(key string, b []byte) error {
		o, err := scoping.ParseObjectID(key)
		if err != nil {
			return fmt.Errorf("%w: the row of %s: %w", ErrRecord, key, err)
		}
		if _, known := t.rows[o]; known {
			return nil
		}
		r, err := decodeRow(o, b)
		if err == nil {
			t.take(o, r)
		}
		return err
	})
	if err != nil {
		t.fail(err)
	}
	for o, r := range t.rows {
		if r == nil && !t.changed[o] {
			delete(t.rows, o) // asked for in vain
		}
	}
	t.shelf = nil
}

// Len returns the number of rows.
func (t *Table) Len() int {
	t.whole()
	n := 0
	for _, r := range t.rows {
		if r != nil {
			n++
		}
	}
	return n
}

// All yields every row, in no order.
func (t *Table) All() iter.Seq2[scoping.ObjectID, *Row] {
	return func(yield func(scoping.ObjectID, *Row) bool) {
		t.whole()
		for o, r := range t.rows {
			if r != nil && !yield(o, r) {
				return
			}
		}
	}
}

// InTransit returns the objects that are in transit from one engine to another, in order.
func (t *Table) InTransit() []scoping.ObjectID {
	look, all := t.moved.Take()
	if all || t.transit == nil {
		t.transit, look = map[scoping.ObjectID]struct{}{}, map[scoping.ObjectID]struct{}{}
		for o := range t.All() {
			look[o] = struct{}{}
		}
	}
	for o := range look {
		delete(t.transit, o)
		if r := t.Get(o); r != nil && r.Transit != nil {
			t.transit[o] = struct{}{}
		}
	}
	return slices.SortedFunc(maps.Keys(t.transit), scoping.ObjectID.Compare)
}

// Live counts the rows that are live in the tenant, by kind, without reading those that nobody asked for.
func (t *Table) Live() map[scoping.Kind]int {
	out := map[scoping.Kind]int{}
	if t.shelf == nil {
		for _, r := range t.rows {
			r.count(out, 1)
		}
		return out
	}
	for k, n := range t.live {
		out[k] = n
	}
	for o := range t.changed {
		before, err := t.read(o)
		if err != nil {
			t.fail(err)
		}
		before.count(out, -1)
		t.rows[o].count(out, 1)
	}
	return out
}

// count adds a row, which may be nil, to the live ones of its kind.
func (r *Row) count(to map[scoping.Kind]int, by int) {
	if r == nil || r.State != Live {
		return
	}
	if to[r.Kind] += by; to[r.Kind] == 0 {
		delete(to, r.Kind)
	}
}

// linked returns the object that a cloud object is tied to.
func (t *Table) linked(cloudID string) (scoping.ObjectID, bool) {
	if o, ok := t.links[cloudID]; ok || t.shelf == nil {
		return o, ok
	}
	b, err := t.shelf.Get(linksSection, cloudID)
	if err != nil || b == nil {
		if err != nil {
			t.fail(err)
		}
		return scoping.ObjectID{}, false
	}
	o, err := scoping.ParseObjectID(string(b))
	if err != nil {
		t.fail(fmt.Errorf("%w: the link of %s: %w", ErrRecord, cloudID, err))
		return scoping.ObjectID{}, false
	}
	r := t.Get(o)
	return o, r != nil && r.CloudID == cloudID
}

// change returns a row that is about to be changed, nil if there is none. Only folds change rows.
func (t *Table) change(o scoping.ObjectID) *Row {
	r := t.Get(o)
	if r != nil {
		t.note(o)
	}
	return r
}

func (t *Table) note(o scoping.ObjectID) {
	t.news.Note(o)
	t.moved.Note(o)
	if t.changed == nil {
		t.changed = map[scoping.ObjectID]bool{}
	}
	t.changed[o] = true
}

// put adds a row.
func (t *Table) put(r *Row) {
	t.take(r.Object, r)
	t.note(r.Object)
}

// drop removes a row. Its link has gone to another one.
func (t *Table) drop(o scoping.ObjectID) {
	t.take(o, nil)
	t.note(o)
}

// tie moves the link of a cloud object to a row, away from the one that the row had before.
func (t *Table) tie(r *Row, cloudID string) {
	if r.CloudID != "" {
		delete(t.links, r.CloudID)
		if t.unlinks == nil {
			t.unlinks = map[string]bool{}
		}
		t.unlinks[r.CloudID] = true
	}
	r.CloudID = cloudID
	t.links[cloudID] = r.Object
	delete(t.unlinks, cloudID)
}

// UnmarshalJSON implements json.Unmarshaler, for checkpoints of version 1.
func (t *Table) UnmarshalJSON(b []byte) error {
	if err := json.Unmarshal(b, &t.rows); err != nil {
		return err
	}
	t.links = map[string]scoping.ObjectID{}
	for o, r := range t.rows {
		if r != nil && r.CloudID != "" {
			t.links[r.CloudID] = o
		}
	}
	return nil
}

// MarshalJSON implements json.Marshaler: a whole ledger as one value, for comparing. Checkpoints keep rows apart.
func (t *Table) MarshalJSON() ([]byte, error) {
	t.whole()
	rows := maps.Clone(t.rows)
	maps.DeleteFunc(rows, func(_ scoping.ObjectID, r *Row) bool { return r == nil })
	return json.Marshal(rows)
}

// IsZero reports whether there are no rows.
func (t *Table) IsZero() bool { return t.Len() == 0 }
