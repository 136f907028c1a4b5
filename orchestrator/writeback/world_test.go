package writeback_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
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

const (
	mine   = "connect"
	theirs = "cloudsync"
	home   = "tenant-1"
	us     = "installation-1"
)

var (
	root  = guid(1)
	sales = guid(2)
	ann   = scoping.ObjectID{Directory: "contoso", GUID: guid(10)}
)

func guid(n byte) (g scoping.GUID) { g[15] = n; return g }

// world is a tenant with a relay, a directory with one user, an engine between them, and the host's gate over a log in memory. Its processes may be killed.
type world struct {
	*testing.T
	log    []ledger.Record // what is durable
	now    time.Time
	events []cloud.PasswordEvent // that the relay hands out in the next poll
	polls  int
	told   []string // "id code" of each answer, in order
	words  []string // the sentences
	power  map[string]string
	unread error // of the directory
	silent error // of the relay when it is answered

	sight    gate.Sight
	password string // of ann, in the directory
	writes   int
	engine   engine.Engine
	delivers []scoping.Feature
	asked    []engine.Delivery

	reached func(point string) // told of each point; nil: nobody

	mu   sync.Mutex
	ids  int
	kill string // the point at which the process dies
	dead bool
	desk *writeback.Desk
	gate *gate.Gate
}

var errKilled = errors.New("the process is dead")

func newWorld(t *testing.T) *world {
	w := &world{T: t, now: time.Date(2026, 11, 29, 8, 0, 0, 0, time.UTC), power: map[string]string{}, password: "first", delivers: []scoping.Feature{scoping.PasswordWriteback},
		sight: gate.Sight{Known: true, Kind: scoping.User, Parent: sales, Chain: []scoping.GUID{sales, root}, Name: "CN=ann,OU=Sales"}}
	w.engine = engineOf{w: w}
	w.log = append(w.log, ledger.Record{V: ledger.Version, Type: ledger.DecisionType, Engine: mine, Object: &ann, Kind: scoping.User, Feature: scoping.Users, Outcome: engine.Unchanged, Closed: true,
		Epoch: scoping.Epoch{Incarnation: 1, N: 5}, Claim: &ledger.Claim{CloudID: "c-ann", Anchor: "a", Place: sales, Chain: []scoping.GUID{sales, root}, State: ledger.Live}})
	w.start()
	return w
}

// start begins a process over what is durable.
func (w *world) start() {
	w.Helper()
	w.dead, w.kill = false, ""
	led := ledger.New()
	for i, r := range w.log {
		w.ok(led.Fold(uint64(i+1), r))
	}
	features := []scoping.Feature{scoping.Users, scoping.Groups, scoping.PasswordWriteback}
	caps := scoping.EngineCaps{Features: features}
	p, err := scoping.Compile(scoping.Policy{Features: features, Defaults: scoping.DefaultDefaults(), Assignments: []scoping.Assignment{
		{Name: "a", Directory: "contoso", Under: scoping.Pin{GUID: root, DN: "DC=contoso,DC=test"}, Engine: mine, Features: features},
	}}, map[string]scoping.EngineCaps{mine: caps, theirs: caps})
	w.ok(err)
	w.gate = gate.New(gate.Options{Ledger: led, Cache: cloud.NewCache(time.Minute), Tenant: w, Census: w, Journal: w, Clock: w, Entitle: w.alive, NewID: w.id})
	w.gate.SetAuthority(gate.Authority{Partition: p.Succeed(nil, scoping.Epoch{Incarnation: 1, N: 5}), Epoch: scoping.Epoch{Incarnation: 1, N: 5}, Installation: us}, gate.Rules{})
	_, err = w.gate.Recover(context.Background())
	w.ok(err)
	w.desk = writeback.New(writeback.Options{Gate: w.gate, Census: w, Engines: w, Tenant: w, Relay: w, Clock: w, Entitle: w.alive, Own: map[string][]string{"contoso": {"svc-reset@contoso.test"}},
		NewID: w.id})
}

