package language_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tandem-sync/tandem/plugins/expression/language"
)

// schema is what tests may name: everything, with the kinds that matter.
var schema = language.Schema{
	Attributes: map[string]language.Kind{
		"accountEnabled": language.Boolean, "displayName": language.Text, "givenName": language.Text, "surname": language.Text, "userPrincipalName": language.Text,
		"proxyAddresses": language.Texts, "otherMails": language.Texts, "objectId": language.Text, "onPremisesDistinguishedName": language.Text, "onPremisesUserPrincipalName": language.Text,
	},
	More:   func(name string) (language.Kind, bool) { return language.Any, !strings.HasPrefix(name, "no") },
	Macros: []string{"DomainFQDN"},
}

func compile(t testing.TB, source string) *language.Program {
	t.Helper()
	e, err := language.Parse(source)
	if err != nil {
		t.Fatalf("%s: %v", source, err)
	}
	p, err := e.Compile(schema)
	if err != nil {
		t.Fatalf("%s: %v", source, err)
	}
	return p
}

func TestEveryFunctionGivesWhatItsExamplesSay(t *testing.T) {
	for _, f := range language.Functions() {
		if len(f.Examples) == 0 || f.About == "" || !strings.HasPrefix(f.Page, "https://learn.microsoft.com/entra/") {
			t.Errorf("%s has no example, description or page", f.Name)
		}
		for _, x := range f.Examples {
			p := compile(t, x.Expression)
			result, steps, err := p.Trace(language.Facts{Attributes: x.Attributes})
			if err != nil {
				t.Errorf("%s: %v", x.Expression, err)
				continue
			}
			got := ""
			if p.Unique() {
				got = `the first free of "` + strings.Join(result.Candidates, `", "`) + `"`
			} else {
				got = steps[len(steps)-1].Value
			}
			if got != x.Result {
				t.Errorf("%s = %s, want %s", x.Expression, got, x.Result)
			}
			if !strings.Contains(x.Expression, f.Name+"(") {
				t.Errorf("%s is no example of %s", x.Expression, f.Name)
			}
		}
	}
}

// The mappings of the products as their pages have them.
func TestMicrosoftsMappingsGiveMicrosoftsValues(t *testing.T) {
	ann := map[string][]string{
		"displayName": {" Ann Doe "}, "objectId": {"8a1f3b52-7c1e-4c55-9b5e-3b9b35a3e6d1"}, "userPrincipalName": {"ann.doe-of-the-north@contoso.com"},
		"givenName": {"Zoë Marie"}, "surname": {"Müller"}, "accountEnabled": {"true"}, "City": {"Brno"}, "UserID": {`zo*e/m<u>[l]ler.`}, "Active": {"1"},
	}
	macros := map[string]string{"DomainFQDN": "ad.contoso.com"}
	cases := map[string][]string{
		`Append(Append(Left(Trim([displayName]),51),"_"),Mid([objectId],25,12))`: {"Ann Doe_3b9b35a3e6d1"},
		`Left(Item(Split([userPrincipalName],"@"),1),15)`:                        {"ann.doe-of-the-"},
		`IIF(IsPresent([onPremisesUserPrincipalName]),[onPremisesUserPrincipalName],Append(Item(Split([userPrincipalName],"@"),1),Append("@",%DomainFQDN%)))`: {"ann.doe-of-the-north@ad.contoso.com"},
		`IIF(IsNullOrEmpty([onPremisesDistinguishedName]),"OU=Cloud,DC=x",Replace([onPremisesDistinguishedName],,"^.*?,(?=(?:CN|OU|DC)=)",,"",,))`:            {"OU=Cloud,DC=x"},
		`Not([accountEnabled])`:                                                                                   {"False"},
		`IgnoreFlowIfNullOrEmpty(Trim([department]))`:                                                             nil,
		`Switch([City],"OU=Default,DC=x","Brno","OU=Brno,DC=x","Praha","OU=Praha,DC=x")`:                          {"OU=Brno,DC=x"},
		`Switch([Active],,"0","True","1","False")`:                                                                {"False"},
		`ToLower(Join("@", NormalizeDiacritics(StripSpaces(Join(".",  [givenName], [surname]))), "contoso.com"))`: {"zoemarie.muller@contoso.com"},
		`Replace(Mid(Replace([UserID],,"[\\/\\\\\\[\\]:;|=,+*?<>]",,"",,),1,20),,"(\\.*$)",,"",,)`:                {"zoemuller"},
		`Append(Mid([givenName], 1, 3), Mid([surname], 1, 5))`:                                                    {"ZoëMülle"},
		`Join("", 1000, Replace(ConvertToUTF8Hex([objectId]), , "[a-zA-Z_]*", , "", , ))`:                         nil, // compared below
	}
	for source, want := range cases {
		got, err := compile(t, source).Value(language.Facts{Attributes: ann, Macros: macros})
		if err != nil {
			t.Errorf("%s: %v", source, err)
		}
		if want != nil && !cmp.Equal(got.Values, want) {
			t.Errorf("%s = %q, want %q", source, got.Values, want)
		}
	}
	got, err := compile(t, `IgnoreFlowIfNullOrEmpty(Trim([department]))`).Value(language.Facts{Attributes: ann})
	if err != nil || !got.Ignored {
		t.Errorf("an absent department is %+v, %v", got, err)
	}
}

