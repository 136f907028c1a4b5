package cloud

import (
	"cmp"
	"encoding/base64"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/standing/changes"
	"github.com/tandem-sync/tandem/scoping"
	"github.com/tandem-sync/tandem/scoping/attribute"
)

// Cache is the whole tenant as last seen (the base, kept by delta), under an overlay of Tandem's own answered writes, so that Tandem never takes its
// own writes for changes by others, and knows those that the tenant does not show yet (rule V2).
//
// Methods return the *visible* value: base under overlay. Returned objects are the caller's, except that Members is shared and must not be changed in
// place. A Cache is safe for concurrent use; [Cache.Commit] is one step for readers. It has no clock: times are passed in.
type Cache struct {
	mu      sync.RWMutex
	delay   time.Duration
	byID    map[string]uint32
	slots   []slot
	free    []uint32
	index   index
	over    map[string]string // the overlay: packed, see entryOf
	wide    map[string]*entry // overlays that are not packed
	laid    *entry            // within change: the overlay that was laid last; nil: none
	laidAt  string
	tokens  map[string]string
	tracked []string // registered extensions of users that refreshes read too, sorted
	loaded  map[scoping.Kind]bool
	purged  map[string]int  // ids that the tenant's delta reported as purged, numbered in that order
	dirty   map[string]bool // ids whose stored records are out of date
	headers bool            // tokens, loaded kinds or upTo changed since the last save
	upTo    uint64          // the last log record whose answers the overlay includes
	count   map[scoping.Kind]int
	changes uint64              // counts changes, for versions
	changed changes.Set[string] // ids
	saving  *unsaved            // handed out by Save, result unknown

	glancing bool            // reads from a shelf: see Glance; never changes
	shelf    Shelf           // nil: everything was read
	fetched  map[string]bool // ids that were looked up on the shelf
	err      error           // the first error of reading the shelf
}

// slot holds one object: the base as a compact record, and the visible value where the overlay changes it.
type slot struct {
	id      string
	base    string   // record without members; "" when the base does not have the object
	group   *members // nil: it has none
	hidden  bool     // an overlay entry exists: the visible value is the base with it
	version uint64   // of its last change
}

// members are the members of a slot's object; few objects have any.
type members struct {
	base  []string // sorted, immutable
	shown []string // visible ones, if an overlay entry exists; sorted, immutable
}

// members returns the members of the base.
func (s *slot) members() []string {
	if s.group == nil {
		return nil
	}
	return s.group.base
}

// shown returns the visible members, if an overlay entry exists.
func (s *slot) shown() []string {
	if s.group == nil {
		return nil
	}
	return s.group.shown
}

// show replaces the visible members.
func (s *slot) show(ids []string) { s.gather(s.members(), ids) }

// put replaces the base by a record and members.
func (s *slot) put(base string, ids []string) {
	s.base = base
	s.gather(ids, s.shown())
}

func (s *slot) gather(base, shown []string) {
	if s.group = nil; len(base)+len(shown) > 0 {
		s.group = &members{base, shown}
	}
}

// NewCache returns an empty cache for a tenant that shows every write within delay.
func NewCache(delay time.Duration) *Cache {
	return &Cache{
		delay: delay, byID: map[string]uint32{}, index: newIndex(), over: map[string]string{}, wide: map[string]*entry{},
		tokens: map[string]string{}, loaded: map[scoping.Kind]bool{}, dirty: map[string]bool{}, count: map[scoping.Kind]int{},
	}
}

// UpTo returns the last log record whose answers the overlay includes, or included until the tenant showed them. Later answers have to be added when
// a stored cache is loaded: without them an older view would look like changes by others.
func (c *Cache) UpTo() uint64 {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.upTo
}

// Reached notes that every answer up to a log record was passed to Settled.
func (c *Cache) Reached(seq uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if seq > c.upTo {
		c.upTo, c.headers = seq, true
	}
}

// Track adds registered extensions of users to what refreshes read. None is ever removed.
func (c *Cache) Track(names ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	next := slices.Concat(c.tracked, names)
	slices.Sort(next)
	c.tracked = slices.Compact(next)
}

// Tracked returns the registered extensions of users that refreshes read, sorted. The caller must not change the list.
func (c *Cache) Tracked() []string {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.tracked
}

// Delay returns the time within which the tenant shows every write.
func (c *Cache) Delay() time.Duration { return c.delay }

// Get returns an object by cloud id, live or deleted.
func (c *Cache) Get(id string) (Object, bool) {
	c.seek(id)
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.view(id)
}

// Version returns a number that changes with what this cache shows of an object; 0: it does not have the object.
func (c *Cache) Version(id string) uint64 {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if n, ok := c.byID[id]; ok {
		return c.slots[n].version + 1
	}
	return 0
}

