package tenant_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"math/rand"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	lab "github.com/tandem-sync/tandem/examples/lab/tenant"
	"github.com/tandem-sync/tandem/orchestrator/tenant"
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/scoping"
)

// clock is a clock that tests move.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.at }

func (c *clock) pass(d time.Duration) { c.mu.Lock(); defer c.mu.Unlock(); c.at = c.at.Add(d) }

// world is a lab tenant and a client of it.
type world struct {
	*testing.T
	ctx    context.Context
	clock  *clock
	model  *lab.Model
	server *lab.Server
	client *tenant.Client
	waits  []time.Duration // between attempts of reads
}

func newWorld(t *testing.T, options ...func(*lab.Options)) *world {
	t.Helper()
	w := &world{T: t, ctx: t.Context(), clock: &clock{at: time.Now().Truncate(time.Second)}}
	o := lab.Options{Clock: w.clock.now, Rand: rand.New(rand.NewSource(1))}
	for _, f := range options {
		f(&o)
	}
	w.model = lab.NewModel(o)
	var err error
	if w.server, err = lab.Serve(context.Background(), w.model, lab.ServeOptions{}); err != nil {
		t.Fatal(err)
	}
	w.client = w.open(func(*tenant.Config) {})
	t.Cleanup(func() {
		if err := w.server.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

func (w *world) open(change func(*tenant.Config)) *tenant.Client {
	w.Helper()
	c := tenant.Config{
		Endpoint: w.server.GraphEndpoint(), Authority: w.server.Authority(), TenantID: w.server.TenantID, ClientID: w.server.ClientID,
		ClientSecret: w.server.ClientSecret, CA: w.server.CAPEM(), Timeout: 20 * time.Second,
		Wait: func(ctx context.Context, d time.Duration) error {
			w.waits = append(w.waits, d)
			w.clock.pass(d)
			return ctx.Err()
		},
	}
	change(&c)
	client, err := tenant.Open(w.ctx, c)
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { _ = client.Close() })
	return client
}

func (w *world) send(x cloud.Write) cloud.Result {
	w.Helper()
	r := w.client.Send(w.ctx, []cloud.Write{x})
	if len(r) != 1 {
		w.Fatalf("%d results of one write", len(r))
	}
	return r[0]
}

func (w *world) done(x cloud.Write) string {
	w.Helper()
	r := w.send(x)
	if r.Status != cloud.Done || r.CloudID == "" {
		w.Fatalf("%s: %+v", x.Op, r)
	}
	return r.CloudID
}

func (w *world) fault(f lab.Fault) {
	w.Helper()
	if _, err := w.server.AddFault(f); err != nil {
		w.Fatal(err)
	}
}

func (w *world) find(k cloud.Key) []cloud.Object {
	w.Helper()
	o, err := w.client.Find(w.ctx, k)
	if err != nil {
		w.Fatal(err)
	}
	return o
}

func (w *world) one(k cloud.Key) cloud.Object {
	w.Helper()
	o := w.find(k)
	if len(o) != 1 {
		w.Fatalf("%+v finds %d objects", k, len(o))
	}
	return o[0]
}

func anchorOf(name string) string {
	return base64.StdEncoding.EncodeToString([]byte((name + "................")[:16]))
}

func createUser(name string) cloud.Write {
	return cloud.Write{ID: "c-" + name, Op: cloud.Create, Kind: scoping.User, Anchor: anchorOf(name), Set: cloud.Values{
		cloud.UPN: {name + "@contoso.test"}, cloud.DisplayName: {name}, cloud.Nickname: {name}, cloud.Enabled: {"true"},
		"department": {"Sales"}, "businessPhones": {"+1 1"}, "extensionAttribute3": {"three"},
	}}
}

func createGroup(name string) cloud.Write {
	anchor, _ := base64.StdEncoding.DecodeString(anchorOf(name))
	return cloud.Write{ID: "c-" + name, Op: cloud.Create, Kind: scoping.Group, Anchor: anchorOf(name), Key: cloud.UniqueNameOf(anchor),
		Set: cloud.Values{cloud.DisplayName: {name}, cloud.Nickname: {name}}}
}

// scene is a user, a manager and a group with a member, and one write of every kind.
type scene struct {
	user, boss, gone, group string
	writes                  []cloud.Write
}

func (w *world) scene() scene {
	w.Helper()
	s := scene{user: w.done(createUser("ann")), boss: w.done(createUser("bob")), gone: w.done(createUser("cyd")), group: w.done(createGroup("staff"))}
	w.done(cloud.Write{Op: cloud.AddMembers, Kind: scoping.Group, CloudID: s.group, Refs: []string{s.user}})
	w.done(cloud.Write{Op: cloud.SetManager, Kind: scoping.User, CloudID: s.boss, Refs: []string{s.user}})
	w.done(cloud.Write{Op: cloud.Delete, Kind: scoping.User, CloudID: s.gone})
	s.writes = []cloud.Write{
		createUser("dan"), createGroup("board"),
		{Op: cloud.Update, Kind: scoping.User, CloudID: s.user, Set: cloud.Values{cloud.DisplayName: {"Ann B"}, "department": nil, "businessPhones": nil,
			"extensionAttribute3": nil, cloud.Enabled: {"false"}}},
		{Op: cloud.Update, Kind: scoping.Group, CloudID: s.group, Set: cloud.Values{"description": {"all staff"}}},
		{Op: cloud.AddMembers, Kind: scoping.Group, CloudID: s.group, Refs: []string{s.boss}},
		{Op: cloud.RemoveMember, Kind: scoping.Group, CloudID: s.group, Refs: []string{s.user}},
		{Op: cloud.SetManager, Kind: scoping.User, CloudID: s.user, Refs: []string{s.boss}},
		{Op: cloud.ClearManager, Kind: scoping.User, CloudID: s.boss},
		{Op: cloud.Restore, Kind: scoping.User, CloudID: s.gone},
		{Op: cloud.Delete, Kind: scoping.User, CloudID: s.user},
		{Op: cloud.Delete, Kind: scoping.Group, CloudID: s.group},
	}
	w.server.ResetCounters()
	return s
}

// scripted is a Graph whose answers a test writes: the authority is answered, everything else by answer.
type scripted struct {
	*httptest.Server
	mu     sync.Mutex
	bodies []string // of requests to Graph
	tokens int
}

func newScripted(t *testing.T, answer http.HandlerFunc) (*scripted, *tenant.Client) {
	t.Helper()
	s := &scripted{}
	s.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/v1.0/") || strings.HasPrefix(r.URL.Path, "/lab/") {
			answer(w, s.note(r))
			return
		}
		s.authority(w, r)
	}))
	t.Cleanup(s.Close)
	client, err := tenant.Open(t.Context(), tenant.Config{Endpoint: s.URL, Authority: s.URL, TenantID: "t", ClientID: "c", ClientSecret: "s",
		CA: pemOf(s.Certificate().Raw), Timeout: 20 * time.Second, Wait: func(ctx context.Context, _ time.Duration) error { return ctx.Err() }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return s, client
}

func (s *scripted) note(r *http.Request) *http.Request {
	var b strings.Builder
	buf := make([]byte, 4096)
	for {
		n, err := r.Body.Read(buf)
		b.Write(buf[:n])
		if err != nil {
			break
		}
	}
	s.mu.Lock()
	s.bodies = append(s.bodies, b.String())
	s.mu.Unlock()
	return r
}

func (s *scripted) got() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.bodies)
}

func (s *scripted) authority(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	if strings.HasSuffix(r.URL.Path, "/token") {
		s.mu.Lock()
		s.tokens++
		s.mu.Unlock()
		_ = json.NewEncoder(w).Encode(map[string]any{"token_type": "Bearer", "expires_in": 3600, "access_token": "x.e30.z"})
		return
	}
	at := s.URL + "/t"
	_ = json.NewEncoder(w).Encode(map[string]any{"issuer": at + "/v2.0", "authorization_endpoint": at + "/oauth2/v2.0/authorize",
		"token_endpoint": at + "/oauth2/v2.0/token", "tenant_discovery_endpoint": at})
}
