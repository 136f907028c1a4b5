package host

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/control"
	"github.com/tandem-sync/tandem/orchestrator/gate"
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/problem"
	"github.com/tandem-sync/tandem/orchestrator/wave"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// executor is the live executor of waves.
type executor struct {
	h      *Host
	waited time.Duration // in pauses, by this command
}

var _ wave.Executor = (*executor)(nil)

// Now implements wave.Executor.
func (x *executor) Now() time.Time { return x.h.now() }

// Load implements wave.Executor.
func (x *executor) Load(ctx context.Context, id string) (wave.Wave, error) { return x.h.Wave(ctx, id) }

// Stopped implements wave.Executor. While a wave is stopped it does not soak.
func (x *executor) Stopped(_ context.Context, w wave.Wave) (string, error) {
	why := x.h.stopsOf(w)
	if why != "" {
		x.h.unsoak(w.ID)
		x.h.thaw(w.ID)
	}
	return why, nil
}

// Pause implements wave.Executor: a command waits inside only for short whiles, and not for many of them: what it waits for may never come.
func (x *executor) Pause(ctx context.Context, d time.Duration) (bool, error) {
	if x.waited += d; x.waited > x.h.o.Patience {
		return false, nil
	}
	return true, x.h.o.Clock.Sleep(ctx, d)
}

// Commit implements wave.Executor: the record, the authority that follows from it, and the log's entry, in one transaction.
func (x *executor) Commit(ctx context.Context, w wave.Wave) error {
	h := x.h
	var entered bool
	err := h.control.Change(ctx, func(c *control.Content) error {
		old := c.Waves[w.ID]
		if old.Decisions != w.Decisions {
			return wave.ErrDecided
		}
		if old.State == wave.Paused || old.State == wave.Aborted || (old.State.Over() && !w.State.Over()) {
			return nil // a person decided meanwhile
		}
		entered = old.Phase != w.Phase || old.State != w.State
		if w.Phase == wave.ShadowPhase && old.Phase != wave.ShadowPhase {
			w.ShadowEpoch = c.Next()
		}
		c.Waves[w.ID] = w
		if entered {
			c.Owe(ledger.Record{Type: ledger.WaveType, Wave: w.ID, Op: "phase", Outcome: engine.Applied, Phase: string(w.Phase), Code: string(w.State), Reason: w.Wait, Epoch: c.Head.Epoch})
		}
		return nil
	})
	if err != nil || !entered {
		return err
	}
	h.progress(Progress{Wave: w.ID, Phase: string(w.Phase), Note: w.Wait})
	return h.pushGrants(ctx)
}

// Do implements wave.Executor.
func (x *executor) Do(ctx context.Context, w wave.Wave, a wave.Act) (wave.Evidence, error) {
	h := x.h
	h.progress(Progress{Wave: w.ID, Phase: string(w.Phase), Note: string(a)})
	if a != wave.ActWatch {
		if err := h.mayAct(ctx); err != nil {
			return wave.Evidence{}, err
		}
	}
	switch a {
	case wave.ActCheck:
		return h.actCheck(ctx, w)
	case wave.ActBaseline:
		return h.actBaseline(ctx, w)
	case wave.ActShadowRun:
		if err := h.Prepare(ctx); err != nil {
			return wave.Evidence{}, err
		}
		return h.shadowRun(ctx, w, false)
	case wave.ActFreeze:
		return h.actFreeze(ctx, w)
	case wave.ActVerifyNew:
		return h.actVerifyNew(ctx, w)
	case wave.ActCutover:
		return h.actCutover(ctx, w)
	case wave.ActCatchUp:
		return h.actCatchUp(ctx, w)
	case wave.ActWatch:
		return h.actWatch(ctx, w)
	case wave.ActComplete:
		return h.actComplete(ctx, w)
	case wave.ActFlipBack:
		return h.actFlipBack(ctx, w)
	case wave.ActEvaluate:
		return h.actEvaluate(ctx, w)
	case wave.ActRestore:
		return h.actRestore(ctx, w)
	}
	return wave.Evidence{}, fmt.Errorf("unknown act %q", a)
}

