package host

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/census"
	"github.com/tandem-sync/tandem/orchestrator/gate"
	"github.com/tandem-sync/tandem/orchestrator/problem"
	"github.com/tandem-sync/tandem/orchestrator/reach"
	"github.com/tandem-sync/tandem/orchestrator/tenancy"
)

// noteTenant keeps whether the tenant was reached. One that another installation feeds was.
func (h *Host) noteTenant(began time.Time, err error) {
	if !errors.Is(err, tenancy.ErrOtherHost) && !errors.Is(err, tenancy.ErrNotBound) {
		h.Note(reach.Tenant, began, err)
	}
}

// noteRun keeps how a run of an engine went. What a person asked for in vain was no run.
func (h *Host) noteRun(name string, began time.Time, r SyncReport, err error) {
	switch {
	case errors.Is(err, problem.ErrUsage), errors.Is(err, problem.ErrNotFound):
		return
	case err == nil && !r.Complete:
		err = fmt.Errorf("the run was not complete: %s", r.FirstProblem())
	}
	if errors.Is(err, gate.ErrTenantDown) {
		h.noteTenant(began, err)
	}
	h.Note(reach.Engine(name), began, err)
}

// noteDirectories keeps which directories a refresh reached.
func (h *Host) noteDirectories(began time.Time, unread *census.UnreadError) {
	for _, n := range h.o.Census.Names() {
		if unread == nil || unread.Directories[n] == nil {
			h.Note(reach.Directory(n), began, nil)
			continue
		}
		h.Note(reach.Directory(n), began, unread.Directories[n])
	}
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