func (w *world) ok(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// at kills the process if this is where it is to die, and says whether it is dead.
func (w *world) at(point string) error {
	if w.reached != nil {
		w.reached(point)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.dead = w.dead || point != "" && point == w.kill
	if w.dead {
		return errKilled
	}
	return nil
}

func (w *world) alive(context.Context) error { return w.at("") }

// poll lets the relay hand events out once.
func (w *world) poll(events ...cloud.PasswordEvent) error {
	w.events = events
	return w.desk.Poll(context.Background())
}

// event is one that a reset in the tenant makes.
func (w *world) event(id string) cloud.PasswordEvent {
	return cloud.PasswordEvent{ID: id, Tenant: home, Installation: us, CloudID: "c-ann", Op: cloud.ResetPassword, NewPassword: secret.Take([]byte("second")), Deadline: w.now.Add(30 * time.Second)}
}

func (w *world) said(want ...string) {
	w.Helper()
	if got := strings.Join(w.told, ", "); got != strings.Join(want, ", ") {
		w.Errorf("the tenant was told %q, not %q", got, strings.Join(want, ", "))
	}
}

// Append implements gate.Journal.
func (w *world) Append(_ context.Context, records [][]byte) (uint64, error) {
	for _, b := range records {
		r, err := ledger.Decode(b)
		w.ok(err)
		step := string(r.Type)
		if r.Delivery != nil {
			step = string(r.Delivery.Step)
		}
		if err := w.at("before " + step); err != nil {
			return 0, err
		}
		w.log = append(w.log, r)
		if err := w.at("after " + step); err != nil {
			return 0, err
		}
	}
	return uint64(len(w.log)), nil
}

// Describe implements writeback.Engines.
func (w *world) Describe(context.Context, string) (engine.Description, error) {
	return engine.Description{Delivers: w.delivers}, w.at("describe")
}

// Deliver implements writeback.Engines.
func (w *world) Deliver(ctx context.Context, _ string, d engine.Delivery, permit func(context.Context) (engine.Permit, error)) (engine.DeliveryResult, bool, error) {
	w.asked = append(w.asked, d)
	if err := w.at("handed"); err != nil {
		return engine.DeliveryResult{}, false, err
	}
	r, permitted, err := engine.Deliver(ctx, w.engine, d, permit)
	if dead := w.at("result"); dead != nil {
		return engine.DeliveryResult{}, permitted, dead
	}
	return r, permitted, err
}

// engineOf is an engine that writes into the world's directory.
type engineOf struct {
	engine.Engine
	w    *world
	code string // instead of writing
}

func (e engineOf) Deliver(ctx context.Context, d engine.Delivery, in <-chan engine.Permit, out chan<- engine.DeliverEvent) error {
	if e.code == "not-allowed" || e.code == "no-agent" {
		return engine.Tell(ctx, out, engine.DeliveryResult{ID: d.ID, Code: e.code, Reason: "it is in Domain Admins"})
	}
	p, err := engine.Ask(ctx, d.ID, in, out)
	defer p.Wipe()
	if err != nil {
		return err
	}
	if p.Refused != "" {
		return engine.Tell(ctx, out, engine.DeliveryResult{ID: d.ID, Code: engine.DeliveryRefused, Reason: p.Refused})
	}
	if err := e.w.at("permit arrived"); err != nil {
		return engine.ErrEngineDied
	}
	if e.code != "" {
		return engine.Tell(ctx, out, engine.DeliveryResult{ID: d.ID, Code: e.code})
	}
	_ = p.New.Use(func(b []byte) error { e.w.password = string(b); return nil })
	e.w.writes++
	if err := e.w.at("written"); err != nil {
		return engine.ErrEngineDied
	}
	return engine.Tell(ctx, out, engine.DeliveryResult{ID: d.ID, Code: engine.DeliveryOK})
}

// Open implements writeback.Relay.
func (w *world) Open(context.Context) (bool, error) { return true, nil }

// PasswordEvents implements writeback.Relay.
func (w *world) PasswordEvents(context.Context, time.Duration) ([]cloud.PasswordEvent, error) {
	w.polls++
	out := w.events
	w.events = nil
	return out, w.at("")
}

// AnswerPasswordEvent implements writeback.Relay.
func (w *world) AnswerPasswordEvent(_ context.Context, id string, answer cloud.PasswordAnswer, message string) error {
	if err := w.at("before the answer"); err != nil {
		return err
	}
	if w.silent != nil {
		return w.silent
	}
	w.mu.Lock()
	w.told, w.words = append(w.told, id+" "+string(answer)), append(w.words, message)
	w.mu.Unlock()
	return w.at("after the answer")
}

// TenantID implements writeback.Relay.
func (w *world) TenantID(context.Context) (string, error) { return home, nil }

// Powerful implements writeback.Tenant.
func (w *world) Powerful(_ context.Context, ids []string) (map[string]string, error) {
	return w.power, nil
}

// What follows is the rest of what a gate wants of tenant, census and clock.

func (w *world) Now() time.Time                                   { return w.now }
func (w *world) Sleep(ctx context.Context, _ time.Duration) error { return ctx.Err() }
func (w *world) Sight(scoping.ObjectID) gate.Sight                { return w.sight }
func (w *world) Brief(scoping.ObjectID) gate.Sight                { return w.sight }
func (w *world) Reread(context.Context, []scoping.ObjectID) error { return w.unread }
func (w *world) Expected(scoping.ObjectID) bool                   { return true }
func (w *world) Reading() uint64                                  { return 1 }
func (w *world) Changed() (map[scoping.ObjectID]struct{}, bool)   { return nil, true }
func (w *world) Send(context.Context, []cloud.Write) []cloud.Result {
	panic("nothing is written to the tenant")
}
func (w *world) Find(context.Context, cloud.Key) ([]cloud.Object, error) {
	panic("nothing is looked for in the tenant")
}
func (w *world) Credential(context.Context, string) (cloud.CredentialState, bool, error) {
	panic("no credential is asked for")
}
func (w *world) Evidence(context.Context, []scoping.ObjectID, string) (map[scoping.ObjectID]gate.Evidence, error) {
	panic("no evidence is asked for")
}

func (w *world) id() string {
	w.ids++
	return fmt.Sprintf("command-%d", w.ids)
}
