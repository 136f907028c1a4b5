// Package protection judges whether an object of Active Directory is one that Tandem never changes, whatever its accounts may do and whatever is configured: administrators through any
// nesting, built-in accounts and groups, computers, accounts that have power over the domain, and Tandem's own.
//
// The judgement is pure. Whoever writes reads what it needs ([Attributes], and the domain's head) over the very connection that will write, and judges right before.
package protection

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/plugins/directory/access"
	"github.com/tandem-sync/tandem/scoping"
)

// ErrBlind is returned where the account sees too little of an object to tell whether it is protected.
var ErrBlind = errors.New("whether it is protected cannot be told")

// Attributes are what has to be read of an object for a judgement. tokenGroups comes only with a search of that object alone.
var Attributes = []string{"objectClass", "objectSid", "tokenGroups", "adminCount", "primaryGroupID", "userAccountControl", "sAMAccountType", "sIDHistory", "isCriticalSystemObject"}

// Bits of userAccountControl (MS-ADTS 2.2.16).
const (
	normalAccount    = 0x200
	interdomainTrust = 0x800
	workstationTrust = 0x1000
	serverTrust      = 0x2000
	partialSecrets   = 0x4000000
	notOfPeople      = interdomainTrust | workstationTrust | serverTrust | partialSecrets
	typeOfUsers      = 0x30000000                             // sAMAccountType SAM_USER_OBJECT (MS-SAMR 2.2.1.9)
	getChangesAll    = "1131f6ad-9c07-11d1-f79f-00c04fc2dcd2" // DS-Replication-Get-Changes-All (MS-ADTS 5.1.3.2.1)
)

// OfUser returns why a user is protected; empty: it is not. root is the domain's head with its nTSecurityDescriptor, own are the SIDs of Tandem's own accounts. tokenGroups decides, since the controller computes it from all nesting and
// the primary group. adminCount alone would not do: Windows sets it up to an hour late, and Samba never.
func OfUser(user, root directory.Entry, own []access.SID) (string, error) {
	if why := notAPerson(user); why != "" {
		return why, nil
	}
	sid, err := access.SIDFromBytes([]byte(user.Text("objectSid")))
	if err != nil {
		return "", fmt.Errorf("%w: its objectSid is not shown", ErrBlind)
	}
	if name, is := access.BuiltIn(sid); is {
		return "it is " + name, nil
	}
	if slices.Contains(own, sid) {
		return "it is an account of Tandem's own", nil
	}
	groups, err := groupsOf(user, sid)
	if err != nil {
		return "", err
	}
	former, err := historyOf(user)
	if err != nil {
		return "", err
	}
	groups = append(groups, former...)
	if g, is := access.FirstProtected(append(groups, sid)); is {
		return fmt.Sprintf("it is in %s, directly, through other groups, by its primary group, or by its sIDHistory", g.Name), nil
	}
	if n, _ := user.Int("adminCount"); n != 0 {
		return "it is or was in a group that the directory protects (adminCount)", nil
	}
	return overDomain(root, access.NewToken(sid, groups), sid)
}

// groupsOf returns the SIDs of all groups of a user, the primary one among them whatever the controller says.
func groupsOf(user directory.Entry, sid access.SID) ([]access.SID, error) {
	var groups []access.SID
	for _, raw := range user.Texts("tokenGroups") {
		g, err := access.SIDFromBytes([]byte(raw))
		if err != nil {
			return nil, fmt.Errorf("%w: a value of tokenGroups is %w", ErrBlind, err)
		}
		groups = append(groups, g)
	}
	if len(groups) == 0 {
		return nil, fmt.Errorf("%w: its tokenGroups are not shown; grant the account 'Read all properties' of users", ErrBlind)
	}
	domain, _, ok := sid.RID()
	if primary, told := user.Int("primaryGroupID"); ok && told && primary > 0 && primary <= 1<<32-1 {
		groups = append(groups, domain.With(uint32(primary)))
	}
	return groups, nil
}

// historyOf returns the SIDs that a user had in other domains, which count as its own when it signs in; tokenGroups does not hold them. A built-in account of
// another domain is returned as its Domain Admins.
func historyOf(user directory.Entry) ([]access.SID, error) {
	var out []access.SID
	for _, raw := range user.Texts("sIDHistory") {
		sid, err := access.SIDFromBytes([]byte(raw))
		if err != nil {
			return nil, fmt.Errorf("%w: a value of sIDHistory is %w", ErrBlind, err)
		}
		if _, is := access.BuiltIn(sid); is {
			domain, _, _ := sid.RID()
			sid = domain.With(domainAdmins)
		}
		out = append(out, sid)
	}
	return out, nil
}

// domainAdmins is the last part of that group's SID.
const domainAdmins = 512

// notAPerson returns what an object is instead of a user's account; empty: it is one.
func notAPerson(user directory.Entry) string {
	is := map[string]bool{}
	managed := false
	for _, class := range user.Texts("objectClass") {
		class = strings.ToLower(class)
		is[class] = true
		managed = managed || strings.HasPrefix(class, "msds-") && strings.HasSuffix(class, "account")
	}
	control, told := user.Int("userAccountControl")
	kind, typed := user.Int("sAMAccountType")
	switch {
	case managed:
		return "it is a managed service account, whose password the directory makes"
	case is["computer"]:
		return "it is a computer"
	case !is["user"]:
		return "it is no user"
	case told && control&notOfPeople != 0:
		return "it is the account of a computer or a trust"
	case told && control&normalAccount == 0, typed && kind != typeOfUsers:
		return "it is not an ordinary user account"
	}
	return ""
}

// overDomain returns why a user has power over the whole domain; empty: it has none. An account that may replicate secrets knows every password, and one that may
// change the domain's access list can grant itself that right.
func overDomain(root directory.Entry, token access.Token, self access.SID) (string, error) {
	if !root.Has("nTSecurityDescriptor") {
		return "", fmt.Errorf("%w: the domain's access list is not shown; grant the account 'Read permissions' on the domain", ErrBlind)
	}
	d, err := access.ParseDescriptor([]byte(root.Text("nTSecurityDescriptor")))
	if err != nil {
		return "", fmt.Errorf("%w: the domain's access list: %w", ErrBlind, err)
	}
	all, err := scoping.ParseGUID(getChangesAll)
	if err != nil {
		return "", err
	}
	for _, r := range []struct {
		right access.Right
		why   string
	}{
		{access.Right{Mask: access.ControlAccess, Object: all}, "it may read all passwords by replication (DS-Replication-Get-Changes-All)"},
		{access.Right{Mask: access.WriteDAC}, "it may change the domain's access list"},
		{access.Right{Mask: access.WriteOwner}, "it may take the domain's ownership"},
	} {
		if d.Allows(token, self, r.right) {
			return r.why, nil
		}
	}
	return "", nil
}

// Own returns the SIDs of accounts by their sign-in names, as far as the directory knows them.
func Own(ctx context.Context, s *directory.Session, names []string) ([]access.SID, error) {
	names = slices.Clone(names)
	slices.Sort(names)
	var out []access.SID
	for _, name := range slices.Compact(names) {
		if name == "" {
			continue
		}
		p, err := s.Principal(ctx, name)
		if errors.Is(err, directory.ErrNoSuchObject) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if sid, err := access.SIDFromBytes(p.SID); err == nil { // one of another domain has none here
			out = append(out, sid)
		}
	}
	return out, nil
}
