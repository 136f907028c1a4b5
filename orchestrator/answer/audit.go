package answer

import (
	"context"
	"encoding/hex"
	"fmt"

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

// AuditFilter narrows what Audit gives.
type AuditFilter struct {
	Object *scoping.ObjectID
	Wave   string
}

// Audit reads the log from its beginning.
func (a *Desk) Audit(ctx context.Context, f AuditFilter, each func(AuditEntry) error) error {
	return a.o.Store.Log.ReadChained(ctx, 0, func(e state.LogEntry) error {
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
	})
}

// CheckState reads control and log beside all other work, and returns what is wrong with them.
func (a *Desk) CheckState(ctx context.Context) []state.Problem { return a.o.Store.Check(ctx) }

// VerifyLog reads the whole log, checks its chain and that every record is understood, and gives the head.
func (a *Desk) VerifyLog(ctx context.Context) (records uint64, head string, err error) {
	if err := a.o.Store.Log.Verify(ctx); err != nil {
		return 0, "", err
	}
	if err := a.Audit(ctx, AuditFilter{}, func(AuditEntry) error { return nil }); err != nil {
		return 0, "", err
	}
	seq, hash := a.o.Store.Log.Head()
	return seq, hex.EncodeToString(hash[:]), nil
}
