package mapping_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tandem-sync/tandem/plugins/cloudsync/mapping"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/plugins/provision"
	"github.com/tandem-sync/tandem/scoping"
)

const annsID = "8a1f3b52-7c1e-4c55-9b5e-3b9b35a3e6d1"

var place = mapping.Place{Container: "OU=New Hires,DC=contoso,DC=test", Domain: "contoso.test"}

// source makes a source of Graph's values.
func source(t testing.TB, kind scoping.Kind, values map[string][]string) engine.Source {
	t.Helper()
	o, err := scoping.Cloud(annsID)
	if err != nil {
		t.Fatal(err)
	}
	s := engine.Source{Object: o, Kind: kind, Values: map[string]engine.Value{"id": {Text: []string{annsID}}}}
	for name, v := range values {
		s.Values[name] = engine.Value{Text: v}
	}
	return s
}

func ann() map[string][]string {
	return map[string][]string{"displayName": {"Ann Doe"}, "givenName": {"Zoë Ann"}, "surname": {"Dvořák-O'Neil"}, "userPrincipalName": {"ann.doe-of-the.north@contoso.com"}, "accountEnabled": {"true"},
		"department": {" Sales "}, "businessPhones": {"+420 1"}, "employeeId": {"701984"}, "city": {"Brno"}, "userType": {"Member"}}
}

func sets(t testing.TB, s mapping.Settings) *mapping.Sets {
	t.Helper()
	out, problems := s.Compile()
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return out
}

// flows writes a mapping in a line for each attribute.
func flows(m engine.Mapping) map[string]string {
	out := map[string]string{}
	for name, f := range m.Desired {
		s := strings.Join(f.Text, " | ")
		if f.Unique {
			s = "unique " + s
		} else if f.Once {
			s = "once " + s
		}
		out[name] = s
	}
	return out
}

func TestAUserOfTheTenantIsMappedAsEntraDoes(t *testing.T) {
	m := sets(t, mapping.Settings{}).Of(scoping.User, "").Map(place, source(t, scoping.User, ann()))
	want := map[string]string{
		"accountDisabled": "false", "cn": "Ann Doe_3b9b35a3e6d1", "displayName": "Ann Doe", "givenName": "Zoë Ann", "sn": "Dvořák-O'Neil", "department": "Sales", "employeeID": "701984", "l": "Brno",
		"sAMAccountName": "unique ann.doe-of-the | ann.doe-of-e6d1 | ann.doe-3b9b35a3e6d1", "userPrincipalName": "ann.doe-of-the.north@contoso.test",
	}
	if diff := cmp.Diff(want, flows(m)); diff != "" || m.Want != engine.Present || m.Container != "" || !maps.Equal(m.Refs, map[string]string{"manager": "manager"}) {
		t.Errorf("%s %v %q %v %s", diff, m.Want, m.Container, m.Refs, m.Reason)
	}
}

func TestAHiredPersonGetsNamesOfTheirOwn(t *testing.T) {
	hr := sets(t, mapping.Settings{Users: mapping.Rules{Base: mapping.BaseHR}}).Of(scoping.User, "")
	m := hr.Map(place, source(t, scoping.User, ann()))
	got := flows(m)
	for name, want := range map[string]string{
		"cn":                "unique Zoë Ann Dvořák-O'Neil | Zoë Ann Dvořák-O'Neil 701984 | Ann Doe_3b9b35a3e6d1",
		"sAMAccountName":    "unique ZoeAnn.Dvorak-O'Neil | Z.Dvorak-O'Neil | Zo.Dvorak-O'Neil | Z.Dvorak3b9b35a3e6d1",
		"userPrincipalName": "unique ZoeAnn.Dvorak-O'Neil@contoso.test | Z.Dvorak-O'Neil@contoso.test | Zo.Dvorak-O'Neil@contoso.test | ZoeAnn.Dvorak-O'Neil.3b9b35a3e6d1@contoso.test",
		"employeeID":        "once 701984", "title": "", "department": " Sales ", "telephoneNumber": "+420 1", "accountDisabled": "false",
	} {
		if got[name] != want {
			t.Errorf("%s: %q, want %q (%s)", name, got[name], want, m.Reason)
		}
	}
	// Somebody of whom HR knows nothing but a number still gets names that the directory takes.
	m = hr.Map(place, source(t, scoping.User, map[string][]string{"displayName": {"?"}, "accountEnabled": {"false"}, "userPrincipalName": {"x@contoso.com"}}))
	got = flows(m)
	if got["cn"] != "unique ?_3b9b35a3e6d1" || got["sAMAccountName"] != "unique 3b9b35a3e6d1" || got["userPrincipalName"] != "unique 3b9b35a3e6d1@contoso.test" || got["accountDisabled"] != "true" {
		t.Errorf("%v %s", got, m.Reason)
	}
}

