package writeback

import (
	"strings"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/gate"
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/plugins/directory/password"
	"github.com/tandem-sync/tandem/plugins/engine"
)

// maxLife is how far ahead an event's deadline may lie. Ids are remembered for a day, so an event must not be valid for that long; the tenant makes none that are.
const maxLife = 10 * time.Minute

// maxID is the longest id of an event, in bytes.
const maxID = 200

// home identifies the events that are taken.
type home struct{ tenant, installation string }

// judge returns why an event is not taken; empty: it is taken. An event that is not taken is not answered either: it is meant for another installation, or its deadline is past.
func judge(e cloud.PasswordEvent, h home, now time.Time) string {
	change, unlock := e.Op == cloud.ChangePassword, e.Op == cloud.UnlockAccount
	switch {
	case e.ID == "" || len(e.ID) > maxID || e.CloudID == "":
		return "it has no id, or names no user"
	case h.tenant == "" || !strings.EqualFold(e.Tenant, h.tenant):
		return "it is of another tenant"
	case h.installation == "" || e.Installation != h.installation:
		return "it is for another installation"
	case !change && !unlock && e.Op != cloud.ResetPassword:
		return "it is nothing that is done to passwords"
	case (e.OldPassword != nil) != change, (e.NewPassword != nil) == unlock:
		return "its passwords are not those of its operation"
	case e.Deadline.After(now.Add(maxLife)):
		return "its deadline lies too far ahead"
	case !now.Before(e.Deadline):
		return "its deadline is past"
	}
	return ""
}

// repeated returns the answer to an event whose id was permitted before. ok is false if it is not answered: the delivery is under way, or the id belongs to another change.
func repeated(e cloud.PasswordEvent, d ledger.Delivered) (code string, ok bool) {
	switch {
	case d.CloudID != e.CloudID || d.Op != string(e.Op):
		return "", false
	case !d.Ended:
		return "", false
	}
	return d.Code, true
}

// answerOf returns the tenant's code for the result of a delivery, and the sentence for the person whose password it is.
func answerOf(code string) (cloud.PasswordAnswer, string) {
	told := password.Code(code).Told()
	switch c := password.Code(code); c {
	case password.OK, password.History, password.Length, password.Complexity, password.MinimumAge, password.Policy, password.WrongOld, password.LockedOut, password.NotAllowed, password.InDoubt:
		return cloud.PasswordAnswer(c), told
	case password.NoAccount:
		return cloud.PasswordNoAgent, told
	case password.Gone:
		return cloud.PasswordNotInScope, told
	}
	switch gate.Denial(code) {
	case gate.DeniedNone:
		return cloud.PasswordNotInScope, password.NotAllowed.Told()
	case gate.DeniedStop:
		return cloud.PasswordStopped, told
	case gate.DeniedOld, gate.DeniedSeen: // it may have been carried out before
		return cloud.PasswordInDoubt, password.InDoubt.Told()
	case gate.DeniedBusy, gate.DeniedMove:
		return cloud.PasswordBusy, told
	}
	return cloud.PasswordFailed, told
}

// orderOf makes the order of an event. The order now owns the passwords.
func orderOf(e cloud.PasswordEvent) Order {
	return Order{ID: e.ID, CloudID: e.CloudID, Feature: fromTenant, Op: engine.DeliveryOp(e.Op), MustChange: e.MustChange && e.Op == cloud.ResetPassword,
		New: e.NewPassword, Old: e.OldPassword, Deadline: e.Deadline, By: "the tenant"}
}
