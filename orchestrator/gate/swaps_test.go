package gate_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tandem-sync/tandem/orchestrator/gate"
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

var carl = object(13)

// exchanging is a world of three linked users whose tenant gives no sign-in name twice.
type exchanging struct {
	*world
	names map[string]string // by tenant id
}

var people = map[scoping.ObjectID]string{ann: "ann", bob: "bob", carl: "carl"}

func newExchanging(t *testing.T, rules gate.Rules) *exchanging {
	w := &exchanging{world: newWorld(t), names: map[string]string{}}
	rules.InitialDomain = "contoso.onmicrosoft.test"
	w.g.SetAuthority(w.g.Authority(), rules)
	w.sights[carl] = gate.Sight{Known: true, Kind: scoping.User, Parent: sales, Chain: []scoping.GUID{sales, root}, Anchor: anchorOf(carl)}
	for o, name := range people {
		w.account(o, name)
		w.names["c-"+name] = name
	}
	w.reply = func(x cloud.Write) (cloud.Result, bool) {
		upn := x.Set.First(cloud.UPN)
		if upn == "" {
			return cloud.Result{}, false
		}
		name := strings.TrimSuffix(upn, "@contoso.test")
		for id, n := range w.names {
			if n == name && id != x.CloudID {
				return cloud.Result{Status: cloud.Rejected, HTTP: 409, Code: "conflict:userPrincipalName", Message: "Another object with the same value", Attribute: cloud.UPN, Conflict: true}, true
			}
		}
		w.names[x.CloudID] = name
		return cloud.Result{}, false
	}
	return w
}

// wants are proposals: who is to sign in with whose name. All else stays.
func wants(names map[scoping.ObjectID]string) (ps []engine.Proposal) {
	for _, o := range slices.SortedFunc(maps.Keys(names), scoping.ObjectID.Compare) {
		p := propose()
		p.Object, p.Name = o, "CN="+people[o]
		p.Desired = map[string]engine.Value{cloud.UPN: text(names[o] + "@contoso.test"), cloud.DisplayName: text(people[o]), cloud.Nickname: text(people[o]), cloud.Enabled: text("true")}
		ps = append(ps, p)
	}
	return ps
}

func (w *exchanging) wantNames(annHas, bobHas, carlHas string) {
	w.t.Helper()
	if d := cmp.Diff(map[string]string{"c-ann": annHas, "c-bob": bobHas, "c-carl": carlHas}, w.names); d != "" {
		w.t.Fatal(d)
	}
}

// set returns the only held set, which must wait.
func (w *exchanging) set() ledger.Hold {
	w.t.Helper()
	hs := w.led.SortedHolds()
	if len(hs) != 1 || hs[0].State != ledger.HoldOpen {
		w.t.Fatalf("held sets: %+v", hs)
	}
	return *hs[0]
}

func (w *exchanging) answer(verb string) {
	w.t.Helper()
	if err := w.g.Record(context.Background(), ledger.Record{Type: ledger.AnswerType, Answer: &ledger.Answer{Hold: w.set().ID, Verb: verb}}); err != nil {
		w.t.Fatal(err)
	}
}

// reopen is the next process over what the log says and what the tenant shows.
func (w *exchanging) reopen() {
	a, r := w.g.Authority(), w.g.Rules()
	w.append = nil
	w.g = gate.New(gate.Options{Ledger: w.led, Cache: w.cache, Tenant: w, Census: w, Journal: journal{w.world}, Clock: w,
		Tenure: func() time.Duration { return w.tenure }, NewID: func() string { w.ids++; return "again" + time.Duration(w.ids).String() }})
	w.g.SetAuthority(a, r)
}

const parkedAnn = "tandem-park-c-ann@contoso.onmicrosoft.test"

func key(o scoping.ObjectID) ledger.Key { return ledger.Key{Object: o, Feature: scoping.Users} }

var swapped = map[scoping.ObjectID]string{ann: "bob", bob: "ann"}

