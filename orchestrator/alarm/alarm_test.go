package alarm_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/alarm"
	"github.com/tandem-sync/tandem/orchestrator/answer"
	"github.com/tandem-sync/tandem/orchestrator/control"
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/objects"
	"github.com/tandem-sync/tandem/orchestrator/reach"
	"github.com/tandem-sync/tandem/orchestrator/run"
	"github.com/tandem-sync/tandem/orchestrator/schedule"
	"github.com/tandem-sync/tandem/orchestrator/tenancy"
	"github.com/tandem-sync/tandem/orchestrator/wave"
	"github.com/tandem-sync/tandem/plugins/engine"
)

var now = time.Date(2026, 11, 29, 22, 0, 0, 0, time.UTC)

// well is a host of which nothing is wrong.
func well() alarm.Facts {
	ok := &reach.Tries{LastTry: now.UnixMilli(), LastSuccess: now.UnixMilli()}
	return alarm.Facts{Now: now, Space: alarm.Space{Free: 1 << 40, Total: 1 << 41},
		Certificates: []alarm.Certified{{Of: "directory contoso", Ends: now.Add(90 * 24 * time.Hour)}, {Of: "agent a1", Ends: now.Add(300 * 24 * time.Hour)}},
		Loops:        []schedule.Loop{{Name: "engine connect", Next: now.Add(time.Minute)}},
		Status: answer.Status{Tenant: ok, Directories: []answer.DirectoryStatus{{Name: "contoso", Reach: ok, Deleted: "seen"}},
			Engines: []answer.EngineStatus{
				{Name: "connect", Reach: ok, Last: &run.Report{}, Health: &engine.Health{OK: true}},
				{Name: "cloudsync", Reach: ok, Last: &run.Report{}, Health: &engine.Health{OK: true, Details: map[string]string{"agents.contoso": "2 of 1"}}}},
			Waves: []wave.Wave{{ID: "w1", State: wave.Waiting, Phase: wave.Soak, For: wave.ForSoak}, {ID: "w2", State: wave.Paused, Phase: wave.Verify}}}}
}

func failing() *reach.Tries {
	return &reach.Tries{LastTry: now.UnixMilli(), LastSuccess: now.Add(-time.Hour).UnixMilli(), Failures: 2, Error: "connection refused"}
}

func TestOfAHostThatIsWellThereIsNothingToTell(t *testing.T) {
	if as := alarm.Of(well()); len(as) > 0 {
		t.Errorf("%+v", as)
	}
	if as := alarm.Of(alarm.Facts{Now: now}); len(as) > 0 {
		t.Errorf("of a host that never tried: %+v", as)
	}
}

