package gate

import (
	"slices"
	"time"

	"github.com/tandem-sync/tandem/scoping"
)

// Frozen is a scope whose admission is closed, in memory only: release, its limit or the host's death gives it back to the source.
type Frozen struct {
	g      *Gate
	scopes []scoping.Scope
	until  time.Time
	open   bool
	sealed bool // a commit depends on it: it does not end before Release
}

// Freeze closes admission for scopes until Release, at the latest for limit. What is on the wire goes on: see OnWire.
func (g *Gate) Freeze(scopes []scoping.Scope, limit time.Duration) *Frozen {
	g.mu.Lock()
	defer g.mu.Unlock()
	f := &Frozen{g: g, scopes: scopes, until: g.o.Clock.Now().Add(limit), open: true}
	g.frozen = append(g.frozen, f)
	return f
}

// Release opens admission again. It may be called twice.
func (f *Frozen) Release() {
	f.g.mu.Lock()
	defer f.g.mu.Unlock()
	f.open = false
	f.g.frozen = slices.DeleteFunc(f.g.frozen, func(x *Frozen) bool { return x == f })
}

// Holds says whether the freeze is still in force.
func (f *Frozen) Holds() bool {
	f.g.mu.Lock()
	defer f.g.mu.Unlock()
	return f.holds(f.g.o.Clock.Now())
}

func (f *Frozen) holds(now time.Time) bool { return f.open && (f.sealed || now.Before(f.until)) }

// Seal makes a freeze that is in force and quiet last until Release, and reports whether it is both. It is asked inside the transaction that
// moves the scope: a commit that stalls past the limit would else become durable while the source writes again.
func (f *Frozen) Seal() bool {
	f.g.mu.Lock()
	defer f.g.mu.Unlock()
	f.sealed = f.holds(f.g.o.Clock.Now()) && f.onWire() == 0
	return f.sealed
}

// OnWire counts the requests about the scopes that are sent and not answered.
func (f *Frozen) OnWire() int {
	f.g.mu.Lock()
	defer f.g.mu.Unlock()
	return f.onWire()
}

func (f *Frozen) onWire() (n int) {
	for _, w := range f.g.wire {
		if covers(f.scopes, w.place, w.kind, w.feature) {
			n++
		}
	}
	return n
}

func covers(scopes []scoping.Scope, p scoping.Place, k scoping.Kind, f scoping.Feature) bool {
	return slices.ContainsFunc(scopes, func(s scoping.Scope) bool { return s.Writes(k, f) && s.Covers(p) })
}

// isFrozen is asked with the lock held.
func (g *Gate) isFrozen(p scoping.Place, k scoping.Kind, f scoping.Feature) bool {
	if len(g.frozen) == 0 || !g.o.Without.freezes() {
		return false
	}
	now := g.o.Clock.Now()
	return slices.ContainsFunc(g.frozen, func(x *Frozen) bool {
		return x.holds(now) && covers(x.scopes, p, k, f)
	})
}
