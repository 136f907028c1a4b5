package connect

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/scoping"
)

// compact takes off an entry what the space has no use for.
func compact(e directory.Entry) directory.Entry {
	e.Version = 0
	e.Attrs = maps.Clone(e.Attrs)
	delete(e.Attrs, "instancetype")
	links := map[string]directory.LinkChange{}
	for _, name := range []string{"member", "manager"} {
		l := e.Links[name]
		if len(l.Targets) == 0 || e.Deleted {
			continue
		}
		bare := make([]directory.Link, len(l.Targets))
		for i, t := range l.Targets {
			bare[i] = directory.Link{GUID: t.GUID}
		}
		links[name] = directory.LinkChange{Whole: true, Targets: bare}
	}
	e.Links = links
	return e
}

// kept says whether the space holds objects of this kind: those that are proposed, and those that others lie in.
func kept(k scoping.Kind) bool { return synchronizes(k) || k == directory.OU }

// stage stores an object as it is after a change, and what therefore has to be proposed. onto is what the change is put onto:
// the object as known, or nothing when the change tells the whole object.
func (im *importer) stage(s space, onto, change directory.Entry) error {
	was, there, err := s.get(change.GUID)
	if err != nil {
		return err
	}
	before, after := was.entry, compact(onto.Apply(change))
	if !kept(after.Kind()) {
		if !there { // held only when something lies in it
			return nil
		}
		return s.put(before, record{generation: im.generation, entry: after})
	}
	if up := parentOf(after); !up.IsZero() {
		im.parents[up] = true
	}
	if err := s.put(before, record{generation: im.generation, entry: after}); err != nil {
		return err
	}
	if !changed(before, after) || after.Kind() == directory.OU {
		return nil
	}
	return s.oweChange(before, after)
}

// parentOf gives what an object lies in; of a tombstone, what it lay in.
func parentOf(e directory.Entry) scoping.GUID {
	if e.Deleted {
		return e.LastParent
	}
	return e.Parent
}

// changed says whether anything but the DN differs: a DN changes by itself when a container above is renamed.
func changed(before, after directory.Entry) bool {
	before.DN, before.LastKnownParent = after.DN, after.LastKnownParent
	return !before.Equal(after)
}

// oweChange marks a changed user or group, and those that lose a link because it was deleted: AD tells nothing of them.
func (s space) oweChange(before, after directory.Entry) error {
	from := parentOf(before)
	if from.IsZero() {
		from = parentOf(after)
	}
	if !after.Deleted {
		owed := byte(pendingBase | pendingReferences)
		if after.Kind() == scoping.User {
			owed = pendingAll
		}
		return s.owe(after.GUID, owed, from)
	}
	if err := s.owe(after.GUID, pendingBase, from); err != nil {
		return err
	}
	if err := s.clear(after.GUID, pendingReferences|pendingExtensions); err != nil {
		return err
	}
	sources, err := s.linkedFrom(after.GUID)
	if err != nil {
		return err
	}
	for _, g := range sources {
		if err := s.unlink(g, after.GUID); err != nil {
			return err
		}
	}
	return nil
}

// unlink takes a deleted object out of another's links.
func (s space) unlink(from, deleted scoping.GUID) error {
	r, there, err := s.get(from)
	if err != nil || !there {
		return err
	}
	before := r.entry
	gone := directory.LinkChange{Removed: []directory.Link{{GUID: deleted}}}
	r.entry.Links = map[string]directory.LinkChange{}
	for name, l := range before.Links {
		r.entry.Links[name] = l.Apply(gone)
	}
	r.entry = compact(r.entry)
	if err := s.put(before, r); err != nil {
		return err
	}
	return s.owe(from, pendingReferences, parentOf(r.entry))
}

