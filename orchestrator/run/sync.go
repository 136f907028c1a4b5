package run

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/census"
	"github.com/tandem-sync/tandem/orchestrator/control"
	"github.com/tandem-sync/tandem/orchestrator/gate"
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/problem"
	"github.com/tandem-sync/tandem/orchestrator/reach"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// SyncOptions are what one run covers.
type SyncOptions struct {
	Profile string // engine.ProfileDelta or engine.ProfileFull; empty: delta, or full if that is due
	Under   string // a DN; empty: all of the engine's scopes
	Wave    string
	By      string // the person who asked for it; empty: the schedule

	FullEvery time.Duration // without a profile: the greatest age of the last full run; 0: only changed rules make one due
}

// Sync lets an engine run over its scopes: read, run, ask for what is owed, see off what left, judge, count.
func (r *Runner) Sync(ctx context.Context, name string, o SyncOptions) (out Report, err error) {
	if !slices.Contains(r.o.Engines.Names(), name) {
		return Report{}, problem.Refuse("no engine %q is configured (configured: %v)", name, r.o.Engines.Names())
	}
	if _, err := r.o.Control.Partition(); err != nil {
		return Report{}, err
	}
	l := r.lock(name)
	l.Lock()
	defer l.Unlock()
	began, from := r.o.Clock.Now(), r.seq()
	ctx, ended := r.trace(ctx, TraceRun, o.labels(name, engine.Objects))
	defer func() { endRun(ended, out, err) }()
	unread, err := r.read(ctx)
	if err != nil {
		r.note(o, began, Report{Engine: name, Profile: o.Profile}, err)
		return Report{}, errors.Join(err, r.o.Notes.Keep(ctx))
	}
	rules, err := r.profile(ctx, name, engine.Objects, &o)
	if err != nil {
		r.note(o, began, Report{Engine: name, Profile: o.Profile}, err)
		return Report{}, errors.Join(err, r.o.Notes.Keep(ctx))
	}
	out, err = r.sync(ctx, name, o, unread)
	r.note(o, began, out, err)
	if err == nil {
		r.noteFull(name, rules, o, out)
	}
	if err == nil && out.ReadOnly != "" && out.Complete && o.Profile == engine.ProfileFull && o.Under == "" && o.By != "" {
		err = r.o.Seen(ctx, name, o.By, out.Shadowed)
	}
	out.Millis, out.At = r.o.Clock.Now().Sub(began).Milliseconds(), r.o.Clock.Now().UnixMilli()
	if err != nil {
		out.Errors = append(out.Errors, problemOf(name, err))
	}
	return out, errors.Join(err, r.remember(ctx, out, err, from), r.o.Save(ctx))
}

// read is Prepare as a part of a run, with a trace.
func (r *Runner) read(ctx context.Context) (*census.UnreadError, error) {
	ctx, ended := r.trace(ctx, TraceRead, nil)
	unread, err := r.o.Prepare(ctx)
	result := resultOf(err)
	if unread != nil && err == nil {
		result = "incomplete"
	}
	ended(result, nil)
	return unread, err
}

// Prepare brings the views of tenant and directories up to date; a directory that cannot be read is an error.
func (r *Runner) Prepare(ctx context.Context) error {
	unread, err := r.o.Prepare(ctx)
	if err == nil && unread != nil {
		return fmt.Errorf("reading the directory's changes: %w", unread)
	}
	return err
}

// remember stores a run's report for later status queries: in the log, or, if nothing happened and it reports the same as the last one in the log,
// only in the notes. from is the log's last record before the run began.
func (r *Runner) remember(ctx context.Context, x Report, failed error, from uint64) error {
	short := x
	short.Errors, short.Findings, short.Removals = x.Errors[:min(len(x.Errors), 20)], x.Findings[:min(len(x.Findings), 20)], x.Removals[:min(len(x.Removals), 20)]
	b, err := json.Marshal(short)
	if err != nil {
		return fmt.Errorf("keeping the run's report: %w", err)
	}
	key := keyOf(x.Engine, x.Stream)
	if last, logged := r.logged(key); logged && failed == nil && r.seq() == from && short.says(last) {
		r.o.Notes.NoteIdle(key, b)
		return nil
	}
	outcome := engine.Applied
	if failed != nil || !x.Complete {
		outcome = engine.Failed
	}
	return r.o.Gate.Record(ctx, ledger.Record{Type: ledger.ControlType, Engine: x.Engine, Feature: scoping.Feature(x.Stream), Op: "run", Outcome: outcome, Code: x.Profile,
		Reason: fmt.Sprintf("%d applied, %d held, %d failed", x.Applied, x.Held, x.Failed), Detail: b})
}

// says reports whether a report names the same waiting, failed and left objects as an earlier one.
func (r Report) says(old Report) bool {
	return r.Applied == 0 && r.Complete == old.Complete && r.Held == old.Held && r.Deferred == old.Deferred && r.Refused == old.Refused && r.Failed == old.Failed &&
		r.Unclaimed == old.Unclaimed && r.Shadowed == old.Shadowed && r.Stopped == old.Stopped && r.ReadOnly == old.ReadOnly &&
		slices.Equal(r.Errors, old.Errors) && slices.Equal(r.Findings, old.Findings) && slices.Equal(r.HeldSets, old.HeldSets) && slices.Equal(r.Left, old.Left)
}

func (r *Runner) seq() (seq uint64) {
	r.o.Gate.Read(func(s *ledger.State) { seq = s.Seq })
	return seq
}

// Last returns an engine's last report, of any process; false: there is none.
func (r *Runner) Last(name string) (Report, bool) {
	x, known := r.logged(name)
	var idle Report
	if b := r.o.Notes.Idle(name); b != nil && json.Unmarshal(b, &idle) == nil && idle.At > x.At {
		return idle, true
	}
	return x, known
}

// logged returns an engine's last report in the log.
func (r *Runner) logged(name string) (Report, bool) {
	var x Report
	var b []byte
	r.o.Gate.Read(func(s *ledger.State) { b = s.Runs[name] })
	if b == nil || json.Unmarshal(b, &x) != nil {
		return x, false
	}
	return x, true
}

// note remembers how a run ended. A refused request was no run.
func (r *Runner) note(o SyncOptions, began time.Time, x Report, err error) {
	name := keyOf(x.Engine, x.Stream)
	switch {
	case errors.Is(err, problem.ErrUsage), errors.Is(err, problem.ErrNotFound):
		return
	case err == nil && !x.Complete:
		err = fmt.Errorf("the run was not complete: %s", x.FirstProblem())
	}
	if errors.Is(err, gate.ErrTenantDown) {
		r.o.Notes.Note(reach.Tenant, began, err)
	}
	r.o.Notes.Note(reach.Engine(name), began, err)
	r.keepPast(o, began, x, err)
}

