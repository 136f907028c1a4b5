package cloudsync_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tandem-sync/tandem/plugins/cloudsync"
	"github.com/tandem-sync/tandem/plugins/cloudsync/line/linepb"
	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/plugins/provision"
	"github.com/tandem-sync/tandem/plugins/secret"
	"github.com/tandem-sync/tandem/scoping"
)

// adding is the add of a user to OU=Sales.
func (w *world) adding() *provision.Target {
	w.t.Helper()
	return &provision.Target{Op: provision.Add, Kind: scoping.User, Controller: w.server.URL(), Invocation: w.model.InvocationID(), Container: w.guid("OU=Sales"), Root: w.guid("OU=Sales"),
		Link: provision.Link{Attribute: "msDS-ExternalDirectoryObjectId", Value: "User_00000001-0000-4000-8000-000000000001"}}
}

// provisions lets the engine carry one write out with a permit, and counts the permits.
func (w *world) provisions(id string, t *provision.Target, refused string, v provision.Values) (engine.DeliveryResult, int, error) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 20*time.Second)
	defer cancel()
	asked := 0
	d := engine.Delivery{ID: id, Feature: scoping.UserProvisioning, Object: scoping.ObjectID{Directory: "contoso", GUID: t.Object}, Op: engine.DeliveryOp(t.Op), Provision: t}
	r, _, err := engine.Deliver(ctx, w.engine, d, func(context.Context) (engine.Permit, error) {
		asked++
		return engine.Permit{Refused: refused, Remaining: 10 * time.Second, Values: &v}, nil
	})
	return r, asked, err
}

func (w *world) looks(l *provision.Look) (engine.DeliveryResult, error) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 20*time.Second)
	defer cancel()
	d := engine.Delivery{ID: "a look", Feature: scoping.UserProvisioning, Object: scoping.ObjectID{Directory: "contoso"}, Op: engine.LookUp, Look: l}
	r, _, err := engine.Deliver(ctx, w.engine, d, func(context.Context) (engine.Permit, error) {
		w.t.Error("a look asks for a permit")
		return engine.Permit{}, context.Canceled
	})
	return r, err
}

var ann = provision.Values{Set: []provision.Set{{Attribute: "sAMAccountName", To: []string{"ann"}}, {Attribute: "displayName", To: []string{"Ann"}}}}

func TestAnObjectIsWrittenByOneAgentAndByNoOther(t *testing.T) {
	done := func(code string) *linepb.Part {
		return &linepb.Part{Is: &linepb.Part_Written{Written: &linepb.Written{Code: code, Result: []byte(`{"object":"00000001-0000-4000-8000-000000000001","dn":"CN=x"}`)}}}
	}
	for name, c := range map[string]struct {
		does  func(ctx context.Context, receive func() *linepb.Request, say func(*linepb.Part))
		asked int
		code  string
		known bool
	}{
		"it writes": {func(_ context.Context, receive func() *linepb.Request, say func(*linepb.Part)) {
			say(readyPart())
			var v provision.Values
			if err := json.Unmarshal(receive().GetPermit().GetValues(), &v); err != nil || v.Set[0].To[0] != "ann" {
				say(writtenPart("failed"))
			}
			say(done("ok"))
			say(endPart())
		}, 1, "ok", true},
		"it is there": {func(_ context.Context, _ func() *linepb.Request, say func(*linepb.Part)) {
			say(done("exists"))
			say(endPart())
		}, 0, "exists", true},
		"it dies with the permit": {func(_ context.Context, receive func() *linepb.Request, say func(*linepb.Part)) {
			say(readyPart())
			receive()
			say(nil)
		}, 1, "in-doubt", false},
		"it dies before the permit": {func(_ context.Context, _ func() *linepb.Request, say func(*linepb.Part)) { say(nil) }, 0, "failed", false},
		"it ends without a word": {func(_ context.Context, receive func() *linepb.Request, say func(*linepb.Part)) {
			say(readyPart())
			receive()
			say(endPart())
		}, 1, "in-doubt", false},
		"it says what nobody understands": {func(_ context.Context, receive func() *linepb.Request, say func(*linepb.Part)) {
			say(readyPart())
			receive()
			say(&linepb.Part{Is: &linepb.Part_Written{Written: &linepb.Written{Code: "ok", Result: []byte(`{`)}}})
			say(endPart())
		}, 1, "in-doubt", false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, 1, cloudsync.Options{}, noEmbedded)
			one, two := postbox(t, w, w.enrol(), c.does), postbox(t, w, w.enrol(), c.does)
			w.waitAgents(2)
			r, asked, err := w.provisions("1", w.adding(), "", ann)
			if err != nil || r.Code != c.code || asked != c.asked || (r.Provision != nil) != c.known {
				t.Errorf("%+v after %d permits, %v; not %s after %d", r, asked, err, c.code, c.asked)
			}
			if c.known && (r.Provision == nil || r.Provision.DN != "CN=x") {
				t.Errorf("what is known of it: %+v", r.Provision)
			}
			if r, asked, err := w.provisions("1", w.adding(), "", ann); err != nil || r.Code != engine.DeliveryRepeated || asked != 0 {
				t.Errorf("the same id again: %+v %d %v", r, asked, err)
			}
			if one.Load()+two.Load() != 1 {
				t.Errorf("%d and %d agents were given it", one.Load(), two.Load())
			}
		})
	}
}

