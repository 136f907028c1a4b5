package simulation

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/provisioning"
	"github.com/tandem-sync/tandem/orchestrator/run"
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// The other direction: HR makes users and groups in the tenant, which are brought into the directory, while a help desk and security do there what they do.

// linkAttribute is the directory's attribute that shows of what something was made.
const linkAttribute = scoping.OtherLink

// The assignments that bring, and the containers to which they do.
const (
	hiresName, hiresOU = "hires", "Hires"
	teamsName, teamsOU = "teams", "Teams"
	onsiteOU           = "Onsite" // below Hires, for those of a department
	onsite             = "site"   // with which the names of such departments begin
)

// brought is what only some entries have: values that are looked for and written for objects of the tenant.
type brought struct {
	sam      string // account name; "": the entry's name
	employee string // employeeID
	link     string
	linked   uint64 // when the link changed last, as a USN
	of       string // by the simulator's own record: the object of the tenant that it was made of or joined with; "": of none
	since    uint64 // when it became so, as a USN
	unknown  uint32 // the version of the password that it was made with, which is never handed over; 0: it was not made
	guarded  bool   // an administrator's: it is never written
}

// cloudWorld is what the simulator knows of the other direction.
type cloudWorld struct {
	hired, team string   // ids of the tenant's groups by which objects are taken
	people      []string // ids of the users that HR made
	employees   int      // numbers that were given
	emptied     []string // members that the group that takes users had before it was emptied by mistake
	refilled    bool     // … and it got another member since: they have left
	leaving     string
	rules       int // how often the engine's mapping changed
	writes      sinkWrites
	secured     map[scoping.GUID]bool // disabled by security, and by nothing else since
	ours        map[scoping.GUID]bool // enabled by a write of ours, and by nothing else since
	byHand      map[scoping.GUID]bool // enabled by others, and by nothing else since
	enabling    map[string]bool       // object of the tenant: an enabling was permitted since HR changed what decides about it, and may have arrived
	approved    map[question]bool
	disabled    map[string]bool // assignments that have disabled an account with a person's approval
	looked      map[string]snapshot
}

func newCloudWorld() cloudWorld {
	return cloudWorld{secured: map[scoping.GUID]bool{}, ours: map[scoping.GUID]bool{}, byHand: map[scoping.GUID]bool{}, enabling: map[string]bool{}, approved: map[question]bool{}, disabled: map[string]bool{},
		looked: map[string]snapshot{}, writes: sinkWrites{byID: map[string]*carried{}}}
}

// foundHires makes containers and groups of the other direction.
func (w *world) foundHires() {
	if !w.eyes[FromCloud] {
		return
	}
	h := &w.cloud
	hires := w.dir.put(entry{guid: w.dir.nextGUID(), parent: w.dir.root, kind: directory.OU, name: hiresOU})
	w.dir.put(entry{guid: w.dir.nextGUID(), parent: hires.guid, kind: directory.OU, name: onsiteOU})
	w.dir.put(entry{guid: w.dir.nextGUID(), parent: w.dir.root, kind: directory.OU, name: teamsOU})
	w.dir.watch = w.changedInDirectory
	h.hired, h.team = w.newGroup("Hired"), w.newGroup("Team")
	h.leaving = []string{"disable", "disable", "remove", "keep"}[w.r.IntN(4)]
	for range 2 + w.r.IntN(4) {
		w.hire()
	}
}

// cloudID returns the id of the next object of the tenant: a GUID where objects are brought.
func (t *tenant) cloudID() string {
	t.made++
	if t.w.eyes[FromCloud] {
		return fmt.Sprintf("%08x-0000-4000-8000-%012d", t.made*7919, t.made)
	}
	return fmt.Sprintf("c%03d", t.made)
}

// newAccount makes an object of the tenant that no directory feeds.
func (w *world) newAccount(kind scoping.Kind, v cloud.Values) *account {
	a := &account{id: w.tenant.cloudID()}
	a.anchor = "cloud " + a.id
	w.tenant.accounts[a.id] = a
	w.tenant.set(a, cloud.Object{ID: a.id, Kind: kind, Values: v})
	return a
}

