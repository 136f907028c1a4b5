package cloudsync_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tandem-sync/tandem/plugins/cloudsync"
	"github.com/tandem-sync/tandem/plugins/cloudsync/agent"
	"github.com/tandem-sync/tandem/plugins/cloudsync/line"
	"github.com/tandem-sync/tandem/plugins/cloudsync/line/linepb"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// Patience where answers take no time, and where nothing was measured yet.
const (
	shortest = 2 * time.Second
	unknown  = 3 * time.Second
)

// scripted is an agent that answers as the test says. Its ending ends with the test.
func scripted(t *testing.T, id agent.Identity, hello *linepb.AttendRequest, answer func(r *linepb.Request, say func(*linepb.Part))) {
	t.Helper()
	conn, err := line.Dial(id.Server, line.ClientTLS(id.Pin, &id.Certificate))
	check(t, err)
	client := linepb.NewLineClient(conn)
	hello.Base = id.Connection.Base
	attend, err := client.Attend(context.Background(), hello)
	check(t, err)
	if _, err := attend.Header(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	t.Cleanup(func() { conn.Close(); <-ended })
	go func() {
		defer close(ended)
		for {
			r, err := attend.Recv()
			if err != nil {
				return
			}
			if r.GetCancel() != nil {
				continue
			}
			a, err := client.Answer(context.Background())
			if err != nil {
				return
			}
			answer(r, func(p *linepb.Part) { p.Request = r.Id; a.Send(p) })
			a.CloseAndRecv()
		}
	}()
}

func failure(code, message string) *linepb.Part {
	return &linepb.Part{Is: &linepb.Part_Failure{Failure: &linepb.Failure{Code: code, Message: message}}}
}

// while does something while a run goes on, and gives what the run came to.
func (w *world) while(r engine.RunRequest, do func(done <-chan struct{})) outcome {
	var o outcome
	done := make(chan struct{})
	go func() { defer close(done); o = w.run(r) }()
	do(done)
	<-done
	return o
}

// change sets a title and expects that the run proposes it.
func (w *world) titled(o outcome, title string) {
	w.t.Helper()
	mustComplete(w.t, o)
	if p := o.of(w.id("CN=sales1,OU=Sales"), scoping.Users); p == nil || p.Desired["jobTitle"].Text[0] != title {
		w.t.Fatalf("title %s was not proposed: %v", title, wants(o.proposals))
	}
}

// info is what the engine tells of one agent.
func (w *world) info(id string) cloudsync.AgentInfo {
	w.t.Helper()
	all := answer[[]cloudsync.AgentInfo](w, "agents", nil)
	i := slices.IndexFunc(all, func(a cloudsync.AgentInfo) bool { return a.ID == id })
	if i < 0 {
		w.t.Fatalf("agent %s is not told of: %+v", id, all)
	}
	return all[i]
}

// TestChangesArriveWhileOneControllerHangsAndOneLineIsFrozen has three agents: the directory of the first accepts and answers
// nothing, the line of the second is cut, the third is well. Each change arrives in the run that follows it.
func TestChangesArriveWhileOneControllerHangsAndOneLineIsFrozen(t *testing.T) {
	c := newHandClock(t)
	w := newWorld(t, 3, c.options(), noEmbedded)
	all := w.everything()
	w.grant(all)

	wire := newCable(t, strings.TrimPrefix(w.config.Directories[0].URLs[0], "ldaps://"))
	hanging := w.enrol()
	hanging.Connection.URLs = []string{"ldaps://" + wire.address()}
	w.attend(hanging)
	w.waitAgents(1)
	mustComplete(t, w.run(w.full(all))) // it is the one that has answered
	mustComplete(t, w.run(w.delta(all)))
	frozen := w.enrol()
	cord := newCable(t, frozen.Server)
	frozen.Server = cord.address()
	w.attend(frozen)
	w.waitAgents(2)
	well := w.enrol()
	w.attend(well)
	w.waitAgents(3)

	wire.cut()
	cord.cut()
	w.set("CN=sales1,OU=Sales", "title", "One")
	w.titled(w.while(w.delta(all), func(done <-chan struct{}) {
		// The hanging one is asked first; another beside it; if that was the frozen one, the third too.
		for c.fire(shortest, done) {
		}
	}), "One")
	w.waitHealth(func(h engine.Health) bool {
		return strings.Contains(h.Details["agent."+hanging.Agent], "did not answer within")
	})
	if a := w.info(hanging.Agent); a.State != "failing" || a.Trouble == "" {
		t.Errorf("the hanging one: %+v", a)
	}
	if a := w.info(well.Agent); a.State != "good" || a.Answered.IsZero() {
		t.Errorf("the one that is well: %+v", a)
	}
	w.set("CN=sales1,OU=Sales", "title", "Two")
	w.titled(w.run(w.delta(all)), "Two") // time stands still: nobody else was asked first
	w.waitHealth(func(h engine.Health) bool {
		return h.OK && h.Agents == 2 && strings.Contains(h.Message, hanging.Agent) && strings.Contains(h.Message, frozen.Agent+" on")
	})
}

func TestAgentThatIsWellAgainIsFoundByProbes(t *testing.T) {
	c := newHandClock(t)
	w := newWorld(t, 1, c.options(), noEmbedded)
	ill := make(chan string, 1)
	ill <- "the controller is on holiday"
	inv, root := w.model.InvocationID(), w.guid(w.model.Base())
	id := w.enrol()
	scripted(t, id, &linepb.AttendRequest{Invocation: inv[:], Trouble: "the controller is on holiday"}, func(r *linepb.Request, say func(*linepb.Part)) {
		if len(ill) > 0 {
			say(failure(line.CodeDirectory, "still on holiday"))
			return
		}
		say(&linepb.Part{Is: &linepb.Part_Start{Start: &linepb.Start{Invocation: inv[:], Usn: 1, Root: root[:], Controller: "ldaps://dc1"}}})
		say(&linepb.Part{Is: &linepb.Part_End{End: &linepb.End{}}})
	})
	h := w.waitHealth(func(h engine.Health) bool { return h.Agents == 1 })
	if h.OK || !strings.Contains(h.Message, "on holiday") || !strings.Contains(h.Message, id.Agent) {
		t.Errorf("an agent that cannot read its directory: %+v", h)
	}
	c.fire(10*time.Second, nil)
	w.waitHealth(func(h engine.Health) bool { return strings.Contains(h.Message, "still on holiday") })
	<-ill
	c.fire(20*time.Second, nil)
	w.waitHealth(func(h engine.Health) bool { return h.OK && h.Message == "ready" })
	if a := w.info(id.Agent); a.State != "good" || a.Controller != "ldaps://dc1" {
		t.Errorf("%+v", a)
	}
}

func TestPatienceFollowsWhatAnswersTake(t *testing.T) {
	c := newHandClock(t)
	w := newWorld(t, 1, c.options(), noEmbedded)
	inv, root := w.model.InvocationID(), w.guid(w.model.Base())
	takes := make(chan time.Duration, 10)
	scripted(t, w.enrol(), &linepb.AttendRequest{Invocation: inv[:]}, func(r *linepb.Request, say func(*linepb.Part)) {
		select {
		case d := <-takes:
			c.pass(d)
		case <-t.Context().Done():
		}
		say(&linepb.Part{Is: &linepb.Part_Start{Start: &linepb.Start{Invocation: inv[:], Usn: 1, Root: root[:]}}})
		say(&linepb.Part{Is: &linepb.Part_End{End: &linepb.End{}}})
	})
	w.waitAgents(1)
	ping := engine.RunRequest{Profile: engine.ProfileObjects, Scopes: []scoping.Scope{w.everything()}}
	for _, step := range []struct{ before, takes time.Duration }{
		{unknown, 2 * time.Second},                  // nothing is known
		{6 * time.Second, 2 * time.Second},          // 2 s ± 1 s, as RFC 6298 begins
		{2*time.Second + 4*750*time.Millisecond, 0}, // the deviation shrinks …
	} {
		o := w.while(ping, func(done <-chan struct{}) {
			c.wait(step.before, done)
			takes <- step.takes
		})
		if o.err != nil {
			t.Fatal(o.err)
		}
	}
}

// TestHealthyAgentOfAnotherControllerServes has a broken agent that is asked after a healthy one, which reads another controller than
// the watermark is of: everything is read anew through the healthy one.
func TestHealthyAgentOfAnotherControllerServes(t *testing.T) {
	w := newWorld(t, 3, cloudsync.Options{}, noEmbedded)
	all := w.everything()
	w.grant(all)
	ids := []agent.Identity{w.enrol(), w.enrol(), w.enrol()}
	slices.SortFunc(ids, func(a, b agent.Identity) int { return strings.Compare(a.Agent, b.Agent) })
	before := w.model.InvocationID()
	w.attend(ids[1])
	w.waitAgents(1)
	first := w.run(w.full(all))
	mustComplete(t, first)
	w.model.NewInvocation()
	w.server.DropConnections()
	other := scoping.GUID{7}
	for _, id := range []agent.Identity{ids[0], ids[2]} {
		scripted(t, id, &linepb.AttendRequest{Invocation: other[:]}, func(_ *linepb.Request, say func(*linepb.Part)) {
			say(failure(line.CodeDirectory, "this controller is broken"))
		})
	}
	w.waitAgents(3)
	o := w.run(w.delta(all))
	mustComplete(t, o)
	if r := o.report(); r.DC == before || r.DC != w.model.InvocationID() || len(o.proposals) != len(first.proposals) {
		t.Fatalf("%d of %d proposals, %+v", len(o.proposals), len(first.proposals), r)
	}
}

// TestControllerThatHangsIsLeftForAnother has the agent of the watermark's controller hang, and a healthy one at another controller.
func TestControllerThatHangsIsLeftForAnother(t *testing.T) {
	c := newHandClock(t)
	w := newWorld(t, 3, c.options(), noEmbedded)
	all := w.everything()
	w.grant(all)
	before := w.model.InvocationID()
	stop := w.attend(w.enrol())
	w.waitAgents(1)
	first := w.run(w.full(all))
	mustComplete(t, first)
	check(t, stop())
	w.waitAgents(0)
	ended := make(chan struct{})
	hanging := w.enrol()
	scripted(t, hanging, &linepb.AttendRequest{Invocation: before[:]}, func(*linepb.Request, func(*linepb.Part)) {
		<-ended
	})
	t.Cleanup(func() { close(ended) })
	w.model.NewInvocation()
	w.attend(w.enrol())
	w.waitAgents(2)
	o := w.while(w.delta(all), func(done <-chan struct{}) {
		for c.fire(shortest, done) {
		}
	})
	mustComplete(t, o)
	if r := o.report(); r.DC != w.model.InvocationID() || len(o.proposals) != len(first.proposals) {
		t.Fatalf("%d of %d proposals, %+v", len(o.proposals), len(first.proposals), r)
	}
	if a := w.info(hanging.Agent); a.State != "failing" {
		t.Errorf("the one that hangs: %+v", a)
	}
}

func TestIdleCycleCostsOneRoundTrip(t *testing.T) {
	w := newWorld(t, 3, cloudsync.Options{}, noEmbedded)
	all := w.everything()
	w.grant(all)
	wire := newCable(t, strings.TrimPrefix(w.config.Directories[0].URLs[0], "ldaps://"))
	id := w.enrol()
	id.Connection.URLs = []string{"ldaps://" + wire.address()}
	w.attend(id)
	w.waitAgents(1)
	mustComplete(t, w.run(w.full(all)))
	for range 3 {
		before := wire.sent.Load()
		o := w.run(w.delta(all))
		mustComplete(t, o)
		if n := wire.sent.Load() - before; n != 1 || o.report().USN == 0 {
			t.Errorf("%d requests were made; report %+v", n, o.report())
		}
	}
	w.set("CN=sales1,OU=Sales", "title", "One")
	w.titled(w.run(w.delta(all)), "One")
	w.server.DropConnections() // the idle session is dead, and nobody knows
	w.set("CN=sales1,OU=Sales", "title", "Two")
	w.titled(w.run(w.delta(all)), "Two")
}
