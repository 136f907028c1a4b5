package cloudsync

import (
	"errors"
	"fmt"
	"time"
)

// standing is how a directory's job fares, over restarts.
type standing struct {
	Failures   int       `json:"failures"`             // failed runs in a row
	Quarantine time.Time `json:"quarantine,omitzero"`  // since when; zero: active
	Next       time.Time `json:"nextAttempt,omitzero"` // in quarantine: when the next scheduled run makes sense
	Reason     string    `json:"reason,omitempty"`
	Agents     bool      `json:"agents,omitempty"` // the reason is that no agent could serve
}

// resting reports whether a scheduled run at now makes no sense yet. What failed for want of agents rests only as long as there are none
// that can serve: serving says so.
func (s standing) resting(serving bool, now time.Time) bool {
	return !s.Quarantine.IsZero() && now.Before(s.Next) && !(s.Agents && serving)
}

// tolerance says when a job goes into quarantine.
type tolerance struct {
	failures int // failed runs in a row
	errors   int // failed objects in one run
}

// The back-off of a job in quarantine.
const (
	minRest = 10 * time.Minute
	maxRest = 24 * time.Hour
)

// after is the standing after a run at now that failed (failure is not nil) or not, with so many failed objects. A run that
// succeeds lifts the quarantine at once.
func (s standing) after(t tolerance, failure error, objects int, now time.Time) standing {
	reason := ""
	if failure != nil {
		reason = failure.Error()
	}
	if reason == "" && objects < t.errors {
		return standing{}
	}
	next := standing{Failures: s.Failures + 1, Quarantine: s.Quarantine, Reason: reason}
	var none *NoAgentError
	next.Agents = errors.As(failure, &none)
	if reason == "" {
		next.Reason = "too many objects failed"
	}
	if next.Failures < t.failures && objects < t.errors && s.Quarantine.IsZero() {
		return next
	}
	if next.Quarantine.IsZero() {
		next.Quarantine = now.UTC()
	}
	rest := minRest
	for n := next.Failures - t.failures; n > 0 && rest < maxRest; n-- {
		rest *= 2
	}
	next.Next = now.UTC().Add(min(rest, maxRest))
	return next
}

// String is "active" or "quarantine", for Health.Details.
func (s standing) String() string {
	if s.Quarantine.IsZero() {
		return "active"
	}
	return "quarantine"
}

// quarantined says since when and why a directory's job is in quarantine, until when it rests, and what ends that.
func quarantined(directory, engine string, s standing) string {
	out := fmt.Sprintf("directory %s is in quarantine since %s: %s; scheduled runs rest until %s", directory, s.Quarantine.Format(time.RFC3339), s.Reason,
		s.Next.Format(time.RFC3339))
	if s.Agents {
		out += " or until an agent can serve"
	}
	return out + fmt.Sprintf("; tandem sync %s --profile full tries at once, and a run that succeeds lifts it", engine)
}
