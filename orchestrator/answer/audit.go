package answer

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/scoping"
	"github.com/tandem-sync/tandem/state"
)

// AuditEntry is one record of the log with its place in the chain.
type AuditEntry struct {
	Seq    uint64
	Record ledger.Record
	Prev   string
	Hash   string
}

// AuditFilter narrows what Audit returns.
type AuditFilter struct {
	Object *scoping.ObjectID
	Wave   string
}

// Audit reads the log from its beginning. Records about one object are found by the list that checkpoints keep, as far back as that goes.
func (a *Desk) Audit(ctx context.Context, f AuditFilter, each func(AuditEntry) error) error {
	pass := func(e state.LogEntry) error {
		r, err := ledger.Decode(e.Record)
		if err != nil {
			return fmt.Errorf("record %d: %w", e.Seq, err)
		}
		if f.Object != nil && (r.Object == nil || *r.Object != *f.Object) {
			return nil
		}
		if f.Wave != "" && r.Wave != f.Wave {
			return nil
		}
		return each(AuditEntry{Seq: e.Seq, Record: r, Prev: hex.EncodeToString(e.Prev[:]), Hash: hex.EncodeToString(e.Hash[:])})
	}
	seqs, since, listed := a.listed(ctx, f.Object)
	if !listed {
		return a.o.Store.Log.ReadChained(ctx, 0, pass)
	}
	if since > 1 {
		err := a.o.Store.Log.ReadChained(ctx, 0, func(e state.LogEntry) error {
			if e.Seq >= since {
				return errListed
			}
			return pass(e)
		})
		if err != nil && !errors.Is(err, errListed) {
			return err
		}
	}
	return a.o.Store.Log.Pick(ctx, seqs, pass)
}

// errListed ends the reading of records that are older than the list.
var errListed = errors.New("listed from here on")

// listed returns the numbers of the records about an object, complete from since on; false if there is no such list.
func (a *Desk) listed(ctx context.Context, o *scoping.ObjectID) (seqs []uint64, since uint64, listed bool) {
	if o == nil || a.o.Shelf == nil {
		return nil, 0, false
	}
	a.o.Gate.Read(func(s *ledger.State) {
		var err error
		seqs, since, err = s.Records(a.o.Shelf(ctx), *o)
		listed = err == nil
	})
	first, _ := a.o.Store.Beginning() // older ones were pruned
	seqs = slices.DeleteFunc(seqs, func(n uint64) bool { return n < first })
	return seqs, since, listed
}

// CheckState reads control and log beside other work, and returns what is wrong with them.
func (a *Desk) CheckState(ctx context.Context) []state.Problem { return a.o.Store.Check(ctx) }

// VerifyLog reads the whole log, checks its chain and that every record can be decoded, and returns the number of its first record, and its head.
func (a *Desk) VerifyLog(ctx context.Context) (first, last uint64, head string, err error) {
	if err := a.o.Store.Log.Verify(ctx); err != nil {
		return 0, 0, "", err
	}
	if err := a.Audit(ctx, AuditFilter{}, func(AuditEntry) error { return nil }); err != nil {
		return 0, 0, "", err
	}
	seq, hash := a.o.Store.Log.Head()
	first, _ = a.o.Store.Beginning()
	return first, seq, hex.EncodeToString(hash[:]), nil
}
