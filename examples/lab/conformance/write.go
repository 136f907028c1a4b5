package conformance

import (
	"github.com/go-ldap/ldap/v3"
)

var writeScenarios = []scenario{
	{"AccountAndPrincipalNamesAreUnique", uniqueNames},
	{"RefusalsCarryTheCodesOfActiveDirectory", refusals},
	{"AModifyIsAllOrNothing", atomic},
	{"TheSameValueIsNoChange", sameValue},
	{"MembersAreCheckedOneByOne", memberRefusals},
	{"RenamesAndMovesAreChecked", renameRefusals},
}

func uniqueNames(c *client) {
	first := c.account("unique")
	upn := first + "-upn@" + c.target.Domain
	c.addUser("CN=First", "unique", attrs{"userPrincipalName": {upn}})
	second := c.addUser("CN=Second", "unique2", nil)
	set := func(name, value string) error {
		return c.tryModify(second, func(r *ldap.ModifyRequest) { r.Replace(name, []string{value}) })
	}
	third := func(name, value string) error {
		return c.tryAdd(c.in("CN=Third"), attrs{"objectClass": {"user"}, name: {value}})
	}
	c.wantCode("account name on modify", set("sAMAccountName", first), ldap.LDAPResultEntryAlreadyExists, "00002071")
	c.wantCode("account name on add", third("sAMAccountName", first), ldap.LDAPResultEntryAlreadyExists, "00002071")
	c.wantCode("principal name on modify", set("userPrincipalName", upn), ldap.LDAPResultConstraintViolation, "0000202F")
	c.wantCode("principal name on add", third("userPrincipalName", upn), ldap.LDAPResultConstraintViolation, "0000202F")
	c.remove(c.in("CN=First"))
	if err := set("sAMAccountName", first); err != nil {
		c.Errorf("a deleted user's account name stays taken: %v", err)
	}
}

func refusals(c *client) {
	dn := c.addUser("CN=Ref", "ref", attrs{"mail": {"ref@a.test"}, "otherTelephone": {"1"}})
	set := func(name string, values ...string) error {
		return c.tryModify(dn, func(r *ldap.ModifyRequest) { r.Replace(name, values) })
	}
	user := attrs{"objectClass": {"user"}}
	c.wantCode("unknown attribute", set("nosuchattribute", "x"), ldap.LDAPResultNoSuchAttribute)
	c.wantCode("two values of one", set("mail", "a", "b"), ldap.LDAPResultAttributeOrValueExists)
	c.wantCode("empty value", set("mail", ""), ldap.LDAPResultInvalidAttributeSyntax)
	c.wantCode("objectGUID", set("objectGUID", "0123456789abcdef"), ldap.LDAPResultConstraintViolation, "0000202F")
	c.wantCode("objectSid", set("objectSid", "0123456789abcdef"), ldap.LDAPResultUnwillingToPerform)
	c.wantCode("uSNChanged", set("uSNChanged", "1"), ldap.LDAPResultConstraintViolation)
	c.wantCode("cn", set("cn", "x"), ldap.LDAPResultNotAllowedOnRDN)
	c.wantCode("name", set("name", "x"), ldap.LDAPResultNotAllowedOnRDN)
	c.wantCode("memberOf", set("memberOf", dn), ldap.LDAPResultUnwillingToPerform)
	c.wantCode("no account name", set("sAMAccountName"), ldap.LDAPResultUnwillingToPerform)
	c.wantCode("value again", c.tryModify(dn, func(r *ldap.ModifyRequest) { r.Add("otherTelephone", []string{"1"}) }), ldap.LDAPResultAttributeOrValueExists)
	c.wantCode("value missing", c.tryModify(dn, func(r *ldap.ModifyRequest) { r.Delete("otherTelephone", []string{"9"}) }), ldap.LDAPResultNoSuchAttribute)
	c.wantCode("attribute missing", c.tryModify(dn, func(r *ldap.ModifyRequest) { r.Delete("title", nil) }), ldap.LDAPResultNoSuchAttribute)
	c.wantCode("same DN", c.tryAdd(c.in("CN=REF"), user), ldap.LDAPResultEntryAlreadyExists)
	c.wantCode("no parent", c.tryAdd(c.in("CN=X,OU=Nowhere"), user), ldap.LDAPResultNoSuchObject, "00002030")
	c.wantCode("no class", c.tryAdd(c.in("CN=X"), attrs{"description": {"x"}}), ldap.LDAPResultObjectClassViolation)
	c.wantCode("unknown class", c.tryAdd(c.in("CN=X"), attrs{"objectClass": {"nosuchclass"}}), ldap.LDAPResultNoSuchAttribute)
	c.wantCode("wrong naming attribute", c.tryAdd(c.in("OU=X"), user), ldap.LDAPResultNamingViolation)
	c.wantCode("below a user", c.tryAdd("CN=X,"+dn, user), ldap.LDAPResultNamingViolation)
	c.wantCode("modify what is not there", c.tryModify(c.in("CN=X"), func(r *ldap.ModifyRequest) { r.Replace("mail", []string{"x"}) }), ldap.LDAPResultNoSuchObject)
	c.wantCode("delete what is not there", c.conn.Del(ldap.NewDelRequest(c.in("CN=X"), nil)), ldap.LDAPResultNoSuchObject)
	c.wantCode("delete with children", c.conn.Del(ldap.NewDelRequest(c.ou, nil)), ldap.LDAPResultNotAllowedOnNonLeaf, "00002015")
	c.wantCode("delete a container of the system", c.conn.Del(ldap.NewDelRequest("CN=Users,"+c.target.Base, nil)), ldap.LDAPResultUnwillingToPerform)
}

