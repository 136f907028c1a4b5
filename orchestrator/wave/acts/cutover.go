package acts

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/control"
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/run"
	"github.com/tandem-sync/tandem/orchestrator/standing"
	"github.com/tandem-sync/tandem/orchestrator/wave"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// actFreeze closes admission, or continues to wait for the requests in flight.
func (d *Driver) actFreeze(ctx context.Context, w wave.Wave) (wave.Evidence, error) {
	f, held := d.freezeOf(w.ID)
	if !held {
		f = freeze{Frozen: d.o.Gate.Freeze(w.Scopes(), wave.FreezeLimit), at: d.o.Clock.Now()}
		d.mu.Lock()
		d.frozen[w.ID] = f
		d.mu.Unlock()
	}
	for tries := 0; f.InFlight() > 0 && f.InForce() && tries < 50; tries++ {
		if err := d.o.Clock.Sleep(ctx, 20*time.Millisecond); err != nil {
			return wave.Evidence{}, err
		}
	}
	if !f.InForce() {
		d.thaw(w.ID)
		return wave.Evidence{Expired: true, Why: "the freeze reached its limit"}, nil
	}
	return wave.Evidence{OK: true, Drained: f.InFlight() == 0}, nil
}

// changedFor returns the linked objects of a wave's scopes, deleted ones left out, that its target would have to be asked for if it owned them: they
// changed since it judged them in shadow. Differences found then were judged by verify.
func (d *Driver) changedFor(w wave.Wave) (ids []scoping.ObjectID) {
	debts := d.o.View.OwedAs(w.To, w.Scopes())
	d.o.Gate.Read(func(s *ledger.State) {
		for k, x := range debts {
			judged := x.Code == standing.Differs || x.Code == standing.Died || x.Code == standing.Moved
			if engine.StreamOf(k.Feature) != engine.Objects {
				continue // passwords are not judged in shadow: the new owner reads them after the cutover
			}
			if x.To == standing.Owner && !judged && s.Rows.Get(k.Object) != nil && !d.o.Census.Sight(k.Object).Deleted {
				ids = append(ids, k.Object)
			}
		}
	})
	slices.SortFunc(ids, scoping.ObjectID.Compare)
	return slices.Compact(ids)
}

// actVerifyNew judges singly what changed since verify.
func (d *Driver) actVerifyNew(ctx context.Context, w wave.Wave) (wave.Evidence, error) {
	fail := func(why string) (wave.Evidence, error) {
		d.thaw(w.ID)
		return wave.Evidence{Expired: true, Why: why}, nil
	}
	if err := d.o.Look(ctx); err != nil {
		return fail("the directory could not be read: " + err.Error())
	}
	if err := d.placed(ctx); err != nil {
		return wave.Evidence{}, err
	}
	ids := d.changedFor(w)
	ev := wave.Evidence{OK: true}
	if len(ids) > 0 && w.To != scoping.None {
		var err error
		if ev, err = d.o.Plan.Judge(ctx, w, ids); err != nil {
			return ev, err
		}
		if !ev.OK {
			return fail(ev.Why) // waves do not wait inside a freeze
		}
	}
	if ev.Counts.Grave() > 0 {
		d.thaw(w.ID)
	}
	return ev, nil
}

// cut applies a wave's hand-overs to the partition in force, with their transfers, and returns the epoch.
func (d *Driver) cut(c *control.Content, w wave.Wave, back bool) (scoping.Epoch, error) {
	at := c.Next()
	p := c.Partition
	for _, x := range w.HandOvers {
		if back {
			x = x.Inverse()
		}
		next, err := p.Apply(d.repin(x), at)
		if back && errors.Is(err, scoping.ErrHandOver) {
			continue // administrators moved it in the directory to where others own it: the target has nothing to give back
		}
		if err != nil {
			return at, err
		}
		p = next
		adoptToo(c, x.From, x.To)
		t := scoping.Transfer{Scope: x.Scope, From: x.From, To: x.To, At: at}
		c.Append(ledger.Record{Type: ledger.TransferType, Wave: w.ID, Engine: x.To, Op: "transfer", Outcome: engine.Applied, Reason: "from " + x.From + " to " + x.To, Epoch: at, Transfer: &t})
	}
	c.Partition = p
	return at, nil
}

// repin returns a hand-over with the present places of its containers, whose owner may differ from when it was planned.
func (d *Driver) repin(x scoping.HandOver) scoping.HandOver {
	x.Pins = slices.Clone(x.Pins)
	for i, old := range x.Pins {
		if p, ok := d.o.View.Pin(scoping.ObjectID{Directory: x.Scope.Directory, GUID: old.GUID}); ok {
			x.Pins[i] = p
		}
	}
	return x
}

