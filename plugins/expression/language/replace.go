package language

import (
	"errors"
	"fmt"
	"strings"
)

// Replace has seven arguments, and what it does depends on which of them are given. One that is left out between two commas is not given; "" is.
const (
	replaceSource = iota
	replaceOld
	replacePattern
	replaceGroup
	replaceNew
	replaceOther
	replaceTemplate
)

var replaceFunctions = []function{{
	name: "Replace", result: Text, each: true, check: checkReplace, plain: replace,
	about: "texts exchanged in the source, by what is given: old text and replacement; old text and template, in which the source takes its place; " +
		"a .NET regular expression and replacement, in which ${name} is a group; with a group's name only what the group found; with another attribute instead of a replacement what the group finds in that, if the source is empty",
	params: []parameter{source, {name: "oldValue", kind: Text, optional: true}, {name: "regexPattern", kind: Text, optional: true}, {name: "regexGroupName", kind: Text, optional: true},
		{name: "replacementValue", kind: Text, optional: true}, {name: "replacementAttributeName", kind: Text, optional: true}, {name: "template", kind: Text, optional: true}},
	examples: []Example{
		{Expression: `Replace([BusinessTitle], "Product Developer",,, "Software Engineer",,)`, Attributes: of("BusinessTitle", "Product Developer"), Result: `"Software Engineer"`},
		{Expression: `Replace([UserID], "<username>",,,,, "<username>@contoso.com")`, Attributes: of("UserID", "jsmith"), Result: `"jsmith@contoso.com"`},
		{Expression: `Replace([telephoneNumber],, "\\+(?<isdCode>\\d* )(?<phoneNumber>\\d{10})",, "${phoneNumber}",,)`, Attributes: of("telephoneNumber", "+91 9998887777"), Result: `"9998887777"`},
		{Expression: `Replace([mobile],, "[()\\s-]+",, "",,)`, Attributes: of("mobile", "+1 (999) 888-7777"), Result: `"+19998887777"`},
		{Expression: `Replace([AddressLineData],, "(?<streetNumber>^\\d*)", "streetNumber", "888",,)`, Attributes: of("AddressLineData", "545 Tremont Street"), Result: `"888 Tremont Street"`},
		{Expression: `Replace([userPrincipalName],, "(?<Suffix>@(.)*)", "Suffix", "",,)`, Attributes: of("userPrincipalName", "jsmith@contoso.com"), Result: `"jsmith"`},
		{Expression: `Replace([telephoneNumber],, "\\+(?<isdCode>\\d* )(?<phoneNumber>\\d{10})", "phoneNumber",, [mobile],)`, Attributes: of("mobile", "+91 8887779999"), Result: `"8887779999"`},
		{Expression: `Replace([telephoneNumber],, "(?<all>.+)", "all",, [mobile],)`, Attributes: map[string][]string{"telephoneNumber": {"1"}, "mobile": {"2"}}, Result: `"1"`},
		{Expression: `Replace([mailNickname],, "[a-zA-Z_]*",, "",,)`, Attributes: of("mailNickname", "john_doe72"), Result: `"72"`},
		{Expression: `Replace([mail], "@contoso.com",,, "",,)`, Attributes: of("mail", "john.doe@contoso.com"), Result: `"john.doe"`},
		{Expression: `Replace([onPremisesDistinguishedName],, "^.*?,(?=(?:CN|OU|DC)=)",, "",,)`, Attributes: of("onPremisesDistinguishedName", "CN=Ann,OU=Sales,DC=contoso,DC=com"), Result: `"OU=Sales,DC=contoso,DC=com"`},
		{Expression: `Replace([mail], "@contoso.com",,, "",,)`, Result: `""`},
		{Expression: `Replace("a.b", ".",,, "")`, Result: `"ab"`},
		{Expression: `Replace("aXbX", "x",,, "")`, Result: `"aXbX"`},
		{Expression: `Replace("John Smith",, "(\\w+) (\\w+)",, "$2, $1 $$ $0",,)`, Result: `"Smith, John $ John Smith"`},
	},
}}

// replaceForms lists the ways in which Replace may be written.
const replaceForms = `write Replace(source, "old",,, "new",,), Replace(source, "old",,,,, "template"), Replace(source,, "pattern",, "new",,), ` +
	`Replace(source,, "pattern", "group", "new",,) or Replace(source,, "pattern", "group",, [other],)`

// checkReplace finds out what is meant, and compiles the pattern.
func checkReplace(c *compiler, s *step) {
	form := ""
	for i, a := range s.args[1:] {
		if a.kind != omittedNode {
			form += string("opgnat"[i])
		}
	}
	switch form {
	case "on", "ot":
		if old := s.args[replaceOld]; old.kind == textNode && old.text == "" {
			c.complain(old.at, "", "an empty text cannot be replaced")
		}
	case "pn", "pgn", "pga":
		s.prepared = c.pattern(s)
	case "op":
		c.complain(s.at, `write Replace(source, "old",,, "new",,)`, "Replace with three arguments is Connect's; the third one here is a pattern")
	default:
		c.complain(s.at, replaceForms, "these arguments of Replace together mean nothing")
	}
}

// pattern compiles the regular expression of a Replace, and finds its group.
func (c *compiler) pattern(s *step) *pattern {
	p := s.args[replacePattern]
	if p.kind != textNode {
		c.complain(p.at, "", "the pattern of Replace is written as a text in quotes")
		return nil
	}
	out, err := compilePattern(p.text)
	if err != nil {
		c.complain(p.at, "patterns are .NET's; \\ is written \\\\ in a text", "the pattern is wrong: %s", err)
		return nil
	}
	if g := s.args[replaceGroup]; g.kind != omittedNode {
		if g.kind != textNode || !out.has(g.text) {
			c.complain(g.at, "a group is written (?<name>…)", "the pattern has no group %s", g.node)
		}
		out.group = g.text
	} else if n := s.args[replaceNew]; n.kind == textNode {
		if name := out.unknownGroup(n.text); name != "" {
			c.complain(n.at, "a group is written (?<name>…) in the pattern; a dollar sign is $$", "the pattern has no group %s", name)
		}
	}
	return out
}

func replace(r *run, s *step, a []value) (value, error) {
	from := a[replaceSource].plain()
	p, regular := s.prepared.(*pattern)
	switch {
	case !regular && s.args[replaceTemplate].kind != omittedNode:
		return substitute(a[replaceTemplate].plain(), a[replaceOld].plain(), from)
	case !regular:
		return substitute(from, a[replaceOld].plain(), a[replaceNew].plain())
	case s.args[replaceOther].kind != omittedNode:
		if from != "" {
			return textValue(from), nil
		}
		t, err := p.find(&r.patterns, a[replaceOther].plain())
		return textValue(t), err
	case p.group != "":
		t, err := p.replaceGroup(&r.patterns, from, a[replaceNew].plain())
		return textValue(t), err
	}
	t, err := p.replace(&r.patterns, from, a[replaceNew].plain())
	return textValue(t), err
}

// substitute replaces all occurrences of a text, and looks first how long that gets.
func substitute(in, old, with string) (value, error) {
	if old == "" {
		return null, errors.New("an empty text cannot be replaced")
	}
	if size := len(in) + strings.Count(in, old)*(len(with)-len(old)); size > MaxText {
		return null, fmt.Errorf("the result has %d bytes; %d are the most", size, MaxText)
	}
	return textValue(strings.ReplaceAll(in, old, with)), nil
}
