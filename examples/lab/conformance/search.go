package conformance

import (
	"fmt"
	"slices"
	"strings"

	"github.com/go-ldap/ldap/v3"
)

var searchScenarios = []scenario{
	{"ScopesReachWhatTheyShould", scopes},
	{"FiltersMatchAsInActiveDirectory", filters},
	{"NamesAndValuesIgnoreCase", ignoreCase},
	{"AnObjectIsFoundByItsGUID", byGUID},
	{"TheConsistencyGuidIsWrittenAndFound", consistencyGUID},
	{"ExtendedNamesCarryTheGUID", extendedNames},
	{"ParentGUIDNamesTheContainer", parentGUID},
	{"ReferencesHaveBackLinks", backLinks},
	{"NestedMembershipsAreFoundInChain", inChain},
	{"OnlyAskedAttributesComeInTheSchemasSpelling", asked},
	{"ObjectsCarryWhatSynchronizationNeeds", standardAttributes},
	{"CompareTellsTrueFromFalse", comparing},
	{"TheSchemaTellsItsAttributes", schemaAttributes},
}

// pagingScenarios come last, since so many objects slow down whatever comes after.
var pagingScenarios = []scenario{{"PagesGiveEachOf2500EntriesOnce", paging}}

func schemaAttributes(c *client) {
	r, err := c.conn.Search(ldap.NewSearchRequest("", ldap.ScopeBaseObject, 0, 0, 0, false, "(objectClass=*)", []string{"schemaNamingContext"}, nil))
	if err != nil || len(r.Entries) != 1 {
		c.Fatal(err)
	}
	nc := r.Entries[0].GetAttributeValue("schemaNamingContext")
	filter := "(&(objectClass=attributeSchema)(|(lDAPDisplayName=EMPLOYEENUMBER)(lDAPDisplayName=mail)(lDAPDisplayName=noSuchAttribute)))"
	r, err = c.conn.Search(ldap.NewSearchRequest(nc, ldap.ScopeSingleLevel, 0, 0, 0, false, filter, []string{"lDAPDisplayName"}, nil))
	if err != nil {
		c.Fatal(err)
	}
	var names []string
	for _, e := range r.Entries {
		names = append(names, e.GetAttributeValue("lDAPDisplayName"))
	}
	slices.Sort(names)
	if !slices.Equal(names, []string{"employeeNumber", "mail"}) {
		c.Errorf("the schema has %v", names)
	}
}

func scopes(c *client) {
	c.addOU(c.in("OU=Inner"))
	c.addUser("CN=Outer", "outer", nil)
	c.addUser("CN=Deep,OU=Inner", "deep", nil)
	all := "(objectClass=*)"
	c.wantNames("base", c.find(c.ou, ldap.ScopeBaseObject, all, []string{"1.1"}), c.ou)
	c.wantNames("one", c.find(c.ou, ldap.ScopeSingleLevel, all, []string{"1.1"}), c.in("OU=Inner"), c.in("CN=Outer"))
	c.wantNames("sub", c.find(c.ou, ldap.ScopeWholeSubtree, all, []string{"1.1"}), c.ou, c.in("OU=Inner"), c.in("CN=Outer"), c.in("CN=Deep,OU=Inner"))
	_, err := c.conn.Search(ldap.NewSearchRequest(c.in("OU=Nowhere"), 0, 0, 0, 0, false, all, nil, nil))
	c.wantCode("a base that is not there", err, ldap.LDAPResultNoSuchObject)
	_, err = c.conn.Search(ldap.NewSearchRequest("garbage", 0, 0, 0, 0, false, all, nil, nil))
	c.wantCode("a base that is no DN", err, ldap.LDAPResultInvalidDNSyntax)
}

