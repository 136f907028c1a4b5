package answer

import (
	"context"
	"slices"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/census"
	"github.com/tandem-sync/tandem/orchestrator/control"
	"github.com/tandem-sync/tandem/orchestrator/gate"
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/objects"
	"github.com/tandem-sync/tandem/orchestrator/reach"
	"github.com/tandem-sync/tandem/orchestrator/run"
	"github.com/tandem-sync/tandem/orchestrator/standing"
	"github.com/tandem-sync/tandem/orchestrator/tenancy"
	"github.com/tandem-sync/tandem/orchestrator/wave"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// Status is the state of everything at once.
type Status struct {
	Revision     uint64
	Epoch        scoping.Epoch
	Installation string
	ReadOnly     string // why nothing may be written, or ""
	Mark         tenancy.MarkStatus
	Restored     *control.Restored // what a state waits for before it is activated
	Engines      []EngineStatus
	Stops        []gate.Stop
	Held         []ledger.Hold
	Waves        []wave.Wave
	Linked       map[scoping.Kind]int
	Unsettled    int
	InDoubt      int
	Drift        []scoping.Drift
	Frozen       []objects.PinnedGroup
	Directories  []DirectoryStatus
	Tenant       *reach.Tries // nil: not tried yet
}

// EngineStatus is what is known of an engine.
type EngineStatus struct {
	Name    string
	Health  *engine.Health // nil: it does not run here
	Last    *run.Report    // nil: no run is known
	Grants  []engine.Grant
	Stopped string
	Debts   int
	Reach   *reach.Tries // nil: not tried yet
	Full    *reach.Full  // nil: none is known
	Process Process
	// Passwords is the state of its password stream; nil: it owns no passwords.
	Passwords *Passwords
	// Provisioning is the state of bringing objects of the tenant into directories; nil: it has no such assignment.
	Provisioning *Passwords
}

// Passwords is what is known of the runs of an engine's stream other than that of objects.
type Passwords struct {
	Last  *run.Report  // nil: no run is known
	Reach *reach.Tries // nil: not tried yet
}

// DirectoryStatus is what the census knows of a directory.
type DirectoryStatus struct {
	Name    string
	Objects int
	USN     uint64
	Reach   *reach.Tries // nil: not tried yet
	Deleted string       // whether the account can read deleted objects: "seen", "hidden", "unproven", "" (unknown)
	Blind   string       // why it cannot; empty unless Deleted is "hidden"
}

// Status gathers everything; it reads nothing from directory or tenant.
func (a *Desk) Status(ctx context.Context) (Status, error) {
	c, err := a.o.Control.View(ctx)
	if err != nil {
		return Status{}, err
	}
	auth := a.o.Gate.Authority()
	st := Status{Epoch: c.Head.Epoch, Installation: c.Head.Installation, ReadOnly: auth.ReadOnly, Mark: a.o.Tenancy.MarkStatus(c), Restored: c.Head.Restored, Stops: auth.Stops, Held: objects.Waiting(a.o.View.Held()), Linked: map[scoping.Kind]int{}}
	if auth.Partition != nil {
		st.Revision = auth.Partition.Revision()
		for _, d := range a.o.View.Drift(auth.Partition) {
			if a.o.Census.USN(d.Directory) != 0 { // a directory that was never read has not drifted
				st.Drift = append(st.Drift, d)
			}
		}
		st.Frozen = a.o.View.Pinned()
	}
	st.Waves = c.SortedWaves()
	debts := map[string]int{}
	for _, d := range a.Debts() {
		if d.Owed.Code == standing.Unasked {
			continue // nothing is wrong with it
		}
		debts[d.Owner]++
		st.Unsettled++
	}
	a.o.Gate.Read(func(s *ledger.State) { st.InDoubt, st.Linked = len(s.Intents), s.Rows.Live() })
	st.Tenant = a.o.Notes.Of(reach.Tenant)
	for _, n := range a.o.Engines.Names() {
		st.Engines = append(st.Engines, a.engineStatus(n, auth, debts[n]))
	}
	for _, n := range a.o.Census.Names() {
		d := DirectoryStatus{Name: n, USN: a.o.Census.USN(n)}
		a.o.Census.Tree(n, func(t *census.Tree) { d.Objects = t.Living() })
		d.Reach = a.o.Notes.Of(reach.Directory(n))
		d.Deleted, d.Blind = a.o.Notes.Deleted(n)
		st.Directories = append(st.Directories, d)
	}
	return st, nil
}

func (a *Desk) engineStatus(n string, auth gate.Authority, debts int) EngineStatus {
	e := EngineStatus{Name: n, Grants: auth.Grants(n), Stopped: auth.Stopped(n, scoping.Place{}), Debts: debts}
	if hl, ok := a.o.Engines.Health(n); ok {
		e.Health = &hl
	}
	if r, ok := a.o.Run.Last(n); ok {
		e.Last = &r
	}
	e.Reach, e.Full = a.o.Notes.Of(reach.Engine(n)), a.o.Notes.LastFull(n)
	if a.o.Run.HandsOver(n) {
		e.Passwords = &Passwords{Reach: a.o.Notes.Of(reach.Engine(ledger.RunKey(n, scoping.PasswordHash)))}
		if r, ok := a.o.Run.LastPasswords(n); ok {
			e.Passwords.Last = &r
		}
	}
	if p := auth.Partition; p != nil && slices.ContainsFunc(p.Provisioning(), func(x scoping.Assignment) bool { return x.Engine == n }) {
		key := ledger.RunKey(n, scoping.Feature(engine.Provisioning))
		e.Provisioning = &Passwords{Reach: a.o.Notes.Of(reach.Engine(key))}
		if r, ok := a.o.Run.Last(key); ok {
			e.Provisioning.Last = &r
		}
	}
	if p, ok := a.o.Engines.(Processes); ok {
		e.Process = p.Process(n)
	}
	return e
}

// Process is what is known of an engine's process.
type Process struct {
	State    string // closed, starting, ready, pausing, refusing; empty: unknown
	PID      int
	Restarts int       // since this host began
	Last     string    // why the previous process ended
	At       time.Time // when it ended
	Trouble  string    // why it does not run although it should; empty: it does, or was not needed yet
}

// Processes is implemented by Engines that know their processes.
type Processes interface {
	Process(name string) Process
}
