package directory

import (
	"encoding/hex"
	"slices"
	"strconv"
	"strings"

	"github.com/go-ldap/ldap/v3"
	"github.com/tandem-sync/tandem/scoping"
)

// Add makes an object and returns its objectGUID. objectClass must name a known structural class; what AD adds by itself
// (SID, account name, account control, group type) is added. unicodePwd is the quoted UTF-16LE form, see [EncodePassword].
func (m *Model) Add(dn string, attrs Attributes) (scoping.GUID, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	o, err := m.add(self, dn, attrs)
	if err != nil {
		return scoping.GUID{}, err
	}
	return o.guid, nil
}

func (m *Model) add(id identity, dn string, attrs Attributes) (*object, error) {
	parent, leaf, err := m.placeFor(dn)
	if err != nil {
		return nil, err
	}
	c, err := classFor(dn, attrs)
	if err != nil {
		return nil, err
	}
	if !parent.class.holds {
		return nil, refuse(ldap.LDAPResultNamingViolation, "00002037: structural objectClass %s is not a valid child class for %s", c.name, parent.dn())
	}
	if err := m.mayCreate(id, parent, c); err != nil {
		return nil, err
	}
	if leaf.attribute != c.rdn {
		return nil, refuse(ldap.LDAPResultNamingViolation, "00002037: Invalid RDN '%s' for objectclass '%s'!", leaf.attribute, c.name)
	}
	o := &object{class: c, attr: c.rdn, name: leaf.value, parent: parent, attrs: map[string]*attribute{}, links: map[string]*linkSet{}}
	e := m.edit(o, true)
	password, err := e.fill(attrs)
	if err != nil {
		return nil, err
	}
	m.insert(e, password)
	return o, nil
}

// placeFor finds the parent of a new object and checks that the name is free.
func (m *Model) placeFor(dn string) (*object, rdn, error) {
	names, err := parseName(dn)
	if err != nil {
		return nil, rdn{}, err
	}
	root, rest := m.rootOf(names)
	if root != nil && len(rest) == 0 {
		return nil, rdn{}, refuse(ldap.LDAPResultEntryAlreadyExists, "Entry %s already exists", dn)
	}
	for i := len(rest) - 1; i > 0 && root != nil; i-- {
		if root = root.children[rest[i].key()]; root != nil && root.deleted {
			root = nil
		}
	}
	if root == nil {
		return nil, rdn{}, refuse(ldap.LDAPResultNoSuchObject, "00002030: Cannot add %s, parent does not exist!", dn)
	}
	if root.children[names[0].key()] != nil {
		return nil, rdn{}, refuse(ldap.LDAPResultEntryAlreadyExists, "00002071: Entry %s already exists", dn)
	}
	return root, names[0], nil
}

func classFor(dn string, attrs Attributes) (*class, error) {
	var names []string
	for name, values := range attrs {
		if strings.EqualFold(name, "objectClass") {
			names = values
		}
	}
	if len(names) == 0 {
		return nil, refuse(ldap.LDAPResultObjectClassViolation, "00002014: Cannot add %s, no objectclass specified!", dn)
	}
	c, unknown := structural(names)
	if unknown != "" {
		return nil, refuse(ldap.LDAPResultNoSuchAttribute, "0000200A: objectclass %s is not a valid objectClass in schema", unknown)
	}
	if c == nil {
		return nil, refuse(ldap.LDAPResultObjectClassViolation, "00002014: Cannot add %s, no structural objectclass specified!", dn)
	}
	return c, nil
}

// fill takes the client's attributes and then what AD adds by itself. It returns the password, if one is set.
func (e *edit) fill(attrs Attributes) (password *string, err error) {
	names := make([]string, 0, len(attrs))
	for name := range attrs {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		switch strings.ToLower(name) {
		case "objectclass", "name", "distinguishedname", strings.ToLower(e.object.attr):
			continue // stated by the DN or handled before
		case "unicodepwd":
			p, err := decodePassword(attrs[name])
			if err != nil {
				return nil, err
			}
			password = &p
			continue
		}
		if len(attrs[name]) == 0 {
			return nil, refuse(ldap.LDAPResultConstraintViolation, "0000202F: attribute '%s' on '%s' specified, but with 0 values (illegal)", name, e.object.dn())
		}
		if err := e.add(name, attrs[name]); err != nil {
			return nil, err
		}
	}
	e.defaults()
	return password, e.check()
}

func (e *edit) defaults() {
	o := e.object
	e.values["objectclass"] = o.class.chain
	e.values["objectcategory"] = []string{e.m.categoryDN(o.class.category)}
	e.fallback("instancetype", "4")
	if o.class.principal() {
		e.fallback("samaccountname", e.m.accountName(len(e.values["samaccountname"]) > 0))
	}
	if o.class.name == "group" {
		e.fallback("grouptype", "-2147483646")
	}
	if o.class.account() {
		for key, value := range map[string]string{
			"useraccountcontrol": "546", "accountexpires": "9223372036854775807", "codepage": "0", "countrycode": "0",
			"primarygroupid": "513", "pwdlastset": "0", "badpwdcount": "0", "badpasswordtime": "0", "lastlogon": "0",
			"lastlogoff": "0", "logoncount": "0",
		} {
			e.fallback(key, value)
		}
	}
}

func (e *edit) fallback(key, value string) {
	if len(e.values[key]) == 0 {
		e.values[key] = []string{value}
	}
}

// accountName makes up a name as AD does for objects added without one.
func (m *Model) accountName(unneeded bool) string {
	if unneeded {
		return ""
	}
	h := strings.ToUpper(hex.EncodeToString(m.random(10)))
	return "$" + h[:8] + "-" + h[8:20]
}

func (m *Model) categoryDN(category string) string {
	return "CN=" + category + ",CN=Schema,CN=Configuration," + m.Base()
}

// insert puts a checked object into the tree.
func (m *Model) insert(e *edit, password *string) {
	o := e.object
	o.guid = m.newGUID()
	if o.class.principal() && o.sid == "" {
		o.sid = m.sidOf(m.nextRID)
		m.nextRID++
	}
	m.byGUID[o.guid] = o
	m.seq++
	o.seq = m.seq
	if o.parent != nil {
		o.attach(o.parent)
	}
	e.store()
	o.created, o.usnFirst, o.nameUSN = o.changed, m.usn, m.usn
	if password != nil {
		m.setPassword(o, *password)
	}
}

// primaryGroupToken is the last part of a group's SID, which is how accounts name their primary group.
func primaryGroupToken(o *object) string {
	text := sidText(o.sid)
	i := strings.LastIndexByte(text, '-')
	if o.class.name != "group" || i < 0 {
		return ""
	}
	if _, err := strconv.ParseUint(text[i+1:], 10, 32); err != nil {
		return ""
	}
	return text[i+1:]
}
