package host

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/wave"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/state"
)

// Restored is a state that writes nothing until a person activates it: it came from a backup, or its host took the tenant over (rule H2). Its
// engines are granted shadow only.
type Restored struct {
	Kind string             `json:"kind"` // "restore" or "takeover"
	From string             `json:"from"` // the backup's file, or whom the tenant was taken from
	By   string             `json:"by"`
	At   int64              `json:"at"`             // Unix ms
	Full map[string]FullRun `json:"full,omitempty"` // engine → its last complete full run since
}

// FullRun is a full run of an engine that a person asked for, and was shown the differences of.
type FullRun struct {
	By     string `json:"by"`
	At     int64  `json:"at"`     // Unix ms
	Writes int    `json:"writes"` // objects that the engine would write
}

// The kinds of Restored.
const (
	restoreKind  = "restore"
	takeoverKind = "takeover"
)

// activateAdvice ends every message about a state that waits for its activation.
const activateAdvice = "run every engine with --profile full, look at what it would write, then `tandem state restore --activate`"

// suspend makes a state write nothing until a person activates it, under a new incarnation; waves are paused and must verify anew (rules H1, H2).
func (c *control) suspend(r Restored, incarnation uint64, what string) {
	c.head.Epoch.Incarnation = max(c.head.Epoch.Incarnation, incarnation) + 1
	c.head.Epoch.N++
	c.head.ReadOnly, c.head.Restored, c.head.Refused = what+": "+activateAdvice, &r, nil
	for id, w := range c.waves {
		if w.State.Over() {
			continue
		}
		w.For, w.Paused = "", &wave.PausedBy{By: r.By, At: r.At}
		w.State, w.Wait, w.Command, w.VerifiedAt = wave.Paused, what, "tandem wave resume "+id, 0
		c.waves[id] = w
	}
}

// MarkRestored marks what was restored from a backup. It is called on the restored files before they are a state that anybody opens.
func MarkRestored(ctx context.Context, s *state.Store, newID func() string, by, backup string, now time.Time) error {
	err := s.Control.Update(ctx, func(tx state.Tx) error {
		c, err := readControl(tx, newID, new(decoded))
		if err != nil {
			return err
		}
		c.suspend(Restored{Kind: restoreKind, From: backup, By: by, At: now.UnixMilli()}, 0, "the state was restored from "+backup)
		r := ledger.Record{Type: ledger.ControlType, At: now.UnixMilli(), Op: "restore", By: by, Reason: "restored from " + backup, Outcome: engine.Applied, Epoch: c.head.Epoch}
		if err := c.write(tx); err != nil {
			return err
		}
		return state.Owe(tx, ledger.Encode(r))
	})
	if err != nil {
		return fmt.Errorf("marking the state as restored: %w", err)
	}
	_, err = s.AppendOwed(ctx)
	return err
}

// seen keeps that a person ran an engine in full over a state that waits for its activation, and so was shown what it would write.
func (h *Host) seen(ctx context.Context, name, by string, r SyncReport) error {
	return h.change(ctx, func(c *control) error {
		if c.head.ReadOnly == "" {
			return nil
		}
		if c.head.Restored == nil { // by an older program
			c.head.Restored = &Restored{Kind: restoreKind}
		}
		next := *c.head.Restored
		next.Full = map[string]FullRun{}
		for n, f := range c.head.Restored.Full {
			next.Full[n] = f
		}
		next.Full[name] = FullRun{By: by, At: h.now().UnixMilli(), Writes: r.Shadowed}
		c.head.Restored = &next
		return nil
	})
}

// unseen names the engines with grants whose differences nobody has seen since the state was restored.
func (c *control) unseen(engines []string) (out []string) {
	for _, n := range engines {
		if c.partition == nil || len(c.partition.Reach(n)) == 0 {
			continue
		}
		if c.head.Restored == nil || c.head.Restored.Full[n].By == "" {
			out = append(out, n)
		}
	}
	return out
}

