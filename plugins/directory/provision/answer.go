package provision

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/plugins/provision"
)

// LDAP results (RFC 4511 4.1.9).
const (
	resultReferral    = 10
	resultNoValue     = 16
	resultNoType      = 17
	resultConstraint  = 19
	resultValueExists = 20
	resultSyntax      = 21
	resultNoObject    = 32
	resultBadName     = 34
	resultDenied      = 50
	resultUnwilling   = 53
	resultNaming      = 64
	resultClass       = 65
	resultNotLeaf     = 66
	resultExists      = 68
	resultOther       = 80
)

// heads are the Win32 errors at the head of diagnostics that say more than the result (MS-ERREF 2.2).
var heads = map[string]provision.Code{
	"00000005": provision.NoRights,    // ERROR_ACCESS_DENIED
	"00002098": provision.NoRights,    // ERROR_DS_INSUFF_ACCESS_RIGHTS
	"0000200A": provision.NoAttribute, // ERROR_DS_NO_ATTRIBUTE_OR_VALUE, as Samba says that the schema lacks one
	"0000202B": provision.ReadOnly,    // ERROR_DS_REFERRAL
	"00000524": provision.TakenName,   // ERROR_USER_EXISTS
	"00000526": provision.TakenName,   // ERROR_GROUP_EXISTS
	"00000563": provision.TakenName,   // ERROR_ALIAS_EXISTS
	"000021C7": provision.TakenName,   // ERROR_DS_SPN_VALUE_NOT_UNIQUE_IN_FOREST
	"000021C8": provision.TakenName,   // ERROR_DS_UPN_VALUE_NOT_UNIQUE_IN_FOREST
}

// results are the codes of LDAP's results where the diagnostic does not say more.
var results = map[uint16]provision.Code{
	resultReferral: provision.ReadOnly, resultNoValue: provision.Precondition, resultNoType: provision.NoAttribute, resultConstraint: provision.Invalid, resultValueExists: provision.Precondition,
	resultSyntax: provision.Invalid, resultNoObject: provision.Vanished, resultBadName: provision.Invalid, resultDenied: provision.NoRights, resultNaming: provision.Invalid, resultClass: provision.Invalid,
	resultNotLeaf: provision.NotEmpty, resultExists: provision.TakenName,
}

// Classify makes a code of a controller's refusal: by the Win32 error at the head of the diagnostic, then by LDAP's result.
func Classify(result uint16, diagnostic string) provision.Code {
	head, _, _ := strings.Cut(strings.TrimSpace(diagnostic), ":")
	if code, known := heads[strings.ToUpper(head)]; known {
		return code
	}
	if code, known := results[result]; known {
		return code
	}
	return provision.Failed
}

// explain is the outcome of an operation that was not answered by success. What was refused changed nothing; why it was is looked at where the answer can mean several things.
func (h *hand) explain(ctx context.Context, w provision.Write, err error) Outcome {
	var e *directory.WriteError
	if !errors.As(err, &e) {
		return Outcome{Code: provision.Failed, Cause: err}
	}
	o := Outcome{Diagnostic: e.Diagnostic, Cause: err}
	switch {
	case e.InDoubt:
		o.Code = provision.InDoubt
		return o
	case e.Code == 0:
		o.Code = provision.Unreachable
		return o
	}
	o.Code = Classify(e.Code, e.Diagnostic)
	switch o.Code {
	case provision.ReadOnly:
		o.Reason = h.Controller().URL + " refers writes to another controller: name a writable one"
	case provision.NoRights:
		o.Reason = h.denied(ctx, w)
	case provision.Vanished, provision.TakenName, provision.Invalid, provision.Failed:
		h.distinguish(ctx, w, e.Code, &o)
	case provision.Precondition:
		o.Reason = "a value is another one than it was, or the link is: nothing was changed"
	}
	return o
}

// distinguish looks what an answer meant. What it cannot find out it leaves as it is.
func (h *hand) distinguish(ctx context.Context, w provision.Write, result uint16, o *Outcome) {
	if w.Op == provision.Add || w.Op == provision.Move {
		if _, err := h.holder(ctx, w.Container, "the container"); errors.As(err, new(Outcome)) {
			o.Code, o.Reason = provision.NoContainer, err.Error()
			return
		}
	}
	if w.Op != provision.Add && result == resultOther {
		if _, err := h.read(ctx, w.Object, "objectClass"); errors.Is(err, directory.ErrNoSuchObject) {
			o.Code = provision.Vanished
			return
		}
	}
	if result != resultExists && result != resultConstraint {
		return
	}
	if w.Op == provision.Add {
		if there, err := h.linked(ctx); err == nil {
			found := exists(there, w.Link, h.Controller().InvocationID)
			o.Code, o.Reason, o.Result = found.Code, found.Reason, found.Result
			return
		}
	}
	for _, name := range []string{"sAMAccountName", "userPrincipalName"} {
		value := valueOf(w, name)
		if value == "" {
			continue
		}
		other, err := one(ctx, h.Session, directory.SearchQuery{Filter: h.signsIn(name, value), Attrs: []string{"objectClass"}})
		if err == nil && other.GUID != w.Object {
			o.Code, o.Reason = provision.TakenName, fmt.Sprintf("%s %q is that of %q", name, value, other.DN)
			return
		}
	}
}

// signsIn finds who has a name, or signs in by it: an account name at the domain is a user principal name, too (MS-ADTS 5.1.1.1.1).
func (h *hand) signsIn(attribute, value string) string {
	filter := directory.EqualFilter(attribute, value)
	switch prefix, suffix, _ := strings.Cut(value, "@"); {
	case equalNames(attribute, "sAMAccountName"):
		return "(|" + filter + directory.EqualFilter("userPrincipalName", value+"@"+h.Domain()) + ")"
	case equalNames(suffix, h.Domain()):
		return "(|" + filter + directory.EqualFilter("sAMAccountName", prefix) + ")"
	}
	return filter
}
