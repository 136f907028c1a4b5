package tenant_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tandem-sync/tandem/examples/lab/tenant"
)

func TestSigningInAsEntraDoes(t *testing.T) {
	w := newWorld(t)
	s := w.server
	form := func(id, secret string) url.Values {
		return url.Values{"grant_type": {"client_credentials"}, "client_id": {id}, "client_secret": {secret}, "scope": {"https://x/.default openid offline_access profile"}}
	}
	for name, c := range map[string]struct {
		form   url.Values
		tenant string
		status int
		code   string
	}{
		"wrong secret": {form(s.ClientID, "no"), s.TenantID, 401, "AADSTS7000215"}, "unknown app": {form("no", "no"), s.TenantID, 400, "AADSTS700016"},
		"unknown tenant": {form(s.ClientID, s.ClientSecret), "elsewhere.test", 400, "AADSTS90002"},
		"other grant":    {url.Values{"grant_type": {"device_code"}}, s.TenantID, 400, "AADSTS70003"}, "by domain": {form(s.ClientID, s.ClientSecret), "contoso.test", 200, ""},
		"no scope": {url.Values{"grant_type": {"client_credentials"}, "client_id": {s.ClientID}, "client_secret": {s.ClientSecret}}, s.TenantID, 400, "AADSTS1002012"},
	} {
		status, body := w.grant(c.form, c.tenant)
		if status != c.status || !strings.Contains(fmt.Sprint(body["error_description"]), c.code) && c.code != "" {
			t.Errorf("%s: %d %v", name, status, body)
		}
	}
	basic := form("", "")
	basic.Del("client_id")
	basic.Del("client_secret")
	req, _ := http.NewRequest("POST", s.Authority()+"/"+s.TenantID+"/oauth2/v2.0/token", strings.NewReader(basic.Encode()))
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth(url.QueryEscape(s.ClientID), url.QueryEscape(s.ClientSecret))
	resp, err := w.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if body := decoded(t, resp); body["access_token"] == nil {
		t.Errorf("Basic: %v", body)
	}
	config := w.do(200, "GET", s.Authority()+"/"+s.TenantID+"/v2.0/.well-known/openid-configuration", nil)
	if config["token_endpoint"] != s.Authority()+"/"+s.TenantID+"/oauth2/v2.0/token" || config["issuer"] != s.Authority()+"/"+s.TenantID+"/v2.0" {
		t.Errorf("configuration: %v", config)
	}
	if inst := w.do(200, "GET", s.Authority()+"/common/discovery/instance?api-version=1.1", nil); inst["tenant_discovery_endpoint"] == nil {
		t.Errorf("instance: %v", inst)
	}
}

func TestTokensExpireAndAreDemanded(t *testing.T) {
	w := newWorld(t, func(_ *tenant.Options, o *tenant.ServeOptions) { o.TokenLife = time.Minute })
	w.do(200, "GET", "/users", nil)
	w.refused(401, "InvalidAuthenticationToken", "empty", "GET", "/users", nil, "Authorization", "")
	w.refused(401, "InvalidAuthenticationToken", "", "GET", "/users", nil, "Authorization", "Bearer rubbish")
	w.refused(401, "InvalidAuthenticationToken", "", "GET", w.server.GraphEndpoint()+"/lab/state", nil) // a Graph token opens no lab door
	w.clock.pass(time.Minute)
	w.refused(401, "InvalidAuthenticationToken", "", "GET", "/users", nil)
	w.signIn()
	w.do(200, "GET", "/users", nil)
	w.server.RevokeTokens()
	w.refused(401, "InvalidAuthenticationToken", "", "GET", "/users", nil)
}

