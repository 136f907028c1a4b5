package scoping_test

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
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
	people    []person // objects, at least one in each container
	choices   map[scoping.GUID]scoping.Chooser
}

// person is an object with what selectors can ask of it.
type person struct {
	home       int
	guid       scoping.GUID
	department string // may be empty: absent
	title      string
	groups     int // a bit per group
}

func (p *person) Values(attribute string) [][]byte {
	v := map[string]string{"department": p.department, "title": p.title}[attribute]
	if v == "" {
		return nil
	}
	return [][]byte{[]byte(v)}
}

func (p *person) InChain(attribute string, target scoping.DN) bool {
	for i := range 3 {
		if attribute == "memberof" && scoping.MustParseDN(groupDN(i)).Equal(target) {
			return p.groups&(1<<i) != 0
		}
	}
	return false
}

func groupDN(i int) string { return fmt.Sprintf("CN=g%d,DC=contoso,DC=test", i) }

func (p *person) MemberOf(group scoping.GUID) bool {
	for i := range 3 {
		if groupGUID(i) == group {
			return p.groups&(1<<i) != 0
		}
	}
	return false
}

func groupGUID(i int) scoping.GUID { return scoping.GUID{0: 0xee, 15: byte(i + 1)} }

// selector is how a rule of the model narrows its subtree, and its own judgement of whom it takes.
type selector struct {
	selector scoping.Selector
	takes    func(*person) bool
}

func group(i int) selector {
	return selector{scoping.Selector{MemberOf: scoping.Pin{GUID: groupGUID(i), DN: groupDN(i)}},
		func(p *person) bool { return p.groups&(1<<i) != 0 }}
}

func sample(percent int) selector {
	return selector{scoping.Selector{Sample: fmt.Sprintf("%d%%", percent)}, func(p *person) bool {
		sum := sha256.Sum256(p.guid[:])
		return float64(binary.BigEndian.Uint64(sum[:]))/math.MaxUint64 < float64(percent)/100
	}}
}

var selectors = []selector{
	group(0), group(1),
	{scoping.Selector{Filter: "(department=A)"}, func(p *person) bool { return p.department == "A" }},
	{scoping.Selector{Filter: "(department=B)"}, func(p *person) bool { return p.department == "B" }},
	{scoping.Selector{Filter: "(&(department=a)(!(title=Boss)))"}, func(p *person) bool { return p.department == "A" && p.title != "Boss" }},
	sample(30), sample(60),
	{scoping.Selector{MemberOf: group(2).selector.MemberOf, Filter: "(department=B)", Sample: "60%"},
		func(p *person) bool { return p.groups&4 != 0 && p.department == "B" && sample(60).takes(p) }},
}

// department is the one that a selector demands: two that demand different ones take nobody in common.
func department(s int) string { return []string{"", "", "A", "B", "A", "", "", "B"}[s] }

// learn makes the world tell which choices of a partition take an object.
func (w *world) learn(ps ...*scoping.Partition) {
	for _, p := range ps {
		for _, c := range p.Choices(w.directory) {
			ready, err := c.Chooser()
			if err != nil {
				panic(err)
			}
			w.choices[c.ID] = ready
		}
	}
}

// place is where person i is, and what of everything that was learned takes it.
func (w *world) place(i int) scoping.Place {
	p := w.container(w.people[i].home)
	for _, c := range w.choices {
		if c.Takes(w.people[i].guid, p.Ancestors, &w.people[i]) {
			p.Chosen = append(p.Chosen, c.ID)
		}
	}
	return p
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
	w := &world{directory: directory, parent: []int{-1}, name: []string{"DC=" + directory + ",DC=test"}, choices: map[scoping.GUID]scoping.Chooser{}}
	for i := 1; i < size; i++ {
		p := i - 1 // deep nesting as often as not
		if pick("deep", 2) == 0 {
			p = pick("parent", i)
		}
		rdn := fmt.Sprintf("OU=%s+L=%d", hardNames[pick("name", len(hardNames))], i)
		w.parent, w.name = append(w.parent, p), append(w.name, rdn+","+w.name[p])
	}
	for i := range 2 * size {
		p := person{home: i / 2, guid: scoping.GUID{0: 0xaa, 1: byte(pick("guid", 256))}, groups: pick("groups", 8),
			department: []string{"", "A", "B", "C"}[pick("department", 4)], title: []string{"", "Boss", "Clerk"}[pick("title", 3)]}
		binary.BigEndian.PutUint64(p.guid[8:], uint64(i))
		w.people = append(w.people, p)
	}
	return w
}

func (w *world) guid(n int) scoping.GUID {
	var g scoping.GUID
	copy(g[:], w.directory)
	binary.BigEndian.PutUint64(g[8:], uint64(n+1)*0x9e3779b97f4a7c15)
	return g
}

// container is where objects directly in container n lie.
func (w *world) container(n int) scoping.Place {
	p := scoping.Place{Directory: w.directory}
	for ; n >= 0; n = w.parent[n] {
		p.Ancestors = append(p.Ancestors, w.guid(n))
	}
	return p
}

