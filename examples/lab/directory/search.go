package directory

import (
	"slices"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"
	"github.com/tandem-sync/tandem/scoping"
)

// searchRequest is a search as it came off the wire.
type searchRequest struct {
	base        string
	scope       int
	sizeLimit   int
	typesOnly   bool
	filter      *ber.Packet
	attributes  []string
	showDeleted bool
	form        nameForm
	sdFlags     int64
}

// found is the outcome of a search: identities, so that pages can be read one after the other while the directory changes.
type found struct {
	objects   []scoping.GUID
	referrals []string
}

// search finds what id may see of the matching objects.
func (m *Model) search(id identity, r searchRequest) (found, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	base, err := m.resolve(r.base)
	if err != nil {
		return found{}, err
	}
	if base.deleted && !r.showDeleted {
		return found{}, noSuchObject(r.base)
	}
	match, err := m.compile(r.filter, 0)
	if err != nil {
		return found{}, err
	}
	var out found
	for _, o := range candidates(base, r.scope) {
		if o.visible(id, r.showDeleted) && match(o) {
			out.objects = append(out.objects, o.guid)
		}
	}
	if base == m.domain && r.scope != ldap.ScopeBaseObject {
		out.referrals = []string{"ldap://" + m.opts.Domain + "/" + m.config.rootDN}
	}
	return out, nil
}

func candidates(base *object, scope int) []*object {
	var out []*object
	switch scope {
	case ldap.ScopeBaseObject:
		return []*object{base}
	case ldap.ScopeSingleLevel:
		for _, c := range base.children {
			out = append(out, c)
		}
	default:
		out = base.subtree()
	}
	slices.SortFunc(out, bySeq)
	return out
}

// visible hides tombstones from requests that do not ask for them and from accounts without the right.
func (o *object) visible(id identity, showDeleted bool) bool {
	return !o.deleted || showDeleted && (id.replicates || o.first("isrecycled") == "")
}

// read makes the entries of a page. Objects that have vanished meanwhile are left out.
func (m *Model) read(id identity, page []scoping.GUID, r searchRequest, maxValues int) []entry {
	m.mu.RLock()
	defer m.mu.RUnlock()
	s := newSelection(r.attributes)
	out := make([]entry, 0, len(page))
	for _, g := range page {
		if o := m.byGUID[g]; o != nil && o.visible(id, r.showDeleted) {
			e := o.project(s, r.form, maxValues)
			m.construct(&e, o, id, r)
			out = append(out, e)
		}
	}
	return out
}

// compare says whether the object has the value.
func (m *Model) compare(dn, name, value string) (bool, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	o, err := m.resolveLive(dn)
	if err != nil {
		return false, err
	}
	t, ok := lookupType(name)
	if !ok || t.has(secret) {
		return false, refuse(ldap.LDAPResultUndefinedAttributeType, "00000057: attribute '%s' is not known", name)
	}
	return m.compileComparison(ldap.FilterEqualityMatch, t.name, value)(o), nil
}

// Entry is an object as [Model.Lookup] gives it.
type Entry struct {
	DN         string
	GUID       scoping.GUID
	Deleted    bool
	Attributes Attributes
}

// Lookup reads the object that dn names, by DN or <GUID=...>, tombstones too.
func (m *Model) Lookup(dn string) (Entry, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	o, err := m.resolve(dn)
	if err != nil {
		return Entry{}, err
	}
	out := Entry{DN: o.dn(), GUID: o.guid, Deleted: o.deleted, Attributes: Attributes{}}
	for _, a := range o.project(newSelection(nil), plainDN, 0).attrs {
		out.Attributes[a.name] = slices.Clone(a.values)
	}
	return out, nil
}
