package tenant

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
)

// assignment is a directory role that a principal holds or may activate (https://learn.microsoft.com/graph/api/resources/unifiedroleassignment).
type assignment struct {
	Principal string `json:"principalId"`
	Role      string `json:"roleDefinitionId"`
}

// Powerful returns, with a reason, those of the ids that hold or may activate a directory role, directly or as a member of a group that does, and those that are
// role-assignable groups (rule J2). Without the permission to read roles it fails, so that an object is never taken for powerless because its roles could not be read.
func (c *Client) Powerful(ctx context.Context, ids []string) (map[string]string, error) {
	wanted := map[string]bool{}
	for _, id := range ids {
		wanted[id] = true
	}
	why := map[string]string{}
	if len(ids) == 0 {
		return why, nil
	}
	power, err := c.assignments(ctx)
	if err != nil {
		return nil, err
	}
	for id, reason := range power {
		if wanted[id] {
			why[id] = reason
		}
	}
	if err := c.throughGroups(ctx, power, wanted, why); err != nil {
		return nil, err
	}
	return why, c.roleGroups(ctx, ids, why)
}

// assignments returns, for each principal with a role, a reason with the role's name.
func (c *Client) assignments(ctx context.Context) (map[string]string, error) {
	const path = "/roleManagement/directory/"
	names := map[string]string{}
	err := list(ctx, c.patient(), "read the role definitions", permRoles, path+"roleDefinitions?$select=id,displayName", func(r raw) {
		names[r.text("id")] = r.text("displayName")
	})
	if err != nil {
		return nil, err
	}
	power := map[string]string{}
	take := func(how string) func(assignment) {
		return func(a assignment) {
			name := names[a.Role]
			if name == "" {
				name = a.Role
			}
			if _, known := power[a.Principal]; !known {
				power[a.Principal] = how + " the directory role " + name
			}
		}
	}
	if err := list(ctx, c.patient(), "read the role assignments", permRoles, path+"roleAssignments", take("holds")); err != nil {
		return nil, err
	}
	err = list(ctx, c.patient(), "read who may activate roles", permRoles, path+"roleEligibilitySchedules", take("may activate"))
	if unlicensed(err) {
		err = nil
	}
	return power, err
}

// unlicensed reports whether the tenant has no privileged identity management, so that there are no roles to activate.
func unlicensed(err error) bool {
	var e *GraphError
	return errors.As(err, &e) && e.HTTP == http.StatusBadRequest && e.Code == "AadPremiumLicenseRequired"
}

// throughGroups adds the wanted ids that are members of groups in power.
func (c *Client) throughGroups(ctx context.Context, power map[string]string, wanted map[string]bool, why map[string]string) error {
	groups, err := c.groupsAmong(ctx, keys(power))
	if err != nil {
		return err
	}
	for _, g := range groups {
		id := g.text("id")
		path := "/groups/" + url.PathEscape(id) + "/transitiveMembers?$select=id&$top=999"
		err := list(ctx, c.patient(), "read the members of group "+id, permMember, path, func(r raw) {
			member := r.text("id")
			if _, known := why[member]; wanted[member] && !known {
				why[member] = "is a member of group " + g.text("displayName") + " (" + id + "), which " + power[id]
			}
		})
		if err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
	}
	return nil
}

// roleGroups adds the role-assignable groups among the ids.
func (c *Client) roleGroups(ctx context.Context, ids []string, why map[string]string) error {
	groups, err := c.groupsAmong(ctx, ids)
	for _, g := range groups {
		if _, known := why[g.text("id")]; !known && isTrue(g.flag("isAssignableToRole")) {
			why[g.text("id")] = "is a role-assignable group"
		}
	}
	return err
}

// maxIDs is the most ids of one getByIds (https://learn.microsoft.com/graph/api/directoryobject-getbyids).
const maxIDs = 1000

// groupsAmong returns the groups among the ids.
func (c *Client) groupsAmong(ctx context.Context, ids []string) ([]raw, error) {
	var groups []raw
	for some := range slices.Chunk(ids, maxIDs) {
		var page struct {
			Value []raw `json:"value"`
		}
		in := map[string]any{"ids": some, "types": []string{"group"}}
		if err := c.patient().post(ctx, "look up groups by id", permGroup, "/directoryObjects/getByIds", in, &page); err != nil {
			return nil, err
		}
		groups = append(groups, page.Value...)
	}
	return groups, nil
}

func keys(m map[string]string) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}
