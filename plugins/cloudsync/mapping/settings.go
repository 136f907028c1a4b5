package mapping

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/plugins/expression/language"
	"github.com/tandem-sync/tandem/plugins/provision"
	"github.com/tandem-sync/tandem/scoping"
)

// Settings are the mappings of one's own, under the key provisioning of the engine's settings.
type Settings struct {
	Attributes  []string               `json:"attributes,omitempty"`  // further attributes that the directory's schema has, and that mappings may write
	Users       Rules                  `json:"users,omitzero"`        // what users become
	Groups      Rules                  `json:"groups,omitzero"`       // what groups become
	Assignments map[string]Assignments `json:"assignments,omitempty"` // users and groups of an assignment of the policy, by its name, instead of those above
}

// Assignments are the rules of one assignment. A kind that is not there has the usual ones.
type Assignments struct {
	Users  *Rules `json:"users,omitempty"`
	Groups *Rules `json:"groups,omitempty"`
}

// Rules are the mappings of one kind: a base, and what is different.
type Rules struct {
	Base     string  `json:"base,omitempty"`     // the mappings to begin with: entra (default), hr (of users) or none
	Mappings []Entry `json:"mappings,omitempty"` // each takes the place of the base's for the same target
}

// Entry maps one attribute of the directory. It takes the place of the base's for the same one.
type Entry struct {
	Target     string `json:"target"`               // an attribute of the directory; accountDisabled and parentDistinguishedName besides
	Expression string `json:"expression,omitempty"` // what it is made of, in the language of Entra's attribute mappings
	Apply      string `json:"apply,omitempty"`      // always (default), or creation: only when the object is made
	Default    string `json:"default,omitempty"`    // the value of a new object for which the expression gives none
	LeaveOut   bool   `json:"leaveOut,omitempty"`   // the attribute stays as it is: the base's mapping is taken out
}

// When a mapping applies.
const (
	ApplyAlways   = "always"
	ApplyCreation = "creation"
)

// Problem is one mistake of settings.
type Problem struct {
	Path []any              // keys and indices from the top of the settings
	At   *language.Position // within the expression at the path; nil: of the path as a whole
	What string
	Hint string
}

// Error names the place as JSON does: users.mappings[2].expression: 1:5: …
func (p Problem) Error() string {
	s := PathString(p.Path) + ": "
	if p.At != nil {
		s += p.At.String() + ": "
	}
	s += p.What
	if p.Hint != "" {
		s += " (" + p.Hint + ")"
	}
	return s
}

// PathString writes a path as users.mappings[2].expression.
func PathString(path []any) string {
	var b strings.Builder
	for _, step := range path {
		switch step := step.(type) {
		case int:
			fmt.Fprintf(&b, "[%d]", step)
		default:
			if b.Len() > 0 {
				b.WriteByte('.')
			}
			fmt.Fprint(&b, step)
		}
	}
	return b.String()
}

// entries are the mappings of rules: the base's in their order, each with what takes its place, and further ones behind.
func (r Rules) entries(kind scoping.Kind) []Entry {
	out := Defaults(kind, cmp.Or(r.Base, BaseEntra))
	for _, e := range r.Mappings {
		at := slices.IndexFunc(out, func(d Entry) bool { return d.Target == e.Target })
		if at < 0 {
			out = append(out, e)
		} else {
			out[at] = e
		}
	}
	return slices.DeleteFunc(out, func(e Entry) bool { return e.LeaveOut })
}

// Compile makes the sets of the settings. The problems are all mistakes, in the order of the settings; with one of them there are no sets.
func (s Settings) Compile() (*Sets, []Problem) {
	c := &checker{more: s.Attributes}
	for i, name := range s.Attributes {
		c.attribute([]any{"attributes", i}, name)
	}
	out := &Sets{usual: map[scoping.Kind]*Set{}, assignments: map[string]map[scoping.Kind]*Set{}}
	out.usual[scoping.User] = c.rules([]any{"users"}, scoping.User, s.Users)
	out.usual[scoping.Group] = c.rules([]any{"groups"}, scoping.Group, s.Groups)
	for _, name := range slices.Sorted(maps.Keys(s.Assignments)) {
		own := map[scoping.Kind]*Set{}
		if r := s.Assignments[name].Users; r != nil {
			own[scoping.User] = c.rules([]any{"assignments", name, "users"}, scoping.User, *r)
		}
		if r := s.Assignments[name].Groups; r != nil {
			own[scoping.Group] = c.rules([]any{"assignments", name, "groups"}, scoping.Group, *r)
		}
		out.assignments[name] = own
	}
	if len(c.problems) > 0 {
		return nil, c.problems
	}
	return out, nil
}

