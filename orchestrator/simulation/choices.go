package simulation

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/plan"
	"github.com/tandem-sync/tandem/orchestrator/wave"
	"github.com/tandem-sync/tandem/orchestrator/wave/acts"
	"github.com/tandem-sync/tandem/scoping"
)

// The roles by which filters choose, and what each filter of a policy means: the simulator's own reading of it.
var (
	roles   = []string{"", "pilot", "lab"}
	filters = map[string]func(*entry) bool{
		"(employeeType=pilot)":    func(e *entry) bool { return e.role == "pilot" },
		"(employeeType=lab)":      func(e *entry) bool { return e.role == "lab" },
		"(!(employeeType=pilot))": func(e *entry) bool { return e.role != "pilot" },
		"(employeeType=*)":        func(e *entry) bool { return e.role != "" },
	}
	filterTexts = []string{"(employeeType=pilot)", "(employeeType=lab)", "(!(employeeType=pilot))", "(employeeType=*)"}
)

// takes reports, by the directory alone, whether a choice takes a living object.
func (s snapshot) takes(x scoping.Choice, e *entry) bool {
	if !x.Reaches(s.chain(e.guid)) {
		return false
	}
	if g := x.MemberOf.GUID; !g.IsZero() && !s.inGroup(e.guid, g) {
		return false
	}
	if x.Filter != "" && !filters[x.Filter](e) {
		return false
	}
	share, err := scoping.ParseSample(x.Sample)
	return err != nil || share.Holds(e.guid)
}

// inGroup reports whether an object is a member of a living group, nested membership included.
func (s snapshot) inGroup(g, group scoping.GUID) bool {
	seen := map[scoping.GUID]bool{}
	next := []scoping.GUID{g}
	for len(next) > 0 {
		up := s.groupsOf(next[0])
		next = next[1:]
		for _, x := range up {
			if x == group {
				return true
			}
			if !seen[x] {
				seen[x], next = true, append(next, x)
			}
		}
	}
	return false
}

// hollow reports whether a group is deleted or has no living member: its membership then chooses and releases no object (rule T3).
func (s snapshot) hollow(group scoping.GUID) bool {
	e := s.objects[group]
	if e == nil || e.deleted {
		return true
	}
	for g := range e.members {
		if !s.objects[g].deleted {
			return false
		}
	}
	return true
}

// inForce returns the choices that take an object, as the host has them in force.
func (w *world) inForce(g scoping.GUID) []scoping.GUID {
	return w.census.Sight(scoping.ObjectID{Directory: dirName, GUID: g}).Chosen
}

// placeNow is where an object is, with the choices that the host has in force for it.
func (w *world) placeNow(g scoping.GUID) scoping.Place {
	p := w.dir.now.place(g)
	p.Chosen = w.inForce(g)
	return p
}

// choices are those of the partition in force.
func (w *world) choices() []scoping.Choice {
	if w.book.control.partition == nil {
		return nil
	}
	return w.book.control.partition.Choices(dirName)
}

// restPlace is where an object is when everything is at rest, with the choices that take it by the directory. A hollow group still takes what the host has in
// force for it, and a deleted object keeps the choices that took it last.
func (w *world) restPlace(e *entry) scoping.Place {
	p := w.placeNow(e.guid)
	if e.deleted {
		return p
	}
	host := p.Chosen
	p.Chosen = nil
	for _, x := range w.choices() {
		taken := w.dir.now.takes(x, e)
		if g := x.MemberOf.GUID; !g.IsZero() && w.dir.now.hollow(g) {
			taken = slices.Contains(host, x.ID)
		}
		if taken {
			p.Chosen = append(p.Chosen, x.ID)
		}
		if taken != slices.Contains(host, x.ID) && x.Reaches(p.Ancestors) {
			w.failAbout(e.guid, nothingLost, chosenOther, w.dir.now.dn(e.guid), x, x.Under.DN, taken, w.census.Staged())
		}
	}
	slices.SortFunc(p.Chosen, scoping.GUID.Compare)
	return p
}

// stays is what a choice by a group took when the simulator noted it last: see checkFrozen.
type stays struct {
	usn   uint64
	taken map[scoping.GUID]bool
	moved map[scoping.GUID]bool // objects that may leave all the same: their change was staged, or the host had not read it yet

	crashes int
}

// checkFrozen: no object leaves a choice because the choice's group is deleted or emptied (rule T3). What the choice took is noted anew after each step until the
// host has read that the group is, and is compared from then on. After a crash, or a change of other groups, it is noted once more.
func (w *world) checkFrozen() {
	for _, x := range w.choices() {
		g := x.MemberOf.GUID
		if g.IsZero() {
			continue
		}
		old, known := w.book.hollow[x.ID]
		if !known || old.crashes != w.counts["crash"] || !w.dir.now.hollow(g) || !w.heardOf(g) || w.dir.now.regrouped(g, old.usn) {
			w.book.hollow[x.ID] = w.hollowNow(x)
			continue
		}
		for id := range old.taken {
			e := w.dir.now.objects[id]
			if e.usn > old.usn || e.deleted || old.moved[id] || !x.Reaches(w.toldPlace(id).Ancestors) || slices.Contains(w.inForce(id), x.ID) {
				continue
			}
			w.failAbout(id, noDeath, chosenNoMore, w.dir.now.dn(id), x)
		}
	}
}

