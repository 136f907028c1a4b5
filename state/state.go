// Package state keeps bytes durable and knows nothing of their meaning.
//
// It has three kinds and never mixes them: control is small and precious (every commit is atomic and synced), the log is big and precious
// (append-only, checksummed, hash-chained, synced per batch), index files are large and may be thrown away at any time. A state folder has one holder
// at a time, guarded by a file lock: Open, use, Close.
//
// It promises: what an Update or an Append acknowledged survives a crash of the process and of the machine; damage is reported and never repaired by
// guessing; an unknown format is refused and left as it is. It does not promise to reveal forgeries: the hash chain has no key, so a person who can
// write the files can write a consistent chain. Heads can be exported for that.
package state

import (
	"context"
	"math"
	"time"
)

// Tx is one transaction over buckets of keys. It is valid until the function it was given to returns and is not for
// concurrent use. Keys are between 1 and MaxKey bytes; values may be empty. Bucket names are not empty; those beginning
// with "state/" belong to this package and are refused to writers.
type Tx interface {
	// Get returns the value of key, or nil when bucket or key is absent. An empty value is not nil. The bytes are valid
	// until the transaction ends and must not be changed: copy what is kept.
	Get(bucket, key string) []byte
	// Put stores a copy of value. The bucket comes into being with its first Put. ErrReadOnly in a View.
	Put(bucket, key string, value []byte) error
	// Delete removes key; removing what is absent is no error. ErrReadOnly in a View.
	Delete(bucket, key string) error
	// Each calls f for every key that begins with prefix, in byte order, and stops at the first error, which it returns.
	// f may Put and Delete in the same bucket: keys after the current one are then seen as they are at that moment.
	Each(bucket, prefix string, f func(key string, value []byte) error) error
}

// MaxKey is the longest key in bytes.
const MaxKey = 32768

// Control is the small and precious store. It is safe for concurrent use: one Update at a time, Views beside it, each
// seeing one committed state. An Update must not be called from inside a View or another Update of the same goroutine.
type Control interface {
	// View reads one committed state.
	View(context.Context, func(Tx) error) error
	// Update runs f and commits what it wrote, atomically and durably, before it returns; nothing is written when f fails. f may be called again, so
	// it must have no effect but through Tx. Kinds of error: ErrTenureLost, ErrFull (nothing was written), ErrBroken (a commit failed and it is
	// unknown whether it took place), ErrReadOnly.
	Update(context.Context, func(Tx) error) error
	// Tenure returns the holder of this control store and for how long that is certain.
	Tenure() Tenure
	// Close closes the store, after waiting for open Views.
	Close() error
}

// Log is the big and precious store: records in one hash chain, numbered from 1 without gaps. It is safe for concurrent
// use.
type Log interface {
	// Append writes the batch and syncs it once; it returns the number of the batch's last record. A batch is atomic: after
	// a crash all of it is there or nothing. Concurrent calls may share one sync. Kinds of error: ErrFull (nothing was
	// written; the log stays usable and WithReserve may still append), ErrBroken for everything else: it is then unknown
	// whether the batch is durable and only Close works. An empty batch returns the head.
	Append(ctx context.Context, batch [][]byte) (last uint64, err error)
	// Read calls f for each durable record from number from (0 is 1) up to the head at the time of the call, in order. The
	// record is valid until f returns. An error of f is returned as it is; damage is a *DamageError.
	Read(ctx context.Context, from uint64, f func(seq uint64, record []byte) error) error
	// ReadChained is Read with the chain's values, each hash checked against the record before f sees it.
	ReadChained(ctx context.Context, from uint64, f func(e LogEntry) error) error
	// Pick is ReadChained for the records with these numbers, in rising order; records between them are not checked.
	Pick(ctx context.Context, seqs []uint64, f func(e LogEntry) error) error
	// Head returns the last durable record's number and hash; 0 and zeros for an empty log.
	Head() (seq uint64, hash [32]byte)
	// CheckHead compares a stored head with the log: a *DamageError if the log is shorter or has another hash there. A head that lags is fine.
	CheckHead(ctx context.Context, seq uint64, hash [32]byte) error
	// Verify reads everything and checks every checksum and hash.
	Verify(ctx context.Context) error
	// Close closes the log.
	Close() error
}

// LogEntry is a record with its place in the chain: Hash = ChainHash(Prev, Seq, Owed, Record).
type LogEntry struct {
	Seq     uint64
	Record  []byte // valid until the function it is given to returns
	Prev    [32]byte
	Hash    [32]byte
	Pending uint64 // the number under which control had this record pending (see AppendLater); 0 for an ordinary record
}

// Holder is the process that holds a state folder.
type Holder struct {
	PID     int       `json:"pid"`
	Command string    `json:"command"`
	Since   time.Time `json:"since"`
}

// Tenure is the right to write, held by one process. The zero Tenure is not held.
type Tenure struct {
	Holder    Holder
	remaining func() time.Duration
}

// Unlimited is returned by Remaining for a tenure that ends only with its holder, as a file lock's does.
const Unlimited = time.Duration(math.MaxInt64)

// Remaining returns how long the tenure is certain to last: Unlimited for a file lock that is held, 0 once lost.
func (t Tenure) Remaining() time.Duration {
	if t.remaining == nil {
		return 0
	}
	return t.remaining()
}

// Hook is called at each failpoint with its name. An error that it returns counts as the failure of that step, so that a test can stop the store
// there. It may be called from several goroutines.
type Hook func(point string) error
