package tenant

import (
	"strings"
	"time"

	"github.com/tandem-sync/tandem/plugins/credential"
	"github.com/tandem-sync/tandem/plugins/secret"
)

// Credential is a credential that is handed in for a user.
type Credential struct {
	User       string // cloud id
	Value      *secret.Value
	ChangedAt  time.Time // of the password
	By         string    // who hands it in, such as an engine's name
	MustChange bool
	Log        string // names the counter of Number, such as an installation
	Number     int64  // rises with each credential of one log for one user
}

// CredentialState describes a stored credential. The tenant never shows its value.
type CredentialState struct {
	ChangedAt  time.Time `json:"changedAt"`
	By         string    `json:"by"`
	MustChange bool      `json:"mustChange"`
	Log        string    `json:"log"`
	Number     int64     `json:"number"`
}

// byWriteback is who handed in a password that the tenant stored itself, after the directory had taken it.
const byWriteback = "writeback"

// nameLimit is the longest name of a log or a sender, in bytes.
const nameLimit = 128

// check returns why a credential cannot be taken, whatever the tenant holds.
func (c Credential) check() *Error {
	switch {
	case c.Value == nil || credential.Check(c.Value) != nil:
		e := plainBadRequest("The credential is not of the form v1;PPH1_MD4,<20 lower-case hexadecimal digits>,<iterations>,<64 digits>;.")
		e.Code = "credential"
		return e
	case c.ChangedAt.IsZero(), c.By == "", c.Log == "", len(c.By) > nameLimit, len(c.Log) > nameLimit, c.Number < 1, c.By == byWriteback:
		e := plainBadRequest("An item needs changedAt, by, log, and a number from 1.")
		e.Code = "item"
		return e
	}
	return nil
}

// PutCredential stores a credential as the password of a living user, and wipes it if it was not stored. One with a number
// that was accepted already changes nothing; one with a lower number than its log's last is refused with 409 (older).
func (m *Model) PutCredential(c Credential) error {
	if e := c.check(); e != nil {
		c.Value.Wipe()
		return e
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	o := m.objects[strings.ToLower(c.User)]
	if o == nil || o.kind != User || o.latest().life != live {
		c.Value.Wipe()
		e := notFound(c.User)
		e.Code = "no-user"
		return e
	}
	p := &o.passwords
	switch last := p.numbers[c.Log]; {
	case c.Number < last:
		c.Value.Wipe()
		return &Error{Status: 409, Code: "older", Message: "A credential with a higher number of this log was accepted already."}
	case c.Number == last:
		c.Value.Wipe()
		return nil
	}
	if p.numbers == nil {
		p.numbers = map[string]int64{}
	}
	p.numbers[c.Log] = c.Number
	p.upload(kept{credential: c.Value, mustChange: c.MustChange, stored: m.now(), changed: c.ChangedAt, by: c.By, log: c.Log, number: c.Number})
	return nil
}

// Credential returns the state of the credential that was handed in last for a user, as readers see it: a living one by id or
// userPrincipalName, a deleted one by id. ErrNotFound: there is none.
func (m *Model) Credential(ref string) (CredentialState, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	none := notFound(ref)
	o := m.objects[strings.ToLower(ref)]
	if o == nil {
		o, _ = m.find(User, ref, m.visible())
	}
	if o == nil || o.kind != User || o.latest().life == purged {
		return CredentialState{}, none
	}
	limit := m.now().Add(-m.lag)
	for i := len(o.passwords.uploaded) - 1; i >= 0; i-- {
		if k := o.passwords.uploaded[i]; !k.stored.After(limit) {
			return CredentialState{ChangedAt: k.changed.UTC(), By: k.by, MustChange: k.mustChange, Log: k.log, Number: k.number}, nil
		}
	}
	return CredentialState{}, none
}
