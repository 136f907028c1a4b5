package state

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"

	bolt "go.etcd.io/bbolt"
)

// boltTx is the Tx over a bbolt transaction.
type boltTx struct {
	tx      *bolt.Tx
	path    string
	changes int // counts writes, so that Each knows when its cursor is stale
	name    string
	last    *bolt.Bucket // the bucket called name: looking it up costs as much as a put
}

// bucket returns the named bucket or nil. Buckets are never removed, so the last one stays valid.
func (t *boltTx) bucket(name string) *bolt.Bucket {
	if t.last == nil || t.name != name {
		t.name, t.last = name, t.tx.Bucket([]byte(name))
	}
	return t.last
}

// makeBucket returns the named bucket, making it when absent.
func (t *boltTx) makeBucket(name string) (*bolt.Bucket, error) {
	if b := t.bucket(name); b != nil {
		return b, nil
	}
	b, err := t.tx.CreateBucketIfNotExists([]byte(name))
	if err != nil {
		return nil, fmt.Errorf("bucket %q: %w", name, err)
	}
	t.last = b
	return b, nil
}

const sumSize = 4

// seal returns a copy of value with its checksum.
func (t *boltTx) seal(bucket, key string, value []byte) []byte {
	b := append(make([]byte, 0, len(value)+sumSize), value...)
	return binary.LittleEndian.AppendUint32(b, valueSum(bucket, []byte(key), value))
}

// unseal checks a stored value and aborts the transaction if it is damaged.
func (t *boltTx) unseal(bucket string, key, stored []byte) []byte {
	if stored == nil {
		return nil
	}
	n := len(stored) - sumSize
	if n < 0 || binary.LittleEndian.Uint32(stored[n:]) != valueSum(bucket, key, stored[:n]) {
		panic(abort{&DamageError{File: t.path, Why: fmt.Sprintf("the checksum of %s %q does not match", bucket, key)}})
	}
	return stored[:n:n]
}

// unsealed reports whether a stored value has exactly the size that it has without a checksum.
func (t *boltTx) unsealed(bucket, key string, size int) bool {
	defer t.guard()
	b := t.bucket(bucket)
	return b != nil && len(b.Get([]byte(key))) == size
}

func valueSum(bucket string, key, value []byte) uint32 {
	sum := crc32.Update(0, castagnoli, []byte(bucket))
	sum = crc32.Update(sum, castagnoli, []byte{0})
	sum = crc32.Update(sum, castagnoli, key)
	sum = crc32.Update(sum, castagnoli, []byte{0})
	return crc32.Update(sum, castagnoli, value)
}

// guard is deferred by each method: damage leaves the user's function at once.
func (t *boltTx) guard() {
	if r := recover(); r != nil {
		panic(abort{damageOf(t.path, r)})
	}
}

func (t *boltTx) Get(bucket, key string) []byte {
	defer t.guard()
	b := t.bucket(bucket)
	if b == nil {
		return nil
	}
	return t.unseal(bucket, []byte(key), b.Get([]byte(key)))
}

func (t *boltTx) Put(bucket, key string, value []byte) error {
	defer t.guard()
	if !t.tx.Writable() {
		return ErrReadOnly
	}
	if err := checkName(bucket, key); err != nil {
		return err
	}
	if len(value) > bolt.MaxValueSize-sumSize {
		return fmt.Errorf("bucket %q key %q: value of %d bytes is too long", bucket, key, len(value))
	}
	b, err := t.makeBucket(bucket)
	if err != nil {
		return err
	}
	t.changes++
	if err := b.Put([]byte(key), t.seal(bucket, key, value)); err != nil {
		return fmt.Errorf("bucket %q key %q: %w", bucket, key, err)
	}
	return nil
}

func (t *boltTx) Delete(bucket, key string) error {
	defer t.guard()
	if !t.tx.Writable() {
		return ErrReadOnly
	}
	b := t.bucket(bucket)
	if b == nil {
		return nil
	}
	t.changes++
	if err := b.Delete([]byte(key)); err != nil {
		return fmt.Errorf("bucket %q key %q: %w", bucket, key, err)
	}
	return nil
}

func (t *boltTx) Each(bucket, prefix string, f func(key string, value []byte) error) error {
	c, k, v := t.seek(bucket, prefix)
	for k != nil && bytes.HasPrefix(k, []byte(prefix)) {
		key, before := string(k), t.changes
		if err := f(key, t.unseal(bucket, k, v)); err != nil {
			return err
		}
		if t.changes != before { // writing moves the entries below a cursor
			c, k, v = t.seek(bucket, key+"\x00")
			continue
		}
		k, v = t.next(c)
	}
	return nil
}

// seek returns a cursor on the first key at or after from; an absent bucket has none.
func (t *boltTx) seek(bucket, from string) (c *bolt.Cursor, k, v []byte) {
	defer t.guard()
	b := t.bucket(bucket)
	if b == nil {
		return nil, nil, nil
	}
	c = b.Cursor()
	k, v = c.Seek([]byte(from))
	return c, k, v
}

func (t *boltTx) next(c *bolt.Cursor) (k, v []byte) {
	defer t.guard()
	return c.Next()
}

// buckets returns the names of the buckets, for checks.
func (t *boltTx) buckets() []string {
	defer t.guard()
	var names []string
	c := t.tx.Cursor()
	for k, _ := c.First(); k != nil; k, _ = c.Next() {
		names = append(names, string(k))
	}
	return names
}
