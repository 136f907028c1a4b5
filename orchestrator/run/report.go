package run

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/tandem-sync/tandem/orchestrator/gate"
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/objects"
	"github.com/tandem-sync/tandem/orchestrator/standing"
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// Codes of problems and findings that are not answers of the gate or of engines.
const (
	codeFailed = "run-failed"       // the run as such
	codeUnread = "directory-unread" // by the host
	codeKept   = "references-kept"  // references that others wrote
)

// Problem is one object that is not settled.
type Problem struct {
	Object  string `json:"object"`
	Code    string `json:"code"`
	Message string `json:"message"`
}

// Removal is what was taken out of the members of a group, or the manager of a user, with the names of the first.
type Removal struct {
	Object string   `json:"object"`
	Of     string   `json:"of"` // members or manager
	Count  int      `json:"count"`
	Names  []string `json:"names"`
}

// String returns the removal as a sentence.
func (x Removal) String() string {
	return fmt.Sprintf("%d of its %s removed: %s", x.Count, x.Of, objects.Few(x.Names, x.Count))
}

// Report is the result of one run. Each object is counted once, under the gravest outcome of its features.
type Report struct {
	Engine     string           `json:"engine"`
	Stream     engine.Stream    `json:"stream,omitempty"`
	Profile    string           `json:"profile"`
	Read       int              `json:"read"`
	Proposed   int              `json:"proposed"` // objects whose wanted state differs from the tenant's
	Applied    int              `json:"applied"`  // the sum of the next four
	Creates    int              `json:"creates"`
	Updates    int              `json:"updates"`
	Deletes    int              `json:"deletes"`
	Restores   int              `json:"restores"`
	Links      gate.Links       `json:"links"`              // members and managers that were written
	Removals   []Removal        `json:"removals,omitempty"` // those among them that were taken out
	Unchanged  int              `json:"unchanged"`
	Shadowed   int              `json:"shadowed"`
	Held       int              `json:"held"`
	Deferred   int              `json:"deferred"`
	Released   int              `json:"released"`
	Refused    int              `json:"refused"`
	Failed     int              `json:"failed"`
	Unclaimed  int              `json:"unclaimed"`
	Millis     int64            `json:"durationMillis"`
	Errors     []Problem        `json:"errors"`
	Findings   []Problem        `json:"findings"` // what a person should know without having to act
	Complete   bool             `json:"complete"`
	At         int64            `json:"at"`                // Unix ms of its end
	Stopped    string           `json:"stopped,omitempty"` // why writing is stopped, for all or some of the run's objects
	HeldSets   []string         `json:"heldSets,omitempty"`
	Left       []string         `json:"unclaimedObjects,omitempty"`
	ReadOnly   string           `json:"readOnly,omitempty"` // why nothing was written: the state waits for its activation
	Judgements []gate.Judgement `json:"-"`                  // of what was judged in shadow
}

// FirstProblem returns the first problem as one line.
func (r Report) FirstProblem() string {
	if len(r.Errors) == 0 {
		return "the engine did not say why"
	}
	e := r.Errors[0]
	return strings.TrimSpace(e.Object + " " + e.Code + ": " + e.Message)
}

func (r *Report) leave(name string) {
	r.Unclaimed++
	if len(r.Left) < 100 {
		r.Left = append(r.Left, name)
	}
}

// severity orders outcomes, for the count of an object with several features.
var severity = map[engine.Outcome]int{engine.Failed: 9, engine.InDoubt: 8, engine.Held: 7, engine.Refused: 6, engine.Stale: 5, engine.Deferred: 5, engine.Parked: 5,
	engine.Applied: 4, engine.Partial: 3, engine.Shadowed: 2, engine.Released: 1, engine.Unchanged: 0}

// graver compares the outcomes of two judgements.
func graver(a, b gate.Judgement) int { return cmp.Compare(severity[a.Outcome], severity[b.Outcome]) }

// count adds a session's judgements, each object once. Among features with equally grave outcomes the base feature counts: a new user whose manager
// was set is a create.
func (r *Report) count(sum gate.Summary) {
	var worst *gate.Judgement // of the present object
	for j := range sum.All() {
		switch {
		case worst == nil:
			worst = &j
		case j.Key.Object != worst.Key.Object:
			r.add(*worst)
			worst = &j
		case graver(j, *worst) > 0 || graver(j, *worst) == 0 && j.Key.Feature == scoping.Base(j.Kind):
			worst = &j
		}
		r.note(j)
		if j.Outcome != engine.Shadowed {
			r.Links = r.Links.Plus(j.Links)
		}
	}
	if worst != nil {
		r.add(*worst)
	}
	for _, j := range sum.Unknown {
		r.problem(j)
	}
	for _, hs := range sum.Held {
		r.HeldSets = append(r.HeldSets, hs.ID)
	}
	slices.SortFunc(r.Errors, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Object, b.Object), cmp.Compare(a.Code, b.Code))
	})
}