// sync is a run over what an engine owns. The engine's lock is held.
func (r *Runner) sync(ctx context.Context, name string, o SyncOptions, unread *census.UnreadError) (Report, error) {
	auth := r.o.Gate.Authority()
	out := Report{Engine: name, Profile: o.Profile, Errors: []Problem{}, Findings: []Problem{}, ReadOnly: auth.ReadOnly}
	grants := auth.Grants(name)
	if err := r.o.Engines.Grant(ctx, name, grants); err != nil {
		return out, err
	}
	scopes, err := r.ScopesUnder(ctx, grants, o.Under)
	if err != nil {
		return out, err
	}
	q := Request{Engine: name, Profile: o.Profile, Scopes: scopes, Ceiling: auth.Ceiling(), Wave: o.Wave}
	c := r.begin(q, r.telling(q, "propose"))
	complete, answered, err := c.all(ctx, o.Under == "")
	if err != nil {
		return out, err
	}
	if c.missed(unread) {
		complete = false
	}
	if c.Summary, err = c.end(ctx, complete); err != nil {
		return out, err
	}
	out.Read, out.Complete = c.read, complete && answered
	c.report(&out)
	if auth := r.o.Gate.Authority(); auth.ReadOnly == "" {
		out.Stopped = cmp.Or(auth.Stopped(name, scoping.Place{}), out.Stopped)
	}
	if c.q.Ceiling == engine.ModeOwn {
		if err := c.farewells(ctx, &out); err != nil {
			return out, err
		}
	}
	if err := c.adopted(ctx, o, out.Complete && c.q.Ceiling == engine.ModeOwn); err != nil {
		return out, err
	}
	if o.Under == "" {
		c.waiting(&out)
	}
	sets, held := r.heldOwners(name)
	out.HeldSets, out.Held = append(out.HeldSets, sets...), out.Held+held
	return out, c.unclaimed(ctx, o, complete, &out)
}

// missed reports whether the host could not read a directory that this run is about, and adds it to the problems: the run then deletes and removes
// nothing.
func (c *conversation) missed(unread *census.UnreadError) bool {
	if unread == nil {
		return false
	}
	missed := false
	for _, n := range unread.Names() {
		if slices.ContainsFunc(c.q.Scopes, func(s scoping.Scope) bool { return s.Directory == n }) {
			missed = true
			c.Problems = append(c.Problems, Problem{Object: "directory " + n, Code: codeUnread,
				Message: "the host could not read it, so deletes, removals, and what is new or moved there wait; the rest went on: " + unread.Directories[n].Error()})
		}
	}
	return missed
}

// all runs the engine over its scopes, asks for what is owed, and adds deletes that were not proposed. complete reports that the engine finished;
// answered, that it also answered for every object that it was asked for singly. An object without an answer, such as a deleted one whose tombstone
// an agent's account may not read, is asked for again and does not delay the rest.
func (c *conversation) all(ctx context.Context, whole bool) (complete, answered bool, err error) {
	complete = true
	if len(c.q.Scopes) > 0 {
		ok, err := c.ask(ctx, c.q.Profile, nil)
		if err != nil {
			return false, false, err
		}
		complete = ok
	}
	full := complete && whole && c.q.Profile == engine.ProfileFull
	if full {
		if err := c.session.Unheard(ctx); err != nil {
			return false, false, err
		}
	}
	if answered, err = c.askOwed(ctx); err != nil {
		return false, false, err
	}
	if full {
		if err := c.silent(ctx); err != nil {
			return false, false, err
		}
	}
	return complete, answered, c.claims(ctx)
}

// Settle asks an engine for given objects only, and carries out what is decided.
func (r *Runner) Settle(ctx context.Context, name string, ids []scoping.ObjectID) (Report, error) {
	return r.settle(ctx, name, ids, nil, nil)
}

// settle is Settle with returns, the objects that a person wants back from the deleted items, and heard, which is called with the ended session and
// may be nil.
func (r *Runner) settle(ctx context.Context, name string, ids []scoping.ObjectID, returns map[scoping.ObjectID]string, heard func(*gate.Session)) (Report, error) {
	l := r.lock(name)
	l.Lock()
	defer l.Unlock()
	began := r.o.Clock.Now()
	out := Report{Engine: name, Profile: engine.ProfileObjects, Errors: []Problem{}, Findings: []Problem{}}
	if err := r.Prepare(ctx); err != nil {
		return out, err
	}
	grants := r.o.Gate.Authority().Grants(name)
	if err := r.o.Engines.Grant(ctx, name, grants); err != nil {
		return out, err
	}
	scopes, _ := r.ScopesUnder(ctx, grants, "")
	c := r.begin(Request{Engine: name, Profile: engine.ProfileObjects, Scopes: scopes, Ceiling: r.o.Gate.Authority().Ceiling(), asked: true, returns: returns}, nil)
	complete := true
	var err error
	if len(ids) > 0 {
		if complete, err = c.ask(ctx, engine.ProfileObjects, ids); err != nil {
			return out, err
		}
	}
	if err := c.claims(ctx); err != nil {
		return out, err
	}
	if c.Summary, err = c.end(ctx, complete); err != nil {
		return out, err
	}
	if heard != nil {
		heard(c.session)
	}
	out.Read, out.Complete = len(ids), complete
	c.report(&out)
	if c.q.Ceiling == engine.ModeOwn {
		if err := c.farewells(ctx, &out); err != nil { // also for objects that left: this carries out approved removals
			return out, err
		}
	}
	out.Millis, out.At = r.o.Clock.Now().Sub(began).Milliseconds(), r.o.Clock.Now().UnixMilli()
	return out, r.o.Save(ctx)
}