func (w *world) newGroup(name string) string {
	return w.newAccount(scoping.Group, cloud.Values{cloud.DisplayName: {name}, "securityEnabled": {"true"}, "mailEnabled": {"false"}}).id
}

// withHires adds the assignments of the other direction to a policy.
func (w *world) withHires(policy string) string {
	if !w.eyes[FromCloud] {
		return policy
	}
	policy = strings.Replace(policy, "features: [", "features: [user-provisioning, group-provisioning, ", 1)
	for _, x := range []struct{ name, ou, group, feature string }{{hiresName, hiresOU, "Hired", "user-provisioning"}, {teamsName, teamsOU, "Team", "group-provisioning"}} {
		policy += fmt.Sprintf("  - name: %s\n    under: %q\n    from: {groups: [%s]}\n    link: %s\n    engine: %s\n    features: [%s]\n    leaving: %s\n",
			x.name, w.dir.now.dn(w.named(x.ou)), x.group, linkAttribute, cloudsync, x.feature, w.cloud.leaving)
	}
	return policy
}

func hiresOf(name string) string { return name + " hires" }

// bring lets an engine bring objects of the tenant.
func (w *world) bring() (r run.Report, err error) {
	if w.preparing || w.locked[hiresOf(cloudsync)] > 0 {
		return r, nil
	}
	w.saw(FromCloud)
	w.log("bring {")
	w.call([]string{hiresOf(cloudsync)}, func() {
		r, err = w.host.Provision(context.Background(), cloudsync, run.SyncOptions{By: []string{"", "", "somebody"}[w.r.IntN(3)]})
	})
	w.log("} bring: complete %v applied %d deferred %d held %d failed %d: %v %v", r.Complete, r.Applied, r.Deferred, r.Held, r.Failed, r.Errors, err)
	return r, err
}

// hireStep is one step of the other direction. It reports whether this step was one.
func (w *world) hireStep() bool {
	if !w.eyes[FromCloud] || w.r.IntN(5) < 2 {
		return false
	}
	switch n := w.r.IntN(10); {
	case n < 4:
		for range 1 + w.r.IntN(3) {
			w.hr()
		}
		w.maybe(50, w.bringOnce)
	case n < 7:
		w.bringOnce()
	case n < 9:
		w.helpDesk()
	default:
		w.answer([]string{"approve", "approve", "approve", "reject", "forget"}[w.r.IntN(5)])
	}
	return true
}

func (w *world) bringOnce() { _, _ = w.bring() } // its errors are in the log of events

// living users that HR made.
func (w *world) hiredPeople() (out []*account) {
	for _, id := range w.cloud.people {
		if a := w.tenant.accounts[id]; !a.purged() && !a.truth().Deleted {
			out = append(out, a)
		}
	}
	return out
}

func (w *world) hire() {
	h := &w.cloud
	n := w.newName("Hire")
	if old, ok := pick(w, h.people); ok && w.r.IntN(5) == 0 {
		n = w.tenant.accounts[old].truth().Values.First(cloud.DisplayName) // two are called alike
	}
	h.employees++
	number := fmt.Sprint(h.employees)
	if w.r.IntN(6) == 0 {
		number = fmt.Sprint(1 + w.r.IntN(h.employees+2)) // again, or the number of an account that is in the directory already
	}
	v := cloud.Values{cloud.DisplayName: {n}, cloud.UPN: {w.newName("hire") + "@sim.test"}, cloud.Enabled: {fmt.Sprint(w.r.IntN(8) > 0)}, "employeeId": {number}, "department": {w.department()}}
	a := w.newAccount(scoping.User, v)
	h.people = append(h.people, a.id)
	if w.r.IntN(10) > 0 {
		w.joinTenantGroup(h.hired, a.id, true)
		w.scatter()
	}
	w.log("HR: %s (%s) is hired with number %s", n, a.id, number)
}

