// Package mapping says what an object of the tenant should be in a directory: the other direction's mappings, with defaults as Microsoft Entra has them, and
// mappings of one's own in the engine's settings.
//
// [Read] takes settings and reports every mistake with its place; [Settings.Compile] makes [Sets] of them, which never fail as a whole: [Set.Map] maps one source after the
// other, and one that cannot be mapped says why. Everything here is a function of settings and source. Nothing is read, written or remembered, so that
// the same source and rules give the same mapping.
package mapping

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/plugins/expression/language"
	"github.com/tandem-sync/tandem/plugins/provision"
	"github.com/tandem-sync/tandem/scoping"
	"github.com/tandem-sync/tandem/scoping/attribute"
)

// Revision is raised whenever the same settings make another value of the same source: hosts then look at everything anew.
const Revision = 1

// Targets that are no attribute's values.
const (
	parentDN = "parentDistinguishedName" // where the object lies
	manager  = "manager"
	member   = "member"
)

// The macros of expressions.
const (
	domainMacro    = "DomainFQDN"
	containerMacro = "Container"
)

// aliases are names that Entra's own source schema has for attributes that Graph names otherwise, so that its expressions can be pasted.
var aliases = map[string]string{
	"objectId": "id", "mobile": "mobilePhone", "telephoneNumber": "businessPhones", "facsimileTelephoneNumber": "faxNumber", "physicalDeliveryOfficeName": "officeLocation",
}

// Schema returns what expressions of a kind may name: the attributes of the tenant that the host reads, by Graph's names, and Entra's names for some of them.
func Schema(kind scoping.Kind) language.Schema {
	s := language.Schema{Attributes: map[string]language.Kind{"id": language.Text}, Macros: []string{containerMacro, domainMacro}}
	forms := map[attribute.Form]language.Kind{attribute.Boolean: language.Boolean, attribute.Texts: language.Texts}
	for _, a := range attribute.Values(kind) {
		s.Attributes[a.Name] = language.Text
		if k, known := forms[a.Form]; known && !a.Is(attribute.Single) { // of a collection with one value it is the value
			s.Attributes[a.Name] = k
		}
	}
	for alias, name := range aliases {
		if k, known := s.Attributes[name]; known {
			s.Attributes[alias] = k
		}
	}
	if kind == scoping.User {
		s.More = func(name string) (language.Kind, bool) { return language.Text, attribute.Registered(name) }
	}
	return s
}

// Sets are all mappings in force: of each kind, and of assignments that have their own.
type Sets struct {
	usual       map[scoping.Kind]*Set
	assignments map[string]map[scoping.Kind]*Set
}

// Set is the mappings of one kind.
type Set struct {
	kind   scoping.Kind
	flows  []flow            // of values, in the order of the defaults, own ones behind
	parent *language.Program // nil: the container of the assignment
	refs   map[string]string
	rules  engine.Fingerprint
}

// flow makes the values of one attribute.
type flow struct {
	entry   Entry
	program *language.Program
}

// Of returns the set of a kind for an assignment.
func (s *Sets) Of(kind scoping.Kind, assignment string) *Set {
	if own := s.assignments[assignment][kind]; own != nil {
		return own
	}
	return s.usual[kind]
}

// Fingerprint tells these rules from those of other settings and versions. Another mapping of one set leaves the other sets' as they are.
func (s *Set) Fingerprint() engine.Fingerprint { return s.rules }