// Rule J6 (G3): two users who exchange their names are one held set that shows the parking step; approved, each write follows its intent, and both
// have their names.
func TestUsersWhoExchangeNamesAreOneHeldSet(t *testing.T) {
	for name, rules := range map[string]gate.Rules{"changes: apply": usual, "changes: hold": {Objects: 500, Percent: 10, UPNHold: true}} {
		t.Run(name, func(t *testing.T) {
			w := newExchanging(t, rules)
			for range 2 { // what is held stays one set
				got := w.judged(gate.SessionOptions{}, wants(swapped)...)
				w.wantJudged(got[key(ann)], engine.Held, "threshold", "name-swaps")
				w.wantJudged(got[key(bob)], engine.Held, "threshold", "name-swaps")
			}
			h := w.set()
			if len(w.sent) > 0 || h.Class != ledger.NameSwaps || len(h.Entries) != 2 || !strings.Contains(h.Why, "exchange their sign-in names") {
				t.Fatalf("%v sent, %+v", w.sent, h)
			}
			for i, e := range h.Entries {
				note := []string{"parking step: signs in as " + parkedAnn, "after CN=ann"}[i]
				if c := e.Changes[0]; len(e.Changes) != 1 || c.Old[0] == c.New[0] || !strings.Contains(e.Note, note) {
					t.Errorf("%+v", e)
				}
			}
			w.answer("approve")
			got := w.judged(gate.SessionOptions{}, wants(swapped)...)
			w.wantJudged(got[key(ann)], engine.Applied, "")
			w.wantJudged(got[key(bob)], engine.Applied, "")
			w.wantNames("bob", "ann", "carl")
			if w.sent[0].Set.First(cloud.UPN) != parkedAnn || len(w.sent) != 3 || w.led.Holds[h.ID].Now(now) != ledger.HoldDone {
				t.Errorf("sent %v, the set is %s", w.sent, w.led.Holds[h.ID].Now(now))
			}
			step := []string{"intent", "send update", "settle", "decision"}
			w.wantSaid(slices.Concat([]string{"decision", "decision"}, step, step, step)...)
			if owed := w.led.UnsettledKeys(); len(owed) > 0 {
				t.Errorf("owed %v", owed)
			}
			if w.judged(gate.SessionOptions{}, wants(swapped)...); len(w.sent) > 0 {
				t.Errorf("a second run sends %v", w.sent)
			}
		})
	}
}

func TestARingOfThree(t *testing.T) {
	w := newExchanging(t, usual)
	ring := wants(map[scoping.ObjectID]string{ann: "bob", bob: "carl", carl: "ann"})
	w.judged(gate.SessionOptions{}, ring...)
	if h := w.set(); len(h.Entries) != 3 {
		t.Fatalf("%+v", h)
	}
	w.answer("approve")
	w.judged(gate.SessionOptions{}, ring...)
	w.wantNames("bob", "carl", "ann")
	if len(w.sent) != 4 {
		t.Errorf("%v", w.sent)
	}
}

// A chain needs no answer and no second run: whoever has the wanted name goes first.
func TestAChainOfNamesIsWrittenInOrder(t *testing.T) {
	w := newExchanging(t, usual)
	w.judged(gate.SessionOptions{}, wants(map[scoping.ObjectID]string{ann: "bob", bob: "carl", carl: "caroline"})...)
	w.wantNames("bob", "carl", "caroline")
	if len(w.sent) != 3 || len(w.led.Holds) > 0 || len(w.led.UnsettledKeys()) > 0 {
		t.Errorf("sent %v, held %v, owed %v", w.sent, w.led.Holds, w.led.UnsettledKeys())
	}
}

// A ring is seen whatever was refused before: the second of it may come later than the first, when that waits already.
func TestARingIsSeenAfterRefusals(t *testing.T) {
	w := newExchanging(t, usual)
	for range 3 {
		w.wantJudged(w.judged(gate.SessionOptions{}, wants(map[scoping.ObjectID]string{ann: "bob"})...)[key(ann)], engine.Failed, "conflict:userPrincipalName", "c-bob")
	}
	w.wantJudged(w.judged(gate.SessionOptions{}, wants(swapped)...)[key(ann)], engine.Held, "threshold")
	if len(w.sent) > 0 || len(w.set().Entries) != 2 {
		t.Fatalf("sent %v, %+v", w.sent, w.set())
	}
	w.answer("approve")
	w.judged(gate.SessionOptions{}, wants(swapped)...)
	w.wantNames("bob", "ann", "carl")
	if len(w.led.UnsettledKeys()) > 0 || len(w.led.InTrouble()) > 0 && len(w.led.TroubleOf(key(ann)).Parts) > 0 {
		t.Errorf("owed %v, %+v", w.led.UnsettledKeys(), w.led.TroubleOf(key(ann)))
	}
}

