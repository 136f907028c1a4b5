package bench

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"runtime"
	"time"

	"github.com/tandem-sync/tandem/scoping"
)

// forest is a generated directory of three levels of OUs below a base of two parts, with an assignment for each leaf, and places of objects in the leaves: their
// DNs are six deep.
type forest struct {
	policy scoping.Policy
	places []scoping.Place
}

func guid(r *rand.Rand) (g scoping.GUID) {
	binary.LittleEndian.PutUint64(g[:], r.Uint64())
	binary.LittleEndian.PutUint64(g[8:], r.Uint64())
	return g
}

func plant(assignments int) forest {
	r := rand.New(rand.NewPCG(7, uint64(assignments)))
	base := scoping.Pin{GUID: guid(r), DN: "DC=contoso,DC=test"}
	above, leaves := []scoping.Pin{base}, []scoping.Pin{}
	for level, width := range []int{max(1, assignments/1000), max(1, assignments/30), assignments} {
		leaves = make([]scoping.Pin, width)
		for i := range leaves {
			up := above[i%len(above)]
			leaves[i] = scoping.Pin{GUID: guid(r), DN: fmt.Sprintf("OU=%d-%d,%s", level, i, up.DN), Ancestors: append([]scoping.GUID{up.GUID}, up.Ancestors...)}
		}
		above = leaves
	}
	features := []scoping.Feature{scoping.Users, scoping.Groups}
	f := forest{policy: scoping.Policy{Features: features, Defaults: scoping.DefaultDefaults()}}
	for i := range assignments {
		pin := base // the first is for the whole directory, the others for leaves
		if i > 0 {
			pin = leaves[i-1]
		}
		f.policy.Assignments = append(f.policy.Assignments, scoping.Assignment{Name: fmt.Sprint("a", i), Directory: "contoso", Under: pin,
			Engine: []string{"connect", "cloudsync"}[i%2], Features: features})
	}
	for range 4096 {
		leaf := leaves[r.IntN(len(leaves))]
		f.places = append(f.places, scoping.Place{Directory: "contoso", Ancestors: append([]scoping.GUID{leaf.GUID}, leaf.Ancestors...)})
	}
	return f
}

func (f forest) compile() (*scoping.Partition, error) {
	all := scoping.EngineCaps{Features: f.policy.Features}
	p, err := scoping.Compile(f.policy, map[string]scoping.EngineCaps{"connect": all, "cloudsync": all})
	if err != nil {
		return nil, fmt.Errorf("compiling the generated policy: %w", err)
	}
	return p, nil
}

// lookUps is how many owners one figure is the mean of.
const lookUps = 2_000_000

// owners is B1.
func owners(_ context.Context, o Options, r *Report) error {
	r.Modelled, r.Beside = []string{"a generated policy and generated places, in this process"}, "the same with 10 and 1,000 assignments"
	for _, n := range []int{10, 1000, o.Objects} {
		f := plant(n)
		p, err := f.compile()
		if err != nil {
			return err
		}
		cells := make([]scoping.Cell, len(f.places))
		for i, place := range f.places {
			cells[i] = p.Cell(place)
		}
		for _, x := range []struct {
			name string
			aim  float64
			ask  func(i int) scoping.Owner
		}{
			{"partition", 200, func(i int) scoping.Owner { return p.Owner(f.places[i%len(f.places)], scoping.User, scoping.Users) }},
			{"answer kept per OU", 20, func(i int) scoping.Owner { return cells[i%len(cells)].Owner(scoping.User, scoping.Users) }},
		} {
			ns, allocations, err := lookUp(x.ask)
			if err != nil {
				return err
			}
			r.most(fmt.Sprintf("%s, %d assignments", x.name, n), ns, "ns", x.aim)
			r.most(fmt.Sprintf("%s, %d assignments: allocations", x.name, n), allocations, "", 0)
		}
	}
	return nil
}

func lookUp(ask func(int) scoping.Owner) (ns, allocations float64, err error) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	began := time.Now()
	for i := range lookUps {
		if !ask(i).Managed {
			return 0, 0, fmt.Errorf("a generated object has no owner")
		}
	}
	took := time.Since(began)
	runtime.ReadMemStats(&after)
	return float64(took.Nanoseconds()) / lookUps, float64((after.Mallocs - before.Mallocs) / lookUps), nil
}

// compile is B2.
func compile(_ context.Context, o Options, r *Report) error {
	r.Modelled, r.Beside = []string{"a generated policy, in this process"}, "the same with a tenth of the assignments"
	var took [2]float64
	for i, n := range []int{max(1, o.Objects/10), o.Objects} {
		f := plant(n)
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		began := time.Now()
		if _, err := f.compile(); err != nil {
			return err
		}
		took[i] = time.Since(began).Seconds()
		runtime.ReadMemStats(&after)
		if n == o.Objects {
			r.most(fmt.Sprintf("compiling %d assignments", n), took[i], "s", 1)
		} else {
			r.note(fmt.Sprintf("compiling %d assignments", n), took[i], "s")
		}
		r.note(fmt.Sprintf("allocated for %d", n), float64(after.TotalAlloc-before.TotalAlloc)/(1<<20), "MB")
	}
	r.note("ratio", took[1]/took[0], "")
	return nil
}
