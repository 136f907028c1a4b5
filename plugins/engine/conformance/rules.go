package conformance

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

var rules = []rule{
	{name: "describes_itself", check: describes,
		why: "Describe is complete (kind, version, contract, features, writes, release) and says the same each time"},
	{name: "reports_every_mistake", check: reportsMistakes, asked: func(o Options) bool { return o.Mistakes > 0 },
		why: "Configure reports every mistake at once by a ConfigError, and takes a better configuration afterwards"},
	{name: "acknowledges_grants", check: acknowledges,
		why: "each set of grants replaces the earlier one, and each grant of it is acknowledged with its epoch"},
	{name: "proposes_all_once", check: proposesAll,
		why: "a full run proposes every object of its scopes once, reports last and Complete, and takes its decisions"},
	{name: "proposes_soundly", check: proposesSoundly,
		why: "a proposal names object, kind, place and feature; attributes come from Description.Writes; Excluded has a Reason"},
	{name: "stamps_as_it_began", check: stamps,
		why: "proposals carry the grant as it was when the run began to read (P5), and the next run carries the new one"},
	{name: "shadows_without_grant", check: shadows,
		why: "a run with ceiling shadow proposes for scopes without a grant; grant and epoch are zero then"},
	{name: "reads_asked_objects", check: readsObjects,
		why: "profile objects proposes exactly the objects that are asked for, and is Complete"},
	{name: "describes_what_it_reads", check: describesReads,
		why: "Description.Reads says for each kind of which something is proposed what that depends on"},
	{name: "begins_with_its_reading", check: begins,
		why: "each directory of a run begins once, before its proposals, with controller, USN (those of its report) and rules, which are the same after a restart"},
	{name: "says_nothing_when_behind", check: saysNothingBehind,
		why: "at a controller that lacks what AsOf names a run begins nothing, proposes nothing, reports CodeBehind and is not Complete; its watermark stays"},
	{name: "answers_each_object_once", check: answersOnce,
		why: "with profile objects each object has exactly one answer, of what the engine does not see Unknown with a reason; absence is no evidence"},
	{name: "left_out_answers_for_all", check: leftOutAnswers,
		why: "a base feature that is Gone, OutOfScope or Unknown answers for all features, and an Excluded one for those that have no answer of their own"},
	{name: "names_references_whole", check: namesReferences, asked: func(o Options) bool { return asks(o.Scopes, scoping.References) },
		why: "a full run names the references of every present object, also where there are none, and names them whole"},
	{name: "names_extensions", check: namesExtensions, asked: func(o Options) bool { return asks(o.Scopes, scoping.Extensions) },
		why: "a full run names every extension that it is asked for of every present user, also where there is no value, and no other"},
	{name: "keeps_news_of_granted_places", check: keepsNews, asked: func(o Options) bool { return o.Change != nil },
		why: "news are kept from the moment a grant is acknowledged, whatever runs over other scopes or features, and restarts, come in between"},
	{name: "cancels_promptly", check: cancels,
		why: "a run ends promptly when its context does, with an error"},
	{name: "proposes_again_after_break", check: proposesAgain,
		why: "what a broken run proposed and nobody decided is proposed again by the next run, after a restart too (P3)"},
	{name: "proposes_changes", check: proposesChanges, asked: func(o Options) bool { return o.Change != nil },
		why: "a delta run proposes what changed since the last run"},
	{name: "delivers_by_permit", check: delivers, asked: func(o Options) bool { return o.Deliver != nil },
		why: "a delivery asks for its permit once, when it is ready, and is written once and only by a permit that is not refused and in time; an id that came before is not carried out again"},
	{name: "provisions_by_permit", check: provisions, asked: func(o Options) bool { return o.Provision != nil },
		why: "an object is written once, by a permit that is not refused and in time, at the named controller alone, and not where it is there already; a look asks for no permit"},
	{name: "maps_what_it_describes", check: mapsOnlyWhatItSays,
		why: "Map is answered for the provisioning features that Description.Features names, and by ErrUnsupported for the others"},
	{name: "maps_each_source_once", check: mapsOnce, asked: func(o Options) bool { return o.Map != nil },
		why: "a mapping begins once, answers each source once, is the same for the same source and rules, after a restart and in another order, too, and ends with its context"},
	{name: "leaves_no_goroutine", check: leavesNothing,
		why: "when its calls and its session have ended, nothing of the engine runs on"},
}

