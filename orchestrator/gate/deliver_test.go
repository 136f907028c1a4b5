package gate_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/gate"
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
	"github.com/tandem-sync/tandem/state"
)

func TestADeliveryIsPermittedOnlyWhileNothingIsInItsWay(t *testing.T) {
	fine := gate.PermitCase{User: true, Owner: mine, Engine: mine, Tenure: time.Minute, Needs: 30 * time.Second, Remaining: 20 * time.Second}
	for name, x := range map[string]struct {
		change func(*gate.PermitCase)
		no     gate.Denial
		why    string
	}{
		"nothing":                  {func(*gate.PermitCase) {}, gate.NotDenied, ""},
		"offered to nobody yet":    {func(c *gate.PermitCase) { c.Engine = "" }, gate.NotDenied, ""},
		"permitted before":         {func(c *gate.PermitCase) { c.Seen = true }, gate.DeniedSeen, "before"},
		"perhaps permitted before": {func(c *gate.PermitCase) { c.Forgotten = true }, gate.DeniedOld, "before"},
		"no such user":             {func(c *gate.PermitCase) { c.User = false }, gate.DeniedGone, "no such user"},
		"nobody's":                 {func(c *gate.PermitCase) { c.Owner = scoping.None }, gate.DeniedNone, "no engine"},
		"another engine's":         {func(c *gate.PermitCase) { c.Owner = theirs }, gate.DeniedMove, "cloudsync now"},
		"stopped":                  {func(c *gate.PermitCase) { c.Stopped = "stopped by ann" }, gate.DeniedStop, "ann"},
		"frozen":                   {func(c *gate.PermitCase) { c.Frozen = true }, gate.DeniedBusy, "hands"},
		"another one under way":    {func(c *gate.PermitCase) { c.Busy = true }, gate.DeniedBusy, "same user"},
		"the right to write ends":  {func(c *gate.PermitCase) { c.Tenure = 29 * time.Second }, gate.DeniedStop, "29s"},
		"the deadline is past":     {func(c *gate.PermitCase) { c.Remaining = -time.Second }, gate.DeniedTime, "over"},
		"the deadline is too near": {func(c *gate.PermitCase) { c.Remaining = gate.MinDelivery - 1 }, gate.DeniedTime, "over"},
		"a repeated id says so first, whatever else there is": {func(c *gate.PermitCase) { *c = gate.PermitCase{Seen: true} }, gate.DeniedSeen, ""},
	} {
		c := fine
		x.change(&c)
		if no, why := gate.Permits(c); no != x.no || !strings.Contains(why, x.why) {
			t.Errorf("%s: %q %q", name, no, why)
		}
	}
}

// clerks is a world in which passwords are written back: ann's by connect.
func clerks(t *testing.T) *world {
	w := newWorld(t)
	w.g.SetAuthority(gate.Authority{Partition: partitionOf(t, []scoping.Feature{scoping.Users, scoping.Groups, scoping.PasswordWriteback}, theirs), Epoch: epoch(5)}, usual)
	w.account(ann, "ann")
	return w
}

func (w *world) delivery(id string) gate.Delivery {
	return gate.Delivery{ID: id, Engine: mine, Object: ann, Feature: scoping.PasswordWriteback, Op: "reset", By: "the tenant", CloudID: "c-ann", Deadline: w.time.Add(20 * time.Second)}
}

func (w *world) permit(id string) (time.Duration, gate.Denial) {
	w.t.Helper()
	left, no, _, err := w.g.Permit(w.t.Context(), w.delivery(id))
	if err != nil {
		w.t.Fatal(err)
	}
	return left, no
}

func (w *world) ended(id, code string) {
	w.t.Helper()
	if err := w.g.Delivered(w.t.Context(), w.delivery(id), engine.DeliveryResult{ID: id, Code: code}); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) permits(id string, no gate.Denial) {
	w.t.Helper()
	if _, got := w.permit(id); got != no {
		w.t.Errorf("delivery %s: %q, not %q", id, got, no)
	}
}

