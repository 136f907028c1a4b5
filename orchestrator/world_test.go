package orchestrator_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"flag"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"

	labdirectory "github.com/tandem-sync/tandem/examples/lab/directory"
	"github.com/tandem-sync/tandem/examples/lab/samba"
	"github.com/tandem-sync/tandem/examples/lab/seed"
	"github.com/tandem-sync/tandem/examples/lab/tenant"
	"github.com/tandem-sync/tandem/orchestrator"
	"github.com/tandem-sync/tandem/orchestrator/run"
	"github.com/tandem-sync/tandem/plugins/cloudsync"
	"github.com/tandem-sync/tandem/plugins/connect"
	"github.com/tandem-sync/tandem/plugins/engine/plugin"
)

// people makes worlds bigger than their tests ask for: what they promise holds for 20,000 as well (-run '…/embedded' -people 20000 -v tells how long each takes).
var people = flag.Int("people", 0, "how many people the directories of tests have at least")

// The test binary serves the built-in engines by itself, as the tandem binary does.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "plugin" {
		servePlugin(os.Args[2])
		return
	}
	if len(os.Args) > 2 && os.Args[1] == "host" {
		os.Exit(hostProcess(os.Args[2], os.Args[3:]))
	}
	log.SetFlags(0)
	os.Exit(m.Run())
}

func servePlugin(kind string) {
	l := plugin.NewLogger(os.Stderr)
	switch kind {
	case "connect":
		plugin.Serve(connect.New(connect.Options{Logger: l}))
	case "cloudsync":
		plugin.Serve(cloudsync.New(cloudsync.Options{Logger: l}))
	}
}

// site is one directory that tests write to.
type site struct {
	name, url, base, domain string
	ca                      []byte
	admin, reader, password string
	replication             int // port of it; 0: there is none
}

// sites starts each kind of directory that a story is told over.
func sites(t *testing.T, f func(t *testing.T, s site)) {
	t.Run("embedded", func(t *testing.T) { f(t, embeddedSite(t)) })
	if samba.LeftOut() {
		return
	}
	t.Run("samba", func(t *testing.T) { f(t, sambaSite(t)) })
}

// embeddedSite starts the lab's own directory.
func embeddedSite(t *testing.T) site {
	t.Helper()
	return embeddedSiteWith(t, labdirectory.ServerOptions{})
}

func embeddedSiteWith(t *testing.T, o labdirectory.ServerOptions) site {
	t.Helper()
	m := labdirectory.New(labdirectory.Options{})
	srv, err := labdirectory.Serve(t.Context(), m, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = srv.Close() })
	return site{name: "embedded", url: srv.URL(), base: m.Base(), domain: m.Domain(), ca: srv.CAPEM(), admin: m.AdminUser(), reader: m.ReadOnlyUser(), password: m.AdminPassword()}
}

// sambaSite starts a Samba domain controller.
func sambaSite(t *testing.T) site {
	t.Helper()
	dc, err := samba.Start(t.Context(), samba.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = dc.Stop() })
	return site{name: "samba", url: dc.URL(), base: dc.Base(), domain: dc.Domain(), ca: dc.CAPEM(), admin: dc.AdminUser(), reader: dc.ReadOnlyUser(), password: dc.AdminPassword(), replication: dc.ReplicationPort()}
}

// world is a site, a tenant, and a Tandem over both.
type world struct {
	t        *testing.T
	site     site
	conn     *ldap.Conn
	model    *tenant.Model
	graph    *tenant.Server
	dir      string
	config   orchestrator.Config
	seed     seed.World
	progress func(run.Progress) // hears what is told of long work; nil: it is not listened to
	tandem   *orchestrator.Orchestrator
	extra    string // more engines of tandem.yaml
	more     string // more keys of its directory
	agents   int    // embedded ones
	titles   int    // given by writer
	pilot    string // the policy with the pilot
	clock    *leaper
	keep     *kept // the whole log, instead of what is worth a person's eye on standard error; nil: not kept
}

// kept is a log that a test looks through.
type kept struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (k *kept) Write(b []byte) (int, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.text.Write(b)
}

func (k *kept) String() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.text.String()
}

// leaper is a clock that does not wait: a long sleep moves it on at once.
type leaper struct {
	mu   sync.Mutex
	lead time.Duration
}

func (l *leaper) Now() time.Time { return time.Now().Add(l.jumped()) }

func (l *leaper) Sleep(ctx context.Context, d time.Duration) error {
	if d < time.Second {
		time.Sleep(d)
		return ctx.Err()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lead += d
	return ctx.Err()
}

// jump moves the clock on.
func (l *leaper) jump(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lead += d
}

func (l *leaper) jumped() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lead
}

func newWorld(t *testing.T, s site, users int) *world {
	t.Helper()
	users = max(users, *people)
	w := emptyWorld(t, s)
	w.seed = seed.Plan(users, 1, s.domain)
	if err := w.seed.Apply(t.Context(), w.conn); err != nil {
		t.Fatal(err)
	}
	w.write()
	w.open()
	return w
}

