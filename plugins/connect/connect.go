// Package connect is the Connect-style engine: connector spaces, a metaverse, and declarative synchronization rules.
//
// A run has three stages. Import reads a directory by DirSync into its connector space, a file of the engine's own, and
// stores there in the same transaction as the watermark what still has to be proposed (rule P3). Synchronization applies the
// inbound rules (directory to metaverse) and the outbound rules (metaverse to tenant), which are data; it is pure. Export
// proposes: base features first, references after them.
//
// The engine writes nothing anywhere but to its own file, and passwords into the directory, each with a permit of the host. It does not know whether it owns or shadows a scope.
package connect

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/go-ldap/ldap/v3"

	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/plugins/directory/password"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/plugins/passwordhash/handover"
	"github.com/tandem-sync/tandem/scoping"
	"github.com/tandem-sync/tandem/state"
)

// Version is the engine's version, told in its Description.
const Version = "1.0.0"

// Options are what an engine may be given. The zero value works.
type Options struct {
	Logger   *slog.Logger                                                      // nil: silent
	Open     func(ctx context.Context, path string) (Store, error)             // nil: an index file of package state
	Dial     func(ctx context.Context, c directory.Connection) (Source, error) // nil: LDAP
	MaxBytes int                                                               // of one DirSync answer; zero: package directory's default
}

// Engine is the Connect-style engine. It implements engine.Engine. Runs follow one another; everything else may be called at
// any time.
type Engine struct {
	engine.Unimplemented
	options Options
	log     *slog.Logger

	running chan struct{} // holds one token: a run, or a change of configuration, takes it

	mu        sync.Mutex
	config    engine.Config
	store     Store
	path      string
	passwords []handover.Directory
	writers   map[string]*password.Writer // by directory
	delivered engine.Once
	grants    []engine.Grant
	told      bool // a set of grants came in this session
	health    engine.Health
	news      chan struct{} // closed and replaced when health changes
}

var _ engine.Engine = (*Engine)(nil)

// New gives an engine that waits for its configuration.
func New(o Options) *Engine {
	e := &Engine{options: o, log: o.Logger, running: make(chan struct{}, 1), news: make(chan struct{})}
	if e.log == nil {
		e.log = slog.New(slog.DiscardHandler)
	}
	if e.options.Open == nil {
		e.options.Open = openIndex
	}
	if e.options.Dial == nil {
		e.options.Dial = func(ctx context.Context, c directory.Connection) (Source, error) { return directory.Dial(ctx, c) }
	}
	e.health = engine.Health{OK: true, Message: "waits for its configuration"}
	e.running <- struct{}{}
	return e
}

// Describe says what the engine is and can do.
func (e *Engine) Describe(context.Context) (engine.Description, error) {
	return engine.Description{
		Kind: "connect", Version: Version, Contract: engine.ContractVersion,
		Features:  []scoping.Feature{scoping.Users, scoping.Groups, scoping.Contacts, scoping.References, scoping.Extensions, scoping.PasswordHash},
		Writes:    writes(),
		Reads:     reads(),
		CanShadow: true,
		Delivers:  []scoping.Feature{scoping.PasswordWriteback},
		Release:   "clean",
		Verbs:     []string{"trace", "rules", "save", "load"},
	}, nil
}

// Configure takes a configuration, or refuses it with every mistake at once; the one before then stays in force.
func (e *Engine) Configure(ctx context.Context, c engine.Config) error {
	if problems := mistakes(c); len(problems) > 0 {
		return &engine.ConfigError{Problems: problems}
	}
	if err := e.acquire(ctx); err != nil {
		return err
	}
	defer e.release()
	path := filepath.Join(c.DataDir, "spaces")
	if e.store == nil || path != e.path {
		if err := os.MkdirAll(c.DataDir, 0o700); err != nil {
			return fmt.Errorf("make the engine's folder: %w", err)
		}
		store, err := e.options.Open(ctx, path)
		if err != nil {
			if errors.Is(err, state.ErrDamaged) {
				err = fmt.Errorf("%w: remove the folder %s, all of it is read anew from the directories", err, path)
			}
			return fmt.Errorf("open the connector spaces: %w", err)
		}
		if e.store != nil {
			if err := e.store.Close(); err != nil {
				e.log.Warn("close the connector spaces", "error", err)
			}
		}
		e.store, e.path = store, path
	}
	readers, err := passwordReaders(c)
	if err != nil {
		return err
	}
	e.mu.Lock()
	e.config, e.passwords, e.writers = c, readers, passwordWriters(c)
	e.mu.Unlock()
	e.setHealth(engine.Health{OK: true, Message: "ready"})
	return nil
}

