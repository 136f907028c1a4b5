package cloudsync

import (
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// health tells how many agents are live, how the jobs fare, and which agents are bad and why. It is OK while each directory has as
// many agents that can read it as the settings demand: a bad one beyond that is a note in the message.
func (s *service) health() engine.Health {
	h := engine.Health{OK: true, Agents: len(s.hub.everyone()), Details: map[string]string{"listen": s.hub.address()}}
	var problems, notes []string
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, j := range s.jobs {
		name := j.config.Name
		c := s.hub.conditions(j.audience)
		h.Details["agents."+name] = fmt.Sprintf("%d of %d", c.usable, j.minimum)
		for id, note := range c.notes {
			h.Details["agent."+id] = note
		}
		maps.Copy(h.Details, c.holds)
		maps.Copy(h.Details, c.certificates)
		notes = append(notes, c.lines...)
		if c.live < j.minimum {
			problems = append(problems, noAgents(name, c.live, j.minimum, s.troubles[name]).Error())
		} else if c.usable < j.minimum {
			problems = append(problems, fmt.Sprintf("directory %s can be read by %d of the %d agents needed", name, c.usable, j.minimum))
		}
		problems = append(problems, quarantineHealth(name, s.config.Engine, s.standing[name], h.Details)...)
	}
	h.OK, h.Message = len(problems) == 0, strings.Join(append(problems, notes...), "; ")
	if h.OK {
		h.Message = strings.Join(append([]string{"ready"}, notes...), "; ")
	}
	return h
}

// quarantineHealth tells how a directory's job fares, in details and as a problem.
func quarantineHealth(name, engine string, at standing, details map[string]string) []string {
	details["state."+name] = at.String()
	if at.Quarantine.IsZero() {
		return nil
	}
	details["since."+name] = at.Quarantine.Format(time.RFC3339)
	details["nextAttempt."+name] = at.Next.Format(time.RFC3339)
	details["reason."+name] = at.Reason
	return []string{quarantined(name, engine, at)}
}

// conditions is how the agents of one audience are.
type conditions struct {
	live, usable int               // that attend; of those, that answered lately
	notes        map[string]string // what is wrong with one, by id
	lines        []string          // the same, each naming its agent, in the order of their ids
	holds        map[string]string // "holds.PURPOSE.ID": the host of an agent that holds the account of a purpose
	certificates map[string]string // "certificate.ID": when an agent's certificate ends, RFC 3339
}

// conditions looks at each enrolled agent of an audience. One that was started by the engine itself is none of its own concern
// while it is away: why is told by whoever starts it.
func (h *hub) conditions(a audience) conditions {
	out := conditions{notes: map[string]string{}, holds: map[string]string{}, certificates: map[string]string{}}
	agents := h.registry.all()
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, e := range agents {
		if !a.has(&live{enrolled: e}) {
			continue
		}
		host := e.Host
		if l := h.live[e.ID]; l != nil {
			out.live++
			if h.record(e.ID).misses < failing {
				out.usable++
			}
			host = l.Host
		} else if e.Embedded {
			continue
		}
		if !e.Embedded && !e.Expires.IsZero() {
			out.certificates["certificate."+e.ID] = e.Expires.UTC().Format(time.RFC3339)
		}
		for _, p := range h.record(e.ID).purposes {
			out.holds[engine.HoldsKey(scoping.Purpose(p))+e.ID] = host
		}
		if note := h.note(e); note != "" {
			out.notes[e.ID] = "host " + host + ": " + note
			out.lines = append(out.lines, fmt.Sprintf("agent %s on %s: %s", e.ID, host, note))
		}
	}
	return out
}

// note says all that is wrong with an agent; empty: nothing is known to be. The caller holds mu.
func (h *hub) note(e enrolled) string {
	r := h.record(e.ID)
	var all []string
	switch {
	case h.live[e.ID] != nil:
		if t := r.trouble(); t != "" {
			all = append(all, t)
		}
	case r.left.IsZero():
		all = append(all, "away since the engine started")
	default:
		all = append(all, "away since "+r.left.UTC().Format(time.RFC3339))
		if r.misses > 0 {
			all = append(all, "before that: "+r.why)
		}
	}
	for _, more := range []string{r.lacks, r.second, certificateNote(e.Expires, h.clock.now())} {
		if more != "" {
			all = append(all, more)
		}
	}
	return strings.Join(all, ", ")
}

// expiryAlarm is how long before a certificate's end people are told. Agents renew theirs months before that.
const expiryAlarm = 30 * 24 * time.Hour

func certificateNote(ends, now time.Time) string {
	day := ends.UTC().Format(time.DateOnly)
	switch {
	case ends.IsZero() || now.Before(ends.Add(-expiryAlarm)):
		return ""
	case now.Before(ends):
		return fmt.Sprintf("its certificate ends on %s and was not renewed: look at the agent's log", day)
	case now.Before(ends.Add(renewalGrace)):
		return fmt.Sprintf("its certificate ended on %s; the agent can still renew it until %s", day, ends.Add(renewalGrace).UTC().Format(time.DateOnly))
	}
	return fmt.Sprintf("its certificate ended on %s, too long ago to be renewed: enrol it again", day)
}
