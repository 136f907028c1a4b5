package tenant_test

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/tandem-sync/tandem/examples/lab/tenant"
)

// published reads testdata/graph-properties.json: names and types of properties from Microsoft's published metadata of Graph v1.0.
func published(t *testing.T) map[string]map[string]string {
	t.Helper()
	raw, err := os.ReadFile("testdata/graph-properties.json")
	if err != nil {
		t.Fatal(err)
	}
	var out map[string]map[string]string
	if err := json.Unmarshal(raw, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestEveryPropertyIsGraphsOwn(t *testing.T) {
	types := published(t)
	for _, kind := range []tenant.Kind{tenant.User, tenant.Group, tenant.Contact, tenant.ServicePrincipal} {
		list := tenant.Properties(kind)
		if len(list) < 10 {
			t.Fatalf("%s has %d properties", kind, len(list))
		}
		for _, p := range list {
			if got, ok := types[string(kind)][p.Name]; !ok || got != p.Type {
				t.Errorf("%s.%s is %s here and %q in the published metadata", kind, p.Name, p.Type, got)
			}
		}
	}
	if _, there := types["group"]["onPremisesImmutableId"]; there {
		t.Error("the metadata gained a source anchor on groups: the tenant should show it")
	}
}

// jsonType tells whether a JSON value can be of an EDM type.
func jsonType(v any, edm string) bool {
	switch v.(type) {
	case nil:
		return true
	case string:
		return edm == "Edm.String" || edm == "Edm.DateTimeOffset" || edm == "Edm.Guid"
	case bool:
		return edm == "Edm.Boolean"
	case []any:
		return len(edm) > 11 && edm[:11] == "Collection("
	case map[string]any:
		return len(edm) > 6 && edm[:6] == "graph."
	}
	return false
}

func TestAnswersHaveThePublishedTypes(t *testing.T) {
	w := newWorld(t)
	types := published(t)
	boss := w.user("boss")
	w.do(204, "PATCH", "/users/"+boss, map[string]any{"onPremisesExtensionAttributes": map[string]any{"extensionAttribute2": "x"}, "employeeOrgData": map[string]any{"division": "y"}})
	all := ""
	for _, p := range tenant.Properties(tenant.User) {
		all += "," + p.Name
	}
	org, _ := w.rows("/organization")
	role := w.do(200, "GET", "/directoryRoles/"+tenant.GlobalAdministrator, nil)
	for kind, body := range map[string]map[string]any{"user": w.do(200, "GET", "/users/"+boss+"?$select="+all[1:], nil),
		"group": w.do(200, "GET", "/groups/"+w.group("g"), nil), "organization": org[0], "directoryRole": role,
		"servicePrincipal": w.do(200, "GET", "/servicePrincipals(appId='"+w.server.ClientID+"')", nil)} {
		for name, v := range body {
			if name[0] != '@' && !jsonType(v, types[kind][name]) {
				t.Errorf("%s.%s is %v, published type %q", kind, name, v, types[kind][name])
			}
		}
	}
}