// actCutover flips the scopes in one transaction: partition, epoch, transfers and the wave's record, which enters catch-up.
func (d *Driver) actCutover(ctx context.Context, w wave.Wave) (wave.Evidence, error) {
	f, held := d.freezeOf(w.ID)
	defer d.thaw(w.ID)
	if !held {
		return wave.Evidence{Why: errFreezeLost.Error()}, nil
	}
	if !d.o.Without.CutsAtOnce() {
		return d.cutApart(ctx, w, d.o.Clock.Now().Sub(f.at))
	}
	millis := d.o.Clock.Now().Sub(f.at).Milliseconds()
	err := d.o.Control.Change(ctx, func(c *control.Content) error {
		if !f.Seal() {
			return errFreezeLost
		}
		cur := c.Waves[w.ID]
		if cur.Phase != wave.Cutover || cur.State != wave.Running {
			return fmt.Errorf("%w: wave %s is %s in phase %s", errNotNow, w.ID, cur.State, cur.Phase)
		}
		at, err := d.cut(c, cur, false)
		if err != nil {
			return err
		}
		cur.CutoverEpoch, cur.CutoverAt, cur.FreezeMillis, cur.Revision = at, d.o.Clock.Now().UnixMilli(), millis, c.Partition.Revision()
		c.Waves[w.ID] = wave.Enter(cur, wave.CatchUp, fmt.Sprintf("committed at epoch %s", at), d.o.Clock.Now())
		c.Append(ledger.Record{Type: ledger.WaveType, Wave: w.ID, Op: "cutover", Outcome: engine.Applied, Phase: string(wave.CatchUp), Epoch: at})
		return nil
	})
	if errors.Is(err, errNotNow) || errors.Is(err, errFreezeLost) || errors.Is(err, scoping.ErrHandOver) { // the latter: another wave took the scope meanwhile
		return wave.Evidence{Why: err.Error()}, nil
	}
	if err != nil {
		return wave.Evidence{}, err
	}
	return wave.Evidence{OK: true, Millis: millis}, d.o.Run.Grant(ctx)
}

var (
	errNotNow     = errors.New("not now")
	errFreezeLost = errors.New("the freeze was lost")
)

// actCatchUp lets the target evaluate what it owes since the cutover, and what changed.
func (d *Driver) actCatchUp(ctx context.Context, w wave.Wave) (wave.Evidence, error) {
	if w.To == scoping.None {
		return wave.Evidence{OK: true}, nil // a policy of none parks and lists; it never deletes (rule T4)
	}
	r, err := d.o.Run.SyncAll(ctx, w.To, run.SyncOptions{Wave: w.ID})
	if err != nil {
		return wave.Evidence{}, err
	}
	if !r.Complete {
		return wave.Evidence{Why: "the run of " + w.To + " was not complete: " + problems(r)}, nil
	}
	return wave.Evidence{OK: true, Unsettled: len(d.o.View.Unsettled(w.Scopes())), Why: problems(r), Held: r.HeldSets}, nil
}

func problems(r run.Report) string {
	var out []string
	for i, p := range r.Errors {
		if i == 3 {
			out = append(out, fmt.Sprintf("and %d more", len(r.Errors)-3))
			break
		}
		out = append(out, strings.TrimPrefix(p.Object+": ", ": ")+p.Code+": "+p.Message) // a problem without an object is about the run
	}
	return strings.Join(out, "; ")
}

// cutApart is a cutover in two transactions instead of one, which a simulation has to notice; it is called by nothing else.
func (d *Driver) cutApart(ctx context.Context, w wave.Wave, freeze time.Duration) (wave.Evidence, error) {
	var cutover wave.Wave
	err := d.o.Control.Change(ctx, func(c *control.Content) error {
		at, err := d.cut(c, c.Waves[w.ID], false)
		cutover = c.Waves[w.ID]
		cutover.CutoverEpoch, cutover.CutoverAt, cutover.FreezeMillis, cutover.Revision = at, d.o.Clock.Now().UnixMilli(), freeze.Milliseconds(), c.Partition.Revision()
		return err
	})
	if err != nil {
		return wave.Evidence{}, err
	}
	err = d.o.Control.Change(ctx, func(c *control.Content) error {
		c.Waves[w.ID] = wave.Enter(cutover, wave.CatchUp, "committed apart", d.o.Clock.Now())
		return nil
	})
	if err != nil {
		return wave.Evidence{}, err
	}
	return wave.Evidence{OK: true}, d.o.Run.Grant(ctx)
}

// adoptToo passes an unfinished first adoption on to the engine that takes over.
func adoptToo(c *control.Content, from, to string) {
	since, adopting := c.Head.Adopting[from]
	if _, already := c.Head.Adopting[to]; adopting && !already && to != scoping.None {
		c.Head.Adopting[to] = since
	}
}

// freezeOf returns the freeze of a wave, if this process has one.
func (d *Driver) freezeOf(id string) (freeze, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f, ok := d.frozen[id]
	return f, ok
}

// thaw ends a wave's freeze, if this process has one.
func (d *Driver) thaw(id string) {
	d.mu.Lock()
	f, ok := d.frozen[id]
	delete(d.frozen, id)
	d.mu.Unlock()
	if ok {
		f.Release()
	}
}