// mayAct looks whether this host may write, and refuses while a state waits for its activation: no owner changes meanwhile.
func (h *Host) mayAct(ctx context.Context) error {
	if err := h.Recognize(ctx); err != nil {
		return err
	}
	if why := h.gate.Authority().ReadOnly; why != "" {
		return fmt.Errorf("%w: %s", problem.ErrCheckpoint, why)
	}
	return nil
}

func (h *Host) actCheck(ctx context.Context, w wave.Wave) (wave.Evidence, error) {
	if err := h.Prepare(ctx); err != nil {
		return wave.Evidence{}, err
	}
	fs, err := h.assess(ctx, w, nil, true)
	return wave.Evidence{OK: true, Findings: fs}, err
}

// baselineChunk is how many objects one record of a baseline holds.
const baselineChunk = 100

// actBaseline saves the tenant's state of the scope in the log.
func (h *Host) actBaseline(ctx context.Context, w wave.Wave) (wave.Evidence, error) {
	if err := h.placed(ctx); err != nil {
		return wave.Evidence{}, err
	}
	var all []ledger.BaselineEntry
	h.gate.Read(func(s *ledger.State) {
		for _, id := range s.Objects() {
			row := s.Rows.Get(id)
			if o, ok := h.Cloud(row); ok && h.Inside(w.Scopes(), row) {
				all = append(all, ledger.BaselineEntry{Object: id, Cloud: o})
			}
		}
	})
	var rs []ledger.Record
	for chunk := range slices.Chunk(all, baselineChunk) {
		rs = append(rs, ledger.Record{Type: ledger.BaselineType, Wave: w.ID, Op: "baseline", Baseline: chunk, Epoch: w.ShadowEpoch})
	}
	if err := h.gate.Record(ctx, rs...); err != nil {
		return wave.Evidence{}, err
	}
	return wave.Evidence{OK: true, Why: fmt.Sprintf("%d objects saved", len(all))}, nil
}

// actFreeze closes admission, or goes on waiting for the wire.
func (h *Host) actFreeze(ctx context.Context, w wave.Wave) (wave.Evidence, error) {
	h.mu.Lock()
	f := h.frozen[w.ID]
	h.mu.Unlock()
	if f == nil {
		f = h.gate.Freeze(w.Scopes(), wave.FreezeLimit)
		h.mu.Lock()
		h.frozen[w.ID], h.frozenAt[w.ID] = f, h.now()
		h.mu.Unlock()
	}
	for tries := 0; f.OnWire() > 0 && f.Holds() && tries < 50; tries++ {
		if err := h.o.Clock.Sleep(ctx, 20*time.Millisecond); err != nil {
			return wave.Evidence{}, err
		}
	}
	if !f.Holds() {
		h.thaw(w.ID)
		return wave.Evidence{Expired: true, Why: "the freeze reached its limit"}, nil
	}
	return wave.Evidence{OK: true, Drained: f.OnWire() == 0}, nil
}

