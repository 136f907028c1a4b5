package simulation

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/orchestrator/wave"
	"github.com/tandem-sync/tandem/orchestrator/writeback"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/plugins/secret"
	"github.com/tandem-sync/tandem/scoping"
)

// tenantID is the tenant's.
const tenantID = "the simulation's tenant"

// delivery is one change of a password on its way into the directory, as the simulator sees it: from the tenant, or by a command.
type delivery struct {
	id      string
	object  scoping.ObjectID
	feature scoping.Feature
	event   *cloud.PasswordEvent // nil: a command asked for it
	engine  string               // that was permitted
	order   int                  // among all permits; 0: none
	until   time.Time            // elapsed: it takes no effect after that
	place   scoping.Place        // where the host was told that the user is, at the permit
	onWire  bool                 // its engine has not said how it ended
	over    bool                 // its engine said that nothing was changed
	effects int
	told    bool // the tenant, or the command that asked for it, was told how it ended
	toldNot bool // what was told is that nothing was changed
}

// arrives reports whether a delivery may still take effect.
func (d *delivery) arrives(now time.Time) bool {
	return d.order > 0 && d.effects == 0 && !d.over && !d.toldNot && !now.After(d.until)
}

// lateDelivery takes effect after the call that waited for it has ended.
type lateDelivery struct {
	at time.Time
	d  *delivery
}

// deliveries is all that the simulator knows of them.
type deliveries struct {
	all     []*delivery
	byID    map[string]*delivery
	late    []lateDelivery
	permits int
	set     map[scoping.GUID]int // the order of the one that took effect last
}

// changeInTenant resets or changes a password in the tenant, or hands out again what the tenant handed out before.
func (w *world) changeInTenant() {
	if w.preparing || w.book.control.partition == nil {
		return
	}
	again := slices.DeleteFunc(slices.Clone(w.passwords.all), func(d *delivery) bool { return d.event == nil || d.told && d.order == 0 })
	if d, ok := pick(w, again); ok && w.r.IntN(3) == 0 {
		w.log("the tenant hands %s out again", d.id)
		w.takeEvent(d)
		return
	}
	accounts := slices.DeleteFunc(w.tenant.sorted(), func(a *account) bool {
		return !a.deletedAt.IsZero() || a.anchor == "" || w.dir.anchors[a.anchor].IsZero()
	})
	a, ok := pick(w, accounts)
	if !ok {
		return
	}
	e := &cloud.PasswordEvent{ID: w.newName("event"), Tenant: tenantID, Installation: w.book.installation, CloudID: a.id,
		Op: []cloud.PasswordOp{cloud.ResetPassword, cloud.ResetPassword, cloud.ChangePassword, cloud.UnlockAccount}[w.r.IntN(4)], MustChange: w.r.IntN(3) == 0,
		Deadline: w.now.Add(w.stepped + 40*time.Second)}
	d := &delivery{id: e.ID, object: scoping.ObjectID{Directory: dirName, GUID: w.dir.anchors[a.anchor]}, feature: scoping.PasswordWriteback, event: e}
	w.passwords.add(d)
	w.saw(Deliveries)
	w.takeEvent(d)
}

func (p *deliveries) add(d *delivery) {
	p.all = append(p.all, d)
	p.byID[d.id] = d
}

// takeEvent hands an event to the host, as its poll does.
func (w *world) takeEvent(d *delivery) {
	e := *d.event
	if e.Op != cloud.UnlockAccount {
		e.NewPassword = secret.Take(fmt.Appendf(nil, "%s of %s", secretMark, e.ID))
	}
	if e.Op == cloud.ChangePassword {
		e.OldPassword = secret.Take([]byte(secretMark + " before"))
	}
	w.log("event %s: %s of %s {", e.ID, e.Op, w.dir.now.dn(d.object.GUID))
	w.call(nil, func() {
		err := w.host.SetPasswords().Take(context.Background(), e)
		w.log("} event %s: %v", e.ID, err)
	})
}

// setByCommand is `tandem password set`.
func (w *world) setByCommand() {
	u, ok := pick(w, w.living(scoping.User))
	if w.preparing || !ok || w.book.control.partition == nil {
		return
	}
	w.log("a command sets the password of %s {", w.dir.now.dn(u.guid))
	w.call(nil, func() {
		before := len(w.passwords.all)
		out, err := w.host.SetPasswords().Set(context.Background(), writeback.Order{Object: u.id(), Op: engine.ResetPassword, New: secret.Take([]byte(secretMark)), By: "simulation"})
		w.log("} %+v %v", out, err)
		if out.Code == "" { // the state failed: how it ended is unknown
			return
		}
		for _, d := range w.passwords.all[before:] {
			if d.event == nil && d.object == u.id() && !d.told {
				w.tellOf(d, out.Code)
			}
		}
	})
}

