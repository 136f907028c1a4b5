package language

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/dlclark/regexp2/v2"
)

// Bounds of a regular expression. .NET's engine goes back and tries again, which can take for ever: time is the only bound that holds for every
// pattern, so that a pattern which reaches it is an error, on this machine and now, and the object is left out with that reason.
const (
	maxPattern  = 4 << 10         // bytes of a pattern
	maxSearched = 8 << 10         // bytes of a text that is searched
	maxMatching = 1 * time.Second // for all matches of one evaluation
)

// pattern is a regular expression of .NET (https://learn.microsoft.com/dotnet/standard/base-types/regular-expressions).
type pattern struct {
	compiled *regexp2.Regexp
	group    string // whose finds are meant; "" is all that matches
}

func compilePattern(text string) (*pattern, error) {
	if len(text) > maxPattern {
		return nil, fmt.Errorf("it has %d bytes; %d are the most", len(text), maxPattern)
	}
	r, err := regexp2.Compile(text)
	if err != nil {
		why := strings.TrimPrefix(err.Error(), "error parsing regexp: ")
		return nil, errors.New(why)
	}
	r.MatchTimeout = maxMatching
	return &pattern{compiled: r}, nil
}

func (p *pattern) has(group string) bool { return p.compiled.GroupNumberFromName(group) >= 0 }

// stopwatch is the time that an evaluation spent with regular expressions.
type stopwatch struct{ spent time.Duration }

// matches calls f for each match in a text, in order, until f returns an error.
func (p *pattern) matches(w *stopwatch, in string, f func(*regexp2.Match) error) error {
	if len(in) > maxSearched {
		return fmt.Errorf("a text of %d bytes is too long for a regular expression; %d are the most", len(in), maxSearched)
	}
	began := time.Now()
	defer func() { w.spent += time.Since(began) }()
	m, err := p.compiled.FindStringMatch(strings.ToValidUTF8(in, "\uFFFD"))
	for ; m != nil && err == nil; m, err = p.compiled.FindNextMatch(m) {
		if err := f(m); err != nil {
			return err
		}
		if w.spent+time.Since(began) > maxMatching {
			return p.endless()
		}
	}
	if err != nil || w.spent+time.Since(began) > maxMatching { // the error's text has the whole value in it
		return p.endless()
	}
	return nil
}

func (p *pattern) endless() error {
	return fmt.Errorf("the pattern %s takes longer than %v for one value, or goes back too far: it has repetitions within repetitions", quote(prefix(p.compiled.String(), 100)), maxMatching)
}

// find returns what the group found first in a text, or "".
func (p *pattern) find(w *stopwatch, in string) (string, error) {
	found, done := "", errors.New("found")
	err := p.matches(w, in, func(m *regexp2.Match) error {
		if g := m.GroupByName(p.group); g != nil && len(g.Captures) > 0 {
			found = g.String()
			return done
		}
		return nil
	})
	if errors.Is(err, done) {
		err = nil
	}
	return found, err
}

// replaceGroup replaces what the group found in each match.
func (p *pattern) replaceGroup(w *stopwatch, in, with string) (string, error) {
	out := builder{in: []rune(strings.ToValidUTF8(in, "\uFFFD"))}
	err := p.matches(w, in, func(m *regexp2.Match) error {
		g := m.GroupByName(p.group)
		if g == nil {
			return nil
		}
		for _, c := range slices.SortedFunc(slices.Values(g.Captures), func(a, b regexp2.Capture) int { return a.RuneIndex - b.RuneIndex }) {
			if err := out.put(c.RuneIndex, c.RuneIndex+c.RuneLength, with); err != nil {
				return err
			}
		}
		return nil
	})
	return out.rest(), err
}

// replace replaces each match; in the replacement groups stand for what they found.
func (p *pattern) replace(w *stopwatch, in, with string) (string, error) {
	parts := p.parts(with)
	out := builder{in: []rune(strings.ToValidUTF8(in, "\uFFFD"))}
	err := p.matches(w, in, func(m *regexp2.Match) error {
		var b strings.Builder
		for _, part := range parts {
			b.WriteString(part.text)
			if g := part.of(m); g != nil {
				b.WriteString(g.String())
			}
			if b.Len() > MaxText {
				break
			}
		}
		return out.put(m.RuneIndex, m.RuneIndex+m.RuneLength, b.String())
	})
	return out.rest(), err
}

// builder makes a text of another by exchanging pieces from left to right.
type builder struct {
	in   []rune
	done int // characters of in that are dealt with
	out  strings.Builder
}

func (b *builder) put(from, to int, with string) error {
	if from < b.done {
		return nil // a group within a lookbehind reaches back over what was replaced
	}
	b.out.WriteString(string(b.in[b.done:from]) + with)
	b.done = to
	if b.out.Len() > MaxText {
		return fmt.Errorf("the result has more than %d bytes", MaxText)
	}
	return nil
}

func (b *builder) rest() string { return b.out.String() + string(b.in[b.done:]) }

// part is a piece of a replacement: a text, and a group after it.
type part struct {
	text   string
	name   string // of a group; "" is none
	number int    // of a group without a name
	whole  bool
}

func (p part) of(m *regexp2.Match) *regexp2.Group {
	switch {
	case p.whole:
		return &m.Group
	case p.name != "":
		return m.GroupByName(p.name)
	case p.number > 0:
		return m.GroupByNumber(p.number)
	}
	return nil
}

// parts reads a replacement: $1, ${1}, ${name}, $0 and $& are groups, $$ is a dollar sign
// (https://learn.microsoft.com/dotnet/standard/base-types/substitutions-in-regular-expressions). Of a group that the pattern does not have it is the text.
func (p *pattern) parts(s string) []part {
	var out []part
	text := ""
	for s != "" {
		before, after, found := strings.Cut(s, "$")
		text += before
		if !found {
			break
		}
		name, rest := reference(after)
		switch {
		case strings.HasPrefix(after, "$"):
			text, s = text+"$", after[1:]
			continue
		case name == "" || !p.has(name) && name != "&" && name != "0":
			text, s = text+"$", after
			continue
		}
		g := part{text: text, name: name, whole: name == "&" || name == "0"}
		if n, err := strconv.Atoi(name); err == nil {
			g.name, g.number = "", n
		}
		out, text, s = append(out, g), "", rest
	}
	return append(out, part{text: text})
}

// reference reads the name or number of a group behind a dollar sign.
func reference(s string) (name, rest string) {
	if inner, braced := strings.CutPrefix(s, "{"); braced {
		if name, rest, closed := strings.Cut(inner, "}"); closed && name != "" {
			return name, rest
		}
		return "", s
	}
	if strings.HasPrefix(s, "&") {
		return "&", s[1:]
	}
	n := strings.IndexFunc(s, func(r rune) bool { return !isDigit(r) })
	if n < 0 {
		n = len(s)
	}
	return s[:n], s[n:]
}

// unknownGroup returns the first group in braces that a replacement names and the pattern does not have, or "".
func (p *pattern) unknownGroup(s string) string {
	for _, after := range strings.Split(strings.ReplaceAll(s, "$$", ""), "$")[1:] {
		if name, _ := reference(after); strings.HasPrefix(after, "{") && name != "" && utf8.ValidString(name) && !p.has(name) && name != "0" {
			return name
		}
	}
	return ""
}
