package api

import (
	"context"
	"errors"

	"github.com/tandem-sync/tandem/orchestrator"
	"github.com/tandem-sync/tandem/orchestrator/answer"
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/scoping"
	"github.com/tandem-sync/tandem/state"
)

// AuditRequest narrows the journal.
type AuditRequest struct {
	Object string `json:"object,omitempty"`
	Wave   string `json:"wave,omitempty"`
}

// Record is one record of the journal. Outcome is a decision's own; "intent" for a write about to be sent, "sent" for the answer to an attempt, and
// the act itself for everything else.
type Record struct {
	Seq      uint64            `json:"seq"`
	At       string            `json:"at"`
	Type     ledger.Type       `json:"type"`
	Engine   *string           `json:"engine"`
	Wave     *string           `json:"wave"`
	Object   *scoping.ObjectID `json:"object"`
	Name     *string           `json:"name"`
	Feature  *string           `json:"feature"`
	Op       string            `json:"op"`
	Outcome  string            `json:"outcome"`
	Code     *string           `json:"code"`
	Reason   *string           `json:"reason"`
	By       *string           `json:"by"`
	Before   cloud.Values      `json:"before"`
	After    cloud.Values      `json:"after"`
	Phase    *string           `json:"phase,omitempty"`
	Revision uint64            `json:"revision"`
	Epoch    scoping.Epoch     `json:"epoch"`
	Prev     string            `json:"prev"`
	Hash     string            `json:"hash"`
}

func recordOf(e answer.AuditEntry) Record {
	r := e.Record
	out := Record{Seq: e.Seq, At: stamp(r.At), Type: r.Type, Engine: text(r.Engine), Wave: text(r.Wave), Object: r.Object, Name: text(r.Name),
		Feature: text(string(r.Feature)), Op: r.Op, Outcome: string(r.Outcome), Code: text(r.Code), Reason: text(r.Reason), By: text(r.By),
		Before: r.Before, After: r.After, Phase: text(r.Phase), Revision: r.Revision, Epoch: r.Epoch, Prev: e.Prev, Hash: e.Hash}
	if out.Op == "" {
		out.Op = string(r.Type)
	}
	switch r.Type {
	case ledger.DecisionType:
	case ledger.IntentType:
		out.Outcome = "intent"
		if r.Intent != nil && out.After == nil {
			out.After = r.Intent.Write.Set
		}
	case ledger.SettleType:
		out.Outcome = "sent"
	case ledger.DeliveryType:
		if r.Delivery != nil && r.Delivery.Step == ledger.Permitted {
			out.Outcome = "intent"
		}
	default:
		out.Outcome = out.Op
	}
	return out
}

func text(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func auditList(ctx context.Context, c *call, q AuditRequest) (any, Outcome, error) {
	f := answer.AuditFilter{Wave: q.Wave}
	if q.Wave != "" {
		if _, err := c.h.o.Host().Wave(ctx, q.Wave); err != nil {
			return nil, Outcome{}, err
		}
	}
	if q.Object != "" {
		id, err := c.h.o.Host().Find(ctx, q.Object)
		if err != nil {
			return nil, Outcome{}, err
		}
		f.Object = &id
	}
	err := c.h.o.Host().Audit(ctx, f, func(e answer.AuditEntry) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		return c.item(recordOf(e))
	})
	return nil, Outcome{}, err
}

// VerifyRequest names an archive to be checked as well, as the holder of the state sees it: an absolute path.
type VerifyRequest struct {
	Archive string `json:"archive,omitempty"`
}

// Verified is the result of a check of the journal.
type Verified struct {
	OK      bool           `json:"ok"`
	First   uint64         `json:"first"`   // the first record that was not pruned
	Records uint64         `json:"records"` // the number of the last record
	Head    string         `json:"head"`    // the last record's hash, to be kept elsewhere
	Archive *ArchiveStatus `json:"archive,omitempty"`
	Problem string         `json:"problem,omitempty"`
}

func auditVerify(ctx context.Context, c *call, q VerifyRequest) (any, Outcome, error) {
	first, last, head, err := c.h.o.Host().VerifyLog(ctx)
	if ctx.Err() != nil {
		return nil, Outcome{}, ctx.Err()
	}
	if err != nil {
		v, o := damagedJournal(err)
		return v, o, nil
	}
	out := Verified{OK: true, First: first, Records: last, Head: head}
	if q.Archive == "" {
		return out, Outcome{}, nil
	}
	if err := absolute(q.Archive); err != nil {
		return nil, Outcome{}, err
	}
	h, err := c.h.o.VerifyArchive(ctx, q.Archive)
	if orchestrator.ArchiveProblem(err) {
		out.OK, out.Problem = false, err.Error()
		return out, Outcome{Exit: ExitDifferences, Message: err.Error(), Hint: archiveHint}, nil
	}
	if err != nil {
		return nil, Outcome{}, err
	}
	s := archiveOf(q.Archive, h)
	out.Archive = &s
	return out, Outcome{}, nil
}

func damagedJournal(err error) (Verified, Outcome) {
	return Verified{Problem: err.Error()}, Outcome{Exit: ExitDifferences, Message: err.Error(), Hint: "tandem state check"}
}

// DamagedJournal reports whether the state could not be opened because it is damaged, and returns the result of a check of the journal for it.
func DamagedJournal(err error) (v Verified, o Outcome, damaged bool) {
	if !errors.Is(err, state.ErrDamaged) {
		return v, o, false
	}
	v, o = damagedJournal(err)
	return v, o, true
}
