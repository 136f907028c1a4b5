package orchestrator

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/tandem-sync/tandem/orchestrator/alarm"
	"github.com/tandem-sync/tandem/orchestrator/census"
	"github.com/tandem-sync/tandem/orchestrator/gate"
	"github.com/tandem-sync/tandem/orchestrator/host"
	"github.com/tandem-sync/tandem/orchestrator/notify"
	"github.com/tandem-sync/tandem/orchestrator/run"
	"github.com/tandem-sync/tandem/orchestrator/schedule"
	"github.com/tandem-sync/tandem/orchestrator/tenancy"
	"github.com/tandem-sync/tandem/orchestrator/tenant"
	"github.com/tandem-sync/tandem/orchestrator/trace"
	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
	"github.com/tandem-sync/tandem/state"
)

// defaultDelay is how long the tenant may take to show a write (rule V2).
const defaultDelay = 2 * time.Minute

// flight is the most writes into a directory that are under way at once. A controller takes one write at a time, but what surrounds it (permit, looks, reading back) takes longer.
const flight = 8

// Options are what an orchestrator needs beside its configuration.
type Options struct {
	Logger   *slog.Logger // nil: silent
	Command  string       // is shown to other processes that find the state folder in use
	Self     string       // the executable that serves built-in engines by `plugin KIND`; empty: this one
	StateDir string       // overrides the configuration's
	Progress func(run.Progress)
	Patience time.Duration // how long a command waits inside a soak
	Getenv   func(string) string
	Hook     state.Hook // failpoints, for tests
	Clock    gate.Clock // nil: the system's
	Glance   bool       // only show what is stored, fast; Open fails if that is not possible, see host.ErrGlance
	Machine  string     // identifies this machine; empty: TANDEM_MACHINE_ID, then the operating system's id
}

// Orchestrator is one running Tandem. It has to be closed.
type Orchestrator struct {
	config   Config
	options  Options
	store    *state.Store
	identity tenancy.Identity
	census   *census.Census
	tenant   *tenant.Client
	engines  *engines
	host     *host.Host
	kept     *kept
	loops    *schedule.Scheduler
	dirs     []engine.Directory
	notifier *notify.Notifier
	tracer   *trace.Tracer // nil: there is no collector of traces
	log      *slog.Logger

	certificates certificates
}

// Open takes the state folder and makes everything ready. It dials nothing and starts no engine; that happens when it is needed. If another process has the folder, it fails with a
// *state.HeldError.
func Open(ctx context.Context, c Config, o Options) (*Orchestrator, error) {
	o = withDefaults(c, o)
	x := &Orchestrator{config: c, options: o, log: o.Logger}
	x.loops = schedule.New(scheduled{x}, nil)
	err := x.open(ctx)
	if err != nil {
		return nil, errors.Join(err, x.Close(ctx))
	}
	return x, nil
}

func withDefaults(c Config, o Options) Options {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.StateDir == "" {
		o.StateDir = c.StateDir()
	}
	if o.Getenv == nil {
		o.Getenv = os.Getenv
	}
	if o.Clock == nil {
		o.Clock = clock{}
	}
	if o.Self == "" {
		o.Self, _ = os.Executable()
	}
	return o
}

// openStore takes the state folder. A glance shares it with other glances, and changes nothing in it.
func (x *Orchestrator) openStore() (err error) {
	o := state.Options{Command: x.options.Command, Hook: x.options.Hook}
	if x.options.Glance {
		if x.store, err = state.OpenReadOnly(x.options.StateDir, o); err == nil {
			x.identity, err = recognize(x.options)
		}
		return err
	}
	if x.store, err = state.Open(x.options.StateDir, o); err == nil {
		x.identity, err = identify(x.options)
	}
	return err
}

