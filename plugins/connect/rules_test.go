package connect_test

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tandem-sync/tandem/plugins/connect"
	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// object builds a directory entry from name, value pairs; the first value is its class.
func object(class string, pairs ...string) directory.Entry {
	e := directory.Entry{GUID: scoping.GUID{1, 2, 3}, Attrs: map[string][][]byte{"objectclass": {[]byte("top"), []byte(class)}}}
	for i := 0; i < len(pairs); i += 2 {
		e.Attrs[pairs[i]] = append(e.Attrs[pairs[i]], []byte(pairs[i+1]))
	}
	return e
}

func user(more ...string) directory.Entry {
	return object("user", append([]string{"samaccountname", "ann", "name", "Ann", "useraccountcontrol", "512"}, more...)...)
}

func group(more ...string) directory.Entry {
	return object("group", append([]string{"samaccountname", "crew", "name", "Crew", "grouptype", "-2147483646"}, more...)...)
}

func contact(more ...string) directory.Entry {
	return object("contact", append([]string{"name", "Pat", "proxyaddresses", "SMTP:pat@partner.test"}, more...)...)
}

func without(e directory.Entry, attr string) directory.Entry {
	delete(e.Attrs, attr)
	return e
}

func TestRulesLeaveOutWhatConnectLeavesOut(t *testing.T) {
	big := group()
	big.Links = map[string]directory.LinkChange{"member": {Whole: true, Targets: make([]directory.Link, 250001)}}
	full := group()
	full.Links = map[string]directory.LinkChange{"member": {Whole: true, Targets: make([]directory.Link, 250000)}}
	cases := []struct {
		name, code string
		entry      directory.Entry
	}{
		{"plain user", "", user()},
		{"plain group", "", group()},
		{"inetOrgPerson", "", object("inetOrgPerson", "samaccountname", "ann", "name", "Ann", "useraccountcontrol", "512")},
		{"disabled user", "", user("displayname", "x")},
		{"critical", "critical-system-object", user("iscriticalsystemobject", "TRUE")},
		{"critical group", "critical-system-object", group("iscriticalsystemobject", "TRUE")},
		{"victim", "replication-victim", without(user(), "name").Apply(object("user", "name", "Ann\nCNF:0123", "samaccountname", "ann"))},
		{"no account name", "no-account-name", without(user(), "samaccountname")},
		{"written back user", "written-back", user("admindescription", "User_1")},
		{"written back prefix in other case", "written-back", user("admindescription", "user_1")},
		{"written back group", "written-back", group("admindescription", "Group_1")},
		{"prefix of the other kind", "", user("admindescription", "Group_1")},
		{"support account", "reserved-account", object("user", "samaccountname", "SUPPORT_388945a0", "name", "x", "useraccountcontrol", "512")},
		{"sync account", "reserved-account", object("user", "samaccountname", "MSOL_1", "name", "x", "useraccountcontrol", "512")},
		{"cloud anchor account", "reserved-account", object("user", "samaccountname", "AAD_1", "name", "x", "useraccountcontrol", "512")},
		{"cas account", "reserved-account", object("user", "samaccountname", "CAS_{1}", "name", "x", "useraccountcontrol", "512")},
		{"system mailbox", "system-mailbox", user("mailnickname", "SystemMailbox{1}")},
		{"mailbox by type", "system-mailbox", user("msexchrecipienttypedetails", "536870912")},
		{"role group", "role-group", group("msexchrecipienttypedetails", "1073741824")},
		{"coexistence group", "reserved-account", object("group", "samaccountname", "MSOL_AD_Sync_RichCoexistence", "name", "x", "grouptype", "-2147483646")},
		{"distribution group", "distribution-group", object("group", "samaccountname", "d", "name", "d", "grouptype", "2")},
		{"mail-enabled group", "mail-enabled-group", group("proxyaddresses", "SMTP:x@y")},
		{"group with a mail alone", "mail-enabled-group", group("mail", "x@y")},
		{"group with an X500 address alone", "", group("proxyaddresses", "X500:/o=old")},
		{"group with an X500 address and a mail", "", group("proxyaddresses", "X500:/o=old", "mail", "x@y")},
		{"linked mailbox", "linked-mailbox", user("msexchrecipienttypedetails", "2")},
		{"user mailbox", "", user("msexchrecipienttypedetails", "1")},
		{"shared mailbox", "", user("msexchrecipienttypedetails", "4")},
		{"room", "", user("msexchrecipienttypedetails", "16")},
		{"equipment", "", user("msexchrecipienttypedetails", "32")},
		{"group at the limit", "", full},
		{"group above the limit", "too-many-members", big},
		{"no account state", "no-account-state", without(user(), "useraccountcontrol")},
		{"contact", "", contact()},
		{"contact without addresses", "not-mail-enabled", object("contact", "name", "Pat", "mail", "pat@partner.test")},
		{"contact without a primary address, with a mail", "", object("contact", "name", "Pat", "proxyaddresses", "smtp:x@partner.test", "mail", "pat@partner.test")},
		{"contact without a primary address or a mail", "no-address", object("contact", "name", "Pat", "proxyaddresses", "smtp:x@partner.test")},
		{"contact with a primary address of another kind", "no-address", object("contact", "name", "Pat", "proxyaddresses", "X400:c=cz", "mail", "nobody")},
		{"contact of an earlier synchronization", "hidden-msol", contact("displayname", "Pat (MSOL)", "msexchhidefromaddresslists", "TRUE")},
		{"contact that only looks like one", "", contact("displayname", "Pat (MSOL)")},
		{"hidden contact", "", contact("msexchhidefromaddresslists", "TRUE")},
		{"contact of a system mailbox", "system-mailbox", contact("mailnickname", "CAS_{1}")},
		{"critical contact", "critical-system-object", contact("iscriticalsystemobject", "TRUE")},
		{"contact that lost a conflict", "replication-victim", without(contact(), "name").Apply(object("contact", "name", "Pat\nCNF:0123"))},
	}
	for _, c := range cases {
		if got := connect.Evaluate(c.entry, "contoso.test"); got.Excluded != c.code {
			t.Errorf("%s: %q, want %q", c.name, got.Excluded, c.code)
		}
	}
	if got := connect.Evaluate(without(user(), "userprincipalname"), ""); got.Excluded != "no-upn" {
		t.Errorf("neither UPN nor domain: %q", got.Excluded)
	}
}

