package api

import (
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/tandem-sync/tandem/orchestrator/answer"
	"github.com/tandem-sync/tandem/orchestrator/reach"
	"github.com/tandem-sync/tandem/orchestrator/schedule"
)

// Reached is how the tries went to reach a directory or the tenant, or to let an engine run. Reached is null when nobody tried.
type Reached struct {
	Reached        *bool   `json:"reached"` // in the last try
	LastTry        *string `json:"lastTry"`
	LastSuccess    *string `json:"lastSuccess"`
	Failures       int     `json:"failures"` // in a row
	LastError      string  `json:"lastError,omitempty"`
	DurationMillis int64   `json:"durationMillis"` // of the last try
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

// Process is an engine's process. LastEnd and LastError tell of the one before it.
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

// timetable adds what the loops of serving know of an engine.
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

// trouble says what keeps everything from being healthy: directories, tenant and engines that were not reached, and loops that stand still.
func (h *Handler) trouble(s answer.Status) []string {
	out := append(s.Trouble(), h.o.Standing()...)
	for _, l := range h.o.Loops() {
		if l.Name == schedule.WritebackLoop && l.Failures > 1 { // one alone is soon over
			out = append(out, fmt.Sprintf("passwords that people change in the tenant are not taken: %v", l.Err))
		}
	}
	return out
}

// alive answers /healthz: whether the process should go on, or be started anew. It says no when a loop of serving stands still; an outage of others is
// no reason.
func (h *Handler) alive(w http.ResponseWriter) {
	if standing := h.o.Standing(); len(standing) > 0 {
		http.Error(w, strings.Join(standing, "\n"), http.StatusServiceUnavailable)
		return
	}
	_, _ = io.WriteString(w, "ok\n")
}

// ready answers /readyz: whether directories, tenant and engines are reached, so that what changes is synchronized.
func (h *Handler) ready(w http.ResponseWriter, r *http.Request) {
	h.look(r.Context(), readyLook) // an unread mark is no reason: what was known of it last counts
	s, err := h.o.Host().Status(r.Context())
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	if why := h.trouble(s); len(why) > 0 {
		http.Error(w, strings.Join(why, "\n"), http.StatusServiceUnavailable)
		return
	}
	_, _ = io.WriteString(w, "ready\n")
}

// reachGauges writes what is reached, and since when.
func (h *Handler) reachGauges(b *strings.Builder, s answer.Status) {
	gauge(b, "tandem_healthy", "1 when everything was reached in its last try and no loop stands still.", sample{value: number(len(h.trouble(s)) == 0)})
	gauge(b, "tandem_loops_standing", "Loops of serving that stand still.", sample{value: int64(len(h.o.Standing()))})
	reaches := map[string][]reachSample{}
	for _, d := range s.Directories {
		reaches["directory"] = append(reaches["directory"], reachSample{"directory", d.Name, d.Reach})
	}
	reaches["tenant"] = []reachSample{{"", "", s.Tenant}}
	var restarts []sample
	for _, e := range s.Engines {
		reaches["engine"] = append(reaches["engine"], reachSample{"engine", e.Name, e.Reach})
		restarts = append(restarts, sample{"engine", e.Name, int64(e.Process.Restarts)})
	}
	for _, x := range []struct{ what, did string }{{"directory", "was reached"}, {"tenant", "was reached"}, {"engine", "completed its run"}} {
		var up, last, failures []sample
		for _, r := range reaches[x.what] {
			if r.reach == nil {
				continue
			}
			up = append(up, sample{r.label, r.of, number(r.reach.Failures == 0)})
			last = append(last, sample{r.label, r.of, r.reach.LastSuccess / 1000})
			failures = append(failures, sample{r.label, r.of, int64(r.reach.Failures)})
		}
		gauge(b, "tandem_"+x.what+"_up", fmt.Sprintf("1 when the %s %s in the last try.", x.what, x.did), up...)
		gauge(b, "tandem_"+x.what+"_last_success_timestamp_seconds", fmt.Sprintf("When the %s last %s; 0: never.", x.what, x.did), last...)
		gauge(b, "tandem_"+x.what+"_failures", fmt.Sprintf("Tries in a row in which the %s failed.", x.what), failures...)
	}
	gauge(b, "tandem_engine_restarts", "Processes of an engine that ended and were started again.", restarts...)
}

type reachSample struct {
	label, of string
	reach     *reach.Tries
}

func number(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
