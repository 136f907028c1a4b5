package provisioning

import (
	"sync"

	"github.com/tandem-sync/tandem/scoping"
)

// answers are this process's answers about sources that have no link and get none: such a source is not asked for again until something about it
// changes.
type answers struct {
	mu      sync.Mutex
	of      map[scoping.ObjectID]answer
	refused map[scoping.ObjectID]failure
}

type answer struct {
	source, rules uint64
	verdict       Verdict
}

func (a *answers) get(id scoping.ObjectID, source, rules uint64) (Verdict, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	x, ok := a.of[id]
	return x.verdict, ok && x.source == source && x.rules == rules
}

// retryAfter is how long a refused write is not tried again while nothing that it depends on changes and no person asks for it, in ms.
const retryAfter = 60 * 60 * 1000

// failure is a write that a directory refused. Each attempt is two records of the log.
type failure struct {
	answer
	why     Why
	reading uint64 // the one that changed the object last
	until   int64  // ms on the steady scale
}

// failed returns the answer to a write that is not to be tried again yet.
func (a *answers) failed(s *subject, reading uint64, steady int64) (Verdict, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	x, ok := a.refused[s.id]
	return x.verdict, ok && x.source == s.source && x.rules == s.rules && x.why == s.why && x.reading == reading && steady < x.until
}

func (a *answers) fail(s *subject, reading uint64, steady int64, v Verdict) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.refused[s.id] = failure{answer{s.source, s.rules, v}, s.why, reading, steady + retryAfter}
}

// Retry makes the next runs try refused writes at once.
func (d *Desk) Retry() {
	d.answers.mu.Lock()
	defer d.answers.mu.Unlock()
	clear(d.answers.refused)
}

func (a *answers) put(id scoping.ObjectID, source, rules uint64, v Verdict) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.of[id] = answer{source, rules, v}
}
