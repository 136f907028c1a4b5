package tenant

import (
	"net/http"
	"strings"

	"github.com/tandem-sync/tandem/examples/lab/tenant/odata"
)

var roleRoutes = []route{
	get("directoryRoles", 1, directoryRoles),
	get("directoryRoles/{}", 1, directoryRole),
	get("directoryRoles(roleTemplateId)/{}", 1, directoryRole),
	get("directoryRoles/{}/members", 2, roleMembers),
	get("directoryRoles(roleTemplateId)/{}/members", 2, roleMembers),
	get("roleManagement/directory/roleDefinitions", 1, roleDefinitions),
	get("roleManagement/directory/roleDefinitions/{}", 1, roleDefinition),
	get("roleManagement/directory/roleAssignments", 1, func(f *front, c *call) (reply, error) { return assignments(f, c, "roleAssignments", false) }),
	get("roleManagement/directory/roleEligibilitySchedules", 1, func(f *front, c *call) (reply, error) {
		return assignments(f, c, "roleEligibilitySchedules", true)
	}),
	get("roleManagement/directory/roleEligibilityScheduleInstances", 1, func(f *front, c *call) (reply, error) {
		return assignments(f, c, "roleEligibilityScheduleInstances", true)
	}),
}

// roleRow shows a role; its id here is its template's.
func roleRow(r Role) map[string]any {
	return map[string]any{"id": r.TemplateID, "deletedDateTime": nil, "displayName": r.Name, "description": r.Name, "roleTemplateId": r.TemplateID}
}

func definitionRow(r Role) map[string]any {
	return map[string]any{"id": r.TemplateID, "displayName": r.Name, "description": r.Name, "isBuiltIn": true, "isEnabled": true, "templateId": r.TemplateID}
}

func findRole(id string) (Role, error) {
	for _, r := range Roles {
		if strings.EqualFold(r.TemplateID, id) {
			return r, nil
		}
	}
	return Role{}, notFound(id)
}

func directoryRoles(f *front, c *call) (reply, error) {
	var rows []any
	for _, r := range Roles {
		rows = append(rows, roleRow(r))
	}
	return c.filteredPage(rows, "directoryRoles", "displayName", "roleTemplateId", "id")
}

func directoryRole(f *front, c *call) (reply, error) {
	r, err := findRole(c.args[0])
	return reply{status: http.StatusOK, body: roleRow(r)}, err
}

func roleMembers(f *front, c *call) (reply, error) {
	r, err := findRole(c.args[0])
	if err != nil {
		return reply{}, err
	}
	var rows []any
	for _, o := range f.model.RoleMembers(r.TemplateID) {
		rows = append(rows, typed(o, splitList(c.option("select"))))
	}
	return c.page(rows, "directoryObjects")
}

func roleDefinitions(f *front, c *call) (reply, error) {
	var rows []any
	for _, r := range Roles {
		rows = append(rows, definitionRow(r))
	}
	return c.filteredPage(rows, "roleManagement/directory/roleDefinitions", "displayName", "id", "isBuiltIn", "templateId")
}

func roleDefinition(f *front, c *call) (reply, error) {
	r, err := findRole(c.args[0])
	return reply{status: http.StatusOK, body: definitionRow(r)}, err
}

// assignments answers active or eligible role assignments; a filter on principalId or roleDefinitionId narrows them.
func assignments(f *front, c *call, collection string, eligible bool) (reply, error) {
	var rows []any
	for _, a := range f.model.Assignments(eligible) {
		row := map[string]any{"id": a.ID, "principalId": a.PrincipalID, "roleDefinitionId": a.RoleID, "directoryScopeId": "/"}
		if c.option("expand") == "roleDefinition" {
			if r, err := findRole(a.RoleID); err == nil {
				row["roleDefinition"] = definitionRow(r)
			}
		}
		if c.option("expand") == "principal" {
			if o, err := f.model.Get("", a.PrincipalID); err == nil {
				row["principal"] = typed(o, nil)
			}
		}
		rows = append(rows, row)
	}
	return c.filteredPage(rows, "roleManagement/directory/"+collection, "principalId", "roleDefinitionId", "directoryScopeId", "id")
}

// filteredPage applies $filter, on the given properties only, to rows that are computed whole.
func (c *call) filteredPage(rows []any, collection string, allowed ...string) (reply, error) {
	text := c.option("filter")
	if text == "" {
		return c.page(rows, collection)
	}
	x, err := odata.Parse(text)
	if err != nil {
		return reply{}, plainBadRequest(err.Error())
	}
	var bad error
	odata.Walk(x, func(n odata.Expr) {
		if cmp, ok := n.(odata.Compare); ok && !containsFold(allowed, cmp.Path) {
			bad = unsupportedQuery("Filtering on '%s' is not supported.", cmp.Path)
		}
	})
	if bad != nil {
		return reply{}, bad
	}
	var hits []any
	for _, r := range rows {
		row := r.(map[string]any)
		if odata.Match(x, func(path string) any { return row[path] }) {
			hits = append(hits, r)
		}
	}
	return c.page(hits, collection)
}