// checker collects the mistakes of settings.
type checker struct {
	more     []string
	problems []Problem
}

func (c *checker) complain(path []any, hint, format string, args ...any) {
	c.problems = append(c.problems, Problem{Path: path, What: fmt.Sprintf(format, args...), Hint: hint})
}

func under(path []any, steps ...any) []any { return append(slices.Clone(path), steps...) }

// attribute looks at an attribute that settings add.
func (c *checker) attribute(path []any, name string) {
	known, ok := scoping.LookupAttribute(name)
	switch {
	case forbidden[strings.ToLower(name)] != "":
		c.complain(path, "", "%s is never written by a mapping: %s", name, forbidden[strings.ToLower(name)])
	case ok && (known.Link || known.Constructed || !writable[known.Syntax]):
		c.complain(path, "", "%s holds a %s, which no mapping writes", name, known.Syntax)
	case strings.ContainsFunc(name, func(r rune) bool {
		return r != '-' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	}) || name == "":
		c.complain(path, "", "%q is no name of an attribute", name)
	}
}

// writable are the syntaxes that mappings can make values of.
var writable = map[scoping.Syntax]bool{scoping.SyntaxText: true, scoping.SyntaxExact: true, scoping.SyntaxInteger: true, scoping.SyntaxLargeInteger: true, scoping.SyntaxBoolean: true, scoping.SyntaxTime: true}

// forbidden are attributes that decide about rights and sign-ins or that Tandem needs itself, in lower case, with why.
var forbidden = map[string]string{
	"useraccountcontrol": "accountDisabled stands for its one bit", "unicodepwd": "Tandem makes a password itself", "userpassword": "Tandem makes a password itself", "dbcspwd": "it is a password",
	"pwdlastset": "it decides about passwords", "lockouttime": "it decides about sign-ins", "admincount": "the directory keeps it", "serviceprincipalname": "it decides who can pose as a service",
	"msds-allowedtodelegateto": "it decides who can act as others", "msds-allowedtoactonbehalfofotheridentity": "it decides who can act as others", "altsecurityidentities": "it decides who can sign in",
	"msds-keycredentiallink": "it decides who can sign in", "sidhistory": "it gives rights", "primarygroupid": "it gives rights", "grouptype": "groups are universal security groups", "samaccounttype": "the directory keeps it",
	"objectsid": "the directory makes it", "objectguid": "the directory makes it", "objectclass": "it is the kind", "objectcategory": "it is the kind", "ntsecuritydescriptor": "it gives rights",
	"name": "it is cn", "distinguishedname": "it follows from cn and parentDistinguishedName", "iscriticalsystemobject": "the directory keeps it", "msds-externaldirectoryobjectid": "the policy's link says of what an object is made",
	"ms-ds-consistencyguid": "it is the anchor of the other direction", "scriptpath": "it runs at sign-in", "profilepath": "it runs at sign-in", "userworkstations": "it decides about sign-ins",
	"logonhours": "it decides about sign-ins", "msds-supportedencryptiontypes": "it decides about sign-ins", "userparameters": "it decides about sign-ins",
}

// rules compiles the mappings of one kind. The base's are without mistakes, as a test knows.
func (c *checker) rules(path []any, kind scoping.Kind, r Rules) *Set {
	_, known := bases[kind][cmp.Or(r.Base, BaseEntra)]
	if !known {
		c.complain(under(path, "base"), "", "there is no base %q for %s: known are %s", r.Base, path[len(path)-1], strings.Join(slices.Sorted(maps.Keys(bases[kind])), ", "))
	}
	seen := map[string]bool{}
	for i, e := range r.Mappings {
		at := under(path, "mappings", i)
		if seen[e.Target] {
			c.complain(under(at, "target"), "", "%s is mapped twice", e.Target)
		}
		seen[e.Target] = true
		c.entry(at, kind, e)
	}
	set, entries := &Set{kind: kind, refs: map[string]string{}}, r.entries(kind)
	set.rules = fingerprint(kind, entries, c.more)
	for _, e := range entries {
		set.add(e, kind)
	}
	for _, name := range []string{engine.CommonName, engine.AccountDisabled} {
		mapped := slices.ContainsFunc(entries, func(e Entry) bool { return e.Target == name })
		if known && !mapped && (kind == scoping.User || name == engine.CommonName) {
			c.complain(path, "", "%s has to be mapped: nothing can be made without it", name)
		}
	}
	return set
}

