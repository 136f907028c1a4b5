package simulation

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// The two engines.
const (
	connect   = "connect"
	cloudsync = "cloudsync"
)

// errEngine is an engine that breaks off.
var errEngine = errors.New("simulated: the engine broke off")

// space is what an engine keeps on disk: one value that is replaced as a whole, as by a transaction.
type space struct {
	objects    map[scoping.GUID]*entry
	watermark  uint64
	invocation scoping.GUID
	pending    map[scoping.GUID]scoping.Place // still to be proposed, with where it was when it became so
	chains     map[scoping.GUID][]scoping.GUID
}

// simEngine reads the directory itself and keeps the contract: rule P3, whole proposals, complete runs.
type simEngine struct {
	w      *world
	name   string
	space  space // durable
	grants engine.Granted
	busy   bool         // a run is open: it is in memory
	silent scoping.GUID // what it does not propose, of what lies in its scopes
	sick   bool
	rules  int // how often they changed

	lost   map[scoping.GUID]bool // objects of which it passed changes over
	retake map[scoping.GUID]bool // objects that its next run takes in, as it passed changes of them over
}

func newEngine(w *world, name string) *simEngine {
	return &simEngine{w: w, name: name, lost: map[scoping.GUID]bool{}, space: space{objects: map[scoping.GUID]*entry{}, pending: map[scoping.GUID]scoping.Place{}, chains: map[scoping.GUID][]scoping.GUID{}}}
}

// engines implements run.Engines.
type engines struct{ w *world }

func (x engines) Names() []string { return []string{connect, cloudsync} }

func (x engines) Describe(_ context.Context, name string) (engine.Description, error) {
	x.w.alive()
	x.w.preparing = false
	return x.w.description(name), nil
}

func (w *world) description(name string) engine.Description {
	d := description(name)
	if w.eyes[FromCloud] && name == cloudsync {
		d.Features = append(d.Features, scoping.UserProvisioning, scoping.GroupProvisioning)
	}
	return d
}

func description(name string) engine.Description {
	return engine.Description{Kind: name, Version: "1", Contract: engine.ContractVersion, Features: []scoping.Feature{scoping.Users, scoping.Groups, scoping.Contacts, scoping.References, scoping.PasswordHash},
		Delivers: []scoping.Feature{scoping.PasswordWriteback},
		Reads: map[scoping.Kind]engine.Reads{scoping.User: {Attributes: []string{"cn", "displayName", "userPrincipalName", "userAccountControl", "department", "title", "manager", "pwdLastSet"}},
			scoping.Group: {Attributes: []string{"cn", "displayName", "member"}}, scoping.Contact: {Attributes: []string{"cn", "displayName", "department", "title", "manager"}}},
		CanShadow: true, Release: "clean"}
}

// begin is what an engine says before its first proposal.
func (e *simEngine) begin(dc scoping.GUID, usn uint64) engine.RunBegin {
	return engine.RunBegin{Directory: dirName, DC: dc, USN: usn, Rules: engine.FingerprintOf([]byte(e.name), []byte{byte(e.rules)})}
}

// changeRules lets an engine make other values from its next run on. It proposes nothing by itself because of that.
func (w *world) changeRules() {
	e := w.engines[[]string{connect, cloudsync}[w.r.IntN(2)]]
	if e.busy {
		return
	}
	e.rules++
	w.saw(NewRules)
	w.log("%s changes its rules: %d", e.name, e.rules)
}

func (x engines) Grant(_ context.Context, name string, g []engine.Grant) error {
	x.w.alive()
	x.w.preparing = false
	x.w.engines[name].grants = slices.Clone(g)
	return nil
}

func (x engines) Health(name string) (engine.Health, bool) {
	e := x.w.engines[name]
	return engine.Health{OK: e == nil || !e.sick, Message: "simulated"}, e != nil
}

