package directory

import (
	"context"
	"fmt"
	"strings"

	"github.com/go-ldap/ldap/v3"
)

// Principal is an account as other protocols than LDAP name it.
type Principal struct {
	User   string // sAMAccountName, or what was said where the directory does not know it
	Domain string // what was said before a backslash; else empty: the controller's own
	SID    []byte // empty where it is not known, as of accounts of other domains
}

// Principal finds the account that signs in by a name: a user principal name, DOMAIN\name, or a DN. One of another domain is taken by that name. A DN that
// names nothing is [ErrNoSuchObject].
func (s *Session) Principal(ctx context.Context, name string) (Principal, error) {
	domain, short, down := strings.Cut(name, `\`)
	q := SearchQuery{Attrs: []string{"sAMAccountName", "objectSid", "userPrincipalName"}}
	var out Principal
	switch prefix, suffix, principal := strings.Cut(name, "@"); {
	case down:
		q.Filter, out = EqualFilter("sAMAccountName", short), Principal{User: short, Domain: domain}
	case principal:
		q.Filter, out = EqualFilter("userPrincipalName", name), Principal{User: name}
		if strings.EqualFold(suffix, dnsName(s.controller.RootDN)) { // the name that every account has besides (MS-ADTS 5.1.1.1.1)
			q.Filter = "(|" + q.Filter + EqualFilter("sAMAccountName", prefix) + ")"
		}
	default:
		q.BaseDN, q.Scope = name, Base
	}
	var found []Entry
	err := s.Search(ctx, q, func(e Entry) error { found = append(found, e); return nil })
	if err != nil {
		return Principal{}, fmt.Errorf("find the account %q in the directory: %w", name, err)
	}
	e, ok := best(found, name)
	if !ok {
		if out.User == "" {
			return Principal{}, fmt.Errorf("find the account %q in the directory: %w", name, ErrNoSuchObject)
		}
		return out, nil
	}
	if sam := e.Text("sAMAccountName"); sam != "" {
		out.User = sam // and the domain that was said, or else the controller's own
	}
	out.SID = []byte(e.Text("objectSid"))
	return out, nil
}

// best prefers a principal name that is written down to one that follows from the account's name.
func best(found []Entry, name string) (Entry, bool) {
	for _, e := range found {
		if strings.EqualFold(e.Text("userPrincipalName"), name) {
			return e, true
		}
	}
	if len(found) == 1 {
		return found[0], true
	}
	return Entry{}, false
}

// Domain is the DNS name of the controller's domain.
func (s *Session) Domain() string { return dnsName(s.controller.RootDN) }

// dnsName is the DNS name of a domain's DN.
func dnsName(dn string) string {
	parsed, err := ldap.ParseDN(dn)
	if err != nil {
		return ""
	}
	var labels []string
	for _, rdn := range parsed.RDNs {
		labels = append(labels, rdn.Attributes[0].Value)
	}
	return strings.Join(labels, ".")
}
