package tenant

import (
	"sort"
	"strings"

	"github.com/tandem-sync/tandem/examples/lab/tenant/odata"
)

// Object is one directory object as it was when read. Properties must not be changed.
type Object struct {
	Kind       Kind
	ID         string
	Properties map[string]any // string, bool, []string, map[string]any; absent is null
	Manager    string         // id of a living manager, or ""
}

func (m *Model) object(o *object) Object { return m.objectAt(o, m.head()) }

func (m *Model) objectAt(o *object, at uint64) Object {
	v := o.at(at)
	return Object{Kind: o.kind, ID: o.id, Properties: withPasswordTime(o, v.props), Manager: m.livingManager(v, at)}
}

func (m *Model) livingManager(v *version, at uint64) string {
	if v.manager == "" {
		return ""
	}
	if boss := m.objects[v.manager].at(at); boss == nil || boss.life != live {
		return ""
	}
	return v.manager
}

// Get reads a living object by id, or a user by userPrincipalName. An empty kind takes any.
func (m *Model) Get(kind Kind, ref string) (Object, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	at := m.visible()
	o, err := m.find(kind, ref, at)
	if err != nil {
		return Object{}, err
	}
	return m.objectAt(o, at), nil
}

// GetByKey reads a living object by an alternate key, such as a group's uniqueName.
func (m *Model) GetByKey(kind Kind, property, value string) (Object, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	at := m.visible()
	found := m.lookup(kind, property, value, at)
	if len(found) == 0 {
		return Object{}, notFound(value)
	}
	return m.objectAt(found[0], at), nil
}

// GetDeleted reads a deleted item by id.
func (m *Model) GetDeleted(id string) (Object, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	at := m.visible()
	o, err := m.deletedItem(id, at)
	if err != nil {
		return Object{}, err
	}
	return m.objectAt(o, at), nil
}

// Query says which objects List returns.
type Query struct {
	Filter     odata.Expr // nil takes all
	Search     func(*version) bool
	OrderBy    string // a text property; "" is the order of creation
	Descending bool
	Offset     int  // where the page begins; 0, or what the page before returned
	Limit      int  // objects per page
	Deleted    bool // the deleted items instead of the living objects
	Count      bool // count all matches too
}

// Page is a part of a list. Next is the following page's Offset, or -1 after the last.
type Page struct {
	Objects []Object
	Next    int
	Count   int
}

// List reads a page of the objects of one kind.
func (m *Model) List(kind Kind, q Query) Page {
	m.mu.RLock()
	defer m.mu.RUnlock()
	at := m.visible()
	candidates := m.order[kind]
	if hits, ok := m.candidates(kind, q.Filter, at); ok && !q.Deleted {
		candidates = hits
	}
	if q.OrderBy != "" {
		candidates = m.sorted(candidates, q, at)
	}
	want := live
	if q.Deleted {
		want = binned
	}
	page := Page{Next: -1}
	for i, o := range candidates {
		full := len(page.Objects) == q.Limit && q.Limit > 0
		if !q.Count && (i < q.Offset || page.Next >= 0) {
			continue
		}
		v := o.at(at)
		if v == nil || v.life != want || q.Filter != nil && !odata.Match(q.Filter, getter(v)) || q.Search != nil && !q.Search(v) {
			continue
		}
		page.Count++
		switch {
		case i < q.Offset || page.Next >= 0:
		case full:
			page.Next = i
		default:
			page.Objects = append(page.Objects, m.objectAt(o, at))
		}
	}
	return page
}

// getter reads a version's properties for a filter, with a slash into complex ones.
func getter(v *version) func(string) any {
	return func(path string) any {
		name, field, nested := strings.Cut(path, "/")
		if !nested {
			return v.props[name]
		}
		fields, _ := v.props[name].(map[string]any)
		return fields[field]
	}
}

