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

// followed is what reading the chains anew gave. It is kept all at once, when whom it concerns was judged: a chain that is known as it is while nobody was
// judged by it would never be told from what is there.
type followed struct {
	chains    map[chain]*reached      // that were read
	frozen    map[scoping.GUID]string // groups among their targets, "" for one that says something
	concerned map[scoping.GUID]bool   // whose choices may be others now
}

// follow reads the chains that the news touch. The line's lock is held.
func (c *Census) follow(ctx context.Context, r Reader, name string, s *choosing, n news) (*followed, error) {
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
			was := s.frozen[k.target]
			f.frozen[k.target] = c.silence(name, s, k.target, known, now, there)
			stuck := f.frozen[k.target] != ""
			if stuck || was != "" { // what waited before it froze waits no longer; what was before it thawed is looked at again
				maps.Copy(f.concerned, c.taken(name, s, k))
			}
			if stuck {
				continue
			}
			if was != "" { // and so is whoever is in it now: he may have come into its reach while it said nothing
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

// keepFollowed puts in force what was read of the chains. The lock is held.
func (s *choosing) keepFollowed(f *followed) {
	maps.Copy(s.chains, f.chains)
	for g, why := range f.frozen {
		if why == "" {
			delete(s.frozen, g)
		} else {
			s.frozen[g] = why
		}
	}
}

// sorted gives the chains in order, so that the same directory is asked in the same way.
func (s *choosing) sorted() []chain {
	return slices.SortedFunc(maps.Keys(s.chains), func(a, b chain) int {
		return cmp.Or(strings.Compare(a.attribute, b.attribute), a.target.Compare(b.target))
	})
}

// differing adds the objects from which a chain leads at one time and not at the other.
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

// linked gives the objects whose link values changed although the directory tells nothing of themselves: a back-link's change is told of its other
// end, and what happens to an end (it dies, is renamed, moves) changes the values of whoever is linked with it.
func (c *Census) linked(name string, s *choosing, n news) map[scoping.GUID]bool {
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

// lookingFor adds the objects at which choices look that ask for an attribute.
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

// silence says why a group says nothing any more of whom it chose: it vanished, or emptied (rule T3). "" when it does.
func (c *Census) silence(name string, s *choosing, group scoping.GUID, known, now *reached, there bool) string {
	had := known != nil && len(known.objects) > 0 || len(c.taken(name, s, chain{"memberof", group})) > 0
	switch {
	case !had || !c.without.FreezesGroups():
		return ""
	case !there:
		return Vanished
	case len(now.objects) == 0:
		return Emptied
	}
	return ""
}

// taken gives the objects that choices take which ask for a chain: what is known of it before it was read.
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

// follows says whether a choice asks for a chain.
func (s *choosing) follows(x scoping.Chooser, k chain) bool {
	if k.attribute == "memberof" && x.Choice.MemberOf.GUID == k.target {
		return true
	}
	return slices.ContainsFunc(x.Chains(), func(l scoping.ChainLink) bool {
		g, ok := s.targets[l.Target.Key()]
		return ok && l.Attribute == k.attribute && g == k.target
	})
}

// touched says whether news may change whom a chain leads from.
func (r *reached) touched(k chain, news []directory.Entry) bool {
	link := forward[k.attribute]
	for _, e := range news {
		if e.Restored() || e.Deleted && (e.GUID == k.target || r.through[e.GUID]) {
			return true // who comes back may be linked again without another word
		}
		if _, ok := e.Links[link]; !ok && !e.Has(link) {
			continue
		}
		if k.attribute == link { // the objects themselves hold the link: whose link changed may now lead to the target, or no longer
			return true
		}
		if e.GUID == k.target || r.through[e.GUID] {
			return true
		}
	}
	return false
}

// read follows a chain from its target the other way. There is false when the target is no more.
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
