package plugin

import (
	"errors"
	"fmt"

	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/plugins/engine/plugin/enginepb"
	"github.com/tandem-sync/tandem/scoping"
)

func mapStartOut(r engine.MapRequest) *enginepb.MapStart {
	return &enginepb.MapStart{Feature: string(r.Feature), Assignment: r.Assignment, Container: objectOut(r.Container), ContainerDn: r.ContainerDN, Domain: r.Domain}
}

func mapStartIn(r *enginepb.MapStart) (engine.MapRequest, error) {
	o, err := objectIn(r.Container)
	return engine.MapRequest{Feature: scoping.Feature(r.Feature), Assignment: r.Assignment, Container: o, ContainerDN: r.ContainerDn, Domain: r.Domain}, err
}

func sourcesOut(from []engine.Source) *enginepb.Sources {
	to := &enginepb.Sources{}
	for _, s := range from {
		to.Sources = append(to.Sources, &enginepb.Source{Object: objectOut(s.Object), Kind: string(s.Kind), Values: validValuesOut(s.Values)})
	}
	return to
}

// validValuesOut is valuesOut for what somebody else wrote, which may be no text.
func validValuesOut(from map[string]engine.Value) map[string]*enginepb.Value {
	to := valuesOut(from)
	for _, v := range to {
		v.Text = validAll(v.Text)
	}
	return to
}

func validAll(from []string) (to []string) {
	for _, t := range from {
		to = append(to, valid(t))
	}
	return to
}

func sourcesIn(from *enginepb.Sources) (to []engine.Source, err error) {
	for _, s := range from.GetSources() {
		o, e := objectIn(s.GetObject())
		err = errors.Join(err, e)
		to = append(to, engine.Source{Object: o, Kind: scoping.Kind(s.GetKind()), Values: valuesIn(s.GetValues())})
	}
	return to, err
}

func mapEventOut(e engine.MapEvent) *enginepb.MapEvent {
	if b := e.Begin; b != nil {
		return &enginepb.MapEvent{Is: &enginepb.MapEvent_Begin{Begin: &enginepb.MapBegin{Rules: b.Rules[:], Writes: b.Writes}}}
	}
	batch := &enginepb.Mappings{}
	for _, m := range e.Mappings {
		to := &enginepb.Mapping{Object: objectOut(m.Object), Want: enginepb.Want(m.Want), Reason: valid(m.Reason), Refs: m.Refs, Container: valid(m.Container)}
		for name, f := range m.Desired {
			if to.Desired == nil {
				to.Desired = map[string]*enginepb.Flow{}
			}
			to.Desired[name] = &enginepb.Flow{Text: validAll(f.Text), Once: f.Once, Unique: f.Unique}
		}
		batch.Mappings = append(batch.Mappings, to)
	}
	return &enginepb.MapEvent{Is: &enginepb.MapEvent_Mappings{Mappings: batch}}
}

func mapEventIn(e *enginepb.MapEvent) (engine.MapEvent, error) {
	switch is := e.Is.(type) {
	case *enginepb.MapEvent_Begin:
		rules := is.Begin.GetRules()
		if len(rules) != len(engine.Fingerprint{}) {
			return engine.MapEvent{}, engine.ContractError("a fingerprint of %d bytes", len(rules))
		}
		return engine.MapEvent{Begin: &engine.MapBegin{Rules: engine.Fingerprint(rules), Writes: is.Begin.GetWrites()}}, nil
	case *enginepb.MapEvent_Mappings:
		return mappingsIn(is.Mappings)
	}
	return engine.MapEvent{}, engine.ContractError("an event of a mapping says nothing")
}

func mappingsIn(from *enginepb.Mappings) (to engine.MapEvent, err error) {
	to.Mappings = make([]engine.Mapping, 0, len(from.GetMappings()))
	for _, m := range from.GetMappings() {
		o, err := objectIn(m.GetObject())
		if err != nil {
			return to, fmt.Errorf("mapping of %s: %w", o, err)
		}
		x := engine.Mapping{Object: o, Want: engine.Want(m.GetWant()), Reason: m.GetReason(), Refs: m.GetRefs(), Container: m.GetContainer()}
		for name, f := range m.GetDesired() {
			if x.Desired == nil {
				x.Desired = map[string]engine.Flow{}
			}
			x.Desired[name] = engine.Flow{Text: f.GetText(), Once: f.GetOnce(), Unique: f.GetUnique()}
		}
		to.Mappings = append(to.Mappings, x)
	}
	return to, nil
}
