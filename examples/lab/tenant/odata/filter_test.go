package odata_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/tandem-sync/tandem/examples/lab/tenant/odata"
)

var ann = map[string]any{
	"displayName": "Ann O'Hara", "accountEnabled": true, "mail": nil,
	"proxyAddresses": []string{"SMTP:ann@contoso.test", "smtp:a@contoso.test"}, "createdDateTime": "2026-01-02T03:04:05Z",
}

func TestFilterJudgesAsGraphDoes(t *testing.T) {
	cases := map[string]bool{
		"displayName eq 'ann o''hara'":                                        true,
		"displayName ne 'Bob'":                                                true,
		"startsWith(displayName,'ANN')":                                       true,
		"startswith(displayName, 'Bob') or mail eq null":                      true,
		"not(mail eq null)":                                                   false,
		"not startsWith(displayName,'B') and accountEnabled eq true":          true,
		"accountEnabled ne true":                                              false,
		"mail ne null":                                                        false,
		"displayName in ('Bob','Ann O''Hara')":                                true,
		"proxyAddresses/any(p:p eq 'smtp:A@contoso.test')":                    true,
		"proxyAddresses/any(x: startsWith(x,'smtp:ann') or x eq 'nobody')":    true,
		"proxyAddresses/any(p:p eq 'smtp:zed@contoso.test')":                  false,
		"createdDateTime ge 2026-01-01T00:00:00Z":                             true,
		"createdDateTime lt 2026-01-01T00:00:00Z":                             false,
		"endsWith(displayName,'hara')":                                        true,
		"mail eq 'x' or (displayName eq 'x' or (accountEnabled eq true))":     true,
		"displayName eq 'x' or displayName eq 'y' and accountEnabled eq true": false,
	}
	for text, want := range cases {
		x, err := odata.Parse(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := odata.Match(x, func(p string) any { return ann[p] }); got != want {
			t.Errorf("%s = %v, want %v", text, got, want)
		}
	}
}

func TestBrokenFilterIsASyntaxError(t *testing.T) {
	for _, text := range []string{
		"", "displayName", "displayName eq", "displayName eq 'x", "displayName like 'x'", "(displayName eq 'x'", "displayName eq 'x')",
		"eq eq", "length(displayName) eq 2", "proxyAddresses/any(p:q eq 'x')", "displayName in 'x'", "displayName in ()", "a eq 'b' c", "a eq \x01",
		strings.Repeat("(", 5000), strings.Repeat("not ", 5000) + "a eq 'b'", "a eq 'b'" + strings.Repeat(" or a eq 'b'", 5000),
	} {
		_, err := odata.Parse(text)
		var syntax *odata.SyntaxError
		if !errors.As(err, &syntax) {
			t.Errorf("%.40q: %v, want a syntax error", text, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("displayName eq 'x' and (not startsWith(mail,'a') or proxyAddresses/any(p:p eq 'y'))")
	f.Add("id in ('a','b') or createdDateTime ge 2026-01-01T00:00:00Z")
	f.Fuzz(func(t *testing.T, text string) {
		x, err := odata.Parse(text)
		if err != nil {
			var syntax *odata.SyntaxError
			if !errors.As(err, &syntax) || syntax.Offset < 0 || syntax.Offset > len(text) {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		odata.Match(x, func(p string) any { return ann[p] })
		odata.Walk(x, func(odata.Expr) {})
	})
}
