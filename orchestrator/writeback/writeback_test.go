package writeback_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/gate"
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/orchestrator/writeback"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/plugins/secret"
	"github.com/tandem-sync/tandem/scoping"
)

func TestAnEventIsCarriedOutAndAnswered(t *testing.T) {
	w := newWorld(t)
	w.ok(w.poll(w.event("1")))
	w.said("1 ok")
	if w.password != "second" || w.writes != 1 {
		t.Errorf("%q after %d writes", w.password, w.writes)
	}
	if d := w.asked[0]; d.ID != "1" || d.Object != ann || d.Feature != scoping.PasswordWriteback || d.Op != engine.ResetPassword || len(d.Own) != 1 {
		t.Errorf("%+v", d)
	}
	w.ok(w.poll(w.event("1"))) // its answer is given again, and nothing is written again
	w.said("1 ok", "1 ok")
	if w.writes != 1 {
		t.Errorf("%d writes", w.writes)
	}
}

// An id is carried out at most once wherever the process is killed, and nobody is told that a password was set of which that is not durable.
func TestNothingIsCarriedOutTwiceWhereverTheHostIsKilled(t *testing.T) {
	for _, point := range []string{"describe", "handed", "before permitted", "after permitted", "permit arrived", "written", "result", "before ended", "after ended", "before the answer", "after the answer"} {
		t.Run(point, func(t *testing.T) {
			w := newWorld(t)
			w.kill = point
			_ = w.poll(w.event("1"))
			if w.at("") == nil {
				t.Fatal("the process lived through it")
			}
			before, told := w.writes, len(w.told)
			w.start()
			for range 3 { // the relay hands it out until it is answered
				w.now = w.now.Add(5 * time.Second)
				e := w.event("1")
				e.Deadline = w.now.Add(10 * time.Second)
				w.ok(w.poll(e))
			}
			permitted := 0
			for _, r := range w.log {
				if r.Delivery != nil && r.Delivery.Step == ledger.Permitted {
					permitted++
				}
			}
			if w.writes > 1 || permitted > 1 {
				t.Errorf("%d writes, %d permits", w.writes, permitted)
			}
			if len(w.told) < told+3 {
				t.Fatalf("told %v", w.told)
			}
			for _, answer := range w.told {
				switch {
				case answer == "1 ok" && w.writes == 1:
				case answer == "1 in-doubt" && permitted == 1:
				default:
					t.Errorf("killed at %q with %d writes, the tenant is told %q", point, before, answer)
				}
			}
		})
	}
}

func TestOnlyEventsOfThisInstallationAndTenantAreTaken(t *testing.T) {
	for name, change := range map[string]func(*cloud.PasswordEvent, *world){
		"another tenant":               func(e *cloud.PasswordEvent, _ *world) { e.Tenant = "tenant-2" },
		"no tenant":                    func(e *cloud.PasswordEvent, _ *world) { e.Tenant = "" },
		"another installation":         func(e *cloud.PasswordEvent, _ *world) { e.Installation = "installation-2" },
		"no installation":              func(e *cloud.PasswordEvent, _ *world) { e.Installation = "" },
		"no id":                        func(e *cloud.PasswordEvent, _ *world) { e.ID = "" },
		"an id without end":            func(e *cloud.PasswordEvent, _ *world) { e.ID = strings.Repeat("1", 201) },
		"no user":                      func(e *cloud.PasswordEvent, _ *world) { e.CloudID = "" },
		"nothing known":                func(e *cloud.PasswordEvent, _ *world) { e.Op = "delete" },
		"no password":                  func(e *cloud.PasswordEvent, _ *world) { e.NewPassword = nil },
		"a reset with an old password": func(e *cloud.PasswordEvent, _ *world) { e.OldPassword = secret.Take([]byte("x")) },
		"a change without one":         func(e *cloud.PasswordEvent, _ *world) { e.Op = cloud.ChangePassword },
		"an unlock with a password":    func(e *cloud.PasswordEvent, _ *world) { e.Op = cloud.UnlockAccount },
		"its deadline is past":         func(e *cloud.PasswordEvent, w *world) { e.Deadline = w.now },
		"its deadline is far away":     func(e *cloud.PasswordEvent, w *world) { e.Deadline = w.now.Add(time.Hour) },
	} {
		w := newWorld(t)
		e := w.event("1")
		change(&e, w)
		password := e.NewPassword
		w.ok(w.poll(e))
		if len(w.told)+len(w.asked) > 0 {
			t.Errorf("%s: handed over %v, told %v", name, w.asked, w.told)
		}
		if password != nil && !errors.Is(password.Use(func([]byte) error { return nil }), secret.ErrWiped) {
			t.Errorf("%s: its password is not wiped", name)
		}
	}
}

