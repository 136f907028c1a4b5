package census

import (
	"maps"
	"slices"
	"strings"

	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/scoping"
)

// linkAttributes conventionally hold which object of the tenant an object was made of ("User_" or "Group_" and its id). They are read whatever the
// policy says, as an account can be older than the state.
var linkAttributes = []string{scoping.DefaultLink, "adminDescription"}

// Links adds attributes that show links. A directory that was read without one of them is read from the start by the next Refresh. An attribute is
// never removed.
func (c *Census) Links(names []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, n := range names {
		if n = strings.ToLower(n); !slices.Contains(c.links, n) {
			c.links = append(c.links, n)
			slices.Sort(c.links)
		}
	}
}

// attributes returns the attributes that are read of each object. Census.mu is held.
func (c *Census) attributes() []string { return slices.Concat(Attrs, c.links) }

// Linked returns the objects of a directory that show a link and are not deleted, in order.
func (c *Census) Linked(name, link string) []scoping.GUID {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.trees[name]
	if t == nil {
		return nil
	}
	t.whole()
	return slices.SortedFunc(maps.Keys(t.linked[strings.ToLower(link)]), scoping.GUID.Compare)
}

// isLink reports whether a value is the link of an object of a tenant.
func isLink(v string) bool {
	_, id, ok := strings.Cut(v, "_")
	if _, err := scoping.ParseGUID(id); !ok || err != nil {
		return false
	}
	return strings.HasPrefix(v, "User_") || strings.HasPrefix(v, "Group_")
}

// mergeLinks takes in what an entry says about links. Each is kept with its attribute's name, since a change covers one attribute only.
func mergeLinks(o *Object, e directory.Entry, names []string) {
	for _, n := range names {
		if _, told := e.Attrs[n]; !told {
			continue
		}
		prefix := n + "="
		o.Links = slices.DeleteFunc(slices.Clone(o.Links), func(l string) bool { return strings.HasPrefix(l, prefix) })
		for _, v := range e.Texts(n) {
			if isLink(v) {
				o.Links = append(o.Links, prefix+v)
			}
		}
		slices.Sort(o.Links)
	}
	if len(o.Links) == 0 {
		o.Links = nil
	}
}

// shows returns the links that an object shows.
func (o *Object) shows() (out []string) {
	for _, l := range o.Links {
		_, v, _ := strings.Cut(l, "=")
		out = append(out, v)
	}
	return out
}

// link adds an object to the index of links, or removes it.
func (t *Tree) link(o *Object, is bool) {
	for _, v := range o.shows() {
		v = strings.ToLower(v)
		switch {
		case !is:
			if delete(t.linked[v], o.GUID); len(t.linked[v]) == 0 {
				delete(t.linked, v)
			}
		case t.linked[v] == nil:
			t.linked[v] = map[scoping.GUID]struct{}{o.GUID: {}}
		default:
			t.linked[v][o.GUID] = struct{}{}
		}
	}
}

func lower(names []string) []string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = strings.ToLower(n)
	}
	return out
}
