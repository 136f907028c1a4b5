package connect

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/plugins/passwordhash/handover"
	"github.com/tandem-sync/tandem/scoping"
	"github.com/tandem-sync/tandem/state"
)

// run is one run over all directories that its request names.
type run struct {
	engine  *Engine
	request engine.RunRequest
	config  engine.Config
	grants  []engine.Grant // as they were when the run began to read (rule P5)
	told    bool           // grants are known: what none of them covers is none of the engine's business
	parts   []*part
	extends bool // some scope or grant is about extensions
}

// part is what a run does with one directory.
type part struct {
	directory engine.Directory
	objects   []scoping.GUID // of profile objects
	absent    map[scoping.GUID]bool
	domain    string
	root      scoping.GUID
	tree      *tree
	report    engine.RunReport
	failed    bool // import broke off: nothing is proposed
	partial   bool // some object's place is not known: it may have been left out
}

// Run reads the directories and proposes, as engine.Engine says. A directory that cannot be read is told in its report, which
// is then not complete; the error of Run itself tells that the engine or its host failed.
func (e *Engine) Run(ctx context.Context, request engine.RunRequest, in <-chan []engine.Decision, out chan<- engine.RunEvent) error {
	if request.Stream == engine.Passwords {
		e.mu.Lock()
		readers := e.passwords
		e.mu.Unlock()
		return handover.Run(ctx, request, readers, in, out)
	}
	if err := e.acquire(ctx); err != nil {
		return err
	}
	defer e.release()
	if e.store == nil {
		return errUnconfigured
	}
	e.mu.Lock()
	r := &run{engine: e, request: request, config: e.config, grants: slices.Clone(e.grants), told: e.told}
	e.mu.Unlock()
	if err := r.plan(); err != nil {
		return err
	}
	r.extends = slices.ContainsFunc(r.request.Scopes, func(s scoping.Scope) bool { return s.Has(scoping.Extensions) }) ||
		slices.ContainsFunc(r.grants, func(g engine.Grant) bool { return g.Scope.Has(scoping.Extensions) })
	x := newExporter(e.store, out)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	answered := make(chan error, 1)
	go func() {
		err := x.takeDecisions(ctx, in)
		if err != nil {
			cancel(err)
		}
		answered <- err
	}()
	err := r.do(ctx, x)
	if err != nil {
		cancel(err)
	} else {
		x.allSent()
	}
	if taken := <-answered; err == nil {
		err = taken
	}
	return err
}

// plan finds the directories of the request.
func (r *run) plan() error {
	if !slices.Contains([]string{engine.ProfileFull, engine.ProfileDelta, engine.ProfileObjects}, r.request.Profile) {
		return fmt.Errorf("run %d: profile %q is none of full, delta, objects", r.request.Run, r.request.Profile)
	}
	wanted := map[string][]scoping.GUID{}
	for _, s := range r.request.Scopes {
		if r.request.Profile != engine.ProfileObjects {
			wanted[s.Directory] = nil
		}
	}
	if r.request.Profile == engine.ProfileObjects {
		for _, o := range r.request.Objects {
			wanted[o.Directory] = append(wanted[o.Directory], o.GUID)
		}
	}
	for _, d := range r.config.Directories {
		if objects, ok := wanted[d.Name]; ok {
			slices.SortFunc(objects, scoping.GUID.Compare)
			objects = slices.Compact(objects)
			r.parts = append(r.parts, &part{directory: d, objects: objects, absent: map[scoping.GUID]bool{},
				report: engine.RunReport{Directory: d.Name}})
			delete(wanted, d.Name)
		}
	}
	for name := range wanted {
		return fmt.Errorf("run %d: directory %q is not configured", r.request.Run, name)
	}
	return nil
}

func (r *run) do(ctx context.Context, x *exporter) error {
	for _, p := range r.parts {
		if err := r.readDirectory(ctx, p, x); err != nil {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			r.fail(p, err)
		}
	}
	// References and extensions come after every base proposal, so that both ends of a new link exist by then.
	passes := []byte{pendingBase, pendingReferences}
	if r.extends {
		passes = append(passes, pendingExtensions)
	}
	for _, pass := range passes {
		for _, p := range r.parts {
			if p.failed {
				continue
			}
			if err := r.export(ctx, p, pass, x); err != nil {
				return err
			}
		}
		if err := x.flush(ctx); err != nil {
			return err
		}
	}
	return r.sendReports(ctx, x)
}

