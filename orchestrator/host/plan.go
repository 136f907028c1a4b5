package host

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/tandem-sync/tandem/orchestrator/assess"
	"github.com/tandem-sync/tandem/orchestrator/gate"
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/problem"
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/orchestrator/wave"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// PlanVersion is the format of plan files.
const PlanVersion = 1

// Plan is what a plan file holds.
type Plan struct {
	Version      int                `json:"version"`
	Installation string             `json:"installation"`
	FromRevision uint64             `json:"fromRevision"`
	CreatedAt    int64              `json:"createdAt"` // Unix ms
	Policy       string             `json:"policy,omitempty"`
	Target       *scoping.Partition `json:"target"`
	Engines      map[string]string  `json:"engines"`            // versions
	Settings     *Settings          `json:"settings,omitempty"` // what changes beside who owns what; nil: nothing
	Waves        []PlannedWave      `json:"waves"`
	Fingerprint  string             `json:"fingerprint"` // of all the above
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
	Printed   []string             `json:"printed,omitempty"` // marks of the ordinary updates predicted: what auto-approve may answer
	Examples  []wave.Difference    `json:"examples,omitempty"`
	Findings  []wave.Finding       `json:"findings"`
	Crossing  *assess.Crossing     `json:"crossing,omitempty"` // references whose two ends have different engines afterwards; nil: not counted
	Members   string               `json:"members"`            // fingerprint of the identities in the scopes
}

// PlanOptions say what is planned.
type PlanOptions struct {
	File        string // for messages
	Text        []byte // policy file, …
	Matches     []byte // … with the file of matches that it names; or
	Target      *scoping.Partition
	AllowRevert bool
	NoShadow    bool // do not run the target (basis "not-run")
}

// Plan computes what would change hands, wave by wave, with a shadow run of each target. It writes nothing but the engines' own state.
func (h *Host) Plan(ctx context.Context, o PlanOptions) (*Plan, error) {
	cur, err := h.control.Partition()
	if err != nil {
		return nil, err
	}
	if err := h.Prepare(ctx); err != nil {
		return nil, err
	}
	target, matches := o.Target, h.gate.Matches()
	if target == nil {
		if target, matches, err = h.CompileFile(ctx, PolicyFile{Name: o.File, Text: o.Text, Matches: o.Matches}); err != nil {
			return nil, err
		}
	}
	o.Target = target
	if err := h.ChoosePlanned(ctx, target); err != nil {
		return nil, err
	}
	c, err := h.control.View(ctx)
	if err != nil {
		return nil, err
	}
	p := &Plan{Version: PlanVersion, Installation: c.Head.Installation, FromRevision: cur.Revision(), CreatedAt: h.now().UnixMilli(), Policy: string(o.Text), Target: target, Engines: map[string]string{}, Waves: []PlannedWave{}}
	for _, n := range h.o.Engines.Names() {
		d, err := h.o.Engines.Describe(ctx, n)
		if err != nil {
			return nil, err
		}
		p.Engines[n] = d.Version
	}
	from := cur
	if o.Text != nil {
		from, p.Settings = h.settingsOf(cur, target, matches)
	}
	for _, g := range group(scoping.Diff(from, target)) {
		w, err := h.planWave(ctx, g, o)
		if err != nil {
			return nil, err
		}
		p.Waves = append(p.Waves, w)
	}
	if err := h.crossings(ctx, cur, p); err != nil {
		return nil, err
	}
	p.seal()
	return p, nil
}

// group merges hand-overs between the same engines into waves: those that take from a real engine first, then those that take from nobody.
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

func (h *Host) planWave(ctx context.Context, hs []scoping.HandOver, o PlanOptions) (PlannedWave, error) {
	w := wave.Wave{From: hs[0].From, To: hs[0].To, HandOvers: hs}
	out := PlannedWave{From: w.From, To: w.To, HandOvers: hs, Basis: "not-run", Findings: []wave.Finding{}, Objects: map[scoping.Kind]int{}}
	for _, x := range hs {
		out.Features = append(out.Features, x.Scope.Features...)
	}
	out.Features = listed(h.gate.Authority().Partition, out.Features)
	ids := h.In(w.Scopes())
	sum := sha256.New()
	for _, id := range ids {
		out.Objects[h.o.Census.Sight(id).Kind]++
		fmt.Fprintln(sum, id)
	}
	out.Members = hex.EncodeToString(sum.Sum(nil)[:12])
	findings, err := h.assess(ctx, w, o.Target, o.AllowRevert)
	if err != nil {
		return out, err
	}
	h.thawing(o.Target, findings)
	out.Findings = append(out.Findings, findings...)
	if o.NoShadow || slices.ContainsFunc(findings, keepsFromRunning) {
		return out, nil
	}
	ev, err := h.shadowRun(ctx, w, true)
	if err != nil {
		return out, fmt.Errorf("shadow run of %s: %w", w.To, err)
	}
	if !ev.OK {
		out.Findings = append(out.Findings, wave.Finding{Severity: wave.Blocker, Code: "incomplete-run", Message: "the shadow run of " + w.To + " was not complete: " + ev.Why, Examples: []string{}})
		return out, nil
	}
	out.Basis, out.Predicted, out.Examples = "shadow-run", &ev.Counts, ev.Differences
	out.Printed = wave.OrdinaryMarks(ev.Differences)
	return out, nil
}

