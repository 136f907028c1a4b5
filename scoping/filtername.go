package scoping

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

// special marks the bytes that a plain name does not have, but for its separators.
var special = func() (marks [256]bool) {
	for c := range marks {
		marks[c] = c < ' ' || c == 0x7f || strings.ContainsRune(`\+"<>;=`, rune(c))
	}
	return marks
}()

// plainName says that a DN is spelled in the one usual way: short types, nothing escaped, no spaces around separators. Plain
// names are equal exactly if they are equal letter by letter without case, so they need no parsing: memberships are many.
func plainName[T string | []byte](dn T) bool {
	start := 0 // of the attribute type, -1 within a value
	for i := range len(dn) {
		switch c := dn[i]; {
		case start < 0 && c == ',':
			if i+1 == len(dn) || dn[i-1] == ' ' || dn[i-1] == '=' {
				return false
			}
			start = i + 1
		case start >= 0 && c == '=':
			if !shortType(string(dn[start:i])) || i+1 == len(dn) || dn[i+1] == ' ' || dn[i+1] == '#' {
				return false
			}
			start = -1
		case start >= 0 && (c|0x20 < 'a' || c|0x20 > 'z'):
			return false
		case special[c]:
			return false
		}
	}
	return start < 0 && dn[len(dn)-1] != ' '
}

// shortType leaves out the long names that [ParseDN] knows of, the shortest of which is userId.
func shortType(t string) bool {
	return t != "" && len(t) < len("userId") || strings.EqualFold(t, "STREET")
}

// equalsName compares a value with the name whose key and, if it is plain, whose spelling is given.
func equalsName(raw []byte, key, plain string) bool {
	if plain != "" && plainName(raw) {
		return bytes.EqualFold(raw, []byte(plain)) && utf8.Valid(raw)
	}
	got, ok := SyntaxName.canonical(raw)
	return ok && got == key
}
