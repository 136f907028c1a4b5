package simulation

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/plugins/provision"
	"github.com/tandem-sync/tandem/scoping"
)

// The sink of the other direction: what plugins/directory/provision does over LDAP, at controllers that can be away, behind or gone, with answers that are lost and writes that arrive late.

// carried is one permitted write into the directory, as the simulator sees it.
type carried struct {
	id         string
	cloudID    string
	engine     string
	assignment string
	write      provision.Write
	approved   bool
	dc         controller
	grave      string
	until      time.Time // elapsed: it is not begun after that
	lasts      time.Time // nor does it take effect after that
	onWire     bool      // its engine has not said how it ended
	over       bool      // it takes no effect any more
	told       bool      // the log says how it ended
	done       bool      // … that it was done
	effects    int
	usn        uint64 // of its effect
}

// lateWrite takes effect after the call that waited for it has ended.
type lateWrite struct {
	at time.Time
	c  *carried
}

// sinkWrites is all that the simulator knows of them.
type sinkWrites struct {
	byID    map[string]*carried
	late    []lateWrite
	writing bool      // a write of ours takes effect
	away    time.Time // elapsed: until then no controller can be written to or looked at
}

// scene is what is looked at over the connection that writes, before and after the permit.
func (w *world) scene(c *carried) provision.Code {
	s, t := w.view(c.dc), c.write.Target
	if !t.Container.IsZero() {
		switch {
		case !s.lives(t.Container):
			return provision.NoContainer
		case t.Container != t.Root && !s.below(t.Container, t.Root, nil):
			return provision.Outside
		}
	}
	if t.Op == provision.Add {
		for _, e := range s.objects {
			if !e.deleted && (e.name == t.RDN() && e.parent == t.Container || e.link == t.Link.Value) {
				return provision.Exists
			}
		}
		return ""
	}
	e := s.objects[t.Object]
	switch {
	case e == nil || e.deleted:
		return provision.Vanished
	case e.guarded || e.kind != t.Kind:
		return provision.Protected
	case t.ByGUID:
	case e.link != shownLink(t) && w.o.Break != WrittenAnyway:
		return provision.Precondition
	case !s.below(t.Object, t.Root, t.Roots):
		return provision.Outside
	}
	return ""
}

// shownLink is what the object of a write has to show as its link.
func shownLink(t provision.Target) string {
	if t.Op == provision.Join || t.Altered {
		return t.WasLink
	}
	return t.Link.Value
}

// carry is what an engine does with its permit: the write takes effect at once, later or never, and the answer comes or is lost.
func (w *world) carry(c *carried) (engine.DeliveryResult, error) {
	defer func() {
		if !w.crashed {
			c.onWire = false
		}
	}()
	w.interleaveAt(20)
	if w.fault(4) {
		w.log("CRASH while %s is on its way", c.id)
		w.crashed = true
		panic(crash{})
	}
	ends := func(code provision.Code) (engine.DeliveryResult, error) {
		c.over = true
		return engine.DeliveryResult{ID: c.id, Code: string(code)}, nil
	}
	if w.now.After(c.until) {
		return ends(provision.Expired)
	}
	if code := w.scene(c); code != "" {
		return ends(code)
	}
	if c.write.Op == provision.Add || c.write.Op == provision.Modify || c.write.Op == provision.Join {
		w.interleaveAt(6) // what others do in these milliseconds the conditions of the write itself see
	}
	n := 9
	if w.faults && w.r.IntN(100) < 2*w.o.Trouble+10 {
		n = w.r.IntN(6)
	}
	switch n {
	case 0:
		c.over = true // it never arrives
		return engine.DeliveryResult{}, errEngine
	case 1:
		w.fliesLate(c)
		return engine.DeliveryResult{}, errEngine
	case 2:
		return ends(provision.NoRights)
	case 3:
		w.lands(c)
		return engine.DeliveryResult{}, errEngine
	case 4:
		w.lands(c)
		return engine.DeliveryResult{ID: c.id, Code: engine.DeliveryInDoubt}, nil
	}
	r := w.lands(c)
	w.interleaveAt(10)
	return r, nil
}

