package language

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// Functions of several values. One value is taken as a list of one, and an absent attribute as an empty one.

var values = parameter{name: "values", kind: Texts}

var listFunctions = []function{
	{name: "Join", about: "all values of all sources, with the separator between them; empty ones are passed over", result: Text, plain: join, repeats: 1,
		params: []parameter{{name: "separator", kind: Text}, {name: "source", kind: Texts}},
		examples: []Example{
			{Expression: `Join(" ", [givenName], [surname])`, Attributes: map[string][]string{"givenName": {"Ann"}, "surname": {"Doe"}}, Result: `"Ann Doe"`},
			{Expression: `Join(", ", "", [surname], [givenName])`, Attributes: map[string][]string{"givenName": {"John"}, "surname": {"Doe"}}, Result: `"Doe, John"`},
			{Expression: `Join(" ", [givenName], [surname])`, Attributes: of("surname", "Doe"), Result: `"Doe"`},
			{Expression: `Join(";", [otherMails], "c")`, Attributes: of("otherMails", "a", "b"), Result: `"a;b;c"`},
			{Expression: `Join("", 1000, "x")`, Result: `"1000x"`},
		}},
	{name: "Split", about: "the pieces between a delimiter of one character, trimmed; at most as many as the limit says, the last of them whole", result: Texts, check: checkSplit, plain: split,
		params: []parameter{source, {name: "delimiter", kind: Text}, {name: "limit", kind: Number, optional: true}},
		examples: []Example{
			{Expression: `Split("PermissionSetOne, PermissionSetTwo", ",")`, Result: `{"PermissionSetOne", "PermissionSetTwo"}`},
			{Expression: `Split("a,,b", ",")`, Result: `{"a", "", "b"}`}, {Expression: `Split("a,b,c", ",", 2)`, Result: `{"a", "b,c"}`}, {Expression: `Split(NULL, ",")`, Result: `NULL`},
			{Expression: `Split("", ",")`, Result: `NULL`},
		}},
	{name: "Item", about: "one of several values by its number, from 1; an error if there are fewer, nothing if there are none", result: Text, check: checkItem, plain: item(true),
		params: []parameter{values, {name: "number", kind: Number}},
		examples: []Example{
			{Expression: `Item([proxyAddresses], 1)`, Attributes: of("proxyAddresses", "SMTP:ann@contoso.com", "smtp:a@contoso.com"), Result: `"SMTP:ann@contoso.com"`},
			{Expression: `Item(Split([userPrincipalName], "@"), 2)`, Attributes: of("userPrincipalName", "ann@contoso.com"), Result: `"contoso.com"`},
			{Expression: `Item([proxyAddresses], 1)`, Result: `NULL`},
		}},
	{name: "ItemOrNull", page: connectPage, about: "one of several values by its number, from 1; nothing if there are fewer", result: Text, check: checkItem, plain: item(false),
		params:   []parameter{values, {name: "number", kind: Number}},
		examples: []Example{{Expression: `ItemOrNull(Split("a,b", ","), 2)`, Result: `"b"`}, {Expression: `ItemOrNull(Split("a,b", ","), 3)`, Result: `NULL`}}},
	{name: "Count", about: "how many values there are", params: []parameter{values}, result: Number,
		plain:    func(_ *run, _ *step, a []value) (value, error) { return numberValue(int64(len(a[0].texts()))), nil },
		examples: []Example{{Expression: `Count([otherMails])`, Attributes: of("otherMails", "a", "b"), Result: `2`}, {Expression: `Count([otherMails])`, Result: `0`}}},
	{name: "Contains", page: connectPage, about: "the number of the first value that a text is in, from 1; 0 if it is in none", result: Number, plain: contains,
		params: []parameter{values, {name: "sought", kind: Text}, {name: "case", kind: Text, optional: true, words: []string{"CaseInsensitive", "CaseSensitive"}}},
		examples: []Example{
			{Expression: `Contains([proxyAddresses], "SMTP:")`, Attributes: of("proxyAddresses", "smtp:a@x", "SMTP:b@x"), Result: `2`},
			{Expression: `Contains([proxyAddresses], "SMTP:", CaseInsensitive)`, Attributes: of("proxyAddresses", "smtp:a@x", "SMTP:b@x"), Result: `1`},
			{Expression: `Contains([proxyAddresses], "X400:")`, Attributes: of("proxyAddresses", "smtp:a@x"), Result: `0`},
		}},
	{name: "RemoveDuplicates", about: "each value once, in the order of their first places", params: []parameter{values}, result: Texts, plain: distinct,
		examples: []Example{{Expression: `RemoveDuplicates([otherMails])`, Attributes: of("otherMails", "a", "b", "a", "A"), Result: `{"a", "b", "A"}`}}},
}

