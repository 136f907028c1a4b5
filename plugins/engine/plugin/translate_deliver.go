package plugin

import (
	"bytes"
	"errors"
	"strings"
	"time"

	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/plugins/engine/plugin/enginepb"
	"github.com/tandem-sync/tandem/plugins/secret"
	"github.com/tandem-sync/tandem/scoping"
)

func deliveryOut(d engine.Delivery) *enginepb.Delivery {
	return &enginepb.Delivery{Id: d.ID, Feature: string(d.Feature), Object: objectOut(d.Object), Op: string(d.Op), MustChange: d.MustChange, Unlock: d.Unlock, Own: d.Own,
		Provision: targetOut(d.Provision), Look: lookOut(d.Look)}
}

func deliveryIn(d *enginepb.Delivery) (engine.Delivery, error) {
	o, err := objectIn(d.Object)
	to := engine.Delivery{ID: d.Id, Feature: scoping.Feature(d.Feature), Object: o, Op: engine.DeliveryOp(d.Op), MustChange: d.MustChange, Unlock: d.Unlock, Own: d.Own}
	var errs [2]error
	to.Provision, errs[0] = targetIn(d.Provision)
	to.Look, errs[1] = lookIn(d.Look)
	return to, errors.Join(err, errs[0], errs[1])
}

// permitOut copies the secrets into the message; forgetPermit clears the copies when it is sent.
func permitOut(p engine.Permit) *enginepb.Permit {
	return &enginepb.Permit{Id: p.ID, Refused: p.Refused, RemainingMillis: p.Remaining.Milliseconds(), New: copyOf(p.New), Old: copyOf(p.Old), Values: provisionValuesOut(p.Values)}
}

// copyOf copies a secret; nil for one that is not there, or was wiped.
func copyOf(v *secret.Value) (out []byte) {
	_ = v.Use(func(b []byte) error { out = bytes.Clone(b); return nil })
	return out
}

// forgetPermit clears the secrets of a message that was sent. What gRPC made of it is not reached.
func forgetPermit(p *enginepb.Permit) {
	clear(p.New)
	clear(p.Old)
}

// permitIn takes the secrets over from the message.
func permitIn(p *enginepb.Permit) (engine.Permit, error) {
	values, err := provisionValuesIn(p.GetValues())
	to := engine.Permit{ID: p.GetId(), Refused: p.GetRefused(), Remaining: time.Duration(p.GetRemainingMillis()) * time.Millisecond, Values: values}
	if len(p.GetNew()) > 0 {
		to.New = secret.Take(p.New)
	}
	if len(p.GetOld()) > 0 {
		to.Old = secret.Take(p.Old)
	}
	return to, err
}

func deliverEventOut(e engine.DeliverEvent) *enginepb.DeliverEvent {
	if r := e.Result; r != nil {
		return &enginepb.DeliverEvent{Is: &enginepb.DeliverEvent_Result{Result: &enginepb.DeliveryResult{Id: valid(r.ID), Code: valid(r.Code), Reason: valid(r.Reason),
			Diagnostic: valid(r.Diagnostic), Provision: provisionResultOut(r.Provision)}}}
	}
	to := &enginepb.DeliverEvent{}
	if e.Ready != nil {
		to.Is = &enginepb.DeliverEvent_Ready{Ready: &enginepb.Ready{Id: valid(e.Ready.ID)}}
	}
	return to
}

func deliverEventIn(e *enginepb.DeliverEvent) (engine.DeliverEvent, error) {
	switch is := e.Is.(type) {
	case *enginepb.DeliverEvent_Ready:
		return engine.DeliverEvent{Ready: &engine.Ready{ID: is.Ready.GetId()}}, nil
	case *enginepb.DeliverEvent_Result:
		r := is.Result
		p, err := provisionResultIn(r.GetProvision())
		return engine.DeliverEvent{Result: &engine.DeliveryResult{ID: r.GetId(), Code: r.GetCode(), Reason: r.GetReason(), Diagnostic: r.GetDiagnostic(), Provision: p}}, err
	}
	return engine.DeliverEvent{}, engine.ContractError("an event of a delivery says nothing")
}

// valid is a text as protobuf takes it.
func valid(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }
