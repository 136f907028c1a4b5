package api

import (
	"cmp"
	"context"
	"slices"

	"github.com/tandem-sync/tandem/orchestrator/answer"
	"github.com/tandem-sync/tandem/orchestrator/gate"
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/objects"
	"github.com/tandem-sync/tandem/orchestrator/run"
	"github.com/tandem-sync/tandem/scoping"
)

// Debt is one feature of an object that is not settled, and the engine that will be asked for it again.
type Debt struct {
	Object  scoping.ObjectID `json:"object"`
	Name    string           `json:"name"`
	Feature scoping.Feature  `json:"feature"`
	Owner   string           `json:"owner"`
	Code    string           `json:"code"`
	Reason  string           `json:"reason"`
	Since   string           `json:"since,omitempty"` // of the last answer, if that left it unsettled; empty: it was found by comparison
	Tries   int              `json:"tries"`
	Message string           `json:"message,omitempty"` // the reason as a sentence; of what the tenant refused, its answer
	// Of what the tenant refused: the number of attempts with that answer, the last one, and the next one that is made by itself; empty: with the
	// next run.
	Attempts int    `json:"attempts,omitempty"`
	Last     string `json:"last,omitempty"`
	Next     string `json:"next,omitempty"`

	Attribute string    `json:"attribute,omitempty"` // the first that was refused
	Other     string    `json:"other,omitempty"`     // the other object that it is about, by name: the one that has the value, or the other end of the reference
	Refusals  []Refusal `json:"refusals,omitempty"`  // everything that was refused, part by part
	Missing   int       `json:"missingEnds,omitempty"`
	Cause     *Cause    `json:"cause,omitempty"` // the error that it only follows from, which precedes it in the list
}

// Refusal is one part of an object that the tenant refused.
type Refusal struct {
	Attribute string `json:"attribute,omitempty"` // absent: the whole write
	Other     string `json:"other,omitempty"`
	Code      string `json:"code"`
	Reason    string `json:"reason"`
}

// Cause names the error that another one follows from.
type Cause struct {
	Object  scoping.ObjectID `json:"object"`
	Name    string           `json:"name"`
	Feature scoping.Feature  `json:"feature"`
}

func debtOf(d answer.Debt) Debt {
	out := Debt{Object: d.Key.Object, Name: d.Name, Feature: d.Key.Feature, Owner: d.Owner, Code: d.Code, Reason: d.Reason, Tries: d.Tries}
	if d.Since > 0 {
		out.Since = stamp(d.Since)
	}
	if t := d.Trouble; t != nil {
		out.Message, out.Attempts, out.Last = gate.Describe(t.Parts), t.Count, stamp(t.Last)
		if t.Next > 0 {
			out.Next = stamp(t.Next)
		}
	}
	if out.Message == "" {
		out.Message = cmp.Or(gate.Code(d.Reason).Sentence(), d.Owed.Code.Sentence())
	}
	return out
}

// Finding is a fact about an object that people should know although nothing failed: references that are left out and why, a group that stays linked
// although it is left out, values that the tenant does not keep.
type Finding struct {
	Object   scoping.ObjectID `json:"object"`
	Name     string           `json:"name"`
	Feature  scoping.Feature  `json:"feature"`
	Code     string           `json:"code"`
	Message  string           `json:"message"`
	Count    int              `json:"count,omitempty"`
	Examples []string         `json:"examples,omitempty"`
}

func findingsOf(fs []objects.Finding) []Finding {
	out := []Finding{}
	for _, f := range fs {
		out = append(out, Finding{Object: f.Key.Object, Name: f.Name, Feature: f.Key.Feature, Code: string(f.Code), Message: f.Message, Count: f.Count, Examples: f.Examples})
	}
	return out
}

// Debts is a list of debts.
type Debts struct {
	Errors   []Debt    `json:"errors"`
	Findings []Finding `json:"findings"`
}

func errorsList(_ context.Context, c *call, _ None) (any, Outcome, error) {
	host := c.h.o.Host()
	out := Debts{Errors: causesFirst(host.Failures()), Findings: findingsOf(host.Findings(nil))}
	for _, d := range host.Doubtful(nil) {
		out.Errors = append(out.Errors, doubtOf(d))
	}
	return out, Outcome{}, nil
}

// causesFirst orders failures so that one that follows from another comes after it.
func causesFirst(fs []answer.Failure) []Debt {
	out := make([]Debt, 0, len(fs))
	names := map[ledger.Key]string{}
	follow := map[ledger.Key][]answer.Failure{}
	for _, f := range fs {
		names[f.Key] = f.Name
		if f.Cause != nil {
			follow[*f.Cause] = append(follow[*f.Cause], f)
		}
	}
	for _, f := range fs {
		if f.Cause != nil {
			continue
		}
		out = append(out, failureOf(f))
		for _, x := range follow[f.Key] {
			d := failureOf(x)
			d.Cause = &Cause{f.Key.Object, names[f.Key], f.Key.Feature}
			out = append(out, d)
		}
	}
	return out
}

// failureOf returns a debt with its details.
func failureOf(f answer.Failure) Debt {
	out := debtOf(f.Debt)
	for _, r := range f.Refusals {
		out.Refusals = append(out.Refusals, Refusal(r))
		out.Attribute, out.Other = cmp.Or(out.Attribute, r.Attribute), cmp.Or(out.Other, r.Other)
	}
	if out.Missing = f.EndCount; out.Other == "" && f.EndCount > 0 {
		out.Other = objects.Few(f.Ends, f.EndCount)
	}
	return out
}

// RefRequest names an object, or all if it is empty.
type RefRequest struct {
	Ref string `json:"ref,omitempty"`
}

// Retries are the runs that tried again.
type Retries struct {
	Runs []Sync `json:"runs"`
}

func errorsRetry(ctx context.Context, c *call, q RefRequest) (any, Outcome, error) {
	h := c.h.o.Host()
	var only *scoping.ObjectID
	if q.Ref != "" {
		id, err := h.Find(ctx, q.Ref)
		if err != nil {
			return nil, Outcome{}, err
		}
		only = &id
	}
	by := map[string][]scoping.ObjectID{}
	for _, d := range h.Debts() {
		if (only == nil || *only == d.Key.Object) && d.Owner != scoping.None && d.Owner != "" {
			by[d.Owner] = append(by[d.Owner], d.Key.Object)
		}
	}
	for _, f := range h.Findings(only) {
		if f.Code == gate.CodeNotKept && f.Owner != scoping.None && f.Owner != "" {
			by[f.Owner] = append(by[f.Owner], f.Key.Object)
		}
	}
	out := Retries{Runs: []Sync{}}
	var runs []run.Report
	for _, n := range c.h.o.Engines() {
		slices.SortFunc(by[n], scoping.ObjectID.Compare)
		ids := slices.Compact(by[n])
		brought := slices.ContainsFunc(ids, scoping.ObjectID.IsCloud)
		if ids = slices.DeleteFunc(ids, scoping.ObjectID.IsCloud); brought {
			r, err := h.Provision(ctx, n, run.SyncOptions{By: c.by})
			if err != nil {
				return nil, Outcome{}, err
			}
			runs, out.Runs = append(runs, r), append(out.Runs, c.ran(r))
		}
		if len(ids) > 0 {
			r, err := h.Settle(ctx, n, ids)
			if err != nil {
				return nil, Outcome{}, err
			}
			runs, out.Runs = append(runs, r), append(out.Runs, c.ran(r))
		}
	}
	return out, syncOutcome(runs...), nil
}
