package api

import (
	"context"

	"github.com/tandem-sync/tandem/orchestrator/answer"
	"github.com/tandem-sync/tandem/scoping"
)

// ExplainRequest names an object and, if Text is set, the policy to answer by.
type ExplainRequest struct {
	Ref  string `json:"ref"`
	File string `json:"file,omitempty"`
	Text []byte `json:"text,omitempty"`
}

// Explained is the owner of each feature of an object, and why.
type Explained struct {
	Directory string                `json:"directory"`
	DN        string                `json:"dn"`
	Anchor    string                `json:"anchor"`
	Kind      scoping.Kind          `json:"kind"`
	Object    scoping.ObjectID      `json:"object"`
	Gone      bool                  `json:"gone,omitempty"`
	Features  []scoping.Explanation `json:"features"`
	Waits     []string              `json:"waits,omitempty"` // pending changes of its owners, as sentences
	// The settings for attributes of these features in the policy's defaults, by the tenant's names.
	Extensions []string `json:"extensions,omitempty"` // managed by the owner of extensions
	LeftOut    []string `json:"leftOut,omitempty"`    // not managed at all
	Way        string   `json:"way,omitempty"`        // if the tenant is its authority: the direction of its values
}

func explainedOf(e answer.Explained) Explained {
	out := Explained{Directory: e.Object.Directory, DN: e.DN, Anchor: e.Anchor, Kind: e.Kind, Object: e.Object, Gone: e.Deleted, Features: e.Features, Waits: e.Waits,
		Extensions: e.Extensions, LeftOut: e.LeftOut, Way: e.Way}
	if out.Features == nil {
		out.Features = []scoping.Explanation{}
	}
	return out
}

func explain(ctx context.Context, c *call, q ExplainRequest) (any, Outcome, error) {
	var p *scoping.Partition
	if q.Text != nil {
		var err error
		if p, err = c.h.o.Host().Compile(ctx, q.File, q.Text); err != nil {
			return nil, Outcome{}, err
		}
	}
	e, err := c.h.o.Host().Explain(ctx, q.Ref, p)
	if err != nil {
		return nil, Outcome{}, err
	}
	return explainedOf(e), Outcome{}, nil
}
