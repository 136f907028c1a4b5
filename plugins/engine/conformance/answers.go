package conformance

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// The rules in this file are about what a host may remember of an engine's words: to what end they are said, and by what they came about.

func describesReads(ctx context.Context, b *bench) error {
	return b.full(ctx, func(d engine.Description, o outcome) error {
		var errs []error
		told := map[scoping.Kind]bool{}
		for _, p := range o.proposals {
			if r := d.Reads[p.Kind]; !told[p.Kind] && len(r.Attributes) == 0 && !r.More {
				errs = append(errs, fmt.Errorf("it proposes a %s (%s) and does not say what it reads of one", p.Kind, p.Name))
			}
			told[p.Kind] = true
		}
		return errors.Join(errs...)
	})
}

func begins(ctx context.Context, b *bench) error {
	rules := map[string]engine.Fingerprint{}
	for range 2 { // the second engine is another process over the same folder
		err := b.configured(ctx, func(ctx context.Context, t *talk) error {
			if err := t.push(ctx, b.grants(engine.ModeOwn, 1)); err != nil {
				return err
			}
			for _, r := range []engine.RunRequest{{Profile: engine.ProfileFull}, {Profile: engine.ProfileDelta},
				{Profile: engine.ProfileObjects, Objects: []scoping.ObjectID{b.Expect[0].Object}}, {Profile: engine.ProfileFull, Ceiling: engine.ModeShadow}} {
				o, err := b.run(ctx, t, r, nil)
				if err == nil {
					err = soundBegins(o, rules)
				}
				if err != nil {
					return fmt.Errorf("profile %s: %w", r.Profile, err)
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// soundBegins compares what a run began with with its reports, and its rules with those that earlier runs told.
func soundBegins(o outcome, rules map[string]engine.Fingerprint) error {
	var errs []error
	for _, b := range o.begins {
		if b.DC.IsZero() || b.USN == 0 || b.Rules.IsZero() {
			errs = append(errs, fmt.Errorf("it does not say by what its proposals come about: %+v", b))
		}
		if before, told := rules[b.Directory]; told && before != b.Rules {
			errs = append(errs, fmt.Errorf("directory %q: the rules are %s, and were %s, although nothing changed", b.Directory, b.Rules, before))
		}
		rules[b.Directory] = b.Rules
	}
	for _, r := range o.reports {
		i := slices.IndexFunc(o.begins, func(b engine.RunBegin) bool { return b.Directory == r.Directory })
		switch {
		case i < 0:
			errs = append(errs, fmt.Errorf("directory %q is reported and did not begin", r.Directory))
		case o.begins[i].DC != r.DC || o.begins[i].USN != r.USN:
			errs = append(errs, fmt.Errorf("directory %q begins with controller %s at %d and is reported with %s at %d", r.Directory, o.begins[i].DC, o.begins[i].USN, r.DC, r.USN))
		}
	}
	return errors.Join(errs...)
}

func saysNothingBehind(ctx context.Context, b *bench) error {
	return b.configured(ctx, func(ctx context.Context, t *talk) error {
		if err := t.push(ctx, b.grants(engine.ModeOwn, 1)); err != nil {
			return err
		}
		first, err := b.run(ctx, t, engine.RunRequest{Profile: engine.ProfileFull}, nil)
		if err != nil {
			return err
		}
		seen, ahead := map[string]engine.AsOf{}, map[string]engine.AsOf{}
		for _, r := range first.reports {
			seen[r.Directory], ahead[r.Directory] = engine.AsOf{Invocation: r.DC, USN: r.USN}, engine.AsOf{Invocation: r.DC, USN: r.USN + 1<<40}
		}
		var changed []scoping.ObjectID
		if b.Change != nil {
			changed = b.Change(b.TB)
		}
		for _, r := range []engine.RunRequest{{Profile: engine.ProfileDelta}, {Profile: engine.ProfileFull}, {Profile: engine.ProfileObjects, Objects: []scoping.ObjectID{b.Expect[0].Object}}} {
			r.AsOf = ahead
			o, err := b.run(ctx, t, r, nil)
			if err != nil {
				return fmt.Errorf("profile %s: the run fails as a whole: %w", r.Profile, err)
			}
			if err := saidNothing(o); err != nil {
				return fmt.Errorf("profile %s: %w", r.Profile, err)
			}
		}
		o, err := b.run(ctx, t, engine.RunRequest{Profile: engine.ProfileDelta, AsOf: seen}, nil)
		if err != nil {
			return err
		}
		return errors.Join(missing(changed, o.proposals), soundReports(o.reports, b.Config.Directories))
	})
}

func saidNothing(o outcome) error {
	var errs []error
	if len(o.begins)+len(o.proposals) > 0 {
		errs = append(errs, fmt.Errorf("it begins %d directories and proposes %d times", len(o.begins), len(o.proposals)))
	}
	for _, r := range o.reports {
		behind := slices.ContainsFunc(r.Errors, func(e engine.ObjectError) bool { return e.Code == engine.CodeBehind })
		if r.Complete || !behind {
			errs = append(errs, fmt.Errorf("the report does not say %q, or that it is complete: %+v", engine.CodeBehind, r))
		}
	}
	return errors.Join(errs...)
}

// missing names the changed objects that were not proposed.
func missing(changed []scoping.ObjectID, proposals []engine.Proposal) (err error) {
	for _, id := range changed {
		if !slices.ContainsFunc(proposals, func(p engine.Proposal) bool { return p.Object == id }) {
			err = errors.Join(err, fmt.Errorf("%s changed and is not proposed", id))
		}
	}
	return err
}

// nobody is an object that no directory has.
func (b *bench) nobody() scoping.ObjectID {
	return scoping.ObjectID{Directory: b.Scopes[0].Directory, GUID: scoping.GUID{0xde, 0xad, 0x17, 15: 0x2a}}
}

func answersOnce(ctx context.Context, b *bench) error {
	return b.configured(ctx, func(ctx context.Context, t *talk) error {
		if err := t.push(ctx, b.grants(engine.ModeOwn, 1)); err != nil {
			return err
		}
		known, nobody := b.Expect[0].Object, b.nobody()
		// One object named twice is one question.
		r := engine.RunRequest{Profile: engine.ProfileObjects, Objects: []scoping.ObjectID{nobody, known, known}}
		o, err := b.run(ctx, t, r, nil)
		if err != nil {
			return err
		}
		var expect []Expected
		for _, e := range b.Expect {
			if e.Object == known {
				expect = append(expect, e)
			}
		}
		var errs []error
		rest := slices.DeleteFunc(slices.Clone(o.proposals), func(p engine.Proposal) bool { return p.Object == nobody })
		for _, p := range o.proposals {
			if p.Object == nobody && (p.Want != engine.Unknown || p.Reason == "") {
				errs = append(errs, fmt.Errorf("it wants %d of an object that the directory does not have (reason %q)", p.Want, p.Reason))
			}
		}
		if n := len(o.proposals) - len(rest); n != 1 {
			errs = append(errs, fmt.Errorf("it answers %d times for an object that the directory does not have", n))
		}
		return errors.Join(append(errs, b.exactly(rest, expect), soundReports(o.reports, b.Config.Directories))...)
	})
}

func leftOutAnswers(ctx context.Context, b *bench) error {
	return b.configured(ctx, func(ctx context.Context, t *talk) error {
		if err := t.push(ctx, b.grants(engine.ModeOwn, 1)); err != nil {
			return err
		}
		asked := []scoping.ObjectID{b.nobody()}
		for _, e := range b.Expect {
			asked = append(asked, e.Object)
		}
		for _, r := range []engine.RunRequest{{Profile: engine.ProfileFull}, {Profile: engine.ProfileObjects, Objects: asked}} {
			o, err := b.run(ctx, t, r, nil)
			if err == nil {
				err = answeredFully(b.Scopes, o.proposals)
			}
			if err != nil {
				return fmt.Errorf("profile %s: %w", r.Profile, err)
			}
		}
		return nil
	})
}

// answeredFully checks that bases which are not present are the last word, and that present ones are not.
func answeredFully(scopes []scoping.Scope, proposals []engine.Proposal) error {
	said := map[key]engine.Want{}
	for _, p := range proposals {
		said[key{p.Object, p.Feature}] = p.Want
	}
	var errs []error
	for _, p := range proposals {
		if beside := p.Feature != scoping.Base(p.Kind); beside {
			if p.Want != engine.Present && p.Want != engine.Unknown {
				errs = append(errs, fmt.Errorf("%s (%s): %s cannot be wanted %d: that is for the base feature to say", p.Object, p.Name, p.Feature, p.Want))
			}
			continue
		}
		for _, f := range besides(p.Kind) {
			want, spoken := said[key{p.Object, f}]
			switch {
			case spoken && want == engine.Present && p.Want != engine.Present && p.Want != engine.Excluded:
				errs = append(errs, fmt.Errorf("%s (%s): its base feature is wanted %d, and its %s are named", p.Object, p.Name, p.Want, f))
			case !spoken && p.Want == engine.Present && asks(scopes, f):
				errs = append(errs, fmt.Errorf("%s (%s): there is no answer for its %s", p.Object, p.Name, f))
			}
		}
	}
	return errors.Join(errs...)
}

// besides are the features that objects of a kind have beside their base feature.
func besides(k scoping.Kind) []scoping.Feature {
	if k == scoping.User {
		return []scoping.Feature{scoping.References, scoping.Extensions}
	}
	return []scoping.Feature{scoping.References}
}

func namesExtensions(ctx context.Context, b *bench) error {
	return b.full(ctx, func(_ engine.Description, o outcome) error {
		want := slices.Sorted(slices.Values(b.Extensions))
		var errs []error
		named := map[scoping.ObjectID]bool{}
		for _, p := range o.proposals {
			if p.Feature != scoping.Extensions || p.Want != engine.Present {
				continue
			}
			named[p.Object] = true
			if got := slices.Sorted(maps.Keys(p.Desired)); !slices.Equal(got, want) || p.Kind != scoping.User {
				errs = append(errs, fmt.Errorf("%s (%s), a %s: %q are named and %q were asked for", p.Object, p.Name, p.Kind, got, want))
			}
		}
		for _, p := range o.proposals {
			if p.Feature == scoping.Users && p.Want == engine.Present && !named[p.Object] {
				errs = append(errs, fmt.Errorf("%s (%s): its extensions are not named", p.Object, p.Name))
			}
		}
		return errors.Join(errs...)
	})
}

// asks reports whether any scope asks for a feature.
func asks(scopes []scoping.Scope, f scoping.Feature) bool {
	return slices.ContainsFunc(scopes, func(s scoping.Scope) bool { return s.Has(f) })
}

func namesReferences(ctx context.Context, b *bench) error {
	return b.full(ctx, func(d engine.Description, o outcome) error {
		var errs []error
		named := map[scoping.ObjectID]bool{}
		for _, p := range o.proposals {
			if p.Feature != scoping.References || p.Want != engine.Present {
				continue
			}
			named[p.Object] = len(p.Refs) > 0
			for name, r := range p.Refs {
				if !r.Whole || len(r.Added)+len(r.Removed) > 0 {
					errs = append(errs, fmt.Errorf("%s (%s): %s are not named whole", p.Object, p.Name, name))
				}
			}
		}
		for _, p := range o.proposals {
			if p.Feature == scoping.Base(p.Kind) && p.Want == engine.Present && !named[p.Object] && refers(d, p.Kind) {
				errs = append(errs, fmt.Errorf("%s (%s): its references are not named", p.Object, p.Name))
			}
		}
		return errors.Join(errs...)
	})
}

// refers reports whether an engine writes references of a kind.
func refers(d engine.Description, k scoping.Kind) bool {
	name := map[scoping.Kind]string{scoping.User: "manager", scoping.Group: "members", scoping.Contact: "manager"}[k]
	return name != "" && slices.Contains(d.Writes[scoping.References], name)
}

func keepsNews(ctx context.Context, b *bench) error {
	var changed []scoping.ObjectID
	var heard []engine.Proposal
	err := b.configured(ctx, func(ctx context.Context, t *talk) error {
		if err := t.push(ctx, nil); err != nil {
			return err
		}
		if _, err := b.run(ctx, t, engine.RunRequest{Profile: engine.ProfileFull, Ceiling: engine.ModeShadow}, nil); err != nil {
			return err
		}
		if err := t.push(ctx, b.grants(engine.ModeOwn, 1)); err != nil {
			return err
		}
		changed = b.Change(b.TB)
		for _, part := range parts(b.Scopes) {
			o, err := b.run(ctx, t, engine.RunRequest{Profile: engine.ProfileDelta, Scopes: part}, nil)
			if err != nil {
				return err
			}
			heard = append(heard, o.proposals...)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return b.configured(ctx, func(ctx context.Context, t *talk) error {
		if err := t.push(ctx, b.grants(engine.ModeOwn, 1)); err != nil {
			return err
		}
		o, err := b.run(ctx, t, engine.RunRequest{Profile: engine.ProfileDelta}, nil)
		if err != nil {
			return err
		}
		base := func(p engine.Proposal) bool { return p.Feature != scoping.Base(p.Kind) }
		return missing(changed, slices.DeleteFunc(append(heard, o.proposals...), base))
	})
}

// parts are runs that are about some of the scopes or features, and never about all.
func parts(scopes []scoping.Scope) (out [][]scoping.Scope) {
	if len(scopes) > 1 {
		out = append(out, scopes[:1])
	}
	for _, f := range []scoping.Feature{scoping.References, scoping.Extensions} {
		var alone []scoping.Scope
		for _, s := range scopes {
			if s.Has(f) && len(s.Features) > 1 {
				s.Features = []scoping.Feature{f}
				alone = append(alone, s)
			}
		}
		if len(alone) > 0 {
			out = append(out, alone)
		}
	}
	return out
}
