package conformance

import (
	"encoding/binary"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"github.com/tandem-sync/tandem/examples/lab/delegation"
	"github.com/tandem-sync/tandem/scoping"
)

// provisionScenarios are what writing users and groups into a directory relies on.
var provisionScenarios = []scenario{
	{"AUserIsAddedDisabledWithItsPasswordByOneOperation", addedAtOnce},
	{"AValueThatIsAnotherOneComesToNothing", deleteAndAdd},
	{"ReferencesAreWrittenByGUID", referencesByGUID},
	{"ObjectsAreChangedAndDeletedByGUID", writtenByGUID},
	{"TheSchemaTellsHowAccessListsNameAttributes", schemaNames},
	{"ADelegateAddsRenamesMovesAndDeletesWhatItMay", delegatedLife},
}

func addedAtOnce(c *client) {
	dn := c.in("CN=User_1")
	c.add(dn, attrs{"objectClass": {"user"}, "sAMAccountName": {c.account("once")}, "userAccountControl": {"514"}, "unicodePwd": {quoted(password)}, "adminDescription": {"User_1"}})
	e := c.read(dn, "userAccountControl", "pwdLastSet", "adminDescription", "replPropertyMetaData", "sAMAccountType")
	if e.GetAttributeValue("userAccountControl") != "514" || e.GetAttributeValue("adminDescription") != "User_1" || e.GetAttributeValue("sAMAccountType") != "805306368" {
		c.Errorf("%v", e.Attributes)
	}
	if set := e.GetAttributeValue("pwdLastSet"); set == "" || set == "0" {
		c.Errorf("pwdLastSet is %q", set)
	}
	if v := passwordVersion(e.GetRawAttributeValue("replPropertyMetaData")); v != 1 {
		c.Errorf("the password's stamp has version %d", v)
	}
	conn := c.target.dial(c.T)
	c.wantCode("it signs in while it is disabled", conn.Bind(dn, password), ldap.LDAPResultInvalidCredentials)
	c.wantCode("the same name again", c.tryAdd(dn, attrs{"objectClass": {"user"}, "sAMAccountName": {c.account("once2")}}), ldap.LDAPResultEntryAlreadyExists)
	c.replace(dn, "unicodePwd", quoted("Conform-4713"))
	if v := passwordVersion(c.read(dn, "replPropertyMetaData").GetRawAttributeValue("replPropertyMetaData")); v != 2 {
		c.Errorf("after a reset the password's stamp has version %d", v)
	}
}

// passwordVersion reads the version of unicodePwd (MS-DRSR 5.166); 0: it is not there.
func passwordVersion(b []byte) uint32 {
	for at := 16; at+48 <= len(b); at += 48 {
		if binary.LittleEndian.Uint32(b[at:]) == 0x9005a {
			return binary.LittleEndian.Uint32(b[at+4:])
		}
	}
	return 0
}

func deleteAndAdd(c *client) {
	dn := c.addUser("CN=Pre", "pre", attrs{"adminDescription": {"User_1"}, "title": {"Clerk"}, "otherTelephone": {"1", "2"}})
	swap := func(name, was, to string) func(*ldap.ModifyRequest) {
		return func(r *ldap.ModifyRequest) {
			r.Delete(name, []string{was})
			r.Add(name, []string{to})
		}
	}
	both := func(fs ...func(*ldap.ModifyRequest)) error {
		return c.tryModify(dn, func(r *ldap.ModifyRequest) {
			for _, f := range fs {
				f(r)
			}
		})
	}
	link := swap("adminDescription", "User_1", "User_1")
	if err := both(link, swap("title", "CLERK", "Chief")); err != nil {
		c.Errorf("the right value in other letters: %v", err)
	}
	c.wantCode("another link", both(swap("adminDescription", "User_2", "User_2"), swap("title", "Chief", "Boss")), ldap.LDAPResultNoSuchAttribute)
	c.wantCode("another value", both(link, swap("title", "Clerk", "Boss")), ldap.LDAPResultNoSuchAttribute)
	c.wantCode("no value", both(link, swap("department", "x", "y")), ldap.LDAPResultNoSuchAttribute)
	c.wantCode("a value where none should be", both(link, func(r *ldap.ModifyRequest) { r.Add("title", []string{"Boss"}) }), ldap.LDAPResultAttributeOrValueExists)
	c.replace(dn, "userAccountControl", "66050") // somebody sets another bit
	c.wantCode("other bits", both(link, swap("userAccountControl", "514", "512")), ldap.LDAPResultNoSuchAttribute)
	if err := both(link, swap("userAccountControl", "66050", "514"), swap("otherTelephone", "1", "3")); err != nil {
		c.Errorf("bits and one of several values: %v", err)
	}
	e := c.read(dn, "title", "userAccountControl", "otherTelephone")
	if e.GetAttributeValue("title") != "Chief" || e.GetAttributeValue("userAccountControl") != "514" || len(e.GetAttributeValues("otherTelephone")) != 2 {
		c.Errorf("%v", e.Attributes)
	}
}

