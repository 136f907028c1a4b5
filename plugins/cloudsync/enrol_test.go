package cloudsync_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tandem-sync/tandem/plugins/cloudsync"
	"github.com/tandem-sync/tandem/plugins/cloudsync/agent"
	"github.com/tandem-sync/tandem/plugins/cloudsync/line"
	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/plugins/engine"
)

const noEmbedded = `{"agents":{"listen":"127.0.0.1:0","grace":"0s"}}`

func (w *world) connection() directory.Connection {
	d := w.config.Directories[0]
	return directory.Connection{Name: d.Name, URLs: d.URLs, Base: d.Base, User: d.User, Password: d.Password, CA: d.CA}
}

func (w *world) invite() cloudsync.Invitation {
	w.t.Helper()
	return answer[cloudsync.Invitation](w, "invite", cloudsync.InviteArgs{})
}

func (w *world) enrol() agent.Identity {
	w.t.Helper()
	i := w.invite()
	id, err := agent.Enroll(w.t.Context(), i.Listen, i.Token, w.connection())
	check(w.t, err)
	return id
}

// attend runs an agent until the test ends, or until the function it returns is called.
func (w *world) attend(id agent.Identity) (stop func() error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- agent.Run(ctx, id, agent.Options{}) }()
	ended := false
	stop = func() error {
		if ended {
			return nil
		}
		ended = true
		cancel()
		return <-done
	}
	w.t.Cleanup(func() { stop() })
	return stop
}

func (w *world) waitAgents(n int) {
	w.t.Helper()
	w.waitHealth(func(h engine.Health) bool { return h.Agents == n })
}

func TestTokenWorksOnceAndOnlyInTime(t *testing.T) {
	var now atomic.Int64
	now.Store(time.Now().Unix())
	w := newWorld(t, 1, cloudsync.Options{Now: func() time.Time { return time.Unix(now.Load(), 0) }}, noEmbedded)
	i := w.invite()
	c := w.connection()
	if _, err := agent.Enroll(t.Context(), i.Listen, i.Token, c); err != nil {
		t.Fatal(err)
	}
	if _, err := agent.Enroll(t.Context(), i.Listen, i.Token, c); !errors.Is(err, agent.ErrInvitation) || !strings.Contains(err.Error(), "used before") {
		t.Errorf("used token: %v", err)
	}
	token, err := line.ParseToken(i.Token)
	check(t, err)
	token.Secret[0]++
	if _, err := agent.Enroll(t.Context(), i.Listen, token.String(), c); !errors.Is(err, agent.ErrInvitation) || !strings.Contains(err.Error(), "wrong") {
		t.Errorf("wrong token: %v", err)
	}
	late := answer[cloudsync.Invitation](w, "invite", cloudsync.InviteArgs{TTL: "10m"})
	now.Add(601)
	if _, err := agent.Enroll(t.Context(), i.Listen, late.Token, c); !errors.Is(err, agent.ErrInvitation) || !strings.Contains(err.Error(), "expired") {
		t.Errorf("expired token: %v", err)
	}
	elsewhere := c
	elsewhere.Base = "DC=fabrikam,DC=test"
	if _, err := agent.Enroll(t.Context(), i.Listen, w.invite().Token, elsewhere); !errors.Is(err, agent.ErrInvitation) || !strings.Contains(err.Error(), "fabrikam") {
		t.Errorf("another domain: %v", err)
	}
	stored := string(read(t, w.config.DataDir, "agents.json"))
	if strings.Contains(stored, string(token.Secret[:])) || strings.Contains(stored, i.Token) {
		t.Error("a token's secret is on disk")
	}
}