// Writes returns every attribute of the directory that the set may name, sorted.
func (s *Set) Writes() []string {
	var out []string
	for _, f := range s.flows {
		out = append(out, f.entry.Target)
	}
	for name := range s.refs {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

// Place is where objects are put.
type Place struct {
	Container string // DN of the assignment's container
	Domain    string // DNS name of the directory's domain
}

// Trace is one mapping of a source, for people.
type Trace struct {
	Target     string          `json:"target"`
	Expression string          `json:"expression"`
	Steps      []language.Step `json:"steps"`
	Values     []string        `json:"values,omitempty"` // of unique ones the candidates, in order
	State      State           `json:"state"`
	Mistake    string          `json:"mistake,omitempty"`
}

// State says what becomes of an attribute.
type State string

// The states.
const (
	Always    State = "always"    // it has these values
	Once      State = "once"      // only when the object is made
	Unique    State = "unique"    // the first of the candidates that nobody has, when the object is made
	Cleared   State = "cleared"   // it has no value
	Unmanaged State = "unmanaged" // it stays as it is
	Failed    State = "failed"    // it cannot be told, and nothing is done with the whole object
)

// Map maps one source.
func (s *Set) Map(p Place, source engine.Source) engine.Mapping {
	m, _ := s.mapped(p, source, false)
	return m
}

// Trace maps one source, and tells how.
func (s *Set) Trace(p Place, source engine.Source) (engine.Mapping, []Trace) {
	return s.mapped(p, source, true)
}

func (s *Set) mapped(p Place, source engine.Source, traced bool) (engine.Mapping, []Trace) {
	m := engine.Mapping{Object: source.Object, Want: engine.Present, Desired: make(map[string]engine.Flow, len(s.flows)), Refs: maps.Clone(s.refs)}
	if source.Kind != s.kind {
		return unknown(source, "it is a "+string(source.Kind)+", and here a "+string(s.kind)+" is mapped"), nil
	}
	if code := excluded(source); code != "" {
		return engine.Mapping{Object: source.Object, Want: engine.Excluded, Reason: string(code)}, nil
	}
	w := worker{kind: s.kind, traced: traced, facts: facts(p, source)}
	for _, f := range s.flows {
		if made, managed := w.flow(f); managed {
			m.Desired[f.entry.Target] = made
		}
	}
	m.Container = w.container(s.parent, p)
	if len(w.mistakes) > 0 {
		return unknown(source, strings.Join(w.mistakes, "; ")), w.traces
	}
	return m, w.traces
}

func unknown(source engine.Source, reason string) engine.Mapping {
	return engine.Mapping{Object: source.Object, Want: engine.Unknown, Reason: reason}
}

func facts(p Place, source engine.Source) language.Facts {
	f := language.Facts{Attributes: make(map[string][]string, len(source.Values)+len(aliases)), Macros: map[string]string{domainMacro: p.Domain, containerMacro: p.Container}}
	for name, v := range source.Values {
		f.Attributes[name] = v.Text
	}
	for alias, name := range aliases {
		if v := f.Attributes[name]; len(v) > 0 {
			f.Attributes[alias] = v
		}
	}
	return f
}

// worker maps one source.
type worker struct {
	kind     scoping.Kind
	facts    language.Facts
	traced   bool
	traces   []Trace
	mistakes []string // every one, by target
}

// evaluate evaluates a program, and notes how if people want to know.
func (w *worker) evaluate(target, source string, p *language.Program) (language.Result, *Trace, error) {
	if !w.traced {
		r, err := p.Value(w.facts)
		return r, &Trace{}, err
	}
	r, steps, err := p.Trace(w.facts)
	w.traces = append(w.traces, Trace{Target: target, Expression: source, Steps: append([]language.Step{}, steps...)})
	return r, &w.traces[len(w.traces)-1], err
}

// fail notes why a target cannot be told.
func (w *worker) fail(t *Trace, target, why string) {
	t.State, t.Mistake = Failed, why
	if rest, begins := strings.CutPrefix(why, target+" "); begins {
		why = rest
	}
	w.mistakes = append(w.mistakes, target+" "+why)
}

// flow makes what one attribute should be; managed is false where it stays as it is.
func (w *worker) flow(f flow) (made engine.Flow, managed bool) {
	e := f.entry
	r, t, err := w.evaluate(e.Target, e.Expression, f.program)
	switch {
	case err != nil:
		w.fail(t, e.Target, "cannot be evaluated: "+err.Error())
		return made, false
	case f.program.Unique():
		return w.unique(e.Target, r.Candidates, t)
	}
	values := w.written(e.Target, r.Values)
	once := e.Apply == ApplyCreation
	if len(values) == 0 && !r.Ignored && e.Default != "" { // Entra gives the default to new objects only
		values, once = []string{e.Default}, true
	}
	t.Values = values
	switch {
	case r.Ignored:
		t.State = Unmanaged
		return made, false
	case len(values) == 0 && required[e.Target]:
		w.fail(t, e.Target, "has no value, and nothing can be without it")
		return made, false
	case len(values) == 0:
		t.State = Cleared
		return engine.Flow{Once: once}, !once
	}
	if err := provision.CheckValues(w.kind, e.Target, values); err != nil {
		w.fail(t, e.Target, err.Error())
		return made, false
	}
	if t.State = Always; once {
		t.State = Once
	}
	return engine.Flow{Text: values, Once: once}, true
}

// required are targets without which no object can be made.
var required = map[string]bool{engine.CommonName: true, engine.AccountDisabled: true}

// unique passes over candidates that the directory would not take, as long as one is left.
func (w *worker) unique(target string, candidates []string, t *Trace) (made engine.Flow, managed bool) {
	var good []string
	why := "has no candidate with a value"
	for _, c := range candidates {
		err := provision.CheckValues(w.kind, target, []string{c})
		switch {
		case err == nil && !slices.ContainsFunc(good, func(g string) bool { return strings.EqualFold(g, c) }):
			good = append(good, c)
		case err != nil && len(good) == 0:
			why = err.Error()
		}
	}
	if len(good) == 0 {
		w.fail(t, target, why)
		return made, false
	}
	t.Values, t.State = good, Unique
	return engine.Flow{Text: good, Unique: true, Once: true}, true
}

// written turns what an expression says into what a directory holds: booleans are true and false in the contract, and TRUE and FALSE in a directory.
func (w *worker) written(target string, values []string) []string {
	known, _ := scoping.LookupAttribute(target)
	for i, v := range values {
		switch truth := strings.EqualFold(v, "True") || strings.EqualFold(v, "False"); {
		case target == engine.AccountDisabled && truth:
			values[i] = strings.ToLower(v)
		case known.Syntax == scoping.SyntaxBoolean && truth:
			values[i] = strings.ToUpper(v)
		}
	}
	return values
}

// container makes where the object lies: the assignment's container or one below it.
func (w *worker) container(p *language.Program, place Place) string {
	if p == nil {
		return ""
	}
	r, t, err := w.evaluate(parentDN, "", p)
	if err == nil {
		t.Values = r.Values
	}
	switch {
	case err != nil:
		w.fail(t, parentDN, "cannot be evaluated: "+err.Error())
	case r.Ignored || len(r.Values) == 0:
		t.State = Unmanaged
		return ""
	case len(r.Values) > 1:
		w.fail(t, parentDN, "is one name, and there are several")
	default:
		if why := misplaced(r.Values[0], place.Container); why != "" {
			w.fail(t, parentDN, why)
			return ""
		}
		t.State = Always
		return r.Values[0]
	}
	return ""
}

func misplaced(name, container string) string {
	dn, err := scoping.ParseDN(name)
	if err != nil {
		return "is no distinguished name: " + err.Error()
	}
	root, err := scoping.ParseDN(container)
	switch {
	case err != nil:
		return "cannot be looked at: the container of the assignment is no distinguished name: " + err.Error()
	case !root.Equal(dn) && !root.AncestorOf(dn, true):
		return "\"" + name + "\" does not lie in \"" + container + "\", the container of the assignment"
	}
	return ""
}

// fingerprint is made of everything that decides about values of one set.
func fingerprint(kind scoping.Kind, entries []Entry, attributes []string) engine.Fingerprint {
	rules, err := json.Marshal(map[string]any{"kind": kind, "mappings": entries, "attributes": attributes, "language": language.Revision, "mapping": Revision})
	if err != nil {
		return engine.Fingerprint{}
	}
	return engine.FingerprintOf([]byte("cloudsync/mapping"), rules)
}
