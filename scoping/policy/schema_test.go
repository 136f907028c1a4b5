package policy_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v4"
	"pgregory.net/rapid"

	"github.com/tandem-sync/tandem/scoping"
	"github.com/tandem-sync/tandem/scoping/policy"
)

var update = flag.Bool("update", false, "write the published files anew")

const contoso = "../../examples/contoso/"

func compiled(t testing.TB) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(policy.Schema()))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("policy.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("policy.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// obeys says what the schema has against a file.
func obeys(s *jsonschema.Schema, text []byte) error {
	var v any
	if err := yaml.Load(text, &v); err != nil {
		return err
	}
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	v, err = jsonschema.UnmarshalJSON(bytes.NewReader(b))
	if err != nil {
		return err
	}
	return s.Validate(v)
}

// published compares a published file with what it should be.
func published(t *testing.T, name string, want []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(contoso+name, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(contoso + name)
	if err != nil || !bytes.Equal(have, want) {
		t.Errorf("%s is not what the code says (%v): go test ./scoping/policy -update writes it anew", contoso+name, err)
	}
}

func TestPublishedSchemaIsTheCodes(t *testing.T) { published(t, "policy.schema.json", policy.Schema()) }

func TestPoliciesObeyTheSchema(t *testing.T) {
	s := compiled(t)
	files, err := filepath.Glob(contoso + "*.yaml")
	if err != nil || len(files) < 3 {
		t.Fatalf("%v %v", files, err)
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if err := obeys(s, text); err != nil {
			t.Errorf("%s: %v", f, err)
		}
	}
	p := mustParse(t, example)
	p.Assignments[3].Leaving = scoping.Keep
	p.Assignments[0].Name, p.Assignments[0].Directory = "7", "true"
	p.Assignments[1].Features, p.Assignments[1].Kinds = []scoping.Feature{scoping.References}, []scoping.Kind{scoping.User}
	p.Defaults.Members = "exclusive"
	for _, p := range []scoping.Policy{mustParse(t, example), p} {
		b, err := policy.Format(p)
		if err != nil {
			t.Fatal(err)
		}
		if err := obeys(s, b); err != nil {
			t.Errorf("%v\n%s", err, b)
		}
	}
}

// bad are files that neither the schema nor Tandem takes.
var bad = map[string]string{
	"not a mapping":        `[]`,
	"another version":      `{version: 2, features: [users], assignments: [{name: a, under: DC=x, engine: none, features: [users]}]}`,
	"no version":           `{features: [users], assignments: [{name: a, under: DC=x, engine: none, features: [users]}]}`,
	"unknown key":          `{version: 1, featurs: [users], features: [users], assignments: [{name: a, under: DC=x, engine: none, features: [users]}]}`,
	"unknown feature":      `{version: 1, features: [users, userz], assignments: [{name: a, under: DC=x, engine: none, features: [users]}]}`,
	"feature twice":        `{version: 1, features: [users, users], assignments: [{name: a, under: DC=x, engine: none, features: [users]}]}`,
	"no feature":           `{version: 1, features: [], assignments: [{name: a, under: DC=x, engine: none, features: [users]}]}`,
	"features as text":     `{version: 1, features: users, assignments: [{name: a, under: DC=x, engine: none, features: [users]}]}`,
	"no assignment":        `{version: 1, features: [users], assignments: []}`,
	"unknown key in one":   `{version: 1, features: [users], assignments: [{name: a, under: DC=x, engin: none, engine: none, features: [users]}]}`,
	"no engine":            `{version: 1, features: [users], assignments: [{name: a, under: DC=x, features: [users]}]}`,
	"no name":              `{version: 1, features: [users], assignments: [{name: "", under: DC=x, engine: none, features: [users]}]}`,
	"no features in one":   `{version: 1, features: [users], assignments: [{name: a, under: DC=x, engine: none, features: []}]}`,
	"no DN":                `{version: 1, features: [users], assignments: [{name: a, under: Sales, engine: none, features: [users]}]}`,
	"exceptions as text":   `{version: 1, features: [users], assignments: [{name: a, under: DC=x, except: "OU=a,DC=x", engine: none, features: [users]}]}`,
	"sample without %":     `{version: 1, features: [users], assignments: [{name: a, under: DC=x, sample: five, engine: none, features: [users]}]}`,
	"sample of nothing":    `{version: 1, features: [users], assignments: [{name: a, under: DC=x, sample: 0%, engine: none, features: [users]}]}`,
	"sample above all":     `{version: 1, features: [users], assignments: [{name: a, under: DC=x, sample: 101%, engine: none, features: [users]}]}`,
	"filter without ()":    `{version: 1, features: [users], assignments: [{name: a, under: DC=x, filter: department=R&D, engine: none, features: [users]}]}`,
	"priority as text":     `{version: 1, features: [users], assignments: [{name: a, under: DC=x, priority: high, engine: none, features: [users]}]}`,
	"leaving of an engine": `{version: 1, features: [users], assignments: [{name: a, under: DC=x, engine: connect, features: [users], leaving: keep}]}`,
	"unknown leaving":      `{version: 1, features: [users], assignments: [{name: a, under: DC=x, engine: none, features: [users], leaving: go}]}`,
	"kinds for nothing":    `{version: 1, features: [users], assignments: [{name: a, under: DC=x, engine: none, features: [users], kinds: [user]}]}`,
	"unknown kind":         `{version: 1, features: [users], assignments: [{name: a, under: DC=x, engine: none, features: [references], kinds: [robot]}]}`,
	"percent":              `{version: 1, features: [users], defaults: {deleteThreshold: {percent: 101}}, assignments: [{name: a, under: DC=x, engine: none, features: [users]}]}`,
	"negative objects":     `{version: 1, features: [users], defaults: {deleteThreshold: {objects: -1}}, assignments: [{name: a, under: DC=x, engine: none, features: [users]}]}`,
	"half an object":       `{version: 1, features: [users], defaults: {deleteThreshold: {objects: 1.5}}, assignments: [{name: a, under: DC=x, engine: none, features: [users]}]}`,
	"softMatch":            `{version: 1, features: [users], defaults: {softMatch: maybe}, assignments: [{name: a, under: DC=x, engine: none, features: [users]}]}`,
	"upn":                  `{version: 1, features: [users], defaults: {upn: {changes: never}}, assignments: [{name: a, under: DC=x, engine: none, features: [users]}]}`,
	"members":              `{version: 1, features: [users], defaults: {members: all}, assignments: [{name: a, under: DC=x, engine: none, features: [users]}]}`,
	"unknown default":      `{version: 1, features: [users], defaults: {leave: keep}, assignments: [{name: a, under: DC=x, engine: none, features: [users]}]}`,
}

// everything is an engine that can do all that may be assigned.
func everything() map[string]scoping.EngineCaps {
	var caps scoping.EngineCaps
	for _, r := range scoping.FeatureTable() {
		caps.Features = append(caps.Features, r.Feature)
	}
	return map[string]scoping.EngineCaps{"connect": caps, "cloudsync": caps}
}

func TestSchemaAndParserRefuseTheSame(t *testing.T) {
	s := compiled(t)
	for name, text := range bad {
		if obeys(s, []byte(text)) == nil {
			t.Errorf("%s: the schema takes %s", name, text)
		}
		p, err := policy.Parse("f", []byte(text))
		for i := range p.Assignments {
			p.Assignments[i].Directory = "d" // Pin does
		}
		if err == nil && len(scoping.Check(p, everything())) == 0 {
			t.Errorf("%s: Tandem takes %s", name, text)
		}
	}
	good := `{version: 1, features: [users], assignments: [{name: a, directory: d, under: DC=x, engine: none, features: [users]}]}`
	p, err := policy.Parse("f", []byte(good))
	if err != nil || obeys(s, []byte(good)) != nil || len(scoping.Check(p, everything())) > 0 {
		t.Errorf("what the bad ones are made of is bad: %v, %v, %v", err, obeys(s, []byte(good)), scoping.Check(p, everything()))
	}
}

func TestSchemaHasTheKeysThatAreRead(t *testing.T) {
	var s map[string]any
	if err := json.Unmarshal(policy.Schema(), &s); err != nil {
		t.Fatal(err)
	}
	at := func(path ...string) map[string]any {
		v := s
		for _, p := range path {
			v = v[p].(map[string]any)
		}
		return v["properties"].(map[string]any)
	}
	unknown := "{qqqqqqqqqqqqqqqqqqqqqqqqqq: 1}"
	for text, keys := range map[string]map[string]any{
		unknown:                                          at(),
		"{defaults: " + unknown + "}":                    at("properties", "defaults"),
		"{assignments: [" + unknown + "]}":               at("properties", "assignments", "items"),
		"{defaults: {upn: " + unknown + "}}":             at("properties", "defaults", "properties", "upn"),
		"{defaults: {deleteThreshold: " + unknown + "}}": at("properties", "defaults", "properties", "deleteThreshold"),
	} {
		_, err := policy.Parse("f", []byte(text))
		_, list, _ := strings.Cut(err.Error(), "(the keys are ")
		list, _, found := strings.Cut(list, ")")
		read := strings.Split(list, ", ")
		for _, k := range read {
			if keys[k] == nil {
				t.Errorf("%s: the schema has no %q", text, k)
			}
		}
		if !found || len(read) != len(keys) {
			t.Errorf("%s: read are %v, the schema has %d", text, read, len(keys))
		}
	}
}

func TestWhatTandemTakesTheSchemaTakes(t *testing.T) {
	s := compiled(t)
	rapid.Check(t, func(t *rapid.T) {
		text, _ := drawn(t)
		if err := obeys(s, []byte(text)); err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
	})
}
