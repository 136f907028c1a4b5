package acts

import (
	"context"
	"errors"
	"fmt"

	"github.com/tandem-sync/tandem/orchestrator/control"
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/run"
	"github.com/tandem-sync/tandem/orchestrator/wave"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// actFlipBack applies the inverse of this wave to the partition in force, in one transaction.
func (d *Driver) actFlipBack(ctx context.Context, w wave.Wave) (wave.Evidence, error) {
	f, held := d.freezeOf(w.ID)
	defer d.thaw(w.ID)
	if !held {
		return wave.Evidence{Why: errFreezeLost.Error()}, nil
	}
	err := d.o.Control.Change(ctx, func(c *control.Content) error {
		if !f.Seal() {
			return errFreezeLost
		}
		cur := c.Waves[w.ID]
		if cur.Phase != wave.RollbackFreeze || cur.State != wave.Running {
			return fmt.Errorf("%w: wave %s is %s in phase %s", errNotNow, w.ID, cur.State, cur.Phase)
		}
		at, err := d.cut(c, cur, true)
		if err != nil {
			return err
		}
		cur.BackEpoch, cur.Revision = at, c.Partition.Revision()
		c.Waves[w.ID] = wave.Enter(cur, wave.RollbackEvaluate, fmt.Sprintf("taken back at epoch %s", at), d.o.Clock.Now())
		c.Append(ledger.Record{Type: ledger.WaveType, Wave: w.ID, Op: "flip-back", Outcome: engine.Applied, Phase: string(wave.RollbackEvaluate), Epoch: at})
		return nil
	})
	if errors.Is(err, errNotNow) || errors.Is(err, errFreezeLost) {
		return wave.Evidence{Why: err.Error()}, nil
	}
	if err != nil {
		return wave.Evidence{}, err
	}
	return wave.Evidence{OK: true}, d.o.Run.Grant(ctx)
}

// actEvaluate lets the source evaluate every object that was in the scope at any time since the cutover.
func (d *Driver) actEvaluate(ctx context.Context, w wave.Wave) (wave.Evidence, error) {
	if w.From == scoping.None {
		return wave.Evidence{OK: true}, nil
	}
	if err := d.o.Run.Prepare(ctx); err != nil {
		return wave.Evidence{}, err
	}
	r, err := d.o.Run.Sync(ctx, w.From, run.SyncOptions{Wave: w.ID})
	if err != nil {
		return wave.Evidence{}, err
	}
	if !r.Complete {
		return wave.Evidence{Why: "the run of " + w.From + " was not complete: " + problems(r)}, nil
	}
	return wave.Evidence{OK: true, Unsettled: len(d.o.View.Unsettled(w.Scopes()))}, nil
}