func filters(c *client) {
	ann := c.addUser("CN=Ann", "ann", attrs{"mail": {"ann@a.test"}, "department": {"Sales"}, "otherTelephone": {"1", "22"}})
	bob := c.addUser("CN=Bob", "bob", attrs{"userAccountControl": {"514"}, "manager": {ann}})
	grp := c.addGroup("CN=Grp", "grp", ann)
	con := c.in("CN=Con")
	c.add(con, attrs{"objectClass": {"contact"}, "mail": {"con@c.test"}})
	for filter, want := range map[string][]string{
		"(objectClass=user)":                                           {ann, bob},
		"(objectClass=USER)":                                           {ann, bob},
		"(objectCategory=person)":                                      {ann, bob, con},
		"(objectCategory=group)":                                       {grp},
		"(&(objectClass=user)(mail=*))":                                {ann},
		"(|(cn=ann)(cn=CON))":                                          {ann, con},
		"(!(mail=*))":                                                  {c.ou, bob, grp},
		"(!(mail=ann@a.test))":                                         {c.ou, bob, grp, con},
		"(nosuchattribute=x)":                                          {},
		"(!(nosuchattribute=x))":                                       {c.ou, ann, bob, grp, con},
		"(mail=ANN@A*)":                                                {ann},
		"(mail=*@*.test)":                                              {ann, con},
		"(mail=*a.test)":                                               {ann},
		"(otherTelephone=22)":                                          {ann},
		"(userAccountControl:1.2.840.113556.1.4.803:=2)":               {bob},
		"(!(userAccountControl:1.2.840.113556.1.4.803:=2))":            {c.ou, ann, grp, con},
		"(userAccountControl:1.2.840.113556.1.4.804:=3)":               {bob},
		"(groupType:1.2.840.113556.1.4.803:=2147483648)":               {grp},
		"(groupType=-2147483646)":                                      {grp},
		"(sAMAccountType=805306368)":                                   {ann, bob},
		"(memberOf=" + grp + ")":                                       {ann},
		"(memberOf=" + strings.ToUpper(grp) + ")":                      {ann},
		"(member=" + ann + ")":                                         {grp},
		"(manager=" + ann + ")":                                        {bob},
		"(memberOf=CN=Nobody," + c.target.Base + ")":                   {},
		"(distinguishedName=" + bob + ")":                              {bob},
		"(name=b*)":                                                    {bob},
		"(sAMAccountName=" + strings.ToUpper(c.account("ann")) + ")":   {ann},
		"(uSNChanged>=999999999)":                                      {},
		"(&(uSNChanged>=1)(objectClass=group))":                        {grp},
		"(whenCreated>=20200101000000.0Z)":                             {c.ou, ann, bob, grp, con},
		"(isDeleted=TRUE)":                                             {},
		"(&(objectClass=user)(!(isCriticalSystemObject=TRUE)))":        {ann, bob},
		"(&(objectClass=user)(|(department=sales)(department=other)))": {ann},
	} {
		c.wantNames(filter, c.find(c.ou, ldap.ScopeWholeSubtree, filter, []string{"1.1"}), want...)
	}
}

func ignoreCase(c *client) {
	dn := c.addUser("CN=Müller Änne", "mueller", attrs{"displayName": {"Änne MÜLLER"}})
	for _, spelling := range []string{strings.ToUpper(dn), strings.ToLower(dn), strings.ReplaceAll(dn, "CN=", "cn=")} {
		c.wantNames("base "+spelling, c.find(spelling, ldap.ScopeBaseObject, "(objectClass=*)", []string{"1.1"}), dn)
	}
	c.wantNames("filter", c.find(c.ou, ldap.ScopeWholeSubtree, "(displayname=änne müller)", []string{"1.1"}), dn)
}

func byGUID(c *client) {
	dn := c.addUser("CN=By Guid", "byguid", nil)
	g := c.guid(dn)
	c.wantNames("base", c.find(guidDN(g), ldap.ScopeBaseObject, "(objectClass=*)", []string{"1.1"}), dn)
	c.wantNames("bytes in a filter", c.find(c.target.Base, ldap.ScopeWholeSubtree, "(objectGUID="+hexFilter(g)+")", []string{"1.1"}), dn)
	c.rename(dn, "CN=Other Name", "")
	c.wantNames("after a rename", c.find(guidDN(g), ldap.ScopeBaseObject, "(objectClass=*)", []string{"1.1"}), c.in("CN=Other Name"))
	c.modify(guidDN(g), func(r *ldap.ModifyRequest) { r.Replace("title", []string{"by guid"}) })
	if got := c.read(c.in("CN=Other Name"), "title").GetAttributeValue("title"); got != "by guid" {
		c.Errorf("a modify by <GUID=> left title %q", got)
	}
	unknown := "<GUID=00000000-0000-0000-0000-00000000abcd>"
	_, err := c.conn.Search(ldap.NewSearchRequest(unknown, 0, 0, 0, 0, false, "(objectClass=*)", nil, nil))
	c.wantCode("an unknown GUID", err, ldap.LDAPResultNoSuchObject)
}

