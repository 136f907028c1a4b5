package cloudsync

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/tandem-sync/tandem/plugins/cloudsync/line"
	"github.com/tandem-sync/tandem/plugins/cloudsync/line/linepb"
	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/plugins/expression"
	"github.com/tandem-sync/tandem/scoping"
)

// TraceArgs are the arguments of verb "trace".
type TraceArgs struct {
	Object    string `json:"object"`              // "directory/guid", or a DN
	Directory string `json:"directory,omitempty"` // for a DN, when there are several directories
}

// Step is one line of a trace.
type Step struct {
	Step   string         `json:"step"`
	Detail map[string]any `json:"detail"`
}

// trace shows what the engine makes of one object, step by step. It proposes nothing, and keeps nothing of what it read.
func (e *Engine) trace(ctx context.Context, b []byte, out chan<- []byte) error {
	args := TraceArgs{}
	if err := arguments(b, &args); err != nil {
		return err
	}
	if err := e.acquire(ctx); err != nil {
		return err
	}
	defer e.release()
	s := e.current()
	if s == nil {
		return errUnconfigured
	}
	j, read, err := s.traced(args)
	if err != nil {
		return err
	}
	e.mu.Lock()
	grants := slices.DeleteFunc(slices.Clone(e.grants), func(g engine.Grant) bool { return g.Mode == engine.ModeNone })
	e.mu.Unlock()
	t := &tracer{job: j, regions: regions{directory: j.config.Name, grants: grants}, say: func(step string, detail map[string]any) error {
		return send(ctx, out, Step{Step: step, Detail: detail})
	}}
	return t.trace(ctx, read)
}

// traced finds the job, and how the object is asked for.
func (s *service) traced(args TraceArgs) (*job, *linepb.Request, error) {
	if id, err := scoping.ParseObjectID(args.Object); err == nil {
		j := s.job(id.Directory)
		if j == nil {
			return nil, nil, fmt.Errorf("trace %s: directory %q is not configured", args.Object, id.Directory)
		}
		return j, &linepb.Request{Is: &linepb.Request_Objects{Objects: &linepb.Objects{Guids: line.Pack([]scoping.GUID{id.GUID})}}}, nil
	}
	name := args.Directory
	if name == "" && len(s.jobs) == 1 {
		name = s.jobs[0].config.Name
	}
	j := s.job(name)
	if j == nil || args.Object == "" {
		return nil, nil, fmt.Errorf("trace %q: name an object as directory/guid or by DN, and with several directories which one", args.Object)
	}
	return j, &linepb.Request{Is: &linepb.Request_Resolve{Resolve: &linepb.Resolve{Reference: args.Object}}}, nil
}

type tracer struct {
	*job
	regions regions
	say     func(step string, detail map[string]any) error
}

func (t *tracer) trace(ctx context.Context, request *linepb.Request) error {
	var start *linepb.Start
	var found *directory.Entry
	request.Attributes = t.schema.attributes(nil)
	_, err := t.hub.ask(ctx, t.config.Name, t.audience, reading{request: request,
		begin: func(s *linepb.Start) error { start, found = s, nil; return nil },
		entry: func(e directory.Entry) error { found = &e; return nil }})
	if err != nil {
		return err
	}
	dc := scoping.GUID(start.Invocation)
	if err := t.say("agent", map[string]any{"controller": start.Controller, "invocation": dc.String(), "usn": start.Usn}); err != nil {
		return err
	}
	if found == nil {
		return t.say("import", map[string]any{"found": false, "because": "the directory shows neither the object nor a tombstone of it"})
	}
	e := *found
	if err := t.say("import", map[string]any{"found": true, "dn": e.DN, "guid": e.GUID.String(), "kind": e.Kind(), "deleted": e.Deleted,
		"version": e.Version, "attributes": texts(e.Attrs)}); err != nil {
		return err
	}
	return t.decide(e)
}

func (t *tracer) decide(e directory.Entry) error {
	kind, parent := e.Kind(), e.Parent
	_, pending := t.memory.pending[e.GUID]
	n, known := t.memory.tree.nodes[e.GUID]
	if e.Deleted && known {
		parent = n.Parent
	} else if e.Deleted {
		parent = e.LastParent
	}
	up, missing := t.memory.tree.ancestors(parent)
	g := t.regions.grantFor(kind, scoping.Base(kind), up)
	scope := map[string]any{"parent": parent.String(), "granted": g.ID != 0, "claimed": n.Claimed, "pending": pending}
	if g.ID != 0 {
		scope["grant"], scope["epoch"], scope["mode"] = g.ID, g.Epoch.String(), map[engine.Mode]string{engine.ModeShadow: "shadow", engine.ModeOwn: "own"}[g.Mode]
	}
	if !missing.IsZero() {
		scope["because"] = "a container above the object is not known yet: run the engine once"
	}
	if err := t.say("scope", scope); err != nil {
		return err
	}
	switch {
	case t.schema[kind] == nil:
		return t.say("proposal", map[string]any{"want": "none", "because": fmt.Sprintf("this engine does not synchronize a %s", kind)})
	case e.Deleted:
		return t.say("proposal", map[string]any{"want": "gone"})
	}
	return t.mapped(e)
}

func (t *tracer) mapped(e directory.Entry) error {
	reason := exclusion(e)
	if err := t.say("exclusion", map[string]any{"excluded": reason != "", "reason": reason}); err != nil {
		return err
	}
	if reason != "" {
		return t.say("proposal", map[string]any{"want": "excluded", "reason": reason})
	}
	domain := expression.Domain(t.config.Base)
	for _, m := range t.schema[e.Kind()] {
		if err := t.say("mapping", map[string]any{"target": m.Target, "type": m.Type, "source": m.Source, "function": m.Function,
			"value": m.value(e, domain)}); err != nil {
			return err
		}
	}
	values, reason := t.schema.desired(e, domain)
	if reason != "" {
		return t.say("proposal", map[string]any{"want": "excluded", "reason": reason})
	}
	for name, refs := range references(t.config.Name, e) {
		if err := t.say("references", map[string]any{"name": name, "targets": refs.Targets}); err != nil {
			return err
		}
	}
	desired := map[string][]string{}
	for name, v := range values {
		desired[name] = v.Text
	}
	return t.say("proposal", map[string]any{"want": "present", "desired": desired})
}

func texts(attrs map[string][][]byte) map[string][]string {
	out := make(map[string][]string, len(attrs))
	for _, name := range slices.Sorted(maps.Keys(attrs)) {
		for _, v := range attrs[name] {
			s := strconv.Quote(string(v))
			if len(s) == len(v)+2 {
				s = string(v)
			}
			out[name] = append(out[name], s)
		}
	}
	return out
}
