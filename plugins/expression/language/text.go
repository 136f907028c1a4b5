package language

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Functions of one text. Positions and lengths count characters (code points); Microsoft's count UTF-16 units, which differ only outside of the basic plane.

var (
	source   = parameter{name: "source", kind: Text}
	compared = []string{"vbBinaryCompare", "vbTextCompare"}
)

var textFunctions = []function{
	{name: "Append", about: "the source with the suffix at its end", params: []parameter{source, {name: "suffix", kind: Text}}, result: Text, each: true,
		plain: func(_ *run, _ *step, a []value) (value, error) { return textValue(a[0].plain() + a[1].plain()), nil },
		examples: []Example{
			{Expression: `Append([userPrincipalName], ".test")`, Attributes: of("userPrincipalName", "John.Doe@contoso.com"), Result: `"John.Doe@contoso.com.test"`},
			{Expression: `Append(NULL, "x")`, Result: `"x"`},
		}},
	{name: "Left", about: "the first characters; all for a number below 0", params: []parameter{source, {name: "count", kind: Number}}, result: Text, each: true, plain: left,
		examples: []Example{
			{Expression: `Left("John Doe", 3)`, Result: `"Joh"`}, {Expression: `Left("John", 9)`, Result: `"John"`}, {Expression: `Left("John", 0)`, Result: `""`},
			{Expression: `Left("John", -1)`, Result: `"John"`}, {Expression: `Left(NULL, 3)`, Result: `""`}, {Expression: `Left("žluť", 2)`, Result: `"žl"`},
		}},
	{name: "Right", page: connectPage, about: "the last characters; all for a number below 0", params: []parameter{source, {name: "count", kind: Number}}, result: Text, each: true, plain: right,
		examples: []Example{
			{Expression: `Right("John Doe", 3)`, Result: `"Doe"`}, {Expression: `Right("John", 9)`, Result: `"John"`}, {Expression: `Right("John", 0)`, Result: `""`},
			{Expression: `Right("John", -1)`, Result: `"John"`}, {Expression: `Right(NULL, 3)`, Result: `""`},
		}},
	{name: "Mid", about: "characters from a position, which counts from 1; all if it begins before or behind the text", result: Text, each: true, plain: mid,
		params: []parameter{source, {name: "start", kind: Number}, {name: "length", kind: Number}},
		examples: []Example{
			{Expression: `Mid("John Doe", 3, 5)`, Result: `"hn Do"`}, {Expression: `Mid("John Doe", 6, 999)`, Result: `"Doe"`}, {Expression: `Mid("John", 1, 0)`, Result: `""`},
			{Expression: `Mid("John", 1, -1)`, Result: `"John"`}, {Expression: `Mid("John", 0, 2)`, Result: `"John"`}, {Expression: `Mid("John", 5, 2)`, Result: `"John"`},
			{Expression: `Mid("John", 4, 2)`, Result: `"n"`}, {Expression: `Mid(NULL, 1, 2)`, Result: `""`},
			{Expression: `Mid([objectId], 25, 12)`, Attributes: of("objectId", "8a1f3b52-7c1e-4c55-9b5e-3b9b35a3e6d1"), Result: `"3b9b35a3e6d1"`},
		}},
	{name: "Trim", page: cloudPage, about: "without white space at both ends", params: []parameter{source}, result: Text, each: true, plain: pure(strings.TrimSpace),
		examples: []Example{{Expression: `Trim(" Test ")`, Result: `"Test"`}, {Expression: `Trim(NULL)`, Result: `""`},
			{Expression: `Trim([otherMails])`, Attributes: of("otherMails", " a", "b "), Result: `{"a", "b"}`}}},
	{name: "LTrim", page: connectPage, about: "without white space at its beginning", params: []parameter{source}, result: Text, each: true,
		plain:    pure(func(s string) string { return strings.TrimLeftFunc(s, unicode.IsSpace) }),
		examples: []Example{{Expression: `LTrim(" Test ")`, Result: `"Test "`}}},
	{name: "RTrim", page: connectPage, about: "without white space at its end", params: []parameter{source}, result: Text, each: true,
		plain:    pure(func(s string) string { return strings.TrimRightFunc(s, unicode.IsSpace) }),
		examples: []Example{{Expression: `RTrim(" Test ")`, Result: `" Test"`}}},
	{name: "StripSpaces", about: "without any space", params: []parameter{source}, result: Text, each: true,
		plain: pure(func(s string) string { return strings.ReplaceAll(s, " ", "") }),
		examples: []Example{{Expression: `StripSpaces(" Anna  Maria ")`, Result: `"AnnaMaria"`},
			{Expression: `StripSpaces([x])`, Attributes: of("x", "a\tb"), Result: "\"a\tb\""}}},
	{name: "ToLower", about: "in lower case; the culture, such as \"tr-TR\", says which rules", params: []parameter{source, {name: "culture", kind: Text, optional: true}}, result: Text, each: true,
		check: checkCulture, plain: changeCase(strings.ToLower, strings.ToLowerSpecial),
		examples: []Example{{Expression: `ToLower("Ann ČERNÁ")`, Result: `"ann černá"`}, {Expression: `ToLower("IŞIK", "tr-TR")`, Result: `"ışık"`}, {Expression: `ToLower(NULL)`, Result: `""`}}},
	{name: "ToUpper", about: "in upper case; the culture, such as \"tr-TR\", says which rules", params: []parameter{source, {name: "culture", kind: Text, optional: true}}, result: Text, each: true,
		check: checkCulture, plain: changeCase(strings.ToUpper, strings.ToUpperSpecial),
		examples: []Example{{Expression: `ToUpper("ann")`, Result: `"ANN"`}, {Expression: `ToUpper("ilk", "tr-TR")`, Result: `"İLK"`}}},
	{name: "Len", page: connectPage, about: "the number of characters", params: []parameter{source}, result: Number,
		plain: func(_ *run, _ *step, a []value) (value, error) {
			return numberValue(int64(utf8.RuneCountInString(a[0].plain()))), nil
		},
		examples: []Example{{Expression: `Len("John Doe")`, Result: `8`}, {Expression: `Len("žluť")`, Result: `4`}, {Expression: `Len(NULL)`, Result: `0`}}},
	{name: "InStr", about: "the position of a text in another, from 1; 0 if it is not in it", result: Number, plain: inStr,
		params: []parameter{{name: "text", kind: Text}, {name: "sought", kind: Text}, {name: "start", kind: Number, optional: true}, {name: "compare", kind: Text, optional: true, words: compared}},
		examples: []Example{
			{Expression: `InStr("The quick brown fox", "quick")`, Result: `5`}, {Expression: `InStr("repEated", "e", 3, vbBinaryCompare)`, Result: `7`},
			{Expression: `InStr("repEated", "e", 3, vbTextCompare)`, Result: `4`}, {Expression: `InStr("abc", "x")`, Result: `0`}, {Expression: `InStr(NULL, "x")`, Result: `0`},
			{Expression: `InStr("žx", "x")`, Result: `2`}, {Expression: `InStr("abc", "a", 9)`, Result: `0`},
		}},
	{name: "Word", about: "a word by its number, from 1, where any of the delimiters parts words; empty if there is none", result: Text, each: true, plain: word,
		params: []parameter{source, {name: "number", kind: Number}, {name: "delimiters", kind: Text}},
		examples: []Example{
			{Expression: `Word("The quick brown fox", 3, " ")`, Result: `"brown"`}, {Expression: `Word("This,string!has&many separators", 3, ",!&#")`, Result: `"has"`},
			{Expression: `Word("one two", 3, " ")`, Result: `""`}, {Expression: `Word("one two", 0, " ")`, Result: `""`}, {Expression: `Word(NULL, 1, " ")`, Result: `""`},
			{Expression: `Word("one", 1, "")`, Result: `"one"`}, {Expression: `Word("a  b", 2, " ")`, Result: `"b"`},
		}},
	{name: "PCase", about: "each word with a capital at its beginning and small letters else; the separators say what parts words", result: Text, each: true, plain: properCase,
		params: []parameter{source, {name: "separators", kind: Text, optional: true}},
		examples: []Example{
			{Expression: `PCase("PABLO GONSALVES (SECOND)")`, Result: `"Pablo Gonsalves (Second)"`}, {Expression: `PCase("PINTO-DE'SILVA", " '-")`, Result: `"Pinto-De'Silva"`},
			{Expression: `PCase("PINTO-DE SILVA", " ")`, Result: `"Pinto-de Silva"`}, {Expression: `PCase("ann2b o'neil")`, Result: `"Ann2b O'neil"`},
		}},
	{name: "PadLeft", page: connectPage, about: "filled up at its beginning to a length", result: Text, each: true, check: checkPad, plain: pad(func(s, fill string) string { return fill + s }),
		params:   []parameter{source, {name: "length", kind: Number}, {name: "character", kind: Text}},
		examples: []Example{{Expression: `PadLeft("User", 10, "0")`, Result: `"000000User"`}, {Expression: `PadLeft("User", 2, "0")`, Result: `"User"`}, {Expression: `PadLeft(NULL, 2, "0")`, Result: `""`}}},
	{name: "PadRight", page: connectPage, about: "filled up at its end to a length", result: Text, each: true, check: checkPad, plain: pad(func(s, fill string) string { return s + fill }),
		params:   []parameter{source, {name: "length", kind: Number}, {name: "character", kind: Text}},
		examples: []Example{{Expression: `PadRight("User", 10, "0")`, Result: `"User000000"`}}},
}

