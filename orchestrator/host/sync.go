package host

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/census"
	"github.com/tandem-sync/tandem/orchestrator/gate"
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/problem"
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// SyncOptions say what one run covers.
type SyncOptions struct {
	Profile string // engine.ProfileDelta or engine.ProfileFull; empty: delta, or full where that is due
	Under   string // a DN; empty: all of the engine's scopes
	Wave    string
	By      string // the person who asked for it; empty: a schedule

	FullEvery time.Duration // without a profile: how old the last full run may become; 0: only changed rules ask for one
}

// ObjectProblem is one object whose proposal did not settle.
type ObjectProblem struct {
	Object  string `json:"object"`
	Code    string `json:"code"`
	Message string `json:"message"`
}

// SyncReport is the result of one run. Each object is counted once, under the gravest outcome of its features.
type SyncReport struct {
	Engine     string           `json:"engine"`
	Profile    string           `json:"profile"`
	Read       int              `json:"read"`
	Proposed   int              `json:"proposed"` // objects whose wanted state differs from the tenant's
	Applied    int              `json:"applied"`  // the sum of the next four
	Creates    int              `json:"creates"`
	Updates    int              `json:"updates"`
	Deletes    int              `json:"deletes"`
	Restores   int              `json:"restores"`
	Unchanged  int              `json:"unchanged"`
	Shadowed   int              `json:"shadowed"`
	Held       int              `json:"held"`
	Deferred   int              `json:"deferred"`
	Released   int              `json:"released"`
	Refused    int              `json:"refused"`
	Failed     int              `json:"failed"`
	Unclaimed  int              `json:"unclaimed"`
	Millis     int64            `json:"durationMillis"`
	Errors     []ObjectProblem  `json:"errors"`
	Findings   []ObjectProblem  `json:"findings"` // what a person should know, and need not be done about
	Complete   bool             `json:"complete"`
	At         int64            `json:"at"`                // Unix ms of its end
	Stopped    string           `json:"stopped,omitempty"` // why writing is stopped, for all or some of what it would have written
	HeldSets   []string         `json:"heldSets,omitempty"`
	Left       []string         `json:"unclaimedObjects,omitempty"`
	ReadOnly   string           `json:"readOnly,omitempty"` // why nothing was written: the state waits for its activation
	Judgements []gate.Judgement `json:"-"`
}

// Sync lets an engine run over its scopes: refresh, run, what is dirty, what left, judge, count.
func (h *Host) Sync(ctx context.Context, name string, o SyncOptions) (SyncReport, error) {
	if !slices.Contains(h.o.Engines.Names(), name) {
		return SyncReport{}, problem.Refuse("no engine %q is configured (configured: %v)", name, h.o.Engines.Names())
	}
	if h.gate.Authority().Partition == nil {
		return SyncReport{}, fmt.Errorf("%w: `tandem import POLICY` puts the first one in force", problem.ErrNoPolicy)
	}
	l := h.lock(name)
	l.Lock()
	defer l.Unlock()
	began := h.now()
	unread, err := h.prepare(ctx)
	if err != nil {
		h.noteRun(name, began, SyncReport{}, err)
		return SyncReport{}, errors.Join(err, h.Keep(ctx))
	}
	rules, err := h.profile(ctx, name, &o)
	if err != nil {
		h.noteRun(name, began, SyncReport{}, err)
		return SyncReport{}, errors.Join(err, h.Keep(ctx))
	}
	r, err := h.run(ctx, name, o, unread)
	h.noteRun(name, began, r, err)
	if err == nil {
		h.noteFull(name, rules, o, r)
	}
	if err == nil && r.ReadOnly != "" && r.Complete && o.Profile == engine.ProfileFull && o.Under == "" && o.By != "" {
		err = h.Seen(ctx, name, o.By, r.Shadowed)
	}
	r.Millis, r.At = h.now().Sub(began).Milliseconds(), h.now().UnixMilli()
	if err != nil {
		r.Errors = append(r.Errors, problemOf(name, err))
	}
	return r, errors.Join(err, h.remember(ctx, r, err), h.Save(context.WithoutCancel(ctx)))
}

