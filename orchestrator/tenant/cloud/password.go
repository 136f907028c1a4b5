package cloud

import (
	"time"

	"github.com/tandem-sync/tandem/plugins/secret"
)

// MaxCredentials is the most credentials in one request.
const MaxCredentials = 50

// CredentialItem is a credential to be set for a user in the tenant.
type CredentialItem struct {
	CloudID    string
	Credential *secret.Value // in the form of plugins/credential; it stays the sender's, which wipes it
	ChangedAt  time.Time     // when the password was changed
	By         string        // the engine that sends it
	MustChange bool          // at the next sign-in
	Log        string        // the installation whose log numbers it
	Number     int64         // of the intent: the tenant refuses numbers below the last one of the log
}

// CodeOlder is the code of a credential that was refused because the tenant has one with a higher number of the same log, which is newer.
const CodeOlder = "older"

// CredentialState is what the tenant reports of a user's credential. It never shows the value.
type CredentialState struct {
	ChangedAt  time.Time `json:"changedAt"`
	By         string    `json:"by"`
	MustChange bool      `json:"mustChange"`
	Log        string    `json:"log"`
	Number     int64     `json:"number"`
}

// Has reports whether the credential is that of a numbered write, or of a later one.
func (s CredentialState) Has(p *Password) bool { return s.Log == p.Log && s.Number >= int64(p.Number) }

// PasswordOp is a person's operation on a password.
type PasswordOp string

// The operations.
const (
	ResetPassword  PasswordOp = "reset"  // set it, whatever it was
	ChangePassword PasswordOp = "change" // set it, if the old one is right
	UnlockAccount  PasswordOp = "unlock"
)

// PasswordEvent is a password change that a person made in the tenant and that is to be written into the directory. The tenant hands it out again
// until it is answered, so the same id may come twice.
type PasswordEvent struct {
	ID           string // used once
	Tenant       string
	Installation string // the installation in the tenant's mark; empty without one
	CloudID      string
	Op           PasswordOp
	OldPassword  *secret.Value // of ChangePassword; otherwise nil
	NewPassword  *secret.Value // nil of UnlockAccount
	MustChange   bool          // at the next sign-in
	Deadline     time.Time     // on the tenant's clock; no answer is accepted after it
}

// Wipe wipes the event's passwords. The receiver of an event has to call it on every path.
func (e PasswordEvent) Wipe() {
	e.OldPassword.Wipe()
	e.NewPassword.Wipe()
}

// PasswordAnswer is the result of writing a password change into the directory.
type PasswordAnswer string

// The answers. The tenant stores the new password only after PasswordDone. PasswordInDoubt means that the directory's password may be either; all
// others mean that nothing was changed.
const (
	PasswordDone       PasswordAnswer = "ok"
	PasswordHistory    PasswordAnswer = "history"
	PasswordLength     PasswordAnswer = "length"
	PasswordComplexity PasswordAnswer = "complexity"
	PasswordMinimumAge PasswordAnswer = "minimum-age"
	PasswordPolicy     PasswordAnswer = "policy" // a rule of the directory, which does not say which
	PasswordWrongOld   PasswordAnswer = "wrong-old-password"
	PasswordLockedOut  PasswordAnswer = "locked-out" // in the directory, after wrong passwords
	PasswordNotAllowed PasswordAnswer = "not-allowed"
	PasswordNotInScope PasswordAnswer = "not-in-scope"
	PasswordNoAgent    PasswordAnswer = "no-agent"
	PasswordStopped    PasswordAnswer = "stopped"
	PasswordBusy       PasswordAnswer = "busy"
	PasswordInDoubt    PasswordAnswer = "in-doubt"
	PasswordFailed     PasswordAnswer = "failed"
)