// actVerifyNew judges singly what changed since verify: objects that are dirty and lie in the scope.
func (h *Host) actVerifyNew(ctx context.Context, w wave.Wave) (wave.Evidence, error) {
	fail := func(why string) (wave.Evidence, error) {
		h.thaw(w.ID)
		return wave.Evidence{Expired: true, Why: why}, nil
	}
	if err := h.prepareDirectory(ctx); err != nil {
		return fail("the directory could not be read: " + err.Error())
	}
	if err := h.placed(ctx); err != nil {
		return wave.Evidence{}, err
	}
	var ids []scoping.ObjectID
	h.gate.Read(func(s *ledger.State) {
		for _, k := range s.DirtyKeys() {
			d := s.Dirt[k.Object][k.Feature]
			if d.Seq <= w.VerifiedFrom || (d.Code == string(engine.Shadowed) && d.Seq <= w.VerifiedUpto) {
				continue // judged by verify
			}
			if row := s.Rows.Get(k.Object); row != nil && h.Inside(w.Scopes(), row) && !h.o.Census.Sight(k.Object).Gone {
				ids = append(ids, k.Object)
			}
		}
	})
	ev := wave.Evidence{OK: true}
	if ids = slices.Compact(ids); len(ids) > 0 && w.To != scoping.None {
		l := h.lock(w.To)
		if !l.TryLock() {
			return fail("engine " + w.To + " is running") // an engine has one run at a time, and nothing waits inside a freeze
		}
		defer l.Unlock()
		run := h.nextRun()
		s := h.gate.Begin(gate.SessionOptions{Engine: w.To, Run: run, Wave: w.ID, Ceiling: engine.ModeShadow, Silent: true})
		complete, err := h.askEngine(ctx, w.To, engine.RunRequest{Run: run, Profile: engine.ProfileObjects, Scopes: w.Scopes(), Objects: ids, Ceiling: engine.ModeShadow}, s, func(engine.RunReport) {})
		if err != nil || !complete {
			return fail("what changed since verify could not be judged")
		}
		sum, err := s.End(ctx, true)
		if err != nil {
			return ev, err
		}
		sum.Judgements = slices.DeleteFunc(h.chosenOnly(w.Scopes(), sum.Judgements), func(j gate.Judgement) bool { return j.Key.Feature == scoping.References })
		ev.Counts, ev.Differences = h.tally(sum, nil, nil)
	}
	if ev.Counts.Grave() > 0 {
		h.thaw(w.ID)
	}
	return ev, nil
}

// cut applies a wave's hand-overs to the partition in force, with their transfers, and says at which epoch.
func (h *Host) cut(c *control.Content, w wave.Wave, back bool) (scoping.Epoch, error) {
	at := c.Next()
	p := c.Partition
	for _, x := range w.HandOvers {
		if back {
			x = x.Inverse()
		}
		next, err := p.Apply(h.repin(x), at)
		if back && errors.Is(err, scoping.ErrHandOver) {
			continue // the directory's administrators moved it to where others own it: the target has nothing to give back
		}
		if err != nil {
			return at, err
		}
		p = next
		adoptToo(c, x.From, x.To)
		t := scoping.Transfer{Scope: x.Scope, From: x.From, To: x.To, At: at}
		c.Owe(ledger.Record{Type: ledger.TransferType, Wave: w.ID, Engine: x.To, Op: "transfer", Outcome: engine.Applied, Reason: "from " + x.From + " to " + x.To, Epoch: at, Transfer: &t})
	}
	c.Partition = p
	return at, nil
}

// repin lets a hand-over know where its containers lie now: who owns them by now is not who owned them when it was planned.
func (h *Host) repin(x scoping.HandOver) scoping.HandOver {
	x.Pins = slices.Clone(x.Pins)
	for i, old := range x.Pins {
		if p, ok := h.Pin(scoping.ObjectID{Directory: x.Scope.Directory, GUID: old.GUID}); ok {
			x.Pins[i] = p
		}
	}
	return x
}

