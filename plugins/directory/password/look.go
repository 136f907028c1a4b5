package password

import (
	"context"
	"errors"
	"fmt"

	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/plugins/directory/access"
	"github.com/tandem-sync/tandem/plugins/directory/protection"
	"github.com/tandem-sync/tandem/scoping"
)

// Target is a user as the controller shows it, and whether its password may be set.
type Target struct {
	GUID       scoping.GUID
	SID        access.SID
	DN         string // for people
	Protected  string // why its password is not set, for administrators; empty: it may be
	Disabled   bool
	Locked     bool // there is a lock-out, which may be over by now
	MustChange bool // at the next sign-in

	policy effective
}

// ErrReadOnly is returned for a session with a read-only controller.
var ErrReadOnly = errors.New("the controller is read-only: name a writable one")

const accountDisabled = 0x2 // of userAccountControl (MS-ADTS 2.2.16)

var looked = append([]string{"lockoutTime", "pwdLastSet", "msDS-ResultantPSO", "sAMAccountName", "displayName"}, protection.Attributes...)

// Look reads a user, and whether it is protected. It fails with directory.ErrNoSuchObject for one that is not there, with [protection.ErrBlind] where the
// account lacks the sight of groups or access lists, with [ErrReadOnly], and with what reading fails with.
func (s Setter) Look(ctx context.Context, user scoping.GUID) (Target, error) {
	if s.Session.Controller().ReadOnly {
		return Target{}, fmt.Errorf("%s: %w", s.Session.Controller().URL, ErrReadOnly)
	}
	e, err := s.read(ctx, directory.SearchQuery{BaseGUID: user, Scope: directory.Base, Attrs: looked})
	if err != nil {
		return Target{}, fmt.Errorf("look at user %s: %w", user, err)
	}
	root, err := s.read(ctx, directory.SearchQuery{Scope: directory.Base, Attrs: append([]string{"nTSecurityDescriptor"}, policyAttributes...), Descriptor: true})
	if err != nil {
		return Target{}, fmt.Errorf("look at the domain: %w", err)
	}
	t := Target{GUID: user, DN: e.DN, SID: access.SID(e.Text("objectSid"))}
	control, _ := e.Int("userAccountControl")
	lockout, _ := e.Int("lockoutTime")
	set, told := e.Int("pwdLastSet")
	t.Disabled, t.Locked, t.MustChange = control&accountDisabled != 0, lockout > 0, told && set == 0
	t.policy = effectiveFrom(root, e, s.Session.Controller().Time)
	if t.Protected, err = protection.OfUser(e, root, s.Own); err != nil {
		return t, fmt.Errorf("user %q at %s: %w", e.DN, s.Session.Controller().URL, err)
	}
	return t, nil
}

func (s Setter) read(ctx context.Context, q directory.SearchQuery) (directory.Entry, error) {
	var found directory.Entry
	err := s.Session.Search(ctx, q, func(e directory.Entry) error { found = e; return nil })
	if err == nil && (found.GUID.IsZero() || found.Deleted) {
		err = directory.ErrNoSuchObject
	}
	return found, err
}
