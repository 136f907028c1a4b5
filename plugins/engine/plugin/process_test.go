//go:build linux

package plugin_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/plugins/engine/plugin"
)

// The test binary plays other parts when this variable names one.
const part = "TANDEM_TEST_PART"

func TestMain(m *testing.M) {
	switch os.Getenv(part) {
	case "":
		os.Exit(m.Run())
	case "engine":
		plugin.Serve(&inhabitant{})
	case "stubborn":
		stubborn()
	case "host":
		host()
	}
}

// inhabitant is the engine in the other process: it is asked by Call.
type inhabitant struct{ echo }

func (*inhabitant) Describe(context.Context) (engine.Description, error) {
	return engine.Description{Kind: "test", Contract: engine.ContractVersion}, nil
}

func (*inhabitant) Call(ctx context.Context, verb string, args []byte, out chan<- []byte) error {
	switch verb {
	case "env":
		out <- []byte(strings.Join(os.Environ(), "\n"))
	case "log":
		plugin.NewLogger(os.Stderr).Warn("a warning", "key", "value")
	case "panic":
		panic("the engine's own mistake")
	case "die":
		fmt.Fprintln(stderr, "last words")
		os.Exit(7)
	case "child": // a process of its own, which holds the pipes
		child := exec.Command("/bin/sleep", "1000")
		child.Stdout, child.Stderr = stdout, stderr
		if err := child.Start(); err != nil {
			return err
		}
		out <- []byte(strconv.Itoa(child.Process.Pid))
	case "wait":
		out <- nil
		<-ctx.Done()
	}
	return ctx.Err()
}

var stdout, stderr = os.Stdout, os.Stderr // before go-plugin replaces them

// stubborn serves, and never ends by itself.
func stubborn() {
	go plugin.Serve(&inhabitant{})
	select {}
}

// host starts an engine, prints its process id, and waits to be killed.
func host() {
	p, err := plugin.Start(context.Background(), self("engine"))
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(p.PID())
	select {}
}

func self(role string) plugin.Command {
	path, err := os.Executable()
	if err != nil {
		panic(err)
	}
	return plugin.Command{Path: path, Env: []string{part + "=" + role}}
}

func start(t *testing.T, c plugin.Command) *plugin.Process {
	t.Helper()
	p, err := plugin.Start(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return p
}

// ask makes one Call with one answer.
func ask(t *testing.T, e engine.Engine, verb string) (string, error) {
	t.Helper()
	out := make(chan []byte, 1)
	err := e.Call(t.Context(), verb, nil, out)
	select {
	case b := <-out:
		return string(b), err
	default:
		return "", err
	}
}

// gone waits until a process is no more (or a zombie that nobody reaps yet), and fails after the limit.
func gone(t *testing.T, pid int, limit time.Duration) {
	t.Helper()
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for alive(pid) {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("process %d lives %s after it should have ended", pid, limit)
		}
	}
}

func alive(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(b), ") ")
	return !strings.HasPrefix(rest, "Z")
}

func TestStartedEngineAnswersAndStops(t *testing.T) {
	p := start(t, self("engine"))
	d, err := p.Engine().Describe(t.Context())
	if err != nil || d.Kind != "test" || p.Err() != nil {
		t.Fatalf("%+v %v %v", d, err, p.Err())
	}
	begin := time.Now()
	if err := p.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(begin); took > 2*time.Second {
		t.Errorf("the engine took %s to end", took)
	}
	<-p.Done()
	var died *engine.DiedError
	if !errors.As(p.Err(), &died) || !died.Stopped || died.PID != p.PID() {
		t.Errorf("%+v", p.Err())
	}
	if _, err := p.Engine().Describe(t.Context()); !errors.Is(err, engine.ErrEngineDied) {
		t.Errorf("a stopped engine answered %v", err)
	}
}

