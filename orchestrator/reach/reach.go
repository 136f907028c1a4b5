// Package reach remembers when directories, tenant and engines were reached and when an engine last evaluated everything, from one process to the next, so that
// a status, a schedule and whoever is called at night can tell what has not worked since when. It decides nothing.
package reach

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/tandem-sync/tandem/plugins/directory"
)

// Tries is what is known of the tries to reach a directory, the tenant or an engine. Times are Unix milliseconds; 0: never.
type Tries struct {
	LastTry     int64  `json:"lastTry"`
	LastSuccess int64  `json:"lastSuccess"`
	Failures    int    `json:"failures"` // in a row
	Error       string `json:"error"`    // of the last try; empty: it succeeded
	Millis      int64  `json:"millis"`   // that the last try took
	// SuccessBegan is when the last try began that succeeded: what is older was seen.
	SuccessBegan int64 `json:"successBegan,omitempty"`
}

// Failed returns one line that says that the last try failed and since when; empty: it did not, or there was none.
func (r Tries) Failed() string {
	if r.Failures == 0 {
		return ""
	}
	since := "never before"
	if r.LastSuccess > 0 {
		since = "last success " + time.UnixMilli(r.LastSuccess).UTC().Format(time.RFC3339)
	}
	times := "in the last try"
	if r.Failures > 1 {
		times = fmt.Sprintf("in the last %d tries", r.Failures)
	}
	return fmt.Sprintf("%s (%s): %s", times, since, r.Error)
}

// Full is the last complete full run of an engine over all that it owns. A delta run evaluates what changed in the directory, so what a changed rule
// makes of unchanged objects is seen by a full run alone.
type Full struct {
	At    int64  `json:"at"`    // Unix ms of its end
	Rules string `json:"rules"` // fingerprint of what its values were made by
}

// Keeper is where notes are kept from one process to the next.
type Keeper interface {
	LoadReach(ctx context.Context) ([]byte, error)
	// SaveReach keeps notes, and the runs that ended since the last time, beside those that it has.
	SaveReach(ctx context.Context, b []byte, ended []Ran) error
	// LoadRuns returns the runs that are kept, oldest first.
	LoadRuns(ctx context.Context) ([]Ran, error)
}

// Ran is one run that ended, with what its reader kept of it. Who keeps runs may drop all but the newest MostRuns.
type Ran struct {
	Began int64  // Unix ms
	What  string // a key of its engine and stream; with Began it names the run
	Story []byte
}

// MostRuns is how many runs are kept.
const MostRuns = 2000

// Tenant names the tenant among what is reached.
const Tenant = "tenant"

// Directory names a directory among what is reached.
func Directory(name string) string { return "directory " + name }

// Engine names an engine among what is reached.
func Engine(name string) string { return "engine " + name }

// Notes are what is remembered. They are safe for concurrent use.
type Notes struct {
	now    func() time.Time
	keeper Keeper // nil: nothing is kept

	mu      sync.Mutex
	kept    kept
	ended   []Ran            // and not kept yet
	deleted map[string]sight // by directory
}

// kept is what one process leaves to the next.
type kept struct {
	Tries map[string]Tries             `json:"reach"`
	Full  map[string]Full              `json:"full"`            // by engine
	Idle  map[string][]byte            `json:"idle,omitempty"`  // by engine: the report of its last run, if nothing happened in it
	Since map[string]map[string][]byte `json:"since,omitempty"` // by engine and stream, then directory: where the next run of the stream goes on
}

// New takes up what earlier processes knew. What cannot be read was not known. k may be nil.
func New(ctx context.Context, k Keeper, now func() time.Time) *Notes {
	n := &Notes{now: now, keeper: k, kept: kept{Tries: map[string]Tries{}, Full: map[string]Full{}, Idle: map[string][]byte{}, Since: map[string]map[string][]byte{}}, deleted: map[string]sight{}}
	if k == nil {
		return n
	}
	var old kept
	if b, err := k.LoadReach(ctx); err == nil && b != nil && json.Unmarshal(b, &old) == nil {
		maps.Copy(n.kept.Tries, old.Tries)
		maps.Copy(n.kept.Full, old.Full)
		maps.Copy(n.kept.Idle, old.Idle)
		maps.Copy(n.kept.Since, old.Since)
	}
	return n
}

