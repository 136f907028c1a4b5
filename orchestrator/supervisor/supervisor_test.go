//go:build linux

package supervisor_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/supervisor"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/plugins/engine/plugin"
	"github.com/tandem-sync/tandem/scoping"
)

// The test binary plays other parts when this variable names one.
const part = "TANDEM_TEST_PART"

func TestMain(m *testing.M) {
	switch os.Getenv(part) {
	case "":
		os.Exit(m.Run())
	case "engine":
		plugin.Serve(&proposer{count: 1000})
	case "host":
		host()
	}
}

// host supervises an engine, prints the engine's process id once it is ready, and waits to be killed.
func host() {
	s := supervisor.New(supervisor.Options{Name: "test", Start: self()})
	if err := s.Open(context.Background()); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(s.Status().PID)
	select {}
}

func self() supervisor.Starter {
	path, err := os.Executable()
	if err != nil {
		panic(err)
	}
	return supervisor.Command(plugin.Command{Path: path, Env: []string{part + "=engine"}})
}

// proposer proposes count objects in batches of ten.
type proposer struct {
	engine.Unimplemented
	engine.GrantBook
	count  int
	refuse string
	can    []scoping.Feature
	health chan engine.Health
	config engine.Config
}

func (p *proposer) Describe(context.Context) (engine.Description, error) {
	return engine.Description{Kind: "proposer", Contract: engine.ContractVersion, Features: p.can}, nil
}

func (p *proposer) Configure(_ context.Context, c engine.Config) error {
	if p.refuse != "" && string(c.Settings) == p.refuse {
		return &engine.ConfigError{Problems: []string{"one", "two"}}
	}
	p.config = c
	return nil
}

