package provisioning

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"strings"

	"github.com/tandem-sync/tandem/orchestrator/gate"
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/standing"
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// maxRounds bounds how often a run looks again: an object needs one write for each of its parts, and one look after the last.
const maxRounds = 12

// Judgement is a run's answer about one source.
type Judgement struct {
	Object     scoping.ObjectID // the source
	CloudID    string
	Kind       scoping.Kind
	Name       string
	Assignment string
	Outcome    engine.Outcome
	Code       string
	Reason     string
	Op         string // the last write that was made, or would be
	Made       bool   // it was made in the directory
	Deleted    bool
	Write      *ledger.Provisioned // in shadow: the first write that would be made
	Findings   []Finding
}

// Report is the result of a run.
type Report struct {
	Read       int // sources that assignments select
	Judgements []Judgement
	Held       []ledger.Hold
	Problems   []Problem
	Complete   bool
}

// Problem is a problem of an assignment as a whole.
type Problem struct{ Object, Code, Message string }

// Brings reports whether an engine brings objects of the tenant into a directory.
func (d *Desk) Brings(name string) bool { return len(d.assignments(name)) > 0 }

func (d *Desk) assignments(name string) []scoping.Assignment {
	return assignments(d.o.Gate.Authority().Partition, name)
}

// assignments returns those of the other direction that an engine has; for an empty name, all.
func assignments(p *scoping.Partition, name string) []scoping.Assignment {
	if p == nil {
		return nil
	}
	return slices.DeleteFunc(p.Provisioning(), func(a scoping.Assignment) bool { return name != "" && a.Engine != name })
}

// Run brings the objects that an engine's assignments select into their directories. In shadow nothing is written, held or recorded, and the report
// is what would be.
func (d *Desk) Run(ctx context.Context, name string, shadow bool) (Report, error) {
	r := d.newRun(name, shadow)
	if err := r.all(ctx); err != nil {
		return r.report, err
	}
	for _, id := range slices.SortedFunc(maps.Keys(r.said), scoping.ObjectID.Compare) {
		r.report.Judgements = append(r.report.Judgements, *r.said[id])
	}
	return r.report, nil
}

func (d *Desk) newRun(name string, shadow bool) *run {
	return &run{Desk: d, engine: name, shadow: shadow, partition: d.o.Gate.Authority().Partition, report: Report{Complete: true}, said: map[scoping.ObjectID]*Judgement{},
		rest: map[scoping.ObjectID]bool{}, tries: map[scoping.ObjectID]int{}, asks: map[bin]*asked{}}
}

type run struct {
	*Desk
	engine string
	// partition is the one in force, or, in shadow, another one.
	partition *scoping.Partition
	foreseen  map[scoping.ObjectID][]Step // nil: no forecast is made
	shadow    bool
	report    Report
	said      map[scoping.ObjectID]*Judgement
	rest      map[scoping.ObjectID]bool // sources that are done for this run
	tries     map[scoping.ObjectID]int  // how often the controller showed something else than in the look before
	asks      map[bin]*asked

	names map[string]placed                        // containers by directory and DN
	by    map[scoping.ObjectID]*scoping.Assignment // the assignment that selects each source
}

type placed struct {
	guid scoping.GUID
	err  error
}

// controller is the one where a directory is looked at and written.
type controller struct {
	url        string
	invocation scoping.GUID
	domain     string
}

// subject is one source that something is owed for.
type subject struct {
	id      scoping.ObjectID
	cloud   cloud.Object
	there   bool // the tenant shows it, not deleted
	a       scoping.Assignment
	why     Why
	row     *ledger.Row
	source  uint64
	rules   uint64
	ends    ends
	mapping *engine.Mapping
	reading uint64 // the census's newest when it was compared
}