// holds says which accounts there are: this process signs in with them.
func holds(c engine.Config) map[string]string {
	out := map[string]string{}
	for _, d := range c.Directories {
		for p := range d.Accounts {
			out[engine.HoldsKey(p)+d.Name] = ""
		}
	}
	return out
}

func mistakes(c engine.Config) []string {
	var p []string
	if c.DataDir == "" {
		p = append(p, "no data folder was given")
	}
	if len(c.Directories) == 0 {
		p = append(p, "no directory is configured: name one under directories")
	}
	seen := map[string]bool{}
	for _, d := range c.Directories {
		if seen[d.Name] {
			p = append(p, fmt.Sprintf("directory %q is named twice", d.Name))
		}
		seen[d.Name] = true
		if _, err := ldap.ParseDN(d.Base); err != nil || d.Base == "" {
			p = append(p, fmt.Sprintf("directory %q: base %q is not a DN", d.Name, d.Base))
		}
		if len(d.URLs) == 0 {
			p = append(p, fmt.Sprintf("directory %q has no url", d.Name))
		}
	}
	return append(p, settingMistakes(c.Settings)...)
}

// settingMistakes refuses every setting: the engine has none yet.
func settingMistakes(settings []byte) []string {
	if len(settings) == 0 || string(settings) == "null" {
		return nil
	}
	var given map[string]json.RawMessage
	if err := json.Unmarshal(settings, &given); err != nil {
		return []string{"settings are not a mapping: " + err.Error()}
	}
	var p []string
	for name := range given {
		p = append(p, fmt.Sprintf("settings.%s: unknown; this engine has no settings", name))
	}
	slices.Sort(p)
	return p
}

// Grants takes each complete set of grants and acknowledges it: a gated engine has nothing to put in force.
func (e *Engine) Grants(ctx context.Context, in <-chan []engine.Grant, out chan<- engine.Ack) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case set, open := <-in:
			if !open {
				return nil
			}
			e.mu.Lock()
			e.grants, e.told = slices.Clone(set), true
			e.mu.Unlock()
			for _, g := range set {
				select {
				case out <- engine.Ack{Grant: g.ID, Epoch: g.Epoch, InForce: true, Idle: true}:
				case <-ctx.Done():
					return ctx.Err()
				}
			}
		}
	}
}

// Health pushes the engine's state, at once and on each change.
func (e *Engine) Health(ctx context.Context, out chan<- engine.Health) error {
	for {
		e.mu.Lock()
		h, news := e.health, e.news
		e.mu.Unlock()
		select {
		case out <- h:
		case <-ctx.Done():
			return ctx.Err()
		}
		select {
		case <-news:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (e *Engine) setHealth(h engine.Health) {
	e.mu.Lock()
	defer e.mu.Unlock()
	h.Details = holds(e.config)
	if e.health.OK == h.OK && e.health.Message == h.Message && maps.Equal(e.health.Details, h.Details) {
		return
	}
	e.health = h
	close(e.news)
	e.news = make(chan struct{})
}

// Close waits for a run to end and closes the connector spaces.
func (e *Engine) Close() error {
	<-e.running
	defer e.release()
	if e.store == nil {
		return nil
	}
	err := e.store.Close()
	e.store = nil
	return err
}

// errUnconfigured is what everything answers that needs a configuration.
var errUnconfigured = errors.New("the engine has no configuration yet")

func (e *Engine) acquire(ctx context.Context) error {
	select {
	case <-e.running:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (e *Engine) release() { e.running <- struct{}{} }
