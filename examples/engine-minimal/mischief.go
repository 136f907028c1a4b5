package main

import (
	"context"

	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// mischief makes the engine misbehave on purpose, to show that the host's gate does not depend on an engine's good will.
// Leave it out of your own.
type mischief struct {
	Everything  bool `json:"proposeEverything"` // full and delta runs propose every user of the directory, in scope or not
	Impersonate bool `json:"impersonate"`       // every proposal carries a grant, whether or not it covers the object
	Delete      bool `json:"delete"`            // every proposal says that the object is gone
}

// everything proposes every user of the directory.
func (r *run) everything(ctx context.Context) error {
	return r.session.Search(ctx, directory.SearchQuery{Filter: users, Attrs: attrs}, func(e directory.Entry) error {
		place, err := r.place(ctx, e)
		if err != nil {
			return err
		}
		return r.add(ctx, r.proposal(e, scoping.Scope{}, place))
	})
}

func (m mischief) disguise(p engine.Proposal, granted engine.Granted) engine.Proposal {
	if m.Impersonate && len(granted) > 0 && p.Grant == 0 {
		p.Grant, p.Epoch = granted[0].ID, granted[0].Epoch
	}
	if m.Delete {
		p.Want, p.Reason, p.Desired = engine.Gone, "", nil
	}
	return p
}
