package password_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/tandem-sync/tandem/examples/lab/cable"
	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/plugins/directory/password"
	"github.com/tandem-sync/tandem/plugins/secret"
)

// writer writes as svc.
func (w *world) writer() *password.Writer {
	c := w.connection
	return &password.Writer{Directory: directory.Connection{Name: c.Name, URLs: c.URLs, Base: c.Base, CA: c.CA},
		Account: directory.Account{User: c.User, Password: secret.Take([]byte(c.Password))}}
}

// permits returns what answers with a permit, and counts how often it was asked.
func permits(p password.Permit, asked *int) func(context.Context) (password.Permit, error) {
	return func(context.Context) (password.Permit, error) { *asked++; return p, nil }
}

const enough = 20 * time.Second

func TestAWriterAsksForThePermitWhenNothingIsInTheWay(t *testing.T) {
	everywhere(t, func(w *world) {
		ann := w.guid(w.user("ann"))
		boss := w.guid(w.user("boss"))
		w.join("CN=Domain Admins,CN=Users,"+w.base, "CN=boss,"+w.ou)
		for name, c := range map[string]struct {
			order  password.Order
			permit password.Permit
			asked  int
			code   password.Code
			signs  string // ann, with the new password
		}{
			"allowed":         {password.Order{User: ann, Op: password.OpReset}, password.Permit{Remaining: enough, New: value("Second-Passw0rd!")}, 1, password.OK, "yes"},
			"must change":     {password.Order{User: ann, Op: password.OpReset, MustChange: true}, password.Permit{Remaining: enough, New: value("Third-Passw0rd!")}, 1, password.OK, "773"},
			"refused":         {password.Order{User: ann, Op: password.OpReset}, password.Permit{Refused: "stopped", Remaining: enough, New: value("Fourth-Passw0rd!")}, 1, password.Refused, "52e"},
			"too late":        {password.Order{User: ann, Op: password.OpReset}, password.Permit{New: value("Fifth-Passw0rd!")}, 1, password.Expired, "52e"},
			"protected":       {password.Order{User: boss, Op: password.OpReset}, password.Permit{Remaining: enough, New: value("Sixth-Passw0rd!")}, 0, password.NotAllowed, "52e"},
			"Tandem's own":    {password.Order{User: ann, Op: password.OpReset, Own: []string{"ann" + w.suffix + "@" + w.domain}}, password.Permit{Remaining: enough, New: value("Seventh-Passw0rd!")}, 0, password.NotAllowed, "52e"},
			"its own account": {password.Order{User: w.guid("CN=svc," + w.ou), Op: password.OpReset}, password.Permit{Remaining: enough, New: value("Eighth-Passw0rd!")}, 0, password.NotAllowed, "52e"},
			"nothing known":   {password.Order{User: ann, Op: "delete"}, password.Permit{Remaining: enough, New: value("Ninth-Passw0rd!")}, 1, password.Failed, "52e"},
			"absent":          {password.Order{User: [16]byte{1, 2, 3}, Op: password.OpReset}, password.Permit{Remaining: enough, New: value("Tenth-Passw0rd!")}, 0, password.Gone, "52e"},
		} {
			asked, said := 0, ""
			_ = c.permit.New.Use(func(b []byte) error { said = string(b); return nil })
			r := w.writer().Carry(w.Context(), c.order, permits(c.permit, &asked))
			if r.Code != c.code || asked != c.asked {
				w.Errorf("%s: %+v after %d questions, not %s after %d", name, r, asked, c.code, c.asked)
			}
			if got := w.signsIn("ann", said); got != c.signs {
				w.Errorf("%s: signs in: %q, not %q", name, got, c.signs)
			}
			if wiped := errors.Is(c.permit.New.Use(func([]byte) error { return nil }), secret.ErrWiped); asked > 0 && !wiped {
				w.Errorf("%s: the permit is not wiped", name)
			}
		}
	})
}

func TestAWriterWithoutAPermitWritesNothing(t *testing.T) {
	everywhere(t, func(w *world) {
		ann := w.guid(w.user("ann"))
		r := w.writer().Carry(w.Context(), password.Order{User: ann, Op: password.OpUnlock}, func(context.Context) (password.Permit, error) {
			return password.Permit{}, errors.New("the line broke")
		})
		if r.Code != password.Refused {
			w.Errorf("%+v", r)
		}
		none := &password.Writer{Directory: w.connection}
		asked := 0
		if r := none.Carry(w.Context(), password.Order{User: ann, Op: password.OpReset}, permits(password.Permit{Remaining: enough}, &asked)); r.Code != password.NoAccount || asked != 0 {
			w.Errorf("%+v after %d questions", r, asked)
		}
	})
}

// More sign-ins would lock the account, and with it everybody's passwords.
func TestAWriterWhoseSignInWasRefusedRests(t *testing.T) {
	everywhere(t, func(w *world) {
		ann := w.guid(w.user("ann"))
		x, at, asked := w.writer(), time.Now(), 0
		x.Now = func() time.Time { return at }
		good := x.Account.Password
		x.Account.Password = value("Wrong-Passw0rd!")
		for range 2 {
			if r := x.Carry(w.Context(), password.Order{User: ann, Op: password.OpUnlock}, permits(password.Permit{Remaining: enough}, &asked)); r.Code == password.OK || !errors.Is(r.Cause, directory.ErrCredentials) {
				w.Errorf("%+v", r)
			}
			x.Account.Password = good
		}
		at = at.Add(31 * time.Minute)
		if r := x.Carry(w.Context(), password.Order{User: ann, Op: password.OpUnlock}, permits(password.Permit{Remaining: enough}, &asked)); r.Code != password.OK || asked != 1 {
			w.Errorf("%+v after %d questions", r, asked)
		}
	})
}

func TestAResetEndsALockOutWhereThatIsAskedFor(t *testing.T) {
	everywhere(t, func(w *world) {
		w.rules("lockoutThreshold", "3", "lockoutDuration", "-18000000000", "lockOutObservationWindow", "-18000000000")
		ann := w.guid(w.user("ann"))
		for range 3 {
			w.signsIn("ann", "Wrong-Passw0rd!")
		}
		asked := 0
		r := w.writer().Carry(w.Context(), password.Order{User: ann, Op: password.OpReset, Unlock: true}, permits(password.Permit{Remaining: enough, New: value("Second-Passw0rd!")}, &asked))
		if got := w.signsIn("ann", "Second-Passw0rd!"); r.Code != password.OK || got != "yes" {
			w.Errorf("%+v, and signs in: %q", r, got)
		}
	})
}

func TestAnAnswerThatIsNotWaitedForIsInDoubt(t *testing.T) {
	everywhere(t, func(w *world) {
		ann := w.guid(w.user("ann"))
		wire := cable.New(w.T, w.connection.URLs[0])
		x := w.writer()
		x.Directory.URLs = []string{wire.URL()}
		r := x.Carry(w.Context(), password.Order{User: ann, Op: password.OpReset}, func(context.Context) (password.Permit, error) {
			wire.CutAfter(requestsOfALook+1, true) // the look before the write, and the write
			return password.Permit{Remaining: enough, New: value("Second-Passw0rd!")}, nil
		})
		if r.Code != password.InDoubt {
			w.Errorf("%+v", r)
		}
	})
}
