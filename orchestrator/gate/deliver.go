package gate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/plugins/provision"
	"github.com/tandem-sync/tandem/scoping"
	"github.com/tandem-sync/tandem/state"
)

// Delivery is a write into the directory that a person caused, in the tenant or by a command.
type Delivery struct {
	ID       string
	Engine   string // the engine that is ready to write
	Object   scoping.ObjectID
	Feature  scoping.Feature // the feature whose owner may write: password-writeback, or users for commands
	Op       string
	By       string
	CloudID  string
	Deadline time.Time
	// Provisioned describes a write for an object of the tenant: Object is in the directory, without a GUID where it is to be made. Kind and feature
	// are those of the other direction.
	Provisioned *ledger.Provisioned
	Kind        scoping.Kind // empty: a user
}

// Denial is a word for why a delivery is not permitted; empty: it is.
type Denial string

// The denials, in the order in which they are judged.
const (
	NotDenied  Denial = ""
	DeniedOld  Denial = "too-old"      // so old that its id may have been permitted and forgotten
	DeniedSeen Denial = "seen"         // the id was permitted before
	DeniedGone Denial = "gone"         // the directory shows no such user
	DeniedLink Denial = "not-linked"   // the ledger does not link it with the object of the tenant
	DeniedNone Denial = "not-in-scope" // no engine owns it
	DeniedMove Denial = "moved"        // it belongs to another engine by now, which gets the next request
	DeniedStop Denial = "stopped"
	DeniedBusy Denial = "busy"    // the scope changes hands, or another delivery to the same object may still arrive
	DeniedTime Denial = "expired" // too little of its time is left
)

// PermitCase is everything that a permit depends on.
type PermitCase struct {
	Seen      bool // the id was permitted before
	Forgotten bool // an event at least as old as one whose permitted id was forgotten
	User      bool // the directory shows the user
	Owner     string
	Engine    string // the engine that asks; empty: the owner
	Stopped   string // why nothing may be written there, or ""
	Frozen    bool
	Busy      bool
	Unlinked  bool          // a write for an object of the tenant that the ledger does not link with the object
	Tenure    time.Duration // what is left of this host's right to write
	Needs     time.Duration // how much of it the write needs
	Remaining time.Duration // until the deadline
}

// MinDelivery is the least time in which a delivery is begun.
const MinDelivery = time.Second

// MaxDelivery is the longest time that a permit allows.
const MaxDelivery = 30 * time.Second

// Permits judges a delivery and returns why it is not permitted. It is called twice: before the delivery is handed to an engine, and when the engine
// is ready to write.
func Permits(c PermitCase) (Denial, string) {
	switch {
	case c.Seen:
		return DeniedSeen, "it was permitted before"
	case c.Forgotten:
		return DeniedOld, "it is so old that it may have been carried out before"
	case !c.User:
		return DeniedGone, "the directory shows no such user"
	case c.Unlinked:
		return DeniedLink, "the ledger does not link it with that object of the tenant, or links either with another one"
	case c.Owner == scoping.None:
		return DeniedNone, "no engine owns it there"
	case c.Engine != "" && c.Owner != c.Engine:
		return DeniedMove, "it belongs to " + c.Owner + " now"
	case c.Stopped != "":
		return DeniedStop, c.Stopped
	case c.Frozen:
		return DeniedBusy, "the scope changes hands"
	case c.Busy:
		return DeniedBusy, "an earlier change of the same user may still arrive"
	case c.Tenure < c.Needs:
		return DeniedStop, fmt.Sprintf("only %s of the right to write are left", c.Tenure.Round(time.Second))
	case c.Remaining < MinDelivery:
		return DeniedTime, "its time is over"
	}
	return NotDenied, ""
}

