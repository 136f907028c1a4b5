package scoping

import (
	"encoding/hex"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Bounds of what [ParseFilter] reads.
const (
	MaxFilterBytes = 64 << 10
	MaxFilterDepth = 100 // parentheses within parentheses
)

// The matching rules of Active Directory (MS-ADTS 3.1.1.3.4.4).
const (
	ruleAllBits = "1.2.840.113556.1.4.803"
	ruleAnyBit  = "1.2.840.113556.1.4.804"
	ruleInChain = "1.2.840.113556.1.4.1941"
)

// FilterError says why a text is no filter.
type FilterError struct {
	Offset int    // the byte where it is wrong, from 0
	What   string // what is wrong
	Hint   string // what to write instead
}

// Error gives "at byte N: what (hint)".
func (e *FilterError) Error() string {
	return fmt.Sprintf("filter: at byte %d: %s (%s)", e.Offset, e.What, e.Hint)
}

// ParseFilter reads a filter as RFC 4515 has it, and white space and line ends between parentheses. Errors are of kind
// [*FilterError]. What parses may still be nonsense to the directory: see [Filter.Check].
func ParseFilter(s string) (Filter, error) {
	if len(s) > MaxFilterBytes {
		return Filter{}, &FilterError{MaxFilterBytes, fmt.Sprintf("the filter has %d bytes, more than %d", len(s), MaxFilterBytes),
			"name the objects by a group and use memberOf"}
	}
	p := &filterParser{s: s}
	p.space()
	if p.i == len(s) {
		return Filter{}, p.fail(0, "the filter is empty", "write one such as (department=Sales), or leave it out")
	}
	n, err := p.filter(1)
	if err != nil {
		return Filter{}, err
	}
	p.space()
	if p.i < len(s) {
		return Filter{}, p.fail(p.i, "there is more text after the end of the filter", "join several filters as (&(...)(...)) or (|(...)(...))")
	}
	return Filter{n}, nil
}

// MustParseFilter is for filters that are constants of the program; it panics on others.
func MustParseFilter(s string) Filter {
	f, err := ParseFilter(s)
	if err != nil {
		panic(err)
	}
	return f
}

// filterParser reads one filter; i is the next byte.
type filterParser struct {
	s string
	i int
}

func (p *filterParser) fail(at int, what, hint string) error { return &FilterError{at, what, hint} }

func (p *filterParser) space() {
	for p.i < len(p.s) && strings.IndexByte(" \t\r\n", p.s[p.i]) >= 0 {
		p.i++
	}
}

// peek gives the next byte, 0 at the end.
func (p *filterParser) peek() byte {
	if p.i < len(p.s) {
		return p.s[p.i]
	}
	return 0
}

func (p *filterParser) filter(depth int) (*filterNode, error) {
	start := p.i
	if p.peek() != '(' {
		return nil, p.fail(start, "a filter begins with \"(\"", "write each comparison in parentheses, such as (department=Sales)")
	}
	if depth > MaxFilterDepth {
		return nil, p.fail(start, fmt.Sprintf("the filter nests deeper than %d", MaxFilterDepth), "(&(a)(&(b)(c))) is (&(a)(b)(c)): write it flat")
	}
	p.i++
	p.space()
	n, err := p.content(depth)
	if err != nil {
		return nil, err
	}
	n.offset = start
	p.space()
	if p.peek() != ')' {
		return nil, p.fail(p.i, fmt.Sprintf("the \"(\" of character %d is not closed", start+1), "write \")\"")
	}
	p.i++
	return n, nil
}

func (p *filterParser) content(depth int) (*filterNode, error) {
	ops := map[byte]filterOp{'&': opAnd, '|': opOr, '!': opNot}
	op, ok := ops[p.peek()]
	if !ok {
		return p.comparison()
	}
	at := p.i
	p.i++
	n := &filterNode{op: op}
	for p.space(); p.peek() == '('; p.space() {
		k, err := p.filter(depth + 1)
		if err != nil {
			return nil, err
		}
		n.kids = append(n.kids, k)
	}
	if op == opNot && len(n.kids) != 1 {
		return nil, p.fail(at, fmt.Sprintf("\"!\" negates one filter, not %d", len(n.kids)), "write (!(attribute=value)), or (!(|(...)(...))) for several")
	}
	if c := p.peek(); c != ')' && c != 0 {
		return nil, p.fail(p.i, fmt.Sprintf("after %q there are filters in parentheses", p.s[at]), "write (&(attribute=value)(attribute=value))")
	}
	return n, nil
}

// comparison reads what stands between the parentheses of a clause.
func (p *filterParser) comparison() (*filterNode, error) {
	start := p.i
	for p.i < len(p.s) && strings.IndexByte("=<>~:()", p.s[p.i]) < 0 {
		p.i++
	}
	name := p.s[start:p.i]
	if c := p.peek(); c == 0 || c == '(' || c == ')' {
		return nil, p.fail(start, fmt.Sprintf("%q compares nothing", name), "write (attribute=value), or (attribute=*) for any value")
	}
	if err := p.attributeName(start, name); err != nil {
		return nil, err
	}
	op, err := p.operator(name)
	if err != nil {
		return nil, err
	}
	at := p.i
	parts, err := p.value(op == opEqual)
	if err != nil {
		return nil, err
	}
	c := newClause(op, name, parts, start, at)
	return &filterNode{op: c.op, clause: c}, nil
}

func (p *filterParser) attributeName(start int, name string) error {
	switch {
	case name == "":
		return p.fail(start, "there is no attribute before the comparison", "write (attribute=value)")
	case strings.TrimSpace(name) != name:
		return p.fail(start, fmt.Sprintf("the attribute %q has a space at its end", name), "write no space before the comparison")
	case strings.Contains(name, ";"):
		return p.fail(start, fmt.Sprintf("%q has an option", name), "write the attribute without \";\" and what follows")
	case strings.EqualFold(name, "anr"):
		return p.fail(start, "anr searches names by rules of the directory that are not known here", "name the attributes, such as (|(displayName=Ann*)(sn=Ann*))")
	case name[0] >= '0' && name[0] <= '9' || strings.HasPrefix(strings.ToLower(name), "oid."):
		return p.fail(start, fmt.Sprintf("%q is an object identifier", name), "write the attribute's name")
	}
	if c := name[0]; c == '-' || strings.IndexFunc(name, func(r rune) bool { return r > 0x7f || !typeByte(byte(r)) || r == '.' }) >= 0 {
		return p.fail(start, fmt.Sprintf("%q is no attribute name", name), "names have letters, digits and hyphens")
	}
	return nil
}

func (p *filterParser) operator(name string) (filterOp, error) {
	at := p.i
	for sign, op := range map[string]filterOp{"=": opEqual, ">=": opAtLeast, "<=": opAtMost, "~=": opApprox} {
		if strings.HasPrefix(p.s[at:], sign) {
			p.i += len(sign)
			return op, nil
		}
	}
	if p.s[at] != ':' {
		return 0, p.fail(at, fmt.Sprintf("LDAP has no comparison %q", p.s[at]), "write >= or <=, and (!(...)) around it for the rest")
	}
	end := strings.Index(p.s[at:], ":=")
	if end < 0 {
		return 0, p.fail(at, "\":\" begins a matching rule, which ends with \":=\"", "write (attribute:"+ruleAllBits+":=2), or (attribute=value)")
	}
	rule := strings.TrimPrefix(p.s[at:at+end], ":")
	p.i += end + 2
	switch {
	case rule == "":
		return 0, p.fail(at, "\":=\" needs a matching rule", fmt.Sprintf("write (%s=...)", name))
	case strings.EqualFold(rule, "dn") || strings.HasPrefix(strings.ToLower(rule), "dn:"):
		return 0, p.fail(at, "Active Directory does not compare the parts of the DN (\":dn\")", "select by subtree instead")
	case rule == ruleAllBits:
		return opAllBits, nil
	case rule == ruleAnyBit:
		return opAnyBit, nil
	case rule == ruleInChain:
		return opChain, nil
	}
	return 0, p.fail(at+1, fmt.Sprintf("the matching rule %q is not known", rule),
		"there are "+ruleAllBits+" (all bits), "+ruleAnyBit+" (any bit) and "+ruleInChain+" (in chain)")
}

// value reads up to the closing parenthesis: the unescaped parts between asterisks.
func (p *filterParser) value(stars bool) ([]string, error) {
	start, star := p.i, -1
	var parts []string
	var b strings.Builder
	for {
		c := p.peek()
		switch {
		case p.i == len(p.s) || c == ')':
			return append(parts, b.String()), nil
		case c == '*' && !stars:
			return nil, p.fail(p.i, "\"*\" stands for any text only after \"=\"", `write \2a for the character itself`)
		case c == '*' && star == p.i-1 && star >= 0:
			return nil, p.fail(p.i, "there is nothing between two \"*\"", `write one "*", or \2a for the character itself`)
		case c == '*':
			star = p.i
			parts = append(parts, b.String())
			b.Reset()
			p.i++
		case c == '\\':
			u, err := p.escape()
			if err != nil {
				return nil, err
			}
			b.WriteByte(u)
		case c == '(' || c == 0:
			return nil, p.fail(p.i, fmt.Sprintf("%q in the value that begins at byte %d", c, start), fmt.Sprintf(`write \%02x for the character itself, or ")" before it`, c))
		default:
			if err := p.character(&b); err != nil {
				return nil, err
			}
		}
	}
}

func (p *filterParser) character(b *strings.Builder) error {
	r, size := utf8.DecodeRuneInString(p.s[p.i:])
	if r == utf8.RuneError && size == 1 {
		return p.fail(p.i, "the value is not UTF-8", fmt.Sprintf(`write bytes as \%02x`, p.s[p.i]))
	}
	b.WriteString(p.s[p.i : p.i+size])
	p.i += size
	return nil
}

func (p *filterParser) escape() (byte, error) {
	if rest := p.s[p.i+1:]; len(rest) >= 2 {
		if b, err := hex.DecodeString(rest[:2]); err == nil {
			p.i += 3
			return b[0], nil
		}
	}
	return 0, p.fail(p.i, `after "\" there are two hexadecimal digits`, `write \28 \29 \2a \5c for ( ) * \`)
}
