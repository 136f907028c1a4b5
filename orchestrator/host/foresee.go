package host

import (
	"context"
	"slices"

	"github.com/tandem-sync/tandem/orchestrator/plan"
	"github.com/tandem-sync/tandem/orchestrator/provisioning"
	"github.com/tandem-sync/tandem/orchestrator/wave"
	"github.com/tandem-sync/tandem/scoping"
)

// Foreseen returns what the assignments of the other direction of the policy in force would do now. Nothing is written or recorded.
func (h *Host) Foreseen(ctx context.Context) ([]plan.Bringing, error) {
	p := h.gate.Authority().Partition
	if h.brings == nil || p == nil || len(p.Provisioning()) == 0 {
		return nil, nil
	}
	if err := h.ensureCensus(ctx); err != nil {
		return nil, err
	}
	if err := h.lookAtTenant(ctx); err != nil {
		return nil, err
	}
	return h.foresee(ctx, p)
}

// foresee returns what the assignments of the other direction would do if a partition were in force.
func (h *Host) foresee(ctx context.Context, p *scoping.Partition) ([]plan.Bringing, error) {
	if h.brings == nil || len(p.Provisioning()) == 0 {
		return nil, nil
	}
	fs, err := h.brings.Foresee(ctx, p)
	if err != nil {
		return nil, err
	}
	out := make([]plan.Bringing, len(fs))
	for i, f := range fs {
		out[i] = bringing(f)
	}
	return out, nil
}

// bringing returns a forecast in the form of plans.
func bringing(f provisioning.Forecast) plan.Bringing {
	a := f.Assignment
	b := plan.Bringing{Assignment: a.Name, Engine: a.Engine, Way: plan.Way, Directory: a.Directory, Under: a.Under.DN, From: []string{}, Features: a.Features, Objects: f.Objects, Basis: "shadow-run",
		Predicted: &plan.Brings{}, Examples: []plan.Brought{}, Findings: []wave.Finding{}}
	for _, g := range a.From.Groups {
		b.From = append(b.From, g.Name)
	}
	for _, s := range f.Sources {
		if s.Settled {
			b.Predicted.Unchanged++
		}
		for _, x := range s.Steps {
			b.Add(plan.Brought{Object: s.Name, Op: x.Does, DN: x.DN, Container: x.To, Name: x.Name, Code: x.Code, Reason: x.Reason, Waits: x.Waits})
		}
	}
	slices.SortStableFunc(b.Examples, func(x, y plan.Brought) int { return plan.Severity(x.Op) - plan.Severity(y.Op) })
	for _, p := range f.Problems {
		b.Findings = append(b.Findings, wave.Finding{Severity: wave.Warning, Code: wave.Code(p.Code), Message: p.Message, Examples: []string{}})
		if len(f.Sources) == 0 {
			b.Basis, b.Predicted = "not-run", nil
		}
	}
	return b
}