// emptyWorld is a new tenant and a new state beside a directory that is left as it is; Tandem is not opened yet.
func emptyWorld(t *testing.T, s site) *world {
	t.Helper()
	w := &world{t: t, site: s, dir: t.TempDir(), model: tenant.NewModel(tenant.Options{Domain: s.domain}), agents: 1, clock: &leaper{}}
	var err error
	if w.graph, err = tenant.Serve(t.Context(), w.model, tenant.ServeOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.graph.Close() })
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(s.ca)
	if w.conn, err = ldap.DialURL(s.url, ldap.DialWithTLSConfig(&tls.Config{RootCAs: pool})); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.conn.Close() })
	if err := w.conn.Bind(s.admin, s.password); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.close)
	return w
}

// close ends this Tandem in good order, if it is open.
func (w *world) close() {
	if w.tandem != nil {
		if err := w.tandem.Close(context.Background()); err != nil {
			w.t.Error(err)
		}
		w.tandem = nil
	}
}

func (w *world) file(name, text string) string {
	p := filepath.Join(w.dir, name)
	if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
	return p
}

func (w *world) write() {
	w.file("ad-ca.pem", string(w.site.ca))
	w.file("graph-ca.pem", string(w.graph.CAPEM()))
	w.file("ad-password", w.site.password+"\n")
	w.file("secret", w.graph.ClientSecret+"\n")
	text := fmt.Sprintf(`version: 1
state: ./state
directories:
  - name: contoso
    url: %s
    base: %s
    bind: {user: %s, passwordFile: ./ad-password}
    tls: {caFile: ./ad-ca.pem}
%stenant:
  endpoint: %s
  authority: %s
  tenantId: %s
  clientId: %s
  clientSecretFile: ./secret
  tls: {caFile: ./graph-ca.pem}
engines:
  - name: connect
    kind: connect
  - name: cloudsync
    kind: cloudsync
    settings:
      agents: {listen: "%s", minimum: 1, embedded: %d, grace: 20s}
%s`, w.site.url, w.site.base, w.site.reader, w.more, w.graph.GraphEndpoint(), w.graph.Authority(), w.graph.TenantID, w.graph.ClientID, w.listen(), w.agents, w.extra)
	c, err := orchestrator.ParseConfig(w.file("tandem.yaml", text), []byte(text))
	if err != nil {
		w.t.Fatal(err)
	}
	w.config = c
}

// listen gives the address at which agents dial in: any free one for embedded agents, which are told; a fixed one for others.
func (w *world) listen() string {
	if w.agents > 0 {
		return "127.0.0.1:0"
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

func (w *world) open() {
	w.t.Helper()
	level := slog.LevelWarn
	if testing.Verbose() {
		level = slog.LevelInfo
	}
	to := io.Writer(testWriter{w.t})
	if w.keep != nil {
		level, to = slog.LevelDebug, w.keep
	}
	o, err := orchestrator.Open(w.t.Context(), w.config, orchestrator.Options{Logger: slog.New(slog.NewTextHandler(to, &slog.HandlerOptions{Level: level})), Command: "test", Self: os.Args[0], Patience: time.Second, Clock: w.clock,
		Progress: func(p run.Progress) {
			if w.progress != nil {
				w.progress(p)
			}
		}})
	if err != nil {
		w.t.Fatal(err)
	}
	w.tandem = o
}

type testWriter struct{ t *testing.T }

func (w testWriter) Write(b []byte) (int, error) {
	fmt.Fprintf(os.Stderr, "%s", b)
	return len(b), nil
}

const policyText = `version: 1
features: [users, groups]
assignments:
  - name: everything
    under: %s
    engine: connect
    features: [users, groups]
  - name: service accounts
    under: OU=Service,%s
    engine: none
    features: [users, groups]
`

func (w *world) importPolicy() {
	w.t.Helper()
	if _, err := w.tandem.Host().Import(w.t.Context(), "policy.yaml", []byte(fmt.Sprintf(policyText, w.site.base, w.site.base)), "test"); err != nil {
		w.t.Fatal(err)
	}
}

// ids gives the tenant's living objects: anchor or unique name → id. Two objects under one key fail the test.
func (w *world) ids() map[string]string {
	w.t.Helper()
	out := map[string]string{}
	for _, o := range w.model.State(false).Objects {
		if o.Deleted || (o.Kind != tenant.User && o.Kind != tenant.Group) {
			continue
		}
		k, _ := o.Properties["onPremisesImmutableId"].(string)
		if o.Kind == tenant.Group {
			k, _ = o.Properties["uniqueName"].(string)
		}
		if out[k] != "" {
			w.t.Fatalf("two tenant objects under the key %q", k)
		}
		out[k] = o.ID
	}
	return out
}

// user finds a living tenant user by sign-in name.
func (w *world) user(upn string) (tenant.StateObject, bool) {
	for _, o := range w.model.State(false).Objects {
		if s, _ := o.Properties["userPrincipalName"].(string); !o.Deleted && strings.EqualFold(s, upn) {
			return o, true
		}
	}
	return tenant.StateObject{}, false
}

// writes counts the write requests that the tenant has seen since the last reset.
func (w *world) writes() int64 {
	w.t.Helper()
	_, c := w.graph.Requests()
	return c.Writes
}

func under(dn, ou string) bool {
	return strings.HasSuffix(strings.ToLower(dn), ","+strings.ToLower(ou))
}
