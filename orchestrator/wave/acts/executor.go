package acts

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/control"
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/problem"
	"github.com/tandem-sync/tandem/orchestrator/run"
	"github.com/tandem-sync/tandem/orchestrator/wave"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
	"github.com/tandem-sync/tandem/state"
)

// executor is the live executor of waves.
type executor struct {
	d      *Driver
	waited time.Duration // in pauses, by this command
}

var _ wave.Executor = (*executor)(nil)

// Now implements wave.Executor.
func (x *executor) Now() time.Time { return x.d.o.Clock.Now() }

// Load implements wave.Executor.
func (x *executor) Load(ctx context.Context, id string) (wave.Wave, error) { return x.d.Wave(ctx, id) }

// Stopped implements wave.Executor. A stopped wave does not soak.
func (x *executor) Stopped(_ context.Context, w wave.Wave) (string, error) {
	why := x.d.stopsOf(w)
	if why != "" {
		x.d.unsoak(w.ID)
		x.d.thaw(w.ID)
	}
	return why, nil
}

// Pause implements wave.Executor: a command waits only for short times, up to Patience in all, as the event may never come.
func (x *executor) Pause(ctx context.Context, d time.Duration) (bool, error) {
	if x.waited += d; x.waited > x.d.o.Patience {
		return false, nil
	}
	return true, x.d.o.Clock.Sleep(ctx, d)
}

// Commit implements wave.Executor: the record, the authority that follows from it, and the log's entry, in one transaction.
func (x *executor) Commit(ctx context.Context, w wave.Wave) error {
	d := x.d
	ctx = spacious(ctx, w)
	var entered bool
	err := d.o.Control.Change(ctx, func(c *control.Content) error {
		old := c.Waves[w.ID]
		if old.Decisions != w.Decisions {
			return wave.ErrDecided
		}
		if old.State == wave.Paused || old.State == wave.Aborted || (old.State.Over() && !w.State.Over()) {
			return nil // a person decided since
		}
		entered = old.Phase != w.Phase || old.State != w.State
		if w.Phase == wave.ShadowPhase && old.Phase != wave.ShadowPhase {
			w.ShadowEpoch = c.Next()
		}
		c.Waves[w.ID] = w
		if entered {
			c.Append(ledger.Record{Type: ledger.WaveType, Wave: w.ID, Op: "phase", Outcome: engine.Applied, Phase: string(w.Phase), Code: string(w.State), Reason: w.Wait, Epoch: c.Head.Epoch})
		}
		return nil
	})
	if err != nil || !entered {
		return err
	}
	d.progress(run.Progress{Wave: w.ID, Phase: string(w.Phase), Note: w.Wait})
	return d.o.Run.Grant(ctx)
}

// Do implements wave.Executor.
func (x *executor) Do(ctx context.Context, w wave.Wave, a wave.Act) (wave.Evidence, error) {
	d := x.d
	ctx = spacious(ctx, w)
	d.progress(run.Progress{Wave: w.ID, Phase: string(w.Phase), Note: string(a)})
	if w.Phase.Back() {
		if err := d.o.Room(); err != nil {
			return wave.Evidence{}, err
		}
	}
	if a != wave.ActWatch {
		if err := d.mayAct(ctx); err != nil {
			return wave.Evidence{}, err
		}
	}
	switch a {
	case wave.ActCheck:
		return d.actCheck(ctx, w)
	case wave.ActBaseline:
		return d.actBaseline(ctx, w)
	case wave.ActShadowRun:
		if err := d.o.Run.Prepare(ctx); err != nil {
			return wave.Evidence{}, err
		}
		return d.o.Plan.Shadow(ctx, w, false)
	case wave.ActFreeze:
		return d.actFreeze(ctx, w)
	case wave.ActVerifyNew:
		return d.actVerifyNew(ctx, w)
	case wave.ActCutover:
		return d.actCutover(ctx, w)
	case wave.ActCatchUp:
		return d.actCatchUp(ctx, w)
	case wave.ActWatch:
		return d.actWatch(ctx, w)
	case wave.ActComplete:
		return d.actComplete(ctx, w)
	case wave.ActFlipBack:
		return d.actFlipBack(ctx, w)
	case wave.ActEvaluate:
		return d.actEvaluate(ctx, w)
	case wave.ActRestore:
		return d.actRestore(ctx, w)
	}
	return wave.Evidence{}, fmt.Errorf("unknown act %q", a)
}

// spacious lets a wave that is rolled back use the disk's reserve: a full disk is a reason for a rollback and must not stop it.
func spacious(ctx context.Context, w wave.Wave) context.Context {
	if !w.Phase.Back() {
		return ctx
	}
	return state.WithReserve(ctx)
}

