package run

import (
	"errors"
	"fmt"

	"github.com/tandem-sync/tandem/plugins/engine"
)

// behindError is the error of a run that reads less of a directory than the host has seen of the same controller.
type behindError struct {
	directory  string
	read, seen uint64
}

// Error returns how far the run reads.
func (e *behindError) Error() string {
	return fmt.Sprintf("it reads directory %s at USN %d, seen was %d: what it proposes would be old", e.directory, e.read, e.seen)
}

// begins answers an engine that declares what it reads: a run over less than the host has seen ends before anything of it is decided.
func begins(q engine.RunRequest, b engine.RunBegin) error {
	if p, named := q.AsOf[b.Directory]; named && b.DC == p.Invocation && b.USN < p.USN {
		return &behindError{directory: b.Directory, read: b.USN, seen: p.USN}
	}
	return nil
}

// problemOf returns the problem of a run that failed.
func problemOf(name string, err error) Problem {
	code := codeFailed
	if behind := (*behindError)(nil); errors.As(err, &behind) {
		code = engine.CodeBehind
	}
	return Problem{Object: name, Code: code, Message: err.Error()}
}
