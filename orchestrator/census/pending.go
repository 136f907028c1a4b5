package census

import (
	"maps"
	"slices"

	"github.com/tandem-sync/tandem/orchestrator/gate"
	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/scoping"
)

// pendingChanges are changes that may alter which choices take which objects, and that objects were not judged by yet.
type pendingChanges struct {
	ids     map[scoping.GUID]bool // objects that something was read of
	entries []directory.Entry     // as they were read
	events  []Event
}

// keepPending keeps changes that could not be judged, and events that Refresh did not return.
func (c *Census) keepPending(name string, n pendingChanges, events []Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.unjudged[name] = &n
	c.pending = append(c.pending, events...)
}

// judgedAll notes that no change is pending: new objects are no longer new.
func (c *Census) judgedAll(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.unjudged, name)
	clear(c.trees[name].fresh)
	clear(c.trees[name].restored)
}

// SelectionHistory sets a function that returns the choices that took each object, by their ids, as others remember them. It is called when the
// census's own memory of a directory is lost, so that changes since then are staged instead of taking effect at once. A nil list means that no choice
// took the object.
func (c *Census) SelectionHistory(f func() map[scoping.ObjectID][]scoping.GUID) { c.history = f }

// Without leaves a safeguard out, for simulations only.
func (c *Census) Without(s gate.Safeguard) { c.without = s }

// selectionHistory returns the remembered choices of a directory that the census knows nothing about; nil if it knows the directory.
func (c *Census) selectionHistory(name string) map[scoping.ObjectID][]scoping.GUID {
	c.mu.Lock()
	lost := c.trees[name] == nil
	c.mu.Unlock()
	if !lost || c.history == nil {
		return nil
	}
	return c.history()
}

// restoreSelections puts remembered choices into a tree that was read from nothing.
func (c *Census) restoreSelections(name string, was map[scoping.ObjectID][]scoping.GUID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.trees[name]
	for id, chosen := range was {
		if o := t.objects[id.GUID]; o != nil && id.Directory == name {
			o.Chosen = slices.SortedFunc(slices.Values(chosen), scoping.GUID.Compare)
			t.changed.Note(id.GUID)
			delete(t.fresh, id.GUID)
			t.restored[id.GUID] = struct{}{}
		}
	}
}

// pendingOf returns what may alter the membership of choices: what was just read, what was read singly since, and what could not be judged before.
func (c *Census) pendingOf(name string, entries []directory.Entry, events []Event, full bool) pendingChanges {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := pendingChanges{ids: map[scoping.GUID]bool{}, entries: entries}
	if c.choosing[name] == nil {
		return n
	}
	if o := c.unjudged[name]; o != nil {
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
	if o := c.unjudged[name]; o != nil {
		maps.Copy(n.ids, o.ids)
	}
	return n
}
