package engine

import (
	"context"
	"slices"
	"sync"

	"github.com/tandem-sync/tandem/scoping"
)

// GrantBook keeps an engine's grants and acknowledges them at once: what most engines need of Grants. The zero value is
// empty and ready for use. A run takes a copy by [GrantBook.Now] before its first read and stamps its proposals from it.
type GrantBook struct {
	mu     sync.Mutex
	grants []Grant
}

// Grants serves Engine.Grants.
func (b *GrantBook) Grants(ctx context.Context, in <-chan []Grant, out chan<- Ack) error {
	for {
		select {
		case grants, more := <-in:
			if !more {
				return ctx.Err()
			}
			b.mu.Lock()
			b.grants = slices.Clone(grants)
			b.mu.Unlock()
			for _, g := range grants {
				select {
				case out <- Ack{Grant: g.ID, Epoch: g.Epoch, InForce: true, Idle: true}:
				case <-ctx.Done():
					return ctx.Err()
				}
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Now gives the grants as they are: later changes do not reach the copy (rule P5).
func (b *GrantBook) Now() Granted {
	b.mu.Lock()
	defer b.mu.Unlock()
	return Granted(slices.Clone(b.grants))
}

// Granted is the grants of one moment.
type Granted []Grant

// Covering gives the grant for an object that was read under one of a run's scopes: of the grants for f that cover the
// place, the one with the scope's selector and the deepest subtree. Without any it gives the zero grant, with which only a
// run with Ceiling ModeShadow may propose.
func (g Granted) Covering(under scoping.Scope, at scoping.Place, f scoping.Feature) Grant {
	var best Grant
	depth := -1
	for _, candidate := range g {
		s := candidate.Scope
		if candidate.Mode == ModeNone || s.Selector != under.Selector || !s.Has(f) || !s.Covers(at) {
			continue
		}
		if d := slices.Index(at.Ancestors, s.Under); depth < 0 || d < depth {
			best, depth = candidate, d
		}
	}
	return best
}
