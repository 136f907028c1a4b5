package census

import (
	"encoding/json"

	"github.com/tandem-sync/tandem/state"
)

// objectsOf names the bucket of a directory's objects.
func objectsOf(name string) string { return "objects/" + name }

// loadMark reads a directory's watermark; nil if there is none.
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
	err = t.load(tx, objectsOf(name))
	c.trees[name], c.marks[name] = t, *m
	c.readings = max(c.readings, m.Reading)
	if err != nil {
		return err
	}
	return c.loadChoosing(tx, name)
}
