package host

import (
	"context"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"

	"github.com/tandem-sync/tandem/orchestrator/census"
	"github.com/tandem-sync/tandem/orchestrator/control"
	"github.com/tandem-sync/tandem/orchestrator/gate"
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/objects"
	"github.com/tandem-sync/tandem/orchestrator/problem"
	"github.com/tandem-sync/tandem/orchestrator/reach"
	"github.com/tandem-sync/tandem/orchestrator/tenancy"
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/orchestrator/wave"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
	"github.com/tandem-sync/tandem/state"
)

// Explained is the answer to "who owns this object, and why".
type Explained struct {
	Object   scoping.ObjectID
	DN       string
	Anchor   string
	Kind     scoping.Kind
	Gone     bool
	Features []scoping.Explanation
	Waits    []string // what of it waits for a person's answer
}

// Explain says who owns an object under a partition, the one in force if nil.
func (h *Host) Explain(ctx context.Context, ref string, p *scoping.Partition) (Explained, error) {
	var err error
	if p == nil {
		if p, err = h.control.Partition(); err != nil {
			return Explained{}, err
		}
	}
	if err := h.ensureCensus(ctx); err != nil {
		return Explained{}, err
	}
	if err := h.ChoosePlanned(ctx, p); err != nil {
		return Explained{}, err
	}
	id, err := h.Find(ctx, ref)
	if err != nil {
		return Explained{}, err
	}
	sight := h.o.Census.Sight(id)
	if !sight.Known {
		if err := h.o.Census.Reread(ctx, []scoping.ObjectID{id}); err != nil {
			return Explained{}, err
		}
		sight = h.o.Census.Sight(id)
	}
	if !sight.Known {
		return Explained{}, problem.About(ref, "%w: the directory shows no object %s", problem.ErrNotFound, ref)
	}
	e := Explained{Object: id, DN: sight.Name, Anchor: sight.Anchor, Kind: sight.Kind, Gone: sight.Gone}
	if scoping.Base(sight.Kind) == "" {
		return e, problem.Refuse("%s is a container or something else that is not synchronized", sight.Name)
	}
	e.Features, e.Waits = p.Explain(sight.Place(id.Directory), sight.Kind), h.waits(id)
	return e, nil
}

// ObjectReport is everything that is known of one object.
type ObjectReport struct {
	Explained
	Row       *ledger.Row
	Record    map[scoping.Feature]string // owners of record
	Cloud     *cloud.Object
	Foreign   []string // members or manager in the tenant that Tandem did not write, by name
	Dirty     map[scoping.Feature]ledger.Dirty
	Debts     []Debt
	Findings  []objects.Finding
	Excluded  string
	Directory map[string][]string
	Journal   []AuditEntry
}

// Object gathers everything known of one object.
func (h *Host) Object(ctx context.Context, ref string) (ObjectReport, error) {
	var out ObjectReport
	if err := h.ensureCensus(ctx); err != nil {
		return out, err
	}
	id, err := h.Find(ctx, ref)
	if err != nil {
		return out, err
	}
	sight := h.o.Census.Sight(id)
	out.Explained = Explained{Object: id, DN: sight.Name, Anchor: sight.Anchor, Kind: sight.Kind, Gone: sight.Gone, Features: []scoping.Explanation{}}
	auth := h.gate.Authority()
	if p := auth.Partition; p != nil && scoping.Base(sight.Kind) != "" {
		out.Features = p.Explain(sight.Place(id.Directory), sight.Kind)
	}
	h.gate.Read(func(s *ledger.State) {
		out.Dirty, out.Excluded, out.Record = map[scoping.Feature]ledger.Dirty{}, s.Excluded[id], map[scoping.Feature]string{}
		for f, d := range s.Dirt[id] {
			out.Dirty[f] = d
		}
		for _, f := range slices.Sorted(maps.Keys(s.Dirt[id])) {
			k := ledger.Key{Object: id, Feature: f}
			out.Debts = append(out.Debts, Debt{Key: k, Name: sight.Name, Owner: h.Addressee(s, auth, k), Dirty: s.Dirt[id][f], Trouble: attempts(s.TroubleOf(k))})
		}
		if row := s.Rows.Get(id); row != nil {
			r := *row
			out.Row = &r
			for f := range row.Features {
				out.Record[f], _ = s.OwnerOfRecord(id, f)
			}
			if o, ok := h.Cloud(row); ok {
				out.Cloud = &o
			}
		}
	})
	out.Foreign = h.foreignReferences(out.Row, out.Cloud)
	out.Findings = h.Findings(&id)
	out.Directory, err = h.o.Census.Values(ctx, id)
	if err != nil {
		return out, err
	}
	err = h.Audit(ctx, AuditFilter{Object: &id}, func(e AuditEntry) error {
		out.Journal = append(out.Journal, e)
		return nil
	})
	return out, err
}