func TestCompressedBodiesAreRead(t *testing.T) {
	w := newWorld(t)
	raw, _ := json.Marshal(user("ann"))
	var z bytes.Buffer
	g := gzip.NewWriter(&z)
	_, _ = g.Write(raw)
	_ = g.Close()
	req, _ := http.NewRequest("POST", w.server.GraphEndpoint()+"/v1.0/users", &z)
	req.Header.Set("Authorization", "Bearer "+w.token)
	req.Header.Set("Content-Encoding", "gzip")
	req.Header.Set("client-request-id", "mine")
	resp, err := w.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	body := decoded(t, resp)
	if resp.StatusCode != 201 || resp.Header.Get("client-request-id") != "mine" || resp.Header.Get("request-id") == "" {
		t.Errorf("%d %v %v", resp.StatusCode, resp.Header, body)
	}
}

func parts(w *world, body any, header ...string) map[string]map[string]any {
	w.t.Helper()
	out := map[string]map[string]any{}
	for _, r := range w.do(200, "POST", "/$batch", body, header...)["responses"].([]any) {
		part := r.(map[string]any)
		out[part["id"].(string)] = part
	}
	return out
}

func part(id, method, path string, body any, dependsOn ...string) map[string]any {
	p := map[string]any{"id": id, "method": method, "url": path}
	if body != nil {
		p["body"], p["headers"] = body, map[string]any{"Content-Type": "application/json"}
	}
	if dependsOn != nil {
		p["dependsOn"] = dependsOn
	}
	return p
}

func requests(p ...map[string]any) map[string]any { return map[string]any{"requests": p} }

func TestBatchAnswersEachPart(t *testing.T) {
	w := newWorld(t)
	w.lab(200, "POST", "/faults", map[string]any{"kind": "throttled", "path": "users/throttled", "retryAfter": "3"})
	got := parts(w, requests(part("1", "POST", "/users", user("ann")), part("2", "GET", "users/ann@contoso.test?$select=id", nil, "1"),
		part("3", "PATCH", "/users/nobody@contoso.test", map[string]any{"jobTitle": "x"}), part("4", "GET", "/users", nil, "3"), part("5", "GET", "/users", nil, "4"),
		part("6", "GET", "/users/throttled@contoso.test", nil), part("7", "PATCH", "/users/ann@contoso.test", map[string]any{"jobTitle": "x"}, "2")))
	for id, want := range map[string]float64{"1": 201, "2": 200, "3": 404, "4": 424, "5": 424, "6": 429, "7": 204} {
		if got[id]["status"] != want {
			t.Errorf("part %s: %v, want %v", id, got[id], want)
		}
	}
	if got["6"]["headers"].(map[string]any)["Retry-After"] != "3" {
		t.Errorf("part 6: %v", got["6"])
	}
	if e := got["3"]["body"].(map[string]any)["error"].(map[string]any); e["code"] != "Request_ResourceNotFound" {
		t.Errorf("part 3: %v", got["3"])
	}
}

func TestMalformedBatchesAreRefusedWhole(t *testing.T) {
	w := newWorld(t)
	var many []map[string]any
	for i := range 21 {
		many = append(many, part(fmt.Sprint(i), "GET", "/users", nil))
	}
	bare := part("1", "POST", "/users", user("ann"))
	delete(bare, "headers")
	for name, body := range map[string]any{
		"21 parts": requests(many...), "none": requests(), "same id": requests(many[0], many[0]), "no url": requests(map[string]any{"id": "1", "method": "GET"}),
		"unknown predecessor": requests(part("1", "GET", "/users", nil, "9")), "circle": requests(part("1", "GET", "/users", nil, "2"), part("2", "GET", "/users", nil, "1")),
		"no content type": requests(bare), "not a batch": map[string]any{"requests": 5},
	} {
		t.Run(name, func(t *testing.T) { w.refused(400, "BadRequest", "", "POST", "/$batch", body) })
	}
}

func (w *world) count() int {
	w.t.Helper()
	return len(w.lab(200, "GET", "/state?natural=1", nil)["objects"].([]any))
}

// lost demands that a request gets no answer.
func (w *world) lost(method, path string, body any) {
	w.t.Helper()
	resp, err := w.send(method, path, body)
	if err == nil {
		resp.Body.Close()
		w.t.Fatalf("%s %s was answered %d", method, path, resp.StatusCode)
	}
}