func TestARepeatedIDWithAnotherContentIsNotAnswered(t *testing.T) {
	w := newWorld(t)
	w.ok(w.poll(w.event("1")))
	other := w.event("1")
	other.Op, other.NewPassword = cloud.UnlockAccount, nil
	w.ok(w.poll(other))
	w.said("1 ok")
}

func TestWhatCannotBeDoneIsAnsweredAsWhatItIs(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*world, *cloud.PasswordEvent)
		answer string
	}{
		"a user whom no directory has": {func(_ *world, e *cloud.PasswordEvent) { e.CloudID = "c-bob" }, "not-in-scope"},
		"a user who is gone":           {func(w *world, _ *cloud.PasswordEvent) { w.sight.Deleted = true }, "not-in-scope"},
		"a place of nobody's":          {func(w *world, _ *cloud.PasswordEvent) { w.sight.Chain = []scoping.GUID{guid(99)} }, "not-in-scope"},
		"power in the tenant":          {func(w *world, _ *cloud.PasswordEvent) { w.power["c-ann"] = "Global Administrator" }, "not-allowed"},
		"an administrator":             {func(w *world, _ *cloud.PasswordEvent) { w.engine = engineOf{w: w, code: "not-allowed"} }, "not-allowed"},
		"nobody with the account":      {func(w *world, _ *cloud.PasswordEvent) { w.engine = engineOf{w: w, code: "no-agent"} }, "no-agent"},
		"an engine that delivers not":  {func(w *world, _ *cloud.PasswordEvent) { w.delivers = nil }, "no-agent"},
		"used before":                  {func(w *world, _ *cloud.PasswordEvent) { w.engine = engineOf{w: w, code: "history"} }, "history"},
		"some rule":                    {func(w *world, _ *cloud.PasswordEvent) { w.engine = engineOf{w: w, code: "policy"} }, "policy"},
		"a missing right":              {func(w *world, _ *cloud.PasswordEvent) { w.engine = engineOf{w: w, code: "no-rights"} }, "failed"},
		"no answer":                    {func(w *world, _ *cloud.PasswordEvent) { w.engine = engineOf{w: w, code: "in-doubt"} }, "in-doubt"},
		"no way to end":                {func(w *world, _ *cloud.PasswordEvent) { w.engine = engineOf{w: w, code: "fine"} }, "in-doubt"},
		"the directory is away":        {func(w *world, _ *cloud.PasswordEvent) { w.unread = gate.ErrUnread }, "failed"},
		"a stop": {func(w *world, _ *cloud.PasswordEvent) {
			a := w.gate.Authority()
			a.Stops = []gate.Stop{{ID: "all", Reason: "r", By: "b"}}
			w.gate.SetAuthority(a, gate.Rules{})
		}, "stopped"},
		"a freeze": {func(w *world, _ *cloud.PasswordEvent) {
			w.gate.Freeze([]scoping.Scope{{Directory: "contoso", Under: root, Features: []scoping.Feature{scoping.PasswordWriteback}}}, time.Minute)
		}, "busy"},
	} {
		w := newWorld(t)
		e := w.event("1")
		c.change(w, &e)
		w.ok(w.poll(e))
		w.said("1 " + c.answer)
		if c.answer == "not-allowed" && (w.words[0] != "This is not allowed." || strings.Contains(w.words[0], "Admin")) {
			t.Errorf("%s: the user reads %q", name, w.words[0])
		}
		if w.password != "first" {
			t.Errorf("%s: the password is %q", name, w.password)
		}
		// Whatever it was, the journal has it, and nothing of the password.
		last := w.log[len(w.log)-1]
		if last.Type != ledger.DeliveryType && e.CloudID == "c-ann" {
			t.Errorf("%s: the journal ends with %+v", name, last)
		}
		if b, err := json.Marshal(w.log); err != nil || strings.Contains(string(b), "second") {
			t.Errorf("%s: %v, the password is in the log", name, err)
		}
	}
}

func TestAnEventThatComesTwiceAtOnceIsCarriedOutOnce(t *testing.T) {
	for range 20 {
		w := newWorld(t)
		w.ok(w.poll(w.event("1"), w.event("1"), w.event("1")))
		if w.writes != 1 || len(w.told) == 0 || w.told[0] != "1 ok" {
			t.Fatalf("%d writes, told %v", w.writes, w.told)
		}
	}
}

