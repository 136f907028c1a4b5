package api

import (
	"context"

	"github.com/tandem-sync/tandem/orchestrator/gate"
	"github.com/tandem-sync/tandem/orchestrator/host"
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/objects"
	"github.com/tandem-sync/tandem/scoping"
)

// Held is a set of writes that waits for a person, or did.
type Held struct {
	ID         string           `json:"id"`
	Engine     string           `json:"engine"`
	Assignment string           `json:"assignment"`
	Class      ledger.Class     `json:"class"`
	Kind       string           `json:"kind"`
	State      ledger.HoldState `json:"state"`
	Why        string           `json:"why"`
	Limit      int              `json:"limit"`
	Since      string           `json:"since"`
	Count      int              `json:"count"`
	By         string           `json:"by,omitempty"`
	Reason     string           `json:"reason,omitempty"`
	AnsweredAt string           `json:"answeredAt,omitempty"`
	Expires    string           `json:"expires,omitempty"` // of an approval: writes not made by then are held again
	Was        []string         `json:"was,omitempty"`     // names that it had with other writes in it
	Voided     int              `json:"voided,omitempty"`  // number of its writes whose objects changed hands
	Entries    []HeldEntry      `json:"entries,omitempty"`
}

// HeldEntry is one write of a held set, with what it would change.
type HeldEntry struct {
	Object  scoping.ObjectID `json:"object"`
	Feature scoping.Feature  `json:"feature"`
	Op      string           `json:"op"`
	Name    string           `json:"name,omitempty"`
	Target  string           `json:"target,omitempty"` // the tenant object
	Changes []ledger.Change  `json:"changes,omitempty"`
	End     string           `json:"end,omitempty"` // of a removed membership or manager: the tenant object at the other end
	EndName string           `json:"endName,omitempty"`
	Detail  string           `json:"detail,omitempty"`
	Note    string           `json:"note,omitempty"`
	Spent   bool             `json:"spent,omitempty"`
}

// HeldSets is a list of held sets, without their entries.
type HeldSets struct {
	Held []Held `json:"held"`
}

func heldOf(h ledger.Hold) Held {
	out := Held{ID: h.ID, Engine: h.Engine, Assignment: h.Assignment, Class: h.Class, Kind: string(h.Kind), State: h.State, Why: h.Why, Limit: h.Limit,
		Since: stamp(h.At), Count: len(h.Entries), By: h.By, Reason: h.Reason, Was: h.Was, Voided: h.Voided}
	if h.AnsweredAt != 0 {
		out.AnsweredAt = stamp(h.AnsweredAt)
	}
	if h.State == ledger.HoldApproved {
		out.Expires = stamp(h.AnsweredAt + ledger.ApprovalLife.Milliseconds())
	}
	for _, e := range h.Entries {
		out.Entries = append(out.Entries, HeldEntry{Object: e.Object, Feature: e.Feature, Op: e.Op, Name: e.Name, Target: e.Target, Changes: e.Changes, End: e.End, EndName: e.EndName,
			Detail: e.Detail, Note: e.Note, Spent: e.Spent})
	}
	return out
}

func heldSets(hs []ledger.Hold) []Held {
	out := []Held{}
	for _, h := range hs {
		v := heldOf(h)
		v.Entries = nil
		out = append(out, v)
	}
	return out
}

// HeldListRequest selects the held sets that wait, or all that are remembered.
type HeldListRequest struct {
	All bool `json:"all,omitempty"`
}

func heldList(_ context.Context, c *call, q HeldListRequest) (any, Outcome, error) {
	hs := c.h.o.Host().Held()
	if !q.All {
		hs = objects.Waiting(hs)
	}
	return HeldSets{Held: heldSets(hs)}, Outcome{}, nil
}

// HeldRequest names a held set and the answer: approve, reject or forget.
type HeldRequest struct {
	ID     string `json:"id"`
	Verb   string `json:"verb,omitempty"`
	Reason string `json:"reason,omitempty"`
}

func heldShow(_ context.Context, c *call, q HeldRequest) (any, Outcome, error) {
	h, err := c.h.o.Host().HeldSet(q.ID)
	return heldOf(h), Outcome{}, err
}

// Answered is what followed a person's answer; Run is null if there was no run.
type Answered struct {
	ID   string `json:"id"`
	Verb string `json:"verb"`
	Run  *Sync  `json:"run"`
}

func heldAnswer(ctx context.Context, c *call, q HeldRequest) (any, Outcome, error) {
	r, err := c.h.o.Host().Answer(ctx, q.ID, q.Verb, c.by, q.Reason)
	if err != nil {
		return nil, Outcome{}, err
	}
	out := Answered{ID: q.ID, Verb: q.Verb}
	if r == nil {
		return out, Outcome{}, nil
	}
	out.Run = ptr(c.ran(*r))
	return out, syncOutcome(*r), nil
}

// StopRequest is what is stopped or started.
type StopRequest struct {
	Engine string `json:"engine,omitempty"`
	Under  string `json:"under,omitempty"`
	All    bool   `json:"all,omitempty"`
	Reason string `json:"reason,omitempty"`
}

func (q StopRequest) options(by string) (host.StopOptions, error) {
	if !q.All && q.Engine == "" && q.Under == "" {
		return host.StopOptions{}, Usage("say what: --engine E, --under DN or --all")
	}
	if q.All && (q.Engine != "" || q.Under != "") {
		return host.StopOptions{}, Usage("--all leaves no room for --engine or --under")
	}
	return host.StopOptions{Engine: q.Engine, Under: q.Under, All: q.All, Reason: q.Reason, By: by}, nil
}

// Stops are the stops that were made or ended.
type Stops struct {
	Stops []Stop `json:"stops"`
}

// Stop is one stop of writing. At is RFC 3339.
type Stop struct {
	gate.Stop
	At string `json:"at"`
}

func stopsOf(ss []gate.Stop) []Stop {
	out := []Stop{}
	for _, s := range ss {
		out = append(out, Stop{Stop: s, At: stamp(s.At)})
	}
	return out
}

func stop(ctx context.Context, c *call, q StopRequest) (any, Outcome, error) {
	o, err := q.options(c.by)
	if err != nil {
		return nil, Outcome{}, err
	}
	if o.Reason == "" {
		return nil, Outcome{}, Usage("stop needs --reason: it is shown to everybody who wonders why nothing is written")
	}
	s, err := c.h.o.Host().Stop(ctx, o)
	return Stops{Stops: stopsOf([]gate.Stop{s})}, Outcome{}, err
}

func start(ctx context.Context, c *call, q StopRequest) (any, Outcome, error) {
	o, err := q.options(c.by)
	if err != nil {
		return nil, Outcome{}, err
	}
	ss, err := c.h.o.Host().Start(ctx, o)
	return Stops{Stops: stopsOf(ss)}, Outcome{}, err
}
