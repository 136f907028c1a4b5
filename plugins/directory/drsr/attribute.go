package drsr

import (
	"bytes"

	"github.com/tandem-sync/tandem/plugins/directory/drsr/ndr"
)

// attribute is one that hashes are read with, by the last arc of its OID under one of two prefixes (MS-ADA1, MS-ADA3).
type attribute struct {
	prefix int
	arc    uint32
}

// prefixes are the BER forms of the OIDs 1.2.840.113556.1.2 and 1.2.840.113556.1.4, which hold AD's own attributes.
var prefixes = [][]byte{
	{0x2a, 0x86, 0x48, 0x86, 0xf7, 0x14, 0x01, 0x02},
	{0x2a, 0x86, 0x48, 0x86, 0xf7, 0x14, 0x01, 0x04},
}

// The attributes.
var (
	isDeleted          = attribute{0, 48}
	userAccountControl = attribute{1, 8}
	unicodePwd         = attribute{1, 90}
	pwdLastSet         = attribute{1, 96}
	objectSID          = attribute{1, 146}
	sAMAccountName     = attribute{1, 221}

	needed = []attribute{isDeleted, userAccountControl, unicodePwd, pwdLastSet, objectSID, sAMAccountName}
)

// indexes are the numbers of the prefixes in requests, those that every directory begins with (MS-DRSR 5.16.4).
var indexes = []uint32{2, 9}

// schemaInfo ends the prefix table of a request: no schema of our own (MS-DRSR 5.16.4).
var schemaInfo = append([]byte{0xff}, make([]byte, 20)...)

// id is the attribute's ATTRTYP in requests (MS-DRSR 5.16.4).
func (a attribute) id() uint32 { return indexes[a.prefix]<<16 | a.arc }

// writePrefixes writes the table by which requests number attributes: the pointed-at part of SCHEMA_PREFIX_TABLE.
func writePrefixes(w *ndr.Writer) {
	table := append(append([][]byte(nil), prefixes...), schemaInfo)
	numbers := append(append([]uint32(nil), indexes...), 0)
	w.Uint32(uint32(len(table)))
	for i, p := range table {
		w.Uint32(numbers[i])
		w.Uint32(uint32(len(p)))
		w.Pointer()
	}
	for _, p := range table {
		w.Uint32(uint32(len(p)))
		w.Bytes(p)
	}
}

// readPrefixes reads the controller's table and returns which of the needed attributes its ATTRTYPs mean.
func readPrefixes(r *ndr.Reader, said int) map[uint32]attribute {
	const entry = 12
	n := r.Size(said, entry)
	type row struct {
		number uint32
		size   int
		there  bool
	}
	rows := make([]row, n)
	for i := range rows {
		rows[i] = row{r.Uint32(), int(r.Uint32()), r.Pointer()}
	}
	known := map[uint32]attribute{}
	for _, row := range rows {
		if !row.there {
			continue
		}
		prefix := r.Bytes(r.Size(row.size, 1))
		for _, a := range needed {
			if row.number <= 0xffff && r.Err() == nil && bytes.Equal(prefix, prefixes[a.prefix]) {
				known[row.number<<16|a.arc] = a
			}
		}
	}
	return known
}