// remember keeps a run's report in the log, for whoever looks at the status later.
func (h *Host) remember(ctx context.Context, r SyncReport, failed error) error {
	short := r
	short.Errors, short.Findings = r.Errors[:min(len(r.Errors), 20)], r.Findings[:min(len(r.Findings), 20)]
	b, err := json.Marshal(short)
	if err != nil {
		return fmt.Errorf("keeping the run's report: %w", err)
	}
	out := engine.Applied
	if failed != nil || !r.Complete {
		out = engine.Failed
	}
	return h.gate.Record(ctx, ledger.Record{Type: ledger.ControlType, Engine: r.Engine, Op: "run", Outcome: out, Code: r.Profile,
		Reason: fmt.Sprintf("%d applied, %d held, %d failed", r.Applied, r.Held, r.Failed), Detail: b})
}

// lastRun gives an engine's last report, of whichever process.
func (h *Host) lastRun(name string) (SyncReport, bool) {
	var r SyncReport
	var b []byte
	h.gate.Read(func(s *ledger.State) { b = s.Runs[name] })
	if b == nil || json.Unmarshal(b, &r) != nil {
		return r, false
	}
	return r, true
}

// runState is one run of one engine, while it goes on.
type runState struct {
	h       *Host
	name    string
	opts    SyncOptions
	id      uint64
	session *gate.Session
	ceiling engine.Mode
	scopes  []scoping.Scope
	read    int
	problem []ObjectProblem
}

func (h *Host) run(ctx context.Context, name string, o SyncOptions, unread *census.UnreadError) (SyncReport, error) {
	auth := h.gate.Authority()
	r := SyncReport{Engine: name, Profile: o.Profile, Errors: []ObjectProblem{}, Findings: []ObjectProblem{}, ReadOnly: auth.ReadOnly}
	grants := auth.Grants(name)
	if err := h.o.Engines.Grant(ctx, name, grants); err != nil {
		return r, err
	}
	rs := &runState{h: h, name: name, opts: o, id: h.nextRun(), ceiling: auth.Ceiling()}
	var err error
	if rs.scopes, err = h.scopesUnder(ctx, grants, o.Under); err != nil {
		return r, err
	}
	rs.session = h.gate.Begin(gate.SessionOptions{Engine: name, Run: rs.id, Wave: o.Wave, Ceiling: rs.ceiling, Progress: func(n int) {
		h.progress(Progress{Engine: name, Phase: "propose", Done: n})
	}})
	complete, answered, err := rs.all(ctx)
	if err != nil {
		return r, err
	}
	if rs.missed(unread) {
		complete = false
	}
	sum, err := rs.session.End(ctx, complete)
	if err != nil {
		return r, err
	}
	r.Read, r.Complete, r.Judgements = rs.read, complete && answered, sum.Judgements
	r.Errors = append(r.Errors, rs.problem...)
	r.count(sum)
	h.findings(&r, sum)
	if auth := h.gate.Authority(); auth.ReadOnly == "" {
		r.Stopped = cmp.Or(auth.Stopped(name, scoping.Place{}), r.Stopped)
	}
	if rs.ceiling == engine.ModeOwn {
		if err := rs.farewells(ctx, &r); err != nil {
			return r, err
		}
	}
	if err := h.adopted(ctx, o, r.Complete && rs.ceiling == engine.ModeOwn, name, sum); err != nil {
		return r, err
	}
	sets, held := h.heldOwners(name)
	r.HeldSets, r.Held = append(r.HeldSets, sets...), r.Held+held
	return r, rs.unclaimed(ctx, complete, &r)
}

