package cloud

import (
	"maps"
	"slices"
	"time"

	"github.com/tandem-sync/tandem/scoping"
	"github.com/tandem-sync/tandem/scoping/attribute"
)

// Page is a part of the tenant's changes, as delta returns it. It has at most one of an upsert and a removal for an id.
type Page struct {
	Upserts []Upsert
	Removed []Removal
}

// Upsert is what delta says about one live object: the properties that it shows, and no others.
type Upsert struct {
	ID   string
	Kind scoping.Kind
	// Values: a name without values is cleared, an absent name is as it was.
	Values        Values
	Manager       *string  // nil: not mentioned; "": none
	AddMembers    []string // groups
	RemoveMembers []string
	// nil: not mentioned
	Synced, Guest, Mailed, Role *bool

	packed string // see Page.Pack
}

// Removal is an object that was deleted. Hard means that it cannot be restored.
type Removal struct {
	ID   string
	Kind scoping.Kind
	Hard bool
}

// Refresh is one complete reading of the tenant: all of it is committed, or nothing.
type Refresh struct {
	Began   time.Time         // when the first request was sent
	Pages   []Page            // in the order in which they were read
	Full    []scoping.Kind    // kinds that were read from the start: objects in neither Pages nor Deleted do not exist any more
	Deleted []Object          // the deleted items, if they were read; they never overrule a live object
	Tokens  map[string]string // delta links, kept with the data; "" forgets one
}

// Apply commits a refresh that began now with one page. It returns the ids whose visible value others changed, sorted; arrivals of own writes do not
// count.
func (c *Cache) Apply(page Page, now time.Time) (changed []string) {
	return c.Commit(Refresh{Began: now, Pages: []Page{page}})
}

// Commit takes a whole refresh into the cache in one step, and returns the ids whose visible value others changed, sorted. An own write leaves the
// overlay when delta shows its value, or when this refresh began later than the write plus the tenant's delay: then the tenant is right, and the id
// is returned if that makes a difference.
//
// Objects of a kind that is read for the first time are not returned: their former values are unknown.
func (c *Cache) Commit(r Refresh) (changed []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	m := &merge{c: c, full: map[scoping.Kind]bool{}, seen: map[string]bool{}, fresh: map[scoping.Kind]bool{}, before: map[string]*Object{}}
	for _, k := range r.Full {
		m.full[k], m.fresh[k] = true, !c.loaded[k]
	}
	for _, p := range r.Pages {
		m.page(p)
	}
	for _, o := range r.Deleted {
		m.deleted(o)
	}
	m.vanish()
	m.expire(r.Began)
	c.keepTokens(r)
	return m.changed()
}

func (c *Cache) keepTokens(r Refresh) {
	for name, token := range r.Tokens {
		if token == "" {
			delete(c.tokens, name)
		} else {
			c.tokens[name] = token
		}
	}
	for _, k := range r.Full {
		c.loaded[k] = true
	}
	c.headers = c.headers || len(r.Tokens) > 0 || len(r.Full) > 0
}

// merge is the work of one Commit.
type merge struct {
	c      *Cache
	full   map[scoping.Kind]bool
	fresh  map[scoping.Kind]bool // kinds read completely for the first time
	seen   map[string]bool       // ids that this refresh showed, of kinds read completely
	before map[string]*Object    // visible values before the changes by others
}

func (m *merge) page(p Page) {
	for _, u := range p.Upserts {
		m.upsert(u.unpack())
	}
	for _, r := range p.Removed {
		m.remove(r)
	}
}

func (m *merge) upsert(u Upsert) {
	m.c.purge(u.ID, false)
	anew := m.full[u.Kind] && !m.seen[u.ID] // in a full reading the first upsert is the whole object
	if m.full[u.Kind] {
		m.seen[u.ID] = true
	}
	m.base(u.ID, func(s *slot) {
		o, known := s.baseObject()
		if anew || !known {
			o = Object{Kind: u.Kind, Values: Values{}}
		}
		u.into(&o)
		s.put(encodeRecord(o), o.Members)
	})
}

// into applies an upsert to a live object.
func (u Upsert) into(o *Object) {
	o.Deleted = false
	for n, v := range u.Values {
		if len(v) == 0 {
			delete(o.Values, n)
		} else {
			o.Values[n] = v
		}
	}
	if u.Manager != nil {
		o.Manager = *u.Manager
	}
	for _, f := range []struct{ to, from *bool }{
		{&o.Synced, u.Synced}, {&o.Guest, u.Guest}, {&o.Mailed, u.Mailed}, {&o.Role, u.Role},
	} {
		if f.from != nil {
			*f.to = *f.from
		}
	}
	if len(u.AddMembers)+len(u.RemoveMembers) > 0 {
		o.Members = withMembers(o.Members, u.AddMembers, u.RemoveMembers)
	}
}

// withMembers returns a new sorted set; old is unchanged.
func withMembers(old, add, remove []string) []string {
	add = slices.Compact(slices.Sorted(slices.Values(add)))
	remove = slices.Sorted(slices.Values(remove))
	out := make([]string, 0, len(old)+len(add))
	keep := func(id string) {
		if _, gone := slices.BinarySearch(remove, id); !gone {
			out = append(out, id)
		}
	}
	for _, id := range old {
		for len(add) > 0 && add[0] < id {
			keep(add[0])
			add = add[1:]
		}
		if len(add) > 0 && add[0] == id {
			add = add[1:]
		}
		keep(id)
	}
	for _, id := range add {
		keep(id)
	}
	return out
}

