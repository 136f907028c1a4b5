package census

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/scoping"
	"github.com/tandem-sync/tandem/state"
)

// watches are the attributes that engines declare to read, by engine and kind of object (standing S2). They are stored, so that a change an engine
// missed while no host ran is found by the first Refresh of the next process, before the engine starts.
type watches struct {
	of     map[string]map[scoping.Kind][]string // by engine; sorted
	union  map[scoping.Kind]map[string]struct{} // of all engines, in lower case
	stored bool                                 // the stored form is up to date
}

// Watch replaces what an engine reads of the directory. From the next Refresh on, changes are read with these attributes, and a change of one counts
// as a change of the object by that reading, so that the engine's earlier claims about it expire. Values are not kept. A first reading from the start
// is no change, as nothing shows when a value was set.
func (c *Census) Watch(name string, reads map[scoping.Kind][]string) {
	next := map[scoping.Kind][]string{}
	for k, names := range reads {
		next[k] = slices.Sorted(slices.Values(names))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.without.Watches() {
		return
	}
	old, known := c.watched.of[name]
	if known && maps.EqualFunc(old, next, slices.Equal[[]string]) {
		return
	}
	c.watched.set(name, next)
	c.watched.stored = false
}

// WatchOnly forgets the attributes of all engines but these.
func (c *Census) WatchOnly(names []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for n := range c.watched.of {
		if !slices.Contains(names, n) {
			c.watched.set(n, nil)
			c.watched.stored = false
		}
	}
}

// set replaces what one engine reads; nil forgets it. The union is built anew, since trees share the old one.
func (w *watches) set(name string, reads map[scoping.Kind][]string) {
	if w.of == nil {
		w.of = map[string]map[scoping.Kind][]string{}
	}
	w.of[name] = reads
	if reads == nil {
		delete(w.of, name)
	}
	w.union = map[scoping.Kind]map[string]struct{}{}
	for _, kinds := range w.of {
		for k, names := range kinds {
			if w.union[k] == nil {
				w.union[k] = map[string]struct{}{}
			}
			for _, n := range names {
				w.union[k][strings.ToLower(n)] = struct{}{}
			}
		}
	}
}

// with returns the attributes to read changes with: the given ones and all watched ones.
func (w *watches) with(names []string) []string {
	all := map[string]struct{}{}
	for _, of := range w.union {
		maps.Copy(all, of)
	}
	for _, n := range names {
		delete(all, strings.ToLower(n))
	}
	return slices.Concat(names, slices.Sorted(maps.Keys(all)))
}

// load loads the stored watches.
func (w *watches) load(tx state.Tx) error {
	w.stored = true
	b := tx.Get("watched", "engines")
	if b == nil {
		return nil
	}
	of := map[string]map[scoping.Kind][]string{}
	if err := json.Unmarshal(b, &of); err != nil {
		return err
	}
	for n, kinds := range of {
		w.set(n, kinds)
	}
	return nil
}

// attributes yields, in lower case, the names of the attributes that an entry has something about.
func attributes(e directory.Entry) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for n := range e.Attrs {
			if !yield(n) {
				return
			}
		}
		for n := range e.Links {
			if !yield(n) {
				return
			}
		}
	}
}

// seen reports whether an entry changes an attribute that engines read of its kind.
func (t *Tree) seen(k scoping.Kind, e directory.Entry) bool {
	watched := t.watched[k]
	for n := range attributes(e) {
		if _, ok := watched[n]; ok {
			return true
		}
	}
	return false
}

// concerns reports whether choices have to judge an object anew because of an entry that made no event; an entry may have been read for engines only.
func concerns(e directory.Entry, asks []string) bool {
	for n := range attributes(e) {
		same := func(x string) bool { return strings.EqualFold(x, n) }
		if n != "objectclass" && (slices.ContainsFunc(Attrs, same) || slices.ContainsFunc(asks, same)) {
			return true
		}
	}
	return e.Deleted
}
