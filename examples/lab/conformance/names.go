package conformance

import (
	"slices"
	"strings"

	"github.com/go-ldap/ldap/v3"
	"github.com/tandem-sync/tandem/examples/lab/seed"
)

var nameScenarios = []scenario{
	{"OddNamesAreKeptAndFound", oddNames},
	{"OddOUNamesAreBases", oddOUs},
	{"LikeNamedOUsAreKeptApart", likeNamed},
	{"EscapesAreReadInEveryForm", escapes},
	{"TheLabsWorldIsTakenAsPlanned", labWorld},
}

// oddities are values of names that break careless handling of DNs.
var oddities = []string{"Last, First", "#hash", "a+b", `say "hi"`, " leading", "trailing ", "a=b", `back\slash`, "semi;colon", "<angle>",
	"Müller", "山田 太郎", "Ωmega/slash", "it's", "double  space"}

// escapeDN also escapes "=", which AD and Samba want in a value and go-ldap leaves (RFC 4514 allows both).
func escapeDN(value string) string { return strings.ReplaceAll(ldap.EscapeDN(value), "=", `\3D`) }

func oddNames(c *client) {
	for i, value := range oddities {
		dn := c.addUser("CN="+escapeDN(value), "odd"+string(rune('a'+i)), nil)
		e := c.read(dn, "cn", "name", "distinguishedName")
		if e.GetAttributeValue("cn") != value || e.GetAttributeValue("name") != value {
			c.Errorf("cn of %q is %q, name %q", value, e.GetAttributeValue("cn"), e.GetAttributeValue("name"))
		}
		c.wantNames("the server's own spelling of "+value, c.find(e.DN, ldap.ScopeBaseObject, "(objectClass=*)", []string{"1.1"}), dn)
		c.wantNames("filter on "+value, c.find(c.ou, ldap.ScopeSingleLevel, "(cn="+ldap.EscapeFilter(value)+")", []string{"1.1"}), dn)
		c.wantNames("filter on the DN of "+value, c.find(c.ou, ldap.ScopeSingleLevel, "(distinguishedName="+ldap.EscapeFilter(e.DN)+")", []string{"1.1"}), dn)
	}
	var dns []string
	for _, e := range c.find(c.ou, ldap.ScopeSingleLevel, "(objectClass=user)", []string{"1.1"}) {
		dns = append(dns, e.DN)
	}
	group := c.addGroup("CN=All of them", "oddall", dns...)
	c.wantDNs("members", c.read(group, "member").GetAttributeValues("member"), dns...)
	if len(dns) != len(oddities) {
		c.Errorf("%d users, want %d", len(dns), len(oddities))
	}
}

func oddOUs(c *client) {
	for i, value := range oddities {
		ou := c.in("OU=" + escapeDN(value))
		c.addOU(ou)
		child := "CN=Child," + ou
		c.add(child, attrs{"objectClass": {"user"}, "sAMAccountName": {c.account("oddou" + string(rune('a'+i)))}})
		c.wantNames("children of "+value, c.find(ou, ldap.ScopeSingleLevel, "(objectClass=user)", []string{"1.1"}), child)
	}
}

func likeNamed(c *client) {
	c.addOU(c.in("OU=Sales"))
	c.addOU(c.in("OU=Engineering"))
	c.addOU(c.in("OU=Sales,OU=Engineering"))
	c.addOU(c.in("OU=Presales"))
	a := c.addUser("CN=Ann,OU=Sales", "lna", nil)
	b := c.addUser("CN=Ann,OU=Sales,OU=Engineering", "lnb", nil)
	c.addUser("CN=Ann,OU=Presales", "lnc", nil)
	c.wantNames("Sales", c.find(c.in("OU=Sales"), ldap.ScopeWholeSubtree, "(objectClass=user)", []string{"1.1"}), a)
	c.wantNames("Sales under Engineering", c.find(c.in("OU=Sales,OU=Engineering"), ldap.ScopeWholeSubtree, "(objectClass=user)", []string{"1.1"}), b)
	// A user may be called as an OU beside it is: their naming attributes differ.
	c.addUser("CN=Sales", "lnd", nil)
	c.wantNames("both", c.find(c.ou, ldap.ScopeSingleLevel, "(name=Sales)", []string{"1.1"}), c.in("OU=Sales"), c.in("CN=Sales"))
}

func escapes(c *client) {
	dn := c.addUser(`CN=Last\, First`, "escapes", nil)
	for _, spelling := range []string{`CN=Last\2C First`, `CN=Last\2c First`, `cn=last\, FIRST`} {
		c.wantNames(spelling, c.find(c.in(spelling), ldap.ScopeBaseObject, "(objectClass=*)", []string{"1.1"}), dn)
	}
	_, err := c.conn.Search(ldap.NewSearchRequest(c.in("CN=a=b"), 0, 0, 0, 0, false, "(objectClass=*)", nil, nil))
	c.wantCode("a bare equals sign", err, ldap.LDAPResultInvalidDNSyntax)
	umlaut := c.addUser("CN=Jürgen", "umlaut", nil)
	c.wantNames("hex UTF-8", c.find(c.in(`CN=J\C3\BCrgen`), ldap.ScopeBaseObject, "(objectClass=*)", []string{"1.1"}), umlaut)
	if got := c.read(dn).DN; !strings.HasPrefix(got, `CN=Last\, First,`) {
		c.Errorf("the comma is sent as %q", got)
	}
	if !slices.ContainsFunc(c.find(c.ou, ldap.ScopeSingleLevel, "(name=Last, First)", nil), func(e *ldap.Entry) bool { return e.DN == dn }) {
		c.Errorf("%s is not found by its name", dn)
	}
}

func labWorld(c *client) {
	w := seed.Plan(200, 1, c.target.Domain)
	if err := w.Apply(c.Context(), c.conn); err != nil {
		c.Fatalf("seeding: %v", err)
	}
	for _, o := range slices.Concat(w.OUs, w.Users, w.Groups) {
		e := c.read(o.DN)
		for name, values := range o.Attributes {
			if name != "objectClass" && !slices.Equal(e.GetAttributeValues(name), values) {
				c.Errorf("%s of %s is %q, want %q", name, o.DN, e.GetAttributeValues(name), values)
			}
		}
	}
	for _, l := range w.Links {
		c.wantDNs(l.Attribute+" of "+l.DN, c.read(l.DN, l.Attribute).GetAttributeValues(l.Attribute), l.Values...)
	}
}
