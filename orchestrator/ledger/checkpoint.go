package ledger

import (
	"cmp"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/tandem-sync/tandem/scoping"
)

// A ledger is kept in sections of a shelf: its head, which is everything but rows; each row; for each linked cloud object the row's object; for each
// object the numbers of the log's records about it, and its troubles. A checkpoint writes what changed since the one before. If it is lost, the whole
// log is folded.
const (
	headSection    = "ledger"
	rowsSection    = "rows"
	linksSection   = "links"
	recordsSection = "records"

	headKey = "checkpoint"
)

// Sections lists the sections of a shelf.
func Sections() []string {
	return []string{headSection, rowsSection, linksSection, recordsSection, troubleSection}
}

// checkpointVersion is the format of a head. Version 1 held the rows as well.
const checkpointVersion = 2

// Shelf is where a checkpoint is read from.
type Shelf interface {
	// Get returns a value, nil if there is none.
	Get(section, key string) ([]byte, error)
	// Each calls f with every value of a section, which is good during the call only.
	Each(section string, f func(key string, value []byte) error) error
}

// Entry is one change of a shelf: a value to store, a value to append to the stored one, or nil to remove it.
type Entry struct {
	Section, Key string
	Value        []byte
	Append       bool
}

// Checkpoint is what changed since the last one. All of it has to be stored in one step.
type Checkpoint struct {
	Seq     uint64
	Anew    bool // the shelf's content belongs to another ledger, and is removed first
	Entries []Entry

	changed  map[scoping.ObjectID]bool
	troubled map[scoping.ObjectID]bool
	unlinks  map[string]bool
	records  map[scoping.ObjectID][]uint64
}

// head is the file form of a ledger without its rows.
type head struct {
	Version int                  `json:"version"`
	Hash    string               `json:"hash"` // of the log at State.Seq: the checkpoint of another log is not used
	State   *State               `json:"state"`
	Rows    int                  `json:"rows"`
	Live    map[scoping.Kind]int `json:"live,omitempty"`
	Since   uint64               `json:"since"` // records before this number are not indexed by object on the shelf
}

// Unsaved returns the number of rows and troubles that changed since the last checkpoint.
func (s *State) Unsaved() int { return len(s.Rows.changed) + len(s.Troubles.changed) }

// Checkpoint encodes what changed since the last one, with the log's hash at State.Seq. The caller reports the result to Stored.
func (s *State) Checkpoint(hash string) (*Checkpoint, error) {
	t := &s.Rows
	t.whole() // for the counts; a ledger that writes checkpoints is whole anyway
	if err := s.Err(); err != nil {
		return nil, err
	}
	c := &Checkpoint{Seq: s.Seq, Anew: s.anew, changed: t.changed, troubled: s.Troubles.changed, unlinks: t.unlinks, records: s.records}
	for _, o := range sortedObjects(t.changed) {
		r := t.Get(o)
		if r == nil {
			c.Entries = append(c.Entries, Entry{Section: rowsSection, Key: o.String()})
			continue
		}
		b, err := json.Marshal(r)
		if err != nil {
			return nil, fmt.Errorf("encoding the row of %s: %w", o, err)
		}
		c.Entries = append(c.Entries, Entry{Section: rowsSection, Key: o.String(), Value: b})
		if r.CloudID != "" {
			c.Entries = append(c.Entries, Entry{Section: linksSection, Key: r.CloudID, Value: []byte(o.String())})
		}
	}
	for _, id := range slices.Sorted(maps.Keys(t.unlinks)) {
		c.Entries = append(c.Entries, Entry{Section: linksSection, Key: id})
	}
	for _, o := range sortedObjects(s.records) {
		var b []byte
		for _, seq := range s.records[o] {
			b = binary.AppendUvarint(b, seq)
		}
		c.Entries = append(c.Entries, Entry{Section: recordsSection, Key: o.String(), Value: b, Append: true})
	}
	c.Entries = append(c.Entries, s.Troubles.entries()...)
	b, err := s.head(hash)
	if err != nil {
		return nil, fmt.Errorf("encoding the ledger's checkpoint: %w", err)
	}
	c.Entries = append(c.Entries, Entry{Section: headSection, Key: headKey, Value: b})
	s.anew, s.records, t.changed, t.unlinks, s.Troubles.changed, s.storing = false, nil, nil, nil, nil, c
	return c, nil
}

func (s *State) head(hash string) ([]byte, error) {
	rowless := *s
	rowless.Rows, rowless.Troubles = Table{}, Troubles{}
	return json.Marshal(head{Version: checkpointVersion, Hash: hash, State: &rowless, Rows: s.Rows.Len(), Live: s.Rows.Live(),
		Since: s.since})
}

// Stored ends a checkpoint. If it was not stored, or that is unknown, its changes are part of the next one.
func (s *State) Stored(c *Checkpoint, stored bool) {
	t := &s.Rows
	s.storing = nil
	s.Troubles.stored(c.troubled, stored)
	if stored {
		for o := range c.changed {
			if packed, known := t.packed.Get(o); known && packed == "" && !t.changed[o] {
				t.packed.Delete(o) // dropped, and removed from the shelf
			}
		}
		return
	}
	s.anew = s.anew || c.Anew
	for o := range c.changed {
		t.note(o)
	}
	for id := range c.unlinks {
		if _, tied := t.links.get(id); !tied {
			if t.unlinks == nil {
				t.unlinks = map[string]bool{}
			}
			t.unlinks[id] = true
		}
	}
	for o, seqs := range c.records {
		s.concern(o, seqs...)
		slices.Sort(s.records[o])
	}
}

