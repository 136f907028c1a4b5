package conformance_test

import (
	"context"
	"testing"

	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/plugins/engine/conformance"
	"github.com/tandem-sync/tandem/plugins/provision"
	"github.com/tandem-sync/tandem/scoping"
)

// sink is the model's directory, by links.
type sink struct{ made []scoping.GUID }

// provisioning is an add to the model's directory.
func provisioning(s *sink) *conformance.Provisioning {
	return &conformance.Provisioning{Directory: "d", Made: func(testing.TB) int { return len(s.made) }, Target: provision.Target{Op: provision.Add, Kind: scoping.User, Controller: "ldaps://dc", Invocation: scoping.GUID{1},
		Container: scoping.GUID{2}, Root: scoping.GUID{2}, Link: provision.Link{Attribute: "adminDescription", Value: "User_1"}}}
}

// provision writes objects, and looks.
func (m *model) provision(ctx context.Context, d engine.Delivery, in <-chan engine.Permit, out chan<- engine.DeliverEvent) error {
	tell := func(code string, r *provision.Result) error {
		return engine.Tell(ctx, out, engine.DeliveryResult{ID: d.ID, Code: code, Provision: r})
	}
	if d.Look != nil {
		if m.flaw == "asks for a permit to look" {
			_, _ = engine.Ask(ctx, d.ID, in, out)
		}
		r := &provision.Result{Invocation: scoping.GUID{1}}
		for _, g := range m.sink.made {
			if m.flaw != "sees nothing" {
				r.Found = append(r.Found, provision.Found{Object: g, Class: "user"})
			}
		}
		return tell(engine.DeliveryOK, r)
	}
	t := d.Provision
	if (t.Controller != "ldaps://dc" || t.Invocation != scoping.GUID{1}) && m.flaw != "writes anywhere" {
		return tell(string(provision.OtherController), nil)
	}
	if len(m.sink.made) > 0 && m.flaw != "adds twice" {
		return tell(string(provision.Exists), &provision.Result{Object: m.sink.made[0]})
	}
	if m.flaw == "adds before the permit" {
		m.sink.made = append(m.sink.made, scoping.GUID{9})
	}
	p, err := engine.Ask(ctx, d.ID, in, out)
	switch {
	case err != nil:
		return err
	case p.Refused != "":
		return tell(engine.DeliveryRefused, nil)
	case p.Remaining <= 0:
		return tell(engine.DeliveryExpired, nil)
	}
	m.sink.made = append(m.sink.made, scoping.GUID{byte(len(m.sink.made) + 1)})
	r := &provision.Result{Object: m.sink.made[0], Invocation: t.Invocation}
	if m.flaw == "does not say what it made" {
		r = nil
	}
	return tell(engine.DeliveryOK, r)
}
