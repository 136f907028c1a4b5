package cloudsync

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/tandem-sync/tandem/plugins/cloudsync/agent"
	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// service is the engine under one configuration: the hub, the jobs, and the embedded agents.
type service struct {
	config   engine.Config
	settings settings
	store    Store
	hub      *hub
	jobs     []*job
	log      *slog.Logger
	clock    clock
	changed  func()
	ready    context.Context // ends when agents have had the time to dial in

	waited   func() // ends ready early
	end      func()
	embedded sync.WaitGroup
	mu       sync.Mutex
	standing map[string]standing // a copy of the jobs', for health
	troubles map[string]error    // why embedded agents do not attend, by directory
}

// startService opens the port and starts the embedded agents. On success it owns the store.
func startService(ctx context.Context, c engine.Config, s settings, store Store, log *slog.Logger, t clock, changed func()) (*service, error) {
	authority, err := openAuthority(c.DataDir, t.now())
	if err != nil {
		return nil, err
	}
	registry, err := openRegistry(c.DataDir)
	if err != nil {
		return nil, err
	}
	schema, _ := s.schema()
	h := &hub{authority: authority, registry: registry, log: log, clock: t, silence: orDuration(s.Agents.Silence, DefaultSilence), changed: changed}
	out := &service{config: c, settings: s, store: store, hub: h, log: log, clock: t, changed: changed,
		standing: map[string]standing{}, troubles: map[string]error{}}
	for _, d := range c.Directories {
		h.bases = append(h.bases, d.Base)
		m, err := remember(ctx, store, d.Name)
		if err != nil {
			return nil, err
		}
		out.standing[d.Name] = m.standing
		out.jobs = append(out.jobs, &job{config: d, audience: audience{s.group(d.Name), d.Base}, minimum: orInt(s.Agents.Minimum, DefaultMinimum),
			hub: h, memory: m, schema: schema, trouble: func() error { return out.trouble(d.Name) },
			expects: func() bool { _, enough := out.expected(out.job(d.Name)); return enough }, log: log, now: t.now, scratch: c.DataDir,
			limits: tolerance{orInt(s.Quarantine.Failures, DefaultFailures), orInt(s.Quarantine.Errors, DefaultErrors)}})
	}
	if err := h.listen(s.Agents.Listen); err != nil {
		return nil, err
	}
	life, end := context.WithCancel(context.Background())
	ready, over := context.WithTimeout(life, orDuration(s.Agents.Grace, DefaultGrace))
	out.ready, out.waited, out.end = ready, over, func() { over(); end() }
	for _, d := range c.Directories {
		for range s.Agents.Embedded {
			out.embedded.Go(func() { out.embed(life, d) })
		}
	}
	return out, nil
}

// embed is one embedded agent: it enrols like any other, through the same port, and runs until the service ends.
func (s *service) embed(ctx context.Context, d engine.Directory) {
	log := s.log.With("agent", "embedded", "directory", d.Name)
	token, err := s.hub.registry.invite(s.hub.authority.pin, s.settings.group(d.Name), s.clock.now().Add(time.Minute), s.clock.now(), true)
	if err != nil {
		log.Error("an embedded agent could not be invited", "error", err)
		return
	}
	id, err := agent.Enroll(ctx, s.hub.address(), token.String(), connectionOf(d))
	if err == nil {
		id.Accounts = accountsOf(d)
		err = agent.Run(ctx, id, agent.Options{Logger: log, Now: s.clock.now, Down: func(err error) { s.embeddedDown(d.Name, err) }})
	}
	if err != nil && ctx.Err() == nil {
		log.Error("an embedded agent has ended", "error", err)
		s.embeddedDown(d.Name, err)
	}
}

// embeddedDown notes why an embedded agent does not attend. There is nothing to wait for then.
func (s *service) embeddedDown(directory string, err error) {
	s.mu.Lock()
	s.troubles[directory] = err
	s.mu.Unlock()
	s.waited()
	s.changed()
}

func (s *service) trouble(directory string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.troubles[directory]
}

func connectionOf(d engine.Directory) directory.Connection {
	return directory.Connection{Name: d.Name, URLs: d.URLs, Base: d.Base, User: d.User, Password: d.Password, CA: d.CA, Insecure: d.Insecure}
}

// accountsOf are the accounts that the embedded agents of a directory sign in with for other purposes than reading.
func accountsOf(d engine.Directory) map[scoping.Purpose]directory.Account {
	out := map[scoping.Purpose]directory.Account{}
	for p, a := range d.Accounts {
		out[p] = directory.Account(a)
	}
	return out
}

// close ends everything that the service started and waits for it.
func (s *service) close() error {
	s.end()
	s.embedded.Wait()
	s.hub.close()
	return s.store.Close()
}

func (s *service) job(name string) *job {
	i := slices.IndexFunc(s.jobs, func(j *job) bool { return j.config.Name == name })
	if i < 0 {
		return nil
	}
	return s.jobs[i]
}

func sameHealth(a, b engine.Health) bool {
	return a.OK == b.OK && a.Message == b.Message && a.Agents == b.Agents && maps.Equal(a.Details, b.Details)
}