// department chooses one, mostly the first.
func (w *world) department() string {
	n := w.r.IntN(20) % 5
	if w.r.IntN(2) == 0 {
		n = 0
	}
	return []string{"sales", "works", onsite + "1", onsite + "2", leftOut}[n]
}

// joinTenantGroup changes a membership in the tenant.
func (w *world) joinTenantGroup(group, id string, in bool) {
	a := w.tenant.accounts[group]
	o := a.truth().Clone()
	o.Members = slices.DeleteFunc(o.Members, func(m string) bool { return m == id })
	if in {
		o.Members = slices.Compact(slices.Sorted(slices.Values(append(o.Members, id))))
	}
	w.tenant.set(a, o)
}

// hr is one change by HR, or by the tenant's administrators.
func (w *world) hr() {
	h := &w.cloud
	a, any := pick(w, w.hiredPeople())
	if n := w.r.IntN(100); n < 25 || !any {
		w.hire()
		return
	}
	o := a.truth().Clone()
	what := ""
	switch n := w.r.IntN(100); {
	case n < 20:
		o.Values[cloud.DisplayName], what = []string{w.newName("Name")}, "is called otherwise"
	case n < 40:
		was := o.Values.First("department")
		o.Values["department"], what = []string{w.department()}, "has another department"
		if (was == leftOut) != (o.Values.First("department") == leftOut) {
			w.decidedAnew(a.id)
		}
	case n < 55:
		o.Values[cloud.Enabled] = []string{fmt.Sprint(o.Values.First(cloud.Enabled) != "true")}
		what = "has a contract, or no more"
		w.decidedAnew(a.id)
	case n < 68:
		what = "comes to the hired, or leaves them"
		w.joinTenantGroup(h.hired, a.id, !w.tenant.accounts[h.hired].truth().HasMember(a.id) && len(h.emptied) == 0)
		w.decidedAnew(a.id)
	case n < 76:
		o.Manager, what = "", "has another manager"
		if m, ok := pick(w, w.livingAccounts(scoping.User)); ok && m.id != a.id && w.r.IntN(4) > 0 {
			o.Manager = m.id
		}
	case n < 86:
		x, _ := pick(w, w.livingAccounts(scoping.User))
		w.joinTenantGroup(h.team, x.id, w.r.IntN(3) > 0)
		what = "sees the team change"
	case n < 93:
		o.Deleted, what = true, "is deleted"
		w.decidedAnew(a.id)
	default:
		w.hrUndoes()
		return
	}
	w.log("HR: %s %s: %v, manager %s", a.id, what, o.Values, o.Manager)
	if w.tenant.set(a, o); o.Deleted {
		w.tenant.dropLinks(a.id)
	}
}

// hrUndoes restores a deleted user, or deletes it for good; or empties the group that takes users, or fills it again.
func (w *world) hrUndoes() {
	h := &w.cloud
	gone := slices.DeleteFunc(slices.Clone(h.people), func(id string) bool { a := w.tenant.accounts[id]; return a.purged() || !a.truth().Deleted })
	id, any := pick(w, gone)
	switch n := w.r.IntN(10); {
	case n < 3 && any:
		r := w.tenant.restore(w.tenant.accounts[id])
		w.decidedAnew(id)
		w.log("HR: %s is restored: %s %s", id, r.Status, r.Code)
	case n < 8 && any:
		w.tenant.purge(w.tenant.accounts[id])
		w.log("HR: %s is deleted for good", id)
	default:
		w.emptyHired(len(h.emptied) == 0)
	}
}

// scatter notes that the group that takes users has a member. An empty group moves no object, but the users that were in it before have left as soon as it is
// not empty.
func (w *world) scatter() {
	h := &w.cloud
	if len(h.emptied) == 0 || h.refilled {
		return
	}
	h.refilled = true
	for _, id := range h.emptied {
		w.decidedAnew(id)
	}
}

