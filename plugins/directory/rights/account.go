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
	"github.com/tandem-sync/tandem/scoping"
)

// account is the account that a session signed in as.
type account struct {
	session *directory.Session
	user    string // as configured
	token   access.Token
	sid     string // for commands
}

var errNoToken = errors.New("the controller does not say who the session is (tokenGroups of rootDSE)")

// know reads the session's token.
func know(ctx context.Context, s *directory.Session, user string) (account, error) {
	a := account{session: s, user: user, sid: "SID-OF-THE-ACCOUNT"}
	raw, err := s.Token(ctx)
	if err != nil {
		return a, err
	}
	for _, b := range raw {
		sid, err := access.SIDFromBytes(b)
		if err != nil {
			return a, fmt.Errorf("who %s is at %s: %w", user, s.Controller().URL, err)
		}
		a.token = append(a.token, sid)
	}
	if len(a.token) == 0 {
		return a, errNoToken
	}
	sid, known, err := SIDOf(ctx, s, user)
	if err == nil && known {
		a.sid = sid.String()
	}
	return a, nil
}

// descriptor reads the access list of an object; the zero GUID is the naming context's root. dn is for messages.
func (a account) descriptor(ctx context.Context, g scoping.GUID, dn string) (access.Descriptor, error) {
	q := directory.SearchQuery{BaseGUID: g, Scope: directory.Base, Attrs: []string{"nTSecurityDescriptor"}, Descriptor: true}
	var found directory.Entry
	if err := a.session.Search(ctx, q, func(e directory.Entry) error { found = e; return nil }); err != nil {
		return access.Descriptor{}, err
	}
	return descriptorOf(found, dn)
}

var errNoDescriptor = errors.New("its access list is not shown")

func descriptorOf(e directory.Entry, dn string) (access.Descriptor, error) {
	if !e.Has("nTSecurityDescriptor") {
		return access.Descriptor{}, fmt.Errorf("%q: %w", dn, errNoDescriptor)
	}
	d, err := access.ParseDescriptor([]byte(e.Text("nTSecurityDescriptor")))
	if err != nil {
		return d, fmt.Errorf("%q: %w", dn, err)
	}
	return d, nil
}

// place is a container in which the account has something to do.
type place struct {
	guid      scoping.GUID
	dn        string
	ancestors []scoping.GUID // nearest first; none: the whole directory
}

func names(places []place) string {
	var out []string
	for _, p := range places {
		out = append(out, p.dn)
	}
	return strings.Join(out, "; ")
}

// places finds containers by their DNs; none named is the whole directory.
func (a account) places(ctx context.Context, under []string) (out []place, absent []Finding) {
	if len(under) == 0 {
		c := a.session.Controller()
		return []place{{guid: c.Root, dn: c.RootDN}}, nil
	}
	for _, dn := range under {
		g, canonical, ancestors, err := a.session.Resolve(ctx, dn)
		if err != nil {
			absent = append(absent, Finding{Code: NoContainer, Level: Failure, Text: fmt.Sprintf("%s sees no container %q: %v", a.user, dn, err), Hint: "check the DN under `under`"})
			continue
		}
		out = append(out, place{g, canonical, ancestors})
	}
	return out, absent
}

// administrator is the finding that the account is one.
func (a account) administrator() []Finding {
	g, is := access.FirstProtected(a.token)
	if !is {
		return nil
	}
	return []Finding{{Code: Administrator, Level: Failure, Text: fmt.Sprintf("%s is in %s, directly or through other groups", a.user, g.Name), Hint: "use an account that is in no such group, with delegated rights only"}}
}

