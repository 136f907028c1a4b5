package provisioning

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/gate"
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/plugins/provision"
	"github.com/tandem-sync/tandem/scoping"
)

// limit is the longest time of one write, permit included.
const limit = gate.MaxDelivery + 15*time.Second

// carry hands one write to the engine, which asks for its permit when it is ready. It reports whether anything was written.
func (r *run) carry(ctx context.Context, f scoping.Feature, at controller, x decided, j *Judgement) (sent bool, err error) {
	w := *x.v.Write
	w.Controller, w.Invocation = at.url, at.invocation
	if err := w.Valid(); err != nil {
		j.Outcome, j.Code, j.Reason = engine.Failed, string(provision.Invalid), err.Error()
		return false, nil
	}
	d := gate.Delivery{ID: r.o.NewID(), Engine: r.engine, Object: scoping.ObjectID{Directory: x.s.a.Directory, GUID: w.Object}, Feature: f, Kind: x.c.Kind, Op: string(w.Op), CloudID: x.c.CloudID,
		Deadline: r.o.Clock.Now().Add(gate.MaxDelivery), Provisioned: &w}
	if _, no, why := r.o.Gate.Offer(ctx, d); no != gate.NotDenied {
		j.Outcome, j.Code, j.Reason = engine.Deferred, string(no), why
		return false, nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit)
	defer cancel()
	var denied, why string
	var lost error
	out, permitted, err := r.o.Engines.Deliver(ctx, r.engine, engine.Delivery{ID: d.ID, Feature: f, Object: d.Object, Op: engine.DeliveryOp(w.Op), Own: r.o.Own[d.Object.Directory], Provision: &w.Target},
		func(ctx context.Context) (engine.Permit, error) {
			remaining, no, because, err := r.o.Gate.Permit(ctx, d)
			if err != nil {
				lost = err
				return engine.Permit{}, err
			}
			if no != gate.NotDenied {
				denied, why = string(no), because
				return engine.Permit{Refused: denied}, nil
			}
			return engine.Permit{Remaining: remaining, Values: &w.Values}, nil
		})
	switch {
	case lost != nil:
		return false, fmt.Errorf("permit a write for %s: %w", x.s.id, lost)
	case !permitted:
		j.Outcome, j.Code, j.Reason = engine.Failed, cmp.Or(denied, out.Code, "failed"), strings.TrimSpace(cmp.Or(why, out.Reason)+" "+out.Diagnostic)
		if err != nil {
			j.Reason = err.Error()
		}
		if denied != "" {
			j.Outcome = engine.Deferred
		}
		return false, nil
	case err != nil:
		out = engine.DeliveryResult{Code: engine.DeliveryInDoubt, Reason: err.Error()}
	case !provision.Code(out.Code).Known():
		out = engine.DeliveryResult{Code: engine.DeliveryInDoubt, Reason: fmt.Sprintf("the engine says %q, which is no way to end", out.Code)}
	case out.Code == engine.DeliveryOK && w.Op == provision.Add && (out.Provision == nil || out.Provision.Object.IsZero()):
		out = engine.DeliveryResult{Code: engine.DeliveryInDoubt, Reason: "the engine does not say what was made"}
	}
	if err := r.o.Gate.Delivered(context.WithoutCancel(ctx), d, out); err != nil {
		return false, err
	}
	r.told(j, w, out)
	return out.Code == engine.DeliveryOK || again(out.Code), nil
}

// again reports whether a refused write is to be decided again at once: the controller showed something else than in the look before.
func again(code string) bool {
	c := provision.Code(code)
	return c == provision.TakenName || c == provision.Precondition
}

// told notes the result of a write.
func (r *run) told(j *Judgement, w ledger.Provisioned, out engine.DeliveryResult) {
	switch out.Code {
	case engine.DeliveryOK:
		j.Outcome, j.Code, j.Reason = engine.Applied, "", ""
		j.Made, j.Deleted = j.Made || w.Op == provision.Add, w.Op == provision.Delete
		if !j.Made || j.Op == "" {
			j.Op = string(w.Op)
		}
	case engine.DeliveryInDoubt:
		j.Outcome, j.Code, j.Reason = engine.InDoubt, out.Code, out.Reason
	default:
		j.Outcome, j.Code, j.Reason = engine.Failed, out.Code, strings.TrimSpace(out.Reason+" "+out.Diagnostic)
	}
}