// Note remembers how a try went that began then. A try that was broken off says nothing.
func (n *Notes) Note(what string, began time.Time, err error) {
	if errors.Is(err, context.Canceled) {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	r := n.kept.Tries[what]
	r.LastTry, r.Millis = n.now().UnixMilli(), n.now().Sub(began).Milliseconds()
	r.Failures, r.Error = r.Failures+1, ""
	if err == nil {
		r.Failures, r.LastSuccess, r.SuccessBegan = 0, r.LastTry, began.UnixMilli()
	} else {
		r.Error = err.Error()
	}
	n.kept.Tries[what] = r
}

// Of returns the tries to reach something; nil: there was none.
func (n *Notes) Of(what string) *Tries {
	n.mu.Lock()
	defer n.mu.Unlock()
	if r, ok := n.kept.Tries[what]; ok {
		return &r
	}
	return nil
}

// NoteFull remembers that a full run of an engine was complete just now.
func (n *Notes) NoteFull(engine, rules string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.kept.Full[engine] = Full{At: n.now().UnixMilli(), Rules: rules}
}

// LastFull returns an engine's last complete full run; nil: none is known.
func (n *Notes) LastFull(engine string) *Full {
	n.mu.Lock()
	defer n.mu.Unlock()
	if f, ok := n.kept.Full[engine]; ok {
		return &f
	}
	return nil
}

// NoteSince remembers where an engine's stream goes on in directories. Lost, everything is read once more.
func (n *Notes) NoteSince(stream string, since map[string][]byte) {
	n.mu.Lock()
	defer n.mu.Unlock()
	next := maps.Clone(n.kept.Since[stream])
	if next == nil {
		next = map[string][]byte{}
	}
	maps.Copy(next, since)
	n.kept.Since[stream] = next
}

// Since returns where an engine's stream goes on, by directory. The caller must not change it.
func (n *Notes) Since(stream string) map[string][]byte {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.kept.Since[stream]
}

// NoteIdle remembers the report of a run in which nothing happened, so that the log has no record of it.
func (n *Notes) NoteIdle(engine string, report []byte) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.kept.Idle[engine] = report
}

// Idle returns the report of an engine's last run in which nothing happened; nil: none is known.
func (n *Notes) Idle(engine string) []byte {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.kept.Idle[engine]
}

// NoteRun remembers a run that ended.
func (n *Notes) NoteRun(r Ran) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.ended = append(n.ended, r); len(n.ended) > MostRuns { // nothing can be kept
		n.ended = n.ended[len(n.ended)-MostRuns:]
	}
}

// Runs returns the runs that are known, newest first.
func (n *Notes) Runs(ctx context.Context) ([]Ran, error) {
	var out []Ran
	if n.keeper != nil {
		var err error
		if out, err = n.keeper.LoadRuns(ctx); err != nil {
			return nil, fmt.Errorf("reading the history of runs: %w", err)
		}
	}
	n.mu.Lock()
	out = append(out, n.ended...)
	n.mu.Unlock()
	slices.SortStableFunc(out, func(a, b Ran) int { return cmp.Or(cmp.Compare(b.Began, a.Began), cmp.Compare(a.What, b.What)) })
	return slices.CompactFunc(out, func(a, b Ran) bool { return a.Began == b.Began && a.What == b.What }), nil
}

// Keep keeps the notes for later processes: a command that failed ends, and `status` is another one.
func (n *Notes) Keep(ctx context.Context) error {
	if n.keeper == nil {
		return nil
	}
	n.mu.Lock()
	b, err := json.Marshal(n.kept)
	ended := n.ended
	n.ended = nil
	n.mu.Unlock()
	if err == nil {
		err = n.keeper.SaveReach(context.WithoutCancel(ctx), b, ended)
	}
	if err != nil {
		n.mu.Lock()
		n.ended = append(ended, n.ended...)
		n.mu.Unlock()
		return fmt.Errorf("keeping when directories, tenant and engines were reached: %w", err)
	}
	return nil
}

// sight is what is known of an account's sight of deleted objects.
type sight struct {
	known bool
	err   error
}

// SawDeleted remembers whether the account of a directory sees deleted objects: nil, an error that tells that it does not, or one that tells that nothing
// could prove it.
func (n *Notes) SawDeleted(directory string, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.deleted[directory] = sight{known: true, err: err}
}

// Deleted returns whether the account of a directory sees deleted objects: "seen", "hidden", "unproven", "" (not known); and why it does not.
func (n *Notes) Deleted(name string) (sees, blind string) {
	n.mu.Lock()
	d := n.deleted[name]
	n.mu.Unlock()
	switch {
	case !d.known:
		return "", ""
	case d.err == nil:
		return "seen", ""
	case errors.Is(d.err, directory.ErrUnproven):
		return "unproven", ""
	}
	return "hidden", d.err.Error()
}
