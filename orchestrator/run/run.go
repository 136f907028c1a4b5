// Package run carries out one run of one engine: it tells the engine its grants and the state of the directory that it has to read, passes its
// proposals to a session of the gate, asks for what is owed, adds deletes that the engine did not propose, and counts the results.
//
// There is one conversation with an engine, in three forms: Sync is a run over what the engine owns, Settle one about single objects, and Run is for
// waves and plans. An engine has one conversation at a time; others wait.
package run

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/tandem-sync/tandem/orchestrator/census"
	"github.com/tandem-sync/tandem/orchestrator/control"
	"github.com/tandem-sync/tandem/orchestrator/gate"
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/objects"
	"github.com/tandem-sync/tandem/orchestrator/reach"
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
	"github.com/tandem-sync/tandem/scoping/attribute"
)

// Engines runs engines.
type Engines interface {
	// Names returns the configured engines in order.
	Names() []string
	// Describe returns the engine's description, and starts it if necessary.
	Describe(ctx context.Context, name string) (engine.Description, error)
	// Grant passes an engine its grants. It need not be running.
	Grant(ctx context.Context, name string, g []engine.Grant) error
	// Run lets an engine run, as engine.Drive does: c is the host's side of the conversation.
	Run(ctx context.Context, name string, r engine.RunRequest, c engine.Conversation) ([]engine.RunReport, error)
	// Health returns what an engine last reported about itself; false when it is not running.
	Health(name string) (engine.Health, bool)
}

// Progress is one line about a long operation.
type Progress struct {
	Engine string `json:"engine,omitempty"`
	Wave   string `json:"wave,omitempty"`
	Phase  string `json:"phase"`
	Done   int    `json:"done,omitempty"`
	Total  int    `json:"total,omitempty"`
	Note   string `json:"note,omitempty"`
}

// Options are what a Runner is made of. All but Progress and Log are required.
type Options struct {
	Gate    *gate.Gate
	Census  *census.Census
	View    *objects.View
	Control *control.Control
	Notes   *reach.Notes
	Engines Engines
	Clock   gate.Clock
	// Prepare brings the views of tenant and directories up to date. It continues without directories that cannot be read now, and returns them.
	Prepare func(context.Context) (*census.UnreadError, error)
	// Seen is called after a person was shown what an engine would write over a state that waits for its activation.
	Seen func(ctx context.Context, engine, by string, writes int) error
	// Sweep compares everything, after each complete full run (standing S3).
	Sweep func()
	// Save stores what is slow to compute again. Ease does so between two batches, if enough has changed.
	Save, Ease func(context.Context) error

	// Bin reads an object from the tenant's deleted items into the view of the tenant; nil: the view has all of them.
	Bin func(context.Context, cloud.Key) error

	// Refused returns the features that the tenant does not take, and why; nil: it takes all.
	Refused  func(context.Context) map[scoping.Feature]string
	Progress func(Progress)
	Trace    Trace // may be nil
	Log      func(msg string, args ...any)
}

// Runner lets engines run. It is safe for concurrent use.
type Runner struct {
	o Options

	mu     sync.Mutex
	locks  map[string]*sync.Mutex // by engine and stream: one run at a time
	runs   uint64
	totals map[string]*Totals // by engine and stream
}

// New makes a runner.
func New(o Options) *Runner {
	return &Runner{o: o, locks: map[string]*sync.Mutex{}, totals: map[string]*Totals{}, runs: uint64(o.Clock.Now().UnixMilli())}
}

// lock returns the mutex of an engine's runs.
func (r *Runner) lock(name string) *sync.Mutex {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.locks[name] == nil {
		r.locks[name] = &sync.Mutex{}
	}
	return r.locks[name]
}

// Number returns the number of a new run. Sessions of the gate without an engine have one too.
func (r *Runner) Number() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.runs++
	return r.runs
}

// Capabilities asks every configured engine what it can do.
func (r *Runner) Capabilities(ctx context.Context) (map[string]scoping.EngineCaps, error) {
	out := map[string]scoping.EngineCaps{}
	var refused map[scoping.Feature]string
	if r.o.Refused != nil {
		refused = r.o.Refused(ctx)
	}
	for _, n := range r.o.Engines.Names() {
		d, err := r.o.Engines.Describe(ctx, n)
		if err != nil {
			return nil, fmt.Errorf("asking engine %s what it can do: %w", n, err)
		}
		out[n] = scoping.EngineCaps{Kind: d.Kind, Features: slices.Concat(d.Features, d.Delivers), Refused: refused}
	}
	return out, nil
}

