package cloudsync

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/tandem-sync/tandem/plugins/cloudsync/line"
	"github.com/tandem-sync/tandem/plugins/cloudsync/line/linepb"
	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/plugins/expression"
	"github.com/tandem-sync/tandem/scoping"
)

// Codes of ObjectErrors in a run's report.
const (
	CodeRun        = "run"         // the run broke off; no object
	CodeQuarantine = "quarantine"  // the directory's job is in quarantine; no object
	CodeNoEvidence = "no-evidence" // the object is neither living nor a tombstone: nothing is proposed of it
)

// errMoved says that the controller changed in the middle of a run: versions of two controllers do not compare.
var errMoved = errors.New("the agents' controller changed in the middle of the run; the next run begins anew with one of them")

// readBatch is how many objects are asked of an agent at once.
const readBatch = 200

// job synchronizes one directory.
type job struct {
	config   engine.Directory
	audience audience
	minimum  int
	hub      *hub
	memory   *memory
	schema   schema
	log      *slog.Logger
	now      func() time.Time
	limits   tolerance
	scratch  string       // folder for spools
	trouble  func() error // why embedded agents do not attend; nil if nothing is known
	expects  func() bool  // whether as many agents are enrolled as are needed
}

// jobRun is one run of one job.
type jobRun struct {
	*job
	request engine.RunRequest
	regions regions
	stream  *stream
	spool   *spool
	report  engine.RunReport
	begun   bool // the host knows which controller is read
	strict  bool // profile objects: each object is answered for, also where it lies outside the run's scopes or cannot be judged
	domain  string
	root    scoping.GUID // of the directory, as the controller told it last
}

// run does the whole run and gives its report. An error is one of the run as a whole: the report says it, and is not complete.
func (j *job) run(ctx context.Context, r engine.RunRequest, where regions, s *stream) (engine.RunReport, error) {
	run := &jobRun{job: j, request: r, regions: where, stream: s, strict: r.Profile == engine.ProfileObjects,
		domain: expression.Domain(j.config.Base), report: engine.RunReport{Directory: j.config.Name, Complete: true}}
	err := run.do(ctx)
	if err != nil {
		code := CodeRun
		if lagging(err) {
			code = engine.CodeBehind
		}
		run.fail(scoping.ObjectID{}, code, err.Error())
		if at := j.memory.standing; !at.Quarantine.IsZero() {
			run.fail(scoping.ObjectID{}, CodeQuarantine, fmt.Sprintf("directory %s is in quarantine since %s", j.config.Name, at.Quarantine.Format(time.RFC3339)))
		}
	}
	return run.report, err
}

func (r *jobRun) do(ctx context.Context) error {
	spool, err := newSpool(r.scratch)
	if err != nil {
		return err
	}
	r.spool = spool
	defer spool.close()
	if live := r.ready(ctx); live < r.minimum {
		e := noAgents(r.config.Name, live, r.minimum, r.trouble())
		e.Unenrolled = !r.expects()
		return e
	}
	if r.strict {
		err = r.objects(ctx)
	} else {
		err = r.changes(ctx)
	}
	if ctx.Err() != nil {
		return err
	}
	// Also when the run broke off: what was proposed is whole then, and need not be proposed again.
	return errors.Join(err, r.references())
}

func (r *jobRun) ready(ctx context.Context) int {
	if ctx.Err() != nil {
		return 0
	}
	ended, end := context.WithCancel(ctx)
	end()
	return r.hub.await(ended, r.audience, r.minimum)
}

// fail reports what could not be done. Without an object it is the run that failed. One object without an answer is named, and leaves
// the run complete for all others: an account that does not see some tombstones would block every delete for good.
func (r *jobRun) fail(g scoping.ObjectID, code, message string) {
	if g == (scoping.ObjectID{}) {
		r.report.Complete = false
	}
	r.report.Errors = append(r.report.Errors, engine.ObjectError{Object: g, Code: code, Message: message})
}

// changes reads what changed (or everything), stores what is to be proposed, and proposes it.
func (r *jobRun) changes(ctx context.Context) error {
	l, err := r.list(ctx)
	if err != nil {
		return err
	}
	r.report.DC, r.report.USN, r.report.Read = l.invocation, l.usn, l.read
	if err := r.begin(); err != nil {
		return err
	}
	c := plan(r.memory, l, r.regions)
	if c.watermark != nil {
		c.watermark.At = r.now().UTC()
	}
	if err := r.memory.commit(ctx, c); err != nil {
		return err
	}
	due := r.due()
	r.log.Info("listed", "directory", r.config.Name, "whole", l.whole, "told", l.read, "due", len(due))
	return r.readAll(ctx, due)
}

