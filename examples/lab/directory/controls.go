package directory

import (
	"fmt"
	"math"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"
)

// Controls that the server knows.
const (
	oidPaging          = "1.2.840.113556.1.4.319"
	oidShowDeleted     = "1.2.840.113556.1.4.417"
	oidShowRecycled    = "1.2.840.113556.1.4.2064"
	oidExtendedDN      = "1.2.840.113556.1.4.529"
	oidSDFlags         = "1.2.840.113556.1.4.801"
	oidPolicyHints     = "1.2.840.113556.1.4.2239"
	oidTreeDelete      = "1.2.840.113556.1.4.805"
	oidDirSync         = "1.2.840.113556.1.4.841"
	oidDomainScope     = "1.2.840.113556.1.4.1339"
	oidPermissive      = "1.2.840.113556.1.4.1413"
	oidShowDeactivated = "1.2.840.113556.1.4.2065" // taken and ignored: links of tombstones are cut at once
)

var supportedControls = []string{oidPaging, oidShowDeleted, oidShowRecycled, oidExtendedDN, oidSDFlags, oidTreeDelete,
	oidDirSync, oidDomainScope, oidPermissive, oidShowDeactivated, oidPolicyHints}

// controls are those of one request, read.
type controls struct {
	paging      *pagingControl
	dirSync     *dirSyncControl
	showDeleted bool
	treeDelete  bool
	permissive  bool
	noReferrals bool
	sdFlags     int64 // parts of security descriptors; 0: not said
	history     bool  // the history of passwords counts for resets
	form        nameForm
}

type pagingControl struct {
	size   int
	cookie string
}

type dirSyncControl struct {
	flags  int64
	cookie []byte
}

// readControls refuses critical ones that are not known, and malformed ones.
func readControls(p *ber.Packet) (controls, error) {
	var c controls
	if p == nil {
		return c, nil
	}
	for _, item := range p.Children {
		if len(item.Children) == 0 {
			return c, refuse(ldap.LDAPResultProtocolError, "a control is malformed")
		}
		oid, critical, value := item.Children[0].Data.String(), false, []byte(nil)
		for _, part := range item.Children[1:] {
			switch part.Tag {
			case ber.TagBoolean:
				critical = len(part.ByteValue) == 1 && part.ByteValue[0] != 0
			case ber.TagOctetString:
				value = part.Data.Bytes()
			}
		}
		if err := c.take(oid, critical, value); err != nil {
			return c, err
		}
	}
	return c, nil
}

func (c *controls) take(oid string, critical bool, value []byte) error {
	var err error
	switch oid {
	case oidPaging:
		c.paging, err = readPaging(value)
	case oidDirSync:
		c.dirSync, err = readDirSync(value)
	case oidExtendedDN:
		c.form, err = readExtendedDN(value)
	case oidShowDeleted, oidShowRecycled:
		c.showDeleted = true
	case oidTreeDelete:
		c.treeDelete = true
	case oidPermissive:
		c.permissive = true
	case oidDomainScope:
		c.noReferrals = true
	case oidSDFlags:
		c.sdFlags, err = readFlags(value)
	case oidPolicyHints:
		var flags int64
		flags, err = readFlags(value)
		c.history = flags&1 != 0
	case oidShowDeactivated:
	default:
		if critical {
			return refuse(ldap.LDAPResultUnavailableCriticalExtension, "00002040: the critical control %s is not known", oid)
		}
	}
	if err != nil {
		return refuse(ldap.LDAPResultProtocolError, "the value of control %s is malformed: %v", oid, err)
	}
	return nil
}

// decodeSequence reads the SEQUENCE that is a control's value.
func decodeSequence(value []byte, least int) ([]*ber.Packet, error) {
	p, err := ber.DecodePacketErr(value)
	if err != nil {
		return nil, err
	}
	if len(p.Children) < least {
		return nil, fmt.Errorf("%d parts instead of %d", len(p.Children), least)
	}
	return p.Children, nil
}

func readNumber(p *ber.Packet) (int64, error) {
	n, ok := p.Value.(int64)
	if !ok {
		return 0, fmt.Errorf("not a number")
	}
	return n, nil
}

// readFlags reads the SEQUENCE of one number that is the value of several controls.
func readFlags(value []byte) (int64, error) {
	parts, err := decodeSequence(value, 1)
	if err != nil {
		return 0, err
	}
	return readNumber(parts[0])
}

func readPaging(value []byte) (*pagingControl, error) {
	parts, err := decodeSequence(value, 2)
	if err != nil {
		return nil, err
	}
	n, err := readNumber(parts[0])
	if err != nil || n < 0 || n > math.MaxInt32 {
		return nil, fmt.Errorf("page size %d: %w", n, err)
	}
	return &pagingControl{int(n), parts[1].Data.String()}, nil
}

func readDirSync(value []byte) (*dirSyncControl, error) {
	parts, err := decodeSequence(value, 3)
	if err != nil {
		return nil, err
	}
	n, err := readNumber(parts[0])
	if err != nil {
		return nil, err
	}
	// Clients write the flags as four bytes, so that the highest one is a sign.
	return &dirSyncControl{n & 0xffffffff, parts[2].Data.Bytes()}, nil
}

// readExtendedDN takes a missing value as 0, the hexadecimal form.
func readExtendedDN(value []byte) (nameForm, error) {
	if len(value) == 0 {
		return hexDN, nil
	}
	parts, err := decodeSequence(value, 1)
	if err != nil {
		return plainDN, err
	}
	n, err := readNumber(parts[0])
	if n == 1 {
		return textDN, err
	}
	return hexDN, err
}
