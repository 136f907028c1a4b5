package api

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/tandem-sync/tandem/orchestrator"
	"github.com/tandem-sync/tandem/orchestrator/host"
	"github.com/tandem-sync/tandem/scoping"
	"github.com/tandem-sync/tandem/state"
)

// The exit codes of commands.
const (
	ExitDone        = 0
	ExitFailed      = 1
	ExitUsage       = 2 // wrong usage or configuration
	ExitCheckpoint  = 3 // stopped at a checkpoint that waits for a person
	ExitDifferences = 4 // differences or blockers found
)

// Error is a failure as it crosses the socket. Kind is for programs, Message and Hint are for people.
type Error struct {
	Kind    string `json:"kind"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
	Exit    int    `json:"exit"`
}

// Error gives the message.
func (e *Error) Error() string { return e.Message }

// The kinds of errors.
const (
	KindUsage       = "usage"
	KindPolicy      = "policy" // Message has a line for each mistake, with file, line and column
	KindConfig      = "configuration"
	KindCheckpoint  = "checkpoint"
	KindStale       = "stale-plan"
	KindNotFound    = "not-found"
	KindNoPolicy    = "no-policy"
	KindHeld        = "state-held"
	KindState       = "state"
	KindStopped     = "stopped"
	KindDirectory   = "directory" // a controller cannot be used
	KindTenant      = "tenant"    // Graph refuses, or cannot be reached
	KindUnavailable = "not-available"
	KindFailed      = "failed"
)

// Unavailable is the error of what is not built yet.
func Unavailable(what, instead string) *Error {
	return &Error{Kind: KindUnavailable, Message: what + " is not available yet", Hint: instead, Exit: ExitUsage}
}

// Usage is the error of a wrong use.
func Usage(format string, args ...any) *Error {
	return &Error{Kind: KindUsage, Message: fmt.Sprintf(format, args...), Exit: ExitUsage}
}

// errStopped is the cause with which a person's request to stop ends a call.
var errStopped = errors.New("stopped as asked")

// AsError tells an error's kind, exit code and hint. It gives nil for nil.
func AsError(err error) *Error {
	if err == nil {
		return nil
	}
	var known *Error
	if errors.As(err, &known) {
		return known
	}
	for _, k := range kinds {
		if k.is(err) {
			message, hint := orchestrator.Advice(err)
			return &Error{Kind: k.kind, Message: message, Hint: cmp.Or(k.hint, hint), Exit: k.exit}
		}
	}
	return &Error{Kind: KindFailed, Message: err.Error(), Exit: ExitFailed}
}

func is(target error) func(error) bool { return func(err error) bool { return errors.Is(err, target) } }

func as[T error](err error) bool {
	var t T
	return errors.As(err, &t)
}

var kinds = []struct {
	is         func(error) bool
	kind, hint string
	exit       int
}{
	{as[scoping.Mistakes], KindPolicy, "", ExitUsage},
	{as[*orchestrator.ConfigError], KindConfig, "", ExitUsage},
	{is(errStopped), KindStopped, "run the same command again: it goes on from the last durable step", ExitFailed},
	{is(context.Canceled), KindStopped, "run the same command again: it goes on from the last durable step", ExitFailed},
	{is(host.ErrStalePlan), KindStale, "make a new one with `tandem plan -f POLICY -o PLAN`", ExitFailed},
	{is(host.ErrCheckpoint), KindCheckpoint, "", ExitCheckpoint},
	{is(host.ErrNoPolicy), KindNoPolicy, "", ExitUsage},
	{is(host.ErrNotFound), KindNotFound, "", ExitFailed},
	{is(host.ErrUsage), KindUsage, "", ExitUsage},
	{is(state.ErrHeld), KindHeld, "wait for it to end, or stop it", ExitFailed},
	{is(state.ErrDamaged), KindState, "`tandem state check` says what is damaged; `tandem state restore FILE` brings a backup back into an empty folder", ExitFailed},
	{is(state.ErrVersion), KindState, "use the version of tandem that wrote it", ExitFailed},
	{is(state.ErrFull), KindState, "make room on the disk that holds the state folder", ExitFailed},
	{is(host.ErrState), KindState, "`tandem state check` says what is wrong", ExitFailed},
	{orchestrator.IsDirectory, KindDirectory, "", ExitFailed},
	{orchestrator.IsTenant, KindTenant, "", ExitFailed},
}

// line is one line of an answer: exactly one field is set.
type line struct {
	Progress *Progress       `json:"progress,omitempty"`
	Item     json.RawMessage `json:"item,omitempty"`
	Result   *result         `json:"result,omitempty"`
	Error    *Error          `json:"error,omitempty"`
}

// result ends an answer that is no error.
type result struct {
	Value json.RawMessage `json:"value"`
	Outcome
}

// Outcome says how a command that gave its result ends: its exit code, and for one that is not 0 why and what ends it.
type Outcome struct {
	Exit    int    `json:"exit"`
	Message string `json:"message,omitempty"`
	Hint    string `json:"hint,omitempty"`
}

// Progress is one line about long work.
type Progress = host.Progress
