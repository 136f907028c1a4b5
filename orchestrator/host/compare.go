package host

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/tandem-sync/tandem/orchestrator/gate"
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/scoping"
)

// compare lets owner and place of each link follow where its object is, whatever told of that. An object that has a write on its way is left to the end of that.
// The prep lock is held.
func (h *Host) compare(ctx context.Context) error {
	if err := h.seek(ctx, false); err != nil && (ctx.Err() != nil || !errors.Is(err, gate.ErrUnread)) {
		return err
	}
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

// seek reads linked objects that the census does not know: its index was lost, and a reading of everything tells no tombstones. What cannot be read is sought
// when it can. Once sought in this process, an object is not sought again, unless again says so. The prep lock is held.
func (h *Host) seek(ctx context.Context, again bool) error {
	var ids []scoping.ObjectID
	h.gate.Read(func(s *ledger.State) {
		for id := range s.Rows.All() {
			if (again || !h.sought[id]) && !h.o.Census.Brief(id).Known && h.o.Census.Down(id.Directory) == nil {
				ids = append(ids, id)
			}
		}
	})
	if len(ids) == 0 {
		return nil
	}
	slices.SortFunc(ids, scoping.ObjectID.Compare)
	if err := h.o.Census.Reread(ctx, ids); err != nil {
		return fmt.Errorf("looking up %d linked objects that the census does not know: %w", len(ids), err)
	}
	if h.sought == nil {
		h.sought = map[scoping.ObjectID]bool{}
	}
	for _, id := range ids {
		h.sought[id] = true
	}
	return nil
}
