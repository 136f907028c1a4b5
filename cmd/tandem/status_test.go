package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/mattn/go-runewidth"
	"pgregory.net/rapid"

	"github.com/tandem-sync/tandem/orchestrator/api"
)

var noon = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)

// troubled is a status in which everything that can be shown is.
func troubled(name string) api.Status {
	at := func(ago time.Duration) *string {
		s := noon.Add(-ago).Format(time.RFC3339)
		return &s
	}
	no, yes, lag := false, true, int64(3600_000)
	var s api.Status
	text, _ := json.Marshal(map[string]any{"revision": 3, "epoch": "3.1", "linked": map[string]int{"user": 100000, "group": 1}, "errors": 12, "writeback": map[string]any{"inDoubt": 2},
		"stops": []any{map[string]any{"id": "under " + name, "by": "ida", "reason": name, "at": at(time.Hour)}},
		"held":  []any{map[string]any{"id": "h1a2b3c4", "engine": "connect", "state": "open", "count": 30, "class": "destructive", "why": name}}})
	if err := json.Unmarshal(text, &s); err != nil {
		panic(err)
	}
	down := api.Reached{Reached: &no, LastTry: at(12 * time.Second), LastSuccess: at(3 * time.Hour), Failures: 9, DurationMillis: 812, LastError: name}
	up := api.Reached{Reached: &yes, LastTry: at(12 * time.Second), LastSuccess: at(12 * time.Second), DurationMillis: 812}
	s.Directories, s.Tenant = []api.Directory{{Name: name, Objects: 123456, Reached: down}}, up
	s.Mark = api.Mark{Installation: "01a2282f-3a9b-7dbf-8ffb-baedd5fd56f5", Incarnation: 1, Host: name, At: *at(time.Hour), Ours: true, Kept: true, Read: *at(time.Second)}
	s.Disk, s.Certificates = &api.Disk{Free: 1 << 20, Total: 1 << 40}, []api.Certificate{{Of: "directory " + name, Ends: *at(-time.Hour)}}
	s.Alarms = []api.Alarm{{Level: "outage", Cause: "directory x", Message: "directory " + name + " was not reached in the last 9 tries: " + name, Hint: "tandem check"},
		{Level: "outage", Cause: "engine connect", Because: "directory x", Message: "engine connect did not complete a run: " + name}, {Level: "warning", Cause: "disk low", Message: "only 1 MiB are free"}}
	s.Engines = []api.Engine{{Name: "connect", Healthy: &yes, Reached: down, Lag: &lag, NextRun: at(-29 * time.Minute), Errors: 12, Passwords: &api.Passwords{Reached: up}},
		{Name: name, Healthy: &no, Reached: up, RunningSince: at(time.Minute), Details: map[string]string{"agents." + name: "1 of 2"}}}
	s.Waves = []api.Wave{{ID: "w349cf8629780f6e3-1", State: "waiting", Phase: "verify", From: "connect", To: "cloudsync",
		WaitingFor: &api.Waiting{For: "differences", Since: *at(time.Hour), Message: name, Command: "tandem wave approve w349cf8629780f6e3-1"}}}
	return s
}

// Whatever names are, no line of a status is wider than the terminal, and what is wrong is told whole.
func TestAStatusFitsItsColumns(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.SampledFrom([]int{80, 100, 132}).Draw(t, "columns")
		name := visible(rapid.StringOfN(rapid.RuneFrom([]rune("aé東京ｱ\u0301👩🏽\U0001F468\u200d🚀 ,=ß")), 1, 120, -1).Draw(t, "name"), false)
		var b bytes.Buffer
		(&statusView{w: &b, now: noon, limit: limit}).show(troubled(name))
		for line := range strings.Lines(b.String()) {
			if n := runewidth.StringWidth(strings.TrimRight(line, "\n")); n > limit {
				t.Fatalf("%d columns of %d: %q", n, limit, line)
			}
		}
	})
}

func TestAStatusShowsWhatIsWrongAndWhatToDo(t *testing.T) {
	var b bytes.Buffer
	(&statusView{w: &b, now: noon, limit: 80}).show(troubled("contoso"))
	for _, want := range []string{
		"OUTAGE      directory contoso was not reached in the last 9 tries: contoso\n            → tandem check\n",
		"  so also   engine connect did not complete a run: contoso\n",
		"WARNING     only 1 MiB are free\n",
		"STOPPED     under contoso by ida, 60m ago: contoso\n",
		"directory   contoso: 123456 objects, not reached 12s ago, last reached 3h ago, …\n",
		"tenant      reached 12s ago in 812ms\n",
		"disk        1 MiB free of 1024 GiB\n",
		"agents      contoso, directory contoso: 1 of 2 needed can read it\n",
		"linked      1 group, 100000 users\n",
		"connect      healthy    12s    3h    in 29m    812ms  9      60m  12\n",
		"  passwords             12s    12s             812ms  0\n",
		"contoso      unhealthy  12s    12s   runs 60s  812ms  0      –    0\n",
		"→ tandem wave approve w349cf8629780f6e3-1\n",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("it lacks %q", want)
		}
	}
	if t.Failed() {
		t.Log(b.String())
	}
}

func TestAFrameRedrawsOnATerminalAndFollowsElsewhere(t *testing.T) {
	var b bytes.Buffer
	f := &frame{w: &b}
	_ = f.show("one\n")
	_ = f.show("two\n")
	if b.String() != "one\n\ntwo\n" {
		t.Errorf("%q", b.String())
	}
	b.Reset()
	f = &frame{w: &b, redraw: true}
	_ = f.show("one\n")
	_ = f.show("two\n")
	if got := b.String(); got != "\x1b[2J\x1b[Hone\x1b[K\n\x1b[J"+"\x1b[Htwo\x1b[K\n\x1b[J" {
		t.Errorf("%q", got)
	}
}

func TestATableIsCutWhereItIsWidest(t *testing.T) {
	var b bytes.Buffer
	tableWithin(&b, 30, "A|B|C", [][]string{{"short", "東京東京東京東京東京東京東京東京", "end"}})
	if got := b.String(); got != "A      B                   C\nshort  東京東京東京東京…   end\n" {
		t.Errorf("%q", got)
	}
}
