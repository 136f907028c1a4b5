package host

import (
	"context"
	"fmt"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/wave"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/state"
)

// MarkRestored makes what was restored from a backup a new incarnation that writes nothing until it is activated; waves are paused and must verify
// anew (rules H1, H2).
func MarkRestored(ctx context.Context, s *state.Store, newID func() string, by, backup string, now time.Time) error {
	err := s.Control.Update(ctx, func(tx state.Tx) error {
		c, err := readControl(tx, newID)
		if err != nil {
			return err
		}
		c.head.Epoch.Incarnation++
		c.head.Epoch.N++
		c.head.ReadOnly = "the state was restored from " + backup + ": run every engine with --profile full, look at what it would write, then `tandem state restore --activate`"
		for id, w := range c.waves {
			if w.State.Over() {
				continue
			}
			w.State, w.Wait, w.Command, w.VerifiedAt = wave.Paused, "the state was restored from a backup", "tandem wave resume "+id, 0
			c.waves[id] = w
		}
		r := ledger.Record{Type: ledger.ControlType, At: now.UnixMilli(), Op: "restore", By: by, Reason: "restored from " + backup, Outcome: engine.Applied, Epoch: c.head.Epoch}
		if err := c.write(tx); err != nil {
			return err
		}
		return state.Owe(tx, ledger.Encode(r))
	})
	if err != nil {
		return fmt.Errorf("marking the state as restored: %w", err)
	}
	_, err = s.AppendOwed(ctx)
	return err
}

// Activate lets a restored state write again (rule H2).
func (h *Host) Activate(ctx context.Context, by, reason string) error {
	err := h.change(ctx, func(c *control) error {
		if c.head.ReadOnly == "" {
			return fmt.Errorf("%w: the state is in force already", ErrUsage)
		}
		c.head.ReadOnly = ""
		c.owe(ledger.Record{Type: ledger.ControlType, Op: "activate", By: by, Reason: reason, Outcome: engine.Applied, Epoch: c.head.Epoch})
		return nil
	})
	if err != nil {
		return err
	}
	return h.pushGrants(ctx)
}
