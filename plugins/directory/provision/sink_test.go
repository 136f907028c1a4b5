package provision_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"

	"github.com/tandem-sync/tandem/examples/lab/delegation"
	"github.com/tandem-sync/tandem/plugins/credential"
	"github.com/tandem-sync/tandem/plugins/directory"
	sink "github.com/tandem-sync/tandem/plugins/directory/provision"
	"github.com/tandem-sync/tandem/plugins/provision"
	"github.com/tandem-sync/tandem/plugins/secret"
	"github.com/tandem-sync/tandem/scoping"
)

func TestAUserIsMadeByOneOperationAndRenamed(t *testing.T) {
	everywhere(t, func(w *world) {
		add := w.target(provision.Add, scoping.User)
		o := w.carry(add, provision.Values{Set: set("sAMAccountName", "ann"+w.suffix, "userPrincipalName", "ann"+w.suffix+"@"+w.domain, "displayName", "Ann Miller", "givenName", "Ann", "sn", "Miller", "employeeID", "7")})
		w.wants("add", o, provision.Done)
		dn := "CN=" + add.Link.Value + "," + w.ou
		if o.Result.DN != dn || o.Result.Object != w.guid(dn) || o.Result.Invocation != add.Invocation || o.Result.USN == 0 {
			w.Errorf("%+v", o.Result)
		}
		w.has(dn, w.link, add.Link.Value)
		w.has(dn, "userAccountControl", "514")
		w.has(dn, "displayName", "Ann Miller")
		stamp, err := credential.ParseStamp(o.Result.Stamp)
		if err != nil || stamp.Version != 1 || stamp.Invocation != add.Invocation || stamp.USN == 0 {
			w.Errorf("the password's stamp is %q: %v", o.Result.Stamp, err)
		}
		if told := w.see(o.Result.Object, provision.PasswordStamp).Values[provision.PasswordStamp]; len(told) != 1 || told[0] != o.Result.Stamp {
			w.Errorf("a look tells the password's stamp as %q, and it is %q", told, o.Result.Stamp)
		}
		if set := w.entry(dn, "pwdLastSet").GetAttributeValue("pwdLastSet"); set == "0" || set == "" {
			w.Errorf("it has no password: pwdLastSet is %q", set)
		}
		w.wants("the same again", w.carry(add, provision.Values{Set: set("sAMAccountName", "ann2"+w.suffix)}), provision.Exists, add.Link.Value)
		ren := w.of(add, o.Result.Object, provision.Rename)
		r := w.carry(ren, provision.Values{WasName: add.Link.Value, Name: "Miller, Ann #1"})
		w.wants("rename", r, provision.Done)
		if want := `CN=Miller\, Ann #1,` + w.ou; r.Result.DN != want && r.Result.DN != strings.ReplaceAll(want, "#", `\#`) {
			w.Errorf("renamed to %q", r.Result.DN)
		}
		w.wants("rename of what has another name", w.carry(ren, provision.Values{WasName: add.Link.Value, Name: "Another"}), provision.Precondition, "somebody renamed it")
		w.wants("add of what was renamed since", w.carry(add, provision.Values{Set: set("sAMAccountName", "ann2"+w.suffix)}), provision.Exists)
	})
}

// An account that shows the link of an object of the tenant was made for one by a write whose record is lost: its join returns the stamp of the random
// password that it was made with, as long as it has that one.
func TestAJoinTellsOfAPasswordThatNobodyKnows(t *testing.T) {
	everywhere(t, func(w *world) {
		add := w.target(provision.Add, scoping.User)
		made := w.carry(add, provision.Values{Set: set("sAMAccountName", "jo"+w.suffix)})
		w.wants("add", made, provision.Done)
		join := w.of(add, made.Result.Object, provision.Join)
		join.WasLink = join.Link.Value
		again := w.carry(join, provision.Values{})
		w.wants("join", again, provision.Done)
		if again.Result.Stamp != made.Result.Stamp || again.Result.Stamp == "" {
			w.Errorf("made with %q, joined with %q", made.Result.Stamp, again.Result.Stamp)
		}
		dn := "CN=" + add.Link.Value + "," + w.ou
		w.newPassword(dn, "An0ther-one-that-she-knows!")
		changed := w.carry(join, provision.Values{})
		w.wants("join after a change", changed, provision.Done)
		if changed.Result.Stamp != "" {
			w.Errorf("a password that its user chose is told as one that nobody knows: %q", changed.Result.Stamp)
		}
	})
}

