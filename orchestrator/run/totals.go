package run

import (
	"cmp"
	"slices"

	"github.com/tandem-sync/tandem/plugins/engine"
)

// Totals are the runs of one engine and stream since this process began.
type Totals struct {
	Engine string
	Stream engine.Stream
	Ended  map[string]uint64 // number of runs by result: EndedComplete and so on

	Creates, Updates, Deletes, Restores uint64 // objects
}

// total adds a run that ended.
func (r *Runner) total(p Past) {
	r.mu.Lock()
	defer r.mu.Unlock()
	key := keyOf(p.Engine, p.Stream)
	t := r.totals[key]
	if t == nil {
		t = &Totals{Engine: p.Engine, Stream: p.Stream, Ended: map[string]uint64{}}
		r.totals[key] = t
	}
	t.Ended[p.Result]++
	t.Creates, t.Updates, t.Deletes, t.Restores = t.Creates+uint64(p.Creates), t.Updates+uint64(p.Updates), t.Deletes+uint64(p.Deletes), t.Restores+uint64(p.Restores)
}

// Totals returns the runs and writes of each engine and stream since this process began, ordered by name.
func (r *Runner) Totals() []Totals {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []Totals
	for _, t := range r.totals {
		c := *t
		c.Ended = map[string]uint64{}
		for k, n := range t.Ended {
			c.Ended[k] = n
		}
		out = append(out, c)
	}
	slices.SortFunc(out, func(a, b Totals) int { return cmp.Or(cmp.Compare(a.Engine, b.Engine), cmp.Compare(a.Stream, b.Stream)) })
	return out
}