// sweep forgets what a complete full import did not see. Nothing is proposed of it: absence is no evidence (rule D1). What
// still has to be proposed as gone stays.
func (im *importer) sweep(s space) error {
	return s.tx.Each(s.bucket("o"), "", func(_ string, value []byte) error {
		r, err := decodeRecord(value)
		if err != nil || r.generation == im.generation {
			return err
		}
		if r.entry.Deleted {
			if _, owed, err := s.pending(r.entry.GUID); owed || err != nil {
				return err
			}
		}
		return s.drop(r.entry)
	})
}

// missingParents reads the containers above what was imported that the space does not hold: those of kinds that the import
// does not ask for, and whatever an import of single objects meets.
func (im *importer) missingParents(ctx context.Context, whole map[scoping.GUID]directory.Entry) (map[scoping.GUID]directory.Entry, error) {
	wanted, known := map[scoping.GUID]bool{}, map[scoping.GUID]bool{im.source.Controller().Root: true}
	for _, e := range im.batch {
		known[e.GUID] = true
		wanted[parentOf(e)] = true
	}
	for g, e := range whole {
		known[g] = true
		wanted[parentOf(e)] = true
	}
	maps.Copy(wanted, im.parents)
	found := map[scoping.GUID]directory.Entry{}
	for range maxDepth {
		missing, err := im.unknown(ctx, wanted, known)
		if err != nil || len(missing) == 0 {
			return found, err
		}
		more, err := im.source.ByGUID(ctx, missing, []string{"name", "objectClass"}, true)
		if err != nil {
			return nil, fmt.Errorf("read the containers above imported objects: %w", err)
		}
		clear(wanted)
		for _, g := range missing {
			known[g] = true
			if e, ok := more[g]; ok {
				found[g] = e
				wanted[parentOf(e)] = true
			}
		}
	}
	return found, nil
}

// maxDepth bounds walks up the tree, so that damaged data cannot make them endless.
const maxDepth = 512

func (im *importer) unknown(ctx context.Context, wanted, known map[scoping.GUID]bool) ([]scoping.GUID, error) {
	var missing []scoping.GUID
	err := im.view(ctx, func(s space) error {
		missing = nil
		for g := range wanted {
			if g.IsZero() || known[g] {
				continue
			}
			r, there, err := s.get(g)
			if err != nil {
				return err
			}
			// A full import drops what it did not see itself, so it reads such containers again.
			if !there || (im.full && r.generation != im.generation) {
				missing = append(missing, g)
			}
		}
		return nil
	})
	slices.SortFunc(missing, scoping.GUID.Compare)
	return missing, err
}

func (im *importer) putContainers(s space, containers map[scoping.GUID]directory.Entry) error {
	for _, g := range slices.SortedFunc(maps.Keys(containers), scoping.GUID.Compare) {
		before, _, err := s.get(g)
		if err != nil {
			return err
		}
		if err := s.put(before.entry, record{generation: im.generation, entry: compact(containers[g])}); err != nil {
			return err
		}
	}
	return nil
}

// tree finds places. It remembers what it found, so it is good for one run.
type tree struct {
	root  scoping.GUID
	known map[scoping.GUID][]scoping.GUID
}

func newTree(root scoping.GUID) *tree {
	return &tree{root: root, known: map[scoping.GUID][]scoping.GUID{}}
}

// up gives parent and everything above it, the naming context's root last; false when the space does not tell.
func (t *tree) up(s space, parent scoping.GUID) ([]scoping.GUID, bool, error) {
	return t.climb(s, parent, maxDepth)
}

func (t *tree) climb(s space, at scoping.GUID, left int) ([]scoping.GUID, bool, error) {
	if at == t.root && !at.IsZero() {
		return []scoping.GUID{at}, true, nil
	}
	if p, ok := t.known[at]; ok {
		return p, true, nil
	}
	if at.IsZero() || left == 0 {
		return nil, false, nil
	}
	r, there, err := s.get(at)
	if err != nil || !there {
		return nil, false, err
	}
	above, ok, err := t.climb(s, parentOf(r.entry), left-1)
	if err != nil || !ok {
		return nil, false, err
	}
	p := append([]scoping.GUID{at}, above...)
	t.known[at] = p
	return p, true, nil
}