// regrouped reports whether members of groups changed since a USN, but for one group's being deleted, or emptied by its last change.
func (s snapshot) regrouped(but scoping.GUID, since uint64) bool {
	for _, x := range s.objects {
		last := uint64(0)
		for _, usn := range x.changed {
			last = max(last, usn)
		}
		if x.guid == but && !x.deleted && slices.ContainsFunc(slices.Collect(maps.Values(x.changed)), func(usn uint64) bool { return usn > since && usn < last }) ||
			x.guid == but && x.deleted && last > since || x.guid != but && x.kind == scoping.Group && x.usn > since {
			return true
		}
	}
	return false
}

// heardOf reports whether the host was told of an object as it is now.
func (w *world) heardOf(g scoping.GUID) bool {
	e := w.dir.now.objects[g]
	return e != nil && w.told[g].usn >= e.usn
}

func (w *world) hollowNow(x scoping.Choice) stays {
	s := stays{usn: w.dir.now.usn, taken: map[scoping.GUID]bool{}, moved: map[scoping.GUID]bool{}, crashes: w.counts["crash"]}
	for _, e := range w.dir.now.objects {
		if slices.Contains(w.inForce(e.guid), x.ID) {
			s.taken[e.guid] = true
		}
	}
	for g := range s.taken { // a group that is no longer hollow may not take every object that stayed chosen meanwhile
		if !w.dir.now.hollow(x.MemberOf.GUID) && !w.dir.now.takes(x, w.dir.now.objects[g]) {
			s.moved[g] = true
		}
	}
	for _, c := range w.census.Staged() {
		s.moved[c.Object.GUID] = true
	}
	for _, e := range w.dir.now.objects {
		for m, usn := range e.changed {
			if usn > w.told[e.guid].usn && !e.members[m] {
				w.dir.now.within(m, s.moved)
			}
		}
	}
	return s
}

// within adds an object and, if it is a group, its members, nested ones too.
func (s snapshot) within(g scoping.GUID, out map[scoping.GUID]bool) {
	if e := s.objects[g]; e != nil && !out[g] {
		out[g] = true
		for m := range e.members {
			s.within(m, out)
		}
	}
}

// narrowed writes an assignment whose objects are chosen one by one.
func (w *world) narrowed(name string, priority int) string {
	at := []string{"Sales", "Sales", "Alpha", "Inner", "North", ""}[w.r.IntN(6)]
	under := rootDN
	if at != "" {
		under = w.dir.now.dn(w.named(at))
	}
	engine := []string{cloudsync, cloudsync, cloudsync, connect, connect, scoping.None}[w.r.IntN(6)]
	if engine == scoping.None && w.step > 0 {
		engine = connect // a policy that changes to none parks the objects that it meets, in whatever state they are (rule T4)
	}
	features := "[users, groups]"
	if w.r.IntN(3) == 0 {
		features = "[users]"
	}
	if engine == scoping.None {
		features += "\n    leaving: " + w.leaving
	}
	return fmt.Sprintf("  - name: %s\n    under: %q\n%s    engine: %s\n    features: %s\n    priority: %d\n", name, under, w.selector(), engine, features, priority)
}

// selector returns the lines of an assignment by which it chooses objects.
func (w *world) selector() string {
	out := ""
	n := w.r.IntN(10)
	g, there := pick(w, slices.DeleteFunc(w.living(scoping.Group), func(e *entry) bool { return !strings.HasPrefix(e.name, "pilots") }))
	if n < 5 && there {
		out += fmt.Sprintf("    memberOf: %q\n", w.dir.now.dn(g.guid))
	}
	if n == 4 || (n >= 5 && n < 8) || (n < 5 && !there) {
		out += fmt.Sprintf("    filter: %q\n", filterTexts[w.r.IntN(len(filterTexts))])
	}
	if n >= 8 {
		out += fmt.Sprintf("    sample: %d%%\n", []int{10, 30, 50, 80}[w.r.IntN(4)])
	}
	return out
}

// policyText is a policy: whole subtrees, and narrowed assignments.
func (w *world) policyText(leaving, more string) string {
	text := "version: 1\nfeatures: [users, groups]\nassignments:\n" + assignment("everything", w.dir.now.dn(w.dir.root), connect) +
		assignment("beta", w.dir.now.dn(w.named("Beta")), cloudsync) + more + assignment("gone", w.dir.now.dn(w.named("Gone")), "none") + "    leaving: " + leaving + "\n"
	return w.withHires(w.withDeliveries(w.withContacts(w.withPasswords(text))))
}

