package conformance

import (
	"slices"
	"strings"

	"github.com/go-ldap/ldap/v3"
)

var syncScenarios = []scenario{
	{"DirSyncTellsOfAnAdd", syncAdd},
	{"DirSyncTellsOfChangedAttributesAlone", syncModify},
	{"DirSyncTellsOfDeletedAttributesByZeroValues", syncAttributeDelete},
	{"DirSyncTellsOfSingleMembers", syncMembers},
	{"DirSyncWithoutIncrementalValuesGivesAllMembers", syncWholeMembers},
	{"DirSyncTellsOfManagers", syncManager},
	{"DirSyncTellsOfRenamesAndMoves", syncRename},
	{"DirSyncKeepsSilentAboutChildrenOfARenamedOU", syncOURename},
	{"DirSyncTellsOfDeletes", syncDelete},
	{"DirSyncTellsOfEachDeleteInATree", syncTreeDelete},
	{"DirSyncTellsOfAnUndelete", syncUndelete},
	{"DirSyncTellsThatAPasswordChanged", syncPassword},
	{"DirSyncMembersCarryTheGUIDWithExtendedNames", syncExtended},
	{"DirSyncStartsOnlyAtANamingContext", syncBase},
	{"DirSyncNeedsARight", syncRights},
	{"DirSyncRefusesADamagedCookie", syncBadCookie},
	{"DirSyncGivesTheWholeDirectoryFirst", syncInitial},
}

const incrementalValues = 0x80000000

// syncNames are what engines ask for.
var syncNames = []string{"name", "objectClass", "sAMAccountName", "userPrincipalName", "mail", "title", "member", "manager",
	"userAccountControl", "isDeleted", "lastKnownParent", "parentGUID", "objectSid", "mS-DS-ConsistencyGuid"}

// syncState is a client's side of DirSync.
type syncState struct {
	c        *client
	names    []string
	filter   string
	flags    int64
	controls []ldap.Control
	cookie   []byte
}

// sync starts from now. The filter of the first synchronization spares the transfer: a cookie does not depend on it.
func (c *client) sync() *syncState {
	c.Helper()
	s := &syncState{c: c, names: syncNames, filter: "(cn=no such name)", flags: incrementalValues}
	s.all()
	s.filter = "(objectClass=*)"
	return s
}

// round asks once. The request is new each time: go-ldap puts the control, with its old cookie, into the one it is given.
func (s *syncState) round(base string) (*ldap.SearchResult, *ldap.ControlDirSync, error) {
	controls := slices.Clone(s.controls)
	r := ldap.NewSearchRequest(base, ldap.ScopeWholeSubtree, 0, 0, 0, false, s.filter, s.names, controls)
	res, err := s.c.conn.DirSync(r, s.flags, 0, s.cookie)
	if err != nil {
		return nil, nil, err
	}
	k, ok := ldap.FindControl(res.Controls, ldap.ControlTypeDirSync).(*ldap.ControlDirSync)
	if !ok {
		s.c.Fatal("the answer to DirSync has no DirSync control")
	}
	return res, k, nil
}

// all reads until the server has no more to tell.
func (s *syncState) all() []*ldap.Entry {
	s.c.Helper()
	var out []*ldap.Entry
	for {
		res, k, err := s.round(s.c.target.Base)
		if err != nil {
			s.c.Fatalf("DirSync: %v", err)
		}
		out = append(out, res.Entries...)
		s.cookie = k.Cookie
		if k.Flags == 0 {
			return out
		}
	}
}

// changes gives the next changes by objectGUID. Two entries of one object would be two changes: none is expected.
func (s *syncState) changes() map[string]*ldap.Entry {
	s.c.Helper()
	out := map[string]*ldap.Entry{}
	for _, e := range s.all() {
		g := string(e.GetRawAttributeValue("objectGUID"))
		if len(g) != 16 || out[g] != nil {
			s.c.Fatalf("objectGUID of %s is missing or repeated", e.DN)
		}
		out[g] = e
	}
	return out
}

