package policy_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/tandem-sync/tandem/scoping"
	"github.com/tandem-sync/tandem/scoping/policy"
)

const registeredName = "extension_0123456789abcdef0123456789abcdef_employeeNumber"

// schemas is a directory with a schema, and a tenant with extensions.
type schemas struct {
	tree
	directory, tenant []string
	err               error
}

func without(names, known []string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(n string) bool { return slices.Contains(known, n) })
}

func (s schemas) Lacks(_ context.Context, _ string, names []string) ([]string, error) {
	return without(names, s.directory), s.err
}

func (s schemas) Unregistered(_ context.Context, names []string) ([]string, error) {
	return without(names, s.tenant), s.err
}

func TestExtensionsAreLookedUpInDirectoryAndTenant(t *testing.T) {
	text := []byte(`version: 1
features: [users, extensions]
defaults:
  extensions: [extensionAttribute1, ` + registeredName + `]
assignments:
  - {name: all, under: "DC=contoso,DC=test", engine: connect, features: [users, extensions]}
`)
	compile := func(s schemas) error {
		_, err := policy.Compile(t.Context(), "policy.yaml", text, []string{"contoso"}, s, func(context.Context) (map[string]scoping.EngineCaps, error) { return everything(), nil })
		return err
	}
	all := schemas{catalogue, []string{"extensionAttribute1", "employeeNumber"}, []string{"extensionAttribute1", registeredName}, nil}
	if err := compile(all); err != nil {
		t.Error(err)
	}
	poor := schemas{tree: catalogue, tenant: []string{"extensionAttribute1"}}
	err := compile(poor)
	var ms scoping.Mistakes
	if !errors.As(err, &ms) || len(ms) != 3 {
		t.Fatalf("%v", err)
	}
	for i, want := range []string{"policy.yaml:4:16: extensions: the schema of directory contoso has no attribute extensionAttribute1",
		"policy.yaml:4:37: extensions: the schema of directory contoso has no attribute employeeNumber, from which " + registeredName + " is made",
		"policy.yaml:4:37: extensions: the tenant has no extension " + registeredName} {
		if !strings.HasPrefix(ms[i].Error(), want) || ms[i].Hint == "" {
			t.Errorf("%v", ms[i])
		}
	}
	away := errors.New("no answer")
	if err := compile(schemas{tree: catalogue, err: away}); !errors.Is(err, away) || errors.As(err, &ms) && len(ms) == 0 {
		t.Errorf("a directory that cannot be asked: %v", err)
	}
}

// An account that could not show of whom it was made would be made again by the next host that has lost its ledger.
func TestTheAttributeOfLinksIsInTheSchema(t *testing.T) {
	compile := func(s schemas, link string) error {
		text := []byte(`version: 1
features: [users, user-provisioning]
assignments:
  - {name: all, under: "DC=contoso,DC=test", engine: none, features: [users]}
  - {name: hires, under: "OU=Sales,DC=contoso,DC=test", engine: connect, features: [user-provisioning], from: {groups: [Hired by HR]}` + link + `}
`)
		_, err := policy.Compile(t.Context(), "policy.yaml", text, []string{"contoso"}, s, func(context.Context) (map[string]scoping.EngineCaps, error) { return everything(), nil })
		return err
	}
	old := schemas{tree: catalogue, directory: []string{scoping.OtherLink}}
	err := compile(old, "")
	var ms scoping.Mistakes
	if !errors.As(err, &ms) || len(ms) != 1 || !strings.HasPrefix(ms[0].Error(), `policy.yaml:5:5: assignment "hires" links by msDS-ExternalDirectoryObjectId, which the schema of directory contoso lacks`) ||
		!strings.Contains(ms[0].Hint, "link: adminDescription") {
		t.Errorf("a schema without the attribute: %v", err)
	}
	if err := compile(old, ", link: adminDescription"); err != nil {
		t.Errorf("the attribute that stands in for it: %v", err)
	}
	if err := compile(schemas{tree: catalogue, directory: []string{scoping.DefaultLink}}, ""); err != nil {
		t.Errorf("a schema that has it: %v", err)
	}
	away := errors.New("no answer")
	if err := compile(schemas{tree: catalogue, err: away}, ""); !errors.Is(err, away) {
		t.Errorf("a directory that cannot be asked: %v", err)
	}
}

func TestAFormattedPolicyKeepsItsAttributes(t *testing.T) {
	text := []byte(`version: 1
features: [users, extensions]
defaults: {extensions: [extensionAttribute2, extensionAttribute1], attributes: {leaveOut: [mobile, department]}}
assignments:
  - {name: all, under: "DC=contoso,DC=test", engine: connect, features: [users, extensions]}
`)
	p, err := policy.Parse("policy.yaml", text)
	if err != nil {
		t.Fatal(err)
	}
	out, err := policy.Format(p)
	if err != nil {
		t.Fatal(err)
	}
	again, err := policy.Parse("policy.yaml", out)
	if err != nil || !again.Defaults.Equal(p.Defaults) || len(again.Defaults.Extensions) != 2 || len(again.Defaults.Attributes.LeaveOut) != 2 {
		t.Errorf("%s%+v %v", out, again.Defaults, err)
	}
	other := p.Defaults
	other.Attributes.LeaveOut = []string{"mobile"}
	if other.Equal(p.Defaults) {
		t.Error("defaults that leave out less are taken for equal")
	}
}