// due are the pending objects that this run is for. The others wait for a run over their scopes.
func (r *jobRun) due() []scoping.GUID {
	var out []scoping.GUID
	for g, m := range r.memory.pending {
		n, known := r.memory.tree.nodes[g]
		if known && !m.Gone && m.From == nil {
			up, missing := r.memory.tree.ancestors(n.Parent)
			if missing.IsZero() && !r.regions.inRun(n.Kind, up) {
				continue
			}
		}
		out = append(out, g)
	}
	slices.SortFunc(out, scoping.GUID.Compare)
	return out
}

// list reads what changed since the watermark; everything for a full run, without a watermark, or when it is of no use.
func (r *jobRun) list(ctx context.Context) (*listing, error) {
	if w := r.memory.watermark; w != nil && r.request.Profile == engine.ProfileDelta {
		l, err := r.listSince(ctx, w)
		if !anew(err) {
			return l, err
		}
		r.log.Warn("everything is read again", "directory", r.config.Name, "because", err)
	}
	return r.listSince(ctx, nil)
}

// anew reports whether reading everything helps: the cookie is refused, or only agents of other controllers than the one that
// gave it can serve. Versions of two controllers do not compare (rule V1).
func anew(err error) bool {
	var failure *failureError
	var none *NoAgentError
	return errors.As(err, &none) && none.elsewhere || errors.As(err, &failure) && failure.Code == line.CodeCookie
}

func (r *jobRun) listSince(ctx context.Context, w *watermark) (*listing, error) {
	changes, attrs := &linepb.Changes{}, []string{"objectClass"}
	if w != nil {
		changes.Cookie, changes.Invocation, attrs = w.Cookie, w.Invocation[:], r.schema.attributes(r.request.Extensions)
	}
	l := &listing{whole: w == nil}
	end, err := r.ask(ctx, reading{
		request: &linepb.Request{Is: &linepb.Request_Changes{Changes: changes}, Attributes: attrs},
		begin: func(s *linepb.Start) error {
			l.objects, l.read, l.usn = map[scoping.GUID]listed{}, 0, s.Usn
			l.invocation, l.root = scoping.GUID(s.Invocation), scoping.GUID(s.Root)
			return nil
		},
		entry: func(e directory.Entry) error {
			l.add(e)
			if l.read%5000 == 0 {
				return r.stream.send(engine.RunEvent{Progress: &engine.Progress{Phase: "import", Done: l.read}})
			}
			return nil
		},
		pinned: r.sameController(w),
	})
	if err != nil {
		return nil, err
	}
	l.cookie = end.Cookie
	return l, nil
}

func (j *job) sameController(w *watermark) func(*live) bool {
	if w == nil {
		return nil
	}
	return func(l *live) bool { return l.invocation == w.Invocation }
}

// ask asks the directory's agents. Agents read the controllers that are near them: one that has everything that the host has seen serves as well as the
// host's own, and one that lacks some of it does not serve at all (rule V1).
func (r *jobRun) ask(ctx context.Context, q reading) (*linepb.End, error) {
	p, pointed := r.request.AsOf[r.config.Name]
	if !pointed {
		q.request.Controller = r.request.DC[r.config.Name]
		return r.hub.ask(ctx, r.config.Name, r.audience, q)
	}
	q.request.AsOf = &linepb.AsOf{Invocation: p.Invocation[:], Usn: p.USN}
	if q.pinned == nil {
		q.pinned = func(l *live) bool { return l.invocation == p.Invocation }
	}
	begin := q.begin
	q.begin = func(s *linepb.Start) error {
		if same := scoping.GUID(s.Invocation) == p.Invocation && s.Usn >= p.USN; !same && !s.Reached {
			return errOldAgent
		}
		return begin(s)
	}
	return r.hub.ask(ctx, r.config.Name, r.audience, q)
}

// errOldAgent says that an agent read another controller than the host and could not tell whether that is behind.
var errOldAgent = errors.New("an agent cannot say whether its controller is behind the host's: install the version of tandem-agent that comes with the service")

// lagging reports whether a run failed because the controllers of its agents lack what the host has seen.
func lagging(err error) bool {
	var none *NoAgentError
	return errors.As(err, &none) && slices.ContainsFunc(none.Failures, func(err error) bool {
		var failure *failureError
		return errors.As(err, &failure) && failure.Code == line.CodeBehind
	})
}

