package scoping_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/tandem-sync/tandem/scoping"
)

// benchWorld is a directory whose objects lie 6 RDNs deep: a domain of two parts that is one container, three levels of
// OUs and leaves, with an assignment for each of the leaves and some of the others.
type benchWorld struct {
	policy scoping.Policy
	places []scoping.Place // of objects: in leaves
}

func benchGUID(r *rand.Rand) scoping.GUID {
	var g scoping.GUID
	binary.LittleEndian.PutUint64(g[:], r.Uint64())
	binary.LittleEndian.PutUint64(g[8:], r.Uint64())
	return g
}

func newBenchWorld(assignments int) benchWorld {
	r := rand.New(rand.NewPCG(7, uint64(assignments)))
	base := scoping.Pin{GUID: benchGUID(r), DN: "DC=contoso,DC=test"}
	levels := [][]scoping.Pin{{base}}
	for level, width := range []int{max(1, assignments/1000), max(1, assignments/30), assignments} {
		var row []scoping.Pin
		for i := range width {
			up := levels[level][i%len(levels[level])]
			row = append(row, scoping.Pin{GUID: benchGUID(r), DN: fmt.Sprintf("OU=%d-%d,%s", level, i, up.DN),
				Ancestors: append([]scoping.GUID{up.GUID}, up.Ancestors...)})
		}
		levels = append(levels, row)
	}
	var b benchWorld
	b.policy = scoping.Policy{Features: both, Defaults: scoping.DefaultDefaults()}
	engines := []string{"connect", "cloudsync"}
	for i := range assignments {
		pin := base
		if i > 0 {
			pin = levels[3][i-1]
		}
		b.policy.Assignments = append(b.policy.Assignments, scoping.Assignment{Name: fmt.Sprint("a", i), Directory: "contoso", Under: pin,
			Engine: engines[i%2], Features: both})
	}
	for range 4096 {
		leaf := levels[3][r.IntN(len(levels[3]))]
		b.places = append(b.places, scoping.Place{Directory: "contoso", Ancestors: append([]scoping.GUID{leaf.GUID}, leaf.Ancestors...)})
	}
	return b
}

var sizes = []int{10, 1000, 100_000}

// BenchmarkOwner is B1: the owner of random objects in the compiled partition.
func BenchmarkOwner(b *testing.B) {
	for _, n := range sizes {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			w := newBenchWorld(n)
			p := mustCompile(b, w.policy)
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				if o := p.Owner(w.places[i%len(w.places)], scoping.User, scoping.Users); !o.Managed {
					b.Fatal("nobody")
				}
			}
		})
	}
}

// BenchmarkCell is B1 by the answer that the census keeps per container.
func BenchmarkCell(b *testing.B) {
	for _, n := range sizes {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			w := newBenchWorld(n)
			p := mustCompile(b, w.policy)
			cells := make([]scoping.Cell, len(w.places))
			for i, place := range w.places {
				cells[i] = p.Cell(place)
			}
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				if o := cells[i%len(cells)].Owner(scoping.User, scoping.Users); !o.Managed {
					b.Fatal("nobody")
				}
			}
		})
	}
}

// BenchmarkCompile is B2.
func BenchmarkCompile(b *testing.B) {
	for _, n := range sizes {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			w := newBenchWorld(n)
			b.ReportAllocs()
			b.ResetTimer()
			for range b.N {
				mustCompile(b, w.policy)
			}
		})
	}
}

// BenchmarkDiff prices the difference of two partitions, and the scopes of one.
func BenchmarkDiff(b *testing.B) {
	w := newBenchWorld(1000)
	old := mustCompile(b, w.policy)
	w.policy.Assignments[500].Engine = scoping.None
	new := mustCompile(b, w.policy)
	b.Run("diff", func(b *testing.B) {
		for range b.N {
			if len(scoping.Diff(old, new)) != 1 {
				b.Fatal("one hand-over")
			}
		}
	})
	b.Run("scopes", func(b *testing.B) {
		for range b.N {
			old.Scopes("connect")
		}
	})
}

func TestLookingUpAnOwnerAllocatesNothing(t *testing.T) {
	w := newBenchWorld(1000)
	p := mustCompile(t, w.policy)
	c := p.Cell(w.places[0])
	got := testing.AllocsPerRun(100, func() {
		p.Owner(w.places[1], scoping.Group, scoping.References)
		p.Cell(w.places[2])
		c.Owner(scoping.User, scoping.Users)
	})
	if got != 0 {
		t.Errorf("%v allocations", got)
	}
}
