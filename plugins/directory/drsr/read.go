package drsr

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"
	"unicode/utf16"

	"github.com/tandem-sync/tandem/plugins/credential"
	"github.com/tandem-sync/tandem/plugins/secret"
	"github.com/tandem-sync/tandem/scoping"
)

// Depth says how much of a user is read.
type Depth int

// The depths.
const (
	Nothing   Depth = iota // the user is left out
	StampOnly              // nothing is decrypted
	WithHash
)

// User is what was read of a user.
type User struct {
	GUID           scoping.GUID
	Name           string           // sAMAccountName
	Deleted        bool             // a tombstone
	AccountControl uint32           // userAccountControl (MS-ADTS 2.2.16)
	PasswordSet    time.Time        // pwdLastSet; zero: the password has to be changed at the next sign-in, or was never set
	Stamp          credential.Stamp // of unicodePwd, of the same reply as the hash
	HasHash        bool             // the directory keeps an NT hash
	// Hash is the NT hash, with [WithHash] and where the directory keeps one, else nil. Whoever gets the user wipes it.
	Hash *secret.Value
}

// Lacks returns [NoNTHash] for a user that has a password of which the directory keeps no NT hash, else "". Without a hash, a
// user that has to change its password cannot be told from one that has none: for neither is there anything to send.
func (u User) Lacks() Code {
	if !u.HasHash && !u.PasswordSet.IsZero() {
		return NoNTHash
	}
	return ""
}

// Users reads single users in the given order, and calls each for those that the controller has: one that is missing is no
// error and no proof of anything. An error of each ends the reading and is returned as it is; the session can go on. Other
// errors are [Error], [ErrOther], [ErrProtocol], those of a broken connection, and the context's; the session is of no use
// after them, except after [Rights].
func (s *Session) Users(ctx context.Context, guids []scoping.GUID, d Depth, each func(User) error) error {
	for _, g := range guids {
		r, err := s.ask(ctx, s.single(g))
		var status Status
		if errors.As(err, &status) && status.absent() {
			continue
		}
		if err != nil {
			return s.classify(ctx, fmt.Errorf("read the password of %s: %w", g, err))
		}
		if r.extended != extendedDone {
			return s.classify(ctx, fmt.Errorf("read the password of %s: %w: the extended operation ends with %d", g, ErrProtocol, r.extended))
		}
		only := func(o scoping.GUID) Depth {
			if o == g {
				return d
			}
			return Nothing
		}
		if err := s.tell(r, only, each); err != nil {
			return err
		}
	}
	return nil
}

// Everyone goes through the whole naming context, and calls each for the objects of which depth wants something. One that
// changes meanwhile may come twice. What changes from then on [Session.Changed] tells. Errors are those of [Session.Users].
func (s *Session) Everyone(ctx context.Context, depth func(scoping.GUID) Depth, each func(User) error) (Watermark, error) {
	return s.since(ctx, usns{}, func(r reply) error { return s.tell(r, depth, each) })
}

// tell makes users of a reply.
func (s *Session) tell(r reply, depth func(scoping.GUID) Depth, each func(User) error) error {
	for _, o := range r.objects {
		d := depth(o.guid)
		if d == Nothing {
			continue
		}
		u, err := s.user(o, d)
		if err != nil {
			return err
		}
		if err := each(u); err != nil {
			return err
		}
	}
	return nil
}

func (s *Session) user(o object, d Depth) (User, error) {
	u := User{GUID: o.guid, Name: text(o.values[sAMAccountName.key()]), Stamp: o.stamps[unicodePwd.key()]}
	u.Deleted = number(o.values[isDeleted.key()]) != 0
	u.AccountControl = uint32(number(o.values[userAccountControl.key()]))
	u.PasswordSet = fromFileTime(number(o.values[pwdLastSet.key()]))
	value := o.values[unicodePwd.key()]
	u.HasHash = len(value) > 0
	if !u.HasHash || d != WithHash {
		return u, nil
	}
	if u.Stamp.IsZero() {
		return u, fmt.Errorf("%s: %w: the password of %s comes without a stamp", s.controller.URL, ErrProtocol, u.label())
	}
	sid := o.sid
	if sid == nil {
		sid = o.values[objectSID.key()]
	}
	id, ok := relativeID(sid)
	if !ok {
		return u, fmt.Errorf("%s: %w: the password of %s comes without a SID", s.controller.URL, ErrProtocol, u.label())
	}
	var err error
	if u.Hash, err = unwrap(s.conn.Key(), id, value); err != nil {
		return u, s.fail(Encryption, "the password of "+u.label(), err)
	}
	return u, nil
}

func (u User) label() string { return fmt.Sprintf("%q (%s)", u.Name, u.GUID) }

// number reads an integer of four or eight bytes, 0 for anything else.
func number(b []byte) uint64 {
	switch len(b) {
	case 4:
		return uint64(binary.LittleEndian.Uint32(b))
	case 8:
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

// text reads UTF-16LE.
func text(b []byte) string {
	units := make([]uint16, len(b)/2)
	for i := range units {
		units[i] = binary.LittleEndian.Uint16(b[2*i:])
	}
	return string(utf16.Decode(units))
}

// learn asks for one object that everybody has, with all its attributes: that needs every right, and brings the controller's
// prefix table, by which later requests name some attributes only.
func (s *Session) learn(ctx context.Context) error {
	r, err := s.change(ctx, s.single(s.controller.Root), usual, nil)
	var status Status
	switch {
	case errors.As(err, &status) && status.denied():
		return s.denial(ctx, err)
	case err != nil:
		return fmt.Errorf("try to read the domain's root: %w", err)
	}
	s.table = r.table
	if ids(s.table, needed) == nil {
		s.table = usual
	}
	return nil
}

// ask asks for the needed attributes, and for all where the controller does not give some only.
func (s *Session) ask(ctx context.Context, q request) (reply, error) {
	var attributes []attribute
	if !s.whole {
		attributes = needed
	}
	r, err := s.change(ctx, q, s.table, attributes)
	var status Status
	if !errors.As(err, &status) {
		return r, err
	}
	if status.denied() {
		return r, s.denial(ctx, err)
	}
	if s.whole || !status.refusesPartialSet() {
		return r, err
	}
	all, second := s.change(ctx, q, s.table, nil)
	if errors.As(second, &status) && status.refusesPartialSet() {
		return r, s.fail(PartialSet, "all attributes are refused as well", err)
	}
	if second == nil {
		s.whole = true
		s.findings = append(s.findings, s.fail(PartialSet, "", err))
	}
	return all, second
}

// change calls IDL_DRSGetNCChanges once (MS-DRSR 4.1.10).
func (s *Session) change(ctx context.Context, q request, table []prefix, attributes []attribute) (reply, error) {
	c := controllerIDs{dsa: s.controller.DSA, invocation: s.controller.InvocationID}
	answer, err := s.conn.Call(ctx, operationChange, q.marshal(s.handle, c, table, ids(table, attributes)))
	if err != nil {
		return reply{}, err
	}
	r, err := parseReply(answer)
	if err == nil && r.invocation != s.controller.InvocationID {
		return reply{}, fmt.Errorf("%w: %s instead of %s", ErrOther, r.invocation, s.controller.InvocationID)
	}
	return r, err
}
