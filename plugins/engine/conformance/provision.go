package conformance

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/plugins/provision"
	"github.com/tandem-sync/tandem/scoping"
)

// Provisioning is what the kit needs to ask the rules about objects that are written into a directory.
type Provisioning struct {
	Directory string
	Target    provision.Target // an Add of what is not there, with the accounts of Options.Config
	Values    provision.Values
	// Made reports how many objects in the directory hold the target's link.
	Made func(tb testing.TB) int
}

// feature is the one that writes objects of the target's kind.
func (p *Provisioning) feature() scoping.Feature {
	if p.Target.Kind == scoping.Group {
		return scoping.GroupProvisioning
	}
	return scoping.UserProvisioning
}

// provision lets the engine carry one write out, and counts how often it asked for the permit.
func (b *bench) provision(ctx context.Context, e engine.Engine, id string, t provision.Target, p engine.Permit) (r engine.DeliveryResult, asked int, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("a write did not end within %s", patience))
	defer cancel()
	d := engine.Delivery{ID: id, Feature: b.Provision.feature(), Object: scoping.ObjectID{Directory: b.Provision.Directory, GUID: t.Object}, Op: engine.DeliveryOp(t.Op), Provision: &t}
	r, _, err = engine.Deliver(ctx, e, d, func(context.Context) (engine.Permit, error) {
		asked++
		p.Values = &b.Provision.Values
		return p, nil
	})
	return r, asked, err
}

func provisions(ctx context.Context, b *bench) error {
	return b.configured(ctx, func(ctx context.Context, t *talk) error {
		d, err := t.Describe(ctx)
		if err != nil {
			return err
		}
		if f := b.Provision.feature(); !slices.Contains(d.Delivers, f) {
			return fmt.Errorf("it delivers %v and does not say %s", d.Delivers, f)
		}
		return errors.Join(b.unpermitted(ctx, t), b.elsewhere(ctx, t), b.looks(ctx, t, 0), b.made(ctx, t), b.looks(ctx, t, 1))
	})
}

// unpermitted: what is refused, or comes too late, is not written.
func (b *bench) unpermitted(ctx context.Context, t *talk) error {
	var errs []error
	for name, p := range map[string]engine.Permit{"refused": {Refused: "stopped", Remaining: patience}, "too-late": {Remaining: 0}} {
		r, asked, err := b.provision(ctx, t, "provision-"+name, b.Provision.Target, p)
		if n := b.Provision.Made(b.TB); err != nil || asked != 1 || r.Code == engine.DeliveryOK || n != 0 {
			errs = append(errs, fmt.Errorf("%s: it ends with %q after %d questions, and %d are there: %w", name, r.Code, asked, n, orNone(err)))
		}
	}
	return errors.Join(errs...)
}

// elsewhere: what names a controller that is not there is written nowhere, and no permit is asked for.
func (b *bench) elsewhere(ctx context.Context, t *talk) error {
	var errs []error
	url, database := b.Provision.Target, b.Provision.Target
	url.Controller = "ldaps://nowhere.invalid"
	database.Invocation = scoping.GUID{0xff}
	for name, other := range map[string]provision.Target{"another controller": url, "another database behind the URL": database} {
		r, asked, err := b.provision(ctx, t, name, other, engine.Permit{Remaining: patience})
		if n := b.Provision.Made(b.TB); err != nil || asked != 0 || r.Code == engine.DeliveryOK || r.Code == engine.DeliveryInDoubt || n != 0 {
			errs = append(errs, fmt.Errorf("%s: it ends with %q after %d questions, and %d are there: %w", name, r.Code, asked, n, orNone(err)))
		}
	}
	return errors.Join(errs...)
}

// made: what is permitted is written once, and neither its id nor the same add again.
func (b *bench) made(ctx context.Context, t *talk) error {
	r, asked, err := b.provision(ctx, t, "provision-1", b.Provision.Target, engine.Permit{Remaining: patience})
	if err != nil {
		return fmt.Errorf("a permitted write: %w", err)
	}
	if n := b.Provision.Made(b.TB); r.Code != engine.DeliveryOK || asked != 1 || n != 1 {
		return fmt.Errorf("a permitted write ends with %q (%s) after %d questions, and %d are there", r.Code, r.Reason, asked, n)
	}
	if r.Provision == nil || r.Provision.Object.IsZero() || r.Provision.Invocation != b.Provision.Target.Invocation {
		return fmt.Errorf("a permitted write does not say what was made: %+v", r.Provision)
	}
	var errs []error
	for id, code := range map[string]string{"provision-1": "", "provision-2": string(provision.Exists)} {
		again, asked, err := b.provision(ctx, t, id, b.Provision.Target, engine.Permit{Remaining: patience})
		if n := b.Provision.Made(b.TB); err != nil || asked != 0 || again.Code == engine.DeliveryOK || code != "" && again.Code != code || n != 1 {
			errs = append(errs, fmt.Errorf("the same add with id %s ends with %q after %d questions, and %d are there: %w", id, again.Code, asked, n, orNone(err)))
		}
		if code != "" && (again.Provision == nil || again.Provision.Object != r.Provision.Object) {
			errs = append(errs, fmt.Errorf("of what is there it says %+v", again.Provision))
		}
	}
	return errors.Join(errs...)
}

// looks: a look finds by the link what is there, and asks for no permit.
func (b *bench) looks(ctx context.Context, t *talk, want int) error {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("a look did not end within %s", patience))
	defer cancel()
	l := &provision.Look{Controller: b.Provision.Target.Controller, Invocation: b.Provision.Target.Invocation,
		Terms: []provision.Term{{Attribute: b.Provision.Target.Link.Attribute, Value: b.Provision.Target.Link.Value}}}
	d := engine.Delivery{ID: fmt.Sprintf("look-%d", want), Feature: b.Provision.feature(), Object: scoping.ObjectID{Directory: b.Provision.Directory}, Op: engine.LookUp, Look: l}
	r, _, err := engine.Deliver(ctx, t, d, func(context.Context) (engine.Permit, error) {
		return engine.Permit{}, errors.New("a look asks for a permit")
	})
	if err != nil || r.Code != engine.DeliveryOK || r.Provision == nil || len(r.Provision.Found) != want || r.Provision.Invocation != l.Invocation {
		return fmt.Errorf("a look for what is there %d times ends with %q (%s) and %+v: %w", want, r.Code, r.Reason, r.Provision, orNone(err))
	}
	return nil
}
