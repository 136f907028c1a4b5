package api

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/plugins/engine"
)

// NameRequest names an engine, or all if it is empty.
type NameRequest struct {
	Name string `json:"name,omitempty"`
}

// Engines is a list of engines.
type Engines struct {
	Engines []Engine `json:"engines"`
}

func engineList(ctx context.Context, c *call, _ None) (any, Outcome, error) {
	es, err := c.engines(ctx)
	return Engines{Engines: es}, Outcome{}, err
}

// engines starts each engine and asks for its description.
func (c *call) engines(ctx context.Context) ([]Engine, error) {
	s, err := c.h.o.Host().Status(ctx)
	if err != nil {
		return nil, err
	}
	out := []Engine{}
	for _, es := range s.Engines {
		e := engineOf(es, time.Now())
		d, err := c.h.o.Describe(ctx, es.Name)
		if err != nil {
			e.Message = err.Error()
			e.Healthy = ptr(false)
		}
		e.Kind, e.Version, e.Features, e.Delivers, e.Writes, e.Verbs = d.Kind, d.Version, d.Features, d.Delivers, d.Writes, d.Verbs
		out = append(out, e)
	}
	return out, nil
}

func engineShow(ctx context.Context, c *call, q NameRequest) (any, Outcome, error) {
	es, err := c.engines(ctx)
	if err != nil {
		return nil, Outcome{}, err
	}
	for _, e := range es {
		if e.Name == q.Name {
			return e, Outcome{}, nil
		}
	}
	return nil, Outcome{}, Usage("no engine %q is configured", q.Name)
}

// AgentRequest is an operation on agents.
type AgentRequest struct {
	Engine string `json:"engine,omitempty"` // empty: the one engine that has agents
	Verb   string `json:"verb"`             // agents, invite or remove
	Group  string `json:"group,omitempty"`
	TTL    string `json:"ttl,omitempty"`
	ID     string `json:"id,omitempty"`
}

// AgentReply is an engine's answer, in its own form.
type AgentReply struct {
	Engine string          `json:"engine"`
	Agents json.RawMessage `json:"agents,omitempty"`
	Answer json.RawMessage `json:"answer,omitempty"`
}

func agent(ctx context.Context, c *call, q AgentRequest) (any, Outcome, error) {
	if q.Verb != "agents" {
		if err := c.may(operates); err != nil {
			return nil, Outcome{}, err
		}
	}
	name, err := c.agentEngine(ctx, q)
	if err != nil {
		return nil, Outcome{}, err
	}
	args := map[string]map[string]string{"agents": {}, "invite": {"group": q.Group, "ttl": q.TTL}, "remove": {"id": q.ID}}[q.Verb]
	if args == nil {
		return nil, Outcome{}, Usage("unknown verb %q about agents", q.Verb)
	}
	b, err := json.Marshal(args)
	if err != nil {
		return nil, Outcome{}, fmt.Errorf("encoding the arguments: %w", err)
	}
	out := AgentReply{Engine: name}
	err = c.h.o.Call(ctx, name, q.Verb, b, func(a []byte) error {
		if q.Verb == "agents" {
			out.Agents = slices.Clone(a)
		} else {
			out.Answer = slices.Clone(a)
		}
		return nil
	})
	if err != nil || q.Verb == "agents" {
		return out, Outcome{}, err
	}
	return out, Outcome{}, c.journalAgent(ctx, name, q, out.Answer)
}

// journalAgent records who invited or removed an agent. The token is a secret and is left out.
func (c *call) journalAgent(ctx context.Context, name string, q AgentRequest, answer []byte) error {
	r := ledger.Record{Type: ledger.ControlType, Engine: name, Op: q.Verb + "-agent", By: c.by, Outcome: engine.Applied, Code: q.ID}
	if q.Verb == "invite" {
		var told struct{ Group, Expires string }
		if err := json.Unmarshal(answer, &told); err != nil {
			return fmt.Errorf("the engine's answer: %w", err)
		}
		r.Reason = "group " + told.Group + ", until " + told.Expires
	}
	if err := c.h.o.Host().Journal(ctx, r); err != nil {
		return fmt.Errorf("noting it in the journal: %w", err)
	}
	return c.h.o.JournalAgents(ctx, name) // a removed agent may have been enrolled since the last look
}

// agentEngine finds the engine that has agents.
func (c *call) agentEngine(ctx context.Context, q AgentRequest) (string, error) {
	var with []string
	for _, n := range c.h.o.Engines() {
		if q.Engine != "" && n != q.Engine {
			continue
		}
		d, err := c.h.o.Describe(ctx, n)
		if err != nil {
			return "", err
		}
		if slices.Contains(d.Verbs, q.Verb) {
			with = append(with, n)
		}
	}
	switch len(with) {
	case 0:
		return "", Usage("no configured engine has agents")
	case 1:
		return with[0], nil
	}
	return "", Usage("several engines have agents: name one with --engine (%v)", with)
}
