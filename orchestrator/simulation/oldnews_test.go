package simulation

import (
	"bytes"
	"testing"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/plugins/engine"
)

// keepCache saves the tenant's cache as it is now, and lets nothing newer be saved.
func (w *world) keepCache() {
	var b bytes.Buffer
	if err := w.cache.Encode(&b); err != nil {
		w.fail(nothingLost, "%v", err)
	}
	w.savedCache, w.keepsCache = b.Bytes(), true
}

// Standing S7: a cache that is older than a settled delete does not make its object live. Whoever comes back within the tenant's delay is restored,
// with and without the ledger's checkpoint, and after a lost cache too.
func TestStoryAnOlderCacheSettlesNothing(t *testing.T) {
	for _, x := range []struct {
		name             string
		checkpoint, lost bool
	}{{"folded from the log", false, false}, {"with a checkpoint that is newer than the cache", true, false}, {"the cache is lost", false, true}} {
		t.Run(x.name, func(t *testing.T) {
			story(t, func(w *world, ann *entry) {
				w.keepCache()
				w.tenant.lag = time.Minute
				id := w.account(ann).id
				w.dir.kill(ann.guid)
				if _, err := w.syncAs(connect, engine.ProfileDelta); err != nil || !w.account(ann).truth().Deleted {
					w.fail(nothingLost, "ann was not deleted: %v", err)
				}
				w.dir.put(*ann)
				if w.checkpoint = nil; x.checkpoint {
					w.ledgerNow(func(s *ledger.State) { w.checkpoint, _ = s.Checkpoint(w.hash(s.Seq)) })
					w.checkpoints = true
				}
				if x.lost {
					w.savedCache = nil
				}
				w.restartNow()
				if _, err := w.syncAs(connect, engine.ProfileDelta); err != nil {
					w.fail(nothingLost, "%v", err)
				}
				a := w.account(ann)
				if a.id != id || a.truth().Deleted {
					w.fail(nothingLost, "ann is back in the directory, and her account is deleted: %v", a.truth().Deleted)
				}
				w.tenant.lag = 0
				w.both()
				w.rest()
				if o, ok := w.cache.Get(id); !ok || o.Values.First(cloud.UPN) == "" {
					w.fail(nothingLost, "the cache shows %+v", o)
				}
			})
		})
	}
}
