package conformance

import (
	"slices"

	"github.com/go-ldap/ldap/v3"

	"github.com/tandem-sync/tandem/examples/lab/delegation"
)

var delegatedScenarios = []scenario{
	{"ASessionAndAnAccountShowTheirGroups", groupsAreShown},
	{"AnAccessListIsShownToWhoAsksForItsParts", accessListsAreShown},
	{"ADelegateMayDoWhatItWasGivenAndNoMore", delegate},
	{"PasswordsFollowTheDomainsRules", passwordRules},
	{"WrongPasswordsLockAnAccountOut", lockOut},
}

// parts asks for owner, group and access list of descriptors (MS-ADTS 3.1.1.3.4.1.11).
var parts = control{"1.2.840.113556.1.4.801", []byte{0x30, 3, 2, 1, 7}}

func groupsAreShown(c *client) {
	dn := c.addUser("CN=Nested", "nested", attrs{"unicodePwd": {quoted(password)}})
	inner := c.addGroup("CN=Inner", "inner", dn)
	outer := c.addGroup("CN=Outer", "outer", inner)
	sid := func(dn string) string { return c.read(dn, "objectSid").GetAttributeValue("objectSid") }
	users := "CN=Domain Users,CN=Users," + c.target.Base
	groups := c.read(dn, "tokenGroups").GetAttributeValues("tokenGroups")
	for _, g := range []string{inner, outer, users} {
		if !slices.Contains(groups, sid(g)) {
			c.Errorf("tokenGroups lacks %s", g)
		}
	}
	if slices.Contains(groups, sid(dn)) {
		c.Error("tokenGroups holds the account itself")
	}
	_, err := c.conn.Search(ldap.NewSearchRequest(c.ou, ldap.ScopeWholeSubtree, 0, 0, 0, false, "(objectClass=user)", []string{"tokenGroups"}, nil))
	c.wantCode("tokenGroups of a subtree", err, ldap.LDAPResultOperationsError)
	conn := c.target.dial(c.T)
	if err := conn.Bind(dn, password); err != nil {
		c.Fatal(err)
	}
	res, err := conn.Search(ldap.NewSearchRequest("", ldap.ScopeBaseObject, 0, 0, 0, false, "(objectClass=*)", []string{"tokenGroups"}, nil))
	if err != nil {
		c.Fatal(err)
	}
	const everyone, network, authenticated = "\x01\x01\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00", "\x01\x01\x00\x00\x00\x00\x00\x05\x02\x00\x00\x00", "\x01\x01\x00\x00\x00\x00\x00\x05\x0b\x00\x00\x00"
	session := res.Entries[0].GetAttributeValues("tokenGroups")
	for _, s := range []string{sid(dn), sid(inner), sid(outer), sid(users), everyone, network, authenticated} {
		if !slices.Contains(session, s) {
			c.Errorf("the session's tokenGroups lacks %x", s)
		}
	}
	// A primary group counts as any other, though it does not list its members.
	c.modify(outer, func(r *ldap.ModifyRequest) { r.Add("member", []string{dn}) })
	rid := c.read(outer, "primaryGroupToken").GetAttributeValue("primaryGroupToken")
	c.replace(dn, "primaryGroupID", rid)
	if groups := c.read(dn, "tokenGroups").GetAttributeValues("tokenGroups"); !slices.Contains(groups, sid(outer)) {
		c.Error("tokenGroups lacks the primary group")
	}
}

func accessListsAreShown(c *client) {
	dn := c.addUser("CN=Listed", "listed", attrs{"unicodePwd": {quoted(password)}})
	conn := c.target.dial(c.T)
	if err := conn.Bind(dn, password); err != nil {
		c.Fatal(err)
	}
	read := func(controls ...ldap.Control) []byte {
		res, err := conn.Search(ldap.NewSearchRequest(dn, ldap.ScopeBaseObject, 0, 0, 0, false, "(objectClass=*)", []string{"nTSecurityDescriptor"}, controls))
		if err != nil {
			c.Fatal(err)
		}
		return res.Entries[0].GetRawAttributeValue("nTSecurityDescriptor")
	}
	if d := read(); len(d) != 0 {
		c.Errorf("without the control an ordinary account sees %d bytes", len(d))
	}
	if d := read(parts); len(d) < 20 || d[0] != 1 || d[3]&0x80 == 0 {
		c.Errorf("%x", d)
	}
	// What a container gives to users they inherit.
	before := len(read(parts))
	if err := delegation.Grant(c.conn, c.ou, c.read(dn, "objectSid").GetRawAttributeValue("objectSid"), delegation.Reset["pwdLastSet"]); err != nil {
		c.Fatal(err)
	}
	if after := len(read(parts)); after <= before {
		c.Errorf("a user's access list has %d bytes and had %d", after, before)
	}
}