func TestCandidatesAreInOrderAndEachOnce(t *testing.T) {
	p := compile(t, `SelectUniqueValue( 
        Join("@", NormalizeDiacritics(StripSpaces(Join(".",  [givenName], [surname]))), "contoso.com"), 
        Join("@", NormalizeDiacritics(StripSpaces(Join(".",  Mid([givenName], 1, 1), [surname]))), "contoso.com"),
        [absent],
        Join("@", NormalizeDiacritics(StripSpaces(Join(".",  Mid([givenName], 1, 2), [surname]))), "contoso.com")
    )`)
	got, err := p.Value(language.Facts{Attributes: map[string][]string{"givenName": {"John"}, "surname": {"Smith"}}})
	if want := []string{"John.Smith@contoso.com", "J.Smith@contoso.com", "Jo.Smith@contoso.com"}; err != nil || !p.Unique() || !cmp.Equal(got.Candidates, want) {
		t.Errorf("%q, %v", got.Candidates, err)
	}
	got, err = p.Value(language.Facts{Attributes: map[string][]string{"givenName": {"J"}, "surname": {"Smith"}}})
	if want := []string{"J.Smith@contoso.com"}; err != nil || !cmp.Equal(got.Candidates, want) {
		t.Errorf("%q, %v", got.Candidates, err)
	}
	if want := []string{"absent", "givenName", "surname"}; !cmp.Equal(p.Reads(), want) {
		t.Errorf("it reads %q", p.Reads())
	}
}

