package alarm

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/answer"
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/reach"
	"github.com/tandem-sync/tandem/orchestrator/schedule"
	"github.com/tandem-sync/tandem/orchestrator/wave"
	"github.com/tandem-sync/tandem/scoping"
)

// Names of causes.
const (
	causeTenant   = "tenant"
	causeMark     = "mark"
	causeReadOnly = "read-only"
	causeFull     = "disk full"
	causeLow      = "disk low"
	// Application is the cause of the certificate that Tandem signs in to the tenant with.
	Application = "the tenant's application"
)

func directoryCause(name string) string   { return "directory " + name }
func rightsCause(name string) string      { return "rights in directory " + name }
func engineCause(name string) string      { return "engine " + name }
func passwordsCause(name string) string   { return "passwords of engine " + name }
func healthCause(name string) string      { return "health of engine " + name }
func processCause(name string) string     { return "process of engine " + name }
func agentsCause(name string) string      { return "agents of engine " + name }
func agentCause(id string) string         { return "agent " + id }
func objectsCause(name string) string     { return "objects of engine " + name }
func certificateCause(of string) string   { return "certificate of " + of }
func loopCause(name string) string        { return "loop " + name }
func waveCause(id string) string          { return "wave " + id }
func undeliveredCause(name string) string { return "notifications by " + name }

// right adds alarms about this host's right to write.
func (l *list) right() {
	s := l.facts.Status
	if s.ReadOnly != "" && s.Mark.Refused == s.ReadOnly {
		l.add(Alarm{Event: Mark, Level: Outage, Cause: causeMark, Message: "read only: " + s.ReadOnly, Hint: "tandem status shows the tenant's mark"})
		return
	}
	if s.ReadOnly != "" {
		a := Alarm{Event: Waiting, Level: Outage, Cause: causeReadOnly, Message: "read only: " + s.ReadOnly, Hint: "tandem state restore --activate --reason R"}
		if s.Restored != nil {
			a.Since = s.Restored.At
		}
		l.add(a)
	}
	if s.Mark.Refused != "" {
		l.add(Alarm{Event: Mark, Level: Outage, Cause: causeMark, Message: s.Mark.Refused, Hint: "tandem status shows the tenant's mark"})
	}
}

func (l *list) space() {
	const hint = "make room on the disk that holds the state folder"
	d := l.facts.Space
	switch {
	case d.Full:
		l.add(Alarm{Event: Disk, Level: Outage, Cause: causeFull, Message: fmt.Sprintf("the disk that holds the state is full (%s free): nothing is written to the tenant", Bytes(d.Free)), Hint: hint})
	case d.Total > 0 && d.Free < LowSpace:
		l.add(Alarm{Event: Disk, Level: Warning, Cause: causeLow, Message: fmt.Sprintf("only %s are free beside the state; when nothing is, writing stops", Bytes(d.Free)), Hint: hint})
	}
}

// Bytes returns a size for display.
func Bytes(n uint64) string {
	switch {
	case n >= 10<<30:
		return fmt.Sprintf("%d GiB", n>>30)
	case n >= 1<<20:
		return fmt.Sprintf("%d MiB", n>>20)
	}
	return fmt.Sprintf("%d KiB", n>>10)
}

func (l *list) certificates() {
	for _, c := range l.facts.Certificates {
		day := c.Ends.UTC().Format(time.DateOnly)
		a := Alarm{Event: Certificate, Level: Warning, Cause: certificateCause(c.Of), Message: fmt.Sprintf("the certificate of %s ends on %s", c.Of, day), Hint: c.Renew, Version: day}
		switch left := c.Ends.Sub(l.facts.Now); {
		case left > SoonEnds:
			continue
		case left <= 0:
			a.Level, a.Message, a.Since, a.Version = Outage, fmt.Sprintf("the certificate of %s ended on %s", c.Of, day), c.Ends.UnixMilli(), day+" over"
		}
		l.add(a)
	}
}

// tried returns the alarm of a failed last attempt; false: it succeeded, or there was none.
func tried(r *reach.Tries, cause, did string) (Alarm, bool) {
	if r == nil || r.Failures == 0 {
		return Alarm{}, false
	}
	return Alarm{Event: Failed, Level: Outage, Cause: cause, Message: did + " " + r.Failed(), Since: r.LastSuccess, Seen: r.LastTry}, true
}

func (l *list) directories() {
	for _, d := range l.facts.Status.Directories {
		if a, failed := tried(d.Reach, directoryCause(d.Name), "directory "+d.Name+" was not reached"); failed {
			a.Hint = "tandem check"
			l.add(a)
		}
		if d.Blind != "" {
			l.add(Alarm{Event: Failed, Level: Outage, Cause: rightsCause(d.Name), Message: "directory " + d.Name + ": deletes cannot be proved and wait: " + d.Blind,
				Hint: "grant the account the right to see deleted objects"})
		}
	}
}

func (l *list) tenant() {
	if a, failed := tried(l.facts.Status.Tenant, causeTenant, "the tenant was not reached"); failed {
		a.Hint = "tandem check"
		l.add(a)
	}
}

