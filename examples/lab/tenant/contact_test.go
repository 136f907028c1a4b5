package tenant_test

import (
	"fmt"
	"testing"

	"github.com/tandem-sync/tandem/examples/lab/tenant"
)

// atDoor performs a request of the application at the lab's door.
func (w *world) atDoor(want int, method, path string, body any) map[string]any {
	w.t.Helper()
	return w.do(want, method, w.server.GraphEndpoint()+"/lab"+path, body)
}

func (w *world) contact(name string, more ...any) string {
	w.t.Helper()
	body := map[string]any{"sourceAnchor": "anchor-" + name, "displayName": name, "mail": name + "@partner.test", "mailNickname": name}
	for i := 0; i+1 < len(more); i += 2 {
		body[more[i].(string)] = more[i+1]
	}
	return w.atDoor(201, "POST", "/contacts", body)["id"].(string)
}

func TestPublicGraphReadsContactsAndWritesNone(t *testing.T) {
	w := newWorld(t)
	if got := w.atDoor(200, "GET", "/", nil)["doors"]; fmt.Sprint(got) != "[contacts credentials writeback]" {
		t.Errorf("doors: %v", got)
	}
	id := w.contact("pat")
	got := w.do(200, "GET", "/contacts/"+id, nil)
	if got["displayName"] != "pat" || got["mail"] != "pat@partner.test" || got["sourceAnchor"] != nil || fmt.Sprint(got["proxyAddresses"]) != "[SMTP:pat@partner.test]" {
		t.Errorf("Graph shows %v", got)
	}
	for _, method := range []string{"PATCH", "DELETE"} {
		w.refused(405, "Request_BadRequest", "", method, "/contacts/"+id, map[string]any{"displayName": "x"})
	}
	w.refused(405, "Request_BadRequest", "", "POST", "/contacts", map[string]any{"displayName": "x"})
	w.do(401, "GET", w.server.GraphEndpoint()+"/lab/contacts", nil, "Authorization", "Bearer nobody")
}

func TestAContactIsMadeOnceForItsAnchor(t *testing.T) {
	w := newWorld(t)
	id := w.contact("pat")
	again := map[string]any{"sourceAnchor": "anchor-pat", "displayName": "other", "mail": "other@partner.test"}
	w.atDoor(400, "POST", "/contacts", again)
	list := w.lab(200, "GET", "/contacts?sourceAnchor=anchor-pat", nil)["value"].([]any)
	if len(list) != 1 || list[0].(map[string]any)["id"] != id || list[0].(map[string]any)["sourceAnchor"] != "anchor-pat" {
		t.Fatalf("%v", list)
	}
	for name, body := range map[string]map[string]any{
		"no anchor":     {"displayName": "x", "mail": "x@partner.test"},
		"no address":    {"sourceAnchor": "a", "displayName": "x"},
		"an odd one":    {"sourceAnchor": "a", "displayName": "x", "mail": "x"},
		"a taken one":   {"sourceAnchor": "a", "displayName": "x", "mail": "pat@partner.test"},
		"what is Graph": {"sourceAnchor": "a", "displayName": "x", "mail": "x@partner.test", "proxyAddresses": []string{"SMTP:y@partner.test"}},
	} {
		if got := w.atDoor(400, "POST", "/contacts", body); got["error"] == nil {
			t.Errorf("%s: %v", name, got)
		}
	}
	w.atDoor(400, "PATCH", "/contacts/"+id, map[string]any{"sourceAnchor": "b"})
	w.atDoor(400, "PATCH", "/contacts/"+id, map[string]any{"mail": nil})
	w.atDoor(204, "PATCH", "/contacts/"+id, map[string]any{"department": "Sales", "givenName": nil})
	if got := w.do(200, "GET", "/contacts/"+id, nil); got["department"] != "Sales" {
		t.Errorf("%v", got)
	}
	w.atDoor(204, "DELETE", "/contacts/"+id, nil)
	w.atDoor(404, "DELETE", "/contacts/"+id, nil)
	if again := w.contact("pat"); again == id {
		t.Error("a deleted contact came back")
	}
}

