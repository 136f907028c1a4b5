package tenancy

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/control"
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/problem"
	"github.com/tandem-sync/tandem/orchestrator/wave"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/state"
)

// The kinds of Restored.
const (
	restoreKind  = "restore"
	takeoverKind = "takeover"
)

// activateAdvice ends every message about a state that waits for its activation.
const activateAdvice = "run every engine with --profile full, look at what it would write, then `tandem state restore --activate`"

// suspend makes a state write nothing until a person activates it, under a new incarnation; waves are paused and have to verify again (rules H1, H2).
func suspend(c *control.Content, r control.Restored, incarnation uint64, what string) {
	c.Head.Epoch.Incarnation = max(c.Head.Epoch.Incarnation, incarnation) + 1
	c.Head.Epoch.N++
	c.Head.ReadOnly, c.Head.Restored, c.Head.Refused = what+": "+activateAdvice, &r, nil
	for id, w := range c.Waves {
		if w.State.Over() {
			continue
		}
		w.For, w.Paused = "", &wave.PausedBy{By: r.By, At: r.At}
		w.State, w.Wait, w.Command, w.VerifiedAt = wave.Paused, what, "tandem wave resume "+id, 0
		c.Waves[id] = w
	}
}

// MarkRestored marks files restored from a backup, before they are opened as a state.
func MarkRestored(ctx context.Context, s *state.Store, newID func() string, by, backup string, now time.Time) error {
	err := control.New(s, newID, func() time.Time { return now }).Change(ctx, func(c *control.Content) error {
		suspend(c, control.Restored{Kind: restoreKind, From: backup, By: by, At: now.UnixMilli()}, 0, "the state was restored from "+backup)
		c.Append(ledger.Record{Type: ledger.ControlType, Op: "restore", By: by, Reason: "restored from " + backup, Outcome: engine.Applied, Epoch: c.Head.Epoch})
		return nil
	})
	if err != nil {
		return fmt.Errorf("marking the state as restored: %w", err)
	}
	_, err = s.AppendPending(ctx)
	return err
}

// Seen stores that a person ran an engine in full over a state that waits for its activation, and how many objects it would write.
func (t *Tenancy) Seen(ctx context.Context, name, by string, writes int) error {
	return t.o.Control.Change(ctx, func(c *control.Content) error {
		if c.Head.ReadOnly == "" {
			return nil
		}
		if c.Head.Restored == nil { // by an older version
			c.Head.Restored = &control.Restored{Kind: restoreKind}
		}
		next := *c.Head.Restored
		next.Full = map[string]control.FullRun{}
		for n, f := range c.Head.Restored.Full {
			next.Full[n] = f
		}
		next.Full[name] = control.FullRun{By: by, At: t.o.Clock.Now().UnixMilli(), Writes: writes}
		c.Head.Restored = &next
		return nil
	})
}

// unseen returns the engines with grants whose differences were not shown to a person since the state was restored.
func unseen(c *control.Content, engines []string) (out []string) {
	for _, n := range engines {
		if c.Partition == nil || len(c.Partition.Reach(n)) == 0 {
			continue
		}
		if c.Head.Restored == nil || c.Head.Restored.Full[n].By == "" {
			out = append(out, n)
		}
	}
	return out
}

// Activate lets a restored state, or one that took the tenant over, write again (rule H2), under a new incarnation in the tenant's mark. If another
// host wrote to the tenant meanwhile, it first waits until that can write no more.
func (t *Tenancy) Activate(ctx context.Context, by, reason string) error {
	if err := t.activable(ctx); err != nil {
		return err
	}
	if err := t.displace(ctx, func(*control.Content) error { return nil }); err != nil {
		return err
	}
	if err := t.await(ctx, "activate"); err != nil {
		return err
	}
	err := t.o.Control.Change(ctx, func(c *control.Content) error {
		if left := unseen(c, t.o.Engines()); len(left) > 0 || c.Head.ReadOnly == "" {
			return problem.Refuse("the state changed meanwhile; look again")
		}
		c.Head.ReadOnly, c.Head.Restored = "", nil
		c.Append(ledger.Record{Type: ledger.ControlType, Op: "activate", By: by, Reason: reason, Outcome: engine.Applied, Epoch: c.Head.Epoch})
		return nil
	})
	if err != nil {
		return err
	}
	return t.o.Grant(ctx)
}

// activable returns why a state cannot be activated now.
func (t *Tenancy) activable(ctx context.Context) error {
	c, err := t.o.Control.View(ctx)
	if err != nil {
		return err
	}
	if why, kind := t.refused(c); why != "" {
		return refusedAs(kind, why)
	}
	if c.Head.ReadOnly == "" {
		return problem.Refuse("the state is in force already")
	}
	if c.Partition == nil {
		return fmt.Errorf("%w: `tandem import POLICY` puts the first one in force, then every engine is to run with --profile full", problem.ErrNoPolicy)
	}
	if left := unseen(c, t.o.Engines()); len(left) > 0 {
		return problem.Refuse("nobody has seen yet what %s would write: run `tandem sync %s --profile full` and look at it first", strings.Join(left, " and "), left[0])
	}
	return t.bound(ctx)
}

