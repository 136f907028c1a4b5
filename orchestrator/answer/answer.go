// Package answer answers questions of administrators: the owner of an object and why, what is known of it, what is owed, what was done, and the
// status of everything. It only reads; the one thing that it reads from outside is a directory that was never read.
package answer

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/tandem-sync/tandem/orchestrator/census"
	"github.com/tandem-sync/tandem/orchestrator/control"
	"github.com/tandem-sync/tandem/orchestrator/gate"
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/objects"
	"github.com/tandem-sync/tandem/orchestrator/problem"
	"github.com/tandem-sync/tandem/orchestrator/provisioning"
	"github.com/tandem-sync/tandem/orchestrator/reach"
	"github.com/tandem-sync/tandem/orchestrator/run"
	"github.com/tandem-sync/tandem/orchestrator/standing"
	"github.com/tandem-sync/tandem/orchestrator/tenancy"
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/scoping"
	"github.com/tandem-sync/tandem/scoping/attribute"
	"github.com/tandem-sync/tandem/state"
)

// Options are what a Desk is made of.
type Options struct {
	Gate    *gate.Gate
	Census  *census.Census
	Control *control.Control
	Cache   *cloud.Cache
	View    *objects.View
	Run     *run.Runner
	Tenancy *tenancy.Tenancy
	Notes   *reach.Notes
	Engines run.Engines
	Store   *state.Store
	// Shelf is where the ledger's checkpoint is read from; nil: there is none.
	Shelf func(context.Context) ledger.Shelf
	// Look reads the directories if nothing is known of them yet.
	Look func(context.Context) error
}

// Desk answers. It is safe for concurrent use.
type Desk struct{ o Options }

// New makes a desk.
func New(o Options) *Desk { return &Desk{o: o} }

// Explained is the answer to which engine owns an object, and why.
type Explained struct {
	Object   scoping.ObjectID
	DN       string
	Anchor   string
	Kind     scoping.Kind
	Deleted  bool
	Features []scoping.Explanation
	Waits    []string // what waits for a person's answer about it
	// Attributes of the features, by the tenant's names, sorted.
	Extensions []string // managed by the owner of extensions, by the policy's defaults
	LeftOut    []string // not managed, by the policy's defaults

	Way string // the direction of its values if the tenant is the authority; empty: from the directory to the tenant
}

// Explain returns the owners of an object under a partition, the one in force if nil.
func (a *Desk) Explain(ctx context.Context, ref string, p *scoping.Partition) (Explained, error) {
	var err error
	if p == nil {
		if p, err = a.o.Control.Partition(); err != nil {
			return Explained{}, err
		}
	}
	if err := a.o.Look(ctx); err != nil {
		return Explained{}, err
	}
	if err := a.o.View.ChoosePlanned(ctx, p); err != nil {
		return Explained{}, err
	}
	id, err := a.o.View.Find(ctx, ref)
	if err != nil {
		if b, brought := a.bringing(p, ref); brought { // this looks through the whole tenant
			return Explained{Object: b.Object, DN: b.Name, Kind: b.Kind, Features: []scoping.Explanation{b.Feature}, Waits: a.waits(b.Object)}, nil
		}
		return Explained{}, err
	}
	sight := a.o.Census.Sight(id)
	if !sight.Known {
		if err := a.o.Census.Reread(ctx, []scoping.ObjectID{id}); err != nil {
			return Explained{}, err
		}
		sight = a.o.Census.Sight(id)
	}
	if !sight.Known {
		return Explained{}, problem.About(ref, "%w: the directory shows no object %s", problem.ErrNotFound, ref)
	}
	e := Explained{Object: id, DN: sight.Name, Anchor: sight.Anchor, Kind: sight.Kind, Deleted: sight.Deleted}
	if scoping.Base(sight.Kind) == "" {
		return e, problem.Refuse("%s is a container or something else that is not synchronized", sight.Name)
	}
	e.Features, e.Waits = p.Explain(sight.Place(id.Directory), sight.Kind), a.waits(id)
	e.manages(p)
	a.o.Gate.Read(func(s *ledger.State) { e.mastered(s.Rows.Get(id)) })
	return e, nil
}

