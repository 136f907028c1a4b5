package simulation

import (
	"errors"
	"fmt"
	"slices"

	"github.com/tandem-sync/tandem/state"
)

// Durable steps that fail although the process lives on: the disk is full for a moment, or gives an error.

// failingSteps are the failpoints at which a step may fail: all but those of opening, after which no host is there that could go on.
var failingSteps = slices.DeleteFunc(slices.Concat(state.Failpoints(), []string{"census.keep", "engine.import.before-commit", "engine.import.after-commit", "engine.decided",
	"cache.save", "checkpoint.save"}), func(p string) bool { return p == state.FailOpenBeforeCut })

var errDisk = errors.New("simulated: the disk gives an error")

// letFail chooses the step that fails next.
func (w *world) letFail() {
	w.failing, _ = pick(w, failingSteps)
	w.failsWith = state.ErrFull
	if w.r.IntN(3) == 0 {
		w.failsWith = errDisk
	}
}

// fails returns the error with which a step fails, if it does.
func (w *world) fails(point string) error {
	if point != w.failing || !w.running || !w.faults {
		return nil
	}
	w.failing = ""
	w.saw(FailingSteps)
	w.counts["failed: "+point]++
	w.log("FAILS: %s: %v", point, w.failsWith)
	if !errors.Is(w.failsWith, state.ErrFull) || slices.Contains([]string{state.FailControlAfterCommit, state.FailAppendAfterSync, state.FailAppendBeforeSync,
		state.FailIndexAfterCommit, state.FailPendingBeforeAppend, state.FailPendingAfterAppend, state.FailIndexBeforeSync, state.FailIndexAfterSync}, point) {
		w.unusable = true
	}
	return fmt.Errorf("simulated, at %s: %w", point, w.failsWith)
}

// stepAt is a durable step of the simulator's own seams: the host may crash there, or it fails.
func (w *world) stepAt(point string) error {
	w.crashAt(point)
	return w.fails(point)
}
