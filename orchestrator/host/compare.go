package host

import (
	"context"

	"github.com/tandem-sync/tandem/orchestrator/ledger"
)

// compare lets owner and place of each link follow where its object is, whatever told of that. An object that has a write on its way is left to the end of that.
// The prep lock is held.
func (h *Host) compare(ctx context.Context) error {
	auth := h.gate.Authority()
	var rs []ledger.Record
	h.gate.Read(func(s *ledger.State) {
		for _, id := range s.Objects() {
			sight := h.o.Census.Brief(id)
			if _, pending := s.Pending(id); pending || !sight.Known || sight.Gone {
				continue
			}
			rs = append(rs, h.conclude(s, auth, s.Rows.Get(id))...)
		}
	})
	return h.gate.Record(ctx, rs...)
}