// fliesLate lets a write take effect before it cannot any more.
func (w *world) fliesLate(c *carried) {
	at := w.now.Add(time.Duration(w.r.Int64N(int64(max(c.lasts.Sub(w.now), 1)))))
	w.log("in flight: %s %s takes effect at %s", c.id, c.write.Op, at.Format("15:04:05"))
	w.cloud.writes.late = append(w.cloud.writes.late, lateWrite{at, c})
}

// orphanWrites: the host crashed. What its engines were about to write arrives in time, or never.
func (w *world) orphanWrites() {
	for _, id := range slices.Sorted(maps.Keys(w.cloud.writes.byID)) {
		c := w.cloud.writes.byID[id]
		if c.onWire && c.effects == 0 && !c.over {
			if w.r.IntN(2) == 0 {
				w.fliesLate(c)
			} else {
				c.over = true
			}
		}
		c.onWire = false
	}
}

// settleWrites lets what was in flight arrive.
func (w *world) settleWrites() {
	s := &w.cloud.writes
	if len(s.late) == 0 {
		return
	}
	due := slices.DeleteFunc(slices.Clone(s.late), func(x lateWrite) bool { return x.at.After(w.now) })
	s.late = slices.DeleteFunc(s.late, func(x lateWrite) bool { return !x.at.After(w.now) })
	slices.SortStableFunc(due, func(a, b lateWrite) int { return a.at.Compare(b.at) })
	for _, x := range due {
		if !x.c.over {
			r := w.lands(x.c)
			w.log("late: %s %s: %s", x.c.id, x.c.write.Op, r.Code)
		}
	}
}

// lands is the one LDAP operation of a write, with its own conditions.
func (w *world) lands(c *carried) engine.DeliveryResult {
	if c.dc.shift > 0 { // others' changes come to it before
		now := w.dir.now
		w.dir.behind = &now
	}
	old := w.dir.now.objects[c.write.Object]
	e, code := w.changed(c)
	c.over = true
	if code != "" {
		w.log("directory: %s of %s for %s comes to nothing: %s", c.write.Op, c.write.Object, c.cloudID, code)
		return engine.DeliveryResult{ID: c.id, Code: string(code)}
	}
	w.cloud.writes.writing = true
	if old == nil || old.of != e.of || c.write.Op == provision.Join { // what is joined is known from then on, though an add without an answer may have made it
		e.since = w.dir.now.usn + 1
	}
	now := w.dir.put(e)
	w.cloud.writes.writing = false
	c.effects, c.usn = c.effects+1, now.usn
	if c.dc.shift > 0 {
		all := w.dir.now
		w.dir.behind = &all
	}
	w.log("directory: %s of %s for %s: %s link %q enabled %v", c.write.Op, now.guid, c.cloudID, w.dir.now.dn(now.guid), now.link, now.enabled)
	w.tookEffect(c, old, now)
	return engine.DeliveryResult{ID: c.id, Code: engine.DeliveryOK, Provision: &provision.Result{Object: now.guid, DN: w.dir.now.dn(now.guid), Invocation: c.dc.invocation, USN: now.usn + c.dc.shift, Stamp: stampOf(c, now)}}
}

func stampOf(c *carried, e *entry) string {
	if !c.write.Made() || e.kind != scoping.User || !e.secret.stamp().First() {
		return ""
	}
	return e.secret.stamp().Text()
}

// samTaken reports whether a living object other than one has an account name.
func (w *world) samTaken(s snapshot, sam string, but scoping.GUID) bool {
	if sam == "" {
		return false
	}
	for _, e := range s.objects {
		if !e.deleted && e.guid != but && e.kind != directory.OU && strings.EqualFold(cmp.Or(e.sam, e.name), sam) {
			return true
		}
	}
	return false
}

func (s snapshot) nameTaken(parent scoping.GUID, name string, but scoping.GUID) bool {
	for _, e := range s.objects {
		if !e.deleted && e.guid != but && e.parent == parent && strings.EqualFold(e.name, name) {
			return true
		}
	}
	return false
}

