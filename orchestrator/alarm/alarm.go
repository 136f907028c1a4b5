// Package alarm derives what is wrong from what is known at one moment. Status, readiness, metrics and notifications are four views of its one list,
// so that a problem is in all of them or in none. It is pure: it has no clock, reads nothing and remembers nothing.
package alarm

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/answer"
	"github.com/tandem-sync/tandem/orchestrator/schedule"
)

// Event is the kind of an alarm.
type Event string

// The events. Recovered is the end of another.
const (
	Held        Event = "held"        // a set of writes waits for a person's answer
	Waiting     Event = "waiting"     // a wave, or the right to write, waits for a person
	Failed      Event = "failed"      // a directory, the tenant, an engine, objects, or a part of the host
	Recovered   Event = "recovered"   // what failed works again
	Agents      Event = "agents"      // too few agents, or one that is away or cannot do its work
	Certificate Event = "certificate" // it ends soon, or has ended
	Mark        Event = "mark"        // another host or installation writes to the tenant
	Disk        Event = "disk"        // there is little free space for the state, or none
)

// Events returns every event.
func Events() []Event {
	return []Event{Held, Waiting, Failed, Recovered, Agents, Certificate, Mark, Disk}
}

// Level is the importance of an alarm.
type Level string

// The levels. Only an Outage makes a status unhealthy and a host not ready: changes are not synchronized, in all or in part.
const (
	Outage  Level = "outage"
	Warning Level = "warning" // it works, but will not for ever
	Asks    Level = "asks"    // nothing is wrong, and a person has to answer
)

// Alarm is one problem, or one question to a person.
type Alarm struct {
	Event   Event
	Level   Level
	Cause   string // identifies it from one moment to the next, such as "directory contoso"
	Message string // one sentence, without a full stop
	Hint    string // what to do; empty: the message says it
	Since   int64  // Unix ms: when it last worked, or when the problem began; 0: unknown
	Seen    int64  // Unix ms of the attempt that found it; 0: found now
	Because string // the cause that explains it, or ""
	Version string // changes when people who were notified before have to be notified again
}

// Certified is a certificate whose end matters.
type Certified struct {
	Of    string // such as "directory contoso", "agent 1f…", "the tenant's application"
	Ends  time.Time
	Renew string // how it is renewed, for people
}

// Space is the free space of the file system that holds the state. Total is 0 if unknown.
type Space struct {
	Free, Total uint64 // bytes
	Full        bool   // the state refused to grow
}

// Undelivered is what a channel of notifications could not deliver.
type Undelivered struct {
	Channel string
	Waiting int    // messages
	Since   int64  // Unix ms of the oldest
	Error   string // of the last attempt
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

// Bounds within which there is no alarm.
const (
	LowSpace = 256 << 20 // bytes
	SoonEnds = 30 * 24 * time.Hour
	// writebackFailures is how many failures in a row to take changed passwords are an alarm: a single one soon passes.
	writebackFailures = 2
)

// Of returns the alarms: outages first, then those that explain others, then by cause.
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
		return cmp.Or(cmp.Compare(severity[a.Level], severity[b.Level]), cmp.Compare(min(len(a.Because), 1), min(len(b.Because), 1)), cmp.Compare(a.Cause, b.Cause))
	})
	return l.all
}

var severity = map[Level]int{Outage: 0, Warning: 1, Asks: 2}

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

// list is a list of alarms in the making.
type list struct {
	facts Facts
	all   []Alarm
}

func (l *list) add(a Alarm) { l.all = append(l.all, a) }

// explains reports whether a cause is present and explains others: outages do, and the end of an agent's certificate.
func (l *list) explains(cause string) bool {
	return slices.ContainsFunc(l.all, func(a Alarm) bool {
		return a.Cause == cause && (a.Level == Outage || strings.HasPrefix(cause, certificateCause(agentCause(""))))
	})
}

// unread returns the causes of directories that an engine's agents attend for and cannot read: agents that are away have other reasons.
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

// explain sets the cause that explains each failed engine, if there is one: an engine needs space, the right to write, tenant, directory, process and
// agents. If there are several outages, the first is the explanation.
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
		explained[healthCause(e.Name)] = append(slices.Clone(common), processCause(e.Name)) // an engine whose run failed reports itself unwell
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
