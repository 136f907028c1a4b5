package faults_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tandem-sync/tandem/examples/lab"
	"github.com/tandem-sync/tandem/examples/lab/tenant"
	"github.com/tandem-sync/tandem/orchestrator/api"
)

// binary is the program under test, built once.
var binary string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "tandem-faults-")
	if err == nil {
		err = os.Chmod(dir, 0o755) // some commands are run as other users
	}
	if err == nil {
		binary = filepath.Join(dir, "tandem")
		var out []byte
		if out, err = exec.Command("go", "build", "-o", binary, "github.com/tandem-sync/tandem/cmd/tandem").CombinedOutput(); err != nil {
			err = fmt.Errorf("building tandem: %w\n%s", err, out)
		}
	}
	code := 1
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	} else {
		flag.Parse()
		if err := flag.Set("test.parallel", "6"); err != nil { // most of these tests wait
			panic(err)
		}
		code = m.Run()
	}
	if shared.lab != nil {
		err = shared.lab.Close()
	}
	_ = os.RemoveAll(dir) // the next test run makes another
	if err != nil {
		code = 1
	}
	os.Exit(code)
}

// shared is a lab for tests that write nothing to the tenant.
var shared struct {
	sync.Once
	lab *lab.Lab
	dir string
	err error
}

// world is one installation over a lab: a folder of its own with configuration, policy, secrets and state.
type world struct {
	testing.TB
	lab *lab.Lab
	dir string
}

// over gives a new installation over a lab.
func over(t testing.TB, l *lab.Lab) *world {
	w := &world{t, l, t.TempDir()}
	for _, f := range []string{"tandem.yaml", "policy.yaml", "lab-ca.pem", "ad-password", "entra-secret"} {
		b, err := os.ReadFile(filepath.Join(l.Dir, f))
		w.check(err)
		w.write(f, string(b))
	}
	w.edit("tandem.yaml", `listen: .*`, "listen: 127.0.0.1:0")
	return w
}

// looking gives an installation over the shared lab, whose tenant must stay as it is.
func looking(t testing.TB) *world {
	shared.Do(func() {
		if shared.dir, shared.err = os.MkdirTemp(filepath.Dir(binary), "lab-"); shared.err == nil {
			shared.lab, shared.err = lab.Up(context.Background(), lab.Options{Dir: shared.dir, Users: 20, Seed: 1})
		}
	})
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	return over(t, shared.lab)
}

