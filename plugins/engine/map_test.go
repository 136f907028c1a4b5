package engine_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// cartographer says what it is told to, after it took everything.
type cartographer struct {
	engine.Engine
	say func(sources []engine.Source) []engine.MapEvent
}

func (c cartographer) Map(ctx context.Context, _ engine.MapRequest, in <-chan []engine.Source, out chan<- engine.MapEvent) error {
	var all []engine.Source
	for batch := range in {
		all = append(all, batch...)
	}
	for _, e := range c.say(all) {
		select {
		case out <- e:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func begun() engine.MapEvent {
	return engine.MapEvent{Begin: &engine.MapBegin{Rules: engine.Fingerprint{1}, Writes: []string{"title"}}}
}

func mapped(sources []engine.Source) (out []engine.Mapping) {
	for _, s := range sources {
		out = append(out, engine.Mapping{Object: s.Object, Want: engine.Present, Desired: map[string]engine.Flow{"title": {Text: []string{"x"}}}})
	}
	return out
}

func sources(n int) (out []engine.Source) {
	for i := range n {
		out = append(out, engine.Source{Object: scoping.ObjectID{Directory: scoping.Tenant, GUID: scoping.GUID{byte(i), byte(i >> 8), 1}}, Kind: scoping.User})
	}
	return out
}

func TestEachSourceIsMappedOnce(t *testing.T) {
	n := 0
	begin, err := engine.Map(t.Context(), cartographer{say: func(all []engine.Source) []engine.MapEvent {
		out := []engine.MapEvent{begun()}
		for batch := range slices.Chunk(mapped(all), engine.MaxBatch) {
			out = append(out, engine.MapEvent{Mappings: batch})
		}
		return out
	}}, engine.MapRequest{}, sources(600), func(m []engine.Mapping) error { n += len(m); return nil })
	if err != nil || n != 600 || begin.Rules != (engine.Fingerprint{1}) {
		t.Errorf("%d mappings under %v: %v", n, begin, err)
	}
}

func TestMappingsThatBreakTheContract(t *testing.T) {
	one := func(change func(*engine.Mapping)) func([]engine.Source) []engine.MapEvent {
		return func(all []engine.Source) []engine.MapEvent {
			m := mapped(all)
			change(&m[0])
			return []engine.MapEvent{begun(), {Mappings: m}}
		}
	}
	for name, say := range map[string]func([]engine.Source) []engine.MapEvent{
		"nothing":   func([]engine.Source) []engine.MapEvent { return nil },
		"no answer": func([]engine.Source) []engine.MapEvent { return []engine.MapEvent{begun()} },
		"one answer too few": func(all []engine.Source) []engine.MapEvent {
			return []engine.MapEvent{begun(), {Mappings: mapped(all[1:])}}
		},
		"an answer twice": func(all []engine.Source) []engine.MapEvent {
			return []engine.MapEvent{begun(), {Mappings: append(mapped(all), mapped(all[:1])...)}}
		},
		"no beginning": func(all []engine.Source) []engine.MapEvent { return []engine.MapEvent{{Mappings: mapped(all)}} },
		"two beginnings": func(all []engine.Source) []engine.MapEvent {
			return []engine.MapEvent{begun(), begun(), {Mappings: mapped(all)}}
		},
		"no rules": func(all []engine.Source) []engine.MapEvent {
			return []engine.MapEvent{{Begin: &engine.MapBegin{}}, {Mappings: mapped(all)}}
		},
		"nobody asked":              one(func(m *engine.Mapping) { m.Object.GUID[15] = 99 }),
		"gone":                      one(func(m *engine.Mapping) { m.Want = engine.Gone }),
		"left out without a word":   one(func(m *engine.Mapping) { m.Want = engine.Excluded }),
		"more than it writes":       one(func(m *engine.Mapping) { m.Desired["unicodePwd"] = engine.Flow{Text: []string{"x"}} }),
		"references out of nowhere": one(func(m *engine.Mapping) { m.Refs = map[string]string{"member": "members"} }),
		"no candidates":             one(func(m *engine.Mapping) { m.Desired["title"] = engine.Flow{Unique: true} }),
	} {
		_, err := engine.Map(t.Context(), cartographer{say: say}, engine.MapRequest{}, sources(3), func([]engine.Mapping) error { return nil })
		if !errors.Is(err, engine.ErrContract) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestWhoeverTakesMappingsEndsTheMapping(t *testing.T) {
	full := errors.New("full")
	_, err := engine.Map(t.Context(), cartographer{say: func(all []engine.Source) []engine.MapEvent {
		return []engine.MapEvent{begun(), {Mappings: mapped(all)}}
	}},
		engine.MapRequest{}, sources(3), func([]engine.Mapping) error { return full })
	if !errors.Is(err, full) {
		t.Error(err)
	}
}
