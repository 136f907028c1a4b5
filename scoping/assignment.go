package scoping

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
)

// Pos is a place in a policy file. The zero Pos is nowhere: the thing was not read from a file.
type Pos struct {
	File         string
	Line, Column int // from 1; columns count characters
}

// String gives "file:line:column".
func (p Pos) String() string {
	if p.Line == 0 {
		return p.File
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
}

// Pin names a container by identity. DN is what the policy file says before the pin is resolved, and the directory's own
// spelling after; GUID is zero until then.
type Pin struct {
	GUID      GUID   `json:"guid"`
	DN        string `json:"dn"`
	Ancestors []GUID `json:"ancestors,omitempty"` // the parent first, the naming context's root last; empty for that root
	Pos       Pos    `json:"-"`
}

// Leaving says what happens to a synchronized object that moves to where no engine writes (rule T4).
type Leaving string

// The ways of leaving.
const (
	Disable Leaving = "disable" // the cloud object is disabled once (the default)
	Remove  Leaving = "remove"  // it is deleted, which counts as a delete
	Keep    Leaving = "keep"    // it stays as it is
)

// Assignment gives features of the objects of one subtree to an engine.
type Assignment struct {
	Name      string    `json:"name"`
	Directory string    `json:"directory"`
	Under     Pin       `json:"under"`
	Except    []Pin     `json:"except,omitempty"`
	Engine    string    `json:"engine"` // [None] leaves them without one on purpose
	Features  []Feature `json:"features"`
	Kinds     []Kind    `json:"kinds,omitempty"`    // narrows References to objects of these kinds; see [Scope.Kinds]
	Priority  int       `json:"priority,omitempty"` // among assignments of the same subtree the higher number wins
	Leaving   Leaving   `json:"leaving,omitempty"`  // for engine none, and with From: overrides the default
	Selector  Selector  `json:"selector,omitzero"`

	// Of assignments from the tenant into the directory, to which Under is the container:
	From  From     `json:"from,omitzero"`
	Link  string   `json:"link,omitempty"`  // the directory's attribute that shows what something was made of; see LinkOr
	Match []string `json:"match,omitempty"` // by which a person is looked for before an account is made; see MatchOr

	Pos        Pos   `json:"-"`
	EnginePos  Pos   `json:"-"`
	FeaturePos []Pos `json:"-"` // beside Features; may be shorter
}

// Selector narrows an assignment to some objects of its subtree: to those that satisfy all that it names.
type Selector struct {
	MemberOf Pin    `json:"memberOf,omitzero"` // a group, nested membership included
	Filter   string `json:"filter,omitempty"`  // RFC 4515
	Sample   string `json:"sample,omitempty"`  // a percentage: "5%"

	FilterPos Pos `json:"-"`
	SamplePos Pos `json:"-"`
}

// narrowed says that the assignment speaks of some objects of its subtree only.
func (a *Assignment) narrowed() bool { return !a.Selector.IsZero() }

// IsZero says that the selector narrows nothing.
func (s Selector) IsZero() bool {
	return s.MemberOf.DN == "" && s.MemberOf.GUID.IsZero() && s.Filter == "" && s.Sample == ""
}

// Threshold is how many deletes of one run or day are carried out without asking (rule D2).
type Threshold struct {
	Objects int `json:"objects"`
	Percent int `json:"percent"`
}

// UPN is how sign-in names are treated (rule J6).
type UPN struct {
	UnverifiedSuffix string `json:"unverifiedSuffix"` // refuse or initialDomain
	Changes          string `json:"changes"`          // apply or hold
}

// Defaults hold for all assignments of a policy.
type Defaults struct {
	SoftMatch       bool      `json:"softMatch"`
	DeleteThreshold Threshold `json:"deleteThreshold"`
	UPN             UPN       `json:"upn"`
	Leaving         Leaving   `json:"leaving"`
	Members         string    `json:"members,omitempty"`   // exclusive: memberships that Tandem did not write are removed (rule D3); keep, or empty: they stay
	Conflicts       string    `json:"conflicts,omitempty"` // quarantine: a new person whose address somebody else has is made without it; refuse, or empty: is not made
	// TemporaryPasswords: passwords that have to be changed at the next sign-in are handed over too, as such.
	TemporaryPasswords bool              `json:"temporaryPasswords,omitempty"`
	Extensions         []string          `json:"extensions,omitempty"` // what feature extensions writes, by the tenant's names
	Attributes         AttributesDefault `json:"attributes,omitzero"`
}

// AttributesDefault is what holds for single attributes.
type AttributesDefault struct {
	LeaveOut []string `json:"leaveOut,omitempty"` // not managed: written by no engine and cleared by none; the tenant's names, or the directory's
}

// IsZero reports whether nothing is said of any attribute.
func (a AttributesDefault) IsZero() bool { return len(a.LeaveOut) == 0 }

// Equal reports whether two policies have the same defaults. The order of lists does not matter.
func (d Defaults) Equal(o Defaults) bool {
	same := func(a, b []string) bool {
		return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
	}
	if !same(d.Extensions, o.Extensions) || !same(d.Attributes.LeaveOut, o.Attributes.LeaveOut) {
		return false
	}
	d.Extensions, d.Attributes, o.Extensions, o.Attributes = nil, AttributesDefault{}, nil, AttributesDefault{}
	return reflect.DeepEqual(d, o)
}

// MembersRule is [Defaults.Members] with the usual value spelled out.
func (d Defaults) MembersRule() string { return cmp.Or(d.Members, KeepMembers) }

// ConflictsRule is [Defaults.Conflicts] with the usual value spelled out.
func (d Defaults) ConflictsRule() string { return cmp.Or(d.Conflicts, RefuseConflicts) }

// The values of [Defaults.Members] and [Defaults.Conflicts].
const (
	KeepMembers         = "keep"
	ExclusiveMembers    = "exclusive"
	RefuseConflicts     = "refuse"
	QuarantineConflicts = "quarantine"
)

// DefaultDefaults are what a policy that says nothing gets.
func DefaultDefaults() Defaults {
	return Defaults{
		DeleteThreshold: Threshold{Objects: 500, Percent: 10},
		UPN:             UPN{UnverifiedSuffix: "initialDomain", Changes: "apply"},
		Leaving:         Disable,
	}
}

// Policy is what an administrator writes: who shall own what. [Compile] makes a [Partition] of it.
type Policy struct {
	Features    []Feature // switched on; References need not be listed unless it is assigned apart
	Defaults    Defaults
	Matches     string // file of matches for the first adoption, as written
	Assignments []Assignment

	Pos        Pos   // the file
	FeaturePos []Pos // beside Features; may be shorter

	ExtensionPos []Pos // beside Defaults.Extensions; may be shorter
	LeaveOutPos  []Pos // beside Defaults.Attributes.LeaveOut; may be shorter
}

// posAt gives the i-th position, or the fallback where there is none.
func posAt(ps []Pos, i int, fallback Pos) Pos {
	if i < len(ps) {
		return ps[i]
	}
	return fallback
}