func TestAPermitIsDurableBeforeTheAnswerAndIsTheOnlyOneOfItsID(t *testing.T) {
	w := clerks(t)
	left, no := w.permit("1")
	if no != gate.NotDenied || left != 20*time.Second || w.signed != 1 {
		t.Fatalf("%q %s, looked at the mark %d times", no, left, w.signed)
	}
	w.wantSaid("delivery")
	w.permits("1", gate.DeniedSeen)
	w.permits("2", gate.DeniedBusy) // it would overtake the first
	w.ended("1", "ok")
	w.permits("1", gate.DeniedSeen)
	w.permits("3", gate.NotDenied)
	w.wantSaid("delivery", "delivery", "delivery") // denials are told by whoever asked
}

func TestAPermitThatCannotBeWrittenDownIsNone(t *testing.T) {
	w := clerks(t)
	w.append = func(ledger.Record) error { return state.ErrFull }
	if _, _, _, err := w.g.Permit(t.Context(), w.delivery("1")); !errors.Is(err, state.ErrFull) {
		t.Fatal(err)
	}
	w.append = nil
	w.permits("1", gate.NotDenied)
}

func TestWhatCameBetweenOfferAndReadinessRefuses(t *testing.T) {
	for name, x := range map[string]struct {
		meanwhile func(*world)
		no        gate.Denial
	}{
		"nothing": {func(*world) {}, gate.NotDenied},
		"a cutover": {func(w *world) {
			w.sights[ann] = gate.Sight{Known: true, Kind: scoping.User, Parent: other, Chain: []scoping.GUID{other, root}}
		}, gate.DeniedMove},
		"a stop": {func(w *world) {
			a := w.g.Authority()
			a.Stops = []gate.Stop{{ID: "all", Reason: "r", By: "b"}}
			w.g.SetAuthority(a, usual)
		}, gate.DeniedStop},
		"another host's mark": {func(w *world) {
			a := w.g.Authority()
			a.ReadOnly = "another Tandem feeds this tenant"
			w.g.SetAuthority(a, usual)
		}, gate.DeniedStop},
		"a freeze": {func(w *world) {
			w.g.Freeze([]scoping.Scope{{Directory: "contoso", Under: root, Features: []scoping.Feature{scoping.Users, scoping.PasswordWriteback}}}, time.Minute)
		}, gate.DeniedBusy},
		"a death":  {func(w *world) { s := w.sights[ann]; s.Deleted = true; w.sights[ann] = s }, gate.DeniedGone},
		"its time": {func(w *world) { w.time = w.time.Add(20 * time.Second) }, gate.DeniedTime},
		"tenure":   {func(w *world) { w.tenure = time.Second }, gate.DeniedStop},
	} {
		w := clerks(t)
		d := w.delivery("1")
		if owner, no, why := w.g.Offer(t.Context(), d); owner != mine || no != gate.NotDenied {
			t.Fatalf("%s: %s %q %s", name, owner, no, why)
		}
		x.meanwhile(w)
		_, no, _, err := w.g.Permit(t.Context(), d)
		if err != nil || no != x.no {
			t.Errorf("%s: %q %v, not %q", name, no, err, x.no)
		}
		if _, remembered := w.led.Delivery("1"); remembered != (x.no == gate.NotDenied) {
			t.Errorf("%s: remembered: %v", name, remembered)
		}
	}
}

func TestAFreezeWaitsForAPermittedDelivery(t *testing.T) {
	w := clerks(t)
	w.permits("1", gate.NotDenied)
	f := w.g.Freeze([]scoping.Scope{{Directory: "contoso", Under: root, Features: []scoping.Feature{scoping.Users, scoping.PasswordWriteback}}}, time.Minute)
	elsewhere := w.g.Freeze([]scoping.Scope{{Directory: "contoso", Under: other, Features: []scoping.Feature{scoping.Users, scoping.PasswordWriteback}}}, time.Minute)
	if f.InFlight() != 1 || f.Seal() || elsewhere.InFlight() != 0 {
		t.Errorf("%d in flight, %d elsewhere", f.InFlight(), elsewhere.InFlight())
	}
	w.ended("1", "ok")
	if f.InFlight() != 0 || !f.Seal() {
		t.Error("it is still in flight")
	}
}

