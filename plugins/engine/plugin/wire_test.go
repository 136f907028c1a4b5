package plugin_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/plugins/engine/enginetest"
	"github.com/tandem-sync/tandem/plugins/secret"
	"github.com/tandem-sync/tandem/scoping"
)

// echo is an engine that shows what arrived.
type echo struct {
	engine.Unimplemented
	description engine.Description
	refuse      error
	config      engine.Config
	request     engine.RunRequest
	say         []engine.RunEvent
	decided     []engine.Decision
	grants      [][]engine.Grant
	started     chan struct{} // closed when a run has begun; nil: nobody waits
}

func (e *echo) Describe(context.Context) (engine.Description, error) { return e.description, nil }

func (e *echo) Configure(_ context.Context, c engine.Config) error {
	e.config = c
	return e.refuse
}

func (e *echo) Grants(ctx context.Context, in <-chan []engine.Grant, out chan<- engine.Ack) error {
	for grants := range in {
		e.grants = append(e.grants, grants)
		for _, g := range grants {
			out <- engine.Ack{Grant: g.ID, Epoch: g.Epoch, InForce: true, Idle: true, Err: "none"}
		}
	}
	return nil
}

func (e *echo) Run(ctx context.Context, r engine.RunRequest, in <-chan []engine.Decision, out chan<- engine.RunEvent) error {
	e.request = r
	for _, event := range e.say {
		select {
		case out <- event:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if e.started != nil {
		close(e.started)
		<-ctx.Done()
		return ctx.Err()
	}
	for batch := range in {
		e.decided = append(e.decided, batch...)
	}
	return nil
}

func (e *echo) Health(ctx context.Context, out chan<- engine.Health) error {
	out <- engine.Health{OK: true, Message: "well", Agents: 2, Details: map[string]string{"a": "b"}}
	<-ctx.Done()
	return ctx.Err()
}

func guid(n byte) scoping.GUID { return scoping.GUID{15: n, 0: 1} }

func object(n byte) scoping.ObjectID { return scoping.ObjectID{Directory: "contoso", GUID: guid(n)} }

func scope() scoping.Scope {
	return scoping.Scope{Directory: "contoso", Under: guid(1), Except: []scoping.GUID{guid(2), guid(3)}, Selector: "s",
		Features: []scoping.Feature{scoping.Users, scoping.Groups}}
}

func TestDescriptionCrossesTheWire(t *testing.T) {
	want := engine.Description{Kind: "k", Version: "v", Contract: 1, Features: []scoping.Feature{"users"},
		Writes:    map[scoping.Feature][]string{"users": {"displayName", "mail"}},
		Reads:     map[scoping.Kind]engine.Reads{scoping.User: {Attributes: []string{"displayName", "manager"}, More: true}, scoping.Group: {}},
		CanShadow: true, Release: "clean", Keeps: []string{"a"}, Verbs: []string{"b"}, Delivers: []scoping.Feature{"c"}, Observes: true}
	got, err := enginetest.Wire(t, &echo{description: want}).Describe(t.Context())
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("Describe: %v %s", err, diff)
	}
}

func TestConfigurationCrossesTheWireWithEveryMistake(t *testing.T) {
	e := &echo{}
	wire := enginetest.Wire(t, e)
	want := engine.Config{Engine: "e", DataDir: "/d", Settings: []byte(`{"a":1}`), Features: []scoping.Feature{"users"},
		Directories: []engine.Directory{{Name: "contoso", URLs: []string{"ldap://a", "ldap://b"}, Base: "DC=a", User: "u",
			Password: "p", CA: []byte("pem"), Insecure: true}}}
	want.Directories[0].Accounts = map[scoping.Purpose]engine.Account{
		scoping.Replicate: {User: "hash", Password: secret.Take([]byte("p1")), Port: 5135},
		scoping.Reset:     {User: "reset", Password: secret.Take([]byte("pä2")), Under: []string{"OU=a", "OU=b"}},
		scoping.Provision: {User: "wiped", Password: secret.Take(nil)},
	}
	want.Directories[0].Accounts[scoping.Provision].Password.Wipe()
	if err := wire.Configure(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	delete(want.Directories[0].Accounts, scoping.Provision) // what was wiped is not there any more
	if diff := cmp.Diff(want, e.config, cmp.Comparer(func(a, b *secret.Value) bool { return a.Equal(b) })); diff != "" {
		t.Error(diff)
	}
	e.refuse = fmt.Errorf("wrapped: %w", &engine.ConfigError{Problems: []string{"one", "two"}})
	var refused *engine.ConfigError
	if err := wire.Configure(t.Context(), want); !errors.As(err, &refused) || len(refused.Problems) != 2 {
		t.Errorf("Configure gave %v, want two problems", err)
	}
	e.refuse = errors.New("the disk is full")
	var remote *engine.RemoteError
	if err := wire.Configure(t.Context(), want); !errors.As(err, &remote) || remote.Message != "the disk is full" {
		t.Errorf("Configure gave %v", err)
	}
}

func TestGrantsAndAcksCrossTheWire(t *testing.T) {
	e := &echo{}
	wire := enginetest.Wire(t, e)
	in, out := make(chan []engine.Grant, 2), make(chan engine.Ack, 2)
	want := []engine.Grant{{ID: 7, Scope: scope(), Mode: engine.ModeShadow, Epoch: scoping.Epoch{Incarnation: 2, N: 9}}}
	in <- want
	in <- []engine.Grant{}
	close(in)
	if err := wire.Grants(t.Context(), in, out); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([][]engine.Grant{want, {}}, e.grants); diff != "" {
		t.Error(diff)
	}
	if a := <-out; a != (engine.Ack{Grant: 7, Epoch: scoping.Epoch{Incarnation: 2, N: 9}, InForce: true, Idle: true, Err: "none"}) {
		t.Errorf("ack %+v", a)
	}
}

// drive runs an engine, decides everything as applied, and gives all its events.
func drive(ctx context.Context, e engine.Engine, r engine.RunRequest) ([]engine.RunEvent, error) {
	in, out, ended := make(chan []engine.Decision), make(chan engine.RunEvent), make(chan error, 1)
	go func() { ended <- e.Run(ctx, r, in, out) }()
	var events []engine.RunEvent
	closed := false
	for {
		select {
		case event := <-out:
			events = append(events, event)
			if event.Report != nil && !event.Report.More && !closed {
				closed = true
				close(in)
			}
			if len(event.Proposals) == 0 || closed {
				continue
			}
			var decisions []engine.Decision
			for _, p := range event.Proposals {
				decisions = append(decisions, engine.Decision{Seq: p.Seq, Outcome: engine.Applied, Code: "c", Reason: "r", Owner: "o"})
			}
			in <- decisions
		case err := <-ended:
			return events, err
		}
	}
}

func TestRunCrossesTheWire(t *testing.T) {
	full := engine.Proposal{Seq: 3, Object: object(9), Kind: scoping.User, Name: "CN=Ann", Parent: guid(4), Version: 77,
		Feature: scoping.Users, Grant: 5, Epoch: scoping.Epoch{Incarnation: 1, N: 2}, Want: engine.Excluded, Reason: "no-upn",
		Desired: map[string]engine.Value{"displayName": {Text: []string{"Ä", "b"}}, "password": {Text: []string{"x"}, Secret: true}, "mail": {}},
		Refs: map[string]engine.Refs{"members": {Whole: true, Targets: []scoping.ObjectID{object(1), object(2), {Directory: "other", GUID: guid(3)}, object(4)}},
			"manager": {Added: []scoping.ObjectID{object(5)}, Removed: []scoping.ObjectID{object(6)}}}}
	e := &echo{say: []engine.RunEvent{
		{Begin: &engine.RunBegin{Directory: "contoso", DC: guid(8), USN: 9, Rules: engine.FingerprintOf([]byte("rules"))}},
		{Progress: &engine.Progress{Phase: "import", Done: 1, Total: 2}},
		{Proposals: []engine.Proposal{{Seq: 1, Object: object(8), Want: engine.Unknown, Reason: "not-found"}}},
		{Proposals: []engine.Proposal{full}},
		{Report: &engine.RunReport{Directory: "contoso", DC: guid(8), USN: 9, Read: 10, Complete: true, More: true}},
		{Report: &engine.RunReport{Directory: "contoso", Errors: []engine.ObjectError{{Object: object(1), Code: "c", Message: "m"}, {Code: "run"}}}},
	}}
	request := engine.RunRequest{Run: 4, Profile: engine.ProfileObjects, Scopes: []scoping.Scope{scope()},
		Objects: []scoping.ObjectID{object(1), object(2)}, Ceiling: engine.ModeShadow, DC: map[string]string{"contoso": "ldap://dc1"},
		AsOf: map[string]engine.AsOf{"contoso": {Invocation: guid(8), USN: 9}}, Extensions: []string{"extensionAttribute1"}}
	events, err := drive(t.Context(), enginetest.Wire(t, e), request)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(e.say, events); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(request, e.request); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]engine.Decision{{Seq: 1, Outcome: engine.Applied, Code: "c", Reason: "r", Owner: "o"}, {Seq: 3, Outcome: engine.Applied, Code: "c", Reason: "r", Owner: "o"}}, e.decided); diff != "" {
		t.Error(diff)
	}
}

