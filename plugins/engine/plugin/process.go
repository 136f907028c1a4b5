package plugin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/runner"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/tandem-sync/tandem/plugins/engine"
)

// StartTimeout bounds how long an executable may take to say that it is an engine.
const StartTimeout = 15 * time.Second

// StopGrace is how long an engine that was asked to end may take before it is killed. By the contract it takes a second.
const StopGrace = 3 * time.Second

// baseEnv names the variables that every engine gets, where the host has them: what a process needs to find its temporary
// folder, time zone and certificates.
var baseEnv = []string{"PATH", "TMPDIR", "TZ", "LANG", "SSL_CERT_FILE", "SSL_CERT_DIR", "SYSTEMROOT", "TEMP", "TMP", "GODEBUG"}

// Command says how to start an engine.
type Command struct {
	Path   string
	Args   []string
	Env    []string     // names of the host's variables that the engine may see, beyond a few harmless ones; NAME=VALUE sets one
	SHA256 string       // of the executable, hexadecimal; empty: not checked
	Dir    string       // working folder; empty: the host's
	Logger *slog.Logger // takes what the engine logs; nil: nobody
}

// Process is a running engine: one session. It is never restarted; a new session is a new Process.
type Process struct {
	path   string
	runner *child
	client *goplugin.Client
	tail   *tail
	engine engine.Engine
	health grpc_health_v1.HealthClient
	life   context.Context
	end    context.CancelCauseFunc
	stop   context.Context // ended by Stop
	asked  context.CancelFunc
	done   chan struct{}

	sockets string // folder made by go-plugin
}

// Start starts an engine's executable and connects to it. It fails with a *[StartError], before running anything when the
// checksum is wrong (then errors.As finds a *[ChecksumError]). ctx bounds the start alone, as does [StartTimeout]; the
// process lives until [Process.Stop], its own end, or the host's.
func Start(ctx context.Context, c Command) (*Process, error) {
	path, err := exec.LookPath(c.Path)
	if err == nil {
		path, err = filepath.Abs(path)
	}
	if err != nil {
		return nil, &engine.StartError{Path: c.Path, What: "no such executable: " + err.Error(), Err: err}
	}
	if c.SHA256 != "" {
		if err := checkSum(path, c.SHA256); err != nil {
			return nil, &engine.StartError{Path: path, What: err.Error(), Err: err}
		}
	}
	p := newProcess(path, c)
	ctx, cancel := context.WithTimeoutCause(ctx, StartTimeout, fmt.Errorf("it did not say within %s that it is an engine", StartTimeout))
	defer cancel()
	if err := p.connect(ctx); err != nil {
		return nil, p.startError(ctx, err)
	}
	go p.watch()
	return p, nil
}

func newProcess(path string, c Command) *Process {
	cmd := exec.Command(path, c.Args...)
	cmd.Dir = c.Dir
	logger := c.Logger
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	p := &Process{path: path, runner: newChild(cmd), tail: &tail{}, done: make(chan struct{})}
	p.life, p.end = context.WithCancelCause(context.Background())
	p.stop, p.asked = context.WithCancel(context.Background())
	p.client = goplugin.NewClient(&goplugin.ClientConfig{
		HandshakeConfig:  handshake,
		Plugins:          goplugin.PluginSet{pluginName: &wire{}},
		AllowedProtocols: []goplugin.Protocol{goplugin.ProtocolGRPC},
		AutoMTLS:         true,
		SkipHostEnv:      true,
		StartTimeout:     StartTimeout,
		GRPCDialOptions:  []grpc.DialOption{grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxAnswer))},
		Logger:           bridge(logger),
		Stderr:           p.tail,
		SyncStdout:       &tail{each: func(line string) { logger.Info(line, "stream", "stdout") }},
		SyncStderr:       &tail{each: func(line string) { _, _ = p.tail.Write([]byte(line + "\n")); logger.Info(line, "stream", "stderr") }},
		RunnerFunc: func(_ hclog.Logger, spec *exec.Cmd, sockets string) (runner.Runner, error) {
			p.sockets = sockets
			cmd.Env = append(environment(c.Env), spec.Env...)
			return p.runner, nil
		},
	})
	return p
}

// environment takes the allowed variables from the host's.
func environment(allowed []string) []string {
	var env []string
	for _, name := range append(append([]string(nil), baseEnv...), allowed...) {
		if strings.Contains(name, "=") {
			env = append(env, name)
		} else if value, set := os.LookupEnv(name); set {
			env = append(env, name+"="+value)
		}
	}
	return env
}

