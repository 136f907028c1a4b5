package password

import (
	"context"
	"errors"
	"strings"

	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/plugins/directory/protection"
)

// Code is how setting a password, changing it, or unlocking ended.
type Code string

// The codes. Only after [OK] the directory has the new password; after [InDoubt] it may.
const (
	OK          Code = "ok"
	History     Code = "history"            // it was used before
	Length      Code = "length"             // it is too short
	Complexity  Code = "complexity"         // it has too few kinds of characters, or the user's name in it
	MinimumAge  Code = "minimum-age"        // the present one is too new to be changed by the user
	Policy      Code = "policy"             // the directory refuses it and does not say by which rule
	WrongOld    Code = "wrong-old-password" // a change whose old password is wrong
	LockedOut   Code = "locked-out"         // a change while wrong passwords have locked the user out
	NotAllowed  Code = "not-allowed"        // the user is protected
	Gone        Code = "gone"               // there is no such user
	NoRights    Code = "no-rights"          // the account lacks a right
	Unreachable Code = "unreachable-before-send"
	InDoubt     Code = "in-doubt" // it was sent, and no answer came
	Failed      Code = "failed"   // anything else; nothing was changed

	// Of a [Writer], before anything was sent:
	NoAccount Code = "no-agent" // there is no account that sets passwords
	Expired   Code = "expired"  // it could not begin in time
	Refused   Code = "refused"  // the permit was
)

// Known reports whether it is one of the codes.
func (c Code) Known() bool {
	switch c {
	case OK, History, Length, Complexity, MinimumAge, Policy, WrongOld, LockedOut, NotAllowed, Gone, NoRights, Unreachable, InDoubt, Failed, NoAccount, Expired, Refused:
		return true
	}
	return false
}

// Result is how it ended. Reason, Diagnostic and Cause are for administrators and logs, and hold no password; the person whose password it is
// is told [Code.Told] alone.
type Result struct {
	Code       Code
	Reason     string // more than the code says; may be empty
	Diagnostic string // what the controller said; may be empty
	Cause      error  // may be nil
}

// Err returns nil after success, else the result as an error.
func (r Result) Err() error {
	if r.Code == OK {
		return nil
	}
	return &Error{r}
}

// Why says for administrators why it is no success; empty where the code says it all.
func (r Result) Why() string {
	switch {
	case r.Reason != "" && r.Cause != nil:
		return r.Reason + ": " + r.Cause.Error()
	case r.Cause != nil:
		return r.Cause.Error()
	}
	return r.Reason
}

// Error is a [Result] that is no success.
type Error struct{ Result Result }

// Error says what failed, for administrators.
func (e *Error) Error() string {
	s := "set the password: " + string(e.Result.Code)
	if why := e.Result.Why(); why != "" {
		s += ": " + why
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Result.Cause }

// Told returns the sentence for the person whose password it is. It does not tell protected users from absent ones.
func (c Code) Told() string {
	switch c {
	case OK:
		return "The password was changed."
	case History:
		return "This password was used before. Choose another one."
	case Length:
		return "This password is too short."
	case Complexity:
		return "This password is too simple: mix capital and small letters, digits and other characters, and leave out your name."
	case MinimumAge:
		return "Your password was changed a short time ago and cannot be changed again yet."
	case Policy:
		return "Your organization's rules do not allow this password. Choose another one, longer and not used before."
	case WrongOld:
		return "The old password is wrong."
	case LockedOut:
		return "Your account is locked after wrong passwords. Unlock it, or wait and try again."
	case NotAllowed, Gone:
		return "This is not allowed."
	case InDoubt:
		return "The password may have been changed. Try the new password first."
	}
	return "The password could not be changed. Ask your administrator."
}

// unlooked is the result where the user could not be looked at: nothing was sent.
func unlooked(err error) Result {
	r := Result{Code: Failed, Cause: err}
	switch {
	case errors.Is(err, directory.ErrNoSuchObject):
		r.Code = Gone
	case errors.Is(err, protection.ErrBlind), errors.Is(err, directory.ErrNotPermitted):
		r.Code = NoRights
	case errors.Is(err, directory.ErrUnreachable), errors.Is(err, directory.ErrTimeout), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		r.Code = Unreachable
	}
	return r
}

// explain is the result of a modification that was not answered by success.
func (s Setter) explain(ctx context.Context, t Target, a attempt, err error) Result {
	var e *directory.WriteError
	if !errors.As(err, &e) {
		return Result{Code: Failed, Cause: err}
	}
	r := Result{Diagnostic: e.Diagnostic, Cause: err}
	switch {
	case e.InDoubt:
		r.Code = InDoubt
	case e.Code == 0:
		r.Code = Unreachable
	default:
		r.Code = Classify(e.Code, e.Diagnostic)
	}
	if r.Code == Policy {
		r.Code, r.Reason = t.policy.breaks(a)
	}
	return r
}

// LDAP results that mean something by themselves (RFC 4511 4.1.9).
const (
	resultNoSuchObject = 32
	resultDenied       = 50
)

// heads are the Win32 errors at the head of diagnostics (MS-ERREF 2.2).
var heads = map[string]Code{
	"00000005": NoRights,   // ERROR_ACCESS_DENIED
	"00002098": NoRights,   // ERROR_DS_INSUFF_ACCESS_RIGHTS
	"00000056": WrongOld,   // ERROR_INVALID_PASSWORD
	"0000052D": Policy,     // ERROR_PASSWORD_RESTRICTION
	"0000052C": Complexity, // ERROR_ILL_FORMED_PASSWORD
	"00000775": LockedOut,  // ERROR_ACCOUNT_LOCKED_OUT
	"00000267": Length,     // ERROR_PWD_TOO_SHORT
	"00000268": MinimumAge, // ERROR_PWD_TOO_RECENT
	"00000269": History,    // ERROR_PWD_HISTORY_CONFLICT
	"00002030": Gone,       // ERROR_DS_OBJ_NOT_FOUND
	"0000208D": Gone,       // ERROR_DS_OBJ_NOT_FOUND, as replication says it
}

// texts are what Samba says behind 0000052D; Windows says nothing there.
var texts = []struct {
	part string
	code Code
}{
	{"too short", Length}, {"complexity", Complexity}, {"already used", History}, {"too young", MinimumAge},
}

// Classify makes a code of a controller's answer: by the Win32 error at the head of the diagnostic, then by Samba's text, then by LDAP's result. Windows says
// 0000052D for every rule alike, with result 53 for a reset and 19 for a change; that is [Policy].
func Classify(result uint16, diagnostic string) Code {
	head, rest, _ := strings.Cut(strings.TrimSpace(diagnostic), ":")
	code, known := heads[strings.ToUpper(head)]
	if code == Policy {
		for _, t := range texts {
			if strings.Contains(rest, t.part) {
				return t.code
			}
		}
	}
	switch {
	case known:
		return code
	case result == resultNoSuchObject:
		return Gone
	case result == resultDenied:
		return NoRights
	}
	return Failed
}
