package ledger

import (
	"encoding/json"
	"iter"

	"github.com/tandem-sync/tandem/scoping"
)

// Table holds the rows of a ledger by object. Readers see no more of it than its methods, so that its layout can change. It is guarded as the ledger
// that it belongs to is; rows that it returns are not to be changed, nor kept across a Fold.
type Table struct {
	rows map[scoping.ObjectID]*Row
}

// Get returns the row of an object, nil if it has none.
func (t *Table) Get(o scoping.ObjectID) *Row { return t.rows[o] }

// Len returns the number of rows.
func (t *Table) Len() int { return len(t.rows) }

// All yields every row, in no order.
func (t *Table) All() iter.Seq2[scoping.ObjectID, *Row] {
	return func(yield func(scoping.ObjectID, *Row) bool) {
		for o, r := range t.rows {
			if !yield(o, r) {
				return
			}
		}
	}
}

// change returns a row that is about to be changed, nil if there is none. Only folds change rows.
func (t *Table) change(o scoping.ObjectID) *Row { return t.rows[o] }

// put adds a row.
func (t *Table) put(r *Row) {
	if t.rows == nil {
		t.rows = map[scoping.ObjectID]*Row{}
	}
	t.rows[r.Object] = r
}

// drop removes a row.
func (t *Table) drop(o scoping.ObjectID) { delete(t.rows, o) }

// MarshalJSON implements json.Marshaler.
func (t *Table) MarshalJSON() ([]byte, error) { return json.Marshal(t.rows) }

// UnmarshalJSON implements json.Unmarshaler.
func (t *Table) UnmarshalJSON(b []byte) error { return json.Unmarshal(b, &t.rows) }
