package language_test

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tandem-sync/tandem/plugins/expression/language"
)

// expressions makes expressions in their usual form, with whatever names and counts.
func expressions(depth int) *rapid.Generator[string] {
	word := rapid.StringMatching(`[A-Za-z_][A-Za-z0-9_]{0,8}`)
	leaf := rapid.OneOf(
		rapid.Map(rapid.StringMatching(`[a-zA-Z:.$ ]{0,6}[a-z]`), func(s string) string { return "[" + strings.TrimSpace("a"+s) + "]" }),
		rapid.Map(rapid.String(), func(s string) string { return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"` }),
		rapid.Map(rapid.Int64(), itoa),
		rapid.Map(word, func(s string) string { return "%" + s + "%" }),
		word,
	)
	if depth == 0 {
		return leaf
	}
	inner := expressions(depth - 1)
	call := rapid.Custom(func(t *rapid.T) string {
		var b strings.Builder
		b.WriteString(word.Draw(t, "name") + "(")
		n := rapid.IntRange(0, 4).Draw(t, "arguments")
		for i := range n {
			omitted := n > 1 && rapid.Bool().Draw(t, "omitted")
			switch {
			case i > 0 && omitted:
				b.WriteString(",")
			case i > 0:
				b.WriteString(", ")
			}
			if !omitted {
				b.WriteString(inner.Draw(t, "argument"))
			}
		}
		return b.String() + ")"
	})
	joined := rapid.Custom(func(t *rapid.T) string { return leaf.Draw(t, "left") + " & " + call.Draw(t, "right") })
	compared := rapid.Custom(func(t *rapid.T) string {
		return "Test(" + joined.Draw(t, "left") + " " + rapid.SampledFrom([]string{"=", "<>", "<", "<=", ">", ">="}).Draw(t, "operator") + " (" + joined.Draw(t, "right") + "))"
	})
	return rapid.OneOf(leaf, call, call, call, joined, compared)
}

func TestWhatIsPrintedReadsTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		source := expressions(3).Draw(t, "expression")
		e, err := language.Parse(source)
		if err != nil {
			t.Fatalf("%q: %v", source, err)
		}
		if got := e.String(); got != source {
			t.Fatalf("%q is printed as %q", source, got)
		}
	})
}

// Left, Right, Mid and Len against the sentences of their page, character by character.
func TestPartsOfTextsAreWhatThePageSays(t *testing.T) {
	programs := map[string]*language.Program{}
	for _, f := range []string{"Left([s], [n])", "Right([s], [n])", "Mid([s], [m], [n])", "Len([s])", "InStr([s], [p])"} {
		programs[f] = compile(t, f)
	}
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.StringOfN(rapid.SampledFrom([]rune("abž李e\u0301😀")), 0, 8, -1).Draw(t, "s")
		n, m := rapid.IntRange(-2, 10).Draw(t, "n"), rapid.IntRange(-2, 10).Draw(t, "m")
		p := rapid.StringOfN(rapid.SampledFrom([]rune("abž")), 1, 2, -1).Draw(t, "p")
		runes := []rune(s)
		take := func(from, to int) string { return string(runes[min(from, len(runes)):min(to, len(runes))]) }
		want := map[string]string{"Len([s])": itoa(int64(len(runes))), "InStr([s], [p])": "0"}
		for i := range runes {
			if strings.HasPrefix(string(runes[i:]), p) {
				want["InStr([s], [p])"] = itoa(int64(i + 1))
				break
			}
		}
		want["Left([s], [n])"], want["Right([s], [n])"], want["Mid([s], [m], [n])"] = s, s, s
		if n >= 0 {
			want["Left([s], [n])"], want["Right([s], [n])"] = take(0, n), take(max(0, len(runes)-n), len(runes))
		}
		if n == 0 {
			want["Mid([s], [m], [n])"] = ""
		} else if n > 0 && m > 0 && m <= len(runes) {
			want["Mid([s], [m], [n])"] = take(m-1, m-1+n)
		}
		facts := language.Facts{Attributes: map[string][]string{"s": {s}, "n": {itoa(int64(n))}, "m": {itoa(int64(m))}, "p": {p}}}
		for f, w := range want {
			got, err := programs[f].Value(facts)
			if err != nil || strings.Join(got.Values, "|") != w {
				t.Fatalf("%s of %q, m=%d, n=%d, p=%q is %q, want %q (%v)", f, s, m, n, p, got.Values, w, err)
			}
		}
	})
}

func itoa(n int64) string {
	if n < 0 && -n < 0 {
		return "-9223372036854775808"
	}
	if n < 0 {
		return "-" + itoa(-n)
	}
	if n < 10 {
		return string(rune('0' + n))
	}
	return itoa(n/10) + string(rune('0'+n%10))
}

