package cloud

import (
	"slices"
	"time"

	"github.com/tandem-sync/tandem/scoping"
)

// entry is the overlay of one object: Tandem's writes that the tenant has not shown yet.
type entry struct {
	Kind    scoping.Kind        `json:"kind"`
	Life    *pending            `json:"life,omitempty"`    // live or deleted
	Fields  map[string]*pending `json:"fields,omitempty"`  // values by name, the manager included
	Members map[string]*pending `json:"members,omitempty"` // by member: present or absent
}

// pending is one own write of one value. It is never changed: members written by one request share it.
type pending struct {
	Value []string  `json:"value,omitempty"`
	At    time.Time `json:"at"` // when it was answered
	// Again is set if another own write of the value was still pending. Then seeing this value does not prove that this write arrived (the tenant may
	// still show an older equal value), and only time ends it.
	Again bool `json:"again,omitempty"`
}

const (
	alive   = "alive"
	deleted = "deleted"
	member  = "member"
)

// Settled adds a write that was answered as done to the overlay; other statuses change nothing. A doubt that ended because the tenant shows the write
// is passed with status Done as well. at is the time of the answer.
func (c *Cache) Settled(w Write, r Result, at time.Time) {
	id := w.CloudID
	if id == "" {
		id = r.CloudID
	}
	if r.Status != Done || id == "" || w.Op == SetPassword { // no reading shows a credential
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	refs := make([]string, len(w.Refs))
	for i, r := range w.Refs {
		refs[i] = c.known(r)
	}
	w.Refs = refs
	if c.someMembers(id, w, at) {
		return
	}
	c.change(id, func(s *slot) {
		e := c.entryOf(id)
		if e == nil {
			e = &entry{Kind: w.Kind}
		}
		e.write(w, at)
		c.lay(s.id, e)
	})
}

// someMembers adds a write of members to the overlay of a large group, looking only at the write's members. It reports whether it did.
func (c *Cache) someMembers(id string, w Write, at time.Time) bool {
	n, known := c.byID[id]
	if (w.Op != AddMembers && w.Op != RemoveMember) || !known || c.over[id] != unpacked {
		return false
	}
	s := &c.slots[n]
	if o, shows := c.viewSlot(s); !shows || o.Deleted {
		return false
	}
	c.wide[id].write(w, at)
	refs := slices.Compact(slices.Sorted(slices.Values(w.Refs)))
	differ := slices.DeleteFunc(refs, func(m string) bool {
		_, in := slices.BinarySearch(s.shown(), m)
		return in == (w.Op == AddMembers)
	})
	add, remove := differ, []string(nil)
	if w.Op == RemoveMember {
		add, remove = nil, differ
	}
	for _, m := range add {
		c.index.add(Members, m, n)
	}
	for _, m := range remove {
		c.index.remove(Members, m, n)
	}
	s.show(withMembers(s.shown(), add, remove))
	c.touch(id, s)
	return true
}

func (e *entry) write(w Write, at time.Time) {
	switch w.Op {
	case Create:
		e.Life = again(e.Life, []string{alive}, at)
		e.set(createdValues(w), at)
	case Update:
		e.set(w.Set, at)
	case Delete:
		e.Life = again(e.Life, []string{deleted}, at)
	case Restore:
		e.Life = again(e.Life, []string{alive}, at)
		e.set(w.Set, at)
	case AddMembers:
		e.member(w.Refs, []string{member}, at)
	case RemoveMember:
		e.member(w.Refs, nil, at)
	case SetManager:
		e.set(Values{Manager: w.Refs}, at)
	case ClearManager:
		e.set(Values{Manager: nil}, at)
	}
}

// createdValues returns the values of a created object including the key under which it was created (rule J3).
func createdValues(w Write) Values {
	v := w.Set.Clone()
	if w.Kind == scoping.User && w.Anchor != "" {
		v[ImmutableID] = []string{w.Anchor}
	}
	if w.Kind == scoping.Contact && w.Anchor != "" {
		v[SourceAnchor] = []string{w.Anchor}
	}
	if w.Kind == scoping.Group && w.Key != "" {
		v[UniqueName] = []string{w.Key}
	}
	return v
}

func (e *entry) set(v Values, at time.Time) {
	if e.Fields == nil {
		e.Fields = map[string]*pending{}
	}
	for n, x := range v {
		e.Fields[n] = again(e.Fields[n], slices.Clone(x), at)
	}
}

func (e *entry) member(ids, value []string, at time.Time) {
	if e.Members == nil {
		e.Members = map[string]*pending{}
	}
	first := again(nil, value, at) // shared by all members without another pending write
	for _, id := range ids {
		if e.Members[id] == nil {
			e.Members[id] = first
		} else {
			e.Members[id] = again(e.Members[id], value, at)
		}
	}
}

// again returns the next pending value after p.
func again(p *pending, value []string, at time.Time) *pending {
	return &pending{Value: value, At: at, Again: p != nil}
}

func (e *entry) empty() bool { return e.Life == nil && len(e.Fields) == 0 && len(e.Members) == 0 }

// overlaid recomputes the stored part of a slot's visible value, and returns that value; nil: nothing is visible.
func (c *Cache) overlaid(s *slot) *Object {
	e := c.entryOf(s.id)
	s.hidden = e != nil
	s.show(nil)
	if e == nil {
		return visible(s.baseObject())
	}
	o, ok := e.over(s)
	if !ok {
		return nil
	}
	e.coverMembers(&o)
	s.show(o.Members)
	o.Members = s.shown()
	return &o
}

// over returns the base of a slot under the overlay, without members. ok is false if the overlay has only values of an object that the tenant does
// not have.
func (e *entry) over(s *slot) (Object, bool) {
	o, known := s.baseObject()
	if !known && !e.makes() {
		return Object{}, false
	}
	if !known {
		o = Object{ID: s.id, Kind: e.Kind, Values: make(Values, len(e.Fields))}
	}
	e.coverValues(&o)
	return o, true
}

// makes reports whether the overlay alone makes the object visible.
func (e *entry) makes() bool { return e.Life != nil && e.Life.Value[0] == alive }

func (e *entry) cover(o *Object) {
	e.coverValues(o)
	e.coverMembers(o)
}

func (e *entry) coverValues(o *Object) {
	if e.Life != nil {
		o.Deleted = e.Life.Value[0] == deleted
	}
	for n, p := range e.Fields {
		switch {
		case n == Manager:
			o.Manager = firstText(p.Value)
		case len(p.Value) == 0:
			delete(o.Values, n)
		default:
			o.Values[n] = slices.Clone(p.Value)
		}
	}
}

func (e *entry) coverMembers(o *Object) {
	var add, remove []string
	for id, p := range e.Members {
		if p.Value != nil {
			add = append(add, id)
		} else {
			remove = append(remove, id)
		}
	}
	if len(add)+len(remove) > 0 {
		o.Members = withMembers(o.Members, add, remove)
	}
}

func firstText(v []string) string {
	if len(v) == 0 {
		return ""
	}
	return v[0]
}

// arrive drops the own writes that the base has just come to show. It reports whether the object's life was among them: values that the tenant itself
// makes arrive with it, and are no changes by others.
func (e *entry) arrive(was, is *Object) (life bool) {
	if e.Life.arrives(lifeOf(was), lifeOf(is)) {
		e.Life, life = nil, true
	}
	for n, p := range e.Fields {
		if p.arrives(fieldOf(was, n), fieldOf(is, n)) {
			delete(e.Fields, n)
		}
	}
	for id, p := range e.Members {
		if p.arrives(memberIn(was, id), memberIn(is, id)) {
			delete(e.Members, id)
		}
	}
	return life
}

func (p *pending) arrives(was, is []string) bool {
	return p != nil && !p.Again && !slices.Equal(was, p.Value) && slices.Equal(is, p.Value)
}

func lifeOf(o *Object) []string {
	if o == nil || o.Deleted {
		return []string{deleted}
	}
	return []string{alive}
}

func fieldOf(o *Object, name string) []string {
	if o == nil {
		return nil
	}
	if name != Manager {
		return o.Values[name]
	}
	if o.Manager == "" {
		return nil
	}
	return []string{o.Manager}
}

func memberIn(o *Object, id string) []string {
	if o == nil || !o.HasMember(id) {
		return nil
	}
	return []string{member}
}

// late reports whether a reading that began at a time must show the write.
func (p *pending) late(began time.Time, delay time.Duration) bool {
	return p != nil && began.After(p.At.Add(delay))
}

func (e *entry) expires(began time.Time, delay time.Duration) bool {
	if e.Life.late(began, delay) {
		return true
	}
	for _, p := range e.Fields {
		if p.late(began, delay) {
			return true
		}
	}
	for _, p := range e.Members {
		if p.late(began, delay) {
			return true
		}
	}
	return false
}

// expire drops late own writes from the overlay and returns them. A deleted base does not show values (delta reports only the id), so values written
// before the delete are kept as the last known ones.
func (e *entry) expire(began time.Time, delay time.Duration) (late entry) {
	late = entry{Fields: map[string]*pending{}, Members: map[string]*pending{}}
	if e.Life.late(began, delay) {
		e.Life = nil
	}
	for n, p := range e.Fields {
		if p.late(began, delay) {
			late.Fields[n] = p
			delete(e.Fields, n)
		}
	}
	for id, p := range e.Members {
		if p.late(began, delay) {
			late.Members[id] = p
			delete(e.Members, id)
		}
	}
	return late
}
