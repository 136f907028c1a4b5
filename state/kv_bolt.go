package state

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

// boltKV is a kv in a bbolt file. bbolt's pages carry no checksums and it panics on what it cannot read. So the file is
// walked before bbolt opens it, what faults later becomes a *DamageError, and with sums each value carries a CRC32C.
type boltKV struct {
	path     string
	db       *bolt.DB
	sums     bool
	mu       sync.Mutex // one update at a time; guards NoSync
	broken   atomic.Pointer[error]
	poisoned atomic.Bool // bbolt holds locks that nobody will release
}

// openBolt opens an existing file.
func openBolt(path string, sums, readOnly bool) (*boltKV, error) {
	if err := checkPages(path); err != nil {
		return nil, err
	}
	db, err := openDB(path, readOnly)
	if err != nil {
		return nil, err
	}
	k := &boltKV{path: path, db: db, sums: sums}
	if readOnly {
		return k, nil
	}
	// A process that died alone may have left its last commit written and not synced; from now on it counts.
	if err := errors.Join(k.sync(), syncDir(filepath.Dir(path))); err != nil {
		return nil, errors.Join(err, k.close())
	}
	return k, nil
}

// openDB keeps what bbolt throws from ending the process.
func openDB(path string, readOnly bool) (db *bolt.DB, err error) {
	defer recoverDamage(path, &err)
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	db, err = bolt.Open(path, 0o600, &bolt.Options{
		// The folder's lock is what keeps others out; this only catches a tool that opened the file by hand.
		Timeout:        time.Second,
		NoFreelistSync: true,
		FreelistType:   bolt.FreelistMapType,
		ReadOnly:       readOnly,
	})
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	return db, nil
}

// createBolt makes a file with its format inside and gives it its name only when it is whole and durable.
func createBolt(path string, sums bool, format string, version uint32) error {
	fresh := path + ".new"
	if err := os.Remove(fresh); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("create %s: %w", path, err)
	}
	db, err := openDB(fresh, false)
	if err != nil {
		return err
	}
	k := &boltKV{path: fresh, db: db, sums: sums}
	err = k.update(context.Background(), true, func(tx Tx) error { return putFormat(tx, format, version) }, nil, nil)
	if err = errors.Join(err, k.close()); err != nil {
		return errors.Join(fmt.Errorf("create %s: %w", path, err), os.Remove(fresh))
	}
	if err := os.Rename(fresh, path); err != nil {
		return fmt.Errorf("create %s: %w", path, err)
	}
	return syncDir(filepath.Dir(path))
}

// abort carries damage found inside a transaction out of the user's function, so that nothing is decided on it.
type abort struct{ err error }

// damageOf makes an error of what a call of bbolt panicked with: its own assertions, a fault on the mapped file, an index
// out of range. It wraps calls of bbolt only, never a user's function.
func damageOf(path string, r any) error {
	if a, ok := r.(abort); ok {
		return a.err
	}
	return &DamageError{File: path, Why: fmt.Sprintf("bbolt gave up: %v", r)}
}

// recoverDamage is deferred around a call of bbolt.
func recoverDamage(path string, err *error) {
	if r := recover(); r != nil {
		*err = damageOf(path, r)
	}
}

func (k *boltKV) usable() error {
	if e := k.broken.Load(); e != nil {
		return *e
	}
	return nil
}

func (k *boltKV) breakWith(err error) error {
	err = fmt.Errorf("%w: %w", ErrBroken, err)
	k.broken.CompareAndSwap(nil, &err)
	return err
}

func (k *boltKV) view(ctx context.Context, f func(Tx) error) (err error) {
	if err := ctx.Err(); err != nil {
		return err
	}
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	tx, err := k.begin(false)
	if err != nil {
		return err
	}
	defer k.rollback(tx, &err)
	return k.run(tx, f)
}

func (k *boltKV) update(ctx context.Context, durable bool, f func(Tx) error, before, after func() error) (err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := k.usable(); err != nil {
		return err
	}
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	tx, err := k.begin(true)
	if err != nil {
		return err
	}
	defer k.rollback(tx, &err)
	if err := k.run(tx, f); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := call(before); err != nil {
		return k.failed(err, tx.ID())
	}
	id := tx.ID()
	if err := k.commit(tx, durable); err != nil {
		return k.failed(err, id)
	}
	if err := call(after); err != nil {
		return k.breakWith(err)
	}
	return nil
}

func call(f func() error) error {
	if f == nil {
		return nil
	}
	return f()
}