func TestAgentTalksOnlyToThePinnedService(t *testing.T) {
	w := newWorld(t, 1, cloudsync.Options{}, noEmbedded)
	other := newWorld(t, 1, cloudsync.Options{}, noEmbedded)
	i := w.invite()
	if _, err := agent.Enroll(t.Context(), other.invite().Listen, i.Token, w.connection()); !errors.Is(err, line.ErrPin) {
		t.Errorf("enrolment at another service: %v", err)
	}
	id := w.enrol()
	id.Server = other.invite().Listen
	ctx, cancel := context.WithCancel(t.Context())
	if err := agent.Run(ctx, id, agent.Options{Down: func(err error) {
		if !errors.Is(err, line.ErrPin) {
			t.Errorf("run at another service: %v", err)
		}
		cancel() // it would go on: the fault may be the service's
	}}); err != nil {
		t.Errorf("run at another service ended with %v", err)
	}
}

func TestServiceKeepsItsPinAndAgentsOverARestart(t *testing.T) {
	w := newWorld(t, 1, cloudsync.Options{}, noEmbedded)
	id := w.enrol()
	check(t, w.engine.Close())
	w.start(cloudsync.Options{})
	id.Server = w.invite().Listen
	w.attend(id)
	w.waitAgents(1)
}

func TestRemovedAgentEndsAndCannotComeBack(t *testing.T) {
	w := newWorld(t, 1, cloudsync.Options{}, noEmbedded)
	id := w.enrol()
	done := make(chan error, 1)
	go func() { done <- agent.Run(context.Background(), id, agent.Options{}) }()
	w.waitAgents(1)
	agents := answer[[]cloudsync.AgentInfo](w, "agents", nil)
	if len(agents) != 1 || agents[0].ID != id.Agent || !agents[0].Live || agents[0].Directory != "contoso" || agents[0].Group != "default" || agents[0].Since.IsZero() {
		t.Fatalf("agents: %+v", agents)
	}
	if _, err := w.call("remove", cloudsync.RemoveArgs{ID: id.Agent}); err != nil {
		t.Fatal(err)
	}
	if err := <-done; !errors.Is(err, agent.ErrRemoved) {
		t.Errorf("the running agent: %v", err)
	}
	if err := agent.Run(t.Context(), id, agent.Options{}); !errors.Is(err, agent.ErrRemoved) {
		t.Errorf("the same agent again: %v", err)
	}
	dir := t.TempDir()
	check(t, agent.Save(dir, id))
	p := w.startProcess(dir)
	if err := p.cmd.Wait(); p.cmd.ProcessState.ExitCode() != 5 || !strings.Contains(p.err.String(), "removed") {
		t.Errorf("its process: %v\n%s", err, p.err)
	}
	if _, err := w.call("remove", cloudsync.RemoveArgs{ID: "agent-none"}); err == nil {
		t.Error("an unknown agent was removed")
	}
}

func TestFolderKeepsTheIdentityForItsOwnerAlone(t *testing.T) {
	w := newWorld(t, 1, cloudsync.Options{}, noEmbedded)
	id, dir := w.enrol(), filepath.Join(t.TempDir(), "agent")
	if _, err := agent.Load(dir); !errors.Is(err, agent.ErrNotEnrolled) {
		t.Fatalf("empty folder: %v", err)
	}
	check(t, agent.Save(dir, id))
	got, err := agent.Load(dir)
	check(t, err)
	if got.Agent != id.Agent || got.Pin != id.Pin || got.Connection.Password != password || string(got.Connection.CA) != string(id.Connection.CA) {
		t.Fatalf("got %+v", got.Agent)
	}
	if err := agent.Vacant(dir, false); !errors.Is(err, agent.ErrEnrolled) {
		t.Errorf("second enrolment: %v", err)
	}
	check(t, agent.Vacant(dir, true))
	for _, folder := range []string{dir, w.config.DataDir} {
		check(t, filepath.WalkDir(folder, func(path string, d os.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			info, err := d.Info()
			if err == nil && info.Mode().Perm()&0o077 != 0 {
				t.Errorf("%s is readable by others: %s", path, info.Mode())
			}
			return err
		}))
	}
	w.attend(got)
	w.waitAgents(1)
}

