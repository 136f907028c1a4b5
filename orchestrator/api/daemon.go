package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/tandem-sync/tandem/orchestrator/ledger"
)

// Serve is the daemon: it takes the state, serves its socket and runs the schedules until ctx ends. ready is told where the socket is. Errors match
// state.ErrHeld when another process has the state.
func Serve(ctx context.Context, o Options, ready func(socket string)) error {
	c, err := load(&o)
	if err != nil {
		return err
	}
	s, err := serve(ctx, c, o)
	if err != nil {
		return err
	}
	path, err := socketPath(o.State)
	if err == nil {
		ready(path)
		err = s.o.RunSchedules(ctx)
	}
	s.handler.cancelAll()
	s.client.http.CloseIdleConnections()
	return errors.Join(err, s.close())
}

// cancelAll asks every command under way to stop: the daemon ends.
func (h *Handler) cancelAll() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, stop := range h.calls {
		stop(errStopped)
	}
}

// watch answers what monitoring asks.
func (h *Handler) watch(w http.ResponseWriter, r *http.Request) bool {
	if r.Method != http.MethodGet {
		return false
	}
	switch r.URL.Path {
	case "/healthz":
		_, _ = io.WriteString(w, "ok\n")
	case "/readyz":
		h.ready(w, r)
	case "/metrics":
		h.metrics(w, r)
	default:
		return false
	}
	return true
}

func (h *Handler) ready(w http.ResponseWriter, r *http.Request) {
	s, err := h.o.Host().Status(r.Context())
	switch {
	case err != nil:
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
	case s.ReadOnly != "":
		http.Error(w, "read only: "+s.ReadOnly, http.StatusServiceUnavailable)
	default:
		_, _ = io.WriteString(w, "ready\n")
	}
}

// metrics writes Prometheus' text format (https://prometheus.io/docs/instrumenting/exposition_formats/).
func (h *Handler) metrics(w http.ResponseWriter, r *http.Request) {
	s, err := h.o.Host().Status(r.Context())
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	var b strings.Builder
	gauge(&b, "tandem_revision", "Revision of the partition in force.", sample{value: int64(s.Revision)})
	gauge(&b, "tandem_unsettled", "Features of objects that have not settled.", sample{value: int64(s.Dirty)})
	gauge(&b, "tandem_in_doubt", "Writes whose answer is missing.", sample{value: int64(s.InDoubt)})
	open := 0
	for _, x := range s.Held {
		if x.State == ledger.HoldOpen {
			open++
		}
	}
	gauge(&b, "tandem_held_sets", "Held sets that wait for a person.", sample{value: int64(open)})
	var linked, waves, runs, failed []sample
	for k, n := range s.Linked {
		linked = append(linked, sample{"kind", string(k), int64(n)})
	}
	states := map[string]int64{}
	for _, x := range s.Waves {
		states[string(x.State)]++
	}
	for k, n := range states {
		waves = append(waves, sample{"state", k, n})
	}
	for _, e := range s.Engines {
		if e.Last != nil {
			runs = append(runs, sample{"engine", e.Name, e.Last.At / 1000})
			failed = append(failed, sample{"engine", e.Name, int64(e.Last.Failed)})
		}
	}
	gauge(&b, "tandem_linked_objects", "Linked objects by kind.", linked...)
	gauge(&b, "tandem_waves", "Waves by state.", waves...)
	gauge(&b, "tandem_last_run_timestamp_seconds", "End of an engine's last run.", runs...)
	gauge(&b, "tandem_last_run_failed", "Objects that failed in an engine's last run.", failed...)
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	_, _ = io.WriteString(w, b.String())
}

// sample is one value, with at most one label.
type sample struct {
	label, of string
	value     int64
}

func gauge(b *strings.Builder, name, help string, ss ...sample) {
	fmt.Fprintf(b, "# HELP %s %s\n# TYPE %s gauge\n", name, help, name)
	for _, s := range ss {
		if s.label == "" {
			fmt.Fprintf(b, "%s %d\n", name, s.value)
			continue
		}
		fmt.Fprintf(b, "%s{%s=%q} %d\n", name, s.label, s.of, s.value)
	}
}