func (x engines) Run(_ context.Context, name string, r engine.RunRequest, c engine.Conversation) ([]engine.RunReport, error) {
	w := x.w
	w.alive()
	w.preparing = false
	e := w.engines[name]
	if r.Stream == engine.Passwords {
		return (&passwordRun{engineRun{e: e, w: w, q: r, talk: c}}).do()
	}
	e.busy = true
	defer func() { e.busy = false }()
	if r.Profile == engine.ProfileObjects {
		w.counts["asked"]++
	}
	run := &engineRun{e: e, w: w, q: r, grants: slices.Clone(e.grants), talk: c}
	return run.do()
}

// engineRun is one run.
type engineRun struct {
	e       *simEngine
	w       *world
	q       engine.RunRequest
	grants  engine.Granted
	talk    engine.Conversation
	dc      controller
	view    snapshot
	due     map[scoping.GUID]scoping.Place // what was to be proposed when the run had read; it stays so for both passes
	seq     uint64
	blind   scoping.GUID // what a controller that lags or hides things does not show: taken for deleted
	mute    scoping.GUID // what the engine forgets to propose
	other   bool         // it is another host's
	partial scoping.GUID // a member or manager that the controller does not show
}

func (r *engineRun) do() ([]engine.RunReport, error) {
	w := r.w
	if w.fault(3) {
		return nil, errEngine
	}
	w.interleave()
	r.dc = w.answering(r.q.DC[dirName])
	r.view = r.dc.snapshot(w.dir)
	dc, usn := r.dc.invocation, r.view.usn+r.dc.shift
	if p, named := r.q.AsOf[dirName]; named && r.dc.reached(w.dir, directory.AsOf(p)) != nil {
		w.log("%s reads a controller that is behind: it proposes nothing", r.e.name)
		return []engine.RunReport{{Directory: dirName, DC: dc, USN: usn, Errors: []engine.ObjectError{{Code: engine.CodeBehind}}}}, nil
	}
	if err := r.talk.Begin(r.e.begin(dc, usn)); err != nil {
		return nil, err
	}
	if err := r.importChanges(); err != nil {
		return nil, err
	}
	r.due = r.e.space.pending
	r.err()
	w.interleave()
	complete := true
	for _, refs := range []bool{false, true} {
		var batch []engine.Proposal
		for _, g := range r.candidates() {
			p, ok := r.proposal(g, refs)
			if !ok {
				continue
			}
			batch = append(batch, p)
			if len(batch) == 1+w.r.IntN(4) {
				if err := r.say(batch, refs); err != nil {
					return nil, err
				}
				batch = nil
				if w.fault(2) {
					return nil, errEngine
				}
			}
		}
		if err := r.say(batch, refs); err != nil {
			return nil, err
		}
	}
	if err := r.cannotSay(); err != nil {
		return nil, err
	}
	if w.fault(3) {
		complete = false
	}
	return []engine.RunReport{{Directory: dirName, DC: dc, USN: usn, Read: len(r.view.objects), Complete: complete}}, nil
}

// cannotSay answers for what was asked for and is not there, or is an OU. It draws no random numbers.
func (r *engineRun) cannotSay() error {
	if r.q.Profile != engine.ProfileObjects {
		return nil
	}
	var batch []engine.Proposal
	for _, g := range r.candidates() {
		reason := engine.NotFound
		if e := r.e.space.objects[g]; e != nil && e.kind != directory.OU {
			continue
		} else if e != nil {
			reason = engine.NotSynchronized
		}
		r.seq++
		batch = append(batch, engine.Proposal{Seq: r.seq, Object: scoping.ObjectID{Directory: dirName, GUID: g}, Want: engine.Unknown, Reason: reason})
	}
	if len(batch) == 0 {
		return nil
	}
	_, err := r.talk.Decide(batch)
	r.w.alive()
	return err
}