func consistencyGUID(c *client) {
	dn := c.addUser("CN=Anchor", "anchor", nil)
	anchor := "\x00\xff(*)\\" + c.guid(dn)[:10]
	c.replace(dn, "mS-DS-ConsistencyGuid", anchor)
	if got := string(c.read(dn, "mS-DS-ConsistencyGuid").GetRawAttributeValue("mS-DS-ConsistencyGuid")); got != anchor {
		c.Errorf("mS-DS-ConsistencyGuid is %x, want %x", got, anchor)
	}
	c.wantNames("search", c.find(c.target.Base, ldap.ScopeWholeSubtree, "(mS-DS-ConsistencyGuid="+hexFilter(anchor)+")", []string{"1.1"}), dn)
}

func extendedNames(c *client) {
	user := c.addUser("CN=Ext", "ext", nil)
	group := c.addGroup("CN=ExtG", "extg", user)
	want := guidDN(c.guid(user))
	text := c.find(group, ldap.ScopeBaseObject, "(objectClass=*)", []string{"member"}, extendedText)
	if len(text) != 1 || !strings.HasPrefix(text[0].DN, guidDN(c.guid(group))+";<SID=S-1-5-21-") || !strings.HasSuffix(text[0].DN, ">;"+group) {
		c.Fatalf("the entry's name is %q", dnsOf(text))
	}
	if m := text[0].GetAttributeValue("member"); !strings.HasPrefix(m, want+";<SID=S-1-5-21-") || !strings.HasSuffix(m, ">;"+user) {
		c.Errorf("member is %q, want %s;<SID=...>;%s", m, want, user)
	}
	hex := c.find(group, ldap.ScopeBaseObject, "(objectClass=*)", []string{"member"}, extendedHex)
	if m := hex[0].GetAttributeValue("member"); !strings.HasPrefix(m, fmt.Sprintf("<GUID=%x>;<SID=0105", c.guid(user))) {
		c.Errorf("member in hexadecimal form is %q", m)
	}
}

func parentGUID(c *client) {
	c.addOU(c.in("OU=Up"))
	dn := c.addUser("CN=Child,OU=Up", "child", nil)
	if got := string(c.read(dn, "parentGUID").GetRawAttributeValue("parentGUID")); got != c.guid(c.in("OU=Up")) {
		c.Errorf("parentGUID is %x", got)
	}
	c.rename(dn, "CN=Child", c.ou)
	if got := string(c.read(c.in("CN=Child"), "parentGUID").GetRawAttributeValue("parentGUID")); got != c.guid(c.ou) {
		c.Errorf("parentGUID after a move is %x", got)
	}
}

func backLinks(c *client) {
	user := c.addUser("CN=Linked", "linked", nil)
	boss := c.addUser("CN=Boss", "boss", nil)
	one, two := c.addGroup("CN=One", "one", user), c.addGroup("CN=Two", "two", user)
	c.wantDNs("memberOf", c.read(user, "memberOf").GetAttributeValues("memberOf"), one, two)
	c.replace(user, "manager", boss)
	c.wantDNs("directReports", c.read(boss, "directReports").GetAttributeValues("directReports"), user)
	c.rename(user, "CN=Renamed, Linked"[:10], "")
	renamed := c.in("CN=Renamed")
	c.wantDNs("member after a rename", c.read(one, "member").GetAttributeValues("member"), renamed)
	c.modify(one, func(r *ldap.ModifyRequest) { r.Delete("member", []string{renamed}) })
	c.wantDNs("memberOf after a removal", c.read(renamed, "memberOf").GetAttributeValues("memberOf"), two)
	c.remove(renamed)
	if got := c.read(two, "member").GetAttributeValues("member"); len(got) != 0 {
		c.Errorf("the group still has %q after its member was deleted", got)
	}
}

