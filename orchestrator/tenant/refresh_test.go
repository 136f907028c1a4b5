package tenant_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	lab "github.com/tandem-sync/tandem/examples/lab/tenant"
	"github.com/tandem-sync/tandem/orchestrator/tenant"
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/scoping"
)

const lag = 30 * time.Second

func (w *world) refresh(c *cloud.Cache) []string {
	w.Helper()
	changed, err := w.client.Refresh(w.ctx, c, w.clock.now())
	if err != nil {
		w.Fatal(err)
	}
	return changed
}

// agrees compares the cache with the tenant, read directly.
func (w *world) agrees(c *cloud.Cache) {
	w.Helper()
	living := 0
	for _, o := range w.model.State(false).Objects {
		if o.Kind != lab.User && o.Kind != lab.Group {
			continue
		}
		got, ok := c.Get(o.ID)
		if !ok || got.Deleted != o.Deleted {
			w.Fatalf("%s %s: visible %v, deleted %v", o.Kind, o.ID, ok, got.Deleted)
		}
		if o.Deleted {
			continue
		}
		living++
		direct := w.one(cloud.Key{Kind: got.Kind, ID: o.ID})
		if !cloud.Equal(got.Values, direct.Values) || got.Manager != direct.Manager || !slices.Equal(got.Members, direct.Members) {
			w.Fatalf("the cache has\n%+v, the tenant\n%+v", got, direct)
		}
	}
	if n := c.Count(scoping.User) + c.Count(scoping.Group); n != living {
		w.Fatalf("%d living in the cache, %d in the tenant", n, living)
	}
}

func TestRefreshBringsEverythingAndThenChangesOnly(t *testing.T) {
	w := newWorld(t, func(o *lab.Options) { o.DeltaPageSize, o.DeltaMembersPerEntry = 3, 2 })
	s := w.scene()
	var members []string
	for i := range 7 {
		members = append(members, w.done(createUser(fmt.Sprintf("m%d", i))))
	}
	w.done(cloud.Write{Op: cloud.AddMembers, Kind: scoping.Group, CloudID: s.group, Refs: members})
	c := cloud.NewCache(lag)
	if changed := w.refresh(c); len(changed) != 0 {
		t.Errorf("a first reading reports %v", changed)
	}
	w.agrees(c)
	if o, _ := c.Get(s.gone); !o.Deleted || o.Anchor() != anchorOf("cyd") {
		t.Errorf("the deleted user is %+v", o)
	}
	before := w.client.Counters().Requests
	if changed := w.refresh(c); len(changed) != 0 || w.client.Counters().Requests != before+3 {
		t.Errorf("without a change: %v changed, %d requests", changed, w.client.Counters().Requests-before)
	}
	for _, x := range s.writes { // unknown to the cache: somebody else's
		w.send(x)
	}
	if changed := w.refresh(c); len(changed) < 6 {
		t.Errorf("changed: %v", changed)
	}
	w.agrees(c)
}

func TestOwnWritesUnderReadLagAreNoNews(t *testing.T) {
	w := newWorld(t)
	s := w.scene()
	c := cloud.NewCache(lag)
	w.refresh(c)
	w.model.SetReadLag(20 * time.Second)
	settled := 0
	for _, x := range s.writes {
		r := w.client.Send(w.ctx, []cloud.Write{x})[0]
		c.Settled(x, r, w.clock.now())
		if r.Status == cloud.Done {
			settled++
		}
		w.clock.pass(3 * time.Second)
		if changed := w.refresh(c); len(changed) != 0 {
			t.Fatalf("after %s %s: %v", x.Op, x.Kind, changed)
		}
	}
	if settled < 10 {
		t.Fatalf("only %d of %d writes were done", settled, len(s.writes))
	}
	if o, _ := c.Get(s.user); !o.Deleted {
		t.Fatal("a deleted user is visible under lag")
	}
	w.clock.pass(lag + time.Second)
	w.refresh(c)
	w.model.SetReadLag(0)
	w.refresh(c)
	w.agrees(c)
	if c.Pending() != 0 {
		t.Errorf("%d own writes are pending after the delay", c.Pending())
	}
}