// err lets the engine be wrong about one object, as engines and controllers are.
func (r *engineRun) err() {
	r.mute = r.e.silent
	due := slices.DeleteFunc(r.candidates(), func(g scoping.GUID) bool {
		e := r.e.space.objects[g]
		if e == nil || e.deleted || e.kind == directory.OU {
			return true
		}
		_, inside := r.covered(scoping.Place{Directory: dirName, Ancestors: r.e.space.chains[g]}, e.kind, scoping.Base(e.kind))
		return !inside
	})
	if g, ok := pick(r.w, due); ok {
		switch {
		case r.w.fault(5) && (r.q.Ceiling == engine.ModeOwn || r.w.linked(g)):
			r.blind = g
		case r.w.fault(8):
			r.partial = g
		case r.w.fault(8+12*int(engine.ModeOwn-r.q.Ceiling)) && r.w.linked(g):
			r.mute = g // rule P4 is about what the ledger links, and first of all about waves
		}
	}
}

// linked reports whether an object is in the tenant by what the log says.
func (w *world) linked(g scoping.GUID) bool {
	_, ok := w.book.scratch.Linked(scoping.ObjectID{Directory: dirName, GUID: g})
	return ok
}

// importChanges takes in what changed and commits it together with what is to be proposed (rule P3).
func (r *engineRun) importChanges() error {
	s := r.e.space
	next := space{objects: maps.Clone(s.objects), watermark: s.watermark, invocation: s.invocation, pending: maps.Clone(s.pending), chains: map[scoping.GUID][]scoping.GUID{}}
	full := r.q.Profile == engine.ProfileFull || s.invocation != r.dc.invocation
	if r.q.Profile == engine.ProfileObjects {
		for _, o := range r.q.Objects {
			if e := r.view.objects[o.GUID]; e != nil {
				r.take(&next, e)
			}
		}
	} else {
		for _, e := range r.view.sorted() {
			if full || (e.usn > s.watermark && !r.loses(e)) || r.e.retake[e.guid] {
				r.take(&next, e)
			}
		}
		next.watermark, next.invocation = r.view.usn, r.dc.invocation
		r.carried(&next)
		r.rereads(&next)
	}
	for g := range next.objects {
		next.chains[g] = chainIn(next.objects, g)
	}
	if len(next.pending) > len(s.pending) && r.w.fault(6) {
		r.w.arm(3)
	}
	if err := r.w.stepAt("engine.import.before-commit"); err != nil {
		return err
	}
	if r.w.o.Break == CookieTooEarly {
		r.e.space.watermark, r.e.space.invocation, r.e.space.objects, r.e.space.chains = next.watermark, next.invocation, next.objects, next.chains
		if r.w.fault(20) {
			r.w.mined = between
		}
		r.w.crashAt(between)
	}
	r.e.space = next
	if r.q.Profile != engine.ProfileObjects {
		r.e.retake = nil
	}
	return r.w.stepAt("engine.import.after-commit")
}

// loses reports whether the engine passes a change over for ever. It does so only with changes that the host read too, as changes since a cookie.
func (r *engineRun) loses(e *entry) bool {
	if r.other || e.kind == directory.OU || r.w.noticed[e.guid] < e.usn || !r.w.opens(Losses, 25) {
		return false
	}
	r.w.saw(Losses)
	r.w.log("%s loses the news of %s", r.e.name, e.name)
	r.e.lost[e.guid] = true
	return true
}

// rereads takes in the objects of which the engine passed changes over and that it proposes all the same: what is proposed has to be of the reading with which
// the run began, or no host could find out what was passed over.
func (r *engineRun) rereads(next *space) {
	for g := range next.pending {
		if e := r.view.objects[g]; r.e.lost[g] && e != nil {
			r.take(next, e)
		}
	}
}

// retakeLost lets each engine's next run take in the objects of which it passed changes over. It is called when the host reads the directory from the start:
// such a reading does not show what changed, so the host cannot know what an engine passed over.
func (w *world) retakeLost() {
	clear(w.noticed)
	for _, e := range w.engines {
		e.retake, e.lost = maps.Clone(e.lost), map[scoping.GUID]bool{}
	}
}