func (k *boltKV) begin(write bool) (tx *bolt.Tx, err error) {
	defer recoverDamage(k.path, &err)
	tx, err = k.db.Begin(write)
	switch {
	case errors.Is(err, berrors.ErrDatabaseNotOpen):
		return nil, ErrClosed
	case errors.Is(err, berrors.ErrDatabaseReadOnly):
		return nil, ErrReadOnly
	case err != nil:
		return nil, fmt.Errorf("begin transaction in %s: %w", k.path, err)
	}
	return tx, nil
}

// run calls f; only damage found by the transaction's own methods is caught.
func (k *boltKV) run(tx *bolt.Tx, f func(Tx) error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			a, ok := r.(abort)
			if !ok {
				panic(r)
			}
			err = a.err
		}
	}()
	return f(&boltTx{tx: tx, path: k.path, sums: k.sums})
}

func (k *boltKV) commit(tx *bolt.Tx, durable bool) (err error) {
	defer recoverDamage(k.path, &err)
	k.db.NoSync = !durable
	return tx.Commit()
}

// rollback ends a transaction that was not committed. When bbolt cannot even do that its locks stay held.
func (k *boltKV) rollback(tx *bolt.Tx, err *error) {
	var failed error
	func() {
		defer recoverDamage(k.path, &failed)
		failed = tx.Rollback()
	}()
	if failed != nil && !errors.Is(failed, berrors.ErrTxClosed) {
		k.poisoned.Store(true)
		*err = errors.Join(*err, k.breakWith(failed))
	}
}

// failed sorts a failed commit. When the disk was full before the meta page was written, nothing happened and the store
// stays usable; the transaction number that a reader sees tells. Anything else is unknown.
func (k *boltKV) failed(err error, id int) error {
	if !isFull(err) {
		return k.breakWith(err)
	}
	tx, begin := k.begin(false)
	if begin != nil {
		return k.breakWith(errors.Join(err, begin))
	}
	seen := tx.ID()
	k.rollback(tx, &err)
	if seen >= id {
		return k.breakWith(err)
	}
	return fmt.Errorf("%w: %w", ErrFull, err)
}

func (k *boltKV) sync() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.usable(); err != nil {
		return err
	}
	if err := k.db.Sync(); err != nil {
		return k.breakWith(fmt.Errorf("sync %s: %w", k.path, err))
	}
	return nil
}

func (k *boltKV) close() (err error) {
	if k.poisoned.Load() {
		return k.usable()
	}
	defer recoverDamage(k.path, &err)
	return k.db.Close()
}

// boltTx is the Tx over a bbolt transaction.
type boltTx struct {
	tx      *bolt.Tx
	path    string
	sums    bool
	changes int // counts writes, so that Each knows when its cursor is stale
	name    string
	last    *bolt.Bucket // the bucket called name: looking one up costs as much as a put
}

// bucket returns the named bucket or nil. No bucket is ever removed, so the last one stays good.
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

// seal returns a copy of value, with its checksum when the file carries them.
func (t *boltTx) seal(bucket, key string, value []byte) []byte {
	if !t.sums {
		return append(make([]byte, 0, len(value)), value...)
	}
	b := append(make([]byte, 0, len(value)+sumSize), value...)
	return binary.LittleEndian.AppendUint32(b, valueSum(bucket, []byte(key), value))
}

// unseal checks a stored value and aborts the transaction when it is damaged.
func (t *boltTx) unseal(bucket string, key, stored []byte) []byte {
	if stored == nil {
		return nil
	}
	if !t.sums {
		return stored[:len(stored):len(stored)]
	}
	n := len(stored) - sumSize
	if n < 0 || binary.LittleEndian.Uint32(stored[n:]) != valueSum(bucket, key, stored[:n]) {
		panic(abort{&DamageError{File: t.path, Why: fmt.Sprintf("the checksum of %s %q does not match", bucket, key)}})
	}
	return stored[:n:n]
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
		if t.changes != before { // writing moves what a cursor stands on
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

// buckets lists the buckets, for checking.
func (t *boltTx) buckets() []string {
	defer t.guard()
	var names []string
	c := t.tx.Cursor()
	for k, _ := c.First(); k != nil; k, _ = c.Next() {
		names = append(names, string(k))
	}
	return names
}

// checkSums reads every value, so that each checksum is looked at.
func (k *boltKV) checkSums() error {
	return k.view(context.Background(), func(tx Tx) error {
		t, ok := tx.(*boltTx)
		if !ok {
			return fmt.Errorf("check %s: not a bbolt transaction", k.path)
		}
		for _, name := range t.buckets() {
			if err := t.Each(name, "", func(string, []byte) error { return nil }); err != nil {
				return err
			}
		}
		return nil
	})
}
