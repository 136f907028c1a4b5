package cloudsync

import (
	"time"

	"github.com/tandem-sync/tandem/plugins/cloudsync/line/linepb"
)

// clock is the service's time.
type clock struct {
	now   func() time.Time
	after func(d time.Duration) (fires <-chan time.Time, stop func()) // stop may be called more than once, also after it fired
}

// afterReal is clock.after by the machine's own timers.
func afterReal(d time.Duration) (<-chan time.Time, func()) {
	t := time.NewTimer(d)
	return t.C, func() { t.Stop() }
}

// wait waits, and reports whether ctx's end let it.
func (c clock) wait(done <-chan struct{}, d time.Duration) bool {
	fires, stop := c.after(d)
	defer stop()
	select {
	case <-fires:
		return true
	case <-done:
		return false
	}
}

// step is one kind of thing that an agent is waited for.
type step string

// The steps.
const (
	stepStart      step = "start"      // from the request to the answer's Start: the controller has been reached
	stepObjects    step = "objects"    // from one part to the next: objects by GUID, or by name
	stepChanges    step = "changes"    // … what changed since a cookie
	stepEverything step = "everything" // … all objects: the controller may think for long before the first
)

// stepOf is the step that follows the Start of a request's answer.
func stepOf(r *linepb.Request) step {
	switch is := r.Is.(type) {
	case *linepb.Request_Changes:
		if len(is.Changes.Cookie) == 0 {
			return stepEverything
		}
		return stepChanges
	case *linepb.Request_Containers:
		return stepEverything
	case *linepb.Request_Passwords:
		return stepEverything // it may be everybody, whatever was asked for
	}
	return stepObjects
}

// The bounds of patience. An agent that is waited for longer is not given up: another is asked beside it.
const (
	leastPatience = 2 * time.Second
	mostPatience  = 30 * time.Second
	longPatience  = time.Minute // for stepEverything
)

// unknownPatience is patience as long as nothing was measured.
var unknownPatience = map[step]time.Duration{stepStart: 3 * time.Second, stepObjects: 5 * time.Second, stepChanges: 5 * time.Second,
	stepEverything: 20 * time.Second}

// pace is how long one step takes in one directory lately, estimated as TCP estimates its round trips (RFC 6298): the smoothed
// duration and its smoothed deviation. The zero value knows nothing.
type pace struct {
	mean, deviation time.Duration
	known           bool
	late            int // how often in a row patience was too short, or the agent stood still
}

// took takes in the duration of a step of an answer that came.
func (p *pace) took(d time.Duration) {
	p.late = 0
	if !p.known {
		p.mean, p.deviation, p.known = d, d/2, true
		return
	}
	p.deviation += ((p.mean - d).Abs() - p.deviation) / 4
	p.mean += (d - p.mean) / 8
}

// patience is how long an agent is waited for before another is asked too. It doubles with each time that it ran out in vain, so
// that a directory that has become slow is not asked twice for ever.
func (p *pace) patience(s step) time.Duration {
	d, most := unknownPatience[s], mostPatience
	if s == stepEverything {
		most = longPatience
	}
	if p.known {
		d = p.mean + 4*p.deviation
	}
	d = max(d, leastPatience)
	for range min(p.late, 5) {
		d *= 2
	}
	return min(d, most)
}

// paceKey says whose pace is meant. The caller of hub.paces holds hub.mu.
type paceKey struct {
	audience audience
	step     step
}

func (h *hub) patience(a audience, s step) time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.pace(a, s).patience(s)
}

func (h *hub) pace(a audience, s step) *pace {
	k := paceKey{a, s}
	if h.paces[k] == nil {
		h.paces[k] = &pace{}
	}
	return h.paces[k]
}