// changed returns what a write makes of an entry, or why it comes to nothing.
func (w *world) changed(c *carried) (entry, provision.Code) {
	s, x := w.dir.now, c.write
	if x.Op == provision.Add {
		return w.added(c)
	}
	old := s.objects[x.Object]
	if old == nil || old.deleted {
		return entry{}, provision.Vanished
	}
	e := *old
	forced := w.o.Break == WrittenAnyway
	conditional := x.Op == provision.Modify || x.Op == provision.Join
	if conditional && !x.ByGUID && (shownLink(x.Target) != "" || x.Op == provision.Join) && e.link != shownLink(x.Target) && !forced {
		return entry{}, provision.Precondition
	}
	switch x.Op {
	case provision.Join:
		e.link, e.of, e.unknown = x.Link.Value, c.cloudID, 0 // how it was made is unknown
		if w.book.scratch.Rows.Get(e.id()) == nil && x.Made() && e.secret.version == 1 {
			e.unknown = 1 // but an account that was made for an object of the tenant has a password that was told to no one
		}
	case provision.Rename:
		if e.name != x.WasName || !s.lives(e.parent) {
			return entry{}, provision.Vanished
		}
		if s.nameTaken(e.parent, x.Name, e.guid) {
			return entry{}, provision.TakenName
		}
		e.name = x.Name
	case provision.Move:
		switch {
		case e.parent != x.From:
			return entry{}, provision.Vanished
		case !s.lives(x.Container):
			return entry{}, provision.NoContainer
		case s.nameTaken(x.Container, e.name, e.guid):
			return entry{}, provision.TakenName
		}
		e.parent = x.Container
	case provision.Delete:
		e.deleted = true
	default:
		return e, w.modified(&e, x, forced)
	}
	return e, ""
}

// modified applies a modification, with the conditions that it carries.
func (w *world) modified(e *entry, x provision.Write, forced bool) provision.Code {
	for _, set := range x.Set {
		field := map[string]*string{"displayname": &e.display, "department": &e.dept, "title": &e.title, "employeeid": &e.employee}[strings.ToLower(set.Attribute)]
		if field == nil {
			return provision.Invalid
		}
		if is := text(*field); !forced && (len(is) != len(set.Was) || len(is) == 1 && string(is[0]) != set.Was[0]) {
			return provision.Precondition
		}
		if *field = ""; len(set.To) > 0 {
			*field = set.To[0]
		}
	}
	if d := x.Disabled; d != nil {
		if e.enabled == d.Was && !forced {
			return provision.Precondition
		}
		e.enabled = !d.To
	}
	for _, r := range x.Refs {
		if code := w.referred(e, r); code != "" {
			return code
		}
	}
	return ""
}

func (w *world) referred(e *entry, r provision.Ref) provision.Code {
	s := w.dir.now
	if slices.ContainsFunc(r.Add, func(g scoping.GUID) bool { return !s.lives(g) }) {
		return provision.Precondition
	}
	if r.Attribute == "manager" {
		has := scoping.GUID{}
		if s.lives(e.manager) {
			has = e.manager
		}
		if len(r.Remove) > 0 && r.Remove[0] != has || len(r.Remove) == 0 && !has.IsZero() {
			return provision.Precondition
		}
		if e.manager = (scoping.GUID{}); len(r.Add) > 0 {
			e.manager = r.Add[0]
		}
		return ""
	}
	e.members = maps.Clone(e.members)
	if e.members == nil {
		e.members = map[scoping.GUID]bool{}
	}
	for _, g := range r.Remove {
		delete(e.members, g)
	}
	for _, g := range r.Add {
		e.members[g] = true
	}
	return ""
}

// added is the entry that an add makes.
func (w *world) added(c *carried) (entry, provision.Code) {
	s, x := w.dir.now, c.write
	e := entry{guid: w.dir.nextGUID(), parent: x.Container, kind: x.Kind, name: x.RDN()}
	e.link, e.of = x.Link.Value, c.cloudID
	for _, set := range x.Set {
		switch strings.ToLower(set.Attribute) {
		case "samaccountname":
			e.sam = set.To[0]
		case "employeeid":
			e.employee = set.To[0]
		case "displayname":
			e.display = set.To[0]
		case "department":
			e.dept = set.To[0]
		case "title":
			e.title = set.To[0]
		default:
			return e, provision.Invalid
		}
	}
	switch {
	case !s.lives(x.Container):
		return e, provision.NoContainer
	case s.nameTaken(x.Container, e.name, e.guid):
		return e, provision.Exists
	case w.samTaken(s, e.sam, e.guid):
		return e, provision.TakenName
	}
	if e.kind == scoping.User {
		e.upn = fmt.Sprintf("%s@sim.test", e.sam)
		e.secret.version, e.secret.lastSet, e.unknown = 1, 1, 1
	}
	return e, ""
}
