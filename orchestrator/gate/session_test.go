package gate_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tandem-sync/tandem/orchestrator/gate"
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/standing"
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
	"github.com/tandem-sync/tandem/state"
)

// world is a gate over the smallest fakes: what happens, in order, is in said.
type world struct {
	t      *testing.T
	g      *gate.Gate
	led    *ledger.State
	cache  *cloud.Cache
	said   []string
	seq    uint64
	ids    int
	time   time.Time
	slept  []time.Duration
	tenure time.Duration
	signed int // how often the gate made sure that it may write

	answers []cloud.Result                         // of the writes to come, in order; then Done
	reply   func(cloud.Write) (cloud.Result, bool) // answers a write, if it has an answer of its own
	sent    []cloud.Write
	during  func(cloud.Write) // called while a write is in flight
	resting func()            // called while the gate waits
	found   []cloud.Object    // what a direct reading finds

	credentials map[string]cloud.CredentialState // that the tenant keeps
	unanswered  error                            // to whoever asks for one
	append      func(ledger.Record) error        // what the journal says to a record
	sights      map[scoping.ObjectID]gate.Sight
	life        gate.Life

	evidence gate.Evidence
	reread   func(scoping.ObjectID) error // called for each object that is read again
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, led: ledger.New(), cache: cloud.NewCache(time.Minute), time: time.UnixMilli(now), tenure: time.Hour, sights: map[scoping.ObjectID]gate.Sight{}}
	for _, o := range []scoping.ObjectID{ann, bob} {
		w.sights[o] = gate.Sight{Known: true, Kind: scoping.User, Parent: sales, Chain: []scoping.GUID{sales, root}, Anchor: anchorOf(o)}
	}
	w.g = gate.New(gate.Options{Ledger: w.led, Cache: w.cache, Tenant: w, Census: w, Journal: journal{w}, Clock: w,
		Tenure: func() time.Duration { return w.tenure }, Entitle: func(context.Context) error { w.signed++; return nil }, NewID: func() string { w.ids++; return fmt.Sprintf("i%03d", w.ids) }})
	w.g.SetAuthority(gate.Authority{Partition: partition(t, theirs), Epoch: epoch(5)}, usual)
	return w
}

// account puts a linked account of o into tenant and ledger.
func (w *world) account(o scoping.ObjectID, name string) {
	v := cloud.Values{cloud.UPN: {name + "@contoso.test"}, cloud.DisplayName: {name}, cloud.Nickname: {name}, cloud.Enabled: {"true"}, cloud.ImmutableID: {anchorOf(o)}}
	w.cache.Apply(cloud.Page{Upserts: []cloud.Upsert{{ID: "c-" + name, Kind: scoping.User, Values: v}}}, time.Time{})
	claim := ledger.Claim{CloudID: "c-" + name, Anchor: anchorOf(o), Place: sales, Chain: []scoping.GUID{sales, root}, State: ledger.Live}
	if err := w.g.Record(context.Background(), ledger.Record{Type: ledger.DecisionType, Engine: mine, Object: &o, Kind: scoping.User, Feature: scoping.Users,
		Outcome: engine.Unchanged, Closed: true, Epoch: epoch(5), Claim: &claim}); err != nil {
		w.t.Fatal(err)
	}
	w.said = nil
}

// ran notes that the engine has run: from then on it is asked for what it said nothing of.
func (w *world) ran() {
	w.t.Helper()
	if err := w.g.Record(context.Background(), ledger.Record{Type: ledger.ControlType, Engine: mine, Op: "run", Detail: []byte("{}")}); err != nil {
		w.t.Fatal(err)
	}
}

// debt is what is owed for a feature of an object.
func (w *world) debt(o scoping.ObjectID, f scoping.Feature) standing.Debt {
	return w.g.DebtsOf(o)[ledger.Key{Object: o, Feature: f}]
}

func (w *world) Now() time.Time { return w.time }