func TestEveryOperationOverBoth(t *testing.T) {
	everywhere(t, func(w *world) {
		tt, g := w.user("bob")
		mod := w.of(tt, g, provision.Modify)
		w.wants("modify", w.carry(mod, provision.Values{Set: []provision.Set{{Attribute: "displayName", Was: []string{"bob"}, To: []string{"Bob"}}, {Attribute: "title", To: []string{"Chief"}}},
			Disabled: &provision.Switch{Was: true, To: false}}), provision.Done)
		dn := "CN=" + tt.Link.Value + "," + w.ou
		w.has(dn, "displayName", "Bob")
		w.has(dn, "title", "Chief")
		w.has(dn, "userAccountControl", "512")
		w.wants("a value that is another one", w.carry(mod, provision.Values{Set: []provision.Set{{Attribute: "title", Was: []string{"Boss"}, To: []string{"Clerk"}}, {Attribute: "sn", To: []string{"x"}}}}), provision.Precondition)
		w.has(dn, "title", "Chief")
		w.has(dn, "sn")
		w.wants("a value where none should be", w.carry(mod, provision.Values{Set: []provision.Set{{Attribute: "title", To: []string{"Clerk"}}}}), provision.Precondition)
		w.wants("disabled already", w.carry(mod, provision.Values{Disabled: &provision.Switch{Was: true, To: false}}), provision.Precondition)
		w.wants("disable", w.carry(mod, provision.Values{Disabled: &provision.Switch{Was: false, To: true}}), provision.Done)
		w.wants("clear", w.carry(mod, provision.Values{Set: []provision.Set{{Attribute: "title", Was: []string{"Chief"}}}}), provision.Done)
		w.has(dn, "title")
		move := w.of(tt, g, provision.Move)
		move.Container = w.guid(w.below)
		w.wants("move", w.carry(move, provision.Values{From: w.guid(w.ou)}), provision.Done)
		w.wants("move again", w.carry(move, provision.Values{From: w.guid(w.ou)}), provision.Precondition, "somebody moved it")
		move.Container = w.guid(w.other)
		w.wants("move out", w.carry(move, provision.Values{From: w.guid(w.below)}), provision.Outside)
		del := w.of(tt, g, provision.Delete)
		w.wants("delete", w.carry(del, provision.Values{}), provision.Done)
		w.wants("delete again", w.carry(del, provision.Values{}), provision.Vanished)
		w.wants("modify what was deleted", w.carry(mod, provision.Values{Set: set("title", "x")}), provision.Vanished)
	})
}

func TestWhatSomebodyElseWroteMeanwhileIsNotOverwritten(t *testing.T) {
	everywhere(t, func(w *world) {
		tt, g := w.user("carl")
		mod, dn := w.of(tt, g, provision.Modify), "CN="+tt.Link.Value+","+w.ou
		w.change(dn, "title", "Clerk")
		for name, c := range map[string]struct {
			between func()
			values  provision.Values
		}{
			"the link":           {func() { w.change(dn, w.link, "User_of somebody else") }, provision.Values{Set: set("sn", "x")}},
			"no link any more":   {func() { w.change(dn, w.link) }, provision.Values{Set: set("sn", "x")}},
			"a value":            {func() { w.change(dn, "title", "Boss") }, provision.Values{Set: []provision.Set{{Attribute: "title", Was: []string{"Clerk"}, To: []string{"Chief"}}, {Attribute: "sn", To: []string{"x"}}}}},
			"a value where none": {func() { w.change(dn, "sn", "y") }, provision.Values{Set: set("sn", "x")}},
			"security disables":  {func() { w.change(dn, "userAccountControl", "66050") }, provision.Values{Set: set("sn", "x"), Disabled: &provision.Switch{Was: true, To: false}}},
		} {
			end := sink.Between(c.between)
			o := w.carry(mod, c.values)
			end()
			w.wants(name, o, provision.Precondition)
			if sn := w.entry(dn, "sn").GetAttributeValue("sn"); sn == "x" {
				w.Errorf("%s: a part of it was written", name)
			}
			w.change(dn, w.link, tt.Link.Value)
			w.change(dn, "title", "Clerk")
			w.change(dn, "sn")
			w.change(dn, "userAccountControl", "514")
		}
		w.wants("at last", w.carry(mod, provision.Values{Set: set("sn", "x")}), provision.Done)
		rename := w.of(tt, g, provision.Rename)
		end := sink.Between(func() { w.ok(w.admin.ModifyDN(ldap.NewModifyDNRequest(dn, "CN=Elsewhere", true, ""))) })
		o := w.carry(rename, provision.Values{WasName: tt.Link.Value, Name: "Carl"})
		end()
		w.wants("renamed meanwhile", o, provision.Vanished)
		w.has(byGUID(g), "cn", "Elsewhere")
	})
}

