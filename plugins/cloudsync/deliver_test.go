package cloudsync_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tandem-sync/tandem/plugins/cloudsync"
	"github.com/tandem-sync/tandem/plugins/cloudsync/agent"
	"github.com/tandem-sync/tandem/plugins/cloudsync/line"
	"github.com/tandem-sync/tandem/plugins/cloudsync/line/linepb"
	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/plugins/secret"
	"github.com/tandem-sync/tandem/scoping"
)

// postbox is an agent that holds the accounts that set passwords and that write, and does with a write what a test says.
func postbox(t *testing.T, w *world, id agent.Identity, does func(ctx context.Context, receive func() *linepb.Request, say func(*linepb.Part))) *atomic.Int64 {
	t.Helper()
	conn, err := line.Dial(id.Server, line.ClientTLS(id.Pin, &id.Certificate))
	check(t, err)
	client := linepb.NewLineClient(conn)
	inv := w.model.InvocationID()
	ctx, cancel := context.WithCancel(context.Background())
	attend, err := client.Attend(ctx, &linepb.AttendRequest{Base: id.Connection.Base, Invocation: inv[:], Purposes: []string{"reset", "provision"}, Controllers: []string{w.server.URL()}})
	check(t, err)
	if _, err := attend.Header(); err != nil {
		t.Fatal(err)
	}
	var writes atomic.Int64
	ended := make(chan struct{})
	t.Cleanup(func() { cancel(); conn.Close(); <-ended })
	go func() {
		defer close(ended)
		defer conn.Close()
		for {
			r, err := attend.Recv()
			if err != nil {
				return
			}
			a, err := client.Answer(ctx)
			if err != nil {
				return
			}
			if r.GetDeliver() == nil && r.GetProvision() == nil {
				a.Send(&linepb.Part{Request: r.Id, Is: &linepb.Part_Failure{Failure: &linepb.Failure{Code: line.CodeDirectory, Message: "it only writes"}}})
				a.CloseAndRecv()
				continue
			}
			writes.Add(1)
			gone := false
			does(ctx, func() *linepb.Request {
				next, err := attend.Recv()
				gone = gone || err != nil
				return next
			}, func(p *linepb.Part) {
				if p == nil { // it dies
					gone = true
					return
				}
				p.Request = r.Id
				a.Send(p)
			})
			if gone {
				return
			}
			a.CloseAndRecv()
		}
	}()
	return &writes
}

func readyPart() *linepb.Part { return &linepb.Part{Is: &linepb.Part_Ready{Ready: &linepb.Ready{}}} }

func writtenPart(code string) *linepb.Part {
	return &linepb.Part{Is: &linepb.Part_Written{Written: &linepb.Written{Code: code}}}
}

func endPart() *linepb.Part { return &linepb.Part{Is: &linepb.Part_End{End: &linepb.End{}}} }

// delivers lets the engine carry one delivery out with a permit, and counts the permits.
func (w *world) delivers(id string, user scoping.ObjectID, refused string) (engine.DeliveryResult, int, error) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 20*time.Second)
	defer cancel()
	asked := 0
	r, _, err := engine.Deliver(ctx, w.engine, engine.Delivery{ID: id, Feature: scoping.PasswordWriteback, Object: user, Op: engine.ResetPassword}, func(context.Context) (engine.Permit, error) {
		asked++
		return engine.Permit{Refused: refused, Remaining: 10 * time.Second, New: secret.Take([]byte("Second-Passw0rd!"))}, nil
	})
	return r, asked, err
}

