package directory

import (
	"slices"
	"strings"

	"github.com/go-ldap/ldap/v3"
	"github.com/tandem-sync/tandem/scoping"
)

// Delete makes a tombstone of the object at dn, which must have no children.
func (m *Model) Delete(dn string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.remove(self, dn, false)
}

// DeleteTree makes tombstones of the object at dn and of all below it.
func (m *Model) DeleteTree(dn string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.remove(self, dn, true)
}

func (m *Model) remove(id identity, dn string, tree bool) error {
	o, err := m.resolveLive(dn)
	if err != nil {
		return err
	}
	if err := m.mayDelete(id, o); err != nil {
		return err
	}
	doomed := o.subtree()
	for _, d := range doomed {
		if d.parent == nil || d.fixed() || d.first("iscriticalsystemobject") == "TRUE" {
			return refuse(ldap.LDAPResultUnwillingToPerform, "00002035: Cannot delete %s, it isn't permitted!", d.dn())
		}
	}
	if len(doomed) > 1 && !tree {
		return refuse(ldap.LDAPResultNotAllowedOnNonLeaf, "00002015: Unable to delete a non-leaf node (it has %d children)!", len(o.children))
	}
	for _, d := range slices.Backward(doomed) {
		m.bury(d)
	}
	return nil
}

// subtree lists o and all below it, parents first and otherwise in the order of creation.
func (o *object) subtree() []*object {
	out := []*object{o}
	for i := 0; i < len(out); i++ {
		at := len(out)
		for _, c := range out[i].children {
			out = append(out, c)
		}
		slices.SortFunc(out[at:], bySeq)
	}
	return out
}

// bury makes o a tombstone: a new name under CN=Deleted Objects, and only the attributes that AD keeps (MS-ADTS 3.1.1.5.5.1.1).
func (m *Model) bury(o *object) {
	m.unregister(o)
	m.usn++
	parent := o.parent
	o.detach()
	o.name += "\nDEL:" + o.guid.String()
	o.attach(m.deletedBox)
	o.nameUSN, o.deleted, o.password = m.usn, true, nil
	for key, a := range o.attrs {
		if !a.of.has(kept) && len(a.values) > 0 {
			o.set(key, nil, m.usn)
		}
	}
	m.cutLinks(o)
	o.set("isdeleted", []string{"TRUE"}, m.usn)
	o.set("isrecycled", []string{"TRUE"}, m.usn)
	o.setLinks("lastknownparent", []*object{parent}, m.usn)
	m.touch(o)
}

// cutLinks removes the links from and to a deleted object. Those who linked to it are not reported as changed.
func (m *Model) cutLinks(o *object) {
	for key, s := range o.links {
		for _, t := range s.targets() {
			t.unback(key, o)
		}
	}
	o.links = map[string]*linkSet{}
	for key, holders := range o.backs {
		if schema[key].back == "" {
			continue // lastKnownParent goes on naming it
		}
		for _, h := range holders {
			h.unlink(key, o)
		}
		delete(o.backs, key)
	}
}

// Undelete brings the tombstone with this objectGUID back as dn. It has its SID and account name again, and no memberships,
// password or other attributes.
func (m *Model) Undelete(guid scoping.GUID, dn string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	o := m.byGUID[guid]
	if o == nil || !o.deleted || o == m.deletedBox {
		return noSuchObject(guid.String())
	}
	return m.undelete(o, dn)
}

// undeleteChanges reads a modification of a tombstone: only one that brings it back is allowed.
func (m *Model) undeleteChanges(id identity, o *object, changes []Change) error {
	if err := id.mayWrite(o.dn()); err != nil {
		return err
	}
	revive, dn := false, ""
	for _, c := range changes {
		switch {
		case strings.EqualFold(c.Attribute, "isDeleted") && (c.Kind == Remove || c.Kind == Replace && len(c.Values) == 0):
			revive = true
		case strings.EqualFold(c.Attribute, "distinguishedName") && c.Kind == Replace && len(c.Values) == 1:
			dn = c.Values[0]
		default:
			return refuse(ldap.LDAPResultUnwillingToPerform, "00002035: a deleted object can only be restored: '%s' on %s", c.Attribute, o.dn())
		}
	}
	if !revive || dn == "" || o == m.deletedBox {
		return refuse(ldap.LDAPResultUnwillingToPerform, "00002035: restoring %s needs a delete of isDeleted and a replace of distinguishedName", o.dn())
	}
	return m.undelete(o, dn)
}

func (m *Model) undelete(o *object, dn string) error {
	parent, leaf, err := m.placeFor(dn)
	if err != nil {
		return err
	}
	if leaf.attribute != o.attr {
		return refuse(ldap.LDAPResultUnwillingToPerform, "00002035: Invalid RDN '%s' for objectclass '%s'!", leaf.attribute, o.class.name)
	}
	if n := o.first("samaccountname"); n != "" && m.accounts[fold(n)] != nil {
		return refuse(ldap.LDAPResultEntryAlreadyExists, "00002071: samAccountName '%s' already in use!", n)
	}
	m.usn++
	o.detach()
	o.name, o.deleted, o.nameUSN = leaf.value, false, m.usn
	o.attach(parent)
	o.set("isdeleted", nil, m.usn)
	o.set("isrecycled", nil, m.usn)
	m.refill(o)
	m.deriveTypes(o)
	m.register(o)
	m.touch(o)
	return nil
}

// refill gives a revived object what it cannot be without.
func (m *Model) refill(o *object) {
	o.set("objectcategory", []string{m.categoryDN(o.class.category)}, m.usn)
	if !o.class.account() {
		return
	}
	for _, key := range []string{"accountexpires", "admincount", "codepage", "countrycode", "operatorcount", "pwdlastset",
		"badpwdcount", "badpasswordtime", "lastlogon", "lastlogoff", "logoncount"} {
		o.set(key, []string{"0"}, m.usn)
	}
	o.set("primarygroupid", []string{"513"}, m.usn)
}
