package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// visible returns a string in which nothing acts on a terminal: what a directory's administrator writes into a name would otherwise move the cursor,
// hide lines or set the window's title of whoever runs tandem. Control characters and marks that reverse the reading direction become escapes of Go's
// kind. Lines are kept only where lines says so: a name must not begin a line of its own.
func visible(s string, lines bool) string {
	safe := func(r rune) bool {
		return (r == '\n' && lines) || r == '\t' || (!unicode.IsControl(r) && !directs(r))
	}
	if strings.IndexFunc(s, func(r rune) bool { return !safe(r) }) < 0 {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		switch {
		case safe(r):
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r < 0x100:
			fmt.Fprintf(&b, `\x%02x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

// directs reports whether a character changes the direction in which others are read (Unicode TR 9), or separates lines.
func directs(r rune) bool {
	return r == 0x061C || r == 0x200E || r == 0x200F || (r >= 0x2028 && r <= 0x202E) || (r >= 0x2066 && r <= 0x2069)
}

// textKey is the key of results under which a file's whole text stands, with its lines.
const textKey = "text"

// visibleResult makes every string of a result visible, before a view prints it. JSON output stays as it is.
func visibleResult(b json.RawMessage) (json.RawMessage, error) {
	if harmless(b) {
		return b, nil // decoding ten thousand objects a second time takes longer than showing them
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, fmt.Errorf("the answer is not understood: %w", err)
	}
	return json.Marshal(visibleValue(v, false))
}

// plainEscapes are the escapes of JSON that stand for what acts on no terminal; the last ones are how Go encodes &, < and >.
var plainEscapes = []string{`\"`, `\\`, `\/`, `\t`, `\u0026`, `\u003c`, `\u003e`}

// harmless reports whether no string of a JSON document has anything to be made visible. It may report false of one that has not.
func harmless(b []byte) bool {
	for len(b) > 0 {
		if b[0] == '\\' {
			i := slices.IndexFunc(plainEscapes, func(e string) bool { return bytes.HasPrefix(b, []byte(e)) })
			if i < 0 {
				return false
			}
			b = b[len(plainEscapes[i]):]
			continue
		}
		r, n := utf8.DecodeRune(b)
		if unicode.IsControl(r) && r != '\n' && r != '\r' && r != '\t' || directs(r) { // raw ends of lines stand between values alone
			return false
		}
		b = b[n:]
	}
	return true
}

func visibleValue(v any, lines bool) any {
	switch v := v.(type) {
	case string:
		return visible(v, lines)
	case []any:
		for i := range v {
			v[i] = visibleValue(v[i], lines)
		}
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, x := range v {
			out[visible(k, false)] = visibleValue(x, k == textKey)
		}
		return out
	}
	return v
}
