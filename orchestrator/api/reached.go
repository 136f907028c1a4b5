package api

import (
	"io"
	"net/http"
	"strings"

	"github.com/tandem-sync/tandem/orchestrator/alarm"
	"github.com/tandem-sync/tandem/orchestrator/answer"
	"github.com/tandem-sync/tandem/orchestrator/reach"
	"github.com/tandem-sync/tandem/orchestrator/schedule"
)

// Reached is the state of the attempts to reach a directory or the tenant, or to let an engine run. Reached is null if there was none.
type Reached struct {
	Reached        *bool   `json:"reached"` // in the last attempt
	LastTry        *string `json:"lastTry"`
	LastSuccess    *string `json:"lastSuccess"`
	Failures       int     `json:"failures"` // in a row
	LastError      string  `json:"lastError,omitempty"`
	DurationMillis int64   `json:"durationMillis"` // of the last attempt
}

func reachedOf(r *reach.Tries) Reached {
	if r == nil {
		return Reached{}
	}
	out := Reached{Reached: ptr(r.Failures == 0), Failures: r.Failures, LastError: r.Error, DurationMillis: r.Millis}
	if r.LastTry > 0 {
		out.LastTry = ptr(stamp(r.LastTry))
	}
	if r.LastSuccess > 0 {
		out.LastSuccess = ptr(stamp(r.LastSuccess))
	}
	return out
}

// Process is an engine's process. LastEnd and LastError are those of the process before it.
type Process struct {
	State     string  `json:"state"` // closed, starting, ready, pausing, refusing
	PID       int     `json:"pid,omitempty"`
	Restarts  int     `json:"restarts"`
	LastEnd   *string `json:"lastEnd"`
	LastError string  `json:"lastError,omitempty"`
}

func processOf(p answer.Process) *Process {
	if p.State == "" {
		return nil
	}
	out := &Process{State: p.State, PID: p.PID, Restarts: p.Restarts, LastError: p.Last}
	if !p.At.IsZero() {
		out.LastEnd = ptr(stamp(p.At.UnixMilli()))
	}
	return out
}

// timetable adds what the loops of serving know about an engine.
func (e *Engine) timetable(loops []schedule.Loop) {
	for _, l := range loops {
		if l.Name != schedule.EngineLoop(e.Name) {
			continue
		}
		if !l.Began.IsZero() {
			e.RunningSince = ptr(stamp(l.Began.UnixMilli()))
		}
		if !l.Next.IsZero() {
			e.NextRun = ptr(stamp(l.Next.UnixMilli()))
		}
	}
}

// alive answers /healthz: whether the process should go on, or be restarted. It fails when a loop of serving stands still, and not for an outage
// elsewhere.
func (h *Handler) alive(w http.ResponseWriter) {
	if standing := h.o.Standing(); len(standing) > 0 {
		http.Error(w, strings.Join(standing, "\n"), http.StatusServiceUnavailable)
		return
	}
	_, _ = io.WriteString(w, "ok\n")
}

// ready answers /readyz: whether directories, tenant and engines are reached, so that changes are synchronized. Warnings are listed and do not make
// it fail.
func (h *Handler) ready(w http.ResponseWriter, r *http.Request) {
	h.look(r.Context(), readyLook) // if the mark cannot be read, its last reading counts
	f, err := h.o.Facts(r.Context())
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	alarms := alarm.Of(f)
	lines := alarm.Outages(alarms)
	code := http.StatusServiceUnavailable
	if len(lines) == 0 {
		lines, code = []string{"ready"}, http.StatusOK
	}
	for _, x := range alarm.Warnings(alarms) {
		lines = append(lines, "warning: "+x)
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(code)
	_, _ = io.WriteString(w, strings.Join(lines, "\n")+"\n") // the client may have hung up
}
