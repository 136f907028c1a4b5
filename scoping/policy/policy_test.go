package policy_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/tandem-sync/tandem/scoping"
	"github.com/tandem-sync/tandem/scoping/policy"
)

const example = `version: 1
features: [users, groups]            # what is switched on at all
defaults:
  softMatch: false
  deleteThreshold: {objects: 500, percent: 10}
  upn: {unverifiedSuffix: initialDomain, changes: apply}
  leaving: disable
matches: ./matches.csv
assignments:
  - name: everything
    under: DC=contoso,DC=test
    engine: connect
    features: [users, groups]
  - name: sales
    under: OU=Sales,DC=contoso,DC=test
    except: ["OU=Contractors,OU=Sales,DC=contoso,DC=test"]
    engine: cloudsync
    features: [users, groups]
  - name: pilot
    under: OU=Engineering,DC=contoso,DC=test
    memberOf: CN=Sync Pilot,OU=Groups,DC=contoso,DC=test
    filter: (department=R&D)
    sample: 5%
    priority: 10
    engine: cloudsync
    features: [users]
  - name: service accounts
    under: OU=Service,DC=contoso,DC=test
    engine: none
    features: [users, groups]
`

func at(line, column int) scoping.Pos {
	return scoping.Pos{File: "policy.yaml", Line: line, Column: column}
}

func mustParse(t *testing.T, text string) scoping.Policy {
	t.Helper()
	p, err := policy.Parse("policy.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestExampleIsRead(t *testing.T) {
	p := mustParse(t, example)
	if len(p.Assignments) != 4 || p.Matches != "./matches.csv" || !p.Defaults.Equal(scoping.DefaultDefaults()) {
		t.Fatalf("%+v", p)
	}
	both := []scoping.Feature{scoping.Users, scoping.Groups}
	want := scoping.Assignment{Name: "sales", Pos: at(14, 5), Engine: "cloudsync", EnginePos: at(17, 13),
		Under:    scoping.Pin{DN: "OU=Sales,DC=contoso,DC=test", Pos: at(15, 12)},
		Except:   []scoping.Pin{{DN: "OU=Contractors,OU=Sales,DC=contoso,DC=test", Pos: at(16, 14)}},
		Features: both, FeaturePos: []scoping.Pos{at(18, 16), at(18, 23)}}
	if d := cmp.Diff(want, p.Assignments[1]); d != "" {
		t.Error(d)
	}
	pilot := p.Assignments[2]
	if pilot.Priority != 10 || pilot.Selector.Filter != "(department=R&D)" || pilot.Selector.Sample != "5%" || pilot.Selector.MemberOf.Pos != at(21, 15) {
		t.Errorf("%+v", pilot)
	}
}

func TestEveryMistakeHasItsPlace(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want []string
	}{
		"several": {`version: 2
featres: [users]
features: users
defaults: {softMatch: maybe, deleteThreshold: {objects: many}, leaving: go}
assignments:
  - name: a
    Under: DC=x
    under: "OU=a,b"
    engine: [x]
    features: [users]
    priority: high
  - wrong
`, []string{
			`policy.yaml:1:10: version "2" of the policy format is unknown`,
			`policy.yaml:2:1: unknown key "featres" in the policy (did you mean "features"?)`,
			`policy.yaml:3:11: features is not a list`,
			`policy.yaml:4:23: softMatch is neither true nor false`,
			`policy.yaml:4:57: objects is not a whole number`,
			`policy.yaml:4:73: leaving: "go" is unknown (write disable, remove or keep)`,
			`policy.yaml:7:5: unknown key "Under" in assignment "a" (did you mean "under"?)`,
			`policy.yaml:8:12: under: not a distinguished name`,
			`policy.yaml:9:13: engine is not a text`,
			`policy.yaml:11:15: priority is not a whole number`,
			`policy.yaml:12:5: the assignment is not a mapping`,
		}},
		"missing keys": {"version: 1\nassignments:\n  - engine: x\n", []string{`policy.yaml:1:1: the policy has no "features"`,
			`policy.yaml:3:5: the assignment has no "name"`, `no "under"`}},
		"twice":         {"version: 1\nversion: 1\nfeatures: []\nassignments: []\n", []string{`policy.yaml:2:1: key "version" stands twice in the policy`}},
		"far off":       {"version: 1\nqqqqqqqq: 1\nfeatures: []\nassignments: []\n", []string{"the keys are version, features, defaults, matches, assignments"}},
		"not YAML":      {"version: [1\nfeatures: {", []string{"policy.yaml:", "this is not YAML"}},
		"empty":         {"", []string{"the policy is empty"}},
		"only comments": {"# nothing\n", []string{"the policy is empty"}},
		"empty text":    {"version: 1\nfeatures: []\nassignments:\n  - {name: , under: '', engine: x, features: []}\n", []string{"name has no value", "under is empty"}},
		"a list":        {"- 1\n", []string{"policy.yaml:1:1: the policy is not a mapping"}},
		"double quote":  {"version: 1\nfeatures: []\nassignments:\n  - {name: a, under: \"OU=a\\\\qb\", engine: x, features: []}\n", []string{"use single quotes"}},
	} {
		_, err := policy.Parse("policy.yaml", []byte(c.text))
		var mistakes scoping.Mistakes
		if !errors.As(err, &mistakes) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, w := range c.want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%s: %q is not in:\n%v", name, w, err)
			}
		}
		if name == "several" && len(mistakes) != len(c.want) {
			t.Errorf("%d mistakes:\n%v", len(mistakes), err)
		}
	}
}

