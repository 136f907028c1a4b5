package engine

import (
	"context"
	"fmt"
	"slices"

	"github.com/tandem-sync/tandem/scoping"
)

// MapRequest says for which assignment of the policy objects of the tenant are mapped.
type MapRequest struct {
	Feature     scoping.Feature
	Assignment  string           // its name in the policy
	Container   scoping.ObjectID // where the assignment puts objects
	ContainerDN string           // now, to make others below it of
	Domain      string           // DNS name of the directory's domain
}

// Source is one object of the tenant: Object is scoping.Cloud of its id.
type Source struct {
	Object scoping.ObjectID
	Kind   scoping.Kind
	Values map[string]Value // by Graph's names, "id" among them; booleans are "true" and "false"
}

// MapEvent is one thing that an engine says in a mapping: exactly one field is set.
type MapEvent struct {
	Begin    *MapBegin // once, before the first mapping
	Mappings []Mapping // at most MaxBatch
}

// MapBegin says by what mappings come about.
type MapBegin struct {
	Rules  Fingerprint
	Writes []string // every attribute of the directory that a mapping may name, those of Refs too
}

// Mapping is the whole desired state of one object of the tenant in a directory. Names are those of the directory's attributes.
type Mapping struct {
	Object    scoping.ObjectID
	Want      Want              // Present, Excluded or Unknown
	Reason    string            // of Excluded and Unknown
	Desired   map[string]Flow   // an absent attribute is unmanaged; see CommonName and AccountDisabled
	Refs      map[string]string // attribute of the directory -> reference of the source that it follows
	Container string            // DN; empty: MapRequest.ContainerDN
}

// Names in Mapping.Desired that stand for more than a value.
const (
	CommonName      = "cn"
	AccountDisabled = "accountDisabled" // "true" or "false": that bit of userAccountControl
)

// Flow is what an attribute should be: no text clears it.
type Flow struct {
	Text   []string // of Unique: candidates in order, of which one becomes the value
	Once   bool     // only when the object is made
	Unique bool     // the first candidate that nobody in the whole domain has; it is once, too
}

// Map has e map sources, from the host's side, and gives each batch of mappings to take. An engine that does not answer each source exactly once, or names what its
// MapBegin does not, is an ErrContract; so is one without a fingerprint.
func Map(ctx context.Context, e Engine, r MapRequest, sources []Source, take func([]Mapping) error) (MapBegin, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	in, out, ended := make(chan []Source), make(chan MapEvent), make(chan error, 1)
	go func() {
		defer close(in)
		for batch := range slices.Chunk(sources, MaxBatch) {
			select {
			case in <- batch:
			case <-ctx.Done():
				return
			}
		}
	}()
	m := mapper{open: make(map[scoping.ObjectID]bool, len(sources)), take: take}
	for _, s := range sources {
		m.open[s.Object] = true
	}
	go func() { ended <- e.Map(ctx, r, in, out) }()
	var failed error
	for {
		select {
		case event := <-out:
			if failed == nil {
				failed = m.event(event)
			}
			if failed != nil {
				cancel()
			}
		case err := <-ended:
			return m.begin, m.verdict(failed, err)
		}
	}
}

type mapper struct {
	open  map[scoping.ObjectID]bool // not answered yet
	begun bool
	begin MapBegin
	take  func([]Mapping) error
}

func (m *mapper) event(e MapEvent) error {
	switch {
	case e.Begin != nil && m.begun:
		return ContractError("it begins a mapping twice")
	case e.Begin != nil && e.Begin.Rules.IsZero():
		return ContractError("it says nothing of the rules of a mapping")
	case e.Begin != nil:
		m.begin, m.begun = *e.Begin, true
		return nil
	case !m.begun:
		return ContractError("it maps before it begins")
	case len(e.Mappings) > MaxBatch:
		return ContractError("%d mappings at once", len(e.Mappings))
	}
	for _, x := range e.Mappings {
		if err := m.check(x); err != nil {
			return err
		}
		delete(m.open, x.Object)
	}
	return m.take(e.Mappings)
}

func (m *mapper) check(x Mapping) error {
	if !m.open[x.Object] {
		return ContractError("it maps %s, which was not asked for or is answered", x.Object)
	}
	if (x.Want != Present && x.Want != Excluded && x.Want != Unknown) || x.Want != Present && x.Reason == "" {
		return ContractError("of %s it wants %d for %q", x.Object, x.Want, cut(x.Reason))
	}
	for name, f := range x.Desired {
		if !slices.Contains(m.begin.Writes, name) || f.Unique && len(f.Text) == 0 {
			return ContractError("of %s it makes %d values of %q", x.Object, len(f.Text), cut(name))
		}
	}
	for name := range x.Refs {
		if !slices.Contains(m.begin.Writes, name) {
			return ContractError("of %s it makes references of %q", x.Object, cut(name))
		}
	}
	return nil
}

func (m *mapper) verdict(failed, err error) error {
	switch {
	case failed != nil:
		return fmt.Errorf("mapping: %w", failed)
	case err != nil:
		return fmt.Errorf("mapping: %w", err)
	case !m.begun || len(m.open) > 0:
		return fmt.Errorf("mapping: %w", ContractError("it left %d sources without an answer", len(m.open)))
	}
	return nil
}
