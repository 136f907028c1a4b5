package notify_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tandem-sync/tandem/orchestrator/alarm"
	"github.com/tandem-sync/tandem/orchestrator/notify"
)

var start = time.Date(2026, 11, 29, 22, 0, 0, 0, time.UTC)

// told is a person who is told of what is wrong at times.
type told struct {
	t      *testing.T
	memory notify.Memory
	now    time.Time
	rules  notify.Rules
}

func person(t *testing.T) *told {
	return &told{t: t, memory: notify.Memory{}, now: start, rules: notify.DefaultRules}
}

// look lets time pass, then look, and returns what the person is told, as "event cause".
func (p *told) look(after time.Duration, alarms ...alarm.Alarm) []string {
	p.now = p.now.Add(after)
	var ms []notify.Message
	ms, p.memory = notify.Next(p.memory, alarms, p.now, p.rules)
	out := []string{}
	for _, m := range ms {
		out = append(out, string(m.Event)+" "+m.Cause)
	}
	return out
}

func (p *told) wants(what string, got []string, want ...string) {
	p.t.Helper()
	if !slices.Equal(got, want) {
		p.t.Errorf("%s: told %q, want %q", what, got, want)
	}
}

func down(cause string) alarm.Alarm {
	return alarm.Alarm{Event: alarm.Failed, Level: alarm.Outage, Cause: cause, Message: cause + " was not reached"}
}

func TestAnOutageIsToldOnceAndItsEndOnce(t *testing.T) {
	p := person(t)
	p.wants("at first", p.look(0, down("tenant")))
	p.wants("after the grace", p.look(15*time.Second, down("tenant")), "failed tenant")
	p.wants("while it lasts", p.look(5*time.Hour, down("tenant")))
	p.wants("in the end", p.look(time.Minute), "recovered tenant")
	p.wants("after the end", p.look(time.Minute))
}

func TestWhatEndsAtOnceIsNotTold(t *testing.T) {
	p := person(t)
	p.wants("at first", p.look(0, down("tenant")))
	p.wants("it ended", p.look(10*time.Second))
	p.wants("it came back", p.look(10*time.Second, down("tenant")))
	p.wants("its time began anew", p.look(10*time.Second, down("tenant")))
}

func TestWhatFlapsIsToldOnceAnHour(t *testing.T) {
	p := person(t)
	var all []string
	for i := range 4 * 60 { // four hours of minutes, down in every other
		if i%2 == 0 {
			all = append(all, p.look(30*time.Second, down("tenant"))...)
			all = append(all, p.look(30*time.Second, down("tenant"))...)
		} else {
			all = append(all, p.look(time.Minute)...)
		}
	}
	failed := 0
	for _, s := range all {
		if s == "failed tenant" {
			failed++
		}
	}
	if failed < 3 || failed > 5 || len(all) > 2*failed {
		t.Errorf("in four hours it was told %d times of %d messages: %q", failed, len(all), all)
	}
}

func TestWhatAnotherCauseExplainsIsToldWithIt(t *testing.T) {
	p := person(t)
	engine := func(seen int64, because string) alarm.Alarm {
		a := down("engine connect")
		a.Seen, a.Because = seen, because
		return a
	}
	p.wants("at first", p.look(0, down("directory contoso"), engine(1, "directory contoso")))
	p.wants("told", p.look(15*time.Second, down("directory contoso"), engine(2, "directory contoso")), "failed directory contoso")
	p.wants("the directory is back, the engine did not try since", p.look(time.Minute, engine(2, "")), "recovered directory contoso")
	p.wants("still not", p.look(time.Minute, engine(2, "")))
	p.wants("it tried and failed by itself", p.look(time.Second, engine(3, "")))
	p.wants("for as long as the grace", p.look(15*time.Second, engine(3, "")), "failed engine connect")

	m, _ := notify.Next(notify.Memory{"directory contoso": {Is: true, Began: start.Add(-time.Hour).UnixMilli()}}, []alarm.Alarm{down("directory contoso"), engine(1, "directory contoso")}, start, notify.DefaultRules)
	if len(m) != 1 || !slices.Equal(m[0].Also, []string{"engine connect was not reached"}) {
		t.Errorf("the message does not tell what else does not work: %+v", m)
	}
}