// mastered marks, for an object whose authority is the tenant, that no engine writes its features into the tenant except the password.
func (e *Explained) mastered(row *ledger.Row) {
	if e.Way = provisioning.Mastered(row); e.Way == "" {
		return
	}
	for i, f := range e.Features {
		if !f.Feature.Provisions() && f.Feature != scoping.PasswordHash && f.Feature != scoping.PasswordWriteback {
			e.Features[i] = scoping.Explanation{Feature: f.Feature, Engine: scoping.None, Because: "the tenant is its authority", Lost: f.Lost}
		}
	}
}

// manages adds the attributes that a partition's defaults let the owners of the object's features manage in addition to the usual ones, or leave out.
func (e *Explained) manages(p *scoping.Partition) {
	m := gate.ManagedBy(p.Defaults())
	for n := range m.LeaveOut {
		if m.Leaves(e.Kind, n) && e.has(attribute.FeatureOf(e.Kind, n)) {
			e.LeftOut = append(e.LeftOut, n)
		}
	}
	for n := range m.Extensions {
		if e.has(attribute.FeatureOf(e.Kind, n)) {
			e.Extensions = append(e.Extensions, n)
		}
	}
	slices.Sort(e.LeftOut)
	slices.Sort(e.Extensions)
}

func (e *Explained) has(f scoping.Feature) bool {
	return slices.ContainsFunc(e.Features, func(x scoping.Explanation) bool { return x.Feature == f })
}

// sources returns the directory's attributes that the managed values of the object are made from.
func (e *Explained) sources() []string {
	names := slices.Clone(e.Extensions)
	for _, a := range attribute.Values(e.Kind) {
		if e.has(a.Feature) && a.Feature != scoping.Extensions {
			names = append(names, a.Name)
		}
	}
	var out []string
	for _, n := range names {
		if s := attribute.Source(n); s != "" {
			out = append(out, s)
		}
	}
	return out
}

// ObjectReport is everything that is known of one object.
type ObjectReport struct {
	Explained
	Row       *ledger.Row
	Record    map[scoping.Feature]string // owners of record
	Cloud     *cloud.Object
	Foreign   []string // members or manager in the tenant that others wrote, by name
	Unsettled map[scoping.Feature]ledger.Unsettled
	Debts     []Failure
	Findings  []objects.Finding
	Excluded  string
	Left      *objects.Left // why it is left out, or nil
	Missing   []Missing     // ends of its references that are not in the tenant
	Directory map[string][]string
	Journal   []AuditEntry
}

// Object gathers everything known of one object.
func (a *Desk) Object(ctx context.Context, ref string) (ObjectReport, error) {
	var out ObjectReport
	if err := a.o.Look(ctx); err != nil {
		return out, err
	}
	id, err := a.o.View.Find(ctx, ref)
	if err != nil {
		return a.brought(ctx, ref, err)
	}
	sight := a.o.Census.Sight(id)
	out.Explained = Explained{Object: id, DN: sight.Name, Anchor: sight.Anchor, Kind: sight.Kind, Deleted: sight.Deleted, Features: []scoping.Explanation{}}
	auth, debts := a.o.Gate.Authority(), a.o.Gate.DebtsOf(id)
	if p := auth.Partition; p != nil && scoping.Base(sight.Kind) != "" {
		out.Features = p.Explain(sight.Place(id.Directory), sight.Kind)
		out.manages(p)
	}
	a.o.Gate.Read(func(s *ledger.State) {
		out.Unsettled, out.Excluded, out.Record = map[scoping.Feature]ledger.Unsettled{}, s.Excluded[id], map[scoping.Feature]string{}
		for _, k := range slices.SortedFunc(maps.Keys(debts), ledger.Key.Compare) {
			d := a.debt(s, auth, k, debts[k])
			d.Name = sight.Name
			out.Unsettled[k.Feature] = d.Unsettled
			out.Debts = append(out.Debts, Failure{Debt: d})
		}
		if row := s.Rows.Get(id); row != nil {
			r := *row
			out.Row = &r
			for f := range row.Features {
				out.Record[f], _ = s.OwnerOfRow(row, f)
			}
			if o, ok := a.o.View.Cloud(row); ok {
				out.Cloud = &o
			}
			out.mastered(row)
		}
	})
	out.Foreign = a.foreignReferences(out.Row, out.Cloud)
	out.Findings = a.o.View.Findings(&id)
	if x, is := a.o.View.LeftObject(id); is {
		out.Left = &x
	}
	out.Missing = a.missing(auth, id)
	a.explainFailures(out.Debts, out.Missing)
	out.Directory, err = a.o.Census.Values(ctx, id, out.sources()...)
	if err != nil {
		return out, err
	}
	err = a.Audit(ctx, AuditFilter{Object: &id}, func(e AuditEntry) error {
		out.Journal = append(out.Journal, e)
		return nil
	})
	return out, err
}