func (w *world) Sleep(ctx context.Context, d time.Duration) error {
	w.slept, w.time = append(w.slept, d), w.time.Add(d)
	if w.resting != nil {
		w.resting()
	}
	return ctx.Err()
}

func (w *world) Send(_ context.Context, ws []cloud.Write) []cloud.Result {
	out := make([]cloud.Result, len(ws))
	for i, x := range ws {
		w.said, w.sent = append(w.said, "send "+string(x.Op)), append(w.sent, x)
		if w.during != nil {
			w.during(x)
		}
		id := x.CloudID
		if id == "" {
			id = "c-new"
		}
		out[i] = cloud.Result{Status: cloud.Done, CloudID: id}
		if len(w.answers) > 0 {
			out[i], w.answers = w.answers[0], w.answers[1:]
		}
		if w.reply != nil {
			if r, own := w.reply(x); own {
				out[i] = r
			}
		}
	}
	return out
}

func (w *world) Find(context.Context, cloud.Key) ([]cloud.Object, error) { return w.found, nil }

func (w *world) Powerful(context.Context, []string) (map[string]string, error) {
	return map[string]string{}, nil
}

func (w *world) Credential(_ context.Context, id string) (cloud.CredentialState, bool, error) {
	c, there := w.credentials[id]
	return c, there, w.unanswered
}

func (w *world) Sight(o scoping.ObjectID) gate.Sight            { return w.sights[o] }
func (w *world) Brief(o scoping.ObjectID) gate.Sight            { return w.sights[o] }
func (w *world) Reading() uint64                                { return 1 }
func (w *world) Changed() (map[scoping.ObjectID]struct{}, bool) { return nil, true }

func (w *world) Expected(scoping.ObjectID) bool { return true }
func (w *world) Evidence(_ context.Context, ids []scoping.ObjectID, _ string) (map[scoping.ObjectID]gate.Evidence, error) {
	out := map[scoping.ObjectID]gate.Evidence{}
	for _, id := range ids {
		out[id] = w.evidence
		if w.life != gate.Unread {
			out[id] = gate.Evidence{Life: w.life}
		}
	}
	return out, nil
}

func (w *world) Reread(_ context.Context, ids []scoping.ObjectID) error {
	for _, id := range ids {
		if w.reread == nil {
			continue
		}
		if err := w.reread(id); err != nil {
			return err
		}
	}
	return nil
}

type journal struct{ w *world }

func (j journal) Append(_ context.Context, records [][]byte) (uint64, error) {
	for _, b := range records {
		r, err := ledger.Decode(b)
		if err != nil {
			return 0, err
		}
		if j.w.append != nil {
			if err := j.w.append(r); err != nil {
				return 0, err
			}
		}
		j.w.said = append(j.w.said, string(r.Type))
	}
	j.w.seq += uint64(len(records))
	return j.w.seq, nil
}

func (w *world) begin() *gate.Session { return w.g.Begin(gate.SessionOptions{Engine: mine, Run: 1}) }

// propose lets a new session decide, and gives the answers.
func (w *world) propose(ps ...engine.Proposal) []engine.Decision {
	w.t.Helper()
	ds, err := w.begin().Propose(context.Background(), ps)
	if err != nil {
		w.t.Fatal(err)
	}
	return ds
}

func (w *world) wantSaid(want ...string) {
	w.t.Helper()
	if d := cmp.Diff(want, w.said); d != "" {
		w.t.Error(d)
	}
}

func want(t *testing.T, d engine.Decision, o engine.Outcome, code gate.Code) {
	t.Helper()
	if d.Outcome != o || d.Code != string(code) {
		t.Fatalf("%s %q (%s), want %s %q", d.Outcome, d.Code, d.Reason, o, code)
	}
}

func renamed(name string) engine.Proposal {
	p := propose()
	p.Desired[cloud.DisplayName] = text(name)
	return p
}

