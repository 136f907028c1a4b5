package tenant

import (
	"regexp"
	"strings"
)

// searched are the properties that $search looks into: words of the first two, beginnings of the others.
// See https://learn.microsoft.com/graph/search-query-parameter#using-search-on-directory-object-collections.
var searched = map[string]bool{"displayName": true, "description": true, "mail": false, "mailNickname": false, "userPrincipalName": false, "givenName": false, "surname": false,
	"proxyAddresses": false, "otherMails": false}

// searchTerm is one quoted "property:value", with the operator before it.
var searchTerm = regexp.MustCompile(`^\s*(AND|OR)?\s*"([A-Za-z]+):((?:[^"\\]|\\.)+)"`)

// search reads $search into a condition: terms in double quotes, joined by AND and OR, AND binding more. It is an advanced query.
func (c *call) search(kind Kind) (func(*version) bool, error) {
	text := c.option("search")
	if text == "" {
		return nil, nil
	}
	if !c.eventual() {
		return nil, unsupportedQuery("Request with $search query parameter only works through MSGraph with a special request header: 'ConsistencyLevel: eventual'.")
	}
	var any [][]func(*version) bool
	for rest := text; strings.TrimSpace(rest) != ""; {
		t := searchTerm.FindStringSubmatch(rest)
		if t == nil || (t[1] == "") != (len(any) == 0) {
			return nil, unsupportedQuery("Syntax error: character '%s' is not valid in '%s'.", strings.TrimSpace(rest)[:1], text)
		}
		words, known := searched[t[2]]
		if !known || schemas[kind].byName[t[2]] == nil {
			return nil, unsupportedQuery("Property '%s' is not searchable.", t[2])
		}
		one := matcher(t[2], strings.ReplaceAll(t[3], `\`, ""), words)
		if t[1] == "AND" {
			any[len(any)-1] = append(any[len(any)-1], one)
		} else {
			any = append(any, []func(*version) bool{one})
		}
		rest = rest[len(t[0]):]
	}
	return func(v *version) bool {
		for _, all := range any {
			ok := true
			for _, one := range all {
				ok = ok && one(v)
			}
			if ok {
				return true
			}
		}
		return false
	}, nil
}

func matcher(name, value string, words bool) func(*version) bool {
	value = strings.ToLower(value)
	return func(v *version) bool {
		texts := texts(v.props[name])
		if s, single := v.props[name].(string); single {
			texts = []string{s}
		}
		for _, t := range texts {
			if t = strings.ToLower(t); strings.HasPrefix(t, value) || words && inOrderOfWords(t, value) {
				return true
			}
		}
		return false
	}
}

// inOrderOfWords reports whether the words of value are beginnings of words of a text, each of one.
func inOrderOfWords(text, value string) bool {
	split := func(s string) []string {
		return strings.FieldsFunc(s, func(r rune) bool { return strings.ContainsRune(" \t-_.,;:()/", r) })
	}
	have := split(text)
	for _, w := range split(value) {
		found := false
		for _, h := range have {
			found = found || strings.HasPrefix(h, w)
		}
		if !found {
			return false
		}
	}
	return true
}
