package cloudsync

import (
	"context"
	"fmt"
	"slices"

	"github.com/tandem-sync/tandem/plugins/cloudsync/mapping"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// provisions are the features of the other direction.
var provisions = []scoping.Feature{scoping.UserProvisioning, scoping.GroupProvisioning}

// Map maps objects of the tenant by the settings in force when it begins. It needs no agent and no turn: it runs beside everything else.
func (e *Engine) Map(ctx context.Context, r engine.MapRequest, in <-chan []engine.Source, out chan<- engine.MapEvent) error {
	s := e.current()
	switch {
	case s == nil:
		return errUnconfigured
	case !slices.Contains(provisions, r.Feature):
		return fmt.Errorf("mapping for feature %q: %w (it maps for %v)", r.Feature, engine.ErrUnsupported, provisions)
	}
	kind := scoping.User
	if r.Feature == scoping.GroupProvisioning {
		kind = scoping.Group
	}
	set := s.settings.provisioning.Of(kind, r.Assignment)
	if err := say(ctx, out, engine.MapEvent{Begin: &engine.MapBegin{Rules: set.Fingerprint(), Writes: set.Writes()}}); err != nil {
		return err
	}
	place := mapping.Place{Container: r.ContainerDN, Domain: r.Domain}
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case batch, open := <-in:
			if !open {
				return nil
			}
			answers := make([]engine.Mapping, len(batch))
			for i, source := range batch {
				if ctx.Err() != nil { // a pattern may take its second for each of them
					return context.Cause(ctx)
				}
				answers[i] = set.Map(place, source)
			}
			if err := say(ctx, out, engine.MapEvent{Mappings: answers}); err != nil {
				return err
			}
		}
	}
}

func say(ctx context.Context, out chan<- engine.MapEvent, event engine.MapEvent) error {
	select {
	case out <- event:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// provisioningSettings compiles the mappings of the other direction. The mistakes are named by their places in the settings.
func provisioningSettings(b []byte) (*mapping.Sets, []string) {
	own, problems := mapping.ReadJSON(b)
	sets, more := own.Compile()
	var out []string
	for _, p := range append(problems, more...) {
		p.Path = append([]any{"settings", "provisioning"}, p.Path...)
		out = append(out, p.Error())
	}
	return sets, out
}

// provisionedAttributes are the attributes of the directory that the usual mappings write, by feature.
func provisionedAttributes() map[scoping.Feature][]string {
	sets, _ := mapping.Settings{}.Compile()
	return map[scoping.Feature][]string{scoping.UserProvisioning: sets.Of(scoping.User, "").Writes(), scoping.GroupProvisioning: sets.Of(scoping.Group, "").Writes()}
}
