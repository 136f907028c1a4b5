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

// Cache is the whole tenant as last seen (the base, kept by delta), under an overlay of Tandem's own settled writes, so that
// Tandem never takes its own writes for somebody else's and never misses one that the tenant does not show yet (rule V2).
//
// What a method returns is the *visible* value: base under overlay. Returned objects are the caller's, save that Members is
// shared and must not be changed in place. A Cache is safe for concurrent use; [Cache.Commit] is one step for readers. It has no
// clock: times are passed in.
type Cache struct {
	mu      sync.RWMutex
	delay   time.Duration
	byID    map[string]uint32
	slots   []slot
	free    []uint32
	index   index
	over    map[string]string // the overlay: packed, see entryOf
	wide    map[string]*entry // what of it is not packed
	laid    *entry            // within change: the overlay that was laid last, and whose; nil: none
	laidAt  string
	tokens  map[string]string
	tracked []string // registered extensions of users that a refresh reads as well, sorted
	loaded  map[scoping.Kind]bool
	purged  map[string]int  // ids of which the tenant's own changes said that they were deleted for good, numbered in that order
	dirty   map[string]bool // ids whose saved records are out of date
	headers bool            // tokens, loaded kinds or upTo changed since the last save
	upTo    uint64          // the last log record whose settlements the overlay knows
	count   map[scoping.Kind]int
	changes uint64              // counts them, to tell versions of an object apart
	changed changes.Set[string] // ids
	saving  *unsaved            // handed out by Save, and not known to be saved yet

	glancing bool            // shows a shelf: see Glance; never changes
	shelf    Shelf           // nil: everything was read
	fetched  map[string]bool // ids that were asked for, also in vain
	err      error           // what could not be read first
}

// slot holds one object: the base as a compact record, and the visible value where the overlay makes it another.
type slot struct {
	id      string
	base    string   // record without members; "" when the base does not have the object
	group   *members // nil: it has none
	hidden  bool     // an overlay entry exists: what is visible is the base with it
	version uint64   // of its last change
}

// members are those of a slot's object; few objects have any.
type members struct {
	base  []string // sorted, immutable
	shown []string // visible ones, if an overlay entry exists; sorted, immutable
}

// members returns those of the base.
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

// show puts other visible members in the place of those that were.
func (s *slot) show(ids []string) { s.gather(s.members(), ids) }

// put lets the base be this record with these members.
func (s *slot) put(base string, ids []string) {
	s.base = base
	s.gather(ids, s.shown())
}

func (s *slot) gather(base, shown []string) {
	if s.group = nil; len(base)+len(shown) > 0 {
		s.group = &members{base, shown}
	}
}

// NewCache makes an empty cache for a tenant that shows every write within delay.
func NewCache(delay time.Duration) *Cache {
	return &Cache{
		delay: delay, byID: map[string]uint32{}, index: newIndex(), over: map[string]string{}, wide: map[string]*entry{},
		tokens: map[string]string{}, loaded: map[scoping.Kind]bool{}, dirty: map[string]bool{}, count: map[scoping.Kind]int{},
	}
}

// UpTo gives the number of the last log record whose settlements the overlay is known to hold, or held until the tenant showed them. Settlements
// after it have to be laid over again when a saved cache is taken up: without them an older view would pass for news.
func (c *Cache) UpTo() uint64 {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.upTo
}

// Reached notes that every settlement up to a log record was given to Settled.
func (c *Cache) Reached(seq uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if seq > c.upTo {
		c.upTo, c.headers = seq, true
	}
}

// Track lets refreshes read registered extensions of users, too. What was tracked stays so.
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

// Delay is the time within which the tenant shows every write.
func (c *Cache) Delay() time.Duration { return c.delay }

// Get gives an object by cloud id, alive or deleted.
func (c *Cache) Get(id string) (Object, bool) {
	c.seek(id)
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.view(id)
}

// Version returns a number that tells what is shown of an object apart from what was and will be shown of it by this cache; 0: it does not have it.
func (c *Cache) Version(id string) uint64 {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if n, ok := c.byID[id]; ok {
		return c.slots[n].version + 1
	}
	return 0
}

