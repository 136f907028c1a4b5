package access

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/tandem-sync/tandem/scoping"
)

// Mask is what an entry of an access list allows or denies (MS-ADTS 5.1.3.2).
type Mask uint32

// The rights over an object of the directory.
const (
	CreateChild   Mask = 0x1
	DeleteChild   Mask = 0x2
	ListContents  Mask = 0x4
	SelfWrite     Mask = 0x8 // validated writes
	ReadProperty  Mask = 0x10
	WriteProperty Mask = 0x20
	DeleteTree    Mask = 0x40
	ListObject    Mask = 0x80
	ControlAccess Mask = 0x100 // rights that are named by a GUID
	Delete        Mask = 0x10000
	ReadControl   Mask = 0x20000 // reading the descriptor
	WriteDAC      Mask = 0x40000
	WriteOwner    Mask = 0x80000
)

// The generic rights, and what they stand for with objects of a directory (MS-ADTS 5.1.3.2).
const (
	genericAll     Mask = 0x10000000
	genericExecute Mask = 0x20000000
	genericWrite   Mask = 0x40000000
	genericRead    Mask = 0x80000000

	everything = CreateChild | DeleteChild | ListContents | SelfWrite | ReadProperty | WriteProperty | DeleteTree | ListObject | ControlAccess |
		Delete | ReadControl | WriteDAC | WriteOwner
)

func (m Mask) specific() Mask {
	for _, g := range []struct{ generic, means Mask }{
		{genericAll, everything}, {genericExecute, ReadControl | ListContents},
		{genericWrite, ReadControl | WriteProperty | SelfWrite}, {genericRead, ReadControl | ReadProperty | ListContents | ListObject},
	} {
		if m&g.generic != 0 {
			m |= g.means
		}
	}
	return m & everything
}

// Entry is one entry of an access list (MS-DTYP 2.4.4).
type Entry struct {
	Deny      bool
	Mask      Mask
	SID       SID
	Object    scoping.GUID // the right, property, set of properties or class that it is about; zero: all
	Inherited scoping.GUID // the class of the objects below that it is for; zero: all

	here  bool // it counts for the object itself
	below bool // what lies below inherits it: of an entry that allows, at every depth; of one that denies, at any
}

// Descriptor is a security descriptor, without its audit entries (MS-DTYP 2.4.6).
type Descriptor struct {
	Owner   SID
	Entries []Entry // in the order in which they count
	// Open is set where there is no access list at all, which allows everything to everybody.
	Open bool
}

// ErrDescriptor is the kind of errors for what is no security descriptor.
var ErrDescriptor = errors.New("not a security descriptor")

const (
	headSize     = 20
	daclPresent  = 0x4 // MS-DTYP 2.4.6, Control
	inheritBelow = 0x2 // MS-DTYP 2.4.4.1, AceFlags; to a directory every object is a container
	noPropagate  = 0x4
	inheritOnly  = 0x8
)

// The types of entries (MS-DTYP 2.4.4.1). Those with conditions are left out: domain controllers evaluate none for directory objects.
const (
	allow       = 0
	deny        = 1
	allowObject = 5
	denyObject  = 6
)

// ParseDescriptor reads the self-relative form, as nTSecurityDescriptor holds it. Entries of types that are not known are left out.
func ParseDescriptor(b []byte) (Descriptor, error) {
	var d Descriptor
	if len(b) < headSize || b[0] != 1 {
		return d, fmt.Errorf("%w: %d bytes", ErrDescriptor, len(b))
	}
	control := binary.LittleEndian.Uint16(b[2:])
	if at := binary.LittleEndian.Uint32(b[4:]); at != 0 {
		part, err := from(b, at, 8)
		if err != nil {
			return d, err
		}
		n := sidLength(part)
		if n == 0 {
			return d, fmt.Errorf("%w: the owner is no SID", ErrDescriptor)
		}
		d.Owner = SID(part[:n])
	}
	at := binary.LittleEndian.Uint32(b[16:])
	if control&daclPresent == 0 || at == 0 {
		d.Open = true
		return d, nil
	}
	list, err := from(b, at, 8)
	if err != nil {
		return d, err
	}
	d.Entries, err = parseList(list)
	return d, err
}

func from(b []byte, at uint32, least int) ([]byte, error) {
	if uint64(at)+uint64(least) > uint64(len(b)) {
		return nil, fmt.Errorf("%w: an offset points behind its end", ErrDescriptor)
	}
	return b[at:], nil
}

func parseList(b []byte) ([]Entry, error) {
	size, count := int(binary.LittleEndian.Uint16(b[2:])), int(binary.LittleEndian.Uint16(b[4:]))
	if size < 8 || size > len(b) {
		return nil, fmt.Errorf("%w: its access list has %d bytes", ErrDescriptor, size)
	}
	var out []Entry
	rest := b[8:size]
	for i := range count {
		if len(rest) < 8 {
			return nil, fmt.Errorf("%w: entry %d is cut off", ErrDescriptor, i)
		}
		n := int(binary.LittleEndian.Uint16(rest[2:]))
		if n < 8 || n > len(rest) {
			return nil, fmt.Errorf("%w: entry %d has %d bytes", ErrDescriptor, i, n)
		}
		e, known, err := parseEntry(rest[:n])
		if err != nil {
			return nil, fmt.Errorf("entry %d: %w", i, err)
		}
		if known {
			out = append(out, e)
		}
		rest = rest[n:]
	}
	return out, nil
}

func parseEntry(b []byte) (e Entry, known bool, err error) {
	flags := b[1]
	e = Entry{Deny: b[0] == deny || b[0] == denyObject, Mask: Mask(binary.LittleEndian.Uint32(b[4:])).specific(), here: flags&inheritOnly == 0}
	e.below = flags&inheritBelow != 0 && (e.Deny || flags&noPropagate == 0)
	rest := b[8:]
	switch b[0] {
	case allow, deny:
	case allowObject, denyObject:
		if len(rest) < 4 {
			return e, false, fmt.Errorf("%w: it is cut off", ErrDescriptor)
		}
		present := binary.LittleEndian.Uint32(rest)
		rest = rest[4:]
		for _, part := range []struct {
			bit uint32
			to  *scoping.GUID
		}{{1, &e.Object}, {2, &e.Inherited}} {
			if present&part.bit == 0 {
				continue
			}
			if len(rest) < 16 {
				return e, false, fmt.Errorf("%w: it is cut off", ErrDescriptor)
			}
			*part.to, rest = scoping.GUID(rest[:16]), rest[16:]
		}
	default:
		return e, false, nil
	}
	n := sidLength(rest)
	if n == 0 {
		return e, false, fmt.Errorf("%w: it is for no SID", ErrDescriptor)
	}
	e.SID = SID(rest[:n])
	return e, true, nil
}
