package run

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/tandem-sync/tandem/orchestrator/gate"
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// keyOf returns the key of an engine's stream for notes and reports.
func keyOf(name string, stream engine.Stream) string {
	return ledger.RunKey(name, scoping.Feature(stream))
}

// HandsOver reports whether an engine is granted passwords anywhere.
func (r *Runner) HandsOver(name string) bool {
	a := r.o.Gate.Authority()
	return a.Partition != nil && a.Partition.On(scoping.PasswordHash) && len(passwordScopes(a.Grants(name))) > 0
}

// passwordScopes returns the scopes of those grants that include passwords.
func passwordScopes(grants []engine.Grant) (scopes []scoping.Scope) {
	for _, g := range grants {
		if g.Mode != engine.ModeNone && g.Scope.Writes(scoping.User, scoping.PasswordHash) {
			scopes = append(scopes, g.Scope)
		}
	}
	return scopes
}

// Passwords lets an engine hand over the passwords that it owns and the tenant does not have: changed ones, or all with ProfileFull, and then what is
// owed. It may run beside other runs of the engine. For an engine without passwords the report is empty.
func (r *Runner) Passwords(ctx context.Context, name string, o SyncOptions) (out Report, err error) {
	out = Report{Engine: name, Stream: engine.Passwords, Profile: o.Profile, Errors: []Problem{}, Findings: []Problem{}, Complete: true}
	if !r.HandsOver(name) {
		return out, nil
	}
	ctx, ended := r.trace(ctx, TraceRun, o.labels(name, engine.Passwords))
	defer func() { endRun(ended, out, err) }()
	key := keyOf(name, engine.Passwords)
	l := r.lock(key)
	l.Lock()
	defer l.Unlock()
	began, from := r.o.Clock.Now(), r.seq()
	unread, err := r.read(ctx)
	var rules string
	if err == nil {
		rules, err = r.profile(ctx, name, engine.Passwords, &o)
	}
	if err == nil {
		out.Profile = o.Profile
		err = r.passwords(ctx, o, &out)
	}
	if err == nil && unread != nil {
		out.Complete = false
	}
	r.note(o, began, out, err)
	if err == nil && o.Profile == engine.ProfileFull && out.Complete && out.ReadOnly == "" {
		r.o.Notes.NoteFull(key, rules)
	}
	out.Millis, out.At = r.o.Clock.Now().Sub(began).Milliseconds(), r.o.Clock.Now().UnixMilli()
	if err != nil {
		out.Errors = append(out.Errors, problemOf(name, err))
	}
	return out, errors.Join(err, r.remember(ctx, out, err, from), r.o.Save(ctx))
}

// LastPasswords returns an engine's last report about passwords, of any process; false: there is none.
func (r *Runner) LastPasswords(name string) (Report, bool) {
	return r.Last(keyOf(name, engine.Passwords))
}

// SyncAll runs Sync and then Passwords, and returns one report. A run over a part of a directory has no passwords.
func (r *Runner) SyncAll(ctx context.Context, name string, o SyncOptions) (Report, error) {
	out, err := r.Sync(ctx, name, o)
	if err != nil || o.Under != "" {
		return out, err
	}
	p, err := r.Passwords(ctx, name, SyncOptions{Profile: o.Profile, Wave: o.Wave, By: o.By, FullEvery: o.FullEvery})
	return out.with(p), err
}

// And adds the report of a run about other objects: those of the tenant.
func (r Report) And(p Report) Report {
	r.Read += p.Read
	return r.with(p)
}

// with adds the report of a run of another stream. An object that both wrote counts in both.
func (r Report) with(p Report) Report {
	for to, n := range map[*int]int{&r.Proposed: p.Proposed, &r.Applied: p.Applied, &r.Creates: p.Creates, &r.Updates: p.Updates, &r.Deletes: p.Deletes, &r.Shadowed: p.Shadowed, &r.Held: p.Held, &r.Deferred: p.Deferred,
		&r.Released: p.Released, &r.Refused: p.Refused, &r.Failed: p.Failed} {
		*to += n
	}
	r.Errors, r.Findings, r.HeldSets = append(r.Errors, p.Errors...), append(r.Findings, p.Findings...), append(r.HeldSets, p.HeldSets...)
	r.Complete, r.Stopped, r.Millis, r.At = r.Complete && p.Complete, cmp.Or(r.Stopped, p.Stopped), r.Millis+p.Millis, max(r.At, p.At)
	return r
}