// emptyHired empties the group that takes users by mistake, or puts that right.
func (w *world) emptyHired(empty bool) {
	h := &w.cloud
	a := w.tenant.accounts[h.hired]
	o := a.truth().Clone()
	if empty {
		h.emptied, o.Members = o.Members, nil
	} else {
		back := slices.DeleteFunc(h.emptied, func(id string) bool { x := w.tenant.accounts[id]; return x.purged() || x.truth().Deleted })
		if h.refilled {
			for _, id := range back {
				w.decidedAnew(id)
			}
		}
		o.Members, h.emptied, h.refilled = slices.Compact(slices.Sorted(slices.Values(append(o.Members, back...)))), nil, false
	}
	w.tenant.set(a, o)
	w.log("HR: the group of the hired has %d members", len(o.Members))
}

func (w *world) livingAccounts(k scoping.Kind) []*account {
	return slices.DeleteFunc(w.tenant.sorted(), func(a *account) bool { return a.purged() || a.truth().Deleted || a.truth().Kind != k })
}

// decidedAnew notes that HR changed what decides whether an account is enabled.
func (w *world) decidedAnew(id string) {
	delete(w.cloud.enabling, id)
	for _, e := range w.entriesOf(id) {
		delete(w.cloud.secured, e.guid)
	}
}

// entriesOf returns the living entries that were made of an object of the tenant, or joined with it.
func (w *world) entriesOf(id string) []*entry {
	return slices.DeleteFunc(w.dir.now.sorted(), func(e *entry) bool { return e.deleted || e.of != id })
}

// changedInDirectory follows who enables or disables an account that was brought, but for Tandem's own writes.
func (w *world) changedInDirectory(old, now *entry) {
	h, g := &w.cloud, now.guid
	switch {
	case old == nil || now.of == "" || h.writes.writing || old.enabled == now.enabled:
	case now.enabled:
		delete(h.secured, g)
		delete(h.ours, g)
		h.byHand[g] = true
	default:
		h.secured[g] = h.ours[g] || h.enabling[now.of]
		delete(h.ours, g)
		delete(h.byHand, g)
	}
}

// helpDesk is something that people do in the directory to accounts that are brought, or are to be.
func (w *world) helpDesk() {
	h := &w.cloud
	all := slices.DeleteFunc(w.living(scoping.User), func(e *entry) bool { return e.of == "" })
	made, any := pick(w, all)
	other, _ := pick(w, w.living(scoping.User))
	id, hired := pick(w, h.people)
	switch n := w.r.IntN(20); {
	case n < 4 && any && made.enabled:
		w.edit(made, "security disables it", func(e *entry) { e.enabled = false })
	case n < 5 && any && w.depth == 0:
		w.edit(made, "it is enabled by hand", func(e *entry) { e.enabled = true })
	case n < 7 && any:
		w.edit(made, "its link is taken away, or put back", func(e *entry) {
			e.link = []string{"", "x", provisioning.LinkValue(e.kind, e.of), provisioning.LinkValue(e.kind, e.of)}[w.r.IntN(4)]
		})
	case n < 9 && hired && other != nil:
		w.edit(other, "gets the link of a hire", func(e *entry) { e.link = provisioning.LinkValue(scoping.User, id) })
	case n < 11:
		w.native(fmt.Sprint(h.employees+1+w.r.IntN(3)), w.newName("native"), "")
	case n < 13 && hired:
		called := w.tenant.accounts[id].truth().Values.First(cloud.DisplayName)
		w.native("", strings.ToLower(called), []string{"", called}[w.r.IntN(2)])
	case n < 15 && any:
		w.edit(made, "is moved back", func(e *entry) { e.parent = w.named(hiresOU) })
	case n < 16 && any:
		w.edit(made, "has other values", func(e *entry) { e.display, e.dept = w.newName("by hand"), "by hand" })
	case n < 17:
		w.restoreBrought()
	case n < 18:
		w.cloud.rules++
		w.log("the mapping changes: %d", w.cloud.rules)
	case n < 19:
		w.loseController()
	default:
		w.edit(other, "loses whatever link it shows", func(e *entry) {
			if e.of == "" {
				e.link = ""
			}
		})
	}
}

