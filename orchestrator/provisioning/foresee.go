package provisioning

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/plugins/provision"
	"github.com/tandem-sync/tandem/scoping"
)

// Forecast is what an assignment would do with the objects of the tenant that it selects, or selected.
type Forecast struct {
	Assignment scoping.Assignment
	Objects    map[scoping.Kind]int // those that it selects
	Sources    []Foreseen           // those that something is owed for, ordered
	Problems   []Problem
}

// Foreseen is the steps of one source until nothing is owed for it.
type Foreseen struct {
	Object  scoping.ObjectID
	Kind    scoping.Kind
	Name    string
	Steps   []Step
	Settled bool // nothing is written, and nothing stands in the way
}

// The steps.
const (
	StepCreate  = "create"
	StepJoin    = "join"   // a person is asked about an existing account
	StepRelink  = "relink" // … about the account of a person who left
	StepUpdate  = "update"
	StepRename  = "rename"
	StepMove    = "move"
	StepEnable  = "enable"
	StepDisable = "disable"
	StepDelete  = "delete"
	StepFailed  = "failed" // nothing can be done for it: see Code and Reason
)

// Step is one thing that would be done.
type Step struct {
	Does   string
	Code   string // of a failure, or of a question to a person
	Reason string
	DN     string // of the object in the directory; empty: it does not exist
	To     string // DN of the container of a create or a move
	Name   string // the new name of a rename
	Waits  bool   // for a person, whatever the number
}

// Foresee returns what the provisioning assignments of a partition would do if it were in force, in their order. Nothing is written, held or
// recorded.
func (d *Desk) Foresee(ctx context.Context, p *scoping.Partition) ([]Forecast, error) {
	var out []Forecast
	by := map[string]*run{}
	for _, a := range p.Provisioning() {
		r := by[a.Engine]
		if r == nil {
			r = d.newRun(a.Engine, true)
			r.partition, r.foreseen = p, map[scoping.ObjectID][]Step{}
			if err := r.all(ctx); err != nil {
				return nil, err
			}
			by[a.Engine] = r
		}
		out = append(out, r.forecast(a))
	}
	return out, nil
}

// forecast gathers a run's results for one assignment.
func (r *run) forecast(a scoping.Assignment) Forecast {
	f := Forecast{Assignment: a, Objects: map[scoping.Kind]int{}}
	for id, by := range r.by {
		if o, there := r.o.Cache.Get(CloudID(id)); by.Name == a.Name && there && slices.Contains(a.Features, scoping.ProvisioningOf(o.Kind)) {
			f.Objects[o.Kind]++
		}
	}
	for _, id := range slices.SortedFunc(maps.Keys(r.said), scoping.ObjectID.Compare) {
		j := r.said[id]
		if j.Assignment != a.Name {
			continue
		}
		steps := r.foreseen[id]
		settled := j.Outcome == engine.Unchanged || j.Outcome == engine.Released
		if steps == nil && !settled {
			steps = []Step{{Does: StepFailed, Code: j.Code, Reason: j.Reason}}
		}
		f.Sources = append(f.Sources, Foreseen{Object: id, Kind: j.Kind, Name: j.Name, Steps: steps, Settled: len(steps) == 0})
	}
	for _, p := range r.report.Problems {
		if p.Object == "assignment "+a.Name {
			f.Problems = append(f.Problems, p)
		}
	}
	return f
}

// foresee continues from a case until nothing is owed, as if each write were carried out.
func (r *run) foresee(c Case) (out []Step) {
	if c.Found != nil && r.outside(c, c.Row.Object) {
		return []Step{{Does: StepFailed, Code: string(provision.Outside), Reason: "it lies in no container to which its engine brings anybody: move it to " + c.Assignment.Under.DN, DN: c.Found.DN}}
	}
	for range maxRounds {
		v := Decide(c)
		switch {
		case v.Write == nil && v.Settles:
			return out
		case v.Write == nil:
			return append(out, c.stands(v))
		}
		for _, s := range c.steps(v) { // many references are added by several writes
			if !slices.ContainsFunc(out, func(o Step) bool { return o.Does == s.Does }) {
				out = append(out, s)
			}
		}
		if v.Write.Op == provision.Add || v.Write.Op == provision.Delete || v.Write.Op == provision.Join {
			return out
		}
		c.Found = written(*c.Found, *v.Write)
	}
	return out
}

// outside reports whether an object is below no container of the engine, where its account may write.
func (r *run) outside(c Case, o scoping.ObjectID) bool {
	sight := r.o.Census.Brief(o)
	up := append([]scoping.GUID{sight.Parent}, sight.Chain...)
	return sight.Known && !sight.Deleted && !slices.ContainsFunc(up, func(g scoping.GUID) bool { return g == c.Assignment.Under.GUID || slices.Contains(c.Roots, g) })
}

// stands returns the step of a verdict without a write: a question, or a failure.
func (c Case) stands(v Verdict) Step {
	s := Step{Does: StepFailed, Code: string(v.Code), Reason: v.Reason}
	if c.Found != nil {
		s.DN = c.Found.DN
	}
	switch v.Code {
	case CodeJoin, CodePlanted:
		s.Does, s.Waits = StepJoin, len(v.Holds) > 0
	case CodeRelink:
		s.Does, s.Waits = StepRelink, len(v.Holds) > 0
	}
	return s
}

// steps returns what one write does.
func (c Case) steps(v Verdict) (out []Step) {
	w := v.Write
	s := Step{Waits: v.Always != ""}
	if c.Found != nil {
		s.DN = c.Found.DN
	}
	add := func(does string) {
		s.Does = does
		out = append(out, s)
	}
	switch w.Op {
	case provision.Add:
		s.To = c.Mapping.Container
		add(StepCreate)
	case provision.Join:
		add(StepJoin)
	case provision.Rename:
		s.Name = w.Name
		add(StepRename)
	case provision.Move:
		s.To = c.Mapping.Container
		add(StepMove)
	case provision.Delete:
		add(StepDelete)
	default:
		if w.Disabled != nil {
			add(map[bool]string{true: StepDisable, false: StepEnable}[w.Disabled.To])
		}
		if len(w.Set)+len(w.Refs) > 0 {
			add(StepUpdate)
		}
	}
	return out
}

// written returns an object as it would be after a write.
func written(f provision.Found, w ledger.Provisioned) *provision.Found {
	values := map[string][]string{}
	for name, v := range f.Values {
		values[name] = v
	}
	replace := func(name string, v []string) {
		for n := range values {
			if strings.EqualFold(n, name) {
				delete(values, n)
			}
		}
		values[name] = v
	}
	for _, s := range w.Set {
		replace(s.Attribute, s.To)
	}
	for _, r := range w.Refs {
		is := slices.DeleteFunc(slices.Clone(value(f, r.Attribute)), func(t string) bool {
			g, err := scoping.ParseGUID(t)
			return err == nil && slices.Contains(r.Remove, g)
		})
		for _, g := range r.Add {
			is = append(is, g.String())
		}
		replace(r.Attribute, is)
	}
	if w.Disabled != nil {
		n, _ := strconv.ParseInt(first(value(f, "userAccountControl")), 10, 64) // an object with an unreadable number was not decided
		replace("userAccountControl", []string{strconv.FormatInt(n^accountDisable, 10)})
	}
	if w.Op == provision.Rename {
		replace("cn", []string{w.Name})
	}
	f.Values, f.Parent = values, cmp.Or(w.Container, f.Parent)
	return &f
}