func TestAGroupOfTheTenantIsMapped(t *testing.T) {
	set := sets(t, mapping.Settings{}).Of(scoping.Group, "")
	group := map[string][]string{"displayName": {"Sales"}, "description": {strings.Repeat("x", 500)}, "securityEnabled": {"true"}, "mailEnabled": {"false"}}
	m := set.Map(place, source(t, scoping.Group, group))
	want := map[string]string{"cn": "Sales_3b9b35a3e6d1", "displayName": "Sales", "description": strings.Repeat("x", 448)}
	if diff := cmp.Diff(want, flows(m)); diff != "" || !maps.Equal(m.Refs, map[string]string{"member": "members"}) {
		t.Errorf("%s %v", diff, m.Refs)
	}
	if got := set.Writes(); !slices.Equal(got, []string{"cn", "description", "displayName", "member"}) {
		t.Errorf("writes %q", got)
	}
}

func TestWhatIsNotOfThisDirectionIsLeftOutWithACode(t *testing.T) {
	all := sets(t, mapping.Settings{})
	cases := map[string]engine.Source{
		"guest":               source(t, scoping.User, map[string][]string{"userType": {"Guest"}}),
		"mail-enabled-group":  source(t, scoping.Group, map[string][]string{"securityEnabled": {"true"}, "mailEnabled": {"true"}}),
		"not-security-group":  source(t, scoping.Group, map[string][]string{"securityEnabled": {"false"}}),
		"microsoft-365-group": source(t, scoping.Group, map[string][]string{"groupTypes": {"Unified"}, "securityEnabled": {"true"}, "mailEnabled": {"true"}}),
	}
	for code, s := range cases {
		if m := all.Of(s.Kind, "").Map(place, s); m.Want != engine.Excluded || m.Reason != code || m.Object != s.Object || m.Desired != nil {
			t.Errorf("%s: %+v", code, m)
		}
	}
}

// What cannot be told is told as unknown, so that nothing is disabled for it, and every attribute is named with its value and the rule.
func TestWhatCannotBeMappedIsUnknownWithEveryReason(t *testing.T) {
	s := ann()
	s["department"], s["userPrincipalName"], s["employeeId"] = []string{strings.Repeat("d", 65)}, []string{"ann doe@x"}, []string{"12345678901234567"}
	m := sets(t, mapping.Settings{Users: mapping.Rules{Mappings: []mapping.Entry{
		{Target: "title", Expression: `Item(Split([displayName], " "), 3)`}, {Target: "parentDistinguishedName", Expression: `"OU=Sales,DC=contoso,DC=test"`},
	}}}).Of(scoping.User, "").Map(place, source(t, scoping.User, s))
	want := []string{
		`userPrincipalName "ann doe@contoso.test" has white space or a control character`,
		`department "` + strings.Repeat("d", 65) + `" has 65 characters, and 64 are the most`,
		`employeeID "12345678901234567" has 17 characters, and 16 are the most`,
		`title cannot be evaluated: 1:33: Item wants value number 3, and there are 2 (ItemOrNull gives nothing instead)`,
		`parentDistinguishedName "OU=Sales,DC=contoso,DC=test" does not lie in "OU=New Hires,DC=contoso,DC=test", the container of the assignment`,
	}
	if got := strings.Split(m.Reason, "; "); m.Want != engine.Unknown || !cmp.Equal(got, want) || m.Desired != nil {
		t.Errorf("%v %s", m.Want, cmp.Diff(want, got))
	}
	m = sets(t, mapping.Settings{}).Of(scoping.User, "").Map(place, source(t, scoping.Group, nil))
	if m.Want != engine.Unknown || m.Reason != "it is a group, and here a user is mapped" {
		t.Errorf("%+v", m)
	}
}