func TestMistakesOfFormHaveAPlace(t *testing.T) {
	cases := map[string]string{
		"":                                `1:1: the expression is empty (an empty value is "")`,
		"  \n ":                           `1:1: the expression is empty (an empty value is "")`,
		`[displayName`:                    "1:1: an attribute has no closing ] (an attribute is written as [displayName])",
		`Left([a[b]], 3)`:                 "1:6: an attribute has no closing ] (an attribute is written as [displayName])",
		`[]`:                              "1:1: an attribute needs a name without spaces around it (an attribute is written as [displayName])",
		`[ a]`:                            "1:1: an attribute needs a name without spaces around it (an attribute is written as [displayName])",
		`%DomainFQDN`:                     "1:1: a macro has no closing % (a macro is written as %DomainFQDN%)",
		`"abc`:                            `1:1: the text has no end (a text ends with "; a quotation mark inside is written \")`,
		`Trim("a\d")`:                     `1:8: a backslash escapes only " and \ (a backslash in a text is written \\)`,
		`Trim(“a”)`:                       `1:6: '“' is no quote of this language (write straight quotes: ")`,
		`Trim('a')`:                       `1:6: a text cannot begin with ' (texts stand in double quotes: "…")`,
		`Left([a], 3.5)`:                  `1:11: "3.5" is not a number (whole numbers of 64 bits: 15, -10, &HFF)`,
		`Left([a], 99999999999999999999)`: `1:11: "99999999999999999999" is not a number (whole numbers of 64 bits: 15, -10, &HFF)`,
		`Left([a], -)`:                    `1:11: "-" is not a number (whole numbers of 64 bits: 15, -10, &HFF)`,
		`Left([a]; 3)`:                    `1:9: ';' means nothing here`,
		"Left(\n  [a], 3":                 "1:5: the ( of Left is not closed",
		"Left(\n  [a] 3)":                 "2:7: a comma or ) is missing before this (arguments are separated by commas)",
		`Left([a], 3))`:                   "1:13: this ) closes nothing",
		`[a], [b]`:                        "1:4: a comma stands only between the arguments of a function",
		`[a] [b]`:                         `1:5: the expression has ended before this (pieces are joined by & or Join("", …))`,
		`(Trim([a])`:                      "1:1: this ( is not closed",
		`[a] &`:                           `1:6: the expression ends where something is missing (an attribute [name], a text "…", a number or a function)`,
		`Trim(& "a")`:                     `1:6: something is missing before & (an attribute [name], a text "…", a number or a function)`,
		`IIF(() = "a", 1, 2)`:             `1:6: something is missing before ) (an attribute [name], a text "…", a number or a function)`,
		`IIF([a] = "x" & "y", 1, 2)`:      "",
		`IIF([a] = [b] = [c], 1, 2)`:      "1:15: put what belongs together in parentheses before a further = (Microsoft's languages read operators from left to right without priorities)",
		`IIF([a] = "x" && [b], 1, 2)`:     "1:15: conditions cannot be joined by &&, as in Microsoft Entra (nest: IIF(a, IIF(b, x, y), y))",
		`IIF([a] == "x", 1, 2)`:           "1:9: there is no operator == (equal is =)",
		`IIF([a] != "x", 1, 2)`:           `1:9: '!' means nothing here`,
		"Trim([a\x00])":                   "1:6: an attribute has no closing ] (an attribute is written as [displayName])",
		strings.Repeat("Trim(", 65) + "[a]" + strings.Repeat(")", 65): "1:321: the expression is nested more than 64 deep",
		strings.Repeat("[a]&", 66) + "[a]":                            `1:260: more than 64 pieces are joined by & (Join("", …) takes any number)`,
		"\xff":                                                        "1:1: the expression is not UTF-8",
		`"` + strings.Repeat("x", language.MaxSource) + `"`:           "1:1: the expression has 32770 bytes; 32768 are read",
	}
	for source, want := range cases {
		_, err := language.Parse(source)
		got := ""
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%.60q:\n got %s\nwant %s", source, got, want)
		}
		var placed *language.Error
		if err != nil && !errors.As(err, &placed) {
			t.Errorf("%.60q: the error is a %T", source, err)
		}
	}
}

