package mapping_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tandem-sync/tandem/plugins/cloudsync/mapping"
	"github.com/tandem-sync/tandem/scoping"
)

func TestMistakesOfAFileHaveTheirPlaceInIt(t *testing.T) {
	cases := map[string]string{
		"users:\n  mappings:\n    - {target: title, expression: '[jobTitel]'}\n":                                                    "f.yaml:3:36: the source has no attribute [jobTitel] (did you mean jobTitle?)",
		"users:\n  mappings:\n    - target: title\n      expression: Trim([jobTitel])\n":                                            "f.yaml:4:24: the source has no attribute [jobTitel] (did you mean jobTitle?)",
		"users:\n  mappings:\n    - target: title\n      expression: \"Append(\\\"ž\\\\\\\\\\\", [jobTitel])\"\n":                   "f.yaml:4:38: the source has no attribute [jobTitel] (did you mean jobTitle?)",
		"users:\n  mappings:\n    - target: title\n      expression: 'Append(\"it''s\", [jobTitel])'\n":                             "f.yaml:4:36: the source has no attribute [jobTitel] (did you mean jobTitle?)",
		"users:\n  mappings:\n    - target: title\n      expression: |\n        Append(\n          \"x\",\n          [jobTitel])\n": "f.yaml:7:11: the source has no attribute [jobTitel] (did you mean jobTitle?)",
		"users:\n  mappings:\n    - target: title\n      expression: >\n        Append(\n        [jobTitel], \"x\")\n":              "f.yaml:4:19: at 1:9 of the expression: the source has no attribute [jobTitel] (did you mean jobTitle?)",
		"users:\n  mappings:\n    - target: title\n      expression: Append(\n        [jobTitel], \"x\")\n":                         "f.yaml:4:19: at 1:9 of the expression: the source has no attribute [jobTitel] (did you mean jobTitle?)",
		"users:\n  mapings: []\n":                           `f.yaml:2:12: the key "mapings" is unknown (did you mean mappings?)`,
		"users:\n  mappings:\n    - expression: '[mail]'\n": "f.yaml:3:7: target: a mapping needs a target, an attribute of the directory",
		"users: [": "f.yaml:1:9: did not find expected node content",
		"[]":       "f.yaml:1:1: keys with values are wanted here",
		"version: 1\nengines:\n  - name: connect\n    kind: connect\n":                                                                         "f.yaml: no engine has settings of its own for provisioning (they stand under engines[].settings.provisioning)",
		"engines:\n  - name: cloud\n    settings:\n      provisioning:\n        users: {base: hr, mappings: [{target: cn, leaveOut: true}]}\n": "f.yaml:5:16: cn has to be mapped: nothing can be made without it",
	}
	for text, want := range cases {
		_, err := mapping.ReadFile("f.yaml", []byte(text))
		var all scoping.Mistakes
		if err == nil || !errors.As(err, &all) || err.Error() != want {
			t.Errorf("%s\n got %v\nwant %s", text, err, want)
		}
	}
}

func TestAFileIsReadForEachOfItsEngines(t *testing.T) {
	files, err := mapping.ReadFile("tandem.yaml", []byte("engines:\n  - name: one\n    settings:\n      provisioning: {}\n  - {name: two}\n  - name: three\n    settings: {provisioning: {users: {base: hr}, assignments: {x: {groups: {}}}}}\n"))
	if err != nil || len(files) != 2 || files[0].Engine != "one" || files[1].Engine != "three" {
		t.Fatalf("%v %v", files, err)
	}
	all := files[1].Effective()
	if len(all) != 3 || all[0].Base != "hr" || all[2].Assignment != "x" || all[2].Kind != "group" || all[0].Fingerprint == files[0].Effective()[0].Fingerprint {
		t.Errorf("%+v", all)
	}
	for _, empty := range []string{"", "# nothing\n", "{}"} {
		files, err := mapping.ReadFile("f", []byte(empty))
		if err != nil || len(files) != 1 || len(files[0].Effective()) != 2 {
			t.Errorf("%q: %v %v", empty, files, err)
		}
	}
}