// Everything that can be wrong, with the event and level that people are told of.
func TestEachThingThatIsWrongIsAnAlarm(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(f *alarm.Facts)
		event alarm.Event
		level alarm.Level
		cause string
		words string
	}{
		"directory": {func(f *alarm.Facts) { f.Status.Directories[0].Reach = failing() }, alarm.Failed, alarm.Outage, "directory contoso", "directory contoso was not reached in the last 2 tries (last success 2026-11-29T21:00:00Z): connection refused"},
		"rights":    {func(f *alarm.Facts) { f.Status.Directories[0].Blind = "no tombstones" }, alarm.Failed, alarm.Outage, "rights in directory contoso", "deletes cannot be proved"},
		"tenant":    {func(f *alarm.Facts) { f.Status.Tenant = failing() }, alarm.Failed, alarm.Outage, "tenant", "the tenant was not reached"},
		"engine":    {func(f *alarm.Facts) { f.Status.Engines[0].Reach = failing() }, alarm.Failed, alarm.Outage, "engine connect", "engine connect did not complete a run"},
		"health":    {func(f *alarm.Facts) { f.Status.Engines[0].Health = &engine.Health{Message: "ill"} }, alarm.Failed, alarm.Outage, "health of engine connect", "engine connect says: ill"},
		"process":   {func(f *alarm.Facts) { f.Status.Engines[0].Process.Trouble = "killed" }, alarm.Failed, alarm.Outage, "process of engine connect", "killed"},
		"agents": {func(f *alarm.Facts) {
			f.Status.Engines[1].Health = &engine.Health{Message: "none", Details: map[string]string{"agents.contoso": "0 of 1"}}
		}, alarm.Agents, alarm.Outage, "agents of engine cloudsync", "none"},
		"one agent": {func(f *alarm.Facts) { f.Status.Engines[1].Health.Details["agent.a1"] = "host dc2: away" }, alarm.Agents, alarm.Warning, "agent a1", "agent a1 of engine cloudsync: host dc2: away"},
		"passwords": {func(f *alarm.Facts) { f.Status.Engines[0].Passwords = &answer.Passwords{Reach: failing()} }, alarm.Failed, alarm.Outage, "passwords of engine connect", "did not hand passwords over"},
		"objects": {func(f *alarm.Facts) {
			f.Status.Engines[0].Last = &run.Report{Failed: 1, Errors: []run.Problem{{Object: "CN=Ann", Code: "upn-taken"}}}
		}, alarm.Failed, alarm.Warning, "objects of engine connect", "1 object failed in the last run of engine connect, such as CN=Ann upn-taken"},
		"mark":        {func(f *alarm.Facts) { f.Status.Mark = tenancy.MarkStatus{Refused: "another host"} }, alarm.Mark, alarm.Outage, "mark", "another host"},
		"restored":    {func(f *alarm.Facts) { f.Status.ReadOnly, f.Status.Restored = "restored", &control.Restored{At: 5} }, alarm.Waiting, alarm.Outage, "read-only", "read only: restored"},
		"disk full":   {func(f *alarm.Facts) { f.Space.Full = true }, alarm.Disk, alarm.Outage, "disk full", "is full"},
		"disk low":    {func(f *alarm.Facts) { f.Space.Free = 200 << 20 }, alarm.Disk, alarm.Warning, "disk low", "only 200 MiB are free"},
		"certificate": {func(f *alarm.Facts) { f.Certificates[0].Ends = now.Add(24 * time.Hour) }, alarm.Certificate, alarm.Warning, "certificate of directory contoso", "ends on 2026-11-30"},
		"ended":       {func(f *alarm.Facts) { f.Certificates[0].Ends = now.Add(-time.Hour) }, alarm.Certificate, alarm.Outage, "certificate of directory contoso", "ended on 2026-11-29"},
		"loop":        {func(f *alarm.Facts) { f.Loops[0].Next = now.Add(-time.Hour) }, alarm.Failed, alarm.Outage, "loop engine connect", "should have gone on"},
		"writeback": {func(f *alarm.Facts) {
			f.Loops = append(f.Loops, schedule.Loop{Name: schedule.WritebackLoop, Failures: 2, Err: errors.New("503")})
		}, alarm.Failed, alarm.Outage, "loop writeback", "passwords that people change in the tenant are not taken: 503"},
		"wave's loop": {func(f *alarm.Facts) {
			f.Loops = append(f.Loops, schedule.Loop{Name: schedule.WaveLoop("w9"), Failures: 1, Err: errors.New("503")})
		}, alarm.Failed, alarm.Warning, "loop wave w9", "wave w9 could not go on"},
		"held": {func(f *alarm.Facts) {
			f.Status.Held = []ledger.Hold{{ID: "h1", Engine: "connect", Class: ledger.Destructive, State: ledger.HoldOpen, Why: "30 deletes, limit 21", Entries: make([]ledger.HeldEntry, 30)}, {ID: "h0", State: ledger.HoldRejected}}
		}, alarm.Held, alarm.Asks, "held " + string(ledger.Destructive) + " connect ", "30 writes of engine connect are held as h1"},
		"wave": {func(f *alarm.Facts) {
			f.Status.Waves[0] = wave.Wave{ID: "w1", State: wave.Waiting, Phase: wave.Verify, For: wave.ForDifferences, Wait: "3 differences"}
		}, alarm.Waiting, alarm.Asks, "wave w1", "wave w1 waits in verify: 3 differences"},
		"failed wave": {func(f *alarm.Facts) { f.Status.Waves[0] = wave.Wave{ID: "w1", State: wave.Failed, Phase: wave.Verify} }, alarm.Failed, alarm.Warning, "wave w1", "failed in verify"},
		"selector":    {func(f *alarm.Facts) { f.Status.Frozen = []objects.PinnedGroup{{Name: "CN=Pilot"}} }, alarm.Waiting, alarm.Warning, "selector ", "CN=Pilot"},
		"undelivered": {func(f *alarm.Facts) {
			f.Undelivered = []alarm.Undelivered{{Channel: "mail", Waiting: 2, Error: "busy"}}
		}, alarm.Failed, alarm.Warning, "notifications by mail", "2 notifications by mail"},
	} {
		f := well()
		c.spoil(&f)
		as := alarm.Of(f)
		if len(as) != 1 {
			t.Errorf("%s: %d alarms: %+v", name, len(as), as)
			continue
		}
		a := as[0]
		if a.Event != c.event || a.Level != c.level || !strings.HasPrefix(a.Cause, c.cause) || !strings.Contains(a.Message, c.words) || a.Because != "" {
			t.Errorf("%s: %+v", name, a)
		}
		if outages := alarm.Outages(as); (len(outages) == 1) != (c.level == alarm.Outage) {
			t.Errorf("%s: outages %q", name, outages)
		}
	}
}

