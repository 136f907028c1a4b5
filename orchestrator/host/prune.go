package host

import (
	"context"
	"fmt"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/control"
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/problem"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/state"
)

// Prunable returns which parts at the log's beginning hold only records from before a time that nothing needs. Waves that can be rolled back read
// from the log what they wrote and over what; and the tenant may not show the latest writes yet.
func (h *Host) Prunable(ctx context.Context, before time.Time) (control.Prunable, error) {
	c, err := h.control.View(ctx)
	if err != nil {
		return control.Prunable{}, err
	}
	open := map[string]bool{}
	for _, w := range c.Waves {
		if !w.State.Over() {
			open[w.ID] = true
		}
	}
	limit := before
	if settled := h.now().Add(-h.o.Cache.Delay() - h.o.GhostLife); limit.After(settled) {
		limit = settled
	}
	p := control.Prunable{}
	p.First, _ = h.o.Store.Beginning()
	err = p.Extend(ctx, h.o.Store.Log, h.o.Store.Segments(), limit, open)
	return p, err
}

// Prune removes the records before first, with which a part of the log begins, once the log has the whole ledger behind it. The caller has checked
// with Prunable that they are not needed. It may use the reserve of a full disk, since it makes room, and ctx does not stop it.
func (h *Host) Prune(ctx context.Context, first uint64, by, reason string) error {
	ctx = state.WithReserve(context.WithoutCancel(ctx))
	if err := h.Save(ctx); err != nil { // own writes that the tenant shows late must be known without the removed records
		return err
	}
	if !h.savedUpTo(first - 1) {
		return fmt.Errorf("%w: what is known of the tenant could not be kept, and the records before %d tell what it has not shown", state.ErrFull, first)
	}
	_, base := h.o.Store.Beginning()
	if base < first {
		var err error
		if base, err = h.gate.Snapshot(ctx); err != nil {
			return fmt.Errorf("keeping the whole ledger in the log: %w", err)
		}
	}
	r := ledger.Record{Type: ledger.ControlType, Op: "prune", By: by, Outcome: engine.Applied, Reason: fmt.Sprintf("the records before %d: %s", first, reason)}
	if err := h.gate.Record(ctx, r); err != nil {
		return err
	}
	return h.o.Store.Prune(ctx, first, base)
}

// savedUpTo reports whether ledger and cache are stored as of a record or later.
func (h *Host) savedUpTo(seq uint64) bool {
	h.save.Lock()
	defer h.save.Unlock()
	return h.o.Checkpoints == nil || h.lastSave >= seq
}

// fromBase returns the ledger that the log begins with: an empty one, or that of the snapshot up to which it was pruned.
func (h *Host) fromBase(ctx context.Context) (*ledger.State, error) {
	_, base := h.o.Store.Beginning()
	if base == 0 {
		return ledger.New(), nil
	}
	led, err := ledger.ReadSnapshot(func(f func(seq uint64, b []byte) error) error { return h.o.Store.Log.Read(ctx, base, f) })
	if err == nil && led == nil {
		err = fmt.Errorf("%w: the log was pruned, and the ledger with which it begins is not whole", problem.ErrState)
	}
	return led, err
}
