package host

import (
	"context"
	"fmt"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
)

// layOver adds to the cache an answered write that is newer than the stored cache, whatever its age. The next reading of the tenant ends it; what
// that shows then differs from what was written only if others changed it since. [Without it: a delete was answered, its object came back in the
// directory, the host crashed. The older cache shows the tenant object as live, so nothing is restored, and the tenant's report of the delete looks
// like a change by others.]
func (h *Host) layOver(seq uint64, r ledger.Record, w cloud.Write) {
	fresh := h.steady.Now()-r.Moment() <= h.o.Cache.Delay().Milliseconds()
	if seq <= h.o.Cache.UpTo() || (!h.o.Cache.Loaded(w.Kind) && !fresh) { // of a kind that was not stored everything is read anew
		return
	}
	id := ""
	if r.Settle != nil {
		id = r.Settle.Result.CloudID
	} else {
		id = r.Doubt.CloudID
	}
	h.o.Cache.Settled(w, cloud.Result{Status: cloud.Done, CloudID: id}, time.UnixMilli(r.Moment()))
}

// layOverOlder is layOver for writes that the checkpoint includes: their intents are looked up in the log.
func (h *Host) layOverOlder(ctx context.Context, upTo uint64) error {
	open := map[string]cloud.Write{}
	return h.o.Store.Log.Read(ctx, 0, func(seq uint64, b []byte) error {
		r, err := ledger.Decode(b)
		if err != nil || seq > upTo {
			return wrapRecord(seq, err)
		}
		if r.Type == ledger.IntentType && r.Intent != nil {
			open[r.Intent.Write.ID] = r.Intent.Write
		}
		if id, ended := r.Ends(); ended {
			if w, known := open[id]; known {
				h.layOver(seq, r, w)
				delete(open, id)
			}
		}
		return nil
	})
}

func wrapRecord(seq uint64, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("record %d: %w", seq, err)
}