// Changed returns the ids of what is shown otherwise, or may be, than when it was asked last: all of them, or these.
func (c *Cache) Changed() (ids map[string]struct{}, all bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.changed.Take()
}

// ByAnchor gives the living objects of a kind that carry the anchor (base64): users by onPremisesImmutableId, contacts by theirs, groups by
// the uniqueName that Tandem makes of the anchor (rule J3). They are in id order; more than one is a conflict for the caller.
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

// ByUPN gives the living user with this userPrincipalName, whatever its case. The tenant keeps UPNs unique; while a swap is
// on its way two may be seen, and the one with the lower id is given.
func (c *Cache) ByUPN(upn string) (Object, bool) { return first(c.find(UPN, upn, living)) }

// ByUniqueName gives the living group with this uniqueName.
func (c *Cache) ByUniqueName(name string) (Object, bool) {
	return first(c.find(UniqueName, name, living))
}

// ByNickname gives the living objects with this mailNickname, whatever its case, in id order.
func (c *Cache) ByNickname(name string) []Object { return c.find(Nickname, name, living) }

// ByMail gives the living objects with this mail address, whatever its case, in id order.
func (c *Cache) ByMail(mail string) []Object { return c.find(Mail, mail, living) }

// ByAddress returns the id of a living object other than one that has an address as its mail or among its proxy addresses, "" if there is none.
// It goes through all objects, where the mail itself does not tell.
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

// ByDisplayName gives the living objects with this display name, whatever its case, in id order, but for those whose ids pass except: a name may be that of many.
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

// MemberOf gives the ids of the living groups that have id as a direct member, sorted.
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

// All yields every object, deleted ones too, in id order, until yield returns false. Objects that change meanwhile are given as
// they are when their turn comes.
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

// Count gives how many living objects of a kind are visible.
func (c *Cache) Count(kind scoping.Kind) int {
	c.whole()
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.count[kind]
}

// Pending gives how many objects have own writes that the tenant has not shown yet.
func (c *Cache) Pending() int {
	c.whole()
	c.mu.RLock()
	defer c.mu.RUnlock()
	return len(c.over)
}

// Token gives a delta link that the last committed refresh left under this name, "" if there is none.
func (c *Cache) Token(name string) string {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.tokens[name]
}

// Loaded says whether a kind was ever read wholly. Before that, not finding an object proves nothing.
func (c *Cache) Loaded(kind scoping.Kind) bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.loaded[kind]
}

// maxPurged is how many ids of objects that were deleted for good are remembered.
const maxPurged = 10_000

// Purged reports whether the tenant's own changes said of an object that it was deleted for good. That a full reading does not show it says nothing of the kind, and of those that said so long ago
// it may be forgotten.
func (c *Cache) Purged(id string) bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	_, is := c.purged[id]
	return is
}

// purge remembers, or forgets, that an object was deleted for good. The lock is held.
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

// purges returns the ids of what was deleted for good, in order.
func (c *Cache) purges() []string {
	return slices.SortedFunc(maps.Keys(c.purged), func(a, b string) int { return cmp.Compare(c.purged[a], c.purged[b]) })
}

// find gives the visible objects whose field has the value and that pass keep, in id order.
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

// view gives the visible value of an id; the lock is held.
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

// change runs f on the slot of id, making one if there is none, then brings the index up to date and frees a slot that holds
// nothing any more. It gives the visible values before and after.
func (c *Cache) change(id string, f func(s *slot)) (before, after *Object) {
	n := c.slotOf(id)
	id = c.slots[n].id // one text for all that is kept of it
	before = visible(c.viewSlot(&c.slots[n]))
	c.laid = nil
	f(&c.slots[n])
	c.overlaid(&c.slots[n])
	c.touch(id, &c.slots[n])
	after = visible(c.viewSlot(&c.slots[n]))
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

// touch notes that an object's slot changed: whoever compares is to look again, and it is to be saved.
func (c *Cache) touch(id string, s *slot) {
	c.changes++
	s.version = c.changes
	c.changed.Note(id)
	c.dirty[id] = true
}

// known returns an id as it is kept: the same text for all who name it.
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
	id = strings.Clone(id) // not a part of a whole page's memory
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
