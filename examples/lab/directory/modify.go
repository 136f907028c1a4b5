package directory

import (
	"strconv"
	"strings"

	"github.com/go-ldap/ldap/v3"
)

// ChangeKind says what a [Change] does with its values.
type ChangeKind uint8

// The kinds, in the numbers of LDAP (RFC 4511 section 4.6).
const (
	Add     ChangeKind = 0 // add the values
	Remove  ChangeKind = 1 // delete the values; all of them if none are given
	Replace ChangeKind = 2 // make the values the only ones; none deletes the attribute
)

// Change is one part of a modification.
type Change struct {
	Kind      ChangeKind
	Attribute string
	Values    []string
}

// Modify changes the object at dn: all changes or, on an error, none.
func (m *Model) Modify(dn string, changes ...Change) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.modify(self, dn, changes, modifyOptions{})
}

type modifyOptions struct {
	showDeleted bool
	permissive  bool // adding what is there and removing what is not is no error (MS-ADTS 3.1.1.3.4.1.8)
	history     bool // the history of passwords counts for resets (MS-ADTS 3.1.1.3.4.1.27)
}

func (m *Model) modify(id identity, dn string, changes []Change, opts modifyOptions) error {
	o, err := m.resolve(dn)
	if err != nil {
		return err
	}
	if o.deleted {
		if !opts.showDeleted {
			return noSuchObject(dn)
		}
		return m.undeleteChanges(id, o, changes)
	}
	if err := m.mayModify(id, o, changes); err != nil {
		return err
	}
	e := m.edit(o, false)
	for _, c := range changes {
		if strings.EqualFold(c.Attribute, "nTSecurityDescriptor") {
			if len(changes) != 1 || c.Kind != Replace || len(c.Values) != 1 {
				return refuse(ldap.LDAPResultUnwillingToPerform, "00002035: nTSecurityDescriptor of %s: one replace with one value", o.dn())
			}
			return m.setDescriptor(o, c.Values[0])
		}
		if err := e.apply(c, opts.permissive); err != nil {
			return err
		}
	}
	if err := e.check(); err != nil {
		return err
	}
	if err := m.changePassword(id, o, changes, opts.history); err != nil {
		return err
	}
	e.store()
	m.unlock(o, changes)
	return nil
}

func (e *edit) apply(c Change, permissive bool) error {
	switch strings.ToLower(c.Attribute) {
	case "unicodepwd":
		return nil // changePassword does these
	case "objectclass":
		return refuse(ldap.LDAPResultObjectClassViolation, "00002014: not permitted to change the structural objectClass on %s", e.object.dn())
	}
	var err error
	switch c.Kind {
	case Add:
		err = e.add(c.Attribute, c.Values)
	case Remove:
		err = e.remove(c.Attribute, c.Values)
	case Replace:
		err = e.replace(c.Attribute, c.Values)
	default:
		return refuse(ldap.LDAPResultProtocolError, "modification %d of '%s' is not known", c.Kind, c.Attribute)
	}
	if err != nil && permissive && harmless(c.Kind, err) {
		return nil
	}
	if err == nil {
		e.stampPassword(c)
	}
	return err
}

func harmless(kind ChangeKind, err error) bool {
	switch code, _ := resultOf(err); code {
	case ldap.LDAPResultAttributeOrValueExists, ldap.LDAPResultEntryAlreadyExists:
		return kind == Add
	case ldap.LDAPResultNoSuchAttribute, ldap.LDAPResultUnwillingToPerform:
		return kind == Remove
	}
	return false
}

// stampPassword turns pwdLastSet -1 into now, which takes back "must change at next logon" (MS-SAMR 3.1.1.8.8).
func (e *edit) stampPassword(c Change) {
	if v := e.values["pwdlastset"]; strings.EqualFold(c.Attribute, "pwdLastSet") && len(v) == 1 && v[0] == "-1" {
		e.values["pwdlastset"] = []string{fileTime(e.m.opts.Clock())}
	}
}

// compareNumbers orders two decimal numbers; what is no number counts as zero.
func compareNumbers(a, b string) int {
	x, errX := strconv.ParseInt(a, 10, 64)
	y, errY := strconv.ParseInt(b, 10, 64)
	if errX != nil {
		x = 0
	}
	if errY != nil {
		y = 0
	}
	switch {
	case x < y:
		return -1
	case x > y:
		return 1
	}
	return 0
}

// SetPassword resets the password of the account at dn.
func (m *Model) SetPassword(dn, password string) error {
	return m.Modify(dn, Change{Replace, "unicodePwd", []string{EncodePassword(password)}})
}
