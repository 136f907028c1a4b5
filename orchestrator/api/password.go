package api

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/writeback"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/plugins/secret"
	"github.com/tandem-sync/tandem/scoping"
)

// PasswordRequest asks for a password to be set in the directory, or for an account to be unlocked.
type PasswordRequest struct {
	Ref        string
	MustChange bool          // at the next sign-in
	Unlock     bool          // also end a lock-out; without a password: only that
	Password   *secret.Value // nil: none is set
}

// PasswordSet is what was done.
type PasswordSet struct {
	Object     scoping.ObjectID `json:"object"`
	Name       string           `json:"name"`
	Engine     string           `json:"engine"` // the engine that did it
	Set        bool             `json:"set"`
	MustChange bool             `json:"mustChange"`
	Unlocked   bool             `json:"unlocked"`
}

// SetPassword carries out a request. Its password stays the caller's.
func (c *Client) SetPassword(ctx context.Context, q PasswordRequest, out any) (Outcome, error) {
	var b secret.Buffer
	defer b.Wipe()
	b.WriteString(`{"request":`)
	err := b.WriteJSON(struct {
		Ref        string `json:"ref"`
		MustChange bool   `json:"mustChange"`
		Unlock     bool   `json:"unlock"`
	}{q.Ref, q.MustChange, q.Unlock})
	if err == nil && q.Password != nil {
		b.WriteString(`,"password":`)
		err = b.WriteSecret(q.Password)
	}
	if err != nil {
		return Outcome{}, Usage("the password cannot be sent: %v", err)
	}
	b.WriteString("}")
	return c.send(ctx, "password/set", b.Bytes(), out, nil)
}

// parsePassword decodes a request. Errors quote nothing of it.
func parsePassword(body []byte) (PasswordRequest, error) {
	var q struct {
		Request struct {
			Ref        string `json:"ref"`
			MustChange bool   `json:"mustChange"`
			Unlock     bool   `json:"unlock"`
		} `json:"request"`
		Password secret.Text `json:"password"`
	}
	if err := json.Unmarshal(body, &q); err != nil {
		q.Password.Wipe()
		return PasswordRequest{}, Usage("the request is not understood")
	}
	out := PasswordRequest{Ref: q.Request.Ref, MustChange: q.Request.MustChange, Unlock: q.Request.Unlock, Password: q.Password.Value}
	switch {
	case out.Password == nil && !out.Unlock:
		return out, Usage("neither a password nor --unlock: there is nothing to do")
	case out.Password == nil && out.MustChange:
		return out, Usage("--must-change is about a password that is set: none was given")
	}
	return out, nil
}

// KindPassword is the kind of the error of a password that was not set, or may not have been.
const KindPassword = "password"

// passwordSet sets a password in the directory. Only users named in access.passwords may do so, and only on this machine.
func passwordSet(ctx context.Context, c *call) (any, Outcome, error) {
	q, err := parsePassword(c.body)
	defer q.Password.Wipe()
	if err != nil {
		return nil, Outcome{}, err
	}
	h := c.h.o.Host()
	id, err := h.Find(ctx, q.Ref)
	if err != nil {
		return nil, Outcome{}, err
	}
	o := writeback.Order{Object: id, Op: engine.UnlockAccount, By: c.by}
	if q.Password != nil {
		o.Op, o.MustChange, o.Unlock, o.New = engine.ResetPassword, q.MustChange, q.Unlock, q.Password
	}
	done, err := h.SetPassword(ctx, o)
	if errors.Is(err, writeback.ErrNotSet) {
		return nil, Outcome{}, &Error{Kind: KindPassword, Message: err.Error(), Object: q.Ref, Exit: ExitFailed}
	}
	if err != nil {
		return nil, Outcome{}, err
	}
	return PasswordSet{Object: id, Name: h.Name(id), Engine: done.Engine, Set: o.Op == engine.ResetPassword, MustChange: o.MustChange, Unlocked: q.Unlock}, Outcome{}, nil
}

// Writeback is the state of writing the tenant's password changes into the directory.
type Writeback struct {
	Asked   bool   `json:"asked"`         // the tenant is asked for changes
	Why     string `json:"why,omitempty"` // why not
	InDoubt int    `json:"inDoubt"`       // writes into directories without an answer
}

func (h *Handler) writeback() Writeback {
	out := Writeback{InDoubt: len(h.o.Host().Doubtful(nil)), Why: "nobody serves"}
	if h.info.Daemon {
		out.Why = h.o.Host().SetPasswords().Off()
		out.Asked = out.Why == ""
	}
	return out
}

// doubtOf returns the debt of a write into a directory without an answer.
func doubtOf(d ledger.Delivered) Debt {
	what := "a password that was set"
	switch engine.DeliveryOp(d.Op) {
	case engine.ChangePassword:
		what = "a password that was changed"
	case engine.UnlockAccount:
		what = "an account that was unlocked"
	}
	message := what + ": no answer came, the directory may have it or not. It is never repeated; setting the password again ends the doubt"
	if d.Reason != "" {
		message += " (" + d.Reason + ")"
	}
	return Debt{Object: d.Object, Name: d.Name, Feature: scoping.PasswordWriteback, Owner: d.Engine, Code: string(engine.InDoubt), Reason: engine.DeliveryInDoubt, Since: stamp(d.At), Message: message}
}