func delegate(c *client) {
	dn := c.addUser("CN=Target", "target", attrs{"unicodePwd": {quoted(password)}})
	svc := c.addUser("CN=Delegate", "delegate", attrs{"unicodePwd": {quoted(password)}})
	conn := c.target.dial(c.T)
	if err := conn.Bind(svc, password); err != nil {
		c.Fatal(err)
	}
	tries := map[string][2]string{"Reset Password": {"unicodePwd", quoted("Conform-4712")}, "pwdLastSet": {"pwdLastSet", "0"}, "lockoutTime": {"lockoutTime", "0"}}
	write := func(name string) error {
		r := ldap.NewModifyRequest(dn, nil)
		r.Replace(tries[name][0], []string{tries[name][1]})
		return conn.Modify(r)
	}
	for name := range tries {
		c.wantCode(name+" before", write(name), ldap.LDAPResultInsufficientAccessRights)
	}
	sid := c.read(svc, "objectSid").GetRawAttributeValue("objectSid")
	for name, e := range delegation.Reset {
		if err := delegation.Grant(c.conn, c.ou, sid, e); err != nil {
			c.Fatal(err)
		}
		if err := write(name); err != nil {
			c.Errorf("%s after it was given: %v", name, err)
		}
	}
	r := ldap.NewModifyRequest(dn, nil)
	r.Replace("title", []string{"x"})
	c.wantCode("a title", conn.Modify(r), ldap.LDAPResultInsufficientAccessRights)
	r = ldap.NewModifyRequest("CN=Guest,CN=Users,"+c.target.Base, nil)
	r.Replace("lockoutTime", []string{"0"})
	c.wantCode("outside", conn.Modify(r), ldap.LDAPResultInsufficientAccessRights)
}

// rule sets a rule of the domain until the scenario ends.
func (c *client) rule(name, value string) {
	c.Helper()
	before := c.read(c.target.Base, name).GetAttributeValues(name)
	c.replace(c.target.Base, name, value)
	c.Cleanup(func() {
		conn := c.target.dial(c.T)
		if err := conn.Bind(c.target.AdminUser, c.target.AdminPassword); err != nil {
			c.Error(err)
		}
		r := ldap.NewModifyRequest(c.target.Base, nil)
		r.Replace(name, before)
		if err := conn.Modify(r); err != nil {
			c.Errorf("%s back to %v: %v", name, before, err)
		}
	})
}

func passwordRules(c *client) {
	dn := c.addUser("CN=Ruled", "ruled", attrs{"unicodePwd": {quoted(password)}})
	reset := func(p string) error {
		return c.tryModify(dn, func(r *ldap.ModifyRequest) { r.Replace("unicodePwd", []string{quoted(p)}) })
	}
	change := func(old, p string) error {
		return c.tryModify(dn, func(r *ldap.ModifyRequest) {
			r.Delete("unicodePwd", []string{quoted(old)})
			r.Add("unicodePwd", []string{quoted(p)})
		})
	}
	c.rule("minPwdLength", "7")
	c.rule("pwdProperties", "1")
	c.rule("pwdHistoryLength", "5")
	c.wantCode("short", reset("S-1x"), ldap.LDAPResultConstraintViolation, "0000052D", "too short")
	c.wantCode("simple", reset("simplesimple"), ldap.LDAPResultConstraintViolation, "0000052D", "complexity")
	if err := reset(password); err != nil {
		c.Errorf("a reset to the same password: %v", err)
	}
	c.wantCode("wrong old", change("not-it", "Conform-4712"), ldap.LDAPResultConstraintViolation, "00000056")
	c.wantCode("the present one", change(password, password), ldap.LDAPResultConstraintViolation, "0000052D", "already used")
	if err := change(password, "Conform-4712"); err != nil {
		c.Errorf("a change: %v", err)
	}
	if err := change("Conform-4712", "Conform-4713"); err != nil {
		c.Errorf("a second change: %v", err)
	}
	c.wantCode("used before", change("Conform-4713", password), ldap.LDAPResultConstraintViolation, "0000052D", "in history")
	c.rule("minPwdAge", "-864000000000")
	c.wantCode("too soon", change("Conform-4713", "Conform-4714"), ldap.LDAPResultConstraintViolation, "0000052D", "too young")
}

func lockOut(c *client) {
	dn := c.addUser("CN=Locked", "locked", attrs{"unicodePwd": {quoted(password)}})
	c.rule("lockoutDuration", "-18000000000")
	c.rule("lockOutObservationWindow", "-18000000000")
	c.rule("lockoutThreshold", "2")
	for range 2 {
		c.wantCode("wrong", c.bindAs(dn, "not-it"), ldap.LDAPResultInvalidCredentials, "data 52e")
	}
	c.wantCode("locked out", c.bindAs(dn, password), ldap.LDAPResultInvalidCredentials, "data 775")
	c.replace(dn, "lockoutTime", "0")
	if err := c.bindAs(dn, password); err != nil {
		c.Errorf("after unlocking: %v", err)
	}
}