func TestAWriteGoesToOneAgentAndToNoOther(t *testing.T) {
	for name, c := range map[string]struct {
		does  func(ctx context.Context, receive func() *linepb.Request, say func(*linepb.Part))
		asked int
		code  string
	}{
		"it writes": {func(_ context.Context, receive func() *linepb.Request, say func(*linepb.Part)) {
			say(readyPart())
			p := receive().GetPermit()
			if string(p.GetNew()) != "Second-Passw0rd!" || p.GetRemainingMillis() < 5000 {
				say(writtenPart("failed"))
			}
			say(writtenPart("ok"))
			say(endPart())
		}, 1, "ok"},
		"it says why not": {func(_ context.Context, _ func() *linepb.Request, say func(*linepb.Part)) {
			say(writtenPart("not-allowed"))
			say(endPart())
		}, 0, "not-allowed"},
		"it dies with the permit": {func(_ context.Context, receive func() *linepb.Request, say func(*linepb.Part)) {
			say(readyPart())
			receive()
			say(nil)
		}, 1, "in-doubt"},
		"it dies before the permit": {func(_ context.Context, _ func() *linepb.Request, say func(*linepb.Part)) { say(nil) }, 0, "failed"},
		"it ends without a word": {func(_ context.Context, receive func() *linepb.Request, say func(*linepb.Part)) {
			say(readyPart())
			receive()
			say(endPart())
		}, 1, "in-doubt"},
		"it asks twice": {func(_ context.Context, receive func() *linepb.Request, say func(*linepb.Part)) {
			say(readyPart())
			receive()
			say(readyPart())
			receive()
		}, 1, "in-doubt"},
		"it does not know the request": {func(_ context.Context, _ func() *linepb.Request, say func(*linepb.Part)) {
			say(&linepb.Part{Is: &linepb.Part_Failure{Failure: &linepb.Failure{Code: line.CodeRequest, Message: "what?"}}})
		}, 0, "failed"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, 1, cloudsync.Options{}, noEmbedded)
			one, two := postbox(t, w, w.enrol(), c.does), postbox(t, w, w.enrol(), c.does)
			w.waitAgents(2)
			r, asked, err := w.delivers("1", w.id("CN=sales0,OU=Sales"), "")
			if err != nil || r.Code != c.code || asked != c.asked {
				t.Errorf("%+v after %d permits, %v; not %s after %d", r, asked, err, c.code, c.asked)
			}
			if one.Load()+two.Load() != 1 {
				t.Errorf("%d and %d agents were given it", one.Load(), two.Load())
			}
			if strings.Contains(r.Reason, "Second-Passw0rd!") {
				t.Errorf("the reason holds the password: %s", r.Reason)
			}
			if r, asked, err := w.delivers("1", w.id("CN=sales0,OU=Sales"), ""); err != nil || r.Code != engine.DeliveryRepeated || asked != 0 {
				t.Errorf("the same id again: %+v %d %v", r, asked, err)
			}
			if one.Load()+two.Load() != 1 {
				t.Error("an agent was given the same id again")
			}
		})
	}
}

func TestAgentsWithoutTheAccountAreGivenNoWrite(t *testing.T) {
	w := newWorld(t, 1, cloudsync.Options{}, noEmbedded)
	w.attend(w.enrol())
	w.waitAgents(1)
	if r, asked, err := w.delivers("1", w.id("CN=sales0,OU=Sales"), ""); err != nil || r.Code != engine.DeliveryNoAgent || asked != 0 {
		t.Errorf("%+v %d %v", r, asked, err)
	}
}

func TestARealAgentSetsAPasswordWithTheAccountForThatAndOnlyWithAPermit(t *testing.T) {
	w := newWorld(t, 1, cloudsync.Options{}, noEmbedded)
	id := w.enrol()
	check(t, w.model.SetPassword(w.dn("CN=sales0,OU=Sales"), "First-Passw0rd!"))
	id.Accounts = map[scoping.Purpose]directory.Account{scoping.Reset: {User: w.model.AdminUser(), Password: secret.Take([]byte(password))}}
	w.attend(id)
	w.waitAgents(1)
	signs := func(with string) bool {
		c := id.Connection
		c.User, c.Password = "sales0@contoso.test", with
		s, err := directory.Dial(t.Context(), c)
		if err == nil {
			s.Close()
		}
		return err == nil
	}
	if r, asked, err := w.delivers("1", w.id("CN=sales0,OU=Sales"), "stopped"); err != nil || r.Code != engine.DeliveryRefused || asked != 1 || signs("Second-Passw0rd!") {
		t.Errorf("refused: %+v %d %v", r, asked, err)
	}
	if r, asked, err := w.delivers("2", w.id("CN=sales0,OU=Sales"), ""); err != nil || r.Code != engine.DeliveryOK || asked != 1 || !signs("Second-Passw0rd!") {
		t.Errorf("permitted: %+v %d %v", r, asked, err)
	}
	if r, _, err := w.delivers("3", scoping.ObjectID{Directory: "contoso", GUID: scoping.GUID{9}}, ""); err != nil || r.Code != "gone" {
		t.Errorf("nobody: %+v %v", r, err)
	}
}
