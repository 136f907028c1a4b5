package scoping

// Kind is what an object is.
type Kind string

// The kinds of objects that Tandem knows.
const (
	User    Kind = "user"
	Group   Kind = "group"
	Contact Kind = "contact"
	Device  Kind = "device"
)

// Feature is a separately assignable kind of writing.
type Feature string

// The features. Users, Groups, Contacts and Devices are base features: each kind has one, and it alone creates, joins,
// restores and deletes (rule F1).
const (
	Users             Feature = "users"
	Groups            Feature = "groups"
	Contacts          Feature = "contacts"
	Devices           Feature = "devices"
	References        Feature = "references"
	ExchangeHybrid    Feature = "exchange-hybrid"
	Extensions        Feature = "extensions"
	PasswordHash      Feature = "password-hash"
	PasswordWriteback Feature = "password-writeback"
	GroupProvisioning Feature = "group-provisioning"
	UserProvisioning  Feature = "user-provisioning"
)

// Base gives the base feature of a kind.
func Base(k Kind) Feature {
	switch k {
	case User:
		return Users
	case Group:
		return Groups
	case Contact:
		return Contacts
	case Device:
		return Devices
	}
	return ""
}
