package gate_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tandem-sync/tandem/orchestrator/gate"
)

func TestRingsOfSignInNames(t *testing.T) {
	for name, x := range map[string]struct {
		changes string // id:old>new …
		rings   [][]int
		turns   []int
	}{
		"nothing":                                  {"", nil, []int{}},
		"two exchange":                             {"1:a>b 2:b>a", [][]int{{0, 1}}, []int{1, 0}},
		"whatever their case":                      {"1:A>b 2:B>a", [][]int{{0, 1}}, []int{1, 0}},
		"the lowest id is parked":                  {"2:a>b 1:b>a", [][]int{{1, 0}}, []int{0, 1}},
		"three":                                    {"1:a>b 2:b>c 3:c>a", [][]int{{0, 2, 1}}, []int{2, 1, 0}},
		"a chain waits for nobody's answer":        {"1:a>b 2:b>c 3:c>free", nil, []int{2, 1, 0}},
		"somebody outside has the name":            {"1:a>b 2:c>d", nil, []int{0, 0}},
		"a name whose case changes":                {"1:a>A", nil, []int{0}},
		"a chain that leads to a ring":             {"1:a>b 2:b>a 3:x>a", [][]int{{0, 1}}, []int{1, 0, 2}},
		"two rings":                                {"4:a>b 3:b>a 2:c>d 1:d>c", [][]int{{3, 2}, {1, 0}}, []int{0, 1, 0, 1}},
		"one parked before, and whom it waits for": {"1:parked>b 2:b>a", nil, []int{1, 0}},
	} {
		cs := []gate.NameChange{}
		for f := range strings.FieldsSeq(x.changes) {
			id, names, _ := strings.Cut(f, ":")
			old, wanted, _ := strings.Cut(names, ">")
			cs = append(cs, gate.NameChange{ID: id, Old: old, New: wanted})
		}
		rings := gate.Rings(cs)
		if d := cmp.Diff(x.rings, rings); d != "" {
			t.Errorf("%s: %s", name, d)
		}
		if d := cmp.Diff(x.turns, gate.Turns(cs, rings)); d != "" {
			t.Errorf("%s, turns: %s", name, d)
		}
	}
}

// In the order that Rings and Turns give, after the firsts of the rings are parked, no write wants a name that somebody has; and rings are exactly what
// cannot be written in any order.
func TestEveryExchangeOfNamesCanBeWrittenInTurn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 12).Draw(t, "users")
		wanted := rapid.Permutation(slices.Collect(func(yield func(int) bool) {
			for i := range n + 3 { // three names are free
				if !yield(i) {
					return
				}
			}
		})).Draw(t, "names")
		cs := make([]gate.NameChange, n)
		for i := range cs {
			cs[i] = gate.NameChange{ID: fmt.Sprintf("%02d", i), Old: fmt.Sprint("name", i), New: fmt.Sprint("name", wanted[i])}
		}
		rings := gate.Rings(cs)
		ringed := map[int]bool{}
		for _, r := range rings {
			for k, i := range r {
				if before := r[(k+len(r)-1)%len(r)]; cs[i].New != cs[before].Old || len(r) < 2 || ringed[i] {
					t.Fatalf("%v is no ring of %v", r, cs)
				}
				ringed[i] = true
			}
		}
		has := map[string]int{}
		for i, c := range cs {
			has[c.Old] = i
		}
		for _, r := range rings {
			delete(has, cs[r[0]].Old)
		}
		turns := gate.Turns(cs, rings)
		for turn := range n {
			for i, c := range cs {
				if turns[i] != turn || c.Old == c.New {
					continue
				}
				if other, taken := has[c.New]; taken {
					t.Fatalf("turn %d: %v wants what %v has", turn, c, cs[other])
				}
				if has[c.Old] == i { // the first of a ring has let go of it before
					delete(has, c.Old)
				}
				has[c.New] = i
			}
		}
		for i, c := range cs {
			if has[c.New] != i {
				t.Fatalf("%v has not got its name after %d turns", c, n)
			}
		}
	})
}
