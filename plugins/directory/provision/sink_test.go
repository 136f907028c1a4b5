package provision_test

import (
	"strings"
	"testing"

	"github.com/tandem-sync/tandem/plugins/credential"
	"github.com/tandem-sync/tandem/plugins/provision"
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
		if err != nil || stamp.Version == 0 || stamp.Invocation != add.Invocation || stamp.USN == 0 {
			w.Errorf("the password's stamp is %q: %v", o.Result.Stamp, err)
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
