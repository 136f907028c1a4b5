package simulation

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/state"
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
					w.checkpoint = shelf{}
					w.ledgerNow(func(s *ledger.State) {
						c, err := s.Checkpoint(w.hash(s.Seq))
						if err != nil {
							w.fail(nothingLost, "%v", err)
						}
						w.checkpoint.put(c)
					})
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

// A census that could not be stored once, while the process went on, owes everything to the next time: after a restart objects are where they moved.
func TestStoryCensusThatWasNotStoredOnce(t *testing.T) {
	story(t, func(w *world, ann *entry) {
		e := *ann
		e.parent = w.named("Beta") // of cloudsync
		w.dir.put(e)
		w.unkept = 1
		if _, err := w.syncAs(connect, engine.ProfileDelta); !errors.Is(err, errUnkept) {
			w.fail(nothingLost, "the census was stored: %v", err)
		}
		w.both()
		w.restartNow()
		if s := w.census.Sight(ann.id()); s.Parent != e.parent {
			w.fail(nothingLost, "after a restart the census sees ann in %s, not in %s", w.dir.now.dn(s.Parent), w.dir.now.dn(e.parent))
		}
		e.display = "Ann of Beta"
		w.dir.put(e)
		w.both()
		w.rest()
	})
}

// What somebody else changed in the tenant, and the log had no room for, is recorded the next time; so it is when the host dies in between.
func TestStoryForeignWriteForWhichThereWasNoRoom(t *testing.T) {
	for _, dies := range []bool{false, true} {
		t.Run(fmt.Sprint("the host dies meanwhile ", dies), func(t *testing.T) {
			story(t, func(w *world, ann *entry) {
				w.write(ann, cloud.DisplayName, "somebody else's")
				w.pass(2 * delay)
				w.savesCache = true
				w.disk.SetSpace(0)
				if _, err := w.syncAs(cloudsync, engine.ProfileDelta); err != nil && !errors.Is(err, state.ErrFull) { // it reads them, and another engine has to be asked
					w.fail(nothingLost, "%v", err)
				}
				if err := w.host.Save(context.Background()); err != nil && !errors.Is(err, state.ErrFull) {
					w.fail(nothingLost, "%v", err)
				}
				w.disk.SetSpace(-1)
				if dies {
					w.restartNow()
				}
				w.both()
				if n := w.account(ann).truth().Values.First(cloud.DisplayName); n != "Ann" {
					w.fail(nothingLost, "ann is still called %q", n)
				}
				w.rest()
			})
		})
	}
}
