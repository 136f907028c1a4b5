package scoping

import "slices"

// field is one independently owned kind of writing on one kind of object: the unit in which a partition remembers owners. The
// first of each kind is its base feature; what follows a base feature belongs with its owner unless it is assigned apart.
type field uint8

// fields is every field. The order is kept in stored partitions: new ones are added at the end.
var fields = [...]struct {
	feature Feature
	kind    Kind
	base    field // what it follows; itself: it stands alone
}{
	{Users, User, 0}, {Groups, Group, 1}, {Contacts, Contact, 2}, {Devices, Device, 3},
	{References, User, 0}, {References, Group, 1}, {References, Contact, 2}, {References, Device, 3},
	{ExchangeHybrid, User, 0}, {ExchangeHybrid, Group, 1}, {ExchangeHybrid, Contact, 2},
	{Extensions, User, 0}, {Extensions, Group, 1}, {Extensions, Contact, 2},
	{PasswordHash, User, 0},
	{PasswordWriteback, User, 0}, {GroupProvisioning, Group, 16}, {UserProvisioning, User, 17},
}

// kinds in the order of the base features, whose fields come first.
var kinds = [...]Kind{User, Group, Contact, Device}

// Kinds lists the kinds of objects.
func Kinds() []Kind { return slices.Clone(kinds[:]) }

const (
	numKinds  = len(kinds)
	numFields = len(fields)

	baseFields fieldSet = 1<<numKinds - 1
	allFields  fieldSet = 1<<numFields - 1
)

func (f field) feature() Feature { return fields[f].feature }
func (f field) kind() Kind       { return fields[f].kind }
func (f field) base() field      { return fields[f].base }
func (f field) follows() bool    { return fields[f].base != f }
func (f field) isBase() bool     { return int(f) < numKinds }

// fieldSet is a set of fields, a bit each.
type fieldSet uint32

func (s fieldSet) has(f field) bool { return s&(1<<f) != 0 }

// fieldIndex finds fields without a search: look-ups of owners begin with it.
var fieldIndex = func() map[Feature][numKinds]int8 {
	out := map[Feature][numKinds]int8{}
	for _, r := range featureTable {
		row := [numKinds]int8{-1, -1, -1, -1}
		for f, x := range fields {
			if x.feature == r.Feature {
				row[kindIndex(x.kind)] = int8(f)
			}
		}
		out[r.Feature] = row
	}
	return out
}()

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
	i := kindIndex(k)
	switch {
	case i < 0:
		return 0, false
	case f == Users, f == Groups, f == Contacts, f == Devices:
		return field(i), f == Base(k)
	case f == References:
		return field(numKinds + i), true
	}
	row, known := fieldIndex[f]
	if !known || row[i] < 0 {
		return 0, false
	}
	return field(row[i]), true
}

// kindsWith gives, a bit each, the kinds on which a feature exists.
func kindsWith(f Feature) (set uint8) {
	for _, x := range fields {
		if x.feature == f {
			set |= 1 << kindIndex(x.kind)
		}
	}
	return set
}

func kindSet(ks []Kind) (set uint8) {
	for _, k := range ks {
		if i := kindIndex(k); i >= 0 {
			set |= 1 << i
		}
	}
	return set
}

func kindsOf(set uint8) (out []Kind) {
	for i, k := range kinds {
		if set&(1<<i) != 0 {
			out = append(out, k)
		}
	}
	return out
}

// fieldsOf gives the fields that features and kinds name. A feature that follows stands, beside base features, for the kinds
// of these, and alone for every kind; only narrows it.
func fieldsOf(features []Feature, only []Kind) fieldSet {
	var out fieldSet
	for _, f := range features {
		if i := slices.Index(baseFeatures, f); i >= 0 {
			out |= 1 << i
		}
	}
	meant := uint8(out)
	if meant == 0 {
		meant = 1<<numKinds - 1
	}
	if len(only) > 0 {
		meant = kindSet(only)
	}
	for i, x := range fields {
		if field(i).isBase() || !slices.Contains(features, x.feature) {
			continue
		}
		if !field(i).follows() || meant&(1<<kindIndex(x.kind)) != 0 {
			out |= 1 << i
		}
	}
	return out
}

var baseFeatures = []Feature{Users, Groups, Contacts, Devices}

// named is one way to write down a set of fields.
type named struct {
	fields   fieldSet
	features []Feature
	kinds    []Kind
}

// namesOf is the inverse of fieldsOf: as few names as possible for a set of fields, where those of on are switched on. One is
// enough unless the features that follow stand for different kinds.
func namesOf(s, on fieldSet) []named {
	base := uint8(s & baseFields)
	want := map[Feature]uint8{} // the kinds of each feature that follows
	for i := range fields {
		if f := field(i); s.has(f) && f.follows() {
			want[f.feature()] |= 1 << kindIndex(f.kind())
		}
	}
	if k, ok := oneSet(want, base, uint8(on&baseFields)); ok {
		return []named{name(s, k)}
	}
	var out []named
	rest := s
	for _, r := range featureTable {
		k, follows := want[r.Feature]
		if !follows || k == base&kindsWith(r.Feature) && base != 0 {
			continue
		}
		only := fieldsOf([]Feature{r.Feature}, kindsOf(k))
		rest &^= only
		out = append(out, named{only, []Feature{r.Feature}, kindsOf(k)})
	}
	if rest != 0 {
		out = slices.Insert(out, 0, namesOf(rest, on)...)
	}
	return out
}

// oneSet finds the kinds that all features that follow stand for, 0 if they need not be named.
func oneSet(want map[Feature]uint8, base, on uint8) (uint8, bool) {
	implied := base
	if implied == 0 {
		implied = on
	}
	var union uint8
	fits, plain := true, true
	for _, k := range want {
		union |= k
	}
	for f, k := range want {
		fits = fits && k == union&kindsWith(f)
		plain = plain && k == implied&kindsWith(f)
	}
	if plain {
		return 0, true
	}
	return union, fits
}

func name(s fieldSet, only uint8) named {
	n := named{fields: s}
	for _, r := range featureTable {
		for i := range fields {
			if s.has(field(i)) && field(i).feature() == r.Feature {
				n.features = append(n.features, r.Feature)
				break
			}
		}
	}
	if only != 0 {
		n.kinds = kindsOf(only)
	}
	return n
}

// featuresIn lists the features of a set of fields in the order of the feature table.
func featuresIn(s fieldSet) []Feature { return name(s, 0).features }
