package api

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/alarm"
	"github.com/tandem-sync/tandem/orchestrator/notify"
)

// Alarm is one problem, or one question to a person. Times are RFC 3339.
type Alarm struct {
	Event   alarm.Event `json:"event"`
	Level   alarm.Level `json:"level"` // outage, warning or asks
	Cause   string      `json:"cause"`
	Message string      `json:"message"`
	Hint    string      `json:"hint,omitempty"`
	Since   string      `json:"since,omitempty"`   // when it last worked, or when the problem began
	Because string      `json:"because,omitempty"` // the cause that explains it
}

func alarmsOf(as []alarm.Alarm) []Alarm {
	out := []Alarm{}
	for _, a := range as {
		x := Alarm{Event: a.Event, Level: a.Level, Cause: a.Cause, Message: a.Message, Hint: a.Hint, Because: a.Because}
		if a.Since > 0 {
			x.Since = stamp(a.Since)
		}
		out = append(out, x)
	}
	return out
}

// Disk is the file system that holds the state.
type Disk struct {
	Free  uint64 `json:"freeBytes"`
	Total uint64 `json:"sizeBytes"`
	Full  bool   `json:"full"` // the state cannot grow
}

func diskOf(s alarm.Space) *Disk {
	if s.Total == 0 {
		return nil
	}
	return &Disk{Free: s.Free, Total: s.Total, Full: s.Full}
}

// Certificate is a certificate whose end matters. Ends is RFC 3339.
type Certificate struct {
	Of   string `json:"of"`
	Ends string `json:"ends"`
}

func certificatesOf(cs []alarm.Certified) []Certificate {
	out := []Certificate{}
	for _, c := range cs {
		out = append(out, Certificate{c.Of, c.Ends.UTC().Format(time.RFC3339)})
	}
	return out
}

// Notified are the results of test messages.
type Notified struct {
	Channels []NotifiedBy `json:"channels"`
}

// NotifiedBy is the result of one test message; Error is empty if it was accepted.
type NotifiedBy struct {
	Channel string `json:"channel"`
	OK      bool   `json:"ok"`
	Error   string `json:"error,omitempty"`
}

func notifyTest(ctx context.Context, c *call, _ None) (any, Outcome, error) {
	tried, err := c.h.o.TestNotify(ctx, c.by)
	if errors.Is(err, notify.ErrNoChannel) {
		e := Usage("nobody is told anything: tandem.yaml has no notify")
		e.Hint = "add `notify: {webhook: https://…}` or `notify: {mail: {…}}` to tandem.yaml"
		return nil, Outcome{}, e
	}
	if err != nil {
		return nil, Outcome{}, err
	}
	out, o := Notified{Channels: []NotifiedBy{}}, Outcome{}
	for _, t := range tried {
		x := NotifiedBy{Channel: t.Channel, OK: t.Err == nil}
		if t.Err != nil {
			x.Error = t.Err.Error()
			o.Exit, o.Message = ExitFailed, cmp.Or(o.Message, fmt.Sprintf("the test message was not taken: %s", x.Error))
			o.Hint = "see notify in tandem.yaml"
		}
		out.Channels = append(out.Channels, x)
	}
	return out, o, nil
}
