package host

import (
	"context"
	"errors"
	"fmt"

	"github.com/tandem-sync/tandem/orchestrator/ledger"
)

// ErrGlance means that the stored state cannot be shown as it is: an earlier process left something unfinished, or it was never begun. Opening the
// host without Glance finishes it.
var ErrGlance = errors.New("the state has to be opened wholly")

// mostTail is the most records that a glance folds: a process that ended normally leaves none after its checkpoint.
const mostTail = 4096

// glance opens a host for display. Everything is read from the stores when asked for; the caller asks Doubt at the end whether all reads succeeded.
func (h *Host) glance(ctx context.Context) error {
	owes, err := h.o.Store.HasPending(ctx)
	if err != nil {
		return err
	}
	if owes || h.o.Checkpoints == nil {
		return fmt.Errorf("%w: control owes the log records", ErrGlance)
	}
	led, hash, err := ledger.Glance(h.o.Checkpoints.Shelf(ctx))
	if err != nil {
		return err
	}
	if led == nil || led.Seq == 0 || h.o.Cache.UpTo() < led.Seq || h.hashAt(ctx, led.Seq) != hash {
		return fmt.Errorf("%w: there is no checkpoint of this log", ErrGlance)
	}
	if head, _ := h.o.Store.Log.Head(); head > led.Seq+mostTail {
		return fmt.Errorf("%w: the checkpoint is old", ErrGlance)
	}
	if err := h.foldTail(ctx, led); err != nil {
		return err
	}
	for _, o := range led.Intents {
		if !o.Doubt {
			return fmt.Errorf("%w: a write has no answer yet", ErrGlance)
		}
	}
	if err := h.furnish(ctx, led); err != nil {
		return err
	}
	return h.control.Show(ctx)
}

// foldTail folds the records after a checkpoint; writes among them are an ErrGlance, since the cache would need them as well.
func (h *Host) foldTail(ctx context.Context, led *ledger.State) error {
	return h.o.Store.Log.Read(ctx, led.Seq+1, func(seq uint64, b []byte) error {
		r, err := ledger.Decode(b)
		if err != nil {
			return fmt.Errorf("record %d: %w", seq, err)
		}
		if _, ended := r.Ends(); ended {
			return fmt.Errorf("%w: a write was settled after the checkpoint", ErrGlance)
		}
		return led.Fold(seq, r)
	})
}

// Doubt returns the errors of a glance's reads; nil: all answers were right.
func (h *Host) Doubt() error {
	var rows error
	h.gate.Read(func(s *ledger.State) { rows = s.Err() })
	return errors.Join(rows, h.o.Cache.Err(), h.o.Census.Err())
}