var (
	throttled = cloud.Result{Status: cloud.Throttled, RetryAfter: 7 * time.Second, HTTP: 429}
	lost      = cloud.Result{Status: cloud.InDoubt}
	notSent   = cloud.Result{Status: cloud.NotSent, Message: "no route"}
)

// Rule X1: intent durable, send, settlement durable, decision.
func TestIntentSendSettlementDecision(t *testing.T) {
	w := newWorld(t)
	ds := w.propose(propose())
	want(t, ds[0], engine.Applied, "")
	w.wantSaid("intent", "send create", "settle", "decision")
	if row := w.led.Rows.Get(ann); row == nil || row.CloudID != "c-new" || row.Origin != ledger.Created {
		t.Fatalf("%+v", row)
	}
	w.said = nil
	want(t, w.propose(propose())[0], engine.Unchanged, "")
	w.wantSaid() // nothing is owed for what is known already
}

// Rule X1: a record about a write is durable before the write is sent: a journal that fails stops everything.
func TestNothingIsSentThatIsNotInTheJournal(t *testing.T) {
	w := newWorld(t)
	broken := errors.New("disk")
	w.append = func(ledger.Record) error { return broken }
	if _, err := w.begin().Propose(context.Background(), []engine.Proposal{propose()}); !errors.Is(err, gate.ErrNotOpen) || !errors.Is(err, broken) {
		t.Fatalf("%v", err)
	}
	w.wantSaid()
	w.append = nil
	if _, err := w.begin().Propose(context.Background(), []engine.Proposal{propose()}); !errors.Is(err, gate.ErrNotOpen) {
		t.Fatalf("decided on after a failed journal: %v", err)
	}
	w.wantSaid()
}

// A full disk is no broken journal: nothing was written or sent, and it can be tried again.
func TestFullDiskCanBeTriedAgain(t *testing.T) {
	w := newWorld(t)
	w.append = func(ledger.Record) error { return state.ErrFull }
	if _, err := w.begin().Propose(context.Background(), []engine.Proposal{propose()}); !errors.Is(err, state.ErrFull) || errors.Is(err, gate.ErrNotOpen) {
		t.Fatalf("%v", err)
	}
	w.wantSaid()
	w.append = nil
	want(t, w.propose(propose())[0], engine.Applied, "")
}

// Rules P6 and X3: an answer that could not be made durable is no answer: the write is in doubt, not on the wire for ever.
func TestAnswerThatFoundNoRoomIsInDoubt(t *testing.T) {
	w := newWorld(t)
	w.append = func(r ledger.Record) error {
		if r.Type == ledger.SettleType {
			return state.ErrFull
		}
		return nil
	}
	if _, err := w.begin().Propose(context.Background(), []engine.Proposal{propose()}); !errors.Is(err, state.ErrFull) {
		t.Fatalf("%v", err)
	}
	w.append = nil
	w.found = []cloud.Object{account("c-ann")}
	if open, err := w.g.EndDoubts(context.Background()); open != 0 || err != nil {
		t.Fatalf("%d open, %v", open, err)
	}
	if id, ok := w.led.Linked(ann); !ok || id != "c-ann" {
		t.Errorf("linked to %q", id)
	}
}

