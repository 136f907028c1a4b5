package ledger

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
)

// SnapshotPart is a piece of a whole ledger as it was after record Seq. The pieces follow each other in the log, appended in one step, and folding
// skips them. A log whose first records were pruned is folded from them.
type SnapshotPart struct {
	Seq   uint64 `json:"seq"`
	Part  int    `json:"part"` // from 1
	Parts int    `json:"parts"`
	Text  []byte `json:"text"` // of the compressed ledger
}

// partSize is the number of bytes of a compressed ledger in one record.
const partSize = 1 << 20

// snapshotVersion is the format inside a snapshot: a checkpoint of version 1, with the rows in its head.
const snapshotVersion = 1

// Snapshot returns the records that hold the whole ledger.
func (s *State) Snapshot() ([]Record, error) {
	s.Rows.whole()
	if err := s.Err(); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	err := json.NewEncoder(z).Encode(head{Version: snapshotVersion, State: s})
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("encoding a snapshot of the ledger: %w", err)
	}
	pieces := slices.Collect(slices.Chunk(b.Bytes(), partSize))
	out := make([]Record, len(pieces))
	for i, p := range pieces {
		out[i] = Record{Type: SnapshotType, Snapshot: &SnapshotPart{Seq: s.Seq, Part: i + 1, Parts: len(pieces), Text: p}}
	}
	return out, nil
}

// Snapshots collects the pieces of a snapshot.
type Snapshots struct {
	parts [][]byte
	of    SnapshotPart // the last piece
}

// Take takes the next record of the log, and reports whether the snapshot is complete with it. A record that does not continue it is an error that
// matches ErrRecord.
func (x *Snapshots) Take(r Record) (whole bool, err error) {
	p := r.Snapshot
	if r.Type != SnapshotType || p == nil || p.Part != len(x.parts)+1 || p.Part > p.Parts || p.Part > 1 && (p.Seq != x.of.Seq || p.Parts != x.of.Parts) {
		return false, fmt.Errorf("%w: no piece %d of a snapshot stands there", ErrRecord, len(x.parts)+1)
	}
	x.parts, x.of = append(x.parts, p.Text), *p
	return p.Part == p.Parts, nil
}

// Ledger returns the ledger of a complete snapshot. Nothing of it is on a shelf: its first checkpoint stores all of it.
func (x *Snapshots) Ledger() (*State, error) {
	z, err := gzip.NewReader(bytes.NewReader(slices.Concat(x.parts...)))
	if err != nil {
		return nil, fmt.Errorf("%w: snapshot: %w", ErrRecord, err)
	}
	b, err := io.ReadAll(z)
	if err != nil {
		return nil, fmt.Errorf("%w: snapshot: %w", ErrRecord, err)
	}
	s, _, err := Load(lone(b))
	if err != nil || s == nil || s.Seq != x.of.Seq {
		return nil, fmt.Errorf("%w: snapshot of record %d: %w", ErrRecord, x.of.Seq, err)
	}
	return s, nil
}

// lone is a shelf with nothing but a head.
type lone []byte

// Get implements Shelf.
func (l lone) Get(section, key string) ([]byte, error) {
	if section == headSection && key == headKey {
		return l, nil
	}
	return nil, nil
}

// Each implements Shelf.
func (lone) Each(string, func(string, []byte) error) error { return nil }

var errWhole = errors.New("whole")

// ReadSnapshot returns the ledger of the snapshot whose pieces read passes first; nil: they are not whole.
func ReadSnapshot(read func(func(seq uint64, b []byte) error) error) (*State, error) {
	var parts Snapshots
	whole := false
	err := read(func(seq uint64, b []byte) error {
		r, err := Decode(b)
		if err == nil {
			whole, err = parts.Take(r)
		}
		switch {
		case err != nil:
			return fmt.Errorf("record %d: %w", seq, err)
		case whole:
			return errWhole
		}
		return nil
	})
	if err != nil && !errors.Is(err, errWhole) || !whole {
		return nil, err
	}
	return parts.Ledger()
}