// restarted is the world after the process was killed: the log and nothing else is left.
func (w *world) restarted(records []ledger.Record) *world {
	next := clerks(w.t)
	next.time = w.time
	for i, r := range records {
		if err := next.led.Fold(next.led.Seq+1, r); err != nil {
			w.t.Fatalf("record %d: %v", i, err)
		}
		next.seq = next.led.Seq
	}
	next.said = nil
	if _, err := next.g.Recover(context.Background()); err != nil {
		w.t.Fatal(err)
	}
	return next
}

func TestAPermitOutlivesItsProcessAndIsInDoubtWithoutAnEnd(t *testing.T) {
	w := clerks(t)
	var records []ledger.Record
	w.append = func(r ledger.Record) error { records = append(records, r); return nil }
	w.permits("1", gate.NotDenied)

	killed := w.restarted(records) // after the permit, before its end
	killed.wantSaid("delivery")
	if d, ok := killed.led.Delivery("1"); !ok || !d.InDoubt() || d.Code != engine.DeliveryInDoubt || d.Engine != mine || d.CloudID != "c-ann" {
		t.Errorf("%+v", d)
	}
	other := bob
	if all, his := killed.g.Doubtful(nil), killed.g.Doubtful(&other); len(all) != 1 || len(his) != 0 {
		t.Errorf("in doubt: %+v, of somebody else: %+v", all, his)
	}
	killed.time = killed.time.Add(25 * time.Hour)
	if all := killed.g.Doubtful(nil); len(all) != 0 {
		t.Errorf("in doubt for ever: %+v", all)
	}
	killed.time = killed.time.Add(-25 * time.Hour)
	killed.permits("1", gate.DeniedSeen)
	killed.permits("2", gate.DeniedBusy) // the first may still arrive
	if len(killed.led.DoubtfulDeliveries()) != 1 {
		t.Error("the doubt is not told")
	}
	killed.time = killed.time.Add(21 * time.Second)
	killed.permits("3", gate.NotDenied)
	killed.ended("3", "history")
	if len(killed.led.DoubtfulDeliveries()) != 1 {
		t.Error("a refusal does not say whether the first had arrived")
	}
	killed.permits("4", gate.NotDenied)
	killed.ended("4", "ok")
	if got := killed.led.DoubtfulDeliveries(); len(got) != 0 {
		t.Errorf("the password is known, and yet in doubt: %+v", got)
	}

	w.ended("1", "ok")
	over := w.restarted(records) // after the end
	over.wantSaid()
	over.permits("1", gate.DeniedSeen)
	over.permits("2", gate.NotDenied)
}

func TestIDsAreRememberedLongPastTheirDeadlineAndNotForEver(t *testing.T) {
	w := clerks(t)
	w.permits("1", gate.NotDenied)
	w.ended("1", "ok")
	w.time = w.time.Add(23 * time.Hour)
	w.permits("2", gate.NotDenied)
	w.ended("2", "ok")
	w.permits("1", gate.DeniedSeen)
	w.time = w.time.Add(2 * time.Hour)
	w.permits("3", gate.NotDenied)
	if _, there := w.led.Delivery("1"); there {
		t.Error("an id is remembered for ever")
	}
}

// An id is forgotten after a day. A clock that is set back makes its event look as if it were due.
func TestAnEventWhoseIDIsForgottenIsNotCarriedOutAgain(t *testing.T) {
	w := clerks(t)
	old := w.delivery("1")
	w.permits("1", gate.NotDenied)
	w.ended("1", "ok")
	then := w.time
	w.time = w.time.Add(25 * time.Hour)
	w.permits("2", gate.NotDenied)
	w.ended("2", "ok")
	if _, known := w.g.Permitted("1"); known {
		t.Fatal("ids are remembered for ever: this test is about those that are not")
	}
	w.time = then.Add(time.Second)
	if _, no, why, err := w.g.Permit(t.Context(), old); no != gate.DeniedOld || !strings.Contains(why, "before") || err != nil {
		t.Errorf("%q %q %v", no, why, err)
	}
	asked := w.delivery("3")
	asked.Feature = scoping.Users // of a command: its id is this host's
	if _, no, why, err := w.g.Permit(t.Context(), asked); no != gate.NotDenied || err != nil {
		t.Errorf("%q %q %v", no, why, err)
	}
}