// Grant passes every engine its grants.
func (r *Runner) Grant(ctx context.Context) error {
	a := r.o.Gate.Authority()
	for _, n := range r.o.Engines.Names() {
		if err := r.o.Engines.Grant(ctx, n, a.Grants(n)); err != nil {
			return fmt.Errorf("telling engine %s its grants: %w", n, err)
		}
	}
	return nil
}

// ErrBusy is the error of a Request with Try while the engine runs otherwise.
var ErrBusy = errors.New("the engine is running")

// Request is one conversation with one engine.
type Request struct {
	Engine  string
	Stream  engine.Stream
	Profile string
	Scopes  []scoping.Scope    // possibly with choices: the engine is asked for the subtrees around them
	Objects []scoping.ObjectID // with ProfileObjects
	Ceiling engine.Mode
	Wave    string        // "": none
	Silent  bool          // no record is written
	Manages bool          // judgements name the attributes that the engine manages
	Managed *gate.Managed // in place of the managed attributes of the policy in force, for plans; only with Silent
	Phase   string        // the phase of its progress; "": none is shown
	Try     bool          // return ErrBusy instead of waiting for another run of the engine

	asked    bool
	farewell map[scoping.ObjectID]bool
	returns  map[scoping.ObjectID]string // see gate.SessionOptions.Returns
}

// Heard is the result of a conversation.
type Heard struct {
	Run      uint64
	From     uint64 // the log's last record at the beginning
	Complete bool   // the engine finished; otherwise Summary is empty
	Summary  gate.Summary
	Problems []Problem // reported by the engine

	session *gate.Session
}

// Spoke reports whether the engine mentioned a feature of an object.
func (h *Heard) Spoke(k ledger.Key) bool { return h.session.Seen(k) }

// Run lets an engine speak under a ceiling and returns the gate's answers.
func (r *Runner) Run(ctx context.Context, q Request) (*Heard, error) {
	l := r.lock(q.Engine)
	if !q.Try {
		l.Lock()
	} else if !l.TryLock() {
		return nil, fmt.Errorf("engine %s: %w", q.Engine, ErrBusy)
	}
	defer l.Unlock()
	var told func(int)
	if q.Phase != "" {
		told = r.telling(q, q.Phase)
	}
	c := r.begin(q, told)
	var err error
	if c.Complete, err = c.ask(ctx, q.Profile, q.Objects); err != nil || !c.Complete {
		return &c.Heard, err
	}
	c.Summary, err = c.end(ctx, true)
	return &c.Heard, err
}

// telling returns a function that reports how far a conversation is. The total of a full run is known from the census: every living object in its scopes is
// answered for. Of others, and once a run says more than that, only the answers are counted.
func (r *Runner) telling(q Request, phase string) func(done int) {
	total := 0
	if q.Profile == engine.ProfileFull && r.o.Progress != nil {
		total = r.o.View.Due(q.Scopes)
	}
	return func(done int) {
		p := Progress{Engine: q.Engine, Wave: q.Wave, Phase: phase, Done: done}
		if done <= total {
			p.Total = total
		}
		r.progress(p)
	}
}

// conversation is a conversation in progress. The engine's lock is held.
type conversation struct {
	Heard
	r    *Runner
	q    Request
	read int

	since map[string][]byte // of a stream: where its next run begins, by directory
}

// begin opens a session; told, which may be nil, is called with the number of its proposals.
func (r *Runner) begin(q Request, told func(int)) *conversation {
	c := &conversation{r: r, q: q, Heard: Heard{Run: r.Number()}, since: map[string][]byte{}}
	r.o.Gate.Read(func(s *ledger.State) { c.From = s.Seq })
	c.session = r.o.Gate.Begin(gate.SessionOptions{Engine: q.Engine, Stream: q.Stream, Run: c.Run, Wave: q.Wave, Ceiling: q.Ceiling, Silent: q.Silent, Manages: q.Manages, Managed: q.Managed, Asked: q.asked,
		Farewell: q.farewell, Returns: q.returns, Progress: told})
	return c
}

