package scoping

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// FilterProblem is one thing in a filter that Active Directory would never match, that its servers answer differently, or
// that a person surely did not mean.
type FilterProblem struct {
	Offset int    // the byte where it stands in the text that was parsed, from 0
	What   string // what is wrong
	Hint   string // what to write instead
}

// String gives "at byte N: what (hint)".
func (p FilterProblem) String() string {
	return fmt.Sprintf("at byte %d: %s (%s)", p.Offset, p.What, p.Hint)
}

// Check gives the problems in the order of the text; none means that the filter may decide who owns an object.
func (f Filter) Check() []FilterProblem {
	var found []FilterProblem
	f.root.walk(func(n *filterNode) {
		if n.clause != nil {
			found = append(found, n.clause.check()...)
		} else if len(n.kids) == 0 {
			found = append(found, emptySet(n))
		}
	})
	slices.SortStableFunc(found, func(a, b FilterProblem) int { return cmp.Compare(a.Offset, b.Offset) })
	return found
}

func emptySet(n *filterNode) FilterProblem {
	if n.op == opAnd {
		return FilterProblem{n.offset, "(&) selects everything", "leave it out"}
	}
	return FilterProblem{n.offset, "(|) selects nothing", "put at least one filter into it"}
}

func (c *filterClause) check() []FilterProblem {
	var found []FilterProblem
	if c.problem != nil {
		found = append(found, *c.problem)
	}
	if why := unsteady[c.key]; why != "" {
		found = append(found, FilterProblem{c.nameAt, c.attribute.Name + " " + why + ", so it must not decide who owns an object",
			"choose by an attribute that somebody sets, or by a group"})
	}
	if c.problem != nil {
		return found
	}
	if p := c.doubtful(); p != nil {
		found = append(found, *p)
	}
	return found
}

// doubtful finds what is defined but hardly meant.
func (c *filterClause) doubtful() *FilterProblem {
	s, name := c.attribute.Syntax, c.attribute.Name
	switch {
	case (c.op == opAtLeast || c.op == opAtMost) && !s.ordered():
		return c.bad(c.nameAt, fmt.Sprintf("%s is %s, which the directory orders by the rules of a language", name, s),
			fmt.Sprintf("write (%s=A*) for a beginning, or compare an integer or a time", name))
	case c.op == opAllBits && c.test.bits == 0:
		return c.bad(c.valueAt, "a mask without a bit matches every value", fmt.Sprintf("write (%s=*)", name))
	case c.op == opAnyBit && c.test.bits == 0:
		return c.bad(c.valueAt, "a mask without a bit matches no value", "write the bits, such as 2 for a disabled account")
	case s == SyntaxClass && c.op == opEqual && !knownClass(c.test.text):
		return c.bad(c.valueAt, fmt.Sprintf("%q is not known as a class of the schema", c.value), "write one such as user, group, contact or computer")
	case c.op == opEqual && c.value == "" || c.op == opApprox && c.value == "":
		return c.bad(c.valueAt, "no value is empty, so this matches nothing", fmt.Sprintf("write (!(%s=*)) for objects without a value", name))
	case s == SyntaxText && strings.ContainsRune(c.value+strings.Join(c.parts, ""), 0):
		return c.bad(c.valueAt, "the text holds a NUL, which texts do not", "leave it out")
	}
	return nil
}

func knownClass(name string) bool {
	_, ok := classTable[name]
	return ok
}

// nearestAttribute gives the advice for a name that is not known.
func nearestAttribute(key string) string {
	best, least := "", 3
	for _, table := range []map[string]attributeRow{attributeTable, moreAttributes} {
		for _, k := range slices.Sorted(maps.Keys(table)) {
			if d := EditDistance(key, k, least); d < least {
				best, least = table[k].name, d
			}
		}
	}
	if best == "" {
		return "choose by an attribute of Microsoft's schema, or by a group"
	}
	return "did you mean " + best + "?"
}

// EditDistance returns how many bytes have to be put in, taken out or replaced to make b of a; it stops counting at limit.
func EditDistance(a, b string, limit int) int {
	if d := len(a) - len(b); d >= limit || -d >= limit {
		return limit
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		corner := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := corner
			if a[i] != b[j] {
				change++
			}
			corner = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return min(row[len(b)], limit)
}
