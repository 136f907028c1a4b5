package writeback

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/gate"
	"github.com/tandem-sync/tandem/plugins/directory/password"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/plugins/secret"
	"github.com/tandem-sync/tandem/scoping"
)

// Order is one change of a password.
type Order struct {
	ID         string // never used for another one
	Object     scoping.ObjectID
	CloudID    string          // empty: the object is not linked
	Feature    scoping.Feature // whose owner carries it out
	Op         engine.DeliveryOp
	MustChange bool
	Unlock     bool // with a reset
	New, Old   *secret.Value
	Deadline   time.Time
	By         string
}

func (o Order) wipe() {
	o.New.Wipe()
	o.Old.Wipe()
}

// Outcome is the result of a change: Code is one of package password, of engine.Delivery… or of gate.Denied…; Reason is for administrators.
type Outcome struct{ Engine, Code, Reason string }

// afterwards is how long an engine may take to report the result after the change's deadline.
const afterwards = 5 * time.Second

// Deliver carries out a change and wipes its passwords. An error means that the state failed, or that ctx ended before anything was permitted.
func (d *Desk) Deliver(ctx context.Context, o Order) (Outcome, error) {
	defer o.wipe()
	limit := min(o.Deadline.Sub(d.o.Clock.Now()), gate.MaxDelivery) + afterwards
	asker := ctx
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit)
	defer cancel()
	x := &delivery{Desk: d, asker: asker, order: o, is: gate.Delivery{ID: o.ID, Object: o.Object, Feature: o.Feature, Op: string(o.Op), By: o.By, CloudID: o.CloudID, Deadline: o.Deadline}}
	defer context.AfterFunc(asker, func() { // before the permit the caller's end ends the delivery; after it, that would only leave the change in doubt
		if x.leave() {
			cancel()
		}
	})()
	out, err := x.offer(ctx)
	if err != nil || out.Code != "" {
		return x.denied(ctx, out, err)
	}
	return x.hand(ctx)
}

// delivery is one order being carried out.
type delivery struct {
	*Desk
	asker context.Context // the caller's; a permitted delivery outlives it
	order Order
	is    gate.Delivery
	no    gate.Denial // why the permit was denied
	why   string      // the same, in words
	lost  error       // the permit could not be made durable

	mu    sync.Mutex
	begun bool // the permit is being made
	left  bool // the caller ended before that
}

// leave notes that the caller has ended, and reports whether that ends the delivery.
func (x *delivery) leave() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.left = !x.begun
	return x.left
}

// begin notes that the permit is being made, and reports whether the caller still wants it.
func (x *delivery) begin() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.begun = !x.left && x.asker.Err() == nil
	return x.begun
}

// offer checks the change before any engine gets it. An outcome with a code means that none does.
func (x *delivery) offer(ctx context.Context) (Outcome, error) {
	if err := x.o.Census.Reread(ctx, []scoping.ObjectID{x.is.Object}); err != nil { // it may have moved, or been deleted
		return Outcome{Code: string(password.Unreachable), Reason: fmt.Sprintf("read %s in the directory: %v", x.is.Object, err)}, nil
	}
	owner, no, why := x.o.Gate.Offer(ctx, x.is)
	if no != gate.NotDenied {
		return Outcome{Engine: owner, Code: string(no), Reason: why}, nil
	}
	x.is.Engine = owner
	if why, err := x.power(ctx); err != nil || why != "" {
		code := password.NotAllowed
		if err != nil {
			code, why = password.Failed, fmt.Sprintf("ask the tenant whether it holds a directory role: %v", err)
		}
		return Outcome{Engine: owner, Code: string(code), Reason: why}, nil
	}
	is, err := x.o.Engines.Describe(ctx, owner)
	switch {
	case err != nil:
		return Outcome{Engine: owner, Code: engine.DeliveryFailed, Reason: err.Error()}, nil
	case !slices.Contains(is.Delivers, scoping.PasswordWriteback):
		return Outcome{Engine: owner, Code: engine.DeliveryNoAgent, Reason: "engine " + owner + " sets no passwords"}, nil
	}
	return Outcome{Engine: owner}, nil
}

// power returns why the user holds power in the tenant; empty: it does not. The password of such a user is never set.
func (x *delivery) power(ctx context.Context) (string, error) {
	if x.is.CloudID == "" {
		return "", nil
	}
	power, err := x.o.Tenant.Powerful(ctx, []string{x.is.CloudID})
	if err != nil || power[x.is.CloudID] == "" {
		return "", err
	}
	return "it holds power in the tenant: " + power[x.is.CloudID], nil
}

// hand hands the change to its engine, and records the result.
func (x *delivery) hand(ctx context.Context) (Outcome, error) {
	to := engine.Delivery{ID: x.is.ID, Feature: scoping.PasswordWriteback, Object: x.is.Object, Op: x.order.Op, MustChange: x.order.MustChange, Unlock: x.order.Unlock,
		Own: x.o.Own[x.is.Object.Directory]}
	r, permitted, err := x.o.Engines.Deliver(ctx, x.is.Engine, to, x.permit)
	switch {
	case x.lost != nil:
		return Outcome{}, x.lost
	case permitted && err != nil:
		r = engine.DeliveryResult{Code: engine.DeliveryInDoubt, Reason: err.Error()}
	case permitted: // r is the result
	case x.no != gate.NotDenied:
		return x.denied(ctx, Outcome{Engine: x.is.Engine, Code: string(x.no), Reason: x.why}, nil)
	case err != nil:
		return x.denied(ctx, Outcome{Engine: x.is.Engine, Code: engine.DeliveryFailed, Reason: err.Error()}, nil)
	default:
		return x.denied(ctx, Outcome{Engine: x.is.Engine, Code: r.Code, Reason: r.Reason}, nil)
	}
	if !password.Code(r.Code).Known() {
		r = engine.DeliveryResult{Code: engine.DeliveryInDoubt, Reason: fmt.Sprintf("the engine says %q, which is no way to end", r.Code)}
	}
	out := Outcome{Engine: x.is.Engine, Code: r.Code, Reason: r.Reason}
	return out, x.o.Gate.Delivered(context.WithoutCancel(ctx), x.is, r)
}

// permit answers the engine's request for a permit.
func (x *delivery) permit(ctx context.Context) (engine.Permit, error) {
	if !x.begin() {
		return engine.Permit{}, context.Cause(x.asker)
	}
	remaining, no, why, err := x.o.Gate.Permit(ctx, x.is)
	if err != nil {
		x.lost = fmt.Errorf("permit a change of %s: %w", x.is.Object, err)
		return engine.Permit{}, x.lost
	}
	if no != gate.NotDenied {
		x.no, x.why = no, why
		return engine.Permit{Refused: string(no)}, nil
	}
	return engine.Permit{Remaining: remaining, New: x.order.New, Old: x.order.Old}, nil
}

// denied records a change that was not permitted.
func (x *delivery) denied(ctx context.Context, out Outcome, err error) (Outcome, error) {
	if err != nil {
		return out, err
	}
	return out, x.o.Gate.Denied(context.WithoutCancel(ctx), x.is, out.Code, out.Reason)
}