// Changed returns the ids whose objects are shown differently since its last call, or may be; all means any of them may be.
func (c *Cache) Changed() (ids map[string]struct{}, all bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.changed.Take()
}

// ByAnchor returns the live objects of a kind with an anchor (base64): users by onPremisesImmutableId, contacts by theirs, groups by the uniqueName
// that Tandem makes of the anchor (rule J3). They are in id order; more than one is a conflict that the caller resolves.
func (c *Cache) ByAnchor(kind scoping.Kind, anchor string) []Object {
	return c.byAnchor(kind, anchor, false)
}

// DeletedByAnchor is [Cache.ByAnchor] among the deleted items.
func (c *Cache) DeletedByAnchor(kind scoping.Kind, anchor string) []Object {
	return c.byAnchor(kind, anchor, true)
}

func (c *Cache) byAnchor(kind scoping.Kind, anchor string, deleted bool) []Object {
	field, value := ImmutableID, anchor
	switch kind {
	case scoping.Contact:
		field = SourceAnchor
	case scoping.Group:
		raw, err := base64.StdEncoding.DecodeString(anchor)
		if err != nil {
			return nil
		}
		field, value = UniqueName, UniqueNameOf(raw)
	}
	return c.find(field, value, func(o Object) bool { return o.Kind == kind && o.Deleted == deleted })
}

// ByUPN returns the live user with a userPrincipalName, ignoring case. The tenant keeps UPNs unique; during a swap there may be two, of which the one
// with the lower id is returned.
func (c *Cache) ByUPN(upn string) (Object, bool) { return first(c.find(UPN, upn, living)) }

// ByUniqueName returns the live group with a uniqueName.
func (c *Cache) ByUniqueName(name string) (Object, bool) {
	return first(c.find(UniqueName, name, living))
}

// ByNickname returns the live objects with a mailNickname, ignoring case, in id order.
func (c *Cache) ByNickname(name string) []Object { return c.find(Nickname, name, living) }

// ByMail returns the live objects with a mail address, ignoring case, in id order.
func (c *Cache) ByMail(mail string) []Object { return c.find(Mail, mail, living) }

// ByAddress returns the id of a live object other than except that has an address as its mail or among its proxy addresses, or "". Unless a mail
// matches it looks at all objects.
func (c *Cache) ByAddress(address, except string) string {
	for _, o := range c.ByMail(address) {
		if o.ID != except {
			return o.ID
		}
	}
	for o := range c.All {
		if o.ID == except || o.Deleted {
			continue
		}
		for _, p := range o.Values[attribute.ProxyAddresses] {
			if _, a, typed := strings.Cut(p, ":"); typed && strings.EqualFold(a, address) {
				return o.ID
			}
		}
	}
	return ""
}

// ByDisplayName returns the live objects with a display name, ignoring case, in id order, without those whose ids pass except: many objects may share
// a name.
func (c *Cache) ByDisplayName(name string, except func(id string) bool) []Object {
	return c.findBut(DisplayName, name, except, living)
}

func living(o Object) bool { return !o.Deleted }

func first(o []Object) (Object, bool) {
	if len(o) == 0 {
		return Object{}, false
	}
	return o[0], true
}

