// Package scoping decides who may write what.
//
// It is a set of pure functions over values: names of objects, features, selectors, and the partition that maps each
// (object, feature) to exactly one engine or to [None]. It does no I/O, reads no clock and starts no goroutine; everything
// else in Tandem trusts it, so it imports nothing of Tandem.
package scoping

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// None is the engine of objects that a policy leaves without an engine on purpose (`engine: none`).
const None = "none"

// GUID is an objectGUID in the byte order in which Active Directory stores it: the first three fields little-endian
// (MS-DTYP 2.3.4.2). The zero GUID names nothing.
type GUID [16]byte

// ErrGUID is the kind of every error that [ParseGUID] and [GUIDFromBytes] return.
var ErrGUID = errors.New("not an objectGUID")

// GUIDFromBytes takes the 16 bytes of an objectGUID attribute as they are.
func GUIDFromBytes(b []byte) (GUID, error) {
	var g GUID
	if len(b) != len(g) {
		return g, fmt.Errorf("%w: %d bytes instead of 16", ErrGUID, len(b))
	}
	copy(g[:], b)
	return g, nil
}

// ParseGUID reads the usual text form, 8-4-4-4-12 hexadecimal digits, with or without braces, in either case.
func ParseGUID(s string) (GUID, error) {
	var g GUID
	t := strings.TrimSuffix(strings.TrimPrefix(s, "{"), "}")
	if len(t) != 36 || t[8] != '-' || t[13] != '-' || t[18] != '-' || t[23] != '-' {
		return g, fmt.Errorf("%w: %q", ErrGUID, s)
	}
	b, err := hex.DecodeString(strings.ReplaceAll(t, "-", ""))
	if err != nil || len(b) != 16 {
		return g, fmt.Errorf("%w: %q", ErrGUID, s)
	}
	binary.LittleEndian.PutUint32(g[0:], binary.BigEndian.Uint32(b[0:]))
	binary.LittleEndian.PutUint16(g[4:], binary.BigEndian.Uint16(b[4:]))
	binary.LittleEndian.PutUint16(g[6:], binary.BigEndian.Uint16(b[6:]))
	copy(g[8:], b[8:])
	return g, nil
}

// String gives the usual lower-case text form.
func (g GUID) String() string {
	var b [36]byte
	hex.Encode(b[0:], []byte{g[3], g[2], g[1], g[0]})
	hex.Encode(b[9:], []byte{g[5], g[4]})
	hex.Encode(b[14:], []byte{g[7], g[6]})
	hex.Encode(b[19:], g[8:10])
	hex.Encode(b[24:], g[10:])
	b[8], b[13], b[18], b[23] = '-', '-', '-', '-'
	return string(b[:])
}

// IsZero says that g names nothing.
func (g GUID) IsZero() bool { return g == GUID{} }

// Compare orders GUIDs by their bytes: an arbitrary but stable order.
func (g GUID) Compare(o GUID) int { return strings.Compare(string(g[:]), string(o[:])) }

// MarshalText implements encoding.TextMarshaler with the text form.
func (g GUID) MarshalText() ([]byte, error) { return []byte(g.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (g *GUID) UnmarshalText(b []byte) error {
	v, err := ParseGUID(string(b))
	if err == nil {
		*g = v
	}
	return err
}

// ObjectID is the identity of a directory object (rule I1): never its DN, never its anchor.
type ObjectID struct {
	Directory string
	GUID      GUID
}

// String gives "directory/guid", which [ParseObjectID] reads.
func (o ObjectID) String() string { return o.Directory + "/" + o.GUID.String() }

// ParseObjectID reads what [ObjectID.String] wrote.
func ParseObjectID(s string) (ObjectID, error) {
	i := strings.LastIndexByte(s, '/')
	if i <= 0 {
		return ObjectID{}, fmt.Errorf("%q is not an object identity (directory/guid)", s)
	}
	g, err := ParseGUID(s[i+1:])
	return ObjectID{Directory: s[:i], GUID: g}, err
}

// Compare orders identities by directory, then GUID.
func (o ObjectID) Compare(p ObjectID) int {
	if c := strings.Compare(o.Directory, p.Directory); c != 0 {
		return c
	}
	return o.GUID.Compare(p.GUID)
}

// MarshalText implements encoding.TextMarshaler, so that identities can be JSON map keys.
func (o ObjectID) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (o *ObjectID) UnmarshalText(b []byte) error {
	v, err := ParseObjectID(string(b))
	if err == nil {
		*o = v
	}
	return err
}

// Epoch orders changes of grants. N rises with each change; Incarnation is new after a restore or a take-over (rule H1).
type Epoch struct{ Incarnation, N uint64 }

// String gives "incarnation.n".
func (e Epoch) String() string { return fmt.Sprintf("%d.%d", e.Incarnation, e.N) }

// Compare orders epochs by incarnation, then n.
func (e Epoch) Compare(o Epoch) int {
	switch {
	case e.Incarnation != o.Incarnation:
		if e.Incarnation < o.Incarnation {
			return -1
		}
		return 1
	case e.N < o.N:
		return -1
	case e.N > o.N:
		return 1
	}
	return 0
}

// ParseEpoch reads what [Epoch.String] wrote.
func ParseEpoch(s string) (Epoch, error) {
	a, b, ok := strings.Cut(s, ".")
	i, err1 := strconv.ParseUint(a, 10, 64)
	n, err2 := strconv.ParseUint(b, 10, 64)
	if !ok || err1 != nil || err2 != nil {
		return Epoch{}, fmt.Errorf("%q is not an epoch (incarnation.n)", s)
	}
	return Epoch{Incarnation: i, N: n}, nil
}

// MarshalText implements encoding.TextMarshaler.
func (e Epoch) MarshalText() ([]byte, error) { return []byte(e.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (e *Epoch) UnmarshalText(b []byte) error {
	v, err := ParseEpoch(string(b))
	if err == nil {
		*e = v
	}
	return err
}

// Tenant names the tenant where it is a source, beside the directories: no directory in a configuration can have this name.
const Tenant = "@tenant"

// Cloud returns the identity of an object of the tenant as a source, by its id there, which is a GUID in text form.
func Cloud(id string) (ObjectID, error) {
	g, err := ParseGUID(id)
	return ObjectID{Directory: Tenant, GUID: g}, err
}

// IsCloud reports whether o is an object of the tenant; its id there is the GUID's text form.
func (o ObjectID) IsCloud() bool { return o.Directory == Tenant }
