package assess

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/tandem-sync/tandem/scoping"
)

// Hand says who writes one feature of an object before a plan and after it, and which of its waves makes the difference.
type Hand struct {
	Before, After string
	Wave          int // from 0; Never: none does
}

// Never is the wave of what no wave of a plan moves.
const Never = never

// at gives the engine when its wave is done, or not yet.
func (h Hand) at(done int) string {
	if h.Wave != never && done == 1 {
		return h.After
	}
	return h.Before
}

// Hands says who writes an object: its base feature, and its references.
type Hands func(id scoping.ObjectID, kind scoping.Kind) (base, references Hand)

// Crossings is what a plan does to references: memberships and managers. One crosses when the engine that writes it, that of the group
// or of the one who has the manager, is another than the one that writes the object at its other end. What none writes crosses nothing.
type Crossings struct {
	Before    int        `json:"before"`
	Waves     []Crossing `json:"waves"`               // in the given order
	Best      []int      `json:"best,omitempty"`      // the order that crosses fewest, by the given numbers from 0; empty if that is the given one
	BestAfter []int      `json:"bestAfter,omitempty"` // what crosses after each wave of it
	Exact     bool       `json:"exact"`               // no other order crosses fewer
}

// Crossing is what crosses after one wave.
type Crossing struct {
	After    int      `json:"after"`    // references that cross when this and all earlier waves are done
	New      int      `json:"new"`      // those among them that did not before this wave
	Pairs    []Pair   `json:"pairs"`    // all that cross, the most first
	Examples []string `json:"examples"` // of the new ones
}

// Pair counts what crosses between two OUs directly beneath their directory's root.
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

// Crossings says what waves do to the references of a directory, done one after the other.
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

// between names two OUs and the engines at their ends.
type between struct {
	in       *Directory
	from, to int32 // beneath the root
	a, b     string
}

// gathered is what crosses after one wave.
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

// crosses says in which states the two ends have different engines.
func crosses(from, to Hand) (c cell) {
	for i := range 2 {
		for j := range 2 {
			if apart(from.at(i), to.at(j)) {
				c[i][j] = 1
			}
		}
	}
	return c
}

func apart(a, b string) bool {
	return a != b && writes(a) && writes(b)
}

func writes(engine string) bool { return engine != "" && engine != scoping.None }

// add counts a reference that crosses once the waves up to w are done.
func (g *gathered) add(d *Directory, r reference, from, to Hand, w int) {
	a, b := from.at(since(from, w)), to.at(since(to, w))
	if !apart(a, b) {
		return
	}
	p := g.pair(between{d, d.top(r.from), d.top(r.to), a, b})
	if r.manager {
		p.Managers++
	} else {
		p.Memberships++
	}
	if apart(from.at(since(from, w-1)), to.at(since(to, w-1))) {
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

// since says whether an end has changed hands when the waves up to w are done.
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
