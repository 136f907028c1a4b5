package tenant_test

import (
	"strings"
	"testing"
	"time"

	"github.com/tandem-sync/tandem/examples/lab/tenant"
)

func TestListsFilterPageAndCount(t *testing.T) {
	w := newWorld(t)
	for _, n := range []string{"ann", "bob", "cid", "dan", "eve"} {
		w.user(n, "onPremisesImmutableId", "anchor-"+n, "mail", n+"@contoso.test")
	}
	eventual := []string{"ConsistencyLevel", "eventual"}
	cases := map[string]string{
		"userPrincipalName eq 'ANN@contoso.test'": "ann", "onPremisesImmutableId eq 'anchor-bob'": "bob", "onPremisesImmutableId in ('anchor-bob','anchor-eve')": "bob eve",
		"startsWith(displayName,'c') or mailNickname eq 'dan'": "cid dan", "proxyAddresses/any(p:p eq 'smtp:eve@contoso.test')": "eve",
		"proxyAddresses/any(p:startsWith(p,'smtp:a'))": "ann", "accountEnabled eq true and mail eq 'cid@contoso.test'": "cid", "onPremisesSyncEnabled eq true": "",
		"displayName ne 'ann' and not(startsWith(displayName,'b'))": "cid dan eve",
	}
	for filter, want := range cases {
		path := "/users?$count=true&$filter=" + q(filter)
		rows, last := w.rows(path, eventual...)
		var names []string
		for _, r := range rows {
			names = append(names, r["displayName"].(string))
		}
		if got := strings.Join(names, " "); got != want || int(last["@odata.count"].(float64)) != len(rows) {
			t.Errorf("%s: %q (count %v), want %q", filter, got, last["@odata.count"], want)
		}
	}
	rows, last := w.rows("/users?$top=2&$select=id,displayName")
	if len(rows) != 5 || len(last["value"].([]any)) != 1 || len(rows[0]) != 2 {
		t.Errorf("paging: %v", rows)
	}
	if rows, _ = w.rows("/users?$top=2&$orderby=displayName%20desc"); rows[0]["displayName"] != "eve" || len(rows) != 5 {
		t.Errorf("order: %v", rows)
	}
}

func TestQueriesThatGraphRefuses(t *testing.T) {
	w := newWorld(t)
	for path, code := range map[string]string{
		"/users?$filter=" + q("displayName ne 'x'"):                    "Request_UnsupportedQuery",
		"/users?$filter=" + q("not startsWith(displayName,'x')"):       "Request_UnsupportedQuery",
		"/users?$filter=" + q("streetAddress eq 'x'"):                  "Request_UnsupportedQuery",
		"/users?$filter=" + q("shoeSize eq 'x'"):                       "Request_UnsupportedQuery",
		"/users?$filter=" + q("contains(displayName,'x')"):             "Request_UnsupportedQuery",
		"/users?$filter=" + q("proxyAddresses eq 'x'"):                 "Request_UnsupportedQuery",
		"/groups?$filter=" + q("onPremisesImmutableId eq 'x'"):         "Request_UnsupportedQuery",
		"/users?$filter=" + q("displayName eq"):                        "BadRequest",
		"/users?$top=1000":                                             "Request_UnsupportedQuery",
		"/users?$top=0":                                                "Request_UnsupportedQuery",
		"/users?$skip=5":                                               "Request_UnsupportedQuery",
		"/users?$select=shoeSize":                                      "BadRequest",
		"/groups?$select=onPremisesImmutableId":                        "BadRequest",
		"/users?$search=" + q(`"displayName:x"`):                       "Request_UnsupportedQuery",
		"/users?$expand=drive":                                         "Request_UnsupportedQuery",
		"/users?$skiptoken=rubbish":                                    "Request_BadRequest",
		"/users?$filter=" + q("displayName eq 'x'") + "&$orderby=mail": "Request_UnsupportedQuery",
	} {
		w.refused(400, code, "", "GET", path, nil)
	}
}