// ask lets the engine run and passes its proposals to the session. It returns whether the engine finished.
func (c *conversation) ask(ctx context.Context, profile string, ids []scoping.ObjectID) (complete bool, err error) {
	r := c.r
	d, err := r.o.Engines.Describe(ctx, c.q.Engine)
	if err != nil {
		return false, fmt.Errorf("asking engine %s what it reads: %w", c.q.Engine, err)
	}
	r.o.Census.Watch(c.q.Engine, r.reads(d))
	q := engine.RunRequest{Run: c.Run, Stream: c.q.Stream, Profile: profile, Scopes: whole(c.q.Scopes), Objects: ids, Ceiling: c.q.Ceiling,
		Extensions: extensions(c.q.managed(r.o.Gate.Rules()))}
	r.point(&q)
	c.resume(&q)
	ctx, computed := r.trace(ctx, TraceCompute, map[string]string{"profile": q.Profile})
	reports, err := r.o.Engines.Run(ctx, c.q.Engine, q, engine.Conversation{Begin: func(b engine.RunBegin) error {
		err := begins(q, b)
		if err == nil {
			c.session.Begins(b)
		}
		return err
	}, Decide: func(batch []engine.Proposal) ([]engine.Decision, error) {
		ctx, answered := r.trace(ctx, TracePropose, nil)
		ds, err := c.decide(ctx, batch)
		if err == nil {
			err = r.o.Ease(ctx)
		}
		answered(resultOf(err), map[string]int{"proposals": len(batch)})
		return ds, err
	}, Progress: func(p engine.Progress) {
		r.progress(Progress{Engine: c.q.Engine, Phase: p.Phase, Done: p.Done, Total: p.Total})
	}})
	computed(resultOf(err), nil)
	if err != nil {
		return false, fmt.Errorf("engine %s, %s run: %w", c.q.Engine, q.Profile, err)
	}
	complete = len(reports) > 0
	for _, x := range reports {
		if p := q.AsOf[x.Directory]; x.DC == p.Invocation && x.USN < p.USN {
			x.Complete = false // the engine ignored the point that it was told
			x.Errors = append(x.Errors, engine.ObjectError{Code: engine.CodeBehind, Message: fmt.Sprintf("engine %s read directory %s at USN %d, seen was %d", c.q.Engine, x.Directory, x.USN, p.USN)})
		}
		complete = complete && x.Complete
		if profile != engine.ProfileObjects {
			c.read += x.Read
		}
		for _, e := range x.Errors {
			c.Problems = append(c.Problems, Problem{Object: r.o.View.Name(e.Object), Code: e.Code, Message: e.Message})
		}
		if x.Complete && x.Since != nil && profile != engine.ProfileObjects {
			c.since[x.Directory] = x.Since
		}
	}
	return complete, nil
}

// managed returns the attributes that engines manage in a conversation.
func (q Request) managed(in gate.Rules) gate.Managed {
	if q.Managed != nil {
		return *q.Managed
	}
	return in.Managed
}

// extensions returns the managed extension attributes, sorted.
func extensions(m gate.Managed) []string { return slices.Sorted(maps.Keys(m.Extensions)) }

// reads returns what an engine reads of the directory: its declared attributes, and the sources of the policy's extensions, which it learns in each
// run.
func (r *Runner) reads(d engine.Description) map[scoping.Kind][]string {
	out := map[scoping.Kind][]string{}
	for k, x := range d.Reads {
		out[k] = x.Attributes
	}
	if !slices.Contains(d.Features, scoping.Extensions) {
		return out
	}
	for _, n := range extensions(r.o.Gate.Rules().Managed) {
		if of := attribute.Source(n); !slices.Contains(out[scoping.User], of) {
			out[scoping.User] = append(slices.Clone(out[scoping.User]), of)
		}
	}
	return out
}

// point adds to a request which controllers the host reads, and what it has seen of them: an engine that reads from a controller without these changes
// would propose old values and false deletes (rule V1).
func (r *Runner) point(q *engine.RunRequest) {
	q.DC, q.AsOf = map[string]string{}, map[string]engine.AsOf{}
	note := func(name string) {
		if _, noted := q.AsOf[name]; noted {
			return
		}
		p, url, known := r.o.Census.AsOf(name)
		if !known {
			return
		}
		q.AsOf[name] = engine.AsOf(p)
		if url != "" {
			q.DC[name] = url
		}
	}
	for _, s := range q.Scopes {
		note(s.Directory)
	}
	for _, o := range q.Objects {
		note(o.Directory)
	}
}

// whole returns the subtrees that scopes are in, once each: these are what engines are asked for.
func whole(scopes []scoping.Scope) []scoping.Scope {
	if !slices.ContainsFunc(scopes, scoping.Scope.Chooses) {
		return scopes
	}
	var out []scoping.Scope
	for _, s := range scopes {
		w := s.Whole()
		if !slices.ContainsFunc(out, func(x scoping.Scope) bool {
			return x.Directory == w.Directory && x.Under == w.Under && slices.Equal(x.Except, w.Except) && slices.Equal(x.Features, w.Features) && slices.Equal(x.Kinds, w.Kinds)
		}) {
			out = append(out, w)
		}
	}
	return out
}

func (r *Runner) progress(p Progress) {
	if r.o.Progress != nil {
		r.o.Progress(p)
	}
}
