package faults_test

import (
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tandem-sync/tandem/examples/lab/tenant"
)

func TestEnginesThatCannotBeStartedAreNamedWithTheReason(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		script, sum string
		words       []string
	}{
		"missing":        {"", strings.Repeat("9f", 32), []string{"engine acme: starting engine ", "no such executable"}},
		"wrong checksum": {"#!/bin/sh\nexit 0\n", strings.Repeat("9f", 32), []string{"has SHA-256 ", "but the configuration expects 9f9f", "engines[].sha256"}},
		"ends at once":   {"#!/bin/sh\necho 'cannot open my database' >&2\nexit 3\n", "right", []string{"ended without saying that it is an engine of Tandem", "exit status 3", "cannot open my database"}},
		"not executable": {"this is no program", "right", []string{"engine acme: starting engine "}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := looking(t)
			if c.script != "" {
				w.check(os.WriteFile(w.path("acme"), []byte(c.script), 0o700))
			}
			if c.sum == "right" {
				out, err := exec.Command("sha256sum", w.path("acme")).Output()
				w.check(err)
				c.sum = string(out[:64])
			}
			w.write("tandem.yaml", w.read("tandem.yaml")+"  - {name: acme, kind: external, command: ["+w.path("acme")+"], sha256: "+c.sum+"}\n")
			r := w.fails(1, c.words, "import", "policy.yaml")
			if strings.Count(r.err, "engine acme: ") > 2 {
				t.Errorf("said again and again: %s", r.err)
			}
			w.answers(1, c.words, new(any), "check")
			w.fails(2, []string{"no policy is in force"}, "sync", "connect")
		})
	}
}

func TestBuiltInEngineThatCannotStartIsNamed(t *testing.T) {
	t.Parallel()
	w := looking(t)
	w.edit("tandem.yaml", `listen: .*`, "listen: 127.0.0.1:99999")
	w.fails(1, []string{"engine cloudsync", "99999"}, "import", "policy.yaml")
	w.edit("tandem.yaml", `minimum: 1`, "minimun: 1")
	w.fails(2, []string{"engine cloudsync", "minimun"}, "import", "policy.yaml")
}

func TestMigrationWithoutLiveAgentsIsBlockedWithTheCommandThatMendsIt(t *testing.T) {
	t.Parallel()
	w := synced(t, 10)
	w.edit("tandem.yaml", `embedded: 1`, "embedded: 0")
	words := []string{"no live agent for directory contoso (0 live, 1 needed)", "tandem agent invite"}
	if r := w.fails(3, append(words, "engine-unhealthy"), "migrate", "--under", w.lab.OU("Sales"), "--to", "cloudsync", "--auto-approve"); r.took > 20*time.Second {
		t.Errorf("it took %s", r.took)
	}
	w.write("sales.yaml", w.read("policy.yaml")+sales)
	w.answers(4, words, new(any), "plan", "-f", "sales.yaml", "--exit-code")
	w.answers(1, words, new(any), "check")
	w.settled()
}

func TestInterruptedRunStopsAtADurableStepAndTheNextFinishes(t *testing.T) {
	t.Parallel()
	w := alone(t, 60)
	w.done("import", "policy.yaml")
	w.fault(tenant.Fault{Kind: tenant.Slow, DelayMillis: 400, Path: `^/v1.0/users$`, Methods: []string{"POST"}, Count: -1})
	c := w.command("sync", "connect", "--profile", "full")
	var out, stderr strings.Builder
	c.Stdout, c.Stderr = &out, &stderr
	w.check(c.Start())
	until := time.Now().Add(30 * time.Second)
	for n := 0; n == 0; { // until it is in the middle of writing
		for _, f := range w.lab.Tenant.Faults() {
			n += f.Struck
		}
		if time.Now().After(until) {
			t.Fatal("the run writes nothing")
		}
	}
	begun := time.Now()
	w.check(c.Process.Signal(syscall.SIGINT))
	_ = c.Wait() // its exit code says more
	if code := c.ProcessState.ExitCode(); code != 1 {
		t.Errorf("exit code %d:\n%s%s", code, &out, &stderr)
	}
	for _, x := range []string{"stopping at the next durable step", "stopped", "→ run the same command again"} {
		if !strings.Contains(stderr.String(), x) {
			t.Errorf("it does not say %q:\n%s", x, &stderr)
		}
	}
	t.Logf("after %s: %s%s", time.Since(begun), &out, &stderr)
	w.calm()
	w.done("sync", "connect", "--profile", "full")
	w.settled()
}