// keepsFromRunning says of a finding that a run of the target can only fail for the same reason, and later.
func keepsFromRunning(f wave.Finding) bool {
	return f.Severity == wave.Blocker && f.Code == "engine-unhealthy"
}

// listed gives features once each, as the policy orders them; references that go with their base feature are not named apart.
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

// seal names the waves and fingerprints what must not change between plan and apply.
func (p *Plan) seal() {
	q := *p
	q.Fingerprint, q.Waves = "", slices.Clone(p.Waves)
	for i := range q.Waves {
		q.Waves[i].ID = ""
	}
	b, err := json.Marshal(q)
	if err != nil {
		panic("host: a plan that cannot be encoded: " + err.Error())
	}
	sum := sha256.Sum256(b)
	p.Fingerprint = hex.EncodeToString(sum[:])
	for i := range p.Waves {
		p.Waves[i].ID = waveID(p.Fingerprint, i)
	}
}

// Blocked says whether a plan has blockers.
func (p *Plan) Blocked() []wave.Finding {
	var out []wave.Finding
	for _, w := range p.Waves {
		for _, f := range w.Findings {
			if f.Severity == wave.Blocker {
				out = append(out, f)
			}
		}
	}
	return out
}

// ReadPlan reads a plan file. Errors say what is wrong with it and match problem.ErrUsage.
func ReadPlan(b []byte) (*Plan, error) {
	p := new(Plan)
	if err := json.Unmarshal(b, p); err != nil {
		return nil, problem.Refuse("this is not a plan file (%w): write one with `tandem plan -f POLICY -o PLAN`", err)
	}
	switch {
	case p.Version != PlanVersion:
		return nil, problem.Refuse("the plan file is of version %d, this program knows %d: plan again", p.Version, PlanVersion)
	case p.Target == nil || p.Fingerprint == "":
		return nil, problem.Refuse("the plan file is not whole: plan again")
	}
	q := *p
	q.Waves = slices.Clone(p.Waves)
	q.seal()
	named := true
	for i, w := range p.Waves {
		named = named && (w.ID == q.Waves[i].ID || w.ID == shortWaveID(q.Fingerprint, i)) // a wave of an older plan file may be under way
	}
	if q.Fingerprint != p.Fingerprint || !named {
		return nil, problem.Refuse("the plan file was changed after it was written: plan again")
	}
	return p, nil
}

// stale says why a plan may not be begun any more, or nil.
func (h *Host) stale(ctx context.Context, p *Plan) error {
	cur, err := h.control.Partition()
	if err != nil {
		return err
	}
	c, err := h.control.View(ctx)
	if err != nil {
		return err
	}
	switch {
	case p.Installation != c.Head.Installation:
		return fmt.Errorf("%w: it was made by another installation", problem.ErrStalePlan)
	case p.FromRevision != cur.Revision():
		return fmt.Errorf("%w: it was made for revision %d, in force is %d", problem.ErrStalePlan, p.FromRevision, cur.Revision())
	}
	for _, n := range h.o.Engines.Names() {
		d, err := h.o.Engines.Describe(ctx, n)
		if err != nil {
			return err
		}
		if v, ok := p.Engines[n]; ok && v != d.Version {
			return fmt.Errorf("%w: engine %s was of version %s, and is of %s now", problem.ErrStalePlan, n, v, d.Version)
		}
	}
	if err := h.ChoosePlanned(ctx, p.Target); err != nil { // this may be another process than the one that planned
		return err
	}
	for _, w := range p.Waves {
		if err := h.drifted(w); err != nil {
			return err
		}
	}
	return nil
}

