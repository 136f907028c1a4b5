package api

import (
	"context"

	"github.com/tandem-sync/tandem/orchestrator/plan"
	"github.com/tandem-sync/tandem/scoping"
	"github.com/tandem-sync/tandem/scoping/policy"
)

// PolicyRequest is a policy file, or a revision.
type PolicyRequest struct {
	File     string `json:"file,omitempty"`
	Text     []byte `json:"text,omitempty"`
	Matches  []byte `json:"matches"`            // the content of the file of matches that it names; null: not read
	Revision uint64 `json:"revision,omitempty"` // 0: the one in force
}

// Policy is a compiled policy: its text, its features and the owner of each part.
type Policy struct {
	Valid    bool              `json:"valid"`
	Revision uint64            `json:"revision"` // 0: not in force
	Features []scoping.Feature `json:"features"`
	Parts    []Part            `json:"parts"`
	Text     string            `json:"text"` // the policy as a file
	Drift    []scoping.Drift   `json:"drift"`
	// Provisioning is what each assignment from the tenant into a directory does in its engine's next run, of an import; Unforeseen is why that is
	// not known.
	Provisioning []Bringing `json:"provisioning,omitempty"`
	Unforeseen   string     `json:"unforeseen,omitempty"`
}

// Part is one part of a partition; no two overlap.
type Part struct {
	Scope
	Features   []scoping.Feature `json:"features"`
	Engine     string            `json:"engine"`
	Assignment string            `json:"assignment"`
	Epoch      scoping.Epoch     `json:"epoch"`
	Way        string            `json:"way,omitempty"`  // "tenant → directory" of a container that objects of the tenant are brought to; empty: directory to tenant
	From       []string          `json:"from,omitempty"` // with Way: the groups of the tenant that select the objects
}

func policyOf(p *scoping.Partition) (Policy, error) {
	pol := p.Policy()
	b, err := policy.Format(pol)
	out := Policy{Valid: true, Revision: p.Revision(), Features: p.Features(), Parts: []Part{}, Text: string(b), Drift: []scoping.Drift{}}
	name := namesOf(p.Pins())
	for _, r := range p.Regions() {
		out.Parts = append(out.Parts, Part{Scope: scopeOf(r.Scope, name, p.Choices(r.Scope.Directory)), Features: r.Scope.Features, Engine: r.Owner.Engine, Assignment: r.Owner.Assignment, Epoch: r.Owner.Epoch})
	}
	for _, a := range p.Provisioning() {
		x := Part{Scope: Scope{Directory: a.Directory, Under: a.Under.DN, Except: []string{}}, Features: a.Features, Engine: a.Engine, Assignment: a.Name, Way: plan.Way}
		for _, g := range a.From.Groups {
			x.From = append(x.From, g.Name)
		}
		out.Parts = append(out.Parts, x)
	}
	return out, err
}

func policyValidate(ctx context.Context, c *call, q PolicyRequest) (any, Outcome, error) {
	p, _, err := c.h.o.Host().CompileFile(ctx, q.file())
	if err != nil {
		return nil, Outcome{}, err
	}
	v, err := policyOf(p)
	return v, Outcome{}, err
}

func (q PolicyRequest) file() plan.PolicyFile {
	return plan.PolicyFile{Name: q.File, Text: q.Text, Matches: q.Matches}
}

// MatchesFile returns the name of the file of matches that a policy names, and the place where it does; "" if it names none.
func MatchesFile(file string, text []byte) (name, place string) {
	name, pos := policy.MatchesFile(file, text)
	return name, pos.String()
}

func policyShow(ctx context.Context, c *call, q PolicyRequest) (any, Outcome, error) {
	h := c.h.o.Host()
	p, err := h.Partition()
	if q.Revision != 0 {
		p, err = h.Revision(ctx, q.Revision)
	}
	if err != nil {
		return nil, Outcome{}, err
	}
	v, err := policyOf(p)
	if err != nil || q.Revision != 0 {
		return v, Outcome{}, err
	}
	s, err := h.Status(ctx)
	v.Drift = orEmpty(s.Drift)
	return v, Outcome{}, err
}

func importPolicy(ctx context.Context, c *call, q PolicyRequest) (any, Outcome, error) {
	p, err := c.h.o.Host().ImportFile(ctx, q.file(), c.by)
	if err != nil {
		return nil, Outcome{}, err
	}
	v, err := policyOf(p)
	if err != nil {
		return nil, Outcome{}, err
	}
	if v.Provisioning, err = c.h.o.Host().Foreseen(ctx); err != nil { // it is in force
		v.Unforeseen = err.Error()
	}
	return v, Outcome{}, nil
}

// FormatPolicy returns a policy file's text in the usual form, with its comments. It needs no directory.
func FormatPolicy(file string, text []byte) ([]byte, error) { return policy.Reformat(file, text, nil) }

// PolicySchema returns the JSON Schema of policy files, for editors. It needs no directory.
func PolicySchema() []byte { return policy.Schema() }

// Formatted is a policy file's text in the usual form.
type Formatted struct {
	File     string   `json:"file"`
	Text     string   `json:"text"`
	Repinned []string `json:"repinned"` // names that were updated
}

// policyRepin formats a policy file and updates the names of OUs and groups that the policy in force has pinned.
func policyRepin(ctx context.Context, c *call, q PolicyRequest) (any, Outcome, error) {
	s, err := c.h.o.Host().Status(ctx)
	if err != nil {
		return nil, Outcome{}, err
	}
	b, changes, err := policy.Follow(q.File, q.Text, s.Drift)
	return Formatted{File: q.File, Text: string(b), Repinned: changes}, Outcome{}, err
}

// DriftLine describes what happened to a container or group that the policy names.
func DriftLine(d scoping.Drift) string {
	switch d.What {
	case scoping.Vanished:
		return d.Was + " is gone; nothing is deleted because of that"
	case scoping.Recreated:
		return d.Was + " was deleted, and another one has its name: plan and apply the policy anew for it to be meant"
	}
	return d.Was + " is " + d.What + ": " + d.Now + "; nothing changes hands. `tandem policy fmt --repin -w FILE` lets the policy file follow; planned and applied, it is in force under its new name"
}
