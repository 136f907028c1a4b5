package cloud

import (
	"bytes"
	"fmt"
	"strings"
)

// Shelf is where stored records of a cache are read from.
type Shelf interface {
	// Get returns a record, nil if there is none; it is the caller's.
	Get(key string) ([]byte, error)
	// Each calls f with every record whose key begins with prefix; a record is valid during the call only.
	Each(prefix string, f func(key string, value []byte) error) error
}

// Glance makes an empty cache show the content of a shelf, reading an object when it is first asked for. It is for display: such a cache is not
// saved, and nothing may be decided by it. Objects that cannot be read count as absent; [Cache.Err] returns the error.
func (c *Cache) Glance(s Shelf) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	b, err := s.Get(headerKey)
	if err != nil {
		return err
	}
	if b == nil {
		return fmt.Errorf("load tenant cache: %w: no header", ErrFormat)
	}
	c.shelf, c.glancing = s, true
	return c.loadHeader(b)
}

// Err returns the first error of reading the shelf.
func (c *Cache) Err() error {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.err
}

// seek reads one object of the shelf, if there is one.
func (c *Cache) seek(id string) {
	if !c.glancing {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fetch(id)
}

// fetch reads one object. c.mu is held.
func (c *Cache) fetch(id string) {
	if c.shelf == nil || c.fetched[id] {
		return
	}
	if c.fetched == nil {
		c.fetched = map[string]bool{}
	}
	c.fetched[id] = true
	for _, key := range []string{objectKey + id, writeKey + id} {
		b, err := c.shelf.Get(key)
		if err == nil && b != nil {
			err = c.load(key, b)
		}
		if err != nil && c.err == nil {
			c.err = fmt.Errorf("load tenant cache record %q: %w", key, err)
		}
	}
}

// whole reads everything that is only on the shelf, if there is one.
func (c *Cache) whole() {
	if !c.glancing {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.scan(func(string, []byte) bool { return true })
	c.shelf = nil
}

// scan reads the objects with a record that passes keep. c.mu is held.
func (c *Cache) scan(keep func(key string, value []byte) bool) {
	if c.shelf == nil {
		return
	}
	var ids []string
	for _, prefix := range []string{objectKey, writeKey} {
		err := c.shelf.Each(prefix, func(key string, value []byte) error {
			if keep(key, value) {
				ids = append(ids, key[len(prefix):])
			}
			return nil
		})
		if err != nil && c.err == nil {
			c.err = err
		}
	}
	for _, id := range ids {
		c.fetch(id)
	}
}

// seekValue reads the objects whose stored records contain a value, ignoring case.
func (c *Cache) seekValue(value string) {
	if !c.glancing {
		return
	}
	plain := len(value) < 0x80 && strings.IndexFunc(value, func(r rune) bool { return r >= 0x80 || r < ' ' || strings.ContainsRune(`"\<>&`, r) }) < 0
	if !plain { // other values may be stored in several forms
		c.whole()
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.scan(func(key string, b []byte) bool {
		before := byte(len(value)) // texts of a base have their length before them
		if strings.HasPrefix(key, writeKey) {
			before = '"' // own writes are JSON
		}
		for {
			i := bytes.IndexByte(b, before)
			if i < 0 || len(b)-i-1 < len(value) {
				return false
			}
			if b = b[i+1:]; strings.EqualFold(string(b[:len(value)]), value) {
				return true
			}
		}
	})
}