// run does the run in each directory that the request is about.
func (s *service) run(ctx context.Context, r engine.RunRequest, grants []engine.Grant, in <-chan []engine.Decision, out chan<- engine.RunEvent) error {
	if !slices.Contains([]string{engine.ProfileFull, engine.ProfileDelta, engine.ProfileObjects}, r.Profile) {
		return fmt.Errorf("profile %q: this engine knows full, delta and objects", r.Profile)
	}
	jobs, err := s.jobsOf(r)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	stream := newStream(ctx, in, out)
	defer stream.intake.Wait()
	defer cancel()
	var refused []error
	for i, j := range jobs {
		err := s.runJob(ctx, j, r, grants, stream, i < len(jobs)-1)
		var none *NoAgentError
		if errors.As(err, &none) && ctx.Err() == nil {
			refused = append(refused, err)
		} else if err != nil {
			return err
		}
	}
	return errors.Join(refused...)
}

// jobsOf are the jobs of the directories that the request names. A delta or a full run over no scope is over all directories:
// its report says so, and nothing is proposed.
func (s *service) jobsOf(r engine.RunRequest) ([]*job, error) {
	named := map[string]bool{}
	for _, sc := range r.Scopes {
		named[sc.Directory] = true
	}
	for _, o := range r.Objects {
		if r.Profile == engine.ProfileObjects {
			named[o.Directory] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(named)) {
		if s.job(name) == nil {
			return nil, fmt.Errorf("run %d: directory %q is not configured", r.Run, name)
		}
	}
	return slices.DeleteFunc(slices.Clone(s.jobs), func(j *job) bool { return len(named) > 0 && !named[j.config.Name] }), nil
}

// runJob runs one directory, reports, and waits for the host's decisions. A delta run of a job that rests in quarantine reads nothing. A run that breaks off is reported as not complete,
// with why, and is no error here; one that could not begin for want of agents is both.
func (s *service) runJob(ctx context.Context, j *job, r engine.RunRequest, grants []engine.Grant, stream *stream, more bool) error {
	if at := j.memory.standing; r.Profile == engine.ProfileDelta && at.resting(s.hub.conditions(j.audience).usable >= j.minimum, s.clock.now()) {
		return stream.send(engine.RunEvent{Report: &engine.RunReport{Directory: j.config.Name, More: more, Errors: []engine.ObjectError{
			{Code: CodeQuarantine, Message: quarantined(j.config.Name, s.config.Engine, at)}}}})
	}
	if err := s.attendance(ctx, j, stream); err != nil {
		return err
	}
	failedBefore := stream.failures()
	where := regions{directory: j.config.Name, run: r.Scopes, grants: grants}
	report, failure := j.run(ctx, r, where, stream)
	report.More = more
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if failure != nil {
		s.log.Error("run broke off", "directory", j.config.Name, "profile", r.Profile, "error", failure)
	}
	if err := stream.flush(); err != nil {
		return err
	}
	if err := stream.send(engine.RunEvent{Report: &report}); err != nil {
		return err
	}
	if err := stream.await(); err != nil {
		return err
	}
	if err := j.settleNow(ctx, stream.settled()); err != nil {
		return err
	}
	if err := s.stand(ctx, j, failure, stream.failures()-failedBefore); err != nil {
		return err
	}
	var none *NoAgentError
	if errors.As(failure, &none) && report.DC.IsZero() && !lagging(failure) { // those of a controller that is behind did attend
		return failure
	}
	return nil
}

// attendance gives agents the time to dial in, after a start. Where fewer are enrolled than are needed there is nothing to wait for.
func (s *service) attendance(ctx context.Context, j *job, stream *stream) error {
	if _, enough := s.expected(j); !enough {
		return nil
	}
	if here, _ := s.hub.attending(j.audience); len(here) < j.minimum && s.ready.Err() == nil {
		if err := stream.send(engine.RunEvent{Progress: &engine.Progress{Phase: "wait for agents of directory " + j.config.Name}}); err != nil {
			return err
		}
	}
	waiting, done := context.WithCancel(s.ready)
	defer done()
	defer context.AfterFunc(ctx, done)()
	s.hub.await(waiting, j.audience, j.minimum)
	return nil
}

// expected returns how many agents of a job may attend, by what is enrolled and embedded, and whether these are enough.
func (s *service) expected(j *job) (n int, enough bool) {
	n = s.settings.Agents.Embedded
	for _, a := range s.hub.registry.all() {
		if !a.Embedded && j.audience.has(&live{enrolled: a}) {
			n++
		}
	}
	return n, n >= j.minimum
}

// stand notes how the run went. Controllers that are behind are no fault of the job: they replicate within minutes, and a rest would outlast that.
func (s *service) stand(ctx context.Context, j *job, failure error, objects int) error {
	if lagging(failure) && objects < j.limits.errors {
		return nil
	}
	next := j.memory.standing.after(j.limits, failure, objects, s.clock.now())
	if next == j.memory.standing {
		return nil
	}
	if err := j.memory.commit(ctx, &change{standing: &next}); err != nil {
		return errors.Join(failure, err)
	}
	s.mu.Lock()
	s.standing[j.config.Name] = next
	s.mu.Unlock()
	s.changed()
	return nil
}
