package scoping

import (
	"slices"
	"strings"
)

// truth is a value of three-valued logic.
type truth int8

const (
	no        truth = -1
	undefined truth = 0
	yes       truth = 1
)

func truthOf(b bool) truth {
	if b {
		return yes
	}
	return no
}

// Matches says whether the filter selects the object: whether it is true, neither false nor undefined.
func (f Filter) Matches(e FilterEntry) bool { return f.root != nil && f.root.eval(e) == yes }

func (n *filterNode) eval(e FilterEntry) truth {
	switch n.op {
	case opAnd:
		all := yes
		for _, k := range n.kids {
			if all = min(all, k.eval(e)); all == no {
				break
			}
		}
		return all
	case opOr:
		one := no
		for _, k := range n.kids {
			if one = max(one, k.eval(e)); one == yes {
				break
			}
		}
		return one
	case opNot:
		return -n.kids[0].eval(e)
	}
	return n.clause.eval(e)
}

func (c *filterClause) eval(e FilterEntry) truth {
	if c.problem != nil {
		return undefined
	}
	switch c.op {
	case opChain:
		return truthOf(e.InChain(c.key, c.target))
	case opPresent:
		return truthOf(len(e.Values(c.key)) > 0)
	}
	return truthOf(slices.ContainsFunc(e.Values(c.key), c.test.matches))
}

type testKind uint8

const (
	testAny testKind = iota // any value at all
	testExact
	testPattern
	testFrom
	testTo
	testAllBits
	testAnyBit
)

// valueTest is what one value has to satisfy.
type valueTest struct {
	kind   testKind
	syntax Syntax
	text   string   // canonical, of syntaxes that are no numbers
	number int64    // of those that are
	parts  []string // canonical; the first stands at the beginning of the value, the last at its end
	bits   uint64
	plain  string // the spelling of a plain name, see plainName
}

// datum is a value in canonical form: a number for numeric syntaxes, else a text.
type datum struct {
	text   string
	number int64
}

func (s Syntax) datum(raw []byte) (datum, bool) {
	if s.numeric() {
		n, ok := s.number(string(raw))
		return datum{number: n}, ok
	}
	t, ok := s.canonical(raw)
	return datum{text: t}, ok
}

func (t *valueTest) matches(raw []byte) bool {
	if t.kind == testAny {
		return true
	}
	if t.kind == testExact && t.syntax == SyntaxName {
		return equalsName(raw, t.text, t.plain)
	}
	v, ok := t.syntax.datum(raw)
	return ok && t.holds(v)
}

func (t *valueTest) holds(v datum) bool {
	switch t.kind {
	case testAny:
		return true
	case testExact:
		return v == datum{t.text, t.number}
	case testPattern:
		return matchParts(t.parts, v.text)
	case testFrom:
		return v.number >= t.number && v.text >= t.text
	case testTo:
		return v.number <= t.number && v.text <= t.text
	case testAllBits:
		return uint64(v.number)&t.bits == t.bits
	}
	return uint64(v.number)&t.bits != 0
}

// matchParts does a*b*c: the parts in their order, without overlapping.
func matchParts(parts []string, v string) bool {
	last := len(parts) - 1
	rest, ok := strings.CutPrefix(v, parts[0])
	if !ok {
		return false
	}
	for _, part := range parts[1:last] {
		i := strings.Index(rest, part)
		if i < 0 {
			return false
		}
		rest = rest[i+len(part):]
	}
	return strings.HasSuffix(rest, parts[last])
}
