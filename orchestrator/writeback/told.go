package writeback

import (
	"errors"
	"fmt"

	"github.com/tandem-sync/tandem/orchestrator/gate"
	"github.com/tandem-sync/tandem/plugins/directory/password"
)

// ErrNotSet is the kind of an [Outcome] that is no success.
var ErrNotSet = errors.New("the password was not set")

// NotSetError is an outcome that is no success, for administrators.
type NotSetError struct{ Outcome Outcome }

// Error returns the result and its reason.
func (e *NotSetError) Error() string {
	s := sentence(e.Outcome.Code)
	if e.Outcome.Reason != "" {
		s = fmt.Sprintf("%s (%s)", s, e.Outcome.Reason)
	}
	return s
}

// Is implements errors.Is.
func (e *NotSetError) Is(target error) bool { return target == ErrNotSet }

// Err returns nil for success.
func (o Outcome) Err() error {
	if o.Code == string(password.OK) {
		return nil
	}
	return &NotSetError{o}
}

// sentence returns the result of a change for an administrator; [password.Code.Told] returns it for the person whose password it is.
func sentence(code string) string {
	switch password.Code(code) {
	case password.OK:
		return "the directory has it"
	case password.History:
		return "the directory refuses it: it was used before"
	case password.Length:
		return "the directory refuses it: it is too short"
	case password.Complexity:
		return "the directory refuses it: it is too simple, or has the user's name in it"
	case password.MinimumAge:
		return "the directory refuses it: the present password is too new to be changed"
	case password.Policy:
		return "the directory refuses it and does not say by which rule"
	case password.LockedOut:
		return "the user is locked out: unlock the account"
	case password.WrongOld:
		return "the old password is wrong"
	case password.NotAllowed:
		return "this user is protected: set the password with the directory's own tools"
	case password.Gone:
		return "the directory shows no such user"
	case password.NoRights:
		return "the account that sets passwords lacks a right: tandem check"
	case password.NoAccount:
		return "nobody here holds an account that sets passwords in this directory: name one under reset in tandem.yaml, or enrol an agent with --reset-user"
	case password.Unreachable:
		return "no controller could be reached: nothing was changed"
	case password.InDoubt:
		return "no answer came: the password may be the old one or the new one. Try the new one; setting it again is safe"
	case password.Expired:
		return "it took too long: nothing was changed"
	}
	switch gate.Denial(code) {
	case gate.DeniedNone:
		return "no engine may do that: explain says who owns the user, and why"
	case gate.DeniedStop:
		return "writing is stopped"
	case gate.DeniedBusy, gate.DeniedMove:
		return "try again in a minute"
	}
	return "nothing was changed"
}
