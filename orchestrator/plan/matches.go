package plan

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/tandem-sync/tandem/orchestrator/census"
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/scoping"
	"github.com/tandem-sync/tandem/scoping/policy"
)

// matches parses the file of matches that a policy names, and finds its objects in the directories and in the tenant. Mistakes are scoping.Mistakes,
// with the line of each.
func (r *Planner) matches(ctx context.Context, f PolicyFile) ([]scoping.Match, error) {
	name, pos := policy.MatchesFile(f.Name, f.Text)
	if name == "" {
		return nil, nil
	}
	if f.Matches == nil {
		var ms scoping.Mistakes
		ms.Add(pos, "the file of matches "+name+" was not read", "it lies where the policy file says, which is relative to the policy file; an empty file is fine")
		return nil, ms.Err()
	}
	lines, err := policy.ParseMatches(name, f.Matches)
	if len(lines) == 0 {
		return nil, err
	}
	if err := r.o.Run.Prepare(ctx); err != nil {
		return nil, err
	}
	out, bad := r.resolveMatches(ctx, lines)
	return out, joined(err, bad)
}

// resolveMatches finds both sides of each line. Census and cache are up to date.
func (r *Planner) resolveMatches(ctx context.Context, lines []policy.MatchLine) ([]scoping.Match, error) {
	var ms scoping.Mistakes
	var out []scoping.Match
	anchors := r.anchors()
	first := map[scoping.ObjectID]int{}
	for _, l := range lines {
		ids, err := r.matched(ctx, l, anchors)
		if err != nil {
			return nil, fmt.Errorf("looking up %s, line %d of %s: %w", l.Object, l.Pos.Line, l.Pos.File, err)
		}
		switch {
		case len(ids) == 0:
			ms.Add(l.Pos, l.Object+" is in none of the directories", "remove the line, or name the object by its distinguished name, objectGUID or source anchor of now")
			continue
		case len(ids) > 1:
			ms.Add(l.Pos, fmt.Sprintf("%d objects of the directories carry the source anchor %s", len(ids), l.Object), "name the object by its objectGUID")
			continue
		case first[ids[0]] != 0:
			ms.Add(l.Pos, fmt.Sprintf("%s is the object of line %d", l.Object, first[ids[0]]), "one object belongs to one object: remove one of the lines")
			continue
		}
		first[ids[0]] = l.Pos.Line
		m := scoping.Match{Object: ids[0], Tenant: l.Tenant}
		if why, hint := r.unmatchable(m, anchors); why != "" {
			ms.Add(l.Pos, why, hint)
			continue
		}
		out = append(out, m)
	}
	slices.SortFunc(out, func(a, b scoping.Match) int { return a.Object.Compare(b.Object) })
	return out, ms.Err()
}

// anchors returns the objects by their source anchors, without deleted ones.
func (r *Planner) anchors() map[string][]scoping.ObjectID {
	out := map[string][]scoping.ObjectID{}
	for _, name := range r.o.Census.Names() {
		r.o.Census.Tree(name, func(t *census.Tree) {
			for a, ids := range t.ByAnchor() {
				out[a] = append(out[a], ids...)
			}
		})
	}
	return out
}

// matched returns the objects that a line names, without deleted ones.
func (r *Planner) matched(ctx context.Context, l policy.MatchLine, anchors map[string][]scoping.ObjectID) (out []scoping.ObjectID, err error) {
	if l.Anchor != "" {
		return anchors[l.Anchor], nil
	}
	for _, name := range r.o.Census.Names() {
		if l.DN.IsZero() {
			r.o.Census.Tree(name, func(t *census.Tree) {
				if o, ok := t.Get(l.GUID); ok && !o.Deleted {
					out = append(out, scoping.ObjectID{Directory: name, GUID: l.GUID})
				}
			})
			continue
		}
		guid, _, _, err := r.o.Census.Resolve(ctx, name, l.DN.String())
		if errors.Is(err, directory.ErrNoSuchObject) {
			continue
		}
		if err != nil {
			return nil, err
		}
		out = append(out, scoping.ObjectID{Directory: name, GUID: guid})
	}
	return out, nil
}

// unmatchable returns why a match is impossible, and what to do; "" if no reason is known. A match that is in force was checked before.
func (r *Planner) unmatchable(m scoping.Match, anchors map[string][]scoping.ObjectID) (why, hint string) {
	if slices.Contains(r.o.Gate.Matches(), m) {
		return "", ""
	}
	o, ok := r.o.Cache.Get(m.Tenant)
	kind := r.o.Census.Sight(m.Object).Kind
	var linked scoping.ObjectID
	r.o.Gate.Read(func(s *ledger.State) {
		if row, ok := s.ByCloud(m.Tenant); ok {
			linked = row.Object
		}
	})
	switch {
	case !ok:
		return "the tenant has no object " + m.Tenant, "copy the object's id from the tenant"
	case o.Deleted:
		return "tenant object " + m.Tenant + " is among the deleted items", "restore it in the tenant, or remove the line"
	case o.Kind != kind:
		return fmt.Sprintf("tenant object %s is a %s, and %s is a %s", m.Tenant, o.Kind, r.o.View.Name(m.Object), kind), "only objects of the same kind can belong together"
	case o.Synced:
		return "tenant object " + m.Tenant + " is synchronized by Microsoft's engines", "remove the line: such an object is found by its source anchor once it is released"
	case slices.ContainsFunc(anchors[o.Anchor()], func(id scoping.ObjectID) bool { return id != m.Object }):
		return "tenant object " + m.Tenant + " carries the source anchor of " + r.o.View.Name(anchors[o.Anchor()][0]), "remove the line: it belongs to that object"
	case !linked.GUID.IsZero() && linked != m.Object:
		return "tenant object " + m.Tenant + " belongs to " + r.o.View.Name(linked) + " already", "remove the line"
	}
	return "", ""
}

// joined joins mistakes; another error takes precedence.
func joined(errs ...error) error {
	var all scoping.Mistakes
	for _, err := range errs {
		var ms scoping.Mistakes
		switch {
		case errors.As(err, &ms):
			all = append(all, ms...)
		case err != nil:
			return err
		}
	}
	return all.Err()
}
