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

// watches are the attributes that engines say they read, by engine and kind of objects (standing S2). They are stored: an engine that lost news while no host ran is
// found out by the first refresh of the next process, before the engine is started.
type watches struct {
	of     map[string]map[scoping.Kind][]string // by engine; sorted
	union  map[scoping.Kind]map[string]struct{} // of all engines, in small letters
	stored bool                                 // it is as it is stored
}

// Watch tells the census what an engine reads of the directory, in place of what the engine said before. From the next Refresh on the directory's changes are read with
// these attributes, and an object of which one changed counts as changed by that reading: what an engine said of it before holds no longer. Values are not kept. What
// a directory that is read from the start shows is no change: nothing tells since when it is so.
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

// WatchOnly forgets what other engines than these read.
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

// set changes what one engine reads; nil: it is forgotten. What is in use is never written to: trees share it.
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

// with returns names to read a directory's changes with: these, and what is watched beside them.
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

// load reads what was stored.
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

// attributes yields the names, in small letters, of what an entry says something of.
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

// seen reports whether what changed of an object is what an engine reads of its kind.
func (t *Tree) seen(k scoping.Kind, e directory.Entry) bool {
	watched := t.watched[k]
	for n := range attributes(e) {
		if _, ok := watched[n]; ok {
			return true
		}
	}
	return false
}

// concerns reports whether choices have to judge an object anew because of an entry that made no event: an entry may have been read for the sake of engines alone.
func concerns(e directory.Entry, asks []string) bool {
	for n := range attributes(e) {
		same := func(x string) bool { return strings.EqualFold(x, n) }
		if n != "objectclass" && (slices.ContainsFunc(Attrs, same) || slices.ContainsFunc(asks, same)) {
			return true
		}
	}
	return e.Deleted
}
