package tandem_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// graphType is a type of Graph's published metadata (v1.0).
type graphType struct{ Properties, Navigations map[string]string }

// registrar is the part of Graph that registers applications: it keeps what it is sent, and takes only what the metadata has.
type registrar struct {
	t     *testing.T
	types map[string]graphType

	mu         sync.Mutex
	created    map[string]map[string]any // by collection: the one object of each
	granted    []map[string]any
	owners     map[string]bool
	writes     int
	grantNames map[string]string // ids of permissions
}

const (
	graphPrincipal = "11111111-0000-0000-0000-000000000001"
	tandemID       = "22222222-0000-0000-0000-000000000002"
)

// obeys reports to the test each property of a body that a type of the metadata lacks.
func (g *registrar) obeys(kind string, body map[string]any) {
	for key, v := range body {
		kindOf, there := g.types[kind].Properties[key]
		if !there {
			g.t.Errorf("%s has no property %q", kind, key)
			continue
		}
		kindOf = strings.TrimPrefix(strings.TrimSuffix(strings.TrimPrefix(kindOf, "Collection("), ")"), "graph.")
		if items, list := v.([]any); list && g.types[kindOf].Properties != nil {
			for _, i := range items {
				g.obeys(kindOf, i.(map[string]any))
			}
		}
	}
}

func (g *registrar) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if r.Header.Get("Authorization") != "Bearer secret-token" {
		http.Error(w, "no token", http.StatusUnauthorized)
		return
	}
	var body map[string]any
	if r.Method != http.MethodGet {
		g.writes++
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			g.t.Errorf("%s %s: %v", r.Method, r.URL, err)
		}
	}
	path := strings.Split(strings.TrimPrefix(r.URL.Path, "/v1.0/"), "/")
	answer := func(v any) {
		if err := json.NewEncoder(w).Encode(v); err != nil {
			g.t.Error(err)
		}
	}
	list := func(items ...map[string]any) { answer(map[string]any{"value": append([]map[string]any{}, items...)}) }
	kind := map[string]string{"applications": "application", "servicePrincipals": "servicePrincipal"}[path[0]]
	switch {
	case path[0] == "organization":
		list(map[string]any{"id": "33333333-0000-0000-0000-000000000003"})
	case strings.Contains(r.URL.Query().Get("$filter"), "00000003-0000-0000-c000-000000000000"):
		roles := []any{map[string]any{"id": "ffffffff-0000-0000-0000-000000000000", "value": "Mail.Read"}}
		for name, id := range g.grantNames {
			roles = append(roles, map[string]any{"id": id, "value": name})
		}
		list(map[string]any{"id": graphPrincipal, "appRoles": roles})
	case kind == "":
		http.NotFound(w, r)
	case len(path) == 1 && r.Method == http.MethodGet:
		if made := g.created[path[0]]; made != nil {
			list(made)
			return
		}
		list()
	case len(path) == 1:
		g.obeys(kind, body)
		body["id"] = tandemID
		if kind == "application" {
			body["appId"] = "44444444-0000-0000-0000-000000000004"
		}
		g.created[path[0]] = body
		answer(body)
	case len(path) == 2 && r.Method == http.MethodPatch:
		g.obeys(kind, body)
		maps.Copy(g.created[path[0]], body)
	case len(path) == 2:
		answer(g.created[path[0]])
	case g.types[kind].Navigations[path[2]] == "":
		g.t.Errorf("%s has no %s", kind, path[2])
	case path[2] == "appRoleAssignments" && r.Method == http.MethodPost:
		// https://learn.microsoft.com/graph/api/serviceprincipal-post-approleassignments
		if keys := slices.Sorted(maps.Keys(body)); !slices.Equal(keys, []string{"appRoleId", "principalId", "resourceId"}) || body["resourceId"] != graphPrincipal || body["principalId"] != tandemID {
			g.t.Errorf("an assignment is asked for by %v", body)
		}
		g.granted = append(g.granted, body)
		answer(body)
	case path[2] == "appRoleAssignments":
		list(g.granted...)
	case path[2] == "owners" && r.Method == http.MethodPost:
		if ref, _ := body["@odata.id"].(string); len(path) != 4 || path[3] != "$ref" || !strings.HasSuffix(ref, "/directoryObjects/"+tandemID) {
			g.t.Errorf("%s: an owner is added by %v", r.URL, body)
		}
		g.owners[path[0]] = true
		w.WriteHeader(http.StatusNoContent)
	case g.owners[path[0]]:
		list(map[string]any{"id": tandemID})
	default:
		list()
	}
}

func certificate(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}, &x509.Certificate{}, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "tandem.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// The script of the handbook registers the application with all permissions and none besides, and changes nothing when it is run again.
func TestDocumentsRegisterTheApplication(t *testing.T) {
	names, _ := permissions(t)
	g := &registrar{t: t, created: map[string]map[string]any{}, owners: map[string]bool{}, grantNames: map[string]string{}}
	b, err := os.ReadFile("examples/handbook/testdata/graph-application.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &g.types); err != nil {
		t.Fatal(err)
	}
	for i, n := range names {
		g.grantNames[n] = fmt.Sprintf("aaaaaaaa-0000-0000-0000-%012d", i)
	}
	server := httptest.NewServer(g)
	defer server.Close()
	file := certificate(t)
	run := func() string {
		c := exec.CommandContext(t.Context(), "./examples/handbook/register.sh", file)
		c.Env = append(os.Environ(), "TOKEN=secret-token", "GRAPH="+server.URL)
		out, err := c.CombinedOutput()
		if err != nil {
			t.Fatalf("register.sh: %v\n%s", err, out)
		}
		return string(out)
	}
	first := run()
	for _, want := range []string{"tenantId: 33333333-", "clientId: 44444444-", "certificateFile: " + file} {
		if !strings.Contains(first, want) {
			t.Errorf("it prints no %q:\n%s", want, first)
		}
	}
	g.check(t)
	g.mu.Lock()
	g.writes = 0
	g.mu.Unlock()
	again := run()
	g.mu.Lock()
	defer g.mu.Unlock()
	if again != first || g.writes != 1 { // the certificate is renewed
		t.Errorf("a second run writes %d times and prints\n%s\nafter\n%s", g.writes, again, first)
	}
}

// check looks at what the script registered.
func (g *registrar) check(t *testing.T) {
	t.Helper()
	g.mu.Lock()
	defer g.mu.Unlock()
	var granted []string
	for _, a := range g.granted {
		granted = append(granted, a["appRoleId"].(string))
	}
	if want := slices.Sorted(maps.Values(g.grantNames)); !slices.Equal(slices.Sorted(slices.Values(granted)), want) {
		t.Errorf("granted are %v and not %v", granted, want)
	}
	if !g.owners["servicePrincipals"] || !g.owners["applications"] {
		t.Errorf("the application owns %v", g.owners)
	}
	if keys := g.created["applications"]["keyCredentials"]; keys == nil {
		t.Error("the application has no certificate")
	}
}