// An agent that is frozen with the permit in its hands says nothing for good: the write is in doubt, and no other agent is given it.
func TestAnAgentThatFreezesWithAPermitLeavesADoubt(t *testing.T) {
	w := newWorld(t, 1, cloudsync.Options{}, `{"agents":{"listen":"127.0.0.1:0","grace":"0s","silence":"1s"}}`)
	freeze := func(ctx context.Context, receive func() *linepb.Request, say func(*linepb.Part)) {
		say(readyPart())
		receive()
		<-ctx.Done()
		say(nil)
	}
	one, two := postbox(t, w, w.enrol(), freeze), postbox(t, w, w.enrol(), freeze)
	w.waitAgents(2)
	r, asked, err := w.provisions("1", w.adding(), "", ann)
	if err != nil || r.Code != engine.DeliveryInDoubt || asked != 1 || one.Load()+two.Load() != 1 {
		t.Errorf("%+v after %d permits, %v; %d and %d", r, asked, err, one.Load(), two.Load())
	}
}

// writer is a real agent with the account that writes.
func (w *world) writer() {
	w.t.Helper()
	id := w.enrol()
	id.Accounts = map[scoping.Purpose]directory.Account{scoping.Provision: {User: w.model.AdminUser(), Password: secret.Take([]byte(password))}}
	w.attend(id)
	w.waitAgents(1)
}

