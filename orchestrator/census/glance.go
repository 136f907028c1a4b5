package census

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tandem-sync/tandem/scoping"
	"github.com/tandem-sync/tandem/state"
)

// ErrGlance means that a census opened by Glance cannot answer: it has to be opened by Open.
var ErrGlance = errors.New("the census was opened to be looked at only")

// Glance opens a census for display: it reads an object from the store when it is first asked for, follows no directory and stores nothing. Nothing
// may be decided by it. The caller asks Err at the end whether all reads succeeded. A directory that was never read, or was stored by a version that
// kept no counts, is an ErrGlance.
func Glance(ctx context.Context, names []string, dial Dialer, store Store) (*Census, error) {
	c := empty(names, dial, nil)
	c.glancing = true
	return c, store.View(ctx, func(tx state.Tx) error {
		for _, n := range names {
			m, err := loadMark(tx, n)
			if err != nil {
				return err
			}
			if m == nil || m.USN == 0 || m.Sum == nil {
				return fmt.Errorf("%w: directory %s has to be read first", ErrGlance, n)
			}
			t := NewTree(n, m.Root, m.RootDN)
			t.shelf = &shelf{ctx: ctx, store: store, bucket: objectsOf(n), living: m.Sum.Living, named: m.Sum.Names == namesFormat}
			for _, g := range m.Sum.Staged {
				t.staged[g] = struct{}{}
			}
			c.trees[n], c.marks[n] = t, *m
			if err := c.loadChoosing(tx, n); err != nil {
				return err
			}
		}
		return nil
	})
}

// Err returns the first error of reading the store behind a glance.
func (c *Census) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, n := range c.names {
		if t := c.trees[n]; t != nil && t.failed != nil {
			return t.failed
		}
	}
	return nil
}

// shelf is the store of a tree whose objects are read when asked for.
type shelf struct {
	ctx    context.Context
	store  Store
	bucket string
	living int
	named  bool // the store has an index of names
}

// sum is what is stored about all objects of a directory together.
type sum struct {
	Living int            `json:"living"`           // see Tree.Living
	Staged []scoping.GUID `json:"staged,omitempty"` // objects with staged changes
	Names  int            `json:"names,omitempty"`  // the version of the index of names
}

func (t *Tree) sum() *sum {
	return &sum{Living: t.Living(), Staged: slices.SortedFunc(maps.Keys(t.staged), scoping.GUID.Compare)}
}

// object returns an object, nil if it is not known; a glance reads it now.
func (t *Tree) object(g scoping.GUID) *Object {
	o, known := t.objects[g]
	if known || t.shelf == nil {
		return o
	}
	err := t.shelf.store.View(t.shelf.ctx, func(tx state.Tx) error {
		if b := tx.Get(t.shelf.bucket, g.String()); b != nil {
			o = &Object{}
			return json.Unmarshal(b, o)
		}
		return nil
	})
	if err != nil {
		t.fail(err)
		o = nil
	}
	t.objects[g] = o
	return o
}

func (t *Tree) fail(err error) {
	if t.failed == nil {
		t.failed = fmt.Errorf("reading the census of directory %s: %w", t.Directory, err)
	}
}

// whole reads every object of a glance.
func (t *Tree) whole() {
	if t.shelf == nil {
		return
	}
	s := t.shelf
	t.shelf = nil
	clear(t.objects)
	clear(t.staged)
	err := s.store.View(s.ctx, func(tx state.Tx) error { return t.load(tx, s.bucket) })
	if err != nil {
		t.fail(err)
	}
}

// load puts in all stored objects.
func (t *Tree) load(tx state.Tx, bucket string) error {
	return tx.Each(bucket, "", func(_ string, v []byte) error {
		var o Object
		if err := json.Unmarshal(v, &o); err != nil {
			return err
		}
		t.Put(o)
		return nil
	})
}

// scan returns the objects of a glance that pass keep, decoding only those whose stored bytes pass sift.
func (t *Tree) scan(sift func(b []byte) bool, keep func(o *Object) bool) (out []scoping.ObjectID) {
	err := t.shelf.store.View(t.shelf.ctx, func(tx state.Tx) error {
		return tx.Each(t.shelf.bucket, "", func(_ string, v []byte) error {
			if !sift(v) {
				return nil
			}
			var o Object
			if err := json.Unmarshal(v, &o); err != nil {
				return err
			}
			if keep(&o) {
				out = append(out, scoping.ObjectID{Directory: t.Directory, GUID: o.GUID})
			}
			return nil
		})
	})
	if err != nil {
		t.fail(err)
	}
	slices.SortFunc(out, scoping.ObjectID.Compare)
	return out
}

// find is Find for a glance.
func (t *Tree) find(text string, raw []byte) []scoping.ObjectID {
	if found, ok := t.look(text, raw); ok {
		return found
	}
	plain := strings.IndexFunc(text, func(r rune) bool { return r >= 0x80 || r < ' ' || strings.ContainsRune(`"\<>&`, r) }) < 0
	guid := scoping.GUID{}
	copy(guid[:], raw)
	id, anchor := []byte(`"g":"`+guid.String()+`"`), []byte(`"a":"`+base64.StdEncoding.EncodeToString(raw)+`"`)
	return t.scan(func(b []byte) bool {
		return !plain || // other texts may be escaped in JSON
			stands(b, `"u":"`, text) || stands(b, `"s":"`, text) || len(raw) == 16 && (bytes.Contains(b, id) || bytes.Contains(b, anchor))
	}, func(o *Object) bool { return o.named(text, raw) })
}

// stands reports whether a field of a stored object has a value, ignoring case.
func stands(b []byte, field, value string) bool {
	i := bytes.Index(b, []byte(field))
	if i < 0 {
		return false
	}
	b = b[i+len(field):]
	return len(b) > len(value) && b[len(value)] == '"' && strings.EqualFold(string(b[:len(value)]), value)
}

// shared is, for a glance, whether another object of the same kind has the same anchor. Deleted objects do not count.
func (t *Tree) shared(o *Object) bool {
	a := o.anchor()
	twin := func(x *Object) bool {
		return x.GUID != o.GUID && !x.Deleted && x.Kind == o.Kind && bytes.Equal(x.anchor(), a)
	}
	if t.shelf.named {
		return slices.ContainsFunc(t.anchored(a), twin)
	}
	guid := scoping.GUID{}
	copy(guid[:], a)
	id, anchor := []byte(`"g":"`+guid.String()+`"`), []byte(`"a":"`+base64.StdEncoding.EncodeToString(a)+`"`)
	return len(t.scan(func(b []byte) bool { return bytes.Contains(b, anchor) || bytes.Contains(b, id) }, twin)) > 0
}

// Living returns the number of users, groups and contacts that are not deleted.
func (t *Tree) Living() int {
	if t.shelf != nil {
		return t.shelf.living
	}
	n := 0
	for _, o := range t.objects {
		if !o.Deleted && scoping.Base(o.Kind) != "" {
			n++
		}
	}
	return n
}

// refuse returns ErrGlance for a glance, which must not read directories.
func (c *Census) refuse() error {
	if c.glancing {
		return ErrGlance
	}
	return nil
}