// MemberOf returns the ids of the live groups with a direct member, sorted.
func (c *Cache) MemberOf(id string) []string {
	c.whole()
	c.mu.RLock()
	defer c.mu.RUnlock()
	var ids []string
	for n := range c.index.slots(c.index.hash(Members, id)) {
		s := &c.slots[n]
		if o, ok := c.viewSlot(s); ok && !o.Deleted && o.HasMember(id) {
			ids = append(ids, s.id)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// All yields every object, deleted ones too, in id order, each as it is when yielded.
func (c *Cache) All(yield func(Object) bool) {
	for _, id := range c.ids() {
		if o, ok := c.Get(id); ok && !yield(o) {
			return
		}
	}
}

func (c *Cache) ids() []string {
	c.whole()
	c.mu.RLock()
	defer c.mu.RUnlock()
	ids := make([]string, 0, len(c.byID))
	for id := range c.byID {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// Count returns the number of visible live objects of a kind.
func (c *Cache) Count(kind scoping.Kind) int {
	c.whole()
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.count[kind]
}

// Pending returns the number of objects with own writes that the tenant has not shown yet.
func (c *Cache) Pending() int {
	c.whole()
	c.mu.RLock()
	defer c.mu.RUnlock()
	return len(c.over)
}

// Token returns a delta link by the name under which the last committed refresh stored it, or "".
func (c *Cache) Token(name string) string {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.tokens[name]
}

// Loaded reports whether a kind was ever read completely. Before that, not finding an object proves nothing.
func (c *Cache) Loaded(kind scoping.Kind) bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.loaded[kind]
}

// maxPurged is the most ids of purged objects that are remembered.
const maxPurged = 10_000

// Purged reports whether the tenant's delta reported an object as deleted for good. Absence from a full reading does not count. Old reports may be
// forgotten.
func (c *Cache) Purged(id string) bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	_, is := c.purged[id]
	return is
}

// purge remembers that an object was deleted for good, or forgets it. c.mu is held.
func (c *Cache) purge(id string, is bool) {
	if _, was := c.purged[id]; was == is {
		return
	}
	c.headers = true
	if !is {
		delete(c.purged, id)
		return
	}
	inOrder := c.purges()
	if len(inOrder) == maxPurged {
		delete(c.purged, inOrder[0])
	}
	last := 0
	if len(inOrder) > 0 {
		last = c.purged[inOrder[len(inOrder)-1]]
	}
	c.remember(strings.Clone(id), last+1)
}

func (c *Cache) remember(id string, n int) {
	if c.purged == nil {
		c.purged = map[string]int{}
	}
	c.purged[id] = n
}

// purges returns the ids of purged objects, in order.
func (c *Cache) purges() []string {
	return slices.SortedFunc(maps.Keys(c.purged), func(a, b string) int { return cmp.Compare(c.purged[a], c.purged[b]) })
}

// find returns the visible objects whose field has a value and that pass keep, in id order.
func (c *Cache) find(field, value string, keep func(Object) bool) []Object {
	return c.findBut(field, value, func(string) bool { return false }, keep)
}

// findBut is find without looking at objects whose ids pass except.
func (c *Cache) findBut(field, value string, except func(id string) bool, keep func(Object) bool) []Object {
	if value == "" {
		return nil
	}
	c.seekValue(value)
	c.mu.RLock()
	defer c.mu.RUnlock()
	var out []Object
	for n := range c.index.slots(c.index.hash(field, value)) {
		if except(c.slots[n].id) {
			continue
		}
		o, ok := c.viewSlot(&c.slots[n])
		if ok && sameKey(field, o.Values.First(field), value) && keep(o) {
			out = append(out, o)
		}
	}
	slices.SortFunc(out, func(a, b Object) int { return cmp.Compare(a.ID, b.ID) })
	return slices.CompactFunc(out, func(a, b Object) bool { return a.ID == b.ID })
}

// view returns the visible value of an id. c.mu is held.
func (c *Cache) view(id string) (Object, bool) {
	n, ok := c.byID[id]
	if !ok {
		return Object{}, false
	}
	return c.viewSlot(&c.slots[n])
}

func (c *Cache) viewSlot(s *slot) (Object, bool) {
	if !s.hidden {
		return s.baseObject()
	}
	o, ok := c.entryOf(s.id).over(s)
	o.Members = s.shown()
	return o, ok
}

func (s *slot) baseObject() (Object, bool) {
	if s.base == "" {
		return Object{}, false
	}
	o := decodeRecord(s.base)
	o.ID, o.Members = s.id, s.members()
	return o, true
}

// change runs f on the slot of id, making one if there is none, then updates the index and frees an empty slot. It returns the visible values before
// and after.
func (c *Cache) change(id string, f func(s *slot)) (before, after *Object) {
	n := c.slotOf(id)
	id = c.slots[n].id // one string for everything that is kept of it
	before = visible(c.viewSlot(&c.slots[n]))
	c.laid = nil
	f(&c.slots[n])
	after = c.overlaid(&c.slots[n])
	c.touch(id, &c.slots[n])
	c.laid = nil
	c.index.move(n, before, after)
	c.recount(before, -1)
	c.recount(after, 1)
	if c.slots[n].base == "" && c.over[id] == "" {
		c.slots[n] = slot{}
		c.free = append(c.free, n)
		delete(c.byID, id)
	}
	return before, after
}

// touch notes that an object's slot changed: it has to be compared and saved again.
func (c *Cache) touch(id string, s *slot) {
	c.changes++
	s.version = c.changes
	c.changed.Note(id)
	c.dirty[id] = true
}

// known returns an id as the cache keeps it, so that equal ids share memory.
func (c *Cache) known(id string) string {
	if n, ok := c.byID[id]; ok {
		return c.slots[n].id
	}
	return id
}

func visible(o Object, ok bool) *Object {
	if !ok {
		return nil
	}
	return &o
}

func (c *Cache) recount(o *Object, by int) {
	if o != nil && !o.Deleted {
		c.count[o.Kind] += by
	}
}

func (c *Cache) slotOf(id string) uint32 {
	if n, ok := c.byID[id]; ok {
		return n
	}
	id = strings.Clone(id) // so that the whole page is not kept in memory
	var n uint32
	if k := len(c.free); k > 0 {
		n, c.free = c.free[k-1], c.free[:k-1]
	} else {
		n = uint32(len(c.slots))
		c.slots = append(c.slots, slot{})
	}
	c.slots[n] = slot{id: id}
	c.byID[id] = n
	return n
}
