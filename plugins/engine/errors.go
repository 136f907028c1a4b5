package engine

import (
	"errors"
	"fmt"
	"strings"
)

// ErrUnsupported is what an engine answers to a call that it does not support, such as Deliver and Observe of most engines.
var ErrUnsupported = errors.New("the engine does not support this")

// ErrEngineDied is the kind of every error of a call whose engine process ended, was stopped or lost its connection, before
// or during the call. The error is a *[DiedError].
var ErrEngineDied = errors.New("the engine's process ended")

// ErrContract is the kind of errors for an engine that breaks the contract: an unknown enumeration value, an oversized
// batch, a GUID of the wrong length.
var ErrContract = errors.New("the engine breaks the contract")

// ContractError returns an ErrContract that says what the engine did.
func ContractError(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrContract, fmt.Sprintf(format, args...))
}

// DiedError says how an engine's process ended.
type DiedError struct {
	Path    string   // its executable
	PID     int      // its process id; 0 for engines in the host's own process
	Stopped bool     // by the host, on purpose
	State   string   // how the process ended, in the words of the operating system; empty when not known
	Stderr  []string // the last lines that it wrote to standard error
}

// Error tells what happened and ends with the engine's last lines.
func (e *DiedError) Error() string {
	how := "ended"
	if e.Stopped {
		how = "was stopped"
	}
	s := fmt.Sprintf("the engine's process %d (%s) %s", e.PID, e.Path, how)
	if e.State != "" {
		s += ": " + e.State
	}
	return s + lastLines(e.Stderr)
}

// Is says that e is an ErrEngineDied.
func (e *DiedError) Is(target error) bool { return target == ErrEngineDied }

// StartError says why an executable could not be started as an engine. Err, if any, is the cause, such as a *ChecksumError,
// a *VersionError or a context's error.
type StartError struct {
	Path   string
	What   string   // for people
	State  string   // how the process ended, if it did
	Stderr []string // the last lines that it wrote to standard error
	Err    error
}

// Error tells what failed and ends with the last lines of the executable.
func (e *StartError) Error() string {
	s := fmt.Sprintf("starting engine %s: %s", e.Path, e.What)
	if e.State != "" {
		s += " (" + e.State + ")"
	}
	return s + lastLines(e.Stderr)
}

// Unwrap gives the cause.
func (e *StartError) Unwrap() error { return e.Err }

// ChecksumError says that an executable is not the one that the configuration names. It was not run.
type ChecksumError struct {
	Path            string
	Expected, Found string // SHA-256, hexadecimal
}

// Error gives both sums.
func (e *ChecksumError) Error() string {
	return fmt.Sprintf("%s has SHA-256 %s, but the configuration expects %s: it is not run; install the expected engine, "+
		"or put the new sum into engines[].sha256 once you trust it", e.Path, e.Found, e.Expected)
}

// VersionError says that an engine speaks another version of the contract.
type VersionError struct {
	Engine string // what it speaks
	Host   int    // what this host speaks
}

// Error gives both versions.
func (e *VersionError) Error() string {
	return fmt.Sprintf("it speaks version %s of the engine contract, and this host speaks version %d: use an engine built for it",
		e.Engine, e.Host)
}

// RemoteError is an error that an engine answered to a call.
type RemoteError struct {
	Method  string
	Message string
}

// Error gives the method and the engine's words.
func (e *RemoteError) Error() string { return "engine " + e.Method + ": " + e.Message }

func lastLines(lines []string) string {
	if len(lines) == 0 {
		return ""
	}
	return "; its last lines:\n  " + strings.Join(lines, "\n  ")
}
