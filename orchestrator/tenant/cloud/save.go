package cloud

import (
	"bufio"
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

// Stored records have these keys: "h" the header, "o/"+id an object, "w/"+id its overlay.
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
	Purged  []string          `json:"purged,omitempty"`
}

// unsaved is what one Save handed out.
type unsaved struct {
	ids     map[string]bool
	headers bool
}

// Save passes every record that changed since the last finished save to put; a nil value deletes the key. Everything belongs in one transaction, as
// data and delta links must match. Call done once it is committed; otherwise the same records come again with the next Save. Only one Save may be in
// progress.
func (c *Cache) Save(put func(key string, value []byte) error) (done func(), err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if old := c.saving; old != nil { // its done was not called
		maps.Copy(c.dirty, old.ids)
		c.headers = c.headers || old.headers
	}
	now := &unsaved{ids: c.dirty, headers: c.headers}
	c.saving, c.dirty, c.headers = now, map[string]bool{}, false
	if err := c.hand(now, put); err != nil {
		return nil, err
	}
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.saving == now {
			c.saving = nil
		}
	}, nil
}

// hand passes records to put in order of their keys: the header, objects, own writes.
func (c *Cache) hand(x *unsaved, put func(key string, value []byte) error) error {
	give := func(key string, value []byte, err error) error {
		if err == nil {
			err = put(key, value)
		}
		if err != nil {
			return fmt.Errorf("save tenant cache record %s: %w", key, err)
		}
		return nil
	}
	if x.headers {
		b, err := c.header()
		if err := give(headerKey, b, err); err != nil {
			return err
		}
	}
	ids := slices.Sorted(maps.Keys(x.ids))
	for _, id := range ids {
		if err := give(objectKey+id, c.objectRecord(id), nil); err != nil {
			return err
		}
	}
	for _, id := range ids {
		b, err := c.writeRecord(id)
		if err := give(writeKey+id, b, err); err != nil {
			return err
		}
	}
	return nil
}

func (c *Cache) header() ([]byte, error) {
	return json.Marshal(header{Version: recordVersion, Tokens: c.tokens, Loaded: slices.Sorted(maps.Keys(c.loaded)), UpTo: c.upTo, Purged: c.purges()})
}

// objectRecord encodes the base of one object; nil if there is none.
func (c *Cache) objectRecord(id string) []byte {
	n, ok := c.byID[id]
	if !ok || c.slots[n].base == "" {
		return nil
	}
	s := &c.slots[n]
	b := binary.AppendUvarint(appendText(make([]byte, 0, len(s.base)+8+40*len(s.members())), s.base), uint64(len(s.members())))
	for _, m := range s.members() {
		b = appendText(b, m)
	}
	return b
}

// writeRecord encodes the own writes of one object that the tenant does not show yet; nil if there are none.
func (c *Cache) writeRecord(id string) ([]byte, error) {
	e := c.entryOf(id)
	if e == nil {
		return nil, nil
	}
	return json.Marshal(e)
}

// Load fills an empty cache with stored records, in any order. Damaged bytes and unknown versions are [ErrFormat], after which the cache must not be
// used.
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
		c.change(key[2:], func(s *slot) { c.lay(s.id, &e) })
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
	for n, id := range h.Purged {
		c.remember(id, n)
	}
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
	c.change(id, func(s *slot) { s.put(base, members) })
	return nil
}

// fileMagic begins an encoded cache; the digit is its version.
const fileMagic = "tandem-cloud-1\n"

// Encode writes the whole cache, own writes and delta links too, as a checksummed index file.
func (c *Cache) Encode(w io.Writer) error {
	c.mu.RLock()
	defer c.mu.RUnlock()
	sum := crc32.NewIEEE()
	out := bufio.NewWriter(io.MultiWriter(w, sum))
	out.WriteString(fileMagic) // the writer keeps errors until Flush
	all := &unsaved{ids: map[string]bool{}, headers: true}
	for id := range c.byID {
		all.ids[id] = true
	}
	err := c.hand(all, func(key string, value []byte) error {
		if value != nil {
			out.Write(appendText(appendText(nil, key), string(value)))
		}
		return nil
	})
	if err != nil {
		return err
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
