package cloudsync

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/scoping"
	"github.com/tandem-sync/tandem/state"
)

// Store is where the engine keeps the shape of its directories, its watermarks and what it still has to propose: an index
// file of package state, or one that fails on purpose in tests. What an Update wrote is there as a whole or not at all, also
// after a crash.
type Store interface {
	View(context.Context, func(state.Tx) error) error
	Update(context.Context, func(state.Tx) error) error
	Close() error
}

// watermark is how far a directory was read: everything up to it is settled or marked as pending.
type watermark struct {
	Cookie     []byte       `json:"cookie"`
	Invocation scoping.GUID `json:"invocation"` // the controller that gave the cookie
	At         time.Time    `json:"at"`
}

// mark says that an object is still to be proposed.
type mark struct {
	Gone bool           // a tombstone was told
	From []scoping.GUID // where it was, the parent first, when it has moved since it was proposed last
}

// memory is what is kept of one directory: in the store, and the same here. Only commit changes it.
type memory struct {
	name      string
	store     Store
	tree      *tree
	pending   map[scoping.GUID]mark
	watermark *watermark
	standing  standing
}

// change is what one transaction writes: a nil entry removes. A nil field leaves things as they are.
type change struct {
	nodes     map[scoping.GUID]*node
	marks     map[scoping.GUID]*mark
	watermark *watermark
	root      scoping.GUID
	standing  *standing
}

func newChange() *change {
	return &change{nodes: map[scoping.GUID]*node{}, marks: map[scoping.GUID]*mark{}}
}

func (c *change) empty() bool {
	return len(c.nodes) == 0 && len(c.marks) == 0 && c.watermark == nil && c.root.IsZero() && c.standing == nil
}

// The buckets. Names of directories hold no slash.
const (
	bucketTree    = "tree/"
	bucketPending = "pending/"
	bucketMeta    = "meta"
)

func remember(ctx context.Context, s Store, name string) (*memory, error) {
	m := &memory{name: name, store: s, tree: newTree(), pending: map[scoping.GUID]mark{}}
	err := s.View(ctx, func(tx state.Tx) error { return m.read(tx) })
	if err != nil {
		return nil, fmt.Errorf("read what is kept of directory %s: %w", name, err)
	}
	return m, nil
}

func (m *memory) read(tx state.Tx) error {
	m.tree, m.pending = newTree(), map[scoping.GUID]mark{}
	err := tx.Each(bucketTree+m.name, "", func(k string, v []byte) error {
		g, n, err := decodeNode(k, v)
		m.tree.nodes[g] = n
		return err
	})
	if err != nil {
		return err
	}
	err = tx.Each(bucketPending+m.name, "", func(k string, v []byte) error {
		g, p, err := decodeMark(k, v)
		m.pending[g] = p
		return err
	})
	if err != nil {
		return err
	}
	if b := tx.Get(bucketMeta, "root/"+m.name); b != nil {
		copy(m.tree.root[:], b)
	}
	if b := tx.Get(bucketMeta, "standing/"+m.name); b != nil {
		if err := json.Unmarshal(b, &m.standing); err != nil {
			return err
		}
	}
	if b := tx.Get(bucketMeta, "watermark/"+m.name); b != nil {
		m.watermark = &watermark{}
		return json.Unmarshal(b, m.watermark)
	}
	return nil
}

// commit writes the change in one transaction, and then, only if that took place, makes it here.
func (m *memory) commit(ctx context.Context, c *change) error {
	if c.empty() {
		return nil
	}
	if err := m.store.Update(ctx, func(tx state.Tx) error { return m.write(tx, c) }); err != nil {
		return fmt.Errorf("store what is still to be proposed of directory %s: %w", m.name, err)
	}
	for g, n := range c.nodes {
		if n == nil {
			delete(m.tree.nodes, g)
		} else {
			m.tree.nodes[g] = *n
		}
	}
	for g, p := range c.marks {
		if p == nil {
			delete(m.pending, g)
		} else {
			m.pending[g] = *p
		}
	}
	if !c.root.IsZero() {
		m.tree.root = c.root
	}
	if c.watermark != nil {
		m.watermark = c.watermark
	}
	if c.standing != nil {
		m.standing = *c.standing
	}
	return nil
}

func (m *memory) write(tx state.Tx, c *change) error {
	for g, n := range c.nodes {
		if err := putOr(tx, bucketTree+m.name, g, n == nil, func() []byte { return n.encode() }); err != nil {
			return err
		}
	}
	for g, p := range c.marks {
		if err := putOr(tx, bucketPending+m.name, g, p == nil, func() []byte { return p.encode() }); err != nil {
			return err
		}
	}
	if !c.root.IsZero() {
		if err := tx.Put(bucketMeta, "root/"+m.name, c.root[:]); err != nil {
			return err
		}
	}
	if c.standing != nil {
		if err := putJSON(tx, "standing/"+m.name, c.standing); err != nil {
			return err
		}
	}
	if c.watermark != nil {
		return putJSON(tx, "watermark/"+m.name, c.watermark)
	}
	return nil
}

func putOr(tx state.Tx, bucket string, g scoping.GUID, remove bool, value func() []byte) error {
	if remove {
		return tx.Delete(bucket, string(g[:]))
	}
	return tx.Put(bucket, string(g[:]), value())
}

func putJSON(tx state.Tx, key string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return tx.Put(bucketMeta, key, b)
}

// kindBytes are how kinds stand in the store.
var kindBytes = map[scoping.Kind]byte{directory.OU: 'o', scoping.User: 'u', scoping.Group: 'g', scoping.Contact: 'c'}

func (n *node) encode() []byte {
	b := append([]byte{kindBytes[n.Kind], 0}, n.Parent[:]...)
	if n.Claimed {
		b[1] = 1
	}
	return b
}

func decodeNode(k string, v []byte) (g scoping.GUID, n node, err error) {
	if len(k) != 16 || len(v) != 18 {
		return g, n, fmt.Errorf("a stored object of %d and %d bytes", len(k), len(v))
	}
	copy(g[:], k)
	copy(n.Parent[:], v[2:])
	n.Claimed = v[1] == 1
	for kind, b := range kindBytes {
		if b == v[0] {
			n.Kind = kind
		}
	}
	return g, n, nil
}

func (p *mark) encode() []byte {
	b := []byte{0}
	if p.Gone {
		b[0] = 1
	}
	for _, g := range p.From {
		b = append(b, g[:]...)
	}
	return b
}

func decodeMark(k string, v []byte) (g scoping.GUID, p mark, err error) {
	if len(k) != 16 || len(v)%16 != 1 {
		return g, p, fmt.Errorf("a stored mark of %d and %d bytes", len(k), len(v))
	}
	copy(g[:], k)
	p.Gone = v[0] == 1
	for rest := v[1:]; len(rest) > 0; rest = rest[16:] {
		p.From = append(p.From, scoping.GUID(rest[:16]))
	}
	return g, p, nil
}