func (r *run) all(ctx context.Context) error {
	if !r.shadow {
		if err := r.endDoubts(ctx); err != nil {
			return err
		}
	}
	all := assignments(r.partition, "")
	t := r.selectNow(all)
	r.by = t.by
	if !r.shadow {
		if err := r.keepNested(ctx, t); err != nil {
			return err
		}
	}
	for i := range all {
		a := all[i]
		if a.Engine != r.engine {
			continue
		}
		if f, is := t.frozen[a.Name]; is {
			r.freeze(a, f)
			continue
		}
		for _, f := range a.Features {
			if err := r.assignment(ctx, a, f, t); err != nil {
				if ctx.Err() != nil || errors.Is(err, gate.ErrNotOpen) {
					return err
				}
				r.report.Complete = false
				r.problem(a, "failed", err.Error())
			}
		}
	}
	if r.shadow {
		return nil
	}
	if err := r.forget(ctx); err != nil {
		return err
	}
	return r.keepHeld(ctx)
}

func (r *run) problem(a scoping.Assignment, code gate.Code, text string) {
	r.report.Problems = append(r.report.Problems, Problem{Object: "assignment " + a.Name, Code: string(code), Message: text})
}

func kindOf(f scoping.Feature) scoping.Kind {
	if f == scoping.GroupProvisioning {
		return scoping.Group
	}
	return scoping.User
}

// assignment carries out one feature of one assignment until nothing is owed.
func (r *run) assignment(ctx context.Context, a scoping.Assignment, f scoping.Feature, t selection) error {
	at, err := r.controller(ctx, a.Directory)
	if err != nil {
		return err
	}
	request := engine.MapRequest{Feature: f, Assignment: a.Name, Container: scoping.ObjectID{Directory: a.Directory, GUID: a.Under.GUID}, ContainerDN: r.nameNow(ctx, a), Domain: at.domain}
	begin, err := r.o.Engines.Map(ctx, r.engine, request, nil, func([]engine.Mapping) error { return nil })
	if err != nil {
		return fmt.Errorf("asking engine %s how it maps: %w", r.engine, err)
	}
	rules := rulesOf(begin, a)
	wrote := false
	for round := 0; ; round++ {
		subjects := r.owed(a, f, t, rules)
		if round == 0 {
			r.report.Read += len(subjects.taken)
		}
		if len(subjects.owed) == 0 {
			return nil
		}
		if round == maxRounds {
			return fmt.Errorf("%d objects are not at rest after %d rounds", len(subjects.owed), maxRounds)
		}
		sent, err := r.round(ctx, a, f, at, request, begin, subjects.owed)
		if err != nil {
			return err
		}
		if wrote = wrote || sent; !sent {
			return nil
		}
		if err := r.o.Look(ctx); err != nil { // so that own writes are no changes to the next run
			return fmt.Errorf("reading the directory's changes: %w", err)
		}
	}
}

// rulesOf returns the fingerprint of what determines an assignment's objects.
func rulesOf(b engine.MapBegin, a scoping.Assignment) uint64 {
	h := fnv.New64a()
	fmt.Fprintf(h, "%x %s %s %s %q", b.Rules, a.Name, a.Under.GUID, a.LinkOr(), a.MatchOr())
	return max(h.Sum64(), 1)
}

func (r *run) controller(ctx context.Context, dir string) (controller, error) {
	at, url, known := r.o.Census.AsOf(dir)
	if !known || url == "" {
		return controller{}, fmt.Errorf("directory %s was not read yet", dir)
	}
	_, dn, err := r.o.Census.Root(ctx, dir)
	if err != nil {
		return controller{}, fmt.Errorf("asking directory %s for its root: %w", dir, err)
	}
	var labels []string
	for part := range strings.SplitSeq(dn, ",") {
		if k, v, _ := strings.Cut(strings.TrimSpace(part), "="); strings.EqualFold(k, "DC") {
			labels = append(labels, v)
		}
	}
	return controller{url: url, invocation: at.Invocation, domain: strings.Join(labels, ".")}, nil
}

// owing are the sources that an assignment selects or selected, and those of them that something is owed for.
type owing struct {
	taken []scoping.ObjectID
	owed  []*subject
}