func TestHugeGroupsAndBatchesCrossInPieces(t *testing.T) {
	members := make([]scoping.ObjectID, 50_000)
	for i := range members {
		members[i] = scoping.ObjectID{Directory: "contoso", GUID: scoping.GUID{0: byte(i), 1: byte(i >> 8), 2: byte(i >> 16)}}
	}
	var batch []engine.Proposal
	for i := range 300 {
		p := engine.Proposal{Seq: uint64(i + 1), Object: object(byte(i)), Want: engine.Present, Feature: scoping.References}
		if i < 6 {
			p.Refs = map[string]engine.Refs{"members": {Whole: true, Targets: members}}
		}
		batch = append(batch, p)
	}
	e := &echo{say: []engine.RunEvent{{Proposals: batch}, {Report: &engine.RunReport{Complete: true}}}}
	events, err := drive(t.Context(), enginetest.Wire(t, e), engine.RunRequest{})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, event := range events {
		if len(event.Proposals) > engine.MaxBatch {
			t.Errorf("a batch of %d", len(event.Proposals))
		}
		for _, p := range event.Proposals {
			n++
			if p.Seq != uint64(n) || (n <= 6) != (len(p.Refs["members"].Targets) == 50_000) {
				t.Errorf("proposal %d has sequence %d and %d members", n, p.Seq, len(p.Refs["members"].Targets))
			}
		}
	}
	if n != 300 || len(events) < 5 || len(e.decided) != 300 {
		t.Errorf("%d proposals in %d events, %d decisions", n, len(events), len(e.decided))
	}
}