func TestEveryMistakeOfMeaningIsToldAtOnceWithItsPlace(t *testing.T) {
	cases := map[string]string{
		`trim([displayName])`:                              "1:1: there is no function trim (names are case-sensitive: Trim)",
		`Tirm([displayName])`:                              "1:1: there is no function Tirm (did you mean Trim?)",
		`Frobnicate([displayName])`:                        "1:1: there is no function Frobnicate",
		`Trim([nodisplayName])`:                            "1:6: the source has no attribute [nodisplayName] (did you mean displayName?)",
		`Trim([noDisplayname])`:                            "1:6: the source has no attribute [noDisplayname] (did you mean displayName?)",
		`Trim(%DomainFqdn%)`:                               "1:6: there is no macro %DomainFqdn% (names are case-sensitive: DomainFQDN)",
		`Left([displayName])`:                              "1:1: Left takes 2 arguments; got 1 (Left(source, count))",
		`Trim()`:                                           "1:1: Trim takes 1 argument; got 0 (Trim(source))",
		`Trim([displayName], 1)`:                           "1:1: Trim takes 1 argument; got 2 (Trim(source))",
		`Split([displayName])`:                             "1:1: Split takes 2 to 3 arguments; got 1 (Split(source, delimiter[, limit]))",
		`Join(",")`:                                        "1:1: Join takes 2 arguments or more; got 1 (Join(separator, source, …))",
		`Left(,3)`:                                         "1:6: Left needs its argument source (Left(source, count))",
		`Switch([a], "d", "k")`:                            "1:1: Switch takes 4 arguments or more; got 3 (Switch(source, default, key, value, …))",
		`Switch([a], "d", "k", "v", "k")`:                  "1:1: Switch takes its last arguments in pairs: 4 arguments or more; got 5 (Switch(source, default, key, value, …))",
		`Left([displayName], "x")`:                         "1:21: count of Left is a number, and this is a text",
		`Left([displayName], True)`:                        "1:21: count of Left is a number, and this is a boolean",
		`Left([proxyAddresses], 3)`:                        "",
		`Left([displayName], [proxyAddresses])`:            "1:21: count of Left is one value, and this may be several (choose one with Item(…, 1), or put them together with Join)",
		`Append("a", [proxyAddresses])`:                    "1:13: suffix of Append is one value, and this may be several (choose one with Item(…, 1), or put them together with Join)",
		`[proxyAddresses] & "a"`:                           "1:1: the operator & is one value, and this may be several (choose one with Item(…, 1), or put them together with Join)",
		`IIF("maybe", 1, 2)`:                               `1:5: condition of IIF is a boolean, and this is the text "maybe" (True or False)`,
		`IIF(1, 1, 2)`:                                     "1:5: condition of IIF is a boolean, and this is a number",
		`Trim(Yes)`:                                        `1:6: Yes is neither True nor False nor NULL (a text stands in quotes: "Yes")`,
		`Trim(Trim)`:                                       `1:6: Trim is neither True nor False nor NULL (Trim(source))`,
		`InStr("a", "b", 1, "vbTextCompare")`:              "1:20: compare of InStr is one of vbBinaryCompare, vbTextCompare, without quotes",
		`Item([proxyAddresses], 0)`:                        "1:24: Item has no value number 0 (the first value is number 1)",
		`Split([a], "ab")`:                                 `1:12: Split parts at one character, and "ab" has 2 (Replace or Word part texts at more)`,
		`Split([a], ",", 0)`:                               "1:17: the limit of Split is 1 or more",
		`PadLeft([a], 3, "xy")`:                            "1:17: PadLeft fills up with one character",
		`ToLower([a], "turkish!")`:                         `1:14: the culture of ToLower is written as "en-US"`,
		`Now()`:                                            "1:1: Now is not offered here (it gives another value every time, so that nothing would ever be settled; the same facts have to give the same values)",
		`LCase([a])`:                                       "1:1: LCase is not offered here (it is Connect's name of ToLower)",
		`IIF(And([a], [b]), 1, 2)`:                         "1:5: And is not offered here (nest: IIF(a, IIF(b, x, y), y), as in Microsoft Entra)",
		`SelectUniqueValue([a])`:                           "1:1: SelectUniqueValue takes 2 arguments or more; got 1 (SelectUniqueValue(rule, rule, …))",
		`ToLower(SelectUniqueValue([a], [b]))`:             "1:9: SelectUniqueValue stands outermost and in no other function (its arguments may be any expressions)",
		`IIF([a] = "x", SelectUniqueValue([a], [b]), [c])`: "1:16: SelectUniqueValue stands outermost and in no other function (its arguments may be any expressions)",
		`SelectUniqueValue([a], IgnoreFlowIfNullOrEmpty([b]))`:  "1:24: IgnoreFlowIfNullOrEmpty drops the whole flow and cannot be a part of a value (put it outermost, or into a branch of an outermost IIF or Switch)",
		`Trim(IgnoreFlowIfNullOrEmpty([a]))`:                    "1:6: IgnoreFlowIfNullOrEmpty drops the whole flow and cannot be a part of a value (put it outermost, or into a branch of an outermost IIF or Switch)",
		`IIF([a] = "x", IgnoreFlowIfNullOrEmpty([b]), [c])`:     "",
		`Switch([a], IgnoreFlowIfNullOrEmpty([b]), "k", "v")`:   "",
		`Switch([a], "d", IgnoreFlowIfNullOrEmpty([b]), "v")`:   "1:18: IgnoreFlowIfNullOrEmpty drops the whole flow and cannot be a part of a value (put it outermost, or into a branch of an outermost IIF or Switch)",
		`Replace([a],, "(",, "",,)`:                             "1:15: the pattern is wrong: missing closing ) in `(` (patterns are .NET's; \\ is written \\\\ in a text)",
		`Replace([a],, [b],, "",,)`:                             "1:15: the pattern of Replace is written as a text in quotes",
		`Replace([a],, "(?<x>a)", "y", "",,)`:                   `1:26: the pattern has no group "y" (a group is written (?<name>…))`,
		`Replace([a],, "(?<x>a)",, "${y}",,)`:                   `1:27: the pattern has no group y (a group is written (?<name>…) in the pattern; a dollar sign is $$)`,
		`Replace([a], "",,, "x",,)`:                             "1:14: an empty text cannot be replaced",
		`Replace([a], "x", "y")`:                                `1:1: Replace with three arguments is Connect's; the third one here is a pattern (write Replace(source, "old",,, "new",,))`,
		`FormatDateTime([a],, "qq", "H:mm")`:                    "1:22: the date format \"qq\" has \"qq\", which is not offered (https://learn.microsoft.com/dotnet/standard/base-types/custom-date-and-time-format-strings)\n1:28: the date format \"H:mm\" writes the hour with H; write HH (https://learn.microsoft.com/dotnet/standard/base-types/custom-date-and-time-format-strings)",
		`DateAdd("w", 1, [a])`:                                  "1:9: the interval of DateAdd is one of yyyy, m, d, ww, h, n, s",
		"Append(\n  Tirm([displayName]),\n  [no])":              "2:3: there is no function Tirm (did you mean Trim?)\n3:3: the source has no attribute [no]",
		`Join(" ", [nogivenName], Left([surname], "x"), Foo())`: "1:11: the source has no attribute [nogivenName] (did you mean givenName?)\n1:42: count of Left is a number, and this is a text\n1:48: there is no function Foo",
	}
	for source, want := range cases {
		e, err := language.Parse(source)
		if err != nil {
			t.Errorf("%s: %v", source, err)
			continue
		}
		_, err = e.Compile(schema)
		got := ""
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s:\n got %s\nwant %s", source, got, want)
		}
	}
	_, err := mustParse(t, `Replace([a], "x",, "g",,,)`).Compile(schema)
	if err == nil || !strings.Contains(err.Error(), `Replace(source,, "pattern", "group", "new",,)`) {
		t.Errorf("senseless arguments of Replace: %v", err)
	}
}

