package cloudsync_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/tandem-sync/tandem/plugins/cloudsync"
	"github.com/tandem-sync/tandem/plugins/engine"
)

// program builds tandem-agent once.
var program = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "cloudsync-agent-*")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "tandem-agent")
	out, err := exec.Command("go", "build", "-o", path, "github.com/tandem-sync/tandem/cmd/tandem-agent").CombinedOutput()
	if err != nil {
		os.Stderr.Write(out)
	}
	return path, err
})

func TestMain(m *testing.M) {
	if dir := os.Getenv(engineInFolder); dir != "" {
		serveAlone(dir)
		return
	}
	code := m.Run()
	if path, err := program(); err == nil {
		os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}

// process is a running tandem-agent.
type process struct {
	cmd *exec.Cmd
	dir string
	err *bytes.Buffer
}

func (w *world) enrolProcess(extra ...string) (dir, output string, err error) {
	w.t.Helper()
	path, err := program()
	check(w.t, err)
	d, i := w.config.Directories[0], w.invite()
	dir = filepath.Join(w.t.TempDir(), "agent")
	secrets := w.t.TempDir()
	check(w.t, os.WriteFile(filepath.Join(secrets, "password"), []byte(d.Password+"\n"), 0o600))
	check(w.t, os.WriteFile(filepath.Join(secrets, "ca.pem"), d.CA, 0o600))
	args := append([]string{"enroll", "--server", i.Listen, "--token", i.Token, "--directory-url", d.URLs[0], "--directory-base", d.Base,
		"--bind-user", d.User, "--bind-password-file", filepath.Join(secrets, "password"), "--directory-ca", filepath.Join(secrets, "ca.pem"),
		"--dir", dir}, extra...)
	out, err := exec.Command(path, args...).CombinedOutput()
	return dir, string(out), err
}

func (w *world) startProcess(dir string) *process {
	w.t.Helper()
	path, err := program()
	check(w.t, err)
	p := &process{cmd: exec.Command(path, "run", "--dir", dir), dir: dir, err: &bytes.Buffer{}}
	p.cmd.Stderr = p.err
	check(w.t, p.cmd.Start())
	w.t.Cleanup(func() { p.cmd.Process.Kill(); p.cmd.Wait() })
	return p
}

func (w *world) process() *process {
	w.t.Helper()
	dir, out, err := w.enrolProcess()
	if err != nil {
		w.t.Fatalf("enroll: %v\n%s", err, out)
	}
	return w.startProcess(dir)
}

func (p *process) kill() {
	p.cmd.Process.Kill()
	p.cmd.Wait()
}

// many is enough objects for an answer that does not fit into what the line buffers.
const many = 6000

// killAt runs everything, and kills the process when the run has taken a part of the listing, or of the objects.
func killAt(w *world, phase string, kill func()) outcome {
	var once sync.Once
	return w.runAs(w.t.Context(), w.full(w.everything()), host{seen: func(e engine.RunEvent) {
		if e.Progress != nil && e.Progress.Phase == phase {
			once.Do(kill)
		}
	}})
}

func TestKilledAgentIsReplacedInTheMiddleOfARun(t *testing.T) {
	w := newWorld(t, many/2, cloudsync.Options{}, noEmbedded)
	w.grant(w.everything())
	dirs := []string{}
	for range 2 {
		dir, out, err := w.enrolProcess()
		if err != nil {
			t.Fatalf("enroll: %v\n%s", err, out)
		}
		dirs = append(dirs, dir)
	}
	for _, phase := range []string{"import", "sync"} {
		a, b := w.startProcess(dirs[0]), w.startProcess(dirs[1])
		w.waitAgents(2)
		o := killAt(w, phase, func() {
			killed := a
			if !strings.Contains(string(read(t, a.dir, "agent.json")), busyOne(w)) {
				killed = b
			}
			killed.kill()
		})
		mustComplete(t, o)
		seen := map[string]int{}
		for _, p := range o.base() {
			seen[p.Name]++
		}
		if len(seen) != len(o.base()) || len(seen) < many {
			t.Errorf("killed in %s: %d objects in %d proposals", phase, len(seen), len(o.base()))
		}
		a.kill()
		b.kill()
		w.waitAgents(0)
	}
}

// busyOne is the agent that is being asked, or that was asked last.
func busyOne(w *world) string {
	var last cloudsync.AgentInfo
	for _, a := range answer[[]cloudsync.AgentInfo](w, "agents", nil) {
		if a.Requests > 0 {
			return a.ID
		}
		if last.ID == "" || a.Answered.After(last.Answered) {
			last = a
		}
	}
	return last.ID
}

func TestKilledOnlyAgentBreaksTheRunAndTheNextOneIsWhole(t *testing.T) {
	w := newWorld(t, many/2, cloudsync.Options{}, noEmbedded)
	w.grant(w.everything())
	p := w.process()
	w.waitAgents(1)
	o := killAt(w, "sync", p.kill)
	if r := o.report(); r.Complete || len(r.Errors) == 0 || len(o.base()) >= many {
		t.Fatalf("%v, %d proposals, %+v", o.err, len(o.base()), r)
	}
	w.startProcess(p.dir)
	w.waitAgents(1)
	next := w.run(w.delta(w.everything()))
	mustComplete(t, next)
	all := map[string]bool{}
	for _, p := range append(o.base(), next.base()...) {
		all[p.Name] = true
	}
	if len(all) < many || len(next.base()) >= many {
		t.Errorf("%d objects were proposed, %d of them in the second run", len(all), len(next.base()))
	}
}

func TestAgentProcessEndsAtOnceOnSIGTERM(t *testing.T) {
	w := newWorld(t, 1, cloudsync.Options{}, noEmbedded)
	p := w.process()
	w.waitAgents(1)
	check(t, p.cmd.Process.Signal(syscall.SIGTERM))
	if err := p.cmd.Wait(); err != nil {
		t.Fatalf("%v\n%s", err, p.err)
	}
	w.waitAgents(0)
	if strings.Contains(p.err.String(), password) {
		t.Error("the directory password is in the log")
	}
}

func TestEnrollRefusesASecondAgentInOneFolderAndWrongPasswords(t *testing.T) {
	w := newWorld(t, 1, cloudsync.Options{}, noEmbedded)
	dir, out, err := w.enrolProcess()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if _, out, err = w.enrolProcess("--dir", dir); err == nil || !strings.Contains(out, "--force") {
		t.Errorf("second enrolment: %v\n%s", err, out)
	}
	if _, out, err = w.enrolProcess("--dir", dir, "--force"); err != nil {
		t.Errorf("forced: %v\n%s", err, out)
	}
	w.config.Directories[0].Password = "wrong"
	if _, out, err = w.enrolProcess(); err == nil || !strings.Contains(out, "sign-in") {
		t.Errorf("wrong directory password: %v\n%s", err, out)
	}
	if _, err := exec.Command(must(program()), "enroll").CombinedOutput(); err == nil || err.(*exec.ExitError).ExitCode() != 2 {
		t.Errorf("wrong usage: %v", err)
	}
}

func must(s string, err error) string {
	if err != nil {
		panic(err)
	}
	return s
}

func TestAgentHoldsNothingOfTheHostNorOfGraph(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "github.com/tandem-sync/tandem/cmd/tandem-agent").Output()
	check(t, err)
	for _, dep := range strings.Fields(string(out)) {
		for _, banned := range []string{"msgraph", "kiota", "azure-sdk", "tandem/orchestrator", "tandem/examples", "tandem/state", "bbolt", "go-plugin", "plugins/engine", "plugins/connect"} {
			if strings.Contains(dep, banned) {
				t.Errorf("tandem-agent depends on %s", dep)
			}
		}
	}
}

func TestClosedEngineLeavesNoGoroutine(t *testing.T) {
	w := newWorld(t, 5, cloudsync.Options{}, `{"agents":{"listen":"127.0.0.1:0","embedded":2,"minimum":2}}`)
	all := w.everything()
	w.grant(all)
	mustComplete(t, w.run(w.full(all)))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	w.runAs(ctx, w.full(all), host{})
	check(t, w.engine.Configure(t.Context(), w.config))
	mustComplete(t, w.run(w.delta(all)))
	check(t, w.engine.Close())
	b := make([]byte, 1<<20)
	for _, g := range strings.Split(string(b[:runtime.Stack(b, true)]), "\n\n") {
		if strings.Contains(g, "tandem/plugins/cloudsync.") || strings.Contains(g, "tandem/plugins/cloudsync/agent.") {
			t.Errorf("left behind:\n%s", g)
		}
	}
}
