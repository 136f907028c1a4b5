package notify

import (
	"maps"
	"slices"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/alarm"
)

// Test is the event of a test message.
const Test alarm.Event = "test"

// Message is one notification, in the form in which a webhook gets it. Times are RFC 3339 in UTC.
type Message struct {
	Version int         `json:"version"` // of this form: 1
	ID      string      `json:"id"`      // the same in each attempt to deliver it
	At      string      `json:"at"`
	Event   alarm.Event `json:"event"`
	Of      alarm.Event `json:"of,omitempty"` // of a recovery: the event that is over
	Cause   string      `json:"cause"`        // the same in all messages about one thing
	Level   alarm.Level `json:"level,omitempty"`
	Message string      `json:"message"`
	Hint    string      `json:"hint,omitempty"`
	Since   string      `json:"since,omitempty"` // when it last worked, or when the alarm began
	Also    []string    `json:"also"`            // messages of the alarms that this one explains
	Times   int         `json:"times,omitempty"` // how often it came back since the last message about it; 0: at most once

	Installation string `json:"installation,omitempty"`
	Host         string `json:"host,omitempty"`
}

// Rules bound what is sent.
type Rules struct {
	Grace  time.Duration                // how long an alarm has to last before it is sent: one that ends by itself at once needs no person
	Pause  time.Duration                // the least time between two messages about the same alarm, and between two about its end
	Repeat time.Duration                // after how long an alarm that lasts is sent again; 0: never
	Wants  func(event alarm.Event) bool // nil: all
}

// DefaultRules are the rules of a host that serves.
var DefaultRules = Rules{Grace: 15 * time.Second, Pause: time.Hour, Repeat: 24 * time.Hour}

// Told is what is remembered about the alarm of one cause. Times are Unix milliseconds; 0: never.
type Told struct {
	Wrong     bool        `json:"wrong,omitempty"`     // the last message said that it is there
	Is        bool        `json:"is,omitempty"`        // it was there at the last look
	Began     int64       `json:"began,omitempty"`     // when it was first seen this time
	At        int64       `json:"at,omitempty"`        // when the last message said that it is there
	Ended     int64       `json:"ended,omitempty"`     // when the last message said that it is over
	Version   string      `json:"version,omitempty"`   // of the alarm in the last message
	Times     int         `json:"times,omitempty"`     // how often it came back since the last message
	Explained int64       `json:"explained,omitempty"` // the failed try (alarm.Alarm.Seen) that another alarm explained: it stays explained until another try fails
	Event     alarm.Event `json:"event,omitempty"`
	Message   string      `json:"message,omitempty"`
}

// Memory is what is remembered, by cause.
type Memory map[string]Told

// Next decides what to send, by what is remembered, the present alarms and the time. An alarm that another one explains is sent with that one, and not by itself. Next returns
// the messages, without ids and the host's name, and what to remember. It does not change its arguments.
func Next(m Memory, alarms []alarm.Alarm, now time.Time, r Rules) ([]Message, Memory) {
	next := Memory{}
	var out []Message
	also := map[string][]string{}
	for _, a := range alarms {
		if a.Because != "" {
			also[a.Because] = append(also[a.Because], a.Message)
		}
	}
	for _, a := range alarms {
		t := m[a.Cause].sees(a, now)
		if t.due(a, now, r) {
			if r.wants(a.Event) {
				out = append(out, messageOf(a, t, now, also[a.Cause]))
			}
			t.Wrong, t.At, t.Version, t.Times, t.Event, t.Message = true, now.UnixMilli(), a.Version, 0, a.Event, a.Message
		}
		next[a.Cause] = t
	}
	for _, cause := range slices.Sorted(maps.Keys(m)) {
		t := m[cause]
		if _, still := next[cause]; still {
			continue
		}
		t.Is, t.Began, t.Explained = false, 0, 0
		if t.Wrong && since(now, t.Ended) >= r.Pause {
			if r.wants(alarm.Recovered) && r.wants(t.Event) && recovers(t.Event) {
				out = append(out, Message{Version: 1, At: stamp(now.UnixMilli()), Event: alarm.Recovered, Of: t.Event, Cause: cause, Message: "it is well again; it was: " + t.Message, Since: stamp(t.At), Also: []string{}})
			}
			t.Wrong, t.Ended = false, now.UnixMilli()
		}
		if t.Wrong || since(now, t.At) < r.Pause || since(now, t.Ended) < r.Pause {
			next[cause] = t
		}
	}
	return out, next
}

// recovers reports whether the end of an event is sent. What waited for a person ends by that person's answer, so its end is not.
func recovers(e alarm.Event) bool { return e != alarm.Held && e != alarm.Waiting }

// sees returns t after a look at which the alarm is there.
func (t Told) sees(a alarm.Alarm, now time.Time) Told {
	if !t.Is {
		t.Is, t.Began = true, now.UnixMilli()
		t.Times++
	}
	switch {
	case a.Because != "":
		t.Explained = max(a.Seen, 1)
	case t.Explained != a.Seen:
		t.Explained = 0
	}
	if t.Explained != 0 {
		t.Began = now.UnixMilli() // its grace begins when it is no longer explained
	}
	return t
}

// due reports whether an alarm that is there has to be sent now.
func (t Told) due(a alarm.Alarm, now time.Time, r Rules) bool {
	switch {
	case t.Explained != 0:
		return false
	case since(now, t.Began) < r.Grace, since(now, t.At) < r.Pause:
		return false
	case !t.Wrong, t.Version != a.Version, t.Event != a.Event:
		return true
	}
	return r.Repeat > 0 && since(now, t.At) >= r.Repeat
}

func messageOf(a alarm.Alarm, t Told, now time.Time, also []string) Message {
	m := Message{Version: 1, At: stamp(now.UnixMilli()), Event: a.Event, Cause: a.Cause, Level: a.Level, Message: a.Message, Hint: a.Hint, Also: also}
	if m.Also == nil {
		m.Also = []string{}
	}
	if a.Since > 0 {
		m.Since = stamp(a.Since)
	}
	if t.Times > 1 {
		m.Times = t.Times
	}
	return m
}

func (r Rules) wants(e alarm.Event) bool { return r.Wants == nil || r.Wants(e) }

// since returns how long ago a time was, at most 1000 hours. It returns the most for a time that lies ahead: after the clock was set back, nothing is withheld.
func since(now time.Time, ms int64) time.Duration {
	const ever = 1000 * time.Hour
	if ms == 0 || now.UnixMilli() < ms {
		return ever
	}
	return min(now.Sub(time.UnixMilli(ms)), ever)
}

func stamp(ms int64) string { return time.UnixMilli(ms).UTC().Format(time.RFC3339) }
