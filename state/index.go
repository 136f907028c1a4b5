package state

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// Index is a large file that can be rebuilt: its content is never precious. It is safe for concurrent use like Control. After a method returned
// ErrIndexUnusable the index has to be closed, removed and rebuilt.
type Index struct {
	name    string
	kv      kv
	home    home
	space   *space
	hook    Hook
	onClose func()

	mu     sync.Mutex // serializes updates; guards the fields below
	dirty  bool       // some updates were not synced
	closed bool
}

// View reads one committed state.
func (x *Index) View(ctx context.Context, f func(Tx) error) error {
	return x.sort(x.kv.view(ctx, func(tx Tx) error { return f(guarded{tx}) }))
}

// Update commits durably, together with everything that UpdateNoSync wrote before.
func (x *Index) Update(ctx context.Context, f func(Tx) error) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if err := x.update(ctx, true, f); err != nil {
		return err
	}
	return x.clean()
}

// UpdateNoSync commits atomically but not durably: it survives the end of the process, but not a crash of the machine. After the latter the whole
// index is ErrIndexUnusable unless Sync was called in between.
func (x *Index) UpdateNoSync(ctx context.Context, f func(Tx) error) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if !x.dirty && !x.closed {
		if err := x.space.room(Reserved(ctx), func() error { return x.home.markDirty(x.name) }); err != nil {
			if isFull(err) {
				err = fmt.Errorf("%w: %w", ErrFull, err)
			}
			return fmt.Errorf("index %s: mark as not synced: %w", x.name, err)
		}
		x.dirty = true
	}
	return x.update(ctx, false, f)
}

func (x *Index) update(ctx context.Context, durable bool, f func(Tx) error) error {
	return x.sort(x.space.room(Reserved(ctx), func() error {
		return x.kv.update(ctx, durable, func(tx Tx) error { return f(guarded{tx}) },
			func() error { return x.hook.reach(FailIndexBeforeCommit) },
			func() error { return x.hook.reach(FailIndexAfterCommit) })
	}))
}

// Sync makes everything durable that UpdateNoSync wrote.
func (x *Index) Sync(ctx context.Context) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	return x.sync()
}

func (x *Index) sync() error {
	if x.closed {
		return ErrClosed
	}
	if !x.dirty {
		return nil
	}
	if err := x.hook.reach(FailIndexBeforeSync); err != nil {
		return fmt.Errorf("index %s: %w", x.name, err)
	}
	if err := x.kv.sync(); err != nil {
		return fmt.Errorf("index %s: %w", x.name, err)
	}
	if err := x.clean(); err != nil {
		return err
	}
	if err := x.hook.reach(FailIndexAfterSync); err != nil {
		return fmt.Errorf("index %s: %w", x.name, err)
	}
	return nil
}

// clean removes the mark once everything is durable.
func (x *Index) clean() error {
	if !x.dirty {
		return nil
	}
	if err := x.home.markClean(x.name); err != nil {
		return fmt.Errorf("index %s: mark as synced: %w", x.name, err)
	}
	x.dirty = false
	return nil
}

// Close syncs and closes the index.
func (x *Index) Close() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.closed {
		return nil
	}
	synced := x.sync()
	x.closed = true
	x.onClose()
	return errors.Join(synced, x.kv.close())
}

// sort turns damage into ErrIndexUnusable.
func (x *Index) sort(err error) error {
	if errors.Is(err, ErrDamaged) {
		return unusable(x.name, err)
	}
	return err
}

func unusable(name string, err error) error {
	return fmt.Errorf("index %s: %w: %w", name, ErrIndexUnusable, err)
}
