package api

import (
	"context"
	"fmt"
	"strings"

	"github.com/tandem-sync/tandem/orchestrator/gate"
	"github.com/tandem-sync/tandem/orchestrator/objects"
	"github.com/tandem-sync/tandem/orchestrator/plan"
	"github.com/tandem-sync/tandem/orchestrator/provisioning"
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/plugins/provision"
	"github.com/tandem-sync/tandem/scoping"
)

// DiffRequest is what is compared; an empty engine is the owner.
type DiffRequest struct {
	Under  string `json:"under"`
	Engine string `json:"engine,omitempty"`
}

// Diff is what an engine would write now.
type Diff struct {
	Engine      string       `json:"engine"`
	Objects     int          `json:"objects"`
	Counts      Counts       `json:"counts"`
	Differences []Difference `json:"differences"`
	PutBack     []Difference `json:"putBack,omitempty"` // of a rollback: values that only the wave's target wrote; wanted are those from before
	Waiting     []string     `json:"waiting,omitempty"` // of a rollback: objects with a request without an answer; its values are put back as well
}

// Difference is one object that the engine would write. Op is create, restore, update, delete, orphan or unclaimed.
type Difference struct {
	Object     string              `json:"object"`
	Op         string              `json:"op"`
	Attributes map[string]Change   `json:"attributes"`           // changed members under "members+" and "members-", by their ids in the tenant
	References *objects.References `json:"references,omitempty"` // the same by name, and the manager
	Reason     string              `json:"reason,omitempty"`
	Way        string              `json:"way,omitempty"` // "tenant → directory" for a write into a directory; empty: into the tenant
}

// Change is one attribute: null without a value, a list if there are several.
type Change struct {
	Tenant    any `json:"tenant"`
	Directory any `json:"directory,omitempty"` // of what would be written into a directory: what is there
	Wanted    any `json:"wanted"`
}

func diff(ctx context.Context, c *call, q DiffRequest) (any, Outcome, error) {
	if q.Under == "" {
		return nil, Outcome{}, Usage("diff needs --under DN")
	}
	d, err := c.diff(ctx, plan.DiffOptions{Under: q.Under, Engine: q.Engine})
	if err != nil {
		return nil, Outcome{}, err
	}
	brought, err := c.h.o.Host().Bringing(ctx, q.Engine, q.Under)
	if err != nil {
		return nil, Outcome{}, err
	}
	for _, j := range brought {
		x := broughtOf(j)
		d.Differences = append(d.Differences, x)
		switch x.Op {
		case "create":
			d.Counts.Create++
		case "delete":
			d.Counts.Delete++
		default:
			d.Counts.Update++
		}
	}
	d.Objects = max(d.Objects, len(d.Differences))
	d.Counts.Unchanged = d.Objects - len(d.Differences)
	var o Outcome
	if n := len(d.Differences); n > 0 {
		o = Outcome{Exit: ExitDifferences, Message: fmt.Sprintf("%s would write %d of %s", d.Engine, n, scoping.Many(d.Objects, "object", "objects"))}
	}
	return d, o, nil
}

func (c *call) diff(ctx context.Context, o plan.DiffOptions) (Diff, error) {
	name, n, js, err := c.h.o.Host().Diff(ctx, o)
	return Diff{Engine: name, Objects: n, Counts: Counts(plan.Count(js)), Differences: c.differencesOf(js)}, err
}

// mostEnds is how many members that come or go a difference names; it has the ids of all.
const mostEnds = 50

// broughtOf is the first write for an object of the tenant into a directory.
func broughtOf(j provisioning.Judgement) Difference {
	d := Difference{Object: j.Name, Op: "update", Attributes: map[string]Change{}, Way: "tenant → directory", Reason: j.Reason}
	switch w := j.Write; w.Op {
	case provision.Add:
		d.Op = "create"
	case provision.Delete:
		d.Op = "delete"
	case provision.Rename:
		d.Attributes["cn"] = Change{Directory: w.WasName, Wanted: w.Name}
	case provision.Move:
		d.Attributes["parent"] = Change{Directory: w.From.String(), Wanted: w.Container.String()}
	}
	for _, s := range j.Write.Set {
		d.Attributes[s.Attribute] = Change{Directory: plain(s.Was), Wanted: plain(s.To)}
	}
	if s := j.Write.Disabled; s != nil {
		d.Attributes["accountDisabled"] = Change{Directory: s.Was, Wanted: s.To}
	}
	for _, r := range j.Write.Refs {
		d.Attributes[r.Attribute] = Change{Wanted: fmt.Sprintf("%d more, %d fewer", len(r.Add), len(r.Remove))}
	}
	return d
}

// differencesOf merges what is said of the features of one object. Judgements come ordered by object.
func (c *call) differencesOf(js []gate.Judgement) []Difference {
	out := []Difference{}
	at := map[scoping.ObjectID]int{}
	greatest := map[scoping.ObjectID]gate.Effect{}
	for _, j := range js {
		i, ok := at[j.Key.Object]
		if !ok {
			i = len(out)
			at[j.Key.Object] = i
			out = append(out, Difference{Object: j.Name, Attributes: map[string]Change{}})
		}
		d := &out[i]
		if e := j.Effect(); !ok || e > greatest[j.Key.Object] {
			greatest[j.Key.Object], d.Op = e, e.String()
		}
		for k, v := range j.After {
			d.Attributes[k] = Change{Tenant: plain(j.Before[k]), Wanted: plain(v)}
		}
		if refs := c.h.o.Host().References(j, mostEnds); refs != nil {
			d.References = refs
			if gone := j.Before[gate.MembersRemoved]; len(gone) > 0 {
				d.Attributes[gate.MembersRemoved] = Change{Tenant: plain(gone)}
			}
			if boss := j.Before[cloud.Manager]; len(boss) > 0 && len(j.After) == 0 {
				d.Attributes[cloud.Manager] = Change{Tenant: plain(boss)}
			}
		}
		if j.Reason != "" && len(j.After) == 0 {
			d.Reason = strings.TrimPrefix(d.Reason+"; "+string(j.Code)+": "+j.Reason, "; ")
		}
	}
	return out
}

// plain returns one value as itself, several as a list, none as null.
func plain(v []string) any {
	switch len(v) {
	case 0:
		return nil
	case 1:
		return v[0]
	}
	return v
}
