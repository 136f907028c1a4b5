package directory

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/go-ldap/ldap/v3"
)

// Lacks returns which of the attributes the directory's schema does not have (MS-ADTS 3.1.1.2.3). An attribute that is there may still be one that no object has.
func (s *Session) Lacks(ctx context.Context, names []string) ([]string, error) {
	if len(names) == 0 {
		return nil, nil
	}
	var any strings.Builder
	for _, n := range names {
		any.WriteString("(lDAPDisplayName=" + ldap.EscapeFilter(n) + ")")
	}
	result, err := s.search(ctx, &ldap.SearchRequest{BaseDN: s.schemaDN, Scope: ldap.ScopeSingleLevel,
		Filter: "(&(objectClass=attributeSchema)(|" + any.String() + "))", Attributes: []string{"lDAPDisplayName"}})
	if err != nil {
		return nil, fmt.Errorf("read the schema %q: %w", s.schemaDN, err)
	}
	missing := slices.Clone(names)
	for _, e := range result.Entries {
		missing = slices.DeleteFunc(missing, func(n string) bool { return strings.EqualFold(n, e.GetAttributeValue("lDAPDisplayName")) })
	}
	return missing, nil
}
