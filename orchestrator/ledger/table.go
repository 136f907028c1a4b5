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

// Table holds the rows of a ledger by object. The ledger's lock guards it; rows that it returns must not be changed, nor kept across a Fold.
//
// Rows are kept packed; a row that a fold changes is unpacked until the fold ends.
//
// A table is whole, or it reads rows from a shelf when they are first asked for: then a row that cannot be read counts as absent, and State.Err
// returns the error.
type Table struct {
	packed  scoping.ByObject[string]  // "": dropped, or not on the shelf
	open    map[scoping.ObjectID]*Row // rows that the fold under way changes
	size    int                       // rows in packed
	counts  map[scoping.Kind]int      // rows in state Live, by kind
	links   tied
	changed map[scoping.ObjectID]bool // since the last checkpoint
	unlinks map[string]bool           // links that ended since the last checkpoint
	shelf   Shelf                     // nil: the table is whole
	live    map[scoping.Kind]int      // rows in state Live, as the shelf has them
	shared  shared
	touched changes.Set[scoping.ObjectID] // see State.Changed

	moved   changes.Set[scoping.ObjectID] // since transit was brought up to date
	transit map[scoping.ObjectID]struct{} // see InTransit; nil: not asked for yet
	err     error
}

// Get returns the row of an object, nil if it has none.
func (t *Table) Get(o scoping.ObjectID) *Row {
	if r := t.open[o]; r != nil {
		return r
	}
	packed, known := t.packed.Get(o)
	if known || t.shelf == nil {
		return t.unpack(o, packed)
	}
	r, err := t.read(o)
	if err != nil {
		t.fail(err)
		return nil
	}
	t.take(o, r)
	return r
}

// Has reports whether an object has a row, without unpacking it.
func (t *Table) Has(o scoping.ObjectID) bool {
	if packed, known := t.packed.Get(o); t.open[o] == nil && (known || t.shelf == nil) {
		return packed != ""
	}
	return t.Get(o) != nil
}

