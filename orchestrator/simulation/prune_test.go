package simulation

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/control"
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/wave"
	"github.com/tandem-sync/tandem/state"
)

// remembered is the whole ledger as text, without the number of its last record.
func (w *world) remembered() (text string) {
	w.ledgerNow(func(s *ledger.State) {
		b, err := json.Marshal(s)
		if err != nil {
			w.fail(nothingLost, "%v", err)
		}
		var all map[string]json.RawMessage
		if err := json.Unmarshal(b, &all); err != nil {
			w.fail(nothingLost, "%v", err)
		}
		delete(all, "seq")
		if b, err = json.Marshal(all); err != nil {
			w.fail(nothingLost, "%v", err)
		}
		text = string(b)
	})
	return text
}

// ended ends a part of the log, an hour ago, and returns what could be pruned.
func (w *world) ended() control.Prunable {
	if err := w.store.EndSegment(context.Background()); err != nil {
		w.fail(nothingLost, "end a segment: %v", err)
	}
	w.pass(time.Hour)
	p, err := w.host.Prunable(context.Background(), w.now)
	if err != nil {
		w.fail(nothingLost, "what could be pruned: %v", err)
	}
	return p
}

// prunes prunes, and takes a crash of the host for an error.
func (w *world) prunes(first uint64) (err error) {
	defer func() {
		if p := recover(); p != nil {
			if _, is := p.(crash); !is {
				panic(p)
			}
			err = errCrashed
		}
	}()
	return w.host.Prune(context.Background(), first, "story", "it is old")
}

// renamed changes ann and lets the engines bring that.
func (w *world) renamed(ann *entry, n int) {
	next := *ann
	next.display = fmt.Sprint("Ann the ", n)
	w.dir.put(next)
	w.both()
}

// Whatever step of pruning a crash, an error or a full disk breaks off, and whether or not the indexes survive: the ledger is what it was, and nothing is written anew.
func TestStoryPruningThatIsBrokenOffLosesNothing(t *testing.T) {
	for _, how := range []string{"crash", "full", "error"} {
		story(t, func(w *world, ann *entry) {
			for n, broken := 1, true; broken; n++ {
				if n > 60 {
					w.fail(nothingLost, "pruning has no end")
				}
				w.renamed(ann, n)
				p := w.ended()
				if len(p.Parts) == 0 {
					w.fail(nothingLost, "nothing can be pruned: %s", p.Why)
				}
				was, step := w.remembered(), 0
				w.at = func(point string) {
					switch step++; {
					case step != n:
					case how == "crash":
						w.armed = 1
					default:
						w.faults, w.failing, w.failsWith = true, point, map[string]error{"full": state.ErrFull, "error": errDisk}[how]
					}
				}
				err := w.prunes(p.First)
				w.at, w.armed, w.faults, w.failing = nil, 0, false, ""
				broken = step >= n
				if !broken && err != nil {
					w.fail(nothingLost, "pruning: %v", err)
				}
				if n%2 == 0 {
					w.checkpoint = nil // the index is lost: the log is all there is
				}
				w.crashed, w.unusable = false, false
				w.restartNow()
				if now := w.remembered(); now != was {
					w.fail(nothingLost, "broken off at step %d (%s, %v) the ledger was\n%s\nand is\n%s", n, how, err, was, now)
				}
				sent := w.counts["send"]
				w.both()
				if w.counts["send"] > sent {
					w.fail(nothingLost, "%d requests are sent although nothing changed", w.counts["send"]-sent)
				}
				if err := w.prunes(p.First); err != nil && !strings.Contains(err.Error(), "no segment begins") {
					w.fail(nothingLost, "pruning once more: %v", err)
				}
				if first, _ := w.store.Beginning(); first != p.First {
					w.fail(nothingLost, "the log begins with %d, and was pruned to %d", first, p.First)
				}
			}
			w.rest()
		})
	}
}

// What a wave that can be rolled back needs of the log is not pruned, whoever asks for it.
func TestStoryAWaveKeepsWhatItsRollbackNeeds(t *testing.T) {
	story(t, func(w *world, ann *entry) {
		w.renamed(ann, 1)
		old := w.ended()
		id := w.hand("Alpha", cloudsync)
		w.renamed(ann, 2)
		for range 2 {
			if p := w.ended(); p.First != old.First || !strings.Contains(p.Why, "wave "+id+" is not over") {
				w.fail(wayBack, "with an open wave the log could be pruned to %d, before it %d: %s", p.First, old.First, p.Why)
			}
		}
		if err := w.prunes(old.First); err != nil {
			w.fail(wayBack, "pruning what is older than the wave: %v", err)
		}
		w.checkpoint = nil
		w.restartNow()
		w.expect(w.goOn(id), wave.Completed)
		if p := w.ended(); p.Why != "" || p.First <= old.First {
			w.fail(wayBack, "the wave is over and keeps the log: %s", p.Why)
		}
		w.rest()
	})
}

// Records of the last minutes stay, whatever is asked for: a tenant that lags has not shown what they tell of.
func TestStoryWhatTheTenantHasNotShownIsNotPruned(t *testing.T) {
	story(t, func(w *world, ann *entry) {
		w.renamed(ann, 1)
		if err := w.store.EndSegment(context.Background()); err != nil {
			w.fail(nothingLost, "%v", err)
		}
		p, err := w.host.Prunable(context.Background(), w.now.Add(time.Hour))
		if err != nil || !strings.Contains(p.Why, "which is not before") {
			w.fail(nothingLost, "%+v, %v", p, err)
		}
		if err := w.host.Prune(context.Background(), p.First+1, "story", "it is not"); err == nil || errors.Is(err, state.ErrBroken) {
			w.fail(nothingLost, "pruned to where no part begins: %v", err)
		}
	})
}