func TestDeletedItemsRestoreAndPurge(t *testing.T) {
	w := newWorld(t)
	ann := w.user("ann", "onPremisesImmutableId", "QUJD")
	g := w.group("g", "members@odata.bind", []string{w.ref(ann)})
	w.do(204, "DELETE", "/users/"+ann, nil)
	rows, _ := w.rows("/directory/deletedItems/microsoft.graph.user?$select=id,userPrincipalName,onPremisesImmutableId,deletedDateTime")
	if ids(rows) != ann || rows[0]["deletedDateTime"] == nil || rows[0]["userPrincipalName"] != strings.ReplaceAll(ann, "-", "")+"ann@contoso.test" {
		t.Fatalf("deleted: %v", rows)
	}
	if members, _ := w.rows("/groups/" + g + "/members"); len(members) != 0 {
		t.Error("a deleted user is still a member")
	}
	other := w.user("ann", "onPremisesImmutableId", "QUJD")
	w.refused(400, "Request_BadRequest", "userPrincipalName", "POST", "/directory/deletedItems/"+ann+"/restore", nil)
	w.do(204, "DELETE", "/users/"+other, nil)
	w.do(204, "DELETE", "/directory/deletedItems/"+other, nil)
	w.do(404, "GET", "/directory/deletedItems/"+other, nil)
	if got := w.do(200, "POST", "/directory/deletedItems/"+ann+"/restore", nil); got["id"] != ann || got["userPrincipalName"] != "ann@contoso.test" {
		t.Fatalf("restored: %v", got)
	}
	if members, _ := w.rows("/groups/" + g + "/members"); ids(members) != ann {
		t.Error("a restored user lost its membership")
	}
	w.do(204, "DELETE", "/groups/"+g, nil)
	w.do(200, "POST", "/directory/deletedItems/"+g+"/restore", nil)
	if members, _ := w.rows("/groups/" + g + "/members"); ids(members) != ann {
		t.Error("a restored group lost its members")
	}
	w.do(204, "DELETE", "/users/"+ann, nil)
	w.clock.pass(31 * 24 * time.Hour)
	w.signIn()
	w.do(404, "POST", "/directory/deletedItems/"+ann+"/restore", nil)
}

func TestSoftDeletionIsConfigurable(t *testing.T) {
	w := newWorld(t, func(o *tenant.Options, _ *tenant.ServeOptions) {
		o.DeletedAnchorBlocks, o.GroupsNotRestorable, o.KeepDeletedUPN = true, true, true
	})
	ann := w.user("ann", "onPremisesImmutableId", "QUJD")
	w.do(204, "DELETE", "/users/"+ann, nil)
	w.refused(400, "Request_BadRequest", "onPremisesImmutableId", "POST", "/users", user("ann", "onPremisesImmutableId", "QUJD"))
	if got := w.do(200, "GET", "/directory/deletedItems/"+ann+"?$select=userPrincipalName", nil); got["userPrincipalName"] != "ann@contoso.test" {
		t.Errorf("%v", got)
	}
	g := w.group("g")
	w.do(204, "DELETE", "/groups/"+g, nil)
	w.do(404, "POST", "/directory/deletedItems/"+g+"/restore", nil)
}

func TestRolesOrganizationAndMarker(t *testing.T) {
	w := newWorld(t)
	ann := w.user("ann")
	admins := w.group("admins", "isAssignableToRole", true, "members@odata.bind", []string{w.ref(ann)})
	w.refused(400, "Request_BadRequest", "isAssignableToRole", "PATCH", "/groups/"+admins, map[string]any{"isAssignableToRole": false})
	plain := w.group("plain")
	w.do(400, "POST", w.server.GraphEndpoint()+"/lab/roles", map[string]any{"principalId": plain, "roleId": tenant.GlobalAdministrator}, "Authorization", "Bearer "+w.server.LabToken)
	w.lab(200, "POST", "/roles", map[string]any{"principalId": admins, "roleId": tenant.GlobalAdministrator})
	w.lab(200, "POST", "/roles", map[string]any{"principalId": ann, "roleId": "fe930be7-5e62-47db-91af-98c3a49a38b1", "eligible": true})
	if rows, _ := w.rows("/roleManagement/directory/roleAssignments?$filter=" + q("principalId eq '"+admins+"'")); len(rows) != 1 || rows[0]["roleDefinitionId"] != tenant.GlobalAdministrator {
		t.Errorf("assignments: %v", rows)
	}
	if rows, _ := w.rows("/roleManagement/directory/roleEligibilitySchedules?$filter=" + q("principalId eq '"+ann+"'")); len(rows) != 1 {
		t.Errorf("eligible: %v", rows)
	}
	if rows, _ := w.rows("/directoryRoles/" + tenant.GlobalAdministrator + "/members"); ids(rows) != admins {
		t.Errorf("role members: %v", rows)
	}
	if rows, _ := w.rows("/users/" + ann + "/transitiveMemberOf/microsoft.graph.directoryRole"); ids(rows) != tenant.GlobalAdministrator {
		t.Errorf("roles by group: %v", rows)
	}
	org, _ := w.rows("/organization")
	if d := org[0]["verifiedDomains"].([]any); len(d) != 2 || d[1].(map[string]any)["name"] != "contoso.onmicrosoft.com" || d[1].(map[string]any)["isInitial"] != true || org[0]["id"] != w.server.TenantID {
		t.Errorf("organization: %v", org)
	}
	sp := "/servicePrincipals(appId='" + w.server.ClientID + "')"
	w.do(204, "PATCH", sp, map[string]any{"notes": "marker", "tags": []string{"x"}})
	if got := w.do(200, "GET", sp+"?$select=id,notes,tags", nil); got["notes"] != "marker" {
		t.Errorf("marker: %v", got)
	}
	if rows := w.do(200, "POST", "/directoryObjects/getByIds", map[string]any{"ids": []string{ann, admins}, "types": []string{"group"}})["value"].([]any); len(rows) != 1 {
		t.Errorf("getByIds: %v", rows)
	}
}