func TestLostAnswersWithAndWithoutEffect(t *testing.T) {
	w := newWorld(t)
	w.lab(200, "POST", "/faults", []any{map[string]any{"kind": "lost-before", "methods": []string{"POST"}, "path": "^/v1.0/users$"},
		map[string]any{"kind": "lost-after", "writes": true, "match": "bob"}})
	w.lost("POST", "/users", user("ann"))
	if w.count() != 0 {
		t.Error("lost-before took effect")
	}
	w.lost("POST", "/users", user("bob"))
	if w.count() != 1 {
		t.Error("lost-after took no effect")
	}
	w.user("cid")
	w.lab(200, "POST", "/faults", map[string]any{"kind": "lost-after", "match": "dan"})
	w.lost("POST", "/$batch", requests(part("1", "POST", "/users", user("dan"))))
	log := w.lab(200, "GET", "/requests", nil)["requests"].([]any)
	first := log[0].(map[string]any)
	if first["fault"] != "lost-before" || first["lost"] != true || first["status"] != 0.0 || first["keys"].([]any)[0] != "accountEnabled" {
		t.Errorf("log: %v", first)
	}
}

func TestGhostsTakeEffectLater(t *testing.T) {
	w := newWorld(t)
	w.lab(200, "POST", "/faults", []any{map[string]any{"kind": "ghost", "match": "ann", "delayMillis": 60000}, map[string]any{"kind": "ghost", "match": "bob", "afterRequests": 2}})
	w.lost("POST", "/users", user("ann"))
	if w.count() != 0 {
		t.Error("a ghost took effect at once")
	}
	w.clock.pass(time.Minute)
	if w.count() != 1 {
		t.Error("a ghost did not take effect in time")
	}
	w.lost("POST", "/users", user("bob"))
	if rows, _ := w.rows("/users"); len(rows) != 1 {
		t.Error("a ghost came a request too early")
	}
	if rows, _ := w.rows("/users"); len(rows) != 2 {
		t.Error("a ghost did not come with its request")
	}
	w.lab(200, "POST", "/faults", map[string]any{"kind": "ghost", "match": "cid", "delayMillis": 3600000})
	w.lost("POST", "/users", user("cid"))
	if w.server.PendingGhosts() != 1 || w.server.RunGhosts(true) != 1 || w.count() != 3 {
		t.Error("RunGhosts did not let the last one loose")
	}
}

