package orchestrator_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/run"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/plugins/engine/plugin"
)

// built builds one of the project's programs, once per test binary's life is not needed: the build cache does that.
func built(t *testing.T, pkg string) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), filepath.Base(pkg))
	cmd := exec.Command("go", "build", "-o", out, pkg)
	if b, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building %s: %v\n%s", pkg, err, b)
	}
	return out
}

func TestAMischievousEngineGetsRefusals(t *testing.T) {
	exe := built(t, "github.com/tandem-sync/tandem/examples/engine-minimal")
	sum, err := plugin.FileSum(exe)
	if err != nil {
		t.Fatal(err)
	}
	for _, mischief := range []string{
		`{proposeEverything: true, displayNamePrefix: "HIJACKED "}`,
		`{proposeEverything: true, impersonate: true, displayNamePrefix: "HIJACKED "}`,
		`{proposeEverything: true, impersonate: true, delete: true}`,
	} {
		t.Run(mischief, func(t *testing.T) {
			sites(t, func(t *testing.T, s site) {
				w := newWorld(t, s, 40)
				w.close()
				w.extra = fmt.Sprintf("  - name: acme\n    kind: external\n    command: [%s]\n    sha256: %s\n    settings: %s\n", exe, sum, mischief)
				w.write()
				w.open()
				policy := fmt.Sprintf(policyText, s.base, s.base) + fmt.Sprintf("  - name: acme's\n    under: OU=Finance,%s\n    engine: acme\n    features: [users]\n", s.base)
				if _, err := w.tandem.Host().Import(t.Context(), "policy.yaml", []byte(policy), "test"); err != nil {
					t.Fatal(err)
				}
				w.sync("connect", engine.ProfileFull)
				before, ids := w.natural(), w.ids()
				r, err := w.tandem.Host().Sync(t.Context(), "acme", run.SyncOptions{Profile: engine.ProfileFull})
				if err != nil {
					t.Fatal(err)
				}
				if strings.Contains(mischief, "delete") {
					if r.Applied > 0 || w.natural() != before {
						t.Fatalf("deletes of the living were carried out: %+v", r.Errors)
					}
					return
				}
				if r.Refused == 0 {
					t.Fatalf("nothing was refused: %+v", r)
				}
				for k, id := range ids {
					if w.ids()[k] != id {
						t.Fatalf("object %s is not what it was", k)
					}
				}
				w.untouched(before)
			})
		})
	}
}

// What an engine says costs the host neither memory nor journal beyond what the directory's own objects cost (findings E2).
func TestAFloodingEngineIsBounded(t *testing.T) {
	exe := built(t, "github.com/tandem-sync/tandem/examples/engine-minimal")
	sum, err := plugin.FileSum(exe)
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, embeddedSite(t), 40)
	w.close()
	w.extra = fmt.Sprintf("  - name: acme\n    kind: external\n    command: [%s]\n    sha256: %s\n    settings: {ghosts: 102400, repeat: 51200}\n", exe, sum)
	w.write()
	w.open()
	policy := fmt.Sprintf(policyText, w.site.base, w.site.base) + fmt.Sprintf("  - name: acme's\n    under: OU=Finance,%s\n    engine: acme\n    features: [users]\n", w.site.base)
	if _, err := w.tandem.Host().Import(t.Context(), "policy.yaml", []byte(policy), "test"); err != nil {
		t.Fatal(err)
	}
	w.sync("connect", engine.ProfileFull)
	_, records, _, err := w.tandem.Host().VerifyLog(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	most, stop := growth(t)
	r, err := w.tandem.Host().Sync(t.Context(), "acme", run.SyncOptions{Profile: engine.ProfileFull})
	stop()
	if err != nil {
		t.Fatal(err)
	}
	_, after, _, err := w.tandem.Host().VerifyLog(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d proposals: %d records, %d MiB at most", r.Read, after-records, most()>>20)
	if r.Read < 150_000 {
		t.Fatalf("the engine did not flood: %+v", r)
	}
	if n := after - records; n > 500 {
		t.Errorf("%d records were written", n)
	}
	if most() > 64<<20 {
		t.Errorf("the host took %d MiB more than before", most()>>20)
	}
}

// growth watches how far the heap grows beyond what is in use now, in bytes, until it is stopped.
func growth(t *testing.T) (most func() uint64, stop func()) {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	first, top := m.HeapInuse, uint64(0)
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-end:
				return
			case <-tick.C:
			}
			runtime.ReadMemStats(&m)
			if m.HeapInuse > first {
				top = max(top, m.HeapInuse-first)
			}
		}
	}()
	stopped := sync.OnceFunc(func() { close(end); <-ended })
	t.Cleanup(stopped)
	return func() uint64 { return top }, stopped
}