// Invariant 1: a throttled write is admitted anew before its next attempt.
func TestEachAttemptIsAdmitted(t *testing.T) {
	away := func(w *world) {
		w.sights[ann] = gate.Sight{Known: true, Kind: scoping.User, Parent: other, Chain: []scoping.GUID{other, root}, Anchor: annAnchor}
	}
	for name, x := range map[string]struct {
		meanwhile func(*world)
		outcome   engine.Outcome
		code      gate.Code
	}{
		"nothing happens": {func(*world) {}, engine.Applied, ""},
		"a freeze": {func(w *world) {
			w.g.Freeze([]scoping.Scope{{Directory: "contoso", Under: root, Features: []scoping.Feature{scoping.Users}}}, time.Minute)
		}, engine.Deferred, "frozen"},
		"a freeze of something else": {func(w *world) {
			w.g.Freeze([]scoping.Scope{{Directory: "contoso", Under: other, Features: []scoping.Feature{scoping.Users}}}, time.Minute)
		}, engine.Applied, ""},
		"a stop (§11)": {func(w *world) {
			a := w.g.Authority()
			a.Stops = []gate.Stop{{Reason: "audit"}}
			w.g.SetAuthority(a, usual)
		}, engine.Deferred, "stopped"},
		"another owner (P7)": {away, engine.Released, "moved"},
		"a newer epoch (P5)": {func(w *world) {
			a := w.g.Authority()
			a.Partition = partition(w.t, theirs).Succeed(nil, epoch(6))
			w.g.SetAuthority(a, usual)
		}, engine.Stale, "epoch"},
		"the tenure runs out (H3)": {func(w *world) { w.tenure = time.Second }, engine.Deferred, "tenure"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.account(ann, "ann")
			w.answers = []cloud.Result{throttled}
			w.resting = func() { x.meanwhile(w) }
			want(t, w.propose(renamed("Ann B."))[0], x.outcome, x.code)
			sends := []string{"intent", "send update", "settle"}
			if x.outcome == engine.Applied {
				sends = append(sends, sends...)
			}
			w.wantSaid(append(sends, "decision")...)
			if d := cmp.Diff([]time.Duration{7 * time.Second}, w.slept); d != "" {
				t.Error(d)
			}
		})
	}
}

// A throttled write gives up after some attempts; waits grow, and none is longer than a minute.
func TestThrottledWritesGiveUp(t *testing.T) {
	w := newWorld(t)
	w.account(ann, "ann")
	for range 6 {
		w.answers = append(w.answers, cloud.Result{Status: cloud.Throttled, RetryAfter: time.Duration(len(w.answers)) * 30 * time.Second})
	}
	want(t, w.propose(renamed("Ann B."))[0], engine.Failed, "throttled")
	if len(w.slept) != 5 || w.slept[4] != time.Minute {
		t.Errorf("%v", w.slept)
	}
}

// A tenant that cannot be reached ends the run rather than every write in turn.
func TestUnreachableTenantEndsTheRun(t *testing.T) {
	w := newWorld(t)
	w.account(ann, "ann")
	for range 6 {
		w.answers = append(w.answers, notSent)
	}
	if _, err := w.begin().Propose(context.Background(), []engine.Proposal{renamed("Ann B.")}); !errors.Is(err, gate.ErrTenantDown) {
		t.Fatal(err)
	}
	if _, open := w.led.Pending(ann); open {
		t.Error("what never left is not in doubt")
	}
}

// Invariant 1 and the freeze: what is sent counts as on the wire until it is answered.
func TestWireIsCountedUntilAnswered(t *testing.T) {
	w := newWorld(t)
	w.account(ann, "ann")
	scope := []scoping.Scope{{Directory: "contoso", Under: root, Features: []scoping.Feature{scoping.Users}}}
	var f *gate.Frozen
	w.during = func(cloud.Write) {
		f = w.g.Freeze(scope, time.Minute)
		if f.InFlight() != 1 {
			t.Errorf("%d in flight", f.InFlight())
		}
	}
	want(t, w.propose(renamed("Ann B."))[0], engine.Applied, "")
	if f.InFlight() != 0 || !f.InForce() {
		t.Errorf("%d in flight, holds %v", f.InFlight(), f.InForce())
	}
	w.during = nil
	want(t, w.propose(renamed("Ann C."))[0], engine.Deferred, "frozen")
	w.time = w.time.Add(time.Minute) // the limit gives the scope back
	if f.InForce() {
		t.Error("a freeze outlives its limit")
	}
	want(t, w.propose(renamed("Ann C."))[0], engine.Applied, "")
	f.Release()
	f.Release()
}

