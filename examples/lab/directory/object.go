package directory

import (
	"slices"
	"strings"
	"time"

	"github.com/tandem-sync/tandem/scoping"
)

// object is one entry, live or a tombstone. The model's lock guards it.
type object struct {
	guid     scoping.GUID
	sid      string // bytes; empty for what is no security principal
	class    *class
	parent   *object            // nil for the root of a naming context
	rootDN   string             // set for roots only
	children map[string]*object // by rdn.key
	attr     string             // the naming attribute: CN, OU, DC
	name     string
	nameUSN  uint64
	attrs    map[string]*attribute // by lower-case name; a value-less one remembers that it was deleted
	links    map[string]*linkSet   // linked attributes, by lower-case name
	backs    map[string][]*object  // who links here, by the linked attribute's lower-case name, oldest first
	deleted  bool
	password *credential
	history  []*credential // earlier passwords, the newest first
	stamp    stamp         // of the password
	acl      [][]byte      // entries of its own access list; nil: those that its class gives
	created  time.Time
	changed  time.Time
	usnFirst uint64
	usnLast  uint64
	seq      uint64 // order of creation, which is the order of search results
}

type attribute struct {
	of     *attributeType
	values []string
	usn    uint64
}

// linkSet is the values of one linked attribute; removed ones stay, so that DirSync can tell of them.
type linkSet struct {
	of    *attributeType
	order []*link
	by    map[*object]*link
}

type link struct {
	target  *object
	present bool
	usn     uint64
}

func (s *linkSet) targets() []*object {
	if s == nil {
		return nil
	}
	out := make([]*object, 0, len(s.order))
	for _, l := range s.order {
		if l.present {
			out = append(out, l.target)
		}
	}
	return out
}

func (o *object) dn() string {
	if o.parent == nil {
		return o.rootDN
	}
	return o.attr + "=" + escapeValue(o.name) + "," + o.parent.dn()
}

func (o *object) rdn() rdn { return rdn{o.attr, o.name} }

func (o *object) root() *object {
	for o.parent != nil {
		o = o.parent
	}
	return o
}

// below says that o is a or in the subtree under it.
func (o *object) below(a *object) bool {
	for ; o != nil; o = o.parent {
		if o == a {
			return true
		}
	}
	return false
}

// canonical is the name of the form domain/ou/name.
func (o *object) canonical() string {
	if o.parent == nil {
		name := strings.ReplaceAll(strings.TrimPrefix(o.rootDN[strings.Index(o.rootDN, "DC="):], "DC="), ",DC=", ".")
		if i := strings.Index(o.rootDN, "DC="); i > 0 {
			return name + "/" + o.name
		}
		return name + "/"
	}
	return strings.TrimSuffix(o.parent.canonical(), "/") + "/" + strings.ReplaceAll(o.name, "/", `\/`)
}

func (o *object) first(key string) string {
	if a := o.attrs[key]; a != nil && len(a.values) > 0 {
		return a.values[0]
	}
	return ""
}

// set stores values with the number of the change; no values mean that the attribute was deleted.
func (o *object) set(key string, values []string, usn uint64) {
	a := o.attrs[key]
	if a == nil {
		a = &attribute{of: schema[key]}
		o.attrs[key] = a
	}
	a.values, a.usn = values, usn
}

// setLinks makes targets the present values; what is added or removed gets the number of the change.
func (o *object) setLinks(key string, targets []*object, usn uint64) {
	s := o.links[key]
	if s == nil {
		s = &linkSet{of: schema[key], by: map[*object]*link{}}
		o.links[key] = s
	}
	want := make(map[*object]bool, len(targets))
	for _, t := range targets {
		want[t] = true
	}
	for _, l := range s.order {
		if l.present && !want[l.target] {
			l.present, l.usn = false, usn
			l.target.unback(key, o)
		}
	}
	for _, t := range targets {
		s.put(o, key, t, usn)
	}
}

func (s *linkSet) put(holder *object, key string, target *object, usn uint64) {
	l := s.by[target]
	if l == nil {
		l = &link{target: target}
		s.by[target] = l
		s.order = append(s.order, l)
	}
	if l.present {
		return
	}
	l.present, l.usn = true, usn
	if target.backs == nil {
		target.backs = map[string][]*object{}
	}
	target.backs[key] = append(target.backs[key], holder)
}

func (o *object) unback(key string, holder *object) {
	o.backs[key] = slices.DeleteFunc(o.backs[key], func(h *object) bool { return h == holder })
}

// unlink forgets the link to target without a trace: AD does not report a link that ends because its target was deleted.
func (o *object) unlink(key string, target *object) {
	s := o.links[key]
	delete(s.by, target)
	s.order = slices.DeleteFunc(s.order, func(l *link) bool { return l.target == target })
}

func (o *object) attach(parent *object) {
	o.parent = parent
	if parent.children == nil {
		parent.children = map[string]*object{}
	}
	parent.children[o.rdn().key()] = o
}

func (o *object) detach() {
	delete(o.parent.children, o.rdn().key())
}
