package cloud

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/tandem-sync/tandem/scoping"
)

// ErrFormat means that stored bytes are damaged or of an unknown version. The index is then built again from the tenant.
var ErrFormat = errors.New("cache record is damaged or of an unknown version")

// recordVersion changes when the layout or the table of names changes in any other way than by growing at the end.
const recordVersion = 1

// recordHeader is the length of version, flags and kind.
const recordHeader = 3

// recordNames are stored as numbers. Their order is part of the format: names are only added at the end.
var recordNames = []string{
	UPN, ImmutableID, UniqueName, Enabled, Mail, Nickname, DisplayName, "userType", "givenName", "surname", "jobTitle",
	"department", "companyName", "employeeId", "officeLocation", "mobilePhone", "businessPhones", "faxNumber", "streetAddress", "city",
	"state", "postalCode", "country", "usageLocation", "preferredLanguage", "otherMails", "proxyAddresses", "description",
	"securityEnabled", "mailEnabled", "groupTypes", "isAssignableToRole", "visibility", "onPremisesSecurityIdentifier",
	"onPremisesSamAccountName", "employeeType", "employeeHireDate", "extensionAttribute1", "extensionAttribute2",
	"extensionAttribute3", "extensionAttribute4", "extensionAttribute5", "extensionAttribute6", "extensionAttribute7",
	"extensionAttribute8", "extensionAttribute9", "extensionAttribute10", "extensionAttribute11", "extensionAttribute12",
	"extensionAttribute13", "extensionAttribute14", "extensionAttribute15", "onPremisesDistinguishedName", "onPremisesDomainName",
	SourceAnchor,
}

var recordCodes = func() map[string]uint64 {
	m := make(map[string]uint64, len(recordNames))
	for i, n := range recordNames {
		m[n] = uint64(i + 1)
	}
	return m
}()

var recordKinds = []scoping.Kind{scoping.User, scoping.Group, scoping.Contact, scoping.Device}

const (
	flagDeleted = 1 << iota
	flagSynced
	flagGuest
	flagMailed
	flagRole
)

func flagsOf(o Object) byte {
	var f byte
	for i, set := range []bool{o.Deleted, o.Synced, o.Guest, o.Mailed, o.Role} {
		if set {
			f |= 1 << i
		}
	}
	return f
}

// encodeRecord encodes an object without id and members: version, flags, kind, manager, values in the order of their names.
func encodeRecord(o Object) string {
	b := make([]byte, 0, 256)
	b = append(b, recordVersion, flagsOf(o), byte(slices.Index(recordKinds, o.Kind)))
	b = appendText(b, o.Manager)
	names := make([]string, 0, len(o.Values))
	for n, v := range o.Values {
		if len(v) > 0 {
			names = append(names, n)
		}
	}
	slices.Sort(names)
	b = binary.AppendUvarint(b, uint64(len(names)))
	for _, n := range names {
		code := recordCodes[n]
		b = binary.AppendUvarint(b, code)
		if code == 0 {
			b = appendText(b, n)
		}
		b = binary.AppendUvarint(b, uint64(len(o.Values[n])))
		for _, v := range o.Values[n] {
			b = appendText(b, v)
		}
	}
	return string(b)
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// decodeRecord decodes a record made by encodeRecord in this process, or accepted by checkRecord.
func decodeRecord(rec string) Object {
	o, _ := readRecord(rec)
	return o
}

func readRecord(rec string) (Object, error) {
	if len(rec) < recordHeader || rec[0] != recordVersion || int(rec[2]) >= len(recordKinds) {
		return Object{}, fmt.Errorf("%w: header", ErrFormat)
	}
	f := rec[1]
	o := Object{
		Kind: recordKinds[rec[2]], Deleted: f&flagDeleted != 0, Synced: f&flagSynced != 0, Guest: f&flagGuest != 0,
		Mailed: f&flagMailed != 0, Role: f&flagRole != 0,
	}
	r := &reader{rest: rec[recordHeader:]}
	o.Manager = r.text()
	n := r.number()
	o.Values, r.room = make(Values, min(n, 64)), make([]string, min(n, 64))
	for ; n > 0 && !r.bad; n-- {
		name := r.name()
		o.Values[name] = r.texts()
	}
	if r.bad || r.rest != "" {
		return Object{}, fmt.Errorf("%w: values", ErrFormat)
	}
	return o, nil
}

// reader reads a record; after an error it returns zero values.
type reader struct {
	rest string
	bad  bool
	room []string // for lists of texts, which most often have one
}

func (r *reader) number() uint64 {
	var v uint64
	for i := range min(len(r.rest), binary.MaxVarintLen64) {
		b := r.rest[i]
		v |= uint64(b&0x7f) << (7 * i)
		if b < 0x80 {
			r.rest = r.rest[i+1:]
			return v
		}
	}
	r.bad, r.rest = true, ""
	return 0
}

func (r *reader) text() string {
	n := r.number()
	if n > uint64(len(r.rest)) {
		r.bad, r.rest = true, ""
		return ""
	}
	s := r.rest[:n]
	r.rest = r.rest[n:]
	return s
}

func (r *reader) texts() []string {
	n := r.number()
	if n > uint64(len(r.rest)) { // each text takes at least one byte
		r.bad = true
		return nil
	}
	v := r.list(int(n))
	for i := range v {
		v[i] = r.text()
	}
	return v
}

// list returns an empty list of n texts.
func (r *reader) list(n int) []string {
	if n == 0 || n > len(r.room) {
		return make([]string, n)
	}
	v := r.room[:n:n]
	r.room = r.room[n:]
	return v
}

func (r *reader) name() string {
	code := r.number()
	if code == 0 {
		return r.text()
	}
	if code > uint64(len(recordNames)) {
		r.bad = true
		return ""
	}
	return recordNames[code-1]
}