func TestRunWithoutAgentsIsRefusedWithWhatToDo(t *testing.T) {
	w := newWorld(t, 1, cloudsync.Options{}, noEmbedded)
	all := w.everything()
	w.grant(all)
	o := w.run(w.full(all))
	var none *cloudsync.NoAgentError
	if !errors.As(o.err, &none) || !none.Unenrolled || !strings.Contains(o.err.Error(), "tandem agent invite") || !strings.Contains(o.err.Error(), "tandem-agent enroll") || o.report().Complete || len(o.proposals) > 0 {
		t.Fatalf("%v %+v", o.err, o.reports)
	}
	h := w.waitHealth(func(h engine.Health) bool { return !h.OK })
	if h.Agents != 0 || !strings.Contains(h.Message, "no live agent") {
		t.Fatalf("health: %+v", h)
	}
	stop := w.attend(w.enrol())
	w.waitHealth(func(h engine.Health) bool { return h.OK && h.Agents == 1 })
	mustComplete(t, w.run(w.full(all)))
	check(t, stop())
	w.waitHealth(func(h engine.Health) bool { return !h.OK && h.Agents == 0 })
}

func TestEveryMistakeOfAConfigurationIsReported(t *testing.T) {
	w := newWorld(t, 1, cloudsync.Options{}, embedded)
	c := w.config
	c.Settings = []byte(`{"agents":{"listen":"nowhere","minimum":0,"embeded":1},"speed":9,"directories":{"x":{"group":"g"}},
		"mappings":{"users":[{"target":"nickname","type":"direct","source":["a"]},{"target":"jobTitle","type":"expression","function":"Magic","source":["a"]}],"pets":[]}}`)
	c.Features = append(c.Features, "devices")
	var e *engine.ConfigError
	if err := w.engine.Configure(t.Context(), c); !errors.As(err, &e) {
		t.Fatalf("accepted: %v", err)
	}
	all := strings.Join(e.Problems, "\n")
	for _, want := range []string{"agents.listen", "agents.minimum", "agents.embeded", "settings.speed", "directories.x", "nickname", "Magic", "pets", "devices"} {
		if !strings.Contains(all, want) {
			t.Errorf("%s is not among:\n%s", want, all)
		}
	}
	mustComplete(t, w.run(w.full(w.everything()))) // the earlier one is still in force
}

func TestTraceShowsEachStepAndProposesNothing(t *testing.T) {
	w := newWorld(t, 2, cloudsync.Options{}, embedded)
	all := w.everything()
	w.grant(all)
	mustComplete(t, w.run(w.full(all)))
	for _, ref := range []string{w.dn("CN=sales1,OU=Sales"), w.id("CN=sales1,OU=Sales").String()} {
		lines, err := w.call("trace", cloudsync.TraceArgs{Object: ref})
		check(t, err)
		var steps []string
		for _, l := range lines {
			var s cloudsync.Step
			check(t, json.Unmarshal(l, &s))
			if len(steps) == 0 || steps[len(steps)-1] != s.Step {
				steps = append(steps, s.Step)
			}
		}
		if got := strings.Join(steps, " "); got != "agent import scope exclusion mapping references proposal" {
			t.Errorf("%s: %s", ref, got)
		}
	}
	if o := w.run(w.delta(all)); len(o.proposals) != 0 {
		t.Errorf("after a trace: %v", wants(o.proposals))
	}
}

func TestEmbeddedAgentThatCannotSignInSaysWhy(t *testing.T) {
	w := newWorld(t, 1, cloudsync.Options{}, embedded)
	w.config.Directories[0].Password = "wrong"
	check(t, w.engine.Configure(t.Context(), w.config))
	o := w.run(w.full(w.everything()))
	if o.err == nil || !strings.Contains(o.err.Error(), "sign-in") {
		t.Errorf("run: %v", o.err)
	}
	w.waitHealth(func(h engine.Health) bool { return !h.OK && strings.Contains(h.Message, "sign-in") })
}
