package api

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/plan"
	"github.com/tandem-sync/tandem/orchestrator/wave"
	"github.com/tandem-sync/tandem/orchestrator/wave/acts"
	"github.com/tandem-sync/tandem/scoping"
)

// soakPatience is the longest soak that a command waits for in the foreground.
const soakPatience = 2 * time.Minute

// Wave is a wave for display.
type Wave struct {
	ID           string               `json:"id"`
	Phase        wave.Phase           `json:"phase"`
	State        wave.State           `json:"state"`
	From         string               `json:"from"`
	To           string               `json:"to"`
	Features     []scoping.Feature    `json:"features"`
	Scopes       []Scope              `json:"scopes"`
	Objects      map[scoping.Kind]int `json:"objects"`
	Revision     uint64               `json:"revision"`
	FreezeMillis int64                `json:"freezeMillis"`
	Phases       []Phase              `json:"phases"`
	Differences  Counts               `json:"differences"`
	Examples     []wave.Difference    `json:"examples,omitempty"`
	Fingerprint  string               `json:"fingerprint"`        // of the differences: an approval has to name it
	Updates      int                  `json:"ordinaryUpdates"`    // objects among them that have ordinary updates only
	Approved     string               `json:"approved,omitempty"` // the fingerprint that was last approved
	ApprovedBy   string               `json:"approvedBy,omitempty"`
	WaitingFor   *Waiting             `json:"waitingFor"`
	Command      *string              `json:"command"` // the command that ends the wait
	SoakMillis   int64                `json:"soakMillis"`
	SoakWanted   int64                `json:"soakWantedMillis"`
	HoldBefore   wave.Phase           `json:"holdBefore,omitempty"`
	By           string               `json:"by,omitempty"`
	Error        string               `json:"error,omitempty"`
	Rollback     *wave.RollbackReport `json:"rollback,omitempty"`
}

// Waiting is what a wave waits for, since when, and the command that ends it. A soak ends by time.
type Waiting struct {
	For     wave.For `json:"for"`
	Since   string   `json:"since"`
	Message string   `json:"message"`
	Command string   `json:"command"`
}

// Phase is one phase that a wave went through. Times are RFC 3339; EndedAt is null while it lasts.
type Phase struct {
	Name      wave.Phase `json:"name"`
	StartedAt string     `json:"startedAt"`
	EndedAt   *string    `json:"endedAt"`
	Result    string     `json:"result"`
}

// Waves is a list of waves.
type Waves struct {
	Waves    []Wave           `json:"waves"`
	Revision uint64           `json:"revision,omitempty"` // of the policy in force after its settings changed
	Changes  []scoping.Change `json:"changes,omitempty"`  // of the policy's settings, in force by now
}

