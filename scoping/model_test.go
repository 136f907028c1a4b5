package scoping_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"

	"pgregory.net/rapid"

	"github.com/tandem-sync/tandem/scoping"
)

// world is a generated directory with nothing of the code under test in it but the types: containers are numbered, each
// after its parent.
type world struct {
	directory string
	parent    []int // -1 for the root
	name      []string
}

// chooser is where decisions come from: rapid, which can shrink them, or a plain seed.
type chooser func(label string, n int) int

func fromRapid(t *rapid.T) chooser {
	return func(label string, n int) int { return rapid.IntRange(0, n-1).Draw(t, label) }
}

func fromSeed(seed uint64) chooser {
	r := rand.New(rand.NewPCG(seed, 1))
	return func(_ string, n int) int { return r.IntN(n) }
}

var hardNames = []string{"Sales", "sales 2", `R\, D`, `\#1`, `a\+b`, `\"q\"`, `Straße`, "ΣΟΦΊΑ", `\ lead`, `trail\ `, `x\0Ay`, "日本", `k\C3\A9`}

func newWorld(pick chooser, directory string, size int) *world {
	w := &world{directory: directory, parent: []int{-1}, name: []string{"DC=" + directory + ",DC=test"}}
	for i := 1; i < size; i++ {
		p := i - 1 // deep nesting as often as not
		if pick("deep", 2) == 0 {
			p = pick("parent", i)
		}
		rdn := fmt.Sprintf("OU=%s+L=%d", hardNames[pick("name", len(hardNames))], i)
		w.parent, w.name = append(w.parent, p), append(w.name, rdn+","+w.name[p])
	}
	return w
}

func (w *world) guid(n int) scoping.GUID {
	var g scoping.GUID
	copy(g[:], w.directory)
	binary.BigEndian.PutUint64(g[8:], uint64(n+1)*0x9e3779b97f4a7c15)
	return g
}

// place is where an object directly in container n lies.
func (w *world) place(n int) scoping.Place {
	p := scoping.Place{Directory: w.directory}
	for ; n >= 0; n = w.parent[n] {
		p.Ancestors = append(p.Ancestors, w.guid(n))
	}
	return p
}

func (w *world) pin(n int) scoping.Pin {
	return scoping.Pin{GUID: w.guid(n), DN: w.name[n], Ancestors: w.place(n).Ancestors[1:]}
}

func (w *world) number(g scoping.GUID) (int, bool) {
	for n := range w.parent {
		if w.guid(n) == g {
			return n, true
		}
	}
	return 0, false
}

func (w *world) locate(id scoping.ObjectID) (scoping.Pin, bool) {
	n, ok := w.number(id.GUID)
	if !ok || id.Directory != w.directory {
		return scoping.Pin{}, false
	}
	return w.pin(n), true
}

// inside says whether container n lies in the subtree of container of.
func (w *world) inside(n, of int) bool {
	for ; n >= 0; n = w.parent[n] {
		if n == of {
			return true
		}
	}
	return false
}

func (w *world) depth(n int) int {
	d := 0
	for ; n >= 0; n = w.parent[n] {
		d++
	}
	return d
}

var engineNames = []string{"connect", "cloudsync", "acme", scoping.None}

func engineCaps() map[string]scoping.EngineCaps {
	all := scoping.EngineCaps{Features: []scoping.Feature{scoping.Users, scoping.Groups, scoping.References}}
	return map[string]scoping.EngineCaps{"connect": all, "cloudsync": all, "acme": all}
}

// rule is an assignment as the model sees it.
type rule struct {
	world    *world
	under    int
	except   []int
	engine   string
	features []scoping.Feature
	kinds    []scoping.Kind
	priority int
}

var featureChoices = [][]scoping.Feature{
	{scoping.Users, scoping.Groups}, {scoping.Users}, {scoping.Groups}, {scoping.References},
	{scoping.Users, scoping.References}, {scoping.Users, scoping.Groups, scoping.References},
}

