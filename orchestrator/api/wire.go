package api

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"syscall"

	"github.com/tandem-sync/tandem/orchestrator"
	"github.com/tandem-sync/tandem/orchestrator/problem"
	"github.com/tandem-sync/tandem/orchestrator/run"
	"github.com/tandem-sync/tandem/orchestrator/tenancy"
	"github.com/tandem-sync/tandem/plugins/engine"
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

// Error is a failure as it crosses the socket. Kind is for programs, Message and Hint are for people; Object is the object of the failure, as the
// request or the directory names it. Details are the parts of a failure with several.
type Error struct {
	Kind    string   `json:"kind"`
	Message string   `json:"message"`
	Hint    string   `json:"hint,omitempty"`
	Object  string   `json:"object,omitempty"`
	Details []Detail `json:"details,omitempty"`
	Exit    int      `json:"exit"`
}

// Detail is one of several mistakes. Line and Column count from 1; 0 if the mistake has no place in a file.
type Detail struct {
	File    string `json:"file"`
	Line    int    `json:"line"`
	Column  int    `json:"column"`
	Message string `json:"message"`
	Hint    string `json:"hint"`
}

// Document is what a failed command prints with --output json.
type Document struct {
	Error DocumentError `json:"error"`
}

// DocumentError is the failure in a Document. Hint and Object are null if there is none.
type DocumentError struct {
	Code    string   `json:"code"`
	Message string   `json:"message"`
	Hint    *string  `json:"hint"`
	Object  *string  `json:"object"`
	Details []Detail `json:"details"`
}

// Document returns the error as a document.
func (e *Error) Document() Document {
	return Document{DocumentError{Code: e.Kind, Message: e.Message, Hint: text(e.Hint), Object: text(e.Object), Details: orEmpty(e.Details)}}
}

// Error returns the message.
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
	KindDirectory   = "directory"  // a controller cannot be used
	KindTenant      = "tenant"     // Graph refuses, or cannot be reached
	KindOtherHost   = "other-host" // another host or installation writes to the tenant
	KindNotBound    = "not-bound"  // the state belongs to another tenant or directory
	KindUnavailable = "not-available"
	KindNotBack     = "not-restorable"
	KindFailed      = "failed"
)

// Unavailable returns the error of a feature that is not built yet.
func Unavailable(what, instead string) *Error {
	return &Error{Kind: KindUnavailable, Message: what + " is not available yet", Hint: instead, Exit: ExitUsage}
}

// Usage returns the error of a wrong use.
func Usage(format string, args ...any) *Error {
	return &Error{Kind: KindUsage, Message: fmt.Sprintf(format, args...), Exit: ExitUsage}
}

// errStopped is the cause of a call's end when a person asked it to stop.
var errStopped = errors.New("stopped as asked")

// AsError returns an error's kind, exit code, hint, object and details; nil for nil.
func AsError(err error) *Error {
	if err == nil {
		return nil
	}
	var known *Error
	if errors.As(err, &known) {
		return known
	}
	e := &Error{Kind: KindFailed, Message: err.Error(), Exit: ExitFailed, Details: detailsOf(err)}
	var about *problem.RefError
	if errors.As(err, &about) {
		e.Object = about.Ref
	}
	for _, k := range kinds {
		if k.is(err) {
			message, hint := orchestrator.Advice(err)
			e.Kind, e.Message, e.Hint, e.Exit = k.kind, message, cmp.Or(k.hint, hint), k.exit
			break
		}
	}
	return e
}

// detailsOf returns the mistakes of a policy or a configuration.
func detailsOf(err error) (out []Detail) {
	var all scoping.Mistakes
	var config *orchestrator.ConfigError
	var settings *engine.ConfigError
	switch {
	case errors.As(err, &settings):
		for _, p := range settings.Problems {
			out = append(out, Detail{Message: p})
		}
		return out
	case errors.As(err, &config):
		all = config.Mistakes
	case !errors.As(err, &all):
		return nil
	}
	for _, m := range all {
		out = append(out, Detail{File: m.Pos.File, Line: m.Pos.Line, Column: m.Pos.Column, Message: m.What, Hint: m.Hint})
	}
	return out
}

func is(target error) func(error) bool { return func(err error) bool { return errors.Is(err, target) } }

// isFull reports whether an error means that the disk is full. An engine's error arrives from its process as text only.
func isFull(err error) bool {
	return errors.Is(err, state.ErrFull) || errors.Is(err, syscall.ENOSPC) || strings.Contains(err.Error(), syscall.ENOSPC.Error())
}

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
	{as[*engine.ConfigError], KindConfig, "", ExitUsage}, // of an engine's own settings
	{is(errStopped), KindStopped, "run the same command again: it goes on from the last durable step", ExitFailed},
	{is(context.Canceled), KindStopped, "run the same command again: it goes on from the last durable step", ExitFailed},
	{is(tenancy.ErrOtherHost), KindOtherHost, "if the other one writes no more: tandem takeover --reason R", ExitFailed},
	{is(tenancy.ErrNotBound), KindNotBound, "name the right tenant and directory in tandem.yaml, or begin with an empty state folder", ExitFailed},
	{is(problem.ErrStalePlan), KindStale, "make a new one with `tandem plan -f POLICY -o PLAN`", ExitFailed},
	{is(problem.ErrCheckpoint), KindCheckpoint, "", ExitCheckpoint},
	{is(problem.ErrNoPolicy), KindNoPolicy, "", ExitUsage},
	{is(problem.ErrNotFound), KindNotFound, "", ExitFailed},
	{is(problem.ErrNotBack), KindNotBack, "", ExitFailed},
	{is(problem.ErrUsage), KindUsage, "", ExitUsage},
	{is(state.ErrOwner), KindState, "", ExitFailed},
	{is(state.ErrHeld), KindHeld, "wait for it to end, or stop it", ExitFailed},
	{is(state.ErrDamaged), KindState, "`tandem state check` says what is damaged; `tandem state restore FILE` brings a backup back into an empty folder", ExitFailed},
	{is(state.ErrVersion), KindState, "use the version of tandem that wrote it", ExitFailed},
	{isFull, KindState, "make room on the disk that holds the state folder", ExitFailed},
	{is(problem.ErrState), KindState, "`tandem state check` says what is wrong", ExitFailed},
	{orchestrator.IsDirectory, KindDirectory, "", ExitFailed},
	{orchestrator.IsTenant, KindTenant, "", ExitFailed},
}

// line is one line of an answer: exactly one field is set, apart from Warning.
type line struct {
	Progress *Progress       `json:"progress,omitempty"`
	Item     json.RawMessage `json:"item,omitempty"`
	Result   *result         `json:"result,omitempty"`
	Error    *Error          `json:"error,omitempty"`
	Warning  string          `json:"warning,omitempty"` // with Result or Error: why this host writes nothing at all
}

// result ends an answer that is no error.
type result struct {
	Value json.RawMessage `json:"value"`
	Outcome
}

// Outcome is how a command with a result ends: its exit code, and if that is not 0, why and what ends it.
type Outcome struct {
	Exit    int    `json:"exit"`
	Message string `json:"message,omitempty"`
	Hint    string `json:"hint,omitempty"`
}

// Progress is one line about a long operation.
type Progress = run.Progress
