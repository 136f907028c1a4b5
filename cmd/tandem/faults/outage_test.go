//go:build linux

package faults_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/tandem-sync/tandem/examples/lab/tenant"
	"github.com/tandem-sync/tandem/orchestrator/notify"
)

// front stands before the directory: it shows a certificate of its own, which can be exchanged, and can refuse everybody.
type front struct {
	mu      sync.Mutex
	cert    tls.Certificate
	refuses bool
	inside  map[net.Conn]bool
}

func (f *front) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.refuses {
		return nil, errors.New("nobody is let in")
	}
	return &f.cert, nil
}

// set changes the front and ends what goes through it: whoever comes next meets it as it is now.
func (f *front) set(cert tls.Certificate, refuses bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.cert, f.refuses = cert, refuses
	for c := range f.inside {
		_ = c.Close() // whoever reads of it ends with that
	}
}

// pass carries one connection on to the directory behind.
func (f *front) pass(c net.Conn, behind *tls.Dialer, address string) {
	f.mu.Lock()
	refuses := f.refuses
	f.inside[c] = true
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		delete(f.inside, c)
		f.mu.Unlock()
	}()
	if refuses {
		return
	}
	near := tls.Server(c, &tls.Config{GetCertificate: f.get})
	if near.Handshake() != nil {
		return
	}
	far, err := behind.Dial("tcp", address)
	if err != nil {
		return
	}
	var back sync.WaitGroup
	back.Go(func() {
		_, _ = io.Copy(near, far)
		_ = near.Close()
	})
	_, _ = io.Copy(far, near)
	_ = far.Close()
	back.Wait()
}

// directory is the URL of the lab's directory itself.
func (w *world) directory() string {
	c, _ := w.lab.Connection()
	return c.URLs[0]
}

// fronted puts a front between the installation and its directory. Any of the certificates may be shown there.
func (w *world) fronted(t *testing.T, first tls.Certificate, trusted ...string) *front {
	t.Helper()
	u, err := url.Parse(w.directory())
	w.check(err)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(w.read("lab-ca.pem")))
	behind := &tls.Dialer{Config: &tls.Config{RootCAs: roots, ServerName: u.Hostname()}}
	f := &front{cert: first, inside: map[net.Conn]bool{}}
	port := server(t, func(c net.Conn) { f.pass(c, behind, u.Host) })
	t.Cleanup(func() { f.set(first, true) })
	w.write("front-ca.pem", strings.Join(trusted, ""))
	w.edit("tandem.yaml", directoryURL, "ldaps://127.0.0.1:"+port)
	w.edit("tandem.yaml", `(?m)^    tls: .*$`, "    tls: {caFile: ./front-ca.pem}")
	return f
}

// inbox is who is told: a webhook.
type inbox struct {
	mu  sync.Mutex
	all []notify.Message
}

// told makes the webhook and puts it into the configuration.
func (w *world) told(t *testing.T) *inbox {
	b := &inbox{}
	s := httptest.NewTLSServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var m notify.Message
		if err := json.NewDecoder(r.Body).Decode(&m); err != nil {
			t.Errorf("a notification cannot be read: %v", err)
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		b.all = append(b.all, m)
	}))
	t.Cleanup(s.Close)
	w.write("hook-ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})))
	w.edit("tandem.yaml", `\z`, fmt.Sprintf("notify: {webhook: {url: %q, caFile: ./hook-ca.pem}}\n", s.URL))
	return b
}

// told returns what was told, each as "event cause".
func (b *inbox) told() (out []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, m := range b.all {
		out = append(out, string(m.Event)+" "+m.Cause)
	}
	return out
}

// seen is the daemon as others see it.
type seen struct {
	healthy            bool
	reasons            string // what status says is wrong
	ready              int
	readiness, metrics string
}

func (w *world) sees() (s seen) {
	w.Helper()
	var st struct {
		Healthy bool
		Alarms  []struct{ Message string }
	}
	w.answers(0, nil, &st, "status")
	s.healthy = st.Healthy
	for _, a := range st.Alarms {
		s.reasons += a.Message + "\n"
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", w.path("state/tandem.sock"))
	}}}
	get := func(path string) (int, string) {
		r, err := client.Get("http://tandem" + path)
		w.check(err)
		defer r.Body.Close()
		b, err := io.ReadAll(r.Body)
		w.check(err)
		return r.StatusCode, string(b)
	}
	s.ready, s.readiness = get("/readyz")
	_, s.metrics = get("/metrics")
	return s
}