func TestOwnMappingsTakeThePlaceOfDefaults(t *testing.T) {
	s := mapping.Settings{
		Attributes: []string{"contosoBadge"},
		Users: mapping.Rules{Mappings: []mapping.Entry{
			{Target: "cn", Expression: `[displayName]`}, {Target: "mobile", LeaveOut: true}, {Target: "manager", LeaveOut: true}, {Target: "contosoBadge", Expression: `[extensionAttribute3]`},
			{Target: "title", Expression: "[jobTitle]", Default: "New hire"}, {Target: "department", Expression: "[department]", Apply: "creation"}, {Target: "info", Expression: "Trim([state])"},
			{Target: "parentDistinguishedName", Expression: `Switch([city], %Container%, "Brno", "OU=Brno," & %Container%)`},
		}},
		Assignments: map[string]mapping.Assignments{"guards": {Users: &mapping.Rules{Base: mapping.BaseNone, Mappings: []mapping.Entry{
			{Target: "cn", Expression: "[displayName]"}, {Target: "accountDisabled", Expression: `"True"`}}}}},
	}
	all := sets(t, s)
	m := all.Of(scoping.User, "").Map(place, source(t, scoping.User, ann()))
	got := flows(m)
	if _, there := got["mobile"]; there || len(m.Refs) > 0 || got["cn"] != "Ann Doe" || got["contosoBadge"] != "" || got["title"] != "once New hire" || got["department"] != "once  Sales " || got["info"] != "" {
		t.Errorf("%q %v", got, m.Refs)
	}
	if _, clears := m.Desired["info"]; !clears || m.Container != "OU=Brno,OU=New Hires,DC=contoso,DC=test" {
		t.Errorf("%q in %q: %s", got, m.Container, m.Reason)
	}
	s2 := ann()
	s2["city"], s2["jobTitle"] = []string{"Praha"}, []string{"Seller"}
	if m := all.Of(scoping.User, "").Map(place, source(t, scoping.User, s2)); m.Container != place.Container || flows(m)["title"] != "Seller" {
		t.Errorf("%q in %q", flows(m), m.Container)
	}
	if m := all.Of(scoping.User, "guards").Map(place, source(t, scoping.User, s2)); !cmp.Equal(flows(m), map[string]string{"cn": "Ann Doe", "accountDisabled": "true"}) {
		t.Errorf("of the assignment's own mappings: %q", flows(m))
	}
	if all.Of(scoping.Group, "guards") != all.Of(scoping.Group, "") {
		t.Error("a kind of which the assignment says nothing has other mappings")
	}
}

func TestCandidatesThatTheDirectoryDoesNotTakeArePassedOver(t *testing.T) {
	set := sets(t, mapping.Settings{Users: mapping.Rules{Mappings: []mapping.Entry{
		{Target: "sAMAccountName", Expression: `SelectUniqueValue([userPrincipalName], [displayName], ToUpper([displayName]))`, Apply: "creation"}}}}).Of(scoping.User, "")
	if m := set.Map(place, source(t, scoping.User, ann())); flows(m)["sAMAccountName"] != "unique Ann Doe" {
		t.Errorf("%q %s", flows(m), m.Reason)
	}
	s := ann()
	s["displayName"] = []string{"a*"}
	if m := set.Map(place, source(t, scoping.User, s)); m.Reason != `sAMAccountName "A*" has '*', and none of "/\[]:;|=,+*?<> is allowed` {
		t.Errorf("%q %s", flows(m), m.Reason)
	}
}

