package directory

import (
	"encoding/binary"
	"slices"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"github.com/tandem-sync/tandem/plugins/directory/access"
	"github.com/tandem-sync/tandem/scoping"
)

// Access lists are modelled as far as delegation needs them: each object has entries of its own, what its class gives it at first or what an administrator wrote, and
// inherits the entries of what it lies in (MS-ADTS 6.1.3). They decide what accounts that are no administrators may add, modify, rename, move and delete; reading they do not
// decide, nor whether objects are in lists. Owner and group are always Domain Admins, and protected groups do not switch inheritance off.

// Flags of entries (MS-DTYP 2.4.4.1).
const (
	aceInherit     = 0x2
	aceOnce        = 0x4
	aceInheritOnly = 0x8
	aceInherited   = 0x10
)

// GUIDs of rights and properties (MS-ADTS 5.1.3.2.1, MS-ADA1, MS-ADA3).
const (
	rightResetPassword  = "00299570-246d-11d0-a768-00aa006e0529"
	rightChangePassword = "ab721a53-1e2f-11d0-9819-00aa0040529b"
	rightGetChanges     = "1131f6aa-9c07-11d1-f79f-00c04fc2dcd2"
	rightGetChangesAll  = "1131f6ad-9c07-11d1-f79f-00c04fc2dcd2"
)

// classGUIDs are those of the classes that entries are inherited by (MS-ADSC).
var classGUIDs = map[string]scoping.GUID{
	"user": guidOf("bf967aba-0de6-11d0-a285-00aa003049e2"), "inetOrgPerson": guidOf("4828cc14-1437-45bc-9b07-ad6f015e5f28"),
	"computer": guidOf("bf967a86-0de6-11d0-a285-00aa003049e2"), "group": guidOf("bf967a9c-0de6-11d0-a285-00aa003049e2"),
	"contact": guidOf("5cb41ed0-0e4c-11d0-a286-00aa003049e2"), "organizationalUnit": guidOf("bf967aa5-0de6-11d0-a285-00aa003049e2"),
	"container": guidOf("bf967a8b-0de6-11d0-a285-00aa003049e2"),
}

func guidOf(s string) scoping.GUID {
	g, err := scoping.ParseGUID(s)
	if err != nil {
		panic(err) // a constant of this file
	}
	return g
}

func property(own, set string) access.Right {
	r := access.Right{Mask: access.WriteProperty, Object: guidOf(own)}
	if set != "" {
		r.Set = guidOf(set)
	}
	return r
}

func control(right string) access.Right {
	return access.Right{Mask: access.ControlAccess, Object: guidOf(right)}
}

// ace makes an entry that allows mask to sid, about a right if one is named.
func ace(flags byte, mask uint32, about string, sid access.SID) []byte {
	b := []byte{0, flags, 0, 0}
	b = binary.LittleEndian.AppendUint32(b, mask)
	if about != "" {
		b[0] = 5
		g := guidOf(about)
		b = append(binary.LittleEndian.AppendUint32(b, 1), g[:]...)
	}
	b = append(b, sid...)
	binary.LittleEndian.PutUint16(b[2:], uint16(len(b)))
	return b
}

const (
	allOfIt  = 0xf01ff
	lookAtIt = 0x20094 // read properties and the access list, list what lies below
)

// firstEntries are the entries that an object's class gives it, and the domain's head.
func (m *Model) firstEntries(o *object) [][]byte {
	admins := access.SID(m.sidOf(512))
	out := [][]byte{ace(0, allOfIt, "", admins), ace(0, lookAtIt, "", access.AuthenticatedUsers)}
	switch {
	case o == m.domain:
		out = append(out, ace(aceInherit, allOfIt, "", access.Administrators), ace(aceInherit, allOfIt, "", access.SID(m.sidOf(519))))
		for _, right := range []string{rightGetChanges, rightGetChangesAll} {
			out = append(out, ace(0, uint32(access.ControlAccess), right, access.SID(m.sidOf(516))))
		}
		for _, r := range slices.SortedFunc(keysOf(m.replicators), bySeq) {
			out = append(out, ace(0, uint32(access.ControlAccess), rightGetChanges, access.SID(r.sid)))
		}
	case o.class.account():
		out = append(out, ace(0, uint32(access.ControlAccess), rightChangePassword, access.Everyone))
	}
	return out
}

