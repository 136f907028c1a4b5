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
	for _, r := range featureTable {
		if r.Feature.Provisions() {
			if a, brings := p.Target(place, r.Feature); brings && ProvisioningOf(k) == r.Feature {
				out = append(out, a.explain(r.Feature))
			}
			continue
		}
		if i, ok := fieldOf(k, r.Feature); ok && p.on.has(i) {
			e := explainer{p: p, place: place, field: i, choices: map[GUID]Choice{}}
			for _, c := range p.Choices(place.Directory) {
				e.choices[c.ID] = c
			}
			out = append(out, e.explain())
		}
	}
	return out
}

// explainer holds what is needed to explain one field of one place.
type explainer struct {
	p       *Partition
	place   Place
	field   field
	choices map[GUID]Choice
}

func (e *explainer) explain() Explanation {
	f := e.field.feature()
	o := e.p.Owner(e.place, e.field.kind(), f)
	out := Explanation{Feature: f, Engine: o.Engine, Assignment: o.Assignment, Lost: []Lost{}}
	if a := e.assignment(o.Assignment); e.field.follows() && (a == nil || !fieldsOf(a.Features, a.Kinds).has(e.field)) {
		e.field = e.field.base()
		out.Because = fmt.Sprintf("%s follow %s: ", f, e.field.feature())
		if f != References {
			out.Because = fmt.Sprintf("%s follows %s: ", f, e.field.feature())
		}
	}
	out.Because += e.because(o)
	out.Lost = append(out.Lost, e.lost(o)...)
	return out
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
	if a.narrowed() {
		return fmt.Sprintf("it is among the %s under %s, the deepest subtree above it that an assignment names for %s and such objects", newChoice(a), a.Under.DN, e.field.feature())
	}
	for _, b := range e.claimants() {
		if b.Name == a.Name {
			break
		}
		if x := e.exception(b); x != nil && !b.narrowed() {
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

// claimants gives the assignments that name the field and an OU above the place: the nearest first, of these the object-level
// ones first, then by priority.
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
		slices.SortStableFunc(out[first:], func(x, y *Assignment) int {
			if x.narrowed() != y.narrowed() {
				if x.narrowed() {
					return -1
				}
				return 1
			}
			return y.Priority - x.Priority
		})
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
		out = append(out, Lost{Assignment: a.Name, Engine: a.Engine, Because: e.lostBecause(a, winner)})
	}
	return out
}

func (e *explainer) lostBecause(a, winner *Assignment) string {
	if x := e.exception(a); x != nil {
		return fmt.Sprintf("it excepts %s, under which the object lies", x.DN)
	}
	if a.narrowed() {
		if c := newChoice(a); !slices.Contains(e.place.Chosen, c.ID) {
			return fmt.Sprintf("the object is not among the %s under %s", c, a.Under.DN)
		}
	}
	switch {
	case winner == nil || !slices.Contains(e.place.Ancestors, winner.Under.GUID):
		return fmt.Sprintf("its subtree %s holds the object only since an OU was moved", a.Under.DN)
	case a.Under.GUID != winner.Under.GUID:
		return fmt.Sprintf("its subtree %s is not as deep as %s", a.Under.DN, winner.Under.DN)
	case winner.narrowed() && !a.narrowed():
		return fmt.Sprintf("it names the same subtree as a whole; %q chooses objects of it, which counts for more", winner.Name)
	}
	return fmt.Sprintf("it names the same subtree with the lower priority %d; %q has %d", a.Priority, winner.Name, winner.Priority)
}