func seeds(f *testing.F) {
	for _, fn := range language.Functions() {
		for _, x := range fn.Examples {
			f.Add(x.Expression)
		}
	}
	for _, s := range []string{`"\`, `[`, `%%`, `&H`, `-`, `IIF(`, "a(,)", "\xff", `((((`, `Replace([a],, "(?<x>a)+?",, "${x}$$$1",,)`} {
		f.Add(s)
	}
}

// Whatever is read prints in a form that reads the same; whatever is not has a place within the text.
func FuzzParse(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, source string) {
		e, err := language.Parse(source)
		var placed *language.Error
		switch {
		case err == nil:
			printed := e.String()
			again, err := language.Parse(printed)
			if err != nil && len(printed) <= language.MaxSource {
				t.Fatalf("%q is printed as %q: %v", source, printed, err)
			}
			if err == nil && again.String() != printed {
				t.Fatalf("%q is printed as %q and then as %q", source, printed, again.String())
			}
		case !errors.As(err, &placed) || placed.At.Line < 1 || placed.At.Column < 1 || placed.At.Line > 1+strings.Count(source, "\n"):
			t.Fatalf("%q: %v", source, err)
		}
	})
}

// Whatever compiles evaluates to something within its bounds, or to an error with a place, and to the same every time.
func FuzzValue(f *testing.F) {
	for _, fn := range language.Functions() {
		for _, x := range fn.Examples {
			f.Add(x.Expression, "Ann")
		}
	}
	f.Fuzz(func(t *testing.T, source, text string) {
		e, err := language.Parse(source)
		if err != nil || len(source) > 2000 {
			return
		}
		p, err := e.Compile(schema)
		if err != nil {
			return
		}
		facts := language.Facts{Attributes: map[string][]string{}, Macros: map[string]string{"DomainFQDN": text}}
		for _, name := range p.Reads() {
			facts.Attributes[name] = []string{text}
			if len(name)%2 == 0 {
				facts.Attributes[name] = []string{text, "b" + text}
			}
		}
		first, firstErr := p.Value(facts)
		again, againErr := p.Value(facts)
		if strings.Contains(source, "Replace") && (firstErr != nil || againErr != nil) {
			return // time is one of its bounds
		}
		if !cmp.Equal(first, again) || (firstErr == nil) != (againErr == nil) {
			t.Fatalf("%s gives %v, %v and then %v, %v", source, first, firstErr, again, againErr)
		}
		var placed *language.Error
		if firstErr != nil && !errors.As(firstErr, &placed) {
			t.Fatalf("%s: %v has no place", source, firstErr)
		}
		for _, v := range append(first.Values, first.Candidates...) {
			if len(v) > language.MaxText || utf8.ValidString(text) && !utf8.ValidString(v) {
				t.Fatalf("%s gives %d bytes: %.50q", source, len(v), v)
			}
		}
	})
}

// Whatever pattern and replacement are written, they are refused when the expression is compiled, or give a text or an error with a place.
func FuzzReplace(f *testing.F) {
	f.Add(`(?<a>x+)`, `${a}$1$$$&`, "xxy", "a")
	f.Add(`^.*?,(?=(?:CN|OU|DC)=)`, ``, "CN=a,OU=b", "")
	f.Add(`(a+)+$`, `$0`, "aaaaaaaaaaaaaaaaaaaaaaa!", "1")
	f.Add(`(?<=(?<x>b))c`, ``, "bc", "x")
	f.Fuzz(func(t *testing.T, pattern, replacement, text, group string) {
		// Each by itself: half a rune at the end of one and half at the beginning of the next are valid together.
		valid := utf8.ValidString(pattern) && utf8.ValidString(replacement) && utf8.ValidString(text) && utf8.ValidString(group)
		if len(pattern) > 60 || len(text) > 40 || len(replacement) > 60 || !valid {
			return
		}
		quote := func(s string) string { return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"` }
		for _, source := range []string{"Replace([a],, " + quote(pattern) + ",, " + quote(replacement) + ",,)", "Replace([a],, " + quote(pattern) + "," + quote(group) + ", " + quote(replacement) + ",,)",
			"Replace(NULL,, " + quote(pattern) + "," + quote(group) + ",, [a],)"} {
			e, err := language.Parse(source)
			if err != nil {
				t.Fatalf("%s: %v", source, err)
			}
			p, err := e.Compile(schema)
			if err != nil {
				continue
			}
			var placed *language.Error
			if v, err := p.Value(language.Facts{Attributes: map[string][]string{"a": {text}}}); err != nil && !errors.As(err, &placed) {
				t.Fatalf("%s: %v, %v", source, v, err)
			}
		}
	})
}