func stamp(ms int64) string { return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z07:00") }

func waveOf(w wave.Wave) Wave {
	out := Wave{ID: w.ID, Phase: w.Phase, State: w.State, From: w.From, To: w.To, Features: w.Features, Scopes: scopesOf(w.HandOvers), Objects: w.Objects,
		Revision: w.Revision, FreezeMillis: w.FreezeMillis, Phases: []Phase{}, Differences: Counts(w.Differences), Examples: w.Examples, SoakMillis: w.SoakMillis,
		SoakWanted: w.Options.Soak.Milliseconds(), HoldBefore: w.Options.HoldBefore, By: w.By, Fingerprint: w.Fingerprint, Updates: w.Found.Updates, Error: w.Error, Rollback: w.Report}
	for _, r := range w.History {
		p := Phase{Name: r.Name, StartedAt: stamp(r.StartedAt), Result: r.Result}
		if r.EndedAt != 0 {
			p.EndedAt = ptr(stamp(r.EndedAt))
		}
		out.Phases = append(out.Phases, p)
	}
	if a := w.Approval; a != nil {
		out.Approved, out.ApprovedBy = a.Fingerprint, a.By
	}
	if out.WaitingFor = waitingOf(w); out.WaitingFor != nil {
		out.Command = &out.WaitingFor.Command
	}
	return out
}

func waitingOf(w wave.Wave) *Waiting {
	switch w.State {
	case wave.Waiting:
		return &Waiting{For: w.For, Since: stamp(w.Since), Message: w.Wait, Command: w.Command}
	case wave.Paused:
		out := &Waiting{For: wave.ForPause, Message: "paused", Command: "tandem wave resume " + w.ID}
		if w.Paused != nil {
			out.Since, out.Message = stamp(w.Paused.At), "paused by "+w.Paused.By
		}
		if w.Wait != "" {
			out.Message += "; before that: " + w.Wait
		}
		return out
	}
	return nil
}

func ptr[T any](v T) *T { return &v }

// wavesOutcome returns how a command about waves ends: by the first that is not over.
func wavesOutcome(ws []wave.Wave) Outcome {
	for _, w := range ws {
		switch {
		case w.WaitsFor() == wave.ForSoak:
			return Outcome{} // it ends by time
		case w.State == wave.Waiting || w.State == wave.Paused:
			x := waitingOf(w)
			return Outcome{Exit: ExitCheckpoint, Message: fmt.Sprintf("wave %s waits in %s: %s", w.ID, w.Phase, x.Message), Hint: x.Command}
		case w.State != wave.Completed && w.State != wave.RolledBack:
			return Outcome{Exit: ExitFailed, Message: fmt.Sprintf("wave %s is %s in %s %s", w.ID, w.State, w.Phase, w.Error), Hint: "tandem wave show " + w.ID}
		}
	}
	return Outcome{}
}

// None is the request of commands without parameters.
type None struct{}

// WaveRequest names a wave and a decision about it.
type WaveRequest struct {
	ID     string    `json:"id"`
	Verb   wave.Verb `json:"verb,omitempty"`
	Reason string    `json:"reason,omitempty"`
	DryRun bool      `json:"dryRun,omitempty"` // of a rollback: only what it would write

	Fingerprint string `json:"fingerprint,omitempty"` // of an approval: of the differences that the approving person was shown
}

func waveList(ctx context.Context, c *call, _ None) (any, Outcome, error) {
	ws, err := c.h.o.Host().Waves(ctx)
	return viewWaves(ws), Outcome{}, err
}

func viewWaves(ws []wave.Wave) Waves {
	out := Waves{Waves: []Wave{}}
	for _, w := range ws {
		out.Waves = append(out.Waves, waveOf(w))
	}
	return out
}

func waveShow(ctx context.Context, c *call, q WaveRequest) (any, Outcome, error) {
	w, err := c.h.o.Host().Wave(ctx, q.ID)
	return waveOf(w), Outcome{}, err
}

// waveDecide records a person's decision, and drives the wave if it may continue.
func waveDecide(ctx context.Context, c *call, q WaveRequest) (any, Outcome, error) {
	if q.DryRun {
		return c.dryRollback(ctx, q.ID)
	}
	needs := operates
	if q.Verb == wave.Approve {
		needs = approves
	}
	if err := c.may(needs); err != nil {
		return nil, Outcome{}, err
	}
	w, err := c.decide(ctx, q)
	if err != nil {
		return nil, Outcome{}, err
	}
	c.h.decided()
	if q.Verb == wave.Pause || q.Verb == wave.Abort {
		return waveOf(w), Outcome{}, nil
	}
	if w, err = c.drive(ctx, q.ID); err != nil {
		return nil, Outcome{}, err
	}
	return waveOf(w), wavesOutcome([]wave.Wave{w}), nil
}

func (c *call) decide(ctx context.Context, q WaveRequest) (wave.Wave, error) {
	if q.Verb == wave.Approve {
		return c.h.o.Host().ApproveWave(ctx, q.ID, q.Fingerprint, c.by, q.Reason)
	}
	return c.h.o.Host().DecideWave(ctx, q.ID, q.Verb, c.by, q.Reason)
}

// dryRollback returns what would be written if the wave were rolled back now. It refuses what the command itself would refuse.
func (c *call) dryRollback(ctx context.Context, id string) (any, Outcome, error) {
	w, err := c.h.o.Host().Wave(ctx, id)
	if err != nil {
		return nil, Outcome{}, err
	}
	if err := c.h.o.Host().MayDecide(ctx, id, wave.RollBack, c.by); err != nil {
		return nil, Outcome{}, err
	}
	p, err := c.h.o.Host().PreviewRollback(ctx, w)
	counts := plan.Count(p.Writes)
	counts.Unchanged = max(0, p.Objects-counts.Differ())
	return Diff{Engine: p.Engine, Objects: p.Objects, Counts: Counts(counts), Differences: c.differencesOf(p.Writes), PutBack: putBackOf(p.Back), Waiting: p.Waiting}, Outcome{}, err
}

// putBackOf merges the values of one object. They come ordered by object.
func putBackOf(rs []acts.Returned) []Difference {
	var out []Difference
	for i, r := range rs {
		if i == 0 || rs[i-1].Object != r.Object {
			out = append(out, Difference{Object: r.Name, Op: "put back", Attributes: map[string]Change{}})
		}
		out[len(out)-1].Attributes[r.Attribute] = Change{Tenant: plain(r.Now), Wanted: plain(r.Before)}
	}
	return out
}

// drive drives a wave, also through a short soak.
func (c *call) drive(ctx context.Context, id string) (wave.Wave, error) {
	for {
		wake := c.h.next()
		w, err := c.h.o.Host().Drive(ctx, id)
		if err != nil || !soakWait(ctx, w, wake) {
			return w, err
		}
	}
}

// soakWait waits for the rest of a short soak, or for a person's decision. It reports whether to look again.
func soakWait(ctx context.Context, w wave.Wave, wake <-chan struct{}) bool {
	left := w.SoakLeft()
	if w.WaitsFor() != wave.ForSoak || left <= 0 || w.Options.Soak > soakPatience {
		return false
	}
	t := time.NewTimer(left)
	defer t.Stop()
	select {
	case <-t.C:
	case <-wake:
	case <-ctx.Done():
		return false
	}
	return true
}

// next returns a channel that is closed with the next decision.
func (h *Handler) next() <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.wake
}

