package conformance

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"
)

// client is an administrator's connection and an OU to work in.
type client struct {
	*testing.T
	target Target
	conn   *ldap.Conn
	ou     string
}

func newClient(t *testing.T, target Target) *client {
	c := &client{T: t, target: target, conn: target.dial(t)}
	if err := c.conn.Bind(target.AdminUser, target.AdminPassword); err != nil {
		t.Fatalf("binding as %s: %v", target.AdminUser, err)
	}
	name := strings.Map(func(r rune) rune {
		if r == '/' || r == ',' {
			return ' '
		}
		return r
	}, t.Name())
	c.ou = "OU=" + name[max(0, len(name)-60):] + "," + target.Base
	c.ou = strings.Replace(c.ou, "OU= ", "OU=", 1)
	c.addOU(c.ou)
	return c
}

// in gives the DN of a relative name inside the scenario's OU.
func (c *client) in(relative string) string { return relative + "," + c.ou }

// account makes an account name that no other scenario has.
func (c *client) account(name string) string {
	var h uint32 = 2166136261
	for _, b := range []byte(c.ou) {
		h = (h ^ uint32(b)) * 16777619
	}
	return fmt.Sprintf("%s-%08x", name, h)
}

type attrs map[string][]string

func (c *client) tryAdd(dn string, a attrs) error {
	r := ldap.NewAddRequest(dn, nil)
	for name, values := range a {
		r.Attribute(name, values)
	}
	return c.conn.Add(r)
}

func (c *client) add(dn string, a attrs) {
	c.Helper()
	if err := c.tryAdd(dn, a); err != nil {
		c.Fatalf("adding %s: %v", dn, err)
	}
}

func (c *client) addOU(dn string) {
	c.Helper()
	c.add(dn, attrs{"objectClass": {"organizationalUnit"}})
}

// addUser makes an enabled user with an account name of its own, and what extra says.
func (c *client) addUser(relative, account string, extra attrs) string {
	c.Helper()
	a := attrs{"objectClass": {"user"}, "sAMAccountName": {c.account(account)}, "userAccountControl": {"512"}}
	for name, values := range extra {
		a[name] = values
	}
	c.add(c.in(relative), a)
	return c.in(relative)
}

func (c *client) addGroup(relative, account string, members ...string) string {
	c.Helper()
	a := attrs{"objectClass": {"group"}, "sAMAccountName": {c.account(account)}}
	if len(members) > 0 {
		a["member"] = members
	}
	c.add(c.in(relative), a)
	return c.in(relative)
}

func (c *client) tryModify(dn string, change func(*ldap.ModifyRequest)) error {
	r := ldap.NewModifyRequest(dn, nil)
	change(r)
	return c.conn.Modify(r)
}

func (c *client) modify(dn string, change func(*ldap.ModifyRequest)) {
	c.Helper()
	if err := c.tryModify(dn, change); err != nil {
		c.Fatalf("modifying %s: %v", dn, err)
	}
}

func (c *client) replace(dn, name string, values ...string) {
	c.Helper()
	c.modify(dn, func(r *ldap.ModifyRequest) { r.Replace(name, values) })
}

func (c *client) rename(dn, rdn, parent string) {
	c.Helper()
	if err := c.conn.ModifyDN(ldap.NewModifyDNRequest(dn, rdn, true, parent)); err != nil {
		c.Fatalf("renaming %s to %s under %q: %v", dn, rdn, parent, err)
	}
}

func (c *client) remove(dn string) {
	c.Helper()
	if err := c.conn.Del(ldap.NewDelRequest(dn, nil)); err != nil {
		c.Fatalf("deleting %s: %v", dn, err)
	}
}

// find searches and returns the entries; no such base gives none.
func (c *client) find(base string, scope int, filter string, names []string, controls ...ldap.Control) []*ldap.Entry {
	c.Helper()
	res, err := c.conn.Search(ldap.NewSearchRequest(base, scope, ldap.NeverDerefAliases, 0, 0, false, filter, names, controls))
	if ldap.IsErrorWithCode(err, ldap.LDAPResultNoSuchObject) {
		return nil
	}
	if err != nil {
		c.Fatalf("searching %s for %s: %v", base, filter, err)
	}
	return res.Entries
}

