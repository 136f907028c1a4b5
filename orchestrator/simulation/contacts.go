package simulation

import (
	"strings"

	"github.com/tandem-sync/tandem/scoping"
)

// withContacts lets a policy give contacts to each engine that has users and groups.
func (w *world) withContacts(text string) string {
	if !w.eyes[Contacts] {
		return text
	}
	return strings.ReplaceAll(text, "users, groups", "users, groups, contacts")
}

// people are the objects that are in groups and manage others, in order: users, and contacts.
func (w *world) people() []*entry {
	if !w.eyes[Contacts] {
		return w.living(scoping.User)
	}
	return append(w.living(scoping.User), w.living(scoping.Contact)...)
}

func (w *world) addContact() {
	n := w.newName("c")
	e := entry{guid: w.dir.nextGUID(), parent: w.anOU(), kind: scoping.Contact, name: n, display: "D " + n, enabled: true}
	if m, ok := pick(w, w.people()); ok && w.r.IntN(2) == 0 {
		e.manager = m.guid
	}
	w.dir.put(e)
	w.log("directory: new contact %s in %s", n, w.dir.now.dn(e.parent))
}

// changeContact is one change of the contacts, or of where they are referred to.
func (w *world) changeContact() {
	c, any := pick(w, w.living(scoping.Contact))
	if n := w.r.IntN(10); !any || n == 0 {
		w.addContact()
		return
	} else if n == 1 {
		w.dir.kill(c.guid)
		w.log("directory: %s (%s) deleted", c.name, c.guid)
		return
	}
	e := *c
	switch w.r.IntN(5) {
	case 0:
		e.display = "D " + w.newName("n")
	case 1:
		e.dept, e.title = w.newName("dept"), ""
	case 2:
		w.changeManager(e)
		return
	case 3:
		if g, ok := pick(w, w.living(scoping.Group)); ok {
			w.changeMembers(*g)
		}
		return
	default:
		e.parent = w.anOU()
	}
	w.dir.put(e)
	w.log("directory: contact %s is %s, %s, %s in %s", e.name, e.display, e.dept, e.title, w.dir.now.dn(e.parent))
}