// Offer judges a delivery before it is handed to an engine, and returns the engine that owns it.
func (g *Gate) Offer(ctx context.Context, d Delivery) (owner string, no Denial, why string) {
	if err := g.entitle(ctx); err != nil {
		return "", DeniedStop, err.Error()
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	c, _ := g.permitCase(d)
	no, why = Permits(c)
	return c.Owner, no, why
}

// Permit judges a delivery again when its engine is ready to write, and makes the permit durable: at most one is ever given for an id. It returns how
// long the engine has from now. Until Delivered the write counts as in flight: a freeze waits for it. A denial leaves no record.
func (g *Gate) Permit(ctx context.Context, d Delivery) (time.Duration, Denial, string, error) {
	if err := g.entitle(ctx); err != nil {
		return 0, DeniedStop, err.Error(), nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	c, sight := g.permitCase(d)
	if no, why := Permits(c); no != NotDenied && g.o.Without.judgesPermits() {
		return 0, no, why, nil
	}
	remaining := min(c.Remaining, c.Tenure, MaxDelivery)
	r := d.record(sight, ledger.Permitted, g.auth.Epoch)
	r.Delivery.Until = g.after(remaining)
	if d.event() {
		r.Delivery.Deadline = d.Deadline.UnixMilli()
	}
	if err := g.record(ctx, []ledger.Record{r}); err != nil {
		return 0, DeniedStop, "", err
	}
	g.flying[d.ID] = flight{object: d.Object, place: g.placeOf(d, sight), kind: d.kind(), feature: d.Feature}
	return remaining, NotDenied, "", nil
}

// Forgotten reports whether an event with this deadline may have been permitted and forgotten, so that nothing can be said of how it ended.
func (g *Gate) Forgotten(deadline time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.forgotten(deadline)
}

func (g *Gate) forgotten(deadline time.Time) bool {
	return deadline.UnixMilli() <= g.o.Ledger.EventsUntil
}

// Permitted returns what is remembered of a permitted delivery; false: no such id was permitted.
func (g *Gate) Permitted(id string) (ledger.Delivered, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.delivered(id)
}

func (g *Gate) delivered(id string) (ledger.Delivered, bool) {
	d, seen := g.o.Ledger.Delivery(id)
	return d, seen && g.o.Without.permitsOnce()
}

// Delivered makes the end of a permitted delivery durable, after which it is no longer in flight. Without an answer it is in doubt.
func (g *Gate) Delivered(ctx context.Context, d Delivery, r engine.DeliveryResult) error {
	kept := g.forgetHolders(ctx, d, r.Code)
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.flying, d.ID)
	return errors.Join(g.ended(ctx, d, r), kept)
}

// forgetHolders drops, before a leaver's account is linked with another object of the tenant, the claims of the groups and reports that have the former one: they agreed about that, and nothing that
// changes in directory or tenant says that the account is another's now [a group kept the leaver, and never got who has its account]. It comes before the record of the link, so that a crash
// between them has engines asked in vain at worst.
func (g *Gate) forgetHolders(ctx context.Context, d Delivery, code string) error {
	if d.Provisioned == nil || d.Provisioned.Op != provision.Join || code != engine.DeliveryOK {
		return nil
	}
	g.mu.Lock()
	var keys []ledger.Key
	if row := g.o.Ledger.Rows.Get(d.Object); row != nil && row.CloudID != "" && row.CloudID != d.CloudID {
		for id, holder := range g.o.Ledger.Rows.All() {
			if o, there := g.o.Cache.Get(holder.CloudID); there && (o.Manager == row.CloudID || o.HasMember(row.CloudID)) {
				keys = append(keys, ledger.Key{Object: id, Feature: scoping.References})
			}
		}
	}
	g.mu.Unlock()
	if len(keys) == 0 {
		return nil
	}
	return g.Forget(ctx, keys)
}

// ended records the end of a delivery. g.mu is held.
func (g *Gate) ended(ctx context.Context, d Delivery, r engine.DeliveryResult) error {
	rec := d.record(g.o.Census.Sight(d.Object), ledger.Ended, g.auth.Epoch)
	rec.Code, rec.Reason, rec.Outcome, rec.Delivery.Result = r.Code, r.Reason, outcomeOf(r.Code), r.Provision
	return g.record(state.WithReserve(ctx), []ledger.Record{rec}) // what was permitted must end, even on a full disk
}

// Denied records a delivery that was not permitted, for display.
func (g *Gate) Denied(ctx context.Context, d Delivery, code, reason string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	r := d.record(g.o.Census.Sight(d.Object), ledger.Refused, g.auth.Epoch)
	r.Code, r.Reason, r.Outcome = code, reason, outcomeOf(code)
	return g.record(ctx, []ledger.Record{r})
}

// Doubtful returns the deliveries without an answer, of one object or of all, the oldest first. Those under way are left out, and those older than a
// day.
func (g *Gate) Doubtful(o *scoping.ObjectID) (out []ledger.Delivered) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, d := range g.o.Ledger.DoubtfulDeliveries() {
		if d.Ended && !d.Past(g.steady()) && (o == nil || *o == d.Object) {
			out = append(out, d)
		}
	}
	return out
}

func outcomeOf(code string) engine.Outcome {
	switch code {
	case engine.DeliveryOK:
		return engine.Applied
	case engine.DeliveryInDoubt:
		return engine.InDoubt
	}
	return engine.Refused
}

// event reports whether the tenant hands out the delivery, perhaps repeatedly; all other ids are made by this host.
func (d Delivery) event() bool { return d.Feature == scoping.PasswordWriteback }

func (d Delivery) record(s Sight, step ledger.Step, e scoping.Epoch) ledger.Record {
	r := ledger.Record{Type: ledger.DeliveryType, Engine: d.Engine, Object: &d.Object, Kind: d.kind(), Name: s.Name, Feature: d.Feature, Op: d.Op, By: d.By, Epoch: e,
		Delivery: &ledger.Delivery{ID: d.ID, Step: step, CloudID: d.CloudID}}
	if step == ledger.Permitted {
		r.Delivery.Provisioned = d.Provisioned
	}
	return r
}

func (d Delivery) kind() scoping.Kind { return cmp.Or(d.Kind, scoping.User) }