// bringing returns which engine brings an object of the tenant into a directory.
func (a *Desk) bringing(p *scoping.Partition, ref string) (b provisioning.Brought, found bool) {
	a.o.Gate.Read(func(s *ledger.State) { b, found = provisioning.Explain(a.o.Cache, s, p, ref) })
	return b, found
}

// brought gathers what is known of an object of the tenant without a counterpart in a directory; err is why none was found.
func (a *Desk) brought(ctx context.Context, ref string, err error) (ObjectReport, error) {
	out := ObjectReport{Unsettled: map[scoping.Feature]ledger.Unsettled{}, Record: map[scoping.Feature]string{}}
	b, known := a.bringing(a.o.Gate.Authority().Partition, ref)
	if !known {
		return out, err
	}
	out.Explained = Explained{Object: b.Object, DN: b.Name, Kind: b.Kind, Features: []scoping.Explanation{b.Feature}, Waits: a.waits(b.Object)}
	a.o.Gate.Read(func(s *ledger.State) {
		for f, u := range s.Unsettled[b.Object] {
			out.Unsettled[f] = u
			out.Debts = append(out.Debts, Failure{Debt: unbrought(ledger.Key{Object: b.Object, Feature: f}, b.Name, b.Feature.Engine, u)})
		}
	})
	if o, ok := a.o.Cache.Get(provisioning.CloudID(b.Object)); ok {
		out.Cloud = &o
	}
	err = a.Audit(ctx, AuditFilter{Object: &b.Object}, func(e AuditEntry) error {
		out.Journal = append(out.Journal, e)
		return nil
	})
	return out, err
}

// unbrought returns what is owed to a directory for an object of the tenant.
func unbrought(k ledger.Key, name, engine string, u ledger.Unsettled) Debt {
	return Debt{Key: k, Name: name, Owner: engine, Owed: standing.Debt{Code: standing.Differs, To: standing.Owner, Engine: engine}, Unsettled: u}
}

// Missing is an end of a reference that is in the directory and not in the tenant.
type Missing struct {
	Object scoping.ObjectID
	Name   string
	Why    string
}

// missing returns the ends of an object's references that are not in the tenant, with the reason.
func (a *Desk) missing(auth gate.Authority, id scoping.ObjectID) (out []Missing) {
	engine := a.o.View.OwnerOf(auth, id, a.o.Census.Brief(id).Kind, scoping.References)
	for _, end := range a.o.Gate.MissingEnds(engine, id) {
		out = append(out, Missing{Object: end, Name: a.o.View.Name(end), Why: a.whyMissing(end)})
	}
	return out
}

// whyMissing describes why an object is not in the tenant.
func (a *Desk) whyMissing(id scoping.ObjectID) string {
	sight := a.o.Census.Brief(id)
	if x, is := a.o.View.LeftObject(id); is {
		return x.String()
	}
	switch {
	case !sight.Known:
		return "the host does not see it in the directory"
	case sight.Deleted:
		return "it is deleted in the directory"
	}
	for _, k := range slices.SortedFunc(maps.Keys(a.o.Gate.DebtsOf(id)), ledger.Key.Compare) {
		if k.Feature == scoping.Base(sight.Kind) {
			return "it is not in the tenant yet: tandem object " + a.o.View.Name(id)
		}
	}
	return "it was not in the tenant when its engine spoke of this reference last"
}

