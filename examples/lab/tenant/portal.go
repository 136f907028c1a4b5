package tenant

import (
	"context"
	"errors"
	"net/http"
	"time"
	"unicode/utf8"

	"github.com/tandem-sync/tandem/plugins/secret"
)

// Codes of refusals that the tenant itself makes, and the two answers of the directory that it acts upon.
const (
	codeOK           = "ok"
	codeInDoubt      = "in-doubt"
	codeUnanswered   = "unanswered"
	codeOldPassword  = "wrong-old-password"
	codeComplexity   = "complexity"
	codeNotAllowed   = "not-allowed"
	codeUnknownName  = "unknown-user"
	codeUserLocked   = "locked"
	codeUserDisabled = "disabled"
)

// portalWord is how the portal says it: the status, and words for a user, who cannot do anything about agents and owners.
type portalWord struct {
	status  int
	message string
}

const (
	unavailable = "Your organization's directory can't take the change at the moment. Nothing was changed; try again later."
	contact     = "Your password can't be changed here. Contact your administrator."
	doubtful    = "Your password may have been changed. Try to sign in with the new password first; if that fails, use the old one and try the change again."
)

// portalWords holds every answer to an event of writeback, and what an event without one comes to.
var portalWords = map[string]portalWord{
	codeOK:          {http.StatusOK, ""},
	"history":       {http.StatusBadRequest, "You have used this password before. Choose one that you haven't used."},
	"length":        {http.StatusBadRequest, "This password is shorter than your organization allows. Choose a longer one."},
	codeComplexity:  {http.StatusBadRequest, "This password is too easy to guess for your organization. Mix capital and small letters, numbers and symbols, and leave your name out of it."},
	"policy":        {http.StatusBadRequest, "Your organization's rules don't allow this password. Choose a longer one that you haven't used."},
	"locked-out":    {http.StatusForbidden, "Your account is locked in your organization's directory. Unlock it, or try again later."},
	"minimum-age":   {http.StatusBadRequest, "Your password was changed too recently to be changed again. Try again tomorrow."},
	codeOldPassword: {http.StatusBadRequest, "Your current password is wrong."},
	codeNotAllowed:  {http.StatusForbidden, contact},
	"not-in-scope":  {http.StatusForbidden, contact},
	"no-agent":      {http.StatusConflict, unavailable},
	"stopped":       {http.StatusConflict, unavailable},
	"busy":          {http.StatusConflict, unavailable},
	"failed":        {http.StatusConflict, unavailable},
	codeInDoubt:     {http.StatusRequestTimeout, doubtful},
	codeUnanswered:  {http.StatusRequestTimeout, doubtful},
}

func portalError(code string) *Error {
	w := portalWords[code]
	return &Error{Status: w.status, Code: code, Message: w.message}
}

// labPortal stands for what people do in the portal for themselves: change, reset after they proved who they are in another
// way, unlock. It answers when it is done: for users of a directory, when the relay's event was answered, or 30 s later.
func labPortal(f *front, r *http.Request, op string, body []byte) (any, error) {
	var in struct {
		User        string      `json:"user"`
		OldPassword secret.Text `json:"oldPassword"`
		NewPassword secret.Text `json:"newPassword"`
	}
	err := readSecrets(body, &in)
	if err == nil {
		err = portalFields(op, in.OldPassword.Value, in.NewPassword.Value)
	}
	var o Object
	if err == nil {
		f.runGhosts(false)
		o, err = f.portalUser(in.User)
	}
	if err == nil && op == opChange {
		err = portalRefusal(f.model.prove(o.ID, in.OldPassword.Value))
	}
	if err == nil && fed(o) {
		return map[string]any{}, f.inDirectory(r.Context(), o, op, in.OldPassword.Value, in.NewPassword.Value)
	}
	defer in.OldPassword.Wipe()
	defer in.NewPassword.Wipe()
	if err != nil {
		return nil, err
	}
	return map[string]any{}, f.inTenant(o, op, in.NewPassword.Value)
}

// fed reports whether a user is a directory's, so that passwords are the directory's too.
func fed(o Object) bool {
	anchor, _ := o.Properties["onPremisesImmutableId"].(string)
	return anchor != ""
}

