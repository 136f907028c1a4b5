// Package reach remembers when directories, tenant and engines were last reached and when an engine last evaluated everything, from one process to
// the next, for status, schedule and alarms. It decides nothing.
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

// Tries are the attempts to reach a directory, the tenant or an engine. Times are Unix milliseconds; 0: never.
type Tries struct {
	LastTry     int64  `json:"lastTry"`
	LastSuccess int64  `json:"lastSuccess"`
	Failures    int    `json:"failures"` // in a row
	Error       string `json:"error"`    // of the last attempt; empty: it succeeded
	Millis      int64  `json:"millis"`   // duration of the last attempt
	// SuccessBegan is when the last successful attempt began: changes before it were seen.
	SuccessBegan int64 `json:"successBegan,omitempty"`
}

// Failed returns a line about a failed last attempt and since when it fails; empty: it succeeded, or there was none.
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

// Full is the last complete full run of an engine over all that it owns. A delta run evaluates changes of the directory only, so the effect of
// changed rules on unchanged objects needs a full run.
type Full struct {
	At    int64  `json:"at"`    // Unix ms of its end
	Rules string `json:"rules"` // fingerprint of the rules that its values were made by
}

// Keeper stores notes between processes.
type Keeper interface {
	LoadReach(ctx context.Context) ([]byte, error)
	// SaveReach stores notes, and adds the runs that ended since the last call.
	SaveReach(ctx context.Context, b []byte, ended []Ran) error
	// LoadRuns returns the stored runs, oldest first.
	LoadRuns(ctx context.Context) ([]Ran, error)
}

// Ran is one run that ended, with its reader's content. A Keeper may drop all but the newest MostRuns.
type Ran struct {
	Began int64  // Unix ms
	What  string // the key of its engine and stream; unique together with Began
	Story []byte
}

// MostRuns is how many runs are stored.
const MostRuns = 2000

// Tenant is the tenant's name in notes.
const Tenant = "tenant"

// Directory returns a directory's name in notes.
func Directory(name string) string { return "directory " + name }

// Engine returns an engine's name in notes.
func Engine(name string) string { return "engine " + name }

// Notes are what is remembered. They are safe for concurrent use.
type Notes struct {
	now    func() time.Time
	keeper Keeper // nil: nothing is stored

	mu      sync.Mutex
	kept    kept
	ended   []Ran            // not stored yet
	deleted map[string]sight // by directory
}

// kept is what one process leaves to the next.
type kept struct {
	Tries map[string]Tries             `json:"reach"`
	Full  map[string]Full              `json:"full"`            // by engine
	Idle  map[string][]byte            `json:"idle,omitempty"`  // by engine: the report of its last run, if it changed nothing
	Since map[string]map[string][]byte `json:"since,omitempty"` // by engine and stream, then directory: where the stream's next run begins
}

// New loads what earlier processes stored; if it cannot be read, it is as if there were nothing. k may be nil.
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

// Note remembers the result of an attempt that began at a time. A cancelled attempt is not counted.
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

// Of returns the attempts to reach something; nil: there was none.
func (n *Notes) Of(what string) *Tries {
	n.mu.Lock()
	defer n.mu.Unlock()
	if r, ok := n.kept.Tries[what]; ok {
		return &r
	}
	return nil
}

// NoteFull remembers that a full run of an engine ended complete now.
func (n *Notes) NoteFull(engine, rules string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.kept.Full[engine] = Full{At: n.now().UnixMilli(), Rules: rules}
}

// LastFull returns an engine's last complete full run, or nil.
func (n *Notes) LastFull(engine string) *Full {
	n.mu.Lock()
	defer n.mu.Unlock()
	if f, ok := n.kept.Full[engine]; ok {
		return &f
	}
	return nil
}

// NoteSince remembers where an engine's stream continues in directories. Without it everything is read once more.
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

// Since returns where an engine's stream continues, by directory. The caller must not change it.
func (n *Notes) Since(stream string) map[string][]byte {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.kept.Since[stream]
}

// NoteIdle remembers the report of a run that changed nothing, which the log has no record of.
func (n *Notes) NoteIdle(engine string, report []byte) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.kept.Idle[engine] = report
}

// Idle returns the report of an engine's last run that changed nothing, or nil.
func (n *Notes) Idle(engine string) []byte {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.kept.Idle[engine]
}

// NoteRun remembers a run that ended.
func (n *Notes) NoteRun(r Ran) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.ended = append(n.ended, r); len(n.ended) > MostRuns { // it cannot be stored at present
		n.ended = n.ended[len(n.ended)-MostRuns:]
	}
}

// Runs returns the known runs, newest first.
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

// Keep stores the notes for later processes, such as a `status` after a failed command.
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

// sight is whether an account can read deleted objects.
type sight struct {
	known bool
	err   error
}

// SawDeleted remembers whether the account of a directory can read deleted objects: nil, an error that it cannot, or an error that it could not be
// proved.
func (n *Notes) SawDeleted(directory string, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.deleted[directory] = sight{known: true, err: err}
}

// Deleted returns whether the account of a directory can read deleted objects: "seen", "hidden", "unproven", or "" (unknown); and the reason if it
// cannot.
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
