// Package supervisor keeps one engine running: it starts its process, configures it, pushes its grants, watches its health,
// and starts a new one, after a growing pause, when it dies.
//
// Each process is one session with a number of its own; nothing from an earlier session counts: acknowledgements are
// forgotten, and calls of an ended session fail with engine.ErrEngineDied. The package decides nothing about ownership.
package supervisor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// The bounds of the pause before an engine that died is started again. It doubles with each failure in a row; a session
// that lived Steady or longer ends the row.
const (
	DefaultPauseMin = 200 * time.Millisecond
	DefaultPauseMax = 30 * time.Second
	DefaultSteady   = time.Minute
)

// The limits of a session's beginning.
const (
	describeLimit  = 10 * time.Second
	configureLimit = 2 * time.Minute // an engine may look at its directories
)

// Liveness: a process is asked each PingEvery whether it answers at all, and one that does not within PingLimit is killed and started again. A run is
// given up, and its process with it, when the engine says nothing for StallLimit: what an engine waits for, a controller or an agent, has a shorter
// deadline of its own.
const (
	DefaultPingEvery  = 10 * time.Second
	DefaultPingLimit  = 30 * time.Second
	DefaultStallLimit = 5 * time.Minute
)

// hopeless is the number of failures in a row from which on callers are told at once instead of waiting.
const hopeless = 3

// ErrNotRunning is the kind of errors for an engine that is closed, refuses its configuration, or fails again and again.
var ErrNotRunning = errors.New("the engine is not running")

// Clock is time as the supervisor sees it.
type Clock interface {
	Now() time.Time
	After(time.Duration) <-chan time.Time
}

// Options say what to supervise. Start is required.
type Options struct {
	Name                             string
	Start                            Starter
	Config                           engine.Config
	Accounts                         []scoping.Purpose // of the directories, that the engine may have; it gets those of them for which it has a feature
	PauseMin                         time.Duration     // 0: the defaults above
	PauseMax                         time.Duration
	Steady                           time.Duration
	PingEvery, PingLimit, StallLimit time.Duration // of liveness
	Clock                            Clock         // nil: the system's
	OnChange                         func(Status)  // called after each change, one call at a time, in order; must not call the supervisor. May be nil
}

// State is what a supervised engine is doing.
type State string

// The states.
const (
	Closed   State = "closed"
	Starting State = "starting"
	Ready    State = "ready"
	Pausing  State = "pausing"  // it failed and will be started again
	Refusing State = "refusing" // it refuses its configuration: another one is needed
)

// Status is everything about a supervised engine at one moment.
type Status struct {
	Name        string
	State       State
	Session     uint64 // number of the present or last session; 0: there was none
	PID         int
	Since       time.Time // of the state
	Failures    int       // in a row
	Err         error     // why the last session failed or ended
	Next        time.Time // when it is started again, in state Pausing
	Restarts    int       // sessions that ended by themselves, or were ended since they did not answer, since Open
	LastErr     error     // why the last of them ended; unlike Err it stays when the next one is ready
	LastEnd     time.Time
	Description engine.Description
	Health      engine.Health
	HealthKnown bool
}

// Supervisor runs one engine. It is safe for use by several goroutines.
type Supervisor struct {
	o       Options
	running map[engine.Stream]chan struct{} // each holds a token while a run of its stream is open

	mu      sync.Mutex
	changed chan struct{} // closed and replaced at each change
	status  Status
	config  engine.Config
	configs int // counts configurations
	grants  []engine.Grant
	pushes  int // counts sets of grants; 0: none was given yet
	acks    map[uint32]engine.Ack
	live    Instance                // nil unless Ready
	doom    context.CancelCauseFunc // ends the present session, which is not to be used any more
	cancel  context.CancelFunc
	ended   chan struct{} // closed when the loop has ended; nil: never opened

	unstopped error // of the last session
}

