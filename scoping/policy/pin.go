package policy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tandem-sync/tandem/scoping"
)

// ErrNotFound is what a [Resolver] wraps when the directory has nothing of the name.
var ErrNotFound = errors.New("not in the directory")

// Resolver asks a directory for a container or a group by name.
type Resolver interface {
	// Resolve gives the objectGUID of the container or group, the directory's own spelling of its name and the objectGUIDs of its
	// ancestors, the parent first and the naming context's root last. It wraps ErrNotFound when there is none.
	Resolve(ctx context.Context, directory string, dn scoping.DN) (scoping.Pin, error)
}

// TenantResolver asks the tenant for groups by name. A [Resolver] that can is one as well.
type TenantResolver interface {
	// Groups gives the living groups of the tenant with a display name or an id, whatever the case of the name.
	Groups(ctx context.Context, name string) ([]scoping.TenantGroup, error)
}

// Pin resolves every subtree, exception and group of a policy. directories names the configured ones; where there is only one, an
// assignment need not name it. The error is of type [scoping.Mistakes], beside what could be resolved, unless ctx ended or a directory
// could not be asked: that is no mistake of the policy, and ends the work.
func Pin(ctx context.Context, p scoping.Policy, directories []string, r Resolver) (scoping.Policy, error) {
	g := pinner{directories: directories, resolver: r, known: map[string]answer{}}
	p.Assignments = slices.Clone(p.Assignments)
	for i := range p.Assignments {
		a := &p.Assignments[i]
		if !g.directory(a) {
			continue
		}
		if g.failed != nil {
			break
		}
		a.Under = g.pin(ctx, a, a.Under)
		a.Except = slices.Clone(a.Except)
		for j := range a.Except {
			a.Except[j] = g.pin(ctx, a, a.Except[j])
		}
		if a.Selector.MemberOf.DN != "" {
			a.Selector.MemberOf = g.pin(ctx, a, a.Selector.MemberOf)
		}
		a.From.Groups = slices.Clone(a.From.Groups)
		for j := range a.From.Groups {
			g.group(ctx, a, &a.From.Groups[j])
		}
	}
	if err := ctx.Err(); err != nil {
		return scoping.Policy{}, fmt.Errorf("resolving the policy's names: %w", err)
	}
	if g.failed != nil {
		return scoping.Policy{}, g.failed
	}
	return p, g.mistakes.Err()
}

// pinner remembers answers: policies name the same container often.
type pinner struct {
	directories []string
	resolver    Resolver
	known       map[string]answer
	mistakes    scoping.Mistakes
	failed      error // a directory could not be asked
}

type answer struct {
	pin scoping.Pin
	err error
}

// directory fills in the only directory, or says what is wrong with the one that is named.
func (g *pinner) directory(a *scoping.Assignment) bool {
	if a.Directory == "" && len(g.directories) == 1 {
		a.Directory = g.directories[0]
	}
	if slices.Contains(g.directories, a.Directory) {
		return true
	}
	hint := "the directories are " + strings.Join(g.directories, ", ")
	if a.Directory == "" {
		g.mistakes.Add(a.Pos, fmt.Sprintf("assignment %q does not say in which directory %s lies", a.Name, a.Under.DN), "add \"directory\"; "+hint)
		return false
	}
	g.mistakes.Add(a.Pos, fmt.Sprintf("assignment %q names directory %q, which is not configured", a.Name, a.Directory), hint)
	return false
}

func (g *pinner) pin(ctx context.Context, a *scoping.Assignment, p scoping.Pin) scoping.Pin {
	dn, err := scoping.ParseDN(p.DN)
	if err == nil && (dn.IsZero() || g.failed != nil) {
		return p // the file's form has the mistake, or nothing more is asked
	}
	if err != nil {
		g.mistakes.Add(p.Pos, err.Error(), "")
		return p
	}
	key := a.Directory + "\x00" + dn.Key()
	got, ok := g.known[key]
	if !ok {
		got.pin, got.err = g.resolver.Resolve(ctx, a.Directory, dn)
		g.known[key] = got
	}
	if got.err != nil {
		g.refuse(a, p, got.err)
		return p
	}
	got.pin.Pos = p.Pos
	return got.pin
}

// group finds a group of the tenant. A name that several have says nothing.
func (g *pinner) group(ctx context.Context, a *scoping.Assignment, to *scoping.TenantGroup) {
	asks, can := g.resolver.(TenantResolver)
	if !can || g.failed != nil || to.Name == "" {
		return
	}
	found, err := asks.Groups(ctx, to.Name)
	switch {
	case err != nil:
		g.failed = fmt.Errorf("looking up group %q of the policy in the tenant: %w", to.Name, err)
	case len(found) == 0:
		g.mistakes.Add(to.Pos, fmt.Sprintf("the tenant has no group %q, which assignment %q names", to.Name, a.Name), "correct the name, or write the group's id")
	case len(found) > 1:
		ids := make([]string, len(found))
		for i, x := range found {
			ids[i] = x.ID
		}
		g.mistakes.Add(to.Pos, fmt.Sprintf("%d groups of the tenant are called %q, which assignment %q names", len(found), to.Name, a.Name), "write the id of the one that is meant: "+strings.Join(ids, ", "))
	default:
		to.ID = found[0].ID
	}
}

func (g *pinner) refuse(a *scoping.Assignment, p scoping.Pin, err error) {
	if errors.Is(err, ErrNotFound) {
		g.mistakes.Add(p.Pos, fmt.Sprintf("%s, which assignment %q names, is not in directory %s", p.DN, a.Name, a.Directory),
			"correct the name; if the object was renamed or moved since a policy with it was put in force, \"tandem policy fmt --repin\" follows it")
		return
	}
	if g.failed == nil {
		g.failed = fmt.Errorf("looking up %s of the policy in directory %s: %w", p.DN, a.Directory, err)
	}
}