func TestASourceIsShownStepByStep(t *testing.T) {
	files, err := mapping.ReadFile("f", []byte("users: {mappings: [{target: parentDistinguishedName, expression: '\"OU=\" & [city] & \",\" & %Container%'}, {target: extensionAttribute1, expression: '[extensionAttribute2]'}]}"))
	if err != nil {
		t.Fatal(err)
	}
	object := `{"@odata.context": "x", "id": "` + annsID + `", "displayName": "Ann", "userPrincipalName": "ann@contoso.com", "accountEnabled": false, "businessPhones": [], "city": "Brno", "manager": {"id": "x"},
		"onPremisesExtensionAttributes": {"extensionAttribute2": "two", "extensionAttribute3": null}}`
	s, err := files[0].Show([]byte(object), mapping.Example{Place: place})
	if err != nil || s.Want != "present" || s.Container != "OU=Brno,OU=New Hires,DC=contoso,DC=test" || s.References["manager"] != "manager" || s.Kind != "user" {
		t.Fatalf("%+v %v", s, err)
	}
	got := map[string]string{}
	for _, a := range s.Attributes {
		steps := ""
		for _, x := range a.Steps {
			steps += x.Expression + " = " + x.Value + "; "
		}
		got[a.Target] = string(a.State) + " " + strings.Join(a.Values, " | ") + " by " + a.Expression + ": " + steps
	}
	for target, want := range map[string]string{
		"accountDisabled":         "always true by Not([accountEnabled]): [accountEnabled] = False; Not([accountEnabled]) = True; ",
		"extensionAttribute1":     `always two by [extensionAttribute2]: [extensionAttribute2] = "two"; `,
		"department":              "unmanaged  by IgnoreFlowIfNullOrEmpty(Trim([department])): [department] = NULL; Trim([department]) = \"\"; IgnoreFlowIfNullOrEmpty(Trim([department])) = unmanaged; ",
		"parentDistinguishedName": `always OU=Brno,OU=New Hires,DC=contoso,DC=test by "OU=" & [city] & "," & %Container%: [city] = "Brno"; "OU=" & [city] = "OU=Brno"; "OU=" & [city] & "," = "OU=Brno,"; %Container% = "OU=New Hires,DC=contoso,DC=test"; "OU=" & [city] & "," & %Container% = "OU=Brno,OU=New Hires,DC=contoso,DC=test"; `,
	} {
		if diff := cmp.Diff(want, got[target]); diff != "" {
			t.Errorf("%s: %s", target, diff)
		}
	}
	if s, err := files[0].Show([]byte(`{"id": "`+annsID+`", "securityEnabled": false}`), mapping.Example{Place: place}); err != nil || s.Kind != "group" || s.Want != "excluded" || s.Reason != "not-security-group" {
		t.Errorf("%+v %v", s, err)
	}
	for _, bad := range []string{`[]`, `{}`, `{"id": "x"}`} {
		if _, err := files[0].Show([]byte(bad), mapping.Example{}); err == nil {
			t.Errorf("%s is a source", bad)
		}
	}
}

// breaks are the ends of lines that YAML knows.
var breaks = strings.NewReplacer("\r\n", "\n", "\r", "\n", "\u0085", "\n", "\u2028", "\n", "\u2029", "\n")

// Whatever a file holds, it is read or has mistakes with places within it.
func FuzzReadFile(f *testing.F) {
	for _, s := range []string{"users: {base: hr}", "users:\n  mappings:\n    - target: title\n      expression: |\n        Append(\n", "engines: [{name: x, settings: {provisioning: {groups: {mappings: [{target: cn, expression: \"[a\\u0041\"}]}}}}]",
		"a: &x {target: cn}\nusers: {mappings: [*x]}", "users: !!str x", "? [a]\n: b", "{1: 2}", "users: {mappings: [{target: cn, expression: 'it''s'}]}"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		files, err := mapping.ReadFile("f", []byte(text))
		var all scoping.Mistakes
		switch {
		case err == nil:
			for _, x := range files {
				x.Effective()
			}
		case !errors.As(err, &all) || len(all) == 0:
			t.Fatal(err)
		default:
			for _, m := range all {
				if m.Pos.Line > strings.Count(breaks.Replace(text), "\n")+1 || m.Pos.Line < 0 || m.What == "" {
					t.Fatalf("%q: %v", text, m)
				}
			}
		}
	})
}
