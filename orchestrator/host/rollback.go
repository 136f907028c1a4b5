package host

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/tandem-sync/tandem/orchestrator/gate"
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
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
	if f == nil || !f.Holds() || f.OnWire() > 0 {
		return wave.Evidence{Why: "the freeze was lost"}, nil
	}
	err := h.change(ctx, func(c *control) error {
		cur := c.waves[w.ID]
		if cur.Phase != wave.RollbackFreeze || cur.State != wave.Running {
			return fmt.Errorf("%w: wave %s is %s in phase %s", errNotNow, w.ID, cur.State, cur.Phase)
		}
		at, err := h.cut(c, cur, true)
		if err != nil {
			return err
		}
		cur.Revision = c.partition.Revision()
		c.waves[w.ID] = wave.Enter(cur, wave.RollbackEvaluate, fmt.Sprintf("taken back at epoch %s", at), h.now())
		c.owe(ledger.Record{Type: ledger.WaveType, Wave: w.ID, Op: "flip-back", Outcome: engine.Applied, Phase: string(wave.RollbackEvaluate), Epoch: at})
		return nil
	})
	if errors.Is(err, errNotNow) {
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
			row := s.Rows[id]
			if !h.inside(w, row) {
				continue
			}
			for f := range row.Features {
				keys = append(keys, ledger.Key{Object: id, Feature: f})
			}
		}
	})
	for _, id := range h.objectsIn(w.Scopes()) {
		keys = append(keys, ledger.Key{Object: id, Feature: scoping.Base(h.o.Census.Sight(id).Kind)})
	}
	slices.SortFunc(keys, ledger.Key.Compare)
	return slices.Compact(keys)
}

// waveWrites gives, per object, the last value that the wave's target wrote of each attribute.
type waveWrites map[scoping.ObjectID]cloud.Values

// actRestore gives attributes that only the target wrote their before-image back, where they still hold the wave's value (invariant 4).
func (h *Host) actRestore(ctx context.Context, w wave.Wave) (wave.Evidence, error) {
	baseline, written, err := h.waveHistory(ctx, w)
	if err != nil {
		return wave.Evidence{}, err
	}
	ps, report := h.restorations(baseline, written)
	ev := wave.Evidence{OK: true, Report: &report}
	if len(ps) == 0 || w.From == scoping.None || h.o.Without == gate.BeforeImages {
		return ev, nil
	}
	s := h.gate.Begin(gate.SessionOptions{Engine: w.From, Run: h.nextRun(), Wave: w.ID})
	for chunk := range slices.Chunk(ps, engine.MaxBatch) {
		if _, err := s.Claim(ctx, chunk); err != nil {
			return wave.Evidence{}, err
		}
	}
	sum, err := s.End(ctx, true)
	if err != nil {
		return wave.Evidence{}, err
	}
	for _, j := range sum.Judgements {
		if j.Outcome == engine.Applied {
			report.Restored++
		} else if j.Outcome != engine.Unchanged {
			report.Impossible++
			report.Notes = append(report.Notes, j.Name+": "+j.Code+": "+j.Reason)
		}
	}
	return ev, nil
}

// waveHistory reads from the log what the tenant held before the wave, and what its target wrote.
func (h *Host) waveHistory(ctx context.Context, w wave.Wave) (map[scoping.ObjectID]cloud.Object, waveWrites, error) {
	baseline := map[scoping.ObjectID]cloud.Object{}
	written := waveWrites{}
	err := h.o.Store.Log.Read(ctx, 0, func(_ uint64, b []byte) error {
		r, err := ledger.Decode(b)
		if err != nil {
			return err
		}
		switch {
		case r.Type == ledger.BaselineType && r.Wave == w.ID:
			for _, e := range r.Baseline {
				baseline[e.Object] = e.Cloud
			}
		case r.Type == ledger.DecisionType && r.Engine == w.To && r.At >= w.CutoverAt && r.Outcome == engine.Applied && r.Object != nil && r.Feature != scoping.References:
			if written[*r.Object] == nil {
				written[*r.Object] = cloud.Values{}
			}
			for k, v := range r.After {
				written[*r.Object][k] = v
			}
		}
		return nil
	})
	return baseline, written, err
}

// restorations proposes before-images for attributes that no engine of the place manages now.
func (h *Host) restorations(baseline map[scoping.ObjectID]cloud.Object, written waveWrites) ([]engine.Proposal, wave.RollbackReport) {
	var ps []engine.Proposal
	var report wave.RollbackReport
	h.gate.Read(func(s *ledger.State) {
		for _, id := range s.Objects() {
			row, before := s.Rows[id], baseline[id]
			now, ok := h.cloudOf(row)
			if !ok || before.ID == "" || written[id] == nil {
				continue
			}
			desired := map[string]engine.Value{}
			last := row.Features[scoping.Base(row.Kind)]
			for _, k := range sorted(written[id]) {
				switch {
				case last != nil && slices.Contains(last.Attrs, k):
					report.ADChanged++ // the earlier engine writes it again, from the directory as it is now
				case !slices.Equal(now.Values[k], written[id][k]):
					report.Foreign++
				case !slices.Equal(now.Values[k], before.Values[k]):
					desired[k] = engine.Value{Text: before.Values[k]}
				}
			}
			if len(desired) > 0 {
				sight := h.o.Census.Sight(id)
				ps = append(ps, engine.Proposal{Object: id, Kind: row.Kind, Name: row.Name, Parent: sight.Parent, Feature: scoping.Base(row.Kind), Want: engine.Present, Desired: desired})
			}
		}
	})
	return ps, report
}