func TestOnlyAllowedVariablesReachTheEngine(t *testing.T) {
	t.Setenv("TANDEM_TEST_SECRET", "hunter2")
	t.Setenv("TANDEM_TEST_ALLOWED", "yes")
	c := self("engine")
	c.Env = append(c.Env, "TANDEM_TEST_ALLOWED", "TANDEM_TEST_ABSENT")
	env, err := ask(t, start(t, c).Engine(), "env")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(env, "hunter2") || strings.Contains(env, "ABSENT") || !strings.Contains(env, "TANDEM_TEST_ALLOWED=yes") {
		t.Error(env)
	}
}

func TestADeadEngineIsOneErrorWithItsLastLines(t *testing.T) {
	for verb, want := range map[string][]string{
		"die":   {"last words", "exit status 7"},
		"panic": {"the engine's own mistake", "exit status 2"},
	} {
		p := start(t, self("engine"))
		_, err := ask(t, p.Engine(), verb)
		if !errors.Is(err, engine.ErrEngineDied) {
			t.Errorf("%s: %v", verb, err)
		}
		for _, w := range want {
			if !strings.Contains(fmt.Sprint(err), w) {
				t.Errorf("%s: %q is not in %v", verb, w, err)
			}
		}
	}
}

func TestAKilledEngineEndsItsCallsAtOnceWithAllItStarted(t *testing.T) {
	p := start(t, self("engine"))
	text, err := ask(t, p.Engine(), "child")
	if err != nil {
		t.Fatal(err)
	}
	child, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	out, ended := make(chan []byte), make(chan error, 1)
	go func() { ended <- p.Engine().Call(t.Context(), "wait", nil, out) }()
	<-out
	begin := time.Now()
	if err := syscall.Kill(p.PID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; !errors.Is(err, engine.ErrEngineDied) || !strings.Contains(err.Error(), "signal: killed") {
		t.Error(err)
	}
	<-p.Done()
	if took := time.Since(begin); took > 3*time.Second {
		t.Errorf("it took %s to notice", took)
	}
	gone(t, child, time.Second)
}

func TestAStubbornEngineIsEndedByForce(t *testing.T) {
	p := start(t, self("stubborn"))
	if err := p.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if alive(p.PID()) {
		t.Error("it lives")
	}
}

func TestAFrozenEngineIsKilledWhenItsStopperGivesUp(t *testing.T) {
	p := start(t, self("engine"))
	if err := syscall.Kill(p.PID(), syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	if alive(p.PID()) {
		t.Error("it lives")
	}
}

func TestAKilledHostLeavesNoEngine(t *testing.T) {
	c := self("host")
	cmd := exec.Command(c.Path)
	cmd.Env = append(os.Environ(), c.Env...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, _ := bufio.NewReader(out).ReadString('\n')
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatalf("the host said %q", line)
	}
	if !alive(pid) {
		t.Fatal("there is no engine")
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	gone(t, pid, 2*time.Second)
}

// TestAnEngineEndsWithItsInput does without the kernel's help: it speaks the plugin's side alone.
func TestAnEngineEndsWithItsInput(t *testing.T) {
	c := self("engine")
	cmd := exec.Command(c.Path)
	cmd.Env = append(os.Environ(), append(c.Env, "TANDEM_ENGINE=4c1e5b0a-engine", "PLUGIN_PROTOCOL_VERSIONS=1")...)
	in, err1 := cmd.StdinPipe()
	out, err2 := cmd.StdoutPipe()
	if err := errors.Join(err1, err2, cmd.Start()); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "1|1|unix|") {
		t.Fatalf("%q %v", line, err)
	}
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	_ = cmd.Wait()
	if took := time.Since(begin); took > 1500*time.Millisecond {
		t.Errorf("it took %s", took)
	}
}

func TestAnEngineStartedByHandSaysWhatItIs(t *testing.T) {
	c := self("engine")
	cmd := exec.Command(c.Path)
	cmd.Env = append(os.Environ(), c.Env...)
	b, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(b), "an engine of Tandem") {
		t.Errorf("%v %s", err, b)
	}
}

func TestAWrongChecksumIsRefusedBeforeAnythingRuns(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "engine")
	if err := os.WriteFile(path, []byte("#!/bin/sh\ntouch "+dir+"/ran\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	sum, err := plugin.FileSum(path)
	if err != nil {
		t.Fatal(err)
	}
	expected := strings.Repeat("0", 64)
	_, err = plugin.Start(t.Context(), plugin.Command{Path: path, SHA256: expected})
	var wrong *engine.ChecksumError
	if !errors.As(err, &wrong) || wrong.Found != sum || !strings.Contains(err.Error(), sum) || !strings.Contains(err.Error(), expected) {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "ran")); !errors.Is(err, os.ErrNotExist) {
		t.Error("it was run")
	}
	c := self("engine")
	if c.SHA256, err = plugin.FileSum(c.Path); err != nil {
		t.Fatal(err)
	}
	start(t, c)
}

func TestWhatIsNoEngineIsNamedWithItsWords(t *testing.T) {
	for name, test := range map[string]struct {
		script string
		want   []string
	}{
		"ends at once":     {"echo 'cannot open my database' >&2; exit 3", []string{"ended without saying", "cannot open my database", "exit status 3"}},
		"prints garbage":   {"echo why >&2; echo hello world; exec sleep 100", []string{`it printed "hello world"`, "why"}},
		"another contract": {"echo '1|99|unix|/tmp/nowhere|grpc|'; exec sleep 100", []string{"speaks version 99", "speaks version 1"}},
		"no gRPC":          {"echo '1|1|unix|/tmp/nowhere|netrpc|'; exec sleep 100", []string{"netrpc"}},
		"nobody there":     {"echo '1|1|unix|/nonexistent/socket|grpc|'; exec sleep 100", []string{"does not answer"}},
		"leaves a child":   {"sleep 100 & echo oops >&2; exit 4", []string{"oops", "exit status 4"}},
		"a very long line": {"head -c 200000 /dev/zero | tr '\\0' x; exec sleep 100", []string{"xxxx"}},
		"binary on stderr": {"head -c 100000 /dev/zero >&2; exit 1", []string{"ended without saying"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := plugin.Start(t.Context(), plugin.Command{Path: "/bin/sh", Args: []string{"-c", test.script}})
			var failed *engine.StartError
			if !errors.As(err, &failed) {
				t.Fatalf("%v", err)
			}
			for _, w := range test.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("%q is not in: %v", w, err)
				}
			}
		})
	}
	if _, err := plugin.Start(t.Context(), plugin.Command{Path: "/nonexistent/engine"}); err == nil || !strings.Contains(err.Error(), "/nonexistent/engine") {
		t.Error(err)
	}
	if _, err := plugin.Start(t.Context(), plugin.Command{Path: "/bin/sh", Dir: "/nonexistent"}); err == nil || !strings.Contains(err.Error(), "cannot be run") {
		t.Error(err)
	}
}