// Activate lets a restored state, or one that took the tenant over, write again (rule H2), under a new incarnation that the tenant's mark names.
// Where another host fed the tenant meanwhile, it is waited out first.
func (h *Host) Activate(ctx context.Context, by, reason string) error {
	if err := h.activable(ctx); err != nil {
		return err
	}
	if err := h.displace(ctx, func(*control) error { return nil }); err != nil {
		return err
	}
	if err := h.await(ctx, "activate"); err != nil {
		return err
	}
	err := h.change(ctx, func(c *control) error {
		if left := c.unseen(h.o.Engines.Names()); len(left) > 0 || c.head.ReadOnly == "" {
			return Refuse("the state changed meanwhile; look again")
		}
		c.head.ReadOnly, c.head.Restored = "", nil
		c.owe(ledger.Record{Type: ledger.ControlType, Op: "activate", By: by, Reason: reason, Outcome: engine.Applied, Epoch: c.head.Epoch})
		return nil
	})
	if err != nil {
		return err
	}
	return h.pushGrants(ctx)
}

// activable says why a state cannot be activated now.
func (h *Host) activable(ctx context.Context) error {
	c, err := h.view(ctx)
	if err != nil {
		return err
	}
	if why, kind := h.refused(c); why != "" {
		return refusedAs(kind, why)
	}
	if c.head.ReadOnly == "" {
		return Refuse("the state is in force already")
	}
	if c.partition == nil {
		return fmt.Errorf("%w: `tandem import POLICY` puts the first one in force, then every engine is to run with --profile full", ErrNoPolicy)
	}
	if left := c.unseen(h.o.Engines.Names()); len(left) > 0 {
		return Refuse("nobody has seen yet what %s would write: run `tandem sync %s --profile full` and look at it first", strings.Join(left, " and "), left[0])
	}
	return h.bound(ctx)
}

// TakeOver is the one way to take a tenant over from another installation or host (rule H1). It signs a new incarnation, waits until the other can
// write no more, and leaves a state that writes nothing before a person activates it. It gives whom the tenant was taken from.
func (h *Host) TakeOver(ctx context.Context, by, reason string) (from string, err error) {
	if strings.TrimSpace(reason) == "" {
		return "", Refuse("a take-over needs a reason, for the journal: --reason R")
	}
	if err := h.bound(ctx); err != nil {
		return "", err
	}
	from, err = h.takenFrom(ctx)
	if err != nil {
		return "", err
	}
	c, err := h.view(ctx)
	if err != nil {
		return "", err
	}
	if from == "" && !h.waiting(c) {
		return "", Refuse("this host feeds the tenant already, or nobody does: there is nothing to take over")
	}
	if from == "" {
		return c.head.Restored.From, h.await(ctx, takeoverKind) // one that was interrupted
	}
	if err := h.renew(); err != nil {
		return "", err
	}
	err = h.displace(ctx, func(c *control) error {
		c.suspend(Restored{Kind: takeoverKind, From: from, By: by, At: h.now().UnixMilli()}, 0, "the tenant was taken over from "+from)
		c.head.NotBefore = h.now().Add(h.silence()).UnixMilli()
		c.owe(ledger.Record{Type: ledger.ControlType, Op: takeoverKind, By: by, Reason: reason + "; taken over from " + from, Outcome: engine.Applied, Epoch: c.head.Epoch})
		return nil
	})
	if err != nil {
		return "", err
	}
	if err := h.pushGrants(ctx); err != nil {
		return "", err
	}
	return from, h.await(ctx, takeoverKind)
}

// waiting reports whether a take-over was signed and the other host is not sure to be silent yet.
func (h *Host) waiting(c *control) bool {
	return c.head.Restored != nil && c.head.Restored.Kind == takeoverKind && h.now().UnixMilli() < c.head.NotBefore
}

// takenFrom names the host that feeds the tenant, or "" if it is this one or none.
func (h *Host) takenFrom(ctx context.Context) (string, error) {
	mark, found, err := h.read(ctx)
	if err != nil {
		return "", err
	}
	c, err := h.view(ctx)
	if err != nil {
		return "", err
	}
	switch {
	case foreign(c.head, mark, found) != "":
		return mark.host(), nil
	case displaced(c.head, h.identity()) != "":
		if h.identity().CopyOf != "" {
			return "the host of " + h.identity().CopyOf, nil
		}
		return "the host that used this state folder last", nil
	}
	return "", nil
}