// one expects changes of one object alone and gives them.
func (s *syncState) one(guid string) *ldap.Entry {
	s.c.Helper()
	got := s.changes()
	if len(got) != 1 || got[guid] == nil {
		s.c.Fatalf("changes of %d objects, among them the expected: %v", len(got), got[guid] != nil)
	}
	return got[guid]
}

// wantAttributes fails unless the entry has these attributes and, besides, only those that are always sent.
func (c *client) wantAttributes(e *ldap.Entry, want ...string) {
	c.Helper()
	var got []string
	for _, a := range e.Attributes {
		if a.Name != "objectGUID" && a.Name != "instanceType" {
			got = append(got, a.Name)
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		c.Errorf("attributes of %s are %q, want %q", e.DN, got, want)
	}
}

// wantEmpty fails unless the attribute is there without values, which is how DirSync tells of its end.
func (c *client) wantEmpty(e *ldap.Entry, name string) {
	c.Helper()
	i := slices.IndexFunc(e.Attributes, func(a *ldap.EntryAttribute) bool { return a.Name == name })
	if i < 0 || len(e.Attributes[i].Values) != 0 {
		c.Errorf("%s of %s: present %v, want it without values", name, e.DN, i >= 0)
	}
}

func syncAdd(c *client) {
	s := c.sync()
	user := c.addUser("CN=New", "new", attrs{"mail": {"new@a.test"}, "mS-DS-ConsistencyGuid": {"0123456789abcdef"}})
	e := s.one(c.guid(user))
	c.wantAttributes(e, "name", "objectClass", "sAMAccountName", "mail", "userAccountControl", "parentGUID", "objectSid", "mS-DS-ConsistencyGuid")
	if e.DN != user || e.GetAttributeValue("mail") != "new@a.test" || string(e.GetRawAttributeValue("parentGUID")) != c.guid(c.ou) {
		c.Errorf("the add is told as %s %v", e.DN, e.Attributes)
	}
	if got := s.all(); len(got) != 0 {
		c.Errorf("%d changes though nothing changed", len(got))
	}
}

func syncModify(c *client) {
	user := c.addUser("CN=Mod", "mod", attrs{"mail": {"mod@a.test"}})
	s := c.sync()
	c.replace(user, "mail", "mod2@a.test")
	e := s.one(c.guid(user))
	c.wantAttributes(e, "mail")
	if e.GetAttributeValue("mail") != "mod2@a.test" {
		c.Errorf("mail is told as %q", e.GetAttributeValues("mail"))
	}
	c.replace(user, "department", "not asked for")
	if got := s.all(); len(got) != 0 {
		c.Errorf("a change of an attribute that is not asked for gives %v", dnsOf(got))
	}
	c.replace(user, "mail", "mod2@a.test")
	if got := s.all(); len(got) != 0 {
		c.Errorf("writing the same value gives %v", dnsOf(got))
	}
}

func syncAttributeDelete(c *client) {
	user := c.addUser("CN=Del", "del", attrs{"mail": {"del@a.test"}})
	s := c.sync()
	c.modify(user, func(r *ldap.ModifyRequest) { r.Delete("mail", nil) })
	e := s.one(c.guid(user))
	c.wantAttributes(e, "mail")
	c.wantEmpty(e, "mail")
}

func syncMembers(c *client) {
	a, b, d := c.addUser("CN=A", "sma", nil), c.addUser("CN=B", "smb", nil), c.addUser("CN=D", "smd", nil)
	group := c.addGroup("CN=G", "smg", a)
	g := c.guid(group)
	s := c.sync()
	c.modify(group, func(r *ldap.ModifyRequest) { r.Add("member", []string{b, d}) })
	e := s.one(g)
	c.wantAttributes(e, "member;range=1-1")
	c.wantDNs("added", e.GetAttributeValues("member;range=1-1"), b, d)
	c.modify(group, func(r *ldap.ModifyRequest) { r.Delete("member", []string{a}) })
	e = s.one(g)
	c.wantAttributes(e, "member;range=0-0")
	c.wantDNs("removed", e.GetAttributeValues("member;range=0-0"), a)
	c.replace(group, "member", a, b)
	e = s.one(g)
	c.wantAttributes(e, "member;range=0-0", "member;range=1-1")
	// Samba tells of unchanged values of a replace as well, AD does not: only what was added must be there.
	if !slices.Contains(e.GetAttributeValues("member;range=1-1"), a) {
		c.Errorf("%s is not told of as added by a replace: %q", a, e.GetAttributeValues("member;range=1-1"))
	}
	c.wantDNs("removed by a replace", e.GetAttributeValues("member;range=0-0"), d)
}

func syncWholeMembers(c *client) {
	a, b := c.addUser("CN=A", "swa", nil), c.addUser("CN=B", "swb", nil)
	group := c.addGroup("CN=G", "swg", a)
	s := c.sync()
	s.flags = 0
	c.modify(group, func(r *ldap.ModifyRequest) { r.Add("member", []string{b}) })
	e := s.one(c.guid(group))
	c.wantAttributes(e, "member")
	c.wantDNs("members", e.GetAttributeValues("member"), a, b)
	c.replace(group, "member")
	e = s.one(c.guid(group))
	c.wantEmpty(e, "member")
}

func syncManager(c *client) {
	one, two, user := c.addUser("CN=One", "mg1", nil), c.addUser("CN=Two", "mg2", nil), c.addUser("CN=U", "mgu", nil)
	s := c.sync()
	c.replace(user, "manager", one)
	e := s.one(c.guid(user))
	c.wantAttributes(e, "manager;range=1-1")
	c.replace(user, "manager", two)
	e = s.one(c.guid(user))
	c.wantDNs("old manager", e.GetAttributeValues("manager;range=0-0"), one)
	c.wantDNs("new manager", e.GetAttributeValues("manager;range=1-1"), two)
	s.flags = 0
	c.modify(user, func(r *ldap.ModifyRequest) { r.Delete("manager", nil) })
	c.wantEmpty(s.one(c.guid(user)), "manager")
}

func syncRename(c *client) {
	c.addOU(c.in("OU=There"))
	user := c.addUser("CN=Old", "ren", nil)
	group := c.addGroup("CN=G", "reng", user)
	g := c.guid(user)
	s := c.sync()
	c.rename(user, "CN=New", "")
	e := s.one(g) // the group is not told of
	c.wantAttributes(e, "name", "parentGUID")
	if e.DN != c.in("CN=New") || e.GetAttributeValue("name") != "New" {
		c.Errorf("the rename is told as %s", e.DN)
	}
	c.rename(c.in("CN=New"), "CN=New", c.in("OU=There"))
	e = s.one(g)
	c.wantAttributes(e, "name", "parentGUID")
	if e.DN != c.in("CN=New,OU=There") || string(e.GetRawAttributeValue("parentGUID")) != c.guid(c.in("OU=There")) {
		c.Errorf("the move is told as %s", e.DN)
	}
	c.wantDNs("member", c.read(group, "member").GetAttributeValues("member"), c.in("CN=New,OU=There"))
}

func syncOURename(c *client) {
	c.addOU(c.in("OU=Before"))
	c.addUser("CN=Kid,OU=Before", "kid", nil)
	s := c.sync()
	c.rename(c.in("OU=Before"), "OU=After", "")
	e := s.one(c.guid(c.in("OU=After")))
	c.wantAttributes(e, "name", "parentGUID")
	c.replace(c.in("CN=Kid,OU=After"), "title", "moved silently")
	if e := s.one(c.guid(c.in("CN=Kid,OU=After"))); e.DN != c.in("CN=Kid,OU=After") {
		c.Errorf("the child is told of as %s", e.DN)
	}
}

func syncDelete(c *client) {
	user := c.addUser("CN=Gone", "gone", attrs{"mail": {"gone@a.test"}, "mS-DS-ConsistencyGuid": {"0123456789abcdef"}})
	boss := c.addUser("CN=Reports To Gone", "rtg", attrs{"manager": {user}})
	group := c.addGroup("CN=G", "goneg", user)
	g, parent := c.guid(user), c.guid(c.ou)
	s := c.sync()
	s.filter = "(objectClass=user)" // objectCategory is gone from a tombstone: a filter on it never tells of deletes
	c.remove(user)
	e := s.one(g) // neither the group nor the one who reported to it is told of
	c.wantTombstone(e, parent)
	c.wantEmpty(e, "mail")
	c.wantEmpty(e, "mS-DS-ConsistencyGuid")
	for _, dn := range []string{group, boss} {
		if left := c.read(dn, "member", "manager"); len(left.Attributes) != 0 {
			c.Errorf("%s still has %v", dn, left.Attributes)
		}
	}
}

// wantTombstone checks how a delete is told.
func (c *client) wantTombstone(e *ldap.Entry, parent string) {
	c.Helper()
	if !strings.Contains(e.DN, `\0ADEL:`) || !strings.HasSuffix(e.DN, ",CN=Deleted Objects,"+c.target.Base) {
		c.Errorf("the tombstone is called %q", e.DN)
	}
	if e.GetAttributeValue("isDeleted") != "TRUE" {
		c.Errorf("isDeleted is %q", e.GetAttributeValues("isDeleted"))
	}
	if string(e.GetRawAttributeValue("parentGUID")) == parent {
		c.Error("parentGUID still names the old parent")
	}
	if e.GetAttributeValue("lastKnownParent") == "" {
		c.Error("lastKnownParent is missing")
	}
}

func syncTreeDelete(c *client) {
	c.addOU(c.in("OU=Tree"))
	user := c.addUser("CN=Leaf,OU=Tree", "leaf", nil)
	ids := []string{c.guid(user), c.guid(c.in("OU=Tree"))}
	s := c.sync()
	if err := c.conn.Del(ldap.NewDelRequest(c.in("OU=Tree"), []ldap.Control{ldap.NewControlSubtreeDelete()})); err != nil {
		c.Fatalf("deleting a tree: %v", err)
	}
	got := s.changes()
	for _, g := range ids {
		if got[g] == nil {
			c.Fatalf("%d changes, one of the deleted is missing", len(got))
		}
		c.wantTombstone(got[g], c.guid(c.ou))
	}
	if len(got) != len(ids) {
		c.Errorf("%d changes, want %d", len(got), len(ids))
	}
}

func syncUndelete(c *client) {
	user := c.addUser("CN=Back", "back", attrs{"mail": {"back@a.test"}})
	g := c.guid(user)
	c.remove(user)
	s := c.sync()
	c.undelete(g, user)
	e := s.one(g)
	c.wantEmpty(e, "isDeleted")
	if e.DN != user || e.GetAttributeValue("name") != "Back" || string(e.GetRawAttributeValue("parentGUID")) != c.guid(c.ou) {
		c.Errorf("the undelete is told as %s %v", e.DN, e.Attributes)
	}
}

func syncPassword(c *client) {
	user := c.addUser("CN=Pw", "pw", nil)
	s := c.sync()
	s.names = nil
	c.replace(user, "unicodePwd", quoted(password))
	e := s.one(c.guid(user))
	c.wantEmpty(e, "unicodePwd")
	if v := e.GetAttributeValue("pwdLastSet"); v == "" || v == "0" {
		c.Errorf("pwdLastSet is told as %q", v)
	}
}

func syncExtended(c *client) {
	user, group := c.addUser("CN=X", "sxu", nil), c.addGroup("CN=G", "sxg")
	s := c.sync()
	s.controls = []ldap.Control{extendedText}
	c.modify(group, func(r *ldap.ModifyRequest) { r.Add("member", []string{user}) })
	e := s.one(c.guid(group))
	if m := e.GetAttributeValue("member;range=1-1"); !strings.HasPrefix(m, guidDN(c.guid(user))+";<SID=") || !strings.HasSuffix(m, ";"+user) {
		c.Errorf("the member is told as %q", m)
	}
	if !strings.HasSuffix(e.DN, ";"+group) || !strings.HasPrefix(e.DN, guidDN(c.guid(group))) {
		c.Errorf("the group is told as %q", e.DN)
	}
}

func syncBase(c *client) {
	s := &syncState{c: c, names: syncNames, filter: "(objectClass=*)"}
	_, _, err := s.round(c.ou)
	c.wantCode("an OU, all rights", err, ldap.LDAPResultInsufficientAccessRights)
	s.flags = 1
	_, _, err = s.round(c.ou)
	c.wantCode("an OU, OBJECT_SECURITY", err, ldap.LDAPResultUnwillingToPerform)
	s.flags = 0
	if _, _, err = s.round("CN=Configuration," + c.target.Base); err != nil {
		c.Errorf("the configuration: %v", err)
	}
}

func syncRights(c *client) {
	user := c.addUser("CN=Plain", "plain", attrs{"unicodePwd": {quoted(password)}, "mail": {"plain@a.test"}})
	for _, who := range []struct {
		name, pass string
		flags      int64
		want       uint16
	}{
		{c.target.ReadOnlyUser, c.target.ReadOnlyPassword, 0, ldap.LDAPResultSuccess},
		{c.account("plain") + "@" + c.target.Domain, password, 0, ldap.LDAPResultInsufficientAccessRights},
		{c.account("plain") + "@" + c.target.Domain, password, 1, ldap.LDAPResultSuccess},
	} {
		conn := c.target.dial(c.T)
		if err := conn.Bind(who.name, who.pass); err != nil {
			c.Fatalf("binding as %s: %v", who.name, err)
		}
		s := &syncState{c: &client{T: c.T, target: c.target, conn: conn}, names: syncNames, filter: "(mail=plain@a.test)", flags: who.flags}
		res, _, err := s.round(c.target.Base)
		if who.want != ldap.LDAPResultSuccess {
			c.wantCode(who.name, err, who.want)
			continue
		}
		if err != nil {
			c.Errorf("%s with flags %d: %v", who.name, who.flags, err)
			continue
		}
		c.wantNames(who.name, res.Entries, user)
	}
}

func syncBadCookie(c *client) {
	s := &syncState{c: c, names: syncNames, filter: "(objectClass=*)", cookie: []byte("garbage")}
	_, _, err := s.round(c.target.Base)
	c.wantCode("garbage as a cookie", err, ldap.LDAPResultUnavailableCriticalExtension)
	good := c.sync()
	s.cookie = good.cookie[:len(good.cookie)-3]
	_, _, err = s.round(c.target.Base)
	c.wantCode("a cookie cut short", err, ldap.LDAPResultUnavailableCriticalExtension)
}

func syncInitial(c *client) {
	user := c.addUser("CN=There", "there", nil)
	group := c.addGroup("CN=G", "thereg", user)
	s := &syncState{c: c, names: syncNames, filter: "(objectClass=*)", flags: incrementalValues}
	got := s.changes()
	for _, dn := range []string{user, group, c.ou, c.target.Base, "CN=Administrator,CN=Users," + c.target.Base} {
		if e := got[c.guid(dn)]; e == nil || e.DN != dn {
			c.Errorf("%s is not in the first synchronization", dn)
		}
	}
	if e := got[c.guid(group)]; e != nil {
		c.wantDNs("first members", e.GetAttributeValues("member;range=1-1"), user)
	}
	if len(s.changes()) != 0 {
		c.Error("the synchronization after the first is not empty")
	}
}
