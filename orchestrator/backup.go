package orchestrator

import (
	"context"
	"errors"
	"io"
	"slices"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/host"
	"github.com/tandem-sync/tandem/state"
)

// Indexes names the index files of a state folder: bulky, and read anew when they are gone.
func Indexes() []string { return []string{"census", "tenant", "ledger"} }

// Engines names the configured engines in order.
func (x *Orchestrator) Engines() []string { return slices.Clone(x.engines.Names()) }

// Backup gives put the precious files of the state, one after the other, while it is in use; see state.Store.Backup.
func (x *Orchestrator) Backup(ctx context.Context, put func(name string, size int64, content io.Reader) error) error {
	return x.store.Backup(ctx, put)
}

// MarkRestored makes a state folder that was just restored a new incarnation that writes nothing until it is activated (rules H1, H2).
func MarkRestored(ctx context.Context, dir, command, by, backup string) error {
	s, err := state.Open(dir, state.Options{Command: command})
	if err != nil {
		return err
	}
	return errors.Join(host.MarkRestored(ctx, s, newID, by, backup, time.Now()), s.Close())
}