// connect starts the process and speaks to it. When ctx ends, the process is killed, which ends whatever is waited for.
func (p *Process) connect(ctx context.Context) error {
	defer context.AfterFunc(ctx, func() { _ = p.runner.Kill(ctx) })()
	protocol, err := p.client.Client()
	if err != nil {
		return err
	}
	raw, err := protocol.Dispense(pluginName)
	if err != nil {
		return err
	}
	if err := protocol.Ping(); err != nil {
		return fmt.Errorf("it announced itself but does not answer: %w", err)
	}
	inner, ok := raw.(engine.Engine)
	if !ok {
		return errors.New("go-plugin gave no engine")
	}
	if g, ok := protocol.(*goplugin.GRPCClient); ok {
		p.health = grpc_health_v1.NewHealthClient(g.Conn)
	}
	p.engine = &mortal{life: p.life, inner: inner, lost: func() { _ = p.runner.Kill(context.Background()) }}
	return ctx.Err()
}

// startError ends what was started and says why it is no engine.
func (p *Process) startError(ctx context.Context, err error) error {
	_ = p.runner.Kill(ctx)
	p.client.Kill()             // waits until all output has been read
	_ = os.RemoveAll(p.sockets) // go-plugin leaves it when there was no process
	p.end(err)
	p.asked()
	failed := &engine.StartError{Path: p.path, What: "it is not an engine of Tandem: " + err.Error(), State: p.runner.how(), Stderr: p.tail.last(), Err: err}
	line := strings.TrimSpace(p.runner.hello.String())
	version, speaks := spokenVersion(line)
	switch {
	case ctx.Err() != nil:
		failed.Err = context.Cause(ctx)
		failed.What = failed.Err.Error()
	case speaks && version != strconv.Itoa(engine.ContractVersion):
		failed.Err = &engine.VersionError{Engine: version, Host: engine.ContractVersion}
		failed.What = failed.Err.Error()
	case speaks:
		failed.What = err.Error()
	case p.runner.ID() == "":
		failed.What = "it cannot be run: " + err.Error()
	case line == "":
		failed.What = "it ended without saying that it is an engine of Tandem"
	default:
		failed.What = fmt.Sprintf("it is not an engine of Tandem: it printed %q", line)
	}
	return failed
}

// spokenVersion reads the contract's version from a go-plugin handshake line.
func spokenVersion(line string) (string, bool) {
	parts := strings.Split(line, "|")
	if len(parts) < 4 || parts[0] != strconv.Itoa(goplugin.CoreProtocolVersion) {
		return "", false
	}
	return parts[1], true
}

// watch waits for the process's end, tells the calls, and cleans up.
func (p *Process) watch() {
	<-p.runner.exited
	select { // go-plugin still reads the last lines
	case <-p.runner.ended:
	case <-time.After(2 * drainLimit):
	}
	p.end(&engine.DiedError{Path: p.path, PID: p.PID(), Stopped: p.stop.Err() != nil, State: p.runner.how(), Stderr: p.tail.last()})
	p.asked()
	p.client.Kill()
	close(p.done)
}

// Engine gives the engine. Each of its calls ends with the process, in an ErrEngineDied.
func (p *Process) Engine() engine.Engine { return p.engine }

// Ping asks the process whether it answers at all, by the health service that go-plugin makes every plugin serve. It touches nothing of the engine: one
// that is busy answers, a process that is frozen does not.
func (p *Process) Ping(ctx context.Context) error {
	if p.health == nil {
		return nil
	}
	if _, err := p.health.Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: goplugin.GRPCServiceName}); err != nil {
		return fmt.Errorf("asking engine %s (process %d) whether it lives: %w", p.path, p.PID(), err)
	}
	return nil
}

// PID gives the process id.
func (p *Process) PID() int { return p.runner.cmd.Process.Pid }

// Done is closed when the process has ended and nothing of it is left.
func (p *Process) Done() <-chan struct{} { return p.done }

// Err gives a *DiedError when the process has ended, and nil while it lives.
func (p *Process) Err() error {
	if p.life.Err() == nil {
		return nil
	}
	return context.Cause(p.life)
}

// Stop asks the process to end and waits for it. After StopGrace, or when ctx ends, the process is killed; Stop still waits
// until it is gone. An ended process is no error.
func (p *Process) Stop(ctx context.Context) error {
	p.asked()
	p.runner.endSession()
	grace := time.NewTimer(StopGrace)
	defer grace.Stop()
	select {
	case <-p.done:
		return nil
	case <-ctx.Done():
	case <-grace.C:
	}
	if err := p.runner.Kill(ctx); err != nil {
		return fmt.Errorf("stopping engine %s (process %d): %w", p.path, p.PID(), err)
	}
	<-p.done
	return nil
}