// alone gives an installation over a lab of its own.
func alone(t testing.TB, users int) *world {
	l, err := lab.Up(context.Background(), lab.Options{Dir: t.TempDir(), Users: users, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return over(t, l)
}

// synced gives an installation over a lab of its own with everything in the tenant.
func synced(t testing.TB, users int) *world {
	w := alone(t, users)
	w.done("import", "policy.yaml")
	w.done("sync", "connect", "--profile", "full")
	return w
}

func (w *world) check(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) path(name string) string { return filepath.Join(w.dir, name) }

func (w *world) write(name, text string) { w.check(os.WriteFile(w.path(name), []byte(text), 0o600)) }

func (w *world) read(name string) string {
	b, err := os.ReadFile(w.path(name))
	w.check(err)
	return string(b)
}

// edit changes a file by regular expression, and wants it to change.
func (w *world) edit(name, pattern, with string) {
	w.Helper()
	before := w.read(name)
	after := regexp.MustCompile(pattern).ReplaceAllString(before, with)
	if after == before {
		w.Fatalf("%s has no %q:\n%s", name, pattern, before)
	}
	w.write(name, after)
}

// result is what a command said.
type result struct {
	code     int
	out, err string
	took     time.Duration
}

// command prepares a command in the installation's folder. Nothing of the test's environment steers it.
func (w *world) command(args ...string) *exec.Cmd {
	c := exec.Command(binary, append([]string{"--no-progress"}, args...)...)
	c.Dir = w.dir
	c.Env = append(os.Environ(), "TANDEM_CONFIG="+w.path("tandem.yaml"), "NO_COLOR=1")
	return c
}

func (w *world) run(args ...string) result {
	w.Helper()
	return w.end(w.command(args...), args)
}

// end runs a command to its end and wants what holds of every command: no stack trace and no secret.
func (w *world) end(c *exec.Cmd, args []string) result {
	w.Helper()
	var out, stderr bytes.Buffer
	c.Stdout, c.Stderr = &out, &stderr
	begun := time.Now()
	err := c.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		w.Fatal(err)
	}
	r := result{c.ProcessState.ExitCode(), out.String(), stderr.String(), time.Since(begun)}
	for _, never := range []string{"goroutine ", "panic", ".go:", "a defect of tandem", "Lab-Passw0rd!", w.lab.Tenant.ClientSecret} {
		if strings.Contains(r.err+r.out, never) {
			w.Errorf("tandem %v says %q:\n%s%s", args, never, r.out, r.err)
		}
	}
	return r
}

// done wants a command to end well, and gives its standard output.
func (w *world) done(args ...string) string {
	w.Helper()
	r := w.run(args...)
	if r.code != 0 {
		w.Fatalf("tandem %v ended with %d:\n%s%s", args, r.code, r.out, r.err)
	}
	return r.out
}

// fails wants a command to end with an exit code and all the words in its message, and with --output json its error as its document.
func (w *world) fails(code int, words []string, args ...string) result {
	w.Helper()
	r := w.run(append([]string{"--output", "json"}, args...)...)
	w.says(r, code, words, args)
	var d api.Document
	if err := json.Unmarshal([]byte(r.out), &d); err != nil || d.Error.Code == "" || d.Error.Message == "" {
		w.Errorf("tandem %v failed and its document is no error (%v): %q", args, err, r.out)
	}
	for _, x := range words {
		if hint := d.Error.Hint; !strings.Contains(d.Error.Message, x) && (hint == nil || !strings.Contains("→ "+*hint, x)) {
			w.Errorf("tandem %v does not say %q in its document: %s", args, x, r.out)
		}
	}
	return r
}

// answers wants a command to give its one document, and beside it an exit code and words.
func (w *world) answers(code int, words []string, into any, args ...string) result {
	w.Helper()
	r := w.run(append([]string{"--output", "json"}, args...)...)
	w.says(r, code, words, args)
	if err := json.Unmarshal([]byte(r.out), into); err != nil {
		w.Fatalf("tandem %v: %v\n%s%s", args, err, r.out, r.err)
	}
	return r
}

func (w *world) says(r result, code int, words, args []string) {
	w.Helper()
	w.Logf("tandem %s → %d\n%s", strings.Join(args, " "), r.code, r.err)
	if r.code != code {
		w.Errorf("tandem %v ended with %d, want %d:\n%s%s", args, r.code, code, r.out, r.err)
	}
	for _, x := range words {
		if !strings.Contains(r.err, x) {
			w.Errorf("tandem %v does not say %q:\n%s", args, x, r.err)
		}
	}
}

// fault orders trouble in the tenant.
func (w *world) fault(fs ...tenant.Fault) {
	w.Helper()
	for _, f := range fs {
		_, err := w.lab.Tenant.AddFault(f)
		w.check(err)
	}
}

// calm ends all trouble, and wants each to have struck.
func (w *world) calm() {
	w.Helper()
	for _, f := range w.lab.Tenant.Faults() {
		if f.Struck == 0 {
			w.Errorf("the fault %+v met nothing", f.Fault)
		}
	}
	w.lab.Tenant.ClearFaults("")
}

// base is the name of the lab's domain.
const base = "DC=contoso,DC=test"

// settled wants the tenant to be what the directory says, each object once.
func (w *world) settled() {
	w.Helper()
	w.done("diff", "--under", base)
	var e struct{ Errors []any }
	w.answers(0, nil, &e, "errors", "list")
	if len(e.Errors) > 0 {
		w.Errorf("something is owed still: %v", e.Errors)
	}
	_, err := w.lab.Objects() // fails when something is there twice
	w.check(err)
}
