// Package plan works out what would change hands and what would be written, and changes nothing: it compiles policies in the directory as it is,
// compares them with the one in force, lets the engines that would take over propose in shadow, and looks for what stands in a wave's way.
//
// A Plan is a value that a person can read, keep and apply later: Plan makes it, ReadPlan reads it back, Begin consumes it. Acts of waves call
// Assess, Shadow and Judge again while they run.
package plan

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/tandem-sync/tandem/orchestrator/assess"
	"github.com/tandem-sync/tandem/orchestrator/census"
	"github.com/tandem-sync/tandem/orchestrator/control"
	"github.com/tandem-sync/tandem/orchestrator/gate"
	"github.com/tandem-sync/tandem/orchestrator/objects"
	"github.com/tandem-sync/tandem/orchestrator/run"
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/orchestrator/wave"
	"github.com/tandem-sync/tandem/scoping"
)

// Options are what a Planner is made of. Survey and Without may be left out.
type Options struct {
	Gate    *gate.Gate
	Census  *census.Census
	Cache   *cloud.Cache
	Control *control.Control
	View    *objects.View
	Run     *run.Runner
	Engines run.Engines
	Clock   gate.Clock
	// Look reads the directories if nothing is known of them yet.
	Look         func(context.Context) error
	LookAtTenant func(context.Context) error // brings the view of the tenant up to date
	// Unregistered returns the extensions of users that the tenant does not have; nil: it has all.
	Unregistered func(ctx context.Context, names []string) ([]string, error)
	// Survey looks at the directories as a whole; nil: plans do not count references that cross engines.
	Survey func(context.Context) (*assess.Survey, error)
	// Foresee returns what the assignments of the other direction would do if a partition were in force; nil: unknown.
	Foresee func(context.Context, *scoping.Partition) ([]Bringing, error)
	Without gate.Safeguard // for simulations only
}

// Planner makes plans. It is safe for concurrent use.
type Planner struct{ o Options }

// New makes a planner.
func New(o Options) *Planner { return &Planner{o: o} }

// PlanVersion is the format of plan files.
const PlanVersion = 1

// Plan is the content of a plan file.
type Plan struct {
	Version      int                `json:"version"`
	Installation string             `json:"installation"`
	FromRevision uint64             `json:"fromRevision"`
	CreatedAt    int64              `json:"createdAt"` // Unix ms
	Policy       string             `json:"policy,omitempty"`
	Target       *scoping.Partition `json:"target"`
	Engines      map[string]string  `json:"engines"`            // versions
	Settings     *Settings          `json:"settings,omitempty"` // what changes besides owners; nil: nothing
	Waves        []PlannedWave      `json:"waves"`
	Bringing     []Bringing         `json:"provisioning,omitempty"` // what the other direction would do afterwards
	Fingerprint  string             `json:"fingerprint"`            // of all the above
}

// PlannedWave is one wave of a plan.
type PlannedWave struct {
	ID        string               `json:"id"`
	From      string               `json:"from"`
	To        string               `json:"to"`
	Features  []scoping.Feature    `json:"features"`
	HandOvers []scoping.HandOver   `json:"handOvers"`
	Objects   map[scoping.Kind]int `json:"objects"`
	Basis     string               `json:"basis"` // "shadow-run", or "not-run"
	Predicted *wave.Counts         `json:"predicted"`
	Printed   []string             `json:"printed,omitempty"` // marks of the predicted ordinary updates, which auto-approve may answer
	Examples  []wave.Difference    `json:"examples,omitempty"`
	Findings  []wave.Finding       `json:"findings"`
	TakeOver  *TakeOver            `json:"takeOver,omitempty"` // what becomes of what the tenant has; nil: nothing, or no shadow run exists
	Crossing  *assess.Crossing     `json:"crossing,omitempty"` // references whose two ends have different engines afterwards; nil: not counted
	Members   string               `json:"members"`            // fingerprint of the identities in the scopes
}

// PlanOptions are what is planned.
type PlanOptions struct {
	File        string // for messages
	Text        []byte // policy file, …
	Matches     []byte // … with the file of matches that it names; or
	Target      *scoping.Partition
	AllowRevert bool
	NoShadow    bool // do not run the target (basis "not-run")

	managed *gate.Managed // the target's managed attributes; nil: those in force
}