func TestATakenNameIsToldFromATakenPerson(t *testing.T) {
	everywhere(t, func(w *world) {
		first, _ := w.user("dora")
		w.ok(w.admin.ModifyDN(ldap.NewModifyDNRequest("CN="+first.Link.Value+","+w.ou, "CN=Dora", true, "")))
		w.change("CN=Dora,"+w.ou, "userPrincipalName", "dora"+w.suffix+"@"+w.domain)
		second := w.target(provision.Add, scoping.User)
		w.wants("account name", w.carry(second, provision.Values{Set: set("sAMAccountName", "DORA"+w.suffix)}), provision.TakenName, "sAMAccountName", "CN=Dora")
		w.wants("principal name", w.carry(second, provision.Values{Set: set("sAMAccountName", "dora2"+w.suffix, "userPrincipalName", "Dora"+w.suffix+"@"+w.domain)}), provision.TakenName, "userPrincipalName", "CN=Dora")
		o := w.carry(second, provision.Values{Set: set("sAMAccountName", "dora2"+w.suffix)})
		w.wants("free", o, provision.Done)
		g := o.Result.Object
		w.wants("common name", w.carry(w.of(second, g, provision.Rename), provision.Values{WasName: second.Link.Value, Name: "DORA"}), provision.TakenName)
		w.wants("principal name of another, later", w.carry(w.of(second, g, provision.Modify), provision.Values{Set: set("userPrincipalName", "dora"+w.suffix+"@"+w.domain)}),
			provision.TakenName, "userPrincipalName")
		w.wants("rename to a free one", w.carry(w.of(second, g, provision.Rename), provision.Values{WasName: second.Link.Value, Name: "Dora 2"}), provision.Done)
		w.ok(w.admin.ModifyDN(ldap.NewModifyDNRequest("CN=Dora,"+w.ou, "CN=Dora 2", true, w.below)))
		move := w.of(second, g, provision.Move)
		move.Container = w.guid(w.below)
		w.wants("a name that is taken where it goes", w.carry(move, provision.Values{From: w.guid(w.ou)}), provision.TakenName)
		w.wants("a value that is too long", w.carry(w.of(second, g, provision.Modify), provision.Values{Set: set("employeeID", strings.Repeat("7", 17))}), provision.Invalid, "employeeID", "16")
		w.wants("a name that no account has", w.carry(w.target(provision.Add, scoping.User), provision.Values{Set: set("sAMAccountName", "a/b")}), provision.Invalid, "sAMAccountName")
	})
}

