package provisioning

import (
	"context"

	"github.com/tandem-sync/tandem/orchestrator/gate"
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// living reports whether the census sees an object that is not deleted.
func (r *run) living(o scoping.ObjectID) bool {
	s := r.o.Census.Brief(o)
	return s.Known && !s.Deleted
}

// cameBack reports whether an object that was deleted in the directory exists there now: by a write of Tandem, or by others when its person left.
func cameBack(s *subject, f scoping.Feature, sight gate.Sight) bool {
	if s.row == nil || !sight.Known || sight.Deleted {
		return false
	}
	was, ok := agreedOf(s.row, f)
	return s.row.State == ledger.DeletedByTandem || ok && was.Deleted && s.why != Taken && s.row.State == ledger.ParkedRow
}

// park makes a claim one about the account of a leaver. It keeps the place where the account was brought, which says which assignment disables it when it
// comes back, wherever it is by then. [An account was moved outside the container and deleted, its person left, and it was undeleted where it lay last: it
// was no assignment's, and stayed enabled.]
func park(c *ledger.Claim, row *ledger.Row, f scoping.Feature) {
	c.State, c.Owner = ledger.ParkedRow, scoping.None
	if last := row.Features[f]; last != nil {
		c.Place, c.Chain = last.Place, last.Chain
	}
}

// undeleted returns the record that an object which a write of Tandem deleted exists again: it is the account of its source, or a leaver's that was
// not disabled or deleted yet. [An account was undeleted by hand, and no write to it could be made since its name was another's by then: it counted as
// deleted, was neither disabled when its user left again nor asked about, and stayed enabled.]
func (r *run) undeleted(f scoping.Feature, s *subject, c Case) []ledger.Record {
	if r.shadow || s.row == nil || s.row.State != ledger.DeletedByTandem || c.Found == nil || c.Found.Deleted {
		return nil
	}
	o := s.row.Object
	out := ledger.Record{Type: ledger.DecisionType, Engine: r.engine, Object: &o, Kind: c.Kind, Name: s.row.Name, Feature: f, Outcome: engine.Deferred, Code: string(CodeUndeleted),
		Reason: "it was undeleted in the directory", Quietly: true, Claim: &ledger.Claim{State: ledger.Live}, Epoch: r.o.Gate.Authority().Epoch}
	if s.why != Taken {
		was, _ := agreedOf(s.row, f)
		was.Deleted = true
		sight := r.sight(s.row, f)
		out.Outcome = engine.Unchanged
		out.Claim = &ledger.Claim{Hash: was.text(), Place: sight.Parent, Chain: sight.Chain, Version: s.reading}
		park(out.Claim, s.row, f)
		if l := s.row.Features[f]; l != nil {
			out.Claim.Attrs = l.Attrs
		}
	}
	return []ledger.Record{out}
}

// takeBack records that accounts of leavers are brought again, before anything is written and whatever stands in the way of that. Until then they count
// as seen off, and are not looked at when their persons leave. [A person came back, and the container for the account was missing; meanwhile an
// administrator enabled the account. The person left again, and it stayed enabled.]
func (r *run) takeBack(ctx context.Context, f scoping.Feature, owed []decided) error {
	if r.shadow {
		return nil
	}
	var rs []ledger.Record
	for _, x := range owed {
		row := x.s.row
		if row == nil || x.v.Settles || x.c.Why != Taken || x.c.Mapping.Want != engine.Present || x.c.Found == nil || x.c.Found.Deleted {
			continue
		}
		last := row.Features[f]
		if last == nil || row.State == ledger.Live && last.Engine != scoping.None {
			continue
		}
		o := row.Object // the claim is of no reading: the account is owed until it is agreed
		rs = append(rs, ledger.Record{Type: ledger.DecisionType, Engine: r.engine, Object: &o, Kind: x.c.Kind, Name: row.Name, Feature: f, Outcome: engine.Unchanged, Reason: "an assignment takes it again",
			Claim: &ledger.Claim{Hash: last.Hash, Attrs: last.Attrs, Place: last.Place, Chain: last.Chain, State: ledger.Live, Owner: r.engine}, Epoch: r.o.Gate.Authority().Epoch})
	}
	return r.o.Gate.Record(ctx, rs...)
}
