package directory

import (
	"slices"
	"strconv"
	"strings"

	"github.com/go-ldap/ldap/v3"
)

// edit is a set of changes to one object on its way: checked as a whole, then stored as a whole under one number.
type edit struct {
	m      *Model
	object *object
	adding bool
	values map[string][]string  // touched attributes; an empty one is deleted
	links  map[string][]*object // touched linked attributes
}

func (m *Model) edit(o *object, adding bool) *edit {
	return &edit{m: m, object: o, adding: adding, values: map[string][]string{}, links: map[string][]*object{}}
}

// typeFor finds the attribute and refuses what a client may not write.
func (e *edit) typeFor(name string) (*attributeType, error) {
	t, ok := lookupType(name)
	dn := e.object.dn()
	switch {
	case !ok:
		return nil, refuse(ldap.LDAPResultNoSuchAttribute, "0000200A: attribute '%s' on entry '%s' was not found in the schema!", name, dn)
	case t.forward != "":
		return nil, refuse(ldap.LDAPResultUnwillingToPerform, "00002035: attribute '%s' on entry '%s' must not be modified directly, it is a linked attribute", t.name, dn)
	case t.name == "name", strings.EqualFold(t.name, e.object.attr):
		return nil, refuse(ldap.LDAPResultNotAllowedOnRDN, "00002016: Modify of '%s' on %s not permitted, must use 'rename' operation instead", t.name, dn)
	case t.name == "objectSid", t.name == "objectGUID" && e.adding:
		return nil, refuse(ldap.LDAPResultUnwillingToPerform, "00002035: %s must not be specified!", t.name)
	case t.has(system), t.name == "instanceType" && !e.adding:
		return nil, refuse(ldap.LDAPResultConstraintViolation, "0000202F: attribute '%s' on entry '%s' can only be modified as system", t.name, dn)
	case !t.allowedOn(e.object.class):
		return nil, refuse(ldap.LDAPResultObjectClassViolation, "00002014: attribute '%s' on entry '%s' does not exist in the specified objectclasses!", t.name, dn)
	}
	return t, nil
}

// allowedOn knows the attributes whose class matters to a synchronization; all others are allowed everywhere.
func (t *attributeType) allowedOn(c *class) bool {
	switch t.name {
	case "sAMAccountName":
		return c.principal()
	case "userAccountControl", "userPrincipalName", "pwdLastSet", "accountExpires", "unicodePwd":
		return c.account()
	case "member", "groupType":
		return c.name == "group"
	}
	return true
}

func (e *edit) currentValues(key string) []string {
	if v, ok := e.values[key]; ok {
		return v
	}
	if a := e.object.attrs[key]; a != nil {
		return a.values
	}
	return nil
}

func (e *edit) currentLinks(key string) []*object {
	if v, ok := e.links[key]; ok {
		return v
	}
	return e.object.links[key].targets()
}

func (e *edit) checkValues(t *attributeType, values []string) error {
	for i, v := range values {
		if !t.valid(v) {
			return refuse(ldap.LDAPResultInvalidAttributeSyntax, "0000200B: attribute '%s' of '%s' has an invalid value", t.name, e.object.dn())
		}
		if slices.ContainsFunc(values[:i], func(w string) bool { return t.same(v, w) }) {
			return refuse(ldap.LDAPResultAttributeOrValueExists, "attribute '%s': value #%d on '%s' provided more than once", t.name, i, e.object.dn())
		}
	}
	return nil
}

func (e *edit) add(name string, values []string) error {
	t, err := e.typeFor(name)
	if err != nil {
		return err
	}
	if t.linked() {
		return e.addLinks(t, values)
	}
	if err := e.checkValues(t, values); err != nil {
		return err
	}
	have := e.currentValues(strings.ToLower(t.name))
	for i, v := range values {
		if slices.ContainsFunc(have, func(w string) bool { return t.same(v, w) }) {
			return refuse(ldap.LDAPResultAttributeOrValueExists, "attribute '%s': value #%d on '%s' already exists", t.name, i, e.object.dn())
		}
	}
	return e.put(t, append(slices.Clone(have), values...))
}