// DiffOptions say what is compared.
type DiffOptions struct {
	Under  string
	Engine string          // empty: the owner of the subtree
	Scopes []scoping.Scope // instead of Under, with an engine: exactly these
}

// Diff lets an engine propose everything under a DN and gives what it would write now. Nothing is written but the debt that a look at an owner leaves: see keepOwed.
func (h *Host) Diff(ctx context.Context, o DiffOptions) (engineName string, objects int, ds []gate.Judgement, err error) {
	if _, err := h.control.Partition(); err != nil {
		return "", 0, nil, err
	}
	if err := h.Prepare(ctx); err != nil {
		return "", 0, nil, err
	}
	if len(o.Scopes) > 0 {
		objects, ds, err = h.diffScopes(ctx, o.Engine, o.Scopes)
		return o.Engine, objects, ds, err
	}
	dir, guid, chain, err := h.Resolve(ctx, o.Under)
	if err != nil {
		return "", 0, nil, err
	}
	engineName = o.Engine
	here := scoping.Place{Directory: dir, Ancestors: append([]scoping.GUID{guid}, chain...)}
	if engineName == "" {
		engineName = h.gate.Authority().Owner(here, scoping.User, scoping.Users).Engine
		if engineName == scoping.None || engineName == "" {
			engineName = h.gate.Authority().Owner(here, scoping.Group, scoping.Groups).Engine
		}
	}
	if !slices.Contains(h.o.Engines.Names(), engineName) {
		return engineName, 0, nil, problem.Refuse("no engine owns %s; name one with --engine (configured: %v)", o.Under, h.o.Engines.Names())
	}
	var scopes []scoping.Scope
	if o.Engine == "" {
		if scopes, err = h.scopesUnder(ctx, h.gate.Authority().Grants(engineName), o.Under); err != nil {
			return engineName, 0, nil, err
		}
	} else {
		scopes = []scoping.Scope{{Directory: dir, Under: guid, Features: withReferences(h.gate.Authority().Partition, h.gate.Authority().Partition.Features())}}
	}
	mine := func(scoping.ObjectID, scoping.Feature) bool { return true }
	if o.Engine == "" { // it reads whole subtrees, and owns what choices leave it
		auth := h.gate.Authority()
		mine = func(id scoping.ObjectID, f scoping.Feature) bool {
			sight := h.o.Census.Sight(id)
			return !sight.Known || sight.Gone || auth.Owner(sight.Place(id.Directory), sight.Kind, f).Engine == engineName
		}
	}
	objects, ds, err = h.differences(ctx, engineName, scopes, mine)
	return engineName, objects, ds, err
}

// diffScopes is Diff over exact scopes, choices and all.
func (h *Host) diffScopes(ctx context.Context, engineName string, scopes []scoping.Scope) (int, []gate.Judgement, error) {
	return h.differences(ctx, engineName, scopes, func(id scoping.ObjectID, f scoping.Feature) bool {
		sight := h.o.Census.Sight(id)
		place := sight.Place(id.Directory)
		return !sight.Known || sight.Gone || slices.ContainsFunc(scopes, func(s scoping.Scope) bool { return s.Writes(sight.Kind, f) && s.Covers(place) })
	})
}