func (m *Model) sorted(list []*object, q Query, at uint64) []*object {
	out := append([]*object(nil), list...)
	key := func(o *object) string {
		if v := o.at(at); v != nil {
			return strings.ToLower(v.text(q.OrderBy))
		}
		return ""
	}
	sort.SliceStable(out, func(i, j int) bool {
		if q.Descending {
			i, j = j, i
		}
		return key(out[i]) < key(out[j])
	})
	return out
}

// candidates narrows a filter to the objects an index names; ok is false when a scan is needed.
func (m *Model) candidates(kind Kind, x odata.Expr, at uint64) (hits []*object, ok bool) {
	switch n := x.(type) {
	case odata.And:
		if hits, ok = m.candidates(kind, n.Left, at); ok {
			return hits, true
		}
		return m.candidates(kind, n.Right, at)
	case odata.Or:
		left, okLeft := m.candidates(kind, n.Left, at)
		right, okRight := m.candidates(kind, n.Right, at)
		return distinct(append(left, right...)), okLeft && okRight
	case odata.Compare:
		return m.byIndex(kind, n, n.Path, at)
	case odata.Any:
		if c, isCompare := n.X.(odata.Compare); isCompare && c.Path == "" {
			return m.byIndex(kind, c, n.Path, at)
		}
	}
	return nil, false
}

func (m *Model) byIndex(kind Kind, c odata.Compare, path string, at uint64) ([]*object, bool) {
	if c.Op != odata.Eq && c.Op != odata.In || path != "id" && !containsFold(indexed, path) {
		return nil, false
	}
	var hits []*object
	for _, value := range c.Values {
		if l, isLiteral := value.(odata.Literal); isLiteral {
			value = string(l)
		}
		text, isText := value.(string)
		if !isText {
			return nil, false
		}
		if path != "id" {
			hits = append(hits, m.lookup(kind, path, text, at)...)
		} else if o := m.objects[strings.ToLower(text)]; o != nil && o.kind == kind {
			hits = append(hits, o)
		}
	}
	return distinct(hits), true
}

func distinct(list []*object) []*object {
	seen := map[*object]bool{}
	out := list[:0:0]
	for _, o := range list {
		if !seen[o] {
			seen[o] = true
			out = append(out, o)
		}
	}
	return out
}

// Relation names a navigation that Related follows.
type Relation string

// The relations between objects.
const (
	Members            Relation = "members"
	TransitiveMembers  Relation = "transitiveMembers"
	MemberOf           Relation = "memberOf"
	TransitiveMemberOf Relation = "transitiveMemberOf"
	DirectReports      Relation = "directReports"
)

// Related reads what stands in a relation to an object, and for memberOf the directory roles too.
func (m *Model) Related(kind Kind, ref string, r Relation) ([]Object, []Role, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	at := m.visible()
	o, err := m.find(kind, ref, at)
	if err != nil {
		return nil, nil, err
	}
	members := func(g *object) []*object { return m.membersOf(g, at) }
	groups := func(x *object) []*object { return m.groupsOf(x.id, at) }
	var found []*object
	switch r {
	case Members:
		found = members(o)
	case TransitiveMembers:
		found = closure(members(o), members)
	case MemberOf:
		found = groups(o)
	case TransitiveMemberOf:
		found = closure(groups(o), groups)
	case DirectReports:
		found = m.reportsOf(o.id, at)
	}
	out := make([]Object, 0, len(found))
	holders := map[string]bool{o.id: true}
	for _, f := range found {
		out = append(out, m.objectAt(f, at))
		holders[f.id] = r == TransitiveMemberOf
	}
	if r != MemberOf && r != TransitiveMemberOf {
		return out, nil, nil
	}
	return out, m.rolesOf(holders), nil
}

func (m *Model) reportsOf(id string, at uint64) []*object {
	var out []*object
	for _, kind := range []Kind{User, Contact} {
		for _, o := range m.order[kind] {
			if v := o.at(at); v != nil && v.life == live && v.manager == id {
				out = append(out, o)
			}
		}
	}
	return out
}