func TestUserAttributesBecomeTheTenants(t *testing.T) {
	e := user("userprincipalname", "ann@contoso.test", "displayname", "Ann Doe", "givenname", "Ann", "sn", "Doe", "title", "Boss",
		"department", "R&D", "company", "Contoso", "employeeid", "17", "physicaldeliveryofficename", "A1", "streetaddress", "Road 1",
		"l", "Brno", "st", "JM", "postalcode", "60200", "co", "Czechia", "mobile", "+420 1", "telephonenumber", "+420 2",
		"mail", "ann@contoso.test", "msexchusagelocation", "cz")
	got := connect.Evaluate(e, "contoso.test")
	want := map[string]string{"userPrincipalName": "ann@contoso.test", "displayName": "Ann Doe", "givenName": "Ann", "surname": "Doe",
		"jobTitle": "Boss", "department": "R&D", "companyName": "Contoso", "employeeId": "17", "officeLocation": "A1",
		"streetAddress": "Road 1", "city": "Brno", "state": "JM", "postalCode": "60200", "country": "Czechia", "mobilePhone": "+420 1",
		"businessPhones": "+420 2", "mail": "ann@contoso.test", "usageLocation": "CZ", "mailNickname": "ann", "accountEnabled": "true"}
	flat := map[string]string{}
	for name, v := range got.Desired {
		if len(v.Text) != 1 {
			t.Errorf("%s: %v", name, v.Text)
			continue
		}
		flat[name] = v.Text[0]
	}
	if d := cmp.Diff(want, flat); d != "" {
		t.Error(d)
	}
}

func TestContactAttributesBecomeTheTenants(t *testing.T) {
	e := contact("displayname", "Pat Roe", "mail", "other@partner.test", "givenname", "Pat", "sn", "Roe", "title", "Buyer", "department", "Trade", "company", "Partner",
		"telephonenumber", "1", "samaccountname", "x")
	want := map[string]engine.Value{"displayName": {Text: []string{"Pat Roe"}}, "mail": {Text: []string{"pat@partner.test"}}, "mailNickname": {Text: []string{"other"}},
		"givenName": {Text: []string{"Pat"}}, "surname": {Text: []string{"Roe"}}, "jobTitle": {Text: []string{"Buyer"}}, "department": {Text: []string{"Trade"}}, "companyName": {Text: []string{"Partner"}}}
	if d := cmp.Diff(want, connect.Evaluate(e, "contoso.test").Desired); d != "" {
		t.Error(d)
	}
	plain := connect.Evaluate(contact(), "contoso.test")
	if v, managed := plain.Desired["jobTitle"]; !managed || len(v.Text) > 0 {
		t.Errorf("an absent value does not clear: %v %v", v, managed)
	}
	if plain.Anchor != connect.Evaluate(user(), "contoso.test").Anchor {
		t.Errorf("anchors: %s", plain.Anchor)
	}
}