func TestAStartCanBeGivenUp(t *testing.T) {
	dir := t.TempDir()
	fifo := filepath.Join(dir, "begun")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		f, err := os.Open(fifo) // returns when the script has opened it
		if err == nil {
			f.Close()
		}
		cancel()
	}()
	_, err := plugin.Start(ctx, plugin.Command{Path: "/bin/sh", Args: []string{"-c", "echo > " + fifo + "; exec sleep 100"}})
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// lines takes log lines from several goroutines.
type lines struct {
	mu   sync.Mutex
	all  strings.Builder
	want string
	came chan struct{} // closed when want was written
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n, err := l.all.Write(b)
	if l.want != "" && strings.Contains(l.all.String(), l.want) {
		l.want = ""
		close(l.came)
	}
	return n, err
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.String()
}

func TestAnEnginesLogReachesTheHostsWithItsLevel(t *testing.T) {
	got := &lines{want: "a warning", came: make(chan struct{})}
	c := self("engine")
	c.Logger = slog.New(slog.NewTextHandler(got, &slog.HandlerOptions{Level: slog.LevelInfo}))
	p := start(t, c)
	if _, err := ask(t, p.Engine(), "log"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	select {
	case <-got.came: // a log is written beside the answers: it comes when it comes
	case <-ctx.Done():
		t.Error(got.String())
	}
	if err := p.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
}