func (p *proposer) Run(ctx context.Context, r engine.RunRequest, in <-chan []engine.Decision, out chan<- engine.RunEvent) error {
	say := func(e engine.RunEvent) error {
		select {
		case out <- e:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	for n := 0; n < p.count; n += 10 {
		var batch []engine.Proposal
		for i := n; i < n+10; i++ {
			batch = append(batch, engine.Proposal{Seq: uint64(i + 1), Want: engine.Present, Object: scoping.ObjectID{Directory: "d", GUID: scoping.GUID{1, byte(i), byte(i >> 8)}}})
		}
		if err := errors.Join(say(engine.RunEvent{Proposals: batch}), say(engine.RunEvent{Progress: &engine.Progress{Phase: "sync", Done: n}})); err != nil {
			return err
		}
	}
	if err := say(engine.RunEvent{Report: &engine.RunReport{Complete: true, Read: p.count}}); err != nil {
		return err
	}
	decided := 0
	for batch := range in {
		decided += len(batch)
	}
	if ctx.Err() == nil && decided != p.count {
		return fmt.Errorf("%d decisions for %d proposals", decided, p.count)
	}
	return ctx.Err()
}

func (p *proposer) Health(ctx context.Context, out chan<- engine.Health) error {
	for {
		select {
		case h := <-p.health:
			out <- h
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func apply(batch []engine.Proposal) ([]engine.Decision, error) {
	var decisions []engine.Decision
	for _, p := range batch {
		decisions = append(decisions, engine.Decision{Seq: p.Seq, Outcome: engine.Applied})
	}
	return decisions, nil
}

func open(t *testing.T, o supervisor.Options) *supervisor.Supervisor {
	t.Helper()
	s := supervisor.New(o)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := s.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestAnEngineKilledInARunIsReplacedForTheNext(t *testing.T) {
	s := open(t, supervisor.Options{Name: "test", Start: self(), PauseMin: 10 * time.Millisecond})
	before := s.Status()
	seen := 0
	_, err := s.Run(t.Context(), engine.RunRequest{Run: 1}, engine.Conversation{Decide: func(batch []engine.Proposal) ([]engine.Decision, error) {
		if seen += len(batch); seen == 500 {
			if err := syscall.Kill(before.PID, syscall.SIGKILL); err != nil {
				return nil, err
			}
		}
		return apply(batch)
	}})
	if !errors.Is(err, engine.ErrEngineDied) {
		t.Fatalf("the run ended with %v", err)
	}
	progress := 0
	reports, err := s.Run(t.Context(), engine.RunRequest{Run: 2}, engine.Conversation{Decide: apply, Progress: func(engine.Progress) { progress++ }})
	if err != nil || len(reports) != 1 || !reports[0].Complete || progress != 100 {
		t.Errorf("%+v %v, progress %d times", reports, err, progress)
	}
	after := s.Status()
	if after.PID == before.PID || after.Session != before.Session+1 || after.Failures != 1 {
		t.Errorf("before %+v, after %+v", before, after)
	}
}

func TestAKilledHostLeavesNoEngine(t *testing.T) {
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path)
	cmd.Env = append(os.Environ(), part+"=host")
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
	if err := errors.Join(syscall.Kill(pid, 0), cmd.Process.Kill()); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	deadline, tick := time.NewTimer(2*time.Second), time.NewTicker(10*time.Millisecond)
	defer deadline.Stop()
	defer tick.Stop()
	for alive(pid) {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("engine %d outlives its host", pid)
		}
	}
}

func alive(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, rest, _ := strings.Cut(string(b), ") ")
	return err == nil && !strings.HasPrefix(rest, "Z")
}

func TestClosingEndsTheProcess(t *testing.T) {
	s := open(t, supervisor.Options{Name: "test", Start: self()})
	pid := s.Status().PID
	if err := s.Close(); err != nil || alive(pid) || s.Status().State != supervisor.Closed {
		t.Errorf("%v, alive %v, %+v", err, alive(pid), s.Status())
	}
	if _, err := s.Run(t.Context(), engine.RunRequest{}, engine.Conversation{Decide: apply}); !errors.Is(err, supervisor.ErrNotRunning) {
		t.Errorf("a closed engine ran: %v", err)
	}
	if err := s.Open(t.Context()); err != nil || s.Status().PID == pid {
		t.Errorf("opening again: %v", err)
	}
}

// locals starts engines in this process and keeps them.
type locals struct {
	mu   sync.Mutex
	made []*supervisor.Local
	fail error
	impl func() engine.Engine
}

func (l *locals) start(context.Context) (supervisor.Instance, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fail != nil {
		return nil, l.fail
	}
	local := supervisor.NewLocal(l.impl())
	l.made = append(l.made, local)
	return local, nil
}

func (l *locals) last() *supervisor.Local {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.made[len(l.made)-1]
}

func TestPausesGrowBetweenTheirBoundsAndCallersAreToldOfHopelessness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &locals{fail: errors.New("no such file"), impl: func() engine.Engine { return &proposer{count: 10} }}
		var pauses []time.Duration
		s := supervisor.New(supervisor.Options{Name: "test", Start: l.start, PauseMin: time.Second, PauseMax: 5 * time.Second,
			OnChange: func(st supervisor.Status) {
				if st.State == supervisor.Pausing {
					pauses = append(pauses, time.Until(st.Next))
				}
			}})
		if err := s.Open(t.Context()); err == nil || !strings.Contains(err.Error(), "no such file") {
			t.Errorf("Open: %v", err)
		}
		if _, err := s.Run(t.Context(), engine.RunRequest{}, engine.Conversation{Decide: apply}); !errors.Is(err, supervisor.ErrNotRunning) || !strings.Contains(err.Error(), "no such file") {
			t.Errorf("Run: %v", err)
		}
		<-time.After(20 * time.Second)
		synctest.Wait()
		l.mu.Lock()
		l.fail = nil
		l.mu.Unlock()
		<-time.After(6 * time.Second)
		if _, err := s.Run(t.Context(), engine.RunRequest{}, engine.Conversation{Decide: apply}); err != nil {
			t.Errorf("Run: %v", err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		want := []time.Duration{1, 2, 4, 5, 5, 5}
		for i, p := range pauses {
			if i < len(want) && p != want[i]*time.Second {
				t.Errorf("pause %d is %s", i, p)
			}
		}
		if len(pauses) < len(want) {
			t.Errorf("only %d pauses", len(pauses))
		}
	})
}

func TestARefusedConfigurationWaitsForAnother(t *testing.T) {
	l := &locals{impl: func() engine.Engine { return &proposer{count: 10, refuse: "bad"} }}
	s := supervisor.New(supervisor.Options{Name: "test", Start: l.start, Config: engine.Config{Settings: []byte("bad")}})
	defer s.Close()
	var refused *engine.ConfigError
	if err := s.Open(t.Context()); !errors.As(err, &refused) || s.Status().State != supervisor.Refusing {
		t.Fatalf("%v %+v", err, s.Status())
	}
	if _, _, err := s.Engine(t.Context()); !errors.Is(err, supervisor.ErrNotRunning) || !errors.As(err, &refused) {
		t.Error(err)
	}
	if err := s.Configure(t.Context(), engine.Config{Settings: []byte("good")}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Run(t.Context(), engine.RunRequest{}, engine.Conversation{Decide: apply}); err != nil {
		t.Error(err)
	}
	if err := s.Configure(t.Context(), engine.Config{Settings: []byte("bad")}); !errors.As(err, &refused) || s.Status().State != supervisor.Ready {
		t.Errorf("%v %+v", err, s.Status())
	}
	l.last().Kill()
	if _, err := s.Run(t.Context(), engine.RunRequest{}, engine.Conversation{Decide: apply}); err != nil {
		t.Errorf("the refused configuration was kept: %v", err)
	}
}

// Whatever an engine says of itself, it gets no account that it may not have; and none of what it may that it has no feature for.
func TestAnEngineGetsOnlyTheAccountsThatItMayHaveAndUses(t *testing.T) {
	whole := engine.Config{Directories: []engine.Directory{{Name: "contoso", Accounts: map[scoping.Purpose]engine.Account{
		scoping.Replicate: {User: "hash"}, scoping.Reset: {User: "reset"}, scoping.Provision: {User: "prov"}}}}}
	every := []scoping.Feature{scoping.Users, scoping.PasswordHash, scoping.PasswordWriteback, scoping.UserProvisioning}
	for name, c := range map[string]struct {
		can  []scoping.Feature
		may  []scoping.Purpose
		want []scoping.Purpose
	}{
		"one that claims every feature and may have none": {every, nil, nil},
		"one that may have one":                           {every, []scoping.Purpose{scoping.Replicate}, []scoping.Purpose{scoping.Replicate}},
		"one that may have all and uses one":              {[]scoping.Feature{scoping.PasswordWriteback}, scoping.Purposes(), []scoping.Purpose{scoping.Reset}},
	} {
		p := &proposer{count: 10, can: c.can}
		l := &locals{impl: func() engine.Engine { return p }}
		s := open(t, supervisor.Options{Name: "test", Start: l.start, Config: whole, Accounts: c.may})
		for _, when := range []string{"when it is started", "when it is configured anew"} {
			got := slices.Sorted(maps.Keys(p.config.Directories[0].Accounts))
			if !slices.Equal(got, c.want) {
				t.Errorf("%s, %s: %v, want %v", name, when, got, c.want)
			}
			if err := s.Configure(t.Context(), whole); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestGrantsAreAcknowledgedInEachSessionAnew(t *testing.T) {
	l := &locals{impl: func() engine.Engine { return &proposer{count: 10} }}
	s := open(t, supervisor.Options{Name: "test", Start: l.start, PauseMin: time.Millisecond})
	s.SetGrants([]engine.Grant{{ID: 1, Epoch: scoping.Epoch{N: 1}, Mode: engine.ModeOwn}, {ID: 2, Epoch: scoping.Epoch{N: 1}}})
	if err := s.AwaitGrants(t.Context()); err != nil || len(s.Acks()) != 2 {
		t.Fatalf("%v %v", err, s.Acks())
	}
	s.SetGrants([]engine.Grant{{ID: 2, Epoch: scoping.Epoch{N: 2}}})
	if err := s.AwaitGrants(t.Context()); err != nil || s.Acks()[2].Epoch.N != 2 {
		t.Fatalf("%v %v", err, s.Acks())
	}
	first := s.Status().Session
	l.last().Kill()
	if _, session, err := s.Engine(t.Context()); err != nil || session < first {
		t.Fatal(err)
	}
	if err := s.AwaitGrants(t.Context()); err != nil || len(s.Acks()) != 1 {
		t.Errorf("%v %v", err, s.Acks())
	}
}

// unable cannot put grants in force.
type unable struct{ proposer }

func (*unable) Grants(ctx context.Context, in <-chan []engine.Grant, out chan<- engine.Ack) error {
	for grants := range in {
		for _, g := range grants {
			out <- engine.Ack{Grant: g.ID, Epoch: g.Epoch, Err: "the scheduler does not stop"}
		}
	}
	return ctx.Err()
}

func TestAGrantThatCannotBePutInForceIsAnError(t *testing.T) {
	l := &locals{impl: func() engine.Engine { return &unable{} }}
	s := open(t, supervisor.Options{Name: "test", Start: l.start})
	s.SetGrants([]engine.Grant{{ID: 1, Epoch: scoping.Epoch{N: 1}}})
	if err := s.AwaitGrants(t.Context()); err == nil || !strings.Contains(err.Error(), "the scheduler does not stop") {
		t.Error(err)
	}
}

func TestHealthIsNotedAndForgottenWithItsSession(t *testing.T) {
	health := make(chan engine.Health)
	changes := make(chan supervisor.Status, 1000)
	l := &locals{impl: func() engine.Engine { return &proposer{health: health} }}
	s := open(t, supervisor.Options{Name: "test", Start: l.start, PauseMin: time.Millisecond, OnChange: func(st supervisor.Status) { changes <- st }})
	health <- engine.Health{OK: true, Message: "well", Agents: 3}
	for st := range changes {
		if st.HealthKnown {
			if st.Health.Agents != 3 {
				t.Errorf("%+v", st.Health)
			}
			break
		}
	}
	l.last().Kill()
	for st := range changes {
		if st.Session == 2 && st.State == supervisor.Ready {
			if st.HealthKnown {
				t.Error("the dead session's health is kept")
			}
			break
		}
	}
	_ = s
}

func TestRunsFollowOneAnother(t *testing.T) {
	l := &locals{impl: func() engine.Engine { return &proposer{count: 10} }}
	s := open(t, supervisor.Options{Name: "test", Start: l.start})
	inside, leave, second := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	first := make(chan error, 1)
	go func() {
		_, err := s.Run(t.Context(), engine.RunRequest{Run: 1}, engine.Conversation{Decide: func(b []engine.Proposal) ([]engine.Decision, error) {
			close(inside)
			<-leave
			return apply(b)
		}})
		first <- err
	}()
	<-inside
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Run(ctx, engine.RunRequest{Run: 2}, engine.Conversation{Decide: apply}); !errors.Is(err, context.Canceled) {
		t.Errorf("a second run did not wait: %v", err)
	}
	go func() {
		_, err := s.Run(t.Context(), engine.RunRequest{Run: 3}, engine.Conversation{Decide: apply})
		second <- err
	}()
	close(leave)
	if err := errors.Join(<-first, <-second); err != nil {
		t.Error(err)
	}
}

func TestADecisionThatFailsEndsTheRun(t *testing.T) {
	l := &locals{impl: func() engine.Engine { return &proposer{count: 100} }}
	s := open(t, supervisor.Options{Name: "test", Start: l.start})
	full := errors.New("the disk is full")
	if _, err := s.Run(t.Context(), engine.RunRequest{}, engine.Conversation{Decide: func([]engine.Proposal) ([]engine.Decision, error) { return nil, full }}); !errors.Is(err, full) {
		t.Error(err)
	}
	if _, err := s.Run(t.Context(), engine.RunRequest{}, engine.Conversation{Decide: apply}); err != nil {
		t.Error(err)
	}
}

// Row A7 of the findings: an engine's process that is frozen was never noticed.
func TestAFrozenEngineIsNoticedKilledAndReplaced(t *testing.T) {
	s := open(t, supervisor.Options{Name: "test", Start: self(), PauseMin: 10 * time.Millisecond, PingEvery: 50 * time.Millisecond, PingLimit: 500 * time.Millisecond})
	before := s.Status()
	frozen := false
	_, err := s.Run(t.Context(), engine.RunRequest{Run: 1}, engine.Conversation{Decide: func(batch []engine.Proposal) ([]engine.Decision, error) {
		if !frozen {
			frozen = true
			if err := syscall.Kill(before.PID, syscall.SIGSTOP); err != nil {
				return nil, err
			}
		}
		return apply(batch)
	}})
	if !errors.Is(err, engine.ErrEngineDied) {
		t.Fatalf("the run of the frozen engine ended with %v", err)
	}
	if alive(before.PID) {
		t.Errorf("the frozen process %d is still there", before.PID)
	}
	reports, err := s.Run(t.Context(), engine.RunRequest{Run: 2}, engine.Conversation{Decide: apply})
	if err != nil || len(reports) != 1 || !reports[0].Complete {
		t.Errorf("the next run: %+v %v", reports, err)
	}
	after := s.Status()
	if after.PID == before.PID || after.Restarts != 1 || !errors.Is(after.LastErr, supervisor.ErrSilent) || after.LastEnd.IsZero() || after.Err != nil {
		t.Errorf("before %+v, after %+v", before, after)
	}
}

// staller answers everything, and says nothing more in its runs after a first batch.
type staller struct{ proposer }

func (s *staller) Run(ctx context.Context, _ engine.RunRequest, _ <-chan []engine.Decision, out chan<- engine.RunEvent) error {
	select {
	case out <- engine.RunEvent{Proposals: []engine.Proposal{{Seq: 1, Want: engine.Present}}}:
	case <-ctx.Done():
	}
	<-ctx.Done()
	return context.Cause(ctx)
}

func TestARunThatStandsStillEndsWithItsSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, supervisor.Options{Name: "test", Start: supervisor.InProcess(func() (engine.Engine, error) { return &staller{}, nil })})
		began := time.Now()
		_, err := s.Run(t.Context(), engine.RunRequest{Run: 1}, engine.Conversation{Decide: func(batch []engine.Proposal) ([]engine.Decision, error) {
			time.Sleep(20 * time.Minute) // the host takes its time: the engine is not to blame
			return apply(batch)
		}})
		if took := time.Since(began); err == nil || took < 20*time.Minute+supervisor.DefaultStallLimit || took > 20*time.Minute+2*supervisor.DefaultStallLimit {
			t.Errorf("the run ended after %s with %v", took, err)
		}
		synctest.Wait()
		time.Sleep(time.Second)
		if st := s.Status(); st.Restarts != 1 || !errors.Is(st.LastErr, supervisor.ErrStalled) || st.State != supervisor.Ready {
			t.Errorf("after it: %+v", st)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}