func TestForgottenDeltaLinksLeadToAFullReading(t *testing.T) {
	w := newWorld(t)
	s := w.scene()
	c := cloud.NewCache(lag)
	w.refresh(c)
	for _, x := range s.writes {
		w.send(x)
	}
	w.model.ExpireDeltaTokens()
	w.clock.pass(31 * 24 * time.Hour) // the deleted are purged as well
	if changed := w.refresh(c); !slices.Contains(changed, s.user) {
		t.Errorf("changed: %v", changed)
	}
	w.agrees(c)
	if _, ok := c.Get(s.user); ok {
		t.Error("a purged user is visible")
	}
	w.fault(lab.Fault{Kind: lab.ExpiredDelta, Count: 2})
	w.refresh(c)
	w.agrees(c)
}

func TestBrokenRefreshLeavesTheCacheAsItWas(t *testing.T) {
	w := newWorld(t, func(o *lab.Options) { o.DeltaPageSize = 1 })
	s := w.scene()
	c := cloud.NewCache(lag)
	w.refresh(c)
	token, was := c.Token("users"), len(s.writes)
	for _, x := range s.writes[:was-2] {
		w.send(x)
	}
	for name, f := range map[string]lab.Fault{
		"groups forbidden":    {Kind: lab.Status, Status: 403, Path: "^/v1.0/groups/delta", Count: -1},
		"garbage on the way":  {Kind: lab.Garbage, Path: "skiptoken", Nth: 2, Count: -1},
		"cut on the way":      {Kind: lab.LostBefore, Path: "skiptoken", Nth: 2, Count: -1},
		"nothing but 503":     {Kind: lab.Status, Status: 503, Path: "^/v1.0/users/delta", Count: -1},
		"an empty collection": {Kind: lab.Garbage, Body: `{"value":[]}`, Path: "^/v1.0/users/delta", Count: -1},
	} {
		w.fault(f)
		changed, err := w.client.Refresh(w.ctx, c, w.clock.now())
		w.server.ClearFaults("")
		var e *tenant.GraphError
		if err == nil || len(changed) != 0 || !errors.As(err, &e) {
			t.Errorf("%s: %v %v", name, changed, err)
		}
		if o, _ := c.Get(s.user); c.Token("users") != token || o.Values.First(cloud.DisplayName) != "ann" {
			t.Errorf("%s: the cache went on", name)
		}
	}
	w.refresh(c)
	w.agrees(c)
}

func TestEmptyFullReadingIsAnOutage(t *testing.T) {
	w := newWorld(t)
	for i := range 25 {
		w.done(createUser(fmt.Sprintf("u%d", i)))
	}
	c := cloud.NewCache(lag)
	w.refresh(c)
	w.model.ExpireDeltaTokens()
	w.fault(lab.Fault{Kind: lab.Garbage, Path: `^/v1.0/users/delta\?%24select`, Count: -1,
		Body: `{"value":[],"@odata.deltaLink":"` + w.server.GraphEndpoint() + `/v1.0/users/delta?$deltatoken=x"}`})
	if _, err := w.client.Refresh(w.ctx, c, w.clock.now()); !errors.Is(err, tenant.ErrOutage) {
		t.Errorf("%v", err)
	}
	if c.Count(scoping.User) != 25 {
		t.Errorf("%d users left", c.Count(scoping.User))
	}
}

func TestReadsArePatient(t *testing.T) {
	w := newWorld(t)
	w.done(createUser("ann"))
	w.fault(lab.Fault{Kind: lab.Throttled, Path: "^/v1.0/users", RetryAfter: "0.25", Count: 2})
	if len(w.find(cloud.Key{Kind: scoping.User, Anchor: anchorOf("ann")})) != 1 {
		t.Error("not found")
	}
	if !slices.Equal(w.waits, []time.Duration{250 * time.Millisecond, 250 * time.Millisecond}) {
		t.Errorf("waited %v", w.waits)
	}
	w.fault(lab.Fault{Kind: lab.Throttled, Path: "^/v1.0/users", RetryAfter: "1", Count: -1})
	if _, err := w.client.Find(w.ctx, cloud.Key{Kind: scoping.User, ID: "x"}); !errors.Is(err, tenant.ErrThrottled) {
		t.Errorf("%v", err)
	}
}

