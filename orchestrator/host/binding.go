package host

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// Configured is what the configuration says of tenant and directories, as far as it can be compared without asking them.
type Configured struct {
	TenantID string            // as an id; "" where the configuration names the tenant otherwise
	Bases    map[string]string // directory → DN of its root
}

// binding is the tenant and the directories that a state belongs to. It is made when the first policy is put in force, and never changed: the
// same names in another directory, or the same directory over another tenant, are other people.
type binding struct {
	Tenant      string             `json:"tenant"` // "" where it could not be read
	Directories map[string]boundTo `json:"directories"`
}

type boundTo struct {
	Root scoping.GUID `json:"root"` // objectGUID of the domain's root
	Base string       `json:"base"`
}

const boundAdvice = "name the right one in tandem.yaml, or begin with an empty state folder"

// elsewhere says why a state does not belong to what the configuration names, or "". It asks nobody.
func (h *Host) elsewhere(hd head) string {
	b, c := hd.Bound, h.o.Configured
	if b == nil {
		return ""
	}
	if c.TenantID != "" && b.Tenant != "" && !strings.EqualFold(c.TenantID, b.Tenant) {
		return fmt.Sprintf("it belongs to tenant %s, the configuration names tenant %s: %s", b.Tenant, c.TenantID, boundAdvice)
	}
	for _, name := range sorted(c.Bases) {
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

// Admits refuses a directory that is not the one that the state belongs to under this name; the census asks it of every session that it opens.
func (h *Host) Admits(name string, root scoping.GUID) error {
	h.mu.Lock()
	b := h.tenancy.binding
	h.mu.Unlock()
	if b == nil || b.Directories[name].Root.IsZero() || b.Directories[name].Root == root {
		return nil
	}
	return fmt.Errorf("%w: directory %s answers as domain %s, the state belongs to domain %s: %s", ErrNotBound, name, root, b.Directories[name].Root, boundAdvice)
}

// noteStrange keeps, for every later command, that a directory answered as another domain than the state belongs to, until it is read again. It
// gives the reading's error.
func (h *Host) noteStrange(ctx context.Context, reading error) error {
	why := ""
	if errors.Is(reading, ErrNotBound) {
		why = strings.TrimPrefix(reading.Error(), ErrNotBound.Error()+": ")
	} else if reading != nil {
		return reading
	}
	c, err := h.view(ctx)
	if err != nil {
		return errors.Join(reading, err)
	}
	if c.head.Strange == why {
		return reading
	}
	return errors.Join(reading, h.change(ctx, func(c *control) error {
		c.head.Strange = why
		return nil
	}))
}

// bound compares the tenant with the one that the state belongs to, once in a process: its configuration does not change.
func (h *Host) bound(ctx context.Context) error {
	c, err := h.view(ctx)
	if err != nil {
		return err
	}
	if why := h.elsewhere(c.head); why != "" {
		return refusedAs(ErrNotBound, why)
	}
	h.mu.Lock()
	known := h.tenancy.bound
	h.mu.Unlock()
	if known || c.head.Bound == nil || c.head.Bound.Tenant == "" {
		return nil
	}
	id, err := h.tenantID(ctx)
	if err != nil {
		return err
	}
	if id != "" && !strings.EqualFold(id, c.head.Bound.Tenant) {
		return refusedAs(ErrNotBound, fmt.Sprintf("it belongs to tenant %s, the configuration leads to tenant %s: %s", c.head.Bound.Tenant, id, boundAdvice))
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.tenancy.bound = true
	return nil
}

func (h *Host) tenantID(ctx context.Context) (string, error) {
	t, ok := h.o.Tenant.(Identified)
	if !ok {
		return "", nil
	}
	id, err := t.TenantID(ctx)
	if err != nil {
		return "", fmt.Errorf("reading which tenant this is: %w", err)
	}
	return id, nil
}

// here reads what tenant and directories are theirs alone.
func (h *Host) here(ctx context.Context) (*binding, error) {
	b := &binding{Directories: map[string]boundTo{}}
	var err error
	if b.Tenant, err = h.tenantID(ctx); err != nil {
		return nil, err
	}
	for _, name := range h.o.Census.Names() {
		root, dn, err := h.o.Census.Root(ctx, name)
		if err != nil {
			return nil, err
		}
		b.Directories[name] = boundTo{Root: root, Base: dn}
	}
	return b, nil
}

// bind binds a state of an older program, and one whose configuration names a directory more, to what it is used with. The tenant's mark was
// seen to be this installation's.
func (h *Host) bind(ctx context.Context, c *control) error {
	if c.head.ReadOnly != "" || !c.unbound(h.o.Census.Names()) {
		return nil
	}
	b, err := h.here(ctx)
	if err != nil {
		return err
	}
	return h.change(ctx, func(c *control) error {
		if !c.unbound(h.o.Census.Names()) {
			return nil
		}
		c.bindTo(b)
		c.owe(ledger.Record{Type: ledger.ControlType, Op: "bind", Outcome: engine.Applied, Reason: "the state belongs to this tenant and these directories from now on", Epoch: c.head.Epoch})
		return nil
	})
}

func (c *control) unbound(names []string) bool {
	if c.head.Bound == nil {
		return true
	}
	for _, n := range names {
		if _, known := c.head.Bound.Directories[n]; !known {
			return true
		}
	}
	return false
}

// bindTo adds what is not bound yet; what is bound stays.
func (c *control) bindTo(b *binding) {
	next := &binding{Tenant: b.Tenant, Directories: map[string]boundTo{}}
	for n, d := range b.Directories {
		next.Directories[n] = d
	}
	if old := c.head.Bound; old != nil {
		if old.Tenant != "" {
			next.Tenant = old.Tenant
		}
		for n, d := range old.Directories {
			next.Directories[n] = d
		}
	}
	c.head.Bound = next
}