func mustParse(t testing.TB, source string) *language.Expression {
	t.Helper()
	e, err := language.Parse(source)
	if err != nil {
		t.Fatalf("%s: %v", source, err)
	}
	return e
}

func TestAnEvaluationThatCannotBeSaysWhere(t *testing.T) {
	long := strings.Repeat("x", 60000)
	cases := []struct {
		source string
		facts  map[string][]string
		want   string
	}{
		{`Item(Split([userPrincipalName], "@"), 3)`, of("userPrincipalName", "a@b"), "1:39: Item wants value number 3, and there are 2 (ItemOrNull gives nothing instead)"},
		{`Left("abc", [employeeId])`, of("employeeId", "x"), `1:13: count of Left: "x" is not a whole number`},
		{`IIF([custom], 1, 2)`, of("custom", "perhaps"), `1:5: condition of IIF: "perhaps" is neither True nor False`},
		{`ToLower(Append("a", [custom]))`, of("custom", "1", "2"), "1:21: one value is wanted here, and there are 2 (choose one with Item(…, 1), or put them together with Join)"},
		{`IIF(IsPresent([mail]), [mail], Error("mail is required"))`, nil, "1:32: mail is required"},
		{"Append([a],\n [a])", of("a", long), "1:1: Append: the result has 120000 bytes; 65536 are the most"},
		{`Replace([a], "x",,, "xxxx",,)`, of("a", long), "1:1: Replace: the result has 240000 bytes; 65536 are the most"},
		{`Replace([a],, "x",, "xxxxxxxxx",,)`, of("a", long[:8000]), "1:1: Replace: the result has more than 65536 bytes"},
		{`Replace([a],, "(?=(x*))x",, "$1",,)`, of("a", long[:8000]), "1:1: Replace: the result has more than 65536 bytes"},
		{`Replace([a],, "x",, "",,)`, of("a", long), "1:1: Replace: a text of 60000 bytes is too long for a regular expression; 8192 are the most"},
		{`[a] & [a]`, of("a", long), "1:5: [a] & [a]: the result has 120000 bytes; 65536 are the most"},
		{`[a]`, of("a", long+long), "1:1: [a]: a value of 120000 bytes; 65536 are the most"},
		{`PadLeft("a", 1000000, "x")`, nil, "1:1: PadLeft: a length of 1000000 is too much"},
		{`Split([a], ",")`, of("a", strings.Repeat(",", 20000)), "1:1: Split: it gives 20001 values; 10000 are the most"},
		{`ConvertFromBase64("?")`, nil, `1:19: "?" is not base64`},
		{`DNComponent("x", 1)`, nil, `1:13: "x" is not a distinguished name`},
		{`EscapeDNComponent("x")`, nil, `1:1: EscapeDNComponent: "x" is no component such as "OU=Sales"`},
	}
	for _, c := range cases {
		_, err := compile(t, c.source).Value(language.Facts{Attributes: c.facts})
		var placed *language.Error
		if err == nil || !errors.As(err, &placed) || err.Error() != c.want {
			t.Errorf("%s:\n got %v\nwant %s", c.source, err, c.want)
		}
	}
}

