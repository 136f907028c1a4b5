package cloud

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"iter"
	"maps"
	"slices"

	"github.com/tandem-sync/tandem/scoping"
)

// Saved records have these keys: "h" the header, "o/"+id an object, "w/"+id its overlay.
const (
	headerKey = "h"
	objectKey = "o/"
	writeKey  = "w/"
)

// header is what belongs to the cache as a whole.
type header struct {
	Version int               `json:"version"`
	Tokens  map[string]string `json:"tokens,omitempty"`
	Loaded  []scoping.Kind    `json:"loaded,omitempty"`
	UpTo    uint64            `json:"upTo,omitempty"`
}

// Save hands every record that changed since the last finished save to put, sorted by key; a nil value deletes the key. Put
// everything in one transaction: data and delta links belong together. Call done once it is committed; without that the
// same records come again with the next Save.
func (c *Cache) Save(put func(key string, value []byte) error) (done func(), err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	dirty, headers := c.dirty, c.headers
	records := map[string][]byte{}
	for id := range dirty {
		if err := c.records(id, records); err != nil {
			return nil, err
		}
	}
	if headers {
		if records[headerKey], err = c.header(); err != nil {
			return nil, err
		}
	}
	for _, key := range slices.Sorted(maps.Keys(records)) {
		if err := put(key, records[key]); err != nil {
			return nil, fmt.Errorf("save tenant cache record %s: %w", key, err)
		}
	}
	saved := maps.Clone(records)
	return func() { c.saved(saved, headers) }, nil
}

// saved forgets what was saved, save what has changed again since.
func (c *Cache) saved(records map[string][]byte, headers bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for id := range c.dirty {
		now := map[string][]byte{}
		if c.records(id, now) == nil && sameRecord(now, records, objectKey+id) && sameRecord(now, records, writeKey+id) {
			delete(c.dirty, id)
		}
	}
	if h, err := c.header(); headers && err == nil && bytes.Equal(h, records[headerKey]) {
		c.headers = false
	}
}

func sameRecord(a, b map[string][]byte, key string) bool {
	_, known := b[key]
	return known && bytes.Equal(a[key], b[key])
}

func (c *Cache) header() ([]byte, error) {
	return json.Marshal(header{Version: recordVersion, Tokens: c.tokens, Loaded: slices.Sorted(maps.Keys(c.loaded)), UpTo: c.upTo})
}

// records adds the records of one object; nil where there is none.
func (c *Cache) records(id string, to map[string][]byte) error {
	to[objectKey+id], to[writeKey+id] = nil, nil
	n, ok := c.byID[id]
	if !ok {
		return nil
	}
	if s := &c.slots[n]; s.base != "" {
		b := appendText(nil, s.base)
		b = binary.AppendUvarint(b, uint64(len(s.members)))
		for _, m := range s.members {
			b = appendText(b, m)
		}
		to[objectKey+id] = b
	}
	if e := c.over[id]; e != nil {
		b, err := json.Marshal(e)
		if err != nil {
			return fmt.Errorf("encode own writes of %s: %w", id, err)
		}
		to[writeKey+id] = b
	}
	return nil
}

// Load fills an empty cache with saved records, in any order. Damaged bytes and unknown versions are [ErrFormat], and the
// cache is of no use then.
func (c *Cache) Load(records iter.Seq2[string, []byte]) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	known := false
	for key, value := range records {
		known = known || key == headerKey
		if err := c.load(key, value); err != nil {
			return fmt.Errorf("load tenant cache record %q: %w", key, err)
		}
	}
	if !known && len(c.byID) > 0 {
		return fmt.Errorf("load tenant cache: %w: no header", ErrFormat)
	}
	c.dirty, c.headers = map[string]bool{}, false
	return nil
}

func (c *Cache) load(key string, value []byte) error {
	switch {
	case key == headerKey:
		return c.loadHeader(value)
	case len(key) > 2 && key[:2] == objectKey:
		return c.loadObject(key[2:], string(value))
	case len(key) > 2 && key[:2] == writeKey:
		var e entry
		if err := json.Unmarshal(value, &e); err != nil {
			return errors.Join(ErrFormat, err)
		}
		c.change(key[2:], func(*slot) { c.over[key[2:]] = &e })
		return nil
	}
	return fmt.Errorf("%w: unknown key", ErrFormat)
}

func (c *Cache) loadHeader(value []byte) error {
	var h header
	if err := json.Unmarshal(value, &h); err != nil {
		return errors.Join(ErrFormat, err)
	}
	if h.Version != recordVersion {
		return fmt.Errorf("%w: version %d, not %d", ErrFormat, h.Version, recordVersion)
	}
	if h.Tokens != nil {
		c.tokens = h.Tokens
	}
	c.upTo = h.UpTo
	for _, k := range h.Loaded {
		c.loaded[k] = true
	}
	return nil
}

func (c *Cache) loadObject(id, value string) error {
	r := &reader{rest: value}
	base, members := r.text(), r.texts()
	if r.bad || r.rest != "" {
		return ErrFormat
	}
	if _, err := readRecord(base); err != nil {
		return err
	}
	if len(members) == 0 {
		members = nil
	}
	c.change(id, func(s *slot) { s.base, s.members = base, members })
	return nil
}

// fileMagic begins an encoded cache; the digit is its version.
const fileMagic = "tandem-cloud-1\n"

// Encode writes the whole cache, own writes and delta links too, as a checksummed index file.
func (c *Cache) Encode(w io.Writer) error {
	c.mu.RLock()
	defer c.mu.RUnlock()
	records := map[string][]byte{}
	for id := range c.byID {
		if err := c.records(id, records); err != nil {
			return err
		}
	}
	h, err := c.header()
	if err != nil {
		return err
	}
	records[headerKey] = h
	sum := crc32.NewIEEE()
	out := bufio.NewWriter(io.MultiWriter(w, sum))
	out.WriteString(fileMagic) // errors stay in the writer until Flush
	for _, key := range slices.Sorted(maps.Keys(records)) {
		if records[key] != nil {
			out.Write(appendText(appendText(nil, key), string(records[key])))
		}
	}
	out.WriteByte(0) // no key is empty
	if err := out.Flush(); err != nil {
		return fmt.Errorf("write tenant cache: %w", err)
	}
	_, err = w.Write(binary.BigEndian.AppendUint32(nil, sum.Sum32()))
	return err
}

// Decode fills an empty cache with what Encode wrote.
func (c *Cache) Decode(r io.Reader) error {
	b, err := io.ReadAll(r)
	if err != nil {
		return fmt.Errorf("read tenant cache: %w", err)
	}
	if len(b) < len(fileMagic)+5 || string(b[:len(fileMagic)]) != fileMagic {
		return fmt.Errorf("read tenant cache: %w: not an index file of this version", ErrFormat)
	}
	body := b[:len(b)-4]
	if crc32.ChecksumIEEE(body) != binary.BigEndian.Uint32(b[len(b)-4:]) {
		return fmt.Errorf("read tenant cache: %w: checksum", ErrFormat)
	}
	rest := &reader{rest: string(body[len(fileMagic):])}
	return c.Load(func(yield func(string, []byte) bool) {
		for key := rest.text(); key != ""; key = rest.text() {
			if !yield(key, []byte(rest.text())) {
				return
			}
		}
	})
}