func TestUnsupportedCallsSaySo(t *testing.T) {
	wire := enginetest.Wire(t, &echo{})
	if _, permitted, err := engine.Deliver(t.Context(), wire, engine.Delivery{ID: "1"}, nil); permitted || !errors.Is(err, engine.ErrUnsupported) {
		t.Errorf("Deliver: %v", err)
	}
	if err := wire.Observe(t.Context(), make(chan engine.TenantChange)); !errors.Is(err, engine.ErrUnsupported) {
		t.Errorf("Observe: %v", err)
	}
	if err := wire.Call(t.Context(), "v", nil, make(chan []byte)); !errors.Is(err, engine.ErrUnsupported) {
		t.Errorf("Call: %v", err)
	}
}

// deliverer supports what echo does not.
type deliverer struct {
	echo
	delivery engine.Delivery
	permit   engine.Permit
	changes  []engine.TenantChange
}

func (d *deliverer) Deliver(_ context.Context, x engine.Delivery, in <-chan engine.Permit, out chan<- engine.DeliverEvent) error {
	d.delivery = x
	out <- engine.DeliverEvent{Ready: &engine.Ready{ID: x.ID}}
	d.permit = <-in
	out <- engine.DeliverEvent{Result: &engine.DeliveryResult{ID: x.ID, Code: engine.DeliveryOK, Reason: "r", Diagnostic: "\xff"}}
	return nil
}

