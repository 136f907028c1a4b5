package cloudsync

import "time"

// standing is how a directory's job fares, over restarts.
type standing struct {
	Failures   int       `json:"failures"`             // failed runs in a row
	Quarantine time.Time `json:"quarantine,omitzero"`  // since when; zero: active
	Next       time.Time `json:"nextAttempt,omitzero"` // in quarantine: when the next scheduled run makes sense
	Reason     string    `json:"reason,omitempty"`
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

// after is the standing after a run at now that failed (reason not empty) or not, with so many failed objects. A run that
// succeeds lifts the quarantine at once.
func (s standing) after(t tolerance, reason string, objects int, now time.Time) standing {
	if reason == "" && objects < t.errors {
		return standing{}
	}
	next := standing{Failures: s.Failures + 1, Quarantine: s.Quarantine, Reason: reason}
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
