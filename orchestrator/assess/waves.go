package assess

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tandem-sync/tandem/scoping"
)

// moving is a unit that a wave moves.
type moving struct {
	*Unit
	size  int
	moves map[scoping.Kind]int // its objects that move
}

// ties counts the references between two moving units: [0] contains the groups and the users with managers, [1] the members and managers.
type ties map[[2]int]int

// chooseWaves puts units that refer to each other in circles into one wave, and the waves in order.
func (g *suggester) chooseWaves() {
	units, unitOf := g.movable()
	if len(units) == 0 && g.owner != nil {
		g.note("Nothing of engine %s is left that engine %s could take over.", g.out.From, g.out.To)
		return
	}
	if len(units) == 0 {
		g.note("Nothing is there that engine %s could take over.", g.out.To)
		return
	}
	t, stay, ahead := g.references(unitOf)
	groups, weakest := grouped(units, t)
	wave := make([]int, len(units))
	size := make([]int, len(groups))
	for w, c := range groups {
		for _, u := range c {
			wave[u] = w
			size[w] += units[u].size
		}
	}
	count := newTally(len(groups))
	for key, n := range t {
		if a, b := wave[key[0]], wave[key[1]]; a != b {
			count.add(a, b, cell{{0, n}, {n, 0}})
		}
	}
	for u, n := range stay {
		count.add(wave[u], never, cell{{0, 0}, {n, n}})
	}
	for u, n := range ahead {
		count.add(wave[u], never, cell{{n, n}, {0, 0}})
	}
	order, exact := count.best(size)
	g.noteOrder(len(units), len(groups), weakest, exact)
	for i, n := range count.after(order) {
		g.out.Waves = append(g.out.Waves, g.wave(units, groups[order[i]], t, stay, n))
	}
}

// movable returns the units with objects that the target can take over, and for every object of every place the index of its unit, or never if it stays.
func (g *suggester) movable() (units []moving, unitOf [][]int) {
	for _, p := range g.places {
		at := map[int32]int{}
		of := make([]int, len(p.in.objects))
		for i := range p.in.objects {
			o, u := &p.in.objects[i], p.units[p.of[i]]
			base := scoping.Base(o.Kind)
			if of[i] = never; u.None || u.outside || base == "" || o.Has(Critical) || !slices.Contains(g.out.Policy.Features, base) || !g.able(g.out.To, base) || g.ownerOf(p, int32(i)) != g.out.From {
				continue
			}
			n, ok := at[p.of[i]]
			if !ok {
				n = len(units)
				at[p.of[i]] = n
				units = append(units, moving{Unit: u, moves: map[scoping.Kind]int{}})
			}
			units[n].size++
			units[n].moves[o.Kind]++
			of[i] = n
		}
		unitOf = append(unitOf, of)
	}
	return units, unitOf
}

// ownerOf returns the engine that writes an object now.
func (g *suggester) ownerOf(p place, i int32) string {
	if g.owner == nil {
		return g.out.From
	}
	o := &p.in.objects[i]
	return g.owner(scoping.ObjectID{Directory: p.in.Name, GUID: o.GUID}, o.Kind, scoping.Base(o.Kind))
}

// references counts the references between different moving units, and, for each unit, those with objects that the first engine keeps (stay) and with objects that the target
// owns already (ahead).
func (g *suggester) references(unitOf [][]int) (t ties, stay, ahead map[int]int) {
	t, stay, ahead = ties{}, map[int]int{}, map[int]int{}
	for n, p := range g.places {
		of := unitOf[n]
		for r := range p.in.references {
			a, b := of[r.from], of[r.to]
			switch {
			case a == b:
			case a != never && b != never:
				t[[2]int{a, b}]++
			case a != never && g.kept(p, r.to):
				stay[a]++
			case b != never && g.kept(p, r.from):
				stay[b]++
			case g.owner == nil:
			case a != never && g.ownerOf(p, r.to) == g.out.To:
				ahead[a]++
			case b != never && g.ownerOf(p, r.from) == g.out.To:
				ahead[b]++
			}
		}
	}
	return t, stay, ahead
}

// kept reports whether the first engine writes an object.
func (g *suggester) kept(p place, i int32) bool {
	o := &p.in.objects[i]
	return !o.Has(Critical) && !p.units[p.of[i]].None && slices.Contains(g.out.Policy.Features, scoping.Base(o.Kind)) && g.ownerOf(p, i) == g.out.From
}

