package directory

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-ldap/ldap/v3"
)

// Finding is one thing that was checked.
type Finding struct {
	Name   string // "controls", "deleted-objects", "dirsync", "clock"
	OK     bool
	Detail string // what was seen
	Hint   string // what to do, when not OK
}

// maxClockSkew is Kerberos' usual limit; beyond it time-bound things of the directory go wrong.
const maxClockSkew = 5 * time.Minute

// ErrUnproven means that a right could not be proven, since there is nothing yet to try it on.
var ErrUnproven = errors.New("the right could not be proven")

// errEnough ends a search that has found what it looked for.
var errEnough = errors.New("enough")

// CanSeeDeleted fails with ErrNotPermitted when the account cannot see tombstones: deletes could then never be told from
// objects that are merely out of sight (rule D1). The container of tombstones may be readable while they are not, so only a
// tombstone proves it; where there is none, as in a new domain, the error is ErrUnproven.
func (s *Session) CanSeeDeleted(ctx context.Context) error {
	found := func(e Entry) error {
		if e.Deleted && e.LastKnownParent != "" { // the container itself counts as deleted, but never had a parent
			return errEnough
		}
		return nil
	}
	err := s.Search(ctx, SearchQuery{Filter: "(isDeleted=TRUE)", Attrs: []string{"objectClass"}, ShowDeleted: true}, found)
	if errors.Is(err, errEnough) {
		return nil
	}
	if err != nil {
		return err
	}
	// An account that may replicate sees by DirSync what access lists hide from its searches.
	_, err = s.Sync(ctx, nil, SyncQuery{Filter: "(isDeleted=TRUE)", Attrs: []string{"isDeleted"}}, found)
	switch {
	case errors.Is(err, errEnough), err == nil && s.objectSecurity:
		return fmt.Errorf("%w: %s sees no tombstones", ErrNotPermitted, s.connection.User)
	case err == nil:
		return fmt.Errorf("%w: there is no tombstone in %q that %s could see", ErrUnproven, s.controller.RootDN, s.connection.User)
	}
	return err
}

// Check looks at everything that synchronizing needs of this controller and account. now is this machine's clock. The error
// tells that checking itself failed.
func (s *Session) Check(ctx context.Context, now time.Time) ([]Finding, error) {
	out := []Finding{s.checkControls(), s.checkClock(now)}
	deleted := Finding{Name: "deleted-objects", OK: true, Detail: "tombstones can be seen"}
	switch err := s.CanSeeDeleted(ctx); {
	case err == nil:
	case errors.Is(err, ErrUnproven):
		deleted.Detail, deleted.Hint = err.Error(), "check again after any object was deleted"
	case !errors.Is(err, ErrNotPermitted):
		return nil, err
	default:
		deleted = Finding{Name: deleted.Name, Detail: err.Error(),
			Hint: "grant the account 'List Contents' and 'Read Property' on the container Deleted Objects (dsacls)"}
	}
	sync, err := s.checkDirSync(ctx)
	if err != nil {
		return nil, err
	}
	return append(out, deleted, sync), nil
}

func (s *Session) checkControls() Finding {
	f := Finding{Name: "controls", OK: true, Detail: "DirSync, extended DN, show-deleted and paging are there"}
	for _, oid := range []string{ldap.ControlTypeDirSync, ldap.ControlTypeMicrosoftExtendedDN,
		ldap.ControlTypeMicrosoftShowDeleted, ldap.ControlTypePaging} {
		if !slices.Contains(s.controls, oid) {
			f = Finding{Name: f.Name, Detail: "the controller does not offer control " + oid,
				Hint: "is this an Active Directory controller (not a Global Catalog port, not AD LDS)?"}
		}
	}
	return f
}

func (s *Session) checkClock(now time.Time) Finding {
	f := Finding{Name: "clock", OK: true}
	if s.controller.Time.IsZero() {
		f.Detail = "the controller does not tell its time"
		return f
	}
	skew := now.Sub(s.controller.Time)
	f.Detail = fmt.Sprintf("this machine is %s away from the controller", skew.Round(time.Second))
	if skew.Abs() > maxClockSkew {
		f.OK, f.Hint = false, "set the clocks by one time source"
	}
	return f
}

// checkDirSync asks for the cheapest DirSync there is, one that matches nothing.
func (s *Session) checkDirSync(ctx context.Context) (Finding, error) {
	_, err := s.Sync(ctx, nil, SyncQuery{Filter: "(cn=tandem-check-matches-nothing)", Attrs: []string{"cn"}},
		func(Entry) error { return nil })
	switch {
	case err == nil && s.objectSecurity:
		return Finding{Name: "dirsync", OK: true, Detail: "DirSync works with the account's own view only",
			Hint: "grant 'Replicating Directory Changes' on the domain if objects are missing"}, nil
	case err == nil:
		return Finding{Name: "dirsync", OK: true, Detail: "DirSync works"}, nil
	case errors.Is(err, ErrNotPermitted):
		return Finding{Name: "dirsync", Detail: err.Error(), Hint: "grant the account 'Replicating Directory Changes' on the domain"}, nil
	}
	return Finding{}, err
}
