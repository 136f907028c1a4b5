package scoping

import (
	"encoding/hex"
	"strings"
	"unicode"
)

// String prints the name as Active Directory prints it: types in upper case, special characters behind a backslash,
// control characters as two hexadecimal digits, everything else as it is. [ParseDN] reads it back to an equal name.
func (d DN) String() string {
	var b strings.Builder
	for i, r := range d.rdns {
		if i > 0 {
			b.WriteByte(',')
		}
		r.print(&b)
	}
	return b.String()
}

// String prints the relative name alone.
func (r RDN) String() string {
	var b strings.Builder
	r.print(&b)
	return b.String()
}

func (r RDN) print(b *strings.Builder) {
	for i, a := range r {
		if i > 0 {
			b.WriteByte('+')
		}
		a.print(b)
	}
}

// String prints "TYPE=value", escaped.
func (a AVA) String() string {
	var b strings.Builder
	a.print(&b)
	return b.String()
}

func (a AVA) print(b *strings.Builder) {
	b.WriteString(a.Type)
	b.WriteByte('=')
	if a.Raw {
		b.WriteByte('#')
		b.WriteString(hex.EncodeToString([]byte(a.Value)))
		return
	}
	for i := 0; i < len(a.Value); i++ {
		printByte(b, a.Value, i)
	}
}

func printByte(b *strings.Builder, v string, i int) {
	const digits = "0123456789ABCDEF"
	c := v[i]
	edge := c == ' ' && (i == 0 || i == len(v)-1) || c == '#' && i == 0
	switch {
	case c < ' ' || c == 0x7f:
		b.WriteByte('\\')
		b.WriteByte(digits[c>>4])
		b.WriteByte(digits[c&15])
	case edge || strings.IndexByte(",+\"\\<>;=", c) >= 0:
		b.WriteByte('\\')
		b.WriteByte(c)
	default:
		b.WriteByte(c)
	}
}

// EscapeValue escapes one attribute value for use in a distinguished name.
func EscapeValue(v string) string {
	var b strings.Builder
	for i := 0; i < len(v); i++ {
		printByte(&b, v, i)
	}
	return b.String()
}

// fold maps every character to the smallest of those that Unicode's simple case folding holds equal.
func fold(s string) string {
	return strings.Map(foldRune, s)
}

func foldRune(r rune) rune {
	if r < 0x80 && r != 'k' && r != 's' && r != 'K' && r != 'S' {
		if r >= 'a' && r <= 'z' {
			return r - 32
		}
		return r
	}
	least := r
	for o := unicode.SimpleFold(r); o != r; o = unicode.SimpleFold(o) {
		least = min(least, o)
	}
	return least
}
