// Package rights looks whether the accounts that Tandem signs in to Active Directory with have what their purpose needs, and no more:
// the one that reads ([Bind]), the one that reads password hashes ([Replicate]), the one that sets passwords ([Reset]), and the one that writes into containers ([Provision]).
//
// It reads only, as the account itself. What an account may do is worked out from access lists (package access) and from the SIDs that the controller names as the
// session's (tokenGroups of rootDSE): both work on Windows and on Samba for every account that may read a user's permissions, as all may by default. The
// other ways were tried and left: allowedAttributesEffective and sDRightsEffective say nothing of control access rights such as Reset Password; a trial needs a victim;
// and neither tells by which entry an account may too much. What is worked out for a container is what users there inherit; since inheritance can be switched off, some
// users are looked at as well.
package rights

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/plugins/directory/access"
	"github.com/tandem-sync/tandem/plugins/directory/drsr"
	"github.com/tandem-sync/tandem/plugins/directory/password"
	"github.com/tandem-sync/tandem/scoping"
)

// Level is how grave a finding is.
type Level string

// The levels.
const (
	Fine    Level = "ok"
	Note    Level = "note"
	Warning Level = "warning"
	Failure Level = "failure"
)

// The codes of findings. Those of package drsr are codes too.
const (
	Ready              = "ready"                // it has what it needs
	SignIn             = "sign-in"              // the controller refuses its sign-in; another attempt would count towards a lock-out
	Unreachable        = "unreachable"          // no controller could be asked
	Unknown            = "unknown"              // it could not be looked at
	Missing            = "missing-right"        // Right and Grant say which
	Uninherited        = "not-inherited"        // users in the container do not inherit what the container gives
	Administrator      = "administrator"        // it is one
	WritesOutside      = "writes-outside"       // it may write where it has no business
	HistoryNotEnforced = "history-not-enforced" // resets do not look at the history of passwords
	ReadsPasswords     = "reads-passwords"      // it may read all password hashes, which is not its purpose
	TierZero           = "tier-0"               // whoever holds it holds the domain
	ReadOnly           = "read-only-controller"
	NoContainer        = "no-container"      // a container that is not there
	NotFor             = "not-for"           // it may write nothing of a class there, and need not
	Unproven           = "unproven"          // nothing was deleted yet that would show it
	NoLinkAttribute    = "no-link-attribute" // the schema lacks the attribute that holds links by default
)

// Finding is one thing that was found of an account.
type Finding struct {
	Code  string
	Level Level
	Text  string   // what was found, for people
	Hint  string   // what to do; may be empty
	Right string   // with Missing: GUID of the right or the property in access lists
	Grant []string // with Missing: commands, each of which grants it: on Windows, on Samba
}

// Rights in access lists (MS-ADTS 5.1.3.2.1) and properties (MS-ADA1, MS-ADA3), by their GUIDs.
const (
	ResetPassword  = "00299570-246d-11d0-a768-00aa006e0529"
	ChangePassword = "ab721a53-1e2f-11d0-9819-00aa0040529b"
	PwdLastSet     = "bf967a0a-0de6-11d0-a285-00aa003049e2"
	LockoutTime    = "28630ebf-41d5-11d1-a9c1-0000f80367c1"

	restrictions = "4c164200-20c0-11d0-a768-00aa006e0529" // User-Account-Restrictions, the set of properties of pwdLastSet
	users        = "bf967aba-0de6-11d0-a285-00aa003049e2" // the class of users
)

// guid is for the constants above.
func guid(s string) scoping.GUID {
	g, err := scoping.ParseGUID(s)
	if err != nil {
		panic(err)
	}
	return g
}

// Of looks at the account of a purpose. c is the directory, as whomever.
func Of(ctx context.Context, p scoping.Purpose, c directory.Connection, a directory.Account) []Finding {
	c, err := c.As(a)
	if err != nil {
		return []Finding{unknown(err)}
	}
	switch p {
	case scoping.Replicate:
		return Replicate(ctx, drsr.Config{Connection: c, Port: a.Port})
	case scoping.Reset:
		return Reset(ctx, c, a.Under)
	case scoping.Provision:
		return Provision(ctx, c, a.Under)
	}
	return nil
}

