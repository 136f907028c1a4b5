package assess

import (
	"errors"
	"fmt"
	"slices"

	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/scoping"
)

// Assessment is what an administrator should know before a migration.
type Assessment struct {
	From      string      `json:"from"` // the engine that owns everything now, or would own it at first
	To        string      `json:"to"`   // the engine that OUs move to; empty: no other is configured
	InForce   bool        `json:"inForce"`
	Readiness Readiness   `json:"readiness"`
	Units     []ReadyUnit `json:"units"`
	Waves     []ReadyWave `json:"waves"`
	Findings  []Finding   `json:"findings"` // those that are not about a unit
	Notes     []string    `json:"notes"`
}

// ReadyUnit is one part of a directory, with the findings about its migration.
type ReadyUnit struct {
	Unit
	Readiness Readiness      `json:"readiness"`
	Features  []ReadyFeature `json:"features"`
	Findings  []Finding      `json:"findings"`
}

// ReadyFeature is one feature in one part of a directory.
type ReadyFeature struct {
	Feature   scoping.Feature `json:"feature"`
	Objects   int             `json:"objects"`
	Readiness Readiness       `json:"readiness"`
	Owners    map[string]int  `json:"owners"` // objects by the engine that writes the feature now; empty: no policy is in force
}

// ReadyWave is one proposed wave.
type ReadyWave struct {
	Wave
	Readiness Readiness `json:"readiness"`
}

// Scope is the part of the directories that an assessment is about.
type Scope struct {
	Directory string       // with Under
	Under     scoping.GUID // a container; zero: everything
	Examples  int          // the most objects that a finding names; 0: all
}

// ErrNoContainer means that the scope's container is not in the survey: it is no container, or nothing in it is written by engines.
var ErrNoContainer = errors.New("there is nothing in it that engines write")

// Assess returns the findings about a migration of the scope, and an order of waves. The survey has to be one ForReadiness. The only error is ErrNoContainer.
func Assess(s *Survey, x Situation, scope Scope) (Assessment, error) {
	a := newAssessor(s, x, scope.Examples)
	if err := a.divide(scope); err != nil {
		return Assessment{}, err
	}
	a.look()
	return a.report(), nil
}

