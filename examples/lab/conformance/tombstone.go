package conformance

import (
	"strings"

	"github.com/go-ldap/ldap/v3"
)

var tombstoneScenarios = []scenario{
	{"ATombstoneIsReadByItsGUIDWithShowDeleted", tombstoneByGUID},
	{"ATombstoneKeepsIdentityAndLosesTheRest", tombstoneAttributes},
	{"TheReadOnlyAccountSeesTombstones", tombstoneReadOnly},
	{"AnUndeletedObjectKeepsItsIdentity", undeleted},
	{"AnUndeleteOntoATakenNameIsRefused", undeleteTaken},
	{"UpdateSequenceNumbersTellOfTombstones", tombstoneUSN},
}

// undelete does what AD asks for: one modify with the show-deleted control (MS-ADTS 3.1.1.5.3.7).
func (c *client) undelete(guid, dn string) {
	c.Helper()
	if err := c.tryUndelete(guid, dn); err != nil {
		c.Fatalf("undeleting %s: %v", dn, err)
	}
}

func (c *client) tryUndelete(guid, dn string) error {
	c.Helper()
	r := ldap.NewModifyRequest(c.tombstone(guid).DN, []ldap.Control{showDeleted})
	r.Delete("isDeleted", nil)
	r.Replace("distinguishedName", []string{dn})
	return c.conn.Modify(r)
}

func (c *client) tombstone(guid string, names ...string) *ldap.Entry {
	c.Helper()
	found := c.find(guidDN(guid), ldap.ScopeBaseObject, "(objectClass=*)", names, showDeleted)
	if len(found) != 1 {
		c.Fatalf("the tombstone is found %d times", len(found))
	}
	return found[0]
}

func tombstoneByGUID(c *client) {
	user := c.addUser("CN=Dead", "dead", nil)
	g := c.guid(user)
	c.remove(user)
	c.wantNames("without the control", c.find(guidDN(g), ldap.ScopeBaseObject, "(objectClass=*)", nil))
	c.wantNames("filter without the control", c.find(c.target.Base, ldap.ScopeWholeSubtree, "(objectGUID="+hexFilter(g)+")", nil))
	for _, k := range []control{showDeleted, showRecycled} {
		if got := c.find(guidDN(g), ldap.ScopeBaseObject, "(isDeleted=TRUE)", nil, k); len(got) != 1 {
			c.Errorf("with control %s: %d entries", k.oid, len(got))
		}
		if got := c.find(c.target.Base, ldap.ScopeWholeSubtree, "(objectGUID="+hexFilter(g)+")", nil, k); len(got) != 1 {
			c.Errorf("filter with control %s: %d entries", k.oid, len(got))
		}
	}
	c.wantCode("modify without the control", c.tryModify(guidDN(g), func(r *ldap.ModifyRequest) { r.Replace("title", []string{"x"}) }), ldap.LDAPResultNoSuchObject)
}

func tombstoneAttributes(c *client) {
	user := c.addUser("CN=Strip", "strip", attrs{"mail": {"s@a.test"}, "employeeID": {"1"}, "userPrincipalName": {c.account("strip") + "@x.test"},
		"mS-DS-ConsistencyGuid": {"0123456789abcdef"}, "givenName": {"S"}})
	sid := string(c.read(user, "objectSid").GetRawAttributeValue("objectSid"))
	g := c.guid(user)
	c.remove(user)
	e := c.tombstone(g)
	for name, want := range map[string]string{"isDeleted": "TRUE", "sAMAccountName": c.account("strip"), "userAccountControl": "512",
		"objectSid": sid, "objectGUID": g} {
		if got := string(e.GetRawAttributeValue(name)); got != want {
			c.Errorf("%s of the tombstone is %q, want %q", name, got, want)
		}
	}
	c.wantDNs("lastKnownParent", e.GetAttributeValues("lastKnownParent"), c.ou)
	for _, name := range []string{"mail", "employeeID", "userPrincipalName", "mS-DS-ConsistencyGuid", "givenName", "objectCategory", "sAMAccountType", "memberOf", "primaryGroupID"} {
		if v := e.GetAttributeValues(name); len(v) != 0 {
			c.Errorf("the tombstone keeps %s %q", name, v)
		}
	}
	if got := e.GetAttributeValue("name"); !strings.HasPrefix(got, "Strip\nDEL:") {
		c.Errorf("the tombstone's name is %q", got)
	}
}

func tombstoneReadOnly(c *client) {
	user := c.addUser("CN=Seen", "seen", nil)
	g := c.guid(user)
	c.remove(user)
	conn := c.target.dial(c.T)
	if err := conn.Bind(c.target.ReadOnlyUser, c.target.ReadOnlyPassword); err != nil {
		c.Fatal(err)
	}
	reader := &client{T: c.T, target: c.target, conn: conn, ou: c.ou}
	e := reader.tombstone(g, "isDeleted", "lastKnownParent")
	if e.GetAttributeValue("isDeleted") != "TRUE" {
		c.Errorf("isDeleted is %q for the read-only account", e.GetAttributeValues("isDeleted"))
	}
	reader.wantDNs("lastKnownParent", e.GetAttributeValues("lastKnownParent"), c.ou)
}

func undeleted(c *client) {
	user := c.addUser("CN=Revive", "revive", attrs{"mail": {"r@a.test"}})
	group := c.addGroup("CN=G", "reviveg", user)
	g := c.guid(user)
	sid := string(c.read(user, "objectSid").GetRawAttributeValue("objectSid"))
	c.remove(user)
	c.undelete(g, c.in("CN=Revived"))
	e := c.read(c.in("CN=Revived"))
	if string(e.GetRawAttributeValue("objectGUID")) != g || string(e.GetRawAttributeValue("objectSid")) != sid || e.GetAttributeValue("sAMAccountName") != c.account("revive") {
		c.Errorf("the undeleted object is another: %v", e.Attributes)
	}
	if e.GetAttributeValue("isDeleted") != "" || e.GetAttributeValue("mail") != "" || len(e.GetAttributeValues("memberOf")) != 0 {
		c.Errorf("the undeleted object has %v", e.Attributes)
	}
	if e.GetAttributeValue("objectCategory") == "" || e.GetAttributeValue("sAMAccountType") != "805306368" {
		c.Error("objectCategory or sAMAccountType is not back")
	}
	if got := c.read(group, "member").GetAttributeValues("member"); len(got) != 0 {
		c.Errorf("memberships came back: %q", got)
	}
}

func undeleteTaken(c *client) {
	user := c.addUser("CN=Taken", "taken", nil)
	g := c.guid(user)
	c.remove(user)
	c.addUser("CN=Taken", "taken2", nil)
	c.wantCode("undelete", c.tryUndelete(g, user), ldap.LDAPResultEntryAlreadyExists)
}

func tombstoneUSN(c *client) {
	user := c.addUser("CN=Usn", "usn", nil)
	g := c.guid(user)
	before := c.read("", "highestCommittedUSN").GetAttributeValue("highestCommittedUSN")
	c.remove(user)
	got := c.find("CN=Deleted Objects,"+c.target.Base, ldap.ScopeSingleLevel, "(&(uSNChanged>="+before+")(objectGUID="+hexFilter(g)+"))", nil, showDeleted)
	if len(got) != 1 {
		c.Errorf("the tombstone is found %d times by its update sequence number", len(got))
	}
}
