// Package attribute is the one table of the tenant's attributes: of which kind and feature each is, how its values look, how long they may be, who may write it,
// and what it stands for. Engines cut values by it, the gate takes proposals by it, the tenant client reads and writes by it.
//
// To add an attribute, add a row at the end of its kind's list in table.go; then let an engine propose it, and the lab's tenant know it.
package attribute

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tandem-sync/tandem/scoping"
)

// Form is how the values of an attribute look in Graph's JSON.
type Form uint8

// The forms.
const (
	Text      Form = iota + 1
	Boolean        // true, false, null
	Texts          // a collection of text
	Extension      // text inside onPremisesExtensionAttributes
	Reference      // other objects, by navigation: none of an object's own values
)

// Trait is what is special about an attribute.
type Trait uint8

// The traits.
const (
	Writable Trait = 1 << iota // Graph takes it from a client; what is not is read only
	Required                   // without it Graph creates no object (https://learn.microsoft.com/graph/api/user-post-users, group-post-groups)
	Single                     // a collection of which Graph takes one value only
	Unique                     // no two objects have the same value
	Made                       // the tenant itself may give it a value when an object is created or restored
)

// Attribute is a row of the table.
type Attribute struct {
	Name    string // Graph's own
	Kind    scoping.Kind
	Feature scoping.Feature // whose engine proposes it (rule F2); "": nobody does
	Form    Form
	Limit   int // the longest value that Graph takes, in characters; 0: none is known
	Traits  Trait
	Bit     uint8 // its place in a Mask of its kind
}

// Is reports whether an attribute has a trait.
func (a Attribute) Is(t Trait) bool { return a.Traits&t != 0 }

// Check returns why an attribute cannot have these values; no values clear it. Lengths and characters are the tenant's to judge.
func (a Attribute) Check(values []string) error {
	switch {
	case !a.Is(Writable):
		return fmt.Errorf("%s cannot be written through Graph", a.Name)
	case slices.Contains(values, ""):
		return fmt.Errorf("%s with an empty text: an attribute is cleared by no value", a.Name)
	case (a.Form != Texts || a.Is(Single)) && len(values) > 1:
		return fmt.Errorf("%s takes one value, not %d", a.Name, len(values))
	case a.Form == Boolean && len(values) == 1 && values[0] != "true" && values[0] != "false":
		return fmt.Errorf("%s is true or false, not %q", a.Name, values[0])
	}
	return nil
}

// Values returns the attributes of a kind that are values of the object itself, in the order in which they are selected. The caller must not change the list.
func Values(kind scoping.Kind) []Attribute { return values[kind] }

// Find returns an attribute of a kind that is a value of the object itself. Registered extensions of users are known by the form of their names.
func Find(kind scoping.Kind, name string) (Attribute, bool) {
	a, ok := index[kind][name]
	if !ok && kind == scoping.User && Registered(name) {
		return Attribute{Name: name, Kind: kind, Feature: scoping.Extensions, Form: Text, Limit: registeredLimit, Traits: Writable}, true
	}
	return a, ok && a.Form != Reference
}

// Registered reports whether a name is one of a directory extension that an application registered: extension_<application id without hyphens>_<name>
// (https://learn.microsoft.com/graph/api/resources/extensionproperty).
func Registered(name string) bool {
	_, _, ok := registered(name)
	return ok
}

func registered(name string) (app, of string, ok bool) {
	rest, is := strings.CutPrefix(name, "extension_")
	app, of, cut := strings.Cut(rest, "_")
	return app, of, is && cut && len(app) == 32 && of != ""
}

// Source returns the directory's attribute of which engines make one of the tenant's, "" where that is not one. A registered extension is made of the attribute
// whose name it ends with, as Entra Connect names it (https://learn.microsoft.com/entra/identity/hybrid/connect/how-to-connect-sync-feature-directory-extensions).
func Source(name string) string {
	if _, of, ok := registered(name); ok {
		return of
	}
	if a, ok := index[scoping.User][name]; ok && a.Form == Extension {
		return name
	}
	return sources[name]
}

// Named returns the tenant's attributes that a name stands for, in whichever case: the tenant's own name, or the directory's name of what they are made of. Only
// values that base features write are meant; none is no such attribute.
func Named(name string) (out []string) {
	for _, n := range Leavable() {
		if strings.EqualFold(n, name) || strings.EqualFold(sources[n], name) {
			out = append(out, n)
		}
	}
	return out
}

// Leavable returns the names of the values that base features write, of whichever kind, sorted.
func Leavable() []string {
	var out []string
	for _, k := range scoping.Kinds() {
		out = append(out, features[scoping.Base(k)]...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// FeatureOf returns the feature whose engine proposes a value of a kind; "" where none does.
func FeatureOf(kind scoping.Kind, name string) scoping.Feature {
	a, _ := Find(kind, name)
	return a.Feature
}

// OfFeature returns the names of the attributes that the engine of a feature proposes, sorted; none for a feature that the table does not know. The caller must
// not change the list.
func OfFeature(f scoping.Feature) []string { return slices.Clip(features[f]) }

// With returns the names of a kind's own values that have a trait, in the table's order. The caller must not change the list.
func With(kind scoping.Kind, t Trait) []string { return slices.Clip(traits[kind][t]) }

// Keys returns the names, of whichever kind, of which no two objects have the same value; a name that holds another one stands before it. The caller must not
// change the list.
func Keys() []string { return slices.Clip(keys) }

// Limit returns the longest value of an attribute in characters; 0 where none is known. Kinds agree about it.
func Limit(name string) int {
	if n := limits[name]; n != 0 || !Registered(name) {
		return n
	}
	return registeredLimit
}

// registeredLimit is how long the text of a registered extension may be
// (https://learn.microsoft.com/graph/extensibility-overview, directory extensions).
const registeredLimit = 256

// Mask is a set of attributes of one kind. What a bit stands for does not change: it can be stored.
type Mask uint64

// MaskOf returns the set of the named attributes of a kind; names that the table does not know are not in it.
func MaskOf(kind scoping.Kind, names []string) Mask {
	var m Mask
	for _, n := range names {
		if a, ok := index[kind][n]; ok {
			m |= 1 << a.Bit
		}
	}
	return m
}

// Names returns the names of a mask's attributes of a kind, in the table's order.
func (m Mask) Names(kind scoping.Kind) []string {
	var out []string
	for _, a := range table[kind] {
		if m&(1<<a.Bit) != 0 {
			out = append(out, a.Name)
		}
	}
	return out
}
