package simulation

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/scoping"
)

// found makes the world: a tree of OUs, people and groups, a tenant, a policy.
func (w *world) found() {
	ou := map[string]scoping.GUID{"": w.dir.root}
	for _, path := range []string{"Alpha", "Alpha/Inner", "Sales", "Sales/Contractors", "Sales/North", "Beta", "Gone"} {
		up, name := "", path
		if i := strings.LastIndexByte(path, '/'); i >= 0 {
			up, name = path[:i], path[i+1:]
		}
		ou[path] = w.dir.put(entry{guid: w.dir.nextGUID(), parent: ou[up], kind: directory.OU, name: name}).guid
	}
	for range 4 + w.r.IntN(14) {
		w.addUser()
	}
	for range 1 + w.r.IntN(6) {
		w.addGroup()
	}
	if w.eyes[Contacts] {
		for range 3 + w.r.IntN(6) {
			w.addContact()
		}
	}
	if w.eyes[BigWorlds] {
		w.populate()
	}
	w.foundHires()
	if w.chooses = w.r.IntN(3) > 0; w.chooses {
		w.addPilots()
	}
	for range 2 {
		w.tenant.made++
		a := &account{id: fmt.Sprintf("f%02d", w.tenant.made), anchor: "foreign"}
		w.tenant.accounts[a.id] = a
		w.tenant.set(a, cloud.Object{ID: a.id, Kind: scoping.User, Values: cloud.Values{cloud.DisplayName: {a.id}, cloud.UPN: {a.id + "@sim.test"}}})
	}
	if err := w.open(); err != nil {
		panic(broken{})
	}
	if w.eyes[FromCloud] {
		w.pass(time.Second) // so that the tenant shows its groups
	}
	w.leaving = []string{"disable", "remove", "keep"}[w.r.IntN(3)]
	contractors := ""
	if w.r.IntN(2) == 0 {
		contractors = assignment("contractors", "OU=Contractors,OU=Sales,"+rootDN, []string{connect, cloudsync}[w.r.IntN(2)])
	}
	w.log("policy: leaving %s, contractors %q, chooses %v", w.leaving, contractors, w.chooses)
	if w.chooses {
		contractors += w.someNarrowed(2)
	}
	text := w.policyText(w.leaving, contractors)
	w.log("%s", strings.ReplaceAll(text, "\n", " "))
	if _, err := w.host.Import(context.Background(), "policy.yaml", []byte(text), "simulation"); err != nil {
		panic(fmt.Sprintf("importing the policy: %v", err))
	}
	w.faults = true
}

func assignment(name, under, engine string) string {
	return fmt.Sprintf("  - name: %s\n    under: %q\n    engine: %s\n    features: [users, groups]\n", name, under, engine)
}

func pick[T any](w *world, from []T) (T, bool) {
	var none T
	if len(from) == 0 {
		return none, false
	}
	return from[w.r.IntN(len(from))], true
}

// living returns the living objects of a kind, in order.
func (w *world) living(k scoping.Kind) []*entry {
	return slices.DeleteFunc(w.dir.now.sorted(), func(e *entry) bool { return e.deleted || e.kind != k })
}

func (w *world) newName(what string) string {
	w.names++
	return fmt.Sprintf("%s%d", what, w.names)
}

func (w *world) anOU() scoping.GUID {
	e, _ := pick(w, w.living(directory.OU))
	return e.guid
}

func (w *world) addUser() {
	n := w.newName("u")
	e := entry{guid: w.dir.nextGUID(), parent: w.anOU(), kind: scoping.User, name: n, display: "D " + n, upn: n + "@sim.test", enabled: true}
	if w.r.IntN(8) == 0 {
		e.upn = ""
	}
	if w.eyes[Domains] && w.r.IntN(3) == 0 {
		e.upn = n + "@" + lateDomain
	}
	if w.r.IntN(2) == 0 {
		e.dept, e.title = w.newName("dept"), w.newName("title")
	}
	if w.chooses {
		e.role = roles[w.r.IntN(len(roles))]
	}
	if m, ok := pick(w, w.living(scoping.User)); ok && w.r.IntN(2) == 0 {
		e.manager = m.guid
	}
	w.dir.put(e)
	w.log("directory: new user %s in %s", n, w.dir.now.dn(e.parent))
}

