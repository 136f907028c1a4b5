package plugin_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/plugins/engine/enginetest"
	"github.com/tandem-sync/tandem/plugins/provision"
	"github.com/tandem-sync/tandem/scoping"
)

// provisioner maps sources, and shows what it was given to write.
type provisioner struct {
	echo
	start    engine.MapRequest
	sources  []engine.Source
	delivery engine.Delivery
	values   *provision.Values
}

func (p *provisioner) Map(_ context.Context, r engine.MapRequest, in <-chan []engine.Source, out chan<- engine.MapEvent) error {
	p.start = r
	out <- engine.MapEvent{Begin: &engine.MapBegin{Rules: engine.Fingerprint{7}, Writes: []string{"cn", "sAMAccountName", "manager"}}}
	for batch := range in {
		p.sources = append(p.sources, batch...)
		out <- engine.MapEvent{Mappings: []engine.Mapping{mapping(batch[0].Object)}}
	}
	return nil
}

func mapping(o scoping.ObjectID) engine.Mapping {
	return engine.Mapping{Object: o, Want: engine.Present, Desired: map[string]engine.Flow{"cn": {Text: []string{"Änn"}}, "sAMAccountName": {Text: []string{"ann", "ann2"}, Once: true, Unique: true}},
		Refs: map[string]string{"manager": "manager"}, Container: "OU=New Hires,DC=contoso,DC=test"}
}

var found = provision.Result{Object: scoping.GUID{5}, DN: "CN=x", Invocation: scoping.GUID{6}, USN: 9,
	Found: []provision.Found{{Term: 1, Object: scoping.GUID{5}, DN: "CN=x", Parent: scoping.GUID{4}, Deleted: true, Class: "user", Protected: "why", USN: 8,
		Values: map[string][]string{"mail": {"a", "b"}}}}}

func (p *provisioner) Deliver(_ context.Context, d engine.Delivery, in <-chan engine.Permit, out chan<- engine.DeliverEvent) error {
	p.delivery = d
	if d.Look == nil {
		out <- engine.DeliverEvent{Ready: &engine.Ready{ID: d.ID}}
		permit := <-in
		p.values = permit.Values
	}
	r := found
	out <- engine.DeliverEvent{Result: &engine.DeliveryResult{ID: d.ID, Code: engine.DeliveryOK, Provision: &r}}
	return nil
}

func TestMappingsCrossTheWire(t *testing.T) {
	p := &provisioner{}
	start := engine.MapRequest{Feature: scoping.UserProvisioning, Assignment: "new hires", Container: object(1), ContainerDN: "OU=New Hires", Domain: "contoso.test"}
	source := engine.Source{Object: scoping.ObjectID{Directory: scoping.Tenant, GUID: guid(9)}, Kind: scoping.User, Values: map[string]engine.Value{"displayName": {Text: []string{"Änn"}}}}
	var got []engine.Mapping
	begin, err := engine.Map(t.Context(), enginetest.Wire(t, p), start, []engine.Source{source}, func(m []engine.Mapping) error {
		got = append(got, m...)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]any{start, []engine.Source{source}, []engine.Mapping{mapping(source.Object)}, engine.MapBegin{Rules: engine.Fingerprint{7}, Writes: []string{"cn", "sAMAccountName", "manager"}}},
		[]any{p.start, p.sources, got, begin}); diff != "" {
		t.Error(diff)
	}
	if _, err := engine.Map(t.Context(), enginetest.Wire(t, &echo{}), start, nil, nil); !errors.Is(err, engine.ErrUnsupported) {
		t.Errorf("an engine that maps nothing: %v", err)
	}
}

func TestWritesIntoTheDirectoryCrossTheWire(t *testing.T) {
	p := &provisioner{}
	wire := enginetest.Wire(t, p)
	target := provision.Target{Op: provision.Modify, Kind: scoping.User, Controller: "ldaps://dc", Invocation: guid(1), Object: guid(2), Root: guid(3), Link: provision.Link{Attribute: "adminDescription", Value: "User_1"}}
	values := provision.Values{Set: []provision.Set{{Attribute: "title", Was: []string{"a"}, To: []string{"b"}}}, Disabled: &provision.Switch{Was: false, To: true}}
	d := engine.Delivery{ID: "1", Feature: scoping.UserProvisioning, Object: scoping.ObjectID{Directory: "contoso", GUID: target.Object}, Op: "modify", Provision: &target}
	r, permitted, err := engine.Deliver(t.Context(), wire, d, func(context.Context) (engine.Permit, error) {
		return engine.Permit{Remaining: time.Second, Values: &values}, nil
	})
	if err != nil || !permitted {
		t.Fatalf("%+v %t %v", r, permitted, err)
	}
	if diff := cmp.Diff([]any{d, &values, &found}, []any{p.delivery, p.values, r.Provision}); diff != "" {
		t.Error(diff)
	}
	look := engine.Delivery{ID: "2", Feature: scoping.UserProvisioning, Object: scoping.ObjectID{Directory: "contoso"}, Op: engine.LookUp,
		Look: &provision.Look{Controller: "ldaps://dc", Terms: []provision.Term{{Attribute: "cn", Value: "Ann"}}, Attributes: []string{"mail"}}}
	r, permitted, err = engine.Deliver(t.Context(), wire, look, func(context.Context) (engine.Permit, error) {
		t.Error("a look asks for a permit")
		return engine.Permit{}, nil
	})
	if err != nil || permitted {
		t.Fatalf("%+v %t %v", r, permitted, err)
	}
	if diff := cmp.Diff([]any{look, &found}, []any{p.delivery, r.Provision}); diff != "" {
		t.Error(diff)
	}
	for _, v := range []provision.Values{{Name: "Änn", WasName: "User_1"}, {From: guid(4)}, {Refs: []provision.Ref{{Attribute: "member", Remove: []scoping.GUID{guid(1)}, Add: []scoping.GUID{guid(2), guid(3)}}}}} {
		if _, _, err := engine.Deliver(t.Context(), wire, d, func(context.Context) (engine.Permit, error) { return engine.Permit{Values: &v}, nil }); err != nil || cmp.Diff(&v, p.values) != "" {
			t.Errorf("%v: %s", err, cmp.Diff(&v, p.values))
		}
	}
	bad := target
	bad.Root = scoping.GUID{}
	d.Provision = &bad
	p.delivery = engine.Delivery{}
	if _, permitted, err := engine.Deliver(t.Context(), wire, d, nil); err == nil || permitted || p.delivery.ID != "" {
		t.Errorf("what is no write reached the engine: %v", err)
	}
}
