package tenant

import (
	"net/http"
	"slices"
	"strings"
)

var directoryRoutes = []route{
	get("organization", 1, organization),
	get("organization/{}", 1, organization),
	get("domains", 1, domains),
	get("directory/deletedItems/user", 1, func(f *front, c *call) (reply, error) { return list(f, c, User, "directory/deletedItems", true) }),
	get("directory/deletedItems/group", 1, func(f *front, c *call) (reply, error) { return list(f, c, Group, "directory/deletedItems", true) }),
	get("directory/deletedItems/{}", 1, deletedItem),
	writes(http.MethodDelete, "directory/deletedItems/{}", func(f *front, c *call) (reply, error) { return answer(f.model.Purge(c.args[0])) }),
	writes(http.MethodPost, "directory/deletedItems/{}/restore", restore),
	asks("directoryObjects/getByIds", 3, getByIDs),
	asks("directoryObjects/getAvailableExtensionProperties", 2, availableExtensions),
	get("directoryObjects/{}", 1, directoryObject),
	get("servicePrincipals(appId)/{}", 1, func(f *front, c *call) (reply, error) {
		return read(f, c, ServicePrincipal, "servicePrincipals", func() (Object, error) { return f.model.GetByKey(ServicePrincipal, "appId", c.args[0]) })
	}),
	writes(http.MethodPatch, "servicePrincipals(appId)/{}", patchAppServicePrincipal),
	writes(http.MethodPatch, "servicePrincipals/{}", func(f *front, c *call) (reply, error) { return update(c, f.model.UpdateServicePrincipal) }),
}

func organization(f *front, c *call) (reply, error) {
	org := f.model.organization()
	if len(c.args) == 1 {
		if !strings.EqualFold(c.args[0], f.tenantID) {
			return reply{}, notFound(c.args[0])
		}
		org["id"] = f.tenantID
		org["@odata.context"] = c.base + "/$metadata#organization/$entity"
		return reply{status: http.StatusOK, body: keep(org, splitList(c.option("select")))}, nil
	}
	org["id"] = f.tenantID
	return c.page([]any{keep(org, splitList(c.option("select")))}, "organization")
}

// keep leaves only the selected properties of a row.
func keep(row map[string]any, selected []string) map[string]any {
	if len(selected) == 0 {
		return row
	}
	out := map[string]any{}
	for k, v := range row {
		if slices.Contains(selected, k) || strings.HasPrefix(k, "@") {
			out[k] = v
		}
	}
	return out
}

func domains(f *front, c *call) (reply, error) {
	var rows []any
	all := f.model.Domains()
	for i, d := range all {
		rows = append(rows, map[string]any{"id": d, "authenticationType": "Managed", "isDefault": i == 0, "isInitial": i == len(all)-1, "isRoot": true,
			"isVerified": true, "isAdminManaged": true, "supportedServices": []any{"Email", "OfficeCommunicationsOnline"}})
	}
	return c.page(rows, "domains")
}

func deletedItem(f *front, c *call) (reply, error) {
	o, err := f.model.GetDeleted(c.args[0])
	if err != nil {
		return reply{}, err
	}
	selected, err := c.selected(o.Kind)
	if err != nil {
		return reply{}, err
	}
	body := typed(o, selected)
	body["@odata.context"] = c.base + "/$metadata#directoryObjects/$entity"
	return reply{status: http.StatusOK, body: body}, nil
}

func restore(f *front, c *call) (reply, error) {
	body := map[string]any{}
	if len(c.body) > 0 {
		var err error
		if body, err = c.object(); err != nil {
			return reply{}, err
		}
	}
	o, err := f.model.Restore(c.args[0], asText(body["newUserPrincipalName"]), body["autoReconcileProxyConflict"] == true)
	if err != nil {
		return reply{}, err
	}
	out := typed(o, nil)
	out["@odata.context"] = c.base + "/$metadata#directoryObjects/$entity"
	return reply{status: http.StatusOK, body: out}, nil
}

// getByIDsLimit is the most ids of one request.
// See https://learn.microsoft.com/graph/api/directoryobject-getbyids.
const getByIDsLimit = 1000

func getByIDs(f *front, c *call) (reply, error) {
	body, err := c.object()
	if err != nil {
		return reply{}, err
	}
	ids, ok := body["ids"].([]any)
	if !ok || len(ids) > getByIDsLimit {
		return reply{}, badRequest("'ids' must be an array of at most %d ids.", getByIDsLimit)
	}
	var kinds []string
	if list, given := body["types"].([]any); given {
		for _, t := range list {
			kinds = append(kinds, strings.ToLower(asText(t)))
		}
	}
	rows := []any{}
	for _, id := range ids {
		o, err := f.model.Get("", asText(id))
		if err == nil && (len(kinds) == 0 || slices.Contains(kinds, strings.ToLower(string(o.Kind))) || slices.Contains(kinds, "directoryobject")) {
			rows = append(rows, typed(o, splitList(c.option("select"))))
		}
	}
	return reply{status: http.StatusOK, body: map[string]any{"@odata.context": c.base + "/$metadata#directoryObjects", "value": rows}}, nil
}

func directoryObject(f *front, c *call) (reply, error) {
	o, err := f.model.Get("", c.args[0])
	if err != nil {
		return reply{}, err
	}
	body := typed(o, splitList(c.option("select")))
	body["@odata.context"] = c.base + "/$metadata#directoryObjects/$entity"
	return reply{status: http.StatusOK, body: body}, nil
}

func patchAppServicePrincipal(f *front, c *call) (reply, error) {
	o, err := f.model.GetByKey(ServicePrincipal, "appId", c.args[0])
	if err != nil {
		return reply{}, err
	}
	c.args[0] = o.ID
	return update(c, f.model.UpdateServicePrincipal)
}
