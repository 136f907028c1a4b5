package directory

import (
	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"
)

// control is a critical request control. go-ldap writes the criticality TRUE as 0x01, which Samba reads as FALSE; RFC 4511
// 5.1 wants 0xFF, so it is encoded here.
type control struct {
	oid   string
	value []byte // BER; nil: none
}

// GetControlType gives the OID.
func (c control) GetControlType() string { return c.oid }

// String gives the OID, for traces.
func (c control) String() string { return c.oid }

// Encode gives the control's BER.
func (c control) Encode() *ber.Packet {
	p := ber.Encode(ber.ClassUniversal, ber.TypeConstructed, ber.TagSequence, nil, "Control")
	p.AppendChild(ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, c.oid, "Control Type"))
	p.AppendChild(ber.NewLDAPBoolean(ber.ClassUniversal, ber.TypePrimitive, ber.TagBoolean, true, "Criticality"))
	if c.value != nil {
		p.AppendChild(ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, string(c.value), "Control Value"))
	}
	return p
}

var (
	// extendedDN makes every DN come as "<GUID=…>;<SID=…>;DN": SEQUENCE { flag INTEGER 1 }, the textual form.
	extendedDN = control{oid: ldap.ControlTypeMicrosoftExtendedDN, value: []byte{0x30, 0x03, 0x02, 0x01, 0x01}}
	// showDeleted makes tombstones visible.
	showDeleted = control{oid: ldap.ControlTypeMicrosoftShowDeleted}
	// descriptorParts asks for owner (1), group (2) and access list (4): SEQUENCE { flags INTEGER 7 } (LDAP_SERVER_SD_FLAGS_OID).
	descriptorParts = control{oid: "1.2.840.113556.1.4.801", value: []byte{0x30, 0x03, 0x02, 0x01, 0x07}}
)

// The flags of the DirSync control (MS-ADTS 3.1.1.3.4.1.3).
const (
	dirSyncObjectSecurity    = 0x1
	dirSyncIncrementalValues = 0x80000000
)
