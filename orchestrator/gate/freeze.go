package gate

import (
	"slices"
	"time"

	"github.com/tandem-sync/tandem/scoping"
)

// Frozen is a set of scopes whose admission is closed, in memory only: Release, the time limit or the end of the process gives them back to the
// source.
type Frozen struct {
	g      *Gate
	scopes []scoping.Scope
	until  time.Time
	open   bool
	sealed bool // a commit depends on it: only Release ends it
}

// Freeze closes admission for scopes until Release, at most for limit. Requests in flight continue: see InFlight.
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

// InForce reports whether the freeze is still in force.
func (f *Frozen) InForce() bool {
	f.g.mu.Lock()
	defer f.g.mu.Unlock()
	return f.inForce(f.g.o.Clock.Now())
}

func (f *Frozen) inForce(now time.Time) bool { return f.open && (f.sealed || now.Before(f.until)) }

// Seal makes a freeze that is in force, with no request in flight, last until Release, and reports whether it did. It is called inside the
// transaction that moves the scope: a commit that stalls past the limit would otherwise become durable while the source writes again.
func (f *Frozen) Seal() bool {
	f.g.mu.Lock()
	defer f.g.mu.Unlock()
	f.sealed = f.inForce(f.g.o.Clock.Now()) && f.inFlight() == 0
	return f.sealed
}

// InFlight returns the number of requests about the scopes that are sent and not answered.
func (f *Frozen) InFlight() int {
	f.g.mu.Lock()
	defer f.g.mu.Unlock()
	return f.inFlight()
}

func (f *Frozen) inFlight() (n int) {
	for _, w := range f.g.flying {
		if covers(f.scopes, w.place, w.kind, w.feature) {
			n++
		}
	}
	return n
}

func covers(scopes []scoping.Scope, p scoping.Place, k scoping.Kind, f scoping.Feature) bool {
	return slices.ContainsFunc(scopes, func(s scoping.Scope) bool { return s.Writes(k, f) && s.Covers(p) })
}

// isFrozen reports whether a freeze in force covers a feature of an object. g.mu is held.
func (g *Gate) isFrozen(p scoping.Place, k scoping.Kind, f scoping.Feature) bool {
	if len(g.frozen) == 0 || !g.o.Without.freezes() {
		return false
	}
	now := g.o.Clock.Now()
	return slices.ContainsFunc(g.frozen, func(x *Frozen) bool {
		return x.inForce(now) && covers(x.scopes, p, k, f)
	})
}
