// Command engine-minimal is the smallest engine for Tandem: it reads users over LDAP and proposes their names. It is meant to
// be copied; README.md walks through it.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"sync"

	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/plugins/engine/plugin"
	"github.com/tandem-sync/tandem/scoping"
)

func main() { plugin.Serve(&minimal{}) }

// minimal is the engine. What it does not do (Call, Deliver, Observe) the SDK refuses, and the SDK keeps its grants.
type minimal struct {
	engine.Unimplemented
	engine.GrantBook

	mu       sync.Mutex
	config   engine.Config
	settings settings
}

// settings is what engines[].settings may hold.
type settings struct {
	Prefix string `json:"displayNamePrefix"` // put before each displayName
	mischief
}

// Describe says what this engine is.
func (m *minimal) Describe(context.Context) (engine.Description, error) {
	return engine.Description{
		Kind:      "minimal",
		Version:   version,
		Contract:  engine.ContractVersion,
		Features:  []scoping.Feature{scoping.Users},
		Writes:    map[scoping.Feature][]string{scoping.Users: {"accountEnabled", "displayName", "mailNickname", "userPrincipalName"}},
		Reads:     map[scoping.Kind]engine.Reads{scoping.User: {Attributes: attrs}},
		CanShadow: true,
		Release:   "clean",
	}, nil
}

// Configure takes one directory and the settings, and reports every mistake at once.
func (m *minimal) Configure(_ context.Context, c engine.Config) error {
	var problems []string
	if len(c.Directories) != 1 {
		problems = append(problems, "exactly one directory is supported")
	}
	var s settings
	if len(c.Settings) > 0 {
		d := json.NewDecoder(bytes.NewReader(c.Settings))
		d.DisallowUnknownFields()
		if err := d.Decode(&s); err != nil {
			problems = append(problems, "settings: "+err.Error())
		}
	}
	if len(problems) > 0 {
		return &engine.ConfigError{Problems: problems}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.config, m.settings = c, s
	return nil
}

// Health says that all is well, once.
func (m *minimal) Health(ctx context.Context, out chan<- engine.Health) error {
	select {
	case out <- engine.Health{OK: true}:
		<-ctx.Done()
	case <-ctx.Done():
	}
	return ctx.Err()
}

// Run reads the directory and proposes. There is no watermark, so a delta run is a full one.
func (m *minimal) Run(ctx context.Context, r engine.RunRequest, in <-chan []engine.Decision, out chan<- engine.RunEvent) error {
	granted := m.Now() // before the first read: proposals carry the grants as they are now (rule P5)
	m.mu.Lock()
	c, s := m.config, m.settings
	m.mu.Unlock()
	if len(c.Directories) == 0 {
		return errors.New("the engine is not configured")
	}
	session, err := dial(ctx, c.Directories[0], r)
	if err != nil {
		return err
	}
	defer session.Close()
	if err := s.note(r); err != nil {
		return err
	}
	run := &run{session: session, request: r, granted: granted, settings: s, out: out, places: map[scoping.GUID]scoping.Place{}}
	if err := run.propose(ctx); err != nil {
		return err
	}
	for range in { // the host closes it after the last decision; what it decided is the host's business from then on
	}
	return ctx.Err()
}

// dial connects to the directory: to the one controller that the host names, if it does (rule V1).
func dial(ctx context.Context, d engine.Directory, r engine.RunRequest) (*directory.Session, error) {
	if url := r.DC[d.Name]; url != "" {
		d.URLs = []string{url}
	}
	return directory.Dial(ctx, directory.Connection{Name: d.Name, URLs: d.URLs, Base: d.Base, User: d.User, Password: d.Password,
		CA: d.CA, Insecure: d.Insecure})
}
