package drsr

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/tandem-sync/tandem/plugins/credential"
	"github.com/tandem-sync/tandem/plugins/directory/drsr/ndr"
	"github.com/tandem-sync/tandem/scoping"
)

// reply is what DRS_MSG_GETCHGREPLY_V6 says (MS-DRSR 4.1.10.2) that matters here. Its values are parts of the message.
type reply struct {
	invocation scoping.GUID
	to         usns
	more       bool
	extended   uint32
	table      []prefix
	objects    []object
}

// object is one that came, with those of its attributes that are needed.
type object struct {
	guid   scoping.GUID
	sid    []byte // from its name; nil where it has none
	values map[key][]byte
	stamps map[key]credential.Stamp
}

// parseReply reads the results of IDL_DRSGetNCChanges. A status that is not 0 comes as a [Status].
func parseReply(b []byte) (reply, error) {
	if len(b) < 4 {
		return reply{}, fmt.Errorf("%w: a reply of %d bytes", ErrProtocol, len(b))
	}
	end := len(b) - 4
	if status := Status(binary.LittleEndian.Uint32(b[end:])); status != 0 {
		return reply{}, status
	}
	r := ndr.Read(b[:end])
	version, arm := r.Uint32(), r.Uint32()
	if r.Err() == nil && (version != 6 || arm != 6) {
		// 7 would be compressed and 9 newer than the capabilities that were named.
		return reply{}, fmt.Errorf("%w: a reply of version %d", ErrProtocol, version)
	}
	out := readReply(r)
	if r.Err() != nil {
		return reply{}, fmt.Errorf("%w: %w", ErrProtocol, r.Err())
	}
	return out, nil
}

func readReply(r *ndr.Reader) (out reply) {
	r.Align(8)
	r.UUID() // uuidDsaObjSrc
	copy(out.invocation[:], r.UUID())
	named := r.Pointer()
	readUSNs(r)
	out.to = readUSNs(r)
	upToDate := r.Pointer()
	prefixCount, table := int(r.Uint32()), r.Pointer()
	out.extended = r.Uint32()
	r.Uint32() // cNumObjects: the list itself tells
	r.Uint32() // cNumBytes
	listed := r.Pointer()
	out.more = r.Uint32() != 0
	r.Bytes(3 * 4) // cNumNcSizeObjects, cNumNcSizeValues, cNumValues
	r.Pointer()    // rgValues come last and are not read
	r.Uint32()     // dwDRSError: the status says it too
	if named {
		readName(r)
	}
	if upToDate {
		const cursor = 32
		n := r.Count(cursor)
		r.Align(8)
		r.Bytes(4 * 4)
		r.Bytes(n * cursor)
	}
	if table {
		out.table = readPrefixes(r, prefixCount)
	}
	if listed {
		out.objects = readObjects(r, known(out.table))
	}
	return out
}

func readUSNs(r *ndr.Reader) usns { return usns{r.Uint64(), r.Uint64(), r.Uint64()} }

// entry is a REPLENTINFLIST (MS-DRSR 5) without what it points at.
type entry struct {
	named, attributed, parented, stamped bool
	attributes                           int
}

// readObjects reads a list. Its first pointer is the one to the next element, so that all elements come before anything else
// that they point at, which then comes for the last element first (C706 14.3.12.3).
func readObjects(r *ndr.Reader, known map[uint32]key) []object {
	var list []entry
	for next := true; next && r.Err() == nil; {
		next = r.Pointer()
		var e entry
		e.named = r.Pointer()
		r.Uint32() // ulFlags
		e.attributes = int(r.Uint32())
		e.attributed = r.Pointer()
		r.Uint32() // fIsNCPrefix
		e.parented, e.stamped = r.Pointer(), r.Pointer()
		list = append(list, e)
	}
	objects := make([]object, len(list))
	for i := len(list) - 1; i >= 0 && r.Err() == nil; i-- {
		objects[i] = list[i].read(r, known)
	}
	return objects
}

