package directory

import (
	"slices"
	"strconv"
	"strings"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"
)

// filter says whether an object matches. It is used under the lock under which it was compiled, since it holds objects.
type filter func(*object) bool

const maxFilterDepth = 100

// Matching rules of AD (MS-ADTS 3.1.1.3.4.4).
const (
	ruleAnd     = "1.2.840.113556.1.4.803"
	ruleOr      = "1.2.840.113556.1.4.804"
	ruleInChain = "1.2.840.113556.1.4.1941"
)

// compile turns the filter of a search request, as it came off the wire, into a function.
func (m *Model) compile(p *ber.Packet, depth int) (filter, error) {
	bad := refuse(ldap.LDAPResultProtocolError, "the filter is malformed")
	if p == nil || p.ClassType != ber.ClassContext || depth > maxFilterDepth {
		return nil, bad
	}
	switch p.Tag {
	case ldap.FilterAnd, ldap.FilterOr:
		return m.compileSet(p, depth)
	case ldap.FilterNot:
		if len(p.Children) != 1 {
			return nil, bad
		}
		f, err := m.compile(p.Children[0], depth+1)
		if err != nil {
			return nil, err
		}
		return func(o *object) bool { return !f(o) }, nil
	case ldap.FilterPresent:
		return m.compilePresent(p.Data.String()), nil
	case ldap.FilterSubstrings:
		return compileSubstrings(p)
	case ldap.FilterExtensibleMatch:
		return m.compileExtensible(p)
	case ldap.FilterEqualityMatch, ldap.FilterApproxMatch, ldap.FilterGreaterOrEqual, ldap.FilterLessOrEqual:
		if len(p.Children) != 2 {
			return nil, bad
		}
		return m.compileComparison(p.Tag, p.Children[0].Data.String(), p.Children[1].Data.String()), nil
	}
	return nil, bad
}

func (m *Model) compileSet(p *ber.Packet, depth int) (filter, error) {
	parts := make([]filter, len(p.Children))
	for i, c := range p.Children {
		f, err := m.compile(c, depth+1)
		if err != nil {
			return nil, err
		}
		parts[i] = f
	}
	decisive := p.Tag == ldap.FilterOr // the value of one part that decides the whole
	return func(o *object) bool {
		for _, f := range parts {
			if f(o) == decisive {
				return decisive
			}
		}
		return !decisive
	}, nil
}

// never matches nothing: what a filter on an unknown attribute does.
func never(*object) bool { return false }

func (m *Model) compilePresent(name string) filter {
	t, ok := lookupType(name)
	if !ok || t.has(secret) || t.has(computed) && t.name != "distinguishedName" {
		return never
	}
	key := strings.ToLower(t.name)
	return func(o *object) bool { return len(o.values(key, t, plainDN)) > 0 }
}

func (m *Model) compileComparison(op ber.Tag, name, value string) filter {
	if strings.EqualFold(name, "anr") {
		return ambiguousName(value)
	}
	t, ok := lookupType(name)
	if !ok || t.has(secret) || t.has(computed) && t.name != "distinguishedName" {
		return never
	}
	key := strings.ToLower(t.name)
	if op == ldap.FilterEqualityMatch || op == ldap.FilterApproxMatch {
		return m.compileEquality(key, t, value)
	}
	sign := 1
	if op == ldap.FilterLessOrEqual {
		sign = -1
	}
	return func(o *object) bool {
		return slices.ContainsFunc(o.values(key, t, plainDN), func(v string) bool { return t.compare(v, value)*sign >= 0 })
	}
}

func (t *attributeType) compare(a, b string) int {
	if t.syntax == integer {
		return compareNumbers(a, b)
	}
	return strings.Compare(fold(a), fold(b))
}

func (m *Model) compileEquality(key string, t *attributeType, value string) filter {
	if t.syntax == named {
		return m.compileNamed(key, t, value)
	}
	switch key {
	case "objectguid":
		if g, err := readGUID(value); err == nil {
			value = string(g[:])
		}
		return func(o *object) bool { return string(o.guid[:]) == value }
	case "objectsid":
		return func(o *object) bool {
			return o.sid != "" && (o.sid == value || strings.EqualFold(sidText(o.sid), value))
		}
	case "objectcategory":
		// The short form names a class instead of its schema object.
		if c := classes[strings.ToLower(value)]; c != nil {
			value = m.categoryDN(c.category)
		} else if !strings.Contains(value, "=") {
			value = m.categoryDN(value)
		}
	}
	return func(o *object) bool {
		return slices.ContainsFunc(o.values(key, t, plainDN), func(v string) bool { return t.same(v, value) })
	}
}

