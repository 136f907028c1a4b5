package drsr

import (
	"context"
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"github.com/tandem-sync/tandem/plugins/directory"
)

// account is who signs in.
type account struct {
	user, domain string // for NTLM
	sid          string // empty where it is not known
}

// findAccount finds the account by the name with which it signed in to LDAP. One of another domain is taken by that name.
func findAccount(ctx context.Context, l *directory.Session, name string) (account, error) {
	domain, short, down := strings.Cut(name, `\`)
	q := directory.SearchQuery{Attrs: []string{"sAMAccountName", "objectSid", "userPrincipalName"}}
	var out account
	switch prefix, suffix, principal := strings.Cut(name, "@"); {
	case down:
		q.Filter, out = equals("sAMAccountName", short), account{user: short, domain: domain}
	case principal:
		q.Filter, out = equals("userPrincipalName", name), account{user: name}
		if strings.EqualFold(suffix, dnsName(l.Controller().RootDN)) { // the name that every account has besides (MS-ADTS 5.1.1.1.1)
			q.Filter = "(|" + q.Filter + equals("sAMAccountName", prefix) + ")"
		}
	default:
		q.BaseDN, q.Scope = name, directory.Base
	}
	var found []directory.Entry
	err := l.Search(ctx, q, func(e directory.Entry) error { found = append(found, e); return nil })
	if err != nil {
		return account{}, fmt.Errorf("find the account %q in the directory: %w", name, err)
	}
	e, ok := best(found, name)
	if !ok {
		if out.user == "" {
			return account{}, fmt.Errorf("find the account %q in the directory: %w", name, directory.ErrNoSuchObject)
		}
		return out, nil
	}
	if sam := e.Text("sAMAccountName"); sam != "" {
		out.user = sam // and the domain that was said, or else the controller's own
	}
	out.sid = sidText([]byte(e.Text("objectSid")))
	return out, nil
}

// best prefers a principal name that is written down to one that follows from the account's name.
func best(found []directory.Entry, name string) (directory.Entry, bool) {
	for _, e := range found {
		if strings.EqualFold(e.Text("userPrincipalName"), name) {
			return e, true
		}
	}
	if len(found) == 1 {
		return found[0], true
	}
	return directory.Entry{}, false
}

func equals(attribute, value string) string {
	return "(" + attribute + "=" + ldap.EscapeFilter(value) + ")"
}

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

// sidText is a SID as people write it (MS-DTYP 2.4.2.1), empty for what is none.
func sidText(sid []byte) string {
	if len(sid) < 8 || len(sid) != 8+4*int(sid[1]) {
		return ""
	}
	s := fmt.Sprintf("S-%d-%d", sid[0], binary.BigEndian.Uint64(append([]byte{0, 0}, sid[2:8]...)))
	for at := 8; at < len(sid); at += 4 {
		s += fmt.Sprintf("-%d", binary.LittleEndian.Uint32(sid[at:]))
	}
	return s
}

// relativeID returns the last part of a SID, which the encryption of its hash depends on.
func relativeID(sid []byte) (uint32, bool) {
	if len(sid) < 12 || len(sid) != 8+4*int(sid[1]) {
		return 0, false
	}
	return binary.LittleEndian.Uint32(sid[len(sid)-4:]), true
}
