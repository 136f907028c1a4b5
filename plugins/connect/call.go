package connect

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
	"github.com/tandem-sync/tandem/state"
)

// Call answers the engine's verbs, with JSON:
//
//	trace {"object":"directory/guid"}  one line per step: import, scope, join, transform, proposal
//	rules                              the rule sets
//	save                               what a backup holds of the engine
//	load  (what save gave)             takes a backup back; the next run reads everything
func (e *Engine) Call(ctx context.Context, verb string, args []byte, out chan<- []byte) error {
	switch verb {
	case "trace":
		return e.trace(ctx, args, out)
	case "rules":
		return send(ctx, out, map[string][]Rule{"inbound": Inbound, "outbound": Outbound})
	case "save":
		return send(ctx, out, backup{Version: backupVersion})
	case "load":
		return e.load(ctx, args)
	}
	return fmt.Errorf("verb %q: %w (it knows trace, rules, save and load)", verb, engine.ErrUnsupported)
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

func strict(b []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	return d.Decode(v)
}

// backup is what save gives: nothing but its version, since connector spaces are read anew from the directories.
type backup struct {
	Version int `json:"version"`
}

const backupVersion = 1

// load forgets every connector space, so that the next run reads everything and owes everything.
func (e *Engine) load(ctx context.Context, args []byte) error {
	var b backup
	if err := strict(args, &b); err != nil || b.Version != backupVersion {
		return fmt.Errorf("load: not a backup of this engine of version %d", backupVersion)
	}
	if err := e.acquire(ctx); err != nil {
		return err
	}
	defer e.release()
	if e.store == nil {
		return errUnconfigured
	}
	e.mu.Lock()
	directories := e.config.Directories
	e.mu.Unlock()
	for _, d := range directories {
		if err := e.forget(ctx, d.Name); err != nil {
			return fmt.Errorf("load: forget the connector space of %s: %w", d.Name, err)
		}
	}
	return nil
}

// trace tells step by step what the engine makes of an object as its connector space holds it.
func (e *Engine) trace(ctx context.Context, args []byte, out chan<- []byte) error {
	var asked struct {
		Object scoping.ObjectID `json:"object"`
	}
	if err := strict(args, &asked); err != nil {
		return fmt.Errorf(`trace: want {"object":"directory/guid"}: %w`, err)
	}
	if err := e.acquire(ctx); err != nil {
		return err
	}
	defer e.release()
	if e.store == nil {
		return errUnconfigured
	}
	var steps []step
	err := e.store.View(ctx, func(tx state.Tx) (err error) {
		steps, err = traceSteps(space{asked.Object.Directory, tx}, asked.Object.GUID)
		return err
	})
	if err != nil {
		return fmt.Errorf("trace %s: %w", asked.Object, err)
	}
	for _, s := range steps {
		if err := send(ctx, out, s); err != nil {
			return err
		}
	}
	return nil
}

func traceSteps(s space, g scoping.GUID) ([]step, error) {
	rec, there, err := s.get(g)
	if err != nil {
		return nil, err
	}
	if !there {
		return nil, fmt.Errorf("the connector space of %s does not hold it: %w", s.directory, directory.ErrNoSuchObject)
	}
	w, err := s.watermark()
	if err != nil {
		return nil, err
	}
	m, owed, err := s.pending(g)
	if err != nil {
		return nil, err
	}
	place, known, err := newTree(w.Root).up(s, parentOf(rec.entry))
	if err != nil {
		return nil, err
	}
	e := rec.entry
	steps := []step{{"import", map[string]any{"dn": e.DN, "kind": e.Kind(), "deleted": e.Deleted, "ancestors": place,
		"placeKnown": known, "pending": owed, "pendingBits": m.bits, "attributes": texts(e.Attrs)}}}
	if e.Deleted {
		return append(steps, step{"proposal", map[string]any{"want": "gone"}}), nil
	}
	result := Evaluate(e, w.Domain)
	steps = append(steps, step{"scope", map[string]any{"excluded": result.Excluded}})
	joined, err := s.joined(result.Anchor)
	if err != nil {
		return nil, err
	}
	if result.Anchor == "" {
		joined = nil
	}
	steps = append(steps, step{"join", map[string]any{"anchor": result.Anchor, "joined": joined, "ambiguous": len(joined) > 1}},
		step{"transform", map[string]any{"metaverse": result.Metaverse}})
	detail := map[string]any{"want": "present", "desired": result.Desired}
	if result.Excluded != "" {
		detail = map[string]any{"want": "excluded", "reason": result.Excluded}
	}
	return append(steps, step{"proposal", detail}), nil
}