func TestManagersAreReadOneByOneWhereDeltaDoesNotTrackThem(t *testing.T) {
	w := newWorld(t)
	s := w.scene()
	w.fault(lab.Fault{Kind: lab.Status, Status: 400, Message: "Tracking changes to manager is not supported", Path: "users/delta.*manager", Count: -1})
	c := cloud.NewCache(lag)
	w.fault(lab.Fault{Kind: lab.Throttled, Path: "/manager", RetryAfter: "1"})
	w.refresh(c)
	w.agrees(c)
	if o, _ := c.Get(s.boss); o.Manager != s.user {
		t.Errorf("bob is %+v", o)
	}
}

func TestPowerfulObjectsAreToldWithWhy(t *testing.T) {
	w := newWorld(t)
	ids := map[string]string{}
	for _, name := range []string{"admin", "eligible", "member", "plain"} {
		ids[name] = w.done(createUser(name))
	}
	g, err := w.model.Seed(lab.Group, map[string]any{"displayName": "Admins", "isAssignableToRole": true, "securityEnabled": true, "mailEnabled": false, "mailNickname": "admins"})
	if err != nil {
		t.Fatal(err)
	}
	ids["group"] = g.ID
	if err := w.model.SeedMember(g.ID, ids["member"]); err != nil {
		t.Fatal(err)
	}
	for who, eligible := range map[string]bool{"admin": false, "eligible": true, "group": false} {
		if _, err := w.model.AssignRole(ids[who], lab.GlobalAdministrator, eligible); err != nil {
			t.Fatal(err)
		}
	}
	why, err := w.client.Powerful(w.ctx, []string{ids["admin"], ids["eligible"], ids["member"], ids["plain"], ids["group"]})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		ids["admin"]: "holds the directory role Global Administrator", ids["eligible"]: "may activate the directory role Global Administrator",
		ids["group"]:  "holds the directory role Global Administrator",
		ids["member"]: "is a member of group Admins (" + g.ID + "), which holds the directory role Global Administrator",
	}
	if fmt.Sprint(why) != fmt.Sprint(want) {
		t.Errorf("%v, want %v", why, want)
	}
	w.fault(lab.Fault{Kind: lab.Status, Status: 403, Path: "roleManagement", Count: -1})
	if _, err := w.client.Powerful(w.ctx, []string{ids["plain"]}); !errors.Is(err, tenant.ErrForbidden) {
		t.Errorf("without the right to look: %v", err)
	}
	w.server.ClearFaults("")
	w.fault(lab.Fault{Kind: lab.Status, Status: 400, Code: "AadPremiumLicenseRequired", Path: "Eligibility", Count: -1})
	if why, err := w.client.Powerful(w.ctx, []string{ids["plain"]}); err != nil || len(why) != 0 {
		t.Errorf("without activated roles: %v %v", why, err)
	}
}