// of makes the attributes of an example that has one.
func of(name string, values ...string) map[string][]string { return map[string][]string{name: values} }

// pure makes a function of one text of a function of Go.
func pure(f func(string) string) func(*run, *step, []value) (value, error) {
	return func(_ *run, _ *step, a []value) (value, error) { return textValue(f(a[0].plain())), nil }
}

// prefix returns the first n characters of a text, or all.
func prefix(s string, n int64) string {
	for i := range s {
		if n == 0 {
			return s[:i]
		}
		n--
	}
	return s
}

func left(_ *run, _ *step, a []value) (value, error) {
	if a[1].number < 0 {
		return textValue(a[0].plain()), nil
	}
	return textValue(prefix(a[0].plain(), a[1].number)), nil
}

func right(_ *run, _ *step, a []value) (value, error) {
	s, n := a[0].plain(), a[1].number
	over := int64(utf8.RuneCountInString(s)) - n
	if n < 0 || over <= 0 {
		return textValue(s), nil
	}
	return textValue(s[len(prefix(s, over)):]), nil
}

func mid(_ *run, _ *step, a []value) (value, error) {
	s, start, n := a[0].plain(), a[1].number, a[2].number
	if n != 0 && (n < 0 || start <= 0 || start > int64(utf8.RuneCountInString(s))) {
		return textValue(s), nil
	}
	return textValue(prefix(s[len(prefix(s, max(start, 1)-1)):], n)), nil
}