// New gives a supervisor that is closed.
func New(o Options) *Supervisor {
	if o.PauseMin == 0 {
		o.PauseMin = DefaultPauseMin
	}
	if o.PauseMax == 0 {
		o.PauseMax = DefaultPauseMax
	}
	if o.Steady == 0 {
		o.Steady = DefaultSteady
	}
	o.PingEvery, o.PingLimit, o.StallLimit = cmp.Or(o.PingEvery, DefaultPingEvery), cmp.Or(o.PingLimit, DefaultPingLimit), cmp.Or(o.StallLimit, DefaultStallLimit)
	if o.Clock == nil {
		o.Clock = systemClock{}
	}
	return &Supervisor{o: o, config: o.Config, running: map[engine.Stream]chan struct{}{engine.Objects: make(chan struct{}, 1), engine.Passwords: make(chan struct{}, 1)}, changed: make(chan struct{}),
		status: Status{Name: o.Name, State: Closed, Since: o.Clock.Now()}}
}

type systemClock struct{}

func (systemClock) Now() time.Time                         { return time.Now() }
func (systemClock) After(d time.Duration) <-chan time.Time { return time.After(d) }

// Open starts the engine and waits until its first session is ready or has failed; then it gives that failure, and the
// engine is started again all the same. ctx bounds the waiting alone. After Close a supervisor can be opened again.
func (s *Supervisor) Open(ctx context.Context) error {
	s.mu.Lock()
	if s.cancel != nil {
		s.mu.Unlock()
		return fmt.Errorf("engine %s is supervised already", s.o.Name)
	}
	life, cancel := context.WithCancel(context.Background())
	s.cancel, s.ended = cancel, make(chan struct{})
	s.mu.Unlock()
	s.change(func(st *Status) { st.State, st.Failures, st.Err = Starting, 0, nil })
	go s.loop(life, s.ended)
	return s.wait(ctx, func() (bool, error) {
		st := s.status
		if st.State == Pausing || st.State == Refusing {
			return true, st.Err
		}
		return st.State == Ready, nil
	})
}

// Close ends the engine, with grace and then by force (plugin.StopGrace), and returns when nothing of it is left.
func (s *Supervisor) Close() error {
	s.mu.Lock()
	cancel, ended := s.cancel, s.ended
	s.mu.Unlock()
	if cancel == nil {
		return nil
	}
	cancel()
	<-ended
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cancel = nil
	err := s.unstopped
	s.unstopped = nil
	return err
}

// Status gives the present status.
func (s *Supervisor) Status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.status
}

// change changes the status and tells everybody.
func (s *Supervisor) change(f func(*Status)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changeLocked(f)
}

func (s *Supervisor) changeLocked(f func(*Status)) {
	before := s.status.State
	f(&s.status)
	if s.status.State != before {
		s.status.Since = s.o.Clock.Now()
	}
	close(s.changed)
	s.changed = make(chan struct{})
	if s.o.OnChange != nil {
		s.o.OnChange(s.status)
	}
}

// wait calls done, under the lock, after each change until it says true.
func (s *Supervisor) wait(ctx context.Context, done func() (bool, error)) error {
	for {
		s.mu.Lock()
		ok, err := done()
		changed := s.changed
		s.mu.Unlock()
		if ok || err != nil {
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("waiting for engine %s: %w", s.o.Name, context.Cause(ctx))
		}
	}
}

// Engine gives the engine of the present session, with the session's number. It waits while the engine starts, and through
// a pause unless the engine failed several times in a row; then it fails with ErrNotRunning and the last failure.
func (s *Supervisor) Engine(ctx context.Context) (e engine.Engine, session uint64, err error) {
	err = s.wait(ctx, func() (bool, error) {
		st := s.status
		switch {
		case s.ready():
			e, session = s.live.Engine(), st.Session
			return true, nil
		case st.State == Closed, st.State == Refusing, st.Failures >= hopeless:
			return true, fmt.Errorf("engine %s: %w: it is %s; last failure: %w", s.o.Name, ErrNotRunning, st.State, orNone(st.Err))
		}
		return false, nil
	})
	return e, session, err
}

