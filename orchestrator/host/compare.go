package host

import (
	"context"

	"github.com/tandem-sync/tandem/orchestrator/gate"
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/scoping"
)

// compare looks at every link for what no event told of, or told at a moment when it could not be concluded: another owner, another place, one who is back
// (standing S2: debts are what comparison finds). An object about which something is owed already, or on its way, is left to that.
//
// It is made once after each opening, and again when the directory, control or the end of a doubt may have changed what follows. The prep lock is held.
func (h *Host) compare(ctx context.Context) error {
	auth := h.gate.Authority()
	if !h.news && h.compared == auth.Epoch {
		return nil
	}
	var keys []ledger.Key
	var rs []ledger.Record
	h.gate.Read(func(s *ledger.State) {
		for _, id := range s.Objects() {
			row, sight := s.Rows[id], h.o.Census.Sight(id)
			if _, pending := s.Pending(id); pending || !sight.Known || sight.Gone {
				continue
			}
			if r, changed := h.transit(s, auth, row); changed {
				rs = append(rs, r)
				continue
			}
			rs = append(rs, h.replaced(s, auth, row)...)
			base := ledger.Key{Object: id, Feature: scoping.Base(row.Kind)}
			if _, owed := s.Dirt[id][base.Feature]; !owed && h.returned(s, auth, row) {
				keys = append(keys, base)
			}
		}
	})
	if err := h.gate.Record(ctx, rs...); err != nil {
		return err
	}
	if err := h.soil(ctx, keys, "returned", "it lives, and Tandem deleted it in the tenant"); err != nil {
		return err
	}
	h.compared, h.news = auth.Epoch, false
	return nil
}

// returned reports whether an object lives where an engine owns it, and Tandem deleted it in the tenant: whatever brought it back, its owner has to be asked.
func (h *Host) returned(s *ledger.State, auth gate.Authority, row *ledger.Row) bool {
	sight := h.o.Census.Sight(row.Object)
	_, excluded := s.Excluded[row.Object]
	return row.State == ledger.DeletedByTandem && sight.Known && !sight.Gone && !excluded && !s.CreateRejected(row.Object) &&
		h.ownerNow(auth, row.Object, row.Kind) != scoping.None
}
