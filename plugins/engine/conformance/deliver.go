package conformance

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/plugins/secret"
	"github.com/tandem-sync/tandem/scoping"
)

// Delivering is what the kit needs to ask the rules about deliveries.
type Delivering struct {
	// User is one whose password the engine may set, with the accounts of Options.Config.
	User scoping.ObjectID
	// Has reports whether a password is the user's in the directory.
	Has func(tb testing.TB, password string) bool
}

// The passwords that are set.
const (
	wordOne = "Conforming-Passw0rd!1"
	wordTwo = "Conforming-Passw0rd!2"
)

// deliver lets the engine carry one delivery out, and counts how often it asked for the permit.
func (b *bench) deliver(ctx context.Context, e engine.Engine, id, word string, p engine.Permit) (r engine.DeliveryResult, asked int, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("a delivery did not end within %s", patience))
	defer cancel()
	r, _, err = engine.Deliver(ctx, e, engine.Delivery{ID: id, Feature: scoping.PasswordWriteback, Object: b.Deliver.User, Op: engine.ResetPassword}, func(context.Context) (engine.Permit, error) {
		asked++
		if p.Refused == "" {
			p.New = secret.Take([]byte(word))
		}
		return p, nil
	})
	return r, asked, err
}

func delivers(ctx context.Context, b *bench) error {
	return b.configured(ctx, func(ctx context.Context, t *talk) error {
		d, err := t.Describe(ctx)
		if err != nil {
			return err
		}
		if !slices.Contains(d.Delivers, scoping.PasswordWriteback) {
			return fmt.Errorf("it delivers %v and does not say %s", d.Delivers, scoping.PasswordWriteback)
		}
		return errors.Join(b.permitted(ctx, t), b.denied(ctx, t), b.abandoned(ctx, t))
	})
}

// permitted: what is permitted is written once, and its id never again.
func (b *bench) permitted(ctx context.Context, t *talk) error {
	r, asked, err := b.deliver(ctx, t, "conformance-1", wordOne, engine.Permit{Remaining: patience})
	switch {
	case err != nil:
		return fmt.Errorf("a permitted delivery: %w", err)
	case r.Code != engine.DeliveryOK || asked != 1 || !b.Deliver.Has(b.TB, wordOne):
		return fmt.Errorf("a permitted delivery ends with %q (%s) after %d questions", r.Code, r.Reason, asked)
	}
	r, asked, err = b.deliver(ctx, t, "conformance-1", wordTwo, engine.Permit{Remaining: patience})
	if err != nil || r.Code == engine.DeliveryOK || asked != 0 || b.Deliver.Has(b.TB, wordTwo) {
		return fmt.Errorf("an id that comes again ends with %q after %d questions: %w", r.Code, asked, orNone(err))
	}
	return nil
}

// denied: what is refused, or comes too late, is not written.
func (b *bench) denied(ctx context.Context, t *talk) error {
	var errs []error
	for name, p := range map[string]engine.Permit{"refused": {Refused: "stopped", Remaining: patience}, "too-late": {Remaining: 0}} {
		r, asked, err := b.deliver(ctx, t, "conformance-"+name, wordTwo, p)
		if err != nil || asked != 1 || r.Code == engine.DeliveryOK || b.Deliver.Has(b.TB, wordTwo) {
			errs = append(errs, fmt.Errorf("%s: it ends with %q after %d questions: %w", name, r.Code, asked, orNone(err)))
		}
	}
	return errors.Join(errs...)
}

// abandoned: a delivery whose host leaves before the permit ends promptly, and nothing is written.
func (b *bench) abandoned(ctx context.Context, t *talk) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	left := time.Now()
	_, _, err := engine.Deliver(ctx, t, engine.Delivery{ID: "conformance-abandoned", Feature: scoping.PasswordWriteback, Object: b.Deliver.User, Op: engine.UnlockAccount},
		func(context.Context) (engine.Permit, error) {
			left = time.Now()
			cancel()
			return engine.Permit{}, context.Canceled
		})
	if took := time.Since(left); err == nil || took > b.Promptly {
		return fmt.Errorf("without its permit a delivery ends after %s: %w", took, orNone(err))
	}
	if !b.Deliver.Has(b.TB, wordOne) {
		return errors.New("a delivery without a permit changed the password")
	}
	return nil
}