// TakeOver takes a tenant over from another installation or host (rule H1). It signs a new incarnation, waits until the other can write no more, and
// leaves a state that writes nothing before a person activates it. It returns the host that the tenant was taken from.
func (t *Tenancy) TakeOver(ctx context.Context, by, reason string) (from string, err error) {
	if strings.TrimSpace(reason) == "" {
		return "", problem.Refuse("a take-over needs a reason, for the journal: --reason R")
	}
	if err := t.bound(ctx); err != nil {
		return "", err
	}
	from, err = t.takenFrom(ctx)
	if err != nil {
		return "", err
	}
	c, err := t.o.Control.View(ctx)
	if err != nil {
		return "", err
	}
	if from == "" && !t.waiting(c) {
		return "", problem.Refuse("this host feeds the tenant already, or nobody does: there is nothing to take over")
	}
	if from == "" {
		return c.Head.Restored.From, t.await(ctx, takeoverKind) // continue an interrupted take-over
	}
	if err := t.renew(); err != nil {
		return "", err
	}
	err = t.displace(ctx, func(c *control.Content) error {
		suspend(c, control.Restored{Kind: takeoverKind, From: from, By: by, At: t.o.Clock.Now().UnixMilli()}, 0, "the tenant was taken over from "+from)
		c.Head.NotBefore = t.o.Clock.Now().Add(t.silence()).UnixMilli()
		c.Append(ledger.Record{Type: ledger.ControlType, Op: takeoverKind, By: by, Reason: reason + "; taken over from " + from, Outcome: engine.Applied, Epoch: c.Head.Epoch})
		return nil
	})
	if err != nil {
		return "", err
	}
	if err := t.o.Grant(ctx); err != nil {
		return "", err
	}
	return from, t.await(ctx, takeoverKind)
}

// waiting reports whether a take-over was signed and the other host may still write.
func (t *Tenancy) waiting(c *control.Content) bool {
	return c.Head.Restored != nil && c.Head.Restored.Kind == takeoverKind && t.o.Clock.Now().UnixMilli() < c.Head.NotBefore
}

// takenFrom returns the host that writes to the tenant, or "" if it is this one or none.
func (t *Tenancy) takenFrom(ctx context.Context) (string, error) {
	mark, found, err := t.read(ctx)
	if err != nil {
		return "", err
	}
	c, err := t.o.Control.View(ctx)
	if err != nil {
		return "", err
	}
	switch {
	case foreign(c.Head, mark, found) != "":
		return mark.host(), nil
	case displaced(c.Head, t.identity()) != "":
		if t.identity().CopyOf != "" {
			return "the host of " + t.identity().CopyOf, nil
		}
		return "the host that used this state folder last", nil
	}
	return "", nil
}

// renew makes a new identity for the state folder, so that it is not taken for a copy.
func (t *Tenancy) renew() error {
	if t.o.Renew == nil {
		return nil
	}
	me, err := t.o.Renew()
	if err != nil {
		return fmt.Errorf("giving the state folder an identity of its own: %w", err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.o.Identity = me
	return nil
}

// displace signs a new incarnation over the tenant's mark. If that was another host's, nothing is sent while it may still write. Another installation
// is displaced by a take-over only.
func (t *Tenancy) displace(ctx context.Context, f func(*control.Content) error) error {
	mark, found, err := t.read(ctx)
	if err != nil {
		return err
	}
	return t.sign(ctx, func(c *control.Content) error {
		other := foreign(c.Head, mark, found) != "" || found && mark.Host != "" && mark.Host != t.identity().Key()
		epoch := c.Head.Epoch
		if err := f(c); err != nil {
			return err
		}
		if c.Head.Epoch == epoch { // an activation
			if found && mark.Installation != c.Head.Installation {
				return refusedAs(ErrOtherHost, foreign(c.Head, mark, found))
			}
			c.Head.Epoch.Incarnation++
			c.Head.Epoch.N++
		}
		if found {
			c.Head.Epoch.Incarnation = max(c.Head.Epoch.Incarnation, mark.Incarnation+1)
		}
		if other {
			c.Head.NotBefore = max(c.Head.NotBefore, t.o.Clock.Now().Add(t.silence()).UnixMilli())
		}
		return nil
	})
}

// awaitStep is how often a waiting command shows progress and reads the mark.
const awaitStep = 5 * time.Second

// await waits until a host that wrote to the tenant before can write no more. If it wrote its mark again because it had read an old one, the mark is
// replaced and the wait begins again.
func (t *Tenancy) await(ctx context.Context, phase string) error {
	for {
		c, err := t.o.Control.View(ctx)
		if err != nil {
			return err
		}
		left := time.UnixMilli(c.Head.NotBefore).Sub(t.o.Clock.Now())
		if left <= 0 {
			return nil
		}
		whole := t.silence()
		t.o.Waiting(phase, max(0, whole-left), whole)
		if err := t.o.Clock.Sleep(ctx, min(left, awaitStep)); err != nil {
			return err
		}
		if err := t.defend(ctx, c); err != nil {
			return err
		}
	}
}

// defend checks whether the mark that was signed is still there.
func (t *Tenancy) defend(ctx context.Context, c *control.Content) error {
	mark, found, err := t.read(ctx)
	if err != nil {
		return err
	}
	late := t.o.Clock.Now().UnixMilli() > c.Head.SignedAt+t.o.Delay().Milliseconds()
	switch {
	case !found || !late && (mark.Installation != c.Head.Installation || mark.Incarnation < c.Head.Epoch.Incarnation):
		return nil // lag
	case mark.Installation == c.Head.Installation && mark.Incarnation > c.Head.Epoch.Incarnation:
		return refusedAs(ErrOtherHost, foreign(c.Head, mark, found))
	case mark.Installation == c.Head.Installation && signed(c.Head, mark.Nonce):
		return nil
	}
	return t.sign(ctx, func(c *control.Content) error {
		c.Head.NotBefore = t.o.Clock.Now().Add(t.silence()).UnixMilli()
		return nil
	})
}