// inDoubt is a world in which the answer to ann's renaming was lost.
func inDoubt(t *testing.T) *world {
	w := newWorld(t)
	w.account(ann, "ann")
	w.answers = []cloud.Result{lost}
	want(t, w.propose(renamed("Ann B."))[0], engine.InDoubt, "in-doubt")
	w.said = nil
	return w
}

// Rule P6: neither engine writes the object while it is in doubt; then it is read and asked for again.
func TestDoubtBlocksUntilItEnds(t *testing.T) {
	b := account("c-ann")
	b.Values[cloud.DisplayName] = []string{"Ann B."}
	for name, x := range map[string]struct {
		meanwhile func(*world)
		open      int
		how       string
	}{
		"the tenant shows it":  {func(w *world) { w.found = []cloud.Object{b} }, 0, "seen"},
		"repeated":             {func(w *world) {}, 0, "repeated"},
		"repeated in vain":     {func(w *world) { w.answers = []cloud.Result{throttled} }, 1, ""},
		"repeated, lost again": {func(w *world) { w.answers = []cloud.Result{lost} }, 1, ""},
		"not its writer's any more": {func(w *world) {
			w.sights[ann] = gate.Sight{Known: true, Kind: scoping.User, Parent: other, Chain: []scoping.GUID{other, root}}
		}, 1, ""},
		"ghostLife has passed": {func(w *world) { w.time = w.time.Add(gate.DefaultGhostLife + w.cache.Delay()) }, 0, "expired"},
	} {
		t.Run(name, func(t *testing.T) {
			w := inDoubt(t)
			want(t, w.propose(renamed("Ann C."))[0], engine.InDoubt, "in-doubt")
			x.meanwhile(w)
			open, err := w.g.EndDoubts(context.Background())
			if err != nil || open != x.open {
				t.Fatalf("%d open, %v", open, err)
			}
			if _, pending := w.led.Pending(ann); pending != (x.open > 0) {
				t.Errorf("pending: %v", pending)
			}
			if d := w.debt(ann, scoping.Users); x.how != "" && d.To != standing.Owner || x.how == "" && d.Code != standing.InFlight && d.Code != standing.Settled {
				t.Errorf("owed: %+v", d)
			}
		})
	}
}

// Rule P6: a lost answer to the repetition begins the doubt anew.
func TestLostRepetitionProlongsTheDoubt(t *testing.T) {
	w := inDoubt(t)
	w.time = w.time.Add(4 * time.Minute)
	w.answers = []cloud.Result{lost}
	if open, err := w.g.EndDoubts(context.Background()); open != 1 || err != nil {
		t.Fatal(open, err)
	}
	if o, _ := w.led.Pending(ann); o.Until != w.time.Add(gate.DefaultGhostLife).UnixMilli() {
		t.Errorf("until %d", o.Until)
	}
}

// Rule P6: a host that dies while it repeats a write counts the doubt from that attempt: what was sent then may still arrive when the first attempt
// cannot any more.
func TestDoubtCountsFromTheLastAttemptAlsoAfterACrash(t *testing.T) {
	w := inDoubt(t)
	w.time = w.time.Add(4 * time.Minute)
	w.during = func(cloud.Write) { panic("the host dies") }
	func() {
		defer func() { _ = recover() }()
		_, _ = w.g.EndDoubts(context.Background())
	}()
	again := w.time
	w.reopen()
	w.time = again.Add(gate.DefaultGhostLife - time.Second) // long after the first attempt
	w.answers = []cloud.Result{lost}
	if _, err := w.g.EndDoubts(context.Background()); err != nil {
		t.Fatal(err)
	}
	want(t, w.propose(renamed("Ann C."))[0], engine.InDoubt, "in-doubt")
}

