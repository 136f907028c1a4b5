package host

import (
	"context"
	"slices"

	"github.com/tandem-sync/tandem/orchestrator/gate"
	"github.com/tandem-sync/tandem/orchestrator/provisioning"
	"github.com/tandem-sync/tandem/orchestrator/run"
	"github.com/tandem-sync/tandem/plugins/engine"
)

// Provision lets an engine bring objects of the tenant into directories, by the assignments that it has. For an engine without any the report is
// empty.
func (h *Host) Provision(ctx context.Context, name string, o run.SyncOptions) (run.Report, error) {
	if h.brings == nil || !h.brings.Brings(name) {
		return run.Report{Engine: name, Stream: engine.Provisioning, Complete: true}, nil
	}
	if o.By != "" { // a person asks
		h.brings.Retry()
	}
	return h.Beside(ctx, name, engine.Provisioning, o, func(ctx context.Context, out *run.Report) error {
		r, err := h.brings.Run(ctx, name, out.ReadOnly != "")
		count(out, r)
		return err
	})
}

// Bringing returns what an engine would write now into containers under a DN for objects of the tenant; without a name, every engine. Nothing is
// written or recorded.
func (h *Host) Bringing(ctx context.Context, name, under string) (out []provisioning.Judgement, err error) {
	p := h.gate.Authority().Partition
	if h.brings == nil || p == nil {
		return nil, nil
	}
	dir, guid, _, err := h.Resolve(ctx, under)
	if err != nil {
		return nil, err
	}
	engines, wanted := []string{}, map[string]bool{}
	for _, a := range p.Provisioning() {
		if a.Directory == dir && (a.Under.GUID == guid || slices.Contains(a.Under.Ancestors, guid)) && (name == "" || a.Engine == name) {
			engines, wanted[a.Name] = append(engines, a.Engine), true
		}
	}
	slices.Sort(engines)
	for _, e := range slices.Compact(engines) {
		r, err := h.brings.Run(ctx, e, true)
		if err != nil {
			return nil, err
		}
		for _, j := range r.Judgements {
			if wanted[j.Assignment] && j.Write != nil {
				out = append(out, j)
			}
		}
	}
	return out, nil
}

// SyncAll is `tandem sync`: the engine's objects, its passwords, and what it brings from the tenant. A run over a part of a directory covers objects
// only.
func (h *Host) SyncAll(ctx context.Context, name string, o run.SyncOptions) (run.Report, error) {
	out, err := h.Runner.SyncAll(ctx, name, o)
	if err != nil || o.Under != "" {
		return out, err
	}
	p, err := h.Provision(ctx, name, o)
	return out.And(p), err
}

// count adds the result of bringing objects of the tenant into directories to a run's report.
func count(out *run.Report, r provisioning.Report) {
	out.Read, out.Complete = r.Read, out.Complete && r.Complete
	for _, p := range r.Problems {
		out.Errors = append(out.Errors, run.Problem{Object: p.Object, Code: p.Code, Message: p.Message})
	}
	for _, x := range r.Held {
		out.HeldSets = append(out.HeldSets, x.ID)
	}
	for _, j := range r.Judgements {
		tally(out, j)
		for _, f := range j.Findings {
			out.Findings = append(out.Findings, run.Problem{Object: j.Name, Code: string(f.Code), Message: "tenant → directory: " + f.Text})
		}
		quiet := []engine.Outcome{engine.Applied, engine.Unchanged, engine.Released, engine.Shadowed}
		if !slices.Contains(quiet, j.Outcome) && j.Code != string(gate.CodeThreshold) && j.Code != string(gate.CodeRejected) {
			out.Errors = append(out.Errors, run.Problem{Object: j.Name, Code: j.Code, Message: "tenant → directory: " + j.Reason})
		}
	}
}

func tally(out *run.Report, j provisioning.Judgement) {
	if j.Outcome != engine.Unchanged && j.Outcome != engine.Released {
		out.Proposed++
	}
	switch j.Outcome {
	case engine.Applied:
		out.Applied++
		switch {
		case j.Made:
			out.Creates++
		case j.Deleted:
			out.Deletes++
		default:
			out.Updates++
		}
	case engine.Unchanged:
		out.Unchanged++
	case engine.Shadowed:
		out.Shadowed++
	case engine.Held:
		out.Held++
	case engine.Released:
		out.Released++
	case engine.Refused:
		if j.Code == string(gate.CodeRejected) {
			out.Unchanged++
			return
		}
		out.Refused++
	case engine.Failed:
		out.Failed++
	default:
		out.Deferred++
	}
}