func describes(ctx context.Context, b *bench) error {
	return b.lives(func(e engine.Engine) error {
		first, err := e.Describe(ctx)
		if err != nil {
			return err
		}
		again, err := e.Describe(ctx)
		if err != nil {
			return err
		}
		var errs []error
		if !reflect.DeepEqual(first, again) {
			errs = append(errs, fmt.Errorf("it said %+v, then %+v", first, again))
		}
		if first.Kind == "" || first.Version == "" {
			errs = append(errs, fmt.Errorf("kind is %q and version %q", first.Kind, first.Version))
		}
		if first.Contract != engine.ContractVersion {
			errs = append(errs, fmt.Errorf("contract is %d instead of %d", first.Contract, engine.ContractVersion))
		}
		if !slices.Contains([]string{"clean", "delete", "unknown"}, first.Release) {
			errs = append(errs, fmt.Errorf("release is %q", first.Release))
		}
		return errors.Join(append(errs, describesFeatures(first, b.Scopes)...)...)
	})
}

func describesFeatures(d engine.Description, scopes []scoping.Scope) (errs []error) {
	for _, f := range d.Features {
		if len(d.Writes[f]) == 0 && f != scoping.PasswordHash { // a password is no attribute
			errs = append(errs, fmt.Errorf("feature %s writes nothing", f))
		}
	}
	for _, s := range scopes {
		for _, f := range s.Features {
			if !slices.Contains(d.Features, f) {
				errs = append(errs, fmt.Errorf("feature %s is tested and not described", f))
			}
		}
	}
	return errs
}

func reportsMistakes(ctx context.Context, b *bench) error {
	return b.lives(func(e engine.Engine) error {
		mistaken := b.Mistaken
		if mistaken.DataDir == "" {
			mistaken.DataDir = b.Config.DataDir
		}
		err := e.Configure(ctx, mistaken)
		var refused *engine.ConfigError
		if !errors.As(err, &refused) {
			return fmt.Errorf("%d mistakes give %w", b.Mistakes, orNone(err))
		}
		if len(refused.Problems) < b.Mistakes {
			return fmt.Errorf("%d mistakes give %d problems: %q", b.Mistakes, len(refused.Problems), refused.Problems)
		}
		return e.Configure(ctx, b.Config)
	})
}

func acknowledges(ctx context.Context, b *bench) error {
	return b.configured(ctx, func(ctx context.Context, t *talk) error {
		for _, grants := range [][]engine.Grant{b.grants(engine.ModeShadow, 1), b.grants(engine.ModeOwn, 2), {}, b.grants(engine.ModeNone, 3)} {
			if err := t.push(ctx, grants); err != nil {
				return err
			}
		}
		return nil
	})
}

// full makes a full run under grants of epoch 1.
func (b *bench) full(ctx context.Context, f func(engine.Description, outcome) error) error {
	return b.configured(ctx, func(ctx context.Context, t *talk) error {
		d, err := t.Describe(ctx)
		if err != nil {
			return err
		}
		if err := t.push(ctx, b.grants(engine.ModeOwn, 1)); err != nil {
			return err
		}
		o, err := b.run(ctx, t, engine.RunRequest{Profile: engine.ProfileFull}, nil)
		if err != nil {
			return err
		}
		return f(d, o)
	})
}

func proposesAll(ctx context.Context, b *bench) error {
	return b.full(ctx, func(_ engine.Description, o outcome) error {
		err := errors.Join(b.exactly(o.proposals, b.Expect), soundReports(o.reports, b.Config.Directories))
		if int(o.taken) != len(o.proposals) {
			err = errors.Join(err, fmt.Errorf("it took %d decisions for %d proposals", o.taken, len(o.proposals)))
		}
		return err
	})
}

type key struct {
	object  scoping.ObjectID
	feature scoping.Feature
}

// exactly compares proposals with what is expected.
func (b *bench) exactly(proposals []engine.Proposal, expect []Expected) error {
	wants := make(map[key]engine.Want)
	for _, e := range expect {
		wants[key{e.Object, e.Feature}] = e.Want
	}
	var errs []error
	seen := make(map[key]bool)
	for _, p := range proposals {
		k := key{p.Object, p.Feature}
		want, expected := wants[k]
		switch {
		case seen[k]:
			errs = append(errs, fmt.Errorf("%s (%s) is proposed twice for %s", p.Object, p.Name, p.Feature))
		case !expected:
			errs = append(errs, fmt.Errorf("%s (%s) is proposed for %s and was not expected", p.Object, p.Name, p.Feature))
		case want != 0 && want != p.Want:
			errs = append(errs, fmt.Errorf("%s (%s): want is %d instead of %d", p.Object, p.Name, p.Want, want))
		}
		seen[k] = true
	}
	for _, e := range expect {
		if !seen[key{e.Object, e.Feature}] {
			errs = append(errs, fmt.Errorf("%s is not proposed for %s", e.Object, e.Feature))
		}
	}
	return errors.Join(errs...)
}

