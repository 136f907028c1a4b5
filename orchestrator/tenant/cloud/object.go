// Package cloud holds the values of the tenant: objects as Graph shows them, writes as the gate sends them, their results, and the cache that keeps a
// view of the whole tenant under an overlay of Tandem's own answered writes.
//
// It is pure: no I/O, no clock, no goroutines, and no import of the Graph SDK, so that gate, ledger and simulation can use it.
package cloud

import (
	"maps"
	"slices"

	"github.com/tandem-sync/tandem/scoping"
	"github.com/tandem-sync/tandem/scoping/attribute"
)

// Names of attributes that Tandem treats specially, from the table of attributes.
const (
	UPN          = attribute.UPN
	ImmutableID  = attribute.ImmutableID
	UniqueName   = attribute.UniqueName
	SourceAnchor = attribute.SourceAnchor
	Enabled      = attribute.Enabled
	Mail         = attribute.Mail
	Nickname     = attribute.Nickname
	DisplayName  = attribute.DisplayName
	Manager      = attribute.Manager
	Members      = attribute.Members
)

// Values are attributes in canonical text: booleans "true" and "false", several values sorted. An absent name is not set.
type Values map[string][]string

// Clone copies v deeply.
func (v Values) Clone() Values {
	c := make(Values, len(v))
	for k, x := range v {
		c[k] = slices.Clone(x)
	}
	return c
}

// First returns the first value of a name, or "".
func (v Values) First(name string) string {
	if x := v[name]; len(x) > 0 {
		return x[0]
	}
	return ""
}

// Object is a cloud object as the tenant shows it.
type Object struct {
	ID      string       `json:"id"`
	Kind    scoping.Kind `json:"kind"`
	Values  Values       `json:"values"`
	Members []string     `json:"members,omitempty"` // ids, sorted; groups only
	Manager string       `json:"manager,omitempty"` // id; users and contacts only
	Deleted bool         `json:"deleted,omitempty"` // in the deleted items
	Synced  bool         `json:"synced,omitempty"`  // Microsoft's engines own it (onPremisesSyncEnabled)
	Guest   bool         `json:"guest,omitempty"`
	Mailed  bool         `json:"mailed,omitempty"` // a mail-enabled group: Graph cannot write it
	Role    bool         `json:"role,omitempty"`   // a role-assignable group
}

// Anchor returns an object's source anchor in the tenant, base64: a user's onPremisesImmutableId, a contact's where contacts can be written.
func (o Object) Anchor() string {
	if o.Kind == scoping.Contact {
		return o.Values.First(SourceAnchor)
	}
	return o.Values.First(ImmutableID)
}

// Clone copies o deeply.
func (o Object) Clone() Object {
	o.Values, o.Members = o.Values.Clone(), slices.Clone(o.Members)
	return o
}

// HasMember reports whether id is among the members.
func (o Object) HasMember(id string) bool {
	_, ok := slices.BinarySearch(o.Members, id)
	return ok
}

// Equal reports whether two sets of values are equal; a name without values equals an absent one.
func Equal(a, b Values) bool {
	for k := range maps.Keys(a) {
		if !slices.Equal(a[k], b[k]) {
			return false
		}
	}
	for k := range maps.Keys(b) {
		if !slices.Equal(a[k], b[k]) {
			return false
		}
	}
	return true
}
