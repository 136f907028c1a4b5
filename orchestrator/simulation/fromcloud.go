package simulation

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/gate"
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/provisioning"
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/plugins/provision"
	"github.com/tandem-sync/tandem/scoping"
)

// The invariants of the other direction.

// mayArrive reports whether a write may still take effect, as far as its host can know: the log does not say how it ended.
func (c *carried) mayArrive(now time.Time) bool {
	return !c.told && c.effects == 0 && !now.After(c.lasts)
}

// permittedWrite: a write goes out once, by a durable intent that names it whole, for the owner of its container, and while no other write for the same object may arrive.
func (w *world) permittedWrite(c *carried, remaining time.Duration) {
	w.catchUp()
	w.settleWrites()
	h, g := &w.cloud, c.write.Object
	d, known := w.book.scratch.Delivery(c.id)
	switch {
	case !known || d.Provisioned == nil:
		w.failAbout(g, durable, withoutIntent, c.write.Op, c.id)
	case !sameJSON(d.Provisioned.Write, c.write):
		w.failAbout(g, durable, otherIntent, c.write.Op, c.id, d.Provisioned.Write, c.write)
	case h.writes.byID[c.id] != nil:
		w.failAbout(g, singleWriter, permittedTwice, c.id, h.writes.byID[c.id].engine, c.engine)
	}
	c.cloudID, c.assignment, c.approved, c.grave = d.CloudID, d.Provisioned.Assignment, d.Provisioned.Approved, d.Provisioned.Grave
	c.until, c.onWire = w.now.Add(remaining), true
	c.lasts = c.until.Add(ghostLife - time.Second)
	w.counts["permit of a write"]++
	if values, err := json.Marshal(c.write.Values); err == nil {
		w.log("permit: %s %s for %s, %s left: %s", c.id, c.write.Op, c.cloudID, remaining, values)
	}
	for _, id := range slices.Sorted(maps.Keys(h.writes.byID)) {
		if x := h.writes.byID[id]; x.cloudID == c.cloudID && x.mayArrive(w.now) {
			w.failAbout(g, singleWriter, writeMayArrive, c.id, c.write.Op, c.cloudID, x.write.Op, x.id)
		}
	}
	h.writes.byID[c.id] = c
	w.checkMay(c)
	w.checkGrave(c)
}

func sameJSON(a, b any) bool {
	x, err1 := json.Marshal(a)
	y, err2 := json.Marshal(b)
	return err1 == nil && err2 == nil && bytes.Equal(x, y)
}

// checkMay: only the owner of the container writes there, and no engine while it is stopped.
func (w *world) checkMay(c *carried) {
	kind, f, g := c.write.Kind, scoping.ProvisioningOf(c.write.Kind), c.write.Object
	root := c.write.Root
	if c.write.Op == provision.Add {
		root = c.write.Container
	}
	place := scoping.Place{Directory: dirName, Ancestors: append([]scoping.GUID{root}, w.toldPlace(root).Ancestors...)}
	if o := w.owner(place, kind, f); o.Engine != c.engine {
		w.failAbout(g, singleWriter, nonOwnerSends, c.engine, c.write.Op, w.dir.now.dn(g), o.Engine)
	}
	for _, s := range w.book.stops {
		if (s.Engine == "" || s.Engine == c.engine) && (s.Under == nil || s.Under.Covers(place)) {
			w.failAbout(g, singleWriter, "%s may write to %s while it is stopped", c.engine, w.dir.now.dn(g))
		}
	}
	if c.write.Op != provision.Add && c.write.Op != provision.Join {
		if row, ok := w.book.scratch.ByCloud(c.cloudID); !ok || row.Object.GUID != g || row.Cloud == 0 {
			w.failAbout(g, singleWriter, notItsAccount, c.write.Op, w.dir.now.dn(g), c.cloudID)
		}
	}
	if row := w.book.scratch.Rows.Get(scoping.ObjectID{Directory: dirName, GUID: g}); c.write.Op == provision.Join && row != nil && row.Cloud == 0 {
		w.failAbout(g, singleWriter, notItsAccount, c.write.Op, w.dir.now.dn(g), c.cloudID)
	}
}