func (d *deliverer) Observe(_ context.Context, in <-chan engine.TenantChange) error {
	for c := range in {
		d.changes = append(d.changes, c)
	}
	return nil
}

func (d *deliverer) Call(_ context.Context, verb string, args []byte, out chan<- []byte) error {
	out <- []byte(verb)
	out <- args
	return nil
}

func TestDeliverObserveAndCallCrossTheWire(t *testing.T) {
	d := &deliverer{}
	wire := enginetest.Wire(t, d)
	delivery := engine.Delivery{ID: "i", Feature: "f", Object: object(1), Op: engine.ChangePassword, MustChange: true, Unlock: true, Own: []string{"svc@contoso.test"}}
	fresh, old := secret.Take([]byte("new word")), secret.Take([]byte("old word"))
	r, permitted, err := engine.Deliver(t.Context(), wire, delivery, func(context.Context) (engine.Permit, error) {
		return engine.Permit{Remaining: 1500 * time.Millisecond, New: fresh, Old: old}, nil
	})
	if err != nil || !permitted || r != (engine.DeliveryResult{ID: "i", Code: engine.DeliveryOK, Reason: "r", Diagnostic: "\uFFFD"}) {
		t.Errorf("Deliver: %v %v %v", r, permitted, err)
	}
	if diff := cmp.Diff(delivery, d.delivery); diff != "" {
		t.Error(diff)
	}
	if p := d.permit; p.ID != "i" || p.Refused != "" || p.Remaining != 1500*time.Millisecond || !p.New.Equal(secret.Take([]byte("new word"))) || !p.Old.Equal(secret.Take([]byte("old word"))) {
		t.Errorf("%+v", p)
	}
	if fresh.Use(func([]byte) error { return nil }) == nil || old.Use(func([]byte) error { return nil }) == nil {
		t.Error("the host's own copy is not wiped when it was sent")
	}
	change := engine.TenantChange{CloudID: "c", Kind: scoping.User, Object: object(1), Values: map[string]engine.Value{"a": {Text: []string{"b"}}}, Removed: true}
	in := make(chan engine.TenantChange, 2)
	in <- change
	in <- engine.TenantChange{CloudID: "d"}
	close(in)
	if err := wire.Observe(t.Context(), in); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff([]engine.TenantChange{change, {CloudID: "d"}}, d.changes); diff != "" {
		t.Error(diff)
	}
	out := make(chan []byte, 2)
	if err := wire.Call(t.Context(), "trace", []byte("args"), out); err != nil || string(<-out) != "trace" || string(<-out) != "args" {
		t.Errorf("Call: %v", err)
	}
}

func TestCancelledCallsEndPromptlyOnBothSides(t *testing.T) {
	e := &echo{started: make(chan struct{})}
	wire := enginetest.Wire(t, e)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-e.started; cancel() }()
	if _, err := drive(ctx, wire, engine.RunRequest{}); !errors.Is(err, context.Canceled) {
		t.Errorf("Run: %v", err)
	}
	ctx, cancel = context.WithCancel(t.Context())
	out := make(chan engine.Health)
	go func() { <-out; cancel() }()
	if err := wire.Health(ctx, out); !errors.Is(err, context.Canceled) {
		t.Errorf("Health: %v", err)
	}
}

func TestBadValuesOfAnEngineAreNamed(t *testing.T) {
	for name, p := range map[string]engine.Proposal{
		"want 0 is unknown": {Object: object(1), Seq: 1},
		`"displayName" is not UTF-8`: {Object: object(1), Seq: 1, Want: engine.Present,
			Desired: map[string]engine.Value{"displayName": {Text: []string{"\xff"}}}},
	} {
		wire := enginetest.Wire(t, &echo{say: []engine.RunEvent{{Proposals: []engine.Proposal{p}}, {Report: &engine.RunReport{}}}})
		if _, err := drive(t.Context(), wire, engine.RunRequest{}); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
