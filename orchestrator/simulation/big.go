package simulation

import (
	"slices"

	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/scoping"
)

// Worlds of 300 objects and more, in which a tenth is more than five: what happens there happens to many at once.

// populate fills a big world's containers.
func (w *world) populate() {
	for range 300 + w.r.IntN(80) {
		n := w.newName("m")
		w.dir.put(entry{guid: w.dir.nextGUID(), parent: w.anOU(), kind: scoping.User, name: n, display: "D " + n, upn: n + "@sim.test", enabled: true, dept: "crowd"})
	}
	w.addGroup()
	g := *w.living(scoping.Group)[0]
	g.members = map[scoping.GUID]bool{}
	for _, u := range w.living(scoping.User)[:120] {
		g.members[u.guid] = true
	}
	w.dir.put(g)
}

// mass is a change to many objects at once, as administrators make with a script.
func (w *world) mass() {
	users := w.living(scoping.User)
	at, n := w.anOU(), w.r.IntN(6)
	some := slices.DeleteFunc(slices.Clone(users), func(e *entry) bool { return e.parent != at && n > 0 }) // deletes: of any container
	some = some[:min(len(some), 8+w.r.IntN(60))]
	for _, u := range some {
		e := *u
		switch n {
		case 0, 1:
			w.dir.kill(u.guid)
			continue
		case 2:
			e.enabled = false
		case 3:
			e.parent = w.named("Gone")
		case 4:
			e.dept = ""
		default:
			e.upn = w.newName("mass") + "@sim.test"
		}
		w.dir.put(e)
	}
	what := []string{"deleted", "deleted", "disabled", "moved to Gone", "without department", "renamed"}[n]
	if g, ok := pick(w, slices.DeleteFunc(w.living(scoping.Group), func(e *entry) bool { return len(e.members) < 20 })); ok && w.r.IntN(3) == 0 {
		e := *g
		e.members = nil
		w.dir.put(e)
		w.log("directory: %s is emptied of %d", e.name, len(g.members))
	}
	w.saw(BigWorlds)
	w.log("directory: %d users of %s %s", len(some), w.dir.now.dn(at), what)
}

// undo undeletes up to 40 objects at once, as after a script that was run by mistake.
func (w *world) undo() {
	deleted := slices.DeleteFunc(w.dir.now.sorted(), func(e *entry) bool { return !e.deleted || e.kind == directory.OU })
	for _, d := range deleted[:min(len(deleted), 40)] {
		e := *d
		e.deleted = false
		w.dir.put(e)
	}
	w.log("directory: %d objects undeleted", min(len(deleted), 40))
}

// batch is what a threshold counts together.
type batch struct {
	run        uint64
	life       int
	engine     string
	assignment string
	kind       scoping.Kind
	class      ledger.Class
}

// checkThreshold: a run deletes no more than policy allows, but what a person approved (rule D2).
func (w *world) checkThreshold(x cloud.Write, r ledger.Record) {
	if x.Op != cloud.Delete || r.Intent == nil || r.Wave != "" {
		return
	}
	b := batch{r.Run, w.counts["crash"], r.Engine, r.Intent.Assignment, r.Kind, r.Intent.Class}
	if w.approved[r.Object.GUID] {
		return
	}
	if w.book.deletes[b] == nil {
		w.book.deletes[b] = map[scoping.GUID]bool{}
	}
	w.book.deletes[b][r.Object.GUID] = true
	linked := 0
	for _, row := range w.book.scratch.Rows.All() {
		if row.Kind == r.Kind {
			linked++
		}
	}
	if n, limit := len(w.book.deletes[b]), max(5, linked/10); n > limit {
		w.failAbout(r.Object.GUID, noSurprise, aboveLimit, r.Run, r.Engine, n, r.Kind, limit)
	}
}

// approve notes the objects that a person's approval of a held set concerns, and the questions that it answers.
func (w *world) approve(h ledger.Hold) {
	for _, e := range h.Entries {
		w.approved[e.Object.GUID] = true
		w.answered[question{e.Object.GUID, e.Feature, e.Digest()}] = true
	}
	w.approveBrought(h)
}

// question is what a person is asked about a feature of an object: the grave part of one write.
type question struct {
	object  scoping.GUID
	feature scoping.Feature
	grave   string
}

// checkBound: what goes out as approved is what a person was shown, and not another grave write of the same object (standing S9).
func (w *world) checkBound(r ledger.Record) {
	if in := r.Intent; in.Approved && in.Grave != "" && !w.answered[question{r.Object.GUID, r.Feature, in.Grave}] {
		w.failAbout(r.Object.GUID, noSurprise, otherApproved, in.Write.Op, w.dir.now.dn(r.Object.GUID))
	}
}
