// Package delegation gives accounts single rights in a directory, over LDAP as an administrator, as dsacls and samba-tool dsacl do. It
// works alike with Samba and with the embedded directory.
package delegation

import (
	"encoding/binary"
	"fmt"
	"slices"
	"unicode/utf16"

	"github.com/go-ldap/ldap/v3"

	"github.com/tandem-sync/tandem/scoping"
)

// Entry is one entry of an access list that allows something (MS-DTYP 2.4.4.3).
type Entry struct {
	Mask  uint32
	About string // GUID of the right or property; empty: all of the mask
	For   string // GUID of the class below that inherits it; empty: the object itself
	Below bool   // without For: everything below inherits it, too
	Deny  bool
}

// Masks of entries (MS-ADTS 5.1.3.2).
const (
	CreateChild   = 0x1
	DeleteChild   = 0x2
	ReadProperty  = 0x10
	WriteProperty = 0x20
	ControlAccess = 0x100
	ReadControl   = 0x20000
	WriteDAC      = 0x40000
	FullControl   = 0xf01ff
)

// The classes of users and groups, for [Entry.For].
const (
	Users  = "bf967aba-0de6-11d0-a285-00aa003049e2"
	Groups = "bf967a9c-0de6-11d0-a285-00aa003049e2"
)

// daclOnly asks for the access list without the rest of the descriptor (MS-ADTS 3.1.1.3.4.1.11).
var daclOnly = ldap.NewControlString("1.2.840.113556.1.4.801", true, "\x30\x03\x02\x01\x04")

// Read returns the descriptor of dn, for [Write].
func Read(conn *ldap.Conn, dn string) ([]byte, error) {
	res, err := conn.Search(ldap.NewSearchRequest(dn, ldap.ScopeBaseObject, 0, 0, 0, false, "(objectClass=*)", []string{"nTSecurityDescriptor"}, []ldap.Control{daclOnly}))
	if err != nil {
		return nil, fmt.Errorf("read the access list of %q: %w", dn, err)
	}
	if len(res.Entries) != 1 || len(res.Entries[0].GetRawAttributeValue("nTSecurityDescriptor")) < 20 {
		return nil, fmt.Errorf("%q shows no access list", dn)
	}
	return res.Entries[0].GetRawAttributeValue("nTSecurityDescriptor"), nil
}

// Write makes the access list that of a descriptor.
func Write(conn *ldap.Conn, dn string, descriptor []byte) error {
	r := ldap.NewModifyRequest(dn, []ldap.Control{daclOnly})
	r.Replace("nTSecurityDescriptor", []string{string(descriptor)})
	if err := conn.Modify(r); err != nil {
		return fmt.Errorf("write the access list of %q: %w", dn, err)
	}
	return nil
}

// With returns a descriptor with entries for an account before all others. sid is its objectSid.
func With(descriptor, sid []byte, entries ...Entry) ([]byte, error) {
	at := binary.LittleEndian.Uint32(descriptor[16:])
	list := descriptor[at:][:binary.LittleEndian.Uint16(descriptor[at+2:])]
	var more []byte
	for _, e := range entries {
		ace, err := e.encode(sid)
		if err != nil {
			return nil, err
		}
		more = append(more, ace...)
	}
	out := slices.Concat(list[:8], more, list[8:])
	binary.LittleEndian.PutUint16(out[2:], uint16(len(out)))
	binary.LittleEndian.PutUint16(out[4:], binary.LittleEndian.Uint16(list[4:])+uint16(len(entries)))
	head := slices.Clone(descriptor[:20])
	clear(head[4:])
	head[16] = 20
	return append(head, out...), nil
}

// The flags of entries and of their parts (MS-DTYP 2.4.4.1, 2.4.4.3).
const (
	allowObject, denyObject = 5, 6
	inherits                = 0x2       // by containers
	inherited               = 0x2 | 0x8 // by containers, and only by them
	hasObject, hasClass     = 1, 2
)

