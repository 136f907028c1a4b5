package census

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/tandem-sync/tandem/orchestrator/gate"
)

// UnreadError says of which directories nothing was read: what is known of them is as it was. What was read of the others counts. It is a gate.ErrUnread.
type UnreadError struct {
	Directories map[string]error
}

// Names returns the directories, in order.
func (e *UnreadError) Names() []string { return slices.Sorted(maps.Keys(e.Directories)) }

// Error tells of each.
func (e *UnreadError) Error() string { return errors.Join(e.Unwrap()...).Error() }

// Is says of what kind it is.
func (e *UnreadError) Is(target error) bool { return target == gate.ErrUnread }

// Unwrap returns the errors, in the order of the directories.
func (e *UnreadError) Unwrap() []error {
	var out []error
	for _, n := range e.Names() {
		out = append(out, e.Directories[n])
	}
	return out
}

// half reports whether a directory's changes were read and could not be judged: places of its objects are not to be trusted then.
func (c *Census) half(name string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.owed[name] != nil
}

// Down says why a directory could not be read last; nil: it could, or was not asked yet.
func (c *Census) Down(name string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.down[name]
}

// reached notes whether a directory could be read. One that could not is not asked for single objects until a Refresh has read it: each batch of a
// run would wait for it anew.
func (c *Census) reached(ctx context.Context, name string, err error) {
	if err != nil && ctx.Err() != nil {
		return // it was broken off
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.down, name)
	if err != nil {
		c.down[name] = err
	}
}