func TestWhatFollowsFromAnOutageIsExplainedByItsRoot(t *testing.T) {
	f := well()
	f.Status.Directories[0].Reach, f.Status.Engines[0].Reach, f.Status.Engines[1].Reach = failing(), failing(), failing()
	roots := map[string]string{}
	for _, a := range alarm.Of(f) {
		roots[a.Cause] = a.Because
	}
	if roots["directory contoso"] != "" || roots["engine connect"] != "directory contoso" || roots["engine cloudsync"] != "directory contoso" {
		t.Errorf("%v", roots)
	}
	f.Certificates[0].Ends = now.Add(-time.Hour)
	roots = map[string]string{}
	for _, a := range alarm.Of(f) {
		roots[a.Cause] = a.Because
	}
	if c := "certificate of directory contoso"; roots[c] != "" || roots["directory contoso"] != c || roots["engine connect"] != c {
		t.Errorf("with a certificate that ended: %v", roots)
	}
	f.Certificates[0].Ends = now.Add(time.Hour) // it ends soon: that is no reason yet
	for _, a := range alarm.Of(f) {
		if a.Because == "certificate of directory contoso" {
			t.Errorf("%+v", a)
		}
	}
	f = well()
	f.Status.Directories[0].Reach, f.Status.Engines[0].Health = failing(), &engine.Health{Message: "the last run failed"}
	agents := map[string]string{"agents.contoso": "0 of 1", "agent.a1": "host dc2: fails"}
	f.Status.Engines[1].Health = &engine.Health{Message: "none", Agents: 1, Details: agents}
	for _, a := range alarm.Of(f) {
		if a.Cause == "health of engine connect" && (a.Because != "directory contoso" || a.Seen != now.UnixMilli()) || a.Cause == "agents of engine cloudsync" && a.Because != "directory contoso" {
			t.Errorf("what cannot be read makes engines unwell: %+v", a)
		}
	}
	f.Status.Engines[1].Health = &engine.Health{Message: "none", Details: agents}
	for _, a := range alarm.Of(f) {
		if a.Cause == "agents of engine cloudsync" && a.Because != "" {
			t.Errorf("an agent that is away is not away because of the directory: %+v", a)
		}
	}
	f = well()
	f.Status.Engines[0].Reach = failing()
	f.Space.Full = true
	if as := alarm.Of(f); as[0].Cause != "disk full" || as[1].Because != "disk full" {
		t.Errorf("roots do not come first: %+v", as)
	}
}