// checkGrave: what needs a person's approval has it, and no account is enabled that security disabled.
func (w *world) checkGrave(c *carried) {
	h, g := &w.cloud, c.write.Object
	source, _ := scoping.Cloud(c.cloudID)
	if c.approved && !h.approved[question{source.GUID, scoping.ProvisioningOf(c.write.Kind), c.grave}] {
		w.failAbout(g, noSurprise, otherApproved, c.write.Op, w.dir.now.dn(g))
	}
	switch d := c.write.Disabled; {
	case (c.write.Op == provision.Delete || c.write.Op == provision.Join) && !c.approved:
		w.failAbout(g, noSurprise, unapproved, c.write.Op, w.dir.now.dn(g), c.cloudID)
	case d != nil && d.To && !c.approved && !h.disabled[c.assignment]:
		w.failAbout(g, noSurprise, unapproved, "the first disabling of assignment "+c.assignment, w.dir.now.dn(g), c.cloudID)
	case d != nil && !d.To && h.secured[g]:
		w.failAbout(g, noSurprise, enabledAgain, w.dir.now.dn(g), c.cloudID)
	case d != nil && !d.To:
		h.enabling[c.cloudID] = true
	}
	if a := w.tenant.accounts[c.cloudID]; c.write.Op == provision.Delete && !a.purged() && !(h.leaving == "remove" && (w.wanted(a) == nil || w.wantedAsRead(a) == nil)) {
		w.failAbout(g, noDeath, deletedUnproved, w.dir.now.dn(g), c.cloudID)
	}
}

// tookEffect: a write takes effect once, no person gets a second account, and neither what others wrote nor a password is overwritten.
func (w *world) tookEffect(c *carried, old, now *entry) {
	h, g := &w.cloud, now.guid
	if c.effects > 1 {
		w.failAbout(g, singleWriter, permittedTwice, c.id, c.engine, c.engine)
	}
	if c.told && !c.done {
		w.failAbout(g, nothingLost, toldOfFailure, c.id, w.dir.now.dn(g), "before")
	}
	switch {
	case c.write.Op == provision.Add:
		w.checkTwice(c, now)
	case now.guarded, c.write.Op != provision.Join && old.of != c.cloudID:
		w.failAbout(g, noSurprise, notItsAccount, c.write.Op, w.dir.now.dn(g), c.cloudID)
	case old.secret != now.secret:
		w.failAbout(g, noSurprise, "%s for %s overwrites a password", c.write.Op, c.cloudID)
	case w.o.Break == WrittenAnyway && w.conditionFails(c, old):
		w.failAbout(g, noSurprise, writtenOver, c.write.Op, w.dir.now.dn(g), c.cloudID)
	}
	if c.write.Op == provision.Add || c.write.Op == provision.Join {
		w.dir.anchors[w.tenant.accounts[c.cloudID].anchor] = g
	}
	if d := c.write.Disabled; d != nil {
		delete(h.secured, g)
		delete(h.byHand, g)
		if h.ours[g] = !d.To; d.To && c.approved {
			h.disabled[c.assignment] = true
		}
	}
	w.counts["brought: "+string(c.write.Op)]++
}

// conditionFails reports whether others changed meanwhile what a write goes by.
func (w *world) conditionFails(c *carried, old *entry) bool {
	x := c.write
	if x.Op != provision.Modify {
		return false
	}
	return !x.ByGUID && shownLink(x.Target) != "" && old.link != shownLink(x.Target) || x.Disabled != nil && old.enabled == x.Disabled.Was || slices.ContainsFunc(x.Set, func(s provision.Set) bool {
		is := (snapshot{}).valuesOf(old, s.Attribute)
		return !slices.Equal(is, s.Was)
	})
}

// checkTwice: one account for one object of the tenant, and none beside one of the same person that its controller showed.
func (w *world) checkTwice(c *carried, now *entry) {
	for _, e := range w.entriesOf(c.cloudID) {
		if e.guid != now.guid {
			w.failAbout(now.guid, noDeath, broughtTwice, c.cloudID, w.dir.now.dn(now.guid), w.dir.now.dn(e.guid))
		}
	}
	for _, e := range w.cloud.looked[c.dc.url].objects {
		if is := w.dir.now.objects[e.guid]; !e.deleted && !is.deleted && e.employee != "" && e.employee == now.employee && is.employee == e.employee && e.kind == now.kind && e.guid != now.guid {
			w.failAbout(now.guid, noDeath, personTwice, w.dir.now.dn(now.guid), c.cloudID, w.dir.now.dn(e.guid))
		}
	}
}