func atomic(c *client) {
	dn := c.addUser("CN=Atomic", "atomic", attrs{"title": {"before"}})
	err := c.tryModify(dn, func(r *ldap.ModifyRequest) {
		r.Replace("title", []string{"after"})
		r.Replace("cn", []string{"never"})
	})
	c.wantCode("second change refused", err, ldap.LDAPResultNotAllowedOnRDN)
	if got := c.read(dn, "title").GetAttributeValue("title"); got != "before" {
		c.Errorf("title is %q after a refused modify", got)
	}
}

func sameValue(c *client) {
	dn := c.addUser("CN=Same", "same", attrs{"title": {"T"}})
	before := c.read(dn, "uSNChanged").GetAttributeValue("uSNChanged")
	c.replace(dn, "title", "T")
	if after := c.read(dn, "uSNChanged").GetAttributeValue("uSNChanged"); after != before {
		c.Errorf("uSNChanged went from %s to %s though nothing changed", before, after)
	}
	c.replace(dn, "title", "t")
	if after := c.read(dn, "uSNChanged").GetAttributeValue("uSNChanged"); after == before {
		c.Error("a change of case alone is lost")
	}
}

func memberRefusals(c *client) {
	user := c.addUser("CN=Member", "member", nil)
	group := c.addGroup("CN=MGroup", "mgroup", user)
	c.wantCode("member twice", c.tryModify(group, func(r *ldap.ModifyRequest) { r.Add("member", []string{user}) }), ldap.LDAPResultEntryAlreadyExists)
	c.wantCode("member that is not there", c.tryModify(group, func(r *ldap.ModifyRequest) { r.Add("member", []string{c.in("CN=X")}) }), ldap.LDAPResultNoSuchObject)
	c.wantCode("remove who is no member", c.tryModify(group, func(r *ldap.ModifyRequest) { r.Delete("member", []string{c.ou}) }), ldap.LDAPResultUnwillingToPerform)
	c.wantDNs("members", c.read(group, "member").GetAttributeValues("member"), user)
}

func renameRefusals(c *client) {
	a, b := c.addUser("CN=A", "rna", nil), c.addUser("CN=B", "rnb", nil)
	c.addOU(c.in("OU=Below"))
	try := func(dn, rdn string, deleteOld bool, parent string) error {
		return c.conn.ModifyDN(ldap.NewModifyDNRequest(dn, rdn, deleteOld, parent))
	}
	c.wantCode("onto another", try(a, "CN=b", true, ""), ldap.LDAPResultEntryAlreadyExists)
	c.wantCode("keeping the old name", try(a, "CN=C", false, ""), ldap.LDAPResultUnwillingToPerform)
	c.wantCode("below itself", try(c.ou, "OU=Self", true, c.in("OU=Below")), ldap.LDAPResultUnwillingToPerform)
	c.wantCode("another naming attribute", try(a, "OU=A", true, ""), ldap.LDAPResultUnwillingToPerform)
	if err := try(b, "CN=b", true, ""); err != nil {
		c.Errorf("a change of case alone: %v", err)
	}
	if got := c.read(c.in("CN=b"), "cn").GetAttributeValue("cn"); got != "b" {
		c.Errorf("cn is %q after a change of case", got)
	}
}
