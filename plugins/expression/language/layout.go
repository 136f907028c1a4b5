package language

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// layouts are the pieces of .NET's custom date formats with what Go's package time calls them. Longer runs of a letter are not among them.
var layouts = map[string]string{
	"yyyy": "2006", "yy": "06", "MMMM": "January", "MMM": "Jan", "MM": "01", "M": "1", "dddd": "Monday", "ddd": "Mon", "dd": "02", "d": "2",
	"HH": "15", "H": "15", "hh": "03", "h": "3", "mm": "04", "m": "4", "ss": "05", "s": "5", "tt": "PM", "zzz": "-07:00", "zz": "-07", "K": "Z07:00", "Z": "Z",
}

// narrow are pieces of one digit or two, behind which another number would have no beginning.
var narrow = []string{"M", "d", "H", "h", "m", "s"}

// dateLayout translates a .NET custom date format into a layout of Go. A piece that Go cannot express, or would read as one of its own, is an error.
func dateLayout(format string, written bool) (string, error) {
	var b strings.Builder
	literal := func(s string) error {
		if strings.ContainsAny(s, "0123456789_JMPZ") && s != "Z" || strings.HasPrefix(s, "uary") || strings.HasPrefix(s, "day") {
			return fmt.Errorf("the literal text %s cannot stand in a date format here", quote(s))
		}
		b.WriteString(s)
		return nil
	}
	before := "" // the piece before this one, if it is a number without a fixed end
	for rest := format; rest != ""; {
		c := rest[0]
		run := rest[:len(rest)-len(strings.TrimLeft(rest, string(c)))]
		switch {
		case c == '\'':
			text, after, closed := strings.Cut(rest[1:], "'")
			if !closed {
				return "", fmt.Errorf("the date format %s has a ' without an end", quote(format))
			}
			if err := literal(text); err != nil {
				return "", err
			}
			rest, before = after, ""
			continue
		case before != "" && (layouts[run] != "" && isDigit(rune(layouts[run][0]))):
			return "", fmt.Errorf("the date format %s has %s directly behind %s", quote(format), run, before)
		case run == "H" && written:
			return "", fmt.Errorf("the date format %s writes the hour with H; write HH", quote(format))
		case layouts[run] != "":
			b.WriteString(layouts[run])
		case (c == 'f' || c == 'F') && len(run) <= 7 && strings.HasSuffix(b.String(), "."):
			b.WriteString(strings.Repeat(map[byte]string{'f': "0", 'F': "9"}[c], len(run)))
		case isWord(rune(c)):
			return "", fmt.Errorf("the date format %s has %s, which is not offered", quote(format), quote(run))
		default:
			_, size := utf8.DecodeRuneInString(rest)
			run = rest[:size]
			if err := literal(run); err != nil {
				return "", err
			}
		}
		before = ""
		if slices.Contains(narrow, run) || c == 'f' || c == 'F' {
			before = run
		}
		rest = rest[len(run):]
	}
	if format == "" {
		return "", fmt.Errorf("a date format is not empty")
	}
	return b.String(), nil
}
