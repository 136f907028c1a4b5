package run

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/reach"
	"github.com/tandem-sync/tandem/plugins/engine"
)

// How a run ended.
const (
	EndedComplete   = "complete"
	EndedIncomplete = "incomplete" // a part of it was not read, or did not answer
	EndedFailed     = "failed"
)

// Past is a run in the history. Counts are those of its Report.
type Past struct {
	Engine   string        `json:"engine"`
	Stream   engine.Stream `json:"stream,omitempty"`
	Profile  string        `json:"profile"`
	Began    int64         `json:"-"` // Unix ms; stored as the key
	Millis   int64         `json:"durationMillis"`
	Read     int           `json:"read"`
	Creates  int           `json:"creates"`
	Updates  int           `json:"updates"`
	Deletes  int           `json:"deletes"`
	Restores int           `json:"restores"`
	Held     int           `json:"held"`
	Failed   int           `json:"failed"`
	Result   string        `json:"result"`
	Message  string        `json:"message,omitempty"` // the first problem
	Stopped  string        `json:"stopped,omitempty"` // why writing was stopped
	By       string        `json:"by"`                // the person who started it, "wave ID" or "schedule"
}

// pastOf returns the history's entry for a run.
func pastOf(o SyncOptions, began, ended time.Time, x Report, err error) Past {
	p := Past{Engine: x.Engine, Stream: x.Stream, Profile: cmp.Or(x.Profile, o.Profile, engine.ProfileDelta), Began: began.UnixMilli(), Millis: ended.Sub(began).Milliseconds(),
		Read: x.Read, Creates: x.Creates, Updates: x.Updates, Deletes: x.Deletes, Restores: x.Restores, Held: x.Held, Failed: x.Failed,
		Result: EndedComplete, Stopped: cmp.Or(x.ReadOnly, x.Stopped), By: cmp.Or(o.By, "schedule")}
	switch {
	case err != nil:
		p.Result, p.Message = EndedFailed, err.Error()
	case !x.Complete:
		p.Result, p.Message = EndedIncomplete, x.FirstProblem()
	case x.Failed > 0:
		p.Message = x.FirstProblem()
	}
	if o.Wave != "" {
		p.By = "wave " + o.Wave
	}
	return p
}

func (r *Runner) keepPast(o SyncOptions, began time.Time, x Report, err error) {
	p := pastOf(o, began, r.o.Clock.Now(), x, err)
	r.total(p)
	b, failed := json.Marshal(p)
	if failed == nil {
		r.o.Notes.NoteRun(reach.Ran{Began: began.UnixMilli(), What: keyOf(x.Engine, x.Stream), Story: b})
	}
}

// History returns ended runs, newest first: of one engine, or of all if engine is empty; at most limit of them, or all known ones if limit is 0. It
// is lost with the index files.
func (r *Runner) History(ctx context.Context, engine string, limit int) ([]Past, error) {
	runs, err := r.o.Notes.Runs(ctx)
	if err != nil {
		return nil, err
	}
	out := []Past{}
	for _, x := range runs {
		var p Past
		if err := json.Unmarshal(x.Story, &p); err != nil {
			return nil, fmt.Errorf("the history of runs, %s at %d: %w", x.What, x.Began, err)
		}
		p.Began = x.Began
		if engine != "" && p.Engine != engine {
			continue
		}
		if out = append(out, p); len(out) == limit {
			break
		}
	}
	return out, nil
}