// Candidates returns the ids of the tenant's objects that a first run would join. For these, Situation.Power has to be known before Assess.
func Candidates(s *Survey, x Situation) (ids []string) {
	if x.Tenant == nil {
		return nil
	}
	for _, d := range s.Directories {
		for i := range d.objects {
			o := &d.objects[i]
			if o.Detail == nil || o.Detail.Anchor == "" || o.Has(Critical) {
				continue
			}
			if _, linked := x.linked(scoping.ObjectID{Directory: d.Name, GUID: o.GUID}); linked {
				continue
			}
			for _, c := range x.Tenant.ByAnchor(o.Kind, o.Detail.Anchor) {
				ids = append(ids, c.ID)
			}
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// assessor makes one assessment.
type assessor struct {
	suggester
	x       Situation
	most    int // examples of each finding
	same    repeated
	binned  map[string]bool // sign-in names of the deleted items, in lower case
	marked  map[scoping.ObjectID][]Marked
	found   map[*Unit]*findings
	counts  map[*Unit]map[scoping.Feature]*ReadyFeature
	general *findings
}

func newAssessor(s *Survey, x Situation, most int) *assessor {
	a := &assessor{suggester: suggester{survey: s, engines: map[string]scoping.EngineCaps{}, owner: x.Owner}, x: x, most: most, marked: map[scoping.ObjectID][]Marked{},
		found: map[*Unit]*findings{}, counts: map[*Unit]map[scoping.Feature]*ReadyFeature{}, general: newFindings(most)}
	for _, e := range x.Engines {
		a.engines[e.Name] = e.Caps
	}
	for _, m := range x.Marked {
		a.marked[m.Object] = append(a.marked[m.Object], m)
	}
	return a
}

// divide makes the units of the scope.
func (a *assessor) divide(scope Scope) error {
	a.chooseEngines(a.x.Engines)
	found := false
	for _, d := range a.survey.Directories {
		start := int32(root)
		if scope.Directory != "" && !scope.Under.IsZero() && scope.Under != d.Root {
			if start = d.find(scope.Under); start < 0 || d.Name != scope.Directory || d.objects[start].Kind != directory.OU {
				continue
			}
		} else if scope.Directory != "" && scope.Directory != d.Name {
			continue
		}
		found = true
		units, of := d.partition(start, d.unmanaged())
		a.places = append(a.places, place{d, units, of})
	}
	if !found {
		return ErrNoContainer
	}
	if a.x.Owner != nil {
		a.out.Policy.Features = slices.Clone(a.x.Features)
		return nil
	}
	a.chooseFeatures()
	return nil
}

// look adds the findings about all objects of the scope, and the general ones.
func (a *assessor) look() {
	a.same = repeatedIn(a.survey)
	a.binned = binnedNames(a.x.Tenant)
	for _, p := range a.places {
		for _, u := range p.units {
			a.found[u], a.counts[u] = newFindings(a.most), map[scoping.Feature]*ReadyFeature{}
		}
		for i := range p.in.objects {
			if u := p.units[p.of[i]]; !u.outside && p.in.objects[i].counts() && !p.in.objects[i].Has(Critical) {
				a.object(p, int32(i), u)
			}
		}
		a.checkReferences(p)
		for _, u := range p.units {
			a.uses(u)
		}
	}
	for _, g := range a.x.General {
		if len(g.About) == 0 {
			a.general.add(findingKey{code: g.Code, detail: g.Detail}, 0, nil)
		}
		for _, n := range g.About {
			a.general.add(findingKey{code: g.Code, detail: g.Detail}, 1, func() string { return n })
		}
	}
	if a.out.To == "" {
		a.general.add(findingKey{code: NoTarget}, 0, nil)
	}
}

// report makes the Assessment of the findings.
func (a *assessor) report() Assessment {
	r := Assessment{From: a.out.From, To: a.out.To, InForce: a.x.Owner != nil, Units: []ReadyUnit{}, Waves: []ReadyWave{}, Findings: a.general.list()}
	r.Readiness = overall(r.Findings, "")
	of := map[string]Readiness{}
	for _, p := range a.places {
		for _, u := range p.units {
			if u.outside || u.size()+u.Critical == 0 && !u.None {
				continue
			}
			x := ReadyUnit{Unit: *u, Findings: a.found[u].list(), Features: a.features(u)}
			x.Readiness = overall(x.Findings, "")
			r.Readiness = worse(r.Readiness, x.Readiness)
			of[u.Directory+" "+u.Under] = x.Readiness
			r.Units = append(r.Units, x)
		}
	}
	if a.out.To != "" {
		a.chooseWaves()
	}
	for _, w := range a.out.Waves {
		x := ReadyWave{Wave: w, Readiness: Ready}
		for _, u := range w.Units {
			x.Readiness = worse(x.Readiness, of[u.Directory+" "+u.Under])
		}
		r.Waves = append(r.Waves, x)
	}
	r.Notes = append([]string{}, a.out.Notes...)
	return r
}

// features returns the readiness of each feature that is in use in a unit.
func (a *assessor) features(u *Unit) []ReadyFeature {
	out := []ReadyFeature{}
	fs := a.found[u].list()
	for _, row := range scoping.FeatureTable() {
		if c := a.counts[u][row.Feature]; c != nil {
			c.Readiness = overall(fs, row.Feature)
			out = append(out, *c)
		}
	}
	return out
}

// count counts an object for a feature that it uses.
func (a *assessor) count(u *Unit, id scoping.ObjectID, k scoping.Kind, f scoping.Feature) {
	c := a.counts[u][f]
	if c == nil {
		c = &ReadyFeature{Feature: f, Owners: map[string]int{}}
		a.counts[u][f] = c
	}
	c.Objects++
	if a.x.Owner != nil {
		c.Owners[a.x.Owner(id, k, f)]++
	}
}

// uses adds the findings about what is in use in a unit and not carried by the target.
func (a *assessor) uses(u *Unit) {
	if u.outside || u.None || a.out.To == "" {
		return
	}
	for _, x := range u.InUse {
		if x.Feature != "" && !a.able(a.out.To, x.Feature) {
			a.found[u].add(findingKey{code: NotCarried, detail: a.lost(x), feature: x.Feature}, x.Objects, nil)
		}
	}
}

// lost returns what the target does not carry, and why.
func (a *assessor) lost(x Use) string {
	if why := a.engines[a.out.To].Refused[x.Feature]; why != "" {
		return fmt.Sprintf("%s: %s (%s)", a.out.To, x.Name, why)
	}
	return a.out.To + ": " + x.Name
}
