package scoping

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// filterClause is one comparison, prepared when it was parsed.
type filterClause struct {
	op              filterOp
	attribute       AttributeType // only the name, as written, if it is not known
	key             string        // the name in lower case
	value           string        // unescaped
	parts           []string      // of a substring comparison: what stands before, between and after the asterisks
	nameAt, valueAt int
	problem         *FilterProblem // why it is undefined for every object; nil if it is not
	test            valueTest
	target          DN // in chain
}

func newClause(op filterOp, name string, parts []string, nameAt, valueAt int) *filterClause {
	c := &filterClause{op: op, key: strings.ToLower(name), value: parts[0], nameAt: nameAt, valueAt: valueAt}
	switch {
	case len(parts) == 2 && parts[0] == "" && parts[1] == "":
		c.op = opPresent
	case len(parts) > 1:
		c.op, c.value, c.parts = opSubstrings, "", parts
	}
	known := false
	if c.attribute, known = LookupAttribute(name); !known {
		c.attribute.Name = name
	}
	c.problem = c.prepare(known)
	return c
}

func (c *filterClause) same(o *filterClause) bool {
	return c.key == o.key && c.value == o.value && slices.Equal(c.parts, o.parts)
}

func (c *filterClause) bad(at int, what, hint string) *FilterProblem {
	return &FilterProblem{at, what, hint}
}

// prepare reads the value by the attribute's syntax.
func (c *filterClause) prepare(known bool) *FilterProblem {
	c.test.syntax = c.attribute.Syntax
	name := c.attribute.Name
	switch {
	case !known:
		return c.bad(c.nameAt, fmt.Sprintf("%q is not known as an attribute of users, groups, contacts, computers or OUs, so neither this nor its negation selects anything", name), nearestAttribute(c.key))
	case c.attribute.Constructed:
		return c.bad(c.nameAt, name+" is computed when it is read, so no filter finds it", "compare an attribute that is stored")
	case secrets[c.key]:
		return c.bad(c.nameAt, name+" is secret, so no filter finds it", "compare another attribute")
	}
	switch c.op {
	case opEqual, opApprox:
		return c.prepareEqual()
	case opAtLeast, opAtMost:
		return c.prepareRange()
	case opSubstrings:
		return c.prepareSubstrings()
	case opAllBits, opAnyBit:
		return c.prepareBits()
	case opChain:
		return c.prepareChain()
	}
	return nil
}

// illTyped says that the value is none of the attribute's syntax.
func (c *filterClause) illTyped(value string) *FilterProblem {
	hints := map[Syntax]string{
		SyntaxText:         "write UTF-8",
		SyntaxInteger:      "write a decimal number of 32 bits, without zeros in front, such as 512 or -2147483646",
		SyntaxLargeInteger: "write a decimal number of 64 bits, without zeros in front, such as 9223372036854775807",
		SyntaxBoolean:      "write TRUE or FALSE",
		SyntaxTime:         "write YYYYMMDDHHMMSS.0Z, such as 20260131093000.0Z",
		SyntaxOctets:       `write 16 bytes as \c7\23..., or the text form 8-4-4-4-12`,
		SyntaxName:         "write a whole DN, such as CN=Ann,OU=Sales,DC=contoso,DC=test",
		SyntaxNameData:     "write B:count:hex:DN",
		SyntaxSID:          `write S-1-5-21-..., or its bytes as \01\05...`,
		SyntaxClass:        "write the class's name, such as user",
	}
	return c.bad(c.valueAt, fmt.Sprintf("%q is no %s, as %s is", value, c.attribute.Syntax, c.attribute.Name), hints[c.attribute.Syntax])
}

func (c *filterClause) prepareEqual() *FilterProblem {
	t, s := &c.test, c.attribute.Syntax
	t.kind = testExact
	ok := true
	switch {
	case s.numeric():
		t.number, ok = s.number(c.value)
	case c.key == "objectguid":
		t.text, ok = guidValue(c.value)
	case c.key == "objectcategory" && !strings.Contains(c.value, "="):
		ok = c.prepareCategory()
	case s == SyntaxSID:
		t.text, ok = sidValue(c.value)
	case s == SyntaxClass:
		t.text, ok = strings.ToLower(c.value), c.value != "" && !strings.Contains(c.value, ".")
	case s == SyntaxDescriptor:
		return c.bad(c.nameAt, c.attribute.Name+" is a security descriptor, which cannot be compared", fmt.Sprintf("write (%s=*) for any", c.attribute.Name))
	default:
		t.text, ok = s.canonical([]byte(c.value))
	}
	if !ok {
		return c.illTyped(c.value)
	}
	if s == SyntaxName && plainName(c.value) {
		t.plain = c.value
	}
	return nil
}

