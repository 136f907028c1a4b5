package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/tandem-sync/tandem/orchestrator/api"
)

// Nobody feeds a tenant only if its mark was read and is not there.
func TestWhoFeedsATenantThatCannotBeReadIsUnknown(t *testing.T) {
	for want, m := range map[string]api.Mark{
		"fed by      unknown: no answer":      {Problem: "no answer"},
		"fed by      nobody yet":              {Read: "2026-11-28T19:00:00Z", Kept: true},
		"fed by      this host: installation": {Read: "2026-11-28T19:00:00Z", Kept: true, Ours: true, Installation: "i"},
	} {
		var out strings.Builder
		if showMark(&out, statusColumns, m, nil); !strings.Contains(out.String(), want) {
			t.Errorf("%+v is shown as %q, not %q", m, out.String(), want)
		}
	}
	var out strings.Builder
	showMark(&out, statusColumns, api.Mark{Problem: "no answer; not tried again: time is up"}, []string{"the tenant was not reached: no answer"})
	if got := out.String(); got != "fed by      unknown, as far as it is known: see above\n" {
		t.Errorf("what is told already is told again: %q", got)
	}
}

// What a run says of itself and not of an object has a name too.
func TestARunsOwnFailureHasAName(t *testing.T) {
	var out strings.Builder
	var r api.Sync
	if err := json.Unmarshal([]byte(`{"engine":"connect","profile":"delta","errors":[{"object":"","code":"unreachable","message":"no answer"}]}`), &r); err != nil {
		t.Fatal(err)
	}
	showSync(&out, r)
	if !strings.Contains(out.String(), "  the run: unreachable: no answer\n") {
		t.Errorf("printed %q", out.String())
	}
}
