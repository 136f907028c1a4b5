package run

import (
	"context"
	"errors"
	"fmt"

	"github.com/tandem-sync/tandem/orchestrator/gate"
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/problem"
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// Restored is the result of bringing an object back from the tenant's deleted items.
type Restored struct {
	Object  scoping.ObjectID
	Name    string
	Kind    scoping.Kind
	CloudID string
	Engine  string // the object's owner, in whose name it was written
	There   bool   // it was in the tenant already: nothing was written
	Outcome engine.Outcome
	Code    gate.Code
	Reason  string
	Report  Report // zero if there was no run
}

// Restore brings a directory object's tenant object back from the tenant's deleted items: the object's owner is asked what it wants, and the gate
// decides and writes as in every run. An object that exists already is no error, so that repeating it after a crash is safe. A reason not to restore
// that is known before the engine is asked is a problem.ErrNotBack.
func (r *Runner) Restore(ctx context.Context, ref, by string) (Restored, error) {
	if err := r.Prepare(ctx); err != nil {
		return Restored{}, err
	}
	out, back, err := r.returning(ctx, ref)
	if err != nil || out.There {
		return out, err
	}
	id := out.Object
	if err := r.o.Gate.Record(ctx, ledger.Record{Type: ledger.ControlType, Engine: out.Engine, Object: &id, Kind: out.Kind, Name: out.Name, Feature: scoping.Base(out.Kind), Op: "restore", By: by,
		Outcome: engine.Applied, Reason: "a person wants tenant object " + back.ID + " back from the deleted items"}); err != nil {
		return out, err
	}
	var said *gate.Judgement
	out.Report, err = r.settle(ctx, out.Engine, []scoping.ObjectID{id}, map[scoping.ObjectID]string{id: back.ID}, func(s *gate.Session) {
		if j, ok := s.Said(ledger.Key{Object: id, Feature: scoping.Base(out.Kind)}); ok {
			said = &j
		}
	})
	if err != nil {
		return out, err
	}
	out.Outcome = engine.Deferred
	out.Reason = "engine " + out.Engine + " did not say what it wants of the object"
	if said != nil {
		out.Outcome, out.Code, out.Reason = said.Outcome, said.Code, said.Reason
	}
	return out, nil
}

// returning resolves the object that a person named, its owner, and the deleted object of the tenant that would come back.
func (r *Runner) returning(ctx context.Context, ref string) (out Restored, back cloud.Object, err error) {
	id, err := r.o.View.Find(ctx, ref)
	if errors.Is(err, problem.ErrNotFound) {
		if of, ok := r.o.View.OfDeleted(ref); ok {
			id, err = of, nil
		}
	}
	if err != nil {
		return out, back, err
	}
	no := func(format string, args ...any) (Restored, cloud.Object, error) {
		return out, back, problem.About(ref, "%w: %s", problem.ErrNotBack, fmt.Sprintf(format, args...))
	}
	sight := r.o.Census.Sight(id)
	out = Restored{Object: id, Name: r.o.View.Name(id), Kind: sight.Kind}
	switch {
	case !sight.Known:
		return no("the directory shows no object %s", ref)
	case sight.Deleted:
		return no("%s is deleted in the directory: bring it back there, and its tenant object comes back with the next run", out.Name)
	case scoping.Base(sight.Kind) == "":
		return no("%s is a container or something else that is not synchronized", out.Name)
	case !cloud.Restore.Takes(sight.Kind):
		return no("the tenant keeps no deleted %ss: one that is deleted is gone, and its owner makes another one with the next run", sight.Kind)
	}
	if out.Engine = r.o.View.Owner(r.o.Gate.Authority(), id, sight.Kind); out.Engine == scoping.None || out.Engine == "" {
		return no("%s is unmanaged by the policy in force, so no engine would keep it right: give it to an engine first", out.Name)
	}
	var row *ledger.Row
	r.o.Gate.Read(func(s *ledger.State) {
		if x := s.Rows.Get(id); x != nil {
			c := *x
			row = &c
		}
	})
	if row != nil && row.Cloud != 0 {
		return no("%s was made of tenant object %s, which is its authority: restore that in the tenant", out.Name, row.CloudID)
	}
	back, there, why := r.o.View.Deleted(id, sight.Kind, sight.Anchor, row)
	if why != "" && r.o.Bin != nil { // the delta feed may omit an object that was made and deleted between two readings
		if err := r.o.Bin(ctx, cloud.Key{Kind: sight.Kind, ID: back.ID, Anchor: sight.Anchor}); err != nil {
			return out, back, err
		}
		back, there, why = r.o.View.Deleted(id, sight.Kind, sight.Anchor, row)
	}
	if out.CloudID = back.ID; why != "" {
		return no("%s: %s", out.Name, why)
	}
	out.There = there
	return out, back, nil
}