func (e Entry) encode(sid []byte) ([]byte, error) {
	b := []byte{allowObject, 0, 0, 0}
	if e.Deny {
		b[0] = denyObject
	}
	b = binary.LittleEndian.AppendUint32(b, e.Mask)
	b = binary.LittleEndian.AppendUint32(b, 0)
	for _, part := range []struct {
		text string
		bit  byte
	}{{e.About, hasObject}, {e.For, hasClass}} {
		if part.text == "" {
			continue
		}
		g, err := scoping.ParseGUID(part.text)
		if err != nil {
			return nil, err
		}
		b[8] |= part.bit
		b = append(b, g[:]...)
	}
	switch {
	case e.For != "":
		b[1] = inherited
	case e.Below:
		b[1] = inherits
	}
	b = append(b, sid...)
	binary.LittleEndian.PutUint16(b[2:], uint16(len(b)))
	return b, nil
}

// Account adds a user that may do nothing to a container, with a password that never expires, and returns its DN and objectSid.
func Account(conn *ldap.Conn, container, name, password string) (dn string, sid []byte, err error) {
	dn = "CN=" + name + "," + container
	r := ldap.NewAddRequest(dn, nil)
	for _, a := range [][2]string{{"objectClass", "user"}, {"sAMAccountName", name}, {"userAccountControl", "66048"}, {"unicodePwd", quoted(password)}} {
		r.Attribute(a[0], []string{a[1]})
	}
	if err := conn.Add(r); err != nil {
		return "", nil, fmt.Errorf("add the account %s: %w", dn, err)
	}
	res, err := conn.Search(ldap.NewSearchRequest(dn, ldap.ScopeBaseObject, 0, 0, 0, false, "(objectClass=*)", []string{"objectSid"}, nil))
	if err != nil {
		return "", nil, fmt.Errorf("read the account %s: %w", dn, err)
	}
	if len(res.Entries) != 1 {
		return "", nil, fmt.Errorf("the account %s is not there", dn)
	}
	return dn, res.Entries[0].GetRawAttributeValue("objectSid"), nil
}

// quoted is the form in which unicodePwd takes a password (MS-ADTS 3.1.1.3.1.5).
func quoted(password string) string {
	var b []byte
	for _, u := range utf16.Encode([]rune(`"` + password + `"`)) {
		b = binary.LittleEndian.AppendUint16(b, u)
	}
	return string(b)
}

// Grant puts entries for an account before the access list of dn.
func Grant(conn *ldap.Conn, dn string, sid []byte, entries ...Entry) error {
	before, err := Read(conn, dn)
	if err != nil {
		return err
	}
	after, err := With(before, sid, entries...)
	if err != nil {
		return err
	}
	return Write(conn, dn, after)
}

// Replicate is what an account needs on the domain's head to read password hashes, by the names of its parts.
var Replicate = map[string]Entry{
	"Replicating Directory Changes":     {Mask: ControlAccess, About: "1131f6aa-9c07-11d1-f79f-00c04fc2dcd2"},
	"Replicating Directory Changes All": {Mask: ControlAccess, About: "1131f6ad-9c07-11d1-f79f-00c04fc2dcd2"},
}

// Reset is what an account needs to reset passwords of users below a container and to unlock them, by the names of its parts.
var Reset = map[string]Entry{
	"Reset Password": {Mask: ControlAccess, About: "00299570-246d-11d0-a768-00aa006e0529", For: Users},
	"pwdLastSet":     {Mask: WriteProperty | ReadProperty, About: "bf967a0a-0de6-11d0-a285-00aa003049e2", For: Users},
	"lockoutTime":    {Mask: WriteProperty | ReadProperty, About: "28630ebf-41d5-11d1-a9c1-0000f80367c1", For: Users},
}

