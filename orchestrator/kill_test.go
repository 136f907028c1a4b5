package orchestrator_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tandem-sync/tandem/examples/lab/samba"
	"github.com/tandem-sync/tandem/orchestrator"
	"github.com/tandem-sync/tandem/orchestrator/answer"
	"github.com/tandem-sync/tandem/orchestrator/run"
	"github.com/tandem-sync/tandem/orchestrator/standing"
	"github.com/tandem-sync/tandem/orchestrator/wave"
	"github.com/tandem-sync/tandem/orchestrator/wave/acts"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/state"
)

// hostProcess is a host of its own: it opens the Tandem of a folder, does one thing, and prints its progress, a line each.
func hostProcess(dir string, args []string) int {
	ctx := context.Background()
	file := filepath.Join(dir, "tandem.yaml")
	b, err := os.ReadFile(file)
	if err == nil {
		var c orchestrator.Config
		if c, err = orchestrator.ParseConfig(file, b); err == nil {
			err = hostDoes(ctx, c, args)
		}
	}
	if err != nil {
		fmt.Println("error:", err)
		return 1
	}
	fmt.Println("done")
	return 0
}

func hostDoes(ctx context.Context, c orchestrator.Config, args []string) error {
	o, err := orchestrator.Open(ctx, c, orchestrator.Options{Logger: slog.New(slog.NewTextHandler(os.Stderr, nil)), Command: "test host", Self: os.Args[0], Patience: time.Second, Hook: killing(c.StateDir(), args),
		Progress: func(p run.Progress) { fmt.Printf("%s[%s]%s %s\n", p.Engine, p.Wave, p.Phase, p.Note) }})
	if err != nil {
		return err
	}
	defer func() { _ = o.Close(ctx) }()
	h := o.Host()
	switch args[0] {
	case "serve":
		fmt.Println("[it] serves")
		err = o.RunSchedules(ctx)
	case "bring":
		_, err = h.SyncAll(ctx, "cloudsync", run.SyncOptions{})
	case "sync":
		_, err = h.Sync(ctx, args[1], run.SyncOptions{Profile: args[2]})
	case "migrate":
		_, _, err = h.Migrate(ctx, args[1], args[2], nil, nil, acts.ApplyOptions{Options: wave.Options{Soak: time.Hour}, By: "test"})
	case "drive":
		_, err = h.Drive(ctx, args[1])
	case "rollback":
		if _, err = h.DecideWave(ctx, args[1], wave.RollBack, "test", ""); err == nil {
			_, err = h.Drive(ctx, args[1])
		}
	}
	return err
}