// compileNamed compares objects, not texts, so that any spelling of a DN matches.
func (m *Model) compileNamed(key string, t *attributeType, value string) filter {
	target, err := m.resolve(value)
	if err != nil {
		return never
	}
	switch {
	case key == "distinguishedname":
		return func(o *object) bool { return o == target }
	case t.forward != "":
		return func(o *object) bool { return slices.Contains(o.backs[t.forward], target) }
	}
	return func(o *object) bool {
		s := o.links[key]
		return s != nil && s.by[target] != nil && s.by[target].present
	}
}

// ambiguousName is a prefix search over the names of people (MS-ADTS 3.1.1.3.1.3.4).
func ambiguousName(value string) filter {
	value = fold(value)
	return func(o *object) bool {
		for _, key := range []string{"samaccountname", "displayname", "givenname", "sn", "mail", "proxyaddresses"} {
			if slices.ContainsFunc(o.stored(key, schema[key], plainDN), func(v string) bool { return strings.HasPrefix(fold(v), value) }) {
				return true
			}
		}
		return strings.HasPrefix(fold(o.name), value)
	}
}

func compileSubstrings(p *ber.Packet) (filter, error) {
	if len(p.Children) != 2 {
		return nil, refuse(ldap.LDAPResultProtocolError, "the substring filter is malformed")
	}
	t, ok := lookupType(p.Children[0].Data.String())
	if !ok || t.syntax == named || t.has(secret) || t.has(computed) {
		return never, nil
	}
	var s substrings
	for _, c := range p.Children[1].Children {
		part := strings.ToLower(c.Data.String())
		switch c.Tag {
		case ldap.FilterSubstringsInitial:
			s.initial = part
		case ldap.FilterSubstringsAny:
			s.any = append(s.any, part)
		case ldap.FilterSubstringsFinal:
			s.final = part
		}
	}
	key := strings.ToLower(t.name)
	return func(o *object) bool { return slices.ContainsFunc(o.values(key, t, plainDN), s.match) }, nil
}

// substrings are the parts of a*b*c, in lower case.
type substrings struct {
	initial, final string
	any            []string
}

func (s substrings) match(v string) bool {
	v = strings.ToLower(v)
	rest, ok := strings.CutPrefix(v, s.initial)
	if !ok {
		return false
	}
	for _, part := range s.any {
		i := strings.Index(rest, part)
		if i < 0 {
			return false
		}
		rest = rest[i+len(part):]
	}
	return strings.HasSuffix(rest, s.final)
}

// compileExtensible does AD's matching rules. A ":dn" flag is taken and ignored, as AD does.
func (m *Model) compileExtensible(p *ber.Packet) (filter, error) {
	var rule, name, value string
	for _, c := range p.Children {
		switch c.Tag {
		case ldap.MatchingRuleAssertionMatchingRule:
			rule = c.Data.String()
		case ldap.MatchingRuleAssertionType:
			name = c.Data.String()
		case ldap.MatchingRuleAssertionMatchValue:
			value = c.Data.String()
		}
	}
	t, ok := lookupType(name)
	if !ok || t.has(secret) {
		return never, nil
	}
	key := strings.ToLower(t.name)
	switch rule {
	case "":
		return m.compileComparison(ldap.FilterEqualityMatch, name, value), nil
	case ruleAnd, ruleOr:
		return compileBits(key, t, value, rule == ruleAnd), nil
	case ruleInChain:
		return m.compileInChain(key, t, value), nil
	}
	return nil, refuse(ldap.LDAPResultInappropriateMatching, "00002109: the matching rule %s is not known", rule)
}

func compileBits(key string, t *attributeType, value string, all bool) filter {
	bits, err := strconv.ParseInt(value, 10, 64)
	if err != nil || t.syntax != integer {
		return never
	}
	return func(o *object) bool {
		return slices.ContainsFunc(o.values(key, t, plainDN), func(v string) bool {
			n, err := strconv.ParseInt(v, 10, 64)
			return err == nil && (all && n&bits == bits || !all && n&bits != 0)
		})
	}
}

func (m *Model) compileInChain(key string, t *attributeType, value string) filter {
	target, err := m.resolve(value)
	if err != nil || t.syntax != named {
		return never
	}
	var reached []*object
	if t.forward != "" { // memberOf: all that the target holds
		reached = downwards(target, t.forward)
	} else { // member: all that hold the target
		reached = upwards(target, key)
	}
	in := make(map[*object]bool, len(reached))
	for _, o := range reached {
		in[o] = true
	}
	return func(o *object) bool { return in[o] }
}