// A host that ends in good order lets go of what is not permitted, and waits for the end of what is: an abort would only leave it in doubt.
func TestAHostThatEndsWaitsForWhatItPermitted(t *testing.T) {
	for point, written := range map[string]int{"handed": 0, "permit arrived": 1} {
		w := newWorld(t)
		ctx, cancel := context.WithCancel(context.Background())
		w.reached = func(at string) {
			if at == point {
				cancel()
			}
		}
		w.events = []cloud.PasswordEvent{w.event("1")}
		if err := w.desk.Poll(ctx); !errors.Is(err, context.Canceled) && err != nil {
			t.Error(err)
		}
		if w.writes != written {
			t.Errorf("%s: %d writes", point, w.writes)
		}
		if written == 1 {
			w.said("1 ok")
			continue
		}
		for _, r := range w.log {
			if r.Delivery != nil && r.Delivery.Step == ledger.Permitted {
				t.Errorf("%s: it is permitted", point)
			}
		}
	}
}

// While the answer of the tenant is missing, the same event comes again: it is answered from memory.
func TestAnOutageOfTheTenantCostsNoSecondWrite(t *testing.T) {
	w := newWorld(t)
	w.silent = errors.New("502")
	w.ok(w.poll(w.event("1")))
	w.said()
	w.silent = nil
	w.ok(w.poll(w.event("1")))
	w.said("1 ok")
	if w.writes != 1 {
		t.Errorf("%d writes", w.writes)
	}
}

func TestTheRelayIsAskedOnlyByWhoFeedsTheTenant(t *testing.T) {
	w := newWorld(t)
	a := w.gate.Authority()
	a.ReadOnly = "another Tandem feeds this tenant"
	w.gate.SetAuthority(a, gate.Rules{})
	w.ok(w.poll(w.event("1")))
	if w.polls != 0 || !strings.Contains(w.desk.Off(), "another Tandem") {
		t.Errorf("%d questions, %q", w.polls, w.desk.Off())
	}
	a.ReadOnly, a.Partition = "", nil
	w.gate.SetAuthority(a, gate.Rules{})
	w.ok(w.poll(w.event("1")))
	if w.polls != 0 || !strings.Contains(w.desk.Off(), "not switched on") {
		t.Errorf("%d questions, %q", w.polls, w.desk.Off())
	}
}

func TestACommandSetsPasswordsByTheOwnerOfUsers(t *testing.T) {
	w := newWorld(t)
	out, err := w.desk.Set(context.Background(), writeback.Order{Object: ann, Op: engine.ResetPassword, MustChange: true, Unlock: true, New: secret.Take([]byte("third")), By: "ann (uid 7)"})
	if err != nil || out.Engine != mine || w.password != "third" {
		t.Fatalf("%+v %v %q", out, err, w.password)
	}
	if d := w.asked[0]; !d.MustChange || !d.Unlock || d.Feature != scoping.PasswordWriteback {
		t.Errorf("%+v", d)
	}
	last := w.log[len(w.log)-1]
	if last.By != "ann (uid 7)" || last.Feature != scoping.Users || last.Delivery.CloudID != "c-ann" || last.Outcome != engine.Applied {
		t.Errorf("%+v", last)
	}
	w.engine = engineOf{w: w, code: "history"}
	_, err = w.desk.Set(context.Background(), writeback.Order{Object: ann, Op: engine.ResetPassword, New: secret.Take([]byte("third"))})
	if !errors.Is(err, writeback.ErrNotSet) || !strings.Contains(fmt.Sprint(err), "used before") {
		t.Errorf("%v", err)
	}
}

// The id of an event that was carried out is forgotten after a day. If the tenant hands it out again, on a clock that was set back, and its user is linked no more, then
// nothing can be said of how it ended (simulation, seed 16647).
func TestAnOldEventOfAUserWhoIsLinkedNoMoreIsInDoubt(t *testing.T) {
	w := newWorld(t)
	old := w.event("1")
	w.ok(w.poll(old))
	began := w.now
	w.now = w.now.Add(25 * time.Hour)
	w.ok(w.poll(w.event("2"))) // from now on the first is forgotten
	w.now = began
	again := w.event("1")
	again.CloudID, again.Deadline = "c-bob", old.Deadline
	w.ok(w.poll(again))
	w.said("1 ok", "2 ok", "1 in-doubt")
}
