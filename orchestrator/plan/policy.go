package plan

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/tandem-sync/tandem/orchestrator/census"
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/scoping"
	"github.com/tandem-sync/tandem/scoping/policy"
)

// PolicyFile is a policy's text, with the file of matches that it names.
type PolicyFile struct {
	Name    string // for messages
	Text    []byte
	Matches []byte // nil: not read
}

// Compile is CompileFile for a policy whose file of matches does not matter.
func (r *Planner) Compile(ctx context.Context, file string, text []byte) (*scoping.Partition, error) {
	p, err := policy.Compile(ctx, file, text, r.o.Census.Names(), &pinner{census: r.o.Census, cache: r.o.Cache, look: r.o.LookAtTenant, tenant: r.o.Unregistered}, r.o.Run.Capabilities)
	return p, r.withExamples(ctx, err)
}

// CompileFile parses a policy file, resolves it in the directory and compiles it, and resolves its matches. All mistakes are reported at once, as
// scoping.Mistakes.
func (r *Planner) CompileFile(ctx context.Context, f PolicyFile) (*scoping.Partition, []scoping.Match, error) {
	p, err := r.Compile(ctx, f.Name, f.Text)
	ms, bad := r.matches(ctx, f)
	if err != nil || bad != nil {
		return nil, nil, joined(err, bad)
	}
	return p, ms, nil
}

// withExamples adds, to mistakes about assignments that may claim the same object, such an object if the directory has one.
func (r *Planner) withExamples(ctx context.Context, err error) error {
	var ms scoping.Mistakes
	if !errors.As(err, &ms) {
		return err
	}
	ms = slices.Clone(ms)
	for i, m := range ms {
		if m.Clash == nil {
			continue
		}
		name, err := r.example(ctx, *m.Clash)
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

// pinner resolves a policy's DNs, and the names of its extensions, through the census and the tenant.
type pinner struct {
	census *census.Census
	cache  *cloud.Cache
	look   func(context.Context) error // brings the cache up to date
	looked bool
	tenant func(ctx context.Context, names []string) ([]string, error) // nil: it has every extension
}

// Lacks implements policy.SchemaReader.
func (p *pinner) Lacks(ctx context.Context, dir string, names []string) ([]string, error) {
	return p.census.Lacks(ctx, dir, names)
}

// Unregistered implements policy.SchemaReader.
func (p *pinner) Unregistered(ctx context.Context, names []string) ([]string, error) {
	if p.tenant == nil {
		return nil, nil
	}
	return p.tenant(ctx, names)
}

// Resolve implements policy.Resolver.
func (p *pinner) Resolve(ctx context.Context, dir string, dn scoping.DN) (scoping.Pin, error) {
	g, canonical, chain, err := p.census.Resolve(ctx, dir, dn.String())
	if errors.Is(err, directory.ErrNoSuchObject) {
		return scoping.Pin{}, fmt.Errorf("%w: %w", policy.ErrNotFound, err)
	}
	if err != nil {
		return scoping.Pin{}, err
	}
	return scoping.Pin{GUID: g, DN: canonical, Ancestors: chain}, nil
}

// Groups implements policy.TenantResolver.
func (p *pinner) Groups(ctx context.Context, name string) (out []scoping.TenantGroup, err error) {
	if !p.looked {
		if err := p.look(ctx); err != nil {
			return nil, err
		}
		p.looked = true
	}
	if o, is := p.cache.Get(name); is && o.Kind == scoping.Group && !o.Deleted {
		return []scoping.TenantGroup{{Name: name, ID: o.ID}}, nil
	}
	for _, o := range p.cache.ByDisplayName(name, func(string) bool { return false }) {
		if o.Kind == scoping.Group {
			out = append(out, scoping.TenantGroup{Name: name, ID: o.ID})
		}
	}
	return out, nil
}

// example returns the name of an object that both choices of a clash take, or "".
func (r *Planner) example(ctx context.Context, c scoping.Clash) (string, error) {
	if err := r.o.Look(ctx); err != nil {
		return "", err
	}
	if err := r.o.View.ChooseAlso(ctx, []scoping.Choice{c.First, c.Second}); err != nil {
		return "", err
	}
	name := ""
	r.o.Census.Tree(c.First.Directory, func(t *census.Tree) {
		for id := range t.Under(c.First.Under.GUID) {
			chosen := t.Place(id.GUID).Chosen
			if slices.Contains(chosen, c.First.ID) && slices.Contains(chosen, c.Second.ID) {
				name = t.DN(id.GUID)
				return
			}
		}
	})
	return name, nil
}
