package host

import (
	"context"
	"slices"

	"github.com/tandem-sync/tandem/orchestrator/census"
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/scoping"
)

// tookBefore returns the choices of linked objects as the ledger recorded them last: the census's selection history when its own memory is lost.
func (h *Host) tookBefore() map[scoping.ObjectID][]scoping.GUID {
	out := map[scoping.ObjectID][]scoping.GUID{}
	h.gate.Read(func(s *ledger.State) {
		for id, row := range s.Rows.All() {
			if l := row.Features[scoping.Base(row.Kind)]; l != nil {
				out[id] = slices.Clone(l.Chosen)
			}
		}
	})
	return out
}

// weighChosen applies staged membership changes of choices below the threshold, and holds those of a choice with more of them (rule T3).
func (h *Host) weighChosen(ctx context.Context, events []census.Event) ([]census.Event, error) {
	staged := h.o.Census.Staged()
	if len(staged) == 0 {
		return events, nil
	}
	auth := h.gate.Authority()
	var take []census.Staged
	var rs []ledger.Record
	h.gate.Read(func(led *ledger.State) {
		var holds []*ledger.Hold
		take, holds = h.View.WeighChosen(led, auth, staged)
		for _, hold := range holds {
			rs = append(rs, ledger.Record{Type: ledger.HoldType, Op: "hold", Code: hold.ID, Reason: hold.Why, Hold: hold})
		}
	})
	if err := h.gate.Record(ctx, rs...); err != nil {
		return nil, err
	}
	return append(events, h.o.Census.Take(take)...), nil
}
