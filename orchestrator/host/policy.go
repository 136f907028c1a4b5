package host

import (
	"context"

	"github.com/tandem-sync/tandem/orchestrator/control"
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/plan"
	"github.com/tandem-sync/tandem/orchestrator/problem"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// Import puts the first policy in force (first adoption). It is refused once a partition exists.
func (h *Host) Import(ctx context.Context, file string, text []byte, by string) (*scoping.Partition, error) {
	return h.ImportFile(ctx, plan.PolicyFile{Name: file, Text: text}, by)
}

// ImportFile is Import with a file of matches.
func (h *Host) ImportFile(ctx context.Context, f plan.PolicyFile, by string) (*scoping.Partition, error) {
	if h.gate.Authority().Partition != nil {
		return nil, problem.Refuse("a policy is in force already (revision %d); change it with `tandem plan` and `tandem apply`", h.gate.Authority().Partition.Revision())
	}
	p, matches, err := h.CompileFile(ctx, f)
	if err != nil {
		return nil, err
	}
	bind, err := h.First(ctx)
	if err != nil {
		return nil, err
	}
	err = h.control.Change(ctx, func(c *control.Content) error {
		if c.Partition != nil {
			return problem.Refuse("a policy is in force already")
		}
		at := c.Next()
		c.Partition = p.Succeed(nil, at)
		c.Policy = f.Text
		c.Head.Adopting = map[string]scoping.Epoch{}
		for _, n := range c.Partition.Engines() {
			c.Head.Adopting[n] = at
		}
		if len(matches) > 0 {
			c.Matches = &matches
		}
		bind(c)
		c.Append(ledger.Record{Type: ledger.ControlType, Op: "import", By: by, Outcome: engine.Applied, Reason: "policy " + f.Name + " put in force", Epoch: at})
		return nil
	})
	if err != nil {
		return nil, err
	}
	return h.gate.Authority().Partition, h.Grant(ctx)
}