// drifted compares a planned wave's set with today's: more than 1 % or 10 objects make the plan stale.
func (h *Host) drifted(w PlannedWave) error {
	now := map[scoping.Kind]int{}
	var scopes []scoping.Scope
	for _, x := range w.HandOvers {
		scopes = append(scopes, x.Scope)
	}
	total, diff := 0, 0
	for _, id := range h.In(scopes) {
		now[h.o.Census.Sight(id).Kind]++
	}
	for _, k := range []scoping.Kind{scoping.User, scoping.Group, scoping.Contact, scoping.Device} {
		total += w.Objects[k]
		diff += max(now[k]-w.Objects[k], w.Objects[k]-now[k])
	}
	if diff > 10 || (total >= 100 && diff*100 > total) {
		return fmt.Errorf("%w: wave %s was planned for %d objects, the scope changed by %d since", problem.ErrStalePlan, w.ID, total, diff)
	}
	return nil
}

// shadowRun lets the target of a wave propose every object of its scopes, and counts what would happen. Silent: nothing is recorded (plan).
func (h *Host) shadowRun(ctx context.Context, w wave.Wave, silent bool) (wave.Evidence, error) {
	ev := wave.Evidence{OK: true}
	if w.To == scoping.None {
		ev.Counts.Unchanged = len(h.In(w.Scopes()))
		return ev, nil
	}
	l := h.lock(w.To)
	l.Lock()
	defer l.Unlock()
	run := h.nextRun()
	ev.From = h.seq()
	s := h.gate.Begin(gate.SessionOptions{Engine: w.To, Run: run, Wave: w.ID, Ceiling: engine.ModeShadow, Silent: silent,
		Progress: func(n int) { h.progress(Progress{Engine: w.To, Wave: w.ID, Phase: "shadow", Done: n}) }})
	q := engine.RunRequest{Run: run, Profile: engine.ProfileFull, Scopes: w.Scopes(), Ceiling: engine.ModeShadow}
	var problems []string
	complete, err := h.askEngine(ctx, w.To, q, s, func(r engine.RunReport) {
		for _, e := range r.Errors {
			problems = append(problems, e.Message)
		}
	})
	if err != nil {
		return ev, err
	}
	if !complete {
		return wave.Evidence{Why: strings.Join(problems, "; ")}, nil
	}
	sum, err := s.End(ctx, true)
	if err != nil {
		return ev, err
	}
	unheard, err := h.silentAbout(ctx, w.Scopes(), s)
	if err != nil {
		return ev, err
	}
	if !silent {
		if err := h.recordSilence(ctx, w, run, unheard); err != nil {
			return ev, err
		}
	}
	var dead []ledger.Key
	if w.From == scoping.None {
		dead = slices.DeleteFunc(h.deadIn(w), s.Seen)
	}
	sum.Judgements = h.chosenOnly(w.Scopes(), sum.Judgements)
	ev.Counts, ev.Differences = h.tally(sum, unheard, dead)
	ev.Upto = h.seq()
	return ev, nil
}

// recordSilence keeps in the log what the target of a wave was silent about: if somebody approves of it, the target is asked for it after the cutover
// (rule P4).
func (h *Host) recordSilence(ctx context.Context, w wave.Wave, run uint64, unheard []ledger.Key) error {
	rs := make([]ledger.Record, len(unheard))
	for i, k := range unheard {
		rs[i] = ledger.Record{Type: ledger.DecisionType, Engine: w.To, Wave: w.ID, Run: run, Object: &k.Object, Kind: h.o.Census.Sight(k.Object).Kind, Name: h.Name(k.Object),
			Feature: k.Feature, Outcome: engine.Shadowed, Code: "unclaimed", Reason: "a complete run did not propose it", Quietly: true, Epoch: w.ShadowEpoch}
	}
	return h.gate.Record(ctx, rs...)
}

// seq gives the number of the last record that the ledger holds.
func (h *Host) seq() (n uint64) {
	h.gate.Read(func(s *ledger.State) { n = s.Seq })
	return n
}

// tally counts a shadow session: each object once, under the gravest of what would happen to it; linked objects that nobody proposed are unclaimed
// (rule P4), and those that died while they belonged to nobody are deleted by whoever takes them over.
func (h *Host) tally(sum gate.Summary, silent, dead []ledger.Key) (wave.Counts, []wave.Difference) {
	var ds []wave.Difference
	worst := map[scoping.ObjectID]int{}
	for _, j := range sum.Judgements {
		op, rank := opOf(j)
		if rank == 0 {
			continue
		}
		worst[j.Key.Object] = max(worst[j.Key.Object], rank)
		if rank > rankUnchanged {
			ds = append(ds, wave.Difference{Object: j.Key.Object, Feature: j.Key.Feature, Name: j.Name, Op: op, Detail: detailOf(j), Grave: isGrave(op, j)})
		}
	}
	for _, k := range silent {
		if h.o.Without == gate.Unclaimed {
			break
		}
		worst[k.Object] = rankUnclaimed
		ds = append(ds, wave.Difference{Object: k.Object, Feature: k.Feature, Name: h.Name(k.Object), Op: "unclaimed", Grave: true})
	}
	for _, k := range dead {
		worst[k.Object] = rankDelete
		ds = append(ds, wave.Difference{Object: k.Object, Feature: k.Feature, Name: h.Name(k.Object), Op: "delete", Grave: true})
	}
	slices.SortFunc(ds, func(a, b wave.Difference) int {
		return ledger.Key{Object: a.Object, Feature: a.Feature}.Compare(ledger.Key{Object: b.Object, Feature: b.Feature})
	})
	return counts(worst), ds
}