// Provision is what an account needs to write users and groups into a container and those below it, by the names of its parts. The attribute of the link comes to it ([Link]).
var Provision = map[string]Entry{
	"Create User objects":  {Mask: CreateChild, About: Users, Below: true},
	"Delete User objects":  {Mask: DeleteChild, About: Users, Below: true},
	"Create Group objects": {Mask: CreateChild, About: Groups, Below: true},
	"Delete Group objects": {Mask: DeleteChild, About: Groups, Below: true},

	"name of users":                       {Mask: WriteProperty, About: "bf967a0e-0de6-11d0-a285-00aa003049e2", For: Users},
	"cn of users":                         {Mask: WriteProperty, About: "bf96793f-0de6-11d0-a285-00aa003049e2", For: Users},
	"userAccountControl of users":         {Mask: WriteProperty, About: "bf967a68-0de6-11d0-a285-00aa003049e2", For: Users},
	"displayName of users":                {Mask: WriteProperty, About: "bf967953-0de6-11d0-a285-00aa003049e2", For: Users},
	"manager of users":                    {Mask: WriteProperty, About: "bf9679b5-0de6-11d0-a285-00aa003049e2", For: Users},
	"co of users":                         {Mask: WriteProperty, About: "f0f8ffa7-1191-11d0-a060-00aa006c33ed", For: Users},
	"company of users":                    {Mask: WriteProperty, About: "f0f8ff88-1191-11d0-a060-00aa006c33ed", For: Users},
	"department of users":                 {Mask: WriteProperty, About: "bf96794f-0de6-11d0-a285-00aa003049e2", For: Users},
	"employeeID of users":                 {Mask: WriteProperty, About: "bf967962-0de6-11d0-a285-00aa003049e2", For: Users},
	"givenName of users":                  {Mask: WriteProperty, About: "f0f8ff8e-1191-11d0-a060-00aa006c33ed", For: Users},
	"l of users":                          {Mask: WriteProperty, About: "bf9679a2-0de6-11d0-a285-00aa003049e2", For: Users},
	"mobile of users":                     {Mask: WriteProperty, About: "f0f8ffa3-1191-11d0-a060-00aa006c33ed", For: Users},
	"physicalDeliveryOfficeName of users": {Mask: WriteProperty, About: "bf9679f7-0de6-11d0-a285-00aa003049e2", For: Users},
	"postalCode of users":                 {Mask: WriteProperty, About: "bf9679fd-0de6-11d0-a285-00aa003049e2", For: Users},
	"preferredLanguage of users":          {Mask: WriteProperty, About: "856be0d0-18e7-46e1-8f5f-7ee4d9020e0d", For: Users},
	"sn of users":                         {Mask: WriteProperty, About: "bf967a41-0de6-11d0-a285-00aa003049e2", For: Users},
	"st of users":                         {Mask: WriteProperty, About: "bf967a39-0de6-11d0-a285-00aa003049e2", For: Users},
	"streetAddress of users":              {Mask: WriteProperty, About: "f0f8ff84-1191-11d0-a060-00aa006c33ed", For: Users},
	"telephoneNumber of users":            {Mask: WriteProperty, About: "bf967a49-0de6-11d0-a285-00aa003049e2", For: Users},
	"title of users":                      {Mask: WriteProperty, About: "bf967a55-0de6-11d0-a285-00aa003049e2", For: Users},
	"userPrincipalName of users":          {Mask: WriteProperty, About: "28630ebb-41d5-11d1-a9c1-0000f80367c1", For: Users},

	"name of groups":        {Mask: WriteProperty, About: "bf967a0e-0de6-11d0-a285-00aa003049e2", For: Groups},
	"cn of groups":          {Mask: WriteProperty, About: "bf96793f-0de6-11d0-a285-00aa003049e2", For: Groups},
	"description of groups": {Mask: WriteProperty, About: "bf967950-0de6-11d0-a285-00aa003049e2", For: Groups},
	"displayName of groups": {Mask: WriteProperty, About: "bf967953-0de6-11d0-a285-00aa003049e2", For: Groups},
	"member of groups":      {Mask: WriteProperty, About: "bf9679c0-0de6-11d0-a285-00aa003049e2", For: Groups},
}

// Link is what it needs besides for the attribute of the link.
func Link(attribute string) map[string]Entry {
	about := map[string]string{"adminDescription": "bf967919-0de6-11d0-a285-00aa003049e2", "msDS-ExternalDirectoryObjectId": "bd29bf90-66ad-40e1-887b-10df070419a6"}[attribute]
	return map[string]Entry{
		attribute + " of users":  {Mask: WriteProperty, About: about, For: Users},
		attribute + " of groups": {Mask: WriteProperty, About: about, For: Groups},
	}
}
