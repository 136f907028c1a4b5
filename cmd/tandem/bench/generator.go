package bench

import (
	"context"
	"encoding/binary"
	"fmt"
	"strconv"

	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// GeneratorKind is the kind of the engine that makes its proposals up.
const GeneratorKind = "bench"

// What the generator's directory is.
const (
	madeUpDirectory = "generated"
	domain          = "contoso.test"
)

var (
	theRoot  = scoping.GUID{15: 1}
	theEpoch = scoping.Epoch{Incarnation: 1, N: 1}
)

// Generator is an engine that reads nothing: it proposes as many users as its settings say, the same ones in each run.
type Generator struct {
	engine.Unimplemented
	objects int
}

// Describe implements engine.Engine.
func (*Generator) Describe(context.Context) (engine.Description, error) {
	return engine.Description{Kind: GeneratorKind, Version: "1", Contract: engine.ContractVersion, Features: []scoping.Feature{scoping.Users}, CanShadow: true, Release: "clean"}, nil
}

// Configure implements engine.Engine: the settings are a number.
func (g *Generator) Configure(_ context.Context, c engine.Config) error {
	n, err := strconv.Atoi(string(c.Settings))
	if err != nil {
		return &engine.ConfigError{Problems: []string{fmt.Sprintf("settings: a number of objects is expected: %v", err)}}
	}
	g.objects = n
	return nil
}

// Grants implements engine.Engine: they are acknowledged, and not looked at.
func (*Generator) Grants(ctx context.Context, in <-chan []engine.Grant, out chan<- engine.Ack) error {
	for {
		select {
		case gs := <-in:
			for _, x := range gs {
				select {
				case out <- engine.Ack{Grant: x.ID, Epoch: x.Epoch, InForce: true, Idle: true}:
				case <-ctx.Done():
					return nil
				}
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// Run implements engine.Engine.
func (g *Generator) Run(ctx context.Context, _ engine.RunRequest, in <-chan []engine.Decision, out chan<- engine.RunEvent) error {
	say := func(e engine.RunEvent) error {
		for {
			select {
			case out <- e:
				return nil
			case <-in: // decisions change nothing for it
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
	}
	for from := 0; from < g.objects; from += engine.MaxBatch {
		batch := make([]engine.Proposal, 0, engine.MaxBatch)
		for n := from; n < min(from+engine.MaxBatch, g.objects); n++ {
			batch = append(batch, proposal(n))
		}
		if err := say(engine.RunEvent{Proposals: batch}); err != nil {
			return err
		}
	}
	if err := say(engine.RunEvent{Report: &engine.RunReport{Directory: madeUpDirectory, Read: g.objects, Complete: true}}); err != nil {
		return err
	}
	for {
		select {
		case _, open := <-in:
			if !open {
				return nil
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// Health implements engine.Engine.
func (*Generator) Health(ctx context.Context, out chan<- engine.Health) error {
	select {
	case out <- engine.Health{OK: true, Message: "it makes its proposals up"}:
		<-ctx.Done()
	case <-ctx.Done():
	}
	return nil
}

// proposal is the whole state of one made-up user.
func proposal(n int) engine.Proposal {
	var id scoping.GUID
	id[0] = 2
	binary.BigEndian.PutUint64(id[8:], uint64(n))
	name := "user" + strconv.Itoa(n)
	text := func(v string) engine.Value { return engine.Value{Text: []string{v}} }
	return engine.Proposal{Seq: uint64(n + 1), Object: scoping.ObjectID{Directory: madeUpDirectory, GUID: id}, Kind: scoping.User, Name: "CN=" + name + ",DC=contoso,DC=test", Parent: theRoot,
		Feature: scoping.Users, Grant: 1, Epoch: theEpoch, Want: engine.Present, Desired: map[string]engine.Value{
			cloud.UPN: text(name + "@" + domain), cloud.DisplayName: text("User " + strconv.Itoa(n)), cloud.Nickname: text(name), cloud.Enabled: text("true"),
			"givenName": text("User"), "surname": text(strconv.Itoa(n)), "jobTitle": text("Engineer"), "department": text("R&D")}}
}
