package api

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/tandem-sync/tandem/orchestrator/assess"
	"github.com/tandem-sync/tandem/orchestrator/plan"
	"github.com/tandem-sync/tandem/orchestrator/wave"
	"github.com/tandem-sync/tandem/scoping"
)

// PlanRequest is a policy file and options of its plan.
type PlanRequest struct {
	File        string `json:"file"`
	Text        []byte `json:"text"`
	Matches     []byte `json:"matches"` // the content of the file of matches that it names; null: not read
	AllowRevert bool   `json:"allowRevert,omitempty"`
	ExitCode    bool   `json:"exitCode,omitempty"` // exit with ExitDifferences if objects would change hands, or are blocked
}

// PlanReply is a plan for display, and the file that apply takes.
type PlanReply struct {
	Plan Plan            `json:"plan"`
	File json.RawMessage `json:"file"`
}

// PolicyChange is a change of the policy that does not hand anything over.
type PolicyChange = scoping.Change

// Effect is what another list of managed attributes does to one attribute of one scope.
type Effect = plan.Effect

// Bringing is what an assignment from the tenant into a directory would do.
type Bringing = plan.Bringing

// Brings are numbers of objects by what would be done.
type Brings = plan.Brings

// Brought is one object and one thing that would be done with it.
type Brought = plan.Brought

// Plan is what would change hands, wave by wave, and what else the policy changes.
type Plan struct {
	FromRevision uint64                 `json:"fromRevision"`
	Fingerprint  string                 `json:"fingerprint"`
	Defaults     *plan.DefaultsChange   `json:"defaults"` // null: unchanged
	Matches      *plan.MatchFilesChange `json:"matches"`  // the name of the file of matches; null: unchanged
	Changes      []scoping.Change       `json:"changes"`  // everything that changes without changing hands, as sentences; applied in one transaction
	Effects      []Effect               `json:"effects"`  // by scope, the effect of attributes becoming managed or unmanaged
	Waves        []PlannedWave          `json:"waves"`
	Provisioning []Bringing             `json:"provisioning"` // what each assignment from the tenant into a directory would do in its engine's next run
}

// PlannedWave is one wave of a plan. Predicted is null when no shadow run of the target exists; Basis is then another.
type PlannedWave struct {
	ID        string               `json:"id"`
	From      string               `json:"from"`
	To        string               `json:"to"`
	Features  []scoping.Feature    `json:"features"`
	Scopes    []Scope              `json:"scopes"`
	Objects   map[scoping.Kind]int `json:"objects"`
	Basis     string               `json:"basis"`
	Predicted *Counts              `json:"predicted"`
	Examples  []wave.Difference    `json:"examples"`
	Findings  []wave.Finding       `json:"findings"`
	TakeOver  *plan.TakeOver       `json:"takeOver"` // what becomes of values and references that the tenant has; null: nothing, or no shadow run exists
	Crossing  *assess.Crossing     `json:"crossing"` // references whose two ends have different engines afterwards; null: not counted
}

func planOf(p *plan.Plan) Plan {
	out := Plan{FromRevision: p.FromRevision, Fingerprint: p.Fingerprint, Waves: []PlannedWave{}, Changes: []scoping.Change{}, Effects: []Effect{}}
	if s := p.Settings; s != nil {
		out.Defaults, out.Matches, out.Changes, out.Effects = s.Defaults, s.Files, orEmpty(s.Changes), orEmpty(s.Effects)
	}
	out.Provisioning = orEmpty(p.Bringing)
	for _, w := range p.Waves {
		v := PlannedWave{ID: w.ID, From: w.From, To: w.To, Features: w.Features, Scopes: scopesOf(w.HandOvers), Objects: w.Objects, Basis: w.Basis,
			Predicted: countsOf(w.Predicted), Examples: w.Examples, Findings: w.Findings, TakeOver: w.TakeOver, Crossing: w.Crossing}
		if v.Examples == nil {
			v.Examples = []wave.Difference{}
		}
		if v.Findings == nil {
			v.Findings = []wave.Finding{}
		}
		out.Waves = append(out.Waves, v)
	}
	return out
}

// ReadPlan reads a plan file for display; it needs no state. Errors match problem.ErrUsage.
func ReadPlan(file []byte) (Plan, error) {
	p, err := plan.ReadPlan(file)
	if err != nil {
		return Plan{}, err
	}
	return planOf(p), nil
}

func makePlan(ctx context.Context, c *call, q PlanRequest) (any, Outcome, error) {
	p, err := c.h.o.Host().Plan(ctx, plan.PlanOptions{File: q.File, Text: q.Text, Matches: q.Matches, AllowRevert: q.AllowRevert})
	if err != nil {
		return nil, Outcome{}, err
	}
	file, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return nil, Outcome{}, fmt.Errorf("encoding the plan: %w", err)
	}
	var o Outcome
	if bs := p.Blocked(); q.ExitCode && len(bs) > 0 {
		o = Outcome{Exit: ExitDifferences, Message: fmt.Sprintf("%s, the first: %s: %s", scoping.Many(len(bs), "blocker", "blockers"), bs[0].Code, bs[0].Message)}
	} else if q.ExitCode && len(p.Waves) > 0 {
		o = Outcome{Exit: ExitDifferences, Message: scoping.Many(len(p.Waves), "wave", "waves") + " would change owners"}
	} else if q.ExitCode && p.Settings != nil {
		o = Outcome{Exit: ExitDifferences, Message: scoping.Many(len(p.Settings.Changes), "setting", "settings") + " of the policy would change"}
	}
	return PlanReply{Plan: planOf(p), File: file}, o, nil
}
