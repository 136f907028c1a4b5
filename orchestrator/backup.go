package orchestrator

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/tenancy"
	"github.com/tandem-sync/tandem/state"
)

// Indexes returns the names of a state folder's index files. Backups leave them out: they are large, and are made anew when they are missing.
func Indexes() []string { return []string{"census", "tenant", "ledger", "claims"} }

// Engines returns the names of the configured engines, in order.
func (x *Orchestrator) Engines() []string { return slices.Clone(x.engines.Names()) }

// Backup calls put for each file of the state that cannot be made again, while the state is in use (see state.Store.Backup), and for what engines ask to save: the agents'
// certificate authority and enrolments. If an engine cannot be asked, the rest is saved all the same, and unsaved names the engine and the reason.
func (x *Orchestrator) Backup(ctx context.Context, put func(name string, size int64, content io.Reader) error) (unsaved error, err error) {
	if err := x.store.Backup(ctx, put); err != nil {
		return nil, err
	}
	for _, n := range x.engines.Names() {
		b, err := x.saved(ctx, n)
		if err != nil {
			unsaved = errors.Join(unsaved, fmt.Errorf("what engine %s keeps is not in the backup: %w", n, err))
			continue
		}
		if b == nil {
			continue
		}
		if err := put(state.SavedName(n), int64(len(b)), bytes.NewReader(b)); err != nil {
			return unsaved, err
		}
	}
	return unsaved, nil
}

// saved asks an engine for what a backup has to contain of it; nil: nothing.
func (x *Orchestrator) saved(ctx context.Context, name string) (b []byte, err error) {
	d, err := x.engines.Describe(ctx, name)
	if err != nil || !slices.Contains(d.Verbs, verbSave) {
		return nil, err
	}
	err = x.engines.call(ctx, name, verbSave, nil, func(a []byte) error {
		b = append(b, a...)
		return nil
	})
	return b, err
}

// Restored is the result of a restore.
type Restored struct {
	Aside  string    // where the folder's earlier state was moved; empty: there was none
	Newer  bool      // the earlier state continues the backup's history
	Writes int       // if so, the writes that it settled since the backup
	Last   time.Time // the last of them
}

// Restore writes a backup into a state folder, as a new incarnation that writes nothing to the tenant until it is activated (rules H1, H2).
func Restore(ctx context.Context, dir string, next func() (name string, content io.Reader, err error), force bool, by, backup string) (Restored, error) {
	var out Restored
	var seq uint64
	var hash [32]byte
	aside, err := state.Restore(ctx, dir, next, state.RestoreOptions{Force: force, Mark: func(s *state.Store) error {
		seq, hash = s.Log.Head()
		return tenancy.MarkRestored(ctx, s, newID, by, backup, time.Now())
	}})
	out.Aside = aside
	if err != nil || aside == "" {
		return out, err
	}
	out.since(ctx, aside, seq, hash)
	return out, nil
}

// since counts the writes that the log of the earlier state contains after the backup's end. It leaves r as it is if that log cannot be read, or is of another history.
func (r *Restored) since(ctx context.Context, dir string, seq uint64, hash [32]byte) {
	s, err := state.OpenReadOnly(dir, state.Options{Command: "restore"})
	if err != nil {
		return
	}
	defer func() { _ = s.Close() }()
	if s.Log.CheckHead(ctx, seq, hash) != nil {
		return
	}
	r.Newer = s.Log.Read(ctx, seq+1, func(_ uint64, b []byte) error {
		rec, err := ledger.Decode(b)
		if err != nil {
			return err
		}
		if rec.Type == ledger.SettleType {
			r.Writes, r.Last = r.Writes+1, time.UnixMilli(rec.At).UTC()
		}
		return nil
	}) == nil
}
