package scoping

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

var opSigns = map[filterOp]string{
	opAnd: "&", opOr: "|", opNot: "!", opEqual: "=", opApprox: "~=", opAtLeast: ">=", opAtMost: "<=", opPresent: "=", opSubstrings: "=",
	opAllBits: ":" + ruleAllBits + ":=", opAnyBit: ":" + ruleAnyBit + ":=", opChain: ":" + ruleInChain + ":=",
}

func (n *filterNode) print(b *strings.Builder) {
	if n == nil {
		return
	}
	b.WriteByte('(')
	if n.clause != nil {
		n.clause.print(b)
	} else {
		b.WriteString(opSigns[n.op])
		for _, k := range n.kids {
			k.print(b)
		}
	}
	b.WriteByte(')')
}

func (c *filterClause) String() string {
	var b strings.Builder
	c.print(&b)
	return b.String()
}

func (c *filterClause) print(b *strings.Builder) {
	b.WriteString(c.attribute.Name)
	b.WriteString(opSigns[c.op])
	switch c.op {
	case opPresent:
		b.WriteByte('*')
	case opSubstrings:
		for i, part := range c.parts {
			if i > 0 {
				b.WriteByte('*')
			}
			escapeFilterValue(b, part)
		}
	default:
		escapeFilterValue(b, c.value)
	}
}

// EscapeFilterValue writes a value as it stands in a filter.
func EscapeFilterValue(v string) string {
	var b strings.Builder
	escapeFilterValue(&b, v)
	return b.String()
}

// escapeFilterValue escapes what RFC 4515 wants escaped, what cannot be seen, and spaces at the ends, which editors lose.
func escapeFilterValue(b *strings.Builder, v string) {
	const digits = "0123456789abcdef"
	for i := 0; i < len(v); {
		r, size := utf8.DecodeRuneInString(v[i:])
		edge := r == ' ' && (i == 0 || i == len(v)-1)
		bad := r == utf8.RuneError && size == 1
		if edge || bad || !unicode.IsPrint(r) || strings.ContainsRune(`*()\`, r) {
			for _, c := range []byte(v[i : i+size]) {
				b.WriteByte('\\')
				b.WriteByte(digits[c>>4])
				b.WriteByte(digits[c&15])
			}
		} else {
			b.WriteString(v[i : i+size])
		}
		i += size
	}
}
