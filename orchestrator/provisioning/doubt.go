package provisioning

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/gate"
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/plugins/credential"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/plugins/provision"
	"github.com/tandem-sync/tandem/scoping"
)

// replication is how long a change at one controller may need to reach all others: three hours is Active Directory's default interval between sites.
const replication = 3 * time.Hour

// endDoubts ends doubts about writes by what their own controllers show. If a controller is away the doubt stays, until a person answers that the
// controller will never be back: then another one is asked.
func (r *run) endDoubts(ctx context.Context) error {
	var open []ledger.Delivered
	r.o.Gate.Read(func(led *ledger.State) {
		for _, d := range led.DoubtfulDeliveries() {
			if d.Provisioned != nil && d.Engine == r.engine && d.Ended {
				open = append(open, d)
			}
		}
	})
	for _, d := range open {
		x, err := r.reread(ctx, d)
		if ctx.Err() != nil {
			return err
		}
		if err != nil {
			r.report.Complete = false
			r.report.Problems = append(r.report.Problems, Problem{Object: d.CloudID, Code: string(gate.CodeInDoubt), Message: "a write had no answer, and the controller that would know cannot be asked: " + err.Error()})
			r.askIfLost(d, err)
			continue
		}
		if err := r.endDoubt(ctx, d, x); err != nil {
			return err
		}
	}
	return nil
}

// reread is what a controller shows of a write without an answer.
type reread struct {
	found []provision.Found
	at    controller
	other bool // it is not the controller of the write, which is lost
	over  bool // what is not there cannot arrive any more
}

// reread asks the controller of a write, or, if a person answered that it is lost, the one that is read now.
func (r *run) reread(ctx context.Context, d ledger.Delivered) (x reread, err error) {
	w := d.Provisioned
	terms := []provision.Term{{Attribute: w.Link.Attribute, Value: w.Link.Value}, {Attribute: "cn", Value: w.RDN()}}
	if !w.Object.IsZero() {
		terms = []provision.Term{{Attribute: "objectGUID", Value: w.Object.String()}}
	}
	attributes := []string{"cn", "userAccountControl", w.Link.Attribute}
	if w.Made() && d.Kind == scoping.User {
		attributes = append(attributes, provision.PasswordStamp)
	}
	for _, s := range w.Set {
		attributes = append(attributes, s.Attribute)
	}
	for _, r := range w.Refs {
		attributes = append(attributes, r.Attribute)
	}
	look := func(at controller, arrives time.Duration) error {
		x.at, x.over = at, r.o.Steady() > d.Until+arrives.Milliseconds() // before the look: what it does not show cannot arrive any more
		x.found, err = r.ask(ctx, r.engine, d.Object.Directory, d.Feature, provision.Look{Controller: at.url, Invocation: at.invocation, Terms: terms, Attributes: attributes})
		return err
	}
	own := controller{url: w.Controller, invocation: w.Invocation}
	if !r.o.Without.AsksItsController() {
		if now, err := r.controller(ctx, d.Object.Directory); err == nil {
			own = now
		}
	}
	if look(own, r.o.GhostLife) == nil || ctx.Err() != nil || r.saidLost(d) != ledger.HoldApproved {
		return x, err
	}
	now, err := r.controller(ctx, d.Object.Directory)
	if err != nil {
		return x, err
	}
	x.other = true
	return x, look(now, max(replication, r.o.GhostLife))
}

// saidLost returns a person's answer about whether the controller of a write is lost: approved, it is.
func (r *run) saidLost(d ledger.Delivered) (said ledger.HoldState) {
	r.o.Gate.Read(func(led *ledger.State) {
		said, _ = led.Answered(ledger.Question{Engine: d.Engine, Object: sourceID(d), Feature: d.Feature, Grave: d.LostQuestion()}, r.o.Clock.Now().UnixMilli())
	})
	return said
}

func sourceID(d ledger.Delivered) scoping.ObjectID {
	id, _ := scoping.Cloud(d.CloudID) // it was made of one
	return id
}

