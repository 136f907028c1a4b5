package scoping

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrDN is the kind of every error that [ParseDN] returns.
var ErrDN = errors.New("not a distinguished name")

// AVA is one attribute type and value of a relative distinguished name.
type AVA struct {
	Type  string // upper case, a short name where RFC 4514 section 3 or Active Directory has one
	Value string // unescaped; for Raw values the BER encoding
	Raw   bool   // Value is the BER encoding of something that is no string ("#" form)
}

// RDN is a relative distinguished name: one AVA, or several in the order in which they were written.
type RDN []AVA

// DN is a distinguished name, the object's own name first. The zero DN is the empty name, the root of every tree. A DN is
// never changed after it was parsed, so it may be shared.
type DN struct{ rdns []RDN }

// Depth is the number of RDNs.
func (d DN) Depth() int { return len(d.rdns) }

// IsZero says that d is the empty name.
func (d DN) IsZero() bool { return len(d.rdns) == 0 }

// RDN gives the object's own relative name, nil for the empty name.
func (d DN) RDN() RDN {
	if len(d.rdns) == 0 {
		return nil
	}
	return slices.Clone(d.rdns[0])
}

// Parent gives the name of the container; the parent of the empty name is the empty name.
func (d DN) Parent() DN {
	if len(d.rdns) == 0 {
		return d
	}
	return DN{rdns: d.rdns[1:]}
}

// Equal compares names as RFC 4517 distinguishedNameMatch does, with case folded in all of Unicode and multi-valued RDNs in
// any order. Active Directory ignores more (accents, width): whoever needs its judgement asks it for the objectGUID.
func (d DN) Equal(o DN) bool {
	return len(d.rdns) == len(o.rdns) && d.endsWith(o)
}

// AncestorOf says whether o lies in the subtree of d; d lies in its own subtree unless strict is set.
func (d DN) AncestorOf(o DN, strict bool) bool {
	if len(o.rdns) < len(d.rdns) || strict && len(o.rdns) == len(d.rdns) {
		return false
	}
	return o.endsWith(d)
}

func (d DN) endsWith(o DN) bool {
	off := len(d.rdns) - len(o.rdns)
	for i := range o.rdns {
		if !d.rdns[off+i].Equal(o.rdns[i]) {
			return false
		}
	}
	return true
}

// Equal compares two relative names, whatever the order of their parts.
func (r RDN) Equal(o RDN) bool {
	if len(r) != len(o) {
		return false
	}
	if len(r) == 1 {
		return r[0].equal(o[0])
	}
	return r.Key() == o.Key()
}

func (a AVA) equal(o AVA) bool {
	return a.Raw == o.Raw && a.Type == o.Type && (a.Value == o.Value || !a.Raw && fold(a.Value) == fold(o.Value))
}

// Key gives a string that equal names share and other names do not: the folded, sorted, escaped form. It is for map keys,
// not for people.
func (d DN) Key() string {
	parts := make([]string, len(d.rdns))
	for i, r := range d.rdns {
		parts[i] = r.Key()
	}
	return strings.Join(parts, ",")
}

// Key gives a string that equal relative names share and others do not.
func (r RDN) Key() string {
	parts := make([]string, len(r))
	for i, a := range r {
		if !a.Raw {
			a.Value = fold(a.Value)
		}
		parts[i] = a.String()
	}
	slices.Sort(parts)
	return strings.Join(parts, "+")
}

// MarshalText implements encoding.TextMarshaler.
func (d DN) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *DN) UnmarshalText(b []byte) error {
	v, err := ParseDN(string(b))
	if err == nil {
		*d = v
	}
	return err
}

// ParseDN reads the string form of RFC 4514, and the spaces around separators that Active Directory and its administrators
// also write. The empty string is the empty name. Errors are of kind [ErrDN] and name the byte where the reading stopped.
func ParseDN(s string) (DN, error) {
	p := dnParser{s: s}
	d, err := p.name()
	if err != nil {
		return DN{}, fmt.Errorf("%w: %q: %w", ErrDN, s, err)
	}
	return d, nil
}

// MustParseDN is for names that are constants of the program; it panics on others.
func MustParseDN(s string) DN {
	d, err := ParseDN(s)
	if err != nil {
		panic(err)
	}
	return d
}
