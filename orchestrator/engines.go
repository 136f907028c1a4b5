package orchestrator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/answer"
	"github.com/tandem-sync/tandem/orchestrator/problem"
	"github.com/tandem-sync/tandem/orchestrator/provisioning"
	"github.com/tandem-sync/tandem/orchestrator/run"
	"github.com/tandem-sync/tandem/orchestrator/supervisor"
	"github.com/tandem-sync/tandem/orchestrator/writeback"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/plugins/engine/plugin"
	"github.com/tandem-sync/tandem/scoping"
	"github.com/tandem-sync/tandem/state"
)

// engines are the configured engines, each with its supervisor. A process is started when it is first needed.
type engines struct {
	names []string
	all   map[string]*supervised

	mu   sync.Mutex
	desc map[string]engine.Description
}

type supervised struct {
	*supervisor.Supervisor
	settings []byte // as JSON
	saved    string // the file that a restored backup left with what the engine had asked to save

	mu     sync.Mutex
	open   bool
	failed error // of the first start, until a caller was told
	loaded bool  // the engine got the content of saved, or there was none
}

var (
	_ run.Engines       = (*engines)(nil)
	_ writeback.Engines = (*engines)(nil)

	_ provisioning.Engines = (*engines)(nil)
)

func newEngines(c *Config, dirs []engine.Directory, o Options) (*engines, error) {
	e := &engines{all: map[string]*supervised{}, desc: map[string]engine.Description{}}
	for _, ec := range c.Engines {
		settings, err := json.Marshal(ec.Settings)
		if err != nil {
			return nil, fmt.Errorf("settings of engine %s: %w", ec.Name, err)
		}
		data := filepath.Join(o.StateDir, enginesDir, ec.Name)
		if err := os.MkdirAll(data, 0o700); err != nil {
			return nil, fmt.Errorf("making the folder of engine %s: %w", ec.Name, err)
		}
		if string(settings) == "null" {
			settings = []byte("{}")
		}
		conf := engine.Config{Engine: ec.Name, DataDir: data, Directories: dirs, Settings: settings,
			Features: []scoping.Feature{scoping.Users, scoping.Groups, scoping.Contacts, scoping.References, scoping.Extensions, scoping.PasswordHash, scoping.PasswordWriteback,
				scoping.UserProvisioning, scoping.GroupProvisioning}}
		e.names = append(e.names, ec.Name)
		e.all[ec.Name] = &supervised{settings: settings, saved: state.SavedFile(o.StateDir, ec.Name), Supervisor: supervisor.New(supervisor.Options{Name: ec.Name, Start: supervisor.Command(commandOf(ec, o)), Config: conf, Accounts: accountsOf(ec),
			OnChange: func(s supervisor.Status) { logStatus(o.Logger, s) }})}
	}
	return e, nil
}

func commandOf(ec EngineConfig, o Options) plugin.Command {
	c := plugin.Command{Path: o.Self, Args: []string{"plugin", ec.Kind}, Logger: o.Logger.With("engine", ec.Name)}
	if ec.Kind == KindExternal {
		c.Path, c.Args, c.SHA256, c.Env = ec.Command[0], ec.Command[1:], ec.SHA256, ec.Env
	}
	return c
}

func logStatus(l *slog.Logger, s supervisor.Status) {
	if s.Err != nil && s.State != supervisor.Closed {
		l.Warn("engine", "engine", s.Name, "state", s.State, "error", s.Err)
		return
	}
	l.Debug("engine", "engine", s.Name, "state", s.State, "session", s.Session, "pid", s.PID)
}

// Limits of answers that an engine has at once: its description, the acknowledgement of grants, each answer of a verb.
const (
	describeLimit = 30 * time.Second
	grantsLimit   = time.Minute
	verbLimit     = 2 * time.Minute
)