// Plan works out what would change hands, wave by wave, with a shadow run of each target. It writes nothing except the engines' own state.
func (r *Planner) Plan(ctx context.Context, o PlanOptions) (*Plan, error) {
	cur, err := r.o.Control.Partition()
	if err != nil {
		return nil, err
	}
	if err := r.o.Run.Prepare(ctx); err != nil {
		return nil, err
	}
	target, matches := o.Target, r.o.Gate.Matches()
	if target == nil {
		if target, matches, err = r.CompileFile(ctx, PolicyFile{Name: o.File, Text: o.Text, Matches: o.Matches}); err != nil {
			return nil, err
		}
	}
	o.Target, o.managed = target, r.managed(target)
	if err := r.track(ctx, o.managed); err != nil {
		return nil, err
	}
	if err := r.o.View.ChoosePlanned(ctx, target); err != nil {
		return nil, err
	}
	c, err := r.o.Control.View(ctx)
	if err != nil {
		return nil, err
	}
	p := &Plan{Version: PlanVersion, Installation: c.Head.Installation, FromRevision: cur.Revision(), CreatedAt: r.o.Clock.Now().UnixMilli(), Policy: string(o.Text), Target: target, Engines: map[string]string{}, Waves: []PlannedWave{}}
	for _, n := range r.o.Engines.Names() {
		d, err := r.o.Engines.Describe(ctx, n)
		if err != nil {
			return nil, err
		}
		p.Engines[n] = d.Version
	}
	from := cur
	if o.Text != nil {
		from, p.Settings = r.settingsOf(cur, target, matches)
	}
	if p.Settings != nil && o.managed != nil {
		if p.Settings.Effects, err = r.effects(ctx, cur, compareManaged(r.o.Gate.Rules().Managed, *o.managed), !o.NoShadow); err != nil {
			return nil, err
		}
	}
	for _, g := range group(scoping.Diff(from, target)) {
		w, err := r.planWave(ctx, g, o)
		if err != nil {
			return nil, err
		}
		p.Waves = append(p.Waves, w)
	}
	if err := r.crossings(ctx, cur, p); err != nil {
		return nil, err
	}
	if err := r.foresee(ctx, o, p); err != nil {
		return nil, err
	}
	p.seal()
	return p, nil
}

// foresee adds what the other direction would do. Handing over a container does not change it: only a policy does.
func (r *Planner) foresee(ctx context.Context, o PlanOptions, p *Plan) (err error) {
	if r.o.Foresee == nil || o.Text == nil || o.NoShadow {
		return nil
	}
	p.Bringing, err = r.o.Foresee(ctx, p.Target)
	if err != nil {
		return fmt.Errorf("asking what would be brought from the tenant: %w", err)
	}
	return nil
}

// group merges hand-overs between the same engines into waves: first those from an engine, then those of objects without one.
func group(hs []scoping.HandOver) [][]scoping.HandOver {
	var order []string
	by := map[string][]scoping.HandOver{}
	for _, h := range hs {
		k := h.From + "\x00" + h.To
		if by[k] == nil {
			order = append(order, k)
		}
		by[k] = append(by[k], h)
	}
	slices.SortStableFunc(order, func(a, b string) int {
		fromNone := func(k string) int {
			if strings.HasPrefix(k, scoping.None+"\x00") {
				return 1
			}
			return 0
		}
		return fromNone(a) - fromNone(b)
	})
	out := make([][]scoping.HandOver, len(order))
	for i, k := range order {
		out[i] = by[k]
	}
	return out
}

func (r *Planner) planWave(ctx context.Context, hs []scoping.HandOver, o PlanOptions) (PlannedWave, error) {
	w := wave.Wave{From: hs[0].From, To: hs[0].To, HandOvers: hs}
	out := PlannedWave{From: w.From, To: w.To, HandOvers: hs, Basis: "not-run", Findings: []wave.Finding{}, Objects: map[scoping.Kind]int{}}
	for _, x := range hs {
		out.Features = append(out.Features, x.Scope.Features...)
	}
	out.Features = listed(r.o.Gate.Authority().Partition, out.Features)
	ids := r.o.View.In(w.Scopes())
	sum := sha256.New()
	for _, id := range ids {
		out.Objects[r.o.Census.Sight(id).Kind]++
		fmt.Fprintln(sum, id)
	}
	out.Members = hex.EncodeToString(sum.Sum(nil)[:12])
	findings, err := r.assess(ctx, w, o.Target, o.AllowRevert)
	if err != nil {
		return out, err
	}
	r.unpinning(o.Target, findings)
	out.Findings = append(out.Findings, findings...)
	if o.NoShadow || slices.ContainsFunc(findings, keepsFromRunning) {
		return out, nil
	}
	ev, js, err := r.shadow(ctx, w, true, o.managed)
	if err != nil {
		return out, fmt.Errorf("shadow run of %s: %w", w.To, err)
	}
	if !ev.OK {
		out.Findings = append(out.Findings, wave.Finding{Severity: wave.Blocker, Code: codeIncompleteRun, Message: "the shadow run of " + w.To + " was not complete: " + ev.Why, Examples: []string{}})
		return out, nil
	}
	out.Basis, out.Predicted, out.Examples = "shadow-run", &ev.Counts, ev.Differences
	out.Printed, out.TakeOver = wave.OrdinaryMarks(ev.Differences), r.takeOver(js)
	return out, nil
}

// keepsFromRunning reports whether a finding is a reason not to run the target: the run would only fail for the same reason, and later.
func keepsFromRunning(f wave.Finding) bool {
	return f.Severity == wave.Blocker && f.Code == codeUnhealthy
}

// listed returns features once each, in the policy's order; references that follow their base feature are left out.
func listed(p *scoping.Partition, fs []scoping.Feature) []scoping.Feature {
	var out []scoping.Feature
	for _, f := range p.Features() {
		if slices.Contains(fs, f) && f != scoping.References {
			out = append(out, f)
		}
	}
	if len(out) == 0 {
		return []scoping.Feature{scoping.References}
	}
	return out
}
