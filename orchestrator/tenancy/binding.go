package tenancy

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tandem-sync/tandem/orchestrator/control"
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// Configured is the configuration of tenant and directories, as far as it can be compared without asking them.
type Configured struct {
	TenantID string            // as an id; "" if the configuration names the tenant differently
	Bases    map[string]string // directory → DN of its root
}

const boundAdvice = "name the right one in tandem.yaml, or begin with an empty state folder"

// elsewhere returns why a state does not belong to the configured tenant and directories, or "", without asking them.
func (t *Tenancy) elsewhere(hd control.Head) string {
	b, c := hd.Bound, t.o.Configured
	if b == nil {
		return ""
	}
	if c.TenantID != "" && b.Tenant != "" && !strings.EqualFold(c.TenantID, b.Tenant) {
		return fmt.Sprintf("it belongs to tenant %s, the configuration names tenant %s: %s", b.Tenant, c.TenantID, boundAdvice)
	}
	for _, name := range slices.Sorted(maps.Keys(c.Bases)) {
		if was, known := b.Directories[name]; known && !sameDN(was.Base, c.Bases[name]) {
			return fmt.Sprintf("its directory %s is %s, the configuration says %s: %s", name, was.Base, c.Bases[name], boundAdvice)
		}
	}
	return ""
}

func sameDN(a, b string) bool {
	x, errX := scoping.ParseDN(a)
	y, errY := scoping.ParseDN(b)
	return errX == nil && errY == nil && x.Equal(y)
}

// Admits returns an error for a directory other than the one that the state knows by this name; the census calls it for every session.
func (t *Tenancy) Admits(name string, root scoping.GUID) error {
	t.mu.Lock()
	b := t.is.binding
	t.mu.Unlock()
	if b == nil || b.Directories[name].Root.IsZero() || b.Directories[name].Root == root {
		return nil
	}
	return fmt.Errorf("%w: directory %s answers as domain %s, the state belongs to domain %s: %s", ErrNotBound, name, root, b.Directories[name].Root, boundAdvice)
}

// NoteOtherDomain stores, for later commands, that a directory answered as another domain than the state belongs to, until it is read again. It
// returns the reading's error.
func (t *Tenancy) NoteOtherDomain(ctx context.Context, reading error) error {
	why := ""
	if errors.Is(reading, ErrNotBound) {
		why = strings.TrimPrefix(reading.Error(), ErrNotBound.Error()+": ")
	} else if reading != nil {
		return reading
	}
	c, err := t.o.Control.View(ctx)
	if err != nil {
		return errors.Join(reading, err)
	}
	if c.Head.Strange == why {
		return reading
	}
	return errors.Join(reading, t.o.Control.Change(ctx, func(c *control.Content) error {
		c.Head.Strange = why
		return nil
	}))
}

// bound compares the tenant with the one that the state belongs to, once in a process: its configuration does not change.
func (t *Tenancy) bound(ctx context.Context) error {
	c, err := t.o.Control.View(ctx)
	if err != nil {
		return err
	}
	if why := t.elsewhere(c.Head); why != "" {
		return refusedAs(ErrNotBound, why)
	}
	t.mu.Lock()
	seen := t.is.bound
	t.mu.Unlock()
	if seen || c.Head.Bound == nil || c.Head.Bound.Tenant == "" {
		return nil
	}
	id, err := t.tenantID(ctx)
	if err != nil {
		return err
	}
	if id != "" && !strings.EqualFold(id, c.Head.Bound.Tenant) {
		return refusedAs(ErrNotBound, fmt.Sprintf("it belongs to tenant %s, the configuration leads to tenant %s: %s", c.Head.Bound.Tenant, id, boundAdvice))
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.is.bound = true
	return nil
}

func (t *Tenancy) tenantID(ctx context.Context) (string, error) {
	x, ok := t.o.Tenant.(Identified)
	if !ok {
		return "", nil
	}
	id, err := x.TenantID(ctx)
	if err != nil {
		return "", fmt.Errorf("reading which tenant this is: %w", err)
	}
	return id, nil
}

// here reads what identifies tenant and directories.
func (t *Tenancy) here(ctx context.Context) (*control.Binding, error) {
	b := &control.Binding{Directories: map[string]control.BoundTo{}}
	var err error
	if b.Tenant, err = t.tenantID(ctx); err != nil {
		return nil, err
	}
	for _, name := range t.o.Census.Names() {
		root, dn, err := t.o.Census.Root(ctx, name)
		if err != nil {
			return nil, err
		}
		b.Directories[name] = control.BoundTo{Root: root, Base: dn}
	}
	return b, nil
}

// bind binds a state of an older version, or with an additional directory, to the tenant and directories in use. The tenant's mark was seen to be
// this installation's.
func (t *Tenancy) bind(ctx context.Context, c *control.Content) error {
	if c.Head.ReadOnly != "" || !unbound(c, t.o.Census.Names()) {
		return nil
	}
	b, err := t.here(ctx)
	if err != nil {
		return err
	}
	return t.o.Control.Change(ctx, func(c *control.Content) error {
		if !unbound(c, t.o.Census.Names()) {
			return nil
		}
		bindTo(c, b)
		c.Append(ledger.Record{Type: ledger.ControlType, Op: "bind", Outcome: engine.Applied, Reason: "the state belongs to this tenant and these directories from now on", Epoch: c.Head.Epoch})
		return nil
	})
}

// unbound reports whether a state is not bound to all configured directories.
func unbound(c *control.Content, names []string) bool {
	if c.Head.Bound == nil {
		return true
	}
	for _, n := range names {
		if _, known := c.Head.Bound.Directories[n]; !known {
			return true
		}
	}
	return false
}

// bindTo adds what is not bound yet; existing bindings stay.
func bindTo(c *control.Content, b *control.Binding) {
	next := &control.Binding{Tenant: b.Tenant, Directories: map[string]control.BoundTo{}}
	for n, d := range b.Directories {
		next.Directories[n] = d
	}
	if old := c.Head.Bound; old != nil {
		if old.Tenant != "" {
			next.Tenant = old.Tenant
		}
		for n, d := range old.Directories {
			next.Directories[n] = d
		}
	}
	c.Head.Bound = next
}
