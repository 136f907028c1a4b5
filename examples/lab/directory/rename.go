package directory

import (
	"strings"

	"github.com/go-ldap/ldap/v3"
)

// Rename gives the object at dn a new RDN, such as "CN=New Name", in its container. What lies below it gets new DNs without
// any change of its own, as in AD.
func (m *Model) Rename(dn, newRDN string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.rename(self, dn, newRDN, "", true)
}

// Move puts the object at dn, with all below it, under newParent.
func (m *Model) Move(dn, newParent string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	o, err := m.resolveLive(dn)
	if err != nil {
		return err
	}
	return m.rename(self, dn, o.attr+"="+escapeValue(o.name), newParent, true)
}

// rename is modifyDN; an empty newParent keeps the container.
func (m *Model) rename(id identity, dn, newRDN, newParent string, deleteOld bool) error {
	if strings.HasPrefix(dn, "<") {
		return noSuchObject(dn) // as Samba, which takes a DN alone here
	}
	o, err := m.resolveLive(dn)
	if err != nil {
		return err
	}
	leaf, err := parseName(newRDN)
	if err != nil {
		return err
	}
	if len(leaf) != 1 {
		return refuse(ldap.LDAPResultInvalidDNSyntax, "00002032: '%s' is not a relative name", newRDN)
	}
	parent := o.parent
	if newParent != "" {
		if parent, err = m.resolveLive(newParent); err != nil {
			return refuse(ldap.LDAPResultOther, "00002095: Cannot rename %s, parent does not exist!", dn)
		}
	}
	if err := o.checkRename(leaf[0], parent, deleteOld); err != nil {
		return err
	}
	if err := m.mayRename(id, o, parent); err != nil {
		return err
	}
	m.place(o, leaf[0].value, parent)
	return nil
}

func (o *object) checkRename(leaf rdn, parent *object, deleteOld bool) error {
	unwilling := func(why string) error {
		return refuse(ldap.LDAPResultUnwillingToPerform, "00002035: Cannot rename %s: %s", o.dn(), why)
	}
	switch {
	case !deleteOld:
		return unwilling("Old RDN must be deleted")
	case o.parent == nil || o.fixed():
		return unwilling("it isn't permitted!")
	case leaf.attribute != o.attr:
		return unwilling("Invalid RDN '" + leaf.attribute + "' for objectclass '" + o.class.name + "'!")
	case parent.below(o):
		return unwilling("to be a child of itself")
	case parent.root() != o.root():
		return refuse(ldap.LDAPResultAffectsMultipleDSAs, "00002035: Cannot rename %s into another naming context", o.dn())
	case !parent.class.holds:
		return refuse(ldap.LDAPResultNamingViolation, "00002037: structural objectClass %s is not a valid child class for %s", o.class.name, parent.dn())
	}
	if other := parent.children[leaf.key()]; other != nil && other != o {
		return refuse(ldap.LDAPResultEntryAlreadyExists, "00002071: Entry %s already exists", other.dn())
	}
	return nil
}

// fixed says that systemFlags forbid renaming, moving and deleting.
func (o *object) fixed() bool { return strings.HasPrefix(o.first("systemflags"), "-") }

// place moves o in the tree, as one change of its name alone.
func (m *Model) place(o *object, name string, parent *object) {
	if o.parent == parent && o.name == name {
		return
	}
	o.detach()
	o.name = name
	o.attach(parent)
	m.usn++
	o.nameUSN = m.usn
	m.touch(o)
}
