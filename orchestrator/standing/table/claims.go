// Package table keeps what standing is worked out from and is nowhere else: the engines' claims. It is a cache with one property (rule S4): a claim is durable
// before its engine has the answer, or all claims of that engine are gone.
package table

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/standing"
	"github.com/tandem-sync/tandem/orchestrator/standing/changes"
	"github.com/tandem-sync/tandem/scoping"
	"github.com/tandem-sync/tandem/state"
)

// Store is where claims are kept; a *state.Index is one. Nil: they live as long as the process.
type Store interface {
	View(context.Context, func(state.Tx) error) error
	Update(context.Context, func(state.Tx) error) error
}

// Claims are the newest claims of all engines. It is not safe for concurrent use but for Commit, which may go on beside everything but itself.
type Claims struct {
	store   Store
	engines map[string]*packed
	names   *names
	commons *commons
	unkept  []change
	next    uint64 // of the journal in the store
	lines   int    // in the journal, of claims that may have newer ones
	covered string // see Covered
	moved   bool   // covered is not in the store yet
	changed changes.Set[scoping.ObjectID]
}

// change is a claim that is not in the store yet; nil: it was dropped.
type change struct {
	engine string
	key    ledger.Key
	claim  *standing.Claim
}

// The store's buckets: a journal of batches, each under the next number, so that a commit writes one value at the end; and where it stands.
const (
	bucketJournal = "claims"
	bucketMarks   = "marks"
	keyCovered    = "covered"
)

// New returns claims of which there are none yet.
func New(store Store) *Claims {
	c := &Claims{store: store}
	c.clear()
	return c
}

// clear forgets every claim.
func (c *Claims) clear() {
	c.engines, c.names, c.commons = map[string]*packed{}, &names{of: map[named]uint32{}}, &commons{of: map[string]uint32{}}
}

// Load reads the claims. A store that cannot be understood has none: its engines are asked anew.
func Load(ctx context.Context, store Store) (*Claims, error) {
	c := New(store)
	if store == nil {
		return c, nil
	}
	var bad error
	err := store.View(ctx, func(tx state.Tx) error {
		c.covered = string(tx.Get(bucketMarks, keyCovered))
		return tx.Each(bucketJournal, "", func(key string, v []byte) error {
			if bad == nil {
				bad = c.takeIn(key, v)
			}
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("reading the engines' claims: %w", err)
	}
	if bad != nil {
		c.clear()
		c.lines, c.covered = rewriteAt, ""
	}
	return c, nil
}

// takeIn adds one batch of the journal.
func (c *Claims) takeIn(key string, v []byte) error {
	n, err := strconv.ParseUint(key, 10, 64)
	if err != nil {
		return fmt.Errorf("number of a batch of claims: %w", err)
	}
	c.next = n + 1
	batch, err := decode(v)
	if err != nil {
		return fmt.Errorf("batch %d of claims: %w", n, err)
	}
	for _, x := range batch {
		c.set(x.engine, x.key, x.claim)
	}
	c.lines += len(batch)
	return nil
}

// Get returns an engine's claim of a key, which is the caller's but for its lists; nil: there is none.
func (c *Claims) Get(engine string, k ledger.Key) *standing.Claim { return c.engines[engine].get(k) }

// Saw notes the version of the target object that an engine's claim of a key was found to agree with: its Seen from now on. That is no change.
func (c *Claims) Saw(engine string, k ledger.Key, version uint64) {
	if p := c.engines[engine]; p != nil {
		p.saw(k, version)
	}
}

// Len counts an engine's claims.
func (c *Claims) Len(engine string) int { return c.engines[engine].len() }

// Changed returns the objects whose claims changed since it was asked last: all of them, or these.
func (c *Claims) Changed() (ids map[scoping.ObjectID]struct{}, all bool) { return c.changed.Take() }

// Engines returns the names of the engines that have claims, sorted.
func (c *Claims) Engines() []string { return slices.Sorted(maps.Keys(c.engines)) }

// Put takes a claim in; it is durable after the next Commit.
func (c *Claims) Put(engine string, k ledger.Key, x standing.Claim) {
	if old := c.Get(engine, k); old != nil && old.Equal(x) {
		return
	}
	c.set(engine, k, &x)
	c.unkept = append(c.unkept, change{engine, k, &x})
}

// Drop forgets an engine's claim of a key.
func (c *Claims) Drop(engine string, k ledger.Key) {
	if c.Get(engine, k) == nil {
		return
	}
	c.set(engine, k, nil)
	c.unkept = append(c.unkept, change{engine, k, nil})
}

// DropAll forgets all claims of an engine.
func (c *Claims) DropAll(engine string) {
	for _, k := range slices.SortedFunc(c.engines[engine].keys(), ledger.Key.Compare) {
		c.Drop(engine, k)
	}
}

// DropWhere forgets the claims for which gone, which must not change any, reports true.
func (c *Claims) DropWhere(gone func(engine string, k ledger.Key) bool) {
	for _, e := range c.Engines() {
		var past []ledger.Key
		for k := range c.engines[e].keys() {
			if gone(e, k) {
				past = append(past, k)
			}
		}
		slices.SortFunc(past, ledger.Key.Compare)
		for _, k := range past {
			c.Drop(e, k)
		}
	}
}

// Covered returns as of which state of control each claim's engine is known to have covered its key without a gap; "": of none.
func (c *Claims) Covered() string { return c.covered }

// Cover notes that as of a state of control every claim's engine covers its key.
func (c *Claims) Cover(mark string) {
	c.moved = c.moved || c.covered != mark
	c.covered = mark
}

// NewestReading returns the highest number of a reading that a claim names.
func (c *Claims) NewestReading() (n uint64) {
	for _, p := range c.engines {
		for _, h := range p.of {
			n = max(n, h.reading)
		}
	}
	return n
}

func (c *Claims) set(engine string, k ledger.Key, x *standing.Claim) {
	c.changed.Note(k.Object)
	p := c.engines[engine]
	if x == nil {
		if p != nil {
			p.drop(p.spotOf(k))
		}
		return
	}
	if p == nil {
		p = &packed{of: map[spot]held{}, rare: map[spot]rare{}, names: c.names, commons: c.commons}
		c.engines[engine] = p
	}
	p.put(k, x)
}
