package main

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/api"
)

func TestTenThousandFailedObjectsAreToldByTheirCauses(t *testing.T) {
	var v api.Debts
	for i := range 10_000 {
		d := api.Debt{Name: fmt.Sprintf("CN=Person %d,DC=contoso,DC=test", i), Owner: "connect", Code: "failed", Reason: "upn-taken", Message: fmt.Sprintf("somebody else has it (%d)", i), Since: fmt.Sprintf("2026-11-29T10:%02d:00.000Z", 59-i%60)}
		if i%10 == 0 {
			d.Code, d.Reason, d.Message = "refused", "http-503", "the tenant is busy"
		}
		v.Errors = append(v.Errors, d)
	}
	began := time.Now()
	var b bytes.Buffer
	showDebts(&b, v)
	if took := time.Since(began); took > time.Second {
		t.Errorf("it took %s", took)
	}
	want := `10000 features of objects did not settle; --output json gives all
failed: 9000 times, of engine connect, since 2026-11-29T10:00:00.000Z
  CN=Person 1,DC=contoso,DC=test: upn-taken: somebody else has it (1)
`
	if got := b.String(); !strings.HasPrefix(got, want) || strings.Count(got, "\n") > 12 || !strings.Contains(got, "\nrefused: 1000 times, ") || !strings.Contains(got, "  and 997 more\n") {
		t.Errorf("printed\n%s", got)
	}
	b.Reset()
	v.Errors = v.Errors[:mostErrors]
	if showDebts(&b, v); strings.Count(b.String(), "\n") != mostErrors+1 {
		t.Errorf("few are not listed one by one:\n%s", b.String())
	}
}