// passwords is the conversation about passwords. The stream's lock is held.
func (r *Runner) passwords(ctx context.Context, o SyncOptions, out *Report) error {
	auth := r.o.Gate.Authority()
	out.ReadOnly = auth.ReadOnly
	grants := auth.Grants(out.Engine)
	if err := r.o.Engines.Grant(ctx, out.Engine, grants); err != nil {
		return err
	}
	c := r.begin(Request{Engine: out.Engine, Stream: engine.Passwords, Profile: o.Profile, Scopes: passwordScopes(grants), Ceiling: auth.Ceiling(), Wave: o.Wave}, nil)
	complete, err := c.ask(ctx, o.Profile, nil)
	if err != nil {
		return err
	}
	answered := complete
	if complete { // an engine that cannot read passwords is not asked for single ones
		if answered, err = c.askOwed(ctx); err != nil {
			return err
		}
	}
	if complete && o.Profile == engine.ProfileFull {
		if err := c.silent(ctx); err != nil {
			return err
		}
	}
	if c.Summary, err = c.end(ctx, complete); err != nil {
		return err
	}
	if complete {
		r.o.Notes.NoteSince(keyOf(out.Engine, engine.Passwords), c.since)
	}
	out.Read, out.Complete = c.read, complete && answered
	c.report(out)
	if auth.ReadOnly == "" {
		out.Stopped = cmp.Or(auth.Stopped(out.Engine, scoping.Place{}), out.Stopped)
	}
	return nil
}

// resume passes a stream the point where its last complete run ended.
func (c *conversation) resume(q *engine.RunRequest) {
	if q.Stream != engine.Objects && q.Profile == engine.ProfileDelta {
		q.Since = c.r.o.Notes.Since(keyOf(c.q.Engine, q.Stream))
	}
}

// decide lets the gate answer proposals, with a trace.
func (c *conversation) decide(ctx context.Context, batch []engine.Proposal) ([]engine.Decision, error) {
	ctx, decided := c.r.trace(ctx, TraceGate, nil)
	ds, err := c.propose(ctx, batch)
	decided(resultOf(err), map[string]int{"decisions": len(ds)})
	return ds, err
}

// end ends the session, with a trace: the gate judges the run as a whole, and sends what waited for its end.
func (c *conversation) end(ctx context.Context, complete bool) (gate.Summary, error) {
	ctx, ended := c.r.trace(ctx, TraceGate, nil)
	sum, err := c.session.End(ctx, complete)
	ended(resultOf(err), nil)
	return sum, err
}

// propose passes proposals to the session. A stream of passwords covers all changes of a directory; those of other engines' objects leave no record.
func (c *conversation) propose(ctx context.Context, batch []engine.Proposal) ([]engine.Decision, error) {
	if c.q.Stream != engine.Passwords {
		return c.session.Propose(ctx, batch)
	}
	out := make([]engine.Decision, 0, len(batch))
	var own []engine.Proposal
	for _, p := range batch {
		switch {
		case p.Feature != scoping.PasswordHash:
			return nil, engine.ContractError("proposal %d is of feature %q, in a run of passwords", p.Seq, p.Feature)
		case p.Want == engine.Unknown || c.session.Concerns(p):
			own = append(own, p)
		default:
			p.Password.Wipe()
			out = append(out, engine.Decision{Seq: p.Seq, Outcome: engine.Released, Code: string(gate.CodeNotOwner)})
		}
	}
	decided, err := c.session.Propose(ctx, own)
	if err != nil {
		return nil, err
	}
	out = append(out, decided...)
	slices.SortFunc(out, func(a, b engine.Decision) int { return cmp.Compare(a.Seq, b.Seq) })
	return out, nil
}