// Bind looks at the account that reads the directory: whether it could read all password hashes, which it should not.
func Bind(ctx context.Context, s *directory.Session, user string) []Finding {
	a, err := know(ctx, s, user)
	if err != nil {
		return []Finding{unknown(err)}
	}
	root, err := a.descriptor(ctx, scoping.GUID{}, s.Controller().RootDN)
	if err != nil {
		return []Finding{unknown(err)}
	}
	if !root.Allows(a.token, "", access.Right{Mask: access.ControlAccess, Object: guid(drsr.GetChangesAll)}) {
		return nil
	}
	return []Finding{{Code: ReadsPasswords, Level: Warning, Text: fmt.Sprintf("%s may read all password hashes of the domain: it has DS-Replication-Get-Changes-All (%s), or all rights", user, drsr.GetChangesAll),
		Hint: "take that right away, or use an account without it: reading needs DS-Replication-Get-Changes alone"}}
}

// Replicate looks at the account that reads password hashes, by signing in to replication. Config.Connection names it.
func Replicate(ctx context.Context, c drsr.Config) []Finding {
	who := c.Connection.User
	s, err := drsr.Dial(ctx, c)
	if err != nil {
		return failures("replicate", err)
	}
	defer s.Close() // it was read from only
	out := []Finding{{Code: Ready, Level: Fine, Text: fmt.Sprintf("%s reads password hashes at %s", who, s.Controller().URL)}}
	for _, e := range s.Findings() {
		out = append(out, Finding{Code: string(e.Code), Level: Note, Text: e.Error(), Hint: e.Code.Advice()})
	}
	return append(out, Finding{Code: TierZero, Level: Note, Text: fmt.Sprintf("every machine that holds the password of %s is as valuable as a domain controller (tier 0)", who),
		Hint: "protect it, its backups and its administrators as you protect domain controllers"})
}

// failures tells why replication could not be signed in to, each missing right by itself.
func failures(purpose string, err error) []Finding {
	var out []Finding
	for _, e := range leaves(err) {
		var drs *drsr.Error
		switch {
		case errors.As(e, &drs) && drs.Code == drsr.Rights:
			for i, right := range drs.Missing {
				out = append(out, missing(drs.Account, drsr.RightName(right), right, "the domain", drs.Grant[2*i:2*i+2]))
			}
		case errors.As(e, &drs):
			out = append(out, Finding{Code: string(drs.Code), Level: Failure, Text: drs.Error(), Hint: drs.Code.Advice()})
		default:
			out = append(out, signIn(purpose, e))
		}
	}
	return out
}

// leaves are the errors that were joined.
func leaves(err error) []error {
	joined, is := err.(interface{ Unwrap() []error })
	if !is {
		return []error{err}
	}
	var out []error
	for _, e := range joined.Unwrap() {
		out = append(out, leaves(e)...)
	}
	return out
}

// signIn is the finding of an account that could not sign in. The error speaks of `bind`, which is the other account.
func signIn(purpose string, err error) Finding {
	f := Finding{Code: SignIn, Level: Failure, Text: err.Error(), Hint: fmt.Sprintf("check %s.user and its password", purpose)}
	if !errors.Is(err, directory.ErrCredentials) {
		f.Code = Unreachable
	}
	var d *directory.DialError
	if errors.As(err, &d) {
		f.Text, f.Hint = d.URL+": "+d.Kind.Error(), strings.ReplaceAll(d.Hint, "bind.", purpose+".")
		if d.User != "" {
			f.Text += " of " + d.User
		}
		if d.Cause != nil {
			f.Text += ": " + d.Cause.Error()
		}
	}
	return f
}

func unknown(err error) Finding {
	return Finding{Code: Unknown, Level: Warning, Text: "the account's rights could not be looked at: " + err.Error(), Hint: "let it read permissions (READ_CONTROL), as all accounts may by default"}
}

