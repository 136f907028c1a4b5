package api

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/tandem-sync/tandem/orchestrator"
	"github.com/tandem-sync/tandem/orchestrator/alarm"
	"github.com/tandem-sync/tandem/orchestrator/answer"
	"github.com/tandem-sync/tandem/orchestrator/control"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// Status is the state of everything at once. Last runs are those since the holder of the state began.
type Status struct {
	Revision     uint64               `json:"revision"` // 0: no policy is in force
	Epoch        scoping.Epoch        `json:"epoch"`
	Installation string               `json:"installation"`
	ReadOnly     string               `json:"readOnly,omitempty"`
	Healthy      bool                 `json:"healthy"` // this host may write, the last attempts to reach directories, tenant and engines succeeded, and no loop stands still
	Trouble      []string             `json:"trouble"` // why it is not healthy, a sentence each
	Alarms       []Alarm              `json:"alarms"`  // all problems, and questions to people, the gravest first
	Notes        []string             `json:"notes"`   // noteworthy facts that are no problem, such as hosts that are tier 0
	Mark         Mark                 `json:"mark"`    // the tenant's
	Awaits       *Awaits              `json:"awaits,omitempty"`
	Tenant       Reached              `json:"tenant"`
	Holder       Info                 `json:"holder"`
	Engines      []Engine             `json:"engines"`
	Directories  []Directory          `json:"directories"`
	Linked       map[scoping.Kind]int `json:"linked"`
	Errors       int                  `json:"errors"`
	InDoubt      int                  `json:"inDoubt"`
	Held         []Held               `json:"held"`
	Waves        []Wave               `json:"waves"` // those that are not over
	Stops        []Stop               `json:"stops"`
	Drift        []scoping.Drift      `json:"drift"`
	Frozen       []Frozen             `json:"frozen"`
	Writeback    Writeback            `json:"writeback"`
	Disk         *Disk                `json:"disk"` // the one that holds the state; null: unknown
	Certificates []Certificate        `json:"certificates"`
	LeftOut      []LeftSet            `json:"leftOut"` // what engines leave out by their rules; `tandem left-out` shows everything
}

// Awaits is what a restored state, or one that took the tenant over, waits for before it writes.
type Awaits struct {
	Kind    string   `json:"kind"` // restore or takeover
	From    string   `json:"from"`
	By      string   `json:"by"`
	At      string   `json:"at"`
	Seen    []string `json:"seen"` // engines whose full run was shown to a person
	Command string   `json:"command"`
}

func awaitsOf(r *control.Restored) *Awaits {
	if r == nil {
		return nil
	}
	return &Awaits{Kind: r.Kind, From: r.From, By: r.By, At: stamp(r.At), Seen: orEmpty(slices.Sorted(maps.Keys(r.Full))), Command: "tandem state restore --activate --reason R"}
}

// Frozen is a group that the policy selects members of and that was deleted or emptied: its membership is pinned, so that no object changes owner by
// it.
type Frozen struct {
	Directory   string   `json:"directory"`
	Group       string   `json:"group"` // its DN when last seen
	Why         string   `json:"why"`   // vanished or emptied
	Assignments []string `json:"assignments"`
	Message     string   `json:"message"` // including what to do
}

// Directory is what the host's own view of a directory has. USN is the last change that it has seen.
type Directory struct {
	Name    string `json:"name"`
	Objects int    `json:"objects"`
	USN     uint64 `json:"usn"`
	Deleted string `json:"deletedObjects,omitempty"` // whether the account can read them: seen, hidden, unproven
	Reached
}

// Engine is what is known of an engine. Healthy is null when it does not run here.
type Engine struct {
	Name     string                       `json:"name"`
	Kind     string                       `json:"kind,omitempty"`
	Version  string                       `json:"version,omitempty"`
	Features []scoping.Feature            `json:"features,omitempty"`
	Delivers []scoping.Feature            `json:"delivers,omitempty"` // what it writes into directories
	Writes   map[scoping.Feature][]string `json:"writes,omitempty"`
	Verbs    []string                     `json:"verbs,omitempty"`
	Healthy  *bool                        `json:"healthy"`
	Message  string                       `json:"message"`
	Agents   *int                         `json:"agents"`
	Details  map[string]string            `json:"details,omitempty"` // further health of the engine, such as "state.DIRECTORY", "nextAttempt.DIRECTORY", "agent.ID"
	Scopes   int                          `json:"scopes"`            // number of scopes that it owns
	Errors   int                          `json:"errors"`
	Stopped  string                       `json:"stopped,omitempty"`
	Lag      *int64                       `json:"lagMillis"` // since its last run here
	Last     *Sync                        `json:"lastRun"`

	Passwords *Passwords `json:"passwords"` // the state of its password stream; null: it owns no passwords

	Provisioning *Passwords `json:"provisioning,omitempty"` // the state of bringing objects of the tenant into directories

	LastFull *string `json:"lastFullRun"` // the end of its last complete full run; null: none is known

	Reached               // of its runs
	NextRun      *string  `json:"nextRun"`      // null without a daemon, or while it runs
	RunningSince *string  `json:"runningSince"` // null: it does not run
	Process      *Process `json:"process"`      // null: unknown
}

