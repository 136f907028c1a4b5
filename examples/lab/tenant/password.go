package tenant

import (
	"fmt"
	"io"
	"maps"
	"strings"
	"time"

	"github.com/tandem-sync/tandem/plugins/credential"
	"github.com/tandem-sync/tandem/plugins/secret"
)

// Smart lockout, with Entra's defaults: https://learn.microsoft.com/entra/identity/authentication/howto-password-smart-lockout.
const (
	lockoutThreshold = 10 // wrong passwords in a row
	lockoutDuration  = 60 * time.Second
)

// passwords is what the tenant keeps of a user's passwords. They belong to the object: a deleted user keeps them, and
// purging wipes them. Passwords themselves are kept nowhere.
type passwords struct {
	cloud    *kept            // set in the tenant itself
	uploaded []kept           // handed in, oldest first; of all but the last only the state is left, for lagging readers
	numbers  map[string]int64 // the last accepted number of each log
	wrong    int              // wrong passwords in a row
	locked   time.Time        // no password is looked at before
}

// kept is one password as the tenant stores it. A stored one is never changed.
type kept struct {
	credential *secret.Value
	mustChange bool
	stored     time.Time // on the model's clock
	changed    time.Time // when its owner chose it, as its sender says
	by, log    string
	number     int64
}

func (p *passwords) wipe() {
	if p.cloud != nil {
		p.cloud.credential.Wipe()
	}
	p.dropUploads()
	*p = passwords{}
}

func (p *passwords) dropUploads() {
	for _, k := range p.uploaded {
		k.credential.Wipe()
	}
	p.uploaded = nil
}

// current is the password that counts: the uploaded one, else the tenant's own; nil if there is none.
func (p *passwords) current() *kept {
	if n := len(p.uploaded); n > 0 {
		return &p.uploaded[n-1]
	}
	return p.cloud
}

// upload stores a password that was handed in, and wipes the one that it replaces.
func (p *passwords) upload(k kept) {
	if n := len(p.uploaded); n > 0 {
		p.uploaded[n-1].credential.Wipe()
	}
	p.uploaded = append(p.uploaded, k)
	p.wrong, p.locked = 0, time.Time{}
}

// setCloud makes k the tenant's own password.
func (p *passwords) setCloud(k kept) {
	if p.cloud != nil {
		p.cloud.credential.Wipe()
	}
	p.cloud = &k
	p.wrong, p.locked = 0, time.Time{}
}

// profile is a passwordProfile of a request.
// See https://learn.microsoft.com/graph/api/resources/passwordprofile.
type profile struct {
	password   *secret.Value // nil: not given
	mustChange *bool         // nil: not given
}

// cloudIterations are fewer than the form's: these credentials never leave the tenant, and every created user has one.
const cloudIterations = credential.MinIterations

// derive makes of a password what the tenant stores.
func derive(salts io.Reader, password *secret.Value, iterations int) (*secret.Value, error) {
	hash, err := credential.NTHash(password)
	if err != nil {
		return nil, weakPassword() // no valid text
	}
	defer hash.Wipe()
	salt := make([]byte, credential.SaltSize)
	if _, err := io.ReadFull(salts, salt); err != nil {
		panic(fmt.Sprintf("tenant: reading randomness for a salt: %v", err)) // as newID
	}
	return credential.DeriveWith(hash, salt, iterations)
}

// prepare derives what the profile's password becomes, and wipes the password. It needs no lock.
func (m *Model) prepare(p profile) (k kept, given bool, err error) {
	if p.password == nil {
		return kept{}, false, nil
	}
	defer p.password.Wipe()
	c, err := derive(m.opts.Salts, p.password, cloudIterations)
	return kept{credential: c}, true, err
}

// setProfile makes the parts of a profile that were given the user's own. The lock is held.
func (m *Model) setProfile(o *object, p profile, k kept, given bool) {
	force := p.mustChange != nil && *p.mustChange
	switch {
	case given:
		k.mustChange, k.stored, k.changed = force, m.now(), m.now()
		o.passwords.setCloud(k)
	case p.mustChange != nil && o.passwords.cloud != nil:
		o.passwords.cloud.mustChange = force
	}
}

// withPasswordTime shows when the password that was handed in was changed: it is no part of an object's versions, so that a
// directory full of hashes makes none.
func withPasswordTime(o *object, props map[string]any) map[string]any {
	n := len(o.passwords.uploaded)
	if n == 0 {
		return props
	}
	props = maps.Clone(props)
	props["lastPasswordChangeDateTime"] = stampTime(o.passwords.uploaded[n-1].changed)
	return props
}

// SetPasswordValidity makes passwords that were set in the tenant expire after d; 0, as in new tenants of Entra, never. Those
// that were handed in do not expire, nor those of users whose passwordPolicies have DisablePasswordExpiration.
// See https://learn.microsoft.com/microsoft-365/admin/manage/set-password-expiration-policy.
func (m *Model) SetPasswordValidity(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.validity = d
}

func (m *Model) expired(o *object, k *kept) bool {
	exempt := k != o.passwords.cloud || strings.Contains(o.latest().text("passwordPolicies"), "DisablePasswordExpiration")
	return m.validity > 0 && !exempt && !m.now().Before(k.changed.Add(m.validity))
}

// SignInError is why a sign-in was refused, with Entra's number.
// See https://learn.microsoft.com/entra/identity-platform/reference-error-codes.
type SignInError struct {
	Code    int // after AADSTS
	Message string
}

// Error joins number and words.
func (e *SignInError) Error() string { return fmt.Sprintf("AADSTS%d: %s", e.Code, e.Message) }

// The numbers.
const (
	codeUnknownUser = 50034
	codeLocked      = 50053
	codeMustChange  = 50055
	codeNoPassword  = 50056
	codeDisabled    = 50057
	codeWrong       = 50126
)

// SignIn checks a user's password by id or userPrincipalName: by the credential that was handed in, else by the tenant's own
// password. What the directory says of expiry and lock-outs has no part in it. The error is a *SignInError.
func (m *Model) SignIn(ref string, password *secret.Value) (Object, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	o, err := m.proven(ref, password)
	if err != nil {
		return Object{}, err
	}
	k := o.passwords.current()
	switch {
	case !o.latest().is("accountEnabled"):
		return Object{}, &SignInError{codeDisabled, "The user account is disabled."}
	case k.mustChange, m.expired(o, k):
		return Object{}, &SignInError{codeMustChange, "The password is expired."}
	}
	return m.object(o), nil
}

// proven finds the user and checks the password, counting wrong ones; it is under the lock, so that tries at once count each.
func (m *Model) proven(ref string, password *secret.Value) (*object, error) {
	o, err := m.find(User, ref, m.head())
	if err != nil {
		return nil, &SignInError{codeUnknownUser, "The user account does not exist in the directory. To sign into this application, the account must be added to the directory."}
	}
	p := &o.passwords
	k := p.current()
	if k == nil {
		return nil, &SignInError{codeNoPassword, "Invalid or null password: password does not exist in the directory for this user."}
	}
	if m.now().Before(p.locked) {
		return nil, &SignInError{codeLocked, "The account is locked, you've tried to sign in too many times with an incorrect user ID or password."}
	}
	if same, err := credential.Matches(k.credential, password); err == nil && same {
		p.wrong = 0
		return o, nil
	}
	if p.wrong++; p.wrong >= lockoutThreshold {
		p.wrong, p.locked = 0, m.now().Add(lockoutDuration)
	}
	return nil, &SignInError{codeWrong, "Error validating credentials due to invalid username or password."}
}