func TestProtectedObjectsAreNeverWritten(t *testing.T) {
	everywhere(t, func(w *world) {
		t1, g1 := w.user("eva")
		dn := "CN=" + t1.Link.Value + "," + w.ou
		tg, gg := w.group("nested")
		tf, gf := w.group("fine")
		w.join("CN="+tg.Link.Value+","+w.ou, dn)
		title := provision.Values{Set: set("title", "x")}
		w.wants("a member of an ordinary group", w.carry(w.of(t1, g1, provision.Modify), title), provision.Done)
		w.join("CN=Domain Admins,CN=Users,"+w.base, "CN="+tg.Link.Value+","+w.ou)
		w.Cleanup(func() {
			r := ldap.NewModifyRequest("CN=Domain Admins,CN=Users,"+w.base, nil)
			r.Delete("member", []string{"CN=" + tg.Link.Value + "," + w.ou})
			w.ok(w.admin.Modify(r))
		})
		for _, op := range []provision.Op{provision.Modify, provision.Rename, provision.Move, provision.Delete} {
			tt := w.of(t1, g1, op)
			if op == provision.Move {
				tt.Container = w.guid(w.below)
			}
			asked := false
			o := w.sink.Carry(w.Context(), tt, nil, func(context.Context) (sink.Permit, error) { asked = true; return sink.Permit{}, nil })
			w.wants(string(op)+" of an administrator through a group", o, provision.Protected, "Domain Admins")
			if asked {
				w.Errorf("%s: a permit was asked for", op)
			}
		}
		member := func(g scoping.GUID) provision.Values {
			return provision.Values{Refs: []provision.Ref{{Attribute: "member", Add: []scoping.GUID{g}}}}
		}
		w.wants("a member of a group that is in Domain Admins", w.carry(w.of(tg, gg, provision.Modify), member(g1)), provision.Protected, "through other groups")
		w.wants("a member of another group", w.carry(w.of(tf, gf, provision.Modify), member(g1)), provision.Done)
		w.ok(delegation.Grant(w.admin, w.base, w.entry("CN="+tf.Link.Value+","+w.ou, "objectSid").GetRawAttributeValue("objectSid"), delegation.Entry{Mask: delegation.WriteDAC}))
		w.wants("a group that may change the domain's access list", w.carry(w.of(tf, gf, provision.Modify), member(gg)), provision.Protected, "access list")
		w.change(w.svcDN, w.link, "User_own")
		own := w.of(t1, w.guid(w.svcDN), provision.Modify)
		own.Root, own.Link.Value = w.guid("CN=Users,"+w.base), "User_own"
		w.wants("its own account", w.carry(own, title), provision.Protected, "Tandem's own")
		w.add("CN=PC,"+w.ou, "objectClass", "computer", "sAMAccountName", "pc"+w.suffix+"$", w.link, "User_pc")
		pc := w.of(t1, w.guid("CN=PC,"+w.ou), provision.Modify)
		pc.Link.Value = "User_pc"
		w.wants("a computer", w.carry(pc, title), provision.Protected, "computer")
		asGroup := w.of(tf, g1, provision.Modify)
		w.wants("a user as a group", w.carry(asGroup, title), provision.Protected)
		t2, g2 := w.user("fred")
		o := w.sink.Carry(w.Context(), w.of(t2, g2, provision.Modify), []string{"fred" + w.suffix + "@" + w.domain}, func(context.Context) (sink.Permit, error) { return sink.Permit{}, nil })
		w.wants("an account that the host says is its own", o, provision.Protected, "Tandem's own")
	})
}

func TestMembersAndManagersAreWrittenSingly(t *testing.T) {
	everywhere(t, func(w *world) {
		tg, g := w.group("staff")
		dn := "CN=" + tg.Link.Value + "," + w.ou
		w.has(dn, "groupType", "-2147483640")
		t1, g1 := w.user("gina")
		t2, g2 := w.user("hans")
		one, two := "CN="+t1.Link.Value+","+w.ou, "CN="+t2.Link.Value+","+w.ou
		outsider := "CN=Outsider," + w.other
		w.add(outsider, "objectClass", "user", "sAMAccountName", "outsider"+w.suffix)
		mod := w.of(tg, g, provision.Modify)
		refs := func(add, remove []scoping.GUID) provision.Values {
			return provision.Values{Refs: []provision.Ref{{Attribute: "member", Add: add, Remove: remove}}}
		}
		w.wants("add two", w.carry(mod, refs([]scoping.GUID{g1, g2}, nil)), provision.Done)
		w.has(dn, "member", one, two)
		w.join(dn, outsider)
		w.wants("one is there, one is gone, one is new", w.carry(mod, refs([]scoping.GUID{g1, g2}, []scoping.GUID{w.guid(outsider)})), provision.Done)
		w.has(dn, "member", one, two)
		w.wants("everything is as it should be", w.carry(mod, refs([]scoping.GUID{g1}, []scoping.GUID{w.guid(outsider)})), provision.Done)
		w.wants("remove", w.carry(mod, refs(nil, []scoping.GUID{g1})), provision.Done)
		w.has(dn, "member", two)
		w.wants("what is not there", w.carry(mod, refs([]scoping.GUID{{9}}, nil)), provision.Precondition, "is not at")
		w.has(dn, "member", two)
		end := sink.Between(func() { w.change(dn, w.link, "Group_another") })
		o := w.carry(mod, refs([]scoping.GUID{g1}, nil))
		end()
		w.wants("the link is another one", o, provision.Precondition)
		w.has(dn, "member", two)
		manager := func(add, remove []scoping.GUID) provision.Values {
			return provision.Values{Refs: []provision.Ref{{Attribute: "manager", Add: add, Remove: remove}}}
		}
		user := w.of(t2, g2, provision.Modify)
		w.wants("manager", w.carry(user, manager([]scoping.GUID{g1}, nil)), provision.Done)
		w.has(two, "manager", one)
		w.wants("another manager", w.carry(user, manager([]scoping.GUID{w.guid(outsider)}, []scoping.GUID{g1})), provision.Done)
		w.has(two, "manager", outsider)
		w.wants("a manager that somebody else changed", w.carry(user, manager([]scoping.GUID{g1}, []scoping.GUID{g1})), provision.Precondition)
		w.has(two, "manager", outsider)
	})
}