// Passwords is the state of an engine's password stream, or of bringing objects of the tenant into directories.
type Passwords struct {
	Last *Sync `json:"lastRun"`
	Reached
}

func engineOf(e answer.EngineStatus, now time.Time) Engine {
	out := Engine{Name: e.Name, Errors: e.Debts, Stopped: e.Stopped, Reached: reachedOf(e.Reach), Process: processOf(e.Process)}
	if e.Health != nil {
		out.Healthy, out.Message, out.Details = &e.Health.OK, e.Health.Message, e.Health.Details
		if e.Health.Agents > 0 {
			out.Agents = &e.Health.Agents
		}
	}
	if e.Full != nil {
		out.LastFull = ptr(stamp(e.Full.At))
	}
	if e.Last != nil {
		out.Last, out.Lag = ptr(syncOf(*e.Last)), ptr(now.UnixMilli()-e.Last.At)
	}
	if p := e.Provisioning; p != nil {
		out.Provisioning = &Passwords{Reached: reachedOf(p.Reach)}
		if p.Last != nil {
			out.Provisioning.Last = ptr(syncOf(*p.Last))
		}
	}
	if p := e.Passwords; p != nil {
		out.Passwords = &Passwords{Reached: reachedOf(p.Reach)}
		if p.Last != nil {
			out.Passwords.Last = ptr(syncOf(*p.Last))
		}
	}
	for _, g := range e.Grants {
		if g.Mode == engine.ModeOwn {
			out.Scopes++
		}
	}
	return out
}

func status(ctx context.Context, c *call, _ None) (any, Outcome, error) {
	unread := c.h.look(ctx, statusLook)
	f, err := c.h.o.Facts(ctx)
	if err != nil {
		return nil, Outcome{}, err
	}
	s, alarms := f.Status, alarm.Of(f)
	out := Status{Mark: markOf(s, unread), Awaits: awaitsOf(s.Restored),
		Revision: s.Revision, Epoch: s.Epoch, Installation: s.Installation, ReadOnly: s.ReadOnly, Holder: c.h.info, Engines: []Engine{}, Directories: []Directory{},
		Linked: s.Linked, Errors: s.Unsettled, InDoubt: s.InDoubt, Held: heldSets(s.Held), Waves: []Wave{}, Stops: stopsOf(s.Stops), Drift: orEmpty(s.Drift), Frozen: []Frozen{}, Writeback: c.h.writeback(), LeftOut: leftSetsOf(c.h.o.Host().LeftByRules(""))}
	for _, f := range s.Frozen {
		out.Frozen = append(out.Frozen, Frozen{f.Group.Directory, f.Name, f.Why, f.Assignments, f.String()})
	}
	for _, d := range s.Directories {
		out.Directories = append(out.Directories, Directory{Name: d.Name, Objects: d.Objects, USN: d.USN, Deleted: d.Deleted, Reached: reachedOf(d.Reach)})
	}
	out.Trouble, out.Tenant, out.Alarms, out.Disk, out.Certificates = alarm.Outages(alarms), reachedOf(s.Tenant), alarmsOf(alarms), diskOf(f.Space), certificatesOf(f.Certificates)
	out.Healthy = len(out.Trouble) == 0
	details := map[string]map[string]string{}
	for _, e := range s.Engines {
		x := engineOf(e, time.Now())
		x.timetable(f.Loops)
		out.Engines = append(out.Engines, x)
		details[x.Name] = x.Details
	}
	out.Notes = orEmpty(c.h.o.TierZero(details))
	for _, w := range s.Waves {
		if !w.State.Over() {
			out.Waves = append(out.Waves, waveOf(w))
		}
	}
	return out, Outcome{}, nil
}

// orEmpty returns the list, or an empty one that JSON does not write as null.
func orEmpty[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

// Checks are the results of `check`.
type Checks struct {
	Checks []orchestrator.Finding `json:"checks"`
}

func check(ctx context.Context, c *call, _ None) (any, Outcome, error) {
	out := Checks{Checks: orEmpty(c.h.o.Check(ctx))}
	for _, f := range out.Checks {
		if !f.OK {
			return out, Outcome{Exit: ExitFailed, Message: f.Name + ": " + f.Message, Hint: f.Hint}, nil
		}
	}
	return out, Outcome{}, nil
}