// excess finds what the account may do where it has no business: that it is an administrator, or may write outside of its places.
func (a account) excess(ctx context.Context, places []place) []Finding {
	if out := a.administrator(); out != nil {
		return out // all the rest follows
	}
	var found, hidden []string
	look := func(e directory.Entry, mine bool) error {
		d, err := descriptorOf(e, e.DN)
		if errors.Is(err, errNoDescriptor) {
			hidden = append(hidden, e.DN)
			return nil
		} else if err != nil {
			return err
		}
		for _, g := range d.Grants(a.token, guid(ResetPassword), guid(drsr.GetChangesAll)) {
			if mine && g.Below {
				continue
			}
			if s := describe(e.DN, g); !slices.Contains(found, s) {
				found = append(found, s)
			}
		}
		return nil
	}
	if err := a.outside(ctx, places, look); err != nil {
		return []Finding{unknown(err)}
	}
	var out []Finding
	if len(hidden) > 0 {
		out = append(out, Finding{Code: Unknown, Level: Note, Text: fmt.Sprintf("what %s may do at %s is not known: their permissions are not shown to it", a.user, some(hidden))})
	}
	if len(found) == 0 {
		return out
	}
	more := ""
	if n := len(found) - mostNamed; n > 0 {
		more, found = fmt.Sprintf(", and %d more", n), found[:mostNamed]
	}
	return append(out, Finding{Code: WritesOutside, Level: Failure, Text: fmt.Sprintf("%s may write outside of %s: %s%s", a.user, names(places), strings.Join(found, ", "), more),
		Hint: "take these rights away, or use an account with delegated rights only"})
}

// mostNamed is how many things a finding names one by one.
const mostNamed = 5

// outside shows look each container beside the places and their ancestors, the ancestors themselves, and the template of protected objects. mine tells it that
// only the object itself counts, and not what lies below: that belongs to the account's places, as with the domain's head where the whole directory is one.
func (a account) outside(ctx context.Context, places []place, look func(e directory.Entry, mine bool) error) error {
	inside, above := map[scoping.GUID]bool{}, map[scoping.GUID]bool{}
	for _, p := range places {
		inside[p.guid] = true
		for _, g := range p.ancestors {
			above[g] = true
		}
	}
	root := a.session.Controller()
	q := directory.SearchQuery{Scope: directory.Base, Attrs: []string{"nTSecurityDescriptor"}, Descriptor: true}
	if err := a.session.Search(ctx, q, func(e directory.Entry) error { return look(e, inside[root.Root]) }); err != nil {
		return err
	}
	for g := range above {
		q := directory.SearchQuery{BaseGUID: g, Scope: directory.OneLevel, Filter: containers, Attrs: []string{"nTSecurityDescriptor"}, Descriptor: true}
		err := a.session.Search(ctx, q, func(e directory.Entry) error {
			if inside[e.GUID] {
				return nil
			}
			return look(e, false)
		})
		if err != nil {
			return err
		}
	}
	q.BaseDN = "CN=AdminSDHolder,CN=System," + root.RootDN
	// Its own entries are what protected objects get; what it inherits for users below is never handed on (MS-ADTS 3.1.1.6.1.2).
	err := a.session.Search(ctx, q, func(e directory.Entry) error { return look(e, true) })
	if errors.Is(err, directory.ErrNoSuchObject) {
		return nil // hidden, or a directory without
	}
	return err
}

const containers = "(|(objectClass=organizationalUnit)(objectClass=container)(objectClass=builtinDomain))"

// describe returns what an entry allows, for people.
func describe(dn string, g access.Grant) string {
	var what []string
	for _, m := range []struct {
		mask access.Mask
		name string
	}{
		{access.WriteDAC, "change permissions"}, {access.WriteOwner, "take ownership"}, {access.CreateChild, "create objects"}, {access.DeleteChild | access.Delete | access.DeleteTree, "delete"},
		{access.WriteProperty, "write properties"},
	} {
		if g.Entry.Mask&m.mask != 0 {
			what = append(what, m.name)
		}
	}
	if g.Entry.Mask&access.ControlAccess != 0 {
		switch g.Entry.Object {
		case guid(ResetPassword):
			what = append(what, "reset passwords")
		case guid(drsr.GetChangesAll):
			what = append(what, "read all password hashes")
		default:
			what = append(what, "use extended rights")
		}
	}
	s := strings.Join(what, " and ") + " at " + dn
	if g.Below {
		s = strings.Join(what, " and ") + " below " + dn
	}
	return s + " (as " + g.Entry.SID.String() + ")"
}