// until asks again and again until it is so: the daemon is reached as others reach it.
func (w *world) until(what string, limit time.Duration, so func() bool) {
	w.Helper()
	for deadline := time.Now().Add(limit); !so(); time.Sleep(200 * time.Millisecond) {
		if time.Now().After(deadline) {
			w.Fatalf("not within %s: %s", limit, what)
		}
	}
}

// small mounts a small file system where the state will be.
func (w *world) small(t *testing.T, size string) {
	t.Helper()
	w.check(os.Mkdir(w.path("state"), 0o700))
	if err := syscall.Mount("tmpfs", w.path("state"), "tmpfs", 0, "mode=0700,size="+size); err != nil {
		t.Fatalf("a file system of a test's own takes the right to mount: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(w.path("state"), syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
}

// fill takes all room of a folder's file system, and returns what gives it back.
func (w *world) fill(dir string) (empty func()) {
	file, err := os.Create(filepath.Join(dir, "filler"))
	w.check(err)
	defer file.Close()
	for b := make([]byte, 1<<20); len(b) > 0; {
		if _, err := file.Write(b); errors.Is(err, syscall.ENOSPC) {
			b = b[:len(b)/2]
		} else {
			w.check(err)
		}
	}
	return func() { w.check(os.Remove(file.Name())) }
}

// attending starts an agent over the directory itself, which ends with the test, and returns what kills it.
func (w *world) attending(t *testing.T, program, dir string) (kill func()) {
	t.Helper()
	c := exec.Command(program, "run", "--dir", dir)
	w.check(c.Start())
	kill = sync.OnceFunc(func() {
		_ = c.Process.Kill() // it may have ended
		_ = c.Wait()         // killed
	})
	t.Cleanup(kill)
	return kill
}

// enrolled builds the agent's program and enrols one.
func (w *world) enrolled(t *testing.T) (program, dir string) {
	t.Helper()
	program, dir = filepath.Join(t.TempDir(), "tandem-agent"), filepath.Join(t.TempDir(), "agent")
	out, err := exec.Command("go", "build", "-o", program, "github.com/tandem-sync/tandem/cmd/tandem-agent").CombinedOutput()
	if err != nil {
		t.Fatalf("building the agent: %v\n%s", err, out)
	}
	_, listen, _ := strings.Cut(w.read("tandem.yaml"), "        listen: ")
	listen, _, _ = strings.Cut(listen, "\n")
	w.write("token", w.done("agent", "invite"))
	enrol := exec.Command(program, "enroll", "--server", listen, "--token-file", w.path("token"), "--directory-url", w.directory(), "--directory-base", base,
		"--bind-user", "svc-tandem@contoso.test", "--bind-password-file", w.path("ad-password"), "--directory-ca", w.path("lab-ca.pem"), "--dir", dir)
	if out, err := enrol.CombinedOutput(); err != nil {
		t.Fatalf("enrolling: %v\n%s", err, out)
	}
	return program, dir
}

// outage is one thing that fails while Tandem serves.
type outage struct {
	name, cause string // as people call it, and as notifications do
	event       string
	says        string // in status, and in readiness where that ends
	gauge       string // in the metrics
	warns       bool   // it goes on, so it stays ready
	fail        func() (repair func())
}

// Directory, tenant, an agent, a disk and certificates fail one after the other under real processes. Each shows in status, readiness, metrics and one notification, and clears by itself.
func TestEachOutageShowsEverywhereIsToldOnceAndClearsByItself(t *testing.T) {
	t.Parallel()
	w := alone(t, 12)
	w.edit("tandem.yaml", `schedule: \d+m`, "schedule: 2s")
	w.edit("tandem.yaml", `embedded: 1`, "embedded: 0")
	w.edit("tandem.yaml", `listen: 127.0.0.1:0`, "listen: 127.0.0.1:"+closed(t)) // agents come again to the same
	good, trusted := certificate(t, time.Now().AddDate(1, 0, 0))
	ended, old := certificate(t, time.Now().Add(-time.Hour))
	soon, _ := certificate(t, time.Now().AddDate(0, 0, 10))
	directory := w.fronted(t, good, trusted, old)
	messages := w.told(t)
	w.shows(good)
	w.edit("tandem.yaml", `\z`, "listen: {certificateFile: ./monitor.pem, keyFile: ./monitor-key.pem, tokenFile: ./monitor-token}\n")
	w.write("monitor-token", "Token-Of-Monitoring\n")
	w.small(t, "448m")
	w.write("policy.yaml", bothEngines)
	w.done("import", "policy.yaml")
	w.done("sync", "connect", "--profile", "full")
	_, monitor, _ := strings.Cut(w.serves(t, "--listen", "127.0.0.1:0"), "monitoring on ")
	monitor = strings.TrimSpace(monitor)
	program, dir := w.enrolled(t)
	kill := w.attending(t, program, dir)
	w.scraped(monitor)
	w.until("all is well", time.Minute, func() bool { s := w.sees(); return s.healthy && s.reasons == "" })

	var want []string
	for _, o := range []outage{
		{name: "the directory", cause: "directory contoso", event: "failed", says: "directory contoso was not reached", gauge: `tandem_directory_up{directory="contoso"} 0`,
			fail: func() func() {
				directory.set(good, true)
				return func() { directory.set(good, false) }
			}},
		{name: "the tenant", cause: "tenant", event: "failed", says: "the tenant was not reached", gauge: "tandem_tenant_up 0",
			fail: func() func() {
				w.fault(tenant.Fault{Kind: tenant.Status, Status: 503, Code: "serviceUnavailable", Message: "Busy.", Count: -1})
				return w.calm
			}},
		{name: "the agent", cause: "agents of engine cloudsync", event: "agents", says: "0 live, 1 needed", gauge: `tandem_agents_usable{directory="contoso",engine="cloudsync"} 0`,
			fail: func() func() {
				kill()
				return func() { kill = w.attending(t, program, dir) }
			}},
		{name: "the disk", cause: "disk full", event: "disk", says: "the disk that holds the state is full", gauge: "tandem_state_full 1",
			fail: func() func() { return w.fill(w.path("state")) }},
		{name: "the controller's certificate", cause: "certificate of directory contoso", event: "certificate", says: "the certificate of directory contoso ended on", gauge: `tandem_directory_up{directory="contoso"} 0`,
			fail: func() func() {
				directory.set(ended, false)
				return func() { directory.set(good, false) }
			}},
		{name: "the monitoring certificate", cause: "certificate of monitoring", event: "certificate", says: "the certificate of monitoring ends on", warns: true,
			gauge: `tandem_alarm_active{cause="certificate of monitoring",event="certificate",level="warning"} 1`,
			fail: func() func() {
				w.shows(soon)
				w.scraped(monitor)
				return func() { w.shows(good); w.scraped(monitor) }
			}},
	} {
		repair := o.fail()
		w.until(o.name+" shows in the status", time.Minute, func() bool { return strings.Contains(w.sees().reasons, o.says) })
		s := w.sees()
		if s.healthy != o.warns || (s.ready == http.StatusOK) != o.warns || !o.warns && !strings.Contains(s.readiness, o.says) {
			t.Errorf("%s: healthy %t, readiness %d %q", o.name, s.healthy, s.ready, s.readiness)
		}
		if !strings.Contains(s.metrics, o.gauge+"\n") || !strings.Contains(s.metrics, fmt.Sprintf(`tandem_alarm_active{cause=%q,event=%q`, o.cause, o.event)) {
			t.Errorf("%s: the metrics lack %s, or its alarm:\n%s", o.name, o.gauge, s.metrics)
		}
		want = append(want, o.event+" "+o.cause)
		w.until(o.name+" is told", time.Minute, func() bool { return len(messages.told()) >= len(want) })
		repair()
		w.until(o.name+" is well again", 2*time.Minute, func() bool {
			s := w.sees()
			return s.healthy && s.reasons == "" && s.ready == http.StatusOK && !strings.Contains(s.metrics, `cause="`+o.cause)
		})
		want = append(want, "recovered "+o.cause)
		w.until("the end of it is told", time.Minute, func() bool { return len(messages.told()) >= len(want) })
		if told := messages.told(); !slices.Equal(told, want) {
			t.Fatalf("%s: told was %q, want %q", o.name, told, want)
		}
	}
	w.done("diff", "--under", base)
}

// shows puts a certificate where monitoring's is read for each connection.
func (w *world) shows(cert tls.Certificate) {
	key, err := x509.MarshalECPrivateKey(cert.PrivateKey.(*ecdsa.PrivateKey))
	w.check(err)
	w.write("monitor.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[0]})))
	w.write("monitor-key.pem", string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: key})))
}

// scraped asks for the metrics as Prometheus does.
func (w *world) scraped(address string) {
	w.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}} // which certificate it shows is not asked here
	r, err := http.NewRequest("GET", "https://"+address+"/metrics", nil)
	w.check(err)
	r.Header.Set("Authorization", "Bearer Token-Of-Monitoring")
	res, err := client.Do(r)
	w.check(err)
	w.check(res.Body.Close())
}