// actCutover flips the scopes in one transaction: partition, epoch, transfers and the wave's record, which enters catch-up.
func (h *Host) actCutover(ctx context.Context, w wave.Wave) (wave.Evidence, error) {
	h.mu.Lock()
	f := h.frozen[w.ID]
	h.mu.Unlock()
	defer h.thaw(w.ID)
	if f == nil {
		return wave.Evidence{Why: errFreezeLost.Error()}, nil
	}
	if h.o.Without == gate.OneTransaction {
		return h.cutApart(ctx, w, h.freezeTime(w.ID))
	}
	millis := h.freezeTime(w.ID).Milliseconds()
	err := h.control.Change(ctx, func(c *control.Content) error {
		if !f.Seal() {
			return errFreezeLost
		}
		cur := c.Waves[w.ID]
		if cur.Phase != wave.Cutover || cur.State != wave.Running {
			return fmt.Errorf("%w: wave %s is %s in phase %s", errNotNow, w.ID, cur.State, cur.Phase)
		}
		at, err := h.cut(c, cur, false)
		if err != nil {
			return err
		}
		cur.CutoverEpoch, cur.CutoverAt, cur.FreezeMillis, cur.Revision = at, h.now().UnixMilli(), millis, c.Partition.Revision()
		c.Waves[w.ID] = wave.Enter(cur, wave.CatchUp, fmt.Sprintf("committed at epoch %s", at), h.now())
		c.Owe(ledger.Record{Type: ledger.WaveType, Wave: w.ID, Op: "cutover", Outcome: engine.Applied, Phase: string(wave.CatchUp), Epoch: at})
		return nil
	})
	if errors.Is(err, errNotNow) || errors.Is(err, errFreezeLost) || errors.Is(err, scoping.ErrHandOver) { // the latter: another wave took the scope meanwhile
		return wave.Evidence{Why: err.Error()}, nil
	}
	if err != nil {
		return wave.Evidence{}, err
	}
	return wave.Evidence{OK: true, Millis: millis}, h.pushGrants(ctx)
}

var (
	errNotNow     = errors.New("not now")
	errFreezeLost = errors.New("the freeze was lost")
)

// actCatchUp lets the target evaluate what is dirty and what changed.
func (h *Host) actCatchUp(ctx context.Context, w wave.Wave) (wave.Evidence, error) {
	if w.To == scoping.None {
		return wave.Evidence{OK: true}, nil // a policy of none parks and lists; it never deletes (rule T4)
	}
	if w.Rounds == 0 {
		keys, err := h.sinceVerify(ctx, w)
		if err != nil {
			return wave.Evidence{}, err
		}
		if err := h.soil(ctx, h.askedOf(w.To, append(keys, h.deadIn(w)...)), "cutover", "the target has a say in it since the cutover"); err != nil {
			return wave.Evidence{}, err
		}
	}
	r, err := h.Sync(ctx, w.To, SyncOptions{Profile: engine.ProfileDelta, Wave: w.ID})
	if err != nil {
		return wave.Evidence{}, err
	}
	if !r.Complete {
		return wave.Evidence{Why: "the run of " + w.To + " was not complete: " + problems(r)}, nil
	}
	n, _ := h.unsettled(w)
	return wave.Evidence{OK: true, Unsettled: n, Why: problems(r), Held: r.HeldSets}, nil
}

// sinceVerify gives what the target has to be asked for after its cutover: what it would have written since the run that verify judged, or could not
// be judged by; and what the source wrote since, which the target judged as it was before. The source was asked for the same objects meanwhile and
// found them as it wants them, so nothing else remembers (rule P2).
func (h *Host) sinceVerify(ctx context.Context, w wave.Wave) ([]ledger.Key, error) {
	var keys []ledger.Key
	err := h.o.Store.Log.Read(ctx, w.VerifiedFrom+1, func(_ uint64, b []byte) error {
		r, err := ledger.Decode(b)
		if err != nil || r.Object == nil {
			return err
		}
		judged := r.Type == ledger.DecisionType && r.Engine == w.To && !r.Outcome.Settles()
		written := r.Type == ledger.IntentType && r.Engine == w.From
		if judged || written {
			keys = append(keys, ledger.Key{Object: *r.Object, Feature: r.Feature})
		}
		return nil
	})
	return keys, err
}

// askedOf keeps the keys that an engine is to be asked for now.
func (h *Host) askedOf(name string, keys []ledger.Key) []ledger.Key {
	auth := h.gate.Authority()
	h.gate.Read(func(led *ledger.State) {
		keys = slices.DeleteFunc(keys, func(k ledger.Key) bool { return h.Addressee(led, auth, k) != name })
	})
	return keys
}

