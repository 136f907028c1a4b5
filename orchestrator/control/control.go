// Package control keeps what is in force: the policy and its partition with earlier revisions, the newest epoch, waves, stops, and the state's own
// identity. All of it is in one bucket of the control store and changes in one transaction, together with the pending records that the change adds to
// the log.
//
// A Control is made when the host opens, before everything that decides, since the rest is opened by its content. Enforce connects it with the gate;
// from then on a change is in force in the gate when Change returns.
package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/gate"
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/problem"
	"github.com/tandem-sync/tandem/scoping"
	"github.com/tandem-sync/tandem/state"
)

// Control is what is in force. It is safe for concurrent use; changes follow each other.
type Control struct {
	store   *state.Store
	newID   func() string
	now     func() time.Time
	decoded decoded

	change sync.Mutex // serializes changes, with their effects in memory
	gate   *gate.Gate
	barred func(*Content) string

	mu       sync.Mutex // guards the fields below
	verified []string
	initial  string
}

// New makes the control of a store. newID names the installation of an empty store.
func New(s *state.Store, newID func() string, now func() time.Time) *Control {
	return &Control{store: s, newID: newID, now: now}
}

// Enforce connects control with the gate, which gets the stored matches now and everything else with the next change. barred is called after each
// change and returns why this host may not write at all, or "".
func (k *Control) Enforce(ctx context.Context, g *gate.Gate, barred func(*Content) string) error {
	k.gate, k.barred = g, barred
	return k.store.Control.View(ctx, func(tx state.Tx) error {
		b := tx.Get("host", "matches")
		if b == nil {
			return nil
		}
		var ms []scoping.Match
		if err := json.Unmarshal(b, &ms); err != nil {
			return fmt.Errorf("%w: the matches in force: %w", problem.ErrState, err)
		}
		g.SetMatches(ms)
		return nil
	})
}

// Change commits a change in one transaction with its pending records, puts the resulting authority in force, and lets the ledger fold those records.
// Cancelling ctx does not stop it. If f returns an error, nothing changes.
func (k *Control) Change(ctx context.Context, f func(*Content) error) error {
	k.change.Lock()
	defer k.change.Unlock()
	ctx = context.WithoutCancel(ctx)
	var c *Content
	err := k.store.Control.Update(ctx, func(tx state.Tx) error {
		var err error
		if c, err = read(tx, k.newID, &k.decoded); err != nil {
			return err
		}
		if err := f(c); err != nil {
			return err
		}
		if err := c.write(tx); err != nil {
			return err
		}
		return state.AppendLater(tx, k.encode(c)...)
	})
	if k.gate == nil { // before Enforce
		return err
	}
	if errors.Is(err, state.ErrBroken) { // it may be durable: a stop, a cutover, another authority
		k.gate.Close(err)
	}
	if err != nil {
		return err
	}
	if c.Matches != nil {
		k.gate.SetMatches(*c.Matches)
	}
	a := c.authority()
	if why := k.barred(c); why != "" {
		a.ReadOnly = why
	}
	k.gate.SetAuthority(a, k.rules(c))
	return k.gate.AppendPending(ctx, k.store, func(from uint64, f func(uint64, []byte) error) error { return k.store.Log.Read(ctx, from, f) })
}

func (k *Control) encode(c *Content) [][]byte {
	out := make([][]byte, len(c.pending))
	for i, r := range c.pending {
		r.At = k.now().UnixMilli()
		if c.Partition != nil {
			r.Revision = c.Partition.Revision()
		}
		out[i] = ledger.Encode(r)
	}
	return out
}

// View reads control.
func (k *Control) View(ctx context.Context) (*Content, error) {
	var c *Content
	err := k.store.Control.View(ctx, func(tx state.Tx) error {
		var err error
		c, err = read(tx, k.newID, &k.decoded)
		return err
	})
	return c, err
}

// Show puts the content in force for a host opened for display, without changing it.
func (k *Control) Show(ctx context.Context) error {
	c, err := k.View(ctx)
	if err != nil {
		return err
	}
	a := c.authority()
	if why := k.barred(c); why != "" {
		a.ReadOnly = why
	}
	k.gate.SetAuthority(a, k.rules(c))
	return nil
}

// InForce returns the authority in force.
func (k *Control) InForce() gate.Authority { return k.gate.Authority() }

// Partition returns the partition in force; ErrNoPolicy if there is none.
func (k *Control) Partition() (*scoping.Partition, error) {
	p := k.gate.Authority().Partition
	if p == nil {
		return nil, fmt.Errorf("%w: `tandem import POLICY` puts the first one in force", problem.ErrNoPolicy)
	}
	return p, nil
}

// Revision reads the partition of a revision.
func (k *Control) Revision(ctx context.Context, n uint64) (*scoping.Partition, error) {
	var p *scoping.Partition
	err := k.store.Control.View(ctx, func(tx state.Tx) error {
		b := tx.Get("revisions", revisionKey(n))
		if b == nil {
			return fmt.Errorf("%w: revision %d of the policy", problem.ErrNotFound, n)
		}
		p = new(scoping.Partition)
		return json.Unmarshal(b, p)
	})
	return p, err
}

// SetDomains puts the tenant's verified domains and its initial one in force.
func (k *Control) SetDomains(ctx context.Context, verified []string, initial string) error {
	k.mu.Lock()
	k.verified, k.initial = slices.Clone(verified), initial
	k.mu.Unlock()
	return k.Change(ctx, func(*Content) error { return nil })
}

// rules derives the gate's rules from the policy in force and the tenant's domains.
func (k *Control) rules(c *Content) gate.Rules {
	d := scoping.DefaultDefaults()
	if c.Partition != nil {
		d = c.Partition.Defaults()
	}
	r := gate.Rules{SoftMatch: d.SoftMatch, UPNRefuse: d.UPN.UnverifiedSuffix == "refuse", UPNHold: d.UPN.Changes == "hold", Exclusive: d.MembersRule() == scoping.ExclusiveMembers,
		Quarantine: d.ConflictsRule() == scoping.QuarantineConflicts, Temporary: d.TemporaryPasswords, Objects: d.DeleteThreshold.Objects, Percent: d.DeleteThreshold.Percent, Irrevocable: 10,
		Managed: gate.ManagedBy(d)}
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.verified) > 0 {
		r.Verified, r.InitialDomain = map[string]bool{}, k.initial
		for _, v := range k.verified {
			r.Verified[strings.ToLower(v)] = true
		}
	}
	return r
}