// renew gives the state folder an identity of its own, so that nobody takes it for the one that it was copied from.
func (h *Host) renew() error {
	if h.o.Renew == nil {
		return nil
	}
	me, err := h.o.Renew()
	if err != nil {
		return fmt.Errorf("giving the state folder an identity of its own: %w", err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.o.Identity = me
	return nil
}

// read reads the mark, and remembers it for the status.
func (h *Host) read(ctx context.Context) (Mark, bool, error) {
	m, ok := h.o.Tenant.(Marker)
	if !ok {
		return Mark{}, false, nil
	}
	mark, found, permitted, err := m.Mark(ctx)
	if err != nil {
		return Mark{}, false, fmt.Errorf("reading which installation feeds the tenant: %w", err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.tenancy.mark, h.tenancy.found, h.tenancy.permitted, h.tenancy.read = mark, found, permitted, h.now()
	return mark, found, nil
}

// displace signs a new incarnation over whatever mark the tenant has. If that was another host's, nothing is sent before it is sure to be silent.
// Another installation is displaced by a take-over only.
func (h *Host) displace(ctx context.Context, f func(*control) error) error {
	mark, found, err := h.read(ctx)
	if err != nil {
		return err
	}
	return h.sign(ctx, func(c *control) error {
		other := foreign(c.head, mark, found) != "" || found && mark.Host != "" && mark.Host != h.identity().Key()
		epoch := c.head.Epoch
		if err := f(c); err != nil {
			return err
		}
		if c.head.Epoch == epoch { // an activation
			if found && mark.Installation != c.head.Installation {
				return refusedAs(ErrOtherHost, foreign(c.head, mark, found))
			}
			c.head.Epoch.Incarnation++
			c.head.Epoch.N++
		}
		if found {
			c.head.Epoch.Incarnation = max(c.head.Epoch.Incarnation, mark.Incarnation+1)
		}
		if other {
			c.head.NotBefore = max(c.head.NotBefore, h.now().Add(h.silence()).UnixMilli())
		}
		return nil
	})
}

// awaitStep is how often a command that waits for another host's silence says so and looks at the mark.
const awaitStep = 5 * time.Second

// await waits until a host that fed the tenant before is sure to be silent. A mark that it wrote meanwhile, since it had read an old one, is
// replaced, and the time begins anew.
func (h *Host) await(ctx context.Context, phase string) error {
	for {
		c, err := h.view(ctx)
		if err != nil {
			return err
		}
		left := time.UnixMilli(c.head.NotBefore).Sub(h.now())
		if left <= 0 {
			return nil
		}
		whole := h.silence()
		h.progress(Progress{Phase: phase, Done: int(max(0, whole-left).Seconds()), Total: int(whole.Seconds()),
			Note: "waiting until the other host can write no more: " + left.Round(time.Second).String()})
		if err := h.o.Clock.Sleep(ctx, min(left, awaitStep)); err != nil {
			return err
		}
		if err := h.defend(ctx, c); err != nil {
			return err
		}
	}
}

// defend looks whether the mark that was signed is still there.
func (h *Host) defend(ctx context.Context, c *control) error {
	mark, found, err := h.read(ctx)
	if err != nil {
		return err
	}
	late := h.now().UnixMilli() > c.head.SignedAt+h.o.Cache.Delay().Milliseconds()
	switch {
	case !found || !late && (mark.Installation != c.head.Installation || mark.Incarnation < c.head.Epoch.Incarnation):
		return nil // lag
	case mark.Installation == c.head.Installation && mark.Incarnation > c.head.Epoch.Incarnation:
		return refusedAs(ErrOtherHost, foreign(c.head, mark, found))
	case mark.Installation == c.head.Installation && c.head.signed(mark.Nonce):
		return nil
	}
	return h.sign(ctx, func(c *control) error {
		c.head.NotBefore = h.now().Add(h.silence()).UnixMilli()
		return nil
	})
}
