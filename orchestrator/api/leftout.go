package api

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/tandem-sync/tandem/orchestrator/answer"
	"github.com/tandem-sync/tandem/orchestrator/objects"
	"github.com/tandem-sync/tandem/scoping"
)

// LeftOutRequest selects left-out objects.
type LeftOutRequest struct {
	Engine string `json:"engine,omitempty"`
	Reason string `json:"reason,omitempty"`
	Each   bool   `json:"each,omitempty"` // also one by one
}

// LeftSet are the objects that are left out for one reason.
type LeftSet struct {
	Engine   string               `json:"engine,omitempty"` // the engine whose rules leave them out; absent: the policy does
	Reason   objects.Reason       `json:"reason"`
	Message  string               `json:"message"`
	Count    int                  `json:"count"`
	Kinds    map[scoping.Kind]int `json:"kinds"`
	Linked   int                  `json:"linked"` // of these the ones in the tenant, which stay there unchanged
	Examples []string             `json:"examples"`
}

// LeftObject is one left-out object.
type LeftObject struct {
	Object scoping.ObjectID `json:"object"`
	Name   string           `json:"name"`
	Kind   scoping.Kind     `json:"kind"`
	Engine string           `json:"engine,omitempty"`
	Reason objects.Reason   `json:"reason"`
	Linked bool             `json:"linked"`
}

// LeftOut is what is left out, as sets, and one by one if requested.
type LeftOut struct {
	Sets    []LeftSet    `json:"sets"`
	Objects []LeftObject `json:"objects,omitempty"`
}

func leftSetsOf(ss []answer.LeftSet) []LeftSet {
	out := []LeftSet{}
	for _, s := range ss {
		out = append(out, LeftSet{Engine: s.Engine, Reason: s.Reason, Message: s.Reason.Sentence(), Count: s.Count, Kinds: s.Kinds, Linked: s.Linked, Examples: orEmpty(s.Examples)})
	}
	return out
}

func leftOut(ctx context.Context, c *call, q LeftOutRequest) (any, Outcome, error) {
	if q.Engine != "" && !slices.Contains(c.h.o.Engines(), q.Engine) {
		return nil, Outcome{}, Usage("no engine %q is configured (configured: %s)", q.Engine, strings.Join(c.h.o.Engines(), ", "))
	}
	host := c.h.o.Host()
	sets, all, err := host.LeftOut(ctx, answer.LeftFilter{Engine: q.Engine, Reason: objects.Reason(q.Reason)})
	if err != nil {
		return nil, Outcome{}, fmt.Errorf("looking for what is left out: %w", err)
	}
	out := LeftOut{Sets: leftSetsOf(sets)}
	if q.Each {
		for _, x := range all {
			out.Objects = append(out.Objects, LeftObject{Object: x.Object, Name: host.Name(x.Object), Kind: x.Kind, Engine: x.Engine, Reason: x.Reason, Linked: x.Linked})
		}
		slices.SortFunc(out.Objects, func(a, b LeftObject) int { return strings.Compare(a.Name, b.Name) })
	}
	return out, Outcome{}, nil
}
