// Package wave is the migration of one set of scopes from one engine to another, as a durable state machine.
//
// It is pure: Next takes a wave's record and what the last act found, and decides which act to do, which phase to enter, or what the wave waits for.
// Executors carry out acts: the live one (package acts), the recorder behind `plan`, and the simulation's. Drive loops over both. Each act may be
// repeated, and a process killed at any instruction resumes from the wave's record.
package wave

import (
	"slices"
	"time"

	"github.com/tandem-sync/tandem/scoping"
)

// Phase is a stage of a wave.
type Phase string

// The phases, in order; the last three are those of a rollback.
const (
	Preflight        Phase = "preflight"
	Baseline         Phase = "baseline"
	ShadowPhase      Phase = "shadow"
	Verify           Phase = "verify"
	Freeze           Phase = "freeze"
	Cutover          Phase = "cutover"
	CatchUp          Phase = "catch-up"
	Soak             Phase = "soak"
	Complete         Phase = "complete"
	RollbackFreeze   Phase = "rollback-freeze"
	RollbackEvaluate Phase = "rollback-evaluate"
	RollbackRestore  Phase = "rollback-restore"
)

// Phases lists the forward phases in order.
func Phases() []Phase {
	return []Phase{Preflight, Baseline, ShadowPhase, Verify, Freeze, Cutover, CatchUp, Soak, Complete}
}

// Back reports whether a phase belongs to a rollback.
func (p Phase) Back() bool {
	return p == RollbackFreeze || p == RollbackEvaluate || p == RollbackRestore
}

// State is whether a wave goes on.
type State string

const (
	NotStarted State = "not-started"
	Running    State = "running"
	Waiting    State = "waiting"
	Paused     State = "paused"
	Completed  State = "completed"
	RolledBack State = "rolled-back"
	Aborted    State = "aborted"
	Failed     State = "failed"
)

// Over reports whether the wave has ended.
func (s State) Over() bool { return s == Completed || s == RolledBack || s == Aborted }

// Severity is how serious a finding is.
type Severity string

// The severities. A blocker keeps a wave in preflight.
const (
	Info    Severity = "info"
	Warning Severity = "warning"
	Blocker Severity = "blocker"
)

// Code is a word, for programs, for what a finding is about.
type Code string

// Finding is a result of preflight or of a plan.
type Finding struct {
	Severity Severity `json:"severity"`
	Code     Code     `json:"code"`
	Message  string   `json:"message"`
	Objects  int      `json:"objects"`
	Examples []string `json:"examples"`
}

// Difference is one object for which the target's wish and the tenant differ.
type Difference struct {
	Object  scoping.ObjectID `json:"object"`
	Feature scoping.Feature  `json:"feature"`
	Name    string           `json:"name"`
	Op      string           `json:"op"`               // create, restore, update, delete, orphan, unclaimed
	Detail  string           `json:"detail,omitempty"` // what of it, for people: old → new values, members and managers by name
	Binding string           `json:"-"`                // what an approval of it is bound to: the same without names, which change; empty: Detail
	Grave   bool             `json:"grave,omitempty"`  // everything but ordinary updates: a person has to see it
	New     bool             `json:"new,omitempty"`    // the previous verify did not find it
	Behind  bool             `json:"behind,omitempty"` // the source has not evaluated a change of the directory yet, which may be all there is to it
}

// PhaseRecord is one phase in a wave's history. Times are Unix milliseconds.
type PhaseRecord struct {
	Name      Phase  `json:"name"`
	StartedAt int64  `json:"startedAt"`
	EndedAt   int64  `json:"endedAt,omitempty"`
	Result    string `json:"result,omitempty"`
}

// Options are how an administrator wants the wave to run.
type Options struct {
	AutoApprove  bool          `json:"autoApprove,omitempty"` // answers ordinary updates that the plan printed and verify confirmed, nothing else
	HoldBefore   Phase         `json:"holdBefore,omitempty"`
	Soak         time.Duration `json:"soak"`
	AutoComplete bool          `json:"autoComplete,omitempty"` // the end of the soak completes the wave; otherwise a person does
}

// Defaults of times and numbers.
const (
	DefaultSoak      = 24 * time.Hour
	FreezeLimit      = 20 * time.Second // a freeze that lasts longer gives the scope back
	MaxFreezes       = 3                // after so many expired freezes the wave waits for a person
	VerifyLife       = 30 * time.Minute // a cutover needs a verify younger than this
	maxCatchUpRounds = 3
	clockSlack       = time.Minute      // how far the clock may step back before ages count as unknown
	restorePause     = 30 * time.Second // until a rollback looks again whether a doubt, a lag or a freeze has ended
)

