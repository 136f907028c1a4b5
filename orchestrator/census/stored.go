package census

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/tandem-sync/tandem/state"
)

// objectsOf returns the bucket of a directory's objects.
func objectsOf(name string) string { return "objects/" + name }

// loadMark loads a directory's watermark; nil if there is none.
func loadMark(tx state.Tx, name string) (*mark, error) {
	b := tx.Get("marks", name)
	if b == nil {
		return nil, nil
	}
	var m mark
	return &m, json.Unmarshal(b, &m)
}

func (c *Census) load(tx state.Tx, name string) error {
	m, err := loadMark(tx, name)
	if err != nil || m == nil {
		return err
	}
	t := NewTree(name, m.Root, m.RootDN)
	t.named = m.Sum != nil && m.Sum.Names == namesFormat
	c.links = slices.Compact(slices.Sorted(slices.Values(slices.Concat(c.links, m.Links))))
	err = t.load(tx, objectsOf(name))
	c.trees[name], c.marks[name] = t, *m
	c.readings = max(c.readings, m.Reading)
	if err != nil {
		return err
	}
	return c.loadChoosing(tx, name)
}

// Keep stores what changed, with the watermarks, in one transaction. It is called once everything that follows from the last Refresh is durable:
// after a crash before that, the next process reads the same changes again. After an error, what was to be stored waits for the next call.
func (c *Census) Keep(ctx context.Context) error {
	if c.store == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	changed := map[string][]Object{}
	for _, n := range c.told() {
		changed[n] = c.trees[n].Touched(nil)
	}
	err := c.nameAhead(ctx, changed)
	if err == nil {
		err = c.store.Update(ctx, func(tx state.Tx) error { return c.keep(tx, changed) })
	}
	for n, os := range changed {
		if err != nil { // the marks of the next commit claim that these objects are stored
			c.trees[n].touch(os)
		} else {
			c.trees[n].named = true
		}
	}
	c.watched.stored = c.watched.stored || err == nil
	return err
}

// told returns the directories whose changes were all reported by Refresh. A change stored before it is reported would not be reported again after a
// crash. Census.mu is held.
func (c *Census) told() (names []string) {
	if c.compare {
		return nil
	}
	for _, n := range c.names {
		untold := c.unjudged[n] != nil || slices.ContainsFunc(c.pending, func(e Event) bool { return e.Object.Directory == n })
		if _, read := c.marks[n]; read && !untold && c.trees[n] != nil {
			names = append(names, n)
		}
	}
	return names
}

// keep stores objects with everything else that is known of their directories. Census.mu is held.
func (c *Census) keep(tx state.Tx, changed map[string][]Object) error {
	if !c.watched.stored {
		if err := putJSON(tx, "watched", "engines", c.watched.of); err != nil {
			return err
		}
	}
	for n, os := range changed {
		m := c.marks[n]
		m.Sum = c.trees[n].sum()
		m.Sum.Names = namesFormat
		if err := putJSON(tx, "marks", n, m); err != nil {
			return err
		}
		if err := c.keepChoosing(tx, n); err != nil {
			return err
		}
		for _, x := range byKey(os) {
			if err := rename(tx, n, x.object, !aheadOf(os)); err != nil {
				return err
			}
			if err := putJSON(tx, objectsOf(n), x.key, x.object); err != nil {
				return err
			}
		}
	}
	return nil
}

// keyed is an object with the key that it is stored by.
type keyed struct {
	key    string
	object *Object
}

// byKey returns objects in the order of their keys. Bbolt keeps the new keys of a page in one sorted list until commit, so each key out of order
// moves half of those before it: noticeable in a first reading.
func byKey(os []Object) []keyed {
	out := make([]keyed, len(os))
	for i := range os {
		out[i] = keyed{os[i].GUID.String(), &os[i]}
	}
	slices.SortFunc(out, func(a, b keyed) int { return strings.Compare(a.key, b.key) })
	return out
}

func putJSON(tx state.Tx, bucket, key string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return tx.Put(bucket, key, b)
}