// endedWrite compares how a write ended by the log with what became of it.
func (w *world) endedWrite(c *carried, code string) {
	if code == engine.DeliveryInDoubt {
		return
	}
	c.told, c.done = true, code == engine.DeliveryOK
	now := w.dir.now.objects[c.write.Object]
	flies := slices.ContainsFunc(w.cloud.writes.late, func(x lateWrite) bool { return x.c == c && !c.over })
	switch {
	case flies:
		w.failAbout(c.write.Object, nothingLost, endedInFlight, c.id, c.write.Op, c.cloudID, code)
	case code == engine.DeliveryOK && c.write.Op == provision.Add && c.effects == 0:
		w.failAbout(c.write.Object, nothingLost, toldOfSuccess, c.id, c.cloudID)
	case code == ledger.CodeNotThere && c.effects > 0:
		if c.write.Op == provision.Add {
			now = w.dir.now.objects[w.dir.anchors[w.tenant.accounts[c.cloudID].anchor]]
		}
		hidden := slices.ContainsFunc(c.write.Refs, func(r provision.Ref) bool {
			return slices.ContainsFunc(r.Add, func(g scoping.GUID) bool { return !w.dir.now.lives(g) })
		})
		if now != nil && now.usn == c.usn && !hidden { // what others changed since it may not show
			w.failAbout(now.guid, nothingLost, toldOfFailure, c.id, w.dir.now.dn(now.guid), code)
		}
	}
	if d := c.write.Disabled; code != engine.DeliveryOK && code != ledger.CodeOvertaken && d != nil && !d.To {
		delete(w.cloud.enabling, c.cloudID)
	}
}

// approveBrought notes what a person approved about objects of the tenant.
func (w *world) approveBrought(h ledger.Hold) {
	for _, e := range h.Entries {
		w.cloud.approved[question{e.Object.GUID, e.Feature, e.Digest()}] = true
	}
}

// wanted is what the mapping makes of an object of the tenant that an assignment takes; nil: none takes it, or the mapping leaves it out.
func (w *world) wanted(a *account) *engine.Mapping {
	return w.wantedBy(a, func(a *account) version { return a.versions[len(a.versions)-1] })
}

// wantedAsRead is wanted by what the tenant showed when the host read it last: what changed within the tenant's delay before that may not have shown.
func (w *world) wantedAsRead(a *account) *engine.Mapping {
	return w.wantedBy(a, func(a *account) version {
		v, _ := a.shown(w.tenant.read)
		return v
	})
}

func (w *world) wantedBy(a *account, by func(*account) version) *engine.Mapping {
	o := by(a).object
	id, err := scoping.Cloud(a.id)
	group, ou := w.cloud.hired, hiresOU
	if o.Kind == scoping.Group {
		group, ou = w.cloud.team, teamsOU
	}
	takes := o.Kind == scoping.Group && a.id == group || by(w.tenant.accounts[group]).object.HasMember(a.id)
	if err != nil || by(a).purged || o.Deleted || !takes || a.mine {
		return nil
	}
	m := w.mapped(id, o.Kind, o.Values, w.dir.now.dn(w.named(ou)))
	if m.Want != engine.Present {
		return nil
	}
	return &m
}

// checkBrought: at rest each object of the tenant that an assignment takes has one account that is as the mapping wants it, or a finding says why not; and what none takes is seen off.
func (w *world) checkBrought() {
	if !w.eyes[FromCloud] {
		return
	}
	for _, a := range w.tenant.sorted() {
		if a.mine || !strings.HasPrefix(a.anchor, "cloud ") {
			continue
		}
		es := w.accountsOf(a)
		if len(es) > 1 {
			w.failAbout(es[0].guid, noDeath, broughtTwice, a.id, w.dir.now.dn(es[0].guid), w.dir.now.dn(es[1].guid))
		}
		if kind := a.truth().Kind; kind == scoping.User && len(w.tenant.accounts[w.cloud.hired].truth().Members) == 0 {
			continue // an empty group moves nothing
		}
		m := w.wanted(a)
		switch {
		case m != nil && len(es) == 0:
			if !w.explained(a) {
				w.failAbout(scoping.GUID{}, nothingLost, notBrought, a.id, w.toldOf(a))
			}
		case m != nil:
			w.checkAccount(a, es[0], *m)
		case len(es) == 1:
			w.checkSeenOff(a, es[0])
		}
	}
	for _, d := range w.book.scratch.DoubtfulDeliveries() {
		if d.Provisioned != nil {
			w.failAbout(d.Object.GUID, nothingLost, "%s for %s is still in doubt at rest: %s", d.Op, d.CloudID, d.Reason)
		}
	}
}

// accountsOf returns the accounts that were made of an object of the tenant. One that others deleted, beside which a person approved another one, and that
// others undeleted then, is not counted as long as people are told of it (seed 3602).
func (w *world) accountsOf(a *account) []*entry {
	es := w.entriesOf(a.id)
	if len(es) < 2 || w.toldOf(a) != provisioning.CodeDoubled {
		return es
	}
	return slices.DeleteFunc(es, func(e *entry) bool { return e.back > 0 && w.book.scratch.Rows.Get(e.id()) == nil })
}