// foreignReferences returns the names of a linked object's references that others wrote in the tenant (rule D3).
func (a *Desk) foreignReferences(row *ledger.Row, o *cloud.Object) []string {
	out := []string{}
	if row == nil || row.Links == nil || o == nil {
		return out
	}
	ids := o.Members
	if o.Manager != "" {
		ids = append(ids[:len(ids):len(ids)], o.Manager)
	}
	for _, id := range ids {
		if !row.Links.Has(id) {
			out = append(out, a.o.View.CloudName(id))
		}
	}
	return out
}

// waits returns what about an object's owners waits for an answer, or was rejected.
func (a *Desk) waits(id scoping.ObjectID) []string {
	var out []string
	for _, x := range a.o.View.Held() {
		for _, e := range x.Entries {
			if e.Object == id && id.IsCloud() {
				out = append(out, fmt.Sprintf("%s: held set %s: tandem held show %s", e.Note, x.ID, x.ID))
			}
			if x.Class != ledger.OwnerChanges || e.Object != id {
				continue
			}
			word := "is among"
			if e.Op != objects.ChosenOp(census.Staged{Taken: true}) {
				word = "is no longer among"
			}
			what := "which waits in held set " + x.ID + ": tandem held show " + x.ID
			if x.State == ledger.HoldRejected {
				what = "which was rejected as held set " + x.ID + ": tandem held forget " + x.ID + " lets it be weighed again"
			}
			out = append(out, fmt.Sprintf("the object %s the %s now, %s", word, x.Assignment, what))
		}
	}
	return out
}

// Debt is one feature of an object that is not settled.
type Debt struct {
	Key   ledger.Key
	Name  string
	Owner string // the engine that will be asked
	Owed  standing.Debt
	ledger.Unsettled
	Trouble *ledger.Trouble // earlier refusals, or nil
}

// Debts returns what is owed, with names, in order.
func (a *Desk) Debts() []Debt {
	var out []Debt
	debts := a.o.View.Owed()
	auth := a.o.Gate.Authority()
	a.o.Gate.Read(func(s *ledger.State) {
		for _, k := range slices.SortedFunc(maps.Keys(debts), ledger.Key.Compare) {
			d := a.debt(s, auth, k, debts[k])
			if row := s.Rows.Get(k.Object); row != nil {
				d.Name = row.Name
			}
			if n := a.o.View.Name(k.Object); n != "" {
				d.Name = n
			}
			out = append(out, d)
		}
		for _, k := range s.UnsettledKeys() {
			if k.Object.IsCloud() {
				b, _ := provisioning.Explain(a.o.Cache, s, auth.Partition, provisioning.CloudID(k.Object))
				out = append(out, unbrought(k, cmp.Or(b.Name, k.Object.String()), b.Feature.Engine, s.Unsettled[k.Object][k.Feature]))
			}
		}
	})
	return out
}

// Doubtful returns the writes into directories without an answer, of one object or of all, the oldest first.
func (a *Desk) Doubtful(o *scoping.ObjectID) []ledger.Delivered { return a.o.Gate.Doubtful(o) }

// debt returns a debt with the last answer that left the key unsettled, if that is the reason.
func (a *Desk) debt(s *ledger.State, auth gate.Authority, k ledger.Key, owed standing.Debt) Debt {
	d := Debt{Key: k, Owed: owed, Owner: a.o.View.Addressee(s, auth, k), Trouble: attempts(s.TroubleOf(k)), Unsettled: ledger.Unsettled{Code: string(owed.Code), Reason: owed.Code.Sentence()}}
	if last, said := s.Unsettled[k.Object][k.Feature]; said && owed.Answered() {
		d.Unsettled = last
	}
	return d
}

// attempts copies what is remembered of refused attempts.
func attempts(t *ledger.Trouble) *ledger.Trouble {
	if t == nil || len(t.Parts) == 0 {
		return nil
	}
	c := *t
	c.Parts = slices.Clone(t.Parts)
	return &c
}