// deadIn gives the objects of a wave's scopes that are deleted in the directory and still in the tenant: nobody proposes them
// again, least of all those that died while no engine owned them (rules P2, P4).
func (h *Host) deadIn(w wave.Wave) []ledger.Key {
	var keys []ledger.Key
	h.gate.Read(func(led *ledger.State) {
		for _, id := range led.Objects() {
			row, sight := led.Rows.Get(id), h.o.Census.Sight(id)
			if (row.State == ledger.Live || row.State == ledger.ParkedRow) && sight.Known && sight.Gone && h.Inside(w.Scopes(), row) {
				keys = append(keys, ledger.Key{Object: id, Feature: scoping.Base(row.Kind)})
			}
		}
	})
	return keys
}

func problems(r SyncReport) string {
	var out []string
	for i, p := range r.Errors {
		if i == 3 {
			out = append(out, fmt.Sprintf("and %d more", len(r.Errors)-3))
			break
		}
		out = append(out, p.Object+": "+p.Code+": "+p.Message)
	}
	return strings.Join(out, "; ")
}

// unsettled counts the objects of a wave's scopes that are still dirty for its owner, those whose references wait for objects of other engines
// excepted.
func (h *Host) unsettled(w wave.Wave) (int, []scoping.ObjectID) {
	var ids []scoping.ObjectID
	h.gate.Read(func(s *ledger.State) {
		for _, k := range s.DirtyKeys() {
			d := s.Dirt[k.Object][k.Feature]
			row := s.Rows.Get(k.Object)
			if row != nil && h.Inside(w.Scopes(), row) && d.Code != string(engine.Partial) && d.Code != string(engine.Shadowed) {
				ids = append(ids, k.Object)
			}
		}
	})
	ids = slices.Compact(ids)
	return len(ids), ids
}

// actWatch looks at the target's health once; the time since the last look counts as soaked.
func (h *Host) actWatch(_ context.Context, w wave.Wave) (wave.Evidence, error) {
	now := h.now()
	h.mu.Lock()
	since, ok := h.soaking[w.ID]
	h.soaking[w.ID] = now
	h.mu.Unlock()
	r, ran := h.lastRun(w.To)
	ev := wave.Evidence{OK: true}
	if ok {
		ev.Elapsed = max(0, now.Sub(since))
	}
	if hl, running := h.o.Engines.Health(w.To); running && !hl.OK {
		ev.OK, ev.Why = false, "engine "+w.To+" says: "+hl.Message
	}
	if ran && (r.Failed > 0 || r.Held > 0) {
		ev.OK, ev.Why = false, fmt.Sprintf("the last run of %s left %d failed and %d held", w.To, r.Failed, r.Held)
	}
	return ev, nil
}

func (h *Host) actComplete(ctx context.Context, w wave.Wave) (wave.Evidence, error) {
	if err := h.Prepare(ctx); err != nil {
		return wave.Evidence{}, err
	}
	return wave.Evidence{OK: true, Unclaimed: h.unclaimedIn(w)}, nil
}

// unclaimedIn counts the objects of a wave that lie with the target and were never settled by it: their owner of record is another, or the
// object is in transit to it.
func (h *Host) unclaimedIn(w wave.Wave) int {
	n := 0
	auth := h.gate.Authority()
	h.gate.Read(func(s *ledger.State) {
		for _, id := range s.Objects() {
			row := s.Rows.Get(id)
			sight := h.o.Census.Sight(id)
			if row.State != ledger.Live || sight.Gone || !h.Inside(w.Scopes(), row) || h.Owner(auth, id, row.Kind) != w.To {
				continue
			}
			if record, ok := s.OwnerOfRecord(id, scoping.Base(row.Kind)); !ok || record != w.To {
				n++
			}
		}
	})
	return n
}

func sortWaves(ws []wave.Wave) {
	slices.SortFunc(ws, func(a, b wave.Wave) int {
		return cmp.Or(cmp.Compare(a.CreatedAt, b.CreatedAt), cmp.Compare(a.ID, b.ID))
	})
}