// toldOf is what people are told of an object of the tenant.
func (w *world) toldOf(a *account) gate.Code {
	id, _ := scoping.Cloud(a.id)
	return gate.Code(w.book.scratch.Unsettled[id][scoping.ProvisioningOf(a.truth().Kind)].Reason)
}

// explained reports whether there is a reason that an object of the tenant has no account, which people are told of.
func (w *world) explained(a *account) bool {
	number := a.truth().Values.First("employeeId")
	same := func(f func(*entry) bool) bool {
		for _, e := range w.dir.now.sorted() {
			if e.kind == a.truth().Kind && e.employee != "" && e.employee == number && f(e) {
				return true
			}
		}
		return false
	}
	switch w.toldOf(a) {
	case provisioning.CodeLinked:
		return same(func(e *entry) bool {
			row := w.book.scratch.Rows.Get(e.id())
			return e.of != "" && e.of != a.id || row != nil && row.CloudID != a.id
		})
	case provisioning.CodeProtected:
		return same(func(e *entry) bool { return e.guarded })
	case provisioning.CodeJoinOutside:
		return same(func(e *entry) bool { return !e.deleted && !slices.Contains(w.dir.now.chain(e.guid), w.named(hiresOU)) })
	case provisioning.CodeDeletedIn:
		return slices.ContainsFunc(w.dir.now.sorted(), func(e *entry) bool { return e.deleted && e.of == a.id })
	case provisioning.CodePlanted, provisioning.CodeDoubled:
		return slices.ContainsFunc(w.dir.now.sorted(), func(e *entry) bool { return !e.deleted && e.link == provisioning.LinkValue(a.truth().Kind, a.id) })
	case provisioning.CodeNoContainer:
		m := w.wanted(a)
		return !slices.ContainsFunc(w.living(directory.OU), func(e *entry) bool { return strings.EqualFold(w.dir.now.dn(e.guid), m.Container) })
	case provisioning.CodeNamesTaken:
		return true
	}
	return false
}

// checkAccount compares an account with what the mapping wants of it.
func (w *world) checkAccount(a *account, e *entry, m engine.Mapping) {
	row, linked := w.book.scratch.ByCloud(a.id)
	if !linked && w.explained(a) {
		return // others changed it while it was in doubt whether it was made
	}
	if linked && row.Object != e.id() && e.back > 0 && w.unanswered(e) && !w.dir.now.lives(row.Object.GUID) && w.toldOf(a) == provisioning.CodeDeletedIn {
		return // it was deleted while its add was in doubt, and undeleted after another one was made and deleted by others, which a finding says
	}
	if !linked || row.Object != e.id() || row.State != ledger.Live {
		w.failAbout(e.guid, nothingLost, notLinked, w.dir.now.dn(e.guid), a.id, row)
	}
	told := w.toldOf(a)
	want := func(attribute string) string { return strings.Join(m.Desired[attribute].Text, " ") }
	if e.kind == scoping.User && want("accountDisabled") == "true" && e.enabled && !e.guarded {
		w.failAbout(e.guid, nothingLost, accountDiffers, w.dir.now.dn(e.guid), a.id, "enabled", e.enabled, told)
	}
	if e.guarded && told == provisioning.CodeProtected || w.strays(e) && told == provisioning.CodeMovedAway {
		return
	}
	for name, is := range map[string]string{"displayName": e.display, "department": e.dept, "title": e.title} {
		if _, managed := m.Desired[name]; managed && want(name) != is {
			w.failAbout(e.guid, nothingLost, accountDiffers, w.dir.now.dn(e.guid), a.id, name, is, want(name))
		}
	}
	if e.kind == scoping.User && want("accountDisabled") == "false" && !e.enabled && told == "" {
		w.failAbout(e.guid, nothingLost, accountDiffers, w.dir.now.dn(e.guid), a.id, "enabled", e.enabled, told)
	}
	w.checkReferences(a, e)
	if told != "" {
		return // one finding of several is told
	}
	if dn := w.dir.now.dn(e.parent); !strings.EqualFold(dn, m.Container) {
		w.failAbout(e.guid, nothingLost, accountDiffers, w.dir.now.dn(e.guid), a.id, "container", dn, told)
	}
	if e.name != want("cn") {
		w.failAbout(e.guid, nothingLost, accountDiffers, w.dir.now.dn(e.guid), a.id, "cn", e.name, told)
	}
}

