package tenant

import (
	"context"
	"sync"
	"time"
)

// ghostBook holds requests whose answer was lost and which take effect later. They are let loose when the next
// request comes in (or by Server.RunGhosts): no observer of the wire can tell that from a clock of their own.
type ghostBook struct {
	mu   sync.Mutex
	wait []waitingGhost
}

type waitingGhost struct {
	call    *call
	at      time.Time // not before, on the model's clock
	request int64     // not before this Graph request
}

func (b *ghostBook) add(c *call, at time.Time, requests int64, t Fault) {
	copied := *c
	copied.ctx, copied.ghost, copied.header = context.WithoutCancel(c.ctx), true, c.header.Clone()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.wait = append(b.wait, waitingGhost{&copied, at, requests + int64(t.AfterRequests)})
}

// due takes out what may take effect now, in the order of arrival.
func (b *ghostBook) due(now time.Time, requests int64, all bool) []*call {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []*call
	kept := b.wait[:0]
	for _, g := range b.wait {
		if all || !now.Before(g.at) && requests >= g.request {
			out = append(out, g.call)
		} else {
			kept = append(kept, g)
		}
	}
	b.wait = kept
	return out
}

func (b *ghostBook) pending() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.wait)
}

// runGhosts lets loose the ghosts that are due, and tells how many.
func (f *front) runGhosts(all bool) int {
	calls := f.ghosts.due(f.model.now(), f.log.total()+1, all) // the request that now comes in counts
	for _, c := range calls {
		f.perform(c)
	}
	return len(calls)
}