func soundReports(reports []engine.RunReport, directories []engine.Directory) (err error) {
	for _, r := range reports {
		if !r.Complete || len(r.Errors) > 0 {
			err = errors.Join(err, fmt.Errorf("the run of directory %q is not complete: %+v", r.Directory, r.Errors))
		}
		if r.DC.IsZero() || r.USN == 0 {
			err = errors.Join(err, fmt.Errorf("the report does not say which controller was read, or up to where: %+v", r))
		}
		if !slices.ContainsFunc(directories, func(d engine.Directory) bool { return d.Name == r.Directory }) {
			err = errors.Join(err, fmt.Errorf("the report is of directory %q, which is not configured", r.Directory))
		}
	}
	return err
}

func proposesSoundly(ctx context.Context, b *bench) error {
	return b.full(ctx, func(d engine.Description, o outcome) error {
		var errs []error
		for _, p := range o.proposals {
			if err := sound(d, p); err != nil {
				errs = append(errs, fmt.Errorf("proposal %d for %s (%s): %w", p.Seq, p.Object, p.Name, err))
			}
		}
		return errors.Join(errs...)
	})
}

func sound(d engine.Description, p engine.Proposal) (err error) {
	say := func(bad bool, what string, args ...any) {
		if bad {
			err = errors.Join(err, fmt.Errorf(what, args...))
		}
	}
	say(p.Object.GUID.IsZero() || p.Object.Directory == "", "it names no object")
	say(p.Kind == "" && p.Want != engine.Unknown, "it has no kind")
	say(p.Want < engine.Present || p.Want > engine.Unknown, "want %d is none of the contract's", p.Want)
	say(p.Want == engine.Present && p.Parent.IsZero(), "it does not say where the object is")
	say(p.Want == engine.Present && p.Version == 0, "it does not say which version was read")
	say(p.Want == engine.Excluded && p.Reason == "", "it is excluded without a reason")
	say(p.Want == engine.Unknown && p.Reason == "", "it is unknown without a reason")
	say(!slices.Contains(d.Features, p.Feature) && (p.Feature != "" || p.Want != engine.Unknown), "feature %q is not described", p.Feature)
	say(len(p.Refs) > 0 && p.Feature != scoping.References, "references under feature %q", p.Feature)
	for name := range p.Desired {
		say(!slices.Contains(d.Writes[p.Feature], name) && p.Feature != scoping.Extensions, "attribute %q is not among what feature %q writes", name, p.Feature)
	}
	for name := range p.Refs {
		say(!slices.Contains(d.Writes[p.Feature], name), "reference %q is not among what feature %q writes", name, p.Feature)
	}
	return err
}

func stamps(ctx context.Context, b *bench) error {
	return b.configured(ctx, func(ctx context.Context, t *talk) error {
		if err := t.push(ctx, b.grants(engine.ModeOwn, 1)); err != nil {
			return err
		}
		changed := false
		o, err := b.run(ctx, t, engine.RunRequest{Profile: engine.ProfileFull}, func([]engine.Proposal) error {
			if changed {
				return nil
			}
			changed = true
			return t.give(ctx, b.grants(engine.ModeOwn, 2), false)
		})
		if err != nil {
			return err
		}
		if err := b.stamped(o.proposals, 1); err != nil {
			return fmt.Errorf("while the grants changed: %w", err)
		}
		if o, err = b.run(ctx, t, engine.RunRequest{Profile: engine.ProfileFull}, nil); err != nil {
			return err
		}
		return b.stamped(o.proposals, 2)
	})
}

// stamped checks that all proposals carry grants of one epoch, or none at all when n is 0.
func (b *bench) stamped(proposals []engine.Proposal, n uint64) error {
	want := scoping.Epoch{Incarnation: 1, N: n}
	if n == 0 {
		want = scoping.Epoch{}
	}
	for _, p := range proposals {
		known := p.Grant >= 1 && int(p.Grant) <= len(b.Scopes) && b.Scopes[p.Grant-1].Has(p.Feature)
		if p.Epoch != want || known != (n > 0) {
			return fmt.Errorf("proposal %d for %s carries grant %d of epoch %s; epoch %s was in force when the run began",
				p.Seq, p.Object, p.Grant, p.Epoch, want)
		}
	}
	return nil
}

func shadows(ctx context.Context, b *bench) error {
	return b.configured(ctx, func(ctx context.Context, t *talk) error {
		if err := t.push(ctx, nil); err != nil {
			return err
		}
		o, err := b.run(ctx, t, engine.RunRequest{Profile: engine.ProfileFull, Ceiling: engine.ModeShadow}, nil)
		if err != nil {
			return err
		}
		return errors.Join(b.exactly(o.proposals, b.Expect), b.stamped(o.proposals, 0))
	})
}

