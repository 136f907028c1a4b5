package directory

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-ldap/ldap/v3"
)

// defaultMaxBytes bounds one DirSync answer; the controller splits what is more into rounds.
const defaultMaxBytes = 4 << 20

// SyncQuery says what DirSync shall tell. Changes of attributes that are not asked for are not told, and neither is an object
// of which nothing that was asked for changed.
type SyncQuery struct {
	Filter   string   // empty: every object. objectCategory and sAMAccountType find no tombstones: do not filter by them
	Attrs    []string // AD names; objectClass, parentGUID, name, isDeleted and lastKnownParent always come as well
	MaxBytes int      // of one answer; zero: 4 MiB
}

// Sync tells what changed in the naming context since the cookie was given, or everything if it is empty, by AD's DirSync
// control, and gives the cookie for the next time. Each entry holds only what changed, an attribute without values having
// been cleared; [Entry.Apply] puts it together with what was known. An object may be told more than once; the changes apply
// in the order told. Objects whose ancestor was renamed or moved are not told, nor is a group of which a member was deleted.
//
// The cookie belongs to the controller that gave it; keep [Controller.InvocationID] beside it and begin anew when that
// changes. A refused cookie gives ErrCookie. If each fails, its error comes back and no cookie. An account without the right
// DS-Replication-Get-Changes is served with what it may see itself.
func (s *Session) Sync(ctx context.Context, cookie []byte, q SyncQuery, each func(Entry) error) (next []byte, err error) {
	first := len(cookie) > 0
	for {
		answer, err := s.syncRound(ctx, cookie, q, each)
		switch {
		case errors.Is(err, ErrNotPermitted) && !s.objectSecurity:
			s.objectSecurity = true
			continue
		case first && cookieRefused(err):
			return nil, fmt.Errorf("%w: %w", ErrCookie, err)
		case err != nil:
			return nil, fmt.Errorf("DirSync of %q: %w", s.controller.RootDN, err)
		}
		cookie, first = answer.Cookie, false
		// An empty round with flags set still has more behind it.
		if answer.Flags == 0 {
			return cookie, nil
		}
	}
}

// cookieRefused recognizes the answers to a cookie that the controller cannot use: Samba says 12, AD 2 or 53.
func cookieRefused(err error) bool {
	return ldap.IsErrorAnyOf(err, ldap.LDAPResultUnavailableCriticalExtension, ldap.LDAPResultProtocolError,
		ldap.LDAPResultUnwillingToPerform)
}

func (s *Session) syncRequest(cookie []byte, q SyncQuery) *ldap.SearchRequest {
	flags, limit := int64(dirSyncIncrementalValues), int64(defaultMaxBytes)
	if s.objectSecurity {
		flags |= dirSyncObjectSecurity
	}
	if q.MaxBytes > 0 {
		limit = int64(q.MaxBytes)
	}
	return &ldap.SearchRequest{
		BaseDN: s.controller.RootDN, Scope: ldap.ScopeWholeSubtree, Filter: filterOr(q.Filter),
		Attributes: withAttrs(q.Attrs, "objectGUID", "parentGUID", "objectClass", "name", "isDeleted", "lastKnownParent"),
		Controls:   []ldap.Control{ldap.NewRequestControlDirSync(flags, limit, cookie), extendedDN},
	}
}

// syncRound streams one answer. Its goroutine inside go-ldap ends before syncRound returns or when the connection closes,
// whichever is first.
func (s *Session) syncRound(ctx context.Context, cookie []byte, q SyncQuery, each func(Entry) error) (*ldap.ControlDirSync, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	idle := time.AfterFunc(s.connection.timeout(), func() { cancel(ErrTimeout) })
	defer idle.Stop()
	stop := context.AfterFunc(ctx, s.abort)
	defer stop()
	stream, end := context.WithCancel(ctx) // ends the stream alone, when each fails
	defer end()
	response := s.conn.SearchAsync(stream, s.syncRequest(cookie, q), 256)
	var answer *ldap.ControlDirSync
	var failed error
	for response.Next() {
		idle.Reset(s.connection.timeout())
		if c, ok := ldap.FindControl(response.Controls(), ldap.ControlTypeDirSync).(*ldap.ControlDirSync); ok {
			answer = c
		}
		if response.Entry() == nil || failed != nil {
			continue
		}
		if failed = deliver(response.Entry(), true, each); failed != nil {
			end()
		}
	}
	switch {
	case failed != nil:
		return nil, failed
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case response.Err() != nil:
		return nil, classify(response.Err())
	case answer == nil:
		return nil, fmt.Errorf("%w: the answer ended without a DirSync control", ErrUnreachable)
	}
	return answer, nil
}

func deliver(le *ldap.Entry, incremental bool, each func(Entry) error) error {
	e, err := entryFrom(le, incremental)
	if err != nil {
		return err
	}
	return each(e)
}
