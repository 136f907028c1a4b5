package orchestrator_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tandem-sync/tandem/orchestrator"
	"github.com/tandem-sync/tandem/orchestrator/api"
	"github.com/tandem-sync/tandem/plugins/engine"
)

// line is a TCP line to a server that can be cut, or kept open without another byte.
type line struct {
	t      *testing.T
	server string
	listen net.Listener

	mu    sync.Mutex
	state string // "" passes on, "refuses", "silent"
	conns []net.Conn
	lives sync.WaitGroup
}

func lineTo(t *testing.T, server string) *line {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	x := &line{t: t, server: server, listen: l}
	x.lives.Go(x.accept)
	t.Cleanup(func() {
		_ = l.Close()
		x.set("refuses")
		x.lives.Wait()
	})
	return x
}

func (l *line) accept() {
	for {
		c, err := l.listen.Accept()
		if err != nil {
			return
		}
		l.mu.Lock()
		state := l.state
		l.conns = append(l.conns, c)
		l.mu.Unlock()
		switch state {
		case "refuses":
			_ = c.Close()
		case "":
			l.lives.Go(func() { l.pass(c) })
		}
	}
}

func (l *line) pass(c net.Conn) {
	defer func() { _ = c.Close() }()
	s, err := net.Dial("tcp", l.server)
	if err != nil {
		return
	}
	defer func() { _ = s.Close() }()
	var back sync.WaitGroup
	back.Go(func() {
		_, _ = io.Copy(c, s)
		_ = c.Close()
	})
	_, _ = io.Copy(s, c)
	_ = s.Close()
	back.Wait()
}

// set puts the line in a state, for connections that are there and new ones.
func (l *line) set(state string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.state = state
	for _, c := range l.conns {
		_ = c.Close()
	}
	l.conns = nil
}

// lined puts a line between Tandem and the directory, and gives both engines a schedule of a second.
func (w *world) lined() *line {
	w.t.Helper()
	u, err := url.Parse(w.site.url)
	if err != nil {
		w.t.Fatal(err)
	}
	l := lineTo(w.t, u.Host)
	direct := w.site.url
	_, port, _ := net.SplitHostPort(l.listen.Addr().String())
	w.site.url = u.Scheme + "://" + net.JoinHostPort(u.Hostname(), port)
	w.write()
	w.site.url = direct
	file := filepath.Join(w.dir, "tandem.yaml")
	b, err := os.ReadFile(file)
	if err != nil {
		w.t.Fatal(err)
	}
	text := string(b)
	for _, kind := range []string{"connect", "cloudsync"} {
		text = strings.Replace(text, "    kind: "+kind+"\n", "    kind: "+kind+"\n    schedule: 1s\n", 1)
	}
	w.file("tandem.yaml", text)
	return l
}

// daemon is a serving Tandem in this process, reached by its socket alone.
type daemon struct {
	w    *world
	http *http.Client
}

func (w *world) daemon() *daemon {
	w.t.Helper()
	ctx, cancel := context.WithCancel(w.t.Context())
	o := api.Options{Config: filepath.Join(w.dir, "tandem.yaml"), Command: "tandem serve", Self: os.Args[0]}
	ready, ended := make(chan string, 1), make(chan error, 1)
	go func() { ended <- api.Serve(ctx, o, func(at api.Serving) { ready <- at.Socket }) }()
	var socket string
	select {
	case socket = <-ready:
	case err := <-ended:
		w.t.Fatalf("it does not serve: %v", err)
	}
	w.t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
			w.t.Errorf("serving ended with %v", err)
		}
	})
	return &daemon{w: w, http: &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}}}}
}

func (d *daemon) get(path string) (int, string) {
	d.w.t.Helper()
	r, err := d.http.Get("http://tandem" + path)
	if err != nil {
		d.w.t.Fatal(err)
	}
	defer func() { _ = r.Body.Close() }()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		d.w.t.Fatal(err)
	}
	return r.StatusCode, string(b)
}

func (d *daemon) status() api.Status {
	d.w.t.Helper()
	r, err := d.http.Post("http://tandem/v1/status", "application/json", strings.NewReader("{}"))
	if err != nil {
		d.w.t.Fatal(err)
	}
	defer func() { _ = r.Body.Close() }()
	for lines := json.NewDecoder(r.Body); ; { // what goes on meanwhile comes first
		var l struct {
			Result *struct{ Value api.Status }
		}
		if err := lines.Decode(&l); err != nil {
			d.w.t.Fatal(err)
		}
		if l.Result != nil {
			return l.Result.Value
		}
	}
}

// until waits until the status is as wanted.
func (d *daemon) until(what string, limit time.Duration, so func(api.Status) bool) api.Status {
	d.w.t.Helper()
	deadline := time.Now().Add(limit)
	for {
		s := d.status()
		if so(s) {
			return s
		}
		if time.Now().After(deadline) {
			b, _ := json.MarshalIndent(s, "", " ")
			d.w.t.Fatalf("not within %s: %s; status: %s", limit, what, b)
		}
		time.Sleep(50 * time.Millisecond) // the daemon is reached as others reach it: by asking
	}
}

