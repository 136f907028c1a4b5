package objects

import (
	"slices"
	"strings"

	"github.com/tandem-sync/tandem/orchestrator/problem"
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/scoping"
)

// InTenant resolves a reference by an administrator to a live object of the tenant: its id, its identity (@tenant/ID), a user principal name, or the
// display name of a user or group. It uses the last reading of the tenant.
func (v *View) InTenant(ref string) (cloud.Object, error) {
	if o, ok := v.cache.Get(strings.ToLower(strings.TrimPrefix(ref, scoping.Tenant+"/"))); ok && !o.Deleted {
		return o, nil
	}
	if o, ok := v.cache.ByUPN(ref); ok && !o.Deleted {
		return o, nil
	}
	found := slices.DeleteFunc(v.cache.ByDisplayName(ref, func(string) bool { return false }), func(o cloud.Object) bool { return o.Deleted })
	switch len(found) {
	case 0:
		return cloud.Object{}, problem.About(ref, "%w: %q is no id, user principal name or display name that the tenant had when it was read last", problem.ErrNotFound, ref)
	case 1:
		return found[0], nil
	}
	return cloud.Object{}, problem.About(ref, "%w", problem.Refuse("%d objects of the tenant are called %q, %s among them: use the id", len(found), ref, found[0].ID))
}
