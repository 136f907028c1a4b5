package census

import (
	"context"
	"slices"
	"strings"

	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/scoping"
)

// follow brings the chains up to date with the news, and gives whom that concerns. The io lock is held.
func (c *Census) follow(ctx context.Context, r Reader, name string, s *choosing, news []directory.Entry) (map[scoping.GUID]bool, error) {
	concerned := map[scoping.GUID]bool{}
	for k, known := range s.chains {
		if known != nil && !known.touched(k, news) {
			continue
		}
		now, there, err := read(ctx, r, k)
		if err != nil {
			return nil, err
		}
		if k.attribute == "memberof" && c.freeze(s, k.target, known, now, there, c.choosesAnybody(name, s, k.target)) {
			continue
		}
		if known == nil {
			known = &reached{objects: c.taken(name, s, k.target)}
		}
		for g := range known.objects {
			if !now.objects[g] {
				concerned[g] = true
			}
		}
		for g := range now.objects {
			if !known.objects[g] {
				concerned[g] = true
			}
		}
		s.chains[k] = now
	}
	for _, v := range s.values { // links whose change is told of the other end
		if forward[v] != "" && forward[v] != v {
			for _, e := range news {
				for _, l := range ends(e.Links[forward[v]]) {
					concerned[l.GUID] = true
				}
			}
		}
	}
	return concerned, nil
}

func ends(l directory.LinkChange) []directory.Link {
	return slices.Concat(l.Targets, l.Added, l.Removed)
}

// freeze notes that a group vanished or emptied that chose somebody, and says whether what it chooses stays as it was.
func (c *Census) freeze(s *choosing, group scoping.GUID, known, now *reached, there, choseAnybody bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	s.frozen[group] = ""
	had := known != nil && len(known.objects) > 0 || choseAnybody
	switch {
	case !there && had:
		s.frozen[group] = "vanished"
	case len(now.objects) == 0 && had:
		s.frozen[group] = "emptied"
	}
	return s.frozen[group] != ""
}

// choosesAnybody says whether some object is taken by a choice that asks for a group's members.
func (c *Census) choosesAnybody(name string, s *choosing, group scoping.GUID) bool {
	return len(c.taken(name, s, group)) > 0
}

// taken gives the objects that choices take which ask for a chain to a target: what is known of it before it was read.
func (c *Census) taken(name string, s *choosing, target scoping.GUID) map[scoping.GUID]bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := map[scoping.GUID]bool{}
	t := c.trees[name]
	if t == nil {
		return out
	}
	for _, x := range s.choosers {
		asks := x.Choice.MemberOf.GUID == target
		for _, l := range x.Chains() {
			asks = asks || s.targets[l.Target.Key()] == target
		}
		for g, o := range t.objects {
			if asks && slices.Contains(o.Chosen, x.ID) {
				out[g] = true
			}
		}
	}
	return out
}

// touched says whether news may change whom a chain leads from.
func (r *reached) touched(k chain, news []directory.Entry) bool {
	link := forward[k.attribute]
	for _, e := range news {
		if e.Deleted && (e.GUID == k.target || r.through[e.GUID]) {
			return true
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