func TestEveryMistakeOfSettingsIsToldWithItsPlace(t *testing.T) {
	_, problems := mapping.ReadJSON([]byte(`{
		"user": {}, "attributes": [1, "adminCount", "member", "a b"],
		"users": {"base": "workday", "mapings": [], "mappings": [
			{"target": "displayNam", "expression": "[displayName]"}, {"target": "userAccountControl", "expression": "512"}, {"target": "cn", "expression": "Append([displayname],\n Foo())"},
			{"target": "cn", "expression": "["}, {"target": "sAMAccountName", "expression": "SelectUniqueValue([displayName], [mail])"}, {"target": "title", "expression": "[jobTitle]", "apply": "sometimes"},
			{"target": "manager", "expression": "[mail]"}, {"target": "manager", "expression": "[manager]", "default": "x"}, {"target": "department", "leaveOut": true, "expression": "[department]"},
			{"target": "employeeID", "expression": "SelectUniqueValue([mail], [id])", "apply": "creation"}, {"target": "c", "expression": "[country]", "default": "Czechia"}, {"target": "st", "matching": 1, "expression": true, "leaveOut": "no"},
			{"expression": "[mail]"}, {"target": "parentDistinguishedName", "expression": "SelectUniqueValue([mail], [id])", "apply": "creation"}, {"target": "msDS-AllowedToDelegateTo", "expression": "[mail]"}, {"target": "l", "expression": "[manager]"}]},
		"groups": {"base": "hr", "mappings": [{"target": "cn", "leaveOut": true}, {"target": "givenName", "expression": "[displayName]"}]},
		"assignments": {"x": {"users": {"mappings": {"target": "cn"}}, "contacts": {}}}}`))
	var got []string
	s, _ := mapping.ReadJSON(nil)
	for _, p := range problems {
		got = append(got, p.Error())
	}
	want := []string{
		`assignments.x.contacts: unknown (known here: groups, users)`,
		`assignments.x.users.mappings: a list is wanted here`,
		`attributes[0]: a text is wanted here (write it in quotes)`,
		`user: unknown (did you mean users?)`,
		`users.mapings: unknown (did you mean mappings?)`,
		`users.mappings[11].expression: a text is wanted here (write it in quotes)`,
		`users.mappings[11].leaveOut: true or false is wanted here`,
		`users.mappings[11].matching: by what people are found is no matter of mappings (match of the assignment, in the policy)`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if _, problems := s.Compile(); problems != nil {
		t.Errorf("no settings: %v", problems)
	}
}

func TestEveryMistakeOfMappingsIsToldWithItsPlace(t *testing.T) {
	s, _ := mapping.ReadJSON([]byte(`{
		"attributes": ["adminCount", "member", "a b", "contosoBadge"],
		"users": {"base": "workday", "mappings": [
			{"target": "displayNam", "expression": "[displayName]"}, {"target": "userAccountControl", "expression": "512"}, {"target": "cn", "expression": "Append([displayname],\n Foo())"},
			{"target": "cn", "expression": "["}, {"target": "sAMAccountName", "expression": "SelectUniqueValue([displayName], [mail])"}, {"target": "title", "expression": "[jobTitle]", "apply": "sometimes"},
			{"target": "manager", "expression": "[mail]"}, {"target": "department", "leaveOut": true, "expression": "[department]"},
			{"target": "employeeID", "expression": "SelectUniqueValue([mail], [id])", "apply": "creation"}, {"target": "c", "expression": "[country]", "default": "Czechia"},
			{"expression": "[mail]"}, {"target": "parentDistinguishedName", "expression": "SelectUniqueValue([mail], [id])"}, {"target": "l", "expression": "[manager]"}]},
		"groups": {"base": "hr", "mappings": [{"target": "cn", "leaveOut": true}, {"target": "givenName", "expression": "[displayName]"}, {"target": "member", "expression": "[members]", "apply": "creation"}]},
		"assignments": {"x": {"users": {"mappings": [{"target": "cn", "expression": ""}]}, "groups": {"mappings": [{"target": "cn", "leaveOut": true}]}}}}`))
	_, problems := s.Compile()
	var got []string
	for _, p := range problems {
		got = append(got, p.Error())
	}
	want := []string{
		`attributes[0]: adminCount is never written by a mapping: the directory keeps it`,
		`attributes[1]: member holds a distinguished name, which no mapping writes`,
		`attributes[2]: "a b" is no name of an attribute`,
		`users.base: there is no base "workday" for users: known are entra, hr, none`,
		`users.mappings[0].target: displayNam is no attribute that mappings of a user write (did you mean displayName?)`,
		`users.mappings[1].target: userAccountControl is never written by a mapping: accountDisabled stands for its one bit`,
		`users.mappings[2].expression: 1:8: the source has no attribute [displayname] (names are case-sensitive: displayName)`,
		`users.mappings[2].expression: 2:2: there is no function Foo`,
		`users.mappings[3].target: cn is mapped twice`,
		`users.mappings[3].expression: 1:1: an attribute has no closing ] (an attribute is written as [displayName])`,
		`users.mappings[4].expression: SelectUniqueValue is only for objects that are made (write apply: creation)`,
		`users.mappings[5].apply: "sometimes" is neither always nor creation`,
		`users.mappings[6].expression: manager is a reference and follows that of the tenant (write [manager], or leaveOut: true)`,
		`users.mappings[7]: a target that is left out has nothing else`,
		`users.mappings[8].expression: people are found by employeeID, so that SelectUniqueValue cannot make it`,
		`users.mappings[9].default: c "Czechia" has 7 characters, and 2 are the most`,
		`users.mappings[10].target: a mapping needs a target, an attribute of the directory`,
		`users.mappings[11].expression: a container is not unique: SelectUniqueValue cannot be used for parentDistinguishedName`,
		`users.mappings[12].expression: 1:1: the source has no attribute [manager]`,
		`groups.base: there is no base "hr" for groups: known are entra, none`,
		`groups.mappings[1].target: givenName is no attribute that mappings of a group write (name it under attributes if the directory's schema has it)`,
		`groups.mappings[2]: member always follows the tenant, and has no default`,
		`assignments.x.users.mappings[0].expression: 1:1: the expression is empty (an empty value is "")`,
		`assignments.x.groups: cn has to be mapped: nothing can be made without it`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestEveryBaseCompilesAlone(t *testing.T) {
	for kind, names := range map[scoping.Kind][]string{scoping.User: {mapping.BaseEntra, mapping.BaseHR}, scoping.Group: {mapping.BaseEntra}} {
		for _, base := range names {
			all := mapping.Defaults(kind, base)
			r := mapping.Rules{Base: mapping.BaseNone, Mappings: all}
			s := mapping.Settings{Users: r}
			if kind == scoping.Group {
				s = mapping.Settings{Groups: r}
			}
			set := sets(t, s).Of(kind, "")
			if len(set.Writes()) != len(all) {
				t.Errorf("base %s of %s: %d of %d mappings", base, kind, len(set.Writes()), len(all))
			}
			allowed := append(provision.Attributes(kind), "manager", "member")
			for _, name := range set.Writes() {
				if !slices.Contains(allowed, name) {
					t.Errorf("base %s of %s writes %s", base, kind, name)
				}
			}
		}
	}
}

func TestTheFingerprintFollowsTheSettings(t *testing.T) {
	seen := map[engine.Fingerprint]bool{}
	for _, s := range []mapping.Settings{{}, {Users: mapping.Rules{Base: "hr"}}, {Attributes: []string{"contosoBadge"}}, {Users: mapping.Rules{Mappings: []mapping.Entry{{Target: "l", LeaveOut: true}}}},
		{Users: mapping.Rules{Mappings: []mapping.Entry{{Target: "l", Expression: "[city]"}}}}, {Users: mapping.Rules{Mappings: []mapping.Entry{{Target: "l", Expression: "[city]", Apply: "creation"}}}}} {
		a, b := sets(t, s).Of(scoping.User, "").Fingerprint(), sets(t, s).Of(scoping.User, "").Fingerprint()
		if a != b || a.IsZero() || seen[a] {
			t.Errorf("%+v: %v, %v", s, a, b)
		}
		seen[a] = true
	}
}

// A change of one mapping does not let everybody whom other mappings are about be asked for again.
func TestTheFingerprintIsThatOfOneSet(t *testing.T) {
	plain := sets(t, mapping.Settings{})
	other := sets(t, mapping.Settings{Users: mapping.Rules{Mappings: []mapping.Entry{{Target: "l", Expression: "[city]"}}},
		Assignments: map[string]mapping.Assignments{"x": {Users: &mapping.Rules{}}}})
	if a, b := plain.Of(scoping.Group, "").Fingerprint(), other.Of(scoping.Group, "").Fingerprint(); a != b {
		t.Errorf("groups: %v, %v", a, b)
	}
	if a, b := plain.Of(scoping.User, "").Fingerprint(), other.Of(scoping.User, "").Fingerprint(); a == b {
		t.Errorf("users: %v", a)
	}
	if a, b := plain.Of(scoping.User, "").Fingerprint(), other.Of(scoping.User, "x").Fingerprint(); a != b {
		t.Errorf("the same mappings: %v, %v", a, b)
	}
}

// Whatever the tenant holds, a mapping says only what its MapBegin names and what a directory takes, or why not; and the same every time.
func TestMappingsKeepTheContract(t *testing.T) {
	all := sets(t, mapping.Settings{Assignments: map[string]mapping.Assignments{"hr": {Users: &mapping.Rules{Base: "hr"}}}})
	kinds := []scoping.Kind{scoping.User, scoping.Group}
	rapid.Check(t, func(t *rapid.T) {
		kind := rapid.SampledFrom(kinds).Draw(t, "kind")
		o, err := scoping.Cloud(annsID)
		if err != nil {
			t.Fatal(err)
		}
		s := engine.Source{Object: o, Kind: kind, Values: map[string]engine.Value{"id": {Text: []string{annsID}}}}
		if kind == scoping.Group {
			s.Values["securityEnabled"] = engine.Value{Text: []string{"true"}}
		}
		names := slices.Sorted(maps.Keys(mapping.Schema(kind).Attributes))
		for range rapid.IntRange(0, 12).Draw(t, "attributes") {
			s.Values[rapid.SampledFrom(names).Draw(t, "name")] = engine.Value{Text: rapid.SliceOfN(rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"true", "false", "ann@x.test", "Ann"})), 0, 3).Draw(t, "values")}
		}
		set := all.Of(kind, rapid.SampledFrom([]string{"", "hr"}).Draw(t, "assignment"))
		m, traces := set.Trace(place, s)
		if again := set.Map(place, s); !cmp.Equal(m, again) {
			t.Fatalf("%+v and then %+v", m, again)
		}
		if (m.Want == engine.Present) == (m.Reason != "") || m.Want != engine.Excluded && len(traces) == 0 {
			t.Fatalf("%+v", m)
		}
		for name, f := range m.Desired {
			if !slices.Contains(set.Writes(), name) || slices.Contains(f.Text, "") || f.Unique && len(f.Text) == 0 {
				t.Fatalf("%s: %+v", name, f)
			}
			for _, v := range f.Text {
				if err := provision.CheckValues(kind, name, []string{v}); err != nil {
					t.Fatal(err)
				}
			}
		}
	})
}

func BenchmarkMap(b *testing.B) {
	for _, base := range []string{"entra", "hr"} {
		b.Run(base, func(b *testing.B) {
			set := sets(b, mapping.Settings{Users: mapping.Rules{Base: base}}).Of(scoping.User, "")
			s := source(b, scoping.User, ann())
			b.ReportAllocs()
			for b.Loop() {
				if m := set.Map(place, s); m.Want != engine.Present {
					b.Fatal(m.Reason)
				}
			}
		})
	}
}
