// Package acts carries out what the pure steps of package wave decide: it drives waves, performs their acts over the other rooms, and keeps people's
// decisions about them. Control holds the durable part of a wave; a Driver holds what ends with the process: which call drives a wave, its freeze,
// and the time of the last look at a soaking one.
//
// Any number of waves may be driven at once, each by one call. After a crash at any point Unfinished lists the waves to continue.
package acts

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/census"
	"github.com/tandem-sync/tandem/orchestrator/control"
	"github.com/tandem-sync/tandem/orchestrator/gate"
	"github.com/tandem-sync/tandem/orchestrator/objects"
	"github.com/tandem-sync/tandem/orchestrator/plan"
	"github.com/tandem-sync/tandem/orchestrator/problem"
	"github.com/tandem-sync/tandem/orchestrator/run"
	"github.com/tandem-sync/tandem/orchestrator/tenancy"
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/orchestrator/wave"
	"github.com/tandem-sync/tandem/scoping"
	"github.com/tandem-sync/tandem/state"
)

// Options are what a Driver is made of. Progress, Patience and Without may be left out.
type Options struct {
	Gate    *gate.Gate
	Census  *census.Census
	Cache   *cloud.Cache
	Control *control.Control
	View    *objects.View
	Run     *run.Runner
	Plan    *plan.Planner
	Tenancy *tenancy.Tenancy
	Engines run.Engines
	Log     state.Log
	Clock   gate.Clock
	Steady  func() int64 // the time in ms on the scale by which the ledger dates writes
	// Look reads what changed in the directories; a directory that cannot be read is an error.
	Look func(context.Context) error
	// Save stores what is slow to compute again.
	Save func(context.Context) error
	// Room makes sure that engines can write what a rollback needs on a full disk.
	Room     func() error
	Patience time.Duration // how long a command waits inside a phase that ends by itself
	Progress func(run.Progress)
	Without  gate.Safeguard // for simulations only
}

// Driver drives waves. It is safe for concurrent use.
type Driver struct {
	o Options

	mu       sync.Mutex
	turns    map[string]chan struct{} // one driver per wave
	frozen   map[string]freeze
	orphaned map[string]bool      // waves that were running when this host began to serve
	soaking  map[string]time.Time // time of the last look at each
}

// freeze is the freeze of a wave.
type freeze struct {
	*gate.Frozen
	at time.Time
}

// New makes a driver.
func New(o Options) *Driver {
	return &Driver{o: o, turns: map[string]chan struct{}{}, frozen: map[string]freeze{}, soaking: map[string]time.Time{}}
}

func (d *Driver) progress(p run.Progress) {
	if d.o.Progress != nil {
		d.o.Progress(p)
	}
}

// ApplyOptions are how waves run.
type ApplyOptions struct {
	wave.Options
	By string
}

// Apply puts in force what a plan's policy changes besides owners, begins the plan's waves and runs them one after the other; repeated, it resumes
// them. It stops at the first wave that waits.
func (d *Driver) Apply(ctx context.Context, p *plan.Plan, o ApplyOptions) ([]wave.Wave, error) {
	if len(p.Waves) == 0 && p.Settings == nil {
		return nil, nil
	}
	if err := d.o.Plan.Begin(ctx, p, o.By, o.Options); err != nil {
		return nil, err
	}
	var out []wave.Wave
	for _, pw := range p.Waves {
		w, err := d.Drive(ctx, pw.ID)
		if err != nil {
			return append(out, w), err
		}
		out = append(out, w)
		if !w.State.Over() {
			return out, nil
		}
		if w.State != wave.Completed {
			return out, fmt.Errorf("%w: wave %s is %s; plan again", problem.ErrStalePlan, w.ID, w.State)
		}
	}
	return out, nil
}