// objects proposes just the objects that the request names.
func (r *jobRun) objects(ctx context.Context) error {
	var due []scoping.GUID
	seen := map[scoping.GUID]bool{}
	for _, o := range r.request.Objects {
		if o.Directory == r.config.Name && !seen[o.GUID] {
			seen[o.GUID] = true
			due = append(due, o.GUID)
		}
	}
	if len(due) == 0 {
		if _, err := r.ask(ctx, reading{request: &linepb.Request{Is: &linepb.Request_Ping{Ping: &linepb.Ping{}}}, begin: r.started}); err != nil {
			return err
		}
		return r.begin()
	}
	return r.readAll(ctx, due)
}

// started notes which controller is read, and insists that it stays the same one. Its USN is what it was before the run's
// first search.
func (r *jobRun) started(s *linepb.Start) error {
	dc := scoping.GUID(s.Invocation)
	if r.report.DC.IsZero() {
		r.report.DC, r.report.USN = dc, s.Usn
	}
	if r.report.DC != dc {
		return errMoved
	}
	r.root = scoping.GUID(s.Root)
	return nil
}

// begin tells the host by what the proposals come about, once.
func (r *jobRun) begin() error {
	if r.begun {
		return nil
	}
	r.begun = true
	return r.stream.send(engine.RunEvent{Begin: &engine.RunBegin{Directory: r.config.Name, DC: r.report.DC, USN: r.report.USN, Rules: r.schema.fingerprint(r.request.Extensions)}})
}

// readObjects reads objects whole, tombstones too. An answer that begins anew replaces what came of the lost one.
func (r *jobRun) readObjects(ctx context.Context, guids []scoping.GUID) (map[scoping.GUID]directory.Entry, error) {
	var found map[scoping.GUID]directory.Entry
	_, err := r.ask(ctx, reading{
		request: &linepb.Request{Is: &linepb.Request_Objects{Objects: &linepb.Objects{Guids: line.Pack(guids)}}, Attributes: r.schema.attributes(r.request.Extensions)},
		begin: func(s *linepb.Start) error {
			found = make(map[scoping.GUID]directory.Entry, len(guids))
			return r.started(s)
		},
		entry: func(e directory.Entry) error {
			found[e.GUID] = e
			return nil
		},
		pinned: func(l *live) bool { return l.invocation == r.report.DC },
	})
	return found, err
}

// readAll reads the objects batch by batch and proposes them.
func (r *jobRun) readAll(ctx context.Context, due []scoping.GUID) error {
	done := 0
	for guids := range slices.Chunk(due, readBatch) {
		found, err := r.readObjects(ctx, guids)
		if err != nil {
			return err
		}
		if err := r.begin(); err != nil {
			return err
		}
		if r.strict {
			r.report.Read += len(found)
		}
		if err := r.take(ctx, guids, found); err != nil {
			return err
		}
		if err := r.settle(ctx, false); err != nil {
			return err
		}
		done += len(guids)
		if err := r.stream.send(engine.RunEvent{Progress: &engine.Progress{Phase: "sync", Done: done, Total: len(due)}}); err != nil {
			return err
		}
	}
	return r.stream.flush()
}

// references sends what waited for the base proposals.
func (r *jobRun) references() error {
	if err := r.spool.each(r.stream.propose); err != nil {
		return err
	}
	return r.stream.flush()
}

// settleEvery is how many decided objects make a transaction worth while in the middle of a run.
const settleEvery = 1000

// settleNow takes the marks off what the host has decided.
func (j *job) settleNow(ctx context.Context, settled []settlement) error {
	c := newChange()
	for _, s := range settled {
		g := s.object.GUID
		n, known := j.memory.tree.nodes[g]
		if s.want == engine.Unknown {
			continue // no word about it
		}
		if _, pending := j.memory.pending[g]; pending && !s.partly {
			c.marks[g] = nil
		}
		switch {
		case s.want == engine.Gone:
			if known {
				c.nodes[g] = nil
			}
		case known && n.Claimed != (s.want != engine.OutOfScope):
			n.Claimed = s.want != engine.OutOfScope
			c.nodes[g] = &n
		}
	}
	return j.memory.commit(ctx, c)
}

// settle does so when it is worth while, or for all.
func (r *jobRun) settle(ctx context.Context, all bool) error {
	r.stream.mu.Lock()
	n := len(r.stream.decided)
	r.stream.mu.Unlock()
	if n == 0 || (n < settleEvery && !all) {
		return nil
	}
	return r.settleNow(ctx, r.stream.settled())
}
