package acts

import (
	"testing"

	"github.com/tandem-sync/tandem/orchestrator/run"
)

func TestProblemsOfARunAreToldWithTheObjectIfThereIsOne(t *testing.T) {
	got := problems(run.Report{Errors: []run.Problem{{Code: "unreachable", Message: "no answer"}, {Object: "CN=Ann", Code: "failed", Message: "refused"}}})
	if want := "unreachable: no answer; CN=Ann: failed: refused"; got != want {
		t.Errorf("told as %q, want %q", got, want)
	}
}
