package assess

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/tandem-sync/tandem/scoping"
)

// Hand is the engine that writes one feature of an object before a plan and after it, and the wave that moves it.
type Hand struct {
	Before, After string
	Wave          int // from 0; Never: no wave moves it
}

// Never is the wave of an object that no wave of a plan moves.
const Never = never

// at returns the engine before the object's wave (done is 0) or after it (1).
func (h Hand) at(done int) string {
	if h.Wave != never && done == 1 {
		return h.After
	}
	return h.Before
}

// Hands returns the engines that write an object's base feature and its references.
type Hands func(id scoping.ObjectID, kind scoping.Kind) (base, references Hand)

// Crossings is what a plan does to references (memberships and managers). A reference crosses when it and the object at its other end are written by two different engines.
// The engine of the group writes a membership, that of the user a manager. Where no engine writes an end, the reference does not cross.
type Crossings struct {
	Before    int        `json:"before"`
	Waves     []Crossing `json:"waves"`               // in the given order
	Best      []int      `json:"best,omitempty"`      // the order in which fewest cross, by the given numbers from 0; empty if the given order is
	BestAfter []int      `json:"bestAfter,omitempty"` // how many cross after each wave of Best
	Exact     bool       `json:"exact"`               // every order was considered, so in none fewer cross
}

// Crossing describes the references that cross after one wave.
type Crossing struct {
	After    int      `json:"after"`    // references that cross when this and all earlier waves are done
	New      int      `json:"new"`      // of those, the ones that did not cross before this wave
	Pairs    []Pair   `json:"pairs"`    // all that cross, the largest first
	Examples []string `json:"examples"` // of the new ones
}

// Pair counts the references that cross between two OUs directly beneath their directory's root.
type Pair struct {
	From        Side `json:"from"`
	To          Side `json:"to"`
	Memberships int  `json:"memberships"`
	Managers    int  `json:"managers"`
}

// Side is one end of references.
type Side struct {
	Under  string `json:"under"`
	Engine string `json:"engine"`
}

// maxExamples is how many references a crossing names.
const maxExamples = 5

// Crossings returns what a number of waves does to the references of all directories when they are done one after the other.
func (s *Survey) Crossings(waves int, hands Hands) Crossings {
	t := newTally(waves)
	size := make([]int, waves)
	found := make([]gathered, waves)
	for _, d := range s.Directories {
		s.crossingsOf(d, hands, t, size, found)
	}
	out := Crossings{Waves: []Crossing{}, Before: t.crossing(make([]bool, waves))}
	given := make([]int, waves)
	for i := range given {
		given[i] = i
	}
	for i, n := range t.after(given) {
		out.Waves = append(out.Waves, Crossing{After: n, New: found[i].new, Pairs: found[i].sorted(), Examples: append([]string{}, found[i].examples...)})
	}
	order, exact := t.best(size)
	a, b := t.worth(given, size), t.worth(order, size)
	if out.Exact = exact; b.most < a.most || b.most == a.most && b.sum < a.sum {
		out.Best, out.BestAfter = order, t.after(order)
	}
	return out
}

// between identifies a Pair: two objects directly beneath the root, and the engines at the two ends.
type between struct {
	in       *Directory
	from, to int32
	a, b     string
}

// gathered collects a Crossing.
type gathered struct {
	pairs    map[between]*Pair
	new      int
	examples []string
}

func (s *Survey) crossingsOf(d *Directory, hands Hands, t *tally, size []int, found []gathered) {
	base, refs := make([]Hand, len(d.objects)), make([]Hand, len(d.objects))
	for i := range d.objects {
		o := &d.objects[i]
		if !o.counts() || o.Has(Critical) {
			continue
		}
		base[i], refs[i] = hands(scoping.ObjectID{Directory: d.Name, GUID: o.GUID}, o.Kind)
		if w := base[i].Wave; w != never {
			size[w]++
		}
	}
	for r := range d.references {
		from, to := refs[r.from], base[r.to]
		c := crosses(from, to)
		if c == (cell{}) {
			continue
		}
		t.add(from.Wave, to.Wave, c)
		for w := range found {
			found[w].add(d, r, from, to, w)
		}
	}
}

// crosses returns in which states of the two ends' waves the reference crosses.
func crosses(from, to Hand) (c cell) {
	for i := range 2 {
		for j := range 2 {
			if differ(from.at(i), to.at(j)) {
				c[i][j] = 1
			}
		}
	}
	return c
}

// differ reports whether two engines write, and are not the same.
func differ(a, b string) bool {
	return a != b && writes(a) && writes(b)
}

func writes(engine string) bool { return engine != "" && engine != scoping.None }

// add counts a reference if it crosses when the waves up to w are done.
func (g *gathered) add(d *Directory, r reference, from, to Hand, w int) {
	a, b := from.at(since(from, w)), to.at(since(to, w))
	if !differ(a, b) {
		return
	}
	p := g.pair(between{d, d.top(r.from), d.top(r.to), a, b})
	if r.manager {
		p.Managers++
	} else {
		p.Memberships++
	}
	if differ(from.at(since(from, w-1)), to.at(since(to, w-1))) {
		return
	}
	if g.new++; len(g.examples) < maxExamples {
		g.examples = append(g.examples, example(d, r, a, b))
	}
}

func (g *gathered) pair(key between) *Pair {
	if g.pairs == nil {
		g.pairs = map[between]*Pair{}
	}
	p := g.pairs[key]
	if p == nil {
		p = &Pair{From: Side{key.in.DN(key.from), key.a}, To: Side{key.in.DN(key.to), key.b}}
		g.pairs[key] = p
	}
	return p
}

func example(d *Directory, r reference, a, b string) string {
	if r.manager {
		return fmt.Sprintf("%s (%s) has the manager %s (%s)", d.DN(r.from), a, d.DN(r.to), b)
	}
	return fmt.Sprintf("%s (%s) is a member of %s (%s)", d.DN(r.to), b, d.DN(r.from), a)
}

// since returns 1 if the waves up to w have moved an end, and 0 otherwise.
func since(h Hand, w int) int {
	if h.Wave != never && h.Wave <= w {
		return 1
	}
	return 0
}

func (g *gathered) sorted() []Pair {
	out := []Pair{}
	for _, p := range slices.SortedFunc(maps.Values(g.pairs), comparePairs) {
		out = append(out, *p)
	}
	return out
}

func comparePairs(a, b *Pair) int {
	return cmp.Or(cmp.Compare(b.Memberships+b.Managers, a.Memberships+a.Managers),
		cmp.Compare(a.From.Under, b.From.Under), cmp.Compare(a.To.Under, b.To.Under),
		cmp.Compare(a.From.Engine, b.From.Engine), cmp.Compare(a.To.Engine, b.To.Engine))
}
