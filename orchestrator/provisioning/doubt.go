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

// replication is how long what a controller took may need to show at every other one: three hours are how often Active Directory replicates between sites where nobody said otherwise.
const replication = 3 * time.Hour

// endDoubts ends what can be ended of writes without an answer, by what their own controllers show. One whose controller is away stays in doubt, until a person says that it is gone for good:
// then another controller tells.
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
			r.askIfGone(d, err)
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
	other bool // it is not the one that was written to, which is gone
	over  bool // what is not there cannot arrive any more
}

// reread asks the controller that a write went to, and if a person said that it is gone the one that is read now.
func (r *run) reread(ctx context.Context, d ledger.Delivered) (x reread, err error) {
	w := d.Provisioned
	terms := []provision.Term{{Attribute: w.Link.Attribute, Value: w.Link.Value}, {Attribute: "cn", Value: w.RDN()}}
	if !w.Object.IsZero() {
		terms = []provision.Term{{Attribute: "objectGUID", Value: w.Object.String()}}
	}
	attributes := []string{"cn", "userAccountControl", w.Link.Attribute}
	if w.Op == provision.Add && d.Kind == scoping.User {
		attributes = append(attributes, provision.PasswordStamp)
	}
	for _, s := range w.Set {
		attributes = append(attributes, s.Attribute)
	}
	for _, r := range w.Refs {
		attributes = append(attributes, r.Attribute)
	}
	look := func(at controller, arrives time.Duration) error {
		x.at, x.over = at, r.o.Steady() > d.Until+arrives.Milliseconds() // before it is looked at: what is not there then cannot arrive any more
		x.found, err = r.ask(ctx, r.engine, d.Object.Directory, d.Feature, provision.Look{Controller: at.url, Invocation: at.invocation, Terms: terms, Attributes: attributes})
		return err
	}
	own := controller{url: w.Controller, invocation: w.Invocation}
	if !r.o.Without.AsksItsController() {
		if now, err := r.controller(ctx, d.Object.Directory); err == nil {
			own = now
		}
	}
	if look(own, r.o.GhostLife) == nil || ctx.Err() != nil || r.saidGone(d) != ledger.HoldApproved {
		return x, err
	}
	now, err := r.controller(ctx, d.Object.Directory)
	if err != nil {
		return x, err
	}
	x.other = true
	return x, look(now, max(replication, r.o.GhostLife))
}

// saidGone returns what a person said to whether the controller of a write is gone for good: approved, it is.
func (r *run) saidGone(d ledger.Delivered) (said ledger.HoldState) {
	r.o.Gate.Read(func(led *ledger.State) {
		said, _ = led.Answered(ledger.Question{Engine: d.Engine, Object: sourceID(d), Feature: d.Feature, Grave: d.GoneQuestion()}, r.o.Clock.Now().UnixMilli())
	})
	return said
}

func sourceID(d ledger.Delivered) scoping.ObjectID {
	id, _ := scoping.Cloud(d.CloudID) // it was made of one
	return id
}

// askIfGone holds the question whether a controller is gone for good, once it is away for so long that everything it had passed on is at the others.
func (r *run) askIfGone(d ledger.Delivered, err error) {
	if r.o.Steady() <= d.Until+max(replication, r.o.GhostLife).Milliseconds() || r.saidGone(d) == ledger.HoldRejected {
		return
	}
	w, id := d.Provisioned, sourceID(d)
	name := d.CloudID
	if o, known := r.o.Cache.Get(d.CloudID); known {
		name = cmp.Or(o.Values.First("displayName"), name)
	}
	r.hold(bin{w.Assignment, ledger.LostControllers, d.Kind}, "the controller that took a write without an answer cannot be asked; approve if it is gone for good and was removed from the domain: tenant → directory",
		ledger.HeldEntry{Object: id, Kind: d.Kind, Feature: d.Feature, Name: name, Grave: d.GoneQuestion(),
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

// madeWith is the stamp of the password with which an account was made, as long as it has that one, which nobody knows and which is never handed over. A later password has a later version [the
// answer to an add was lost, and the account's first password went into the tenant].
func madeWith(f provision.Found) string {
	text := first(value(f, provision.PasswordStamp))
	if s, err := credential.ParseStamp(text); err != nil || s.Version != 1 {
		return ""
	}
	return text
}

// provesItself reports whether what a controller shows of a write is its own doing, so that it cannot arrive any more. Anybody may have written the values of others [an enabling was still on its
// way, an administrator enabled the account by hand, security disabled it again: an enabling that counted as done arrived then, over security's].
func provesItself(op provision.Op) bool { return op == provision.Add || op == provision.Delete }

// shows reports whether a write was done, as far as an object that was found tells.
func (r *run) shows(d ledger.Delivered, f provision.Found) bool {
	w := d.Provisioned
	linked := slices.Contains(value(f, w.Link.Attribute), w.Link.Value) // of what is asked for by its objectGUID the link says nothing: somebody may have changed it since
	switch {
	case w.Op == provision.Delete:
		return f.Deleted
	case f.Deleted:
		return false
	case w.Op == provision.Add: // a link may be planted: it is what lies where it was made, under the name under which it was made, and is nobody's
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
