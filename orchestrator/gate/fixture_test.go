package gate_test

import (
	"encoding/base64"
	"testing"

	"github.com/tandem-sync/tandem/orchestrator/gate"
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// The names that all tables of this package use: ann is a user in sales, who belongs to connect; cloudsync is the other engine.
const (
	mine   = "connect"
	theirs = "cloudsync"
)

var (
	root  = guid(1)
	sales = guid(2)
	other = guid(3)
	ann   = object(10)
	bob   = object(11)
	staff = object(12)

	annAnchor = anchorOf(ann)
	now       = int64(1_000_000_000)
)

func guid(n byte) (g scoping.GUID) { g[15] = n; return g }

func object(n byte) scoping.ObjectID { return scoping.ObjectID{Directory: "contoso", GUID: guid(n)} }

func anchorOf(o scoping.ObjectID) string { return base64.StdEncoding.EncodeToString(o.GUID[:]) }

func epoch(n uint64) scoping.Epoch { return scoping.Epoch{Incarnation: 1, N: n} }

func text(v ...string) engine.Value { return engine.Value{Text: v} }

// values is what ann's account looks like.
func values() cloud.Values {
	return cloud.Values{cloud.UPN: {"ann@contoso.test"}, cloud.DisplayName: {"Ann"}, cloud.Nickname: {"ann"}, cloud.Enabled: {"true"},
		cloud.ImmutableID: {annAnchor}}
}

// propose is connect's proposal of ann as she is.
func propose() engine.Proposal {
	return engine.Proposal{Seq: 1, Object: ann, Kind: scoping.User, Name: "CN=Ann", Parent: sales, Feature: scoping.Users, Grant: 1, Epoch: epoch(5),
		Want: engine.Present, Desired: map[string]engine.Value{cloud.UPN: text("ann@contoso.test"), cloud.DisplayName: text("Ann"),
			cloud.Nickname: text("ann"), cloud.Enabled: text("true")}}
}

// newcomer is ann's case before she is in the tenant: connect owns her place.
func newcomer() gate.Case {
	return gate.Case{
		Now: now, Steady: now,
		Standing: gate.Standing{Engine: mine, Owner: mine, Assignment: "a", Epoch: epoch(5), Granted: epoch(5), Ceiling: engine.ModeOwn},
		Sight:    gate.Sight{Known: true, Kind: scoping.User, Parent: sales, Chain: []scoping.GUID{sales, root}, Anchor: annAnchor},
		Rules:    gate.Rules{Objects: 500, Percent: 10, Irrevocable: 10},
		LinkedTo: func(string) (*ledger.Row, bool) { return nil, false },
		Alive:    func(scoping.ObjectID) bool { return true },
		Deleted:  func(scoping.ObjectID) bool { return false },
		Resolve:  func(scoping.ObjectID) (string, gate.RefState) { return "", gate.RefWaits },
		Power:    map[string]string{},
		Answered: func(ledger.Grave) (ledger.HoldState, string) { return ledger.HoldOpen, "" },
	}
}

// linked is ann's case while her account c-ann shows exactly what connect proposes.
func linked() gate.Case {
	c := newcomer()
	c.Standing.Record, c.Standing.Recorded = mine, true
	c.Row = rowOf(ann, scoping.User, "c-ann")
	c.Cloud = &cloud.Object{ID: "c-ann", Kind: scoping.User, Values: values()}
	return c
}

func rowOf(o scoping.ObjectID, k scoping.Kind, id string) *ledger.Row {
	return &ledger.Row{Object: o, Kind: k, Name: "row of " + id, CloudID: id, Anchor: anchorOf(o), State: ledger.Live,
		Features: map[scoping.Feature]*ledger.Last{scoping.Base(k): {Engine: mine, Epoch: epoch(5), Place: sales, Chain: []scoping.GUID{sales, root}}}}
}

// variant is one row of a table: what differs from the usual case, and what is to come of it.
type variant struct {
	name    string
	c       func(*gate.Case)
	p       func(*engine.Proposal)
	outcome engine.Outcome
	code    gate.Code
}

func (x variant) make(c gate.Case, p engine.Proposal) (gate.Case, engine.Proposal) {
	if x.c != nil {
		x.c(&c)
	}
	if x.p != nil {
		x.p(&p)
	}
	return c, p
}

// decideAll runs a table through Decide. Whatever is not applied must bring no write along.
func decideAll(t *testing.T, base func() gate.Case, table []variant) {
	t.Helper()
	for _, x := range table {
		t.Run(x.name, func(t *testing.T) {
			c, p := x.make(base(), propose())
			check(t, gate.Decide(c, p), x.outcome, x.code)
		})
	}
}

func check(t *testing.T, v gate.Verdict, o engine.Outcome, code gate.Code) {
	t.Helper()
	if v.Outcome != o || v.Code != code {
		t.Fatalf("%s %q (%s), want %s %q", v.Outcome, v.Code, v.Reason, o, code)
	}
	if v.Outcome != engine.Applied && v.Outcome != engine.Parked && v.Outcome != engine.Partial && len(v.Writes) > 0 {
		t.Fatalf("%s brings writes along: %v", v.Outcome, v.Writes)
	}
}

// only gives the single write of a verdict.
func only(t *testing.T, v gate.Verdict) cloud.Write {
	t.Helper()
	if len(v.Writes) != 1 {
		t.Fatalf("%s %q (%s): %d writes %v, want one", v.Outcome, v.Code, v.Reason, len(v.Writes), v.Writes)
	}
	return v.Writes[0]
}
