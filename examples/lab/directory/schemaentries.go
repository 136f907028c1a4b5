package directory

import (
	"slices"
	"strings"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"

	"github.com/tandem-sync/tandem/scoping"
)

// isSchema says whether a search is about the schema's own naming context, whose objects the model keeps as a table.
func (m *Model) isSchema(base string) bool {
	at, err := scoping.ParseDN(base)
	if err != nil {
		return false
	}
	schema, err := scoping.ParseDN("CN=Schema," + m.config.rootDN)
	return err == nil && at.Equal(schema)
}

// schemaEntries gives the attributes of the schema that a filter takes, as far as it asks for their class and names (MS-ADTS 3.1.1.2.3). Others of its
// objects, such as classes, are not shown.
func (m *Model) schemaEntries(r searchRequest) []entry {
	var out []entry
	if r.scope == ldap.ScopeBaseObject {
		return nil
	}
	for _, key := range sortedNames() {
		name := schema[key].name
		values := []namedValues{{"objectClass", []string{"top", "attributeSchema"}}, {"lDAPDisplayName", []string{name}},
			{"schemaIDGUID", []string{bytesOf(propertyOf(key).Object)}}, {"attributeSecurityGUID", []string{bytesOf(propertyOf(key).Set)}}}
		if propertyOf(key).Set.IsZero() {
			values = values[:len(values)-1]
		}
		if takes(r.filter, values, 0) {
			out = append(out, entry{dn: "CN=" + name + ",CN=Schema," + m.config.rootDN, attrs: pick(values, r.attributes)})
		}
	}
	return out
}

func bytesOf(g scoping.GUID) string { return string(g[:]) }

func sortedNames() []string {
	names := make([]string, 0, len(schema))
	for key := range schema {
		names = append(names, key)
	}
	slices.Sort(names)
	return names
}

// takes evaluates a filter over a few values; what it does not know takes nothing.
func takes(p *ber.Packet, values []namedValues, depth int) bool {
	if depth > 8 {
		return false
	}
	has := func(name string, is func(string) bool) bool {
		return slices.ContainsFunc(values, func(v namedValues) bool { return strings.EqualFold(v.name, name) && slices.ContainsFunc(v.values, is) })
	}
	switch p.Tag {
	case ldap.FilterAnd:
		return !slices.ContainsFunc(p.Children, func(c *ber.Packet) bool { return !takes(c, values, depth+1) })
	case ldap.FilterOr:
		return slices.ContainsFunc(p.Children, func(c *ber.Packet) bool { return takes(c, values, depth+1) })
	case ldap.FilterPresent:
		return has(p.Data.String(), func(string) bool { return true })
	case ldap.FilterEqualityMatch:
		if len(p.Children) != 2 {
			return false
		}
		want := p.Children[1].Data.String()
		return has(p.Children[0].Data.String(), func(v string) bool { return strings.EqualFold(v, want) })
	}
	return false
}
