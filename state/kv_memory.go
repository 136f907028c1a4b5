package state

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"strings"
	"sync"
)

// memKV is a kv in memory. Its states are immutable trees, so a view is a pointer. MemoryDisk decides what a crash does to updates that were not
// synced.
type memKV struct {
	writer sync.Mutex // serializes updates
	mu     sync.Mutex // guards the fields below
	now    *node      // committed
	ended  error      // ErrClosed or ErrCrashed
	broken error
}

// node is a treap over bucket and key, joined after the bucket's length. Nodes are never changed.
type node struct {
	key         string
	value       []byte
	prio        uint64
	left, right *node
}

// seed makes priorities; they shape the tree and have no other effect.
var seed = maphash.MakeSeed()

func memKey(bucket, key string) string {
	return fmt.Sprintf("%04x%s%s", len(bucket), bucket, key)
}

func (n *node) get(key string) []byte {
	for n != nil {
		switch c := strings.Compare(key, n.key); {
		case c == 0:
			return n.value
		case c < 0:
			n = n.left
		default:
			n = n.right
		}
	}
	return nil
}

// split divides a tree into the keys before key and those from key on.
func split(n *node, key string) (before, from *node) {
	if n == nil {
		return nil, nil
	}
	c := *n
	if n.key < key {
		c.right, from = split(n.right, key)
		return &c, from
	}
	before, c.left = split(n.left, key)
	return before, &c
}

// join joins two trees; all keys of a are before those of b.
func join(a, b *node) *node {
	if a == nil {
		return b
	}
	if b == nil {
		return a
	}
	if a.prio > b.prio {
		c := *a
		c.right = join(a.right, b)
		return &c
	}
	c := *b
	c.left = join(a, b.left)
	return &c
}

func (n *node) without(key string) *node {
	before, from := split(n, key)
	_, after := split(from, key+"\x00")
	return join(before, after)
}

func (n *node) with(key string, value []byte) *node {
	before, from := split(n, key)
	_, after := split(from, key+"\x00")
	return join(join(before, &node{key: key, value: value, prio: maphash.String(seed, key)}), after)
}

// atOrAfter returns the first node whose key is not before key.
func (n *node) atOrAfter(key string) *node {
	var best *node
	for n != nil {
		if n.key >= key {
			best, n = n, n.left
		} else {
			n = n.right
		}
	}
	return best
}

// copy returns another store with the committed content.
func (k *memKV) copy() *memKV {
	k.mu.Lock()
	defer k.mu.Unlock()
	return &memKV{now: k.now}
}

func (k *memKV) snapshot(write bool) (*node, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.ended != nil {
		return nil, k.ended
	}
	if write && k.broken != nil {
		return nil, k.broken
	}
	return k.now, nil
}

func (k *memKV) view(ctx context.Context, f func(Tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	root, err := k.snapshot(false)
	if err != nil {
		return err
	}
	return f(&memTx{root: root})
}

func (k *memKV) update(ctx context.Context, _ bool, f func(Tx) error, before, after func() error) error {
	k.writer.Lock()
	defer k.writer.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	root, err := k.snapshot(true)
	if err != nil {
		return err
	}
	tx := &memTx{root: root, write: true}
	if err := f(tx); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := call(before); err != nil {
		return k.failed(err)
	}
	if err := k.commit(tx.root); err != nil {
		return err
	}
	if err := call(after); err != nil {
		return k.breakWith(err)
	}
	return nil
}

func (k *memKV) commit(root *node) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.ended != nil {
		return k.ended
	}
	k.now = root
	return nil
}

func (k *memKV) failed(err error) error {
	if isFull(err) {
		return fmt.Errorf("%w: %w", ErrFull, err)
	}
	return k.breakWith(err)
}

func (k *memKV) breakWith(err error) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.ended != nil {
		return k.ended
	}
	if k.broken == nil {
		k.broken = brokenBy(err)
	}
	return k.broken
}

func (k *memKV) sync() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return errors.Join(k.ended, k.broken)
}

func (k *memKV) close() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.ended == nil {
		k.ended = ErrClosed
	}
	return nil
}

// end makes all calls of the present holder fail and returns the content for the next.
func (k *memKV) end(why error) *memKV {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.ended == nil || why == ErrCrashed {
		k.ended = why
	}
	return &memKV{now: k.now}
}

// memTx is the Tx over a tree.
type memTx struct {
	root  *node
	write bool
}

func (t *memTx) Get(bucket, key string) []byte { return t.root.get(memKey(bucket, key)) }

func (t *memTx) Put(bucket, key string, value []byte) error {
	if !t.write {
		return ErrReadOnly
	}
	if err := checkName(bucket, key); err != nil {
		return err
	}
	t.root = t.root.with(memKey(bucket, key), append(make([]byte, 0, len(value)), value...))
	return nil
}

func (t *memTx) Delete(bucket, key string) error {
	if !t.write {
		return ErrReadOnly
	}
	if k := memKey(bucket, key); t.root.get(k) != nil {
		t.root = t.root.without(k)
	}
	return nil
}

func (t *memTx) Each(bucket, prefix string, f func(key string, value []byte) error) error {
	start, at := memKey(bucket, ""), memKey(bucket, prefix)
	for n := t.root.atOrAfter(at); n != nil && strings.HasPrefix(n.key, at); n = t.root.atOrAfter(n.key + "\x00") {
		if err := f(n.key[len(start):], n.value); err != nil {
			return err
		}
	}
	return nil
}
