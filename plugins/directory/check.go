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

// CanSeeDeleted fails with ErrNotPermitted when the account cannot see tombstones: deletes could then never be told from
// objects that are merely out of sight (rule D1).
func (s *Session) CanSeeDeleted(ctx context.Context) error {
	// The well-known GUID of the Deleted Objects container (MS-ADTS 6.1.1.4.2).
	dn := "<WKGUID=18E2EA80684F11D2B9AA00C04F79F805," + s.controller.RootDN + ">"
	_, err := s.readBase(ctx, dn, []string{"objectClass"}, showDeleted)
	if errors.Is(err, ErrNoSuchObject) { // a controller hides what may not be seen; and not every one knows WKGUID names
		_, err = s.readBase(ctx, "CN=Deleted Objects,"+s.controller.RootDN, []string{"objectClass"}, showDeleted)
	}
	if errors.Is(err, ErrNoSuchObject) {
		return fmt.Errorf("%w: the container Deleted Objects is hidden from %s", ErrNotPermitted, s.connection.User)
	}
	return err
}

// Check looks at everything that synchronizing needs of this controller and account. now is this machine's clock. The error
// tells that checking itself failed.
func (s *Session) Check(ctx context.Context, now time.Time) ([]Finding, error) {
	out := []Finding{s.checkControls(), s.checkClock(now)}
	deleted := Finding{Name: "deleted-objects", OK: true, Detail: "tombstones can be seen"}
	if err := s.CanSeeDeleted(ctx); err != nil {
		if !errors.Is(err, ErrNotPermitted) {
			return nil, err
		}
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