func guidValue(v string) (string, bool) {
	if g, err := ParseGUID(v); err == nil && len(v) == 36 {
		return string(g[:]), true
	}
	return v, len(v) == len(GUID{})
}

func sidValue(v string) (string, bool) {
	if b, err := sidBytes(v); err == nil {
		return string(b), true
	}
	return v, validSID(v)
}

// prepareCategory takes the name of a class for its category, whose schema object's DN begins with it: (objectCategory=user)
// is (objectCategory=CN=Person,CN=Schema,CN=Configuration,...) (MS-ADTS 3.1.1.3.1.3.5).
func (c *filterClause) prepareCategory() bool {
	row, ok := classTable[strings.ToLower(c.value)]
	c.test.kind = testPattern
	c.test.parts = []string{MustParseDN("CN="+EscapeValue(cmp.Or(row.category, "-"))).Key() + ",CN=SCHEMA,", ""}
	return ok
}

func (c *filterClause) prepareRange() *FilterProblem {
	t, s := &c.test, c.attribute.Syntax
	t.kind = testFrom
	if c.op == opAtMost {
		t.kind = testTo
	}
	ok := false
	switch {
	case s.ordered():
		t.number, ok = s.number(c.value)
	case s == SyntaxText || s == SyntaxExact:
		t.text, ok = s.canonical([]byte(c.value))
	default:
		return c.bad(c.nameAt, fmt.Sprintf("values of %s (%s) have no order", c.attribute.Name, s), "compare with = or leave it out")
	}
	if !ok {
		return c.illTyped(c.value)
	}
	return nil
}

func (c *filterClause) prepareSubstrings() *FilterProblem {
	s, name := c.attribute.Syntax, c.attribute.Name
	if !s.substrings() || c.key == "objectguid" {
		hint := fmt.Sprintf("write (%s=...) with a whole value, or (%s=*) for any", name, name)
		if s == SyntaxName {
			hint = fmt.Sprintf("write (%s=...) with a whole DN, or select by subtree", name)
		}
		return c.bad(c.valueAt, fmt.Sprintf("values of %s (%s) are compared as a whole, so \"*\" finds nothing", name, s), hint)
	}
	c.test.kind, c.test.parts = testPattern, slices.Clone(c.parts)
	if s != SyntaxText {
		return nil
	}
	last := len(c.parts) - 1
	for i, part := range c.parts {
		if !utf8.ValidString(part) {
			return c.illTyped(part)
		}
		c.test.parts[i] = foldPart(part)
	}
	c.test.parts[0] = strings.TrimLeft(c.test.parts[0], " ")
	c.test.parts[last] = strings.TrimRight(c.test.parts[last], " ")
	return nil
}

func (c *filterClause) prepareBits() *FilterProblem {
	t, s := &c.test, c.attribute.Syntax
	if s != SyntaxInteger && s != SyntaxLargeInteger {
		return c.bad(c.nameAt, fmt.Sprintf("%s (%s) has no bits", c.attribute.Name, s), "compare bits of integers, such as userAccountControl")
	}
	t.kind = testAllBits
	if c.op == opAnyBit {
		t.kind = testAnyBit
	}
	if u, err := strconv.ParseUint(c.value, 10, 64); err == nil && plainNumber(c.value) {
		t.bits = u
		return nil
	}
	n, ok := SyntaxLargeInteger.number(c.value)
	t.bits = uint64(n)
	if !ok {
		return c.bad(c.valueAt, fmt.Sprintf("%q is no bit mask", c.value), "write a decimal number, such as 2 for a disabled account")
	}
	return nil
}

func (c *filterClause) prepareChain() *FilterProblem {
	if !c.attribute.Link || c.attribute.Syntax != SyntaxName {
		return c.bad(c.nameAt, c.attribute.Name+" is no link, so no chain can be followed", "follow memberOf, member, manager or directReports")
	}
	d, err := ParseDN(c.value)
	if err != nil || d.IsZero() {
		return c.illTyped(c.value)
	}
	c.target = d
	return nil
}