// owed compares the sources that an assignment selects, and those that it brought before, with what was agreed about each.
func (r *run) owed(a scoping.Assignment, f scoping.Feature, t selection, rules uint64) (out owing) {
	kind := kindOf(f)
	ids := map[scoping.ObjectID]Why{}
	for id, by := range t.by {
		if by.Name != a.Name {
			continue
		}
		if o, _ := r.o.Cache.Get(CloudID(id)); o.Kind == kind {
			ids[id] = Taken
			out.taken = append(out.taken, id)
		}
	}
	now := r.o.Clock.Now().UnixMilli()
	r.o.Gate.Read(func(led *ledger.State) {
		for _, o := range led.CloudRows() { // brought by this assignment, and selected by none
			row := led.Rows.Get(o)
			id, err := scoping.Cloud(row.CloudID)
			if err != nil || row.Kind != kind || o.Directory != a.Directory || row.State == ledger.DeletedByTandem && !r.living(o) {
				continue
			}
			if _, has := ids[id]; has || t.by[id] != nil && t.by[id].Name != a.Name {
				continue
			}
			if at, ok := r.partition.Target(r.o.Census.Brief(o).Place(o.Directory), f); ok && at.Name == a.Name || !ok && brought(row, f, a) {
				ids[id] = Left
			}
		}
		for _, id := range slices.SortedFunc(maps.Keys(ids), scoping.ObjectID.Compare) {
			if s := r.subject(led, a, f, id, ids[id], rules, now); s != nil && !r.rest[id] {
				out.owed = append(out.owed, s)
			}
		}
	})
	return out
}

// brought reports whether an assignment put an object where the ledger says that it was brought.
func brought(row *ledger.Row, f scoping.Feature, a scoping.Assignment) bool {
	l := row.Features[f]
	return l != nil && (l.Place == a.Under.GUID || slices.Contains(l.Chain, a.Under.GUID))
}

// subject compares one source; nil: nothing is owed for it.
func (r *run) subject(led *ledger.State, a scoping.Assignment, f scoping.Feature, id scoping.ObjectID, why Why, rules uint64, now int64) *subject {
	s := &subject{id: id, a: a, why: why, rules: rules, reading: r.o.Census.Reading()}
	var known bool
	s.cloud, known = r.o.Cache.Get(CloudID(id))
	s.there = known && !s.cloud.Deleted
	switch {
	case !known:
		s.why = Purged
	case !s.there && s.why == Taken:
		s.why = Left
	}
	row, linked := led.ByCloud(CloudID(id))
	switch {
	case linked && row.Cloud == 0: // a directory feeds it: it must not come back into one
		r.say(s, Verdict{Outcome: engine.Released, Code: gate.CodeNotOwner, Reason: "a directory feeds it: " + row.Name})
		return nil
	case !linked && OfTheCloud(s.cloud) != "":
		r.say(s, Verdict{Outcome: engine.Released, Code: gate.Code(OfTheCloud(s.cloud)), Reason: "it is no object of the cloud's own"})
		return nil
	case linked:
		s.row = row
	case s.why != Taken:
		return nil
	}
	s.ends = endsOf(led, s.cloud, a.Directory, r.living)
	s.source = digest(s.cloud, s.ends)
	owner := a.Engine
	if s.why != Taken {
		owner = scoping.None
	}
	sight, deleted := gate.Sight{}, false
	if s.row != nil {
		sight = r.sight(s.row, f)
		deleted = sight.Known && sight.Deleted
	}
	open := led.Provisioning(CloudID(id))
	debt := standing.Of(facts(now, kindOf(f), owner, s.row, s.source, rules, sight.Reading, deleted, len(open) > 0 && r.o.Without.KeepsSinkDoubts()))
	switch {
	case debt.Code == standing.InFlight && r.o.Without.KeepsSinkDoubts():
		r.say(s, Verdict{Outcome: engine.InDoubt, Code: gate.CodeInDoubt, Reason: "an earlier write for it had no answer: " + open[0].Reason})
		return nil
	case debt.Code == standing.Settled && s.why == Purged && s.row != nil && s.row.State == ledger.ParkedRow: // disabled when it left; deleted for good now
		return s
	case debt.Code == standing.Settled && cameBack(s, f, sight): // its source is taken again, or left and it was not disabled
		return s
	case debt.Code == standing.Settled:
		last := led.Unsettled[id][f]
		if s.row != nil && r.doubled(s) != (last.Reason == string(CodeDoubled)) { // this object's reading does not tell about another object with its link
			return s
		}
		if s.row != nil && strings.HasPrefix(last.Code, ledger.HeldAnswer) { // an answer about a set took the place of what was found
			return s
		}
		if s.row != nil {
			r.say(s, Verdict{Outcome: engine.Unchanged, Settles: true, Findings: remembered(last)})
		}
		return nil
	}
	if v, known := r.answers.failed(s, sight.Reading, r.o.Steady()); known && !r.shadow {
		r.say(s, v)
		return nil
	}
	if s.row == nil {
		if v, known := r.answers.get(id, s.source, rules); known {
			r.say(s, v)
			return nil
		}
	}
	return s
}

