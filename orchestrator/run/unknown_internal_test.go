package run

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tandem-sync/tandem/orchestrator/gate"
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

func TestARunNamesWhatItsEngineCannotSayAndCountsItUnderNoOutcome(t *testing.T) {
	id := scoping.ObjectID{Directory: "contoso", GUID: scoping.GUID{1}}
	var got Report
	got.count(gate.Summary{Unknown: []gate.Judgement{{Key: ledger.Key{Object: id}, Name: "CN=Ann", Want: engine.Unknown,
		Outcome: engine.Deferred, Code: gate.CodeUnknown, Reason: "not seen"}}})
	want := Report{Errors: []Problem{{Object: "CN=Ann", Code: string(gate.CodeUnknown), Message: "not seen"}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