// mayAct returns an error if this host may not write, or a state waits for its activation: owners do not change then.
func (d *Driver) mayAct(ctx context.Context) error {
	if err := d.o.Tenancy.Recognize(ctx); err != nil {
		return err
	}
	if why := d.o.Gate.Authority().ReadOnly; why != "" {
		return fmt.Errorf("%w: %s", problem.ErrCheckpoint, why)
	}
	return nil
}

func (d *Driver) actCheck(ctx context.Context, w wave.Wave) (wave.Evidence, error) {
	if err := d.o.Run.Prepare(ctx); err != nil {
		return wave.Evidence{}, err
	}
	fs, err := d.o.Plan.Assess(ctx, w)
	return wave.Evidence{OK: true, Findings: fs}, err
}

// baselineChunk is the number of objects in one record of a baseline.
const baselineChunk = 100

// actBaseline saves the tenant's state of the scope in the log.
func (d *Driver) actBaseline(ctx context.Context, w wave.Wave) (wave.Evidence, error) {
	if err := d.placed(ctx); err != nil {
		return wave.Evidence{}, err
	}
	var all []ledger.BaselineEntry
	d.o.Gate.Read(func(s *ledger.State) {
		for _, id := range s.Objects() {
			row := s.Rows.Get(id)
			if o, ok := d.o.View.Cloud(row); ok && d.o.View.Inside(w.Scopes(), row) {
				all = append(all, ledger.BaselineEntry{Object: id, Cloud: o})
			}
		}
	})
	var rs []ledger.Record
	for chunk := range slices.Chunk(all, baselineChunk) {
		rs = append(rs, ledger.Record{Type: ledger.BaselineType, Wave: w.ID, Op: "baseline", Baseline: chunk, Epoch: w.ShadowEpoch})
	}
	if err := d.o.Gate.Record(ctx, rs...); err != nil {
		return wave.Evidence{}, err
	}
	return wave.Evidence{OK: true, Why: fmt.Sprintf("%d objects saved", len(all))}, nil
}

// placed records every object's present place and choices in the ledger: the transfer of a cutover goes by them.
func (d *Driver) placed(ctx context.Context) error {
	auth := d.o.Gate.Authority()
	var rs []ledger.Record
	d.o.Gate.Read(func(s *ledger.State) {
		for _, id := range s.Objects() {
			rs = append(rs, d.o.View.Placing(s, auth, s.Rows.Get(id), d.o.Census.Brief(id))...)
		}
	})
	return d.o.Gate.Record(ctx, rs...)
}

// actWatch looks at the target's health once; the time since the last look counts as soaked.
func (d *Driver) actWatch(_ context.Context, w wave.Wave) (wave.Evidence, error) {
	now := d.o.Clock.Now()
	d.mu.Lock()
	since, ok := d.soaking[w.ID]
	d.soaking[w.ID] = now
	d.mu.Unlock()
	r, ran := d.o.Run.Last(w.To)
	ev := wave.Evidence{OK: true}
	if ok {
		ev.Elapsed = max(0, now.Sub(since))
	}
	if hl, running := d.o.Engines.Health(w.To); running && !hl.OK {
		ev.OK, ev.Why = false, "engine "+w.To+" says: "+hl.Message
	}
	if ran && (r.Failed > 0 || r.Held > 0) {
		ev.OK, ev.Why = false, fmt.Sprintf("the last run of %s left %d failed and %d held", w.To, r.Failed, r.Held)
	}
	return ev, nil
}

func (d *Driver) actComplete(ctx context.Context, w wave.Wave) (wave.Evidence, error) {
	if err := d.o.Run.Prepare(ctx); err != nil {
		return wave.Evidence{}, err
	}
	return wave.Evidence{OK: true, Unclaimed: d.unclaimedIn(w)}, nil
}

// unclaimedIn returns the number of a wave's objects that belong to the target and that it has never settled: their owner of record is another
// engine, or they are in transit to it.
func (d *Driver) unclaimedIn(w wave.Wave) int {
	n := 0
	auth := d.o.Gate.Authority()
	d.o.Gate.Read(func(s *ledger.State) {
		for _, id := range s.Objects() {
			row := s.Rows.Get(id)
			sight := d.o.Census.Sight(id)
			if row.State != ledger.Live || sight.Deleted || !d.o.View.Inside(w.Scopes(), row) || d.o.View.Owner(auth, id, row.Kind) != w.To {
				continue
			}
			if record, ok := s.OwnerOfRow(row, scoping.Base(row.Kind)); !ok || record != w.To {
				n++
			}
		}
	})
	return n
}
