package host

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/gate"
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/standing/table"
	"github.com/tandem-sync/tandem/scoping"
)

// compare records changed owners and places of links, looking only at objects that changed in any memory. Objects with a write in flight wait for its
// end. The prep lock is held.
func (h *Host) compare(ctx context.Context) (err error) {
	defer func() {
		if err != nil {
			h.gate.Unfollowed()
		}
	}()
	ids, all := h.gate.Changed()
	h.miss(ids, all)
	if err := h.seek(ctx); err != nil && (ctx.Err() != nil || !errors.Is(err, gate.ErrUnread)) {
		return err
	}
	found, every := h.gate.Changed() // found by seeking
	maps.Copy(ids, found)
	auth := h.gate.Authority()
	var rs []ledger.Record
	h.gate.Read(func(s *ledger.State) {
		for id := range looked(s, ids, all || every) {
			row, sight := s.Rows.Get(id), h.o.Census.Brief(id)
			if _, pending := s.Pending(id); pending || row == nil || !sight.Known || sight.Deleted {
				continue
			}
			rs = append(rs, h.conclude(s, auth, row, sight)...)
		}
	})
	inOrder(rs)
	return h.gate.Record(ctx, rs...)
}

// looked yields the objects to look at, in no order: the given ones, or all that the ledger has rows of.
func looked(s *ledger.State, ids map[scoping.ObjectID]struct{}, all bool) iter.Seq[scoping.ObjectID] {
	if all {
		return s.Rows.Objects()
	}
	return maps.Keys(ids)
}

// inOrder sorts records by their objects. Those of one object stay as they follow each other.
func inOrder(rs []ledger.Record) {
	slices.SortStableFunc(rs, func(a, b ledger.Record) int { return a.Object.Compare(*b.Object) })
}

// miss notes which linked objects the census does not know. The prep lock is held.
func (h *Host) miss(ids map[scoping.ObjectID]struct{}, all bool) {
	h.gate.Read(func(s *ledger.State) {
		was := h.missing
		if all || was == nil {
			h.missing = map[scoping.ObjectID]bool{}
		}
		for id := range looked(s, ids, all) {
			if !s.Rows.Has(id) || h.o.Census.Knows(id) {
				delete(h.missing, id)
			} else {
				h.missing[id] = was[id]
			}
		}
	})
}

// seek reads linked objects that the census does not know: its index was lost, and a full reading returns no tombstones. Objects whose directory
// cannot be read are sought later; each is sought once until everything is read again. The prep lock is held.
func (h *Host) seek(ctx context.Context) error {
	var ids []scoping.ObjectID
	for id, sought := range h.missing {
		if !sought && h.o.Census.Down(id.Directory) == nil {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	slices.SortFunc(ids, scoping.ObjectID.Compare)
	if err := h.o.Census.Reread(ctx, ids); err != nil {
		return fmt.Errorf("looking up %d linked objects that the census does not know: %w", len(ids), err)
	}
	for _, id := range ids {
		h.missing[id] = true
	}
	return nil
}

// sweepEvery is how often everything is compared, beside each complete full run (standing S3).
const sweepEvery = 24 * time.Hour

// Sweep compares everything and returns where the index of debts differed: changes that were not noted. They are fixed, counted and logged (standing
// S3).
func (h *Host) Sweep() []table.Wrong {
	wrong := h.View.Sweep()
	for _, x := range wrong[:min(len(wrong), 10)] {
		h.say("the index of debts was wrong and was fixed; please report this", "keys", len(wrong), "object", x.Key.Object.String(), "feature", x.Key.Feature, "held", x.Held.Code, "found", x.Found.Code)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.swept, h.fixed = h.now(), h.fixed+len(wrong)
	return wrong
}

// Fixed returns how many debts of the index were fixed by sweeps of this process: 0 unless the program is wrong.
func (h *Host) Fixed() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.fixed
}

// sweepIfDue sweeps if the last sweep is a day old.
func (h *Host) sweepIfDue() {
	h.mu.Lock()
	due := h.now().Sub(h.swept) >= sweepEvery
	h.mu.Unlock()
	if due {
		h.Sweep()
	}
}
