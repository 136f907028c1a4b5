// Package cloudsync is the Cloud-Sync-style engine: a provisioning service, which is this package, and light agents next to the
// domain controllers (package agent), which dial out to it.
//
// The service keeps one job per directory: a watermark (DirSync cookie and the controller that gave it), the shape of the
// directory (which container each object lies in) and what still has to be proposed. It keeps no values: what changed is
// read anew, whole, through an agent. A run has two passes. The first lists what changed since the watermark, or everything;
// what has to be proposed is stored in the same transaction as the new watermark (rule P3). The second reads those objects
// and proposes them, base features first, references after all of them; what the host has decided is struck off.
//
// An agent that dies in the middle of an answer costs nothing: the request goes to another agent as a whole. The service
// refuses to run when fewer agents are live than the settings demand.
//
// The engine writes nothing anywhere but to its own folder, and passwords into the directory by one agent, each with a permit of the host. It never
// deletes or moves anything in the tenant by itself: it proposes, and does not know whether it owns a scope or shadows it.
package cloudsync

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
	"github.com/tandem-sync/tandem/state"
)

// Version is the engine's version, told in its Description.
const Version = "1.0.0"

// features are what the engine synchronizes. Whether the tenant takes them is not its business (rule J4).
var features = []scoping.Feature{scoping.Users, scoping.Groups, scoping.Contacts, scoping.References, scoping.Extensions, scoping.PasswordHash}

// delivers are what it writes into directories.
var delivers = []scoping.Feature{scoping.PasswordWriteback, scoping.UserProvisioning, scoping.GroupProvisioning}

// errUnconfigured is what everything answers that needs a configuration.
var errUnconfigured = errors.New("the engine has no configuration yet")

// Options are what an engine may be given. The zero value works.
type Options struct {
	Logger *slog.Logger                                          // nil: silent
	Open   func(ctx context.Context, path string) (Store, error) // nil: an index file of package state
	Now    func() time.Time                                      // nil: time.Now
	// After gives a channel that gets a value in d, and what stops it. Deadlines of agents and their probes use it. Nil: the
	// machine's timers.
	After func(d time.Duration) (fires <-chan time.Time, stop func())
}

// Engine is the Cloud-Sync-style engine. It implements engine.Engine. Runs follow one another; everything else may be called
// at any time. Close ends it.
type Engine struct {
	engine.Unimplemented
	options Options
	log     *slog.Logger

	turn chan struct{} // holds one token: a run, a trace or a change of configuration takes it

	mu      sync.Mutex
	config  engine.Config
	service *service
	grants  []engine.Grant
	running bool

	delivered engine.Once
	news      chan struct{} // closed and replaced when health or running changes
}

var _ engine.Engine = (*Engine)(nil)