// concern notes which records are about an object.
func (s *State) concern(o scoping.ObjectID, seqs ...uint64) {
	if s.records == nil {
		s.records = map[scoping.ObjectID][]uint64{}
	}
	s.records[o] = append(s.records[o], seqs...)
}

// Load reads the last checkpoint of a shelf with every row, and the hash that the log must have at State.Seq. After an error the caller folds the
// whole log into a ledger of New. A nil ledger without an error means that the shelf has none.
func Load(shelf Shelf) (s *State, hash string, err error) {
	s, h, err := glance(shelf)
	if s == nil || err != nil {
		return nil, "", err
	}
	s.Rows.whole()
	s.Troubles.whole()
	if err := s.Err(); err != nil {
		return nil, "", err
	}
	if n := s.Rows.Len(); n != h.Rows {
		return nil, "", fmt.Errorf("%w: checkpoint: %d of %d rows are there", ErrRecord, n, h.Rows)
	}
	return s, h.Hash, nil
}

// Glance is like Load, but rows are read when first asked for: State.Err then returns whether a read failed. The ledger is for display, with the
// records that follow folded in; nothing may be decided by it.
func Glance(shelf Shelf) (s *State, hash string, err error) {
	s, h, err := glance(shelf)
	return s, h.Hash, err
}

func glance(shelf Shelf) (*State, head, error) {
	var h head
	b, err := shelf.Get(headSection, headKey)
	if err != nil || b == nil {
		return nil, h, err
	}
	if err := json.Unmarshal(b, &h); err != nil {
		return nil, h, fmt.Errorf("%w: checkpoint: %w", ErrRecord, err)
	}
	s := h.State
	if s == nil || h.Version != 1 && h.Version != checkpointVersion {
		return nil, h, fmt.Errorf("%w: checkpoint of version %d, this program knows %d", ErrRecord, h.Version, checkpointVersion)
	}
	if err := s.check(); err != nil {
		return nil, h, fmt.Errorf("%w: checkpoint: %w", ErrRecord, err)
	}
	if h.Version == 1 { // its rows are not on the shelf yet
		h.Rows, h.Since, s.anew = s.Rows.Len(), s.Seq+1, true
		for o := range s.Rows.Objects() {
			s.Rows.note(o)
		}
	} else {
		s.Rows.shelf, s.Rows.live, s.Troubles.shelf = shelf, h.Live, shelf
	}
	s.since = h.Since
	s.index()
	return s, h, nil
}

func sortedObjects[V any](m map[scoping.ObjectID]V) []scoping.ObjectID {
	return slices.SortedFunc(maps.Keys(m), scoping.ObjectID.Compare)
}

// Err returns the first error of reading the shelf; nil: all answers were right.
func (s *State) Err() error { return cmp.Or(s.Rows.err, s.Troubles.err) }

// Records returns the numbers of the log's records about an object, in order. The list is complete from since on.
func (s *State) Records(shelf Shelf, o scoping.ObjectID) (seqs []uint64, since uint64, err error) {
	var b []byte
	if !s.anew && (s.storing == nil || !s.storing.Anew) { // else it belongs to another ledger
		if b, err = shelf.Get(recordsSection, o.String()); err != nil {
			return nil, 0, err
		}
	}
	for len(b) > 0 {
		seq, n := binary.Uvarint(b)
		if n <= 0 {
			return nil, 0, fmt.Errorf("%w: the list of records about %s", ErrRecord, o)
		}
		seqs, b = append(seqs, seq), b[n:]
	}
	if s.storing != nil {
		seqs = append(seqs, s.storing.records[o]...)
	}
	seqs = append(seqs, s.records[o]...)
	slices.Sort(seqs) // a checkpoint whose result was unknown may have been stored twice
	return slices.Compact(seqs), s.since, nil
}

// check returns an error for content that no ledger writes and that would crash the program later.
func (s *State) check() error {
	for id, o := range s.Intents {
		if o == nil || o.Record.Object == nil || o.Record.Intent == nil || o.Record.Intent.Write.ID != id {
			return fmt.Errorf("intent %s is damaged", id)
		}
	}
	for id, h := range s.Holds {
		if h == nil || h.ID != id {
			return fmt.Errorf("held set %s is damaged", id)
		}
	}
	for id, d := range s.Deliveries {
		if d == nil || d.ID != id {
			return fmt.Errorf("delivery %s is damaged", id)
		}
	}
	for o, fs := range s.Unsettled {
		if fs == nil {
			return fmt.Errorf("what did not settle of %s is damaged", o)
		}
	}
	return nil
}

func (r *Row) check(o scoping.ObjectID) error {
	if r == nil || r.Object != o || r.Features == nil {
		return fmt.Errorf("the row of %s is damaged", o)
	}
	for f, l := range r.Features {
		if l == nil {
			return fmt.Errorf("the row of %s has nothing about %s", o, f)
		}
	}
	return nil
}
