package host

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/tandem-sync/tandem/orchestrator/control"
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/problem"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
	"github.com/tandem-sync/tandem/scoping/policy"
)

// PolicyFile is a policy's text, with the file of matches that it names.
type PolicyFile struct {
	Name    string // for messages
	Text    []byte
	Matches []byte // nil: it was not read
}

// Compile is CompileFile for a policy whose file of matches does not matter.
func (h *Host) Compile(ctx context.Context, file string, text []byte) (*scoping.Partition, error) {
	p, err := policy.Compile(ctx, file, text, h.o.Census.Names(), pinner{h}, h.caps)
	return p, h.withExamples(ctx, err)
}

// CompileFile reads a policy file's text, resolves it in the directory and compiles it, and resolves its matches. Every mistake is reported at once, as
// scoping.Mistakes.
func (h *Host) CompileFile(ctx context.Context, f PolicyFile) (*scoping.Partition, []scoping.Match, error) {
	p, err := h.Compile(ctx, f.Name, f.Text)
	ms, bad := h.matches(ctx, f)
	if err != nil || bad != nil {
		return nil, nil, together(err, bad)
	}
	return p, ms, nil
}

// withExamples adds, to mistakes about assignments that may claim one object, an object that both would claim where the directory has one.
func (h *Host) withExamples(ctx context.Context, err error) error {
	var ms scoping.Mistakes
	if !errors.As(err, &ms) {
		return err
	}
	ms = slices.Clone(ms)
	for i, m := range ms {
		if m.Clash == nil {
			continue
		}
		name, err := h.example(ctx, *m.Clash)
		switch {
		case err != nil:
			return err
		case name != "":
			ms[i].What += "; both would claim " + name
		default:
			ms[i].What += "; the directory has no such object now"
		}
	}
	return ms.Err()
}

// caps asks every configured engine what it can do.
func (h *Host) caps(ctx context.Context) (map[string]scoping.EngineCaps, error) {
	out := map[string]scoping.EngineCaps{}
	for _, n := range h.o.Engines.Names() {
		d, err := h.o.Engines.Describe(ctx, n)
		if err != nil {
			return nil, fmt.Errorf("asking engine %s what it can do: %w", n, err)
		}
		out[n] = scoping.EngineCaps{Kind: d.Kind, Features: d.Features, Refused: h.o.Refused}
	}
	return out, nil
}

// Import puts the first policy in force (first adoption). It is refused once a partition exists.
func (h *Host) Import(ctx context.Context, file string, text []byte, by string) (*scoping.Partition, error) {
	return h.ImportFile(ctx, PolicyFile{Name: file, Text: text}, by)
}

// ImportFile is Import with a file of matches.
func (h *Host) ImportFile(ctx context.Context, f PolicyFile, by string) (*scoping.Partition, error) {
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
		c.Owe(ledger.Record{Type: ledger.ControlType, Op: "import", By: by, Outcome: engine.Applied, Reason: "policy " + f.Name + " put in force", Epoch: at})
		return nil
	})
	if err != nil {
		return nil, err
	}
	return h.gate.Authority().Partition, h.pushGrants(ctx)
}

// pushGrants tells every engine what it may do.
func (h *Host) pushGrants(ctx context.Context) error {
	a := h.gate.Authority()
	for _, n := range h.o.Engines.Names() {
		if err := h.o.Engines.Grant(ctx, n, a.Grants(n)); err != nil {
			return fmt.Errorf("telling engine %s its grants: %w", n, err)
		}
	}
	return nil
}