// Wave is the durable record of a wave.
type Wave struct {
	ID        string               `json:"id"`
	Plan      string               `json:"plan,omitempty"` // fingerprint of the plan that began it
	From      string               `json:"from"`
	To        string               `json:"to"`
	Features  []scoping.Feature    `json:"features"`
	HandOvers []scoping.HandOver   `json:"handOvers"`
	Objects   map[scoping.Kind]int `json:"objects"`
	Options   Options              `json:"options"`

	Phase   Phase         `json:"phase"`
	State   State         `json:"state"`
	For     For           `json:"for,omitempty"`     // what it waits for, or, under a pause, waited for before
	Wait    string        `json:"wait,omitempty"`    // … in words
	Since   int64         `json:"since,omitempty"`   // … and since when, Unix ms
	Command string        `json:"command,omitempty"` // the command that ends the wait
	Paused  *PausedBy     `json:"paused,omitempty"`  // set while it is paused
	History []PhaseRecord `json:"history"`

	Predicted    Counts       `json:"predicted"`   // by the plan
	Differences  Counts       `json:"differences"` // by verify
	Examples     []Difference `json:"examples,omitempty"`
	Fingerprint  string       `json:"fingerprint,omitempty"`  // of the differences that verify found
	Found        Marks        `json:"found"`                  // … and their marks
	Printed      []string     `json:"printed,omitempty"`      // marks of the ordinary updates that the plan printed
	Approval     *Approval    `json:"approval,omitempty"`     // the last approval
	AnsweredAt   int64        `json:"answeredAt,omitempty"`   // when a person last let it continue, Unix ms: an older verify does not count
	VerifiedAt   int64        `json:"verifiedAt,omitempty"`   // Unix ms
	VerifiedFrom uint64       `json:"verifiedFrom,omitempty"` // the log's last record when the run began that verify judges
	Released     bool         `json:"released,omitempty"`     // a person allowed to enter the phase of HoldBefore
	Freezes      int          `json:"freezes,omitempty"`
	FreezeMillis int64        `json:"freezeMillis,omitempty"`
	Rounds       int          `json:"rounds,omitempty"`     // of catch-up
	SoakMillis   int64        `json:"soakMillis,omitempty"` // elapsed while running
	SoakOver     bool         `json:"soakOver,omitempty"`   // a person ended the soak
	Error        string       `json:"error,omitempty"`

	ShadowEpoch  scoping.Epoch   `json:"shadowEpoch"`
	CutoverEpoch scoping.Epoch   `json:"cutoverEpoch"`
	BackEpoch    scoping.Epoch   `json:"backEpoch"` // when the scopes were given back
	Revision     uint64          `json:"revision"`  // of the partition that its last commit made
	CreatedAt    int64           `json:"createdAt"`
	CutoverAt    int64           `json:"cutoverAt,omitempty"`
	LookAgain    int64           `json:"lookAgain,omitempty"` // when a wait that may end by itself is looked at again, Unix ms
	By           string          `json:"by,omitempty"`
	Decisions    int             `json:"decisions,omitempty"` // number of decisions by people: a record from before one is not committed
	Report       *RollbackReport `json:"report,omitempty"`
}

// RollbackReport counts what a rollback could restore and what not.
type RollbackReport struct {
	Restored   int      `json:"restored"`
	ADChanged  int      `json:"adChanged"`
	Foreign    int      `json:"foreign"`
	Impossible int      `json:"impossible"`
	Members    int      `json:"memberships"`       // added by the wave and still there
	Waiting    int      `json:"waiting,omitempty"` // objects that nothing can be said about yet
	Notes      []string `json:"notes,omitempty"`   // the first reasons; all lines are in the log, under the wave
}

// Scopes returns the scopes of the hand-overs.
func (w Wave) Scopes() []scoping.Scope {
	out := make([]scoping.Scope, len(w.HandOvers))
	for i, h := range w.HandOvers {
		out[i] = h.Scope
	}
	return out
}

// CutOver reports whether the target owns the scopes now.
func (w Wave) CutOver() bool {
	return slices.Contains([]Phase{CatchUp, Soak, Complete, RollbackFreeze}, w.Phase) && w.CutoverAt != 0
}

// Due reports whether a waiting wave may continue by itself: it is soaking, or its next look is due.
func (w Wave) Due(now time.Time) bool {
	if w.State != Waiting {
		return false
	}
	return (w.Phase == Soak && (w.For == ForSoak || w.For == "")) || (w.Phase == RollbackRestore && w.LookAgain != 0 && now.UnixMilli() >= w.LookAgain)
}

// ShadowGrant returns the engine that is to be judged over the wave's scopes: the target before the cutover, the source after it, until the wave is
// over.
func (w Wave) ShadowGrant() (engine string, epoch scoping.Epoch, ok bool) {
	switch {
	case w.State.Over():
		return "", scoping.Epoch{}, false
	case slices.Contains([]Phase{ShadowPhase, Verify, Freeze, Cutover}, w.Phase):
		return w.To, w.ShadowEpoch, true
	case w.CutOver():
		return w.From, w.CutoverEpoch, true
	}
	return "", scoping.Epoch{}, false
}

func (w Wave) isRollback() bool {
	return w.Phase == RollbackFreeze || w.Phase == RollbackEvaluate || w.Phase == RollbackRestore
}