// tellOf notes that the tenant, or the command that asked for a change, is told how it ended, and checks that this is true.
func (w *world) tellOf(d *delivery, code string) {
	d.told = true
	switch {
	case code == engine.DeliveryOK && d.effects == 0 && w.dir.now.objects[d.object.GUID] != nil:
		w.failAbout(d.object.GUID, nothingLost, toldOfSuccess, d.id, d.engine)
	case code == engine.DeliveryOK, code == engine.DeliveryInDoubt:
	default:
		d.toldNot = true
		if d.effects > 0 {
			w.failAbout(d.object.GUID, nothingLost, toldOfFailure, d.id, d.engine, code)
		}
	}
}

// relay implements writeback.Relay.
type relay struct{ w *world }

var _ writeback.Relay = relay{}

func (relay) Open(context.Context) (bool, error) { return true, nil }

func (relay) TenantID(context.Context) (string, error) { return tenantID, nil }

func (relay) PasswordEvents(context.Context, time.Duration) ([]cloud.PasswordEvent, error) {
	return nil, nil // takeEvent hands them over one by one
}

func (r relay) AnswerPasswordEvent(_ context.Context, id string, answer cloud.PasswordAnswer, _ string) error {
	w := r.w
	w.alive()
	if w.fault(10) {
		return errTenant
	}
	w.log("event %s is answered: %s", id, answer)
	w.tellOf(w.passwords.byID[id], string(answer))
	if w.fault(10) {
		return errTenant // the answer arrived all the same
	}
	return nil
}

// deliverer implements writeback.Engines.
type deliverer struct{ engines }

var _ writeback.Engines = deliverer{}

func (x deliverer) Deliver(ctx context.Context, name string, to engine.Delivery, permit func(context.Context) (engine.Permit, error)) (engine.DeliveryResult, bool, error) {
	w := x.w
	w.alive()
	d := w.passwords.byID[to.ID]
	if d == nil { // of a command: its id is the host's
		d = &delivery{id: to.ID, object: to.Object, feature: scoping.Users}
		w.passwords.add(d)
	}
	w.interleaveAt(40) // it connects and signs in
	if !w.preparing && w.depth < 4 && w.r.IntN(3) == 0 {
		w.maybe(60, w.waves)
	}
	if w.fault(5) {
		return engine.DeliveryResult{}, false, errEngine
	}
	p, err := permit(ctx)
	w.alive()
	if err != nil {
		return engine.DeliveryResult{}, false, err
	}
	if p.Refused != "" {
		return engine.DeliveryResult{ID: to.ID, Code: engine.DeliveryRefused}, false, nil
	}
	w.permitted(d, name, p.Remaining)
	r, err := w.deliver(d)
	w.alive()
	return r, true, err
}

// permitted: there is one permit, for the owner, and none while another delivery may overtake it.
func (w *world) permitted(d *delivery, name string, remaining time.Duration) {
	w.catchUp()
	w.settleDeliveries()
	g := d.object.GUID
	w.log("permit: %s for %s, %s left", d.id, name, remaining)
	if d.order > 0 {
		w.failAbout(g, singleWriter, permittedTwice, d.id, d.engine, name)
	}
	w.counts["permit"]++
	w.passwords.permits++
	d.order, d.engine, d.until, d.onWire = w.passwords.permits, name, w.now.Add(remaining), true
	place := w.toldPlace(g)
	d.place = place
	if o := w.owner(place, scoping.User, d.feature); o.Engine != name {
		w.failAbout(g, singleWriter, nonOwnerDelivers, name, w.dir.now.dn(g), o.Engine)
	}
	for _, s := range w.book.stops {
		if (s.Engine == "" || s.Engine == name) && (s.Under == nil || s.Under.Covers(place)) {
			w.failAbout(g, singleWriter, "%s may set the password of %s while it is stopped", name, w.dir.now.dn(g))
		}
	}
	for id, f := range w.book.frozen {
		if f.tight && w.now.Before(f.since.Add(wave.FreezeLimit)) && w.coversWave(id, place, scoping.User, d.feature) {
			w.failAbout(g, singleWriter, "%s may set the password of %s, which wave %s has frozen", name, w.dir.now.dn(g), id)
		}
	}
	for _, other := range w.passwords.all {
		if other != d && other.object == d.object && other.arrives(w.now) {
			w.failAbout(g, singleWriter, "%s is permitted for %s while %s may still arrive", d.id, w.dir.now.dn(g), other.id)
		}
	}
}

