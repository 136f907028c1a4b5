package orchestrator

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/reach"
	"github.com/tandem-sync/tandem/orchestrator/standing/table"
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/state"
)

// kept contains the index files of the tenant's cache, of the ledger's checkpoint and of the engines' claims.
type kept struct {
	cache  *cloud.Cache
	claims *table.Claims
	tenant *state.Index
	ledger *state.Index
}

func (x *Orchestrator) openKept(ctx context.Context) (*kept, error) {
	delay := x.config.Tenant.Delay
	if delay == 0 {
		delay = defaultDelay
	}
	k := &kept{cache: cloud.NewCache(delay)}
	var err error
	if k.tenant, err = x.openIndex("tenant", 1); err != nil {
		return nil, err
	}
	if k.ledger, err = x.openIndex("ledger", 1); err != nil {
		return nil, err
	}
	if x.options.Glance {
		return k, k.cache.Glance(tenantShelf{ctx, k.tenant})
	}
	claims, err := x.openIndex("claims", 1)
	if err != nil {
		return nil, err
	}
	if k.claims, err = table.Load(ctx, claims); err != nil {
		return nil, err
	}
	err = k.tenant.View(ctx, func(tx state.Tx) error {
		return k.cache.Load(func(yield func(string, []byte) bool) {
			_ = tx.Each("cache", "", func(key string, v []byte) error {
				if !yield(key, append([]byte(nil), v...)) {
					return errStop
				}
				return nil
			})
		})
	})
	if err != nil {
		x.log.Warn("the tenant's cache cannot be used and is read anew", "error", err)
		k.cache = cloud.NewCache(delay)
	}
	return k, nil
}

var errStop = errors.New("stop")

// tenantShelf is the tenant's index file, from which a glance reads the cache entry by entry.
type tenantShelf struct {
	ctx   context.Context // of the process
	index *state.Index
}

// Get implements cloud.Shelf.
func (f tenantShelf) Get(key string) ([]byte, error) { return shelf(f).Get("cache", key) }

// Each implements cloud.Shelf.
func (f tenantShelf) Each(prefix string, each func(key string, value []byte) error) error {
	return f.index.View(f.ctx, func(tx state.Tx) error { return tx.Each("cache", prefix, each) })
}

// save stores what changed in the cache.
func (k *kept) save(ctx context.Context) error {
	var done func()
	err := k.tenant.Update(ctx, func(tx state.Tx) (err error) {
		done, err = k.cache.Save(func(key string, v []byte) error {
			if v == nil {
				return tx.Delete("cache", key)
			}
			return tx.Put("cache", key, v)
		})
		return err
	})
	if err == nil {
		done() // after the commit only: what was not stored has to be saved again
	}
	return err
}

// Shelf implements host.Checkpoints.
func (k *kept) Shelf(ctx context.Context) ledger.Shelf { return shelf{ctx, k.ledger} }

// shelf is the ledger's index file.
type shelf struct {
	ctx   context.Context // of the command that reads; the shelf is used no longer
	index *state.Index
}

// Get implements ledger.Shelf.
func (f shelf) Get(section, key string) (b []byte, err error) {
	err = f.index.View(f.ctx, func(tx state.Tx) error {
		if v := tx.Get(section, key); v != nil {
			b = append(make([]byte, 0, len(v)), v...)
		}
		return nil
	})
	return b, err
}

// Each implements ledger.Shelf.
func (f shelf) Each(section string, each func(key string, value []byte) error) error {
	return f.index.View(f.ctx, func(tx state.Tx) error { return tx.Each(section, "", each) })
}

// LoadReach implements reach.Keeper.
func (k *kept) LoadReach(ctx context.Context) (b []byte, err error) {
	err = k.ledger.View(ctx, func(tx state.Tx) error {
		b = append([]byte(nil), tx.Get("reach", "all")...)
		return nil
	})
	return b, err
}

// SaveReach implements reach.Keeper.
func (k *kept) SaveReach(ctx context.Context, b []byte, ended []reach.Ran) error {
	return k.ledger.Update(ctx, func(tx state.Tx) error {
		if err := tx.Put("reach", "all", b); err != nil || len(ended) == 0 {
			return err
		}
		for _, r := range ended {
			if err := tx.Put("runs", fmt.Sprintf("%016d %s", r.Began, r.What), r.Story); err != nil {
				return err
			}
		}
		var keys []string
		if err := tx.Each("runs", "", func(key string, _ []byte) error { keys = append(keys, key); return nil }); err != nil {
			return err
		}
		for _, key := range keys[:max(0, len(keys)-reach.MostRuns)] {
			if err := tx.Delete("runs", key); err != nil {
				return err
			}
		}
		return nil
	})
}

// LoadRuns implements reach.Keeper.
func (k *kept) LoadRuns(ctx context.Context) (out []reach.Ran, err error) {
	err = k.ledger.View(ctx, func(tx state.Tx) error {
		return tx.Each("runs", "", func(key string, story []byte) error {
			began, what, _ := strings.Cut(key, " ")
			ms, err := strconv.ParseInt(began, 10, 64)
			if err != nil {
				return fmt.Errorf("run %q: %w", key, err)
			}
			out = append(out, reach.Ran{Began: ms, What: what, Story: slices.Clone(story)})
			return nil
		})
	})
	return out, err
}

// SaveCheckpoint implements host.Checkpoints.
func (k *kept) SaveCheckpoint(ctx context.Context, c *ledger.Checkpoint) error {
	// Sorted by key, since bbolt inserts new keys of a page into a sorted list, and moves half of it on average for a key out of order.
	entries := slices.Clone(c.Entries)
	slices.SortStableFunc(entries, func(a, b ledger.Entry) int {
		return cmp.Or(strings.Compare(a.Section, b.Section), strings.Compare(a.Key, b.Key))
	})
	return k.ledger.Update(ctx, func(tx state.Tx) error {
		if c.Anew {
			if err := empty(tx, ledger.Sections()); err != nil {
				return err
			}
		}
		for _, e := range entries {
			err := error(nil)
			switch {
			case e.Append:
				old := tx.Get(e.Section, e.Key)
				err = tx.Put(e.Section, e.Key, append(old[:len(old):len(old)], e.Value...))
			case e.Value == nil:
				err = tx.Delete(e.Section, e.Key)
			default:
				err = tx.Put(e.Section, e.Key, e.Value)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// empty removes everything from buckets.
func empty(tx state.Tx, buckets []string) error {
	for _, bucket := range buckets {
		err := tx.Each(bucket, "", func(key string, _ []byte) error { return tx.Delete(bucket, key) })
		if err != nil {
			return err
		}
	}
	return nil
}