func (r *run) sendReports(ctx context.Context, x *exporter) error {
	if len(r.parts) == 0 {
		return x.event(ctx, engine.RunEvent{Report: &engine.RunReport{Complete: true}})
	}
	for i, p := range r.parts {
		p.report.Complete = !p.failed && !p.partial
		p.report.More = i < len(r.parts)-1
		if err := x.event(ctx, engine.RunEvent{Report: &p.report}); err != nil {
			return err
		}
	}
	return nil
}

// failure is a kind of error with its code.
type failure struct {
	kind error
	code string
}

// failures are tried in order, since an error may be of several kinds: what says most of what is to be done comes first.
var failures = []failure{{state.ErrFull, "disk-full"}, {directory.ErrBehind, engine.CodeBehind}, {directory.ErrUnproved, engine.CodeBehind}, {directory.ErrTLS, "tls"},
	{directory.ErrCredentials, "credentials"}, {directory.ErrNotPermitted, "not-permitted"}, {directory.ErrTimeout, "timeout"}, {directory.ErrUnreachable, "unreachable"}}

// fail notes that a directory could not be read.
func (r *run) fail(p *part, err error) {
	p.failed = true
	code := "import-failed"
	if i := slices.IndexFunc(failures, func(f failure) bool { return errors.Is(err, f.kind) }); i >= 0 {
		code = failures[i].code
	}
	p.report.Errors = append(p.report.Errors, engine.ObjectError{Code: code, Message: err.Error()})
	r.engine.log.Error("import failed", "directory", p.directory.Name, "error", err)
	r.engine.setHealth(engine.Health{Message: err.Error()})
}

// readDirectory is the import stage.
func (r *run) readDirectory(ctx context.Context, p *part, x *exporter) error {
	c := directory.Connection{Name: p.directory.Name, URLs: p.directory.URLs, Base: p.directory.Base, User: p.directory.User,
		Password: p.directory.Password, CA: p.directory.CA, Insecure: p.directory.Insecure}
	if u := r.request.DC[p.directory.Name]; u != "" {
		c.URLs = []string{u}
	}
	source, err := r.engine.options.Dial(ctx, c)
	if err != nil {
		return err
	}
	defer source.Close()
	if point, named := r.request.AsOf[p.directory.Name]; named {
		if err := source.Reached(ctx, directory.AsOf(point)); err != nil {
			return err // nothing is imported from a controller that is behind (rule V1)
		}
	}
	at := source.Controller()
	p.report.DC, p.report.USN, p.root = at.InvocationID, at.HighestUSN, at.Root
	err = x.event(ctx, engine.RunEvent{Begin: &engine.RunBegin{Directory: p.directory.Name, DC: p.report.DC, USN: p.report.USN, Rules: rulesFingerprint(r.request.Extensions)}})
	if err != nil {
		return err
	}
	err = r.importFrom(ctx, source, p, x)
	if errors.Is(err, errDamaged) {
		r.engine.log.Error("the connector space is damaged and is read anew", "directory", p.directory.Name, "error", err)
		if err := r.engine.forget(ctx, p.directory.Name); err != nil {
			return err
		}
		err = r.importFrom(ctx, source, p, x)
	}
	if err != nil {
		return err
	}
	p.tree = newTree(p.root)
	r.engine.setHealth(engine.Health{OK: true, Message: "ready"})
	return r.engine.store.View(ctx, func(tx state.Tx) error {
		w, err := space{p.directory.Name, tx}.watermark()
		p.domain = w.Domain
		return err
	})
}

func (r *run) importFrom(ctx context.Context, source Source, p *part, x *exporter) error {
	im := newImporter(r.engine.store, source, p.directory.Name, r.engine.options.MaxBytes, imported(r.request.Extensions))
	im.progress = func(read int) error {
		return x.event(ctx, engine.RunEvent{Progress: &engine.Progress{Phase: "import " + p.directory.Name, Done: read}})
	}
	defer func() { p.report.Read += im.read }()
	switch r.request.Profile {
	case engine.ProfileFull:
		return im.everything(ctx)
	case engine.ProfileDelta:
		return im.delta(ctx)
	}
	absent, err := im.objects(ctx, p.objects)
	for _, g := range absent {
		p.absent[g] = true
	}
	return err
}

// forget empties a directory's connector space, so that the next import reads everything and owes everything.
func (e *Engine) forget(ctx context.Context, name string) error {
	return e.store.Update(ctx, func(tx state.Tx) error {
		s := space{name, tx}
		for _, bucket := range []string{s.bucket("o"), s.bucket("p"), s.bucket("b")} {
			err := tx.Each(bucket, "", func(key string, _ []byte) error { return tx.Delete(bucket, key) })
			if err != nil {
				return err
			}
		}
		return tx.Delete("m", name)
	})
}
