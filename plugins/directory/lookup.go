package directory

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/tandem-sync/tandem/scoping"
)

// lookupBatch is how many objects one search asks for by objectGUID.
const lookupBatch = 200

// ByGUID reads the objects of the naming context that have these objectGUIDs. Those that are absent (or tombstones, unless
// showDeleted) are missing from the result; that is no error and no proof: a controller may lag or hide them.
func (s *Session) ByGUID(ctx context.Context, guids []scoping.GUID, attrs []string, showDeleted bool) (map[scoping.GUID]Entry, error) {
	found := make(map[scoping.GUID]Entry, len(guids))
	for batch := range slices.Chunk(guids, lookupBatch) {
		var filter strings.Builder
		filter.WriteString("(|")
		for _, g := range batch {
			filter.WriteString(GUIDFilter(g))
		}
		filter.WriteString(")")
		q := SearchQuery{Filter: filter.String(), Attrs: attrs, ShowDeleted: showDeleted}
		err := s.Search(ctx, q, func(e Entry) error {
			found[e.GUID] = e
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("read %d objects by objectGUID: %w", len(batch), err)
		}
	}
	return found, nil
}

// Resolve finds the living object that a DN names, in whatever spelling the controller takes for it. ancestors holds the
// nearest parent first and the naming context's root last; the root itself has none. A DN that names nothing in the naming
// context gives ErrNoSuchObject.
func (s *Session) Resolve(ctx context.Context, dn string) (guid scoping.GUID, canonicalDN string, ancestors []scoping.GUID, err error) {
	if strings.TrimSpace(dn) == "" {
		return guid, "", nil, fmt.Errorf("resolve an empty DN: %w", ErrNoSuchObject)
	}
	e, err := s.baseEntry(ctx, SearchQuery{BaseDN: dn})
	if err != nil {
		return guid, "", nil, fmt.Errorf("resolve %q: %w", dn, err)
	}
	ancestors, err = s.ancestors(ctx, e)
	return e.GUID, e.DN, ancestors, err
}

// Ancestors gives the objectGUIDs of what holds a living object, the nearest parent first and the naming context's root last.
func (s *Session) Ancestors(ctx context.Context, guid scoping.GUID) ([]scoping.GUID, error) {
	e, err := s.baseEntry(ctx, SearchQuery{BaseGUID: guid})
	if err != nil {
		return nil, fmt.Errorf("ancestors of %s: %w", guid, err)
	}
	return s.ancestors(ctx, e)
}

func (s *Session) ancestors(ctx context.Context, e Entry) ([]scoping.GUID, error) {
	var up []scoping.GUID
	for at := e; at.GUID != s.controller.Root; {
		if at.Parent.IsZero() || slices.Contains(up, at.Parent) {
			return nil, fmt.Errorf("%q does not lie in %q: %w", e.DN, s.controller.RootDN, ErrNoSuchObject)
		}
		up = append(up, at.Parent)
		if at.Parent == s.controller.Root {
			break
		}
		parent, err := s.baseEntry(ctx, SearchQuery{BaseGUID: at.Parent})
		if err != nil {
			return nil, fmt.Errorf("parent of %q: %w", at.DN, err)
		}
		at = parent
	}
	return up, nil
}

func (s *Session) baseEntry(ctx context.Context, q SearchQuery) (Entry, error) {
	q.Scope, q.Attrs = Base, []string{"objectClass"}
	var found Entry
	err := s.Search(ctx, q, func(e Entry) error { found = e; return nil })
	if err == nil && found.GUID.IsZero() {
		err = ErrNoSuchObject
	}
	return found, err
}
