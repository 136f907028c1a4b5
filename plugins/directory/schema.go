package directory

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"github.com/tandem-sync/tandem/scoping"
)

// Property is an attribute as access lists name it (MS-ADTS 5.1.3.2).
type Property struct {
	Name string       // as the schema writes it
	GUID scoping.GUID // schemaIDGUID
	Set  scoping.GUID // attributeSecurityGUID, of the set that it belongs to; zero: none
}

// Properties reads how access lists name attributes, in the order of the names. Those that the schema lacks are left out.
func (s *Session) Properties(ctx context.Context, names []string) ([]Property, error) {
	result, err := s.schema(ctx, names, "lDAPDisplayName", "schemaIDGUID", "attributeSecurityGUID")
	if err != nil {
		return nil, err
	}
	var out []Property
	for _, n := range names {
		for _, e := range result.Entries {
			if !strings.EqualFold(n, e.GetAttributeValue("lDAPDisplayName")) {
				continue
			}
			p := Property{Name: e.GetAttributeValue("lDAPDisplayName")}
			if p.GUID, err = scoping.GUIDFromBytes(e.GetRawAttributeValue("schemaIDGUID")); err != nil {
				return nil, fmt.Errorf("schemaIDGUID of %s in %q: %w", n, s.schemaDN, err)
			}
			if set, err := scoping.GUIDFromBytes(e.GetRawAttributeValue("attributeSecurityGUID")); err == nil { // most have none
				p.Set = set
			}
			out = append(out, p)
		}
	}
	return out, nil
}

// Lacks returns which of the attributes the directory's schema does not have (MS-ADTS 3.1.1.2.3). An attribute that is there may still be one that no object has.
func (s *Session) Lacks(ctx context.Context, names []string) ([]string, error) {
	if len(names) == 0 {
		return nil, nil
	}
	result, err := s.schema(ctx, names, "lDAPDisplayName")
	if err != nil {
		return nil, err
	}
	missing := slices.Clone(names)
	for _, e := range result.Entries {
		missing = slices.DeleteFunc(missing, func(n string) bool { return strings.EqualFold(n, e.GetAttributeValue("lDAPDisplayName")) })
	}
	return missing, nil
}

// schema searches attributes by their names.
func (s *Session) schema(ctx context.Context, names []string, attrs ...string) (*ldap.SearchResult, error) {
	var any strings.Builder
	for _, n := range names {
		any.WriteString(EqualFilter("lDAPDisplayName", n))
	}
	result, err := s.search(ctx, &ldap.SearchRequest{BaseDN: s.schemaDN, Scope: ldap.ScopeSingleLevel,
		Filter: "(&(objectClass=attributeSchema)(|" + any.String() + "))", Attributes: attrs})
	if err != nil {
		return nil, fmt.Errorf("read the schema %q: %w", s.schemaDN, err)
	}
	return result, nil
}
