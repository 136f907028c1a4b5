package scoping

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// witnessTries is how many combinations of alternatives are searched for an example.
const witnessTries = 64

// WhyNotDisjoint says in words why [Disjoint] proves nothing about the filters: with an example of an object that matches
// both, if one is found. It is empty if they are disjoint.
func WhyNotDisjoint(a, b Filter) string {
	overlaps, ok := commonTerms(a, b, witnessTries)
	for _, t := range overlaps {
		if w := t.witness(); w != nil && a.Matches(w) && b.Matches(w) {
			return w.sentence()
		}
	}
	if len(overlaps) > 0 {
		return fmt.Sprintf("nothing in %s contradicts itself, though no example was found", overlaps[0])
	}
	if !ok {
		return "the filters have too many combinations of alternatives to compare them all"
	}
	return ""
}

// String writes the term as a filter.
func (t term) String() string {
	var b strings.Builder
	b.WriteString("(&")
	for _, l := range t {
		if l.negated {
			fmt.Fprintf(&b, "(!(%s))", l.filterClause)
		} else {
			fmt.Fprintf(&b, "(%s)", l.filterClause)
		}
	}
	return b.String() + ")"
}

// example is a value as the directory has it, and as people write it.
type example struct{ raw, shown string }

// witness is an object made up to match.
type witness struct {
	groups []*literals
	values map[string][]example
}

// Values implements [FilterEntry].
func (w *witness) Values(attribute string) [][]byte {
	var raw [][]byte
	for _, x := range w.values[attribute] {
		raw = append(raw, []byte(x.raw))
	}
	return raw
}

// InChain implements [FilterEntry].
func (w *witness) InChain(attribute string, target DN) bool {
	return slices.ContainsFunc(w.groups, func(g *literals) bool {
		return g.key == attribute && slices.ContainsFunc(g.chained, func(c *filterClause) bool { return c.target.Equal(target) })
	})
}

// witness gives an object for the term, or nil if none is found for one of its attributes.
func (t term) witness() *witness {
	w := &witness{groups: t.groups(), values: map[string][]example{}}
	for _, g := range w.groups {
		chosen, ok := g.choose()
		if !ok {
			return nil
		}
		w.values[g.key] = chosen
	}
	return w
}

// choose finds values that satisfy the literals.
func (g *literals) choose() ([]example, bool) {
	if len(g.is) == 0 {
		return nil, true
	}
	if g.key == "objectclass" {
		return g.chooseClasses()
	}
	candidates := g.candidates()
	if g.attribute.Single {
		x, ok := pickExample(candidates, g.is, g.not)
		return []example{x}, ok
	}
	var chosen []example
	for _, c := range g.is {
		x, ok := pickExample(candidates, []*filterClause{c}, g.not)
		if !ok {
			return nil, false
		}
		if !slices.Contains(chosen, x) {
			chosen = append(chosen, x)
		}
	}
	return chosen, true
}

func pickExample(from []example, is, not []*filterClause) (example, bool) {
	i := slices.IndexFunc(from, func(x example) bool {
		v, ok := is[0].test.syntax.datum([]byte(x.raw))
		return ok && satisfies(v, is, not)
	})
	if i < 0 {
		return example{}, false
	}
	return from[i], true
}

func (g *literals) chooseClasses() ([]example, bool) {
	wanted, others := []string{}, []string{}
	for _, c := range g.is {
		if c.op == opEqual || c.op == opApprox {
			wanted = append(wanted, c.test.text)
		}
	}
	for _, c := range g.not {
		others = append(others, c.test.text)
	}
	for _, class := range slices.Concat(wanted, []string{"user", "contact", "group", "computer", "inetorgperson", "organizationalunit"}) {
		chain := ancestry(class)
		for _, w := range wanted {
			if !structural(w) && !slices.Contains(chain, w) {
				chain = append(chain, w)
			}
		}
		missing := func(w string) bool { return !slices.Contains(chain, w) }
		if slices.ContainsFunc(wanted, missing) || slices.ContainsFunc(others, func(o string) bool { return !missing(o) }) {
			continue
		}
		slices.Reverse(chain)
		var chosen []example
		for _, c := range chain {
			chosen = append(chosen, example{c, c})
		}
		return chosen, true
	}
	return nil, false
}