func TestARealAgentWritesAnObjectOnlyWithAPermitAndOnlyAtTheNamedController(t *testing.T) {
	w := newWorld(t, 1, cloudsync.Options{}, noEmbedded)
	if r, asked, err := w.provisions("0", w.adding(), "", ann); err != nil || r.Code != engine.DeliveryNoAgent || asked != 0 || !strings.Contains(r.Reason, "--provision-user") {
		t.Errorf("no agent: %+v %d %v", r, asked, err)
	}
	w.writer()
	if r, asked, err := w.provisions("1", w.adding(), "stopped", ann); err != nil || r.Code != engine.DeliveryRefused || r.Reason != "stopped" || asked != 1 {
		t.Errorf("refused: %+v %d %v", r, asked, err)
	}
	other := w.adding()
	other.Controller = "ldaps://elsewhere.contoso.test"
	if r, asked, err := w.provisions("2", other, "", ann); err != nil || r.Code != engine.DeliveryNoAgent || asked != 0 || !strings.Contains(r.Reason, other.Controller) {
		t.Errorf("another controller: %+v %d %v", r, asked, err)
	}
	other = w.adding()
	other.Invocation = scoping.GUID{9}
	if r, asked, err := w.provisions("3", other, "", ann); err != nil || r.Code != string(provision.OtherController) || asked != 0 {
		t.Errorf("another database: %+v %d %v", r, asked, err)
	}
	r, asked, err := w.provisions("4", w.adding(), "", ann)
	if err != nil || r.Code != engine.DeliveryOK || asked != 1 || r.Provision == nil || r.Provision.Object != w.guid("CN="+w.adding().Link.Value+",OU=Sales") || r.Provision.Stamp == "" {
		t.Fatalf("permitted: %+v %+v %d %v", r, r.Provision, asked, err)
	}
	made := *r.Provision
	if r, asked, err = w.provisions("5", w.adding(), "", ann); err != nil || r.Code != string(provision.Exists) || asked != 0 || r.Provision == nil || r.Provision.Object != made.Object {
		t.Errorf("again: %+v %d %v", r, asked, err)
	}
	rename := w.adding()
	rename.Op, rename.Object, rename.Container = provision.Rename, made.Object, scoping.GUID{}
	if r, _, err = w.provisions("6", rename, "", provision.Values{WasName: rename.Link.Value, Name: "Ann"}); err != nil || r.Code != engine.DeliveryOK || r.Provision.DN != w.dn("CN=Ann,OU=Sales") {
		t.Errorf("rename: %+v %v", r, err)
	}
}

func TestAnyAgentLooksAndAnotherOneWhereItFails(t *testing.T) {
	w := newWorld(t, 2, cloudsync.Options{}, noEmbedded)
	l := &provision.Look{Controller: w.server.URL(), Terms: []provision.Term{{Attribute: "sAMAccountName", Value: "SALES0"}, {Attribute: "sAMAccountName", Value: "nobody"}, {Attribute: "cn", Value: "sales1"}}, Attributes: []string{"displayName"}}
	if r, err := w.looks(l); err != nil || r.Code != engine.DeliveryNoAgent {
		t.Errorf("no agent: %+v %v", r, err)
	}
	lost := postbox(t, w, w.enrol(), func(context.Context, func() *linepb.Request, func(*linepb.Part)) {}) // it answers looks with a failure
	w.waitAgents(1)
	if r, err := w.looks(l); err != nil || r.Code != string(provision.Unreachable) {
		t.Errorf("an agent that cannot: %+v %v", r, err)
	}
	w.attend(w.enrol())
	w.waitAgents(2)
	r, err := w.looks(l)
	if err != nil || r.Code != engine.DeliveryOK || r.Provision == nil || r.Provision.Invocation != w.model.InvocationID() || len(r.Provision.Found) != 2 {
		t.Fatalf("%+v %+v %v", r, r.Provision, err)
	}
	if f := r.Provision.Found[0]; f.Term != 0 || f.Object != w.guid("CN=sales0,OU=Sales") || f.Class != "user" || f.Protected != "" || f.Parent != w.guid("OU=Sales") || f.Values["displayName"][0] != "User sales0" {
		t.Errorf("%+v", f)
	}
	if f := r.Provision.Found[1]; f.Term != 2 || f.Object != w.guid("CN=sales1,OU=Sales") {
		t.Errorf("%+v", f)
	}
	if lost.Load() != 0 {
		t.Error("a look was taken for a write")
	}
	l.Invocation = scoping.GUID{9}
	if r, err := w.looks(l); err != nil || r.Code != string(provision.OtherController) {
		t.Errorf("another database: %+v %v", r, err)
	}
	l.Terms = nil
	if r, err := w.looks(l); err != nil || r.Code != engine.DeliveryFailed {
		t.Errorf("no look: %+v %v", r, err)
	}
}