// deliver is what an engine does with its permit: the password is set at once, later or never, and the answer comes or is lost.
func (w *world) deliver(d *delivery) (engine.DeliveryResult, error) {
	defer func() {
		if !w.crashed {
			d.onWire = false
		}
	}()
	w.interleaveAt(40)
	if w.fault(4) {
		w.log("CRASH while %s is on the wire", d.id)
		w.crashed = true
		panic(crash{})
	}
	out := engine.DeliveryResult{ID: d.id, Code: engine.DeliveryOK}
	if w.now.After(d.until) {
		out.Code, d.over = engine.DeliveryExpired, true
		return out, nil
	}
	n := 9
	if w.faults {
		n = w.r.IntN(10)
	}
	switch n {
	case 0:
		return engine.DeliveryResult{}, errEngine // it never arrives
	case 1:
		w.flies(d)
		return engine.DeliveryResult{}, errEngine
	case 2:
		out.Code, d.over = "complexity", true
		return out, nil
	case 3:
		w.takesEffect(d)
		out.Code = engine.DeliveryInDoubt
		return out, nil
	}
	w.takesEffect(d)
	w.interleaveAt(20)
	return out, nil
}

// flies lets a delivery take effect some time before its permit ends.
func (w *world) flies(d *delivery) {
	at := w.now.Add(time.Duration(w.r.Int64N(int64(max(d.until.Sub(w.now), 1)))))
	w.log("in flight: %s takes effect at %s", d.id, at.Format("15:04:05"))
	w.passwords.late = append(w.passwords.late, lateDelivery{at, d})
}

// orphanDeliveries: the host crashed. What its engines were about to write arrives in time, or never.
func (w *world) orphanDeliveries() {
	for _, d := range w.passwords.all {
		if d.onWire && d.effects == 0 && w.r.IntN(2) == 0 {
			w.flies(d)
		}
		d.onWire = false
	}
}

// settleDeliveries lets what was in flight arrive.
func (w *world) settleDeliveries() {
	if len(w.passwords.late) == 0 {
		return
	}
	due := slices.DeleteFunc(slices.Clone(w.passwords.late), func(x lateDelivery) bool { return x.at.After(w.now) })
	w.passwords.late = slices.DeleteFunc(w.passwords.late, func(x lateDelivery) bool { return !x.at.After(w.now) })
	slices.SortStableFunc(due, func(a, b lateDelivery) int { return a.at.Compare(b.at) })
	for _, x := range due {
		w.takesEffect(x.d)
	}
}

// takesEffect sets the password in the directory: once, in the order of the permits, and by the owner as long as its engine has not answered.
func (w *world) takesEffect(d *delivery) {
	g := d.object.GUID
	if d.effects++; d.effects > 1 {
		w.failAbout(g, singleWriter, permittedTwice, d.id, d.engine, d.engine)
	}
	if d.toldNot {
		w.failAbout(g, nothingLost, toldOfFailure, d.id, d.engine, "before")
	}
	if newer := w.passwords.set[g]; newer > d.order {
		w.failAbout(g, nothingLost, "%s sets the password of %s after a newer one was set", d.id, w.dir.now.dn(g))
	}
	w.passwords.set[g] = d.order
	if d.onWire {
		w.catchUp()
		if o := w.owner(w.toldPlace(g), scoping.User, d.feature); o.Engine != d.engine && reflect.DeepEqual(w.toldPlace(g), d.place) {
			w.failAbout(g, singleWriter, nonOwnerDelivers, d.engine, w.dir.now.dn(g), o.Engine)
		}
	}
	e := w.dir.now.objects[g]
	if e == nil || e.deleted || d.event != nil && d.event.Op == cloud.UnlockAccount {
		return
	}
	x := *e
	x.secret.version++
	x.secret.must, x.secret.lastSet = d.event != nil && d.event.MustChange, uint64(x.secret.version)
	if x.secret.must {
		x.secret.lastSet = 0
	}
	w.dir.put(x)
	w.log("directory: %s has the password of %s: %+v", x.name, d.id, x.secret)
}

// withDeliveries switches the feature on in a policy, if this simulation is about it.
func (w *world) withDeliveries(policy string) string {
	if !w.eyes[Deliveries] {
		return policy
	}
	return strings.ReplaceAll(policy, "[users", "[users, password-writeback")
}
