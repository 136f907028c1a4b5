package tenant_test

import (
	"net/http"
	"strings"
	"testing"
)

func TestUserLifeOverTheWire(t *testing.T) {
	w := newWorld(t)
	id := w.user("ann", "onPremisesImmutableId", "QUJD", "mail", "ann@contoso.test", "businessPhones", []string{"+1 2"})
	got := w.do(200, "GET", "/users/ann@contoso.test", nil)
	if got["id"] != id || got["mail"] != "ann@contoso.test" || got["onPremisesImmutableId"] != nil {
		t.Fatalf("default set: %v", got)
	}
	if _, shown := got["accountEnabled"]; shown {
		t.Error("accountEnabled is shown without $select")
	}
	got = w.do(200, "GET", "/users/"+id+"?$select=id,onPremisesImmutableId,proxyAddresses,accountEnabled,onPremisesExtensionAttributes", nil)
	if got["onPremisesImmutableId"] != "QUJD" || got["proxyAddresses"].([]any)[0] != "SMTP:ann@contoso.test" || got["accountEnabled"] != true {
		t.Fatalf("selected: %v", got)
	}
	w.do(204, "PATCH", "/users/"+id, map[string]any{"jobTitle": "Chief", "mail": "a.b@contoso.test", "onPremisesExtensionAttributes": map[string]any{"extensionAttribute1": "x"}})
	got = w.do(200, "GET", "/users/"+id+"?$select=jobTitle,mail,proxyAddresses,onPremisesExtensionAttributes", nil)
	ext := got["onPremisesExtensionAttributes"].(map[string]any)
	if got["jobTitle"] != "Chief" || len(got["proxyAddresses"].([]any)) != 2 || got["proxyAddresses"].([]any)[1] != "smtp:ann@contoso.test" || ext["extensionAttribute1"] != "x" || len(ext) != 15 {
		t.Fatalf("patched: %v", got)
	}
	w.do(204, "PATCH", "/users/"+id, map[string]any{"jobTitle": nil, "mail": nil})
	if got = w.do(200, "GET", "/users/"+id, nil); got["jobTitle"] != nil || got["mail"] != nil {
		t.Fatalf("null does not clear: %v", got)
	}
	w.do(204, "DELETE", "/users/"+id, nil)
	w.refused(404, "Request_ResourceNotFound", "does not exist", "GET", "/users/"+id, nil)
	w.refused(404, "Request_ResourceNotFound", "does not exist", "PATCH", "/users/"+id, map[string]any{"jobTitle": "x"})
	w.refused(404, "Request_ResourceNotFound", "does not exist", "DELETE", "/users/"+id, nil)
}

func TestUsersThatGraphRefuses(t *testing.T) {
	w := newWorld(t)
	w.user("ann", "onPremisesImmutableId", "QUJD", "mail", "ann@contoso.test")
	without := func(name string) map[string]any { b := user("bob"); delete(b, name); return b }
	cases := []struct {
		name, message string
		body          map[string]any
	}{
		{"duplicate UPN", "Another object with the same value for property userPrincipalName already exists.", user("ANN")},
		{"duplicate anchor", "property onPremisesImmutableId already exists", user("bob", "onPremisesImmutableId", "QUJD")},
		{"duplicate address", "property proxyAddresses already exists", user("bob", "mail", "Ann@contoso.test")},
		{"accented mail", "Invalid value specified for property 'mail'", user("bob", "mail", "bóžena@contoso.test")},
		{"mail with the type of an address", "Invalid value specified for property 'mail'", user("bob", "mail", "SMTP:bob@contoso.test")},
		{"unverified domain", "domain portion", user("bob", "userPrincipalName", "bob@fabrikam.test")},
		{"bad UPN", "userPrincipalName is invalid", user("bob", "userPrincipalName", "b ob@contoso.test")},
		{"no domain", "userPrincipalName is invalid", user("bob", "userPrincipalName", "bob")},
		{"unknown property", "Invalid property 'shoeSize'.", user("bob", "shoeSize", 43)},
		{"read-only", "'proxyAddresses' is read-only", user("bob", "proxyAddresses", []string{"SMTP:b@contoso.test"})},
		{"synced flag", "'onPremisesSyncEnabled' is read-only", user("bob", "onPremisesSyncEnabled", true)},
		{"id", "'id' is read-only", user("bob", "id", "x")},
		{"wrong type", "accountEnabled", user("bob", "accountEnabled", "yes")},
		{"empty text", "Invalid value specified for property 'jobTitle'", user("bob", "jobTitle", "")},
		{"too long", "Invalid value specified for property 'department'", user("bob", "department", strings.Repeat("x", 65))},
		{"anchor sign", "onPremisesImmutableId", user("bob", "onPremisesImmutableId", "a_b")},
		{"weak password", "complexity", user("bob", "passwordProfile", map[string]any{"password": "secret"})},
		{"no accountEnabled", "'accountEnabled'", without("accountEnabled")},
		{"no displayName", "'displayName'", without("displayName")},
		{"no mailNickname", "'mailNickname'", without("mailNickname")},
		{"no UPN", "'userPrincipalName'", without("userPrincipalName")},
		{"no password", "'passwordProfile'", without("passwordProfile")},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) { w.refused(400, "Request_BadRequest", c.message, "POST", "/users", c.body) })
	}
	rows, _ := w.rows("/users")
	if len(rows) != 1 {
		t.Errorf("a refused create left something: %v", rows)
	}
	conflict := w.do(400, "POST", "/users", user("ann"))["error"].(map[string]any)["details"].([]any)[0].(map[string]any)
	if conflict["code"] != "ObjectConflict" || conflict["target"] != "userPrincipalName" {
		t.Errorf("details: %v", conflict)
	}
}