// New gives an engine that waits for its configuration.
func New(o Options) *Engine {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Open == nil {
		o.Open = openIndex
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.After == nil {
		o.After = afterReal
	}
	e := &Engine{options: o, log: o.Logger, turn: make(chan struct{}, 1), news: make(chan struct{})}
	e.turn <- struct{}{}
	return e
}

// Describe says what the engine is and can do.
func (e *Engine) Describe(context.Context) (engine.Description, error) {
	writes := defaultSchema().writes()
	maps.Copy(writes, provisionedAttributes())
	return engine.Description{Kind: "cloudsync", Version: Version, Contract: engine.ContractVersion,
		Features: slices.Concat(features, provisions), Writes: writes, Reads: defaultSchema().reads(), CanShadow: true, Release: "clean", Delivers: slices.Clone(delivers),
		Verbs: []string{"agents", "invite", "remove", "trace", "provision-on-demand", "save", "load"}}, nil
}

// Configure takes a configuration, or refuses it with every mistake at once; the one before then stays in force. It waits for
// a run to end. When it returns, the port is open and embedded agents are dialling in.
func (e *Engine) Configure(ctx context.Context, c engine.Config) error {
	s, problems := mistakes(c)
	if len(problems) > 0 {
		return &engine.ConfigError{Problems: problems}
	}
	if err := e.acquire(ctx); err != nil {
		return err
	}
	defer e.release()
	if err := os.MkdirAll(c.DataDir, 0o700); err != nil {
		return fmt.Errorf("make the engine's folder: %w", err)
	}
	before := e.current()
	if before != nil {
		e.install(nil, engine.Config{})
		before.close() // the port and the index have one user at a time
	}
	next, err := e.openService(ctx, c, s)
	if err != nil {
		if before == nil {
			return err
		}
		return errors.Join(err, e.restore(ctx, before))
	}
	e.install(next, c)
	return nil
}

// restore brings the configuration back that was in force before one that could not be put in force.
func (e *Engine) restore(ctx context.Context, before *service) error {
	again, err := e.openService(ctx, before.config, before.settings)
	if err != nil {
		return fmt.Errorf("and the earlier configuration cannot be restored: %w", err)
	}
	e.install(again, before.config)
	return nil
}

func (e *Engine) openService(ctx context.Context, c engine.Config, s settings) (*service, error) {
	path := filepath.Join(c.DataDir, "directories")
	store, err := e.options.Open(ctx, path)
	if errors.Is(err, state.ErrDamaged) {
		err = fmt.Errorf("%w: remove the folder %s, all of it is read anew from the directories", err, path)
	}
	if err != nil {
		return nil, fmt.Errorf("open what is kept of the directories: %w", err)
	}
	next, err := startService(ctx, c, s, store, e.log, clock{e.options.Now, e.options.After}, e.changed)
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	return next, nil
}

func (e *Engine) install(s *service, c engine.Config) {
	e.mu.Lock()
	e.service, e.config = s, c
	e.mu.Unlock()
	e.changed()
}

func (e *Engine) current() *service {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.service
}

// changed wakes everything that watches the engine's state.
func (e *Engine) changed() {
	e.mu.Lock()
	defer e.mu.Unlock()
	close(e.news)
	e.news = make(chan struct{})
}

// Close waits for a run to end, and ends the service: the port, the agents' lines, embedded agents, the index.
func (e *Engine) Close() error {
	<-e.turn
	defer e.release()
	s := e.current()
	if s == nil {
		return nil
	}
	e.install(nil, engine.Config{})
	return s.close()
}

func (e *Engine) acquire(ctx context.Context) error {
	select {
	case <-e.turn:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (e *Engine) release() { e.turn <- struct{}{} }

// Grants takes each complete set of grants and acknowledges it. A gated engine has nothing to put in force; a grant is idle
// once no run that began under an earlier set is left, and is acknowledged again then.
func (e *Engine) Grants(ctx context.Context, in <-chan []engine.Grant, out chan<- engine.Ack) error {
	var busy []engine.Grant // acknowledged while a run was on
	for {
		e.mu.Lock()
		running, news := e.running, e.news
		e.mu.Unlock()
		if !running && len(busy) > 0 {
			if err := acknowledge(ctx, busy, true, out); err != nil {
				return err
			}
			busy = nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-news:
		case set, open := <-in:
			if !open {
				return nil
			}
			e.mu.Lock()
			e.grants = slices.Clone(set)
			running = e.running
			e.mu.Unlock()
			if err := acknowledge(ctx, set, !running, out); err != nil {
				return err
			}
			busy = nil
			if running {
				busy = slices.Clone(set)
			}
		}
	}
}

func acknowledge(ctx context.Context, set []engine.Grant, idle bool, out chan<- engine.Ack) error {
	for _, g := range set {
		select {
		case out <- engine.Ack{Grant: g.ID, Epoch: g.Epoch, InForce: true, Idle: idle}:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// Health pushes the engine's state, at once and on each change.
func (e *Engine) Health(ctx context.Context, out chan<- engine.Health) error {
	var last *engine.Health
	for {
		e.mu.Lock()
		s, news := e.service, e.news
		e.mu.Unlock()
		h := engine.Health{Message: errUnconfigured.Error()}
		if s != nil {
			h = s.health()
		}
		if last == nil || !sameHealth(*last, h) {
			select {
			case out <- h:
			case <-ctx.Done():
				return ctx.Err()
			}
			last = &h
		}
		select {
		case <-news:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Run does one run: all directories of the request, one after the other, with a report for each.
func (e *Engine) Run(ctx context.Context, r engine.RunRequest, in <-chan []engine.Decision, out chan<- engine.RunEvent) error {
	if r.Stream == engine.Passwords {
		if s := e.current(); s != nil {
			return s.passwords(ctx, r, in, out)
		}
		return errUnconfigured
	}
	if err := e.acquire(ctx); err != nil {
		return err
	}
	defer e.release()
	e.mu.Lock()
	s := e.service
	grants := slices.DeleteFunc(slices.Clone(e.grants), func(g engine.Grant) bool { return g.Mode == engine.ModeNone })
	e.running = true
	e.mu.Unlock()
	defer func() {
		e.mu.Lock()
		e.running = false
		e.mu.Unlock()
		e.changed()
	}()
	if s == nil {
		return errUnconfigured
	}
	return s.run(ctx, r, grants, in, out)
}
