package conformance

import (
	"slices"
	"strings"

	"github.com/go-ldap/ldap/v3"
)

var bindScenarios = []scenario{
	{"ABindTakesPrincipalNameDomainNameAndDN", bindForms},
	{"AWrongPasswordIsRefusedWithData52e", wrongPassword},
	{"ADisabledAccountIsRefusedWithData533", disabledAccount},
	{"AnExpiredPasswordIsRefusedWithData773", mustChange},
	{"APlainConnectionNeedsTLSForABind", plainBind},
	{"WithoutABindNothingButTheRootDSEIsRead", anonymous},
	{"TheRootDSENamesDomainAndDatabase", rootDSE},
	{"TheReadOnlyAccountReadsAndCannotWrite", readOnly},
	{"APasswordIsSetAndChanged", passwords},
}

const password = "Conform-4711"

// quoted is the form in which unicodePwd takes a password.
func quoted(p string) string {
	var b strings.Builder
	for _, r := range `"` + p + `"` {
		b.WriteByte(byte(r))
		b.WriteByte(byte(r >> 8))
	}
	return b.String()
}

func (c *client) bindAs(user, pass string) error { return c.target.dial(c.T).Bind(user, pass) }

func bindForms(c *client) {
	user := c.account("binder")
	dn := c.addUser("CN=Binder", "binder", attrs{"userPrincipalName": {user + "-upn@" + c.target.Domain}, "unicodePwd": {quoted(password)}})
	label, _, _ := strings.Cut(c.target.Domain, ".")
	for _, name := range []string{user + "-upn@" + c.target.Domain, strings.ToUpper(user) + "-UPN@" + c.target.Domain, user + "@" + c.target.Domain,
		strings.ToUpper(label) + `\` + user, dn, strings.ToLower(dn)} {
		if err := c.bindAs(name, password); err != nil {
			c.Errorf("binding as %q: %v", name, err)
		}
	}
}

func wrongPassword(c *client) {
	for user, pass := range map[string]string{c.target.AdminUser: "not-it", "nobody@" + c.target.Domain: "not-it", "CN=Nobody," + c.target.Base: "not-it"} {
		c.wantCode("bind as "+user, c.bindAs(user, pass), ldap.LDAPResultInvalidCredentials, "80090308", "data 52e")
	}
}

func disabledAccount(c *client) {
	c.addUser("CN=Disabled", "disabled", attrs{"userAccountControl": {"514"}, "unicodePwd": {quoted(password)}})
	c.wantCode("bind", c.bindAs(c.account("disabled")+"@"+c.target.Domain, password), ldap.LDAPResultInvalidCredentials, "data 533")
}

func mustChange(c *client) {
	dn := c.addUser("CN=Must", "must", attrs{"unicodePwd": {quoted(password)}})
	c.replace(dn, "pwdLastSet", "0")
	c.wantCode("bind", c.bindAs(c.account("must")+"@"+c.target.Domain, password), ldap.LDAPResultInvalidCredentials, "data 773")
}

func plainBind(c *client) {
	conn, err := ldap.DialURL(c.target.PlainURL)
	if err != nil {
		c.Fatalf("connecting to %s: %v", c.target.PlainURL, err)
	}
	defer closeConn(c.T, conn)
	c.wantCode("bind without TLS", conn.Bind(c.target.AdminUser, c.target.AdminPassword), ldap.LDAPResultStrongAuthRequired)
	if err := conn.StartTLS(c.target.tls(c.T)); err != nil {
		c.Fatalf("StartTLS: %v", err)
	}
	if err := conn.Bind(c.target.AdminUser, c.target.AdminPassword); err != nil {
		c.Errorf("bind after StartTLS: %v", err)
	}
}

func anonymous(c *client) {
	conn := c.target.dial(c.T)
	r := ldap.NewSearchRequest(c.target.Base, ldap.ScopeBaseObject, 0, 0, 0, false, "(objectClass=*)", nil, nil)
	_, err := conn.Search(r)
	c.wantCode("search without a bind", err, ldap.LDAPResultOperationsError)
	r = ldap.NewSearchRequest("", ldap.ScopeBaseObject, 0, 0, 0, false, "(objectClass=*)", []string{"defaultNamingContext"}, nil)
	res, err := conn.Search(r)
	if err != nil || len(res.Entries) != 1 || res.Entries[0].GetAttributeValue("defaultNamingContext") != c.target.Base {
		c.Errorf("reading the root DSE without a bind: %v, %v", res, err)
	}
}

func rootDSE(c *client) {
	e := c.read("", "defaultNamingContext", "highestCommittedUSN", "dsServiceName", "supportedControl", "configurationNamingContext", "dnsHostName")
	if got := e.GetAttributeValue("defaultNamingContext"); got != c.target.Base {
		c.Errorf("defaultNamingContext is %q, want %q", got, c.target.Base)
	}
	for _, oid := range []string{ldap.ControlTypePaging, ldap.ControlTypeDirSync, showDeleted.oid, extendedText.oid} {
		if !slices.Contains(e.GetAttributeValues("supportedControl"), oid) {
			c.Errorf("supportedControl lacks %s", oid)
		}
	}
	settings := c.read(e.GetAttributeValue("dsServiceName"), "invocationId", "objectGUID", "objectClass")
	if n := len(settings.GetRawAttributeValue("invocationId")); n != 16 {
		c.Errorf("invocationId of the NTDS Settings object has %d bytes", n)
	}
	before := e.GetAttributeValue("highestCommittedUSN")
	c.replace(c.ou, "description", "counts")
	if after := c.read("", "highestCommittedUSN").GetAttributeValue("highestCommittedUSN"); after == before {
		c.Errorf("highestCommittedUSN stayed %s after a change", before)
	}
}

func readOnly(c *client) {
	dn := c.addUser("CN=Read Me", "readme", attrs{"mail": {"read@me.test"}})
	conn := c.target.dial(c.T)
	if err := conn.Bind(c.target.ReadOnlyUser, c.target.ReadOnlyPassword); err != nil {
		c.Fatalf("binding as %s: %v", c.target.ReadOnlyUser, err)
	}
	reader := &client{T: c.T, target: c.target, conn: conn, ou: c.ou}
	if got := reader.read(dn, "mail").GetAttributeValue("mail"); got != "read@me.test" {
		c.Errorf("the read-only account reads mail %q", got)
	}
	denied := uint16(ldap.LDAPResultInsufficientAccessRights)
	c.wantCode("modify", reader.tryModify(dn, func(r *ldap.ModifyRequest) { r.Replace("mail", []string{"x"}) }), denied)
	c.wantCode("add", reader.tryAdd(c.in("OU=Mine"), attrs{"objectClass": {"organizationalUnit"}}), denied)
	c.wantCode("delete", conn.Del(ldap.NewDelRequest(dn, nil)), denied)
	c.wantCode("rename", conn.ModifyDN(ldap.NewModifyDNRequest(dn, "CN=Mine", true, "")), denied)
}

func passwords(c *client) {
	dn := c.addUser("CN=Pass", "pass", nil)
	user := c.account("pass") + "@" + c.target.Domain
	c.replace(dn, "unicodePwd", quoted(password))
	if err := c.bindAs(user, password); err != nil {
		c.Fatalf("bind after a reset: %v", err)
	}
	if set := c.read(dn, "pwdLastSet").GetAttributeValue("pwdLastSet"); set == "0" || set == "" {
		c.Errorf("pwdLastSet is %q after a reset", set)
	}
	own := c.target.dial(c.T)
	if err := own.Bind(user, password); err != nil {
		c.Fatal(err)
	}
	change := func(old, fresh string) error {
		r := ldap.NewModifyRequest(dn, nil)
		r.Delete("unicodePwd", []string{quoted(old)})
		r.Add("unicodePwd", []string{quoted(fresh)})
		return own.Modify(r)
	}
	c.wantCode("change with a wrong old password", change("wrong", "Other-4711"), ldap.LDAPResultConstraintViolation, "00000056")
	if err := change(password, "Other-4711"); err != nil {
		c.Fatalf("change with the right old password: %v", err)
	}
	if err := c.bindAs(user, "Other-4711"); err != nil {
		c.Errorf("bind with the changed password: %v", err)
	}
	c.wantCode("bind with the old password", c.bindAs(user, password), ldap.LDAPResultInvalidCredentials)
	c.wantCode("password without quotes", c.tryModify(dn, func(r *ldap.ModifyRequest) { r.Replace("unicodePwd", []string{password}) }), ldap.LDAPResultUnwillingToPerform)
	if e := c.read(dn, "unicodePwd"); len(e.Attributes) != 0 {
		c.Error("unicodePwd can be read")
	}
}