// add takes an entry in. One with a mistake was complained of, and is passed over.
func (s *Set) add(e Entry, kind scoping.Kind) {
	if e.Target == manager || e.Target == member {
		s.refs[e.Target] = strings.Trim(e.Expression, "[]")
		return
	}
	parsed, err := language.Parse(e.Expression)
	if err != nil {
		return
	}
	p, err := parsed.Compile(Schema(kind))
	switch {
	case err != nil:
	case e.Target == parentDN:
		s.parent = p
	default:
		s.flows = append(s.flows, flow{entry: e, program: p})
	}
}

// entry looks for the mistakes of one mapping.
func (c *checker) entry(path []any, kind scoping.Kind, e Entry) {
	reference := e.Target == manager && kind == scoping.User || e.Target == member && kind == scoping.Group
	if !reference && e.Target != parentDN {
		c.target(under(path, "target"), kind, e.Target)
	}
	if e.LeaveOut {
		if e.Expression != "" || e.Default != "" || e.Apply != "" {
			c.complain(path, "", "a target that is left out has nothing else")
		}
		return
	}
	switch {
	case e.Apply != "" && e.Apply != ApplyAlways && e.Apply != ApplyCreation:
		c.complain(under(path, "apply"), "", "%q is neither %s nor %s", e.Apply, ApplyAlways, ApplyCreation)
	case reference || e.Target == parentDN:
		if e.Apply == ApplyCreation || e.Default != "" {
			c.complain(path, "", "%s always follows the tenant, and has no default", e.Target)
		}
	}
	if e.Default != "" {
		if err := provision.CheckValues(kind, e.Target, []string{e.Default}); err != nil {
			c.complain(under(path, "default"), "", "%s", err)
		}
	}
	at := under(path, "expression")
	if want := map[string]string{manager: "[manager]", member: "[members]"}[e.Target]; reference {
		if e.Expression != want {
			c.complain(at, "write "+want+", or leaveOut: true", "%s is a reference and follows that of the tenant", e.Target)
		}
		return
	}
	c.expression(at, kind, e)
}

// target looks whether an attribute may be written.
func (c *checker) target(path []any, kind scoping.Kind, name string) {
	known := provision.Attributes(kind)
	switch {
	case slices.Contains(known, name) || slices.Contains(c.more, name):
	case forbidden[strings.ToLower(name)] != "":
		c.complain(path, "", "%s is never written by a mapping: %s", name, forbidden[strings.ToLower(name)])
	case name == "":
		c.complain(path, "", "a mapping needs a target, an attribute of the directory")
	default:
		c.complain(path, cmp.Or(language.Closest(name, append(known, parentDN, manager, member)), "name it under attributes if the directory's schema has it"), "%s is no attribute that mappings of a %s write", name, kind)
	}
}

func (c *checker) expression(path []any, kind scoping.Kind, e Entry) {
	parsed, err := language.Parse(e.Expression)
	if err != nil {
		c.expressionError(path, err)
		return
	}
	p, err := parsed.Compile(Schema(kind))
	switch {
	case err != nil:
		c.expressionError(path, err)
	case p.Unique() && e.Target == parentDN:
		c.complain(path, "", "a container is not unique: SelectUniqueValue cannot be used for %s", parentDN)
	case p.Unique() && e.Target == "employeeID":
		c.complain(path, "", "people are found by %s, so that SelectUniqueValue cannot make it", e.Target)
	case p.Unique() && e.Apply != ApplyCreation:
		c.complain(path, "write apply: creation", "SelectUniqueValue is only for objects that are made")
	case p.Unique() && e.Default != "":
		c.complain(path, "make it the last argument", "SelectUniqueValue has no default beside it")
	}
}

// expressionError tells every mistake of an expression, with its place in it.
func (c *checker) expressionError(path []any, err error) {
	for _, e := range language.Mistakes(err) {
		c.problems = append(c.problems, Problem{Path: path, At: &e.At, What: e.Message, Hint: e.Hint})
	}
}