// unpack returns a packed row; nil for none.
func (t *Table) unpack(o scoping.ObjectID, packed string) *Row {
	if packed == "" {
		return nil
	}
	r, err := t.shared.unpack(o, packed)
	if err != nil {
		t.fail(err)
		return nil
	}
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

// take stores a row without noting a change.
func (t *Table) take(o scoping.ObjectID, r *Row) {
	packed := ""
	if r != nil {
		var err error
		if packed, err = t.shared.pack(r); err != nil {
			t.fail(fmt.Errorf("the row of %s: %w", o, err))
		}
		t.link(r)
	}
	if t.counts == nil {
		t.counts = map[scoping.Kind]int{}
	}
	before, _ := t.packed.Get(o)
	t.tally(before, -1)
	t.packed.Put(o, packed)
	t.tally(packed, 1)
}

// link indexes a row by its cloud object.
func (t *Table) link(r *Row) {
	if r.CloudID != "" {
		t.links.put(r.CloudID, r.Object)
	}
}

// tally adds a packed row to the counts, or subtracts it.
func (t *Table) tally(packed string, by int) {
	if packed == "" {
		return
	}
	t.size += by
	if kind, state, _ := t.shared.peek(packed); state == Live {
		t.counts[kind] += by
	}
}

// pack packs the rows that a fold changed.
func (t *Table) pack() error {
	for o, r := range t.open {
		t.take(o, r)
	}
	clear(t.open)
	if t.shelf == nil {
		return t.err
	}
	return nil // with a shelf the caller asks Err
}

// fail keeps the first error.
func (t *Table) fail(err error) {
	if t.err == nil {
		t.err = err
	}
}

// whole reads every row that is only on the shelf.
func (t *Table) whole() {
	if t.shelf == nil {
		return
	}
	err := t.shelf.Each(rowsSection, func(key string, b []byte) error {
		o, err := scoping.ParseObjectID(key)
		if err != nil {
			return fmt.Errorf("%w: the row of %s: %w", ErrRecord, key, err)
		}
		if _, known := t.packed.Get(o); known {
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
	for o, packed := range t.packed.All() {
		if packed == "" && !t.changed[o] {
			t.packed.Delete(o) // asked for, and not on the shelf
		}
	}
	t.shelf = nil
}

// Len returns the number of rows.
func (t *Table) Len() int {
	t.whole()
	return t.size
}

// All yields every row, in no order.
func (t *Table) All() iter.Seq2[scoping.ObjectID, *Row] {
	return func(yield func(scoping.ObjectID, *Row) bool) {
		for o := range t.Objects() {
			if r := t.Get(o); r != nil && !yield(o, r) {
				return
			}
		}
	}
}

// Objects yields the object of every row, in no order, without unpacking.
func (t *Table) Objects() iter.Seq[scoping.ObjectID] {
	return func(yield func(scoping.ObjectID) bool) {
		t.whole()
		for o, packed := range t.packed.All() {
			if packed != "" && !yield(o) {
				return
			}
		}
	}
}

// InTransit returns the objects that are in transit from one engine to another, in order.
func (t *Table) InTransit() []scoping.ObjectID {
	look, all := t.moved.Take()
	if all || t.transit == nil {
		t.transit, look = map[scoping.ObjectID]struct{}{}, nil
		for o := range t.Objects() {
			if t.inTransit(o) {
				t.transit[o] = struct{}{}
			}
		}
	}
	for o := range look {
		delete(t.transit, o)
		if t.inTransit(o) {
			t.transit[o] = struct{}{}
		}
	}
	return slices.SortedFunc(maps.Keys(t.transit), scoping.ObjectID.Compare)
}

// inTransit reports whether an object's row is in transit, if possible without unpacking it.
func (t *Table) inTransit(o scoping.ObjectID) bool {
	if packed, known := t.packed.Get(o); known && t.open[o] == nil {
		if packed == "" {
			return false
		}
		_, _, transit := t.shared.peek(packed)
		return transit
	}
	r := t.Get(o)
	return r != nil && r.Transit != nil
}

// Live returns the number of rows in state Live, by kind, without reading rows from the shelf.
func (t *Table) Live() map[scoping.Kind]int {
	out := map[scoping.Kind]int{}
	if t.shelf == nil {
		maps.Copy(out, t.counts)
		maps.DeleteFunc(out, func(_ scoping.Kind, n int) bool { return n == 0 })
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
		t.Get(o).count(out, 1)
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

// linked returns the object that a cloud object is linked with.
func (t *Table) linked(cloudID string) (scoping.ObjectID, bool) {
	if o, ok := t.links.get(cloudID); ok || t.shelf == nil {
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

// change returns a row for changing, nil if there is none. Only folds change rows.
func (t *Table) change(o scoping.ObjectID) *Row {
	r := t.Get(o)
	if r != nil {
		t.begin(r)
		t.note(o)
	}
	return r
}

// begin keeps a row unpacked until the fold ends.
func (t *Table) begin(r *Row) {
	if t.open == nil {
		t.open = map[scoping.ObjectID]*Row{}
	}
	t.open[r.Object] = r
}

func (t *Table) note(o scoping.ObjectID) {
	t.touched.Note(o)
	t.moved.Note(o)
	if t.changed == nil {
		t.changed = map[scoping.ObjectID]bool{}
	}
	t.changed[o] = true
}

// put adds a row.
func (t *Table) put(r *Row) {
	t.link(r)
	t.begin(r)
	t.note(r.Object)
}

// drop removes a row whose link another one took over.
func (t *Table) drop(o scoping.ObjectID) {
	delete(t.open, o)
	delete(t.shared.wide, o)
	t.take(o, nil)
	t.note(o)
}

// tie links a row with a cloud object in place of its former one.
func (t *Table) tie(r *Row, cloudID string) {
	if r.CloudID != "" {
		t.links.drop(r.CloudID)
		if t.unlinks == nil {
			t.unlinks = map[string]bool{}
		}
		t.unlinks[r.CloudID] = true
	}
	r.CloudID = cloudID
	t.link(r)
	delete(t.unlinks, cloudID)
}

// UnmarshalJSON implements json.Unmarshaler, for checkpoints of version 1.
func (t *Table) UnmarshalJSON(b []byte) error {
	var rows map[scoping.ObjectID]*Row
	if err := json.Unmarshal(b, &rows); err != nil {
		return err
	}
	for o, r := range rows {
		if err := r.check(o); err != nil {
			return err
		}
		t.take(o, r)
	}
	return t.err
}

// MarshalJSON implements json.Marshaler: the whole table as one value, for comparison. Checkpoints store each row by itself.
func (t *Table) MarshalJSON() ([]byte, error) {
	return json.Marshal(maps.Collect(t.All()))
}

// IsZero reports whether there are no rows.
func (t *Table) IsZero() bool { return t.Len() == 0 }