// reopen is what a new process finds: the ledger, folded from the same log.
func (w *world) reopen() {
	w.during = nil
	w.g = gate.New(gate.Options{Ledger: w.led, Cache: w.cache, Tenant: w, Census: w, Journal: journal{w}, Clock: w,
		Tenure: func() time.Duration { return w.tenure }, NewID: func() string { w.ids++; return fmt.Sprintf("i%03d", w.ids) }})
	w.g.SetAuthority(gate.Authority{Partition: partition(w.t, theirs), Epoch: epoch(5)}, usual)
	if _, err := w.g.Recover(context.Background()); err != nil {
		w.t.Fatal(err)
	}
}

// Rule P6: that the tenant shows the wanted value does not prove that this request brought it: until the request cannot arrive any more, nothing
// different is sent, which it would overwrite.
func TestSeenValuesKeepTheObjectQuiet(t *testing.T) {
	w := inDoubt(t)
	b := account("c-ann")
	b.Values[cloud.DisplayName] = []string{"Ann B."} // somebody else wrote the same
	w.found = []cloud.Object{b}
	if open, err := w.g.EndDoubts(context.Background()); open != 0 || err != nil {
		t.Fatal(open, err)
	}
	want(t, w.propose(renamed("Ann C."))[0], engine.Deferred, "quiet")
	w.time = w.time.Add(gate.DefaultGhostLife - time.Second)
	want(t, w.propose(renamed("Ann C."))[0], engine.Deferred, "quiet")
	w.time = w.time.Add(time.Second)
	want(t, w.propose(renamed("Ann C."))[0], engine.Applied, "")
}

// Rule P6: after a repetition the first may still arrive; no different write is sent before it cannot.
func TestRepeatedWritesKeepTheObjectQuiet(t *testing.T) {
	w := inDoubt(t)
	if open, err := w.g.EndDoubts(context.Background()); open != 0 || err != nil {
		t.Fatal(open, err)
	}
	want(t, w.propose(renamed("Ann C."))[0], engine.Deferred, "quiet")
	w.time = w.time.Add(gate.DefaultGhostLife)
	want(t, w.propose(renamed("Ann C."))[0], engine.Applied, "")
}

// Rule H2: a host that may not write, such as a restored backup that nobody activated, repeats nothing, and does not sign the tenant as its own [its mark
// shut out the host that fed the tenant].
func TestWhoMayNotWriteRepeatsAndSignsNothing(t *testing.T) {
	w := inDoubt(t)
	a := w.g.Authority()
	a.ReadOnly = "it was restored"
	w.g.SetAuthority(a, usual)
	sent, signed := len(w.sent), w.signed
	if open, err := w.g.EndDoubts(context.Background()); open != 1 || err != nil {
		t.Fatal(open, err)
	}
	if len(w.sent) != sent || w.signed != signed {
		t.Errorf("%d writes were sent, and the tenant signed %d times", len(w.sent)-sent, w.signed-signed)
	}
}

// Rule X3, D1: a delete of which nobody heard, and whose object is neither alive nor among the deleted items when it cannot arrive any more, took effect.
func TestADeleteWhoseObjectIsNowhereTookEffect(t *testing.T) {
	w := newWorld(t)
	w.account(ann, "ann")
	w.sights[ann] = gate.Sight{Known: true, Deleted: true, Kind: scoping.User, Parent: sales, Chain: []scoping.GUID{sales, root}, Anchor: anchorOf(ann)}
	in := ledger.Intent{Write: cloud.Write{ID: "old", Op: cloud.Delete, Kind: scoping.User, CloudID: "c-ann"}, Claim: ledger.Claim{State: ledger.DeletedByTandem}, Final: true}
	if err := w.g.Record(context.Background(), ledger.Record{Type: ledger.IntentType, Engine: mine, Object: &ann, Kind: scoping.User, Feature: scoping.Users,
		Op: "delete", Epoch: epoch(5), Intent: &in}); err != nil {
		t.Fatal(err)
	}
	if n, err := w.g.Recover(context.Background()); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	w.tenure, w.time = time.Hour, w.time.Add(gate.DefaultGhostLife+2*time.Minute)
	if open, err := w.g.EndDoubts(context.Background()); open != 0 || err != nil {
		t.Fatal(open, err)
	}
	if s := w.led.Rows.Get(ann).State; s != ledger.DeletedByTandem {
		t.Errorf("the row is %s", s)
	}
}

