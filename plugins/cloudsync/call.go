package cloudsync

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tandem-sync/tandem/plugins/cloudsync/line"
	"github.com/tandem-sync/tandem/plugins/engine"
)

// The bounds of a token's life.
const (
	DefaultTTL = time.Hour
	maxTTL     = 30 * 24 * time.Hour
)

// InviteArgs are the arguments of verb "invite".
type InviteArgs struct {
	Group string `json:"group,omitempty"` // empty: DefaultGroup
	TTL   string `json:"ttl,omitempty"`   // such as "1h"; empty: DefaultTTL
}

// Invitation is what verb "invite" answers. The token is a secret until it is used.
type Invitation struct {
	Token   string    `json:"token"`
	Group   string    `json:"group"`
	Expires time.Time `json:"expires"`
	Listen  string    `json:"listen"` // where agents dial in, as the service sees it
}

// AgentInfo is one agent in the answer of verb "agents".
type AgentInfo struct {
	ID         string    `json:"id"`
	Group      string    `json:"group"`
	Directory  string    `json:"directory"` // name; empty when no configured directory has the agent's base
	Base       string    `json:"base"`
	Host       string    `json:"host"`
	Enrolled   time.Time `json:"enrolled"`
	Embedded   bool      `json:"embedded"`
	Live       bool      `json:"live"`
	Since      time.Time `json:"connectedSince,omitzero"`
	Version    string    `json:"version,omitempty"`
	Service    string    `json:"serviceVersion"` // that of the program that it attends
	Controller string    `json:"controller,omitempty"`
	Requests   int       `json:"requests"` // under way
	State      string    `json:"state"`    // good, failing (it attends, and its last answers failed or came too late), or away
	Answered   time.Time `json:"lastAnswer,omitzero"`
	Latency    int64     `json:"latencyMillis,omitempty"` // smoothed: how long it keeps waiting
	Trouble    string    `json:"trouble,omitempty"`       // what is wrong with it and since when
	Machine    string    `json:"machine,omitempty"`
	Expires    time.Time `json:"certificateEnds,omitzero"`
	Purposes   []string  `json:"purposes,omitempty"` // of the accounts that it holds beside the one that reads; of one that is away, as it said last
}

// RemoveArgs are the arguments of verb "remove".
type RemoveArgs struct {
	ID string `json:"id"`
}

// Call answers the engine's verbs, with JSON:
//
//	agents                             []AgentInfo
//	invite  InviteArgs                 Invitation
//	remove  RemoveArgs                 the agent's line ends, and it can never attend again
//	trace   TraceArgs                  a Step per line: agent, import, scope, exclusion, mapping, references, proposal
//	provision-on-demand                the same as trace: this engine writes nothing by itself
//	save                               what a backup has to hold so that agents need not enrol again: private keys are in it
//	load    what save answered         replaces what the engine has made meanwhile
func (e *Engine) Call(ctx context.Context, verb string, args []byte, out chan<- []byte) error {
	s := e.current()
	if s == nil {
		return errUnconfigured
	}
	switch verb {
	case "agents":
		return send(ctx, out, s.agents())
	case "invite":
		return s.invite(ctx, args, out)
	case "remove":
		return s.remove(ctx, args, out)
	case "trace", "provision-on-demand":
		return e.trace(ctx, args, out)
	case "save":
		return s.save(ctx, out)
	case "load":
		return e.load(ctx, args, out)
	}
	return fmt.Errorf("verb %q: %w (it knows agents, invite, remove, trace, provision-on-demand, save and load)", verb, engine.ErrUnsupported)
}