func (m *merge) remove(r Removal) {
	if m.full[r.Kind] && !r.Hard {
		m.seen[r.ID] = true
	}
	m.c.purge(r.ID, r.Hard && !m.full[r.Kind])
	m.base(r.ID, func(s *slot) {
		o, known := s.baseObject()
		if r.Hard {
			s.put("", nil)
			return
		}
		if !known {
			o = Object{Kind: r.Kind, Values: Values{}}
		}
		o.Deleted = true
		s.put(encodeRecord(o), o.Members)
	})
}

// deleted takes one of the deleted items. Delta decides which objects are live: an outdated list of deleted items does not overrule it.
func (m *merge) deleted(o Object) {
	if n, known := m.c.byID[o.ID]; known && m.c.slots[n].base != "" {
		b, _ := m.c.slots[n].baseObject()
		shown := m.seen[o.ID] || !m.full[o.Kind]
		if !b.Deleted && shown {
			return
		}
		o.Members = b.Members // the list does not show them
	}
	if m.full[o.Kind] {
		m.seen[o.ID] = true
	}
	m.c.purge(o.ID, false)
	o.Deleted = true
	m.base(o.ID, func(s *slot) { s.put(encodeRecord(o), o.Members) })
}

// vanish removes the objects that a full reading did not show.
func (m *merge) vanish() {
	if len(m.full) == 0 {
		return
	}
	var gone []string
	for i := range m.c.slots {
		s := &m.c.slots[i]
		if s.base != "" && m.full[recordKinds[s.base[2]]] && !m.seen[s.id] {
			gone = append(gone, s.id)
		}
	}
	slices.Sort(gone)
	for _, id := range gone {
		m.base(id, func(s *slot) { s.put("", nil) })
	}
}

// expire drops own writes that this reading would have shown.
func (m *merge) expire(began time.Time) {
	for _, id := range slices.Sorted(maps.Keys(m.c.over)) {
		e := m.c.entryOf(id)
		if !e.expires(began, m.c.delay) {
			continue
		}
		before, after := m.c.change(id, func(s *slot) {
			late := e.expire(began, m.c.delay)
			if o, known := s.baseObject(); known && o.Deleted {
				late.cover(&o)
				s.put(encodeRecord(o), o.Members)
			}
			m.c.lay(s.id, e)
		})
		m.report(id, before, after)
	}
}

// base changes the base of one object, lets own writes that arrived leave the overlay, and reports changes by others.
func (m *merge) base(id string, f func(*slot)) {
	arrival := false
	before, after := m.c.change(id, func(s *slot) {
		e := m.c.entryOf(id)
		if e == nil {
			f(s)
			return
		}
		was := visible(s.baseObject())
		f(s)
		arrival = e.arrive(was, visible(s.baseObject()))
		m.c.lay(s.id, e)
	})
	if !arrival || lost(before, after) {
		m.report(id, before, after)
	}
}

// tenantMakes reports whether the tenant itself may set a property when an object is created or restored.
func tenantMakes(k scoping.Kind, name string) bool {
	a, known := attribute.Find(k, name)
	return !known || !a.Is(attribute.Writable) || a.Is(attribute.Made)
}

// lost reports whether a visible value changed. Values that the tenant makes arrive with an own create or restore; known values are changed only by
// others.
func lost(before, after *Object) bool {
	if before == nil || after == nil || before.Deleted != after.Deleted {
		return before != nil
	}
	for name, v := range before.Values {
		if !slices.Equal(after.Values[name], v) {
			return true
		}
	}
	for name := range after.Values {
		if _, had := before.Values[name]; !had && !tenantMakes(after.Kind, name) {
			return true // set by others after the create, before the tenant showed it
		}
	}
	return before.Manager != after.Manager || !slices.Equal(before.Members, after.Members)
}

// report notes a change by others, with the value before the first one: an object may come in several pages.
func (m *merge) report(id string, before, after *Object) {
	if _, noted := m.before[id]; !noted && !sameObject(before, after) {
		m.before[id] = before
	}
}

// changed returns the ids whose visible value differs from before, without those of a kind that was never read before.
func (m *merge) changed() []string {
	var ids []string
	for id, before := range m.before {
		after := visible(m.c.view(id))
		if !sameObject(before, after) && !m.first(before) && !m.first(after) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

func (m *merge) first(o *Object) bool { return o != nil && m.fresh[o.Kind] }

// sameObject compares two visible values. Those of deleted objects do not count, as the tenant changes them at will.
func sameObject(a, b *Object) bool {
	if a == nil || b == nil {
		return a == b
	}
	if a.Deleted && b.Deleted {
		return true
	}
	return a.Deleted == b.Deleted && a.Manager == b.Manager && flagsOf(*a) == flagsOf(*b) &&
		Equal(a.Values, b.Values) && slices.Equal(a.Members, b.Members)
}
