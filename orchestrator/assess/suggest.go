package assess

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/scoping"
)

// Engine is a configured engine and what it can do.
type Engine struct {
	Name string
	Kind string // of tandem.yaml: connect, cloudsync, external
	Caps scoping.EngineCaps
}

// Suggestion is a first policy, and an order in which to move OUs to the other engine afterwards.
type Suggestion struct {
	From   string         // the engine that owns everything at first
	To     string         // the engine that OUs move to; empty: no other is configured
	Units  []Unit         // the parts of the directories
	Policy scoping.Policy // not pinned
	About  []string       // of each assignment, why
	Waves  []Wave
	Notes  []string // for people
}

// Wave is a proposal of units that move together.
type Wave struct {
	Units    []Unit               `json:"units"`
	Objects  map[scoping.Kind]int `json:"objects"`
	Crossing int                  `json:"crossing"` // references whose two ends have different engines when this and all earlier waves are done
	Lost     []Use                `json:"lost"`     // in use here, but not written by the target
	Why      []string             `json:"why"`
}

// ErrNoEngine means that no engine is configured, so none can be suggested.
var ErrNoEngine = errors.New("no engine is configured")

// Suggest proposes a policy under which one engine owns everything, and the waves in which to move it to another. engines are in the order of the configuration. The only error is
// ErrNoEngine.
func Suggest(s *Survey, engines []Engine) (Suggestion, error) {
	if len(engines) == 0 {
		return Suggestion{}, ErrNoEngine
	}
	g := suggester{survey: s, engines: map[string]scoping.EngineCaps{}}
	for _, e := range engines {
		g.engines[e.Name] = e.Caps
	}
	g.chooseEngines(engines)
	for _, d := range s.Directories {
		units, of := d.partition(root, d.unmanaged())
		g.places = append(g.places, place{d, units, of})
		for _, u := range units {
			if u.size()+u.Critical > 0 || u.None {
				g.out.Units = append(g.out.Units, *u)
			}
		}
	}
	g.chooseFeatures()
	g.assign()
	g.noteEmpty()
	if g.out.To != "" {
		g.chooseWaves()
	}
	return g.out, nil
}

// suggester makes one suggestion.
type suggester struct {
	survey  *Survey
	engines map[string]scoping.EngineCaps
	places  []place
	out     Suggestion
	owner   func(scoping.ObjectID, scoping.Kind, scoping.Feature) string // by the policy in force; nil: there is none, so out.From owns everything
}

// place is a directory with its units.
type place struct {
	in    *Directory
	units []*Unit
	of    []int32 // for each object of in, its unit
}

func (g *suggester) note(format string, args ...any) {
	g.out.Notes = append(g.out.Notes, fmt.Sprintf(format, args...))
}

// Ends returns the engine that owns everything at first, and the engine that OUs move to; empty: there is none.
func Ends(engines []Engine) (from, to string) {
	var g suggester
	if len(engines) > 0 {
		g.chooseEngines(engines)
	}
	return g.out.From, g.out.To
}

// chooseEngines prefers to move from an engine of kind connect to one of kind cloudsync, and takes engines in the configured order otherwise.
func (g *suggester) chooseEngines(engines []Engine) {
	from := slices.IndexFunc(engines, func(e Engine) bool { return e.Kind == "connect" })
	g.out.From = engines[max(from, 0)].Name
	for _, e := range engines {
		if e.Name != g.out.From && (g.out.To == "" || e.Kind == "cloudsync") {
			g.out.To = e.Name
			if e.Kind == "cloudsync" {
				break
			}
		}
	}
	if g.out.To == "" {
		g.note("Only one engine is configured, so there is nothing to move to: no waves are proposed.")
	}
}

