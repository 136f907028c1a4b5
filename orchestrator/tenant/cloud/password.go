package cloud

import (
	"time"

	"github.com/tandem-sync/tandem/plugins/secret"
)

// MaxCredentials is how many credentials one request takes.
const MaxCredentials = 50

// CredentialItem is a credential that is to become a user's password in the tenant.
type CredentialItem struct {
	CloudID    string
	Credential *secret.Value // of the form that plugins/credential makes; it stays the sender's, who wipes it
	ChangedAt  time.Time     // of the password
	By         string        // the engine that sends it
	MustChange bool          // at the next sign-in
	Log        string        // the installation whose log counts Number
	Number     int64         // of the intent: the tenant takes none below the last of its log
}

// CodeOlder is the code of a credential that was refused since the tenant has one of a higher number of the same log: what was sent
// meanwhile is newer.
const CodeOlder = "older"

// CredentialState is what the tenant tells of the credential that it holds for a user. It never shows the value.
type CredentialState struct {
	ChangedAt  time.Time `json:"changedAt"`
	By         string    `json:"by"`
	MustChange bool      `json:"mustChange"`
	Log        string    `json:"log"`
	Number     int64     `json:"number"`
}

// Has reports whether the credential is the one of a write that was numbered, or one that was written after it.
func (s CredentialState) Has(p *Password) bool { return s.Log == p.Log && s.Number >= int64(p.Number) }

// PasswordOp is what a person wants done to a password.
type PasswordOp string

// The operations.
const (
	ResetPassword  PasswordOp = "reset"  // set it, whatever it was
	ChangePassword PasswordOp = "change" // set it, if the old one is right
	UnlockAccount  PasswordOp = "unlock"
)

// PasswordEvent is a password change that a person made in the tenant and that is to be written into the directory. The tenant hands
// one out again until it is answered, so the same id may come twice.
type PasswordEvent struct {
	ID           string // to be used once
	Tenant       string
	Installation string // that feeds the tenant, by its mark; empty without one
	CloudID      string
	Op           PasswordOp
	OldPassword  *secret.Value // of ChangePassword; else nil
	NewPassword  *secret.Value // nil of UnlockAccount
	MustChange   bool          // at the next sign-in
	Deadline     time.Time     // on the tenant's clock; the tenant takes no answer after it
}

// Wipe wipes the event's passwords. The receiver of an event owes it on every path.
func (e PasswordEvent) Wipe() {
	e.OldPassword.Wipe()
	e.NewPassword.Wipe()
}

// PasswordAnswer is how writing a password change into the directory ended.
type PasswordAnswer string

// The answers. The tenant stores the new password at PasswordDone and at no other. PasswordInDoubt says that the directory's
// password may be either; every other one says that nothing was changed.
const (
	PasswordDone       PasswordAnswer = "ok"
	PasswordHistory    PasswordAnswer = "history"
	PasswordLength     PasswordAnswer = "length"
	PasswordComplexity PasswordAnswer = "complexity"
	PasswordMinimumAge PasswordAnswer = "minimum-age"
	PasswordPolicy     PasswordAnswer = "policy" // some rule of the directory's, which does not say which
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