// missed reports whether the host could not read a directory that this run is about, and names it: nothing of the run is deleted or removed then.
func (rs *runState) missed(unread *census.UnreadError) bool {
	if unread == nil {
		return false
	}
	missed := false
	for _, n := range unread.Names() {
		if slices.ContainsFunc(rs.scopes, func(s scoping.Scope) bool { return s.Directory == n }) {
			missed = true
			rs.problem = append(rs.problem, ObjectProblem{Object: "directory " + n, Code: "directory-unread",
				Message: "the host could not read it, so deletes, removals, and what is new or moved there wait; the rest went on: " + unread.Directories[n].Error()})
		}
	}
	return missed
}

// all is the engine's run, then what is dirty, then deletes that no proposal told of. complete says that the run said everything that it had to say;
// answered, that the engine also answered for every object that it was asked for singly. One that stays without an answer, such as a dead one whose
// tombstone an agent's account may not see, is asked for again and keeps nothing else waiting.
func (rs *runState) all(ctx context.Context) (complete, answered bool, err error) {
	complete = true
	if len(rs.scopes) > 0 {
		ok, err := rs.ask(ctx, engine.RunRequest{Run: rs.id, Profile: rs.opts.Profile, Scopes: rs.scopes, Ceiling: rs.ceiling})
		if err != nil {
			return false, false, err
		}
		complete = ok
	}
	if answered, err = rs.dirty(ctx); err != nil {
		return false, false, err
	}
	return complete, answered, rs.claims(ctx)
}

// ask lets the engine run and passes its proposals to the session.
func (rs *runState) ask(ctx context.Context, q engine.RunRequest) (complete bool, err error) {
	return rs.h.askEngine(ctx, rs.name, q, rs.session, func(rep engine.RunReport) {
		if q.Profile != engine.ProfileObjects {
			rs.read += rep.Read
		}
		for _, e := range rep.Errors {
			rs.problem = append(rs.problem, ObjectProblem{Object: rs.h.Name(e.Object), Code: e.Code, Message: e.Message})
		}
	})
}

func (h *Host) askEngine(ctx context.Context, name string, q engine.RunRequest, s *gate.Session, report func(engine.RunReport)) (bool, error) {
	q.Scopes = whole(q.Scopes)
	h.point(&q)
	reports, err := h.o.Engines.Run(ctx, name, q, engine.Conversation{Begin: func(b engine.RunBegin) error {
		return begins(q, b)
	}, Decide: func(batch []engine.Proposal) ([]engine.Decision, error) {
		ds, err := s.Propose(ctx, batch)
		if err == nil && q.Ceiling == engine.ModeShadow {
			err = h.keepOwed(ctx, name, s, batch)
		}
		return ds, err
	}, Progress: func(p engine.Progress) {
		h.progress(Progress{Engine: name, Phase: p.Phase, Done: p.Done, Total: p.Total})
	}})
	if err != nil {
		return false, fmt.Errorf("engine %s, %s run: %w", name, q.Profile, err)
	}
	complete := len(reports) > 0
	for _, r := range reports {
		if p := q.AsOf[r.Directory]; r.DC == p.Invocation && r.USN < p.USN {
			r.Complete = false // an engine that does not look at what it was told
			r.Errors = append(r.Errors, engine.ObjectError{Code: engine.CodeBehind, Message: fmt.Sprintf("engine %s read directory %s at USN %d, seen was %d", name, r.Directory, r.USN, p.USN)})
		}
		complete = complete && r.Complete
		report(r)
	}
	return complete, nil
}