// killing returns the hook of a process that kills itself as soon as a text is durable in its log once more.
func killing(dir string, args []string) state.Hook {
	if args[0] != "serve" && args[0] != "bring" || len(args) < 2 {
		return nil
	}
	count := func() (n int) {
		segments, _ := filepath.Glob(filepath.Join(dir, "log", "*"))
		for _, s := range segments {
			b, _ := os.ReadFile(s) // what cannot be read has it not
			n += bytes.Count(b, []byte(args[1]))
		}
		return n
	}
	before := count()
	return func(point string) error {
		if point == state.FailAppendAfterSync && count() > before {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
		return nil
	}
}

// child is a running host process.
type child struct {
	cmd  *exec.Cmd
	out  *bufio.Reader
	last string
}

func (w *world) spawn(args ...string) *child {
	w.t.Helper()
	cmd := exec.Command(os.Args[0], append([]string{"host", w.dir}, args...)...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	cmd.Stderr = io.Discard
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	return &child{cmd: cmd, out: bufio.NewReader(out)}
}

// until reads the child's lines until one has the mark, or it ended.
func (c *child) until(mark string) bool {
	for {
		line, err := c.out.ReadString('\n')
		if strings.Contains(line, mark) && !strings.HasPrefix(line[strings.Index(line, "[")+1:], "]") {
			return true
		}
		if line != "" {
			c.last = line
		}
		if err != nil {
			return false
		}
	}
}

// kill ends the child like a power cut, and waits for it.
func (c *child) kill() {
	_ = c.cmd.Process.Signal(syscall.SIGKILL)
	_, _ = io.Copy(io.Discard, c.out)
	_ = c.cmd.Wait()
}

// children gives the processes whose parent is pid and whose command line holds a text.
func children(pid int, text string) []int {
	var out []int
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, s := range stats {
		b, err := os.ReadFile(s)
		if err != nil {
			continue
		}
		fields := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
		cmd, _ := os.ReadFile(filepath.Join(filepath.Dir(s), "cmdline"))
		if len(fields) > 1 && fields[1] == strconv.Itoa(pid) && strings.Contains(strings.ReplaceAll(string(cmd), "\x00", " "), text) {
			n, _ := strconv.Atoi(filepath.Base(filepath.Dir(s)))
			out = append(out, n)
		}
	}
	return out
}

// alive gives the processes that still serve as a plugin of this test binary for a folder.
func alive(dir string) []int {
	var out []int
	envs, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, e := range envs {
		b, _ := os.ReadFile(e)
		if s := strings.ReplaceAll(string(b), "\x00", " "); strings.HasPrefix(s, os.Args[0]+" plugin") || strings.Contains(s, "host "+dir) {
			n, _ := strconv.Atoi(filepath.Base(filepath.Dir(e)))
			out = append(out, n)
		}
	}
	return out
}

// nothingLeft waits until no process of a killed host is left.
func (w *world) nothingLeft() {
	w.t.Helper()
	deadline := time.Now().Add(5 * time.Second)
	for len(alive(w.dir)) > 0 {
		if time.Now().After(deadline) {
			w.t.Fatalf("processes are left behind: %v", alive(w.dir))
		}
		time.Sleep(20 * time.Millisecond) // other processes' ends cannot be waited for otherwise
	}
}

// natural gives the tenant's state without what differs between two ways to the same end.
func (w *world) natural() string {
	w.t.Helper()
	b, err := json.MarshalIndent(w.model.State(true), "", " ")
	if err != nil {
		w.t.Fatal(err)
	}
	return string(b)
}

// afterWrites waits until the tenant has seen a number of write requests.
func (w *world) afterWrites(n int64) {
	w.t.Helper()
	deadline := time.Now().Add(60 * time.Second)
	for w.writes() < n {
		if time.Now().After(deadline) {
			w.t.Fatalf("only %d writes came", w.writes())
		}
		time.Sleep(time.Millisecond) // the tenant's counter is all there is to wait for
	}
}

// settle brings both engines to rest.
func (w *world) settle() {
	w.t.Helper()
	for range 3 {
		for _, e := range []string{"connect", "cloudsync"} {
			if _, err := w.tandem.Host().Sync(w.t.Context(), e, run.SyncOptions{}); err != nil {
				w.t.Fatalf("sync %s: %v", e, err)
			}
		}
	}
	// A doubt about what the tenant shows ends when its delay is over.
	waits := func(d answer.Debt) bool { return d.Owed.To == standing.Time }
	if d := slices.DeleteFunc(w.tandem.Host().Debts(), waits); len(d) > 0 {
		w.t.Fatalf("%d debts are left, the first: %+v", len(d), d[0])
	}
}

func differ(a, b string) string {
	x, y := strings.Split(a, "\n"), strings.Split(b, "\n")
	for i := range min(len(x), len(y)) {
		if x[i] != y[i] {
			return fmt.Sprintf("line %d:\n%s\n%s", i, x[i], y[i])
		}
	}
	return fmt.Sprintf("%d and %d lines", len(x), len(y))
}

func TestAKilledProcessLosesAndDoublesNothing(t *testing.T) {
	if samba.LeftOut() {
		return
	}
	s := sambaSite(t)
	first := newWorld(t, s, 60)
	first.importPolicy()
	first.sync("connect", engine.ProfileFull)
	undisturbed := first.natural()
	first.close()

	for _, n := range []int64{1, 15, 30, 60, 90} {
		t.Run(fmt.Sprintf("the host in a full sync after %d writes", n), func(t *testing.T) {
			w := emptyWorld(t, s)
			w.write()
			w.open()
			w.importPolicy()
			w.close()
			c := w.spawn("sync", "connect", "full")
			w.afterWrites(n)
			c.kill()
			w.nothingLeft()
			w.open()
			w.settle()
			if got := w.natural(); got != undisturbed {
				t.Fatalf("another end state: %s", differ(got, undisturbed))
			}
		})
	}
	t.Run("the engine in a full sync", func(t *testing.T) {
		w := emptyWorld(t, s)
		w.write()
		w.open()
		w.importPolicy()
		w.close()
		c := w.spawn("sync", "connect", "full")
		w.afterWrites(20)
		for _, pid := range children(c.cmd.Process.Pid, "plugin connect") {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		if c.until("done") {
			t.Log("the run was over before the engine died")
		}
		c.kill()
		w.nothingLeft()
		w.open()
		w.settle()
		if got := w.natural(); got != undisturbed {
			t.Fatalf("another end state: %s", differ(got, undisturbed))
		}
	})
	for _, phase := range []string{"preflight", "baseline", "shadow", "verify", "freeze", "cutover", "catch-up", "soak"} {
		t.Run("the host in phase "+phase, func(t *testing.T) { killInPhase(t, s, phase, undisturbed) })
	}
}

// killInPhase kills the host when a wave enters a phase; the wave resumes, is rolled back with another kill, and nothing changed.
func killInPhase(t *testing.T, s site, phase, undisturbed string) {
	w := emptyWorld(t, s)
	w.write()
	w.open()
	w.importPolicy()
	w.sync("connect", engine.ProfileFull)
	ids := w.ids()
	w.close()
	c := w.spawn("migrate", "OU=Sales,"+s.base, "cloudsync")
	if !c.until("]" + phase + " ") {
		t.Fatalf("the wave never came to phase %s: %s", phase, c.last)
	}
	c.kill()
	w.nothingLeft()
	w.open()
	ws, err := w.tandem.Host().Waves(t.Context())
	if err != nil || len(ws) != 1 {
		t.Fatalf("waves: %+v, %v", ws, err)
	}
	got, err := w.tandem.Host().Drive(t.Context(), ws[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	if got.Phase != wave.Soak {
		t.Fatalf("the wave did not resume: %+v", got)
	}
	w.settle()
	w.same(ids, "the kill in "+phase)
	w.close()

	c = w.spawn("rollback", got.ID)
	c.until("]rollback-")
	c.kill()
	w.nothingLeft()
	w.open()
	back, err := w.tandem.Host().Drive(t.Context(), got.ID)
	if err != nil {
		t.Fatal(err)
	}
	if back.State != wave.RolledBack && back.Phase != wave.Soak {
		t.Fatalf("the rollback did not resume: %+v", back)
	}
	w.settle()
	w.same(ids, "the kill in the rollback")
	if end := w.natural(); end != undisturbed {
		t.Fatalf("another end state: %s", differ(end, undisturbed))
	}
}
