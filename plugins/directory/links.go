package directory

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"strconv"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"github.com/tandem-sync/tandem/scoping"
)

// linkAttrs are the attributes whose values are told as links and not as texts.
var linkAttrs = map[string]bool{"member": true, "memberof": true, "manager": true, "directreports": true, "managedby": true,
	"managedobjects": true}

// parseExtendedDN reads a DN as the extended DN control (MS-ADTS 3.1.1.3.4.1.5) makes the controller write it,
// "<GUID=…>;<SID=…>;DN", in the textual and in the hexadecimal form. A plain DN comes back as it is.
func parseExtendedDN(s string) Link {
	l := Link{DN: s}
	rest, ok := strings.CutPrefix(s, "<GUID=")
	if !ok {
		return l
	}
	text, rest, ok := strings.Cut(rest, ">")
	if !ok {
		return l
	}
	guid, err := guidOfExtendedDN(text)
	if err != nil {
		return l
	}
	rest = strings.TrimPrefix(rest, ";")
	var sid []byte
	if after, has := strings.CutPrefix(rest, "<SID="); has {
		text, after, ok = strings.Cut(after, ">")
		if !ok {
			return l
		}
		if sid, err = sidOfExtendedDN(text); err != nil {
			return l
		}
		rest = strings.TrimPrefix(after, ";")
	}
	return Link{GUID: guid, SID: sid, DN: rest}
}

func guidOfExtendedDN(text string) (scoping.GUID, error) {
	if strings.Contains(text, "-") {
		return scoping.ParseGUID(text)
	}
	raw, err := hex.DecodeString(text)
	if err != nil {
		return scoping.GUID{}, err
	}
	return scoping.GUIDFromBytes(raw)
}

var errSID = errors.New("not a SID")

// sidOfExtendedDN reads "S-1-…" or hexadecimal bytes into the binary form (MS-DTYP 2.4.2.2).
func sidOfExtendedDN(text string) ([]byte, error) {
	rest, ok := strings.CutPrefix(text, "S-1-")
	if !ok {
		return hex.DecodeString(text)
	}
	parts := strings.Split(rest, "-")
	if len(parts) > 16 {
		return nil, errSID
	}
	authority, err := strconv.ParseUint(parts[0], 0, 48)
	if err != nil {
		return nil, errSID
	}
	sid := make([]byte, 8, 8+4*len(parts))
	binary.BigEndian.PutUint64(sid, authority)
	sid[0], sid[1] = 1, byte(len(parts)-1)
	for _, p := range parts[1:] {
		n, err := strconv.ParseUint(p, 10, 32)
		if err != nil {
			return nil, errSID
		}
		sid = binary.LittleEndian.AppendUint32(sid, uint32(n))
	}
	return sid, nil
}

// SIDText gives a binary SID's usual text form, or "" for bytes that are none.
func SIDText(sid []byte) string {
	if len(sid) < 8 || sid[0] != 1 || len(sid) != 8+4*int(sid[1]) {
		return ""
	}
	authority := binary.BigEndian.Uint64(sid[:8]) & (1<<48 - 1)
	out := "S-1-" + strconv.FormatUint(authority, 10)
	for i := 8; i < len(sid); i += 4 {
		out += "-" + strconv.FormatUint(uint64(binary.LittleEndian.Uint32(sid[i:])), 10)
	}
	return out
}

// valueRange reads the option of "member;range=0-1499". last is -1 for "*", the end of the list.
func valueRange(name string) (attr string, first, last int, ok bool) {
	attr, option, found := strings.Cut(name, ";range=")
	if !found {
		return name, 0, 0, false
	}
	from, to, found := strings.Cut(option, "-")
	first, err := strconv.Atoi(from)
	if err != nil || !found {
		return attr, 0, 0, false
	}
	if to == "*" {
		return attr, first, -1, true
	}
	last, err = strconv.Atoi(to)
	return attr, first, last, err == nil
}

// entryFrom reads what the controller answered. With incremental, ranges are DirSync's: 1-1 values added, 0-0 removed
// (MS-ADTS 3.1.1.3.4.1.3); otherwise a range is a part of a long list, and the caller reads the rest.
func entryFrom(le *ldap.Entry, incremental bool) (Entry, error) {
	own := parseExtendedDN(le.DN)
	e := Entry{GUID: own.GUID, DN: own.DN, Attrs: make(map[string][][]byte, len(le.Attributes))}
	for _, a := range le.Attributes {
		name, first, _, ranged := valueRange(strings.ToLower(a.Name))
		switch {
		case name == "lastknownparent": // finish needs its GUID
			e.Attrs[name] = fitted(a.ByteValues)
			continue
		case !linkAttrs[name]:
			e.Attrs[name] = fitted(plainValues(a.ByteValues))
			continue
		}
		if e.Links == nil {
			e.Links = make(map[string]LinkChange)
		}
		e.Links[name] = e.Links[name].with(linksOf(a.ByteValues), incremental && ranged, first == 1)
	}
	return e.finish()
}

// with adds the values of one attribute of an answer. AD sends "member" without values beside "member;range=…": it tells nothing.
func (l LinkChange) with(links []Link, incremental, added bool) LinkChange {
	switch {
	case incremental && added:
		l.Added = append(l.Added, links...)
	case incremental:
		l.Removed = append(l.Removed, links...)
	default:
		l.Whole = true
		l.Targets = append(l.Targets, links...)
	}
	if len(l.Added)+len(l.Removed) > 0 && len(l.Targets) == 0 {
		l.Whole = false
	}
	return l
}

func linksOf(values [][]byte) []Link {
	links := make([]Link, 0, len(values))
	for _, v := range values {
		links = append(links, parseExtendedDN(string(v)))
	}
	return links
}

// plainValues takes extended DNs back to plain ones and leaves everything else.
func plainValues(values [][]byte) [][]byte {
	for i, v := range values {
		if !bytes.HasPrefix(v, []byte("<GUID=")) {
			continue
		}
		if l := parseExtendedDN(string(v)); !l.GUID.IsZero() {
			values[i] = []byte(l.DN)
		}
	}
	return values
}

// fitted copies values into memory of their size: the LDAP library reads each into 512 bytes, and whoever keeps entries keeps those.
func fitted(values [][]byte) [][]byte {
	n := 0
	for _, v := range values {
		n += len(v)
	}
	all := make([]byte, 0, n)
	for i, v := range values {
		all = append(all, v...)
		values[i] = all[len(all)-len(v) : len(all) : len(all)]
	}
	return values
}

// finish reads the attributes that are fields of Entry.
func (e Entry) finish() (Entry, error) {
	if g, ok := e.GUIDValue("objectguid"); ok {
		e.GUID = g
	}
	if e.GUID.IsZero() {
		return e, errors.New("the controller told no objectGUID of " + strconv.Quote(e.DN))
	}
	e.Parent, _ = e.GUIDValue("parentguid")
	e.Deleted = e.Bool("isdeleted")
	last := parseExtendedDN(e.Text("lastknownparent"))
	if e.Deleted {
		e.LastParent, e.LastKnownParent = last.GUID, last.DN
	}
	if n, ok := e.Int("usnchanged"); ok {
		e.Version = uint64(n)
	}
	for _, name := range []string{"objectguid", "parentguid", "lastknownparent", "usnchanged"} {
		delete(e.Attrs, name)
	}
	return e, nil
}
