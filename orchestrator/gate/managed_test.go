package gate_test

import (
	"context"
	"slices"
	"testing"

	"github.com/tandem-sync/tandem/orchestrator/gate"
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/standing"
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

const registered = "extension_0123456789abcdef0123456789abcdef_employeeNumber"

// extended is connect's proposal of ann's extensions.
func extended(p *engine.Proposal) {
	p.Feature, p.Desired = scoping.Extensions, map[string]engine.Value{"extensionAttribute1": text("one"), registered: text("17")}
}

func managing(d scoping.Defaults) gate.Rules {
	r := usual
	r.Managed = gate.ManagedBy(d)
	return r
}

func TestLeftOutAttributesAreNamedByEitherSide(t *testing.T) {
	m := gate.ManagedBy(scoping.Defaults{Attributes: scoping.AttributesDefault{LeaveOut: []string{"mobile", "jobTitle"}}, Extensions: []string{"extensionAttribute2"}})
	if len(m.LeaveOut) != 2 || !m.LeaveOut["mobilePhone"] || !m.LeaveOut["jobTitle"] || len(m.Extensions) != 1 || !m.Extensions["extensionAttribute2"] {
		t.Errorf("%+v", m)
	}
	if !m.Leaves(scoping.User, "mobilePhone") || !m.Leaves(scoping.Contact, "jobTitle") || !m.Leaves(scoping.User, "extensionAttribute1") || m.Leaves(scoping.User, "extensionAttribute2") || m.Leaves(scoping.User, "city") {
		t.Errorf("left alone by %+v", m)
	}
}

// The extensions of a user are a feature beside the base one: it waits for the object, and makes, joins and deletes nothing.
func TestExtensionsWaitForTheBaseFeature(t *testing.T) {
	decideAll(t, newcomer, []variant{
		{"no account yet", nil, extended, engine.Partial, "waits-for-base"},
		{"no account yet, in a plan", func(c *gate.Case) { c.Standing.Ceiling = engine.ModeShadow }, extended, engine.Unchanged, "waits-for-base"},
	})
	decideAll(t, linked, []variant{
		{"written", nil, extended, engine.Applied, ""},
		{"there already", func(c *gate.Case) {
			c.Cloud.Values["extensionAttribute1"], c.Cloud.Values[registered] = []string{"one"}, []string{"17"}
		}, extended, engine.Unchanged, ""},
		{"cleared", func(c *gate.Case) { c.Cloud.Values["extensionAttribute1"] = []string{"one"} },
			func(p *engine.Proposal) { extended(p); p.Desired["extensionAttribute1"] = text() }, engine.Parked, ""},
		{"in a judged run", func(c *gate.Case) { c.Standing.Ceiling = engine.ModeShadow }, extended, engine.Shadowed, "update"},
		{"deleted account", func(c *gate.Case) { c.Cloud.Deleted = true }, extended, engine.Partial, "waits-for-base"},
		{"synced by Microsoft's engines", func(c *gate.Case) { c.Cloud.Synced = true }, extended, engine.Failed, "synced"},
		{"somebody else's", foreign, extended, engine.Refused, "not-owner"},
		{"an attribute of the base feature (F2)", nil, func(p *engine.Proposal) { extended(p); p.Desired[cloud.DisplayName] = text("x") }, engine.Refused, "foreign-attribute"},
		{"a name that is none", nil, func(p *engine.Proposal) { extended(p); p.Desired["extension_x"] = text("x") }, engine.Refused, "foreign-attribute"},
		{"left out by it", nil, func(p *engine.Proposal) { extended(p); p.Want = engine.Excluded }, engine.Refused, "wrong-feature"},
		{"a tombstone", func(c *gate.Case) { c.Sight.Deleted = true }, func(p *engine.Proposal) { extended(p); p.Want = engine.Gone }, engine.Unchanged, "not-linked"},
	})
	c, p := linked(), propose()
	extended(&p)
	if w := only(t, gate.Decide(c, p)); w.Op != cloud.Update || w.Set.First(registered) != "17" || len(w.Set) != 2 {
		t.Errorf("%+v", w)
	}
}

func TestWhatThePolicyLeavesOutIsNeitherWrittenNorClearedNorOwed(t *testing.T) {
	w := newWorld(t)
	w.account(ann, "ann")
	w.ran()
	w.g.SetAuthority(gate.Authority{Partition: partition(t, theirs), Epoch: epoch(5)}, managing(scoping.Defaults{Attributes: scoping.AttributesDefault{LeaveOut: []string{"mobile", "title"}}}))
	w.cache.Apply(cloud.Page{Upserts: []cloud.Upsert{{ID: "c-ann", Kind: scoping.User, Values: cloud.Values{"mobilePhone": {"1"}}}}}, w.time)
	p := propose()
	p.Desired = map[string]engine.Value{cloud.UPN: text("ann@contoso.test"), cloud.DisplayName: text("ann"), cloud.Nickname: text("ann"), cloud.Enabled: text("true"),
		"mobilePhone": text(), "jobTitle": text("Boss")}
	want(t, w.propose(p)[0], engine.Unchanged, "")
	if _, kept := p.Desired["jobTitle"]; len(w.sent) > 0 || !kept {
		t.Errorf("sent: %v; the engine's own proposal was changed: %v", w.sent, !kept)
	}
	if got := w.g.Manages(mine, ledger.Key{Object: ann, Feature: scoping.Users}); slices.Contains(got, "mobilePhone") || slices.Contains(got, "jobTitle") || len(got) != 4 {
		t.Errorf("the claim manages %v", got)
	}
	w.cache.Apply(cloud.Page{Upserts: []cloud.Upsert{{ID: "c-ann", Kind: scoping.User, Values: cloud.Values{"mobilePhone": {"2"}}}}}, w.time)
	if d := w.debt(ann, scoping.Users); d.Code != standing.Settled {
		t.Errorf("somebody else's change of it is owed: %s", d.Code)
	}
}

// A claim is good by the rules of engine and host together (S2): what is managed from now on is asked for.
func TestOtherManagedAttributesMakeClaimsStale(t *testing.T) {
	w := newWorld(t)
	w.account(ann, "ann")
	w.ran()
	s := w.begin()
	s.Begins(engine.RunBegin{Directory: "contoso", DC: guid(8), USN: 1, Rules: engine.FingerprintOf([]byte("rules"))})
	p := propose()
	p.Desired[cloud.DisplayName] = text("ann")
	if _, err := s.Propose(context.Background(), []engine.Proposal{p}); err != nil {
		t.Fatal(err)
	}
	a := gate.Authority{Partition: partition(t, theirs), Epoch: epoch(5)}
	for i, d := range []scoping.Defaults{{}, {Attributes: scoping.AttributesDefault{LeaveOut: []string{"mobile"}}}, {Extensions: []string{"extensionAttribute1"}}} {
		w.g.SetAuthority(a, managing(d))
		if got := w.debt(ann, scoping.Users).Code; (got == standing.Settled) != (i == 0) {
			t.Errorf("%+v: %q", d, got)
		}
	}
}

func TestAPlansRulesLeaveNoClaim(t *testing.T) {
	w := newWorld(t)
	w.account(ann, "ann")
	is := gate.ManagedBy(scoping.Defaults{Attributes: scoping.AttributesDefault{LeaveOut: []string{"title"}}})
	for managed, op := range map[*gate.Managed]string{nil: "update", &is: ""} {
		s := w.g.Begin(gate.SessionOptions{Engine: mine, Run: 1, Ceiling: engine.ModeShadow, Silent: true, Managed: managed})
		p := propose()
		p.Desired[cloud.DisplayName], p.Desired["jobTitle"] = text("ann"), text("Boss")
		if _, err := s.Propose(context.Background(), []engine.Proposal{p}); err != nil {
			t.Fatal(err)
		}
		if j, _ := s.Said(ledger.Key{Object: ann, Feature: scoping.Users}); j.Op != op {
			t.Errorf("%v: %q %s", managed, j.Op, j.Code)
		}
		if managed != nil && slices.Contains(w.g.Manages(mine, ledger.Key{Object: ann, Feature: scoping.Users}), "x") {
			t.Error("a plan left a claim")
		}
	}
}

// pat is a contact in sales.
func pat(c *gate.Case) {
	c.Sight.Kind = scoping.Contact
	if c.Row != nil {
		c.Row.Kind = scoping.Contact
		c.Cloud.Kind = scoping.Contact
		c.Cloud.Values = cloud.Values{cloud.DisplayName: {"Pat"}, cloud.Mail: {"pat@partner.test"}, cloud.SourceAnchor: {annAnchor}}
		c.Row.Features = map[scoping.Feature]*ledger.Last{scoping.Contacts: c.Row.Features[scoping.Users]}
	}
}

func patSays(p *engine.Proposal) {
	p.Kind, p.Feature = scoping.Contact, scoping.Contacts
	p.Desired = map[string]engine.Value{cloud.DisplayName: text("Pat"), cloud.Mail: text("pat@partner.test"), "jobTitle": text()}
}

// Contacts are made under their anchor, and what deletes them cannot be taken back.
func TestContactsAreAKindOfTheirOwn(t *testing.T) {
	as := func(f func(*gate.Case)) func(*gate.Case) {
		return func(c *gate.Case) {
			pat(c)
			if f != nil {
				f(c)
			}
		}
	}
	says := func(f func(*engine.Proposal)) func(*engine.Proposal) {
		return func(p *engine.Proposal) { patSays(p); f(p) }
	}
	decideAll(t, newcomer, []variant{
		{"made", as(nil), patSays, engine.Applied, ""},
		{"without an address", as(nil), says(func(p *engine.Proposal) { delete(p.Desired, cloud.Mail) }), engine.Failed, "incomplete"},
		{"joined by its anchor", as(func(c *gate.Case) {
			c.Live = []cloud.Object{{ID: "c-pat", Kind: scoping.Contact, Values: cloud.Values{cloud.DisplayName: {"P"}}}}
			c.Power["c-pat"] = ""
		}), patSays, engine.Applied, ""},
		{"under another feature", as(nil), func(p *engine.Proposal) { p.Kind = scoping.Contact }, engine.Refused, "wrong-feature"},
		{"with a user's attribute (F2)", as(nil), says(func(p *engine.Proposal) { p.Desired[cloud.UPN] = text("pat@contoso.test") }), engine.Refused, "foreign-attribute"},
		{"with its anchor as a value", as(nil), says(func(p *engine.Proposal) { p.Desired[cloud.SourceAnchor] = text("x") }), engine.Refused, "foreign-attribute"},
	})
	decideAll(t, linked, []variant{
		{"as it is", as(nil), patSays, engine.Unchanged, ""},
		{"changed", as(nil), says(func(p *engine.Proposal) { p.Desired["department"] = text("Trade") }), engine.Applied, ""},
		{"made anew after a delete of a moment ago: no bin has it", as(func(c *gate.Case) { c.Cloud.Deleted, c.Row.State = true, ledger.DeletedByTandem }), patSays, engine.Applied, ""},
	})
	c, p := newcomer(), propose()
	pat(&c)
	patSays(&p)
	if w := only(t, gate.Decide(c, p)); w.Op != cloud.Create || w.Anchor != annAnchor || w.Key != "" || w.Valid() != nil {
		t.Errorf("%+v %v", w, w.Valid())
	}
	c, p = linked(), propose()
	pat(&c)
	patSays(&p)
	c.Cloud.Deleted, c.Row.State = true, ledger.DeletedByTandem
	if w := only(t, gate.Decide(c, p)); w.Op != cloud.Create {
		t.Errorf("%+v", w)
	}
	c = linked()
	pat(&c)
	c.Sight.Deleted = true
	p.Want = engine.Gone
	if v := gate.Decide(c, p); v.Outcome != engine.Parked || v.Class != ledger.Irrevocable {
		t.Errorf("a delete: %s %s", v.Outcome, v.Class)
	}
	p.Want, p.Feature, p.Desired, p.Refs = engine.Present, scoping.References, nil, map[string]engine.Refs{cloud.Manager: {Whole: true, Targets: []scoping.ObjectID{bob}}}
	c = linked()
	pat(&c)
	c.Resolve = func(scoping.ObjectID) (string, gate.RefState) { return "c-bob", gate.RefLinked }
	if w := only(t, gate.Decide(c, p)); w.Op != cloud.SetManager || w.Valid() != nil {
		t.Errorf("its manager: %+v %v", w, w.Valid())
	}
}

// An end of a kind that the policy does not switch on is left out, and is asked for again once it does.
func TestEndsOfAKindThatIsOffAreWaitedFor(t *testing.T) {
	c, p := linked(), propose()
	p.Feature, p.Desired, p.Refs = scoping.References, nil, map[string]engine.Refs{cloud.Manager: {Whole: true, Targets: []scoping.ObjectID{bob}}}
	c.Resolve = func(scoping.ObjectID) (string, gate.RefState) { return "", gate.RefOff }
	v := gate.Decide(c, p)
	check(t, v, engine.Unchanged, "")
	if v.Claim.Never == nil || v.Claim.Never.Count != 1 || !v.Closed {
		t.Errorf("%+v", v.Claim)
	}
}
