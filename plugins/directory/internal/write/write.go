// Package write is what a directory session is asked to change. Only packages below plugins/directory can import it, so no other package can make a
// [Modification] or one of the others: all code that writes to Active Directory is found there.
package write

import "github.com/tandem-sync/tandem/scoping"

// Op is what a [Change] does with its values, in the numbers of LDAP (RFC 4511 4.6).
type Op uint

// The operations.
const (
	Add     Op = 0
	Delete  Op = 1
	Replace Op = 2
)

// Change is one part of a modification. The values may be secrets: they are lent for the call.
type Change struct {
	Op     Op
	Attr   string
	Values [][]byte
}

// Control is a request control (RFC 4511 4.1.11); it is sent as critical.
type Control struct {
	OID   string
	Value []byte // BER
}

// Modification changes one object: all of it or, on an error, nothing (RFC 4511 4.6).
type Modification struct {
	Object   scoping.GUID // objectGUID, by which the object is addressed wherever it lies
	Changes  []Change
	Controls []Control
}

// Attribute is one attribute of an object to be. The values may be secrets: they are lent for the call.
type Attribute struct {
	Name   string
	Values [][]byte
}

// Addition makes one object (RFC 4511 4.7). A new object has no objectGUID yet, so its place is a DN.
type Addition struct {
	DN         string
	Attributes []Attribute
}

// Rename gives one object another name or another place (RFC 4511 4.9). It is addressed by its DN: Samba takes no objectGUID here.
type Rename struct {
	DN     string // as it was read over the same connection
	RDN    string // such as CN=Ann Miller; the old one is given up
	Parent string // DN of the new parent; empty: it stays where it is
}

// Removal deletes one object, which has nothing below it (RFC 4511 4.8).
type Removal struct {
	Object scoping.GUID
}
