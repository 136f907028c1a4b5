package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
)

// Deliver makes e carry out one delivery, from the host's side. permit is called at most once, when the engine is ready to write; what it returns is the
// engine's, and after an error of its nothing is permitted. permitted says whether the engine was given a permit that was not refused: then an error leaves the
// delivery in doubt, and without it nothing was written. An engine that asks twice, for another delivery, or reports success without a permit is an ErrContract.
func Deliver(ctx context.Context, e Engine, d Delivery, permit func(context.Context) (Permit, error)) (r DeliveryResult, permitted bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	in, out, ended := make(chan Permit, 1), make(chan DeliverEvent), make(chan error, 1) // the one permit never blocks
	x := deliverer{d: d, in: in, permit: permit}
	defer x.wipe()
	go func() { ended <- e.Deliver(ctx, d, in, out) }()
	for {
		select {
		case event := <-out:
			if x.failed == nil {
				x.failed = x.take(ctx, event)
			}
			if x.failed != nil {
				cancel()
			}
		case err := <-ended:
			return x.verdict(err)
		}
	}
}

type deliverer struct {
	d         Delivery
	in        chan Permit
	permit    func(context.Context) (Permit, error)
	asked     bool
	permitted bool
	result    *DeliveryResult
	failed    error
}

func (x *deliverer) take(ctx context.Context, event DeliverEvent) error {
	switch {
	case x.result != nil:
		return ContractError("it says more of a delivery after its result")
	case event.Ready != nil && (x.asked || event.Ready.ID != x.d.ID):
		return ContractError("it asks twice for the permit of a delivery, or for that of another one")
	case event.Ready != nil && x.d.Look != nil:
		return ContractError("it asks for a permit of what writes nothing")
	case event.Ready != nil:
		x.asked = true
		p, err := x.permit(ctx)
		if err != nil {
			return err
		}
		p.ID = x.d.ID
		x.permitted = p.Refused == ""
		x.in <- p
		close(x.in)
	case event.Result != nil:
		return x.end(*event.Result)
	}
	return nil
}

func (x *deliverer) end(r DeliveryResult) error {
	if r.ID != x.d.ID {
		return ContractError("it tells the result of another delivery")
	}
	if x.d.Look == nil && !x.permitted && (r.Code == DeliveryOK || r.Code == DeliveryInDoubt) {
		return ContractError("it reports %q of a delivery that was not permitted", cut(r.Code))
	}
	r.Code, r.Reason, r.Diagnostic = cut(r.Code), cut(r.Reason), cut(r.Diagnostic)
	x.result = &r
	return nil
}

// cut bounds what the host keeps of an engine's words.
func cut(s string) string { return strings.ToValidUTF8(s[:min(len(s), maxErrorText)], "") }

// wipe ends a permit that the engine did not take.
func (x *deliverer) wipe() {
	select {
	case p := <-x.in:
		p.Wipe()
	default:
	}
}

func (x *deliverer) verdict(err error) (DeliveryResult, bool, error) {
	what := fmt.Sprintf("delivery %s", x.d.ID)
	switch {
	case x.result != nil: // what was done is done, however the stream ends
		return *x.result, x.permitted, nil
	case x.failed != nil && (err == nil || !errors.Is(err, ErrEngineDied)):
		return DeliveryResult{}, x.permitted, fmt.Errorf("%s: %w", what, x.failed)
	case err != nil:
		return DeliveryResult{}, x.permitted, fmt.Errorf("%s: %w", what, err)
	}
	return DeliveryResult{}, x.permitted, fmt.Errorf("%s: %w", what, ContractError("it ended without its result"))
}

// Once remembers ids of deliveries, so that an engine does not carry one out twice in a session. The zero value knows none. It is safe for concurrent use.
type Once struct {
	mu    sync.Mutex
	known map[string]bool
	order []string
}

// maxIDs is how many ids are remembered: the host remembers all that it permitted.
const maxIDs = 10000

// First reports whether an id is new, and remembers it.
func (o *Once) First(id string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.known[id] {
		return false
	}
	if o.known == nil {
		o.known = map[string]bool{}
	}
	o.known[id] = true
	if o.order = append(o.order, id); len(o.order) > maxIDs {
		delete(o.known, o.order[0])
		o.order = o.order[1:]
	}
	return true
}

// Ask says that the engine is ready to write, and waits for the permit. The error says that none came: nothing may be written.
func Ask(ctx context.Context, id string, in <-chan Permit, out chan<- DeliverEvent) (Permit, error) {
	select {
	case out <- DeliverEvent{Ready: &Ready{ID: id}}:
	case <-ctx.Done():
		return Permit{}, context.Cause(ctx)
	}
	select {
	case p, open := <-in:
		if !open {
			return Permit{}, errors.New("the host gave no permit")
		}
		return p, nil
	case <-ctx.Done():
		return Permit{}, context.Cause(ctx)
	}
}

// Tell says the result of a delivery.
func Tell(ctx context.Context, out chan<- DeliverEvent, r DeliveryResult) error {
	select {
	case out <- DeliverEvent{Result: &r}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