func TestOrderedErrors(t *testing.T) {
	w := newWorld(t)
	w.lab(200, "POST", "/faults", []any{map[string]any{"kind": "throttled", "nth": 2, "count": 2, "path": "^/v1.0/groups", "retryAfter": "0.25"},
		map[string]any{"kind": "status", "status": 504, "effect": true, "match": "ann"}, map[string]any{"kind": "garbage", "path": "organization"},
		map[string]any{"kind": "expired-delta", "path": "users/delta"}, map[string]any{"kind": "status", "status": 409, "path": "domains", "count": -1},
		map[string]any{"kind": "slow", "delayMillis": 1, "path": "directoryRoles"}})
	for i, want := range []int{200, 429, 429, 200} {
		resp, err := w.send("GET", "/groups", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want || want == 429 && resp.Header.Get("Retry-After") != "0.25" {
			t.Errorf("request %d: %d %q", i, resp.StatusCode, resp.Header.Get("Retry-After"))
		}
	}
	w.do(504, "POST", "/users", user("ann"))
	if w.count() != 1 {
		t.Error("504 with effect took none")
	}
	resp, err := w.send("GET", "/organization", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 200 || !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html") {
		t.Errorf("garbage: %d %s", resp.StatusCode, resp.Header.Get("Content-Type"))
	}
	_, link := w.round("/users/delta")
	w.refused(410, "syncStateNotFound", "", "GET", link, nil)
	w.round(link)
	w.refused(409, "Directory_ConcurrencyViolation", "", "GET", "/domains", nil)
	w.refused(409, "Directory_ConcurrencyViolation", "", "GET", "/domains", nil)
	w.do(200, "GET", "/directoryRoles", nil)
	w.lab(204, "DELETE", "/faults", nil)
	w.do(200, "GET", "/domains", nil)
	w.do(400, "POST", w.server.GraphEndpoint()+"/lab/faults", map[string]any{"kind": "gremlin"}, "Authorization", "Bearer "+w.server.LabToken)
	w.do(400, "POST", w.server.GraphEndpoint()+"/lab/faults", map[string]any{"kind": "slow", "colour": 1}, "Authorization", "Bearer "+w.server.LabToken)
}

func TestChanceIsRepeatable(t *testing.T) {
	run := func() string {
		w := newWorld(t)
		if _, err := w.server.AddFault(tenant.Fault{Kind: tenant.Status, Status: 503, Count: -1, Chance: 0.5, Seed: 7}); err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		for range 20 {
			resp, err := w.send("GET", "/domains", nil)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			fmt.Fprint(&out, resp.StatusCode, " ")
		}
		return out.String()
	}
	a, b := run(), run()
	if a != b || !strings.Contains(a, "503") || !strings.Contains(a, "200") {
		t.Errorf("\n%s\n%s", a, b)
	}
}

func TestThrottlingLimits(t *testing.T) {
	w := newWorld(t)
	w.lab(204, "POST", "/settings", map[string]any{"throttling": map[string]any{"appWrites": 3, "appWritesSeconds": 30}})
	for _, n := range []string{"a", "b", "c"} {
		w.user(n)
	}
	resp, err := w.send("POST", "/users", user("d"))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 429 || resp.Header.Get("Retry-After") != "10" || resp.Header.Get("x-ms-throttle-information") != "WriteLimitExceeded" {
		t.Fatalf("%d %v", resp.StatusCode, resp.Header)
	}
	w.do(200, "GET", "/users", nil)
	w.clock.pass(10 * time.Second)
	w.user("d")
	w.lab(204, "POST", "/settings", map[string]any{"throttling": false})
	w.user("e")
	_, counters := w.server.Requests()
	if counters.Throttled != 1 || counters.Writes != 6 || counters.Requests != 7 {
		t.Errorf("counters: %+v", counters)
	}
	w.lab(204, "POST", "/reset-counters", nil)
	if _, counters = w.server.Requests(); counters.Requests != 0 {
		t.Errorf("after reset: %+v", counters)
	}
}

func TestNaturalStatesOfTwoTenantsCompareEqual(t *testing.T) {
	build := func(order ...string) string {
		w := newWorld(t)
		g := w.group("g", "uniqueName", "tandem-1")
		for _, n := range order {
			id := w.user(n, "onPremisesImmutableId", "anchor-"+n)
			w.do(204, "POST", "/groups/"+g+"/members/$ref", w.link(id))
		}
		w.do(204, "PUT", "/users/a@contoso.test/manager/$ref", w.link(w.user("boss")))
		w.do(204, "DELETE", "/users/b@contoso.test", nil)
		raw, err := json.Marshal(w.lab(200, "GET", "/state?natural=1", nil))
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	if a, b := build("a", "b", "c"), build("c", "b", "a"); a != b || !strings.Contains(a, `"deleted":true`) {
		t.Errorf("\n%s\n%s", a, b)
	}
}

func TestManyClientsAtOnceAndCloseWaits(t *testing.T) {
	w := newWorld(t)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for j := range 25 {
				resp, err := w.send("POST", "/users", user(fmt.Sprintf("u%d-%d", i, j)))
				if err != nil {
					t.Error(err)
					return
				}
				resp.Body.Close()
				if resp, err = w.send("GET", "/users/delta", nil); err == nil {
					resp.Body.Close()
				}
			}
		})
	}
	all.Wait()
	if rows, _ := w.rows("/users?$top=999"); len(rows) != 200 {
		t.Errorf("%d users", len(rows))
	}
}

func TestContextEndsTheServer(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	s, err := tenant.Serve(ctx, tenant.NewModel(tenant.Options{}), tenant.ServeOptions{})
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.HTTPClient().Get(s.GraphEndpoint() + "/"); err == nil {
		t.Error("still answering")
	}
}
