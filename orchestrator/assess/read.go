package assess

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/plugins/expression"
	"github.com/tandem-sync/tandem/scoping"
)

// Reader is what a survey needs of a directory. A *directory.Session is one.
type Reader interface {
	Controller() directory.Controller
	Search(ctx context.Context, q directory.SearchQuery, each func(directory.Entry) error) error
}

var _ Reader = (*directory.Session)(nil)

// attributes are those that every survey reads.
var attributes = func() []string {
	as := []string{"objectClass", "userAccountControl", "isCriticalSystemObject", "servicePrincipalName", "description", "sAMAccountName", "mail",
		"proxyAddresses", "mailNickname", "msExchRecipientTypeDetails", "mS-DS-ConsistencyGuid", "manager", "member"}
	for n := range 15 {
		as = append(as, fmt.Sprintf("extensionAttribute%d", n+1))
	}
	return as
}()

// Depth is how much a survey keeps of each object.
type Depth uint8

// The depths.
const (
	ForReferences Depth = iota // places and references
	ForReadiness               // also a Detail of each object
)

// Read reads every object of a directory. It leaves out objects that engines do not write, unless they contain such objects.
func Read(ctx context.Context, name string, r Reader, depth Depth) (*Directory, error) {
	c := r.Controller()
	asked := attributes
	if depth == ForReadiness {
		asked = slices.Concat(attributes, detailed)
	}
	domain := expression.Domain(c.RootDN)
	var all []Object
	err := r.Search(ctx, directory.SearchQuery{Attrs: asked}, func(e directory.Entry) error {
		if e.GUID == c.Root || e.Deleted {
			return nil
		}
		o := objectOf(e)
		if depth == ForReadiness && o.counts() {
			o.Detail = detailOf(e, domain)
		}
		all = append(all, o)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("looking at directory %s as a whole: %w", name, err)
	}
	return NewDirectory(name, c.Root, c.RootDN, needed(all)), nil
}

// needed leaves out objects of other kinds, except those above an object of a known kind. These become containers.
func needed(all []Object) []Object {
	at := make(map[scoping.GUID]int, len(all))
	for i := range all {
		at[all[i].GUID] = i
	}
	keep := make([]bool, len(all))
	for i := range all {
		if all[i].Kind == directory.Other {
			continue
		}
		for j, ok := i, true; ok && !keep[j]; j, ok = at[all[j].Parent] {
			keep[j] = true
		}
	}
	out := all[:0]
	for i, o := range all {
		if keep[i] {
			if o.Kind == directory.Other {
				o.Kind = directory.OU
			}
			out = append(out, o)
		}
	}
	return out
}

func objectOf(e directory.Entry) Object {
	o := Object{GUID: e.GUID, Parent: e.Parent, Kind: e.Kind(), RDN: strings.Clone(ownName(e.DN)), Extends: extended(e)}
	for _, m := range []struct {
		mark Mark
		set  bool
	}{
		{Disabled, bit(e, accountDisabled)},
		{Critical, e.Bool("isCriticalSystemObject")},
		{Service, o.Kind == scoping.User && looksLikeService(e)},
		{MailEnabled, filled(e, "proxyAddresses", "mailNickname", "msExchRecipientTypeDetails")},
		{Extended, o.Extends != 0},
		{Anchored, filled(e, "mS-DS-ConsistencyGuid")},
	} {
		if m.set {
			o.Marks |= m.mark
		}
	}
	if t := e.Links["manager"].Targets; len(t) > 0 {
		o.Manager = t[0].GUID
	}
	for _, t := range e.Links["member"].Targets {
		o.Members = append(o.Members, t.GUID)
	}
	return o
}

// Bits of userAccountControl (MS-ADTS 2.2.16).
const (
	accountDisabled      = 0x2
	passwordNeverExpires = 0x10000
)

func bit(e directory.Entry, b int64) bool {
	n, _ := e.Int("userAccountControl")
	return n&b != 0
}

func filled(e directory.Entry, attrs ...string) bool {
	for _, a := range attrs {
		if e.Text(a) != "" {
			return true
		}
	}
	return false
}

func extended(e directory.Entry) (set uint16) {
	for n := range 15 {
		if filled(e, extension(n)) {
			set |= 1 << n
		}
	}
	return set
}

// extension is the name of an extension attribute, the first with number 0.
func extension(n int) string { return fmt.Sprintf("extensionAttribute%d", n+1) }

// serviceWords are how names and descriptions of service accounts begin.
var serviceWords = []string{"svc", "service", "sa-", "sa_", "dienst"}

// looksLikeService reports whether an account has no address and something that people's accounts rarely have: a service principal name, a password
// that never expires, or a name or description that begins like a service's.
func looksLikeService(e directory.Entry) bool {
	if filled(e, "mail", "proxyAddresses", "mailNickname") {
		return false
	}
	if filled(e, "servicePrincipalName") || bit(e, passwordNeverExpires) {
		return true
	}
	for _, text := range []string{e.Text("sAMAccountName"), e.Text("description")} {
		for _, w := range serviceWords {
			if strings.HasPrefix(strings.ToLower(text), w) {
				return true
			}
		}
	}
	return false
}

// ownName returns the first component of a DN, escaped.
func ownName(dn string) string {
	for i := 0; i < len(dn); i++ {
		switch dn[i] {
		case '\\':
			i++
		case ',':
			return dn[:i]
		}
	}
	return dn
}