// silent returns the error of an answer that did not come in time.
func silent(name, what string, limit time.Duration) error {
	return fmt.Errorf("engine %s did not answer within %s: %s", name, limit, what)
}

// get returns an engine's supervisor, after opening it if it is not open yet.
func (e *engines) get(ctx context.Context, name string) (*supervised, error) {
	s := e.all[name]
	if s == nil {
		return nil, problem.Refuse("no engine %q is configured (configured: %v)", name, e.names)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.start(ctx)
	if err := s.failed; err != nil {
		s.failed = nil
		return nil, err // it names the engine
	}
	if s.loaded {
		return s, nil
	}
	if err := s.load(ctx, name); err != nil {
		return nil, err
	}
	s.loaded = true
	return s, nil
}

// start opens an engine that is not open yet. Its first caller is told of a refused configuration or a failed start; the supervisor goes on trying, so it is not opened again.
// s.mu is held.
func (s *supervised) start(ctx context.Context) {
	if !s.open {
		s.open, s.failed = true, s.Open(ctx)
	}
}

// warm begins to start an engine's process, which takes as long as reading a middle-sized tenant. The result stops waiting for it; who needs the engine first is told how the start
// ended.
func (e *engines) warm(ctx context.Context, name string) (leave func()) {
	s := e.all[name]
	if s == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.start(ctx); ctx.Err() != nil {
			s.failed = nil // its callers wait no more
		}
	}()
	return func() {
		cancel()
		<-ended
	}
}

// The verbs of engines that have something which a backup has to contain.
const (
	verbSave = "save"
	verbLoad = "load"
)

// load hands an engine what it had asked to save. After a restore this has to happen before the engine does anything else.
func (s *supervised) load(ctx context.Context, name string) error {
	b, err := os.ReadFile(s.saved)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("what engine %s had saved in the backup: %w", name, err)
	}
	impl, _, err := s.Engine(ctx)
	if err != nil {
		return err
	}
	if err := callVerb(ctx, impl, name, verbLoad, b, func([]byte) error { return nil }); err != nil {
		return fmt.Errorf("giving engine %s back what it had saved in the backup: %w", name, err)
	}
	if err := os.Remove(s.saved); err != nil { // the next start passes it to the engine once more
		return fmt.Errorf("what engine %s had saved in the backup: %w", name, err)
	}
	return nil
}

// Names implements run.Engines.
func (e *engines) Names() []string { return e.names }

// Describe implements run.Engines.
func (e *engines) Describe(ctx context.Context, name string) (engine.Description, error) {
	e.mu.Lock()
	d, ok := e.desc[name]
	e.mu.Unlock()
	if ok {
		return d, nil
	}
	s, err := e.get(ctx, name)
	if err != nil {
		return d, err
	}
	impl, _, err := s.Engine(ctx)
	if err != nil {
		return d, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, describeLimit, silent(name, "what it is", describeLimit))
	defer cancel()
	if d, err = impl.Describe(ctx); err != nil {
		return d, fmt.Errorf("engine %s: %w", name, err)
	}
	e.mu.Lock()
	e.desc[name] = d
	e.mu.Unlock()
	return d, nil
}

// Grant implements run.Engines.
func (e *engines) Grant(_ context.Context, name string, g []engine.Grant) error {
	if s := e.all[name]; s != nil {
		s.SetGrants(g)
	}
	return nil
}

// Run implements run.Engines. The engine has its grants before it begins to read.
func (e *engines) Run(ctx context.Context, name string, r engine.RunRequest, c engine.Conversation) ([]engine.RunReport, error) {
	s, err := e.get(ctx, name)
	if err != nil {
		return nil, err
	}
	if _, _, err := s.Engine(ctx); err != nil {
		return nil, err
	}
	if err := awaitGrants(ctx, s, name); err != nil {
		return nil, err
	}
	return s.Run(ctx, r, c)
}

