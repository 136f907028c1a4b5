package directory

import (
	"context"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"github.com/tandem-sync/tandem/scoping"
)

// pageSize is AD's MaxPageSize: it answers no more at once, whatever is asked.
const pageSize = 1000

// Scope says how far a search reaches.
type Scope int

// The scopes.
const (
	Subtree  Scope = iota // the base and everything under it
	Base                  // the base alone
	OneLevel              // the base's children
)

// SearchQuery says what to search.
type SearchQuery struct {
	BaseDN      string       // the search's base by DN …
	BaseGUID    scoping.GUID // … or by objectGUID, which goes before; both empty: the naming context's root
	Scope       Scope
	Filter      string   // empty: every object
	Attrs       []string // AD names; empty: all that are stored. Those that make up Entry's fields always come
	ShowDeleted bool
	// Descriptor makes nTSecurityDescriptor, where it is asked for, come with owner, group and access list, and without the audit entries, which
	// need a privilege that service accounts do not have: without this the attribute is missing for them (MS-ADTS 3.1.1.3.4.1.11).
	Descriptor bool
}

// operational are the attributes that make up Entry's fields, and objectClass for its kind.
var operational = []string{"objectGUID", "parentGUID", "objectClass", "isDeleted", "lastKnownParent", "uSNChanged"}

// Search streams what it finds, page by page. Links of an entry come whole, however many there are.
func (s *Session) Search(ctx context.Context, q SearchQuery, each func(Entry) error) error {
	base := q.BaseDN
	if !q.BaseGUID.IsZero() {
		base = guidDN(q.BaseGUID)
	} else if base == "" {
		base = s.controller.RootDN
	}
	paging := ldap.NewControlPaging(pageSize)
	request := &ldap.SearchRequest{BaseDN: base, Scope: q.Scope.ldap(), Filter: filterOr(q.Filter),
		Attributes: withAttrs(orAll(q.Attrs), operational...), Controls: []ldap.Control{paging, extendedDN}}
	if q.ShowDeleted {
		request.Controls = append(request.Controls, showDeleted)
	}
	if q.Descriptor {
		request.Controls = append(request.Controls, descriptorParts)
	}
	for {
		page, err := s.search(ctx, request)
		if err != nil {
			return fmt.Errorf("search %s under %q: %w", request.Filter, base, err)
		}
		if err := s.page(ctx, page.Entries, each); err != nil {
			return err
		}
		answer, ok := ldap.FindControl(page.Controls, ldap.ControlTypePaging).(*ldap.ControlPaging)
		if !ok || len(answer.Cookie) == 0 {
			return nil
		}
		paging.SetCookie(answer.Cookie)
	}
}

func (s *Session) page(ctx context.Context, entries []*ldap.Entry, each func(Entry) error) error {
	for _, le := range entries {
		e, err := entryFrom(le, false)
		if err != nil {
			return err
		}
		if err := s.completeRanges(ctx, le, &e); err != nil {
			return err
		}
		if err := each(e); err != nil {
			return err
		}
	}
	return nil
}

// completeRanges reads the rest of long lists: AD answers at most 1500 values, as "member;range=0-1499" (MS-ADTS
// 3.1.1.3.1.3.3).
func (s *Session) completeRanges(ctx context.Context, le *ldap.Entry, e *Entry) error {
	for _, a := range le.Attributes {
		name, _, last, ranged := valueRange(strings.ToLower(a.Name))
		for ranged && last >= 0 {
			rest, end, err := s.readRange(ctx, e.GUID, name, last+1)
			if err != nil {
				return fmt.Errorf("values of %s of %q from %d: %w", name, e.DN, last+1, err)
			}
			last = end
			if linkAttrs[name] {
				e.Links[name] = e.Links[name].with(linksOf(rest), false, false)
			} else {
				e.Attrs[name] = append(e.Attrs[name], plainValues(rest)...)
			}
		}
	}
	return nil
}

// readRange reads values of one attribute from the given one on; last is -1 when these were the last.
func (s *Session) readRange(ctx context.Context, g scoping.GUID, attr string, from int) (values [][]byte, last int, err error) {
	part, err := s.readBase(ctx, guidDN(g), []string{fmt.Sprintf("%s;range=%d-*", attr, from)}, extendedDN, showDeleted)
	if err != nil {
		return nil, 0, err
	}
	for _, a := range part.Attributes {
		name, first, to, ranged := valueRange(strings.ToLower(a.Name))
		if !ranged || name != attr {
			continue
		}
		if first != from || (to >= 0 && to < from) {
			return nil, 0, fmt.Errorf("the controller answered with values %d to %d", first, to)
		}
		return a.ByteValues, to, nil
	}
	return nil, -1, nil
}

func (sc Scope) ldap() int {
	return [...]int{Subtree: ldap.ScopeWholeSubtree, Base: ldap.ScopeBaseObject, OneLevel: ldap.ScopeSingleLevel}[sc]
}

func filterOr(filter string) string {
	if filter == "" {
		return "(objectClass=*)"
	}
	return filter
}

func orAll(attrs []string) []string {
	if len(attrs) == 0 {
		return []string{"*"}
	}
	return attrs
}

func withAttrs(attrs []string, more ...string) []string {
	out := slices.Clone(attrs)
	for _, m := range more {
		if !slices.ContainsFunc(out, func(a string) bool { return strings.EqualFold(a, m) }) {
			out = append(out, m)
		}
	}
	return out
}

// guidDN names an object by its objectGUID in place of a DN (MS-ADTS 3.1.1.3.1.2.4).
func guidDN(g scoping.GUID) string { return "<GUID=" + g.String() + ">" }

// GUIDFilter gives the filter that finds an object by objectGUID, with the raw bytes escaped.
func GUIDFilter(g scoping.GUID) string {
	var b strings.Builder
	b.WriteString("(objectGUID=")
	for _, c := range g {
		b.WriteByte('\\')
		b.WriteString(hex.EncodeToString([]byte{c}))
	}
	b.WriteByte(')')
	return b.String()
}

// EqualFilter returns the filter for objects that have a value of an attribute, as the attribute's syntax compares. The attribute may have a matching rule behind it, as "member:OID:".
func EqualFilter(attribute, value string) string {
	return "(" + attribute + "=" + ldap.EscapeFilter(value) + ")"
}