// chooseFeatures switches on the features that are in use, as far as a policy may assign them to the first engine.
func (g *suggester) chooseFeatures() {
	g.out.Policy.Defaults = scoping.DefaultDefaults()
	for _, row := range scoping.FeatureTable() {
		n := g.inUse(row.Feature)
		if n == 0 || row.Feature == scoping.Extensions && len(g.extensions()) == 0 { // engines write extension attributes of users only
			continue
		}
		with := append(slices.Clone(g.out.Policy.Features), row.Feature)
		if why := g.refused(with); why != "" {
			g.note("%s: %s. Feature %s is not switched on: %s.", sentence(row.Title), objects(n), row.Feature, why)
			continue
		}
		g.out.Policy.Features = with
		if row.Feature == scoping.Extensions {
			g.out.Policy.Defaults.Extensions = g.extensions()
		}
	}
	if len(g.out.Policy.Features) == 0 {
		g.out.Policy.Features = []scoping.Feature{scoping.Users, scoping.Groups}
		g.note("Nothing is there that engine %s could write; users and groups are switched on for when there is.", g.out.From)
	}
}

// extensions returns the names of the extension attributes that users have.
func (g *suggester) extensions() (names []string) {
	var set uint16
	for _, d := range g.survey.Directories {
		for i := range d.objects {
			if d.objects[i].Kind == scoping.User {
				set |= d.objects[i].Extends
			}
		}
	}
	for n := range 15 {
		if set&(1<<n) != 0 {
			names = append(names, extension(n))
		}
	}
	return names
}

// refused returns why a policy cannot assign features to the first engine; empty: it can.
func (g *suggester) refused(features []scoping.Feature) string {
	p := scoping.Policy{Features: features, Defaults: scoping.DefaultDefaults(),
		Assignments: []scoping.Assignment{{Name: "everything", Directory: "any", Under: scoping.Pin{DN: "DC=any"}, Engine: g.out.From, Features: features}}}
	for _, m := range scoping.Check(p, g.engines) {
		return m.What
	}
	return ""
}

// able reports whether an engine writes a feature, and the tenant takes it from it.
func (g *suggester) able(engine string, f scoping.Feature) bool {
	c := g.engines[engine]
	return c.Has(f) && c.Refused[f] == ""
}

// inUse returns the number of objects that need a feature.
func (g *suggester) inUse(f scoping.Feature) (n int) {
	for _, p := range g.places {
		for _, u := range p.units {
			for k, c := range u.Objects {
				if scoping.Base(k) == f {
					n += c
				}
			}
			for _, x := range u.InUse {
				if x.Feature == f && f != scoping.Contacts && f != scoping.Devices {
					n += x.Objects
				}
			}
		}
	}
	return n
}

// assign assigns each directory to the first engine, and engine none to the unmanaged units.
func (g *suggester) assign() {
	used := map[string]bool{}
	add := func(name, dir, under, engine, about string) {
		for base, n := name, 2; used[name]; n++ {
			name = fmt.Sprintf("%s %d", base, n)
		}
		used[name] = true
		a := scoping.Assignment{Name: name, Under: scoping.Pin{DN: under}, Engine: engine, Features: slices.Clone(g.out.Policy.Features)}
		if len(g.places) > 1 {
			a.Directory = dir
		}
		g.out.Policy.Assignments = append(g.out.Policy.Assignments, a)
		g.out.About = append(g.out.About, about)
	}
	for _, p := range g.places {
		name := "everything"
		if len(g.places) > 1 {
			name += " in " + p.in.Name
		}
		add(name, p.in.Name, p.in.RootDN, g.out.From, g.aboutAll(p))
	}
	for _, p := range g.places {
		for _, u := range p.units {
			if u.None {
				add("unmanaged "+plainName(u.Under), p.in.Name, u.Under, scoping.None, aboutNone(u))
			}
		}
	}
}

// noteEmpty notes the OUs that contain no objects that engines write.
func (g *suggester) noteEmpty() {
	for _, p := range g.places {
		filled := map[int32]bool{}
		for i := range p.in.objects {
			if !p.in.objects[i].counts() {
				continue
			}
			for at := p.in.parent(int32(i)); at >= 0 && !filled[at]; at = p.in.parent(at) {
				filled[at] = true
			}
		}
		var empty []string
		for i := range p.in.objects {
			o := &p.in.objects[i]
			if o.Kind == directory.OU && !filled[int32(i)] && strings.HasPrefix(strings.ToUpper(o.RDN), "OU=") {
				empty = append(empty, p.in.DN(int32(i)))
			}
		}
		if slices.Sort(empty); len(empty) > 0 {
			g.note("%s: nothing is proposed for them, so that objects which are created there later are not overlooked.", sentence(some("empty OU", empty)))
		}
	}
}
