package answer

import (
	"strings"

	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/standing"
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// Failure is a debt that people are told about, with its details and its cause.
type Failure struct {
	Debt
	Refusals []Refusal   // what the tenant refused, part by part
	Ends     []string    // of references: the first ends that are not in the tenant, by name
	EndCount int         // the number of all of them
	Cause    *ledger.Key // the failure that it only follows from, or nil
}

// Refusal is one part of an object that the tenant refused.
type Refusal struct {
	Attribute string // empty: the whole write
	Other     string // the object that has the value, or the other end of the reference, by name; or empty
	Code      string
	Reason    string // the tenant's text
}

// mostNamedEnds is the most missing ends of one object's references that a failure names.
const mostNamedEnds = 3

// Failures returns the debts that are failures, with their causes. Keys that were only judged for a wave, or that the next run asks for, are not.
func (a *Desk) Failures() []Failure {
	var out []Failure
	at := map[ledger.Key]bool{}
	for _, d := range a.Debts() {
		if d.Code != string(engine.Shadowed) && d.Owed.Code != standing.Unasked {
			at[d.Key] = true
			out = append(out, Failure{Debt: d})
		}
	}
	for i := range out {
		a.explainFailure(&out[i], at)
	}
	return out
}

// explainFailures fills in the details of one object's failures; missing are the ends of its references that are not in the tenant.
func (a *Desk) explainFailures(fs []Failure, missing []Missing) {
	failed := map[ledger.Key]bool{}
	for _, f := range fs {
		failed[f.Key] = true
	}
	for _, m := range missing {
		for k := range a.o.Gate.DebtsOf(m.Object) {
			failed[k] = true
		}
	}
	for i := range fs {
		a.explainFailure(&fs[i], failed)
	}
}

// explainFailure fills in the details of a failure. A failure of references, extensions or password follows from one of the object itself, and one of
// references from one of the objects at their other ends, which are therefore not in the tenant.
func (a *Desk) explainFailure(f *Failure, failed map[ledger.Key]bool) {
	kind := a.o.Census.Brief(f.Key.Object).Kind
	if f.Trouble != nil {
		for _, p := range f.Trouble.Parts {
			f.Refusals = append(f.Refusals, a.refusal(f.Key, kind, p))
		}
	}
	base := ledger.Key{Object: f.Key.Object, Feature: scoping.Base(kind)}
	if f.Key != base && failed[base] {
		f.Cause = &base
		return
	}
	if f.Key.Feature != scoping.References {
		return
	}
	ends := a.o.Gate.MissingEnds(f.Owner, f.Key.Object)
	f.EndCount = len(ends)
	for i, id := range ends {
		if i < mostNamedEnds {
			f.Ends = append(f.Ends, a.o.View.Name(id))
		}
		end := ledger.Key{Object: id, Feature: scoping.Base(a.o.Census.Brief(id).Kind)}
		if f.Cause == nil && failed[end] {
			f.Cause = &end
		}
		if f.Cause != nil && i >= mostNamedEnds {
			return
		}
	}
}

// refusal returns the attribute of a refused part, and the other object that it is about.
func (a *Desk) refusal(k ledger.Key, kind scoping.Kind, p ledger.Part) Refusal {
	out := Refusal{Attribute: p.What, Code: p.Code, Reason: p.Reason}
	if k.Feature == scoping.References && p.What != "" {
		out.Attribute, out.Other = cloud.Manager, a.o.View.CloudName(strings.TrimPrefix(p.What, "-"))
		if kind == scoping.Group {
			out.Attribute = cloud.Members
		}
	}
	if p.Holder != "" {
		out.Other = a.o.View.CloudName(p.Holder)
	}
	return out
}
