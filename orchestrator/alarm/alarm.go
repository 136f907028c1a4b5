// Package alarm says what is wrong, of what is known at one moment. Status, readiness, metrics and notifications are four views of its one list, so that nothing shows in
// one and not in another. It is pure: it has no clock, reads nothing and remembers nothing.
package alarm

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/answer"
	"github.com/tandem-sync/tandem/orchestrator/schedule"
)

// Event is what kind of thing people are told of.
type Event string

// The events. Recovered is the end of another.
const (
	Held        Event = "held"        // a set of writes waits for a person's answer
	Waiting     Event = "waiting"     // a wave, or the right to write, waits for a person
	Failed      Event = "failed"      // a directory, the tenant, an engine, objects, or a part of the host
	Recovered   Event = "recovered"   // what failed works again
	Agents      Event = "agents"      // too few agents, or one that is away or cannot do its work
	Certificate Event = "certificate" // it ends soon, or ended
	Mark        Event = "mark"        // another host or installation feeds the tenant
	Disk        Event = "disk"        // there is little room beside the state, or none
)

// Events returns every event.
func Events() []Event {
	return []Event{Held, Waiting, Failed, Recovered, Agents, Certificate, Mark, Disk}
}

// Level is how much an alarm means.
type Level string

// The levels. Of these only an Outage makes a status unhealthy and a host not ready: what changes is not synchronized, in all or in part.
const (
	Outage  Level = "outage"
	Warning Level = "warning" // it goes on, and will not for ever
	Asks    Level = "asks"    // it is as it should be, and waits for a person
)

// Alarm is one thing that is wrong.
type Alarm struct {
	Event   Event
	Level   Level
	Cause   string // names it from one moment to the next, such as "directory contoso"
	Message string // one sentence, without a full stop
	Hint    string // what to do; empty: the message says it
	Since   int64  // Unix ms: when it was last well, or when it began; 0: not known
	Seen    int64  // Unix ms of the try that found it; 0: it is so at the moment itself
	Because string // the cause that explains it; empty: none does
	Version string // what of it is news to whoever was told of it before
}

// Certified is a certificate whose end matters.
type Certified struct {
	Of    string // such as "directory contoso", "agent 1f…", "the tenant's application"
	Ends  time.Time
	Renew string // who renews it, for people
}

// Space is the room of the file system that holds the state. Total is 0 where that is not known.
type Space struct {
	Free, Total uint64 // bytes
	Full        bool   // the state refused to grow
}

// Undelivered is what a channel of notifications could not tell.
type Undelivered struct {
	Channel string
	Waiting int    // messages
	Since   int64  // Unix ms of the oldest
	Error   string // of the last try
}

// Facts are what is known at one moment.
type Facts struct {
	Now          time.Time
	Status       answer.Status
	Loops        []schedule.Loop
	Space        Space
	Certificates []Certified
	Undelivered  []Undelivered
}

// Bounds within which things are well.
const (
	LowSpace = 256 << 20 // bytes
	SoonEnds = 30 * 24 * time.Hour
	// writebackFailures is how often in a row changed passwords are not taken before that is an alarm: one failure alone is soon over.
	writebackFailures = 2
)

// Of returns what is wrong: outages first, then what explains others, then by cause.
func Of(f Facts) []Alarm {
	l := &list{facts: f}
	l.right()
	l.space()
	l.certificates()
	l.directories()
	l.tenant()
	for _, e := range f.Status.Engines {
		l.engine(e)
	}
	l.loops()
	l.waits()
	l.undelivered()
	l.explain()
	slices.SortStableFunc(l.all, func(a, b Alarm) int {
		return cmp.Or(cmp.Compare(gravity[a.Level], gravity[b.Level]), cmp.Compare(min(len(a.Because), 1), min(len(b.Because), 1)), cmp.Compare(a.Cause, b.Cause))
	})
	return l.all
}

var gravity = map[Level]int{Outage: 0, Warning: 1, Asks: 2}

// Outages returns the messages of the outages among alarms: why a status is not healthy, and a host not ready.
func Outages(as []Alarm) []string { return messages(as, Outage) }

// Warnings returns the messages of the warnings.
func Warnings(as []Alarm) []string { return messages(as, Warning) }

func messages(as []Alarm, l Level) []string {
	out := []string{}
	for _, a := range as {
		if a.Level == l {
			out = append(out, a.Message)
		}
	}
	return out
}

// list is a list of alarms that is being made.
type list struct {
	facts Facts
	all   []Alarm
}

func (l *list) add(a Alarm) { l.all = append(l.all, a) }

// explains reports whether a cause is there and explains another: an outage does, and the end of an agent's certificate.
func (l *list) explains(cause string) bool {
	return slices.ContainsFunc(l.all, func(a Alarm) bool {
		return a.Cause == cause && (a.Level == Outage || strings.HasPrefix(cause, certificateCause(agentCause(""))))
	})
}

// unread returns the causes of directories that agents of an engine attend for and cannot read: agents that are away have reasons of their own.
func (l *list) unread(e answer.EngineStatus) (out []string) {
	if e.Health == nil || e.Health.Agents == 0 {
		return nil
	}
	for _, d := range l.facts.Status.Directories {
		if _, attends := e.Health.Details[detailAgents+d.Name]; attends {
			out = append(out, directoryCause(d.Name))
		}
	}
	return out
}

// explain gives each failed engine the cause that explains it, where there is one: no engine runs without room, right, tenant, directory, process or agents.
// Several outages at once are each told; an engine is explained by the first.
func (l *list) explain() {
	explained := map[string][]string{}
	common := []string{causeFull, causeMark, certificateCause(Application)}
	for _, d := range l.facts.Status.Directories {
		common = append(common, certificateCause(directoryCause(d.Name)))
	}
	for _, d := range l.facts.Status.Directories {
		explained[directoryCause(d.Name)] = []string{certificateCause(directoryCause(d.Name))}
		common = append(common, directoryCause(d.Name))
	}
	explained[causeTenant] = []string{causeMark, certificateCause(Application)}
	common = append(common, causeTenant)
	for _, e := range l.facts.Status.Engines {
		own := []string{processCause(e.Name), agentsCause(e.Name), healthCause(e.Name)}
		explained[engineCause(e.Name)] = append(slices.Clone(common), own...)
		explained[passwordsCause(e.Name)] = append(slices.Clone(common), append(own, engineCause(e.Name))...)
		explained[processCause(e.Name)] = []string{causeFull}
		explained[healthCause(e.Name)] = append(slices.Clone(common), processCause(e.Name)) // an engine whose run failed calls itself unwell
		explained[agentsCause(e.Name)] = append([]string{causeFull, processCause(e.Name)}, l.unread(e)...)
		for id := range agentNotes(e) {
			explained[agentCause(id)] = append([]string{agentsCause(e.Name), certificateCause(agentCause(id))}, l.unread(e)...)
		}
	}
	for _, n := range l.facts.Loops {
		explained[loopCause(n.Name)] = common
	}
	for i, a := range l.all {
		for _, root := range explained[a.Cause] {
			if root != a.Cause && l.explains(root) {
				l.all[i].Because = root
				break
			}
		}
	}
}