// unanswered reports whether the write that made an entry had no answer, and the log says that it was never made, since others changed the entry before its controller was asked.
func (w *world) unanswered(e *entry) bool {
	for _, c := range w.cloud.writes.byID {
		if c.write.Op == provision.Add && c.cloudID == e.of && c.effects > 0 && c.usn == e.since && c.told && !c.done {
			return true
		}
	}
	return false
}

// checkReferences: managers and members are those whose accounts are there.
func (w *world) checkReferences(a *account, e *entry) {
	end := func(id string) scoping.GUID {
		row, linked := w.book.scratch.ByCloud(id)
		if !linked || !w.dir.now.lives(row.Object.GUID) {
			return scoping.GUID{}
		}
		if _, there := w.book.scratch.Linked(row.Object); !there {
			return scoping.GUID{}
		}
		return row.Object.GUID
	}
	if e.kind == scoping.User {
		has := scoping.GUID{}
		if w.dir.now.lives(e.manager) {
			has = e.manager
		}
		if want := end(a.truth().Manager); want != has {
			w.failAbout(e.guid, nothingLost, accountDiffers, w.dir.now.dn(e.guid), a.id, "manager", has, want)
		}
		return
	}
	for _, m := range a.truth().Members {
		if g := end(m); !g.IsZero() && !e.members[g] {
			w.failAbout(e.guid, nothingLost, accountDiffers, w.dir.now.dn(e.guid), a.id, "member "+m, "not there", g)
		}
	}
	for g := range e.members {
		row := w.book.scratch.Rows.Get(scoping.ObjectID{Directory: dirName, GUID: g})
		if w.dir.now.lives(g) && e.changed[g] > w.dir.now.objects[g].since && row != nil && row.Cloud != 0 && (row.State == ledger.Live || row.State == ledger.ParkedRow) && !a.truth().HasMember(row.CloudID) {
			w.failAbout(e.guid, nothingLost, accountDiffers, w.dir.now.dn(e.guid), a.id, "member "+row.CloudID, "there", g)
		}
	}
}

// checkSeenOff: the account of what no assignment takes any more is disabled, deleted or kept, as the policy says.
func (w *world) checkSeenOff(a *account, e *entry) {
	row, linked := w.book.scratch.ByCloud(a.id)
	told := w.toldOf(a)
	switch {
	case w.cloud.leaving == "keep" || e.guarded || e.kind != scoping.User || !linked:
	case row.State == ledger.DeletedByTandem: // a person undeleted what was deleted by a person's word
	case e.enabled && !w.cloud.byHand[e.guid]:
		w.failAbout(e.guid, nothingLost, accountDiffers, w.dir.now.dn(e.guid), a.id, "enabled", e.enabled, told)
	case w.cloud.leaving == "remove" && told != provisioning.CodeLinkChanged && told != provisioning.CodeMovedAway && !w.strays(e):
		w.failAbout(e.guid, nothingLost, accountDiffers, w.dir.now.dn(e.guid), a.id, "deleted", e.deleted, told)
	}
}

// strays reports whether an entry lies in none of the containers to which objects of its kind are brought.
func (w *world) strays(e *entry) bool {
	return !slices.Contains(w.dir.now.chain(e.guid), w.named(map[scoping.Kind]string{scoping.User: hiresOU, scoping.Group: teamsOU}[e.kind]))
}

// feeds reports whether an entry is, or may be, one of the other direction, of which this one leaves the tenant's object alone: it was brought, lies where objects are brought, or shows a link.
func (w *world) feeds(e *entry) bool {
	if !w.eyes[FromCloud] || e == nil {
		return false
	}
	row := w.book.scratch.Rows.Get(e.id())
	if e.of != "" || row != nil && row.Cloud != 0 {
		return true
	}
	return row == nil && (e.link != "" || !w.strays(e))
}

// known reports whether the host can refer to an entry in the tenant: what was brought it has to know by its ledger.
func (w *world) known(e *entry) bool {
	row := w.book.scratch.Rows.Get(e.id())
	return e.of == "" || row != nil && row.CloudID == e.of
}

// checkFed: nothing goes back into the tenant of what came from there, but its password.
func (w *world) checkFed(x cloud.Write, g scoping.GUID) {
	if e := w.dir.now.objects[g]; e != nil && e.of != "" && !w.tenant.accounts[e.of].purged() && x.Op != cloud.SetPassword {
		w.failAbout(g, noDeath, fedBack, x.Op, w.dir.now.dn(g), e.of)
	}
}