// Rule X3: what an earlier process may have sent is in doubt.
func TestRecoveryPutsUnansweredWritesInDoubt(t *testing.T) {
	w := newWorld(t)
	in := ledger.Intent{Write: cloud.Write{ID: "old", Op: cloud.Create, Kind: scoping.User, Anchor: annAnchor}, Final: true}
	if err := w.g.Record(context.Background(), ledger.Record{Type: ledger.IntentType, Engine: mine, Object: &ann, Kind: scoping.User, Feature: scoping.Users,
		Op: "create", Epoch: epoch(5), Intent: &in}); err != nil {
		t.Fatal(err)
	}
	want(t, w.propose(propose())[0], engine.Deferred, "on-the-wire")
	if n, err := w.g.Recover(context.Background()); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	want(t, w.propose(propose())[0], engine.InDoubt, "in-doubt")
}

func managerOf(o scoping.ObjectID) engine.Proposal {
	p := propose()
	p.Feature, p.Desired, p.Refs = scoping.References, nil, map[string]engine.Refs{cloud.Manager: {Whole: true, Targets: []scoping.ObjectID{o}}}
	return p
}

// Rules X1 and P6: the writes of one object are in order, whatever their features, and a doubt of the first stops the second.
func TestWritesOfOneObjectAreNeverInFlightTogether(t *testing.T) {
	w := newWorld(t)
	w.account(ann, "ann")
	w.account(bob, "bob")
	ds := w.propose(renamed("Ann B."), managerOf(bob))
	want(t, ds[0], engine.Applied, "")
	want(t, ds[1], engine.Applied, "")
	w.wantSaid("intent", "send update", "settle", "intent", "send set-manager", "settle", "decision", "decision")

	w = newWorld(t)
	w.account(ann, "ann")
	w.account(bob, "bob")
	w.answers = []cloud.Result{lost}
	ds = w.propose(renamed("Ann B."), managerOf(bob))
	want(t, ds[0], engine.InDoubt, "in-doubt")
	want(t, ds[1], engine.InDoubt, "in-doubt")
	want(t, w.propose(renamed("Ann C."))[0], engine.InDoubt, "in-doubt")
}

// Different objects go in parallel: one portion of intents, sends and settlements (rule X1).
func TestDifferentObjectsGoTogether(t *testing.T) {
	w := newWorld(t)
	w.account(ann, "ann")
	w.account(bob, "bob")
	p := renamed("Bob B.")
	p.Object, p.Desired[cloud.UPN], p.Desired[cloud.Nickname] = bob, text("bob@contoso.test"), text("bob")
	w.propose(renamed("Ann B."), p)
	w.wantSaid("intent", "intent", "send update", "send update", "settle", "settle", "decision", "decision")
}

// Rule D2: what was parked is judged when the run ends complete; a broken run deletes nothing.
func TestBrokenRunsDeleteNothing(t *testing.T) {
	for _, complete := range []bool{true, false} {
		w := newWorld(t)
		w.account(ann, "ann")
		s := w.sights[ann]
		s.Deleted = true
		w.sights[ann], w.life = s, gate.Tombstone
		session := w.begin()
		p := propose()
		gone(&p)
		ds, err := session.Propose(context.Background(), []engine.Proposal{p})
		if err != nil {
			t.Fatal(err)
		}
		want(t, ds[0], engine.Parked, "delete")
		w.wantSaid("decision")
		if _, err := session.End(context.Background(), complete); err != nil {
			t.Fatal(err)
		}
		deleted := w.led.Rows.Get(ann).State == ledger.DeletedByTandem
		if _, dirty := w.led.Unsettled[ann][scoping.Users]; deleted != complete || dirty == complete {
			t.Errorf("complete %v: deleted %v, dirty %v", complete, deleted, dirty)
		}
	}
}