func (w *world) addGroup() {
	n := w.newName("g")
	e := entry{guid: w.dir.nextGUID(), parent: w.anOU(), kind: scoping.Group, name: n, display: "D " + n, members: map[scoping.GUID]bool{}}
	for range w.r.IntN(5) {
		if m, ok := pick(w, append(w.people(), w.living(scoping.Group)...)); ok {
			e.members[m.guid] = true
		}
	}
	w.dir.put(e)
	w.log("directory: new group %s in %s", n, w.dir.now.dn(e.parent))
}

// changeDirectory is one change by the directory's administrators.
func (w *world) changeDirectory() {
	w.counts["directory"]++
	if w.eyes[Passwords] && w.r.IntN(4) == 0 {
		w.changePassword()
		return
	}
	if w.eyes[Contacts] && w.r.IntN(3) == 0 {
		w.changeContact()
		return
	}
	if w.chooses && w.r.IntN(4) == 0 {
		w.changeChosen()
		return
	}
	u, anyUser := pick(w, w.living(scoping.User))
	g, anyGroup := pick(w, w.living(scoping.Group))
	switch n := w.r.IntN(100); {
	case n < 8 || !anyUser || !anyGroup:
		w.addUser()
	case n < 11:
		w.addGroup()
	case n < 25:
		w.changeUser(*u)
	case n < 47:
		e := *u
		if w.r.IntN(4) == 0 {
			e = *g
		}
		e.parent = w.anOU()
		w.dir.put(e)
		w.log("directory: %s moved to %s", e.name, w.dir.now.dn(e.parent))
	case n < 53:
		e := *u
		e.enabled, e.parent = false, w.named("Gone")
		w.dir.put(e)
		w.log("directory: %s disabled and moved to Gone", e.name)
	case n < 63:
		e := u
		if w.r.IntN(4) == 0 {
			e = g
		}
		w.dir.kill(e.guid)
		w.log("directory: %s (%s) deleted", e.name, e.guid)
	case n < 69:
		w.undelete()
	case n < 84:
		w.changeMembers(*g)
	case n < 90:
		w.changeManager(*u)
	case n < 93:
		e := *g
		e.display = "D " + w.newName("g")
		w.dir.put(e)
		w.log("directory: %s is called %s", e.name, e.display)
	default:
		w.changeOU()
	}
}

func (w *world) named(name string) scoping.GUID {
	for _, e := range w.living(directory.OU) {
		if e.name == name || strings.HasPrefix(e.name, name+"-") {
			return e.guid
		}
	}
	return w.dir.root
}

func (w *world) changeUser(e entry) {
	switch w.r.IntN(7) {
	case 0:
		e.display = "D " + w.newName("n")
	case 1:
		e.enabled = !e.enabled
	case 2:
		e.upn = w.newName("upn") + "@sim.test"
	case 3:
		e.dept = w.newName("dept")
	case 4:
		e.title = w.newName("title")
	case 5:
		e.dept, e.title = "", ""
	default:
		if w.r.IntN(4) == 0 {
			e.upn = ""
		} else if e.upn == "" {
			e.upn = w.newName("upn") + "@sim.test"
		}
	}
	w.dir.put(e)
	w.log("directory: %s changed: %s %s %s %s %v", e.name, e.display, e.upn, e.dept, e.title, e.enabled)
}

func (w *world) undelete() {
	deleted := slices.DeleteFunc(w.dir.now.sorted(), func(e *entry) bool { return !e.deleted })
	d, ok := pick(w, deleted)
	if !ok || w.eyes[FromCloud] && w.samTaken(w.dir.now, d.sam, d.guid) {
		return
	}
	e := *d
	e.deleted = false
	w.dir.put(e)
	w.log("directory: %s (%s) undeleted", e.name, e.guid)
}

