package access

import (
	"slices"

	"github.com/tandem-sync/tandem/scoping"
)

// Token holds the SIDs by which a request is judged: the account's own, its groups', and those that every signed-in account has.
type Token []SID

// NewToken returns the token of an account from its own SID and its groups', as the account's tokenGroups holds them. It adds the SIDs that every signed-in
// account has.
func NewToken(own SID, groups []SID) Token {
	return append(Token{own, Everyone, AuthenticatedUsers}, groups...)
}

// Has reports whether the token holds sid.
func (t Token) Has(sid SID) bool { return slices.Contains(t, sid) }

// Right is one thing that may be done to an object: a mask with one bit, and what it is about.
type Right struct {
	Mask   Mask
	Object scoping.GUID // of a control access right or a property; zero: all properties, or all of those rights
	Set    scoping.GUID // the set of properties that the property belongs to; zero: none
}

// about reports whether an entry speaks of the right. An entry about one property says nothing of all.
func (e Entry) about(r Right) bool {
	return e.Mask&r.Mask == r.Mask && (e.Object.IsZero() || e.Object == r.Object || !r.Set.IsZero() && e.Object == r.Set)
}

// Allows reports whether the token's holder has the right over the object whose descriptor it is: the first entry that speaks of it decides, and
// without one nothing is allowed (MS-ADTS 5.1.3.3). The owner may always read and write the access list, unless an entry for OWNER RIGHTS says
// otherwise (MS-DTYP 2.5.3.2). self is the object's own SID, for entries for SELF; empty where it has none.
func (d Descriptor) Allows(t Token, self SID, r Right) bool {
	return d.decide(t, self, r, func(e Entry) bool { return e.here })
}

// Inherits reports what a new object of the class directly below would allow, by what it inherits; what objects of its class are given besides is
// not in it, nor does the owner count.
func (d Descriptor) Inherits(t Token, class scoping.GUID, r Right) bool {
	d.Owner = ""
	return d.decide(t, "", r, func(e Entry) bool { return e.below && (e.Inherited.IsZero() || e.Inherited == class) })
}

func (d Descriptor) decide(t Token, self SID, r Right, counts func(Entry) bool) bool {
	if d.Open {
		return true
	}
	restricted := slices.ContainsFunc(d.Entries, func(e Entry) bool { return e.SID == OwnerRights && counts(e) })
	owner := d.Owner != "" && t.Has(d.Owner)
	if owner && !restricted && r.Mask&^(ReadControl|WriteDAC) == 0 {
		return true
	}
	for _, e := range d.Entries {
		mine := t.Has(e.SID) || e.SID == Self && self != "" && t.Has(self) || e.SID == OwnerRights && owner
		if mine && counts(e) && e.about(r) {
			return !e.Deny
		}
	}
	return false
}

// Writing is everything by which an object, its access list or what lies below it is changed.
const Writing = CreateChild | DeleteChild | WriteProperty | DeleteTree | Delete | WriteDAC | WriteOwner

// Grant is an entry that allows a token's holder something.
type Grant struct {
	Entry Entry
	Below bool // it is for objects below, not for the object itself
}

// Grants returns the entries by which the token's holder may write something, or use one of the named control access rights; denials are not looked at,
// so that it names more than works, never less. The entry of an owner without one has the SID of the owner.
func (d Descriptor) Grants(t Token, rights ...scoping.GUID) []Grant {
	var out []Grant
	if d.Owner != "" && t.Has(d.Owner) {
		out = append(out, Grant{Entry: Entry{SID: d.Owner, Mask: WriteDAC}})
	}
	if d.Open {
		return append(out, Grant{Entry: Entry{SID: Everyone, Mask: everything}})
	}
	for _, e := range d.Entries {
		named := e.Mask&ControlAccess != 0 && (e.Object.IsZero() || slices.Contains(rights, e.Object))
		if !e.Deny && t.Has(e.SID) && (e.Mask&Writing != 0 || named) {
			out = append(out, Grant{Entry: e, Below: !e.here})
		}
	}
	return out
}