func TestSyncedObjectsRefuseWrites(t *testing.T) {
	w := newWorld(t)
	id := w.lab(200, "POST", "/objects", map[string]any{"kind": "user", "properties": map[string]any{"displayName": "syn", "userPrincipalName": "syn@contoso.test",
		"onPremisesSyncEnabled": true, "proxyAddresses": []string{"SMTP:syn@contoso.test"}}})["id"].(string)
	g := w.lab(200, "POST", "/objects", map[string]any{"kind": "group", "properties": map[string]any{"displayName": "sg", "securityEnabled": true, "mailEnabled": true,
		"onPremisesSyncEnabled": true}, "members": []string{id}})["id"].(string)
	const message = "on-premises mastered Directory Sync objects"
	w.refused(400, "Request_BadRequest", message, "PATCH", "/users/"+id, map[string]any{"jobTitle": "x"})
	w.do(204, "PATCH", "/users/"+id, map[string]any{"usageLocation": "DE"})
	w.refused(400, "Request_BadRequest", message, "PUT", "/users/"+id+"/manager/$ref", w.link(w.user("boss")))
	w.refused(400, "Request_BadRequest", message, "PATCH", "/groups/"+g, map[string]any{"displayName": "x"})
	w.refused(400, "Request_BadRequest", message, "DELETE", "/groups/"+g+"/members/"+id+"/$ref", nil)
	w.lab(204, "PATCH", "/objects/"+id, map[string]any{"onPremisesSyncEnabled": nil})
	w.do(204, "PATCH", "/users/"+id, map[string]any{"jobTitle": "x"})
}

func TestGroupsAndMembers(t *testing.T) {
	w := newWorld(t)
	ann, bob := w.user("ann"), w.user("bob")
	g := w.group("g", "members@odata.bind", []string{w.ref(ann)})
	w.do(204, "POST", "/groups/"+g+"/members/$ref", w.link(bob))
	w.refused(400, "Request_BadRequest", "already exist", "POST", "/groups/"+g+"/members/$ref", w.link(bob))
	w.refused(404, "Request_ResourceNotFound", "does not exist", "POST", "/groups/"+g+"/members/$ref", w.link("00000000-0000-4000-8000-000000000000"))
	rows, _ := w.rows("/groups/" + g + "/members?$select=id,displayName")
	if ids(rows) != ann+" "+bob || rows[0]["@odata.type"] != "#microsoft.graph.user" {
		t.Fatalf("members: %v", rows)
	}
	w.do(204, "DELETE", "/groups/"+g+"/members/"+ann+"/$ref", nil)
	w.refused(404, "Request_ResourceNotFound", "does not exist", "DELETE", "/groups/"+g+"/members/"+ann+"/$ref", nil)
	outer := w.group("outer")
	w.do(204, "POST", "/groups/"+outer+"/members/$ref", w.link(g))
	rows, _ = w.rows("/users/" + bob + "/memberOf")
	if ids(rows) != g {
		t.Errorf("memberOf: %v", rows)
	}
	rows, _ = w.rows("/users/" + bob + "/transitiveMemberOf/microsoft.graph.group")
	if ids(rows) != g+" "+outer {
		t.Errorf("transitiveMemberOf: %v", rows)
	}
	rows, _ = w.rows("/groups/" + outer + "/transitiveMembers")
	if ids(rows) != g+" "+bob {
		t.Errorf("transitiveMembers: %v", rows)
	}
}

func TestBindsAreAllOrNothing(t *testing.T) {
	w := newWorld(t)
	g := w.group("g")
	var links []string
	for i := 0; i < 21; i++ {
		links = append(links, w.ref(w.user("u"+string(rune('a'+i)))))
	}
	w.refused(400, "Request_BadRequest", "20", "PATCH", "/groups/"+g, map[string]any{"members@odata.bind": links})
	w.refused(404, "Request_ResourceNotFound", "", "PATCH", "/groups/"+g, map[string]any{"members@odata.bind": append(links[:2:2], w.ref("00000000-0000-4000-8000-000000000000"))})
	if rows, _ := w.rows("/groups/" + g + "/members"); len(rows) != 0 {
		t.Fatalf("a refused bind added %d", len(rows))
	}
	w.do(204, "PATCH", "/groups/"+g, map[string]any{"members@odata.bind": links[:20]})
	w.refused(400, "Request_BadRequest", "already exist", "PATCH", "/groups/"+g, map[string]any{"members@odata.bind": links[19:]})
	if rows, _ := w.rows("/groups/" + g + "/members"); len(rows) != 20 {
		t.Fatalf("%d members", len(rows))
	}
}