// ready says, under the lock, that there is a session and its engine is not known to have ended.
func (s *Supervisor) ready() bool { return s.live != nil && s.live.Err() == nil }

func orNone(err error) error {
	if err == nil {
		return errors.New("none")
	}
	return err
}

// Run makes one run: see engine.Drive. Runs of one stream of an engine follow one another: a second one waits for the first, so c must not
// start one. An engine that dies ends the run with engine.ErrEngineDied; the next run has a new session.
func (s *Supervisor) Run(ctx context.Context, r engine.RunRequest, c engine.Conversation) ([]engine.RunReport, error) {
	select {
	case s.running[r.Stream] <- struct{}{}:
		defer func() { <-s.running[r.Stream] }()
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting for the running run of engine %s: %w", s.o.Name, context.Cause(ctx))
	}
	e, session, err := s.Engine(ctx)
	if err != nil {
		return nil, err
	}
	ctx, w, end := s.watchRun(ctx, session)
	defer end()
	reports, err := engine.Drive(ctx, e, r, w.overhear(c))
	if err != nil {
		return reports, fmt.Errorf("engine %s: %w", s.o.Name, err)
	}
	return reports, nil
}

// Configure gives the engine another configuration and waits for its verdict. A refused one (*engine.ConfigError) changes
// nothing for a running engine. An engine that is not running is started with it.
func (s *Supervisor) Configure(ctx context.Context, c engine.Config) error {
	s.mu.Lock()
	live := s.live
	s.mu.Unlock()
	if live != nil {
		if err := live.Engine().Configure(ctx, c.For(s.Status().Description, s.o.Accounts)); err != nil {
			return fmt.Errorf("configuring engine %s: %w", s.o.Name, err)
		}
	}
	s.mu.Lock()
	s.config = c
	s.configs++
	closed := s.status.State == Closed
	if !closed && live == nil {
		s.changeLocked(func(st *Status) { st.State, st.Failures = Starting, 0 })
	}
	s.mu.Unlock()
	if closed || live != nil {
		return nil
	}
	return s.wait(ctx, func() (bool, error) {
		st := s.status
		if st.State == Pausing || st.State == Refusing || st.State == Closed {
			return true, st.Err
		}
		return st.State == Ready, nil
	})
}

// SetGrants replaces the engine's grants. They are pushed to the present session and to each later one.
func (s *Supervisor) SetGrants(grants []engine.Grant) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.grants = slices.Clone(grants)
	s.pushes++
	maps.DeleteFunc(s.acks, func(id uint32, _ engine.Ack) bool {
		return !slices.ContainsFunc(grants, func(g engine.Grant) bool { return g.ID == id })
	})
	s.changeLocked(func(*Status) {})
}

// AwaitGrants waits until the present session has acknowledged every grant, at its epoch, as in force, and as idle where it
// takes the right to write away. It fails
// when the engine reports that a grant cannot be put in force.
func (s *Supervisor) AwaitGrants(ctx context.Context) error {
	return s.wait(ctx, func() (bool, error) {
		if s.status.State == Closed {
			return true, fmt.Errorf("engine %s: %w", s.o.Name, ErrNotRunning)
		}
		all := s.ready()
		for _, g := range s.grants {
			a, ok := s.acks[g.ID]
			ok = ok && a.Epoch == g.Epoch
			if ok && a.Err != "" {
				return true, fmt.Errorf("engine %s cannot put grant %d of epoch %s in force: %s", s.o.Name, g.ID, g.Epoch, a.Err)
			}
			all = all && ok && a.InForce && (a.Idle || g.Mode == engine.ModeOwn) // who may write need not be idle
		}
		return all, nil
	})
}

// Acks gives what the present session has acknowledged, by grant.
func (s *Supervisor) Acks() map[uint32]engine.Ack {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.acks)
}
