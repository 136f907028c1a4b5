package api

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/tandem-sync/tandem/orchestrator/answer"
	"github.com/tandem-sync/tandem/orchestrator/gate"
	"github.com/tandem-sync/tandem/orchestrator/objects"
	"github.com/tandem-sync/tandem/orchestrator/plan"
	"github.com/tandem-sync/tandem/orchestrator/run"
	"github.com/tandem-sync/tandem/orchestrator/standing"
	"github.com/tandem-sync/tandem/orchestrator/wave"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// SyncRequest asks for one run of an engine.
type SyncRequest struct {
	Engine  string `json:"engine"`
	Profile string `json:"profile,omitempty"` // delta (default) or full
	Under   string `json:"under,omitempty"`
}

// Sync is the result of one run. At is its end, RFC 3339.
type Sync struct {
	run.Report
	At          string       `json:"at"`
	Would       *wave.Counts `json:"wouldWrite,omitempty"`  // counts of the next
	Differences []Difference `json:"differences,omitempty"` // what would be written, where ReadOnly says why nothing is
}

func syncOf(r run.Report) Sync { return Sync{Report: r, At: stamp(r.At)} }

// ran is the result of a run that just ended, with what it would have written where it may not.
func (c *call) ran(r run.Report) Sync {
	s := syncOf(r)
	if r.ReadOnly != "" {
		s.Would, s.Differences = ptr(plan.Count(r.Judgements)), c.differencesOf(r.Judgements)
	}
	return s
}

func sync_(ctx context.Context, c *call, q SyncRequest) (any, Outcome, error) {
	if q.Profile != "" && q.Profile != engine.ProfileDelta && q.Profile != engine.ProfileFull {
		return nil, Outcome{}, Usage("--profile %q is neither delta nor full", q.Profile)
	}
	r, err := c.h.o.Host().SyncAll(ctx, q.Engine, run.SyncOptions{Profile: q.Profile, Under: q.Under, By: c.by})
	if err != nil {
		return nil, Outcome{}, err
	}
	return c.ran(r), syncOutcome(r), nil
}

// syncOutcome: objects that failed outweigh what is held.
func syncOutcome(rs ...run.Report) Outcome {
	var held []string
	n, failed, stopped := 0, 0, ""
	complete := true
	for _, r := range rs {
		n, failed, held = n+r.Held, failed+r.Failed, append(held, r.HeldSets...)
		complete, stopped = complete && r.Complete, cmp.Or(stopped, r.Stopped)
	}
	switch {
	case failed > 0:
		return Outcome{Exit: ExitFailed, Message: scoping.Many(failed, "object failed; it is", "objects failed; they are") + " tried again with the next run", Hint: "tandem errors list"}
	case !complete:
		return Outcome{Exit: ExitFailed, Message: "the run was not complete: " + firstProblem(rs), Hint: again(rs)}
	case stopped != "":
		return Outcome{Exit: ExitCheckpoint, Message: "writing is " + stopped + ": what would have been written is deferred", Hint: "tandem start --all"}
	case n > 0 && len(held) > 0:
		return Outcome{Exit: ExitCheckpoint, Message: fmt.Sprintf("%s held (%s)", scoping.Many(n, "object is", "objects are"), strings.Join(held, ", ")), Hint: "tandem held show " + held[0]}
	case n > 0:
		return Outcome{Exit: ExitCheckpoint, Message: scoping.Many(n, "object is", "objects are") + " held", Hint: "tandem errors list"}
	}
	return Outcome{}
}

// again says what to do after runs that were not complete.
func again(rs []run.Report) string {
	for _, r := range rs {
		if len(r.Errors) > 0 && r.Errors[0].Code == "disk-full" {
			return "make room on the disk that holds the state folder, then run it again"
		}
	}
	return "run it again"
}

func firstProblem(rs []run.Report) string {
	for _, r := range rs {
		if len(r.Errors) > 0 {
			return r.FirstProblem()
		}
	}
	return Sync{}.FirstProblem()
}

// Debt is one feature of an object that has not settled, and who will be asked for it again.
type Debt struct {
	Object  scoping.ObjectID `json:"object"`
	Name    string           `json:"name"`
	Feature scoping.Feature  `json:"feature"`
	Owner   string           `json:"owner"`
	Code    string           `json:"code"`
	Reason  string           `json:"reason"`
	Since   string           `json:"since,omitempty"` // of the last answer that settled nothing; empty: it was found by comparison
	Tries   int              `json:"tries"`
	Message string           `json:"message,omitempty"` // the reason for people; of what the tenant refused, what it said
	// Of what the tenant refused: how often it was tried with that answer, when last, and when it is tried again by itself; empty: with the next run.
	Attempts int    `json:"attempts,omitempty"`
	Last     string `json:"last,omitempty"`
	Next     string `json:"next,omitempty"`
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

// Finding is what people should know of an object although nothing of it failed: what is left out of its references and why, that it stays linked
// although it is left out, that the tenant does not keep its values.
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
	out := Debts{Errors: []Debt{}, Findings: findingsOf(c.h.o.Host().Findings(nil))}
	for _, d := range c.h.o.Host().Debts() {
		if d.Code == string(engine.Shadowed) || d.Owed.Code == standing.Unasked {
			continue // judged for a wave, or to be asked for at the next run: nothing is wrong with it
		}
		out.Errors = append(out.Errors, debtOf(d))
	}
	for _, d := range c.h.o.Host().Doubtful(nil) {
		out.Errors = append(out.Errors, doubtOf(d))
	}
	return out, Outcome{}, nil
}

// RefRequest names an object; empty where all are meant.
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