func keysOf[K comparable, V any](m map[K]V) func(yield func(K) bool) {
	return func(yield func(K) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// entries are those of an object itself, then those that it inherits, the nearest first.
func (m *Model) entries(o *object) [][]byte {
	out := o.acl
	if out == nil {
		out = m.firstEntries(o)
	}
	if o.parent == nil {
		return out
	}
	out = slices.Clone(out)
	for _, e := range m.entries(o.parent) {
		if e[1]&aceInherit == 0 {
			continue
		}
		e = slices.Clone(e)
		class, named := inheritedBy(e)
		mine := !named || class == classGUIDs[o.class.name]
		if e[1]&aceOnce != 0 {
			e[1] &^= aceInherit | aceOnce
		}
		e[1] |= aceInherited
		if mine {
			e[1] &^= aceInheritOnly
		} else {
			e[1] |= aceInheritOnly
		}
		if mine || e[1]&aceInherit != 0 { // to a directory every object is a container
			out = append(out, e)
		}
	}
	return out
}

// inheritedBy returns the class that an entry is for; named is false if it is for all.
func inheritedBy(e []byte) (class scoping.GUID, named bool) {
	if e[0] != 5 && e[0] != 6 || e[8]&2 == 0 {
		return class, false
	}
	at := 12
	if e[8]&1 != 0 {
		at += 16
	}
	return scoping.GUID(e[at : at+16]), true
}

// descriptor is the security descriptor with the parts that flags ask for: 1 owner, 2 group, 4 access list.
func (m *Model) descriptor(o *object, flags int64) string {
	b := make([]byte, 20)
	b[0] = 1
	binary.LittleEndian.PutUint16(b[2:], 0x8004)
	admins := m.sidOf(512)
	for _, part := range []struct {
		flag int64
		at   int
	}{{1, 4}, {2, 8}} {
		if flags&part.flag != 0 {
			binary.LittleEndian.PutUint32(b[part.at:], uint32(len(b)))
			b = append(b, admins...)
		}
	}
	if flags&4 == 0 {
		binary.LittleEndian.PutUint16(b[2:], 0x8000)
		return string(b)
	}
	binary.LittleEndian.PutUint32(b[16:], uint32(len(b)))
	entries := m.entries(o)
	list := append([]byte{4, 0, 0, 0, 0, 0, 0, 0}, slices.Concat(entries...)...)
	binary.LittleEndian.PutUint16(list[2:], uint16(len(list)))
	binary.LittleEndian.PutUint16(list[4:], uint16(len(entries)))
	return string(append(b, list...))
}

// setDescriptor makes the entries of a descriptor, but for inherited ones, those of the object itself.
func (m *Model) setDescriptor(o *object, descriptor string) error {
	b := []byte(descriptor)
	if _, err := access.ParseDescriptor(b); err != nil || binary.LittleEndian.Uint16(b[2:])&4 == 0 {
		return refuse(ldap.LDAPResultInvalidAttributeSyntax, "0000200B: attribute 'nTSecurityDescriptor' of '%s' has an invalid value", o.dn())
	}
	list := b[binary.LittleEndian.Uint32(b[16:]):]
	list = list[8:binary.LittleEndian.Uint16(list[2:])]
	acl := [][]byte{}
	for len(list) > 0 {
		n := binary.LittleEndian.Uint16(list[2:])
		if list[1]&aceInherited == 0 {
			acl = append(acl, slices.Clone(list[:n]))
		}
		list = list[n:]
	}
	m.usn++
	o.acl = acl
	m.touch(o)
	return nil
}

// may reports whether id has the right over o.
func (m *Model) may(id identity, o *object, r access.Right) bool {
	if id.admin {
		return true
	}
	if id.account == nil {
		return false
	}
	d, err := access.ParseDescriptor([]byte(m.descriptor(o, 7)))
	return err == nil && d.Allows(m.token(id.account), access.SID(o.sid), r)
}

// mayModify refuses changes that id has no right to. Passwords are judged on their own.
func (m *Model) mayModify(id identity, o *object, changes []Change) error {
	if id.admin {
		return nil
	}
	for _, c := range changes {
		right := propertyOf(c.Attribute)
		switch strings.ToLower(c.Attribute) {
		case "unicodepwd":
			continue
		case "ntsecuritydescriptor":
			right = access.Right{Mask: access.WriteDAC}
		}
		if !m.may(id, o, right) {
			return id.mayWrite(o.dn())
		}
	}
	return nil
}

// mayCreate refuses the add of an object of a class that id has no right to make there.
func (m *Model) mayCreate(id identity, parent *object, c *class) error {
	if m.may(id, parent, access.Right{Mask: access.CreateChild, Object: classGUIDs[c.name]}) {
		return nil
	}
	return refuse(ldap.LDAPResultInsufficientAccessRights, "00002098: %s: the account may not create %s objects there", parent.dn(), c.name)
}

// mayDelete refuses the end of an object, or its leaving a container: the right to delete it, or to delete objects of its class from the container, is needed (MS-ADTS 3.1.1.5.5, 3.1.1.5.4.1.1).
func (m *Model) mayDelete(id identity, o *object) error {
	if m.may(id, o, access.Right{Mask: access.Delete}) || o.parent != nil && m.may(id, o.parent, access.Right{Mask: access.DeleteChild, Object: classGUIDs[o.class.name]}) {
		return nil
	}
	return refuse(ldap.LDAPResultInsufficientAccessRights, "00002098: %s: the account may not delete it", o.dn())
}

// mayRename refuses another name or place: name and naming attribute are written, and with a move the object leaves one container and comes into another (MS-ADTS 3.1.1.5.4.1.1).
func (m *Model) mayRename(id identity, o, parent *object) error {
	for _, name := range []string{"name", strings.ToLower(o.attr)} {
		if !m.may(id, o, propertyOf(name)) {
			return id.mayWrite(o.dn())
		}
	}
	if parent == o.parent {
		return nil
	}
	if err := m.mayCreate(id, parent, o.class); err != nil {
		return err
	}
	return m.mayDelete(id, o)
}

// network is what who came over the network is besides.
const network = "\x01\x01\x00\x00\x00\x00\x00\x05\x02\x00\x00\x00"

// token is who an account is: itself, its groups, and what everybody is.
func (m *Model) token(o *object) access.Token {
	return append(access.NewToken(access.SID(o.sid), m.groupSIDs(o)), access.SID(network))
}

// groupSIDs are the groups that hold an account, through all nesting, by membership or as its primary group (MS-ADTS 3.1.1.4.5.19, tokenGroups).
func (m *Model) groupSIDs(o *object) []access.SID {
	groups := upwards(o, "member")
	primary := o.first("primarygroupid")
	for _, g := range m.byGUID {
		if primary != "" && !g.deleted && g.class.name == "group" && primaryGroupToken(g) == primary && strings.HasPrefix(g.sid[2:], m.domainSID[2:]) {
			groups = append(append(groups, g), upwards(g, "member")...)
		}
	}
	var out []access.SID
	for _, g := range groups {
		if sid := access.SID(g.sid); g.sid != "" && !slices.Contains(out, sid) {
			out = append(out, sid)
		}
	}
	return out
}

// construct adds to an entry what is worked out for who asks, where it was asked for by name.
func (m *Model) construct(e *entry, o *object, id identity, r searchRequest) {
	for _, name := range r.attributes {
		switch {
		case strings.EqualFold(name, "tokenGroups") && o.class.account():
			var values []string
			for _, sid := range m.groupSIDs(o) {
				values = append(values, string(sid))
			}
			e.attrs = append(e.attrs, namedValues{"tokenGroups", values})
		case strings.EqualFold(name, "replPropertyMetaData") && o.metaData() != "":
			e.attrs = append(e.attrs, namedValues{"replPropertyMetaData", []string{o.metaData()}})
		case strings.EqualFold(name, "nTSecurityDescriptor") && !o.deleted:
			flags := r.sdFlags
			if flags == 0 && !id.admin {
				continue // all of it has the audit entries in it, which need a privilege
			} else if flags == 0 {
				flags = 15
			}
			e.attrs = append(e.attrs, namedValues{"nTSecurityDescriptor", []string{m.descriptor(o, flags)}})
		}
	}
}