// point tells an engine which controllers the host reads, and what it has seen of them: a run over one that lacks some of it would propose old values,
// and deaths that did not happen (rule V1).
func (h *Host) point(q *engine.RunRequest) {
	q.DC, q.AsOf = map[string]string{}, map[string]engine.AsOf{}
	note := func(name string) {
		if _, noted := q.AsOf[name]; noted {
			return
		}
		p, url, known := h.o.Census.AsOf(name)
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

// keepOwed makes dirty what a run under a ceiling found to be written, or to have left its scopes, and the engine itself owns: once answered, the engine
// does not propose it again by itself (rule P3), and nobody wrote it.
func (h *Host) keepOwed(ctx context.Context, name string, s *gate.Session, batch []engine.Proposal) error {
	auth := h.gate.Authority()
	var keys []ledger.Key
	h.gate.Read(func(led *ledger.State) {
		for _, p := range batch {
			k := ledger.Key{Object: p.Object, Feature: p.Feature}
			j, said := s.Said(k)
			left := p.Want == engine.OutOfScope // for where it is now, it was not proposed
			if !said || (j.Outcome.Settles() && !left) || h.Addressee(led, auth, k) != name {
				continue
			}
			keys = append(keys, k)
			if refs := (ledger.Key{Object: p.Object, Feature: scoping.References}); left && h.Addressee(led, auth, refs) == name {
				keys = append(keys, refs)
			}
		}
	})
	return h.soil(ctx, keys, "looked-at", "a run that wrote nothing found it")
}

// dirty asks for what has to be asked for again and is this engine's now (rule P2).
func (rs *runState) dirty(ctx context.Context) (bool, error) {
	ids := rs.h.dirtyOf(rs.name, rs.session)
	if len(ids) == 0 {
		return true, nil
	}
	return rs.ask(ctx, engine.RunRequest{Run: rs.id, Profile: engine.ProfileObjects, Scopes: rs.scopes, Objects: ids, Ceiling: rs.ceiling})
}

// dirtyOf gives the dirty objects that an engine owns, or owned last if they are gone, and that the session has not heard of.
func (h *Host) dirtyOf(name string, s *gate.Session) []scoping.ObjectID {
	auth := h.gate.Authority()
	var ids []scoping.ObjectID
	h.gate.Read(func(led *ledger.State) {
		for _, k := range led.DirtyKeys() {
			if s != nil && s.Seen(k) {
				continue
			}
			if h.Addressee(led, auth, k) == name {
				ids = append(ids, k.Object)
			}
		}
	})
	return slices.Compact(ids)
}

// claims carries out, on the owner's behalf, the deletes that the census saw and the engine did not propose (rule P4). They are judged with the
// run's own.
func (rs *runState) claims(ctx context.Context) error {
	var ps []engine.Proposal
	h := rs.h
	auth := h.gate.Authority()
	h.gate.Read(func(led *ledger.State) {
		for _, k := range led.DirtyKeys() {
			row := led.Rows.Get(k.Object)
			if row == nil || k.Feature != scoping.Base(row.Kind) || row.State == ledger.DeletedByTandem {
				continue
			}
			if j, said := rs.session.Said(k); said && j.Outcome != engine.Stale {
				continue // stale: it died where the engine has no grant, and the host is as fresh as can be
			}
			sight := h.o.Census.Sight(k.Object)
			if !sight.Gone || h.OwnerOfGone(led, auth, row) != rs.name {
				continue
			}
			ps = append(ps, engine.Proposal{Object: k.Object, Kind: row.Kind, Name: row.Name, Feature: k.Feature, Want: engine.Gone})
		}
	})
	if len(ps) == 0 {
		return nil
	}
	for chunk := range slices.Chunk(ps, engine.MaxBatch) {
		if _, err := rs.session.Claim(ctx, chunk); err != nil {
			return err
		}
	}
	return nil
}

// farewells asks the old owner for the last values of what left for where no engine writes (rules T2, T4).
func (rs *runState) farewells(ctx context.Context, r *SyncReport) error {
	h := rs.h
	leaving := map[scoping.ObjectID]bool{}
	var ids []scoping.ObjectID
	scopes := map[string]scoping.Scope{}
	h.gate.Read(func(led *ledger.State) {
		for _, id := range led.Objects() {
			row := led.Rows.Get(id)
			sight := h.o.Census.Sight(id)
			if row.Transit == nil || row.Transit.To != scoping.None || row.Transit.From != rs.name || sight.Gone || !sight.Known {
				continue
			}
			leaving[id] = true
			ids = append(ids, id)
			s := scopes[id.Directory]
			s.Directory, s.Features = id.Directory, []scoping.Feature{scoping.Users, scoping.Groups, scoping.References}
			s.Under = sight.Chain[len(sight.Chain)-1]
			scopes[id.Directory] = s
		}
	})
	if len(ids) == 0 {
		return nil
	}
	q := engine.RunRequest{Run: h.nextRun(), Profile: engine.ProfileObjects, Objects: ids, Ceiling: engine.ModeOwn}
	for _, n := range sorted(scopes) {
		q.Scopes = append(q.Scopes, scopes[n])
	}
	s := h.gate.Begin(gate.SessionOptions{Engine: rs.name, Run: q.Run, Wave: rs.opts.Wave, Farewell: leaving})
	complete, err := h.askEngine(ctx, rs.name, q, s, func(engine.RunReport) {})
	if err != nil {
		return err
	}
	sum, err := s.End(ctx, complete)
	if err != nil {
		return err
	}
	r.count(sum)
	r.Judgements = append(r.Judgements, sum.Judgements...)
	return nil
}

// unclaimed lists what the engine owns and, in a full run, did not propose; and what is in transit to it and was not claimed (rules P4, T1).
func (rs *runState) unclaimed(ctx context.Context, complete bool, r *SyncReport) error {
	if !complete {
		return nil
	}
	var rec []ledger.Record
	h := rs.h
	auth := h.gate.Authority()
	h.gate.Read(func(led *ledger.State) {
		for _, id := range led.Objects() {
			row := led.Rows.Get(id)
			sight := h.o.Census.Sight(id)
			k := ledger.Key{Object: id, Feature: scoping.Base(row.Kind)}
			if row.State != ledger.Live || sight.Gone || h.Owner(auth, id, row.Kind) != rs.name {
				continue
			}
			switch {
			case row.Transit != nil && row.Transit.To == rs.name:
				t := *row.Transit
				t.Runs++
				rec = append(rec, ledger.Record{Type: ledger.TransitType, Engine: rs.name, Object: &row.Object, Kind: row.Kind, Name: row.Name, Feature: k.Feature, Op: "transit", Reason: "not claimed", Transit: &t})
				if t.Runs >= 2 {
					r.leave(sight.Name)
				}
			case rs.opts.Profile == engine.ProfileFull && rs.opts.Under == "" && !rs.session.Seen(k):
				r.leave(sight.Name)
			}
		}
	})
	return h.gate.Record(ctx, rec...)
}

// FirstProblem says what went wrong first, for one line.
func (r SyncReport) FirstProblem() string {
	if len(r.Errors) == 0 {
		return "the engine did not say why"
	}
	e := r.Errors[0]
	return strings.TrimSpace(e.Object + " " + e.Code + ": " + e.Message)
}

func (r *SyncReport) leave(name string) {
	r.Unclaimed++
	if len(r.Left) < 100 {
		r.Left = append(r.Left, name)
	}
}

// gravity orders outcomes for the count of an object with several features.
var gravity = map[engine.Outcome]int{engine.Failed: 9, engine.InDoubt: 8, engine.Held: 7, engine.Refused: 6, engine.Stale: 5, engine.Deferred: 5, engine.Parked: 5,
	engine.Applied: 4, engine.Partial: 3, engine.Shadowed: 2, engine.Released: 1, engine.Unchanged: 0}

// count adds a session's judgements, an object once. Of features alike in outcome the base feature speaks: a new user whose manager was set is a create.
func (r *SyncReport) count(sum gate.Summary) {
	worst := map[scoping.ObjectID]gate.Judgement{}
	for _, j := range sum.Judgements {
		old, ok := worst[j.Key.Object]
		if more := gravity[j.Outcome] - gravity[old.Outcome]; !ok || more > 0 || (more == 0 && j.Key.Feature == scoping.Base(j.Kind)) {
			worst[j.Key.Object] = j
		}
		r.note(j)
	}
	for _, j := range worst {
		r.add(j)
	}
	for _, j := range sum.Unknown {
		r.problem(j)
	}
	for _, hs := range sum.Held {
		r.HeldSets = append(r.HeldSets, hs.ID)
	}
	slices.SortFunc(r.Errors, func(a, b ObjectProblem) int {
		return cmp.Or(cmp.Compare(a.Object, b.Object), cmp.Compare(a.Code, b.Code))
	})
}

func (r *SyncReport) add(j gate.Judgement) {
	if j.Outcome == engine.Deferred && j.Code == "stopped" && r.ReadOnly == "" {
		r.Stopped = j.Reason
	}
	switch j.Outcome {
	case engine.Applied:
		r.Applied++
		switch cloud.Op(j.Op) {
		case cloud.Create:
			r.Creates++
		case cloud.Delete:
			r.Deletes++
		case cloud.Restore:
			r.Restores++
		default:
			r.Updates++
		}
	case engine.Unchanged:
		r.Unchanged++
	case engine.Shadowed:
		r.Shadowed++
	case engine.Held:
		r.Held++
	case engine.Released:
		r.Released++
	case engine.Refused:
		if j.Code == "rejected" { // by a person: as settled as what is as it should be
			r.Unchanged++
			return
		}
		r.Refused++
	case engine.Failed:
		r.Failed++
	default: // in doubt, stale, parked, partial: asked for again
		r.Deferred++
	}
	if j.Outcome != engine.Unchanged && j.Outcome != engine.Released {
		r.Proposed++
	}
}

// maxProblems is how many objects a report names.
const maxProblems = 200

func (r *SyncReport) note(j gate.Judgement) {
	if j.Code == "threshold" || j.Code == "rejected" {
		return // the held set tells
	}
	switch j.Outcome {
	case engine.Failed, engine.Held, engine.Refused, engine.InDoubt, engine.Stale:
	default:
		return
	}
	r.problem(j)
}

func (r *SyncReport) problem(j gate.Judgement) {
	if len(r.Errors) < maxProblems {
		r.Errors = append(r.Errors, ObjectProblem{Object: j.Name, Code: j.Code, Message: j.Reason})
	}
}

// scopesUnder gives the scopes of grants, cut down to what lies under a DN.
func (h *Host) scopesUnder(ctx context.Context, grants []engine.Grant, dn string) ([]scoping.Scope, error) {
	var all []scoping.Scope
	for _, g := range grants {
		if g.Mode != engine.ModeNone {
			all = append(all, g.Scope)
		}
	}
	if dn == "" {
		return all, nil
	}
	dir, guid, chain, err := h.Resolve(ctx, dn)
	if err != nil {
		return nil, err
	}
	out := h.cutScopes(all, dir, guid, chain)
	if len(out) == 0 {
		return nil, problem.Refuse("the engine owns nothing under %s", dn)
	}
	return out, nil
}

// cutScopes cuts scopes down to one container's subtree.
func (h *Host) cutScopes(all []scoping.Scope, dir string, guid scoping.GUID, chain []scoping.GUID) []scoping.Scope {
	inside := scoping.Place{Directory: dir, Ancestors: append([]scoping.GUID{guid}, chain...)}
	var out []scoping.Scope
	for _, s := range all {
		if s.Covers(inside) {
			s.Under = guid
			out = append(out, s)
		} else if p, ok := h.Pin(scoping.ObjectID{Directory: dir, GUID: s.Under}); ok && s.Directory == dir && slices.Contains(p.Ancestors, guid) {
			out = append(out, s)
		}
	}
	return out
}
