package tenant_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync/atomic"
	"testing"

	"github.com/tandem-sync/tandem/orchestrator/tenant"
	"github.com/tandem-sync/tandem/plugins/proxy/proxytest"
)

// Tokens and requests go through the configured proxy; a proxy that refuses keeps a write from leaving, which is known.
func TestEverythingGoesThroughTheProxy(t *testing.T) {
	var asked atomic.Int64
	var refuses atomic.Bool
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodConnect || refuses.Load() {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		asked.Add(1)
		proxytest.Tunnel(w, r.Host)
	}))
	defer s.Close()
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	client := w.open(func(c *tenant.Config) { c.Proxy = u })
	if _, err := client.Domains(t.Context()); err != nil {
		t.Fatal(err)
	}
	if asked.Load() == 0 {
		t.Error("nothing went through the proxy")
	}
	refuses.Store(true)
	closed := w.open(func(c *tenant.Config) { c.Proxy = u })
	if _, err := closed.Domains(t.Context()); err == nil {
		t.Error("a proxy that refuses is passed by")
	} else {
		t.Logf("refused: %v", err)
	}
	if _, err := tenant.Open(t.Context(), tenant.Config{TenantID: "t", ClientID: "c", ClientSecret: "s", Proxy: &url.URL{Scheme: "socks5", Host: "x"}}); err == nil {
		t.Error("a proxy of another kind is taken")
	}
}
