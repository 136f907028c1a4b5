package rights

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/plugins/directory/access"
	"github.com/tandem-sync/tandem/scoping"
)

// need is one right that setting passwords needs over users.
type need struct {
	name  string // as dsacls writes it
	guid  string
	right access.Right
	// byClass is set for what users have by their class and do not inherit.
	byClass bool
}

// needs are in the order in which they are told.
var needs = []need{
	{"Reset Password", ResetPassword, access.Right{Mask: access.ControlAccess, Object: guid(ResetPassword)}, false},
	{"pwdLastSet", PwdLastSet, access.Right{Mask: access.WriteProperty, Object: guid(PwdLastSet), Set: guid(restrictions)}, false},
	{"lockoutTime", LockoutTime, access.Right{Mask: access.WriteProperty, Object: guid(LockoutTime)}, false},
	{"Change Password", ChangePassword, access.Right{Mask: access.ControlAccess, Object: guid(ChangePassword)}, true},
}

// grant returns the commands that give a right over the users below a container.
func (n need) grant(user, sid, dn string) []string {
	windows, samba := "CA", "CR"
	if n.right.Mask == access.WriteProperty {
		windows, samba = "RPWP", "RPWP"
	}
	return []string{
		fmt.Sprintf(`dsacls "%s" /I:S /G "%s:%s;%s;user"`, dn, user, windows, n.name),
		fmt.Sprintf(`samba-tool dsacl set --objectdn="%s" --sddl="(OA;CIIO;%s;%s;%s;%s)"`, dn, samba, n.guid, users, sid),
	}
}

// samples is how many users of a container are looked at.
const samples = 50

var errEnough = errors.New("enough")

// sample is a user whose access list was read.
type sample struct {
	dn   string
	guid scoping.GUID
	list access.Descriptor
}

// resets finds what the account lacks to set passwords of users below a container.
func (a account) resets(ctx context.Context, p place) []Finding {
	head, err := a.descriptor(ctx, p.guid, p.dn)
	if err != nil {
		return []Finding{unknown(err)}
	}
	sampled, err := a.sample(ctx, p)
	if err != nil {
		return []Finding{unknown(err)}
	}
	var out []Finding
	for _, n := range needs {
		without := lacking(sampled, a.token, n.right)
		switch {
		case n.byClass && (len(sampled) == 0 || len(without) < len(sampled)):
			// Everyone has it by default. A user without it was set to "User cannot change password", which is an administrator's decision.
		case n.byClass, !head.Inherits(a.token, guid(users), n.right):
			out = append(out, missing(a.user, n.name, n.guid, "users under "+p.dn, n.grant(a.user, a.sid, p.dn)))
		case len(without) > 0:
			out = append(out, Finding{Code: Uninherited, Level: Warning, Text: fmt.Sprintf("%s has %q (%s) on users under %s, and not on %s", a.user, n.name, n.guid, p.dn, some(without)),
				Hint: "there inheritance is switched off or something is denied: the passwords of these users cannot be set"})
		}
	}
	return append(out, a.sight(ctx, p, sampled, "sets no password of a user")...)
}

// sample reads some users below a container. Those that the directory protects are left out: they inherit nothing, and their passwords are never set.
func (a account) sample(ctx context.Context, p place) ([]sample, error) {
	var out []sample
	q := directory.SearchQuery{BaseGUID: p.guid, Filter: "(&(sAMAccountType=805306368)(!(adminCount=1))(!(isCriticalSystemObject=TRUE)))", Attrs: []string{"nTSecurityDescriptor"}, Descriptor: true}
	err := a.session.Search(ctx, q, func(e directory.Entry) error {
		d, err := descriptorOf(e, e.DN)
		if err != nil {
			return err
		}
		if out = append(out, sample{e.DN, e.GUID, d}); len(out) == samples {
			return errEnough
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return out, err
}

func lacking(sampled []sample, t access.Token, r access.Right) []string {
	var out []string
	for _, s := range sampled {
		if !s.list.Allows(t, "", r) {
			out = append(out, s.dn)
		}
	}
	return out
}

func some(names []string) string {
	if len(names) <= mostNamed {
		return strings.Join(names, "; ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:mostNamed], "; "), len(names)-mostNamed)
}

// sight finds that the account cannot see whether users are protected; refrains says what it does not do then.
func (a account) sight(ctx context.Context, p place, sampled []sample, refrains string) []Finding {
	if len(sampled) == 0 {
		return nil
	}
	var groups []string
	q := directory.SearchQuery{BaseGUID: sampled[0].guid, Scope: directory.Base, Attrs: []string{"tokenGroups"}}
	err := a.session.Search(ctx, q, func(e directory.Entry) error { groups = e.Texts("tokenGroups"); return nil })
	if err != nil {
		return []Finding{unknown(err)}
	}
	if len(groups) > 0 {
		return nil
	}
	const name = "Read all properties"
	return []Finding{{Code: Missing, Level: Failure, Text: fmt.Sprintf("%s lacks %q on users under %s: it does not see their groups, and %s of whom it cannot say that it is no administrator", a.user, name, p.dn, refrains),
		Grant: []string{fmt.Sprintf(`dsacls "%s" /I:S /G "%s:GR;;user"`, p.dn, a.user), fmt.Sprintf(`samba-tool dsacl set --objectdn="%s" --sddl="(OA;CIIO;RPLCRC;;%s;%s)"`, p.dn, users, a.sid)},
		Hint:  "grant it, for instance by membership in 'Pre-Windows 2000 Compatible Access' or on the container"}}
}