// take puts one object into the space; what differs is to be proposed.
func (r *engineRun) take(next *space, e *entry) {
	old := next.objects[e.guid]
	if old != nil && e.usn < old.usn {
		return // a controller that is behind what the engine read says nothing (rule V1)
	}
	if old == e || (old != nil && old.usn == e.usn && maps.Equal(old.members, e.members) && old.manager == e.manager) {
		return
	}
	next.objects[e.guid] = e
	if now := r.w.dir.now.objects[e.guid]; now.usn > e.usn && r.dc.shift > 0 {
		r.w.note(e.guid, EngineLagged)
	}
	if e.kind == directory.OU {
		return
	}
	if _, already := next.pending[e.guid]; !already {
		next.pending[e.guid] = scoping.Place{Directory: dirName, Ancestors: r.e.space.chains[e.guid]}
	}
}

// carried finds what an OU's move took along: the directory reports only the OU.
func (r *engineRun) carried(next *space) {
	for g, e := range next.objects {
		was, known := r.e.space.chains[g]
		if !known || e.kind == directory.OU || slices.Equal(was, chainIn(next.objects, g)) {
			continue
		}
		if _, already := next.pending[g]; !already {
			next.pending[g] = scoping.Place{Directory: dirName, Ancestors: was}
		}
	}
}

func chainIn(objects map[scoping.GUID]*entry, g scoping.GUID) []scoping.GUID {
	return snapshot{objects: objects}.chain(g)
}

// candidates are the objects that this run may propose.
func (r *engineRun) candidates() []scoping.GUID {
	var out []scoping.GUID
	switch r.q.Profile {
	case engine.ProfileObjects:
		for _, o := range r.q.Objects {
			out = append(out, o.GUID)
		}
	case engine.ProfileDelta:
		out = slices.Collect(maps.Keys(r.due))
	default:
		out = slices.Collect(maps.Keys(r.e.space.objects))
	}
	slices.SortFunc(out, scoping.GUID.Compare)
	return slices.Compact(out)
}

func (r *engineRun) covered(p scoping.Place, k scoping.Kind, f scoping.Feature) (scoping.Scope, bool) {
	for _, s := range r.q.Scopes {
		if s.Writes(k, f) && s.Covers(p) {
			return s, true
		}
	}
	return scoping.Scope{}, false
}

// proposal makes an object's proposal of one pass, if there is one.
func (r *engineRun) proposal(g scoping.GUID, refs bool) (engine.Proposal, bool) {
	e := r.e.space.objects[g]
	if e == nil || e.kind == directory.OU || g == r.mute {
		return engine.Proposal{}, false
	}
	if !r.other {
		r.w.book.heard(r, g)
	}
	f := scoping.Base(e.kind)
	if refs {
		f = scoping.References
	}
	at := scoping.Place{Directory: dirName, Ancestors: r.e.space.chains[g]}
	before, pending := r.due[g]
	if e.deleted && !pending && r.q.Profile != engine.ProfileObjects {
		return engine.Proposal{}, false
	}
	under, now := r.covered(at, e.kind, f)
	_, was := r.covered(before, e.kind, f)
	if !now && !was && r.q.Profile != engine.ProfileObjects {
		return engine.Proposal{}, false
	}
	r.seq++
	p := engine.Proposal{Seq: r.seq, Object: e.id(), Kind: e.kind, Name: r.view.dn(g), Parent: e.parent, Version: e.usn + r.dc.shift, Feature: f}
	if !now && was {
		under = scoping.Scope{}
	}
	place := at
	if !now {
		place = before
	}
	gr := slices.DeleteFunc(slices.Clone(r.grants), func(g engine.Grant) bool { return !g.Scope.Writes(e.kind, f) }).Covering(under, place, f)
	p.Grant, p.Epoch = gr.ID, gr.Epoch
	switch {
	case e.deleted, g == r.blind:
		p.Want = engine.Gone
		return p, !refs
	case !now:
		p.Want = engine.OutOfScope
		return p, !refs
	}
	if reason := exclusion(e); reason != "" {
		p.Want, p.Reason = engine.Excluded, reason
		return p, !refs
	}
	p.Want = engine.Present
	if refs {
		p.Refs = r.links(e)
		if r.q.Ceiling == engine.ModeShadow && !r.other {
			r.w.note(g, ShadowRefs)
		}
		return p, true
	}
	p.Desired = map[string]engine.Value{}
	for k, v := range r.e.values(e) {
		p.Desired[k] = engine.Value{Text: v}
	}
	if r.q.Ceiling == engine.ModeShadow && !r.other {
		r.w.note(g, ShadowJudged)
	}
	return p, true
}