func (r *Report) add(j gate.Judgement) {
	if j.Key.Feature == scoping.PasswordHash && j.Code == gate.CodeWaitsForBase {
		return // nothing to report about users that are not in the tenant
	}
	if j.Outcome == engine.Deferred && j.Code == gate.CodeStopped && r.ReadOnly == "" {
		r.Stopped = j.Reason
	}
	switch j.Outcome {
	case engine.Applied:
		r.Applied++
		switch j.Effect() {
		case gate.EffectCreate:
			r.Creates++
		case gate.EffectDelete:
			r.Deletes++
		case gate.EffectRestore:
			r.Restores++
		default:
			r.Updates++
		}
	case engine.Unchanged:
		r.Unchanged++
	case engine.Shadowed:
		r.Shadowed++
	case engine.Held:
		r.Held++
	case engine.Released:
		r.Released++
	case engine.Refused:
		if j.Code == gate.CodeRejected { // by a person: counts as settled
			r.Unchanged++
			return
		}
		r.Refused++
	case engine.Failed:
		r.Failed++
	default: // in doubt, stale, parked, partial: asked for again
		r.Deferred++
	}
	if j.Outcome != engine.Unchanged && j.Outcome != engine.Released {
		r.Proposed++
	}
}

// maxProblems is the most objects that a report names.
const maxProblems = 200

func (r *Report) note(j gate.Judgement) {
	if j.Code == gate.CodeThreshold || j.Code == gate.CodeRejected {
		return // the held set names it
	}
	switch j.Outcome {
	case engine.Failed, engine.Held, engine.Refused, engine.InDoubt, engine.Stale:
	default:
		return
	}
	r.problem(j)
}

func (r *Report) problem(j gate.Judgement) {
	if len(r.Errors) < maxProblems {
		r.Errors = append(r.Errors, Problem{Object: j.Name, Code: string(j.Code), Message: j.Reason})
	}
}

// report adds a conversation's results to a report, with findings that need no action.
func (c *conversation) report(out *Report) {
	out.Judgements = c.Summary.Judgements
	out.Errors = append(out.Errors, c.Problems...)
	out.count(c.Summary)
	for j := range c.Summary.All() {
		if (j.Code == gate.CodeAddressQuarantined || j.Code == gate.CodeTenantHasOlder) && len(out.Findings) < maxProblems {
			out.Findings = append(out.Findings, Problem{Object: j.Name, Code: string(j.Code), Message: j.Reason})
		}
		if len(j.Parted) > 0 && len(out.Removals) < maxProblems {
			out.Removals = append(out.Removals, c.r.removal(j))
		}
		if len(j.Foreign) == 0 || len(out.Findings) >= maxProblems {
			continue
		}
		out.Findings = append(out.Findings, Problem{Object: j.Name, Code: codeKept,
			Message: fmt.Sprintf("%d references that others wrote in the tenant are kept: %s", len(j.Foreign), objects.Few(c.r.o.View.CloudNames(j.Foreign, mostNames), len(j.Foreign)))})
	}
}

// removal returns the ends that a judgement took out of its object's references.
func (r *Runner) removal(j gate.Judgement) Removal {
	of := cloud.Members
	if j.Kind != scoping.Group {
		of = cloud.Manager
	}
	return Removal{Object: j.Name, Of: of, Count: len(j.Parted), Names: r.o.View.CloudNames(j.Parted, mostNames)}
}

// waiting adds objects that wait for a person and were not asked for in this run: their problem is unchanged.
func (c *conversation) waiting(out *Report) {
	var waits []ledger.Key
	for k, d := range c.r.o.View.Owed() {
		if d.Engine == c.q.Engine && d.To == standing.Person && d.Code == standing.Differs && !c.session.Seen(k) {
			waits = append(waits, k)
		}
	}
	slices.SortFunc(waits, ledger.Key.Compare)
	c.r.o.Gate.Read(func(s *ledger.State) {
		for _, k := range waits {
			code := gate.Code(s.Unsettled[k.Object][k.Feature].Reason)
			row := s.Rows.Get(k.Object)
			if row == nil || k.Feature != scoping.Base(row.Kind) || !code.WaitsForPerson() {
				continue // references wait for the base feature, which is reported
			}
			out.Held++
			if len(out.Errors) < maxProblems {
				out.Errors = append(out.Errors, Problem{Object: row.Name, Code: string(code), Message: code.Sentence()})
			}
		}
	})
}

// mostNames is the most objects that one line of a report names.
const mostNames = 5

// heldOwners returns the open sets of owner changes with objects of an engine, and the number of these objects.
func (r *Runner) heldOwners(name string) (ids []string, objects int) {
	auth := r.o.Gate.Authority()
	for _, x := range r.o.View.Held() {
		if x.Class != ledger.OwnerChanges || x.State != ledger.HoldOpen {
			continue
		}
		n := 0
		for _, e := range x.Entries {
			if r.o.View.Owner(auth, e.Object, r.o.Census.Sight(e.Object).Kind) == name {
				n++
			}
		}
		if n > 0 {
			ids, objects = append(ids, x.ID), objects+n
		}
	}
	return ids, objects
}