func inChain(c *client) {
	user := c.addUser("CN=Nested", "nested", nil)
	inner := c.addGroup("CN=Inner", "innerg", user)
	outer := c.addGroup("CN=Outer", "outerg", inner)
	c.modify(inner, func(r *ldap.ModifyRequest) { r.Add("member", []string{outer}) }) // a circle must not hang
	c.wantNames("members", c.find(c.ou, ldap.ScopeWholeSubtree, "(&(objectClass=user)(memberOf:1.2.840.113556.1.4.1941:="+outer+"))", []string{"1.1"}), user)
	c.wantNames("groups", c.find(c.ou, ldap.ScopeWholeSubtree, "(&(objectClass=group)(member:1.2.840.113556.1.4.1941:="+user+"))", []string{"1.1"}), inner, outer)
}

func asked(c *client) {
	dn := c.addUser("CN=Asked", "asked", attrs{"mail": {"asked@a.test"}, "title": {"T"}})
	e := c.read(dn, "MAIL", "samaccountname", "nosuchattribute")
	if len(e.Attributes) != 2 || e.GetAttributeValue("mail") != "asked@a.test" || e.GetAttributeValue("sAMAccountName") == "" {
		c.Errorf("got %v", e.Attributes)
	}
	if e := c.read(dn, "1.1"); len(e.Attributes) != 0 {
		c.Errorf("1.1 gives %v", e.Attributes)
	}
	e = c.read(dn)
	if e.GetAttributeValue("title") != "T" || e.GetAttributeValue("distinguishedName") != dn || len(e.GetAttributeValues("parentGUID")) != 0 {
		c.Errorf("all attributes are %v", e.Attributes)
	}
}

func standardAttributes(c *client) {
	user, group := c.addUser("CN=Std", "std", nil), c.addGroup("CN=StdG", "stdg")
	for dn, want := range map[string]map[string]string{
		user: {"objectCategory": "CN=Person,CN=Schema,CN=Configuration," + c.target.Base, "instanceType": "4", "primaryGroupID": "513",
			"sAMAccountType": "805306368", "cn": "Std", "name": "Std", "accountExpires": "9223372036854775807"},
		group: {"groupType": "-2147483646", "sAMAccountType": "268435456"},
	} {
		e := c.read(dn)
		for name, value := range want {
			if got := e.GetAttributeValue(name); got != value {
				c.Errorf("%s of %s is %q, want %q", name, dn, got, value)
			}
		}
		for _, name := range []string{"objectGUID", "objectSid", "uSNChanged", "uSNCreated", "whenChanged", "whenCreated"} {
			if e.GetAttributeValue(name) == "" {
				c.Errorf("%s of %s is missing", name, dn)
			}
		}
	}
	admin := c.read("CN=Administrator,CN=Users,"+c.target.Base, "isCriticalSystemObject")
	if admin.GetAttributeValue("isCriticalSystemObject") != "TRUE" {
		c.Error("Administrator is not a critical system object")
	}
}

func comparing(c *client) {
	dn := c.addUser("CN=Cmp", "cmp", attrs{"mail": {"cmp@a.test"}})
	for value, want := range map[string]bool{"cmp@a.test": true, "other@a.test": false} {
		if got, err := c.conn.Compare(dn, "mail", value); err != nil || got != want {
			c.Errorf("compare with %s: %v, %v", value, got, err)
		}
	}
}

func paging(c *client) {
	const total = 2500
	for i := range total {
		c.add(c.in(fmt.Sprintf("CN=Contact %04d", i)), attrs{"objectClass": {"contact"}})
	}
	r := ldap.NewSearchRequest(c.ou, ldap.ScopeSingleLevel, 0, 0, 0, false, "(objectClass=contact)", []string{"cn"}, nil)
	res, err := c.conn.SearchWithPaging(r, 700)
	if err != nil {
		c.Fatalf("paging: %v", err)
	}
	seen := map[string]bool{}
	for _, e := range res.Entries {
		seen[e.GetAttributeValue("cn")] = true
	}
	if len(res.Entries) != total || len(seen) != total {
		c.Errorf("%d entries, %d different, want %d", len(res.Entries), len(seen), total)
	}
}
