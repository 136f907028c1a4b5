package orchestrator

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/gate"
	"github.com/tandem-sync/tandem/orchestrator/problem"
	"github.com/tandem-sync/tandem/orchestrator/run"
	"github.com/tandem-sync/tandem/orchestrator/schedule"
	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/state"
)

// defaultSchedule contains the schedules of the products on which the engines are modelled.
var defaultSchedule = map[string]time.Duration{KindConnect: 30 * time.Minute, KindCloudSync: 2 * time.Minute, KindExternal: 30 * time.Minute}

// RunSchedules runs engines when they are due, goes on with waves that no command drives, and sends notifications. It returns nil when ctx has ended, or the error that makes the
// state unusable, after which the process has to be started again. When it returns, every loop has ended.
func (x *Orchestrator) RunSchedules(ctx context.Context) error {
	var engines []schedule.Engine
	for _, e := range x.config.Engines {
		engines = append(engines, schedule.Engine{Name: e.Name, Every: every(e), Passwords: min(every(e), passwordsEvery)})
	}
	ctx, end := context.WithCancel(ctx)
	var beside sync.WaitGroup
	beside.Go(func() { x.watch(ctx) })
	beside.Go(func() { x.notifier.Run(ctx) })
	err := x.loops.Run(ctx, engines)
	end()
	beside.Wait()
	return err
}

// Loops returns the present state of the loops of RunSchedules; empty: this process does not run it.
func (x *Orchestrator) Loops() []schedule.Loop { return x.loops.Loops() }

// Standing returns a sentence for each stalled loop.
func (x *Orchestrator) Standing() []string { return x.loops.Standing() }

// passwordsEvery is the longest pause between two looks for changed passwords: Microsoft's engines look every two minutes (Entra documentation, "How password hash synchronization
// works").
const passwordsEvery = 2 * time.Minute

func every(e EngineConfig) time.Duration {
	if e.Schedule > 0 {
		return e.Schedule
	}
	return defaultSchedule[e.Kind]
}

// defaultFull is how old an engine's last full run may become until its schedule makes another.
const defaultFull = 7 * 24 * time.Hour

func (x *Orchestrator) fullEvery(name string) time.Duration {
	for _, e := range x.config.Engines {
		if e.Name == name && e.FullSchedule > 0 {
			return e.FullSchedule
		}
	}
	return defaultFull
}

// progress passes progress on to the options' function, and notes it for the loop that makes it.
func (x *Orchestrator) progress(p run.Progress) {
	if p.Engine != "" {
		x.loops.Beat(schedule.EngineLoop(p.Engine))
		x.loops.Beat(schedule.PasswordsLoop(p.Engine))
	}
	if p.Wave != "" {
		x.loops.Beat(schedule.WaveLoop(p.Wave))
	}
	if x.options.Progress != nil {
		x.options.Progress(p)
	}
}

// scheduled is the work of the schedules.
type scheduled struct{ x *Orchestrator }

var _ schedule.Work = scheduled{}

// errIncomplete makes a run that ended without error count as a failure of its loop.
var errIncomplete = errors.New("the run was not complete")

// Run implements schedule.Work.
func (s scheduled) Run(ctx context.Context, name string) error {
	r, err := s.x.host.Sync(ctx, name, run.SyncOptions{FullEvery: s.x.fullEvery(name)})
	if err == nil {
		var p run.Report
		p, err = s.x.host.Provision(ctx, name, run.SyncOptions{})
		r = r.And(p)
	}
	switch {
	case errors.Is(err, problem.ErrNoPolicy):
		return nil // there is nothing to do yet
	case ctx.Err() != nil:
		return err
	case err != nil:
		s.x.log.Error("a scheduled run failed", "engine", name, "error", err)
		return err
	}
	s.x.log.Info("run", "engine", name, "read", r.Read, "applied", r.Applied, "held", r.Held, "failed", r.Failed)
	if err := s.x.JournalAgents(ctx, name); err != nil && ctx.Err() == nil { // the next run tries again
		s.x.log.Error("the journal of agents", "engine", name, "error", err)
	}
	if !r.Complete {
		return fmt.Errorf("%w: %s", errIncomplete, r.FirstProblem())
	}
	return nil
}

// Passwords implements schedule.Work. It does nothing for an engine that owns no passwords.
func (s scheduled) Passwords(ctx context.Context, name string) error {
	if !s.x.host.HandsOver(name) {
		return nil
	}
	r, err := s.x.host.Passwords(ctx, name, run.SyncOptions{FullEvery: s.x.fullEvery(name)})
	switch {
	case ctx.Err() != nil:
		return err
	case err != nil:
		s.x.log.Error("passwords could not be handed over", "engine", name, "error", err)
		return err
	}
	s.x.log.Info("passwords", "engine", name, "read", r.Read, "applied", r.Applied, "failed", r.Failed)
	if !r.Complete {
		return fmt.Errorf("%w: %s", errIncomplete, r.FirstProblem())
	}
	return nil
}

// Writeback implements schedule.Work.
func (s scheduled) Writeback(ctx context.Context) error {
	err := s.x.host.SetPasswords().Poll(ctx)
	if err != nil && ctx.Err() == nil {
		s.x.log.Error("changed passwords could not be asked for", "error", err)
	}
	return err
}

// Waves implements schedule.Work.
func (s scheduled) Waves(ctx context.Context, first bool) ([]string, error) {
	if left := s.x.store.Control.Tenure().Remaining(); left <= 0 {
		return nil, state.ErrTenureLost
	}
	ids, err := s.x.host.Unfinished(ctx, first)
	if err != nil && ctx.Err() == nil {
		s.x.log.Error("reading the waves", "error", err)
	}
	return ids, err
}

// rightsLimit bounds the check of one directory. If an account sees no deleted object, the controller searches everything that it has.
const rightsLimit = 5 * time.Minute

// Rights implements schedule.Work. Without the right to see deleted objects every delete waits, and nothing else would report why.
func (s scheduled) Rights(ctx context.Context) error {
	conns, err := s.x.connections()
	if err != nil {
		return err
	}
	var failed []error
	for _, d := range s.x.config.Directories {
		err := seesDeleted(ctx, conns[d.Name])
		if err != nil && !errors.Is(err, directory.ErrNotPermitted) && !errors.Is(err, directory.ErrUnproven) {
			failed = append(failed, err) // the directory did not answer
			continue
		}
		s.x.host.SawDeleted(d.Name, err)
		if errors.Is(err, directory.ErrNotPermitted) && ctx.Err() == nil {
			s.x.log.Error("no delete can be proved", "directory", d.Name, "error", err)
		}
	}
	return errors.Join(failed...)
}

func seesDeleted(ctx context.Context, c directory.Connection) error {
	ctx, cancel := context.WithTimeout(ctx, rightsLimit)
	defer cancel()
	s, err := directory.Dial(ctx, c)
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	return s.CanSeeDeleted(ctx)
}

// TakeUp implements schedule.Work.
func (s scheduled) TakeUp(ctx context.Context, id string) error {
	err := s.x.host.TakeUp(ctx, id)
	if err != nil && ctx.Err() == nil {
		s.x.log.Error("a wave could not go on", "wave", id, "error", err)
	}
	return err
}

// Ends implements schedule.Work.
func (s scheduled) Ends(err error) bool {
	for _, over := range []error{state.ErrClosed, state.ErrBroken, state.ErrTenureLost, gate.ErrNotOpen, problem.ErrState} {
		if errors.Is(err, over) {
			return true
		}
	}
	return false
}