func TestWhatWaitsForAPersonIsToldAndItsAnswerIsNot(t *testing.T) {
	p := person(t)
	held := alarm.Alarm{Event: alarm.Held, Level: alarm.Asks, Cause: "held destructive connect", Version: "h1", Message: "30 writes"}
	p.look(0, held)
	p.wants("held", p.look(time.Minute, held), "held held destructive connect")
	held.Version = "h2"
	p.wants("another set within the hour", p.look(time.Minute, held))
	p.wants("after the hour", p.look(time.Hour, held), "held held destructive connect")
	p.wants("answered", p.look(time.Hour))
}

func TestOnlyWantedEventsAreTold(t *testing.T) {
	p := person(t)
	p.rules.Wants = func(e alarm.Event) bool { return e == alarm.Failed }
	disk := alarm.Alarm{Event: alarm.Disk, Level: alarm.Outage, Cause: "disk full", Message: "full"}
	p.look(0, disk, down("tenant"))
	p.wants("told", p.look(time.Minute, disk, down("tenant")), "failed tenant")
	p.wants("over", p.look(time.Minute))
}

func TestAClockThatStepsBackHoldsNothingBack(t *testing.T) {
	p := person(t)
	p.look(0, down("tenant"))
	p.look(time.Minute, down("tenant"))
	p.look(time.Minute)
	p.wants("two days back, down again", p.look(-48*time.Hour, down("tenant")))
	p.wants("told", p.look(time.Minute, down("tenant")), "failed tenant")
}

// Whatever happens: of one cause no two beginnings and no two ends are told within the pause, a beginning and an end take turns, and what is wrong for long enough without an
// explanation was told.
func TestPeopleKnowWhatIsWrongAndAreNotToldTwice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rules := notify.Rules{Grace: time.Minute, Pause: time.Hour}
		memory := notify.Memory{}
		now := start
		wrongSince := map[string]time.Time{}
		last := map[string]map[alarm.Event]time.Time{}
		knows := map[string]bool{}
		for range rapid.IntRange(1, 60).Draw(t, "looks") {
			now = now.Add(time.Duration(rapid.IntRange(1, 40).Draw(t, "minutes")) * time.Minute)
			var alarms []alarm.Alarm
			for i := range 3 {
				c := fmt.Sprint("cause ", i)
				if !rapid.Bool().Draw(t, c) {
					delete(wrongSince, c)
					continue
				}
				if _, there := wrongSince[c]; !there {
					wrongSince[c] = now
				}
				alarms = append(alarms, down(c))
			}
			ms, next := notify.Next(memory, alarms, now, rules)
			memory = next
			for _, m := range ms {
				if last[m.Cause] == nil {
					last[m.Cause] = map[alarm.Event]time.Time{}
				}
				if before, told := last[m.Cause][m.Event]; told && now.Sub(before) < rules.Pause {
					t.Fatalf("%s of %s was told at %s and at %s", m.Event, m.Cause, before, now)
				}
				last[m.Cause][m.Event] = now
				if wrong := m.Event == alarm.Failed; knows[m.Cause] == wrong {
					t.Fatalf("%s of %s was told to whoever knew it", m.Event, m.Cause)
				} else {
					knows[m.Cause] = wrong
				}
			}
			for c, began := range wrongSince {
				if now.Sub(began) >= rules.Grace+rules.Pause && !knows[c] {
					t.Fatalf("%s is wrong since %s and nobody knows it at %s", c, began, now)
				}
			}
		}
		for range 3 { // in the end all is well, and everybody knows that
			now = now.Add(2 * time.Hour)
			var ms []notify.Message
			ms, memory = notify.Next(memory, nil, now, rules)
			for _, m := range ms {
				knows[m.Cause] = m.Event == alarm.Failed
			}
		}
		for c, wrong := range knows {
			if wrong {
				t.Fatalf("%s is over and people think that it is not", c)
			}
		}
		if len(memory) > 0 {
			t.Fatalf("what is long over is remembered: %v", memory)
		}
	})
}
