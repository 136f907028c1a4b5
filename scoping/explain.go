package scoping

import (
	"fmt"
	"slices"
)

// Explanation says who owns one feature of an object, and why.
type Explanation struct {
	Feature    Feature `json:"feature"`
	Engine     string  `json:"engine"`
	Assignment string  `json:"assignment"` // empty outside of the managed roots
	Because    string  `json:"because"`
	Lost       []Lost  `json:"lost"` // assignments that hold the object too, the nearest first
}

// Lost is an assignment that names the feature and an OU above the object, but does not own it.
type Lost struct {
	Assignment string `json:"assignment"`
	Engine     string `json:"engine"`
	Because    string `json:"because"`
}

// Explain says for each feature of an object of kind k who owns it and why, in an administrator's words. Features that are
// not switched on are left out.
func (p *Partition) Explain(place Place, k Kind) []Explanation {
	out := []Explanation{}
	for _, f := range []Feature{Base(k), References} {
		if i, ok := fieldOf(k, f); ok && p.on.has(i) {
			e := explainer{p: p, place: place, field: i}
			out = append(out, e.explain())
		}
	}
	return out
}

// explainer holds what is needed to explain one field of one place.
type explainer struct {
	p     *Partition
	place Place
	field field
}

func (e *explainer) explain() Explanation {
	f := e.field.feature()
	o := e.p.Owner(e.place, e.field.kind(), f)
	out := Explanation{Feature: f, Engine: o.Engine, Assignment: o.Assignment, Lost: []Lost{}}
	if e.field.isReference() && !e.namedApart() {
		e.field = e.field.base()
		out.Because = fmt.Sprintf("references follow %s: ", e.field.feature())
	}
	out.Because += e.because(o)
	out.Lost = append(out.Lost, e.lost(o)...)
	return out
}

// namedApart says whether some assignment that names the references holds the place.
func (e *explainer) namedApart() bool {
	return slices.ContainsFunc(e.p.assignments, func(a Assignment) bool {
		s := Scope{Directory: a.Directory, Under: a.Under.GUID, Except: guids(a.Except)}
		return fieldsOf(a.Features, a.Kinds).has(e.field) && s.Covers(e.place)
	})
}

func guids(pins []Pin) []GUID {
	out := make([]GUID, len(pins))
	for i, p := range pins {
		out[i] = p.GUID
	}
	return out
}

func (e *explainer) because(o Owner) string {
	if o.Assignment == "" {
		return "the object lies outside of every assignment's subtree, so no engine manages it"
	}
	a := e.assignment(o.Assignment)
	if a == nil || !slices.Contains(e.place.Ancestors, a.Under.GUID) {
		return fmt.Sprintf("an OU above it was pinned to assignment %q when the policy was put in force, and keeps its owner wherever it is moved", o.Assignment)
	}
	for _, b := range e.claimants() {
		if b.Name == a.Name {
			break
		}
		if x := e.exception(b); x != nil {
			return fmt.Sprintf("it lies under %s, which assignment %q excepts; of what remains, %s is the deepest subtree", x.DN, b.Name, a.Under.DN)
		}
	}
	return fmt.Sprintf("%s is the deepest subtree above it that an assignment names for %s", a.Under.DN, e.field.feature())
}

func (e *explainer) assignment(name string) *Assignment {
	for i := range e.p.assignments {
		if e.p.assignments[i].Name == name {
			return &e.p.assignments[i]
		}
	}
	return nil
}

// claimants gives the assignments that name the field and an OU above the place: the nearest first, then by priority.
func (e *explainer) claimants() []*Assignment {
	var out []*Assignment
	for _, g := range e.place.Ancestors {
		first := len(out)
		for i := range e.p.assignments {
			a := &e.p.assignments[i]
			if a.Directory == e.place.Directory && a.Under.GUID == g && fieldsOf(a.Features, a.Kinds).has(e.field) {
				out = append(out, a)
			}
		}
		slices.SortStableFunc(out[first:], func(x, y *Assignment) int { return y.Priority - x.Priority })
	}
	return out
}

// exception gives the exception of a that holds the place, nearer than a's subtree, or nil.
func (e *explainer) exception(a *Assignment) *Pin {
	for _, g := range e.place.Ancestors {
		if g == a.Under.GUID {
			return nil
		}
		for i := range a.Except {
			if a.Except[i].GUID == g {
				return &a.Except[i]
			}
		}
	}
	return nil
}

func (e *explainer) lost(o Owner) []Lost {
	var out []Lost
	winner := e.assignment(o.Assignment)
	for _, a := range e.claimants() {
		if a == winner {
			continue
		}
		l := Lost{Assignment: a.Name, Engine: a.Engine}
		switch x := e.exception(a); {
		case x != nil:
			l.Because = fmt.Sprintf("it excepts %s, under which the object lies", x.DN)
		case winner != nil && a.Under.GUID == winner.Under.GUID:
			l.Because = fmt.Sprintf("it names the same subtree with the lower priority %d; %q has %d", a.Priority, winner.Name, winner.Priority)
		case winner != nil && slices.Contains(e.place.Ancestors, winner.Under.GUID):
			l.Because = fmt.Sprintf("its subtree %s is not as deep as %s", a.Under.DN, winner.Under.DN)
		default:
			l.Because = fmt.Sprintf("its subtree %s holds the object only since an OU was moved", a.Under.DN)
		}
		out = append(out, l)
	}
	return out
}