func (x *Orchestrator) open(ctx context.Context) error {
	var err error
	if err := x.openStore(); err != nil {
		return err
	}
	conns, err := x.connections()
	if err != nil {
		return err
	}
	for _, d := range x.config.Directories {
		c := conns[d.Name]
		accounts, err := x.config.accounts(d, x.options.Getenv)
		if err != nil {
			return err
		}
		x.dirs = append(x.dirs, engine.Directory{Name: c.Name, URLs: c.URLs, Base: c.Base, User: c.User, Password: c.Password, CA: c.CA, Insecure: c.Insecure, Accounts: accounts})
	}
	if x.tenant, err = x.openTenant(ctx); err != nil {
		return err
	}
	if x.engines, err = newEngines(&x.config, x.dirs, x.options); err != nil {
		return err
	}
	if x.census, err = x.openCensus(ctx, conns); err != nil {
		return err
	}
	kept, err := x.openKept(ctx)
	if err != nil {
		return err
	}
	x.kept = kept
	if err := x.openTracer(ctx); err != nil {
		return err
	}
	configured := x.config.identify()
	x.host, err = host.Open(ctx, host.Options{Store: x.store, Census: x.census, Tenant: x.tracedTenant(configured.TenantID), Trace: x.trace(), Beside: func(f func()) { go f() }, Cache: kept.cache, Claims: kept.claims, Engines: x.engines, Clock: x.options.Clock,
		Deliverer: x.engines, Bringers: x.engines, Flight: flight, Relay: relayOf{tenantFor{x.tenant, configured.TenantID}}, Own: x.config.ownAccounts(), Alive: schedule.Alive,
		Identity: x.identity, Renew: x.renew, Tenure: x.config.Tenant.Tenure, Configured: configured,
		NewID: newID, Glance: x.options.Glance, GhostLife: x.config.Tenant.GhostLife, SaveCache: kept.save, Checkpoints: kept, Survey: x.Survey, Refused: x.tenant.Refused, Unregistered: x.tenant.Unregistered, Patience: x.options.Patience, Progress: x.progress,
		Log: func(msg string, args ...any) { x.log.Info(msg, args...) }})
	if err != nil {
		return err
	}
	return x.openNotifier(ctx, kept)
}

func newID() string {
	id, err := uuid.NewV7()
	if err != nil {
		panic("orchestrator: no randomness: " + err.Error()) // the operating system gives none: nothing can be done safely
	}
	return id.String()
}

// hostSilence is how long a controller may stay silent when the host asks it. Runs wait for that, and an outage has to show within one schedule.
const hostSilence = 45 * time.Second

// connections returns how to connect to each directory. It reads their secrets.
func (x *Orchestrator) connections() (map[string]directory.Connection, error) {
	out := map[string]directory.Connection{}
	for _, d := range x.config.Directories {
		pw, err := x.config.secret("password of directory "+d.Name, d.Bind.PasswordFile, d.Bind.PasswordEnv, x.options.Getenv)
		if err != nil {
			return nil, err
		}
		ca, err := x.config.caPEM("CA of directory "+d.Name, d.TLS.CAFile)
		if err != nil {
			return nil, err
		}
		out[d.Name] = directory.Connection{Name: d.Name, URLs: d.URL, Base: d.Base, User: d.Bind.User, Password: pw, CA: ca, Insecure: d.TLS.InsecureSkipVerify, Timeout: hostSilence}
	}
	return out, nil
}

func (x *Orchestrator) openTenant(ctx context.Context) (*tenant.Client, error) {
	t := x.config.Tenant
	c := tenant.Config{Endpoint: t.Endpoint, Authority: t.Authority, TenantID: t.TenantID, ClientID: t.ClientID, ManagedIdentity: t.ManagedIdentity, Logger: x.log, Alive: schedule.Alive}
	var err error
	if c.Proxy, err = t.proxy(); err != nil {
		return nil, err
	}
	if c.CA, err = x.config.caPEM("CA of the tenant", t.TLS.CAFile); err != nil {
		return nil, err
	}
	switch {
	case t.CertificateFile != "":
		if c.CertificatePEM, err = x.config.caPEM("certificate of the tenant's application", t.CertificateFile); err != nil {
			return nil, err
		}
		if ends, err := certificateEnds(c.CertificatePEM); err == nil { // if it cannot be read, the client returns the error
			x.certificates.note(alarm.Application, ends, "upload another in the app registration, then write it into tenant.certificateFile")
		}
	case !t.ManagedIdentity:
		if c.ClientSecret, err = x.config.secret("secret of the tenant's application", t.ClientSecretFile, t.ClientSecretEnv, x.options.Getenv); err != nil {
			return nil, err
		}
	}
	return tenant.Open(ctx, c)
}

// openIndex opens an index file. An unusable one is replaced by an empty one, since its content can be read again. A glance leaves it.
func (x *Orchestrator) openIndex(name string, version int) (*state.Index, error) {
	ix, err := x.store.Index(name, "tandem "+name, version)
	if x.options.Glance {
		return ix, err
	}
	if errors.Is(err, state.ErrIndexUnusable) {
		x.log.Warn("an index file cannot be used and is made anew", "index", name, "error", err)
		if err := x.store.RemoveIndex(name); err != nil {
			return nil, err
		}
		return x.store.Index(name, "tandem "+name, version)
	}
	return ix, err
}

func (x *Orchestrator) openCensus(ctx context.Context, conns map[string]directory.Connection) (*census.Census, error) {
	ix, err := x.openIndex("census", 1)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(x.config.Directories))
	for i, d := range x.config.Directories {
		names[i] = d.Name
	}
	dial := func(ctx context.Context, name string) (census.Reader, error) {
		s, err := directory.Dial(ctx, conns[name])
		if err != nil {
			x.noteRefused(name, err)
			return nil, err
		}
		x.noteController(s)
		return lively{s}, nil
	}
	if x.options.Glance {
		return census.Glance(ctx, names, dial, ix)
	}
	return census.Open(ctx, names, dial, ix)
}

