package ledger

import (
	"encoding/json"
	"fmt"
)

// checkpoint is the file form of a ledger.
type checkpoint struct {
	Version int    `json:"version"`
	Hash    string `json:"hash"` // of the log at State.Seq: a checkpoint of another log is worth nothing
	State   *State `json:"state"`
}

// Checkpoint encodes the ledger with the log's hash at its sequence number.
func (s *State) Checkpoint(hash string) ([]byte, error) {
	b, err := json.Marshal(checkpoint{Version: Version, Hash: hash, State: s})
	if err != nil {
		return nil, fmt.Errorf("encoding the ledger's checkpoint: %w", err)
	}
	return b, nil
}

// LoadCheckpoint reads what Checkpoint wrote, with the hash that the log must have at State.Seq. A checkpoint that cannot be read
// is no loss: the caller folds the whole log.
func LoadCheckpoint(b []byte) (s *State, hash string, err error) {
	var c checkpoint
	if err := json.Unmarshal(b, &c); err != nil {
		return nil, "", fmt.Errorf("%w: checkpoint: %w", ErrRecord, err)
	}
	if c.Version != Version || c.State == nil {
		return nil, "", fmt.Errorf("%w: checkpoint of version %d, this program knows %d", ErrRecord, c.Version, Version)
	}
	if err := c.State.check(); err != nil {
		return nil, "", fmt.Errorf("%w: checkpoint: %w", ErrRecord, err)
	}
	c.State.index()
	return c.State, c.Hash, nil
}

// check finds what no ledger writes, and what would end the program later.
func (s *State) check() error {
	for o, r := range s.Rows.All() {
		if r == nil || r.Object != o || r.Features == nil {
			return fmt.Errorf("the row of %s is damaged", o)
		}
		for f, l := range r.Features {
			if l == nil {
				return fmt.Errorf("the row of %s has nothing about %s", o, f)
			}
		}
	}
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
	for o, fs := range s.Dirt {
		if fs == nil {
			return fmt.Errorf("the dirty set of %s is damaged", o)
		}
	}
	return nil
}
