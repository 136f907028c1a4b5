// Package problem holds the kinds of errors that commands and the wire tell apart, whichever room they come from: an exit code and an advice hang on each.
package problem

import (
	"errors"
	"fmt"
)

// Kinds of errors that callers tell apart.
var (
	ErrUsage      = errors.New("not possible as asked")          // exit 2
	ErrCheckpoint = errors.New("waits for a person")             // exit 3
	ErrStalePlan  = errors.New("the plan is stale")              // make a new one
	ErrNotFound   = errors.New("not found")                      // of references of people
	ErrNoPolicy   = errors.New("no policy is in force")          // `tandem import` first
	ErrNotBack    = errors.New("nothing is brought back")        // what a person wants back from the deleted items cannot come, and the text says why
	ErrState      = errors.New("the state cannot be understood") // damaged, or of a newer program
)

// Refuse makes an error that matches ErrUsage and says only what it was given: that something is not possible as asked is what the exit code says.
func Refuse(format string, args ...any) error { return &usageError{fmt.Errorf(format, args...)} }

type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }

func (e *usageError) Unwrap() error { return e.err }

func (e *usageError) Is(target error) bool { return target == ErrUsage }

// RefError is a failure about one object, with the reference by which a person asked for it.
type RefError struct {
	Ref string
	Err error
}

// Error implements error: the reference stands in Err's own text.
func (e *RefError) Error() string { return e.Err.Error() }

// Unwrap returns what went wrong.
func (e *RefError) Unwrap() error { return e.Err }

// About makes a RefError.
func About(ref, format string, args ...any) error {
	return &RefError{Ref: ref, Err: fmt.Errorf(format, args...)}
}