var noPositions = cmp.Options{cmpopts.IgnoreTypes(scoping.Pos{}), cmpopts.IgnoreFields(scoping.Assignment{}, "FeaturePos"),
	cmpopts.IgnoreFields(scoping.Policy{}, "FeaturePos"), cmpopts.EquateEmpty()}

func TestFormatIsReadBack(t *testing.T) {
	p := mustParse(t, example)
	p.Assignments[3].Leaving = scoping.Keep
	p.Assignments[0].Name = "yes: no # \"quoted\" 7"
	p.Assignments[1].Under.DN = `OU=R\, D \#1: x,OU=Ü,DC=contoso,DC=test`
	p.Assignments[2].Kinds = []scoping.Kind{scoping.User}
	p.Defaults.Members = "exclusive"
	p.Assignments = append(p.Assignments, scoping.Assignment{Name: "hires", Under: scoping.Pin{DN: "OU=New Hires,DC=contoso,DC=test"}, Engine: "cloudsync", Features: []scoping.Feature{scoping.UserProvisioning},
		From: scoping.From{Groups: []scoping.TenantGroup{{Name: "Hired by HR"}, {Name: "no: 7"}}}, Link: scoping.OtherLink, Match: []string{scoping.MatchEmployee, scoping.MatchMail}, Leaving: scoping.Disable})
	b, err := policy.Format(p)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(p, mustParse(t, string(b)), noPositions); d != "" {
		t.Errorf("%s\n%s", b, d)
	}
}

// plain is a directory that has every name but those that hold "Nowhere".
type plain struct{ asked int }

func (d *plain) Resolve(_ context.Context, directory string, dn scoping.DN) (scoping.Pin, error) {
	d.asked++
	if strings.Contains(dn.String(), "Nowhere") {
		return scoping.Pin{}, fmt.Errorf("searching %s: %w", directory, policy.ErrNotFound)
	}
	if strings.Contains(dn.String(), "Down") {
		return scoping.Pin{}, errors.New("connection refused")
	}
	p := scoping.Pin{GUID: guid(dn), DN: dn.String()}
	for a := dn.Parent(); a.Depth() >= 2; a = a.Parent() {
		p.Ancestors = append(p.Ancestors, guid(a))
	}
	return p, nil
}

func guid(dn scoping.DN) (g scoping.GUID) {
	for i, c := range []byte(dn.Key()) {
		g[i%16] = g[i%16]*31 + c
	}
	return g
}

