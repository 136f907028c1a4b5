package main

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/api"
	"github.com/tandem-sync/tandem/scoping"
)

// refusedDebt is a user whose sign-in name another object has.
func refusedDebt(i int) api.Debt {
	return api.Debt{Name: fmt.Sprintf("CN=Person %d,DC=contoso,DC=test", i), Feature: scoping.Users, Owner: "connect", Code: "failed", Reason: "upn-taken",
		Since: fmt.Sprintf("2026-11-29T10:%02d:00.000Z", 59-i%60), Attempts: 3, Last: "2026-11-29T11:00:00.000Z", Next: "2026-11-29T11:20:00.000Z",
		Attribute: "userPrincipalName", Other: fmt.Sprintf("CN=Holder %d", i),
		Refusals: []api.Refusal{{Attribute: "userPrincipalName", Other: fmt.Sprintf("CN=Holder %d", i), Code: "upn-taken", Reason: fmt.Sprintf("HTTP 409: \"p%d@contoso.test\" is taken (request-id %d)", i, i)}}}
}

func TestTenThousandFailedObjectsAreToldByWhatTheyHaveInCommon(t *testing.T) {
	var v api.Debts
	for i := range 10_000 {
		d := refusedDebt(i)
		if i%10 == 0 {
			d.Code, d.Reason, d.Refusals[0].Reason = "failed", "http-503", "the tenant is busy"
		}
		v.Errors = append(v.Errors, d)
	}
	v.Errors = append(v.Errors, api.Debt{Name: "CN=Team", Feature: scoping.References, Owner: "connect", Code: "partial", Cause: &api.Cause{Name: v.Errors[9999].Name}})
	began := time.Now()
	var b bytes.Buffer
	showDebts(&b, v, false)
	if took := time.Since(began); took > time.Second {
		t.Errorf("it took %s", took)
	}
	want := `10001 features of objects did not settle; --all lists each
users of connect, failed upn-taken: 9000 times, since 2026-11-29T10:00:00.000Z, next try 2026-11-29T11:20:00.000Z
  CN=Person 1,DC=contoso,DC=test: userPrincipalName: HTTP 409: "p1@contoso.test" is taken (request-id 1) (CN=Holder 1)
`
	got := b.String()
	for _, part := range []string{"  and 8997 more\n  so also 1 others", "\nusers of connect, failed http-503: 1000 times, "} {
		if !strings.Contains(got, part) {
			t.Errorf("%q is missing", part)
		}
	}
	if !strings.HasPrefix(got, want) || strings.Count(got, "\n") > 14 {
		t.Errorf("printed\n%s", got)
	}
	b.Reset()
	if showDebts(&b, v, true); strings.Count(b.String(), "Person 9998,") != 1 {
		t.Error("--all does not list each")
	}
}

// A group whose member cannot be made fails for that alone: it stands under the member, which says since when, how often, and when it is tried again.
func TestWhatFollowsFromAnErrorStandsUnderIt(t *testing.T) {
	cause := refusedDebt(1)
	v := api.Debts{Errors: []api.Debt{cause, {Name: "CN=Team", Feature: scoping.References, Owner: "connect", Code: "partial", Reason: "reference-missing", Cause: &api.Cause{Name: cause.Name, Feature: scoping.Users}}}}
	var b bytes.Buffer
	showDebts(&b, v, false)
	want := `CN=Person 1,DC=contoso,DC=test
  users of connect, failed upn-taken: userPrincipalName: HTTP 409: "p1@contoso.test" is taken (request-id 1) (CN=Holder 1)
  since 2026-11-29T10:58:00.000Z, 3 attempts, last 2026-11-29T11:00:00.000Z, next 2026-11-29T11:20:00.000Z
  so also references of CN=Team
`
	if b.String() != want {
		t.Errorf("printed\n%s", b.String())
	}
	b.Reset()
	if showDebts(&b, api.Debts{}, false); b.String() != "nothing: every object is settled\n" {
		t.Errorf("of nothing: %q", b.String())
	}
}