// shown checks that an outage shows everywhere.
func (d *daemon) shown(reason string, gauges ...string) {
	d.w.t.Helper()
	if code, body := d.get("/readyz"); code != http.StatusServiceUnavailable || !strings.Contains(body, reason) {
		d.w.t.Errorf("/readyz says %d %q, want 503 with %q", code, body, reason)
	}
	if code, body := d.get("/healthz"); code != http.StatusOK {
		d.w.t.Errorf("/healthz says %d %q: an outage of others is no reason to start this process anew", code, body)
	}
	_, metrics := d.get("/metrics")
	for _, g := range append(gauges, "tandem_healthy 0") {
		if !strings.Contains(metrics, g+"\n") {
			d.w.t.Errorf("/metrics lack %q:\n%s", g, metrics)
		}
	}
}

func healthy(s api.Status) bool {
	return s.Healthy && s.Engines[0].Reached.Reached != nil && s.Engines[1].Reached.Reached != nil
}

// Section 8 of the findings: with directory and tenant dead the status was healthy, /readyz ready, and the metrics the same.
func TestAnOutageShowsWithinOneSchedule(t *testing.T) {
	w := newWorld(t, embeddedSite(t), 30)
	w.importPolicy()
	w.sync("connect", engine.ProfileFull)
	w.close()
	l := w.lined()
	d := w.daemon()
	d.until("everything is reached", 30*time.Second, healthy)
	if code, body := d.get("/readyz"); code != http.StatusOK {
		t.Fatalf("/readyz says %d %s", code, body)
	}

	l.set("refuses")
	d.until("the directory's outage shows", 20*time.Second, func(s api.Status) bool {
		return !s.Healthy && s.Directories[0].Failures > 0 && s.Engines[0].Failures > 0
	})
	d.shown("directory contoso was not reached", `tandem_directory_up{directory="contoso"} 0`, `tandem_engine_up{engine="connect"} 0`, "tandem_tenant_up 1")
	l.set("")
	s := d.until("it is over", 60*time.Second, healthy)
	if x := s.Directories[0]; x.LastSuccess == nil || x.LastError != "" || x.LastTry == nil {
		t.Errorf("the directory after its outage: %+v", x)
	}

	if err := w.graph.Close(); err != nil {
		t.Fatal(err)
	}
	d.until("the tenant's outage shows", 60*time.Second, func(s api.Status) bool { return !s.Healthy && s.Tenant.Failures > 0 && s.Engines[0].Failures > 0 })
	d.shown("the tenant was not reached", "tandem_tenant_up 0", `tandem_directory_up{directory="contoso"} 1`)
}

// Rows A5 and A6: the controller that the host itself reads accepts connections and answers nothing, the agents' own answers.
func TestWhatNeedsNoReadingByTheHostGoesOnWithoutItsController(t *testing.T) {
	exe := built(t, "github.com/tandem-sync/tandem/cmd/tandem-agent")
	w := newWorld(t, embeddedSite(t), 40)
	w.importPolicy()
	w.sync("connect", engine.ProfileFull)
	w.migrate("OU=Sales,"+w.site.base, "cloudsync")
	w.sync("cloudsync", engine.ProfileFull)
	w.close()
	w.agents = 0
	l := w.lined()
	conf, err := os.ReadFile(filepath.Join(w.dir, "tandem.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	w.reconfigure(conf)
	w.open()
	a := w.enroll(exe)
	w.close()
	a.start(t)
	defer a.kill()
	d := w.daemon()
	d.until("everything is reached", 60*time.Second, healthy)

	l.set("silent")
	dn := ""
	for _, u := range w.seed.Users {
		if under(u.DN, "OU=Sales,"+w.site.base) {
			dn = u.DN
		}
	}
	w.modify(dn, "title", "Changed in the outage")
	deadline := time.Now().Add(100 * time.Second)
	for !w.has("jobTitle", "Changed in the outage") {
		if time.Now().After(deadline) {
			t.Fatalf("the change that an agent sees does not arrive: %+v", d.status().Trouble)
		}
		time.Sleep(50 * time.Millisecond) // the tenant's content is all there is to wait for
	}
	d.until("the outage shows", 60*time.Second, func(s api.Status) bool { return !s.Healthy && s.Directories[0].Failures > 0 })
	d.shown("directory contoso was not reached", `tandem_directory_up{directory="contoso"} 0`)
}

// reconfigure takes up a configuration as it is in the file.
func (w *world) reconfigure(text []byte) {
	w.t.Helper()
	c, err := orchestrator.ParseConfig(filepath.Join(w.dir, "tandem.yaml"), text)
	if err != nil {
		w.t.Fatal(err)
	}
	w.config = c
}

// has reports whether a tenant object has a property's value.
func (w *world) has(property, value string) bool {
	for _, o := range w.model.State(false).Objects {
		if o.Properties[property] == value {
			return true
		}
	}
	return false
}