// checkCulture knows the cultures whose letters differ from the invariant ones in case: Turkish and Azerbaijani.
func checkCulture(c *compiler, s *step) {
	culture := s.args[1]
	if culture.kind == omittedNode {
		return
	}
	language, region, parted := strings.Cut(culture.text, "-")
	letters := func(s string, least, most int) bool {
		return len(s) >= least && len(s) <= most && strings.IndexFunc(s, func(r rune) bool { return !isWord(r) }) < 0
	}
	if culture.kind != textNode || !letters(language, 2, 3) || parted && !letters(region, 2, 4) {
		c.complain(culture.at, "", `the culture of %s is written as "en-US"`, s.text)
	}
	s.prepared = strings.EqualFold(language, "tr") || strings.EqualFold(language, "az")
}

func changeCase(invariant func(string) string, special func(unicode.SpecialCase, string) string) func(*run, *step, []value) (value, error) {
	return func(_ *run, s *step, a []value) (value, error) {
		if s.prepared == true {
			return textValue(special(unicode.TurkishCase, a[0].plain())), nil
		}
		return textValue(invariant(a[0].plain())), nil
	}
}

func inStr(_ *run, _ *step, a []value) (value, error) {
	text, sought, start := []rune(a[0].plain()), a[1].plain(), max(a[2].number, 1)
	if len(text) == 0 || start > int64(len(text)) {
		return numberValue(0), nil
	}
	rest := string(text[start-1:])
	if a[3].plain() == "vbTextCompare" {
		rest, sought = fold(rest), fold(sought)
	}
	at := strings.Index(rest, sought)
	if at < 0 {
		return numberValue(0), nil
	}
	return numberValue(start + int64(utf8.RuneCountInString(rest[:at]))), nil
}

// fold maps each character to one of its cases, so that a text keeps its number of characters.
func fold(s string) string {
	return strings.Map(func(r rune) rune { return unicode.ToLower(unicode.ToUpper(r)) }, s)
}

// word takes runs of delimiters as one.
func word(_ *run, _ *step, a []value) (value, error) {
	delimiters := a[2].plain()
	words := strings.FieldsFunc(a[0].plain(), func(r rune) bool { return strings.ContainsRune(delimiters, r) })
	if n := a[1].number; n >= 1 && n <= int64(len(words)) {
		return textValue(words[n-1]), nil
	}
	return textValue(""), nil
}

// properCase parts words at the given separators, or at all that is no letter, mark, digit or apostrophe within a word, as .NET's ToTitleCase does.
func properCase(_ *run, _ *step, a []value) (value, error) {
	separators, given := a[1].plain(), a[1].kind != Null
	begins := true
	return textValue(strings.Map(func(r rune) rune {
		parts := given && strings.ContainsRune(separators, r)
		if !given {
			parts = !unicode.IsLetter(r) && !unicode.IsMark(r) && !unicode.IsDigit(r) && r != '\''
		}
		out := unicode.ToLower(r)
		if begins {
			out = unicode.ToTitle(r)
		}
		begins = parts
		return out
	}, a[0].plain())), nil
}

func checkPad(c *compiler, s *step) {
	if p := s.args[2]; p.kind == textNode && utf8.RuneCountInString(p.text) != 1 {
		c.complain(p.at, "", "%s fills up with one character", s.text)
	}
}

func pad(join func(s, fill string) string) func(*run, *step, []value) (value, error) {
	return func(_ *run, _ *step, a []value) (value, error) {
		s, with := a[0].plain(), a[2].plain()
		lack := a[1].number - int64(utf8.RuneCountInString(s))
		switch {
		case a[0].kind == Null:
			return textValue(""), nil
		case utf8.RuneCountInString(with) != 1:
			return null, errors.New("it fills up with one character")
		case lack <= 0:
			return textValue(s), nil
		case lack > MaxText:
			return null, fmt.Errorf("a length of %d is too much", a[1].number)
		}
		return textValue(join(s, strings.Repeat(with, int(lack)))), nil
	}
}
