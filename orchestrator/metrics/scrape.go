package metrics

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tandem-sync/tandem/orchestrator/alarm"
	"github.com/tandem-sync/tandem/orchestrator/answer"
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/reach"
	"github.com/tandem-sync/tandem/orchestrator/run"
	"github.com/tandem-sync/tandem/orchestrator/schedule"
	"github.com/tandem-sync/tandem/orchestrator/wave"
)

func (x *scrape) all() {
	x.right()
	x.reached()
	for _, e := range x.s.Status.Engines {
		x.engine(e)
	}
	x.runs()
	x.unsettled()
	x.waves()
	x.host()
}

func (x *scrape) right() {
	s := x.s.Status
	x.set("tandem_healthy", number(len(alarm.Outages(x.s.Alarms)) == 0))
	seen := map[[3]string]bool{} // a scrape fails when two values have the same labels, and two alarms may have one event, level and cause
	for _, a := range x.s.Alarms {
		k := [3]string{string(a.Event), string(a.Level), a.Cause}
		if !seen[k] {
			seen[k] = true
			x.set("tandem_alarm_active", 1, k[0], k[1], k[2])
		}
	}
	x.set("tandem_read_only", number(s.ReadOnly != ""))
	x.set("tandem_mark_ours", number(s.Mark.Refused == ""))
	x.set("tandem_mark_read_timestamp_seconds", unix(s.Mark.Read.UnixMilli(), s.Mark.Read.IsZero()))
	x.set("tandem_policy_revision", float64(s.Revision))
	x.set("tandem_stops", float64(len(s.Stops)))
	for _, t := range s.Stops {
		x.set("tandem_stop_since_timestamp_seconds", seconds(t.At), t.ID)
	}
}

func unix(ms int64, never bool) float64 {
	if never {
		return 0
	}
	return seconds(ms)
}

func (x *scrape) reached() {
	for _, d := range x.s.Status.Directories {
		x.tries("tandem_directory", "try", d.Reach, d.Name)
		x.set("tandem_directory_objects", float64(d.Objects), d.Name)
		if d.Deleted != "" {
			x.set("tandem_directory_deletes_provable", number(d.Deleted != "hidden"), d.Name)
		}
	}
	x.tries("tandem_tenant", "try", x.s.Status.Tenant)
	x.set("tandem_tenant_requests_total", float64(x.s.Requests.All))
	x.set("tandem_tenant_writes_total", float64(x.s.Requests.Writes))
	x.set("tandem_tenant_throttled_total", float64(x.s.Requests.Throttled))
}

// tries writes how the last tries to reach a directory, the tenant or an engine ended. A nil r means that none was made, and writes nothing.
func (x *scrape) tries(prefix, what string, r *reach.Tries, labels ...string) {
	if r == nil {
		return
	}
	x.set(prefix+"_up", number(r.Failures == 0), labels...)
	x.set(prefix+"_last_success_timestamp_seconds", seconds(r.LastSuccess), labels...)
	x.set(prefix+"_last_try_timestamp_seconds", seconds(r.LastTry), labels...)
	x.set(prefix+"_consecutive_failures", float64(r.Failures), labels...)
	x.set(prefix+"_"+what+"_duration_seconds", seconds(r.Millis), labels...)
}

func (x *scrape) engine(e answer.EngineStatus) {
	x.tries("tandem_engine", "run", e.Reach, e.Name)
	if e.Reach != nil && e.Reach.SuccessBegan > 0 {
		x.set("tandem_engine_lag_seconds", max(0, x.s.Now.Sub(time.UnixMilli(e.Reach.SuccessBegan)).Seconds()), e.Name)
	}
	for _, l := range x.s.Loops {
		if l.Name != schedule.EngineLoop(e.Name) {
			continue
		}
		x.set("tandem_engine_running", number(!l.Began.IsZero()), e.Name)
		if !l.Next.IsZero() {
			x.set("tandem_engine_next_run_timestamp_seconds", seconds(l.Next.UnixMilli()), e.Name)
		}
	}
	if e.Full != nil {
		x.set("tandem_engine_last_full_run_timestamp_seconds", seconds(e.Full.At), e.Name)
	}
	x.set("tandem_engine_stopped", number(e.Stopped != ""), e.Name)
	x.set("tandem_engine_process_restarts_total", float64(e.Process.Restarts), e.Name)
	x.set("tandem_engine_unsettled_features", float64(e.Debts), e.Name)
	if e.Last != nil {
		x.set("tandem_engine_failed_objects", float64(e.Last.Failed), e.Name)
	}
	if e.Health != nil {
		x.set("tandem_engine_healthy", number(e.Health.OK), e.Name)
		x.agents(e)
	}
}

