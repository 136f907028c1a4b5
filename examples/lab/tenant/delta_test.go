package tenant_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/tandem-sync/tandem/examples/lab/tenant"
)

func (w *world) round(path string, header ...string) (items []map[string]any, deltaLink string) {
	w.t.Helper()
	rows, last := w.rows(path, header...)
	link, ok := last["@odata.deltaLink"].(string)
	if !ok {
		w.t.Fatalf("a round ends without a deltaLink: %v", last)
	}
	return rows, link
}

func TestUserDeltaTellsWhatChanged(t *testing.T) {
	w := newWorld(t)
	ann, bob, boss := w.user("ann"), w.user("bob"), w.user("boss")
	items, link := w.round("/users/delta?$select=displayName,jobTitle,manager")
	if len(items) != 3 || items[0]["displayName"] != "ann" {
		t.Fatalf("first round: %v", items)
	}
	if _, set := items[0]["jobTitle"]; set {
		t.Error("a property never set is shown")
	}
	if items, link = w.round(link); len(items) != 0 {
		t.Fatalf("nothing happened, but: %v", items)
	}
	w.do(204, "PATCH", "/users/"+ann, map[string]any{"jobTitle": "Chief"})
	w.do(204, "PATCH", "/users/"+bob, map[string]any{"city": "Ulm"}) // not selected
	w.do(204, "PUT", "/users/"+bob+"/manager/$ref", w.link(boss))
	minimal, _ := w.round(link, "Prefer", "return=minimal")
	if len(minimal) != 2 || minimal[0]["jobTitle"] != "Chief" || minimal[0]["displayName"] != nil {
		t.Fatalf("minimal: %v", minimal)
	}
	items, link = w.round(link)
	manager := items[1]["manager@delta"].([]any)[0].(map[string]any)
	if len(items) != 2 || items[0]["displayName"] != "ann" || manager["id"] != boss || manager["@odata.type"] != "#microsoft.graph.user" {
		t.Fatalf("changes: %v", items)
	}
	w.do(204, "PATCH", "/users/"+ann, map[string]any{"jobTitle": nil})
	w.do(204, "DELETE", "/users/"+bob+"/manager/$ref", nil)
	items, link = w.round(link)
	if v, shown := items[0]["jobTitle"]; !shown || v != nil {
		t.Errorf("a cleared property: %v", items[0])
	}
	if gone := items[1]["manager@delta"].([]any)[0].(map[string]any); gone["@removed"] == nil {
		t.Errorf("a manager taken away: %v", items[1])
	}
	w.do(204, "DELETE", "/users/"+ann, nil)
	items, link = w.round(link)
	if items[0]["id"] != ann || items[0]["@removed"].(map[string]any)["reason"] != "changed" {
		t.Errorf("soft delete: %v", items)
	}
	w.do(204, "DELETE", "/directory/deletedItems/"+ann, nil)
	w.do(204, "DELETE", "/users/"+bob, nil)
	w.do(200, "POST", "/directory/deletedItems/"+bob+"/restore", nil)
	items, _ = w.round(link)
	if len(items) != 2 || items[0]["@removed"].(map[string]any)["reason"] != "deleted" {
		t.Errorf("purge: %v", items)
	}
}

func TestGroupDeltaSpreadsMembersOverEntries(t *testing.T) {
	w := newWorld(t, func(o *tenant.Options, _ *tenant.ServeOptions) { o.DeltaPageSize, o.DeltaMembersPerEntry = 2, 3 })
	g := w.group("g")
	want := map[string]bool{}
	for i := range 8 {
		id := w.user(fmt.Sprintf("u%d", i))
		want[id] = true
		w.do(204, "POST", "/groups/"+g+"/members/$ref", w.link(id))
	}
	items, link := w.round("/groups/delta?$select=displayName,members")
	got := map[string]bool{}
	for _, item := range items {
		for _, m := range item["members@delta"].([]any) {
			got[m.(map[string]any)["id"].(string)] = true
		}
	}
	if len(items) != 3 || len(got) != 8 {
		t.Fatalf("%d entries with %d members", len(items), len(got))
	}
	var one string
	for id := range want {
		one = id
	}
	w.do(204, "DELETE", "/groups/"+g+"/members/"+one+"/$ref", nil)
	items, link = w.round(link)
	m := items[0]["members@delta"].([]any)[0].(map[string]any)
	if m["id"] != one || m["@removed"] == nil {
		t.Fatalf("removal: %v", items)
	}
	delete(want, one)
	for id := range want {
		one = id
	}
	w.do(204, "DELETE", "/users/"+one, nil)
	if items, link = w.round(link); len(items) != 1 || items[0]["members@delta"] == nil {
		t.Fatalf("deleting a member does not show: %v", items)
	}
	w.do(200, "POST", "/directory/deletedItems/"+one+"/restore", nil)
	if items, _ = w.round(link); len(items) != 1 || items[0]["members@delta"] == nil {
		t.Fatalf("restoring a member does not show: %v", items)
	}
}

