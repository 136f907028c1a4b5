package password

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/plugins/directory/protection"
	"github.com/tandem-sync/tandem/plugins/secret"
	"github.com/tandem-sync/tandem/scoping"
)

// Op is what is done to a password.
type Op string

// The operations.
const (
	OpReset  Op = "reset"
	OpChange Op = "change"
	OpUnlock Op = "unlock"
)

// Order is what is to be done to a user's password. The password itself comes with the permit.
type Order struct {
	User       scoping.GUID
	Op         Op
	MustChange bool     // of a reset: at the next sign-in
	Unlock     bool     // of a reset: a lock-out ends as well
	Own        []string // sign-in names of accounts that are never set, beside those that the Writer knows
}

// Permit allows the one write of an order, or says why it is refused. Whoever is given it wipes it.
type Permit struct {
	Refused   string        // a code; empty: it is allowed
	Remaining time.Duration // from when it was asked for: what has not begun by then is not begun, and what has is not waited for
	New, Old  *secret.Value
}

// Wipe ends the permit's secrets.
func (p Permit) Wipe() {
	p.New.Wipe()
	p.Old.Wipe()
}

// Writer carries orders out in one directory with the account for that. It is safe for concurrent use; each order is a connection of its own, since a write whose
// context ends costs the connection.
type Writer struct {
	Directory directory.Connection // of the account that reads
	Account   directory.Account    // without a user there is none
	Own       []string             // sign-in names of other accounts whose passwords are never set
	Now       func() time.Time     // nil: time.Now

	rest directory.Rest
}

// Carry connects to a writable controller, signs in, and looks at the user; then it asks for the permit, and writes once. ask is called at most once, and only when
// nothing stands in the way any more; an error of it means that there is no permit. What is asked for is not sent twice, whatever happens.
func (w *Writer) Carry(ctx context.Context, o Order, ask func(context.Context) (Permit, error)) Result {
	if w.Account.User == "" {
		return Result{Code: NoAccount, Reason: "there is no account that sets passwords of directory " + w.Directory.Name}
	}
	s, err := w.dial(ctx)
	if err != nil {
		return unlooked(err)
	}
	defer s.Close() // what was written was answered
	own, err := protection.Own(ctx, s, append([]string{w.Directory.User, w.Account.User}, slices.Concat(w.Own, o.Own)...))
	if err != nil {
		return unlooked(err)
	}
	setter := Setter{Session: s, Own: own, Unlocks: o.Unlock}
	target, err := setter.Look(ctx, o.User)
	switch {
	case err != nil:
		return unlooked(err)
	case target.Protected != "":
		return Result{Code: NotAllowed, Reason: target.Protected}
	}
	asked := w.now()
	p, err := ask(ctx)
	defer p.Wipe()
	p.Remaining -= w.now().Sub(asked) // a process that stood still with the permit on its way does not begin later than whoever gave it believes
	switch {
	case err != nil:
		return Result{Code: Refused, Reason: "no permit came", Cause: err}
	case p.Refused != "":
		return Result{Code: Refused, Reason: p.Refused}
	case p.Remaining <= 0:
		return Result{Code: Expired, Reason: "its time was over when the permit came"}
	}
	ctx, cancel := context.WithTimeoutCause(ctx, p.Remaining, directory.ErrTimeout)
	defer cancel()
	return setter.carry(ctx, o, p)
}

func (s Setter) carry(ctx context.Context, o Order, p Permit) Result {
	switch o.Op {
	case OpReset:
		return s.Reset(ctx, o.User, p.New, o.MustChange)
	case OpChange:
		return s.Change(ctx, o.User, p.Old, p.New)
	case OpUnlock:
		return s.Unlock(ctx, o.User)
	}
	return Result{Code: Failed, Reason: fmt.Sprintf("%q is nothing that is done to passwords", o.Op)}
}

// refusedRest is how long no sign-in is tried after one that was refused: more of them would lock the account.
const refusedRest = 30 * time.Minute

func (w *Writer) now() time.Time {
	if w.Now == nil {
		return time.Now()
	}
	return w.Now()
}

// dial signs in at the first controller that can be written to.
func (w *Writer) dial(ctx context.Context) (s *directory.Session, err error) {
	err = w.rest.SignIn(w.now, refusedRest, func() error {
		c, err := w.Directory.As(w.Account)
		if err == nil {
			s, err = writable(ctx, c)
		}
		return err
	})
	return s, err
}

func writable(ctx context.Context, c directory.Connection) (*directory.Session, error) {
	var failed []error
	for _, url := range c.URLs {
		one := c
		one.URLs = []string{url}
		s, err := directory.Dial(ctx, one)
		if err == nil && !s.Controller().ReadOnly {
			return s, nil
		}
		if err == nil {
			err = fmt.Errorf("%s: %w", url, ErrReadOnly)
			_ = s.Close() // nothing was asked of it
		}
		failed = append(failed, err)
		if errors.Is(err, directory.ErrCredentials) { // the next one would count it as well
			break
		}
	}
	if len(failed) == 0 {
		return nil, fmt.Errorf("directory %s has no URL of a controller", c.Name)
	}
	return nil, errors.Join(failed...)
}
