// Package table keeps the engines' claims and the index of debts. Claims are a cache with one property (rule S4): a claim is durable before its
// engine has the answer, or all claims of that engine are lost.
//
// The gate loads them with Load, changes them by Put and Drop during a session, and calls Take and Commit before it answers.
package table

import (
	"context"
	"fmt"
	"iter"
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

// Claims are the newest claims of all engines. It is not safe for concurrent use, except that one Commit may run beside other methods.
type Claims struct {
	store   Store
	engines map[string]*packed
	names   *names
	commons *commons
	unkept  []change
	next    uint64 // of the journal in the store
	lines   int    // in the journal, including outdated ones
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

// The store's buckets: a journal of batches, each under the next number, so that a commit appends one value; and marks.
const (
	bucketJournal = "claims"
	bucketMarks   = "marks"
	keyCovered    = "covered"
)

// New returns an empty set of claims.
func New(store Store) *Claims {
	c := &Claims{store: store}
	c.clear()
	return c
}

// clear drops every claim.
func (c *Claims) clear() {
	c.engines, c.names, c.commons = map[string]*packed{}, &names{of: map[named]uint32{}}, &commons{of: map[string]uint32{}}
}

// Load reads the stored claims. If the store cannot be understood there are none, and all engines are asked anew.
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

// Get returns an engine's claim of a key, or nil. It is the caller's, except for its lists.
func (c *Claims) Get(engine string, k ledger.Key) *standing.Claim { return c.engines[engine].get(k) }

// Saw sets the Seen of an engine's claim: the version of the target object that it was found to agree with. That does not count as a change.
func (c *Claims) Saw(engine string, k ledger.Key, version uint64) {
	if p := c.engines[engine]; p != nil {
		p.saw(k, version)
	}
}

// Len returns the number of an engine's claims.
func (c *Claims) Len(engine string) int { return c.engines[engine].len() }

// Rules yields the key of each claim of an engine, in no order, with the rules by which it was made.
func (c *Claims) Rules(engine string) iter.Seq2[ledger.Key, uint64] { return c.engines[engine].rules() }

// Changed returns the objects whose claims changed since its last call; all means any of them may have.
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

// Drop removes an engine's claim of a key.
func (c *Claims) Drop(engine string, k ledger.Key) {
	if c.Get(engine, k) == nil {
		return
	}
	c.set(engine, k, nil)
	c.unkept = append(c.unkept, change{engine, k, nil})
}

// DropAll removes all claims of an engine.
func (c *Claims) DropAll(engine string) {
	for _, k := range slices.SortedFunc(c.engines[engine].keys(), ledger.Key.Compare) {
		c.Drop(engine, k)
	}
}

// DropWhere removes the claims for which gone reports true. gone must not change claims.
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

// Covered returns the mark of the last Cover: the state of control up to which the engine of every claim covered its key without a gap; "": unknown.
func (c *Claims) Covered() string { return c.covered }

// Cover notes that in a state of control the engine of every claim covers its key.
func (c *Claims) Cover(mark string) {
	c.moved = c.moved || c.covered != mark
	c.covered = mark
}

// NewestReading returns the highest reading of all claims.
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
