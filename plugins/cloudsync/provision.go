package cloudsync

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/tandem-sync/tandem/plugins/cloudsync/line/linepb"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/plugins/provision"
)

// encoded is a value of package provision as it crosses the line.
func encoded[T provision.Target | provision.Values | provision.Look](v *T) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("cloudsync: %T has no JSON: %v", v, err)) // it holds texts and numbers only
	}
	return b
}

// tell is what an agent says of a write or a look. What it says after a permit and nobody understands leaves the write in doubt.
func (w *writing) tell() engine.DeliveryResult {
	r := engine.DeliveryResult{Code: w.told.Code, Reason: w.told.Reason, Diagnostic: w.told.Diagnostic}
	if len(w.told.Result) == 0 {
		return r
	}
	r.Provision = &provision.Result{}
	if err := json.Unmarshal(w.told.Result, r.Provision); err != nil {
		r.Code, r.Reason, r.Provision = engine.DeliveryFailed, fmt.Sprintf("agent %s does not say how it ended: %v", w.agent.ID, err), nil
		if w.permitted {
			r.Code = engine.DeliveryInDoubt
		}
	}
	return r
}

// look asks an agent that reaches the controller; where it fails, or stands still, another one.
func (s *service) look(ctx context.Context, d engine.Delivery) engine.DeliveryResult {
	r := engine.DeliveryResult{ID: d.ID, Code: engine.DeliveryFailed}
	if err := d.Look.Valid(); err != nil {
		r.Reason = err.Error()
		return r
	}
	j := s.job(d.Object.Directory)
	reaches := func(r *record) bool { return slices.Contains(r.controllers, d.Look.Controller) }
	if s.hub.writer(ctx, s.ready, j.audience, reaches) == nil {
		r.Code, r.Reason = engine.DeliveryNoAgent, fmt.Sprintf("no live agent of directory %s was enrolled with the controller %s: enrol one with --directory-url %s", j.config.Name, d.Look.Controller, d.Look.Controller)
		return r
	}
	w := &writing{hub: s.hub}
	request := &linepb.Request{Controller: d.Look.Controller, Is: &linepb.Request_Look{Look: &linepb.Look{Look: encoded(d.Look), Own: d.Own}}}
	_, err := s.hub.ask(ctx, j.config.Name, j.audience, reading{request: request, begin: func(*linepb.Start) error { w.told = nil; return nil },
		written: func(l *live, told *linepb.Written) { w.agent, w.told = l, told }})
	switch {
	case err != nil:
		r.Code, r.Reason = string(provision.Unreachable), err.Error()
	case w.told == nil:
		r.Reason = "the agent does not say what it found"
	default:
		r = w.tell()
		r.ID = d.ID
	}
	return r
}