// agents writes what an engine reports about its agents in the details of its health: "agents.DIRECTORY" is "USABLE of REQUIRED", and each "agent.…" describes an agent with a
// problem.
func (x *scrape) agents(e answer.EngineStatus) {
	troubled, any := 0, false
	for _, key := range slices.Sorted(maps.Keys(e.Health.Details)) {
		name, counted := strings.CutPrefix(key, "agents.")
		var usable, required int
		if n, _ := fmt.Sscanf(e.Health.Details[key], "%d of %d", &usable, &required); counted && n == 2 {
			any = true
			x.set("tandem_agents_usable", float64(usable), e.Name, name)
			x.set("tandem_agents_required", float64(required), e.Name, name)
		}
		if strings.HasPrefix(key, "agent.") {
			troubled++
		}
	}
	if any {
		x.set("tandem_agents_troubled", float64(troubled), e.Name)
	}
}

func (x *scrape) runs() {
	for _, t := range x.s.Runs {
		for _, r := range []string{run.EndedComplete, run.EndedIncomplete, run.EndedFailed} {
			x.set("tandem_runs_total", float64(t.Ended[r]), t.Engine, string(t.Stream), r)
		}
		if t.Stream != "" {
			continue
		}
		for _, w := range []struct {
			op string
			n  uint64
		}{{"create", t.Creates}, {"update", t.Updates}, {"delete", t.Deletes}, {"restore", t.Restores}} {
			x.set("tandem_writes_total", float64(w.n), t.Engine, w.op)
		}
	}
}

func (x *scrape) unsettled() {
	s := x.s.Status
	for _, k := range slices.Sorted(maps.Keys(s.Linked)) {
		x.set("tandem_linked_objects", float64(s.Linked[k]), string(k))
	}
	x.set("tandem_unsettled_features", float64(s.Unsettled))
	x.set("tandem_writes_in_doubt", float64(s.InDoubt))
	x.set("tandem_deliveries_in_doubt", float64(x.s.Deliveries))
	type key struct{ engine, class string }
	sets, writes, oldest := map[key]int{}, map[key]int{}, int64(0)
	for _, h := range s.Held {
		if h.State != ledger.HoldOpen {
			continue
		}
		k := key{h.Engine, string(h.Class)}
		sets[k]++
		writes[k] += len(h.Entries)
		if oldest == 0 || h.At < oldest {
			oldest = h.At
		}
	}
	for k, n := range sets {
		x.set("tandem_held_sets", float64(n), k.engine, k.class)
		x.set("tandem_held_writes", float64(writes[k]), k.engine, k.class)
	}
	x.set("tandem_held_oldest_timestamp_seconds", seconds(oldest))
}

func (x *scrape) waves() {
	states := map[wave.State]int{}
	count, sum, buckets := uint64(0), 0.0, map[float64]uint64{}
	for _, b := range freezeBuckets {
		buckets[b] = 0
	}
	for _, w := range x.s.Status.Waves {
		states[w.State]++
		if f := w.WaitsFor(); f != "" && !w.State.Over() {
			since := w.Since
			if w.Paused != nil {
				since = w.Paused.At
			}
			x.set("tandem_wave_waiting_since_timestamp_seconds", seconds(since), w.ID, string(f))
		}
		if w.FreezeMillis == 0 {
			continue
		}
		took := float64(w.FreezeMillis) / 1000
		count, sum = count+1, sum+took
		for _, b := range freezeBuckets {
			if took <= b {
				buckets[b]++
			}
		}
	}
	for _, st := range []wave.State{wave.NotStarted, wave.Running, wave.Waiting, wave.Paused, wave.Completed, wave.RolledBack, wave.Aborted, wave.Failed} {
		x.set("tandem_waves", float64(states[st]), string(st))
	}
	x.ch <- prometheus.MustNewConstHistogram(x.c.descs["tandem_wave_freeze_seconds"].desc, count, sum, buckets)
}

// host writes the metrics of the process and its machine.
func (x *scrape) host() {
	stalled := 0
	for _, l := range x.s.Loops {
		if l.Stands(x.s.Now) != "" {
			stalled++
		}
	}
	x.set("tandem_loops_stalled", float64(stalled))
	if x.s.Space.Total > 0 {
		x.set("tandem_state_free_bytes", float64(x.s.Space.Free))
		x.set("tandem_state_size_bytes", float64(x.s.Space.Total))
	}
	x.set("tandem_state_full", number(x.s.Space.Full))
	for _, c := range x.s.Certificates {
		x.set("tandem_certificate_expiry_timestamp_seconds", seconds(c.Ends.UnixMilli()), c.Of)
	}
	x.set("tandem_index_mended_total", float64(x.s.Fixed))
	for _, n := range x.s.Notified {
		x.set("tandem_notifications_delivered_total", float64(n.Delivered), n.Channel)
		x.set("tandem_notification_failures_total", float64(n.Failed), n.Channel)
		x.set("tandem_notifications_dropped_total", float64(n.Dropped), n.Channel)
		x.set("tandem_notification_queue_length", float64(n.Waiting), n.Channel)
		x.set("tandem_notification_oldest_timestamp_seconds", seconds(n.Oldest), n.Channel)
	}
}
