package census

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/tandem-sync/tandem/orchestrator/gate"
	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/scoping"
)

// Reread implements gate.Census.
func (c *Census) Reread(ctx context.Context, ids []scoping.ObjectID) error {
	_, err := c.read(ctx, ids, nil)
	return err
}

// read reads objects by identity, deleted ones too, in all directories concerned, with more attributes than the census needs itself, and takes them
// into the trees. An *UnreadError names the directories that could not be read; what was found in the others is returned with it.
func (c *Census) read(ctx context.Context, ids []scoping.ObjectID, more []string) (map[scoping.ObjectID]directory.Entry, error) {
	if err := c.refuse(); err != nil {
		return nil, err
	}
	c.mu.Lock()
	attrs := append(c.attributes(), more...)
	c.mu.Unlock()
	byDir := map[string][]scoping.GUID{}
	for _, id := range ids {
		byDir[id.Directory] = append(byDir[id.Directory], id.GUID)
	}
	out, unread := map[scoping.ObjectID]directory.Entry{}, map[string]error{}
	for _, name := range c.names {
		if len(byDir[name]) == 0 {
			continue
		}
		learned, err := c.readIn(ctx, name, byDir[name], attrs, out)
		if learned && err != nil {
			return nil, err // the objects' choices are unknown: their places must not be used
		}
		if err != nil {
			unread[name] = err
		}
	}
	if len(unread) > 0 {
		return out, &UnreadError{unread}
	}
	return out, nil
}

// readIn is read for one directory and adds what it finds to out. learned reports whether the tree took in anything.
func (c *Census) readIn(ctx context.Context, name string, guids []scoping.GUID, attrs []string, out map[scoping.ObjectID]directory.Entry) (learned bool, err error) {
	c.mu.Lock()
	down := c.down[name]
	c.mu.Unlock()
	if down != nil {
		return false, down
	}
	err = c.with(ctx, name, func(r Reader) error {
		found, err := r.ByGUID(ctx, guids, attrs, true)
		if err != nil {
			return err
		}
		ids := c.apply(name, found, out)
		learned = true
		more, err := c.judge(ctx, r, name, pendingChanges{ids: ids})
		if err != nil {
			return err
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.pending = append(c.pending, more...)
		return nil
	})
	if err != nil {
		c.reached(ctx, name, err)
	}
	return learned, err
}

// apply takes objects that were read singly into a tree and returns their GUIDs. Their events wait for the next Refresh.
func (c *Census) apply(name string, found map[scoping.GUID]directory.Entry, out map[scoping.ObjectID]directory.Entry) map[scoping.GUID]bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	ids := map[scoping.GUID]bool{}
	if t := c.trees[name]; t != nil {
		m := c.marks[name]
		m.Reading = c.reads(t)
		c.marks[name] = m
	}
	for _, g := range slices.SortedFunc(maps.Keys(found), scoping.GUID.Compare) {
		out[scoping.ObjectID{Directory: name, GUID: g}] = found[g]
		if t := c.trees[name]; t != nil {
			ids[g] = true
			c.pending = append(c.pending, t.Apply(found[g], true)...)
		}
	}
	return ids
}

var adLinks = map[string]string{"members": "member", "manager": "manager"}

// Evidence implements gate.Census (rules D1, D3).
func (c *Census) Evidence(ctx context.Context, ids []scoping.ObjectID, reference string) (map[scoping.ObjectID]gate.Evidence, error) {
	var more []string
	link := adLinks[reference]
	if link != "" {
		more = []string{link}
	}
	found, err := c.read(ctx, ids, more)
	var unread *UnreadError
	if err != nil && (!errors.As(err, &unread) || ctx.Err() != nil) {
		return nil, err
	}
	out := map[scoping.ObjectID]gate.Evidence{}
	for _, id := range ids {
		if unread != nil && unread.Directories[id.Directory] != nil {
			continue // no evidence either way
		}
		e, ok := found[id]
		ev := gate.Evidence{Life: gate.Missing, EndDeleted: c.deleted}
		switch {
		case ok && e.Deleted:
			ev.Life = gate.Tombstone
		case ok:
			ev.Life = gate.Living
		}
		if ok && link != "" && !e.Deleted {
			ev.LinksRead = true
			ev.Links = map[scoping.ObjectID]bool{}
			for _, l := range e.Links[link].Targets {
				ev.Links[scoping.ObjectID{Directory: id.Directory, GUID: l.GUID}] = true
			}
		}
		out[id] = ev
	}
	return out, err
}

func (c *Census) deleted(id scoping.ObjectID) bool {
	s := c.Sight(id)
	return s.Known && s.Deleted
}

// Resolve finds a DN in a directory and returns its ancestors too, which a pin needs.
func (c *Census) Resolve(ctx context.Context, name, dn string) (guid scoping.GUID, canonical string, ancestors []scoping.GUID, err error) {
	err = c.with(ctx, name, func(r Reader) error {
		guid, canonical, ancestors, err = r.Resolve(ctx, dn)
		return err
	})
	return guid, canonical, ancestors, err
}

// Lacks returns those attributes that a directory's schema does not have; none where the reader cannot tell.
func (c *Census) Lacks(ctx context.Context, name string, attributes []string) (missing []string, err error) {
	err = c.with(ctx, name, func(r Reader) error {
		if s, tells := r.(interface {
			Lacks(ctx context.Context, names []string) ([]string, error)
		}); tells {
			missing, err = s.Lacks(ctx, attributes)
		}
		return err
	})
	return missing, err
}

// Values reads an object's attributes as text, for display; deleted objects too. more are attributes beside the usual ones.
func (c *Census) Values(ctx context.Context, id scoping.ObjectID, more ...string) (map[string][]string, error) {
	out := map[string][]string{}
	c.mu.Lock()
	_, read := c.trees[id.Directory]
	c.mu.Unlock()
	if !read {
		return out, nil
	}
	attrs := append([]string{"objectClass", "displayName", "givenName", "sn", "userPrincipalName", "sAMAccountName", "mail", "department", "title", "description",
		"userAccountControl", "mS-DS-ConsistencyGuid", "isDeleted", "member", "manager", "proxyAddresses"}, more...)
	err := c.with(ctx, id.Directory, func(r Reader) error {
		found, err := r.ByGUID(ctx, []scoping.GUID{id.GUID}, attrs, true)
		if err != nil {
			return err
		}
		e, ok := found[id.GUID]
		if !ok {
			return nil
		}
		out["distinguishedName"] = []string{e.DN}
		for k := range e.Attrs {
			if k == "ms-ds-consistencyguid" {
				out[k] = []string{fmt.Sprintf("%x", e.Attrs[k])}
				continue
			}
			out[k] = e.Texts(k)
		}
		for k, l := range e.Links {
			for _, t := range l.Targets {
				out[k] = append(out[k], t.DN)
			}
		}
		return nil
	})
	return out, err
}