// edit changes an entry by hand.
func (w *world) edit(e *entry, what string, f func(*entry)) {
	if e == nil {
		return
	}
	c := *e
	f(&c)
	w.dir.put(c)
	w.log("directory: %s (%s): %s: enabled %v link %q in %s", c.name, c.guid, what, c.enabled, c.link, w.dir.now.dn(c.parent))
}

// native adds an account of the directory's own whose number, account name or display name may be those of a hire.
func (w *world) native(employee, sam, display string) {
	e := entry{guid: w.dir.nextGUID(), parent: w.named(hiresOU), kind: scoping.User, name: w.newName("native"), display: display, upn: w.newName("native") + "@sim.test", enabled: w.r.IntN(2) == 0}
	e.sam, e.employee, e.guarded = sam, employee, w.r.IntN(8) == 0
	if e.display == "" {
		e.display = "D " + e.name
	}
	if w.r.IntN(3) == 0 {
		e.parent = w.anOU()
	}
	if w.samTaken(w.dir.now, sam, scoping.GUID{}) {
		return
	}
	w.dir.put(e)
	w.log("directory: new %s (%s) with number %q and account name %s in %s", e.name, e.guid, employee, sam, w.dir.now.dn(e.parent))
}

// restoreBrought undeletes an account that was brought, and deleted since.
func (w *world) restoreBrought() {
	deleted := slices.DeleteFunc(w.dir.now.sorted(), func(e *entry) bool { return !e.deleted || e.of == "" })
	if e, ok := pick(w, deleted); ok && !w.samTaken(w.dir.now, e.sam, e.guid) {
		w.edit(e, "undeleted", func(e *entry) { e.deleted = false })
	}
}

// loseController is the end of the controller that is written to: another one answers at its address. What was on its way there arrived in time, or never.
func (w *world) loseController() {
	for _, x := range w.cloud.writes.late {
		if x.c.dc.shift == 0 && w.r.IntN(2) == 0 {
			w.lands(x.c)
		}
		x.c.over = x.c.over || x.c.dc.shift == 0
	}
	w.dir.invocation[3]++
	w.log("the directory has another controller, and the one before is gone for good")
}

// meanwhile is what people do to the other direction's objects while a run goes on.
func (w *world) meanwhile() {
	switch n := w.r.IntN(10); {
	case n < 5:
		w.hr()
	case n < 8 || w.preparing:
		w.helpDesk()
	default:
		w.bringOnce()
	}
}

// bringAtRest is a run of the other direction without any fault.
func (w *world) bringAtRest() {
	if !w.eyes[FromCloud] {
		return
	}
	w.preparing = false
	if _, err := w.bring(); err != nil {
		w.fail(nothingLost, "a run of the other direction without any fault fails: %v", err)
	}
}

// comeToRest lets people answer what the other direction asks until nothing is asked any more, and the first direction follow.
func (w *world) comeToRest() {
	if !w.eyes[FromCloud] {
		return
	}
	if len(w.cloud.emptied) > 0 {
		w.emptyHired(false)
	}
	for quiet, rounds := 0, 0; quiet < 2; rounds++ {
		w.catchUp()
		before := w.book.scratch.Seq
		w.pass(26 * time.Hour)
		w.bringAtRest()
		for _, h := range w.host.Held() {
			if verb := map[ledger.HoldState]string{ledger.HoldOpen: "approve", ledger.HoldRejected: "forget"}[h.State]; verb != "" && h.Entries[0].Object.IsCloud() {
				w.answerAll(h, verb)
			}
		}
		if w.catchUp(); w.book.scratch.Seq == before {
			quiet++
		} else {
			quiet = 0
		}
		if rounds == 25 {
			w.fail(nothingLost, "the other direction comes to no rest")
		}
	}
	for _, e := range []string{connect, cloudsync, connect, cloudsync} {
		if r, err := w.syncAs(e, engine.ProfileDelta); err != nil || !r.Complete {
			w.fail(nothingLost, "a run of %s without any fault fails: %v %v", e, err, r.Errors)
		}
	}
}
