package census

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/scoping"
)

// prover is a Reader that can prove whether its controller has the changes that another one had. *directory.Session is one.
type prover interface {
	Reached(ctx context.Context, p directory.AsOf) error
}

// point is the replication point that every later reading of the directory has to have reached.
func (m mark) point() directory.AsOf {
	return directory.AsOf{Invocation: m.Invocation, USN: cmp.Or(m.Seen, m.USN)}
}

// AsOf returns the point up to which a directory was read, and the URL of the controller that this process read it from. known is false until
// something was read. A controller that has not reached the point shows old values (rule V1).
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

// current refuses a controller that lacks changes already seen on another one: its values must not overwrite newer ones, and an object missing on it
// is not a deleted one, whether everything or a single object is read (rule V1). A controller that cannot prove what it has is accepted: a directory
// with a single controller that was restored from a backup has no other.
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

// mostLookedUp is the most changes whose USNs are looked up by newest.
const mostLookedUp = 100

// newest returns the USN of the newest change that was read, or usn where that is not found out. A controller's highest USN also counts changes that
// are never replicated (sign-ins), so no other controller could ever prove that it has reached it; the USN of a replicated change it can prove.
func newest(ctx context.Context, r Reader, before mark, usn uint64, entries []directory.Entry, full bool) uint64 {
	if _, can := r.(prover); !can || full || len(entries) > mostLookedUp {
		return usn
	}
	if len(entries) == 0 {
		return cmp.Or(before.Seen, usn)
	}
	seen := before.Seen
	var ids []scoping.GUID // DirSync returns no USNs
	for _, e := range entries {
		if seen = max(seen, e.Version); e.Version == 0 {
			ids = append(ids, e.GUID)
		}
	}
	if len(ids) > 0 {
		found, err := r.ByGUID(ctx, ids, []string{"objectClass"}, true)
		if err != nil {
			return usn // the next request meets the same error
		}
		for _, e := range found {
			seen = max(seen, e.Version)
		}
	}
	return cmp.Or(seen, usn)
}
