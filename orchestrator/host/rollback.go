package host

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/tandem-sync/tandem/orchestrator/control"
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/wave"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// actFlipBack applies the inverse of this wave to the partition in force, in one transaction.
func (h *Host) actFlipBack(ctx context.Context, w wave.Wave) (wave.Evidence, error) {
	h.mu.Lock()
	f := h.frozen[w.ID]
	h.mu.Unlock()
	defer h.thaw(w.ID)
	if f == nil {
		return wave.Evidence{Why: errFreezeLost.Error()}, nil
	}
	err := h.control.Change(ctx, func(c *control.Content) error {
		if !f.Seal() {
			return errFreezeLost
		}
		cur := c.Waves[w.ID]
		if cur.Phase != wave.RollbackFreeze || cur.State != wave.Running {
			return fmt.Errorf("%w: wave %s is %s in phase %s", errNotNow, w.ID, cur.State, cur.Phase)
		}
		at, err := h.cut(c, cur, true)
		if err != nil {
			return err
		}
		cur.BackEpoch, cur.Revision = at, c.Partition.Revision()
		c.Waves[w.ID] = wave.Enter(cur, wave.RollbackEvaluate, fmt.Sprintf("taken back at epoch %s", at), h.now())
		c.Owe(ledger.Record{Type: ledger.WaveType, Wave: w.ID, Op: "flip-back", Outcome: engine.Applied, Phase: string(wave.RollbackEvaluate), Epoch: at})
		return nil
	})
	if errors.Is(err, errNotNow) || errors.Is(err, errFreezeLost) {
		return wave.Evidence{Why: err.Error()}, nil
	}
	if err != nil {
		return wave.Evidence{}, err
	}
	return wave.Evidence{OK: true}, h.pushGrants(ctx)
}

// actEvaluate lets the source evaluate every object that was in the scope at any time since the cutover.
func (h *Host) actEvaluate(ctx context.Context, w wave.Wave) (wave.Evidence, error) {
	if w.From == scoping.None {
		return wave.Evidence{OK: true}, nil
	}
	if err := h.Prepare(ctx); err != nil {
		return wave.Evidence{}, err
	}
	if err := h.soil(ctx, h.touched(w), "rollback", "wave "+w.ID+" was taken back"); err != nil {
		return wave.Evidence{}, err
	}
	r, err := h.Sync(ctx, w.From, SyncOptions{Profile: engine.ProfileDelta, Wave: w.ID})
	if err != nil {
		return wave.Evidence{}, err
	}
	if !r.Complete {
		return wave.Evidence{Why: "the run of " + w.From + " was not complete: " + problems(r)}, nil
	}
	n, _ := h.unsettled(w)
	return wave.Evidence{OK: true, Unsettled: n}, nil
}

// touched gives every feature of every object that is or was in the wave's scopes.
func (h *Host) touched(w wave.Wave) []ledger.Key {
	var keys []ledger.Key
	h.gate.Read(func(s *ledger.State) {
		for _, id := range s.Objects() {
			row := s.Rows.Get(id)
			if !h.Inside(w.Scopes(), row) {
				continue
			}
			for f := range row.Features {
				keys = append(keys, ledger.Key{Object: id, Feature: f})
			}
		}
	})
	for _, id := range h.In(w.Scopes()) {
		keys = append(keys, ledger.Key{Object: id, Feature: scoping.Base(h.o.Census.Sight(id).Kind)})
	}
	slices.SortFunc(keys, ledger.Key.Compare)
	return slices.Compact(keys)
}
