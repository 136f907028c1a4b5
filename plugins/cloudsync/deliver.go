package cloudsync

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"github.com/tandem-sync/tandem/plugins/cloudsync/line/linepb"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/plugins/secret"
	"github.com/tandem-sync/tandem/scoping"
)

// Deliver lets one agent write into a directory, beside a run, or any agent look into one.
func (e *Engine) Deliver(ctx context.Context, d engine.Delivery, in <-chan engine.Permit, out chan<- engine.DeliverEvent) error {
	s := e.current()
	r := engine.DeliveryResult{ID: d.ID, Code: engine.DeliveryFailed}
	switch {
	case s == nil:
		return errUnconfigured
	case !slices.Contains(delivers, d.Feature):
		r.Reason = fmt.Sprintf("this engine delivers no %s", d.Feature)
	case s.job(d.Object.Directory) == nil:
		r.Reason = fmt.Sprintf("directory %q is not configured", d.Object.Directory)
	case (d.Feature == scoping.PasswordWriteback) != (d.Provision == nil && d.Look == nil):
		r.Reason = fmt.Sprintf("it is no delivery of %s", d.Feature)
	case d.Look != nil:
		r = s.look(ctx, d)
	case !e.delivered.First(d.ID):
		r.Code = engine.DeliveryRepeated
	default:
		r = s.deliver(ctx, d, func(ctx context.Context) (engine.Permit, error) { return engine.Ask(ctx, d.ID, in, out) })
	}
	return engine.Tell(ctx, out, r)
}

// deliver gives a write to one agent that holds the account for it. It is never given to another one, also not when it is lost before the permit: who knows
// which of the two would write.
func (s *service) deliver(ctx context.Context, d engine.Delivery, ask func(context.Context) (engine.Permit, error)) engine.DeliveryResult {
	j := s.job(d.Object.Directory)
	request, who, none := order(d)
	l := s.hub.writer(ctx, s.ready, j.audience, who)
	if l == nil {
		return engine.DeliveryResult{ID: d.ID, Code: engine.DeliveryNoAgent, Reason: fmt.Sprintf("no live agent of directory %s %s", j.config.Name, none)}
	}
	w := &writing{hub: s.hub, agent: l, ask: ask}
	began := s.hub.clock.now()
	err := s.hub.follow(ctx, l, request, func(p *linepb.Part) error { return w.take(ctx, p) })
	if ctx.Err() == nil {
		s.hub.fared(l, s.hub.clock.now().Sub(began), err)
	}
	r := w.result(err)
	r.ID = d.ID
	return r
}

// order is what an agent is asked for a delivery that writes, which agents may be, and what is said where there is none.
func order(d engine.Delivery) (r *linepb.Request, who func(*record) bool, none string) {
	holds := func(p scoping.Purpose) func(*record) bool {
		return func(r *record) bool { return slices.Contains(r.purposes, string(p)) }
	}
	if t := d.Provision; t != nil {
		r = &linepb.Request{Is: &linepb.Request_Provision{Provision: &linepb.Provision{Target: encoded(t), Own: d.Own}}}
		return r, func(r *record) bool {
				return holds(scoping.Provision)(r) && slices.Contains(r.controllers, t.Controller)
			},
			fmt.Sprintf("holds an account that writes, and was enrolled with the controller %s: enrol one with --directory-url %s and --provision-user", t.Controller, t.Controller)
	}
	r = &linepb.Request{Is: &linepb.Request_Deliver{Deliver: &linepb.Deliver{Guid: d.Object.GUID[:], Op: string(d.Op), MustChange: d.MustChange, Unlock: d.Unlock, Own: d.Own}}}
	return r, holds(scoping.Reset), "holds an account that sets passwords: enrol one with --reset-user"
}

// writer returns the best live agent of those that may. While agents have the time to dial in, it waits for one; nil: there is none.
func (h *hub) writer(ctx, ready context.Context, a audience, may func(*record) bool) *live {
	for {
		agents, changed := h.attending(a)
		h.mu.Lock()
		at := slices.IndexFunc(agents, func(l *live) bool { return may(h.record(l.ID)) })
		h.mu.Unlock()
		if at >= 0 {
			return agents[at]
		}
		select {
		case <-changed:
		case <-ready.Done():
			return nil
		case <-ctx.Done():
			return nil
		}
	}
}

// writing is one write on its way to one agent.
type writing struct {
	hub   *hub
	agent *live
	ask   func(context.Context) (engine.Permit, error)

	asked     bool
	permitted bool // the value may have reached the agent
	told      *linepb.Written
}

// take takes in what the agent says.
func (w *writing) take(ctx context.Context, p *linepb.Part) error {
	switch is := p.Is.(type) {
	case *linepb.Part_Ready:
		if w.asked {
			return fmt.Errorf("%w (%s asks twice for a permit)", errLost, w.agent.ID)
		}
		w.asked = true
		return w.permit(ctx, p.Request)
	case *linepb.Part_Written:
		if w.told == nil {
			w.told = is.Written
		}
	case *linepb.Part_Failure:
		return failureOf(w.agent, is.Failure)
	}
	return nil
}

// permit asks for the permit and gives it to the agent.
func (w *writing) permit(ctx context.Context, request uint64) error {
	p, err := w.ask(ctx)
	if err != nil {
		return err
	}
	defer p.Wipe()
	message := &linepb.Permit{Refused: p.Refused, RemainingMillis: p.Remaining.Milliseconds(), New: copyOf(p.New), Old: copyOf(p.Old)}
	if p.Values != nil {
		message.Values = encoded(p.Values)
	}
	select {
	case w.agent.requests <- &linepb.Request{Id: request, Is: &linepb.Request_Permit{Permit: message}}:
		w.permitted = p.Refused == "" // Attend clears it when it is sent
		return nil
	case <-w.agent.gone:
		err = fmt.Errorf("%w (%s)", errLost, w.agent.ID)
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	forgetPermit(message)
	return err
}

// result says how it ended: what was permitted and not answered is in doubt.
func (w *writing) result(err error) engine.DeliveryResult {
	switch {
	case w.told != nil:
		return w.tell()
	case w.permitted:
		return engine.DeliveryResult{Code: engine.DeliveryInDoubt, Reason: fmt.Sprintf("agent %s was lost after it had the permit: %v", w.agent.ID, err)}
	case err == nil:
		return engine.DeliveryResult{Code: engine.DeliveryFailed, Reason: fmt.Sprintf("agent %s does not say how it ended", w.agent.ID)}
	}
	return engine.DeliveryResult{Code: engine.DeliveryFailed, Reason: err.Error()}
}

// copyOf copies a secret; nil for one that is not there, or was wiped.
func copyOf(v *secret.Value) (out []byte) {
	_ = v.Use(func(b []byte) error { out = bytes.Clone(b); return nil })
	return out
}

// forgetPermit clears the secrets of a message. What gRPC made of it is not reached. nil has none.
func forgetPermit(p *linepb.Permit) {
	clear(p.GetNew())
	clear(p.GetOld())
}