func TestDeltaSeesNoChangeTwiceAndMissesNoneWhilePaging(t *testing.T) {
	w := newWorld(t, func(o *tenant.Options, _ *tenant.ServeOptions) { o.DeltaPageSize = 2 })
	for i := range 5 {
		w.user(fmt.Sprintf("u%d", i))
	}
	page := w.do(200, "GET", "/users/delta?$select=displayName", nil)
	late := w.user("late")
	w.do(204, "PATCH", "/users/u0@contoso.test", map[string]any{"displayName": "changed"})
	rest, link := w.round(page["@odata.nextLink"].(string))
	if len(rest) != 3 {
		t.Fatalf("the round shows %d more", len(rest))
	}
	items, _ := w.round(link)
	if len(items) != 2 || items[0]["id"] != late || items[1]["displayName"] != "changed" {
		t.Fatalf("after the round: %v", items)
	}
}

func TestDeltaTokensExpire(t *testing.T) {
	w := newWorld(t)
	w.user("ann")
	items, link := w.round("/users/delta?$deltatoken=latest")
	if len(items) != 0 {
		t.Fatalf("latest shows %v", items)
	}
	bob := w.user("bob")
	if items, _ = w.round(link); ids(items) != bob {
		t.Fatalf("after latest: %v", items)
	}
	w.clock.pass(8 * 24 * time.Hour)
	w.signIn()
	w.refused(410, "syncStateNotFound", "", "GET", link, nil)
	_, link = w.round("/users/delta")
	w.lab(204, "POST", "/expire-delta-tokens", nil)
	resp, err := w.send("GET", link, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 410 || resp.Header.Get("Location") != w.server.GraphEndpoint()+"/v1.0/users/delta?$deltatoken=" {
		t.Errorf("%d %q", resp.StatusCode, resp.Header.Get("Location"))
	}
	w.refused(400, "Request_BadRequest", "token", "GET", "/users/delta?$deltatoken=rubbish", nil)
	w.refused(400, "Request_UnsupportedQuery", "$top", "GET", "/users/delta?$top=5", nil)
}

func TestDeltaOfNamedIDs(t *testing.T) {
	w := newWorld(t)
	ann := w.user("ann")
	w.user("bob")
	if items, _ := w.round("/users/delta?$filter=" + q("id eq '"+ann+"'")); ids(items) != ann {
		t.Fatalf("%v", items)
	}
	w.refused(400, "Request_UnsupportedQuery", "", "GET", "/users/delta?$filter="+q("displayName eq 'ann'"), nil)
}

func TestReadLagHidesWritesFromReadersOnly(t *testing.T) {
	w := newWorld(t)
	_, link := w.round("/users/delta")
	w.lab(204, "POST", "/settings", map[string]any{"readLagMillis": 5000})
	id := w.user("ann")
	w.do(404, "GET", "/users/"+id, nil)
	if items, _ := w.round(link); len(items) != 0 {
		t.Errorf("delta does not lag: %v", items)
	}
	w.do(204, "PATCH", "/users/"+id, map[string]any{"jobTitle": "Chief"})
	w.refused(400, "Request_BadRequest", "already exists", "POST", "/users", user("ann"))
	w.clock.pass(6 * time.Second)
	if got := w.do(200, "GET", "/users/"+id, nil); got["jobTitle"] != "Chief" {
		t.Errorf("after the lag: %v", got)
	}
	if items, _ := w.round(link); ids(items) != id {
		t.Errorf("delta after the lag: %v", items)
	}
}
