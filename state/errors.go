package state

import (
	"errors"
	"fmt"
	"time"
)

var (
	// ErrHeld means that another process holds the state folder; the error is a *HeldError.
	ErrHeld = errors.New("state folder is held by another process")
	// ErrOwner means that the folder belongs to another user, who could not read files written by root; the error is an *OwnerError. Nothing was
	// written.
	ErrOwner = errors.New("state folder belongs to another user")
	// ErrTenureLost means that this process no longer holds the right to write. Nothing was written.
	ErrTenureLost = errors.New("tenure lost")
	// ErrFull means that there is no space left. Nothing was written.
	ErrFull = errors.New("no space left for state")
	// ErrBroken means that an earlier write or sync failed: the content of the disk is unknown until the store is opened again.
	ErrBroken = errors.New("state is broken by an earlier failed write and must be opened again")
	// ErrClosed means that the store was closed.
	ErrClosed = errors.New("state is closed")
	// ErrReadOnly means that a write was tried in a View or in a store opened read-only.
	ErrReadOnly = errors.New("state is open for reading only")
	// ErrDamaged means that stored bytes are not as they were written; the error is a *DamageError.
	ErrDamaged = errors.New("state is damaged")
	// ErrVersion means that a file has a format that this program does not know; the error is a *VersionError.
	ErrVersion = errors.New("unknown state format")
	// ErrPruned means that a record was removed from the log.
	ErrPruned = errors.New("the record was pruned from the log")
	// ErrIndexUnusable means that an index file is damaged or has another format: remove it and rebuild.
	ErrIndexUnusable = errors.New("index is unusable and must be rebuilt")
	// ErrCrashed is returned by everything of a Memory between Crash and Reopen.
	ErrCrashed = errors.New("simulated crash")
)

// HeldError names the process that holds a state folder. PID is 0 if it could not be read.
type HeldError struct {
	Dir     string
	PID     int
	Command string
	Since   time.Time
}

func (e *HeldError) Error() string {
	if e.PID == 0 {
		return fmt.Sprintf("state folder %s is held by another process", e.Dir)
	}
	return fmt.Sprintf("state folder %s is held by process %d (%s) since %s",
		e.Dir, e.PID, e.Command, e.Since.Format(time.RFC3339))
}

// Is matches ErrHeld.
func (e *HeldError) Is(target error) bool { return target == ErrHeld }

// OwnerError names the owner of a state folder that root tried to write in.
type OwnerError struct {
	Dir   string
	Owner string // the user's name, or its number
}

func (e *OwnerError) Error() string {
	return fmt.Sprintf("state folder %s belongs to user %s: what root writes there, that user could not read", e.Dir, e.Owner)
}

// Is matches ErrOwner.
func (e *OwnerError) Is(target error) bool { return target == ErrOwner }

// DamageError is the place of stored bytes that are not as they were written. Seq is the record concerned in a log, 0 elsewhere.
type DamageError struct {
	File   string
	Offset int64
	Seq    uint64
	Why    string
}

func (e *DamageError) Error() string {
	if e.Seq == 0 {
		return fmt.Sprintf("%s is damaged at byte %d: %s", e.File, e.Offset, e.Why)
	}
	return fmt.Sprintf("%s is damaged at byte %d (record %d): %s", e.File, e.Offset, e.Seq, e.Why)
}

// Is matches ErrDamaged.
func (e *DamageError) Is(target error) bool { return target == ErrDamaged }

// VersionError means that a file's format is not among those this program knows. The file is left as it is.
type VersionError struct {
	File  string
	Found uint32
	Known uint32
}

func (e *VersionError) Error() string {
	return fmt.Sprintf("%s has format version %d, this program knows %d: use the version of tandem that wrote it, or a newer one",
		e.File, e.Found, e.Known)
}

// Is matches ErrVersion.
func (e *VersionError) Is(target error) bool { return target == ErrVersion }

// brokenBy is the error of a store that cannot be used any more. A full disk as its cause is in the text and not matched: ErrFull promises that
// nothing was written, which is unknown here.
func brokenBy(err error) error {
	if isFull(err) {
		return fmt.Errorf("%w: %v", ErrBroken, err)
	}
	return fmt.Errorf("%w: %w", ErrBroken, err)
}