func (l *list) engine(e answer.EngineStatus) {
	if a, failed := tried(e.Reach, engineCause(e.Name), "engine "+e.Name+" did not complete a run"); failed {
		a.Hint = "tandem history --engine " + e.Name
		l.add(a)
	}
	if p := e.Passwords; p != nil {
		if a, failed := tried(p.Reach, passwordsCause(e.Name), "engine "+e.Name+" did not hand passwords over"); failed {
			l.add(a)
		}
	}
	notes := agentNotes(e)
	if e.Health != nil && !e.Health.OK {
		a := Alarm{Event: Failed, Level: Outage, Cause: healthCause(e.Name), Message: "engine " + e.Name + " says: " + e.Health.Message}
		if e.Reach != nil {
			a.Seen = e.Reach.LastTry // when its next run will find out
		}
		if hasAgents(e) {
			a.Event, a.Cause, a.Hint = Agents, agentsCause(e.Name), "tandem agent list"
		}
		l.add(a)
	}
	for _, id := range slices.Sorted(maps.Keys(notes)) {
		l.add(Alarm{Event: Agents, Level: Warning, Cause: agentCause(id), Message: "agent " + id + " of engine " + e.Name + ": " + notes[id], Hint: "tandem agent list"})
	}
	if e.Process.Trouble != "" {
		l.add(Alarm{Event: Failed, Level: Outage, Cause: processCause(e.Name), Message: "the process of engine " + e.Name + " is not running: " + e.Process.Trouble})
	}
	if e.Last != nil && e.Last.Failed > 0 {
		l.add(Alarm{Event: Failed, Level: Warning, Cause: objectsCause(e.Name), Message: fmt.Sprintf("%s failed in the last run of engine %s, such as %s", scoping.Many(e.Last.Failed, "object", "objects"), e.Name, e.Last.FirstProblem()),
			Hint: "tandem errors list", Seen: e.Last.At})
	}
}

// Details of an engine's health about agents, each followed by a directory's name or an agent's id.
const (
	detailAgents = "agents."
	detailAgent  = "agent."
)

func hasAgents(e answer.EngineStatus) bool {
	for k := range e.Health.Details {
		if strings.HasPrefix(k, detailAgents) {
			return true
		}
	}
	return false
}

// agentNotes returns what an engine reports as wrong with single agents, by their ids.
func agentNotes(e answer.EngineStatus) map[string]string {
	out := map[string]string{}
	if e.Health == nil {
		return out
	}
	for k, note := range e.Health.Details {
		if id, is := strings.CutPrefix(k, detailAgent); is {
			out[id] = note
		}
	}
	return out
}

func (l *list) loops() {
	for _, n := range l.facts.Loops {
		switch why := n.Stands(l.facts.Now); {
		case why != "":
			l.add(Alarm{Event: Failed, Level: Outage, Cause: loopCause(n.Name), Message: why, Since: n.Beat.UnixMilli()})
		case n.Name == schedule.WritebackLoop && n.Failures >= writebackFailures:
			l.add(Alarm{Event: Failed, Level: Outage, Cause: loopCause(n.Name), Message: fmt.Sprintf("passwords that people change in the tenant are not taken: %v", n.Err), Seen: n.Ended.UnixMilli()})
		case strings.HasPrefix(n.Name, schedule.WaveLoop("")) && n.Failures > 0:
			l.add(Alarm{Event: Failed, Level: Warning, Cause: loopCause(n.Name), Message: fmt.Sprintf("%s could not go on and is tried again: %v", n.Name, n.Err), Seen: n.Ended.UnixMilli()})
		}
	}
}

// waits adds alarms about what a person has to answer.
func (l *list) waits() {
	for _, h := range l.facts.Status.Held {
		if h.State != ledger.HoldOpen {
			continue
		}
		of := scoping.Many(len(h.Entries), "change of owners is", "changes of owners are")
		if h.Engine != "" {
			of = scoping.Many(len(h.Entries), "write of engine "+h.Engine+" is", "writes of engine "+h.Engine+" are")
		}
		l.add(Alarm{Event: Held, Level: Asks, Cause: strings.Join([]string{"held", string(h.Class), h.Engine, h.Assignment}, " "), Version: h.ID, Since: h.At,
			Message: fmt.Sprintf("%s held as %s: %s", of, h.ID, h.Why), Hint: "tandem held show " + h.ID})
	}
	for _, w := range l.facts.Status.Waves {
		switch {
		case w.State == wave.Failed:
			l.add(Alarm{Event: Failed, Level: Warning, Cause: waveCause(w.ID), Message: fmt.Sprintf("wave %s failed in %s: %s", w.ID, w.Phase, w.Error), Hint: "tandem wave show " + w.ID})
		case w.State == wave.Waiting && w.For != wave.ForSoak && w.For != wave.ForStop && !w.Due(l.facts.Now):
			l.add(Alarm{Event: Waiting, Level: Asks, Cause: waveCause(w.ID), Version: fmt.Sprint(w.Phase, " ", w.For, " ", w.Since), Since: w.Since,
				Message: fmt.Sprintf("wave %s waits in %s: %s", w.ID, w.Phase, w.Wait), Hint: w.Command})
		}
	}
	for _, f := range l.facts.Status.Frozen {
		l.add(Alarm{Event: Waiting, Level: Warning, Cause: "selector " + f.Group.String(), Message: f.String()})
	}
}

func (l *list) undelivered() {
	for _, u := range l.facts.Undelivered {
		if u.Error != "" {
			l.add(Alarm{Event: Failed, Level: Warning, Cause: undeliveredCause(u.Channel), Message: fmt.Sprintf("%s by %s could not be delivered and are tried again: %s", scoping.Many(u.Waiting, "notification", "notifications"), u.Channel, u.Error),
				Since: u.Since, Hint: "tandem notify test"})
		}
	}
}