func TestADeliveryOfTheWrongShapeIsRefused(t *testing.T) {
	w := newWorld(t, 1, cloudsync.Options{}, noEmbedded)
	w.writer()
	for name, d := range map[string]engine.Delivery{
		"a write as a password":    {Feature: scoping.PasswordWriteback, Provision: w.adding()},
		"provisioning of nothing":  {Feature: scoping.UserProvisioning},
		"a feature of others":      {Feature: scoping.PasswordHash},
		"an unknown directory":     {Feature: scoping.UserProvisioning, Object: scoping.ObjectID{Directory: "fabrikam"}, Provision: w.adding()},
		"a target that is no such": {Feature: scoping.UserProvisioning, Provision: &provision.Target{Op: "x", Controller: w.server.URL()}},
	} {
		d.ID = name
		if d.Object.Directory == "" {
			d.Object.Directory = "contoso"
		}
		r, permitted, err := engine.Deliver(t.Context(), w.engine, d, nil)
		if err != nil || permitted || r.Code != engine.DeliveryFailed || r.Reason == "" {
			t.Errorf("%s: %+v %v", name, r, err)
		}
	}
}

// Real agents are killed, and frozen, while their permit is on its way: the write is in doubt, no other agent is given it, and who wakes up later does not write.
func TestAProcessThatEndsOrStandsStillWithAPermitWritesNothingLater(t *testing.T) {
	for name, signal := range map[string]syscall.Signal{"killed": syscall.SIGKILL, "frozen": syscall.SIGSTOP} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, 1, cloudsync.Options{}, `{"agents":{"listen":"127.0.0.1:0","grace":"0s","silence":"1s"}}`)
			file := filepath.Join(t.TempDir(), "provision")
			check(t, os.WriteFile(file, []byte(password), 0o600))
			var agents []*process
			for range 2 {
				dir, out, err := w.enrolProcess("--provision-user", w.model.AdminUser(), "--provision-password-file", file)
				if err != nil {
					t.Fatalf("enrolment: %v\n%s", err, out)
				}
				agents = append(agents, w.startProcess(dir))
			}
			w.waitAgents(2)
			var hit *process
			d := engine.Delivery{ID: "1", Feature: scoping.UserProvisioning, Object: scoping.ObjectID{Directory: "contoso"}, Op: "add", Provision: w.adding()}
			r, permitted, err := engine.Deliver(t.Context(), w.engine, d, func(context.Context) (engine.Permit, error) {
				busy := busyOne(w)
				for _, p := range agents {
					if strings.Contains(string(read(t, p.dir, "agent.json")), busy) {
						hit = p
					}
				}
				check(t, hit.cmd.Process.Signal(signal))
				return engine.Permit{Remaining: 200 * time.Millisecond, Values: &ann}, nil
			})
			if err != nil || !permitted || r.Code != engine.DeliveryInDoubt {
				t.Fatalf("%+v %v %v", r, permitted, err)
			}
			if signal == syscall.SIGSTOP { // who wakes up is the only one from now on: what it was given before is older than what it is asked next
				for _, p := range agents {
					if p != hit {
						p.kill()
					}
				}
				check(t, hit.cmd.Process.Signal(syscall.SIGCONT))
			}
			l := &provision.Look{Controller: w.server.URL(), Terms: []provision.Term{{Attribute: "cn", Value: w.adding().Link.Value}}}
			if r, err := w.looks(l); err != nil || r.Code != engine.DeliveryOK || len(r.Provision.Found) != 0 {
				t.Errorf("it was written: %+v %+v %v", r, r.Provision, err)
			}
			if r, _, err := w.provisions("2", w.adding(), "", ann); err != nil || r.Code != engine.DeliveryOK {
				t.Errorf("the next attempt: %+v %v", r, err)
			}
			if r, err := w.looks(l); err != nil || len(r.Provision.Found) != 1 {
				t.Errorf("afterwards: %+v %v", r, err)
			}
		})
	}
}
