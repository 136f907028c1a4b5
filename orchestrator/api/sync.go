package api

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/tandem-sync/tandem/orchestrator/plan"
	"github.com/tandem-sync/tandem/orchestrator/run"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// SyncRequest asks for one run of an engine.
type SyncRequest struct {
	Engine  string `json:"engine"`
	Profile string `json:"profile,omitempty"` // delta (default) or full
	Under   string `json:"under,omitempty"`
}

// Sync is the result of one run. At is its end, RFC 3339.
type Sync struct {
	run.Report
	At          string       `json:"at"`
	LeftOut     []LeftSet    `json:"leftOut,omitempty"`     // what the engine leaves out by its rules
	Would       *Counts      `json:"wouldWrite,omitempty"`  // counts of the next field
	Differences []Difference `json:"differences,omitempty"` // what would be written, if ReadOnly has the reason why nothing is
}

func syncOf(r run.Report) Sync { return Sync{Report: r, At: stamp(r.At)} }

// ran returns the result of a run that just ended, with what it would have written if it may not write.
func (c *call) ran(r run.Report) Sync {
	s := syncOf(r)
	if r.ReadOnly != "" {
		s.Would, s.Differences = ptr(Counts(plan.Count(r.Judgements))), c.differencesOf(r.Judgements)
	}
	return s
}

func syncEngine(ctx context.Context, c *call, q SyncRequest) (any, Outcome, error) {
	if q.Profile != "" && q.Profile != engine.ProfileDelta && q.Profile != engine.ProfileFull {
		return nil, Outcome{}, Usage("--profile %q is neither delta nor full", q.Profile)
	}
	defer c.h.o.Warm(ctx, q.Engine)()
	r, err := c.h.o.Host().SyncAll(ctx, q.Engine, run.SyncOptions{Profile: q.Profile, Under: q.Under, By: c.by})
	if err != nil {
		return nil, Outcome{}, err
	}
	out := c.ran(r)
	out.LeftOut = leftSetsOf(c.h.o.Host().LeftByRules(q.Engine))
	return out, syncOutcome(r), nil
}

// syncOutcome returns the outcome of runs: failed objects outweigh held ones.
func syncOutcome(rs ...run.Report) Outcome {
	var held []string
	n, failed, stopped := 0, 0, ""
	complete := true
	for _, r := range rs {
		n, failed, held = n+r.Held, failed+r.Failed, append(held, r.HeldSets...)
		complete, stopped = complete && r.Complete, cmp.Or(stopped, r.Stopped)
	}
	switch {
	case failed > 0:
		return Outcome{Exit: ExitFailed, Message: scoping.Many(failed, "object failed; it is", "objects failed; they are") + " tried again with the next run", Hint: "tandem errors list"}
	case !complete:
		return Outcome{Exit: ExitFailed, Message: "the run was not complete: " + firstProblem(rs), Hint: again(rs)}
	case stopped != "":
		return Outcome{Exit: ExitCheckpoint, Message: "writing is " + stopped + ": what would have been written is deferred", Hint: "tandem start --all"}
	case n > 0 && len(held) > 0:
		return Outcome{Exit: ExitCheckpoint, Message: fmt.Sprintf("%s held (%s)", scoping.Many(n, "object is", "objects are"), strings.Join(held, ", ")), Hint: "tandem held show " + held[0]}
	case n > 0:
		return Outcome{Exit: ExitCheckpoint, Message: scoping.Many(n, "object is", "objects are") + " held", Hint: "tandem errors list"}
	}
	return Outcome{}
}

// again returns what to do after runs that were not complete.
func again(rs []run.Report) string {
	for _, r := range rs {
		if len(r.Errors) > 0 && r.Errors[0].Code == "disk-full" {
			return "make room on the disk that holds the state folder, then run it again"
		}
	}
	return "run it again"
}

func firstProblem(rs []run.Report) string {
	for _, r := range rs {
		if len(r.Errors) > 0 {
			return r.FirstProblem()
		}
	}
	return Sync{}.FirstProblem()
}