// candidates are the values that the literals speak of and some beside them, the nicest first.
func (g *literals) candidates() []example {
	s := g.attribute.Syntax
	if s.numeric() {
		return g.numbers()
	}
	var all []example
	plain := func(v string) { all = append(all, example{v, v}) }
	if merged := g.mergedPattern(); merged != "" {
		plain(merged)
	}
	for _, c := range slices.Concat(g.is, g.not) {
		switch {
		case c.op == opPresent:
		case c.op == opSubstrings:
			plain(strings.Join(c.parts, ""))
			plain(strings.Join(c.parts, "x"))
		case c.test.kind == testPattern: // a category by its class
			plain("CN=" + classTable[strings.ToLower(c.value)].category + ",CN=Schema,CN=Configuration,DC=contoso,DC=test")
		case s == SyntaxSID || s == SyntaxOctets:
			all = append(all, example{c.test.text, c.value})
		default:
			plain(c.value)
			plain(c.value + "x")
		}
	}
	switch s {
	case SyntaxName:
		plain("CN=Somebody,DC=contoso,DC=test")
		plain("CN=Somebody else,DC=contoso,DC=test")
	case SyntaxNameData:
		plain("B:2:00:CN=Somebody,DC=contoso,DC=test")
	case SyntaxSID:
		all = append(all, example{"\x01\x02\x00\x00\x00\x00\x00\x05\x20\x00\x00\x00\x20\x02\x00\x00", "S-1-5-32-544"},
			example{"\x01\x01\x00\x00\x00\x00\x00\x05\x0b\x00\x00\x00", "S-1-5-11"})
	default:
		plain("something")
		plain("another")
	}
	return all
}

// mergedPattern gives a value with the longest beginning, the longest end, and everything that is to stand between.
func (g *literals) mergedPattern() string {
	var first, between, last string
	for _, c := range g.is {
		if c.op != opSubstrings {
			continue
		}
		end := len(c.parts) - 1
		first, last = longer(first, c.parts[0]), longer(last, c.parts[end])
		between += strings.Join(c.parts[1:end], "")
	}
	return first + between + last
}

func longer(a, b string) string {
	if len(b) > len(a) {
		return b
	}
	return a
}

func (g *literals) numbers() []example {
	s := g.attribute.Syntax
	var near, partial []int64
	var masks uint64
	for _, c := range slices.Concat(g.is, g.not) {
		switch c.op {
		case opAllBits, opAnyBit:
			partial = append(partial, int64(c.test.bits), int64(c.test.bits&-c.test.bits)) // the mask, and its lowest bit
		case opEqual, opApprox, opAtLeast, opAtMost:
			near = append(near, c.test.number, c.test.number+1, c.test.number-1)
		}
	}
	for _, c := range g.is {
		masks |= c.test.bits
	}
	if masks != 0 {
		near = append(near, int64(masks), int64(int32(masks)))
	}
	var all []example
	for _, n := range slices.Concat(near, partial, []int64{0, 1, 2}) {
		text := s.format(n)
		if _, ok := s.number(text); ok {
			all = append(all, example{text, text})
		}
	}
	return all
}

// format writes a number as the syntax's value.
func (s Syntax) format(n int64) string {
	switch s {
	case SyntaxBoolean:
		if n == 0 {
			return "FALSE"
		}
		return "TRUE"
	case SyntaxTime:
		return time.Unix(n, 0).UTC().Format("20060102150405.0Z")
	}
	return strconv.FormatInt(n, 10)
}

// sentence tells of the witness.
func (w *witness) sentence() string {
	var has, lacks, several []string
	for _, g := range w.groups {
		for _, c := range g.chained {
			has = append(has, fmt.Sprintf("%s leading to %s", c.attribute.Name, c.target))
		}
		values := w.values[g.key]
		switch {
		case g.key == "objectclass" && len(values) > 0:
			has = append(has, "objectClass="+values[len(values)-1].shown)
		case len(values) > 0:
			for _, v := range values {
				has = append(has, g.attribute.Name+"="+EscapeFilterValue(v.shown))
			}
		case g.absent || len(g.not) > 0:
			lacks = append(lacks, g.attribute.Name)
		}
		if g.key != "objectclass" && len(values) > 1 {
			several = append(several, g.attribute.Name)
		}
	}
	text := "an object"
	if len(has) > 0 {
		text += " with " + listed(has, "and")
	}
	if len(lacks) > 0 {
		text += " without " + listed(lacks, "and")
	}
	text += " matches both"
	if len(several) > 0 {
		text = listed(several, "and") + " may hold several values: " + text
	}
	return text
}

// listed gives "a, b and c".
func listed(words []string, and string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " " + and + " " + words[last]
}