func missing(who, name, right, where string, grant []string) Finding {
	return Finding{Code: Missing, Level: Failure, Right: right, Grant: grant, Text: fmt.Sprintf("%s lacks %q (%s) on %s", who, name, right, where), Hint: "grant it: " + strings.Join(grant, " or ")}
}

// Reset looks at the account that sets passwords of users below the containers: the DNs in under, or the whole directory if there is none. c names the account.
func Reset(ctx context.Context, c directory.Connection, under []string) []Finding {
	s, err := directory.Dial(ctx, c)
	if err != nil {
		return signIns("reset", err)
	}
	defer s.Close() // it was read from only
	a, err := know(ctx, s, c.User)
	if err != nil {
		return []Finding{unknown(err)}
	}
	var out []Finding
	if s.Controller().ReadOnly {
		out = append(out, Finding{Code: ReadOnly, Level: Failure, Text: s.Controller().URL + " is a read-only controller, which sets no passwords", Hint: "name a writable controller first in url"})
	}
	if !supportsHints(s) {
		out = append(out, Finding{Code: HistoryNotEnforced, Level: Warning, Text: s.Controller().URL + " does not look at the history of passwords when one is reset (control " + password.PolicyHints[0] + " is not there)",
			Hint: "a reset may set a password that was used before; changes by users who know the old one are not concerned"})
	}
	places, absent := a.places(ctx, under)
	out = append(out, absent...)
	out = append(out, a.excess(ctx, places)...)
	for _, p := range places {
		out = append(out, a.resets(ctx, p)...)
	}
	return ready(out, fmt.Sprintf("%s may reset passwords and unlock users under %s", c.User, names(places)))
}

// Provision looks at the account that writes users and groups into containers: whether it may what the mappings that engines have by themselves need, and nothing outside. c names the account.
func Provision(ctx context.Context, c directory.Connection, under []string) []Finding {
	s, err := directory.Dial(ctx, c)
	if err != nil {
		return signIns("provision", err)
	}
	defer s.Close() // it was read from only
	a, err := know(ctx, s, c.User)
	if err != nil {
		return []Finding{unknown(err)}
	}
	var out []Finding
	if s.Controller().ReadOnly {
		out = append(out, Finding{Code: ReadOnly, Level: Failure, Text: s.Controller().URL + " is a read-only controller, at which nothing is written", Hint: "name a writable controller first in url"})
	}
	if len(under) == 0 {
		out = append(out, a.administrator()...)
		return append(out, Finding{Code: NoContainer, Level: Note, Text: "into which containers " + c.User + " may write is not said", Hint: "name them with provision.under, and it is looked at whether the account may write elsewhere"})
	}
	places, absent := a.places(ctx, under)
	out = slices.Concat(out, absent, a.excess(ctx, places))
	for _, p := range places {
		out = append(out, a.provisions(ctx, p)...)
	}
	out = append(out, a.link(ctx)...)
	return ready(out, fmt.Sprintf("%s may write under %s, and nowhere else", c.User, names(places)))
}

func signIns(purpose string, err error) []Finding {
	var out []Finding
	for _, e := range leaves(errors.Unwrap(err)) {
		out = append(out, signIn(purpose, e))
	}
	if len(out) == 0 {
		out = append(out, signIn(purpose, err))
	}
	return out
}

// ready puts the finding that all is there before others, none of which is a failure or says that something could not be looked at.
func ready(found []Finding, text string) []Finding {
	for _, f := range found {
		if f.Level == Failure || f.Level == Warning && f.Code == Unknown {
			return found
		}
	}
	return append([]Finding{{Code: Ready, Level: Fine, Text: text}}, found...)
}

func supportsHints(s *directory.Session) bool {
	for _, oid := range password.PolicyHints {
		if s.Supports(oid) {
			return true
		}
	}
	return false
}

// SIDOf finds the SID of an account by the name with which it signs in; ok is false for one of another domain, which the directory does not know.
func SIDOf(ctx context.Context, s *directory.Session, user string) (sid access.SID, ok bool, err error) {
	p, err := s.Principal(ctx, user)
	if err != nil {
		return "", false, err
	}
	sid, err = access.SIDFromBytes(p.SID)
	return sid, err == nil, nil
}