func (w *world) changeMembers(e entry) {
	e.members = maps.Clone(e.members)
	if e.members == nil {
		e.members = map[scoping.GUID]bool{}
	}
	here := slices.SortedFunc(maps.Keys(e.members), scoping.GUID.Compare)
	if m, ok := pick(w, here); ok && w.r.IntN(2) == 0 {
		delete(e.members, m)
		w.log("directory: %s leaves %s", m, e.name)
	}
	if m, ok := pick(w, append(w.people(), w.living(scoping.Group)...)); ok && m.guid != e.guid && w.r.IntN(3) > 0 {
		e.members[m.guid] = true
		w.log("directory: %s joins %s", m.name, e.name)
	}
	w.dir.put(e)
}

func (w *world) changeManager(e entry) {
	e.manager = scoping.GUID{}
	if m, ok := pick(w, w.people()); ok && m.guid != e.guid && w.r.IntN(3) > 0 {
		e.manager = m.guid
	}
	w.dir.put(e)
	w.log("directory: manager of %s is %s", e.name, e.manager)
}

// changeOU renames an OU or moves it.
func (w *world) changeOU() {
	e, _ := pick(w, slices.DeleteFunc(w.living(directory.OU), func(e *entry) bool { return e.parent.IsZero() }))
	c := *e
	if w.r.IntN(2) == 0 {
		base, _, _ := strings.Cut(c.name, "-")
		c.name = base + "-" + w.newName("r")
		w.dir.put(c)
		w.log("directory: OU %s renamed to %s", e.name, c.name)
		return
	}
	to := w.anOU()
	if to == e.guid || slices.Contains(w.dir.now.chain(to), e.guid) {
		return
	}
	c.parent = to
	w.dir.put(c)
	w.log("directory: OU %s moved to %s", e.name, w.dir.now.dn(to))
}

// foreignWrite is a change in the tenant by others.
func (w *world) foreignWrite() {
	t := w.tenant
	living := slices.DeleteFunc(t.sorted(), func(a *account) bool { return a.purged() || a.truth().Deleted || !a.mine })
	a, ok := pick(w, living)
	if !ok {
		return
	}
	w.counts["foreign"]++
	w.note(w.dir.anchors[a.anchor], ByHand)
	o := a.truth().Clone()
	switch n := w.r.IntN(10); {
	case n < 5:
		o.Values[cloud.DisplayName] = []string{w.newName("foreign")}
	case n < 6 && o.Kind == scoping.User:
		o.Values[cloud.Enabled] = []string{"true"}
		a.enabledByOthers = true
	case n < 8 && len(o.Members) > 0:
		o.Members = o.Members[1:]
	case n < 9 && o.Kind == scoping.Group:
		x, _ := pick(w, slices.DeleteFunc(t.sorted(), func(x *account) bool { return x.purged() || x.truth().Deleted || x.id == a.id }))
		w.linkedByOthers(a, x.id)
		o.Members = slices.Compact(slices.Sorted(slices.Values(append(slices.Clone(o.Members), x.id))))
	case n == 9 && w.r.IntN(3) == 0:
		a.foreign = true
		o.Deleted = true
		t.dropLinks(a.id)
	default:
		o.Values["city"] = []string{w.newName("city")}
	}
	t.set(a, o)
	w.log("foreign write to %s: %v %v deleted %v", a.id, o.Values, o.Members, o.Deleted)
}

// jump lets much time pass.
func (w *world) jump() {
	d := []time.Duration{time.Second, time.Minute, ghostLife + time.Minute, time.Hour, 25 * time.Hour, 25 * time.Hour}[w.r.IntN(6)]
	if w.r.IntN(40) == 0 {
		d = 35 * 24 * time.Hour
	}
	w.pass(d)
	w.log("time passes: %s", d)
}
