package language

import (
	"fmt"
	"strings"
	"unicode"

	"github.com/go-ldap/ldap/v3"
	"golang.org/x/text/unicode/norm"
)

// Functions for names: without diacritics, and as parts of distinguished names.
var nameFunctions = []function{
	{name: "NormalizeDiacritics", about: "Latin letters without their marks, as names of accounts need them", params: []parameter{source}, result: Text, each: true, plain: pure(withoutDiacritics),
		examples: []Example{
			{Expression: `NormalizeDiacritics([givenName])`, Attributes: of("givenName", "Zoë"), Result: `"Zoe"`},
			{Expression: `NormalizeDiacritics("Řehoř Müller-Strauß, Søren Æbelø, Łukasz Ğ İ ı")`, Result: `"Rehor Muller-Strauss, Soeren AEbeloe, Lukasz G I i"`},
			{Expression: `NormalizeDiacritics("Øystein")`, Result: `"OEystein"`},
			{Expression: `NormalizeDiacritics("Андрей 李")`, Result: `"Андрей 李"`},
		}},
	{name: "DNComponent", page: connectPage, about: "the value of a component of a distinguished name, counted from its left; empty if it has fewer", params: []parameter{{name: "dn", kind: Text}, {name: "number", kind: Number}}, result: Text, plain: component,
		examples: []Example{
			{Expression: `DNComponent("CN=Doe\\, Ann,OU=Sales,DC=contoso,DC=com", 1)`, Result: `"Doe, Ann"`}, {Expression: `DNComponent("CN=Ann,DC=com", 2)`, Result: `"com"`},
			{Expression: `DNComponent("CN=Ann,DC=com", 3)`, Result: `""`}, {Expression: `DNComponent(NULL, 1)`, Result: `""`},
		}},
	{name: "EscapeDNComponent", page: connectPage, about: "one component of a distinguished name, such as \"OU=\" & [department], with what would end its value escaped", params: []parameter{{name: "component", kind: Text}}, result: Text, plain: escapeComponent,
		examples: []Example{
			{Expression: `EscapeDNComponent("OU=" & [department])`, Attributes: of("department", "Sales, East + West"), Result: `"OU=Sales\\, East \\+ West"`},
			{Expression: `EscapeDNComponent("OU=Sales")`, Result: `"OU=Sales"`},
		}},
}

// letters are what the documentation's table makes of letters that have no mark to take away.
var letters = map[rune]string{
	'æ': "ae", 'ǣ': "ae", 'Æ': "AE", 'Ǣ': "AE", 'ı': "i", 'ł': "l", 'Ł': "L", 'ø': "oe", 'Ø': "OE", 'œ': "oe", 'Œ': "OE", 'ß': "ss", 'ẞ': "SS", 'đ': "d", 'Đ': "D",
}

// withoutDiacritics takes marks from Latin letters only: elsewhere they are letters, as й is not и.
func withoutDiacritics(s string) string {
	var b strings.Builder
	latin := false
	for _, r := range norm.NFD.String(s) {
		if unicode.Is(unicode.Mn, r) && latin {
			continue
		}
		latin = unicode.Is(unicode.Latin, r)
		if plain, known := letters[r]; known {
			b.WriteString(plain)
		} else {
			b.WriteRune(r)
		}
	}
	return norm.NFC.String(b.String())
}

func component(_ *run, s *step, a []value) (value, error) {
	if a[0].empty() {
		return textValue(""), nil
	}
	dn, err := ldap.ParseDN(a[0].plain())
	if err != nil {
		return null, errorAt(s.args[0].at, "", "%s is not a distinguished name", a[0])
	}
	if n := a[1].number; n >= 1 && n <= int64(len(dn.RDNs)) {
		return textValue(dn.RDNs[n-1].Attributes[0].Value), nil
	}
	return textValue(""), nil
}

func escapeComponent(_ *run, _ *step, a []value) (value, error) {
	kind, name, parted := strings.Cut(a[0].plain(), "=")
	if !parted || strings.TrimSpace(kind) == "" || strings.ContainsAny(kind, `,+"\<>;#`) {
		return null, fmt.Errorf("%s is no component such as \"OU=Sales\"", a[0])
	}
	return textValue(kind + "=" + ldap.EscapeDN(name)), nil
}
