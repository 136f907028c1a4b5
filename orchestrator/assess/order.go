package assess

import (
	"cmp"
	"math"
	"slices"
)

// never is the wave of an object that no wave moves.
const never = -1

// tally counts references by the waves that move their two ends. Whether a reference crosses depends only on which of the two waves are done, so orders of waves can be compared
// without looking at objects again.
type tally struct {
	pairs map[[2]int]*cell
	touch [][][2]int // by wave: the keys of pairs with it
}

// cell counts the references of one pair of waves that cross, by the state of the two waves: 0 before, 1 after.
type cell [2][2]int

func newTally(waves int) *tally {
	return &tally{pairs: map[[2]int]*cell{}, touch: make([][][2]int, waves)}
}

// add adds counts for a pair of waves.
func (t *tally) add(from, to int, crosses cell) {
	key := [2]int{from, to}
	c := t.pairs[key]
	if c == nil {
		c = new(cell)
		t.pairs[key] = c
		for i, w := range key {
			if w != never && (i == 0 || w != from) {
				t.touch[w] = append(t.touch[w], key)
			}
		}
	}
	for i := range 2 {
		for j := range 2 {
			c[i][j] += crosses[i][j]
		}
	}
}

// crossing returns how many references cross when these waves are done.
func (t *tally) crossing(done []bool) (n int) {
	for key, c := range t.pairs {
		n += c[state(done, key[0])][state(done, key[1])]
	}
	return n
}

func state(done []bool, w int) int {
	if w != never && done[w] {
		return 1
	}
	return 0
}

// change returns by how much crossing grows when wave w is done as well.
func (t *tally) change(done []bool, w int) (n int) {
	for _, key := range t.touch[w] {
		c := t.pairs[key]
		before := c[state(done, key[0])][state(done, key[1])]
		done[w] = true
		n += c[state(done, key[0])][state(done, key[1])] - before
		done[w] = false
	}
	return n
}

// after returns how many references cross after each wave of an order.
func (t *tally) after(order []int) []int {
	done := make([]bool, len(t.touch))
	n := t.crossing(done)
	out := make([]int, len(order))
	for i, w := range order {
		n += t.change(done, w)
		done[w] = true
		out[i] = n
	}
	return out
}

// worth ranks an order of waves; less is better. First counts the most references that cross at any moment, then the sum over all moments, then load, which is less if small
// waves come first.
type worth struct{ most, sum, load int }

func (a worth) compare(b worth) int {
	return cmp.Or(cmp.Compare(a.most, b.most), cmp.Compare(a.sum, b.sum), cmp.Compare(a.load, b.load))
}

func (t *tally) worth(order, size []int) (w worth) {
	moved := 0
	for i, n := range t.after(order) {
		moved += size[order[i]]
		w.most, w.sum, w.load = max(w.most, n), w.sum+n, w.load+moved
	}
	return w
}

// mostExact is the most waves for which every order is considered: exact needs memory for 2^n sets.
const mostExact = 12

// best returns the order in which fewest references cross, and whether every order was considered. The result is never worse than the given order, which is that of the waves'
// numbers.
func (t *tally) best(size []int) (order []int, exact bool) {
	given := make([]int, len(t.touch))
	for i := range given {
		given[i] = i
	}
	if len(given) <= mostExact {
		order, exact = t.exact(size), true
	} else {
		order = t.greedy(size)
	}
	if t.worth(given, size).compare(t.worth(order, size)) <= 0 {
		order = given
	}
	return order, exact
}

// greedy always does next the wave after which fewest references cross, and of equal ones the smallest.
func (t *tally) greedy(size []int) []int {
	done := make([]bool, len(t.touch))
	var order []int
	for range done {
		best, least := never, 0
		for w := range done {
			if done[w] {
				continue
			}
			if c := t.change(done, w); best == never || cmp.Or(cmp.Compare(c, least), cmp.Compare(size[w], size[best])) < 0 {
				best, least = w, c
			}
		}
		order, done[best] = append(order, best), true
	}
	return order
}

// exact considers every set of waves once (Held and Karp's algorithm): first it finds the least possible maximum, then the least sum among orders that never exceed it.
func (t *tally) exact(size []int) []int {
	n := len(t.touch)
	crossing, moved := t.bySet(size)
	most := make([]int, 1<<n)
	best := make([]worth, 1<<n)
	last := make([]int, 1<<n)
	for s := 1; s < 1<<n; s++ {
		most[s] = math.MaxInt
		for w := range n {
			if s&(1<<w) != 0 {
				most[s] = min(most[s], max(most[s&^(1<<w)], crossing[s]))
			}
		}
	}
	limit := most[1<<n-1]
	for s := 1; s < 1<<n; s++ {
		last[s] = never
		for w := range n {
			before := s &^ (1 << w)
			if s&(1<<w) == 0 || crossing[s] > limit || before != 0 && last[before] == never {
				continue
			}
			b := worth{sum: best[before].sum + crossing[s], load: best[before].load + moved[s]}
			if last[s] == never || b.compare(best[s]) < 0 {
				best[s], last[s] = b, w
			}
		}
	}
	order := make([]int, 0, n)
	for s := 1<<n - 1; s != 0; s &^= 1 << last[s] {
		order = append(order, last[s])
	}
	slices.Reverse(order)
	return order
}

// bySet returns, for every set of waves, how many references cross when these are done, and how many objects they have moved.
func (t *tally) bySet(size []int) (crossing, moved []int) {
	n := len(t.touch)
	crossing, moved = make([]int, 1<<n), make([]int, 1<<n)
	done := make([]bool, n)
	for s := range crossing {
		for w := range n {
			done[w] = s&(1<<w) != 0
			if done[w] {
				moved[s] += size[w]
			}
		}
		crossing[s] = t.crossing(done)
	}
	return crossing, moved
}