// Two whose exchange was refused in earlier runs, and who both wait, are offered all the same.
func TestARingOfWhichAllWereRefusedIsSeen(t *testing.T) {
	w := newExchanging(t, usual)
	for range 3 {
		w.judged(gate.SessionOptions{}, wants(map[scoping.ObjectID]string{ann: "bob"})...)
		w.judged(gate.SessionOptions{}, wants(map[scoping.ObjectID]string{bob: "ann"})...)
	}
	got := w.judged(gate.SessionOptions{}, wants(swapped)...)
	w.wantJudged(got[key(ann)], engine.Held, "threshold")
	w.wantJudged(got[key(bob)], engine.Held, "threshold")
	if len(w.sent) > 0 || len(w.set().Entries) != 2 {
		t.Errorf("sent %v, %+v", w.sent, w.set())
	}
}

// A rejected exchange leaves the names as they are, quietly; what else is wanted of the users is written.
func TestARejectedExchangeKeepsTheNames(t *testing.T) {
	w := newExchanging(t, usual)
	w.judged(gate.SessionOptions{}, wants(swapped)...)
	w.answer("reject")
	ps := wants(swapped)
	ps[0].Desired[cloud.DisplayName] = text("Ann B.")
	w.judged(gate.SessionOptions{}, ps...)
	w.wantNames("ann", "bob", "carl")
	if len(w.sent) != 1 || w.sent[0].Set.First(cloud.DisplayName) != "Ann B." {
		t.Errorf("%v", w.sent)
	}
}

// Wherever a process dies between the writes of an exchange, later runs end it without another question, and nobody stays parked.
func TestACrashInAnExchangeLeavesNobodyParked(t *testing.T) {
	for name, rules := range map[string]gate.Rules{"changes: apply": usual, "changes: hold": {Objects: 500, Percent: 10, UPNHold: true}} {
		for _, kind := range []ledger.Type{ledger.IntentType, ledger.SettleType, ledger.DecisionType} {
			for nth := range 3 {
				t.Run(strings.Join([]string{name, string(kind), []string{"park", "others", "own"}[nth]}, ", "), func(t *testing.T) {
					w := newExchanging(t, rules)
					w.judged(gate.SessionOptions{}, wants(swapped)...)
					w.answer("approve")
					w.crash(kind, nth)
					w.reopen()
					for range 3 {
						if _, err := w.g.EndDoubts(context.Background()); err != nil {
							t.Fatal(err)
						}
						w.judged(gate.SessionOptions{}, wants(swapped)...)
						w.time = w.time.Add(2 * gate.DefaultGhostLife)
					}
					w.wantNames("bob", "ann", "carl")
					if len(w.led.UnsettledKeys()) > 0 {
						t.Errorf("owed: %v", w.led.UnsettledKeys())
					}
					if hs := w.led.SortedHolds(); len(hs) != 1 || hs[0].Now(now) != ledger.HoldDone {
						t.Errorf("%+v", hs)
					}
				})
			}
		}
	}
}

// crash ends a run at the nth record of a kind that the end of a run appends.
func (w *exchanging) crash(kind ledger.Type, nth int) {
	w.t.Helper()
	s := w.begin()
	if _, err := s.Propose(context.Background(), wants(swapped)); err != nil {
		w.t.Fatal(err)
	}
	died := errors.New("died")
	w.append = func(r ledger.Record) error {
		if r.Type == kind {
			if nth == 0 {
				return died
			}
			nth--
		}
		return nil
	}
	if _, err := s.End(context.Background(), true); !errors.Is(err, died) {
		w.t.Fatalf("it did not die: %v", err)
	}
}