func TestContactsAreMembersAndManagers(t *testing.T) {
	w := newWorld(t)
	pat, sam := w.contact("pat"), w.contact("sam")
	ann, staff := w.user("ann"), w.group("staff")
	_, link := w.round("/contacts/delta?$select=displayName,manager")
	w.do(204, "PATCH", "/groups/"+staff, map[string]any{"members@odata.bind": []string{w.ref(pat), w.ref(ann)}})
	w.do(204, "PUT", "/users/"+ann+"/manager/$ref", w.link(pat))
	w.atDoor(204, "PUT", "/contacts/"+sam+"/manager/$ref", w.link(pat))
	rows, _ := w.rows("/groups/" + staff + "/members/orgContact")
	if ids(rows) != pat {
		t.Errorf("members: %v", rows)
	}
	if rows, _ = w.rows("/contacts/" + pat + "/directReports"); ids(rows) != ann+" "+sam {
		t.Errorf("reports: %v", rows)
	}
	var changes []map[string]any
	changes, link = w.round(link)
	if len(changes) != 1 || changes[0]["id"] != sam || fmt.Sprint(changes[0]["manager@delta"]) == "<nil>" {
		t.Errorf("delta tells %v", changes)
	}
	w.atDoor(204, "DELETE", "/contacts/"+sam+"/manager/$ref", nil)
	w.atDoor(204, "DELETE", "/contacts/"+pat, nil)
	if rows, _ = w.rows("/groups/" + staff + "/members"); ids(rows) != ann {
		t.Errorf("a deleted contact stays in its groups: %v", rows)
	}
	w.refused(404, "Request_ResourceNotFound", "", "GET", "/users/"+ann+"/manager", nil)
	if rows, _ = w.rows("/directory/deletedItems/microsoft.graph.user"); len(rows) != 0 {
		t.Errorf("deleted contacts do not lie in the deleted items: %v", rows)
	}
	for changes, _ = w.round(link); len(changes) > 0; changes = changes[1:] {
		if c := changes[0]; c["id"] == pat && fmt.Sprint(c["@removed"]) != "map[reason:deleted]" {
			t.Errorf("delta tells of the delete %v", c)
		}
	}
}

func TestTheDoorsBatchObeysFaults(t *testing.T) {
	w := newWorld(t)
	w.lab(200, "POST", "/faults", map[string]any{"kind": "throttled", "path": "^/lab/contacts", "writes": true})
	part := func(id string) map[string]any {
		return map[string]any{"id": id, "method": "POST", "url": "/contacts", "headers": map[string]string{"Content-Type": "application/json"},
			"body": map[string]any{"sourceAnchor": id, "displayName": id, "mail": id + "@partner.test"}}
	}
	out := w.atDoor(200, "POST", "/$batch", map[string]any{"requests": []any{part("a"), part("b")}})
	var statuses []string
	for _, r := range out["responses"].([]any) {
		statuses = append(statuses, fmt.Sprint(r.(map[string]any)["status"]))
	}
	if fmt.Sprint(statuses) != "[429 201]" || len(w.model.Contacts("")) != 1 {
		t.Errorf("%v, %d contacts", statuses, len(w.model.Contacts("")))
	}
	if s := w.model.State(true); s.Objects[0].Kind != tenant.Contact || s.Objects[0].Properties["sourceAnchor"] != "b" {
		t.Errorf("%+v", s.Objects[0])
	}
	out = w.do(200, "POST", "/$batch", map[string]any{"requests": []any{part("c")}})
	if s := fmt.Sprint(out["responses"].([]any)[0].(map[string]any)["status"]); s != "405" {
		t.Errorf("Graph's own $batch makes a contact: %s", s)
	}
}

func TestRegisteredExtensionsOfUsers(t *testing.T) {
	w := newWorld(t)
	name := w.lab(200, "POST", "/extensions", map[string]any{"appId": "01234567-89ab-cdef-0123-456789abcdef", "name": "employeeNumber"})["name"].(string)
	if name != "extension_0123456789abcdef0123456789abcdef_employeeNumber" {
		t.Fatal(name)
	}
	if rows := w.do(200, "POST", "/directoryObjects/getAvailableExtensionProperties", map[string]any{})["value"].([]any); len(rows) != 1 || rows[0].(map[string]any)["name"] != name {
		t.Errorf("%v", rows)
	}
	ann := w.user("ann", name, "17")
	w.refused(400, "Request_BadRequest", "not available", "PATCH", "/users/"+ann, map[string]any{"extension_x": "1"})
	items, link := w.round("/users/delta?$select=displayName," + name)
	if len(items) != 1 || items[0][name] != "17" {
		t.Errorf("%v", items)
	}
	if got := w.do(200, "GET", "/users/"+ann+"?$select=id,"+name, nil); got[name] != "17" {
		t.Errorf("%v", got)
	}
	if got := w.do(200, "GET", "/users/"+ann, nil); got[name] != nil {
		t.Errorf("shown unasked: %v", got)
	}
	w.do(204, "PATCH", "/users/"+ann, map[string]any{name: nil})
	if items, _ = w.round(link); len(items) != 1 {
		t.Errorf("%v", items)
	}
	if v, said := items[0][name]; !said || v != nil {
		t.Errorf("a cleared extension is not told: %v", items)
	}
}
