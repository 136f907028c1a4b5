package simulation

import (
	"slices"
	"strings"

	"github.com/tandem-sync/tandem/scoping"
)

// thaw is a group that comes back as it was, some steps after it was emptied or deleted.
type thaw struct {
	group   scoping.GUID
	members map[scoping.GUID]bool
	at      int // step
}

// freezeGroup empties or deletes a group by which policies choose, for a while.
func (w *world) freezeGroup() {
	g, ok := pick(w, slices.DeleteFunc(w.living(scoping.Group), func(e *entry) bool {
		return !strings.HasPrefix(e.name, "pilots") || w.dir.now.hollow(e.guid) || slices.ContainsFunc(w.thaws, func(t thaw) bool { return t.group == e.guid })
	}))
	if !ok {
		return
	}
	w.thaws = append(w.thaws, thaw{g.guid, g.members, w.step + 1 + w.r.IntN(8)})
	if w.r.IntN(2) == 0 {
		w.dir.kill(g.guid)
		w.log("directory: %s is deleted for a while", g.name)
		return
	}
	e := *g
	e.members = nil
	w.dir.put(e)
	w.log("directory: %s is emptied for a while", g.name)
}

// thawGroups lets groups come back whose time has come.
func (w *world) thawGroups(all bool) {
	w.thaws = slices.DeleteFunc(w.thaws, func(t thaw) bool {
		if !all && t.at > w.step {
			return false
		}
		e := *w.dir.now.objects[t.group]
		if !w.dir.now.hollow(t.group) {
			return true // it has members again by another change
		}
		e.deleted, e.members = false, t.members
		w.dir.put(e)
		w.saw(Thaws)
		w.note(e.guid, GroupThawed)
		w.log("directory: %s is back with %d members", e.name, len(e.members))
		return true
	})
}
