// Package write is what a directory session is asked to change. Only packages below plugins/directory can import it, so no other package can make a
// [Modification]: all code that writes to Active Directory is found there.
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