func TestAbsentValuesClearAndFallBack(t *testing.T) {
	disabled := without(user(), "useraccountcontrol").Apply(object("user", "useraccountcontrol", "514"))
	got := connect.Evaluate(disabled, "contoso.test").Desired
	for name, want := range map[string]string{"accountEnabled": "false", "userPrincipalName": "ann@contoso.test", "displayName": "Ann"} {
		if d := cmp.Diff([]string{want}, got[name].Text); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
	if v, managed := got["city"]; !managed || len(v.Text) > 0 {
		t.Errorf("city: %v %v", v, managed)
	}
	if _, managed := got["usageLocation"]; managed {
		t.Error("usageLocation is managed without a value in the directory")
	}
	cyrillic := object("group", "samaccountname", "Продажи", "name", "Продажи", "grouptype", "-2147483646")
	g := connect.Evaluate(cyrillic, "contoso.test").Desired
	want := map[string]engine.Value{"displayName": {Text: []string{"Продажи"}}, "description": {}, "mailEnabled": {Text: []string{"false"}},
		"securityEnabled": {Text: []string{"true"}}, "mailNickname": {Text: []string{scoping.GUID{1, 2, 3}.String()}}}
	if d := cmp.Diff(want, g); d != "" {
		t.Error(d)
	}
}

func TestAnchorIsConsistencyGuidElseObjectGUID(t *testing.T) {
	if got := connect.Evaluate(user(), "x.test").Anchor; got != "AQIDAAAAAAAAAAAAAAAAAA==" {
		t.Errorf("objectGUID: %s", got)
	}
	if got := connect.Evaluate(user("ms-ds-consistencyguid", "0123456789abcdef"), "x.test").Anchor; got != "MDEyMzQ1Njc4OWFiY2RlZg==" {
		t.Errorf("mS-DS-ConsistencyGuid: %s", got)
	}
}

func TestDescriptionNamesEveryAttributeThatIsWritten(t *testing.T) {
	d, err := connect.New(connect.Options{}).Describe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for f, e := range map[scoping.Feature]directory.Entry{scoping.Users: user("msexchusagelocation", "CZ"), scoping.Groups: group()} {
		var names []string
		for name := range connect.Evaluate(e, "x.test").Desired {
			names = append(names, name)
		}
		if diff := cmp.Diff(slices.Sorted(slices.Values(d.Writes[f])), slices.Sorted(slices.Values(names))); diff != "" {
			t.Errorf("%s: %s", f, diff)
		}
	}
}

func TestRulesStandInOrderOfPrecedenceAndUseKnownFunctions(t *testing.T) {
	for _, rules := range [][]connect.Rule{connect.Inbound, connect.Outbound} {
		if !slices.IsSortedFunc(rules, func(a, b connect.Rule) int { return a.Precedence - b.Precedence }) {
			t.Error("rules are out of order")
		}
		for _, r := range rules {
			if problems := r.Problems(); len(problems) > 0 {
				t.Errorf("%s: %v", r.Name, problems)
			}
		}
	}
}

func TestTraceTellsEveryStep(t *testing.T) {
	onEveryLab(t, func(w *world) {
		ann := w.addUser("Ann", w.ou)
		w.run(engine.ProfileFull, []scoping.Scope{w.scope(w.ou)})
		out := make(chan []byte, 10)
		w.ok(w.engine.Call(w.Context(), "trace", []byte(`{"object":"contoso/`+w.guid(ann).String()+`"}`), out))
		close(out)
		var steps []string
		for b := range out {
			var s struct{ Step string }
			w.ok(json.Unmarshal(b, &s))
			steps = append(steps, s.Step)
		}
		if d := cmp.Diff([]string{"import", "scope", "join", "transform", "proposal"}, steps); d != "" {
			t.Error(d)
		}
		if err := w.engine.Call(w.Context(), "nonsense", nil, nil); err == nil {
			t.Error("an unknown verb is answered")
		}
	})
}

func TestLoadedBackupMakesTheNextRunReadEverything(t *testing.T) {
	onEveryLab(t, func(w *world) {
		w.addUser("Ann", w.ou)
		scopes := []scoping.Scope{w.scope(w.ou)}
		w.run(engine.ProfileFull, scopes)
		saved := make(chan []byte, 1)
		w.ok(w.engine.Call(w.Context(), "save", nil, saved))
		w.ok(w.engine.Call(w.Context(), "load", <-saved, nil))
		w.want(w.run(engine.ProfileDelta, scopes), "users present CN=Ann", "references present CN=Ann")
		if err := w.engine.Call(w.Context(), "load", []byte(`{"version":99}`), nil); err == nil {
			t.Error("a backup of an unknown version is taken")
		}
	})
}