// differences lets an engine propose everything in scopes, counts the objects that are its matter and gives what it would write of them.
func (h *Host) differences(ctx context.Context, engineName string, scopes []scoping.Scope, mine func(scoping.ObjectID, scoping.Feature) bool) (int, []gate.Judgement, error) {
	sum, s, err := h.judgeAll(ctx, engineName, scopes)
	if err != nil {
		return 0, nil, err
	}
	seen := map[scoping.ObjectID]bool{}
	var ds []gate.Judgement
	for _, j := range sum.Judgements {
		_, rank := opOf(j)
		if rank == 0 || !mine(j.Key.Object, j.Key.Feature) {
			continue
		}
		seen[j.Key.Object] = true
		if rank > rankUnchanged {
			ds = append(ds, j)
		}
	}
	for _, k := range h.notProposed(scopes, s) {
		if mine(k.Object, k.Feature) {
			ds = append(ds, gate.Judgement{Key: k, Name: h.Name(k.Object), Op: "unclaimed"})
		}
	}
	return len(seen), ds, nil
}

func (h *Host) judgeAll(ctx context.Context, name string, scopes []scoping.Scope) (gate.Summary, *gate.Session, error) {
	l := h.lock(name)
	l.Lock()
	defer l.Unlock()
	run := h.nextRun()
	s := h.gate.Begin(gate.SessionOptions{Engine: name, Run: run, Ceiling: engine.ModeShadow, Silent: true})
	complete, err := h.askEngine(ctx, name, engine.RunRequest{Run: run, Profile: engine.ProfileFull, Scopes: scopes, Ceiling: engine.ModeShadow}, s, func(engine.RunReport) {})
	if err != nil {
		return gate.Summary{}, s, err
	}
	if !complete {
		return gate.Summary{}, s, fmt.Errorf("the run of engine %s was not complete", name)
	}
	sum, err := s.End(ctx, true)
	return sum, s, err
}

// AuditEntry is one record of the log with its place in the chain.
type AuditEntry struct {
	Seq    uint64
	Record ledger.Record
	Prev   string
	Hash   string
}

// AuditFilter narrows what Audit gives.
type AuditFilter struct {
	Object *scoping.ObjectID
	Wave   string
}

// Audit reads the log from its beginning.
func (h *Host) Audit(ctx context.Context, f AuditFilter, each func(AuditEntry) error) error {
	return h.o.Store.Log.ReadChained(ctx, 0, func(e state.LogEntry) error {
		r, err := ledger.Decode(e.Record)
		if err != nil {
			return fmt.Errorf("record %d: %w", e.Seq, err)
		}
		if f.Object != nil && (r.Object == nil || *r.Object != *f.Object) {
			return nil
		}
		if f.Wave != "" && r.Wave != f.Wave {
			return nil
		}
		return each(AuditEntry{Seq: e.Seq, Record: r, Prev: hex.EncodeToString(e.Prev[:]), Hash: hex.EncodeToString(e.Hash[:])})
	})
}

// CheckState reads control and log beside all other work, and returns what is wrong with them.
func (h *Host) CheckState(ctx context.Context) []state.Problem { return h.o.Store.Check(ctx) }

// VerifyLog reads the whole log, checks its chain and that every record is understood, and gives the head.
func (h *Host) VerifyLog(ctx context.Context) (records uint64, head string, err error) {
	if err := h.o.Store.Log.Verify(ctx); err != nil {
		return 0, "", err
	}
	if err := h.Audit(ctx, AuditFilter{}, func(AuditEntry) error { return nil }); err != nil {
		return 0, "", err
	}
	seq, hash := h.o.Store.Log.Head()
	return seq, hex.EncodeToString(hash[:]), nil
}