// exclusion is the rule that leaves an object out.
func exclusion(e *entry) string {
	if e.kind == scoping.User && e.upn == "" {
		return "no-upn"
	}
	return ""
}

// values are an engine's rules: what it wants of an object's own attributes.
func (x *simEngine) values(e *entry) cloud.Values {
	v := cloud.Values{cloud.DisplayName: {e.display}, cloud.Nickname: {e.name}}
	if e.kind == scoping.Group {
		v["securityEnabled"], v["mailEnabled"] = []string{"true"}, []string{"false"}
		return v
	}
	if e.kind == scoping.Contact {
		v[cloud.Mail] = []string{e.name + "@elsewhere.test"}
	} else {
		v[cloud.Enabled], v[cloud.UPN] = []string{strconv.FormatBool(e.enabled)}, []string{e.upn}
	}
	own, value := "department", e.dept
	if x.name == cloudsync {
		own, value = "jobTitle", e.title
	}
	v[own] = nil
	if value != "" {
		v[own] = []string{value + strings.Repeat("'", x.rules)}
	}
	return v
}

// hides reports whether a controller does not show a link that is in the tenant: a removal without reason, which the gate has to notice.
func (r *engineRun) hides(e *entry, end scoping.GUID) bool {
	a, b := r.w.account(e), r.w.account(r.w.dir.now.objects[end])
	return end == r.partial && a != nil && b != nil && (a.truth().HasMember(b.id) || a.truth().Manager == b.id)
}

func (r *engineRun) links(e *entry) map[string]engine.Refs {
	if e.kind != scoping.Group {
		rs := engine.Refs{Whole: true}
		if !e.manager.IsZero() && !r.hides(e, e.manager) {
			rs.Targets = []scoping.ObjectID{{Directory: dirName, GUID: e.manager}}
		}
		return map[string]engine.Refs{cloud.Manager: rs}
	}
	rs := engine.Refs{Whole: true}
	for _, g := range slices.SortedFunc(maps.Keys(e.members), scoping.GUID.Compare) {
		if r.hides(e, g) {
			continue
		}
		rs.Targets = append(rs.Targets, scoping.ObjectID{Directory: dirName, GUID: g})
	}
	return map[string]engine.Refs{cloud.Members: rs}
}

// say proposes a batch; what was decided in its last pass is the host's debt from then on.
func (r *engineRun) say(batch []engine.Proposal, refs bool) error {
	if len(batch) == 0 {
		return nil
	}
	w := r.w
	if w.o.Break == ToldTooEarly {
		for i := range batch {
			r.forget(batch[i].Object.GUID)
		}
	}
	w.catchUp()
	asked := w.book.epoch
	ds, err := r.talk.Decide(batch)
	w.alive()
	if err != nil {
		return err
	}
	w.checkDecisions(r, batch, ds, asked)
	if err := w.stepAt("engine.decided"); err != nil {
		return err
	}
	for i, d := range ds {
		if last := refs || batch[i].Want != engine.Present; d.Seq == batch[i].Seq && last {
			r.forget(batch[i].Object.GUID)
		}
	}
	w.interleave()
	return nil
}

// forget drops what was decided in its last pass.
func (r *engineRun) forget(g scoping.GUID) {
	pending := maps.Clone(r.e.space.pending)
	delete(pending, g)
	r.e.space.pending = pending
}