func send(ctx context.Context, out chan<- []byte, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	select {
	case out <- b:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// arguments decodes strictly. No arguments at all are the zero value.
func arguments(b []byte, v any) error {
	if len(bytes.TrimSpace(b)) == 0 {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return fmt.Errorf("arguments: %w", err)
	}
	return nil
}

func (s *service) invite(ctx context.Context, b []byte, out chan<- []byte) error {
	args := InviteArgs{}
	if err := arguments(b, &args); err != nil {
		return err
	}
	if args.Group == "" {
		args.Group = DefaultGroup
	}
	life := DefaultTTL
	if args.TTL != "" {
		d, err := time.ParseDuration(args.TTL)
		if err != nil || d <= 0 || d > maxTTL {
			return fmt.Errorf("ttl %q: a duration above 0 and up to %s, such as 1h", args.TTL, maxTTL)
		}
		life = d
	}
	expires := s.clock.now().Add(life).UTC()
	token, err := s.hub.registry.invite(s.hub.authority.pin, args.Group, expires, s.clock.now(), false)
	if err != nil {
		return err
	}
	return send(ctx, out, Invitation{Token: token.String(), Group: args.Group, Expires: expires, Listen: s.hub.address()})
}

func (s *service) agents() []AgentInfo {
	at := map[string]*live{}
	for _, l := range s.hub.everyone() {
		at[l.ID] = l
	}
	out := []AgentInfo{}
	for _, a := range s.hub.registry.all() {
		info := AgentInfo{ID: a.ID, Group: a.Group, Base: a.Base, Host: a.Host, Enrolled: a.Enrolled, Embedded: a.Embedded,
			Machine: a.Machine, Expires: a.Expires, Service: line.Version()}
		for _, j := range s.jobs {
			if (audience{a.Group, j.config.Base}).has(&live{enrolled: a}) && j.audience.group == a.Group {
				info.Directory = j.config.Name
			}
		}
		if l := at[a.ID]; l != nil {
			info.Live, info.Since, info.Version, info.Host = true, l.since.UTC(), l.version, l.Host
		}
		s.hub.describe(a, &info)
		out = append(out, info)
	}
	return out
}

// describe fills in what the hub knows of an agent.
func (h *hub) describe(a enrolled, info *AgentInfo) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r := h.record(a.ID)
	info.State, info.Answered, info.Latency, info.Trouble, info.Purposes = "away", r.answered.UTC(), r.latency.Milliseconds(), h.note(a), r.purposes
	if l := h.live[a.ID]; l != nil {
		info.State, info.Controller, info.Requests = "good", l.controller, l.load
		info.Machine = cmp.Or(l.machine, a.Machine)
		if r.misses > 0 {
			info.State = "failing"
		}
	}
	if r.answered.IsZero() {
		info.Answered = time.Time{}
	}
}

func (s *service) remove(ctx context.Context, b []byte, out chan<- []byte) error {
	args := RemoveArgs{}
	if err := arguments(b, &args); err != nil {
		return err
	}
	before := s.hub.registry.all()
	if err := s.hub.remove(args.ID); err != nil {
		return err
	}
	s.changed()
	answer := Removal{Removed: args.ID}
	if i := slices.IndexFunc(before, func(a enrolled) bool { return a.ID == args.ID }); i >= 0 {
		answer.Warning = s.shortage(before[i])
	}
	return send(ctx, out, answer)
}

// Removal is the answer to verb "remove".
type Removal struct {
	Removed string `json:"removed"`
	Warning string `json:"warning,omitempty"` // a directory has too few agents now
}

// shortage says which directories have too few agents without one that was removed; "" is none.
func (s *service) shortage(gone enrolled) string {
	var out []string
	for _, j := range s.jobs {
		left, _ := s.hub.attending(j.audience)
		switch n := len(left); {
		case !j.audience.has(&live{enrolled: gone}) || n >= j.minimum:
		case n == 0:
			out = append(out, fmt.Sprintf("that was the last agent of directory %s: nothing of it is read until another one attends", j.config.Name))
		default:
			out = append(out, fmt.Sprintf("directory %s is left with %d of the %d agents that it needs: no run begins until there are enough", j.config.Name, n, j.minimum))
		}
	}
	return strings.Join(out, "; ")
}