// grouped returns groups of units in which each refers to each other one, directly or through others. If that makes a group of more than half of all objects, ties of few
// references are ignored: weakest is the fewest references of a tie that counts.
func grouped(units []moving, t ties) (groups [][]int, weakest int) {
	all := 0
	for _, u := range units {
		all += u.size
	}
	levels := append([]int{1}, slices.Sorted(maps.Values(t))...)
	levels = slices.Compact(append(levels, levels[len(levels)-1]+1))
	tooMuch := func(level int) bool {
		groups = components(len(units), t.from(len(units), level))
		return slices.ContainsFunc(groups, func(c []int) bool {
			n := 0
			for _, u := range c {
				n += units[u].size
			}
			return len(c) > 1 && 2*n > all
		})
	}
	// The higher the level, the smaller the groups.
	i, _ := slices.BinarySearchFunc(levels, false, func(level int, _ bool) int {
		if tooMuch(level) {
			return -1
		}
		return 0
	})
	tooMuch(levels[i])
	return groups, levels[i]
}

// from returns a function that returns the units to which a unit has at least so many references.
func (t ties) from(n, least int) func(int) []int {
	next := make([][]int, n)
	for key, count := range t {
		if count >= least {
			next[key[0]] = append(next[key[0]], key[1])
		}
	}
	for _, to := range next {
		slices.Sort(to)
	}
	return func(u int) []int { return next[u] }
}

func (g *suggester) noteOrder(units, groups, weakest int, exact bool) {
	how := "Each wave is the one after which fewest references cross engines, the smallest first."
	if exact {
		how = "Of all orders this is the one in which the fewest references cross engines at any moment; of equal ones, small waves come first."
	}
	g.note("%s A reference (a membership or a manager) that crosses stays right: the gate resolves it across the line.", how)
	if weakest > 1 {
		g.note("Most OUs refer to each other in circles, so ties of fewer than %d references in one direction were not looked at when OUs were put together.", weakest)
	}
	if groups < units {
		g.note("OUs that refer to each other move together: %d OUs in %d waves.", units, groups)
	}
}

// wave describes one group of units. crossing is the number of references that cross after it.
func (g *suggester) wave(units []moving, group []int, t ties, stay map[int]int, crossing int) Wave {
	w := Wave{Objects: map[scoping.Kind]int{}, Crossing: crossing, Lost: []Use{}}
	lost := map[string]int{}
	for _, u := range group {
		w.Units = append(w.Units, *units[u].Unit)
		for k, n := range units[u].moves {
			w.Objects[k] += n
		}
		for _, x := range units[u].InUse {
			if x.Feature != "" && !g.able(g.out.To, x.Feature) {
				lost[x.Name] += x.Objects
			}
		}
	}
	all := Unit{uses: lost}
	w.Lost = all.sortedUses()
	w.Why = why(units, group, t, stay)
	return w
}

// why returns sentences about the references between the units of a wave and with the rest.
func why(units []moving, group []int, t ties, stay map[int]int) []string {
	inside, kept := 0, 0
	outside := map[int]int{}
	for key, n := range t {
		a, b := slices.Contains(group, key[0]), slices.Contains(group, key[1])
		switch {
		case a && b:
			inside += n
		case a:
			outside[key[1]] += n
		case b:
			outside[key[0]] += n
		}
	}
	for _, u := range group {
		kept += stay[u]
	}
	var out []string
	if len(group) > 1 {
		out = append(out, fmt.Sprintf("together, since they refer to each other: %s between them", plural(inside, "reference")))
	}
	if len(outside) == 0 {
		out = append(out, "nothing outside refers to it, nor it to anything outside")
	} else {
		out = append(out, tied(units, outside))
	}
	if services(units, group) {
		out = append(out, "nothing but service accounts: engine none may suit them better")
	}
	if kept > 0 {
		out = append(out, plural(kept, "reference")+" with what stays behind")
	}
	return out
}

// services reports whether a wave moves service accounts only.
func services(units []moving, group []int) bool {
	for _, u := range group {
		if units[u].Service < units[u].size {
			return false
		}
	}
	return true
}

// tied returns a sentence about the units with which there are most references.
func tied(units []moving, outside map[int]int) string {
	all := 0
	others := slices.SortedFunc(maps.Keys(outside), func(a, b int) int {
		return cmp.Or(cmp.Compare(outside[b], outside[a]), strings.Compare(units[a].Under, units[b].Under))
	})
	var most []string
	for i, u := range others {
		all += outside[u]
		if i < 2 {
			most = append(most, fmt.Sprintf("%s (%d)", units[u].Under, outside[u]))
		}
	}
	out := fmt.Sprintf("%s with %s, most with %s", plural(all, "reference"), plural(len(others), "other OU"), strings.Join(most, " and "))
	if len(others) <= 2 {
		out = fmt.Sprintf("%s with %s", plural(all, "reference"), strings.Join(most, " and "))
	}
	return out
}
