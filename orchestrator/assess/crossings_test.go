package assess_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tandem-sync/tandem/orchestrator/assess"
	"github.com/tandem-sync/tandem/scoping"
)

// handed lets the objects of containers change hands from a to b: those of the first with wave 0, and so on.
func (w *world) handed(containers ...string) assess.Hands {
	parent := map[scoping.GUID]scoping.GUID{}
	for _, o := range w.objects {
		parent[o.GUID] = o.Parent
	}
	return func(id scoping.ObjectID, _ scoping.Kind) (base, refs assess.Hand) {
		h := assess.Hand{Before: "a", After: "a", Wave: assess.Never}
		for i, c := range containers {
			if parent[id.GUID] == guid(w.at[c]) {
				h = assess.Hand{Before: "a", After: "b", Wave: i}
			}
		}
		return h, h
	}
}

func TestCrossingsAreCountedWithTheirOUs(t *testing.T) {
	w := contoso()
	c := w.survey().Crossings(2, w.handed("Sales", "Office"))
	sales, office := assess.Side{Under: "OU=Sales,DC=x,DC=y", Engine: "b"}, assess.Side{Under: "OU=Office,DC=x,DC=y", Engine: "a"}
	want := assess.Crossings{Exact: true, Waves: []assess.Crossing{
		{After: 3, New: 3, Pairs: []assess.Pair{{From: sales, To: office, Memberships: 2}, {From: office, To: sales, Managers: 1}},
			Examples: []string{
				"CN=Office 3,OU=Office,DC=x,DC=y (a) has the manager CN=Sales 0,OU=Sales,DC=x,DC=y (b)",
				"CN=Office 0,OU=Office,DC=x,DC=y (a) is a member of CN=All Sales,OU=Sales,DC=x,DC=y (b)",
				"CN=Office 1,OU=Office,DC=x,DC=y (a) is a member of CN=All Sales,OU=Sales,DC=x,DC=y (b)"}},
		{Pairs: []assess.Pair{}, Examples: []string{}},
	}}
	if d := cmp.Diff(want, c); d != "" {
		t.Error(d)
	}
}

func TestABetterOrderIsTold(t *testing.T) {
	w := newWorld()
	for _, name := range []string{"A", "B", "C"} {
		w.add(name, "", ou)
		w.users(name, 3)
		w.add("group "+name, name, group)
	}
	w.member("group A", "B 0", "B 1", "B 2") // A and B belong together, C to A a little
	w.member("group C", "A 0")
	s := w.survey()
	c := s.Crossings(3, w.handed("A", "C", "B"))
	if d := cmp.Diff([]int{2, 0, 1}, c.Best); d != "" || !cmp.Equal(c.BestAfter, []int{3, 1, 0}) {
		t.Errorf("%s %v; given %d %d %d", d, c.BestAfter, c.Waves[0].After, c.Waves[1].After, c.Waves[2].After)
	}
	if c := s.Crossings(3, w.handed("C", "A", "B")); c.Best != nil {
		t.Errorf("that order is told to be worse than %v", c.Best)
	}
}

func TestWhatNobodyWritesCrossesNothing(t *testing.T) {
	w := contoso()
	c := w.survey().Crossings(1, func(id scoping.ObjectID, kind scoping.Kind) (base, refs assess.Hand) {
		base = assess.Hand{Before: "a", After: scoping.None}
		if kind == group {
			base.Wave = assess.Never
		}
		return base, base
	})
	if c.Before != 0 || c.Waves[0].After != 0 {
		t.Errorf("%+v", c)
	}
}

func TestCrossingsAreThoseThatCountingFinds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawnWorld(t)
		waves := rapid.IntRange(1, 5).Draw(t, "waves")
		bases, refs := map[scoping.GUID]assess.Hand{}, map[scoping.GUID]assess.Hand{}
		hand := func() assess.Hand {
			name := rapid.SampledFrom([]string{"a", "b", scoping.None, ""})
			h := assess.Hand{Before: name.Draw(t, "before"), Wave: rapid.IntRange(assess.Never, waves-1).Draw(t, "wave")}
			if h.After = h.Before; h.Wave != assess.Never {
				h.After = name.Draw(t, "after")
			}
			return h
		}
		for _, o := range w.objects {
			bases[o.GUID], refs[o.GUID] = hand(), hand()
		}
		c := w.survey().Crossings(waves, func(id scoping.ObjectID, _ scoping.Kind) (assess.Hand, assess.Hand) {
			return bases[id.GUID], refs[id.GUID]
		})
		for done := -1; done < waves; done++ {
			want := w.counted(func(g scoping.GUID, m map[scoping.GUID]assess.Hand) string {
				if h := m[g]; h.Wave == assess.Never || h.Wave > done {
					return h.Before
				}
				return m[g].After
			}, bases, refs)
			if done < 0 {
				if c.Before != want {
					t.Fatalf("before: %d, counted %d", c.Before, want)
				}
				continue
			}
			got, pairs := c.Waves[done], 0
			for _, p := range got.Pairs {
				pairs += p.Memberships + p.Managers
			}
			if got.After != want || pairs != want || got.New > want {
				t.Fatalf("after wave %d: %d (%d in pairs, %d new), counted %d", done, got.After, pairs, got.New, want)
			}
		}
	})
}

// counted counts what crosses, one reference after the other.
func (w *world) counted(engine func(scoping.GUID, map[scoping.GUID]assess.Hand) string, bases, refs map[scoping.GUID]assess.Hand) (n int) {
	writes := map[scoping.GUID]bool{}
	for _, o := range w.objects {
		writes[o.GUID] = o.Kind != ou && !o.Has(assess.Critical)
	}
	for _, o := range w.objects {
		for _, to := range append([]scoping.GUID{o.Manager}, o.Members...) {
			a, b := engine(o.GUID, refs), engine(to, bases)
			if writes[o.GUID] && writes[to] && a != b && a != "" && b != "" && a != scoping.None && b != scoping.None {
				n++
			}
		}
	}
	return n
}

// large is a directory of 100,000 users in 40 OUs, 5,000 groups of 40 members and a manager each.
func large() *world {
	r := rand.New(rand.NewPCG(1, 2))
	w := newWorld()
	for i := range 40 {
		w.add(fmt.Sprintf("ou%d", i), "", ou)
	}
	for i := range 100_000 {
		w.add(fmt.Sprintf("u%d", i), fmt.Sprintf("ou%d", i%40), user)
		if i > 100 {
			w.object(fmt.Sprintf("u%d", i)).Manager = w.object(fmt.Sprintf("u%d", r.IntN(100))).GUID
		}
	}
	for i := range 5_000 {
		name := fmt.Sprintf("g%d", i)
		w.add(name, fmt.Sprintf("ou%d", i%40), group)
		for range 40 {
			w.member(name, fmt.Sprintf("u%d", (i%40+40*r.IntN(2500)+r.IntN(50)/49)%100_000))
		}
	}
	return w
}

func BenchmarkSuggest100k(b *testing.B) {
	s := large().survey()
	b.ResetTimer()
	for range b.N {
		if _, err := assess.Suggest(s, engines()); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCrossings100k(b *testing.B) {
	w := large()
	s := w.survey()
	hands := w.handed("ou0", "ou1", "ou2", "ou3")
	b.ResetTimer()
	for range b.N {
		if c := s.Crossings(4, hands); len(c.Waves) != 4 {
			b.Fatal(c)
		}
	}
}