func (e *edit) replace(name string, values []string) error {
	t, err := e.typeFor(name)
	if err != nil {
		return err
	}
	if t.linked() {
		e.links[strings.ToLower(t.name)] = nil
		return e.addLinks(t, values)
	}
	if err := e.checkValues(t, values); err != nil {
		return err
	}
	return e.put(t, slices.Clone(values))
}

// remove deletes the values, or the whole attribute if none are given.
func (e *edit) remove(name string, values []string) error {
	t, err := e.typeFor(name)
	if err != nil {
		return err
	}
	key := strings.ToLower(t.name)
	if t.linked() {
		return e.removeLinks(t, key, values)
	}
	have := slices.Clone(e.currentValues(key))
	if len(have) == 0 {
		return refuse(ldap.LDAPResultNoSuchAttribute, "attribute '%s': no such attribute for delete on '%s'", t.name, e.object.dn())
	}
	if len(values) == 0 {
		return e.put(t, nil)
	}
	for _, v := range values {
		i := slices.IndexFunc(have, func(w string) bool { return t.same(v, w) })
		if i < 0 {
			return refuse(ldap.LDAPResultNoSuchAttribute, "attribute '%s': no matching attribute value while deleting attribute on '%s'", t.name, e.object.dn())
		}
		have = slices.Delete(have, i, i+1)
	}
	return e.put(t, have)
}

func (e *edit) put(t *attributeType, values []string) error {
	if t.has(single) && len(values) > 1 {
		return refuse(ldap.LDAPResultAttributeOrValueExists, "0000200D: SINGLE-VALUE attribute %s on %s specified more than once", t.name, e.object.dn())
	}
	e.values[strings.ToLower(t.name)] = values
	return nil
}

func (e *edit) addLinks(t *attributeType, values []string) error {
	key := strings.ToLower(t.name)
	have := slices.Clone(e.currentLinks(key))
	seen := make(map[*object]bool, len(have))
	for _, h := range have {
		seen[h] = true
	}
	for _, v := range values {
		target, err := e.m.resolveLive(v)
		if err != nil {
			return linkTargetError(err)
		}
		if seen[target] && t.name != "member" {
			return refuse(ldap.LDAPResultAttributeOrValueExists, "attribute '%s': value #0 on '%s' already exists", t.name, e.object.dn())
		}
		if seen[target] {
			return refuse(ldap.LDAPResultEntryAlreadyExists, "00000562: Attribute %s already exists for target GUID %s", t.name, target.guid)
		}
		seen[target] = true
		have = append(have, target)
	}
	if t.has(single) && len(have) > 1 {
		return refuse(ldap.LDAPResultAttributeOrValueExists, "0000200D: SINGLE-VALUE attribute %s on %s specified more than once", t.name, e.object.dn())
	}
	e.links[key] = have
	return nil
}

func linkTargetError(err error) error {
	if code, _ := resultOf(err); code == ldap.LDAPResultNoSuchObject {
		return refuse(ldap.LDAPResultNoSuchObject, "00000525: specified dn doesn't exist")
	}
	return err
}

func (e *edit) removeLinks(t *attributeType, key string, values []string) error {
	have := slices.Clone(e.currentLinks(key))
	if len(values) == 0 {
		if len(have) == 0 {
			return refuse(ldap.LDAPResultNoSuchAttribute, "attribute '%s': no such attribute for delete on '%s'", t.name, e.object.dn())
		}
		e.links[key] = nil
		return nil
	}
	for _, v := range values {
		target, err := e.m.resolve(v)
		if err != nil {
			return linkTargetError(err)
		}
		i := slices.Index(have, target)
		if i < 0 && t.name != "member" {
			return refuse(ldap.LDAPResultNoSuchAttribute, "attribute '%s': no matching attribute value while deleting attribute on '%s'", t.name, e.object.dn())
		}
		if i < 0 {
			return refuse(ldap.LDAPResultUnwillingToPerform, "00000561: Attribute %s doesn't exist for target GUID %s", t.name, target.guid)
		}
		have = slices.Delete(have, i, i+1)
	}
	e.links[key] = have
	return nil
}

