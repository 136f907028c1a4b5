package gate_test

import (
	"testing"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/gate"
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/plugins/credential"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// What was made of an object of the tenant is written to the tenant by nobody: neither its values nor its death nor its references.
func TestWhatWasMadeOfTheTenantsObjectsDoesNotComeBack(t *testing.T) {
	mastered := func(c *gate.Case) { c.Row.Cloud = 7 }
	decideAll(t, linked, []variant{
		{"another value", mastered, func(p *engine.Proposal) { p.Desired[cloud.DisplayName] = text("Anna") }, engine.Released, gate.CodeCloudMastered},
		{"a tombstone", mastered, func(p *engine.Proposal) { p.Want = engine.Gone }, engine.Released, gate.CodeCloudMastered},
		{"left out", mastered, func(p *engine.Proposal) { p.Want, p.Reason = engine.Excluded, "x" }, engine.Released, gate.CodeCloudMastered},
		{"its manager", mastered, func(p *engine.Proposal) {
			p.Feature, p.Desired, p.Refs = scoping.References, nil, map[string]engine.Refs{cloud.Manager: {Whole: true}}
		}, engine.Released, gate.CodeCloudMastered},
		{"one that the directory feeds", nil, nil, engine.Unchanged, ""},
	})
}

// Nobody is made again in the tenant of what lies where objects of the tenant are brought: it may be one whose write had no answer.
func TestWhatLiesWhereObjectsAreBroughtIsNotMadeAgain(t *testing.T) {
	brought := func(c *gate.Case) { c.Brought = "new hires" }
	decideAll(t, newcomer, []variant{
		{"a newcomer there", brought, nil, engine.Held, gate.CodeCloudMasteredQ},
		{"who died there", func(c *gate.Case) { c.Brought, c.Sight.Deleted = "new hires", true }, nil, engine.Deferred, gate.CodeGone},
		{"a newcomer elsewhere", nil, nil, engine.Applied, ""},
	})
}

// Nor of what shows the link of an object of the tenant, wherever it lies: an older state does not know what was made of whom. What the tenant has by this object's anchor a directory feeds.
func TestWhatShowsALinkOfTheTenantIsNotMadeAgain(t *testing.T) {
	shows := func(c *gate.Case) { c.Shows = "User_1" }
	decideAll(t, newcomer, []variant{
		{"a newcomer with a link", shows, nil, engine.Held, gate.CodeCloudMasteredQ},
		{"who died", func(c *gate.Case) { c.Shows, c.Sight.Deleted = "User_1", true }, nil, engine.Deferred, gate.CodeGone},
		{"without the safeguard", func(c *gate.Case) { c.Shows, c.Without = "User_1", gate.LinksChecked }, nil, engine.Applied, ""},
	})
	decideAll(t, linked, []variant{{"one that the ledger knows", nil, nil, engine.Unchanged, ""}})
}

// A member whose account is deleted in the directory waits for its own delete in the tenant. One that the tenant feeds has none: it is a member like one
// that lives (simulation, seed 4366).
func TestAMemberThatTheTenantFeedsDoesNotWaitForItsDelete(t *testing.T) {
	for _, x := range []struct {
		feeds, ours bool
		outcome     engine.Outcome
		dying       bool
	}{
		{false, true, engine.Partial, true},
		{false, false, engine.Partial, true},
		{true, true, engine.Parked, false},
		{true, false, engine.Unchanged, false},
	} {
		c := groupCase()
		c.Cloud.Members = []string{"c-bob"}
		c.Deleted = func(o scoping.ObjectID) bool { return o == bob }
		c.Row.Links = &ledger.Links{}
		if x.ours {
			c.Row.Links = nil // all references to linked objects count as Tandem's
		}
		c.LinkedTo = func(id string) (*ledger.Row, bool) {
			row := rowOf(bob, scoping.User, id)
			if x.feeds {
				row.Cloud = 7
			}
			return row, true
		}
		if v := gate.Decide(c, members()); v.Outcome != x.outcome || v.Dying != x.dying {
			t.Errorf("%+v: %s %q, dying %t", x, v.Outcome, v.Code, v.Dying)
		}
	}
}

// The password of such an account is the directory's, but for the one that it was made with.
func TestThePasswordThatNobodyKnowsIsNotHandedOver(t *testing.T) {
	made := credential.Stamp{Version: 1, Changed: time.Unix(1_700_000_000, 0), Invocation: guid(9), USN: 4}
	later := made
	later.Version, later.USN = 2, 9
	for name, x := range map[string]struct {
		stamp   credential.Stamp
		outcome engine.Outcome
		code    gate.Code
	}{"made with the account": {made, engine.Unchanged, gate.CodeNobodyKnows}, "set later": {later, engine.Wanted, "password-wanted"}} {
		c := linked()
		c.Row.Cloud, c.Row.Stamp = 7, made.Text()
		p := engine.Proposal{Seq: 1, Object: ann, Kind: scoping.User, Parent: sales, Feature: scoping.PasswordHash, Grant: 1, Epoch: epoch(5), Want: engine.Present, Password: &engine.Password{Stamp: x.stamp}}
		if v := gate.Decide(c, p); v.Outcome != x.outcome || v.Code != x.code {
			t.Errorf("%s: %s %q (%s)", name, v.Outcome, v.Code, v.Reason)
		}
	}
}