func TestGroupsThatGraphRefuses(t *testing.T) {
	w := newWorld(t)
	for name, body := range map[string]map[string]any{
		"mail-enabled security": group("x", "mailEnabled", true), "distribution": group("x", "mailEnabled", true, "securityEnabled", false),
		"neither": group("x", "securityEnabled", false), "anchor": group("x", "onPremisesImmutableId", "QUJD"), "dynamic": group("x", "groupTypes", []string{"DynamicMembership"}),
		"no mailNickname": {"displayName": "x", "mailEnabled": false, "securityEnabled": true}, "bad nickname": group("x", "mailNickname", "a b"),
	} {
		t.Run(name, func(t *testing.T) { w.refused(400, "Request_BadRequest", "", "POST", "/groups", body) })
	}
	w.group("m365", "groupTypes", []string{"Unified"}, "mailEnabled", true)
	w.refused(400, "Request_BadRequest", "mailNickname", "POST", "/groups", group("y", "mailNickname", "m365", "groupTypes", []string{"Unified"}, "mailEnabled", true))
	w.group("twin", "mailNickname", "same")
	w.group("twin", "mailNickname", "same")
}

func TestUpsertByUniqueName(t *testing.T) {
	w := newWorld(t)
	const at = "/groups(uniqueName='tandem-00ff')"
	w.refused(404, "Request_ResourceNotFound", "", "PATCH", at, group("one"))
	made := w.do(201, "PATCH", at, group("one"), "Prefer", "create-if-missing")
	if made["uniqueName"] != "tandem-00ff" {
		t.Fatalf("created: %v", made)
	}
	w.do(204, "PATCH", at, map[string]any{"displayName": "two"}, "Prefer", "create-if-missing")
	if got := w.do(200, "GET", at, nil); got["displayName"] != "two" || got["id"] != made["id"] {
		t.Fatalf("updated: %v", got)
	}
	id := made["id"].(string)
	w.refused(400, "Request_BadRequest", "uniqueName", "PATCH", "/groups/"+id, map[string]any{"uniqueName": "other"})
	plain := w.group("plain")
	w.refused(400, "Request_BadRequest", "uniqueName", "PATCH", "/groups/"+plain, map[string]any{"uniqueName": "tandem-00FF"})
	w.do(204, "PATCH", "/groups/"+plain, map[string]any{"uniqueName": "free"})
}

func TestManagers(t *testing.T) {
	w := newWorld(t)
	ann, boss := w.user("ann"), w.user("boss")
	w.refused(404, "Request_ResourceNotFound", "", "GET", "/users/"+ann+"/manager", nil)
	w.do(204, "PUT", "/users/"+ann+"/manager/$ref", w.link(boss))
	if got := w.do(200, "GET", "/users/"+ann+"?$expand=manager($select=id)&$select=id", nil); got["manager"].(map[string]any)["id"] != boss {
		t.Errorf("expand: %v", got)
	}
	if got := w.do(200, "GET", "/users/"+ann+"/manager/$ref", nil); got["@odata.id"] != w.ref(boss) {
		t.Errorf("$ref: %v", got)
	}
	w.do(204, "DELETE", "/users/"+boss, nil)
	w.refused(404, "Request_ResourceNotFound", "", "GET", "/users/"+ann+"/manager", nil)
	w.do(200, "POST", "/directory/deletedItems/"+boss+"/restore", nil)
	w.do(200, "GET", "/users/"+ann+"/manager", nil)
	w.do(204, "DELETE", "/users/"+ann+"/manager/$ref", nil)
	w.refused(404, "Request_ResourceNotFound", "", "DELETE", "/users/"+ann+"/manager/$ref", nil)
}

func TestUnknownPathsAreAnswered(t *testing.T) {
	w := newWorld(t)
	w.refused(400, "BadRequest", "Resource not found for the segment 'devices'.", "GET", "/devices", nil)
	w.refused(405, "Request_BadRequest", "method", "DELETE", "/users", nil)
	w.do(404, "GET", w.server.GraphEndpoint()+"/beta/users", nil)
	w.do(404, "GET", w.server.GraphEndpoint()+"/nowhere", nil)
	resp, err := w.client.Get(w.server.GraphEndpoint() + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK || !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html") {
		t.Errorf("home page: %d %s", resp.StatusCode, resp.Header.Get("Content-Type"))
	}
}
