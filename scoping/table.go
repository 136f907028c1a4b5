package scoping

import (
	"fmt"
	"slices"
	"strings"
)

// FeatureRow is one row of the feature table: what a feature is, and what may be asked of it. Every tenant attribute
// stands in exactly one row (rule F2).
type FeatureRow struct {
	Number    int // of the row, for messages
	Feature   Feature
	Title     string
	Kind      Kind      // of a base feature
	Needs     []Feature // switched on as well; empty for base features
	PerDomain bool      // assigned per directory only, not per OU
	Available bool      // assignable in this version of Tandem
	Source    string    // who says so
}

// featureTable is the whole table, in the order in which features are shown.
var featureTable = []FeatureRow{
	{1, Users, "users", User, nil, false, true, "rules F1"},
	{2, Groups, "groups", Group, nil, false, true, "rules F1"},
	{3, Contacts, "contacts", Contact, nil, false, false, "rules F1, J4"},
	{4, Devices, "devices", Device, nil, false, false, "rules F1"},
	{5, References, "manager and members", "", nil, false, true, "rules F2"},
	{6, ExchangeHybrid, "Exchange hybrid attributes", "", []Feature{Users}, false, false, "rules F2"},
	{7, Extensions, "extension attributes", "", []Feature{Users}, false, false, "rules F2"},
	{8, PasswordHash, "password hash synchronization", "", []Feature{Users}, false, false, "rules F3"},
	{9, PasswordWriteback, "password writeback", "", []Feature{PasswordHash}, true, false, "rules F3"},
	{10, GroupProvisioning, "provisioning of groups to Active Directory", "", nil, true, false, "the list of features"},
	{11, UserProvisioning, "provisioning of users to Active Directory", "", nil, true, false, "the list of features"},
}

// FeatureTable gives a copy of the feature table.
func FeatureTable() []FeatureRow { return slices.Clone(featureTable) }

// Row finds a feature in the table.
func Row(f Feature) (FeatureRow, bool) {
	for _, r := range featureTable {
		if r.Feature == f {
			return r, true
		}
	}
	return FeatureRow{}, false
}

// String names the row in messages.
func (r FeatureRow) String() string {
	return fmt.Sprintf("row %d of the feature table, %s", r.Number, r.Title)
}

// FeatureOf gives the one feature in whose row a tenant attribute of an object of kind k stands: manager and members are
// references, extension attributes are extensions, everything else belongs to the base feature.
func FeatureOf(k Kind, attribute string) Feature {
	a := strings.ToLower(attribute)
	switch {
	case a == "manager" || a == "members" || a == "owners":
		return References
	case strings.HasPrefix(a, "extension_") || strings.HasPrefix(a, "extensionattribute") ||
		strings.HasPrefix(a, "onpremisesextensionattributes"):
		return Extensions
	}
	return Base(k)
}

// EngineCaps is what an engine can do.
type EngineCaps struct {
	Features []Feature
}

// Has says whether the engine can write f.
func (c EngineCaps) Has(f Feature) bool { return slices.Contains(c.Features, f) }

// field is one independently owned kind of writing on one kind of object: the unit in which a partition remembers owners.
// More features are more fields.
type field uint8

// kinds in the order of the base features; the fields are the base features and then the references of each kind.
var kinds = [...]Kind{User, Group, Contact, Device}

const (
	numKinds  = len(kinds)
	numFields = 2 * numKinds
)

// fieldSet is a set of fields, a bit each.
type fieldSet uint16

func (s fieldSet) has(f field) bool { return s&(1<<f) != 0 }

func kindIndex(k Kind) int {
	switch k {
	case User:
		return 0
	case Group:
		return 1
	case Contact:
		return 2
	case Device:
		return 3
	}
	return -1
}

// fieldOf gives the field of feature f on an object of kind k; ok is false where the feature does not exist on the kind.
func fieldOf(k Kind, f Feature) (field, bool) {
	switch f {
	case Users:
		return 0, k == User
	case Groups:
		return 1, k == Group
	case Contacts:
		return 2, k == Contact
	case Devices:
		return 3, k == Device
	case References:
		i := kindIndex(k)
		return field(numKinds + max(i, 0)), i >= 0
	}
	return 0, false
}

func (f field) isReference() bool { return int(f) >= numKinds }
func (f field) kind() Kind        { return kinds[int(f)%numKinds] }
func (f field) base() field       { return f % field(numKinds) }

func (f field) feature() Feature {
	if f.isReference() {
		return References
	}
	return Base(f.kind())
}

// fieldsOf gives the fields that features and kinds name: References beside base features are those of the kinds of
// these, alone of every kind, and kinds narrows them.
func fieldsOf(features []Feature, only []Kind) fieldSet {
	var base fieldSet
	for _, f := range features {
		for i, k := range kinds {
			if f == Base(k) {
				base |= 1 << i
			}
		}
	}
	if !slices.Contains(features, References) {
		return base
	}
	refs := base
	if base == 0 {
		refs = 1<<numKinds - 1
	}
	if len(only) > 0 {
		refs = 0
		for _, k := range only {
			if i := kindIndex(k); i >= 0 {
				refs |= 1 << i
			}
		}
	}
	return base | refs<<numKinds
}

// featuresOf is the inverse of fieldsOf; on holds the fields of the kinds that are switched on.
func featuresOf(s, on fieldSet) (features []Feature, only []Kind) {
	const mask = 1<<numKinds - 1
	base, refs := s&mask, s>>numKinds
	for i, k := range kinds {
		if base&(1<<i) != 0 {
			features = append(features, Base(k))
		}
	}
	if refs == 0 {
		return features, nil
	}
	features = append(features, References)
	if refs == base || base == 0 && refs == on>>numKinds {
		return features, nil
	}
	for i, k := range kinds {
		if refs&(1<<i) != 0 {
			only = append(only, k)
		}
	}
	return features, only
}
