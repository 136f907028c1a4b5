package census

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/scoping"
)

// followed is the result of reading chains anew. It takes effect only together with the judgement of the objects concerned: a chain that is stored
// before they are judged looks unchanged to the next reading, and they would never be judged.
type followed struct {
	chains    map[chain]*reached      // the chains that were read
	pinned    map[scoping.GUID]string // target groups, with why their membership is pinned; "": it is not
	concerned map[scoping.GUID]bool   // objects whose choices may differ now
}

// follow reads the chains that pending changes touch. The line's lock is held.
func (c *Census) follow(ctx context.Context, r Reader, name string, s *choosing, n pendingChanges) (*followed, error) {
	f := &followed{map[chain]*reached{}, map[scoping.GUID]string{}, c.linked(name, s, n)}
	for _, k := range s.sorted() {
		known := s.chains[k]
		if known != nil && !known.touched(k, n.entries) {
			continue
		}
		now, there, err := read(ctx, r, k)
		if err != nil {
			return nil, err
		}
		if k.attribute == "memberof" {
			was := s.pinned[k.target]
			f.pinned[k.target] = c.silence(name, s, k.target, known, now, there)
			stuck := f.pinned[k.target] != ""
			if stuck || was != "" { // pinning drops the changes that were staged by this group; unpinning looks at them again
				maps.Copy(f.concerned, c.taken(name, s, k))
			}
			if stuck {
				continue
			}
			if was != "" { // objects that came below the choice's container while the group was pinned
				maps.Copy(f.concerned, now.objects)
			}
		}
		if known == nil {
			known = &reached{objects: c.taken(name, s, k)}
		}
		differing(known, now, f.concerned)
		f.chains[k] = now
	}
	return f, nil
}

// keepFollowed stores the chains that were read. Census.mu is held.
func (s *choosing) keepFollowed(f *followed) {
	maps.Copy(s.chains, f.chains)
	for g, why := range f.pinned {
		if why == "" {
			delete(s.pinned, g)
		} else {
			s.pinned[g] = why
		}
	}
}

// sorted returns the chains in order, so that a run asks the directory the same questions each time.
func (s *choosing) sorted() []chain {
	return slices.SortedFunc(maps.Keys(s.chains), func(a, b chain) int {
		return cmp.Or(strings.Compare(a.attribute, b.attribute), a.target.Compare(b.target))
	})
}

// differing adds the objects that are in one reading of a chain and not in the other.
func differing(known, now *reached, out map[scoping.GUID]bool) {
	for g := range known.objects {
		if !now.objects[g] {
			out[g] = true
		}
	}
	for g := range now.objects {
		if !known.objects[g] {
			out[g] = true
		}
	}
}

// linked returns the objects whose link values changed without an entry of their own: DirSync reports a back-link's change at its other end, and an
// end that is deleted, renamed or moved changes the values of all objects linked to it.
func (c *Census) linked(name string, s *choosing, n pendingChanges) map[scoping.GUID]bool {
	out := map[scoping.GUID]bool{}
	for _, v := range s.values {
		if forward[v] == "" {
			continue
		}
		if forward[v] != v {
			for _, e := range n.entries {
				for _, l := range ends(e.Links[forward[v]]) {
					out[l.GUID] = true
				}
			}
		}
		shaken := func(e Event) bool {
			return e.Type != Appeared && e.Type != Chosen && (v != "memberof" || e.Kind == scoping.Group)
		}
		if slices.ContainsFunc(n.events, shaken) {
			c.lookingFor(name, s, v, out)
		}
	}
	return out
}

// lookingFor adds the objects below choices that read an attribute.
func (c *Census) lookingFor(name string, s *choosing, attribute string, out map[scoping.GUID]bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.trees[name]
	if t == nil {
		return
	}
	for _, x := range s.choosers {
		if slices.Contains(x.Wants(), attribute) {
			for id := range t.Under(x.Under.GUID) {
				out[id.GUID] = true
			}
		}
	}
}

func ends(l directory.LinkChange) []directory.Link {
	return slices.Concat(l.Targets, l.Added, l.Removed)
}

// silence returns why a group's membership is to be pinned (rule T3): it chose objects before, and now it is deleted or empty. "" means that it is
// not.
func (c *Census) silence(name string, s *choosing, group scoping.GUID, known, now *reached, there bool) string {
	had := known != nil && len(known.objects) > 0 || len(c.taken(name, s, chain{"memberof", group})) > 0
	switch {
	case !had || !c.without.PinsGroups():
		return ""
	case !there:
		return Vanished
	case len(now.objects) == 0:
		return Emptied
	}
	return ""
}

// taken returns the objects taken by choices that follow a chain: the best knowledge of the chain before it was read.
func (c *Census) taken(name string, s *choosing, k chain) map[scoping.GUID]bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := map[scoping.GUID]bool{}
	t := c.trees[name]
	if t == nil {
		return out
	}
	for _, x := range s.choosers {
		if !s.follows(x, k) {
			continue
		}
		for g, o := range t.objects {
			if slices.Contains(o.Chosen, x.ID) || slices.Contains(o.Staged, x.ID) {
				out[g] = true
			}
		}
	}
	return out
}

// follows reports whether a choice follows a chain.
func (s *choosing) follows(x scoping.Chooser, k chain) bool {
	if k.attribute == "memberof" && x.Choice.MemberOf.GUID == k.target {
		return true
	}
	return slices.ContainsFunc(x.Chains(), func(l scoping.ChainLink) bool {
		g, ok := s.targets[l.Target.Key()]
		return ok && l.Attribute == k.attribute && g == k.target
	})
}

// touched reports whether pending changes may alter the set of objects that a chain leads from.
func (r *reached) touched(k chain, entries []directory.Entry) bool {
	link := forward[k.attribute]
	for _, e := range entries {
		if e.Restored() || e.Deleted && (e.GUID == k.target || r.through[e.GUID]) {
			return true // a restored object may be linked again without an entry of its own
		}
		if _, ok := e.Links[link]; !ok && !e.Has(link) {
			continue
		}
		if k.attribute == link { // the link is an attribute of the objects themselves: any of them may lead to the target now, or no longer
			return true
		}
		if e.GUID == k.target || r.through[e.GUID] {
			return true
		}
	}
	return false
}

// read follows a chain backwards from its target. there is false when the target does not exist.
func read(ctx context.Context, r Reader, k chain) (out *reached, there bool, err error) {
	out = &reached{objects: map[scoping.GUID]bool{}, through: map[scoping.GUID]bool{}}
	way := back[k.attribute]
	next := []scoping.GUID{k.target}
	for len(next) > 0 {
		found, err := r.ByGUID(ctx, next, []string{way, "objectClass"}, false)
		if err != nil {
			return nil, false, err
		}
		var further []scoping.GUID
		for _, g := range next {
			e, ok := found[g]
			if !ok || e.Deleted {
				continue
			}
			if g == k.target {
				there = true
			}
			out.through[g] = true
			for _, l := range e.Links[strings.ToLower(way)].Targets {
				if !out.objects[l.GUID] {
					out.objects[l.GUID] = true
					further = append(further, l.GUID)
				}
			}
		}
		slices.SortFunc(further, scoping.GUID.Compare)
		next = slices.DeleteFunc(further, func(g scoping.GUID) bool { return out.through[g] })
	}
	return out, there, nil
}