// askIfLost holds the question whether a controller is lost, once it is away for so long that all its changes have reached the others.
func (r *run) askIfLost(d ledger.Delivered, err error) {
	if r.o.Steady() <= d.Until+max(replication, r.o.GhostLife).Milliseconds() || r.saidLost(d) == ledger.HoldRejected {
		return
	}
	w, id := d.Provisioned, sourceID(d)
	name := d.CloudID
	if o, known := r.o.Cache.Get(d.CloudID); known {
		name = cmp.Or(o.Values.First("displayName"), name)
	}
	r.hold(bin{w.Assignment, ledger.LostControllers, d.Kind}, "the controller that took a write without an answer cannot be asked; approve if it is gone for good and was removed from the domain: tenant → directory",
		ledger.HeldEntry{Object: id, Kind: d.Kind, Feature: d.Feature, Name: name, Grave: d.LostQuestion(),
			Note: fmt.Sprintf("%s of it at %s had no answer: %v. If that controller is gone for good, another one tells what became of it", w.Op, w.Controller, err)})
}

// endDoubt ends one doubt by what a controller shows.
func (r *run) endDoubt(ctx context.Context, d ledger.Delivered, x reread) error {
	w := d.Provisioned
	for _, f := range x.found {
		if r.shows(d, f) && (x.over || provesItself(w.Op)) {
			return r.o.Gate.ByController(ctx, d.ID, engine.DeliveryOK, "its controller shows it", &provision.Result{Object: f.Object, DN: f.DN, Invocation: x.at.invocation, USN: f.USN, Stamp: madeWith(f)})
		}
	}
	if !x.over {
		return nil
	}
	enables := w.Disabled != nil && !w.Disabled.To && r.o.Without.ChecksOvertaken()
	if enables && slices.ContainsFunc(x.found, func(f provision.Found) bool { return !f.Deleted && (x.other || f.USN != w.Seen) }) {
		return r.o.Gate.ByController(ctx, d.ID, ledger.CodeOvertaken, "somebody wrote to the account since: it may have been enabled, and disabled again", nil)
	}
	return r.o.Gate.ByController(ctx, d.ID, ledger.CodeNotThere, "its controller does not show it, and it cannot arrive any more", nil)
}

// madeWith returns the stamp of the random password that an account was made with, as long as it has that one, which is never handed over. A later
// password has a later version. [Without it, after a lost answer to an add, the account's first password went into the tenant.]
func madeWith(f provision.Found) string {
	text := first(value(f, provision.PasswordStamp))
	if s, err := credential.ParseStamp(text); err != nil || !s.First() {
		return ""
	}
	return text
}

// provesItself reports whether an effect that a controller shows can only come from the write itself, so that the write cannot arrive any more.
// Values of other writes may be set by others. [An enabling was still in flight, an administrator enabled the account by hand, security disabled it
// again: the enabling, counted as done, then arrived and overruled security.]
func provesItself(op provision.Op) bool { return op == provision.Add || op == provision.Delete }

// shows reports whether an object that was found shows that a write was done.
func (r *run) shows(d ledger.Delivered, f provision.Found) bool {
	w := d.Provisioned
	linked := slices.Contains(value(f, w.Link.Attribute), w.Link.Value) // an object found by its objectGUID may have had its link changed since
	switch {
	case w.Op == provision.Delete:
		return f.Deleted
	case f.Deleted:
		return false
	case w.Op == provision.Add: // a link may be planted: the object has to be where and under the name that it was made, without another owner
		return linked && first(value(f, "cn")) == w.RDN() && f.Parent == w.Container && f.Protected == "" && !r.owned(d.Object.Directory, f.Object)
	case w.Op == provision.Join:
		return linked
	case w.Op == provision.Rename:
		return first(value(f, "cn")) == w.Name
	case w.Op == provision.Move:
		return f.Parent == w.Container
	}
	for _, s := range w.Set {
		if !same(value(f, s.Attribute), s.To) {
			return false
		}
	}
	for _, r := range w.Refs {
		is := referred(f, r.Attribute)
		if len(without(r.Add, is)) > 0 || len(without(r.Remove, is)) < len(r.Remove) {
			return false
		}
	}
	return w.Disabled == nil || disabled(f) == w.Disabled.To
}

func (r *run) owned(dir string, g scoping.GUID) (is bool) {
	r.o.Gate.Read(func(led *ledger.State) { is = led.Rows.Get(scoping.ObjectID{Directory: dir, GUID: g}) != nil })
	return is
}