// placeOf returns where a delivery writes: the place of its object, or where it is to be made. A disabling by GUID belongs to the container that the
// object was brought to, wherever it is now. g.mu is held.
func (g *Gate) placeOf(d Delivery, s Sight) scoping.Place {
	p := d.Provisioned
	switch {
	case p != nil && p.Op == provision.Add:
		return g.within(d.Object.Directory, p.Container)
	case p != nil && p.ByGUID:
		return g.within(d.Object.Directory, p.Root)
	}
	return s.Place(d.Object.Directory)
}

// within returns the place of objects directly in a container. g.mu is held.
func (g *Gate) within(dir string, container scoping.GUID) scoping.Place {
	at := g.o.Census.Brief(scoping.ObjectID{Directory: dir, GUID: container})
	return scoping.Place{Directory: dir, Ancestors: append([]scoping.GUID{container}, at.Chain...)}
}

// permitCase snapshots what a permit depends on. g.mu is held.
func (g *Gate) permitCase(d Delivery) (PermitCase, Sight) {
	sight := g.o.Census.Sight(d.Object)
	place := g.placeOf(d, sight)
	_, seen := g.delivered(d.ID)
	c := PermitCase{Seen: seen, Forgotten: d.event() && g.forgotten(d.Deadline), User: sight.Known && !sight.Deleted && sight.Kind == scoping.User, Engine: d.Engine, Tenure: g.o.Tenure(), Needs: g.o.RequestTime,
		Remaining: d.Deadline.Sub(g.o.Clock.Now()), Busy: g.o.Ledger.Busy(d.Object, g.steady()), Frozen: g.isFrozen(place, d.kind(), d.Feature)}
	if d.Provisioned != nil {
		g.provisions(&c, d)
	}
	if c.Owner = g.auth.Owner(place, d.kind(), d.Feature).Engine; c.Owner == "" {
		c.Owner = scoping.None
	}
	if g.o.Without.stops() {
		c.Stopped = cmp.Or(g.auth.Stopped(c.Owner, place), g.auth.Stopped(c.Owner, sight.Place(d.Object.Directory))) // a stop at the object's own place holds as well
	}
	return c, sight
}

// provisions adds what a permit for an object of the tenant depends on: the two must be linked with each other and nothing else, and no other write
// for it may be open. An object that is to be made must have no link in any state, and no write with an unknown end. g.mu is held.
func (g *Gate) provisions(c *PermitCase, d Delivery) {
	led, adds, joins := g.o.Ledger, d.Provisioned.Op == provision.Add, d.Provisioned.Op == provision.Join
	c.User = true // the sink checks it over the connection that writes
	row, linked := led.ByCloud(d.CloudID)
	switch {
	case d.CloudID == "", (adds || joins) && linked:
		c.Unlinked = true
	case joins: // unlinked, or linked with an object that left
		old := led.Rows.Get(d.Object)
		c.Unlinked = old != nil && (old.Cloud == 0 || old.State != ledger.ParkedRow)
	case !adds:
		c.Unlinked = !linked || row.Object != d.Object || row.Cloud == 0
	}
	c.Busy = (len(led.Provisioning(d.CloudID)) > 0 || led.Changing(d.Object)) && g.o.Without.KeepsSinkDoubts()
	for _, set := range d.Provisioned.Set {
		if adds && slices.Contains(d.Provisioned.Unique, set.Attribute) {
			for _, v := range set.To {
				if !g.o.Without.ReservesNames() {
					break
				}
				by := led.Reserved(d.Object.Directory, set.Attribute, v)
				c.Busy = c.Busy || by != "" && by != d.CloudID
			}
		}
	}
}

// ByController makes durable how a write in doubt ended, as its controller shows it.
func (g *Gate) ByController(ctx context.Context, id, code, reason string, r *provision.Result) error {
	g.mu.Lock()
	x, known := g.o.Ledger.Delivery(id)
	g.mu.Unlock()
	if !known || x.Provisioned == nil {
		return nil
	}
	d := Delivery{ID: x.ID, Engine: x.Engine, Object: x.Object, Op: x.Op, By: x.By, CloudID: x.CloudID, Feature: x.Feature, Kind: x.Kind, Provisioned: x.Provisioned}
	kept := g.forgetHolders(ctx, d, code)
	g.mu.Lock()
	defer g.mu.Unlock()
	return errors.Join(g.ended(ctx, d, engine.DeliveryResult{Code: code, Reason: reason, Provision: r}), kept)
}

// recoverDeliveries returns the records that put permits of an earlier process without an end in doubt. g.mu is held.
func (g *Gate) recoverDeliveries() (rs []ledger.Record) {
	for _, x := range g.o.Ledger.DoubtfulDeliveries() {
		if _, sent := g.flying[x.ID]; x.Ended || sent {
			continue
		}
		d := Delivery{ID: x.ID, Engine: x.Engine, Object: x.Object, Op: x.Op, By: x.By, CloudID: x.CloudID, Feature: cmp.Or(x.Feature, scoping.PasswordWriteback), Kind: x.Kind, Provisioned: x.Provisioned}
		r := d.record(Sight{Name: x.Name}, ledger.Ended, g.auth.Epoch)
		r.Code, r.Outcome, r.Reason = engine.DeliveryInDoubt, engine.InDoubt, "no answer to it was written down"
		rs = append(rs, r)
	}
	return rs
}
