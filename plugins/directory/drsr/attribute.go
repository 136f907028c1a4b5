package drsr

import (
	"bytes"

	"github.com/tandem-sync/tandem/plugins/directory/drsr/ndr"
)

// attribute is one that hashes are read with, by the last arc of its OID under one of two prefixes (MS-ADA1, MS-ADA3).
type attribute struct {
	under []byte
	arc   uint32
}

// key is the attribute in maps.
type key struct {
	under string
	arc   uint32
}

func (a attribute) key() key { return key{string(a.under), a.arc} }

// The BER forms of the OIDs 1.2.840.113556.1.2 and 1.2.840.113556.1.4, which hold AD's own attributes.
var (
	underSchema = []byte{0x2a, 0x86, 0x48, 0x86, 0xf7, 0x14, 0x01, 0x02}
	underAD     = []byte{0x2a, 0x86, 0x48, 0x86, 0xf7, 0x14, 0x01, 0x04}
)

// The attributes.
var (
	isDeleted          = attribute{underSchema, 48}
	userAccountControl = attribute{underAD, 8}
	unicodePwd         = attribute{underAD, 90}
	pwdLastSet         = attribute{underAD, 96}
	objectSID          = attribute{underAD, 146}
	sAMAccountName     = attribute{underAD, 221}

	needed = []attribute{isDeleted, userAccountControl, unicodePwd, pwdLastSet, objectSID, sAMAccountName}
)

// prefix is a row of a prefix table, which gives OIDs short numbers (MS-DRSR 5.16.4).
type prefix struct {
	number uint32
	oid    []byte
}

// usual is the table that every directory begins with, and a schema info of zeros. A controller's own table is better, since its
// schema info says that both sides have the same schema.
var usual = []prefix{{2, underSchema}, {9, underAD}, {0, append([]byte{0xff}, make([]byte, 20)...)}}

// id is the attribute's ATTRTYP by a table; false where the table does not have it.
func (a attribute) id(table []prefix) (uint32, bool) {
	for _, p := range table {
		if p.number <= 0xffff && bytes.Equal(p.oid, a.under) {
			return p.number<<16 | a.arc, true
		}
	}
	return 0, false
}

// ids are the ATTRTYPs of all of them; nil where the table lacks one.
func ids(table []prefix, attributes []attribute) []uint32 {
	var out []uint32
	for _, a := range attributes {
		id, ok := a.id(table)
		if !ok {
			return nil
		}
		out = append(out, id)
	}
	return out
}

// known tells which of the needed attributes the ATTRTYPs of a table mean.
func known(table []prefix) map[uint32]key {
	out := map[uint32]key{}
	for _, a := range needed {
		if id, ok := a.id(table); ok {
			out[id] = a.key()
		}
	}
	return out
}

// writePrefixes writes the pointed-at part of a SCHEMA_PREFIX_TABLE.
func writePrefixes(w *ndr.Writer, table []prefix) {
	w.Uint32(uint32(len(table)))
	for _, p := range table {
		w.Uint32(p.number)
		w.Uint32(uint32(len(p.oid)))
		w.Pointer()
	}
	for _, p := range table {
		w.Uint32(uint32(len(p.oid)))
		w.Bytes(p.oid)
	}
}

// readPrefixes reads the pointed-at part of a SCHEMA_PREFIX_TABLE. The rows do not hold the message.
func readPrefixes(r *ndr.Reader, said int) []prefix {
	const row = 12
	table := make([]prefix, r.Size(said, row))
	sizes := make([]int, len(table))
	for i := range table {
		table[i].number, sizes[i] = r.Uint32(), int(r.Uint32())
		if !r.Pointer() {
			sizes[i] = -1
		}
	}
	for i, size := range sizes {
		if size >= 0 {
			table[i].oid = bytes.Clone(r.Bytes(r.Size(size, 1)))
		}
	}
	return table
}
