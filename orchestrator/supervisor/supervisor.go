// Package supervisor keeps one engine running: it starts its process, configures it, pushes its grants, watches its health, and starts it again, after a growing pause, when the
// process ends.
//
// The orchestrator makes one [Supervisor] for each engine when it opens ([New]), opens it when the engine is first needed ([Supervisor.Open]), and closes it at the end. In
// between, all methods may be called by several goroutines at once; only runs of one stream wait for each other ([Supervisor.Run]).
//
// Each process is one session with a number. Nothing of an earlier session counts: its acknowledgements are forgotten, and its calls fail with engine.ErrEngineDied. The package
// decides nothing about ownership.
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

// The bounds of the pause before an engine is started again. It doubles with each failure in a row; a session that lasted Steady or longer ends the row.
const (
	DefaultPauseMin = 200 * time.Millisecond
	DefaultPauseMax = 30 * time.Second
	DefaultSteady   = time.Minute
)

// The limits of a session's beginning.
const (
	describeLimit  = 10 * time.Second
	configureLimit = 2 * time.Minute // an engine may connect to its directories
)

// Liveness. A process is pinged every PingEvery; if it does not answer within PingLimit, it is killed and started again. If an engine is silent in a run for StallLimit, the run and
// the process are ended: everything that an engine waits for, such as a controller or an agent, has a shorter deadline.
const (
	DefaultPingEvery  = 10 * time.Second
	DefaultPingLimit  = 30 * time.Second
	DefaultStallLimit = 5 * time.Minute
)

// hopeless is the number of failures in a row from which on callers get an error at once instead of waiting.
const hopeless = 3

// ErrNotRunning is the kind of errors for an engine that is closed, refuses its configuration, or failed several times in a row.
var ErrNotRunning = errors.New("the engine is not running")

// Clock is the supervisor's clock.
type Clock interface {
	Now() time.Time
	After(time.Duration) <-chan time.Time
}

// Options are the parts of a Supervisor. Start is required.
type Options struct {
	Name                             string
	Start                            Starter
	Config                           engine.Config
	Accounts                         []scoping.Purpose // the directories' accounts that the engine may have; it gets those for which it has a feature
	PauseMin                         time.Duration     // 0: the defaults above
	PauseMax                         time.Duration
	Steady                           time.Duration
	PingEvery, PingLimit, StallLimit time.Duration // of liveness
	Clock                            Clock         // nil: the system's
	OnChange                         func(Status)  // called after each change, one call at a time and in order; it must not call the supervisor. May be nil
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

// Status describes a supervised engine at one moment.
type Status struct {
	Name        string
	State       State
	Session     uint64 // number of the present or last session; 0: there was none
	PID         int
	Since       time.Time // of the state
	Failures    int       // in a row
	Err         error     // why the last session failed or ended
	Next        time.Time // when it is started again, in state Pausing
	Restarts    int       // since Open, sessions that ended by themselves or because they did not answer
	LastErr     error     // why the last of them ended; unlike Err it stays when the next session is ready
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
	pushes  int // counts calls of SetGrants
	acks    map[uint32]engine.Ack
	live    Instance                // nil unless Ready
	end     context.CancelCauseFunc // ends the present session; nil unless Ready
	cancel  context.CancelFunc
	ended   chan struct{} // closed when the loop has ended; nil: never opened

	unstopped error // of the last session
}

// New returns a supervisor that is closed.
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

// Open starts the engine and waits until its first session is ready or has failed. It returns that failure; the engine is started again all the same. ctx bounds only the
// waiting. After Close a supervisor may be opened again.
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

// Close stops the engine, by force if it does not end within plugin.StopGrace, and returns when its process and all goroutines have ended.
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

// Status returns the present status.
func (s *Supervisor) Status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.status
}

// change changes the status and wakes all that wait.
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

// wait calls done, with mu held, now and after each change, until it returns true or an error.
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

// Engine returns the engine of the present session, and the session's number. It waits while the engine starts, and during a pause unless the engine has failed several times
// in a row. Otherwise it fails with ErrNotRunning and the last failure.
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

// ready reports whether there is a session whose engine is not known to have ended. mu must be held.
func (s *Supervisor) ready() bool { return s.live != nil && s.live.Err() == nil }

func orNone(err error) error {
	if err == nil {
		return errors.New("none")
	}
	return err
}

// Run makes one run, see engine.Drive. A run waits for the end of another one of the same stream, so c must not start one. If the engine's process ends, the run fails with
// engine.ErrEngineDied, and the next run has a new session.
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

// Configure sends the engine another configuration and waits until it accepts or refuses it. A running engine that refuses it (*engine.ConfigError) keeps the old one. An open
// engine that is not running is started with it; a closed one gets it when it is opened.
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

// AwaitGrants waits until the present session has acknowledged every grant, at its epoch, as in force, and as idle if the grant does not permit writing. It fails if the engine
// reports that a grant cannot be put in force.
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
			all = all && ok && a.InForce && (a.Idle || g.Mode == engine.ModeOwn)
		}
		return all, nil
	})
}

// Acks returns the acknowledgements of the present session, by grant.
func (s *Supervisor) Acks() map[uint32]engine.Ack {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.acks)
}