// Status is everything at a glance.
type Status struct {
	Revision     uint64
	Epoch        scoping.Epoch
	Installation string
	ReadOnly     string // why nothing may be written, or ""
	Mark         tenancy.MarkStatus
	Restored     *control.Restored // what a state waits for that is to be activated
	Engines      []EngineStatus
	Stops        []gate.Stop
	Held         []ledger.Hold
	Waves        []wave.Wave
	Linked       map[scoping.Kind]int
	Dirty        int
	InDoubt      int
	Drift        []scoping.Drift
	Frozen       []objects.FrozenGroup
	Directories  []DirectoryStatus
	Tenant       *reach.Tries // nil: nobody tried to reach it
}

// EngineStatus is what is known of an engine.
type EngineStatus struct {
	Name    string
	Health  *engine.Health // nil: not running here
	Last    *SyncReport    // nil: no run since the start
	Grants  []engine.Grant
	Stopped string
	Debts   int
	Reach   *reach.Tries // nil: nobody tried to let it run
	Full    *reach.Full  // nil: none is known
	Process Process
}

// DirectoryStatus is what the census knows of a directory.
type DirectoryStatus struct {
	Name    string
	Objects int
	USN     uint64
	Reach   *reach.Tries // nil: nobody tried to reach it
	Deleted string       // whether the account sees deleted objects: "seen", "hidden", "unproven", "" (not known)
	Blind   string       // why it does not; empty unless Deleted is "hidden"
}

// Status gathers everything at a glance; it reads nothing from directory or tenant.
func (h *Host) Status(ctx context.Context) (Status, error) {
	c, err := h.control.View(ctx)
	if err != nil {
		return Status{}, err
	}
	auth := h.gate.Authority()
	st := Status{Epoch: c.Head.Epoch, Installation: c.Head.Installation, ReadOnly: auth.ReadOnly, Mark: h.MarkStatus(c), Restored: c.Head.Restored, Stops: auth.Stops, Held: objects.Waiting(h.Held()), Linked: map[scoping.Kind]int{}}
	if auth.Partition != nil {
		st.Revision = auth.Partition.Revision()
		for _, d := range h.Drift(auth.Partition) {
			if h.o.Census.USN(d.Directory) != 0 { // what was never read has not drifted
				st.Drift = append(st.Drift, d)
			}
		}
		st.Frozen = h.Frozen()
	}
	if st.Waves, err = h.Waves(ctx); err != nil {
		return st, err
	}
	debts := map[string]int{}
	for _, d := range h.Debts() {
		debts[d.Owner]++
		st.Dirty++
	}
	h.gate.Read(func(s *ledger.State) {
		st.InDoubt = len(s.Intents)
		for _, r := range s.Rows.All() {
			if r.State == ledger.Live {
				st.Linked[r.Kind]++
			}
		}
	})
	st.Tenant = h.Of(reach.Tenant)
	for _, n := range h.o.Engines.Names() {
		st.Engines = append(st.Engines, h.engineStatus(n, auth, debts[n]))
	}
	for _, n := range h.o.Census.Names() {
		d := DirectoryStatus{Name: n, USN: h.o.Census.USN(n)}
		h.o.Census.Tree(n, func(t *census.Tree) { d.Objects = len(t.All()) })
		d.Reach = h.Of(reach.Directory(n))
		d.Deleted, d.Blind = h.Deleted(n)
		st.Directories = append(st.Directories, d)
	}
	return st, nil
}

func (h *Host) engineStatus(n string, auth gate.Authority, debts int) EngineStatus {
	e := EngineStatus{Name: n, Grants: auth.Grants(n), Stopped: auth.Stopped(n, scoping.Place{}), Debts: debts}
	if hl, ok := h.o.Engines.Health(n); ok {
		e.Health = &hl
	}
	if r, ok := h.lastRun(n); ok {
		e.Last = &r
	}
	e.Reach, e.Full = h.Of(reach.Engine(n)), h.LastFull(n)
	if p, ok := h.o.Engines.(Processes); ok {
		e.Process = p.Process(n)
	}
	return e
}