// Map implements provisioning.Engines.
func (e *engines) Map(ctx context.Context, name string, r engine.MapRequest, sources []engine.Source, take func([]engine.Mapping) error) (engine.MapBegin, error) {
	s, err := e.get(ctx, name)
	if err != nil {
		return engine.MapBegin{}, err
	}
	impl, _, err := s.Engine(ctx)
	if err != nil {
		return engine.MapBegin{}, err
	}
	return engine.Map(ctx, impl, r, sources, take)
}

// Deliver implements writeback.Engines and provisioning.Engines.
func (e *engines) Deliver(ctx context.Context, name string, d engine.Delivery, permit func(context.Context) (engine.Permit, error)) (engine.DeliveryResult, bool, error) {
	s, err := e.get(ctx, name)
	if err != nil {
		return engine.DeliveryResult{}, false, err
	}
	impl, _, err := s.Engine(ctx)
	if err != nil {
		return engine.DeliveryResult{}, false, err
	}
	return engine.Deliver(ctx, impl, d, permit)
}

func awaitGrants(ctx context.Context, s *supervised, name string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, grantsLimit, silent(name, "whether its grants are in force", grantsLimit))
	defer cancel()
	return s.AwaitGrants(ctx)
}

// Health implements run.Engines.
func (e *engines) Health(name string) (engine.Health, bool) {
	s := e.all[name]
	if s == nil {
		return engine.Health{}, false
	}
	st := s.Status()
	return st.Health, st.HealthKnown && st.State == supervisor.Ready
}

// Settings implements run.Fingerprints.
func (e *engines) Settings(name string) []byte {
	if s := e.all[name]; s != nil {
		return s.settings
	}
	return nil
}

// Process implements answer.Processes.
func (e *engines) Process(name string) answer.Process {
	s := e.all[name]
	if s == nil {
		return answer.Process{}
	}
	st := s.Status()
	p := answer.Process{State: string(st.State), PID: st.PID, Restarts: st.Restarts, At: st.LastEnd}
	if st.LastErr != nil {
		p.Last = st.LastErr.Error()
	}
	if st.Err != nil && st.State != supervisor.Ready && st.State != supervisor.Closed {
		p.Trouble = st.Err.Error()
	}
	return p
}

// call calls a verb of an engine, which it starts if necessary.
func (e *engines) call(ctx context.Context, name, verb string, args []byte, out func([]byte) error) error {
	s, err := e.get(ctx, name)
	if err != nil {
		return err
	}
	impl, _, err := s.Engine(ctx)
	if err != nil {
		return err
	}
	if err := callVerb(ctx, impl, name, verb, args, out); err != nil {
		return fmt.Errorf("engine %s, %s: %w", name, verb, err)
	}
	return nil
}

// callVerb calls a verb and passes its answers to out. It fails if the engine does not answer for verbLimit.
func callVerb(ctx context.Context, impl engine.Engine, name, verb string, args []byte, out func([]byte) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	timer := time.AfterFunc(verbLimit, func() { cancel(silent(name, "verb "+verb, verbLimit)) })
	defer timer.Stop()
	ch := make(chan []byte)
	done := make(chan error, 1)
	go func() { done <- impl.Call(ctx, verb, args, ch) }()
	for {
		select {
		case b := <-ch:
			timer.Reset(verbLimit)
			if err := out(b); err != nil {
				cancel(nil)
				<-done
				return err
			}
		case err := <-done:
			return err
		}
	}
}

// close stops all engines and waits until they have ended. It returns the first error.
func (e *engines) close() error {
	var first error
	var wg sync.WaitGroup
	var mu sync.Mutex
	for _, n := range e.names {
		wg.Add(1)
		go func(s *supervised) {
			defer wg.Done()
			if err := s.Close(); err != nil {
				mu.Lock()
				if first == nil {
					first = err
				}
				mu.Unlock()
			}
		}(e.all[n])
	}
	wg.Wait()
	return first
}
