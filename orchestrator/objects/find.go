package objects

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/tandem-sync/tandem/orchestrator/census"
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/problem"
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/scoping"
)

// Resolve finds a container or object by its DN, in the directory whose naming context contains it.
func (v *View) Resolve(ctx context.Context, dn string) (dir string, guid scoping.GUID, chain []scoping.GUID, err error) {
	if _, err := scoping.ParseDN(dn); err != nil {
		return "", guid, nil, problem.About(dn, "%w", problem.Refuse("%w", err))
	}
	for _, name := range v.census.Names() {
		guid, _, chain, err := v.census.Resolve(ctx, name, dn)
		if err == nil {
			return name, guid, chain, nil
		}
		if !errors.Is(err, directory.ErrNoSuchObject) {
			return "", guid, nil, err
		}
	}
	return "", guid, nil, problem.About(dn, "%w: %s is in none of the directories (%s)", problem.ErrNotFound, dn, strings.Join(v.census.Names(), ", "))
}

// Find resolves a reference by an administrator: a DN, a user principal name, a source anchor, an account name, an identity, or a tenant object id.
func (v *View) Find(ctx context.Context, ref string) (scoping.ObjectID, error) {
	if id, err := scoping.ParseObjectID(ref); err == nil {
		return id, nil
	}
	if strings.Contains(ref, "=") && strings.Contains(ref, ",") {
		dir, guid, _, err := v.Resolve(ctx, ref)
		if err == nil {
			return scoping.ObjectID{Directory: dir, GUID: guid}, nil
		}
		if id, ok := v.rowNamed(ref); ok {
			return id, nil
		}
		return scoping.ObjectID{}, err
	}
	var found []scoping.ObjectID
	v.gate.Read(func(s *ledger.State) {
		if row, ok := s.ByCloud(ref); ok {
			found = append(found, row.Object)
		}
	})
	for _, n := range v.census.Names() {
		v.census.Tree(n, func(t *census.Tree) { found = append(found, t.Find(ref)...) })
	}
	found = distinct(found)
	if strings.Contains(ref, "@") && !(len(found) == 1 && v.signsInAs(found[0], ref)) {
		found = distinct(append(found, v.byCloudName(ref)...))
	}
	switch len(found) {
	case 0:
		return scoping.ObjectID{}, problem.About(ref, "%w: %q is no DN, user principal name, source anchor or tenant object id that is known", problem.ErrNotFound, ref)
	case 1:
		return found[0], nil
	}
	return scoping.ObjectID{}, problem.About(ref, "%w", problem.Refuse("%q names %d objects, %s among them: use the DN", ref, len(found), v.Name(found[0])))
}

// rowNamed finds a deleted object by its last known name.
func (v *View) rowNamed(dn string) (id scoping.ObjectID, ok bool) {
	want, err := scoping.ParseDN(dn)
	if err != nil {
		return id, false
	}
	v.gate.Read(func(s *ledger.State) {
		for _, o := range s.Objects() {
			if d, err := scoping.ParseDN(s.Rows.Get(o).Name); err == nil && d.Equal(want) {
				id, ok = o, true
			}
		}
	})
	return id, ok
}

// distinct sorts identities and removes duplicates.
func distinct(ids []scoping.ObjectID) []scoping.ObjectID {
	slices.SortFunc(ids, scoping.ObjectID.Compare)
	return slices.Compact(ids)
}

// signsInAs reports whether an object's tenant user has a sign-in name. Sign-in names are unique in a tenant.
func (v *View) signsInAs(id scoping.ObjectID, ref string) bool {
	linked := ""
	v.gate.Read(func(s *ledger.State) {
		if row := s.Rows.Get(id); row != nil && row.State == ledger.Live {
			linked = row.CloudID
		}
	})
	o, ok := v.cache.Get(linked)
	return linked != "" && ok && !o.Deleted && strings.EqualFold(o.Values.First(cloud.UPN), ref)
}

// byCloudName finds the object of a tenant user by its sign-in name.
func (v *View) byCloudName(ref string) []scoping.ObjectID {
	o, ok := v.cache.ByUPN(ref)
	if !ok {
		return nil
	}
	var out []scoping.ObjectID
	v.gate.Read(func(s *ledger.State) {
		if row, linked := s.ByCloud(o.ID); linked {
			out = append(out, row.Object)
		}
	})
	return out
}
