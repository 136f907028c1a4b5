package census

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/tandem-sync/tandem/orchestrator/gate"
)

// UnreadError names the directories that nothing was read of: what is known of them is as it was. What was read of the others counts. It is a
// gate.ErrUnread.
type UnreadError struct {
	Directories map[string]error
}

// Names returns the directories, in order.
func (e *UnreadError) Names() []string { return slices.Sorted(maps.Keys(e.Directories)) }

// Error names each directory's error.
func (e *UnreadError) Error() string { return errors.Join(e.Unwrap()...).Error() }

// Is makes it a gate.ErrUnread.
func (e *UnreadError) Is(target error) bool { return target == gate.ErrUnread }

// Unwrap returns the errors, in the order of the directories.
func (e *UnreadError) Unwrap() []error {
	var out []error
	for _, n := range e.Names() {
		out = append(out, e.Directories[n])
	}
	return out
}

// half reports whether a directory's changes were read but not judged: the places of its objects must not be used then.
func (c *Census) half(name string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.unjudged[name] != nil
}

// Down returns the error of the last attempt to read a directory; nil if it succeeded or there was none.
func (c *Census) Down(name string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.down[name]
}

// reached notes whether a directory could be read. A directory that could not is not asked for single objects until a Refresh has read it: each batch
// of a run would wait for its timeout again.
func (c *Census) reached(ctx context.Context, name string, err error) {
	if err != nil && ctx.Err() != nil {
		return // the caller cancelled it
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.down, name)
	if err != nil {
		c.down[name] = err
	}
}