// ScopesUnder returns the scopes of grants, reduced to what is below a DN.
func (r *Runner) ScopesUnder(ctx context.Context, grants []engine.Grant, dn string) ([]scoping.Scope, error) {
	var all []scoping.Scope
	for _, g := range grants {
		if g.Mode != engine.ModeNone {
			all = append(all, g.Scope)
		}
	}
	if dn == "" {
		return all, nil
	}
	dir, guid, chain, err := r.o.View.Resolve(ctx, dn)
	if err != nil {
		return nil, err
	}
	out := r.cutScopes(all, dir, guid, chain)
	if len(out) == 0 {
		return nil, problem.Refuse("the engine owns nothing under %s", dn)
	}
	return out, nil
}

// cutScopes reduces scopes to one container's subtree.
func (r *Runner) cutScopes(all []scoping.Scope, dir string, guid scoping.GUID, chain []scoping.GUID) []scoping.Scope {
	inside := scoping.Place{Directory: dir, Ancestors: append([]scoping.GUID{guid}, chain...)}
	var out []scoping.Scope
	for _, s := range all {
		if s.Covers(inside) {
			s.Under = guid
			out = append(out, s)
		} else if p, ok := r.o.View.Pin(scoping.ObjectID{Directory: dir, GUID: s.Under}); ok && s.Directory == dir && slices.Contains(p.Ancestors, guid) {
			out = append(out, s)
		}
	}
	return out
}

// adopted ends an engine's first adoption when a complete full run of all its scopes left no question (rule J5): everything that the tenant had
// before is linked, or a person has been asked about it.
func (c *conversation) adopted(ctx context.Context, o SyncOptions, complete bool) error {
	r, name := c.r, c.q.Engine
	_, adopting := r.o.Gate.Authority().Adopting[name]
	if !adopting || !complete || o.Profile != engine.ProfileFull || o.Under != "" || !settledAll(c.Summary) {
		return nil
	}
	return r.o.Control.Change(ctx, func(c *control.Content) error {
		delete(c.Head.Adopting, name)
		c.Append(ledger.Record{Type: ledger.ControlType, Engine: name, Op: "adopted", Outcome: engine.Applied, Reason: "a full run left nothing to be asked", Epoch: c.Head.Epoch})
		return nil
	})
}

// settledAll reports whether a run left no question of a first adoption open: nothing is held for it, was rejected, or could not be decided.
func settledAll(sum gate.Summary) bool {
	if slices.ContainsFunc(sum.Held, func(x ledger.Hold) bool { return x.Class == ledger.Adoptions }) {
		return false
	}
	for j := range sum.All() {
		if j.Key.Feature != scoping.Base(j.Kind) || j.Want != engine.Present {
			continue
		}
		switch j.Outcome {
		case engine.Deferred, engine.Stale, engine.InDoubt, engine.Parked:
			return false
		case engine.Refused:
			if j.Code == gate.CodeRejected {
				return false
			}
		}
	}
	return true
}