// check refuses what the directory as a whole does not allow: names that must be unique, and accounts without one.
func (e *edit) check() error {
	if v, ok := e.values["samaccountname"]; ok {
		if err := e.checkAccountName(v); err != nil {
			return err
		}
	}
	for _, v := range e.values["userprincipalname"] {
		if o := e.m.principals[fold(v)]; o != nil && o != e.object {
			return refuse(ldap.LDAPResultConstraintViolation, "0000202F: userPrincipalName '%s' is already in use", v)
		}
	}
	return nil
}

func (e *edit) checkAccountName(values []string) error {
	if len(values) == 0 {
		return refuse(ldap.LDAPResultUnwillingToPerform, "00002077: 'samAccountName' can't be deleted/empty!")
	}
	// MS-ADTS 3.1.1.6 and MS-SAMR 3.1.1.8.4 name these characters.
	if i := strings.IndexAny(values[0], `"/\[]:|<>+=;?,*`); i >= 0 {
		return refuse(ldap.LDAPResultConstraintViolation, "0000202F: sAMAccountName contains invalid '%c' character", values[0][i])
	}
	if o := e.m.accounts[fold(values[0])]; o != nil && o != e.object {
		return refuse(ldap.LDAPResultEntryAlreadyExists, "00002071: samAccountName '%s' already in use!", values[0])
	}
	return nil
}

// store writes what differs under the next number. Nothing different is no change and costs no number.
func (e *edit) store() {
	var keys, linkKeys []string
	for k, v := range e.values {
		if a := e.object.attrs[k]; a == nil && len(v) > 0 || a != nil && !slices.Equal(a.values, v) {
			keys = append(keys, k)
		}
	}
	for k, v := range e.links {
		if !sameObjects(e.object.links[k].targets(), v) {
			linkKeys = append(linkKeys, k)
		}
	}
	if len(keys)+len(linkKeys) == 0 && !e.adding {
		return
	}
	e.m.usn++
	e.m.unregister(e.object)
	for _, k := range keys {
		e.object.set(k, e.values[k], e.m.usn)
	}
	for _, k := range linkKeys {
		e.object.setLinks(k, e.links[k], e.m.usn)
	}
	e.m.deriveTypes(e.object)
	e.m.register(e.object)
	e.m.touch(e.object)
}

func sameObjects(a, b []*object) bool {
	if len(a) != len(b) {
		return false
	}
	in := make(map[*object]bool, len(a))
	for _, o := range a {
		in[o] = true
	}
	return !slices.ContainsFunc(b, func(o *object) bool { return !in[o] })
}

// register enters a live object under the names that must be unique.
func (m *Model) register(o *object) {
	if o.deleted {
		return
	}
	if n := o.first("samaccountname"); n != "" {
		m.accounts[fold(n)] = o
	}
	if n := o.first("userprincipalname"); n != "" {
		m.principals[fold(n)] = o
	}
}

func (m *Model) unregister(o *object) {
	if n := fold(o.first("samaccountname")); m.accounts[n] == o {
		delete(m.accounts, n)
	}
	if n := fold(o.first("userprincipalname")); m.principals[n] == o {
		delete(m.principals, n)
	}
}

// deriveTypes keeps sAMAccountType what userAccountControl or groupType make it (MS-SAMR 3.1.1.8.1).
func (m *Model) deriveTypes(o *object) {
	want := ""
	switch {
	case o.deleted:
	case o.class.name == "computer":
		want = "805306369"
	case o.class.account():
		want = "805306368"
	case o.class.name == "group":
		want = groupAccountType(o.first("grouptype"))
	}
	if want != "" && o.first("samaccounttype") != want {
		o.set("samaccounttype", []string{want}, m.usn)
	}
}

func groupAccountType(groupType string) string {
	n, err := strconv.ParseInt(groupType, 10, 64)
	if err != nil {
		return ""
	}
	kind, bits := 268435456, uint32(n)
	if bits&4 != 0 { // domain local
		kind = 536870912
	}
	if bits&0x80000000 == 0 { // not a security group
		kind++
	}
	return strconv.Itoa(kind)
}
