// Package password sets passwords of users in Active Directory, as password writeback and administrators ask for: it resets, changes, and unlocks.
//
// A [Setter] works over one session with a writable controller. Each of its methods first looks at the user over that same connection ([Setter.Look]) and refuses
// protected users: administrators through any nesting, built-in accounts, computers, and Tandem's own accounts. No switch turns that off.
// The controller's answer becomes a [Result] with a [Code]. Nothing is sent twice: a repeated change answers "wrong old password", and
// wrong old passwords lock the user out. After [InDoubt] a person decides, or a comparison of the password's replication stamp.
//
// Between the look and the write lie milliseconds in which the user may become an administrator. The write addresses the object by objectGUID, so renames and moves
// make no difference. A Setter is for one goroutine at a time, as its session is.
//
// Passwords are [secret.Value]s in UTF-8. Their quoted UTF-16LE form (MS-ADTS 3.1.1.3.1.5) is kept in slices that are cleared when the call ends. Not promised: go-ldap copies values
// into strings and packets, and crypto/tls into its buffers, which stay in memory until they are collected and used again.
package password

import (
	"context"
	"errors"

	"github.com/tandem-sync/tandem/plugins/credential"
	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/plugins/directory/access"
	"github.com/tandem-sync/tandem/plugins/directory/internal/write"
	"github.com/tandem-sync/tandem/plugins/secret"
	"github.com/tandem-sync/tandem/scoping"
)

// Setter sets passwords over one session, which is encrypted as all sessions are.
type Setter struct {
	Session *directory.Session
	// Own are the SIDs of Tandem's own accounts, which it must not change: see [directory.Session.Token], and rights.SIDOf.
	Own []access.SID
	// Unlocks lets a Reset end a lock-out as well, in the same modification.
	Unlocks bool
}

// Reset replaces the user's password, as an administrator does; it needs the right Reset Password. With mustChange the user has to change it at the next sign-in, which
// needs the right to write pwdLastSet; without it, an older demand to change ends with the reset. The history of passwords counts where the controller knows the control for that
// ([PolicyHints]).
func (s Setter) Reset(ctx context.Context, user scoping.GUID, fresh *secret.Value, mustChange bool) Result {
	return s.write(ctx, user, func() (m write.Modification, err error) {
		value, err := Quote(fresh)
		m.Changes = []write.Change{{Op: write.Replace, Attr: "unicodePwd", Values: [][]byte{value}}}
		if mustChange {
			m.Changes = append(m.Changes, write.Change{Op: write.Replace, Attr: "pwdLastSet", Values: [][]byte{[]byte("0")}})
		}
		if s.Unlocks {
			m.Changes = append(m.Changes, unlocked())
		}
		m.Controls = s.hints()
		return m, err
	}, attempt{password: fresh})
}

// Change replaces the user's password by means of the old one, as users themselves do: history and minimum age count, and a wrong old password counts
// towards the lock-out.
func (s Setter) Change(ctx context.Context, user scoping.GUID, old, fresh *secret.Value) Result {
	return s.write(ctx, user, func() (m write.Modification, err error) {
		was, err1 := Quote(old)
		now, err2 := Quote(fresh)
		m.Changes = []write.Change{{Op: write.Delete, Attr: "unicodePwd", Values: [][]byte{was}}, {Op: write.Add, Attr: "unicodePwd", Values: [][]byte{now}}}
		return m, errors.Join(err1, err2)
	}, attempt{password: fresh, change: true})
}

// Unlock ends a lock-out after wrong passwords; it needs the right to write lockoutTime. Without a lock-out it changes nothing.
func (s Setter) Unlock(ctx context.Context, user scoping.GUID) Result {
	return s.write(ctx, user, func() (write.Modification, error) {
		return write.Modification{Changes: []write.Change{unlocked()}}, nil
	}, attempt{})
}

func unlocked() write.Change {
	return write.Change{Op: write.Replace, Attr: "lockoutTime", Values: [][]byte{[]byte("0")}}
}

// attempt is what was tried, to explain its failure.
type attempt struct {
	password *secret.Value // nil: none was given
	change   bool
}

// write looks, refuses protected users, and sends the modification once.
func (s Setter) write(ctx context.Context, user scoping.GUID, build func() (write.Modification, error), a attempt) Result {
	target, err := s.Look(ctx, user)
	switch {
	case err != nil:
		return unlooked(err)
	case target.Protected != "":
		return Result{Code: NotAllowed, Reason: target.Protected}
	}
	m, err := build()
	defer wipe(m)
	if err != nil {
		return Result{Code: Failed, Reason: "the value is no password", Cause: err}
	}
	m.Object = user
	reached()
	if err := s.Session.Modify(ctx, m); err != nil {
		return s.explain(ctx, target, a, err)
	}
	return Result{Code: OK}
}

// between is nil; tests set it, to panic while plain values are at hand.
var between func()

func reached() {
	if between != nil {
		between()
	}
}

// wipe clears the values of a modification.
func wipe(m write.Modification) {
	for _, c := range m.Changes {
		for _, v := range c.Values {
			clear(v)
		}
	}
}

// Quote returns the form in which unicodePwd is written: UTF-16LE in double quotes (MS-ADTS 3.1.1.3.1.5). The caller clears it.
func Quote(password *secret.Value) ([]byte, error) {
	var out []byte
	err := password.Use(func(b []byte) error {
		wide, err := credential.UTF16(b)
		defer clear(wide)
		if err != nil {
			return err
		}
		out = append(append(append(make([]byte, 0, len(wide)+4), '"', 0), wide...), '"', 0)
		return nil
	})
	return out, err
}

// PolicyHints are the controls, by their OIDs, that let the history of passwords count for a reset too (MS-ADTS 3.1.1.3.4.1.27): the second is the one of Windows Server 2008 R2.
// A controller that lists neither, as Samba, does not look at the history when a password is reset.
var PolicyHints = []string{"1.2.840.113556.1.4.2239", "1.2.840.113556.1.4.2066"}

func (s Setter) hints() []write.Control {
	for _, oid := range PolicyHints {
		if s.Session.Supports(oid) {
			return []write.Control{{OID: oid, Value: []byte{0x30, 0x03, 0x02, 0x01, 0x01}}} // SEQUENCE { Flags INTEGER 1 }
		}
	}
	return nil
}