func join(_ *run, _ *step, a []value) (value, error) {
	var pieces []string
	size := 0
	for _, v := range a[1:] {
		for _, t := range v.texts() {
			if t == "" {
				continue
			}
			if size += len(t) + len(a[0].text); size > 2*MaxText {
				return null, fmt.Errorf("the result has more than %d bytes", MaxText)
			}
			pieces = append(pieces, t)
		}
	}
	return textValue(strings.Join(pieces, a[0].plain())), nil
}

func checkSplit(c *compiler, s *step) {
	if d := s.args[1]; d.kind == textNode && utf8.RuneCountInString(d.text) != 1 {
		c.complain(d.at, "Replace or Word part texts at more", "Split parts at one character, and %s has %d", quote(d.text), utf8.RuneCountInString(d.text))
	}
	if l := s.args[2]; l.kind == numberNode && l.number < 1 {
		c.complain(l.at, "", "the limit of Split is 1 or more")
	}
}

// split trims the pieces, as the example of the documentation does.
func split(_ *run, _ *step, a []value) (value, error) {
	text, delimiter, limit := a[0].plain(), a[1].plain(), -1
	if utf8.RuneCountInString(delimiter) != 1 {
		return null, fmt.Errorf("it parts at one character, and %s has %d", quote(delimiter), utf8.RuneCountInString(delimiter))
	}
	if a[2].kind != Null {
		limit = int(min(max(a[2].number, 1), MaxValues))
	}
	if text == "" {
		return null, nil
	}
	if n := strings.Count(text, delimiter); limit < 0 && n >= MaxValues {
		return null, fmt.Errorf("it gives %d values; %d are the most", n+1, MaxValues)
	}
	pieces := strings.SplitN(text, delimiter, limit)
	for i, p := range pieces {
		pieces[i] = strings.TrimSpace(p)
	}
	return listValue(pieces), nil
}

func checkItem(c *compiler, s *step) {
	if n := s.args[1]; n.kind == numberNode && n.number < 1 {
		c.complain(n.at, "the first value is number 1", "%s has no value number %d", s.text, n.number)
	}
}

func item(strict bool) func(*run, *step, []value) (value, error) {
	return func(_ *run, s *step, a []value) (value, error) {
		list, n := a[0].texts(), a[1].number
		switch {
		case n >= 1 && n <= int64(len(list)):
			return textValue(list[n-1]), nil
		case strict && (len(list) > 0 || n < 1):
			return null, errorAt(s.args[1].at, "ItemOrNull gives nothing instead", "Item wants value number %d, and there are %d", n, len(list))
		}
		return null, nil
	}
}

func contains(_ *run, _ *step, a []value) (value, error) {
	sought, insensitive := a[1].plain(), a[2].plain() == "CaseInsensitive"
	if insensitive {
		sought = fold(sought)
	}
	at := slices.IndexFunc(a[0].texts(), func(t string) bool {
		if insensitive {
			t = fold(t)
		}
		return strings.Contains(t, sought)
	})
	return numberValue(int64(at) + 1), nil
}

func distinct(_ *run, _ *step, a []value) (value, error) {
	if a[0].kind == Null {
		return null, nil
	}
	seen := map[string]bool{}
	return listValue(slices.DeleteFunc(slices.Clone(a[0].texts()), func(t string) bool {
		again := seen[t]
		seen[t] = true
		return again
	})), nil
}
