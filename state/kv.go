package state

import (
	"context"
	"fmt"
	"strings"
)

// kv is the storage below control and index files: a bbolt file, or memory.
type kv interface {
	view(ctx context.Context, f func(Tx) error) error
	// update commits durably, or only as far as the operating system if durable is false. before and after are called around the commit; their errors
	// count as the commit's.
	update(ctx context.Context, durable bool, f func(Tx) error, before, after func() error) error
	sync() error
	close() error
}

// reservedPrefix begins the names of the buckets that belong to this package.
const reservedPrefix = "state/"

const (
	formatBucket = reservedPrefix + "format"
	formatKey    = "format"
	versionKey   = "version"
)

// guarded is the Tx passed to users: it refuses this package's buckets.
type guarded struct{ Tx }

func (g guarded) Put(bucket, key string, value []byte) error {
	if err := checkBucket(bucket); err != nil {
		return err
	}
	return g.Tx.Put(bucket, key, value)
}

func (g guarded) Delete(bucket, key string) error {
	if err := checkBucket(bucket); err != nil {
		return err
	}
	return g.Tx.Delete(bucket, key)
}

func checkBucket(bucket string) error {
	if strings.HasPrefix(bucket, reservedPrefix) {
		return fmt.Errorf("bucket %q belongs to the state itself", bucket)
	}
	return nil
}

// inner returns the transaction below the guard.
func inner(tx Tx) Tx {
	if g, ok := tx.(guarded); ok {
		return g.Tx
	}
	return tx
}

// checkName returns an error for names that not every backend can store.
func checkName(bucket, key string) error {
	switch {
	case bucket == "":
		return fmt.Errorf("bucket without a name")
	case key == "":
		return fmt.Errorf("bucket %q: key is empty", bucket)
	case len(key) > MaxKey:
		return fmt.Errorf("bucket %q: key of %d bytes is longer than %d", bucket, len(key), MaxKey)
	}
	return nil
}

// putFormat stores the name and version of a file's format.
func putFormat(tx Tx, format string, version uint32) error {
	if err := tx.Put(formatBucket, formatKey, []byte(format)); err != nil {
		return err
	}
	return tx.Put(formatBucket, versionKey, encodeUint(uint64(version)))
}

// checkFormat compares a file's format with the expected one.
func checkFormat(tx Tx, file, format string, version uint32) error {
	found := tx.Get(formatBucket, formatKey)
	if found == nil {
		return &DamageError{File: file, Why: "it does not say which format it has"}
	}
	if string(found) != format {
		return &DamageError{File: file, Why: fmt.Sprintf("it holds %q, not %q", found, format)}
	}
	v, ok := decodeUint(tx.Get(formatBucket, versionKey))
	if !ok {
		return &DamageError{File: file, Why: "its format version is unreadable"}
	}
	if v != uint64(version) {
		return &VersionError{File: file, Found: uint32(v), Known: version}
	}
	return nil
}
