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

// Mapped is what the kit needs to ask the rules about mappings of objects of the tenant.
type Mapped struct {
	Request engine.MapRequest
	Sources []engine.Source // two at least; the kit adds more, of which nothing is known but the id
	Present int             // how many of Sources are mapped, and neither left out nor unknown
}

// mapping maps sources as the host does.
func (b *bench) mapping(ctx context.Context, e engine.Engine, sources []engine.Source) (engine.MapBegin, map[scoping.ObjectID]engine.Mapping, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("a mapping did not end within %s", patience))
	defer cancel()
	all := make(map[scoping.ObjectID]engine.Mapping, len(sources))
	begin, err := engine.Map(ctx, e, b.Map.Request, sources, func(batch []engine.Mapping) error {
		for _, m := range batch {
			all[m.Object] = m
		}
		return nil
	})
	return begin, all, err
}

// many are the sources that are asked for, and more than one batch of others.
func (m *Mapped) many() []engine.Source {
	out := slices.Clone(m.Sources)
	for n := range engine.MaxBatch + 1 {
		g := scoping.GUID{0xC0, byte(n), byte(n >> 8), 15: 1}
		out = append(out, engine.Source{Object: scoping.ObjectID{Directory: scoping.Tenant, GUID: g}, Kind: m.Sources[0].Kind, Values: map[string]engine.Value{"id": {Text: []string{g.String()}}}})
	}
	return out
}

// mapsOnce: each source is answered once, and the same rules give the same mappings, after a restart and in another order, too.
func mapsOnce(ctx context.Context, b *bench) error {
	sources := b.Map.many()
	var first map[scoping.ObjectID]engine.Mapping
	var began engine.MapBegin
	for range 2 {
		err := b.configured(ctx, func(ctx context.Context, t *talk) error {
			begin, all, err := b.mapping(ctx, t, sources)
			if err != nil {
				return err
			}
			if first == nil {
				began, first = begin, all
				return b.sound(began, first)
			}
			return sameMappings(began, begin, first, all)
		})
		if err != nil {
			return err
		}
		slices.Reverse(sources)
	}
	return b.configured(ctx, func(ctx context.Context, t *talk) error {
		begin, none, err := b.mapping(ctx, t, nil)
		if err == nil && (len(none) > 0 || begin.Rules != began.Rules) {
			err = errors.New("without sources it maps something, or by other rules")
		}
		return errors.Join(err, b.abandonedMapping(ctx, t))
	})
}

// abandonedMapping: a mapping to which the host says nothing more ends with its context.
func (b *bench) abandonedMapping(ctx context.Context, e engine.Engine) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	in, out, ended := make(chan []engine.Source), make(chan engine.MapEvent), make(chan error, 1)
	defer close(in) // for one that waits for that
	go func() { ended <- e.Map(ctx, b.Map.Request, in, out) }()
	select {
	case <-out:
	case err := <-ended:
		return fmt.Errorf("a mapping ended before its first source: %w", orNone(err))
	}
	cancel()
	limit := time.NewTimer(b.Promptly)
	defer limit.Stop()
	select {
	case err := <-ended:
		if err == nil {
			return errors.New("a mapping that was cancelled ended without an error")
		}
		return nil
	case <-limit.C:
		return fmt.Errorf("a mapping goes on %s after its context ended", b.Promptly)
	}
}

// sound looks at mappings alone.
func (b *bench) sound(begin engine.MapBegin, all map[scoping.ObjectID]engine.Mapping) error {
	present := 0
	for _, s := range b.Map.Sources {
		if all[s.Object].Want == engine.Present {
			present++
		}
	}
	if present != b.Map.Present {
		return fmt.Errorf("%d of the %d sources are mapped, and not %d", present, len(b.Map.Sources), b.Map.Present)
	}
	for id, m := range all {
		if m.Want != engine.Present && len(m.Desired)+len(m.Refs) > 0 {
			return fmt.Errorf("of %s, which is not mapped, it wants values", id)
		}
		for name, f := range m.Desired {
			if f.Unique && !f.Once || slices.Contains(f.Text, "") {
				return fmt.Errorf("of %s it wants %q of %s, unique %v and once %v", id, f.Text, name, f.Unique, f.Once)
			}
		}
	}
	if !slices.Contains(begin.Writes, engine.CommonName) {
		return fmt.Errorf("it writes %q, and no %s", begin.Writes, engine.CommonName)
	}
	return nil
}

func sameMappings(began, begin engine.MapBegin, first, all map[scoping.ObjectID]engine.Mapping) error {
	if !reflect.DeepEqual(began, begin) {
		return fmt.Errorf("it began with %+v, and after a restart with %+v", began, begin)
	}
	for id, m := range first {
		if !reflect.DeepEqual(m, all[id]) {
			return fmt.Errorf("it maps %s as %+v, and after a restart as %+v", id, m, all[id])
		}
	}
	return nil
}

// mapsOnlyWhatItSays: whether an engine maps is told by its features.
func mapsOnlyWhatItSays(ctx context.Context, b *bench) error {
	return b.configured(ctx, func(ctx context.Context, t *talk) error {
		d, err := t.Describe(ctx)
		if err != nil {
			return err
		}
		for _, f := range []scoping.Feature{scoping.UserProvisioning, scoping.GroupProvisioning} {
			_, err := engine.Map(ctx, t, engine.MapRequest{Feature: f, ContainerDN: "OU=x,DC=x", Domain: "x.test"}, nil, func([]engine.Mapping) error { return nil })
			switch described := slices.Contains(d.Features, f); {
			case described && err != nil:
				return fmt.Errorf("it describes %s, and maps nothing: %w", f, err)
			case !described && !errors.Is(err, engine.ErrUnsupported):
				return fmt.Errorf("it does not describe %s, and a mapping is answered by %v instead of ErrUnsupported", f, err)
			}
		}
		return nil
	})
}
