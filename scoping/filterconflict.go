package scoping

import (
	"math"
	"slices"
	"strings"
)

// contradictory says that no object satisfies all the literals. False means that none was found, not that there is one.
func (g *literals) contradictory() bool {
	for _, c := range g.chained {
		if slices.ContainsFunc(g.outside, func(o *filterClause) bool { return o.target.Equal(c.target) }) {
			return true
		}
	}
	if len(g.is) == 0 {
		return false // an object without the attribute
	}
	if g.absent || g.key == "objectclass" && classesContradict(g.is, g.not) {
		return true
	}
	if g.attribute.Single {
		return impossible(g.is, g.not)
	}
	// Each may hold for another value, but all values have what is not asked for.
	return slices.ContainsFunc(g.is, func(c *filterClause) bool { return impossible([]*filterClause{c}, g.not) })
}

// classesContradict knows that an object has one structural class, the classes above that, and auxiliary ones.
func classesContradict(is, not []*filterClause) bool {
	for i, c := range is {
		up := ancestry(c.test.text)
		if slices.ContainsFunc(not, func(n *filterClause) bool { return n.op != opPresent && slices.Contains(up, n.test.text) }) {
			return true
		}
		for _, o := range is[:i] {
			if structural(c.test.text) && structural(o.test.text) && !slices.Contains(up, o.test.text) &&
				!slices.Contains(ancestry(o.test.text), c.test.text) {
				return true
			}
		}
	}
	return false
}

func structural(class string) bool {
	row, ok := classTable[class]
	return ok && row.kind == classStructural
}

// impossible says that no single value satisfies all of is and none of not.
func impossible(is, not []*filterClause) bool {
	for _, c := range is {
		if c.test.kind == testExact {
			return !satisfies(datum{c.test.text, c.test.number}, is, not)
		}
	}
	switch s := is[0].test.syntax; {
	case s.numeric():
		return numbersContradict(is, not)
	default:
		return boundsContradict(is, not) || patternsContradict(is, not)
	}
}

func satisfies(v datum, is, not []*filterClause) bool {
	holds := func(c *filterClause) bool { return c.test.holds(v) }
	return !slices.ContainsFunc(not, holds) && !slices.ContainsFunc(is, func(c *filterClause) bool { return !holds(c) })
}

// interval is the numbers that are left, and what their bits must be.
type interval struct {
	low, high int64
	set       uint64 // bits that must be set
	clear     uint64 // bits that must not
	empty     bool
}

// enumerable is how many numbers are tried one by one.
const enumerable = 1024

func numbersContradict(is, not []*filterClause) bool {
	if !slices.ContainsFunc(is, func(c *filterClause) bool { return c.test.kind != testAny }) {
		return false // whatever the value, even one that is no number
	}
	r := interval{low: math.MinInt64, high: math.MaxInt64}
	switch is[0].test.syntax {
	case SyntaxBoolean:
		r.low, r.high = 0, 1
	case SyntaxInteger:
		r.low, r.high = math.MinInt32, math.MaxInt32
	}
	for _, c := range is {
		r.narrow(&c.test)
	}
	for _, c := range not {
		r.exclude(&c.test)
	}
	if r.empty || r.low > r.high || r.set&r.clear != 0 {
		return true
	}
	if slices.ContainsFunc(is, func(c *filterClause) bool { return c.test.kind == testAnyBit && c.test.bits&^r.clear == 0 }) ||
		slices.ContainsFunc(not, func(c *filterClause) bool { return c.test.kind == testAllBits && c.test.bits&^r.set == 0 }) {
		return true
	}
	if uint64(r.high)-uint64(r.low) >= enumerable {
		return false
	}
	for n := r.low; ; n++ {
		if satisfies(datum{number: n}, is, not) {
			return false
		}
		if n == r.high {
			return true
		}
	}
}

func (r *interval) narrow(t *valueTest) {
	switch t.kind {
	case testFrom:
		r.low = max(r.low, t.number)
	case testTo:
		r.high = min(r.high, t.number)
	case testAllBits:
		r.set |= t.bits
	}
}

func (r *interval) exclude(t *valueTest) {
	switch t.kind {
	case testFrom:
		r.empty = r.empty || t.number == math.MinInt64
		r.high = min(r.high, max(t.number, math.MinInt64+1)-1)
	case testTo:
		r.empty = r.empty || t.number == math.MaxInt64
		r.low = max(r.low, min(t.number, math.MaxInt64-1)+1)
	case testAnyBit:
		r.clear |= t.bits
	}
}

// boundsContradict compares the bounds of texts: at least, at most, and the negations of both.
func boundsContradict(is, not []*filterClause) bool {
	bounds := func(all []*filterClause, k testKind) []string {
		var b []string
		for _, c := range all {
			if c.test.kind == k {
				b = append(b, c.test.text)
			}
		}
		return b
	}
	for _, low := range bounds(is, testFrom) {
		if slices.ContainsFunc(bounds(is, testTo), func(high string) bool { return low > high }) ||
			slices.ContainsFunc(bounds(not, testFrom), func(high string) bool { return low >= high }) {
			return true
		}
	}
	for _, low := range bounds(not, testTo) {
		if slices.ContainsFunc(bounds(is, testTo), func(high string) bool { return low >= high }) ||
			slices.ContainsFunc(bounds(not, testFrom), func(high string) bool { return low >= high }) {
			return true
		}
	}
	return false
}

func patternsContradict(is, not []*filterClause) bool {
	for i, c := range is {
		if c.test.kind != testPattern {
			continue
		}
		p := c.test.parts
		if slices.ContainsFunc(is[:i], func(o *filterClause) bool { return o.test.kind == testPattern && endsDiffer(p, o.test.parts) }) ||
			slices.ContainsFunc(not, func(o *filterClause) bool { return o.test.kind == testPattern && implies(p, o.test.parts) }) {
			return true
		}
	}
	return false
}

// endsDiffer says that no value begins, or ends, as both patterns want.
func endsDiffer(a, b []string) bool {
	a1, b1, a2, b2 := a[0], b[0], a[len(a)-1], b[len(b)-1]
	return !strings.HasPrefix(a1, b1) && !strings.HasPrefix(b1, a1) || !strings.HasSuffix(a2, b2) && !strings.HasSuffix(b2, a2)
}

// implies says that what matches p matches q: each part of q lies within a part of p, in order.
func implies(p, q []string) bool {
	last, end := len(p)-1, len(q)-1
	if !strings.HasPrefix(p[0], q[0]) || !strings.HasSuffix(p[last], q[end]) {
		return false
	}
	places := slices.Clone(p)
	places[0] = p[0][len(q[0]):]
	places[last] = p[last][:len(p[last])-len(q[end])]
	for _, part := range q[1:end] {
		for {
			if len(places) == 0 {
				return false
			}
			if i := strings.Index(places[0], part); i >= 0 {
				places[0] = places[0][i+len(part):]
				break
			}
			places = places[1:]
		}
	}
	return true
}