func (w *world) pin(n int) scoping.Pin {
	return scoping.Pin{GUID: w.guid(n), DN: w.name[n], Ancestors: w.container(n).Ancestors[1:]}
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
	all := scoping.EngineCaps{Features: []scoping.Feature{scoping.Users, scoping.Groups, scoping.References, scoping.Extensions, scoping.PasswordHash}}
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
	narrow   int // selectors[narrow-1]; 0: the whole subtree
}

var featureChoices = [][]scoping.Feature{
	{scoping.Users, scoping.Groups}, {scoping.Users}, {scoping.Groups}, {scoping.References},
	{scoping.Users, scoping.References}, {scoping.Users, scoping.Groups, scoping.References},
	{scoping.Users, scoping.Extensions}, {scoping.Extensions}, {scoping.Groups, scoping.References, scoping.Extensions},
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
		if pick("narrow", 2) == 0 && slices.ContainsFunc(r.features, func(f scoping.Feature) bool { return f == scoping.Users || f == scoping.Groups }) {
			r.narrow = 1 + pick("selector", len(selectors))
		}
		if len(r.features) == 1 && r.features[0] == scoping.References && pick("kinds", 3) == 0 {
			r.kinds = []scoping.Kind{scoping.Group}
		}
		rules = append(rules, r)
	}
	return rules
}

func policyOf(rules []rule) scoping.Policy {
	p := scoping.Policy{Features: []scoping.Feature{scoping.Users, scoping.Groups, scoping.References, scoping.Extensions, scoping.PasswordHash}, Defaults: scoping.DefaultDefaults()}
	for i, r := range rules {
		a := scoping.Assignment{Name: fmt.Sprintf("a%d", i), Directory: r.world.directory, Under: r.world.pin(r.under), Engine: r.engine,
			Features: r.features, Kinds: r.kinds, Priority: r.priority, Pos: scoping.Pos{File: "p.yaml", Line: i + 1, Column: 1}}
		for _, e := range r.except {
			a.Except = append(a.Except, r.world.pin(e))
		}
		if r.narrow > 0 {
			a.Selector = selectors[r.narrow-1].selector
		}
		p.Assignments = append(p.Assignments, a)
	}
	return p
}

// plainPolicy is a policy of users, groups and their references alone.
func plainPolicy(rules []rule) scoping.Policy {
	p := policyOf(rules)
	p.Features = []scoping.Feature{scoping.Users, scoping.Groups, scoping.References}
	return p
}

// names says whether a rule speaks of a feature of a kind of object.
func (r rule) names(k scoping.Kind, f scoping.Feature) bool {
	base := slices.Contains(r.features, scoping.Base(k))
	if f == scoping.Base(k) {
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

// about says whether a rule is about person i.
func (r rule) about(w *world, i int) bool {
	return r.covers(w, w.people[i].home) && (r.narrow == 0 || selectors[r.narrow-1].takes(&w.people[i]))
}

// beats orders rules that are about one object: the deeper first, of equally deep ones object-level ones, then priority.
func (r rule) beats(w *world, o rule) bool {
	switch d, od := w.depth(r.under), w.depth(o.under); {
	case d != od:
		return d > od
	case (r.narrow > 0) != (o.narrow > 0):
		return r.narrow > 0
	}
	return r.priority > o.priority
}

// alike says whether two rules choose the same objects.
func (r rule) alike(o rule) bool {
	return r.world == o.world && r.under == o.under && r.narrow == o.narrow && slices.Equal(sorted(r.except), sorted(o.except))
}

func sorted(s []int) []int {
	s = slices.Clone(s)
	slices.Sort(s)
	return s
}

// wanted is the model's answer: the rule that owns, -1 for none. What an object-level rule says of references counts for the
// objects whose base feature a rule of the same choice owns.
func wanted(rules []rule, w *world, i int, k scoping.Kind, f scoping.Feature) int {
	winner := -1
	if f != scoping.Base(k) {
		winner = wanted(rules, w, i, k, scoping.Base(k))
	}
	best := -1
	for j, r := range rules {
		if !r.names(k, f) || !r.about(w, i) || f != scoping.Base(k) && r.narrow > 0 && (winner < 0 || !r.alike(rules[winner])) {
			continue
		}
		if best < 0 || r.beats(w, rules[best]) {
			best = j
		}
	}
	if best < 0 {
		return winner
	}
	return best
}

// sound is the model's judgement on whether a policy may compile.
func sound(rules []rule, worlds ...*world) bool {
	for i, a := range rules {
		for _, b := range rules[:i] {
			if a.world != b.world || a.under != b.under || a.priority != b.priority || (a.narrow > 0) != (b.narrow > 0) {
				continue
			}
			if a.narrow > 0 && department(a.narrow-1) != "" && department(b.narrow-1) != "" && department(a.narrow-1) != department(b.narrow-1) {
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
				if managed(rules, w, n) && !slices.ContainsFunc(rules, func(r rule) bool {
					return r.narrow == 0 && r.covers(w, n) && (r.names(q.k, q.f) || r.names(q.k, scoping.Base(q.k)))
				}) {
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
	{scoping.User, scoping.Extensions}, {scoping.Group, scoping.Extensions}, {scoping.User, scoping.PasswordHash},
}