// Rule D2: approval lifts the hold of this very write, once.
func TestApprovalIsOfOneWrite(t *testing.T) {
	w := newWorld(t)
	w.g.SetAuthority(w.g.Authority(), gate.Rules{Objects: 0, Percent: 10})
	w.account(ann, "ann")
	disable := func(enabled string) ledger.HoldState {
		s := w.begin()
		p := propose()
		p.Desired[cloud.DisplayName], p.Desired[cloud.Enabled] = text("ann"), text(enabled)
		if _, err := s.Propose(context.Background(), []engine.Proposal{p}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.End(context.Background(), true); err != nil {
			t.Fatal(err)
		}
		for _, h := range w.led.Holds {
			return h.State
		}
		return ""
	}
	enabled := func() string { o, _ := w.cache.Get("c-ann"); return o.Values.First(cloud.Enabled) }
	if s := disable("false"); s != ledger.HoldOpen || enabled() != "true" {
		t.Fatalf("over the threshold: %q, enabled %s", s, enabled())
	}
	for id := range w.led.Holds {
		if err := w.g.Record(context.Background(), ledger.Record{Type: ledger.AnswerType, Answer: &ledger.Answer{Hold: id, Verb: "approve"}}); err != nil {
			t.Fatal(err)
		}
	}
	if disable("false"); enabled() != "false" {
		t.Fatal("approved, and not written")
	}
	disable("true")
	if s := disable("false"); s != ledger.HoldOpen || enabled() != "true" {
		t.Fatalf("the same a second time: %q, enabled %s", s, enabled())
	}
}

// Rule P5: sessions are per process and begin with the grants of that moment; a claim to be fresher counts for nothing.
func TestNobodyCanClaimToBeFresher(t *testing.T) {
	w := newWorld(t)
	w.account(ann, "ann")
	s := w.begin()
	a := w.g.Authority()
	a.Partition, a.Epoch = partition(t, theirs).Succeed(nil, epoch(6)), epoch(6)
	w.g.SetAuthority(a, usual)
	p := renamed("Ann B.")
	p.Epoch = epoch(99)
	ds, err := s.Propose(context.Background(), []engine.Proposal{p})
	if err != nil {
		t.Fatal(err)
	}
	want(t, ds[0], engine.Stale, "epoch")
	p.Grant = 77
	want(t, w.propose(p)[0], engine.Stale, "epoch")
}

// Rule L1: transfers go by the place that the record of an object tells; who moves while his write waits is settled where he is by then.
func TestWhatWaitedIsSettledWhereItIsByThen(t *testing.T) {
	w := newWorld(t)
	w.answers = []cloud.Result{throttled}
	w.resting = func() {
		s := w.sights[ann]
		s.Parent, s.Chain = guid(4), []scoping.GUID{guid(4), sales, root}
		w.sights[ann] = s
	}
	want(t, w.propose(propose())[0], engine.Applied, "")
	if l := w.led.Rows.Get(ann).Features[scoping.Users]; l.Place != guid(4) || len(l.Chain) != 3 {
		t.Errorf("settled at %s, under %v", l.Place, l.Chain)
	}
}

// Rules J1, V2: what Tandem deleted a moment ago need not show among the deleted items yet; who comes back is not made anew for that.
func TestWhoComesBackAMomentAfterHisDeleteIsNotMadeAnew(t *testing.T) {
	c := newcomer()
	c.Row = &ledger.Row{Object: ann, Kind: scoping.User, CloudID: "c-ann", Anchor: annAnchor, State: ledger.DeletedByTandem}
	if v := gate.Decide(c, propose()); v.Op != "create" {
		t.Errorf("past the deleted items: %+v", v)
	}
	c.TooNew = true
	if v := gate.Decide(c, propose()); v.Outcome != engine.Deferred || v.Code != "not-shown" || len(v.Writes) > 0 {
		t.Errorf("a moment ago: %+v", v)
	}
}
