package scoping_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/tandem-sync/tandem/scoping"
)

// contoso is a directory with names that people know: base, Sales, Sales/Contractors, Service.
func contoso() *world {
	base := "DC=contoso,DC=test"
	return &world{directory: "contoso", parent: []int{-1, 0, 1, 0},
		name: []string{base, "OU=Sales," + base, "OU=Contractors,OU=Sales," + base, "OU=Service," + base}}
}

var both = []scoping.Feature{scoping.Users, scoping.Groups}

// example is contract.md's policy, as far as subtrees go.
func example(w *world) scoping.Policy {
	p := plainPolicy([]rule{
		{world: w, under: 0, engine: "connect", features: both},
		{world: w, under: 1, except: []int{2}, engine: "cloudsync", features: both},
		{world: w, under: 3, engine: scoping.None, features: both},
	})
	for i, name := range []string{"everything", "sales", "service accounts"} {
		p.Assignments[i].Name = name
	}
	return p
}

func mustCompile(t testing.TB, p scoping.Policy) *scoping.Partition {
	t.Helper()
	c, err := scoping.Compile(p, engineCaps())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestBadPoliciesAreExplained(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(*scoping.Policy)
		want  []string
	}{
		"two claim one OU": {func(p *scoping.Policy) {
			p.Assignments[2].Under, p.Assignments[2].Engine = p.Assignments[1].Under, "acme"
		}, []string{`p.yaml:3:1: assignments "sales" (p.yaml:2:1) and "service accounts" (p.yaml:3:1) both claim users, groups of every object in OU=Sales,DC=contoso,DC=test`, `"priority"`}},
		"unknown engine": {func(p *scoping.Policy) { p.Assignments[1].Engine = "conect" },
			[]string{`p.yaml:2:1: assignment "sales" names engine "conect", which is not configured (write one of acme, cloudsync, connect, none`}},
		"no engine":       {func(p *scoping.Policy) { p.Assignments[1].Engine = "" }, []string{"names no engine"}},
		"unknown feature": {func(p *scoping.Policy) { p.Assignments[1].Features = []scoping.Feature{"user"} }, []string{`there is no feature "user"`}},
		"no capability": {func(p *scoping.Policy) {
			p.Assignments[1].Features = append(p.Assignments[1].Features, scoping.Devices)
		}, []string{`assignment "sales" gives feature "devices" (row 4 of the feature table, devices) to engine "cloudsync", which cannot write it`}},
		"not switched on": {func(p *scoping.Policy) { p.Features = []scoping.Feature{scoping.Users} }, []string{`names feature "groups", which is not switched on`}},
		"nothing on":      {func(p *scoping.Policy) { p.Features = nil }, []string{"no base feature is switched on"}},
		"root hole": {func(p *scoping.Policy) { p.Assignments[0].Features = []scoping.Feature{scoping.Users} },
			[]string{`p.yaml:1:1: nobody owns groups under DC=contoso,DC=test (add groups to the features of assignment "everything", or`}},
		"exception hole": {func(p *scoping.Policy) { p.Assignments = p.Assignments[1:2] },
			[]string{`nobody owns users, groups under OU=Contractors,OU=Sales,DC=contoso,DC=test, which assignment "sales" excepts`, "engine: none"}},
		"stray exception": {func(p *scoping.Policy) { p.Assignments[1].Except = []scoping.Pin{p.Assignments[2].Under} },
			[]string{`excepts OU=Service,DC=contoso,DC=test, which does not lie beneath its subtree OU=Sales`}},
		"excepts itself": {func(p *scoping.Policy) { p.Assignments[1].Except = []scoping.Pin{p.Assignments[1].Under} }, []string{"excepts its whole subtree"}},
		"excepted twice": {func(p *scoping.Policy) {
			p.Assignments[1].Except = append(p.Assignments[1].Except, p.Assignments[1].Except[0])
		}, []string{"twice"}},
		"one name":   {func(p *scoping.Policy) { p.Assignments[1].Name = "everything" }, []string{`a second assignment is named "everything", after that (p.yaml:1:1)`}},
		"no name":    {func(p *scoping.Policy) { p.Assignments[1].Name = "" }, []string{"has no name"}},
		"unresolved": {func(p *scoping.Policy) { p.Assignments[1].Under.GUID = scoping.GUID{} }, []string{"is not resolved"}},
		"filter": {func(p *scoping.Policy) { p.Assignments[1].Selector.Filter = "(department=R&D" },
			[]string{`p.yaml:2:1: filter of assignment "sales": `, `of (department=R&D`}},
		"unknown attribute": {func(p *scoping.Policy) { p.Assignments[1].Selector.Filter = "(departement=x)" }, []string{`"departement" is not known`, "did you mean department?"}},
		"sample": {func(p *scoping.Policy) { p.Assignments[1].Selector.Sample = "101%" },
			[]string{`sample of assignment "sales": "101%" is not a share (write a percentage such as 5%`}},
		"memberOf":       {func(p *scoping.Policy) { p.Assignments[1].Selector.MemberOf.DN = "CN=g" }, []string{"CN=g of assignment \"sales\" is not resolved to a group"}},
		"leaving":        {func(p *scoping.Policy) { p.Assignments[1].Leaving = scoping.Keep }, []string{"belongs to engine none"}},
		"kinds":          {func(p *scoping.Policy) { p.Assignments[1].Kinds = []scoping.Kind{scoping.User} }, []string{"only narrow features that follow, such as references"}},
		"no directory":   {func(p *scoping.Policy) { p.Assignments[1].Directory = "" }, []string{"in which directory"}},
		"no features":    {func(p *scoping.Policy) { p.Assignments[1].Features = nil }, []string{"names no feature"}},
		"no assignments": {func(p *scoping.Policy) { p.Assignments = nil }, []string{"assigns nothing"}},
		"threshold":      {func(p *scoping.Policy) { p.Defaults.DeleteThreshold.Percent = 101 }, []string{"is no threshold"}},
		"all at once": {func(p *scoping.Policy) { p.Assignments[2].Engine, p.Assignments[1].Features = "x", nil },
			[]string{"p.yaml:2:1", "p.yaml:3:1", `engine "x"`, "names no feature"}},
	} {
		p := example(contoso())
		c.spoil(&p)
		_, err := scoping.Compile(p, engineCaps())
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
	}
}