// read reads one object by DN or <GUID=...> and fails if it is not there.
func (c *client) read(dn string, names ...string) *ldap.Entry {
	c.Helper()
	found := c.find(dn, ldap.ScopeBaseObject, "(objectClass=*)", names)
	if len(found) != 1 {
		c.Fatalf("reading %s: %d entries", dn, len(found))
	}
	return found[0]
}

func (c *client) guid(dn string) string {
	c.Helper()
	g := c.read(dn, "objectGUID").GetRawAttributeValue("objectGUID")
	if len(g) != 16 {
		c.Fatalf("objectGUID of %s has %d bytes", dn, len(g))
	}
	return string(g)
}

// wantCode fails unless err carries the LDAP result code and, if given, the Windows error at the head of the text.
func (c *client) wantCode(what string, err error, code uint16, windows ...string) {
	c.Helper()
	var l *ldap.Error
	if !errors.As(err, &l) || l.ResultCode != code {
		c.Errorf("%s: got %v, want LDAP result %d", what, err, code)
		return
	}
	for _, w := range windows {
		if !strings.Contains(l.Err.Error(), w) {
			c.Errorf("%s: text %q lacks %s", what, l.Err, w)
		}
	}
}

// wantNames fails unless the entries are exactly those with these DNs, in any order.
func (c *client) wantNames(what string, got []*ldap.Entry, want ...string) {
	c.Helper()
	c.wantDNs(what, dnsOf(got), want...)
}

func (c *client) wantDNs(what string, got []string, want ...string) {
	c.Helper()
	if !slices.Equal(canonical(c.T, got), canonical(c.T, want)) {
		c.Errorf("%s:\n got %q\nwant %q", what, got, want)
	}
}

func dnsOf(entries []*ldap.Entry) []string {
	out := make([]string, len(entries))
	for i, e := range entries {
		out[i] = e.DN
	}
	return out
}

// canonical writes DNs in one form and sorts them.
func canonical(t *testing.T, dns []string) []string {
	t.Helper()
	out := make([]string, len(dns))
	for i, dn := range dns {
		parsed, err := ldap.ParseDN(dn)
		if err != nil {
			t.Fatalf("the DN %q does not parse: %v", dn, err)
		}
		out[i] = strings.ToLower(parsed.String())
	}
	slices.Sort(out)
	return out
}

// hexFilter escapes bytes for a filter.
func hexFilter(b string) string {
	var out strings.Builder
	for _, x := range []byte(b) {
		fmt.Fprintf(&out, `\%02x`, x)
	}
	return out.String()
}

// guidDN names an object by its objectGUID, given as bytes.
func guidDN(g string) string {
	return fmt.Sprintf("<GUID=%02x%02x%02x%02x-%02x%02x-%02x%02x-%x-%x>",
		g[3], g[2], g[1], g[0], g[5], g[4], g[7], g[6], g[8:10], g[10:16])
}

// control is a critical control with any value. Criticality is 0xFF as RFC 4511 has it: Samba takes go-ldap's 0x01 as false.
type control struct {
	oid   string
	value []byte
}

func (k control) GetControlType() string { return k.oid }

func (k control) String() string { return k.oid }

func (k control) Encode() *ber.Packet {
	p := ber.Encode(ber.ClassUniversal, ber.TypeConstructed, ber.TagSequence, nil, "control")
	p.AppendChild(ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, k.oid, "oid"))
	p.AppendChild(ber.NewLDAPBoolean(ber.ClassUniversal, ber.TypePrimitive, ber.TagBoolean, true, "critical"))
	if k.value != nil {
		p.AppendChild(ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, string(k.value), "value"))
	}
	return p
}

var (
	showDeleted  = control{oid: "1.2.840.113556.1.4.417"}
	showRecycled = control{oid: "1.2.840.113556.1.4.2064"}
	extendedText = control{"1.2.840.113556.1.4.529", []byte{0x30, 3, 2, 1, 1}}
	extendedHex  = control{oid: "1.2.840.113556.1.4.529"}
)