// lively is a session with a directory whose answers count as progress of the calling loop: reading a large directory takes long.
type lively struct{ *directory.Session }

// Sync implements census.Reader.
func (l lively) Sync(ctx context.Context, cookie []byte, q directory.SyncQuery, each func(directory.Entry) error) ([]byte, error) {
	return l.Session.Sync(ctx, cookie, q, func(e directory.Entry) error {
		schedule.Alive(ctx)
		return each(e)
	})
}

// ByGUID implements census.Reader.
func (l lively) ByGUID(ctx context.Context, guids []scoping.GUID, attrs []string, showDeleted bool) (map[scoping.GUID]directory.Entry, error) {
	schedule.Alive(ctx)
	return l.Session.ByGUID(ctx, guids, attrs, showDeleted)
}

// Host returns the running host.
func (x *Orchestrator) Host() *host.Host { return x.host }

// Config returns the configuration.
func (x *Orchestrator) Config() Config { return x.config }

// StateDir returns the state folder that is open.
func (x *Orchestrator) StateDir() string { return x.options.StateDir }

// Tenant returns the tenant client, for reports.
func (x *Orchestrator) Tenant() *tenant.Client { return x.tenant }

// Call calls a verb of an engine.
func (x *Orchestrator) Call(ctx context.Context, name, verb string, args []byte, out func([]byte) error) error {
	return x.engines.call(ctx, name, verb, args, out)
}

// Describe returns an engine's description.
func (x *Orchestrator) Describe(ctx context.Context, name string) (engine.Description, error) {
	return x.engines.Describe(ctx, name)
}

// Warm begins to start an engine's process, for a caller that needs it after reading directory and tenant. Who called calls leave at the end.
func (x *Orchestrator) Warm(ctx context.Context, name string) (leave func()) {
	return x.engines.warm(ctx, name)
}

// Close stops the engines and releases the state folder. What it saves can be read again, so a full disk is logged and does not make it fail; writes that needed the space have
// failed before.
func (x *Orchestrator) Close(ctx context.Context) error {
	var errs []error
	if x.host != nil && !x.options.Glance {
		err := x.host.Save(ctx)
		if errors.Is(err, state.ErrFull) {
			x.log.Warn("the disk that holds the state folder is full: what can be read again is not kept", "error", err)
			err = nil
		}
		errs = append(errs, err)
	}
	if x.engines != nil {
		errs = append(errs, x.engines.close())
	}
	if x.tracer != nil {
		x.tracer.Close()
	}
	if x.census != nil {
		errs = append(errs, x.census.Close())
	}
	if x.tenant != nil {
		errs = append(errs, x.tenant.Close())
	}
	if x.store != nil {
		errs = append(errs, x.store.Close())
	}
	return errors.Join(errs...)
}

// tenantFor is the tenant client in the form that the host needs.
type tenantFor struct {
	*tenant.Client
	configured string // empty: the configuration does not name the tenant by its id
}

// Domains implements host.Tenant.
func (t tenantFor) Domains(ctx context.Context) (verified []string, initial string, err error) {
	ds, err := t.Client.Domains(ctx)
	for _, d := range ds {
		verified = append(verified, d.Name)
		if d.Initial {
			initial = d.Name
		}
	}
	return verified, initial, err
}

// Mark implements tenancy.Marker.
func (t tenantFor) Mark(ctx context.Context) (m tenancy.Mark, found, permitted bool, err error) {
	tm, found, permitted, err := t.Client.Marker(ctx)
	return tenancy.Mark(tm), found, permitted, err
}

// SetMark implements tenancy.Marker.
func (t tenantFor) SetMark(ctx context.Context, m tenancy.Mark) (bool, error) {
	return t.Client.SetMarker(ctx, tenant.Mark(m))
}

// TenantID implements tenancy.Identified. A configured id is returned without asking: the access token is requested of the tenant with that id, so no other can answer.
func (t tenantFor) TenantID(ctx context.Context) (string, error) {
	if t.configured != "" {
		return t.configured, nil
	}
	o, err := t.Client.Organization(ctx)
	if errors.Is(err, tenant.ErrForbidden) {
		return "", nil
	}
	return strings.ToLower(o.ID), err
}

// clock is the system's clock.
type clock struct{}

// Now implements gate.Clock.
func (clock) Now() time.Time { return time.Now() }

// SinceBoot implements control.Boots.
func (clock) SinceBoot() (string, time.Duration) { return sinceBoot() }

// Sleep implements gate.Clock.
func (clock) Sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