// Migrate plans and applies the hand-over of one subtree to an engine.
func (d *Driver) Migrate(ctx context.Context, under, to string, features []scoping.Feature, except []string, o ApplyOptions) (*plan.Plan, []wave.Wave, error) {
	target, err := d.o.Plan.TargetFor(ctx, under, to, features, except)
	if err != nil {
		return nil, nil, err
	}
	p, err := d.o.Plan.Plan(ctx, plan.PlanOptions{Target: target, AllowRevert: true})
	if err != nil {
		return nil, nil, err
	}
	ws, err := d.Apply(ctx, p, o)
	return p, ws, err
}

// Drive runs a wave until it is over or waits.
func (d *Driver) Drive(ctx context.Context, id string) (wave.Wave, error) {
	return d.DriveUntil(ctx, id, "")
}

// DriveUntil is Drive that also ends before entering a phase.
func (d *Driver) DriveUntil(ctx context.Context, id string, stopAt wave.Phase) (wave.Wave, error) {
	end, err := d.turn(ctx, id)
	if err != nil {
		return wave.Wave{}, err
	}
	defer end()
	defer d.thaw(id)
	w, err := wave.Drive(ctx, &executor{d: d}, id, stopAt)
	if err != nil {
		return w, err
	}
	return w, d.o.Save(spacious(ctx, w))
}

// turn waits until the wave is not driven by another call, and reserves it until end is called.
func (d *Driver) turn(ctx context.Context, id string) (end func(), err error) {
	t := d.turnOf(id)
	select {
	case t <- struct{}{}:
		return func() { <-t }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// Unfinished returns the waves that continue by themselves under a serving host. first is set for the look when serving begins: each wave that is
// running then has lost its driver, in whatever phase, and continues until it waits or is over. Of waves that lose their driver later only those
// count that have cut over: before that, the person who drove it stopped it or saw it fail, and repeats the command.
func (d *Driver) Unfinished(ctx context.Context, first bool) ([]string, error) {
	ws, err := d.Waves(ctx)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	found := map[string]bool{}
	var ids []string
	for _, w := range ws {
		if !goesOn(w, d.o.Clock.Now()) {
			continue
		}
		if found[w.ID] = first || d.orphaned[w.ID]; found[w.ID] || beyondCutover(w) {
			ids = append(ids, w.ID)
		}
	}
	d.orphaned = found // those that wait for a person by now do not count any more
	return ids, nil
}

// goesOn reports whether a wave can continue without a person: it is running, or waits for something that time may end.
func goesOn(w wave.Wave, now time.Time) bool { return w.State == wave.Running || w.Due(now) }

// beyondCutover reports whether a wave has cut over or is being rolled back: the tenant is between two engines' values until it continues.
func beyondCutover(w wave.Wave) bool {
	switch w.Phase {
	case wave.CatchUp, wave.Soak, wave.Complete, wave.RollbackFreeze, wave.RollbackEvaluate, wave.RollbackRestore:
		return true
	}
	return false
}

// TakeUp continues a wave until it is over or waits. A wave that is being driven, or waits for a person, is left alone.
func (d *Driver) TakeUp(ctx context.Context, id string) error {
	end, free := d.tryTurn(id)
	if !free {
		return nil
	}
	defer end()
	defer d.thaw(id)
	w, err := d.Wave(ctx, id)
	if err != nil || !goesOn(w, d.o.Clock.Now()) {
		return err
	}
	if w, err = wave.Drive(ctx, &executor{d: d}, id, ""); err != nil {
		return err
	}
	return d.o.Save(spacious(ctx, w))
}

// tryTurn is turn without waiting.
func (d *Driver) tryTurn(id string) (end func(), ok bool) {
	t := d.turnOf(id)
	select {
	case t <- struct{}{}:
		return func() { <-t }, true
	default:
		return nil, false
	}
}

// turnOf returns the channel that holds a token while a wave is driven.
func (d *Driver) turnOf(id string) chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.turns[id] == nil {
		d.turns[id] = make(chan struct{}, 1)
	}
	return d.turns[id]
}
