package host

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/gate"
)

// ErrOtherHost means that the tenant says it is fed by another installation, or by a newer life of this one (rule H1): a cloned machine, or a
// restored backup. Nothing is written then.
var ErrOtherHost = errors.New("another Tandem feeds this tenant")

// Marker is a tenant that remembers which installation feeds it. permitted is false where the application may not keep such a mark: then the
// rule cannot be kept, which is no error.
type Marker interface {
	Mark(ctx context.Context) (installation string, incarnation uint64, found, permitted bool, err error)
	SetMark(ctx context.Context, installation string, incarnation uint64) (permitted bool, err error)
}

// markLife is how long a look at the mark is believed.
const markLife = 10 * time.Minute

// sign marks the tenant as fed by this installation: a person decided so by an import or a take-over.
func (h *Host) sign(ctx context.Context) error {
	m, ok := h.o.Tenant.(Marker)
	if !ok {
		return nil
	}
	c, err := h.view(ctx)
	if err != nil {
		return err
	}
	if _, err := m.SetMark(ctx, c.head.Installation, c.head.Epoch.Incarnation); err != nil {
		return fmt.Errorf("marking the tenant as fed by this installation: %w", err)
	}
	return nil
}

// recognize looks whether the tenant still says that this installation feeds it. If not, nothing is written any more.
func (h *Host) recognize(ctx context.Context) error {
	m, ok := h.o.Tenant.(Marker)
	h.mu.Lock()
	fresh := h.now().Sub(h.marked) < markLife
	h.mu.Unlock()
	if !ok || fresh || h.gate.Authority().Partition == nil {
		return nil
	}
	c, err := h.view(ctx)
	if err != nil {
		return err
	}
	installation, incarnation, found, permitted, err := m.Mark(ctx)
	if err != nil {
		return fmt.Errorf("reading which installation feeds the tenant: %w", err)
	}
	why := stranger(c.head, installation, incarnation, found, permitted)
	h.mu.Lock()
	h.stranger = why
	if why == "" {
		h.marked = h.now()
	}
	h.mu.Unlock()
	h.heed(c)
	h.gate.SetAuthority(h.authority(c), h.rules(c))
	if why != "" {
		return fmt.Errorf("%w: %s", ErrOtherHost, why)
	}
	if permitted && !found {
		return h.sign(ctx)
	}
	return nil
}

// stranger says why a tenant's mark forbids this host to write, or "".
func stranger(h head, installation string, incarnation uint64, found, permitted bool) string {
	switch {
	case !permitted || !found:
		return ""
	case installation != h.Installation:
		return fmt.Sprintf("the tenant is marked by installation %s, this one is %s; stop the other one, and run `tandem import` there or here as you mean it", installation, h.Installation)
	case incarnation > h.Epoch.Incarnation:
		return fmt.Sprintf("the tenant is marked by incarnation %d of this installation, this state is of incarnation %d: was it restored from an old backup?", incarnation, h.Epoch.Incarnation)
	}
	return ""
}

// authority is control's, unless this host may not write at all.
func (h *Host) authority(c *control) gate.Authority {
	a := c.authority()
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.stranger != "" {
		a.ReadOnly = h.stranger
	}
	return a
}