func (h *Handler) decided() {
	h.mu.Lock()
	defer h.mu.Unlock()
	close(h.wake)
	h.wake = make(chan struct{})
}

// RunRequest is how waves run.
type RunRequest struct {
	Plan        []byte         `json:"plan,omitempty"`  // apply: a plan file's bytes
	File        string         `json:"file,omitempty"`  // … and its name, for messages
	Under       string         `json:"under,omitempty"` // migrate …
	To          string         `json:"to,omitempty"`
	Features    []string       `json:"features,omitempty"`
	Except      []string       `json:"except,omitempty"`
	AutoApprove bool           `json:"autoApprove,omitempty"`
	HoldBefore  string         `json:"holdBefore,omitempty"`
	Soak        *time.Duration `json:"soak,omitempty"` // nil: the default

	AutoComplete bool `json:"autoComplete,omitempty"` // the end of the soak completes the waves
}

// options returns how the waves of a request run. AutoApprove needs the role of approving.
func (c *call) options(q RunRequest) (acts.ApplyOptions, error) {
	if q.AutoApprove {
		if err := c.may(approves); err != nil {
			return acts.ApplyOptions{}, err
		}
	}
	o := acts.ApplyOptions{By: c.by, Options: wave.Options{AutoApprove: q.AutoApprove, HoldBefore: wave.Phase(q.HoldBefore), Soak: wave.DefaultSoak, AutoComplete: q.AutoComplete}}
	if q.HoldBefore != "" && !slices.Contains(wave.Phases()[1:], o.HoldBefore) {
		var names []string
		for _, p := range wave.Phases()[1:] {
			names = append(names, string(p))
		}
		return o, Usage("--hold-before %q is no phase that can be held before (%s)", q.HoldBefore, strings.Join(names, ", "))
	}
	if q.Soak != nil {
		if o.Soak = *q.Soak; o.Soak < 0 {
			return o, Usage("--soak %s is negative", o.Soak)
		}
	}
	return o, nil
}

func apply(ctx context.Context, c *call, q RunRequest) (any, Outcome, error) {
	o, err := c.options(q)
	if err != nil {
		return nil, Outcome{}, err
	}
	p, err := plan.ReadPlan(q.Plan)
	if err != nil {
		return nil, Outcome{}, fmt.Errorf("%s: %w", cmp.Or(q.File, "the plan"), err)
	}
	ws, err := c.applyPlan(ctx, p, o)
	if err != nil {
		return nil, Outcome{}, err
	}
	out := viewWaves(ws)
	if p.Settings != nil {
		out.Changes = p.Settings.Changes
		if cur, err := c.h.o.Host().Partition(); err == nil {
			out.Revision = cur.Revision()
		}
	}
	return out, wavesOutcome(ws), nil
}

// applyPlan runs a plan's waves, through short soaks.
func (c *call) applyPlan(ctx context.Context, p *plan.Plan, o acts.ApplyOptions) ([]wave.Wave, error) {
	for {
		wake := c.h.next()
		ws, err := c.h.o.Host().Apply(ctx, p, o)
		if err != nil || len(ws) == 0 || !soakWait(ctx, ws[len(ws)-1], wake) {
			return ws, err
		}
	}
}

func migrate(ctx context.Context, c *call, q RunRequest) (any, Outcome, error) {
	o, err := c.options(q)
	if err != nil {
		return nil, Outcome{}, err
	}
	if q.Under == "" || q.To == "" {
		return nil, Outcome{}, Usage("migrate needs --under DN and --to ENGINE")
	}
	var fs []scoping.Feature
	for _, f := range q.Features {
		if _, ok := scoping.Row(scoping.Feature(f)); !ok {
			return nil, Outcome{}, Usage("there is no feature %q", f)
		}
		fs = append(fs, scoping.Feature(f))
	}
	wake := c.h.next()
	p, ws, err := c.h.o.Host().Migrate(ctx, q.Under, q.To, fs, q.Except, o)
	if err == nil && len(ws) > 0 && soakWait(ctx, ws[len(ws)-1], wake) {
		ws, err = c.applyPlan(ctx, p, o)
	}
	if err != nil {
		return nil, Outcome{}, err
	}
	return viewWaves(ws), wavesOutcome(ws), nil
}
