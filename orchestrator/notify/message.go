package notify

import (
	"maps"
	"slices"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/alarm"
)

// Test is the event of a message that a person asked for to see whether it arrives.
const Test alarm.Event = "test"

// Message is one notification, as a webhook gets it. Times are RFC 3339 in UTC.
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
	Since   string      `json:"since,omitempty"` // when it was last well, or began
	Also    []string    `json:"also"`            // what does not work because of it
	Times   int         `json:"times,omitempty"` // how often it came back since it was told last, where that is more than once

	Installation string `json:"installation,omitempty"`
	Host         string `json:"host,omitempty"`
}

// Rules bound what is told.
type Rules struct {
	Grace  time.Duration                // how long something is wrong before it is told: what ends by itself at once is nobody's trouble
	Pause  time.Duration                // the least time between two messages that tell that the same thing is wrong, and between two that tell its end
	Remind time.Duration                // when something that is still wrong is told again; 0: never
	Wants  func(event alarm.Event) bool // nil: all
}

// DefaultRules are the rules of a host that serves.
var DefaultRules = Rules{Grace: 15 * time.Second, Pause: time.Hour, Remind: 24 * time.Hour}

// Told is what is remembered of one cause. Times are Unix milliseconds; 0: never.
type Told struct {
	Wrong     bool        `json:"wrong,omitempty"`     // as people were told last
	Is        bool        `json:"is,omitempty"`        // as it was at the last look
	Began     int64       `json:"began,omitempty"`     // when it was first seen this time
	At        int64       `json:"at,omitempty"`        // when it was told last that it is wrong
	Ended     int64       `json:"ended,omitempty"`     // when its end was told last
	Version   string      `json:"version,omitempty"`   // that was told
	Times     int         `json:"times,omitempty"`     // how often it came back since it was told
	Explained int64       `json:"explained,omitempty"` // the try that another cause explained: it proves nothing once that is over
	Event     alarm.Event `json:"event,omitempty"`
	Message   string      `json:"message,omitempty"`
}

// Memory is what was told, by cause.
type Memory map[string]Told

// Next decides what to tell: of what was told, of what is wrong, and of the time. What another cause explains is told with that cause and not by itself. It returns
// the messages, without ids and names of this host, and what is to be remembered; it changes nothing that it was given.
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
				out = append(out, tells(a, t, now, also[a.Cause]))
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

// recovers reports whether people are told that an event is over: of what waited for them they know.
func recovers(e alarm.Event) bool { return e != alarm.Held && e != alarm.Waiting }

// sees takes up that a cause is there.
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
		t.Began = now.UnixMilli() // its own time begins when nothing explains it any more
	}
	return t
}

// due reports whether a cause that is there is to be told now.
func (t Told) due(a alarm.Alarm, now time.Time, r Rules) bool {
	switch {
	case t.Explained != 0:
		return false
	case since(now, t.Began) < r.Grace, since(now, t.At) < r.Pause:
		return false
	case !t.Wrong, t.Version != a.Version, t.Event != a.Event:
		return true
	}
	return r.Remind > 0 && since(now, t.At) >= r.Remind
}

func tells(a alarm.Alarm, t Told, now time.Time, also []string) Message {
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

// since is how long ago a time is. Of a clock that was set back it is as long as can be: nothing is withheld for that.
func since(now time.Time, ms int64) time.Duration {
	const ever = 1000 * time.Hour
	if ms == 0 || now.UnixMilli() < ms {
		return ever
	}
	return min(now.Sub(time.UnixMilli(ms)), ever)
}

func stamp(ms int64) string { return time.UnixMilli(ms).UTC().Format(time.RFC3339) }
