package api

import (
	"cmp"
	"context"

	"github.com/tandem-sync/tandem/orchestrator/gate"
	"github.com/tandem-sync/tandem/orchestrator/run"
	"github.com/tandem-sync/tandem/plugins/engine"
)

// The outcomes of a successful restore; others are answers of the gate.
const (
	ReturnedBack  = "restored"
	ReturnedThere = "there" // the tenant has it: nothing was to be done
)

// Returned is the result of bringing an object back from the tenant's deleted items.
type Returned struct {
	Object  string `json:"object"` // its DN
	CloudID string `json:"cloudId"`
	Engine  string `json:"engine"` // in whose name it was written
	Outcome string `json:"outcome"`
	Code    string `json:"code,omitempty"`
	Message string `json:"message,omitempty"` // why it did not come back
	Run     *Sync  `json:"run,omitempty"`
}

func restore(ctx context.Context, c *call, q RefRequest) (any, Outcome, error) {
	if q.Ref == "" {
		return nil, Outcome{}, Usage("restore needs an object")
	}
	r, err := c.h.o.Host().Restore(ctx, q.Ref, c.by)
	if err != nil {
		return nil, Outcome{}, err
	}
	out := Returned{Object: r.Name, CloudID: r.CloudID, Engine: r.Engine, Outcome: ReturnedThere}
	if r.There {
		return out, Outcome{}, nil
	}
	out.Run = ptr(c.ran(r.Report))
	return answeredRestore(out, r)
}

// answeredRestore returns the gate's answer about the object itself.
func answeredRestore(out Returned, r run.Restored) (any, Outcome, error) {
	switch r.Outcome {
	case engine.Applied:
		out.Outcome = ReturnedBack
		return out, Outcome{}, nil
	case engine.Unchanged: // it was restored by others meanwhile
		return out, Outcome{}, nil
	}
	out.Outcome, out.Code, out.Message = string(r.Outcome), string(r.Code), cmp.Or(r.Reason, r.Code.Sentence(), gate.Code(r.Outcome).Sentence())
	end := Outcome{Exit: ExitFailed, Message: "nothing was brought back: " + out.Message, Hint: "tandem object " + out.Object}
	switch r.Outcome {
	case engine.Held, engine.Deferred, engine.Parked, engine.Shadowed:
		end.Exit = ExitCheckpoint
	case engine.Released, engine.Refused, engine.Stale:
		end.Hint = "its owner changed meanwhile: say it again"
	}
	return out, end, nil
}