func TestCapabilityIsAsked(t *testing.T) {
	caps := engineCaps()
	caps["cloudsync"] = scoping.EngineCaps{Features: []scoping.Feature{scoping.Users}}
	_, err := scoping.Compile(example(contoso()), caps)
	want := `assignment "sales" gives feature "groups" (row 2 of the feature table, groups) to engine "cloudsync", which cannot write it`
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v", err)
	}
}

// Rule F3, and what belongs to a whole directory.
func TestFeaturesThatBelongTogetherHaveOneOwner(t *testing.T) {
	all := []scoping.Feature{scoping.Users, scoping.Groups, scoping.References, scoping.Extensions, scoping.PasswordHash, scoping.PasswordWriteback, scoping.GroupProvisioning}
	caps := map[string]scoping.EngineCaps{"connect": {Kind: "connect", Features: all[:6]}, "cloudsync": {Kind: "cloudsync", Features: all}}
	for name, c := range map[string]struct {
		spoil func(*scoping.Policy)
		want  string // "": it compiles
	}{
		"hash apart from its user": {func(p *scoping.Policy) {
			p.Assignments = append(p.Assignments, scoping.Assignment{Name: "hashes", Directory: "contoso", Under: p.Assignments[1].Under, Engine: "connect",
				Features: []scoping.Feature{scoping.PasswordHash}})
		}, `assignment "hashes" gives password-hash under OU=Sales,DC=contoso,DC=test to engine "connect", but assignment "sales" gives the users there to "cloudsync"`},
		"no hash on purpose": {func(p *scoping.Policy) {
			p.Assignments = append(p.Assignments, scoping.Assignment{Name: "hashes", Directory: "contoso", Under: p.Assignments[1].Under, Engine: scoping.None,
				Features: []scoping.Feature{scoping.PasswordHash}})
		}, ""},
		"writeback and hash": {func(p *scoping.Policy) {
			p.Features = append(p.Features, scoping.PasswordWriteback)
			p.Assignments[0].Features = append(p.Assignments[0].Features, scoping.PasswordWriteback)
		}, `gives password-writeback under OU=Sales,DC=contoso,DC=test to engine "connect", but assignment "sales" gives the users there to "cloudsync"`},
		"writeback of an OU": {func(p *scoping.Policy) {
			p.Features = append(p.Features, scoping.PasswordWriteback)
			p.Assignments[1].Features = append(p.Assignments[1].Features, scoping.PasswordWriteback)
		}, ""},
		"nobody's, since nothing is to be brought": {func(p *scoping.Policy) { p.Features = append(p.Features, scoping.GroupProvisioning) }, ""},
		"not Connect's": {func(p *scoping.Policy) {
			p.Features = append(p.Features, scoping.GroupProvisioning)
			p.Assignments[0].Features = append(p.Assignments[0].Features, scoping.GroupProvisioning)
		}, `to engine "connect", which cannot write it: Connect provisions no groups to Active Directory`},
		"needs another": {func(p *scoping.Policy) { p.Features = []scoping.Feature{scoping.Groups, scoping.PasswordHash} }, `feature "password-hash" needs feature "users"`},
		"follows to who cannot": {func(p *scoping.Policy) { p.Assignments[1].Engine = "acme" },
			`assignment "sales" has users, so feature "extensions" (row 7 of the feature table, extension attributes 1-15 and directory extensions) goes to engine "acme" as well, which cannot write it`},
		"the tenant": {func(p *scoping.Policy) { p.Assignments[1].Engine = "refused" }, "but the tenant does not take it: Graph takes no password hashes"},
		"chosen apart": {func(p *scoping.Policy) {
			p.Assignments = append(p.Assignments, scoping.Assignment{Name: "some", Directory: "contoso", Under: p.Assignments[1].Under, Engine: "connect",
				Features: []scoping.Feature{scoping.Extensions}, Selector: scoping.Selector{Filter: "(title=Boss)"}})
		}, `assignment "some" chooses objects under OU=Sales,DC=contoso,DC=test for feature "extensions", but not for "users", which it follows`},
	} {
		caps["acme"] = scoping.EngineCaps{Kind: "acme", Features: all[:3]}
		caps["refused"] = scoping.EngineCaps{Kind: "acme", Features: all, Refused: map[scoping.Feature]string{scoping.PasswordHash: "Graph takes no password hashes"}}
		p := example(contoso())
		p.Features = slices.Clone(all[:5])
		c.spoil(&p)
		_, err := scoping.Compile(p, caps)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestChangedTreeIsNoticed(t *testing.T) {
	w := contoso()
	p := example(w)
	w.parent[2] = 3 // Contractors moves while the policy is read
	p.Assignments[2].Under = w.pin(2)
	_, err := scoping.Compile(p, engineCaps())
	if err == nil || !strings.Contains(err.Error(), "the directory changed while it was read") {
		t.Errorf("got %v", err)
	}
}

func TestOutsideIsUnmanaged(t *testing.T) {
	p := mustCompile(t, example(contoso()))
	for _, place := range []scoping.Place{{Directory: "other"}, {Directory: "contoso", Ancestors: []scoping.GUID{{9}}}, {}} {
		if o := p.Owner(place, scoping.User, scoping.Users); o.Managed || o.Engine != scoping.None || o.Leaving != scoping.Disable {
			t.Errorf("%v: %v", place, o)
		}
	}
	for k, f := range map[scoping.Kind]scoping.Feature{scoping.User: scoping.Groups, scoping.Device: scoping.Devices, "": scoping.Users, scoping.Group: scoping.PasswordHash} {
		if o := p.Owner(contoso().container(0), k, f); o.Managed || o.Engine != scoping.None {
			t.Errorf("%s of a %s: %v", f, k, o)
		}
	}
	if o := (scoping.Cell{}).Owner(scoping.User, scoping.Users); o.Managed || o.Engine != scoping.None {
		t.Errorf("zero cell: %v", o)
	}
}

func TestLeavingIsTheAssignmentsElseTheDefault(t *testing.T) {
	w := contoso()
	pol := example(w)
	pol.Defaults.Leaving = scoping.Remove
	p := mustCompile(t, pol)
	if o := p.Owner(w.container(3), scoping.User, scoping.Users); o.Leaving != scoping.Remove {
		t.Errorf("default: %v", o)
	}
	pol.Assignments[2].Leaving = scoping.Keep
	p = mustCompile(t, pol)
	if o := p.Owner(w.container(3), scoping.User, scoping.Users); o.Leaving != scoping.Keep {
		t.Errorf("own: %v", o)
	}
}