func of(name string, values ...string) map[string][]string { return map[string][]string{name: values} }

func TestAPatternThatNeverEndsIsGivenUp(t *testing.T) {
	p := compile(t, `Replace([a],, "^(a+)+$",, "",,)`)
	_, err := p.Value(language.Facts{Attributes: of("a", strings.Repeat("a", 5000)+"!")})
	if err == nil || !strings.Contains(err.Error(), `the pattern "^(a+)+$" takes longer than 1s for one value, or goes back too far`) {
		t.Errorf("it ended: %v", err)
	}
	if strings.Contains(err.Error(), "aaaa") {
		t.Errorf("the value is in the error: %.200s", err)
	}
}

func TestPatternsInManyValuesShareOneLimitOfTime(t *testing.T) {
	p := compile(t, `Replace([proxyAddresses],, "^(a|b|ab)*$",, "",,)`)
	began := time.Now()
	_, err := p.Value(language.Facts{Attributes: of("proxyAddresses", slices.Repeat([]string{strings.Repeat("ab", 11) + "!"}, 10000)...)})
	if err == nil || time.Since(began) > 20*time.Second {
		t.Errorf("after %v: %v", time.Since(began), err)
	}
}

func TestOneExpressionServesManyGoroutines(t *testing.T) {
	p := compile(t, `Join(".", Replace([givenName],, "[^a-z]+",, "",,), ToLower([surname]))`)
	done := make(chan string)
	for i := range 8 {
		go func() {
			n := strings.Repeat("b", i)
			v, err := p.Value(language.Facts{Attributes: map[string][]string{"givenName": {"A1" + n}, "surname": {"S"}}})
			if err != nil {
				done <- err.Error()
				return
			}
			done <- cmp.Diff(v.Values, []string{strings.TrimPrefix(n+".s", ".")})
		}()
	}
	for range 8 {
		if diff := <-done; diff != "" {
			t.Error(diff)
		}
	}
}

func BenchmarkUserName(b *testing.B) {
	p := compile(b, `Append(Append(Left(Trim([displayName]),51),"_"),Mid([objectId],25,12))`)
	f := language.Facts{Attributes: map[string][]string{"displayName": {"Ann Doe"}, "objectId": {"8a1f3b52-7c1e-4c55-9b5e-3b9b35a3e6d1"}}}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.Value(f); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParentByPattern(b *testing.B) {
	p := compile(b, `Replace([onPremisesDistinguishedName],,"^.*?,(?=(?:CN|OU|DC)=)",,"",,)`)
	f := language.Facts{Attributes: of("onPremisesDistinguishedName", "CN=Ann Doe,OU=Sales,OU=Staff,DC=contoso,DC=com")}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.Value(f); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCompile(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		compile(b, `Append(Append(Left(Trim([displayName]),51),"_"),Mid([objectId],25,12))`)
	}
}