// sight returns what the census sees of an object that was brought. It counts as changed by a reading of its directory from the start [otherwise, after
// a change of controllers, earlier changes by hand were never taken back], and by one that moved or renamed a container above it, or the one where it
// is wanted [a container was moved elsewhere with accounts in it: they were outside, and no administrator was told].
func (r *run) sight(row *ledger.Row, f scoping.Feature) gate.Sight {
	s := r.o.Census.Brief(row.Object)
	s.Reading = max(s.Reading, r.o.Census.Carried(row.Object), r.o.Census.Whole(row.Object.Directory))
	if was, ok := agreedOf(row, f); ok && was.Container != s.Parent {
		wanted := scoping.ObjectID{Directory: row.Object.Directory, GUID: was.Container}
		s.Reading = max(s.Reading, r.o.Census.Brief(wanted).Reading, r.o.Census.Carried(wanted))
	}
	return s
}

// doubled reports whether the census sees another object with the link of a subject's object.
func (r *run) doubled(s *subject) bool {
	at := r.o.Census.Linked(s.row.Object.Directory, LinkValue(s.row.Kind, s.row.CloudID))
	return slices.ContainsFunc(at, func(g scoping.GUID) bool { return g != s.row.Object.GUID })
}

// remembered returns the finding of the last look at an object that nothing is owed for.
func remembered(last ledger.Unsettled) []Finding {
	if text := sentences[gate.Code(last.Reason)]; text != "" {
		return []Finding{{gate.Code(last.Reason), text}}
	}
	return nil
}

// sentences describe findings about objects that were not looked at again.
var sentences = map[gate.Code]string{
	CodeLinkChanged: "somebody changed its link",
	CodeDoubled:     "another object shows its link too",
	CodeDisabledIn:  "somebody disabled it in the directory; it is enabled only when the tenant disables and enables it",
	CodeMovedAway:   "somebody moved it; it goes back only when what is wanted of it changes",
}

// say notes the answer about a source. A write of an earlier round stays in it.
func (r *run) say(s *subject, v Verdict) *Judgement {
	j := r.said[s.id]
	if j == nil {
		j = &Judgement{Object: s.id, CloudID: CloudID(s.id), Assignment: s.a.Name, Kind: s.cloud.Kind}
		r.said[s.id] = j
	}
	j.Name = cmp.Or(s.cloud.Values.First(cloud.DisplayName), j.CloudID)
	if s.row != nil {
		j.Kind = s.row.Kind
	}
	if v.Outcome == engine.Unchanged && j.Op != "" {
		v.Outcome = engine.Applied
	}
	j.Outcome, j.Code, j.Reason, j.Findings = v.Outcome, string(v.Code), v.Reason, v.Findings
	return j
}

