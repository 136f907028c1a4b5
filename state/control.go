package state

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
)

const (
	controlFormat  = "tandem-control"
	controlVersion = 1
)

// controlStore is the Control over a kv.
type controlStore struct {
	kv      kv
	hook    Hook
	space   *space
	holds   func() Tenure
	prepare func(Tx) error // what the store adds to each commit
	closed  atomic.Bool
}

func (c *controlStore) View(ctx context.Context, f func(Tx) error) error {
	return c.kv.view(ctx, func(tx Tx) error { return f(guarded{tx}) })
}

func (c *controlStore) Update(ctx context.Context, f func(Tx) error) error {
	switch {
	case c.closed.Load():
		return ErrClosed
	case c.holds == nil:
		return ErrReadOnly
	case c.holds().Remaining() <= 0:
		return c.lost(ctx)
	}
	reserved := Reserved(ctx)
	if err := c.space.admit(reserved); err != nil {
		return fmt.Errorf("update control: %w", err)
	}
	err := c.try(ctx, f)
	if !errors.Is(err, ErrFull) {
		return err
	}
	c.space.exhausted()
	for reserved && errors.Is(err, ErrFull) {
		if err := c.space.release(releaseStep); err != nil {
			return fmt.Errorf("update control: %w", err)
		}
		err = c.try(ctx, f)
	}
	return err
}

// lost returns why there is no tenure: a crash or a close is the better explanation.
func (c *controlStore) lost(ctx context.Context) error {
	if err := c.kv.view(ctx, func(Tx) error { return nil }); err != nil {
		return err
	}
	return ErrTenureLost
}

// try is one attempt to commit.
func (c *controlStore) try(ctx context.Context, f func(Tx) error) error {
	return c.kv.update(ctx, true, func(tx Tx) error {
		if err := f(guarded{tx}); err != nil {
			return err
		}
		if c.prepare == nil {
			return nil
		}
		return c.prepare(tx)
	}, c.at(FailControlBeforeCommit), c.at(FailControlAfterCommit))
}

func (c *controlStore) at(point string) func() error {
	return func() error { return c.hook.reach(point) }
}

func (c *controlStore) Tenure() Tenure {
	if c.holds == nil || c.closed.Load() {
		return Tenure{}
	}
	return c.holds()
}

func (c *controlStore) Close() error {
	if c.closed.Swap(true) {
		return nil
	}
	return c.kv.close()
}
