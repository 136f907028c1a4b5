package tenant_test

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// Microsoft's own clients read each part of a $batch by its Content-Type.
func TestPartsOfABatchSayWhatTheyAre(t *testing.T) {
	w := newWorld(t)
	id := w.user("ann")
	parts := []any{
		map[string]any{"id": "1", "method": "GET", "url": "/users/" + id},
		map[string]any{"id": "2", "method": "GET", "url": "/users/nobody@contoso.test"},
		map[string]any{"id": "3", "method": "PATCH", "url": "/users/" + id, "headers": map[string]string{"Content-Type": "application/json"}, "body": map[string]any{"city": "Brno"}},
		map[string]any{"id": "4", "method": "GET", "url": "/users/" + id, "dependsOn": []string{"2"}},
	}
	for _, a := range w.do(200, "POST", "/$batch", map[string]any{"requests": parts})["responses"].([]any) {
		part := a.(map[string]any)
		headers, _ := part["headers"].(map[string]any)
		kind, _ := headers["Content-Type"].(string)
		if body := part["body"] != nil; strings.HasPrefix(kind, "application/json") != body || len(headers) == 0 {
			t.Errorf("part %v, status %v: headers %v, body %v", part["id"], part["status"], headers, part["body"])
		}
	}
}

func TestGroupsOfAnObjectAreChecked(t *testing.T) {
	w := newWorld(t)
	ann := w.user("ann")
	inner, outer, other := w.group("inner"), w.group("outer"), w.group("other")
	w.do(204, "POST", "/groups/"+inner+"/members/$ref", w.link(ann))
	w.do(204, "POST", "/groups/"+outer+"/members/$ref", w.link(inner))
	for path, field := range map[string]string{"checkMemberGroups": "groupIds", "checkMemberObjects": "ids", "microsoft.graph.checkMemberGroups": "groupIds"} {
		got := w.do(200, "POST", "/users/"+ann+"/"+path, map[string]any{field: []string{outer, other, inner}})["value"].([]any)
		if want := []any{outer, inner}; !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", path, got, want)
		}
	}
	var many []string
	for n := range 21 {
		many = append(many, fmt.Sprintf("00000000-0000-4000-8000-%012d", n))
	}
	w.refused(400, "Request_BadRequest", "1 to 20", "POST", "/users/"+ann+"/checkMemberGroups", map[string]any{"groupIds": many})
}

func TestSearchFindsWordsAndBeginnings(t *testing.T) {
	w := newWorld(t)
	w.user("ann", "displayName", "Ann van Berg", "mail", "ann@contoso.test")
	w.user("bob", "displayName", "Bob Bergmann")
	w.user("cyd", "displayName", "Cyd Hill", "mail", "berg@contoso.test")
	eventual := []string{"ConsistencyLevel", "eventual"}
	for search, want := range map[string][]string{
		`"displayName:berg"`:                          {"ann@contoso.test", "bob@contoso.test"},
		`"displayName:van b"`:                         {"ann@contoso.test"},
		`"mail:berg"`:                                 {"cyd@contoso.test"},
		`"displayName:berg" OR "mail:berg"`:           {"ann@contoso.test", "bob@contoso.test", "cyd@contoso.test"},
		`"displayName:berg" AND "mail:ann"`:           {"ann@contoso.test"},
		`"displayName:erg"`:                           nil,
		`"displayName:berg" AND "mail:x" OR "mail:b"`: {"cyd@contoso.test"},
	} {
		rows, _ := w.rows("/users?$search="+url.QueryEscape(search), eventual...)
		var got []string
		for _, r := range rows {
			got = append(got, r["userPrincipalName"].(string))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s finds %v, want %v", search, got, want)
		}
	}
	w.refused(400, "Request_UnsupportedQuery", "ConsistencyLevel", "GET", "/users?$search="+url.QueryEscape(`"displayName:x"`), nil)
}
