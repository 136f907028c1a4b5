package assess

import (
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func drawnTally(t *rapid.T, most int) (*tally, []int) {
	n := rapid.IntRange(1, most).Draw(t, "waves")
	out := newTally(n)
	for range rapid.IntRange(0, 3*n).Draw(t, "references") {
		from, to := rapid.IntRange(never, n-1).Draw(t, "from"), rapid.IntRange(never, n-1).Draw(t, "to")
		many := rapid.IntRange(1, 9).Draw(t, "many")
		c := cell{{0, many}, {many, 0}}
		if rapid.Bool().Draw(t, "odd") {
			c = cell{{0, 0}, {many, many}}
		}
		out.add(from, to, c)
	}
	size := make([]int, n)
	for i := range size {
		size[i] = rapid.IntRange(0, 100).Draw(t, "size")
	}
	return out, size
}

// permutations calls f with every order of n waves.
func permutations(n int, f func([]int)) {
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	var from func(int)
	from = func(i int) {
		if i == n {
			f(order)
			return
		}
		for j := i; j < n; j++ {
			order[i], order[j] = order[j], order[i]
			from(i + 1)
			order[i], order[j] = order[j], order[i]
		}
	}
	from(0)
}

func TestExactOrderIsTheBestOfAll(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		count, size := drawnTally(t, 6)
		order, exact := count.best(size)
		got := count.worth(order, size)
		if !exact {
			t.Fatalf("%d waves are not considered exactly", len(size))
		}
		permutations(len(size), func(o []int) {
			if w := count.worth(o, size); w.compare(got) < 0 {
				t.Fatalf("%v is %v, but %v is %v", order, got, o, w)
			}
		})
	})
}

func TestOrderIsAPermutationNeverWorseThanTheGiven(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		count, size := drawnTally(t, 20)
		order, _ := count.best(size)
		again, _ := count.best(size)
		given := make([]int, len(size))
		for i := range given {
			given[i] = i
		}
		if !slices.Equal(order, again) {
			t.Fatalf("%v, then %v", order, again)
		}
		if s := slices.Sorted(slices.Values(order)); !slices.Equal(s, given) {
			t.Fatalf("%v is no order", order)
		}
		if count.worth(order, size).compare(count.worth(given, size)) > 0 {
			t.Fatalf("%v is worse than the given order", order)
		}
		done := make([]bool, len(size))
		for i, n := range count.after(order) {
			done[order[i]] = true
			if m := count.crossing(done); n != m {
				t.Fatalf("after %v: %d, counted anew %d", order[:i+1], n, m)
			}
		}
	})
}

func TestComponentsAreWhatReachesEachOther(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 12).Draw(t, "nodes")
		next := make([][]int, n)
		reach := make([][]bool, n)
		for i := range reach {
			reach[i] = make([]bool, n)
			reach[i][i] = true
			for j := range n {
				if rapid.IntRange(0, 5).Draw(t, "edge") == 0 {
					next[i] = append(next[i], j)
					reach[i][j] = true
				}
			}
		}
		for k := range n {
			for i := range n {
				for j := range n {
					reach[i][j] = reach[i][j] || reach[i][k] && reach[k][j]
				}
			}
		}
		of := make([]int, n)
		seen := 0
		for c, nodes := range components(n, func(v int) []int { return next[v] }) {
			for _, v := range nodes {
				of[v] = c
				seen++
			}
		}
		if seen != n {
			t.Fatalf("%d of %d nodes", seen, n)
		}
		for i := range n {
			for j := range n {
				if (of[i] == of[j]) != (reach[i][j] && reach[j][i]) {
					t.Fatalf("%d and %d: %v", i, j, of)
				}
			}
		}
	})
}

func TestGroupsAreComponentsOfTheTiesThatCount(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 10).Draw(t, "units")
		units := make([]moving, n)
		all := 0
		for i := range units {
			units[i].size = rapid.IntRange(1, 50).Draw(t, "size")
			all += units[i].size
		}
		ts := ties{}
		for range rapid.IntRange(0, 4*n).Draw(t, "ties") {
			a, b := rapid.IntRange(0, n-1).Draw(t, "a"), rapid.IntRange(0, n-1).Draw(t, "b")
			if a != b {
				ts[[2]int{a, b}] += rapid.IntRange(1, 9).Draw(t, "n")
			}
		}
		tooMuch := func(level int) bool {
			return slices.ContainsFunc(components(n, ts.from(n, level)), func(c []int) bool {
				sum := 0
				for _, u := range c {
					sum += units[u].size
				}
				return len(c) > 1 && 2*sum > all
			})
		}
		groups, weakest := grouped(units, ts)
		if !slices.EqualFunc(groups, components(n, ts.from(n, weakest)), slices.Equal) || tooMuch(weakest) {
			t.Fatalf("%v at %d", groups, weakest)
		}
		for _, level := range append(slices.Collect(maps.Values(ts)), 1) {
			if level < weakest && !tooMuch(level) {
				t.Fatalf("ties of %d are not looked at although %d would do", weakest, level)
			}
		}
	})
}
