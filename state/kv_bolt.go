package state

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

// boltKV is a kv in a bbolt file. bbolt's pages carry no checksums and it panics on what it cannot read. So the file is walked before bbolt opens it,
// later faults become a *DamageError, and each value carries a CRC32C.
type boltKV struct {
	path     string
	db       *bolt.DB
	mu       sync.Mutex // serializes updates; guards NoSync
	broken   atomic.Pointer[error]
	poisoned atomic.Bool // bbolt has locks that will never be released
}

// openBolt opens an existing file. An index opened for display is not walked, so that opening it costs the same however large it is: its owner walks
// it before anything is decided by it, and damage that a reader meets becomes a *DamageError then.
func openBolt(path string, walk, readOnly bool) (*boltKV, error) {
	if walk {
		if err := checkPages(path); err != nil {
			return nil, err
		}
	}
	db, err := openDB(path, readOnly)
	if err != nil {
		return nil, err
	}
	k := &boltKV{path: path, db: db}
	if readOnly {
		return k, nil
	}
	// After a crash of the process alone its last commit may be written and not synced; from now on it counts.
	if err := errors.Join(k.sync(), syncDir(filepath.Dir(path))); err != nil {
		return nil, errors.Join(err, k.close())
	}
	return k, nil
}

// openDB turns panics of bbolt into errors.
func openDB(path string, readOnly bool) (db *bolt.DB, err error) {
	defer recoverDamage(path, &err)
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	db, err = bolt.Open(path, 0o600, &bolt.Options{
		// The folder's lock keeps other processes out; this only catches a tool that opened the file by hand.
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

// createBolt makes a file with its format inside, and gives it its name only when it is complete and durable.
func createBolt(path string, format string, version uint32) error {
	fresh := path + ".new"
	if err := os.Remove(fresh); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("create %s: %w", path, err)
	}
	db, err := openDB(fresh, false)
	if err != nil {
		return err
	}
	k := &boltKV{path: fresh, db: db}
	err = k.update(context.Background(), true, func(tx Tx) error { return putFormat(tx, format, version) }, nil, nil)
	if err = errors.Join(err, k.close()); err != nil {
		return errors.Join(fmt.Errorf("create %s: %w", path, err), os.Remove(fresh))
	}
	if err := os.Rename(fresh, path); err != nil {
		return fmt.Errorf("create %s: %w", path, err)
	}
	return syncDir(filepath.Dir(path))
}

// abort carries damage found inside a transaction past the user's function, so that nothing is decided by it.
type abort struct{ err error }

// damageOf makes an error of what a call of bbolt panicked with: its own assertions, a fault on the mapped file, an index out of range. Only calls of
// bbolt are covered, never a user's function.
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
	err = brokenBy(err)
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

// run calls f and catches only damage found by the transaction's own methods.
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
	return f(&boltTx{tx: tx, path: k.path})
}

func (k *boltKV) commit(tx *bolt.Tx, durable bool) (err error) {
	defer recoverDamage(k.path, &err)
	k.db.NoSync = !durable
	return tx.Commit()
}

// rollback ends a transaction that was not committed. If bbolt cannot do even that, its locks stay taken.
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

// failed sorts a failed commit. If the disk was full before the meta page was written, nothing happened and the store stays usable, which the
// transaction number tells. After anything else the content is unknown.
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

// sealed returns an error for an index file of an earlier version of this package, whose values have no checksums.
func (k *boltKV) sealed() error {
	return k.view(context.Background(), func(tx Tx) error {
		t, ok := tx.(*boltTx)
		if !ok {
			return fmt.Errorf("check %s: not a bbolt transaction", k.path)
		}
		if t.unsealed(formatBucket, versionKey, len(encodeUint(0))) {
			return fmt.Errorf("%s: %w: an earlier version of tandem wrote it, without checksums", k.path, ErrVersion)
		}
		return nil
	})
}

// checkSums reads every value, so that each checksum is checked.
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