// newRules makes rules of which the first owns the root of the world, so that most policies compile.
func newRules(pick chooser, w *world, count int) []rule {
	rules := []rule{{world: w, engine: engineNames[pick("engine", 4)], features: featureChoices[0]}}
	for len(rules) < count {
		r := rule{world: w, under: pick("under", len(w.parent)), engine: engineNames[pick("engine", 4)],
			features: featureChoices[pick("features", len(featureChoices))], priority: pick("priority", 50)}
		for range pick("exceptions", 3) {
			e := pick("except", len(w.parent))
			if e != r.under && w.inside(e, r.under) && !slices.Contains(r.except, e) {
				r.except = append(r.except, e)
			}
		}
		if len(r.features) == 1 && r.features[0] == scoping.References && pick("kinds", 3) == 0 {
			r.kinds = []scoping.Kind{scoping.Group}
		}
		rules = append(rules, r)
	}
	return rules
}

func policyOf(rules []rule) scoping.Policy {
	p := scoping.Policy{Features: []scoping.Feature{scoping.Users, scoping.Groups, scoping.References}, Defaults: scoping.DefaultDefaults()}
	for i, r := range rules {
		a := scoping.Assignment{Name: fmt.Sprintf("a%d", i), Directory: r.world.directory, Under: r.world.pin(r.under), Engine: r.engine,
			Features: r.features, Kinds: r.kinds, Priority: r.priority, Pos: scoping.Pos{File: "p.yaml", Line: i + 1, Column: 1}}
		for _, e := range r.except {
			a.Except = append(a.Except, r.world.pin(e))
		}
		p.Assignments = append(p.Assignments, a)
	}
	return p
}

// names says whether a rule speaks of a feature of a kind of object.
func (r rule) names(k scoping.Kind, f scoping.Feature) bool {
	base := slices.Contains(r.features, scoping.Base(k))
	if f != scoping.References {
		return base
	}
	if !slices.Contains(r.features, f) {
		return false
	}
	if len(r.kinds) > 0 {
		return slices.Contains(r.kinds, k)
	}
	alone := !slices.Contains(r.features, scoping.Users) && !slices.Contains(r.features, scoping.Groups)
	return alone || base
}

func (r rule) covers(w *world, n int) bool {
	if r.world != w || !w.inside(n, r.under) {
		return false
	}
	for _, e := range r.except {
		if w.inside(n, e) {
			return false
		}
	}
	return true
}

// wanted is the model's answer: the rule that owns, -1 for none.
func wanted(rules []rule, w *world, n int, k scoping.Kind, f scoping.Feature) int {
	best := -1
	for i, r := range rules {
		if !r.names(k, f) || !r.covers(w, n) {
			continue
		}
		if best < 0 {
			best = i
			continue
		}
		b := rules[best]
		switch d, bd := w.depth(r.under), w.depth(b.under); {
		case d > bd || d == bd && r.priority > b.priority:
			best = i
		}
	}
	if best < 0 && f == scoping.References {
		return wanted(rules, w, n, k, scoping.Base(k))
	}
	return best
}

// sound is the model's judgement on whether a policy may compile.
func sound(rules []rule, worlds ...*world) bool {
	for i, a := range rules {
		for _, b := range rules[:i] {
			if a.world != b.world || a.under != b.under || a.priority != b.priority {
				continue
			}
			for _, q := range questions {
				if a.names(q.k, q.f) && b.names(q.k, q.f) {
					return false
				}
			}
		}
	}
	for _, w := range worlds {
		for n := range w.parent {
			for _, q := range questions {
				if wanted(rules, w, n, q.k, q.f) < 0 && managed(rules, w, n) {
					return false
				}
			}
		}
	}
	return true
}

func managed(rules []rule, w *world, n int) bool {
	return slices.ContainsFunc(rules, func(r rule) bool { return r.world == w && w.inside(n, r.under) })
}

type question struct {
	k scoping.Kind
	f scoping.Feature
}

var questions = []question{
	{scoping.User, scoping.Users}, {scoping.Group, scoping.Groups},
	{scoping.User, scoping.References}, {scoping.Group, scoping.References},
}
