package scoping_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/tandem-sync/tandem/scoping"
)

// TestNamesCompareAsParsedNamesDo holds the short cut for names without anything special to what the parser says.
func TestNamesCompareAsParsedNamesDo(t *testing.T) {
	piece := rapid.SampledFrom([]string{"CN=", "cn=", "OU=", "commonName=", "userId=", "UID=", "street=", "2.5.4.3=", "OID.2.5.4.3=", "a", "A", "B", "k",
		"\u212a", "ß", "ẞ", "é", "\ufffd", "\xff", ",", ",", ",DC=x", " ", "+", "#", "=", `\,`, `\2C`, `\61`, `"`, ";", "\x00", "-"})
	rapid.Check(t, func(t *rapid.T) {
		draw := func(label string) string {
			s := rapid.SampledFrom([]string{"CN=a", "CN=A", "cn=k", "UID=a", ""}).Draw(t, label)
			for range rapid.IntRange(0, 4).Draw(t, "more") {
				s += piece.Draw(t, "piece")
			}
			return s
		}
		a, b := draw("a"), draw("b")
		f := scoping.MustParseFilter("(seeAlso=" + scoping.EscapeFilterValue(a) + ")")
		x, err1 := scoping.ParseDN(a)
		y, err2 := scoping.ParseDN(b)
		want := err1 == nil && err2 == nil && x.Equal(y) && !x.IsZero()
		if got := f.Matches(object("seealso=" + b)); got != want {
			t.Fatalf("%q and %q: the filter says %v, the names %v", a, b, got, want)
		}
	})
}
