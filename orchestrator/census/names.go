package census

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"hash/fnv"
	"slices"
	"unicode"

	"github.com/tandem-sync/tandem/scoping"
	"github.com/tandem-sync/tandem/state"
)

// The store keeps an index of names beside the objects, so that a glance finds one object without reading all. A key is a hash of the name followed
// by the object's GUID. Entries may be stale: a caller that finds an object by the index checks that it has the name.

// namesFormat is the version of the index; an index of another version is built anew.
const namesFormat = 1

// namesChunk is the number of objects whose names are added in one transaction. With more, the index may be ahead of the stored objects.
const namesChunk = 5000

// The kinds of names.
const (
	byUPN    = 'u'
	bySAM    = 's'
	byAnchor = 'a' // only anchors other than the objectGUID
	byRDN    = 'r'
)

// namesOf returns the bucket of a directory's names.
func namesOf(name string) string { return "names/" + name }

// hashed returns the prefix of the keys of all objects with a name.
func hashed(kind byte, name string) string {
	h := fnv.New64a()
	_, _ = h.Write([]byte{kind})
	_, _ = h.Write([]byte(name))
	return string(binary.BigEndian.AppendUint64(nil, h.Sum64()))
}

// folded returns the same text for all texts that strings.EqualFold takes as equal.
func folded(s string) string {
	out := []rune(s)
	for i, r := range out {
		least := r
		for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
			least = min(least, f)
		}
		out[i] = least
	}
	return string(out)
}

// names returns an object's keys in the index, sorted. A deleted object has none.
func (o *Object) names() (keys []string) {
	if o.Deleted {
		return nil
	}
	add := func(kind byte, name string) { keys = append(keys, hashed(kind, name)+string(o.GUID[:])) }
	if d, err := scoping.ParseDN(o.RDN); err == nil && d.Depth() == 1 {
		add(byRDN, d.RDN().Key())
	}
	if scoping.Base(o.Kind) != "" {
		if o.UPN != "" {
			add(byUPN, folded(o.UPN))
		}
		if o.SAM != "" {
			add(bySAM, folded(o.SAM))
		}
		if len(o.Anchor) > 0 {
			add(byAnchor, string(o.Anchor))
		}
	}
	slices.Sort(keys)
	return keys
}

// aheadOf reports whether names are added before the objects are stored, because one transaction with both would be too big.
func aheadOf(os []Object) bool { return len(os) > namesChunk }

// nameAhead adds the names of objects that are about to be stored, where there are many; all names where the store has no index yet. Census.mu is
// held.
func (c *Census) nameAhead(ctx context.Context, changed map[string][]Object) error {
	for n, os := range changed {
		t := c.trees[n]
		if !t.named {
			os = make([]Object, 0, len(t.objects))
			for _, o := range t.objects {
				os = append(os, *o)
			}
		} else if !aheadOf(os) {
			continue
		}
		for chunk := range slices.Chunk(os, namesChunk) {
			var keys []string
			for i := range chunk {
				keys = append(keys, chunk[i].names()...)
			}
			slices.Sort(keys) // a store takes keys in order much faster
			if err := c.store.Update(ctx, func(tx state.Tx) error { return name(tx, n, keys) }); err != nil {
				return err
			}
		}
	}
	return nil
}

func name(tx state.Tx, directory string, keys []string) error {
	for _, k := range keys {
		if err := tx.Put(namesOf(directory), k, []byte{}); err != nil {
			return err
		}
	}
	return nil
}

// rename removes the names of an object's stored form that it no longer has and, if add is set, adds those that it has.
func rename(tx state.Tx, directory string, o *Object, add bool) error {
	names := o.names()
	if b := tx.Get(objectsOf(directory), o.GUID.String()); b != nil {
		var old Object
		if err := json.Unmarshal(b, &old); err != nil {
			return err
		}
		for _, k := range old.names() {
			if _, stays := slices.BinarySearch(names, k); stays {
				continue
			}
			if err := tx.Delete(namesOf(directory), k); err != nil {
				return err
			}
		}
	}
	if !add {
		return nil
	}
	return name(tx, directory, names)
}

// called returns the objects of a glance that may have a name. ok reports whether the store has an index of names.
func (t *Tree) called(kind byte, name string) (out []*Object, ok bool) {
	if !t.shelf.named {
		return nil, false
	}
	prefix := hashed(kind, name)
	var ids []scoping.GUID
	err := t.shelf.store.View(t.shelf.ctx, func(tx state.Tx) error {
		return tx.Each(namesOf(t.Directory), prefix, func(key string, _ []byte) error {
			var g scoping.GUID
			copy(g[:], key[len(prefix):])
			ids = append(ids, g)
			return nil
		})
	})
	if err != nil {
		t.fail(err)
		return nil, true
	}
	for _, g := range ids {
		if o := t.object(g); o != nil {
			out = append(out, o)
		}
	}
	return out, true
}

// look is Find for a glance by the index of names.
func (t *Tree) look(text string, anchor []byte) (out []scoping.ObjectID, ok bool) {
	found, ok := t.called(byUPN, folded(text))
	if !ok {
		return nil, false
	}
	more, _ := t.called(bySAM, folded(text))
	found = append(found, more...)
	if len(anchor) == 16 {
		found = append(found, t.anchored(anchor)...)
	}
	for _, o := range found {
		if o.named(text, anchor) {
			out = append(out, scoping.ObjectID{Directory: t.Directory, GUID: o.GUID})
		}
	}
	slices.SortFunc(out, scoping.ObjectID.Compare)
	return slices.Compact(out), true
}

// anchored returns the objects of a glance that may have an anchor, which is written or the objectGUID.
func (t *Tree) anchored(anchor []byte) []*Object {
	found, _ := t.called(byAnchor, string(anchor))
	var g scoping.GUID
	copy(g[:], anchor)
	if o := t.object(g); o != nil && bytes.Equal(o.anchor(), anchor) {
		found = append(found, o)
	}
	return found
}

// child is, for a glance, Named below one container: the object of a name that is not deleted. ok reports whether the store has an index of names.
func (t *Tree) child(above scoping.GUID, name scoping.DN) (g scoping.GUID, found, ok bool) {
	first := name.RDN()
	os, ok := t.called(byRDN, first.Key())
	for _, o := range os {
		if x, err := scoping.ParseDN(o.RDN); err == nil && x.Depth() == 1 && o.Parent == above && !o.Deleted && x.RDN().Equal(first) {
			return o.GUID, true, true
		}
	}
	return g, false, ok
}