// round maps, looks, decides and writes once. It reports whether anything was written.
func (r *run) round(ctx context.Context, a scoping.Assignment, f scoping.Feature, at controller, request engine.MapRequest, begin engine.MapBegin, subjects []*subject) (sent bool, err error) {
	if err := r.mapAll(ctx, request, subjects); err != nil {
		return false, err
	}
	seen, err := r.look(ctx, a, f, at, begin, subjects)
	if err != nil {
		return false, err
	}
	var owed []decided
	for _, s := range subjects {
		c := r.caseOf(ctx, a, f, s, seen)
		if err := r.o.Gate.Record(ctx, r.undeleted(f, s, c)...); err != nil {
			return false, err
		}
		owed = append(owed, decided{s, c, Decide(c)})
		if w := owed[len(owed)-1].v.Write; w != nil {
			seen.reserve(c, w)
		}
		if r.foreseen != nil {
			r.foreseen[s.id] = r.foresee(c)
		}
	}
	if err := r.takeBack(ctx, f, owed); err != nil {
		return false, err
	}
	free := r.weigh(a, f, owed)
	var out []*sending
	for i, x := range owed {
		j := r.say(x.s, x.v)
		switch {
		case x.v.Write != nil && r.shadow:
			j.Outcome, j.Write, j.Op = engine.Shadowed, x.v.Write, string(x.v.Write.Op)
		case x.v.Write != nil && !free[i]:
			j.Outcome, j.Code, j.Reason = engine.Held, string(gate.CodeThreshold), "it waits for a person: "+string(x.v.Write.Op)
			r.rest[x.s.id] = true
		case x.v.Write != nil:
			out = append(out, &sending{decided: x, j: j})
			continue
		case !x.v.Settles:
			r.rest[x.s.id] = true
		}
		if r.rest[x.s.id] || x.v.Settles {
			if err := r.o.Gate.Record(ctx, append(r.agreement(f, x), r.leave(f, x.s, *j)...)...); err != nil { // together: an agreement without its finding would never be looked at again
				return false, err
			}
		}
	}
	return r.send(ctx, f, at, out)
}

// leave returns the records of the last answer about a source that did not settle it, or that it is settled, with the first finding if there is one.
// An answer that was recorded before is not repeated.
func (r *run) leave(f scoping.Feature, s *subject, j Judgement) []ledger.Record {
	if r.shadow {
		return nil
	}
	var last ledger.Unsettled
	var said bool
	r.o.Gate.Read(func(led *ledger.State) { last, said = led.Unsettled[s.id][f] })
	settled := j.Outcome == engine.Applied || j.Outcome == engine.Unchanged || j.Outcome == engine.Released || j.Code == string(gate.CodeRejected) // what a person rejected is no debt
	if settled && len(j.Findings) > 0 {
		settled, j.Outcome, j.Code, j.Reason = false, engine.Held, string(j.Findings[0].Code), j.Findings[0].Text
	}
	if settled && !said || !settled && said && last.Reason == j.Code {
		return nil
	}
	id := s.id
	answer := ledger.Record{Type: ledger.DecisionType, Engine: r.engine, Object: &id, Kind: kindOf(f), Name: j.Name, Feature: f, Outcome: j.Outcome, Code: j.Code, Reason: j.Reason,
		Closed: settled, Epoch: r.o.Gate.Authority().Epoch}
	rs := []ledger.Record{answer}
	if waits := gate.Code(j.Code) == CodeNoPurge || gate.Code(j.Code) == CodePurging; waits && said { // its wait counts from now
		rs = []ledger.Record{{Type: ledger.DecisionType, Engine: r.engine, Object: &id, Kind: kindOf(f), Name: j.Name, Feature: f, Outcome: engine.Released, Code: string(gate.CodeNotOwner), Closed: true}, answer}
	}
	return rs
}