// bin is what is held as one set.
type bin struct {
	assignment string
	class      ledger.Class
	kind       scoping.Kind
}

// asked is the content of a held set, and why it is held.
type asked struct {
	why     []string
	entries []ledger.HeldEntry
}

// hold adds writes to a held set.
func (r *run) hold(b bin, why string, entries ...ledger.HeldEntry) {
	x := r.asks[b]
	if x == nil {
		x = &asked{}
		r.asks[b] = x
	}
	if !slices.Contains(x.why, why) {
		x.why = append(x.why, why)
	}
	x.entries = append(x.entries, entries...)
}

// weigh returns which of the writes of a round may be made, and adds the others, and those that are always asked about, to held sets (rule D2, with
// the gate's thresholds).
func (r *run) weigh(a scoping.Assignment, f scoping.Feature, owed []decided) map[int]bool {
	free := map[int]bool{}
	var counted []gate.Departure
	for i, x := range owed {
		switch {
		case len(x.v.Holds) == 0:
			free[i] = true
		case x.v.Always != "":
			r.hold(bin{a.Name, x.v.Class, x.c.Kind}, x.v.Always, x.v.Holds...)
		default:
			counted = append(counted, gate.Departure{Proposal: engine.Proposal{Seq: uint64(i), Object: x.s.id, Kind: x.c.Kind, Feature: f, Name: x.v.Holds[0].Name},
				Verdict: gate.Verdict{Class: x.v.Class}, Grave: x.v.Holds[0].Grave, Assignment: a.Name})
		}
	}
	var linked map[scoping.Kind]int
	var history []ledger.Destroyed
	r.o.Gate.Read(func(led *ledger.State) { linked, history = led.Rows.Live(), slices.Clone(led.History) })
	auth := r.o.Gate.Authority()
	pass, held := gate.Weigh(r.o.Gate.Rules(), r.engine, auth.Epoch, r.o.Clock.Now().UnixMilli(), history, linked, counted)
	for _, d := range pass {
		free[int(d.Proposal.Seq)] = true
	}
	for _, h := range held {
		r.hold(bin{h.Assignment, h.Class, h.Kind}, h.Why, h.Entries...)
	}
	return free
}

// keepHeld records the held sets that differ from before.
func (r *run) keepHeld(ctx context.Context) error {
	auth, now, mine := r.o.Gate.Authority(), r.o.Clock.Now().UnixMilli(), r.assignments(r.engine)
	var rs []ledger.Record
	r.o.Gate.Read(func(led *ledger.State) {
		has := map[bin]bool{}
		for _, b := range slices.SortedFunc(maps.Keys(r.asks), func(x, y bin) int {
			return cmp.Or(cmp.Compare(x.assignment, y.assignment), cmp.Compare(x.class, y.class), cmp.Compare(x.kind, y.kind))
		}) {
			h := ledger.Hold{Engine: r.engine, Assignment: b.assignment, Class: b.class, Kind: b.kind, Why: strings.Join(r.asks[b].why, "; and "), At: now, Epoch: auth.Epoch, Entries: r.asks[b].entries, State: ledger.HoldOpen}
			h.Name()
			r.report.Held = append(r.report.Held, h)
			has[b] = true
			if old := led.Holds[h.ID]; old == nil || old.Over(now) { // an approval that was not used in time is asked for again
				rs = append(rs, r.holds(h))
			}
		}
		for _, a := range mine {
			for _, h := range led.SortedHolds() { // sets that are not asked about any more
				k := bin{h.Assignment, h.Class, h.Kind}
				if h.Assignment == a.Name && h.Engine == r.engine && h.State == ledger.HoldOpen && !has[k] && r.report.Complete {
					has[k] = true
					rs = append(rs, r.holds(ledger.Hold{Engine: r.engine, Assignment: h.Assignment, Class: h.Class, Kind: h.Kind, Why: "nothing of it is owed any more", At: now, Epoch: auth.Epoch, State: ledger.HoldOpen}))
				}
			}
		}
	})
	return r.o.Gate.Record(ctx, rs...)
}

func (r *run) holds(h ledger.Hold) ledger.Record {
	return ledger.Record{Type: ledger.HoldType, Engine: r.engine, Outcome: engine.Held, Code: string(h.Class), Reason: h.Why, Epoch: h.Epoch, Hold: &h}
}
