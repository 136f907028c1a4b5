package census

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/scoping"
)

// prover is a reader that can say whether its controller has what another one had. *directory.Session is one.
type prover interface {
	Reached(ctx context.Context, p directory.AsOf) error
}

// point is what whoever reads the directory has to have.
func (m mark) point() directory.AsOf {
	return directory.AsOf{Invocation: m.Invocation, USN: cmp.Or(m.Seen, m.USN)}
}

// AsOf returns what was seen of a directory so far, and the URL of the controller that it was read from by this process; false when nothing was read
// yet. Who reads less reads old news (rule V1).
func (c *Census) AsOf(name string) (p directory.AsOf, url string, known bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	m, known := c.marks[name]
	return m.point(), c.urls[name], known
}

// at notes which controller is read.
func (c *Census) at(name, url string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.urls == nil {
		c.urls = map[string]string{}
	}
	c.urls[name] = url
}

// current refuses a controller that lacks what was seen on another one: no value of it overwrites, and nothing that is missing on it is gone, neither
// in a reading of everything nor of one object (rule V1). One that cannot say what it has is believed: a directory with a single controller that
// was restored has no other.
func (c *Census) current(ctx context.Context, name string, r Reader) error {
	c.mu.Lock()
	m := c.marks[name]
	c.mu.Unlock()
	p, can := r.(prover)
	if !can || m.Invocation.IsZero() || m.Invocation == r.Controller().InvocationID {
		return nil
	}
	err := p.Reached(ctx, m.point())
	switch {
	case errors.Is(err, directory.ErrUnproved):
		return nil
	case errors.Is(err, directory.ErrBehind):
		return fmt.Errorf("%w: directory %s: %w; if that controller is gone for good, `tandem state rebuild-index` lets the directory be read anew", ErrBehind, name, err)
	}
	return err
}

// mostLookedUp is how many changes are looked up for their numbers.
const mostLookedUp = 100

// newest gives the number of the newest change that was read. A controller's highest number rises by much that is never replicated (sign-ins), so that
// no other controller could ever be shown to have it; the numbers of the changes themselves it can.
func newest(ctx context.Context, r Reader, before mark, usn uint64, entries []directory.Entry, full bool) uint64 {
	if _, can := r.(prover); !can || full || len(entries) > mostLookedUp {
		return usn
	}
	if len(entries) == 0 {
		return cmp.Or(before.Seen, usn)
	}
	seen := before.Seen
	var ids []scoping.GUID // DirSync tells no numbers
	for _, e := range entries {
		if seen = max(seen, e.Version); e.Version == 0 {
			ids = append(ids, e.GUID)
		}
	}
	if len(ids) > 0 {
		found, err := r.ByGUID(ctx, ids, []string{"objectClass"}, true)
		if err != nil {
			return usn // the next request will tell
		}
		for _, e := range found {
			seen = max(seen, e.Version)
		}
	}
	return cmp.Or(seen, usn)
}