// portalFields checks that an operation has the passwords that it takes, and no others.
func portalFields(op string, old, new *secret.Value) error {
	switch {
	case op != opChange && op != opReset && op != opUnlock:
		return &Error{Status: http.StatusNotFound, Code: "ResourceNotFound", Message: "The portal has change, reset and unlock."}
	case (op == opChange) != (old != nil), (op != opUnlock) != (new != nil):
		return plainBadRequest("change takes user, oldPassword and newPassword; reset takes user and newPassword; unlock takes user.")
	case new != nil && !sendable(new):
		return plainBadRequest("A password has 1 to 1024 bytes.")
	}
	return nil
}

// passwordLimit is the longest password that is sent to a directory, in bytes.
const passwordLimit = 1024

func sendable(password *secret.Value) bool {
	fits := false
	err := password.Use(func(b []byte) error { fits = len(b) > 0 && len(b) <= passwordLimit; return nil })
	return err == nil && fits
}

func (f *front) portalUser(ref string) (Object, error) {
	o, err := f.model.Get(User, ref)
	if err != nil {
		return Object{}, &Error{Status: http.StatusNotFound, Code: codeUnknownName, Message: "We can't find an account with that name."}
	}
	if enabled, _ := o.Properties["accountEnabled"].(bool); !enabled {
		return Object{}, &Error{Status: http.StatusForbidden, Code: codeUserDisabled, Message: "Your account is disabled. Contact your administrator."}
	}
	return o, nil
}

// prove checks a password for something else than signing in: that it must be changed is no obstacle to changing it.
func (m *Model) prove(ref string, password *secret.Value) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, err := m.proven(ref, password)
	return err
}

func portalRefusal(err error) error {
	var e *SignInError
	switch {
	case !errors.As(err, &e):
		return err
	case e.Code == codeLocked:
		return &Error{Status: http.StatusForbidden, Code: codeUserLocked, Message: "Your account is locked, since the password was wrong too often. Try again in a minute."}
	}
	return portalError(codeOldPassword)
}

// inTenant does it at once, for a user without a directory.
func (f *front) inTenant(o Object, op string, password *secret.Value) error {
	if op == opUnlock {
		return f.model.writtenBack(o.ID, nil, false)
	}
	err := f.model.setPassword(o.ID, password, false)
	if errors.Is(err, ErrBadRequest) {
		return portalError(codeComplexity)
	}
	return err
}

// inDirectory sends it over the relay and waits for the answer.
func (f *front) inDirectory(ctx context.Context, o Object, op string, old, new *secret.Value) error {
	e, patience := f.writeBack(o.ID, op, old, new, false)
	select {
	case <-e.ended:
	case <-patience:
		f.relay.giveUp(e, f.model.now())
	case <-ctx.Done(): // who asked has left; the event goes on
	}
	if code := f.relay.outcome(e); code != codeOK {
		return portalError(code)
	}
	return nil
}

// writeBack posts an event. The passwords become the event's; patience fires at its deadline.
func (f *front) writeBack(user, op string, old, new *secret.Value, mustChange bool) (e *event, patience <-chan time.Time) {
	e = &event{tenant: f.tenantID, installation: f.model.installation(f.clientID), user: user, op: op, oldPassword: old, newPassword: new, mustChange: mustChange}
	patience = f.relay.after(writebackLife) // before the event is there, so that no clock passes it by
	f.relay.post(e, f.model.now())
	return e, patience
}

// setPassword sets the tenant's own password of a user who has no directory, and drops what was handed in: it is the only
// one from now on. The error is Graph's of weak passwords, or that the user is not there.
func (m *Model) setPassword(id string, password *secret.Value, mustChange bool) error {
	strong := false
	err := password.Use(func(b []byte) error { strong = utf8.Valid(b) && strongPassword(string(b)); return nil })
	if err != nil || !strong {
		return weakPassword()
	}
	c, err := derive(m.opts.Salts, password, cloudIterations)
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	o, err := m.find(User, id, m.head())
	if err != nil {
		c.Wipe()
		return err
	}
	o.passwords.dropUploads()
	o.passwords.setCloud(kept{credential: c, mustChange: mustChange, stored: m.now(), changed: m.now()})
	v := o.latest().next()
	v.props["lastPasswordChangeDateTime"] = stampTime(m.now())
	m.writeIfChanged(o, v)
	return nil
}
