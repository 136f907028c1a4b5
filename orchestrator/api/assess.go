package api

import (
	"context"

	"github.com/tandem-sync/tandem/orchestrator/assess"
)

// AssessRequest asks what stands in the way of a migration.
type AssessRequest struct {
	Under    string `json:"under,omitempty"` // a DN; empty: everything
	Examples int    `json:"examples"`        // most objects that a finding names; 0: all
	ExitCode bool   `json:"exitCode,omitempty"`
}

// Assessment is what there is to know before a migration.
type Assessment = assess.Assessment

// AssessedUnit is one part of a directory, and what stands in the way of its migration.
type AssessedUnit = assess.ReadyUnit

// AssessedWave is a proposed wave: OUs that move together.
type AssessedWave = assess.ReadyWave

// AssessFinding is one thing to know before a migration.
type AssessFinding = assess.Finding

func assessAll(ctx context.Context, c *call, q AssessRequest) (any, Outcome, error) {
	if q.Examples < 0 {
		return nil, Outcome{}, Usage("--examples %d: give a number of objects, or 0 for all", q.Examples)
	}
	a, err := c.h.o.Assess(ctx, q.Under, q.Examples)
	if err != nil {
		return nil, Outcome{}, err
	}
	if q.ExitCode && a.Readiness == assess.Blocked {
		return a, Outcome{Exit: ExitDifferences, Message: "something is blocked", Hint: "the findings say what to do"}, nil
	}
	return a, Outcome{}, nil
}
