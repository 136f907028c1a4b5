package census

import (
	"maps"
	"slices"

	"github.com/tandem-sync/tandem/orchestrator/gate"
	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/scoping"
)

// news is what may change whom choices take.
type news struct {
	ids     map[scoping.GUID]bool // objects of which something was read
	entries []directory.Entry     // as they were read
	events  []Event
}

// owe keeps news that could not be judged, and events that were not told.
func (c *Census) owe(name string, n news, events []Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.owed[name] = &n
	c.pending = append(c.pending, events...)
}

// settle notes that what appeared is known from now on, and that all news were judged.
func (c *Census) settle(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.owed, name)
	clear(c.trees[name].fresh)
	clear(c.trees[name].recalled)
}

// Recall tells the census where to ask what took whom before, by choices' ids, when its own memory of a directory is lost: what changed since is
// weighed then, as it would have been. Nil entries are objects that nothing took.
func (c *Census) Recall(f func() map[scoping.ObjectID][]scoping.GUID) { c.recall = f }

// Without leaves a safeguard out, for simulations only.
func (c *Census) Without(s gate.Safeguard) { c.without = s }

// recollect asks what took whom, if nothing is known of a directory.
func (c *Census) recollect(name string) map[scoping.ObjectID][]scoping.GUID {
	c.mu.Lock()
	lost := c.trees[name] == nil
	c.mu.Unlock()
	if !lost || c.recall == nil {
		return nil
	}
	return c.recall()
}

// remind puts into a tree that was read from nothing what took its objects before.
func (c *Census) remind(name string, was map[scoping.ObjectID][]scoping.GUID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.trees[name]
	for id, chosen := range was {
		if o := t.objects[id.GUID]; o != nil && id.Directory == name {
			o.Chosen = slices.SortedFunc(slices.Values(chosen), scoping.GUID.Compare)
			t.news.Note(id.GUID)
			delete(t.fresh, id.GUID)
			t.recalled[id.GUID] = struct{}{}
		}
	}
}

// newsOf gives what may change whom choices take: what was just read, what was read singly before, and what could not be judged before.
func (c *Census) newsOf(name string, entries []directory.Entry, events []Event, full bool) news {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := news{ids: map[scoping.GUID]bool{}, entries: entries}
	if c.choosing[name] == nil {
		return n
	}
	if o := c.owed[name]; o != nil {
		n.entries = slices.Concat(o.entries, entries)
	}
	asks := c.choosing[name].asks()
	for _, e := range n.entries {
		if concerns(e, asks) {
			n.ids[e.GUID] = true
		}
	}
	for _, e := range slices.Concat(events, c.pending) {
		if e.Object.Directory == name {
			n.events = append(n.events, e)
			n.ids[e.Object.GUID] = true
		}
	}
	if t := c.trees[name]; full && t != nil {
		for g := range t.objects {
			n.ids[g] = true
		}
	}
	if o := c.owed[name]; o != nil {
		maps.Copy(n.ids, o.ids)
	}
	return n
}
