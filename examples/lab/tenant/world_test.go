package tenant_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tandem-sync/tandem/examples/lab/tenant"
)

// clock is a clock that tests move.
type clock struct {
	mu     sync.Mutex
	at     time.Time
	timers []timer

	awaited *sync.Cond // there is one more timer
}

type timer struct {
	at    time.Time
	fires chan time.Time
}

func (c *clock) now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.at }

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
	left := c.timers[:0]
	for _, t := range c.timers {
		if t.at.After(c.at) {
			left = append(left, t)
			continue
		}
		t.fires <- c.at
	}
	c.timers = left
}

// after is time.After on this clock.
func (c *clock) after(d time.Duration) <-chan time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := timer{c.at.Add(d), make(chan time.Time, 1)}
	c.timers = append(c.timers, t)
	c.awaited.Broadcast()
	return t.fires
}

// passAwaited lets time pass once somebody waits for no more than that.
func (c *clock) passAwaited(d time.Duration) {
	c.mu.Lock()
	for !slices.ContainsFunc(c.timers, func(t timer) bool { return !t.at.After(c.at.Add(d)) }) {
		c.awaited.Wait()
	}
	c.mu.Unlock()
	c.pass(d)
}

// world is a running tenant and a client that has signed in.
type world struct {
	t      *testing.T
	model  *tenant.Model
	server *tenant.Server
	clock  *clock
	client *http.Client
	token  string
}

func newWorld(t *testing.T, options ...func(*tenant.Options, *tenant.ServeOptions)) *world {
	t.Helper()
	c := &clock{at: time.Date(2026, 11, 1, 9, 0, 0, 0, time.UTC)}
	c.awaited = sync.NewCond(&c.mu)
	o := tenant.Options{Domain: "contoso.test", Clock: c.now, Rand: rand.New(rand.NewSource(1))}
	so := tenant.ServeOptions{After: c.after}
	for _, f := range options {
		f(&o, &so)
	}
	m := tenant.NewModel(o)
	s, err := tenant.Serve(context.Background(), m, so)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, model: m, server: s, clock: c, client: s.HTTPClient()}
	t.Cleanup(func() {
		w.client.CloseIdleConnections()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	w.signIn()
	return w
}

func (w *world) signIn() {
	w.t.Helper()
	status, body := w.grant(url.Values{"grant_type": {"client_credentials"}, "client_id": {w.server.ClientID}, "client_secret": {w.server.ClientSecret},
		"scope": {w.server.GraphEndpoint() + "/.default"}}, w.server.TenantID)
	if status != http.StatusOK {
		w.t.Fatalf("signing in: %d %v", status, body)
	}
	w.token = body["access_token"].(string)
}

func (w *world) grant(form url.Values, tenantID string) (int, map[string]any) {
	w.t.Helper()
	resp, err := w.client.PostForm(w.server.Authority()+"/"+tenantID+"/oauth2/v2.0/token", form)
	if err != nil {
		w.t.Fatal(err)
	}
	return resp.StatusCode, decoded(w.t, resp)
}

func decoded(t *testing.T, resp *http.Response) map[string]any {
	t.Helper()
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	var body map[string]any
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, &body); err != nil {
			t.Fatalf("not a JSON object: %s", raw)
		}
	}
	return body
}

// send performs a request on a path below v1.0, or on a whole address; header is name, value, ….
func (w *world) send(method, path string, body any, header ...string) (*http.Response, error) {
	w.t.Helper()
	target := path
	if !strings.HasPrefix(path, "https://") {
		target = w.server.GraphEndpoint() + "/v1.0" + path
	}
	var in io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			w.t.Fatal(err)
		}
		in = bytes.NewReader(raw)
	}
	req, err := http.NewRequest(method, target, in)
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+w.token)
	req.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	return w.client.Do(req)
}

// do performs a request and demands its status.
func (w *world) do(want int, method, path string, body any, header ...string) map[string]any {
	w.t.Helper()
	resp, err := w.send(method, path, body, header...)
	if err != nil {
		w.t.Fatalf("%s %s: %v", method, path, err)
	}
	out := decoded(w.t, resp)
	if resp.StatusCode != want {
		w.t.Fatalf("%s %s: %d, want %d: %v", method, path, resp.StatusCode, want, out)
	}
	return out
}

// refused performs a request and demands status, code and a part of the message.
func (w *world) refused(status int, code, message, method, path string, body any, header ...string) {
	w.t.Helper()
	out := w.do(status, method, path, body, header...)
	e, _ := out["error"].(map[string]any)
	if e["code"] != code || !strings.Contains(fmt.Sprint(e["message"]), message) {
		w.t.Fatalf("%s %s: %v, want %s %q", method, path, out, code, message)
	}
	inner, _ := e["innerError"].(map[string]any)
	if inner["request-id"] == nil || inner["client-request-id"] == nil || inner["date"] == nil {
		w.t.Fatalf("innerError lacks its ids: %v", e)
	}
}

// lab performs a request on the lab's own door.
func (w *world) lab(want int, method, path string, body any) map[string]any {
	w.t.Helper()
	return w.do(want, method, w.server.GraphEndpoint()+"/lab"+path, body, "Authorization", "Bearer "+w.server.LabToken)
}

func user(name string, more ...any) map[string]any {
	body := map[string]any{"accountEnabled": true, "displayName": name, "mailNickname": name, "userPrincipalName": name + "@contoso.test",
		"passwordProfile": map[string]any{"password": "Passw0rd!" + name, "forceChangePasswordNextSignIn": true}}
	for i := 0; i+1 < len(more); i += 2 {
		body[more[i].(string)] = more[i+1]
	}
	return body
}

func group(name string, more ...any) map[string]any {
	body := map[string]any{"displayName": name, "mailEnabled": false, "mailNickname": name, "securityEnabled": true}
	for i := 0; i+1 < len(more); i += 2 {
		body[more[i].(string)] = more[i+1]
	}
	return body
}

func (w *world) user(name string, more ...any) string {
	w.t.Helper()
	return w.do(http.StatusCreated, "POST", "/users", user(name, more...))["id"].(string)
}

func (w *world) group(name string, more ...any) string {
	w.t.Helper()
	return w.do(http.StatusCreated, "POST", "/groups", group(name, more...))["id"].(string)
}

func (w *world) ref(id string) string {
	return w.server.GraphEndpoint() + "/v1.0/directoryObjects/" + id
}

func (w *world) link(id string) map[string]any { return map[string]any{"@odata.id": w.ref(id)} }

// rows reads a whole collection, following nextLinks, and returns the last page too.
func (w *world) rows(path string, header ...string) (rows []map[string]any, last map[string]any) {
	w.t.Helper()
	for path != "" {
		last = w.do(http.StatusOK, "GET", path, nil, header...)
		for _, r := range last["value"].([]any) {
			rows = append(rows, r.(map[string]any))
		}
		path, _ = last["@odata.nextLink"].(string)
	}
	return rows, last
}

func ids(rows []map[string]any) string {
	var out []string
	for _, r := range rows {
		out = append(out, r["id"].(string))
	}
	return strings.Join(out, " ")
}

func q(text string) string { return url.QueryEscape(text) }