func TestWhatStandsInTheWayIsToldBeforeThePermit(t *testing.T) {
	everywhere(t, func(w *world) {
		t1, g1 := w.user("ida")
		add := w.target(provision.Add, scoping.User)
		gone := w.guid(w.below)
		w.ok(w.admin.Del(ldap.NewDelRequest(w.below, nil)))
		for name, c := range map[string]struct {
			spoil func(*provision.Target)
			of    provision.Target
			code  provision.Code
			says  string
		}{
			"the container vanished":    {func(t *provision.Target) { t.Container = gone }, add, provision.NoContainer, "deleted"},
			"the policy's vanished":     {func(t *provision.Target) { t.Root = gone }, w.of(t1, g1, provision.Modify), provision.NoContainer, "policy"},
			"another container":         {func(t *provision.Target) { t.Container = w.guid(w.other) }, add, provision.Outside, w.other},
			"an object of elsewhere":    {func(t *provision.Target) { t.Root = w.guid(w.other) }, w.of(t1, g1, provision.Modify), provision.Outside, t1.Link.Value},
			"another controller":        {func(t *provision.Target) { t.Controller = "ldaps://elsewhere" }, add, provision.OtherController, "ldaps://elsewhere"},
			"another database":          {func(t *provision.Target) { t.Invocation = scoping.GUID{9} }, add, provision.OtherController, "restored"},
			"no such link attribute":    {func(t *provision.Target) { t.Link.Attribute = "msDS-NoSuchAttribute" }, add, provision.NoAttribute, "adminDescription"},
			"no such object":            {func(t *provision.Target) { t.Object = scoping.GUID{9} }, w.of(t1, g1, provision.Modify), provision.Vanished, "deleted"},
			"another link":              {func(t *provision.Target) { t.Link.Value = "User_x" }, w.of(t1, g1, provision.Delete), provision.Precondition, "User_x"},
			"an object that is no user": {func(t *provision.Target) { t.Object = w.guid(w.ou) }, w.of(t1, g1, provision.Modify), provision.Protected, "no user"},
			"no write":                  {func(t *provision.Target) { t.Op = "x" }, add, provision.Failed, "operation"},
		} {
			tt := c.of
			c.spoil(&tt)
			o := w.sink.Carry(w.Context(), tt, nil, func(context.Context) (sink.Permit, error) {
				w.Errorf("%s: a permit was asked for", name)
				return sink.Permit{}, nil
			})
			w.wants(name, o, c.code, c.says)
		}
		w.wants("an attribute that the schema lacks", w.carry(add, provision.Values{Set: set("noSuchAttribute", "x")}), provision.NoAttribute, "noSuchAttribute")
		w.wants("values of another operation", w.carry(add, provision.Values{Name: "x"}), provision.Failed)
		permit := func(p sink.Permit, err error) sink.Outcome {
			return w.sink.Carry(w.Context(), add, nil, func(context.Context) (sink.Permit, error) { return p, err })
		}
		w.wants("refused", permit(sink.Permit{Refused: "stopped", Remaining: time.Minute}, nil), provision.Refused, "stopped")
		w.wants("too late", permit(sink.Permit{}, nil), provision.Expired)
		w.wants("no permit", permit(sink.Permit{}, context.Canceled), provision.Refused)
		w.wants("none of it was written", w.carry(add, provision.Values{Set: set("sAMAccountName", "ida2"+w.suffix)}), provision.Done)
		none := &sink.Sink{Directory: w.connection}
		w.wants("no account", none.Carry(w.Context(), add, nil, nil), provision.NoAgent)
		wrong := &sink.Sink{Directory: w.connection, Account: directory.Account{User: w.sink.Account.User, Password: secret.Take([]byte("Wrong-Passw0rd!"))}}
		w.wants("a wrong password", wrong.Carry(w.Context(), add, nil, nil), provision.NoRights, "refused the sign-in")
		w.wants("and it is not tried again", wrong.Carry(w.Context(), add, nil, nil), provision.NoRights, "not tried again")
	})
}

