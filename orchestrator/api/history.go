package api

import (
	"context"
	"slices"

	"github.com/tandem-sync/tandem/orchestrator/run"
)

// HistoryRequest asks for ended runs: of one engine, or of all; at most Limit, or all known ones if it is 0.
type HistoryRequest struct {
	Engine string `json:"engine,omitempty"`
	Limit  int    `json:"limit,omitempty"`
}

// PastRun is a run that ended. Start is RFC 3339.
type PastRun struct {
	run.Past
	Start string `json:"start"`
}

// History are ended runs, newest first.
type History struct {
	Runs []PastRun `json:"runs"`
}

func history(ctx context.Context, c *call, q HistoryRequest) (any, Outcome, error) {
	if q.Limit < 0 {
		return nil, Outcome{}, Usage("--limit %d is less than 0", q.Limit)
	}
	if q.Engine != "" && !slices.Contains(c.h.o.Engines(), q.Engine) {
		return nil, Outcome{}, Usage("no engine %q is configured (configured: %v)", q.Engine, c.h.o.Engines())
	}
	past, err := c.h.o.Host().History(ctx, q.Engine, q.Limit)
	if err != nil {
		return nil, Outcome{}, err
	}
	out := History{Runs: []PastRun{}}
	for _, p := range past {
		out.Runs = append(out.Runs, PastRun{Past: p, Start: stamp(p.Began)})
	}
	return out, Outcome{}, nil
}
