package host

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/census"
	"github.com/tandem-sync/tandem/orchestrator/gate"
	"github.com/tandem-sync/tandem/plugins/directory"
)

// Reach is what is known of the tries to reach a directory, the tenant or an engine. Times are Unix milliseconds; 0: never.
type Reach struct {
	LastTry     int64  `json:"lastTry"`
	LastSuccess int64  `json:"lastSuccess"`
	Failures    int    `json:"failures"` // in a row
	Error       string `json:"error"`    // of the last try; empty: it succeeded
	Millis      int64  `json:"millis"`   // that the last try took
}

// Failed says, for one line, that the last try failed and since when; empty: it did not, or there was none.
func (r Reach) Failed() string {
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

// Reaches is where the tries are kept from one process to the next; a Checkpoints may be one.
type Reaches interface {
	LoadReach(ctx context.Context) ([]byte, error)
	SaveReach(ctx context.Context, b []byte) error
}

// The keys of what is reached.
const tenantReach = "tenant"

func directoryReach(name string) string { return "directory " + name }
func engineReach(name string) string    { return "engine " + name }

// note keeps how a try went. A try that was broken off says nothing.
func (h *Host) note(what string, began time.Time, err error) {
	if errors.Is(err, context.Canceled) {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	r := h.reach[what]
	r.LastTry, r.Millis = h.now().UnixMilli(), h.now().Sub(began).Milliseconds()
	r.Failures, r.Error = r.Failures+1, ""
	if err == nil {
		r.Failures, r.LastSuccess = 0, r.LastTry
	} else {
		r.Error = err.Error()
	}
	h.reach[what] = r
}

// noteTenant keeps whether the tenant was reached. One that another installation feeds was.
func (h *Host) noteTenant(began time.Time, err error) {
	if !errors.Is(err, ErrOtherHost) && !errors.Is(err, ErrNotBound) {
		h.note(tenantReach, began, err)
	}
}

// noteRun keeps how a run of an engine went. What a person asked for in vain was no run.
func (h *Host) noteRun(name string, began time.Time, r SyncReport, err error) {
	switch {
	case errors.Is(err, ErrUsage), errors.Is(err, ErrNotFound):
		return
	case err == nil && !r.Complete:
		err = fmt.Errorf("the run was not complete: %s", r.FirstProblem())
	}
	if errors.Is(err, gate.ErrTenantDown) {
		h.noteTenant(began, err)
	}
	h.note(engineReach(name), began, err)
}

// noteDirectories keeps which directories a refresh reached.
func (h *Host) noteDirectories(began time.Time, unread *census.UnreadError) {
	for _, n := range h.o.Census.Names() {
		if unread == nil || unread.Directories[n] == nil {
			h.note(directoryReach(n), began, nil)
			continue
		}
		h.note(directoryReach(n), began, unread.Directories[n])
	}
}

func (h *Host) reachOf(what string) *Reach {
	h.mu.Lock()
	defer h.mu.Unlock()
	if r, ok := h.reach[what]; ok {
		return &r
	}
	return nil
}

// keptReach is what one process leaves to the next.
type keptReach struct {
	Reach map[string]Reach `json:"reach"`
	Full  map[string]Full  `json:"full"`
}

// loadReach takes up what earlier processes knew. What cannot be read was not known.
func (h *Host) loadReach(ctx context.Context) {
	s, ok := h.o.Checkpoints.(Reaches)
	if !ok {
		return
	}
	b, err := s.LoadReach(ctx)
	var kept keptReach
	if err != nil || b == nil || json.Unmarshal(b, &kept) != nil {
		return
	}
	maps.Copy(h.reach, kept.Reach)
	maps.Copy(h.fulls, kept.Full)
}

// keepReach keeps the tries for later processes: a command that failed ends, and `status` is another one.
func (h *Host) keepReach(ctx context.Context) error {
	s, ok := h.o.Checkpoints.(Reaches)
	if !ok {
		return nil
	}
	h.mu.Lock()
	now := keptReach{maps.Clone(h.reach), maps.Clone(h.fulls)}
	h.mu.Unlock()
	b, err := json.Marshal(now)
	if err == nil {
		err = s.SaveReach(context.WithoutCancel(ctx), b)
	}
	if err != nil {
		return fmt.Errorf("keeping when directories, tenant and engines were reached: %w", err)
	}
	return nil
}

// SawDeleted keeps whether the account of a directory sees deleted objects: nil, an error that tells that it does not, or one that tells that nothing
// could prove it.
func (h *Host) SawDeleted(name string, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.deleted[name] = deletedSight{known: true, err: err}
}

// deletedSight is what is known of an account's sight of deleted objects.
type deletedSight struct {
	known bool
	err   error
}

// words tells it for the status.
func (d deletedSight) words() (sight, blind string) {
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

// Trouble says what keeps the status from being healthy, a sentence each.
func (s Status) Trouble() []string {
	var out []string
	if s.ReadOnly != "" {
		out = append(out, "read only: "+s.ReadOnly)
	}
	if s.Mark.Refused != "" && s.Mark.Refused != s.ReadOnly {
		out = append(out, s.Mark.Refused)
	}
	for _, d := range s.Directories {
		if d.Reach != nil && d.Reach.Failures > 0 {
			out = append(out, "directory "+d.Name+" was not reached "+d.Reach.Failed())
		}
		if d.Blind != "" {
			out = append(out, "directory "+d.Name+": deletes cannot be proved and wait: "+d.Blind)
		}
	}
	if s.Tenant != nil && s.Tenant.Failures > 0 {
		out = append(out, "the tenant was not reached "+s.Tenant.Failed())
	}
	for _, e := range s.Engines {
		if e.Reach != nil && e.Reach.Failures > 0 {
			out = append(out, "engine "+e.Name+" did not complete a run "+e.Reach.Failed())
		}
		if e.Health != nil && !e.Health.OK {
			out = append(out, "engine "+e.Name+" says: "+e.Health.Message)
		}
		if e.Process.Trouble != "" {
			out = append(out, "the process of engine "+e.Name+" is not running: "+e.Process.Trouble)
		}
	}
	return slices.Clip(out)
}

// Process is what is known of an engine's process.
type Process struct {
	State    string // closed, starting, ready, pausing, refusing; empty: not known
	PID      int
	Restarts int       // since this host began
	Last     string    // why the last one before it ended
	At       time.Time // when it ended
	Trouble  string    // why it does not run although it should; empty: it does, or was not needed yet
}

// Processes tells of engines' processes; an Engines may be one.
type Processes interface {
	Process(name string) Process
}
