package metrics_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/tandem-sync/tandem/orchestrator/alarm"
	"github.com/tandem-sync/tandem/orchestrator/answer"
	"github.com/tandem-sync/tandem/orchestrator/gate"
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/metrics"
	"github.com/tandem-sync/tandem/orchestrator/notify"
	"github.com/tandem-sync/tandem/orchestrator/reach"
	"github.com/tandem-sync/tandem/orchestrator/run"
	"github.com/tandem-sync/tandem/orchestrator/schedule"
	"github.com/tandem-sync/tandem/orchestrator/wave"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

var now = time.Date(2026, 11, 29, 22, 0, 0, 0, time.UTC)

// everything is a snapshot in which every family has a value.
func everything() metrics.Snapshot {
	ms := func(ago time.Duration) int64 { return now.Add(-ago).UnixMilli() }
	tries := func(failures int) *reach.Tries {
		return &reach.Tries{LastTry: ms(time.Minute), LastSuccess: ms(2 * time.Minute), SuccessBegan: ms(150 * time.Second), Failures: failures, Error: "refused", Millis: 812}
	}
	s := metrics.Snapshot{
		Facts: alarm.Facts{Now: now, Space: alarm.Space{Free: 1 << 30, Total: 1 << 40}, Certificates: []alarm.Certified{{Of: "directory contoso", Ends: now.Add(1000 * time.Hour)}},
			Loops: []schedule.Loop{{Name: "engine connect", Next: now.Add(time.Minute)}, {Name: "engine cloudsync", Began: now, Beat: now}},
			Status: answer.Status{Revision: 3, Unsettled: 7, InDoubt: 2, Linked: map[scoping.Kind]int{scoping.User: 100_000}, Tenant: tries(0),
				Directories: []answer.DirectoryStatus{{Name: "contoso", Objects: 5, Reach: tries(2), Deleted: "seen"}},
				Engines: []answer.EngineStatus{
					{Name: "connect", Reach: tries(0), Full: &reach.Full{At: ms(time.Hour)}, Debts: 7, Last: &run.Report{Failed: 1, Errors: []run.Problem{{Object: "CN=Ann", Code: "refused"}}}, Process: answer.Process{Restarts: 2}},
					{Name: "cloudsync", Reach: tries(0), Health: &engine.Health{OK: true, Agents: 2, Details: map[string]string{"agents.contoso": "1 of 2", "agent.a1": "away"}}}},
				Stops: []gate.Stop{{ID: "all", At: ms(time.Hour)}},
				Held:  []ledger.Hold{{ID: "h1", Engine: "connect", Class: ledger.Destructive, State: ledger.HoldOpen, At: ms(time.Hour), Entries: make([]ledger.HeldEntry, 30)}},
				Waves: []wave.Wave{{ID: "w1", State: wave.Waiting, Phase: wave.Verify, For: wave.ForDifferences, Since: ms(time.Hour), FreezeMillis: 40}}}},
		Runs:     []run.Totals{{Engine: "connect", Ended: map[string]uint64{run.EndedComplete: 4}, Creates: 11}},
		Requests: metrics.Requests{All: 10, Writes: 4, Throttled: 1}, Notified: []notify.Counts{{Channel: "mail", Delivered: 1, Waiting: 2, Oldest: ms(time.Minute)}},
	}
	s.Alarms = alarm.Of(s.Facts)
	return s
}

func TestNamesTypesAndUnitsFollowPrometheus(t *testing.T) {
	problems, err := testutil.GatherAndLint(metrics.Registry(func() (metrics.Snapshot, error) { return everything(), nil }))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

func scrape(t *testing.T, take func() (metrics.Snapshot, error)) (int, string) {
	s := httptest.NewServer(metrics.Handler(metrics.Registry(take)))
	defer s.Close()
	r, err := http.Get(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Body.Close() }()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, string(b)
}

func TestAScrapeTellsWhatStatusKnows(t *testing.T) {
	code, body := scrape(t, func() (metrics.Snapshot, error) { return everything(), nil })
	if code != http.StatusOK {
		t.Fatalf("%d: %s", code, body)
	}
	for _, want := range []string{
		"tandem_healthy 0", `tandem_alarm_active{cause="directory contoso",event="failed",level="outage"} 1`, `tandem_directory_up{directory="contoso"} 0`, `tandem_directory_consecutive_failures{directory="contoso"} 2`,
		"tandem_tenant_up 1", `tandem_engine_lag_seconds{engine="connect"} 150`, `tandem_engine_run_duration_seconds{engine="connect"} 0.812`, `tandem_engine_process_restarts_total{engine="connect"} 2`,
		`tandem_agents_usable{directory="contoso",engine="cloudsync"} 1`, `tandem_agents_required{directory="contoso",engine="cloudsync"} 2`, `tandem_agents_troubled{engine="cloudsync"} 1`,
		`tandem_runs_total{engine="connect",result="complete",stream=""} 4`, `tandem_writes_total{engine="connect",operation="create"} 11`, `tandem_linked_objects{kind="user"} 100000`,
		fmt.Sprintf(`tandem_held_writes{class=%q,engine="connect"} 30`, ledger.Destructive), `tandem_waves{state="waiting"} 1`, fmt.Sprintf(`tandem_wave_waiting_since_timestamp_seconds{for="differences",wave="w1"} %v`, float64(now.Add(-time.Hour).Unix())),
		`tandem_wave_freeze_seconds_bucket{le="0.05"} 1`, `tandem_wave_freeze_seconds_bucket{le="0.025"} 0`, `tandem_notification_queue_length{channel="mail"} 2`, "process_resident_memory_bytes", "go_goroutines",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("it lacks %q", want)
		}
	}
	if t.Failed() {
		t.Log(body)
	}
}

// The list of families is what dashboards and alerts are checked against: none of it may be without a value for ever.
func TestEveryFamilyIsWritten(t *testing.T) {
	_, body := scrape(t, func() (metrics.Snapshot, error) { return everything(), nil })
	for _, n := range metrics.Names() {
		if !strings.Contains(body, "# TYPE "+n+" ") {
			t.Errorf("%s is never written", n)
		}
	}
}

func TestAScrapeOfWhatCannotBeAskedFails(t *testing.T) {
	if code, body := scrape(t, func() (metrics.Snapshot, error) { return metrics.Snapshot{}, errors.New("the state is closed") }); code != http.StatusInternalServerError || !strings.Contains(body, "the state is closed") {
		t.Errorf("%d: %s", code, body)
	}
}