// someNarrowed returns at most so many narrowed assignments, as lines of a policy.
func (w *world) someNarrowed(most int) (out string) {
	for i := range w.r.IntN(most + 1) {
		out += w.narrowed(fmt.Sprintf("chosen%d", i+1), 10*(i+1))
	}
	return out
}

// replan is another policy file: what objects are chosen by changes.
func (w *world) replan() {
	if !w.freeAll(connect, cloudsync) || len(w.driving) > 1 {
		return
	}
	more := ""
	if w.r.IntN(3) == 0 {
		more = assignment("sales", w.dir.now.dn(w.named("Sales")), []string{connect, cloudsync}[w.r.IntN(2)])
	}
	text := w.policyText(w.leaving, more+w.someNarrowed(2))
	w.counts["plan"]++
	w.log("plan %s {", strings.ReplaceAll(text[strings.Index(text, "beta"):], "\n", " "))
	w.call(withPasswordsOf(connect, cloudsync), func() {
		p, err := w.host.Plan(context.Background(), plan.PlanOptions{File: "policy.yaml", Text: []byte(text), AllowRevert: true})
		var ws []wave.Wave
		if err == nil {
			ws, err = w.host.Apply(context.Background(), p, w.applyOptions())
		}
		for _, x := range ws {
			delete(w.book.frozen, x.ID)
			if x.State.Over() {
				w.counts["wave "+string(x.State)]++
			}
		}
		w.log("} plan: %s %v", summary(ws), err)
	})
}

func (w *world) applyOptions() acts.ApplyOptions {
	o := acts.ApplyOptions{By: "simulation", Options: wave.Options{AutoApprove: w.r.IntN(2) == 0, Soak: []time.Duration{0, 20 * time.Second, time.Hour}[w.r.IntN(3)], AutoComplete: w.r.IntN(2) == 0}}
	if w.eyes[ClockSteps] && w.r.IntN(2) == 0 {
		o.AutoApprove, o.AutoComplete, o.Soak = true, true, time.Hour
		return o
	}
	if w.r.IntN(2) == 0 {
		o.HoldBefore = []wave.Phase{wave.ShadowPhase, wave.Freeze, wave.Cutover, wave.Soak}[w.r.IntN(4)]
	}
	return o
}

// addPilots makes groups by which policies choose, one within the other.
func (w *world) addPilots() {
	inner := w.dir.put(entry{guid: w.dir.nextGUID(), parent: w.anOU(), kind: scoping.Group, name: "pilots-inner", display: "D pilots-inner", members: w.someUsers(3)})
	members := w.someUsers(5)
	members[inner.guid] = true
	w.dir.put(entry{guid: w.dir.nextGUID(), parent: w.anOU(), kind: scoping.Group, name: "pilots", display: "D pilots", members: members})
	w.dir.put(entry{guid: w.dir.nextGUID(), parent: w.anOU(), kind: scoping.Group, name: "pilots-other", display: "D pilots-other", members: w.someUsers(4)})
}

// someUsers returns at most so many users, as members of a group.
func (w *world) someUsers(most int) map[scoping.GUID]bool {
	out := map[scoping.GUID]bool{}
	for range w.r.IntN(most + 1) {
		if m, ok := pick(w, w.living(scoping.User)); ok {
			out[m.guid] = true
		}
	}
	return out
}

// changeChosen is one change of the groups, containers and roles by which policies choose.
func (w *world) changeChosen() {
	pilots := slices.DeleteFunc(w.living(scoping.Group), func(e *entry) bool { return !strings.HasPrefix(e.name, "pilots") })
	g, there := pick(w, pilots)
	switch n := w.r.IntN(20); {
	case n < 8 && there:
		w.changeMembers(*g)
	case n < 9 && there:
		e := *g
		e.members = nil
		w.dir.put(e)
		w.log("directory: %s is emptied", e.name)
	case n < 10 && there:
		w.dir.kill(g.guid)
		w.log("directory: %s (%s) deleted", g.name, g.guid)
	case n < 12 && there:
		e := *g
		e.members = w.someUsers(20)
		w.dir.put(e)
		w.log("directory: %s has other members: %d", e.name, len(e.members))
	case n < 16:
		w.reorganize()
	case n < 17:
		w.undelete()
	default:
		if u, ok := pick(w, w.living(scoping.User)); ok {
			e := *u
			e.role = roles[w.r.IntN(len(roles))]
			w.dir.put(e)
			w.log("directory: role of %s is %q", e.name, e.role)
		}
	}
}

// reorganize makes the role of all users below a container the same.
func (w *world) reorganize() {
	at := w.dir.root
	if w.r.IntN(2) == 0 {
		at = w.anOU()
	}
	role := roles[w.r.IntN(len(roles))]
	for _, e := range w.living(scoping.User) {
		if slices.Contains(w.dir.now.chain(e.guid), at) && e.role != role {
			c := *e
			c.role = role
			w.dir.put(c)
		}
	}
	w.log("directory: role of all in %s is %q", w.dir.now.dn(at), role)
}