func TestALackingRightIsNamedInTheRefusal(t *testing.T) {
	everywhere(t, func(w *world) {
		tt, g := w.user("lena")
		mod := w.of(tt, g, provision.Modify)
		o := w.carry(mod, provision.Values{Set: set("title", "T", "info", "I")})
		w.wants("an attribute that no mapping writes by itself", o, provision.NoRights, "info (bf96793e-0de6-11d0-a285-00aa003049e2)", w.sink.Account.User, "tandem check")
		if strings.Contains(o.Why(), "title") {
			w.Errorf("title is allowed: %s", o.Why())
		}
		w.has("CN="+tt.Link.Value+","+w.ou, "title")
		add := w.target(provision.Add, scoping.User)
		add.Root, add.Container = w.guid(w.other), w.guid(w.other)
		w.wants("a container of others", w.carry(add, provision.Values{Set: set("sAMAccountName", "lena2"+w.suffix)}), provision.NoRights, "add a user")
	})
}

func TestWhatHasChildrenIsNotDeleted(t *testing.T) {
	onSamba(t, func(w *world) { // in the embedded directory users have no children
		t1, g1 := w.user("jane")
		w.add("CN=Device,CN="+t1.Link.Value+","+w.ou, "objectClass", "nTFRSSubscriptions")
		w.wants("delete", w.carry(w.of(t1, g1, provision.Delete), provision.Values{}), provision.NotEmpty)
	})
}

func TestAReadOnlyControllerIsNamed(t *testing.T) {
	w := embedded(t)
	s := w.session()
	site := "CN=NTDS Settings,CN=DC1,CN=Servers,CN=Default-First-Site-Name,CN=Sites,CN=Configuration," + w.base
	add := w.target(provision.Add, scoping.User)
	w.change(site, "msDS-isRODC", "TRUE")
	w.wants("add", w.carry(add, provision.Values{Set: set("sAMAccountName", "x")}), provision.ReadOnly, s.Controller().URL)
}

// Of an object whose link others changed the write goes on by objectGUID, on the condition that it shows what it showed; and whoever leaves is disabled wherever the account lies.
func TestAnObjectIsKnownByItsGUIDWhateverItsLinkShows(t *testing.T) {
	everywhere(t, func(w *world) {
		tt, g := w.user("eve")
		dn := "CN=" + tt.Link.Value + "," + w.ou
		mod := w.of(tt, g, provision.Modify)
		w.wants("enable", w.carry(mod, provision.Values{Disabled: &provision.Switch{Was: true, To: false}}), provision.Done)
		w.change(dn, w.link, "somebody's")
		w.wants("by its link", w.carry(mod, provision.Values{Set: set("title", "a")}), provision.Precondition)
		altered := mod
		altered.Altered, altered.WasLink = true, "somebody's"
		w.wants("as it is shown", w.carry(altered, provision.Values{Set: set("title", "a")}), provision.Done)
		w.has(dn, "title", "a")
		w.has(dn, w.link, "somebody's")
		altered.WasLink = "another's"
		w.wants("with another link than was seen", w.carry(altered, provision.Values{Set: set("sn", "b")}), provision.Precondition)
		w.change(dn, w.link)
		altered.WasLink = ""
		w.wants("without a link", w.carry(altered, provision.Values{Set: set("sn", "b")}), provision.Done)
		w.has(dn, "sn", "b")
		off := mod
		off.ByGUID = true
		w.wants("more than disabling", w.carry(off, provision.Values{Set: set("info", "c"), Disabled: &provision.Switch{Was: false, To: true}}), provision.Failed)
		w.wants("disable", w.carry(off, provision.Values{Disabled: &provision.Switch{Was: false, To: true}}), provision.Done)
		w.has(dn, "userAccountControl", "514")
		w.change(dn, "userAccountControl", "512")
		w.ok(w.admin.ModifyDN(ldap.NewModifyDNRequest(dn, "CN="+tt.Link.Value, true, w.other)))
		o := w.carry(off, provision.Values{Disabled: &provision.Switch{Was: false, To: true}})
		if o.Code != provision.Done && (o.Code != provision.NoRights || !strings.Contains(o.Reason, "userAccountControl")) {
			w.Errorf("disable outside the container: %+v", o)
		}
	})
}