func TestOrganizationDomainsAndMark(t *testing.T) {
	w := newWorld(t)
	org, err := w.client.Organization(w.ctx)
	if err != nil || org.ID != w.server.TenantID || org.Synced {
		t.Errorf("%+v %v", org, err)
	}
	domains, err := w.client.Domains(w.ctx)
	if err != nil || len(domains) != 2 || domains[0].Initial && domains[1].Initial || !domains[0].Initial && !domains[1].Initial {
		t.Errorf("%+v %v", domains, err)
	}
	if _, found, permitted, err := w.client.Marker(w.ctx); found || !permitted || err != nil {
		t.Errorf("before marking: %v %v %v", found, permitted, err)
	}
	if ok, err := w.client.SetMarker(w.ctx, tenant.Mark{Installation: "here", Incarnation: 1}); !ok || err != nil {
		t.Fatal(ok, err)
	}
	if m, found, _, err := w.client.Marker(w.ctx); !found || err != nil || m != (tenant.Mark{Installation: "here", Incarnation: 1}) {
		t.Errorf("the mark of an older program: %+v %v %v", m, found, err)
	}
	last := tenant.Mark{Installation: "here", Incarnation: 2, Host: "machine-folder", Name: "idm 1.contoso.test", Nonce: "0193-ab", At: time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)}
	if ok, err := w.client.SetMarker(w.ctx, last); !ok || err != nil {
		t.Fatal(ok, err)
	}
	last.Name = "idm-1.contoso.test" // a tag holds no spaces
	if m, found, _, err := w.client.Marker(w.ctx); !found || err != nil || m != last {
		t.Errorf("%+v %v %v, want %+v", m, found, err, last)
	}
	w.fault(lab.Fault{Kind: lab.Status, Status: 403, Path: "servicePrincipals", Methods: []string{"PATCH"}, Count: -1})
	if ok, err := w.client.SetMarker(w.ctx, tenant.Mark{Installation: "here", Incarnation: 4}); ok || err != nil {
		t.Errorf("where it is not permitted: %v %v", ok, err)
	}
	w.fault(lab.Fault{Kind: lab.Status, Status: 403, Path: "servicePrincipals", Count: -1})
	if _, _, permitted, err := w.client.Marker(w.ctx); permitted || err != nil {
		t.Errorf("where it is not readable: %v %v", permitted, err)
	}
}

func TestCheckFindsWhatIsWrongAndSaysWhatToDo(t *testing.T) {
	w := newWorld(t)
	for _, f := range w.client.Check(w.ctx) {
		if f.Level == tenant.Failure || f.Level == tenant.Warning {
			t.Errorf("in a sound tenant: %+v", f)
		}
	}
	w.fault(lab.Fault{Kind: lab.Status, Status: 403, Path: "roleAssignments", Count: -1})
	w.want(w.client.Check(w.ctx), "read directory roles", tenant.Failure)
	ahead := w.open(func(c *tenant.Config) { c.Now = func() time.Time { return time.Now().Add(10 * time.Minute) } })
	w.want(ahead.Check(w.ctx), "clock", tenant.Failure)
	w.want(w.open(func(c *tenant.Config) { c.ClientSecret = "wrong" }).Check(w.ctx), "token", tenant.Failure)
	w.want(w.open(func(c *tenant.Config) { c.CA = nil }).Check(w.ctx), "token", tenant.Failure)
}

func (w *world) want(findings []tenant.Finding, subject string, level tenant.Level) {
	w.Helper()
	for _, f := range findings {
		if f.Subject == subject && f.Level == level && f.Hint != "" && f.Text != "" {
			return
		}
	}
	w.Errorf("no %s of %s with a hint in %+v", level, subject, findings)
}

func TestErrorsSayWhatWhereAndWhatToDo(t *testing.T) {
	w := newWorld(t)
	w.fault(lab.Fault{Kind: lab.Status, Status: 403, Path: "^/v1.0/users", Count: -1})
	_, err := w.client.Find(w.ctx, cloud.Key{Kind: scoping.User, ID: "x"})
	var e *tenant.GraphError
	if !errors.As(err, &e) || e.HTTP != http.StatusForbidden || e.RequestID == "" || e.Code != "Authorization_RequestDenied" ||
		!errors.Is(err, tenant.ErrForbidden) || e.Hint == "" {
		t.Errorf("%#v", err)
	}
}

func TestOpenReportsEveryMistakeAtOnce(t *testing.T) {
	_, err := tenant.Open(t.Context(), tenant.Config{Endpoint: "http://x"})
	for _, part := range []string{"endpoint", "tenantId", "clientId"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%v does not name %s", err, part)
		}
	}
	if _, err := tenant.Open(t.Context(), tenant.Config{TenantID: "t", ClientID: "c"}); err == nil {
		t.Error("opened without a credential")
	}
}