func referencesByGUID(c *client) {
	a, b := c.addUser("CN=A", "refa", nil), c.addUser("CN=B", "refb", nil)
	group := c.addGroup("CN=RG", "refgroup")
	ga, gb := guidDN(c.guid(a)), guidDN(c.guid(b))
	change := func(dn, name string, add, remove []string) error {
		return c.tryModify(dn, func(r *ldap.ModifyRequest) {
			if len(remove) > 0 {
				r.Delete(name, remove)
			}
			if len(add) > 0 {
				r.Add(name, add)
			}
		})
	}
	if err := change(group, "member", []string{ga, gb}, nil); err != nil {
		c.Errorf("two members: %v", err)
	}
	c.wantDNs("members", c.read(group, "member").GetAttributeValues("member"), a, b)
	c.wantCode("a member twice", change(group, "member", []string{ga}, nil), ldap.LDAPResultEntryAlreadyExists)
	if err := change(group, "member", nil, []string{ga}); err != nil {
		c.Errorf("remove: %v", err)
	}
	c.wantCode("remove who is no member", change(group, "member", nil, []string{ga}), ldap.LDAPResultUnwillingToPerform)
	c.wantCode("a member that is not there", change(group, "member", []string{"<GUID=00000009-0000-0000-0000-000000000000>"}, nil), ldap.LDAPResultNoSuchObject)
	if err := change(a, "manager", []string{gb}, nil); err != nil {
		c.Errorf("manager: %v", err)
	}
	c.wantCode("another manager where one is", change(a, "manager", []string{ga}, nil), ldap.LDAPResultAttributeOrValueExists)
	c.wantCode("a manager that is another one", change(a, "manager", nil, []string{ga}), ldap.LDAPResultNoSuchAttribute)
	if err := change(a, "manager", []string{ga}, []string{gb}); err != nil {
		c.Errorf("one manager for another: %v", err)
	}
	c.wantDNs("manager", c.read(a, "manager").GetAttributeValues("manager"), a)
}

func writtenByGUID(c *client) {
	dn := c.addUser("CN=Named", "named", nil)
	g := guidDN(c.guid(dn))
	if err := c.tryModify(g, func(r *ldap.ModifyRequest) { r.Replace("title", []string{"T"}) }); err != nil {
		c.Errorf("modify: %v", err)
	}
	// Samba takes a DN alone here.
	c.wantCode("rename", c.conn.ModifyDN(ldap.NewModifyDNRequest(g, "CN=Other", true, "")), ldap.LDAPResultNoSuchObject)
	if err := c.conn.Del(ldap.NewDelRequest(g, nil)); err != nil {
		c.Errorf("delete: %v", err)
	}
	c.wantCode("modify what was deleted", c.tryModify(g, func(r *ldap.ModifyRequest) { r.Replace("title", []string{"T"}) }), ldap.LDAPResultNoSuchObject)
	c.wantCode("delete what was deleted", c.conn.Del(ldap.NewDelRequest(g, nil)), ldap.LDAPResultNoSuchObject)
}

