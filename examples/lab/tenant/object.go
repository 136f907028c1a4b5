package tenant

import (
	"maps"
	"reflect"
	"sort"
	"time"
)

type life uint8

const (
	live life = iota
	binned
	purged
)

// version is one state of an object's own properties. It is never changed once written.
type version struct {
	seq       uint64
	props     map[string]any // string, bool, []string, map[string]any; absent is null
	manager   string
	anchor    string // of a contact: its source anchor, which Graph does not show
	life      life
	deletedAt time.Time
	leftIn    []string // groups that it was taken from by its own deletion, to be put back by a restore
}

type object struct {
	id       string
	kind     Kind
	versions []*version // by rising seq
	members  *memberSet // groups only
	changes  []uint64   // numbers of all changes, of properties and of members

	passwords passwords // users only; of no version
}

func (o *object) latest() *version {
	if len(o.versions) == 0 {
		return nil
	}
	return o.versions[len(o.versions)-1]
}

// at is the version in force at change number seq, or nil before the object existed.
func (o *object) at(seq uint64) *version {
	if v := o.latest(); v != nil && v.seq <= seq {
		return v
	}
	i := sort.Search(len(o.versions), func(i int) bool { return o.versions[i].seq > seq })
	if i == 0 {
		return nil
	}
	return o.versions[i-1]
}

// lastChange is the number of the newest change up to seq, or 0.
func (o *object) lastChange(seq uint64) uint64 {
	i := sort.Search(len(o.changes), func(i int) bool { return o.changes[i] > seq })
	if i == 0 {
		return 0
	}
	return o.changes[i-1]
}

// next copies a version to be changed and written.
func (v *version) next() *version {
	c := *v
	c.props = maps.Clone(v.props)
	return &c
}

func (v *version) text(property string) string {
	s, _ := v.props[property].(string)
	return s
}

func (v *version) is(property string) bool {
	b, _ := v.props[property].(bool)
	return b
}

func sameValue(a, b any) bool { return reflect.DeepEqual(a, b) }

// memberSet is a group's membership with its history.
type memberSet struct {
	order  []string // every member ever, in the order of first arrival
	events map[string][]memberEvent
}

type memberEvent struct {
	seq     uint64
	present bool
	deleted bool // absent because the member itself was deleted
}

func newMemberSet() *memberSet { return &memberSet{events: map[string][]memberEvent{}} }

func (s *memberSet) set(id string, e memberEvent) {
	if s.events[id] == nil {
		s.order = append(s.order, id)
	}
	s.events[id] = append(s.events[id], e)
}

// last is the newest event of a member up to seq.
func (s *memberSet) last(id string, seq uint64) (memberEvent, bool) {
	events := s.events[id]
	for i := len(events) - 1; i >= 0; i-- {
		if events[i].seq <= seq {
			return events[i], true
		}
	}
	return memberEvent{}, false
}

func (s *memberSet) has(id string, seq uint64) bool {
	e, ok := s.last(id, seq)
	return ok && e.present
}

// at lists the members at change number seq.
func (s *memberSet) at(seq uint64) []string {
	var out []string
	for _, id := range s.order {
		if s.has(id, seq) {
			out = append(out, id)
		}
	}
	return out
}