func readsObjects(ctx context.Context, b *bench) error {
	var all, asked []scoping.ObjectID
	for _, e := range b.Expect {
		if slices.Contains(all, e.Object) {
			continue
		}
		if all = append(all, e.Object); len(all)%2 == 1 { // every second one
			asked = append(asked, e.Object)
		}
	}
	var expect []Expected
	for _, e := range b.Expect {
		if slices.Contains(asked, e.Object) {
			expect = append(expect, e)
		}
	}
	return b.configured(ctx, func(ctx context.Context, t *talk) error {
		if err := t.push(ctx, b.grants(engine.ModeOwn, 1)); err != nil {
			return err
		}
		o, err := b.run(ctx, t, engine.RunRequest{Profile: engine.ProfileObjects, Objects: asked}, nil)
		if err != nil {
			return err
		}
		return errors.Join(b.exactly(o.proposals, expect), b.stamped(o.proposals, 1), soundReports(o.reports, b.Config.Directories))
	})
}

// errBreak is why the kit breaks a run.
var errBreak = errors.New("broken by the conformance kit")

// broken begins a run and breaks it at its first proposals, before they are decided.
// It gives the proposals that are left undecided.
func (b *bench) broken(ctx context.Context, t *talk) ([]engine.Proposal, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var broke time.Time
	o, err := b.run(ctx, t, engine.RunRequest{Profile: engine.ProfileFull}, func([]engine.Proposal) error {
		broke = time.Now()
		cancel()
		return errBreak
	})
	if broke.IsZero() {
		return nil, fmt.Errorf("it proposed nothing: %w", orNone(err))
	}
	if took := time.Since(broke); took > b.Promptly {
		return nil, fmt.Errorf("a cancelled run went on for %s", took)
	}
	if !errors.Is(err, errBreak) {
		return nil, fmt.Errorf("a cancelled run ended with %w", orNone(err))
	}
	return o.proposals, nil
}

func cancels(ctx context.Context, b *bench) error {
	return b.configured(ctx, func(ctx context.Context, t *talk) error {
		if err := t.push(ctx, b.grants(engine.ModeOwn, 1)); err != nil {
			return err
		}
		_, err := b.broken(ctx, t)
		return err
	})
}

func proposesAgain(ctx context.Context, b *bench) error {
	var owed []engine.Proposal
	err := b.configured(ctx, func(ctx context.Context, t *talk) error {
		if err := t.push(ctx, b.grants(engine.ModeOwn, 1)); err != nil {
			return err
		}
		if _, err := b.broken(ctx, t); err != nil {
			return err
		}
		o, err := b.run(ctx, t, engine.RunRequest{Profile: engine.ProfileDelta}, nil)
		if err != nil {
			return err
		}
		if err := b.exactly(o.proposals, b.Expect); err != nil {
			return fmt.Errorf("a delta run after a broken first run: %w", err)
		}
		owed, err = b.broken(ctx, t)
		return err
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
		for _, p := range owed {
			same := func(q engine.Proposal) bool { return q.Object == p.Object && q.Feature == p.Feature }
			if !slices.ContainsFunc(o.proposals, same) {
				err = errors.Join(err, fmt.Errorf("after a broken run and a restart, %s (%s) is not proposed again for %s", p.Object, p.Name, p.Feature))
			}
		}
		return err
	})
}

func proposesChanges(ctx context.Context, b *bench) error {
	return b.configured(ctx, func(ctx context.Context, t *talk) error {
		if err := t.push(ctx, b.grants(engine.ModeOwn, 1)); err != nil {
			return err
		}
		if _, err := b.run(ctx, t, engine.RunRequest{Profile: engine.ProfileFull}, nil); err != nil {
			return err
		}
		changed := b.Change(b.TB)
		o, err := b.run(ctx, t, engine.RunRequest{Profile: engine.ProfileDelta}, nil)
		if err != nil {
			return err
		}
		return errors.Join(missing(changed, o.proposals), soundReports(o.reports, b.Config.Directories))
	})
}

func leavesNothing(ctx context.Context, b *bench) error {
	before := steady(b.Promptly)
	err := b.configured(ctx, func(ctx context.Context, t *talk) error {
		if err := t.push(ctx, b.grants(engine.ModeOwn, 1)); err != nil {
			return err
		}
		if _, err := b.broken(ctx, t); err != nil {
			return err
		}
		_, err := b.run(ctx, t, engine.RunRequest{Profile: engine.ProfileFull}, nil)
		return err
	})
	if err != nil {
		return err
	}
	return settled(before, b.Promptly)
}