// forget ends what is remembered of sources that no assignment is about any more.
func (r *run) forget(ctx context.Context) error {
	if !r.report.Complete {
		return nil
	}
	var rs []ledger.Record
	r.o.Gate.Read(func(led *ledger.State) {
		for _, k := range led.UnsettledKeys() {
			by := r.by[k.Object]
			if j := r.said[k.Object]; k.Object.IsCloud() && (by == nil || by.Engine == r.engine) && (j == nil || len(j.Findings) == 0 && (j.Outcome == engine.Unchanged || j.Outcome == engine.Released)) {
				id := k.Object
				rs = append(rs, ledger.Record{Type: ledger.DecisionType, Engine: r.engine, Object: &id, Feature: k.Feature, Outcome: engine.Released, Code: string(gate.CodeNotOwner), Closed: true})
			}
		}
	})
	return r.o.Gate.Record(ctx, rs...)
}

type decided struct {
	s *subject
	c Case
	v Verdict
}

// mapAll asks the engine what sources should be.
func (r *run) mapAll(ctx context.Context, request engine.MapRequest, subjects []*subject) error {
	byID := map[scoping.ObjectID]*subject{}
	var sources []engine.Source
	for _, s := range subjects {
		if s.why == Taken && s.mapping == nil {
			byID[s.id] = s
			sources = append(sources, sourceOf(s.id, s.cloud))
		}
	}
	if len(sources) == 0 {
		return nil
	}
	_, err := r.o.Engines.Map(ctx, r.engine, request, sources, func(ms []engine.Mapping) error {
		for i := range ms {
			m := ms[i]
			if m.Container == "" {
				m.Container = request.ContainerDN
			}
			byID[m.Object].mapping = &m
		}
		return nil
	})
	return err
}

// agreement returns the record that nothing is owed; none for other verdicts, and in shadow.
func (r *run) agreement(f scoping.Feature, x decided) []ledger.Record {
	if !x.v.Settles || r.shadow {
		return nil
	}
	if x.s.row != nil && x.s.row.State == ledger.DeletedByTandem && (x.c.Found == nil || x.c.Found.Deleted) { // the census does not know yet that it was deleted
		return nil
	}
	if x.s.row == nil {
		r.answers.put(x.s.id, x.s.source, x.s.rules, x.v)
		return nil
	}
	now := agreed{Source: x.s.source, Rules: x.s.rules, Container: x.c.Container, Deleted: x.v.Parks && (x.c.Found == nil || x.c.Found.Deleted)}
	if x.s.mapping != nil && x.c.Kind == scoping.User {
		now.Disabled = first(x.s.mapping.Desired[engine.AccountDisabled].Text)
	}
	switch was, before := agreedOf(x.s.row, f); { // an account that others disabled while it was brought stays so when it comes back
	case !x.v.Parks || x.c.switched(ledger.Disabled):
	case x.c.switched(ledger.ShownDisabled):
		now.Disabled = byWhoever
	case x.c.switched(ledger.Enabled): // by a write after the last agreement, if there was one
		now.Disabled = "false"
	case before:
		now.Disabled = was.Disabled
	}
	sight := r.sight(x.s.row, f)
	claim := &ledger.Claim{Hash: now.text(), Place: sight.Parent, Chain: sight.Chain, Version: x.s.reading, State: ledger.Live, Owner: r.engine}
	if x.v.Parks {
		park(claim, x.s.row, f)
	}
	if last := x.s.row.Features[f]; last != nil && last.Hash == claim.Hash && x.s.row.State == claim.State && last.Version >= sight.Reading {
		return nil
	}
	o := x.s.row.Object
	outcome := engine.Unchanged
	return []ledger.Record{{Type: ledger.DecisionType, Engine: r.engine, Object: &o, Kind: x.c.Kind, Name: x.s.row.Name, Feature: f, Outcome: outcome, Code: string(x.v.Code),
		Closed: true, Claim: claim, Epoch: r.o.Gate.Authority().Epoch}}
}