func TestNamesBecomePinsAndCompile(t *testing.T) {
	text := strings.Replace(example, "    memberOf: CN=Sync Pilot,OU=Groups,DC=contoso,DC=test\n    filter: (department=R&D)\n    sample: 5%\n", "", 1)
	d := &plain{}
	p, err := policy.Pin(context.Background(), mustParse(t, text), []string{"contoso"}, d)
	if err != nil {
		t.Fatal(err)
	}
	caps := scoping.EngineCaps{Features: []scoping.Feature{scoping.Users, scoping.Groups}}
	c, err := scoping.Compile(p, map[string]scoping.EngineCaps{"connect": caps, "cloudsync": caps})
	if err != nil {
		t.Fatal(err)
	}
	sales := p.Assignments[1].Under
	place := scoping.Place{Directory: "contoso", Ancestors: append([]scoping.GUID{sales.GUID}, sales.Ancestors...)}
	if o := c.Owner(place, scoping.User, scoping.Users); o.Engine != "cloudsync" || o.Assignment != "sales" {
		t.Errorf("%+v", o)
	}
	if d := cmp.Diff(p.Assignments, c.Policy().Assignments); d != "" {
		t.Errorf("the compiled policy differs: %s", d)
	}
}

func TestPinNamesWhatItCannotFind(t *testing.T) {
	text := `version: 1
features: [users]
assignments:
  - {name: a, under: "OU=Nowhere,DC=x,DC=y", engine: none, features: [users], directory: one}
  - {name: b, under: "DC=x,DC=y", engine: none, features: [users]}
  - {name: c, under: "DC=x,DC=y", engine: none, features: [users], directory: three}
`
	_, err := policy.Pin(context.Background(), mustParse(t, text), []string{"one", "two"}, &plain{})
	for _, w := range []string{
		`policy.yaml:4:22: OU=Nowhere,DC=x,DC=y, which assignment "a" names, is not in directory one`,
		`policy.yaml:5:5: assignment "b" does not say in which directory DC=x,DC=y lies`,
		`assignment "c" names directory "three", which is not configured (the directories are one, two)`,
	} {
		if err == nil || !strings.Contains(err.Error(), w) {
			t.Errorf("%q is not in:\n%v", w, err)
		}
	}
	down := text + `  - {name: d, under: "DC=x,DC=y", except: ["OU=Down,DC=x,DC=y"], engine: none, features: [users], directory: two}
`
	var mistakes scoping.Mistakes
	if _, err := policy.Pin(context.Background(), mustParse(t, down), []string{"one", "two"}, &plain{}); err == nil || errors.As(err, &mistakes) ||
		err.Error() != "looking up OU=Down,DC=x,DC=y of the policy in directory two: connection refused" {
		t.Errorf("a directory that cannot be asked is no mistake of the policy: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := policy.Pin(ctx, mustParse(t, example), []string{"one"}, &plain{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestEachNameIsAskedOnce(t *testing.T) {
	d := &plain{}
	p := mustParse(t, example)
	p.Assignments[2].Under.DN = "ou=sales, dc=Contoso, dc=test"
	if _, err := policy.Pin(context.Background(), p, []string{"contoso"}, d); err != nil {
		t.Fatal(err)
	}
	if d.asked != 5 {
		t.Errorf("asked %d times", d.asked)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{example, "", "version: 1", "a: &x [*x]", "&a [*a]", "version: 1\nfeatures: [a]\nassignments: [{name: x, under: 'OU=a\\,b', engine: e, features: [a]}]",
		"<<: {version: 1}", "assignments: &a\n - *a", "? [a]\n: b"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := policy.Parse("f", data)
		if err != nil {
			var m scoping.Mistakes
			if !errors.As(err, &m) || len(m) == 0 || m[0].Pos.Line == 0 {
				t.Fatalf("an error without a place: %v", err)
			}
			return
		}
		b, err := policy.Format(p)
		if err != nil {
			t.Fatal(err)
		}
		again, err := policy.Parse("f", b)
		if err != nil {
			t.Fatalf("%v of\n%s", err, b)
		}
		if d := cmp.Diff(p, again, noPositions); d != "" {
			t.Fatalf("%s\n%s", b, d)
		}
	})
}