func schemaNames(c *client) {
	schema := c.read("", "schemaNamingContext").GetAttributeValue("schemaNamingContext")
	for name, want := range map[string][2]string{
		"displayName":    {"bf967953-0de6-11d0-a285-00aa003049e2", "59ba2f42-79a2-11d0-9020-00c04fc2d3cf"},
		"streetAddress":  {"f0f8ff84-1191-11d0-a060-00aa006c33ed", "77b5b886-944a-11d1-aebd-0000f80367c1"},
		"employeeNumber": {"a8df73ef-c5ea-11d1-bbcb-0080c76670c0", ""},
	} {
		found := c.find(schema, ldap.ScopeSingleLevel, "(&(objectClass=attributeSchema)(lDAPDisplayName="+strings.ToUpper(name)+"))", []string{"lDAPDisplayName", "schemaIDGUID", "attributeSecurityGUID"})
		if len(found) != 1 {
			c.Errorf("%s is found %d times", name, len(found))
			continue
		}
		own, err := scoping.GUIDFromBytes(found[0].GetRawAttributeValue("schemaIDGUID"))
		set := ""
		if b := found[0].GetRawAttributeValue("attributeSecurityGUID"); len(b) == 16 {
			set = scoping.GUID(b).String()
		}
		if err != nil || own.String() != want[0] || set != want[1] || found[0].GetAttributeValue("lDAPDisplayName") != name {
			c.Errorf("%s is %s in %q: %v", name, own, set, err)
		}
	}
}

// delegatedLife lets a delegate do everything to a user, each operation first without the right that it needs.
func delegatedLife(c *client) {
	c.addOU(c.in("OU=Into"))
	svc := c.addUser("CN=Provisioner", "provisioner", attrs{"unicodePwd": {quoted(password)}})
	sid := c.read(svc, "objectSid").GetRawAttributeValue("objectSid")
	conn := c.target.dial(c.T)
	if err := conn.Bind(svc, password); err != nil {
		c.Fatal(err)
	}
	dn := c.in("CN=User_1")
	add := func(dn, class, account string) func() error {
		return func() error {
			r := ldap.NewAddRequest(dn, nil)
			r.Attribute("objectClass", []string{class})
			r.Attribute("sAMAccountName", []string{account})
			if class == "user" {
				r.Attribute("userAccountControl", []string{"514"})
				r.Attribute("unicodePwd", []string{quoted(password)})
				r.Attribute("title", []string{"T"})
			}
			return conn.Add(r)
		}
	}
	write := func(name, value string) func() error {
		return func() error {
			r := ldap.NewModifyRequest(dn, nil)
			r.Replace(name, []string{value})
			return conn.Modify(r)
		}
	}
	for _, step := range []struct {
		what  string
		right []string // the parts of what it needs, given one by one
		do    func() error
	}{
		{"add a user", []string{"Create User objects"}, add(dn, "user", c.account("life"))},
		{"write an attribute", []string{"displayName of users"}, write("displayName", "D")},
		{"enable it", []string{"userAccountControl of users"}, write("userAccountControl", "512")},
		{"rename it", []string{"cn of users", "name of users"}, func() error { return conn.ModifyDN(ldap.NewModifyDNRequest(dn, "CN=Renamed", true, "")) }},
		{"move it", []string{"Delete User objects"}, func() error {
			return conn.ModifyDN(ldap.NewModifyDNRequest(c.in("CN=Renamed"), "CN=Renamed", true, c.in("OU=Into")))
		}},
		{"delete it", nil, func() error { return conn.Del(ldap.NewDelRequest(c.in("CN=Renamed,OU=Into"), nil)) }},
		{"add a group", []string{"Create Group objects"}, add(c.in("CN=Group_1"), "group", c.account("lifegroup"))},
		{"delete a group", []string{"Delete Group objects"}, func() error { return conn.Del(ldap.NewDelRequest(c.in("CN=Group_1"), nil)) }},
	} {
		for _, name := range step.right {
			c.wantCode(step.what+" without "+name, step.do(), ldap.LDAPResultInsufficientAccessRights)
			if err := delegation.Grant(c.conn, c.ou, sid, delegation.Provision[name]); err != nil {
				c.Fatal(err)
			}
		}
		if err := step.do(); err != nil {
			c.Errorf("%s: %v", step.what, err)
		}
	}
	c.wantCode("elsewhere", add("CN=User_1,CN=Users,"+c.target.Base, "user", c.account("elsewhere"))(), ldap.LDAPResultInsufficientAccessRights)
	c.wantCode("an organizational unit", func() error {
		r := ldap.NewAddRequest(c.in("OU=Mine"), nil)
		r.Attribute("objectClass", []string{"organizationalUnit"})
		return conn.Add(r)
	}(), ldap.LDAPResultInsufficientAccessRights)
}