// read reads what an element points at.
func (e entry) read(r *ndr.Reader, known map[uint32]key) object {
	var o object
	if e.named {
		o.guid, o.sid = readName(r)
	}
	var order []uint32
	if e.attributed {
		order, o.values = readAttributes(r, e.attributes, known)
	}
	if e.parented {
		r.UUID()
	}
	if e.stamped {
		o.stamps = readStamps(r, order, known)
	}
	return o
}

// readName reads a DSNAME (MS-DRSR 5.50).
func readName(r *ndr.Reader) (g scoping.GUID, sid []byte) {
	characters := r.Count(2)
	r.Uint32() // its length, which the characters tell
	size := r.Uint32()
	copy(g[:], r.UUID())
	holder := r.Bytes(28)
	r.Uint32() // NameLen
	r.Bytes(2 * characters)
	if r.Err() == nil && size > uint32(len(holder)) {
		r.Fail("a SID of %d bytes", size)
	}
	if r.Err() == nil && size > 0 {
		sid = holder[:size]
	}
	return g, sid
}

// readAttributes reads an array of ATTR (MS-DRSR 5) and returns the ATTRTYPs in their order and the first value of what is
// known. What is known and has no value is absent.
func readAttributes(r *ndr.Reader, said int, known map[uint32]key) ([]uint32, map[key][]byte) {
	const fixed = 12
	n := r.Size(said, fixed)
	order, counts := make([]uint32, n), make([]int, n)
	for i := range order {
		order[i], counts[i] = r.Uint32(), int(r.Uint32())
		if !r.Pointer() {
			if counts[i] != 0 && r.Err() == nil {
				r.Fail("%d values that are not there", counts[i])
			}
			counts[i] = -1
		}
	}
	values := map[key][]byte{}
	for i, id := range order {
		if counts[i] < 0 {
			continue
		}
		first := readValues(r, counts[i])
		if a, ok := known[id]; ok && first != nil {
			values[a] = first
		}
	}
	return order, values
}

// readValues reads an array of ATTRVAL (MS-DRSR 5) and returns the first value.
func readValues(r *ndr.Reader, said int) (first []byte) {
	const fixed = 8
	n := r.Size(said, fixed)
	sizes := make([]int, n)
	for i := range sizes {
		sizes[i] = int(r.Uint32())
		if !r.Pointer() {
			sizes[i] = -1
		}
	}
	for i, size := range sizes {
		if size < 0 {
			continue
		}
		v := r.Bytes(r.Size(size, 1))
		if i == 0 {
			first = v
		}
	}
	return first
}

// readStamps reads a PROPERTY_META_DATA_EXT_VECTOR (MS-DRSR 5), which has one element for each attribute, in its order.
func readStamps(r *ndr.Reader, order []uint32, known map[uint32]key) map[key]credential.Stamp {
	const size = 40
	said := r.Count(size)
	r.Align(8)
	n := int(r.Uint32())
	if r.Err() == nil && (n != said || n != len(order)) {
		r.Fail("%d and %d stamps of %d attributes", said, n, len(order))
	}
	stamps := map[key]credential.Stamp{}
	for _, id := range order {
		r.Align(8)
		s := credential.Stamp{Version: r.Uint32(), Changed: fromDSTime(r.Uint64())}
		copy(s.Invocation[:], r.UUID())
		s.USN = r.Uint64()
		if r.Err() != nil {
			return nil
		}
		if a, ok := known[id]; ok {
			stamps[a] = s
		}
	}
	return stamps
}

// Windows counts from 1601: DSTIME in seconds (MS-DRSR 5.51), FILETIME in units of 100 ns.
const (
	epoch       = 11644473600 // seconds from 1601 to 1970
	latestSaved = 1 << 38     // about the year 10,000: later times are none
)

func fromDSTime(v uint64) time.Time {
	if v == 0 || v > latestSaved {
		return time.Time{}
	}
	return time.Unix(int64(v)-epoch, 0).UTC()
}

func fromFileTime(v uint64) time.Time {
	if v == 0 || v/1e7 > latestSaved {
		return time.Time{}
	}
	return time.Unix(int64(v/1e7)-epoch, int64(v%1e7)*100).UTC()
}
