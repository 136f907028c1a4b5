package state

import "fmt"

// Failpoints: the names passed to a Hook, one per durable step. "before" is the moment before the step, "after" the moment when it is durable and not
// acknowledged yet.
const (
	FailControlBeforeCommit = "control.update.before-commit"
	FailControlAfterCommit  = "control.update.after-commit"
	FailAppendBeforeWrite   = "log.append.before-write"
	FailAppendTorn          = "log.append.torn" // an error here leaves half of the batch written
	FailAppendBeforeSync    = "log.append.before-sync"
	FailAppendAfterSync     = "log.append.after-sync"
	FailRotateBeforeCreate  = "log.rotate.before-create"
	FailRotateAfterCreate   = "log.rotate.after-create"
	FailOpenBeforeCut       = "log.open.before-cut"
	FailReserveRelease      = "reserve.before-release"
	FailPendingBeforeAppend = "owed.before-append"
	FailPendingAfterAppend  = "owed.after-append"
	FailIndexBeforeCommit   = "index.update.before-commit"
	FailIndexAfterCommit    = "index.update.after-commit"
	FailIndexBeforeSync     = "index.sync.before"
	FailIndexAfterSync      = "index.sync.after"
)

// Failpoints returns every name that a Hook can be called with, so that a test can visit them all.
func Failpoints() []string {
	return []string{
		FailControlBeforeCommit, FailControlAfterCommit,
		FailAppendBeforeWrite, FailAppendTorn, FailAppendBeforeSync, FailAppendAfterSync,
		FailRotateBeforeCreate, FailRotateAfterCreate, FailOpenBeforeCut,
		FailReserveRelease,
		FailPendingBeforeAppend, FailPendingAfterAppend,
		FailIndexBeforeCommit, FailIndexAfterCommit, FailIndexBeforeSync, FailIndexAfterSync,
	}
}

// The steps of pruning, beside those of the commit that stores the new beginning.
const (
	FailPruneBeforeRemove = "log.prune.before-remove" // of each segment
	FailPruneAfterRemove  = "log.prune.after-remove"
)

// PruneFailpoints returns them. They are not in Failpoints, since only pruning reaches them.
func PruneFailpoints() []string { return []string{FailPruneBeforeRemove, FailPruneAfterRemove} }

// reach calls the hook, if there is one.
func (h Hook) reach(point string) error {
	if h == nil {
		return nil
	}
	if err := h(point); err != nil {
		return fmt.Errorf("at %s: %w", point, err)
	}
	return nil
}