// untouched checks that every object that was there before still is as it was: what acme made in its own OU comes on top.
func (w *world) untouched(before string) {
	w.t.Helper()
	var was, is struct{ Objects []json.RawMessage }
	if err := json.Unmarshal([]byte(before), &was); err != nil {
		w.t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(w.natural()), &is); err != nil {
		w.t.Fatal(err)
	}
	now := map[string]bool{}
	for _, o := range is.Objects {
		now[string(o)] = true
	}
	for _, o := range was.Objects {
		if !now[string(o)] {
			w.t.Fatalf("this object was touched: %s", o)
		}
	}
}

// agent is a running tandem-agent.
type agent struct {
	exe, dir string
	cmd      *exec.Cmd
}

func (w *world) enroll(exe string, more ...string) *agent {
	w.t.Helper()
	var answer struct{ Token, Listen string }
	err := w.tandem.Call(w.t.Context(), "cloudsync", "invite", []byte(`{}`), func(b []byte) error { return json.Unmarshal(b, &answer) })
	if err != nil {
		w.t.Fatal(err)
	}
	a := &agent{exe: exe, dir: w.t.TempDir()}
	cmd := exec.Command(exe, append([]string{"enroll", "--server", answer.Listen, "--token-file", "-", "--directory-url", w.site.url, "--directory-base", w.site.base, "--bind-user", w.site.reader,
		"--bind-password-file", filepath.Join(w.dir, "ad-password"), "--directory-ca", filepath.Join(w.dir, "ad-ca.pem"), "--dir", a.dir}, more...)...)
	cmd.Stdin = strings.NewReader(answer.Token + "\n")
	if b, err := cmd.CombinedOutput(); err != nil {
		w.t.Fatalf("enrolling: %v\n%s", err, b)
	}
	return a
}

func (a *agent) start(t *testing.T) {
	t.Helper()
	a.cmd = exec.Command(a.exe, "run", "--dir", a.dir)
	a.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if testing.Verbose() {
		a.cmd.Stderr = os.Stderr
	}
	if err := a.cmd.Start(); err != nil {
		t.Fatal(err)
	}
}

// attended waits until an agent attends: one that begins anew while its old line still seems to stand is refused at first, and comes again.
func (w *world) attended() {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		live := false
		err := w.tandem.Call(ctx, "cloudsync", "agents", []byte(`{}`), func(b []byte) error {
			var as []struct{ Live bool }
			if err := json.Unmarshal(b, &as); err != nil {
				return fmt.Errorf("%s: %w", b, err)
			}
			live = slices.ContainsFunc(as, func(a struct{ Live bool }) bool { return a.Live })
			return nil
		})
		if err != nil {
			w.t.Fatalf("no agent attends: %v", err)
		}
		if live {
			return
		}
		select {
		case <-ctx.Done():
			w.t.Fatal("no agent attends within a minute")
		case <-tick.C:
		}
	}
}

func (a *agent) kill() {
	if a.cmd != nil {
		_ = a.cmd.Process.Kill()
		_ = a.cmd.Wait()
		a.cmd = nil
	}
}

func TestAKilledAgentLosesNothing(t *testing.T) {
	exe := built(t, "github.com/tandem-sync/tandem/cmd/tandem-agent")
	sites(t, func(t *testing.T, s site) {
		w := newWorld(t, s, 60)
		w.importPolicy()
		w.sync("connect", engine.ProfileFull)
		w.close()
		w.agents = 0
		w.write()
		w.open()
		a := w.enroll(exe)
		a.start(t)
		defer a.kill()
		ids := w.ids()
		w.migrate("OU=Sales,"+s.base, "cloudsync")
		dn := ""
		for _, u := range w.seed.Users {
			if under(u.DN, "OU=Sales,"+s.base) {
				dn = u.DN
				w.modify(dn, "title", "Changed")
			}
		}
		if dn == "" {
			t.Fatal("nobody works in Sales")
		}
		killed := make(chan struct{})
		go func() { // in the middle of the run, or before it, or after it: all must be safe
			defer close(killed)
			time.Sleep(15 * time.Millisecond) // the run's first reads take about this long
			a.kill()
		}()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		r, err := w.tandem.Host().Sync(ctx, "cloudsync", run.SyncOptions{})
		t.Logf("the run of the killed agent: complete %v, applied %d, %v", r.Complete, r.Applied, err)
		<-killed
		a.start(t)
		w.attended()
		w.settle()
		w.same(ids, "the agent's death")
		w.t.Log("after it: nothing is owed")
		for _, o := range w.model.State(false).Objects {
			if o.Properties["jobTitle"] == "Changed" {
				return
			}
		}
		t.Fatal("the change was lost")
	})
}