const (
	rankUnchanged = iota + 1
	rankUpdate
	rankCreate
	rankUnclaimed
	rankOrphan
	rankDelete
)

// opOf gives what a judgement would do, with its rank; rank 0 for what does not count (excluded and not linked).
func opOf(j gate.Judgement) (string, int) {
	switch {
	case j.Op == "delete":
		return "delete", rankDelete
	case j.Op == "orphan":
		return "orphan", rankOrphan
	case j.Op == "create", j.Op == "restore":
		return "create", rankCreate
	case j.Op == "join" && len(j.After) == 0:
		return "", rankUnchanged
	case j.Op != "":
		return "update", rankUpdate
	case j.Outcome == engine.Held || j.Outcome == engine.Failed || j.Outcome == engine.Refused:
		return "update", rankUpdate
	case j.Want != engine.Present:
		return "", 0
	}
	return "", rankUnchanged
}

// isGrave reports whether a person has to see a difference whatever was planned: everything but an update, sign-in changes, disabled accounts, and what
// would be held or fail.
func isGrave(op string, j gate.Judgement) bool {
	switch {
	case op != "update", j.Outcome == engine.Held, j.Outcome == engine.Failed, j.Outcome == engine.Refused:
		return true
	case len(j.After[cloud.UPN]) > 0 && len(j.Before[cloud.UPN]) > 0:
		return true
	}
	return j.After.First(cloud.Enabled) == "false"
}

func detailOf(j gate.Judgement) string {
	var out []string
	for _, k := range sorted(j.After) {
		out = append(out, fmt.Sprintf("%s: %q → %q", k, j.Before[k], j.After[k]))
	}
	if len(out) == 0 && j.Reason != "" {
		out = append(out, j.Code+": "+j.Reason)
	}
	return strings.Join(out, ", ")
}

func counts(worst map[scoping.ObjectID]int) wave.Counts {
	var c wave.Counts
	for _, r := range worst {
		switch r {
		case rankUnchanged:
			c.Unchanged++
		case rankUpdate:
			c.Update++
		case rankCreate:
			c.Create++
		case rankUnclaimed:
			c.Unclaimed++
		case rankOrphan:
			c.Orphan++
		case rankDelete:
			c.Delete++
		}
	}
	return c
}

// silentAbout gives what lies in the scopes, linked or to be, and a complete session heard nothing of. It is looked up once more in the
// directory: who was deleted meanwhile is nobody's silence.
func (h *Host) silentAbout(ctx context.Context, scopes []scoping.Scope, s *gate.Session) ([]ledger.Key, error) {
	find := func() []ledger.Key {
		out := h.notProposed(scopes, s)
		for _, id := range h.In(scopes) {
			k := ledger.Key{Object: id, Feature: scoping.Base(h.o.Census.Sight(id).Kind)}
			if h.o.Census.Expected(id) && !s.Seen(k) {
				out = append(out, k)
			}
		}
		slices.SortFunc(out, ledger.Key.Compare)
		return slices.Compact(out)
	}
	out := find()
	if len(out) == 0 {
		return nil, nil
	}
	ids := make([]scoping.ObjectID, len(out))
	for i, k := range out {
		ids[i] = k.Object
	}
	if err := h.o.Census.Reread(ctx, ids); err != nil {
		return nil, err
	}
	return find(), nil
}

// notProposed gives what the ledger links in the scopes and a complete session heard nothing of.
func (h *Host) notProposed(scopes []scoping.Scope, s *gate.Session) []ledger.Key {
	var out []ledger.Key
	h.gate.Read(func(led *ledger.State) {
		for _, id := range led.Objects() {
			row := led.Rows.Get(id)
			f := scoping.Base(row.Kind)
			sight := h.o.Census.Sight(id)
			k := ledger.Key{Object: id, Feature: f}
			if row.State != ledger.Live || !sight.Known || sight.Gone || s.Seen(k) {
				continue
			}
			p := sight.Place(id.Directory)
			if slices.ContainsFunc(scopes, func(sc scoping.Scope) bool { return sc.Writes(row.Kind, f) && sc.Covers(p) }) {
				out = append(out, k)
			}
		}
	})
	return out
}
