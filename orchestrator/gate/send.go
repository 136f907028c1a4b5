package gate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
	"github.com/tandem-sync/tandem/state"
)

// maxRound is how many writes are admitted and sent together: no more than the tenant client sends at once, so that no attempt starts long after its
// admission (rule H3).
const maxRound = 160

// carryOut sends the writes of the items' verdicts, one write of each item after the other, and makes all decisions durable.
func (s *Session) carryOut(ctx context.Context, items []*item) error {
	for {
		round := nextRound(items)
		if len(round) == 0 {
			break
		}
		pause, err := s.attempt(ctx, round)
		if err != nil {
			return err
		}
		if pause > 0 {
			if err := s.g.o.Clock.Sleep(ctx, pause); err != nil {
				return fmt.Errorf("waiting for the throttled tenant: %w", err)
			}
		}
	}
	if err := s.conclude(ctx, items); err != nil {
		return err
	}
	return s.g.commitClaims(ctx)
}

// nextRound picks what is sent next: of each object one write, so that its writes stay in order and a doubt about one stops the next (rules X1, P6).
func nextRound(items []*item) []*item {
	var round []*item
	seen := map[scoping.ObjectID]bool{}
	for _, it := range items {
		if it.done || it.next >= len(it.v.Writes) || len(round) == maxRound || seen[it.p.Object] {
			continue
		}
		seen[it.p.Object] = true
		round = append(round, it)
	}
	return round
}

// conclude records the decisions.
func (s *Session) conclude(ctx context.Context, items []*item) error {
	s.g.mu.Lock()
	defer s.g.mu.Unlock()
	var rs []ledger.Record
	for _, it := range items {
		s.conclusion(it)
		it.before, it.said = s.Said(ledger.Key{Object: it.p.Object, Feature: it.p.Feature})
		s.judgement(it)
		if s.o.Restores != "" {
			it.v = quiet(it.v) // whatever the result, the owner's key stays as it is
		}
		if it.done && it.next > 0 && (it.v.Outcome == engine.Released || it.v.Outcome == engine.Refused) {
			it.v = answer(engine.Deferred, CodeHalfDone, it.v.Reason) // the object moved between two writes: the first one stands, and the owner has to be asked
		}
		if r, owed := s.decision(it); owed {
			rs = append(rs, r)
		}
	}
	if err := s.g.record(ctx, rs); err != nil {
		return err
	}
	for _, it := range items {
		if it.v.Outcome == engine.Unchanged || it.v.Outcome == engine.Applied {
			s.sawOff(it)
		}
		s.claim(it)
	}
	return nil
}

// attempt admits and sends the next write of each item once: intents durable, send, answers durable (rule X1). It returns how long to wait before the
// next round.
func (s *Session) attempt(ctx context.Context, round []*item) (time.Duration, error) {
	if err := s.g.entitle(ctx); err != nil {
		return 0, err
	}
	sent, writes, err := s.admit(ctx, round)
	if err != nil || len(sent) == 0 {
		return 0, err
	}
	results := s.g.o.Tenant.Send(ctx, writes)
	pause, conflicts, err := s.takeAnswers(ctx, sent, writes, results)
	if err != nil {
		return 0, err
	}
	if err := unreachable(sent, results); err != nil {
		return 0, err
	}
	return pause, s.decideAgain(ctx, conflicts)
}

// entitle makes sure that this host may write at all.
func (g *Gate) entitle(ctx context.Context) error {
	if g.o.Entitle == nil {
		return nil
	}
	return g.o.Entitle(ctx)
}

// ErrTenantDown means that no write can be sent any more: the run ends, and what it proposed stays owed.
var ErrTenantDown = errors.New("the tenant cannot be reached")

// unreachable returns an error if no request leaves the host any more: the run ends, instead of waiting for every write's time-out.
func unreachable(sent []*item, results []cloud.Result) error {
	for i, it := range sent {
		if results[i].Status != cloud.NotSent || !it.done {
			return nil
		}
	}
	return fmt.Errorf("%w: %s", ErrTenantDown, results[0].Message)
}

// admit checks, before this physical attempt, owner, epoch, freeze, stop and tenure of each write (invariant 1), makes the intents durable, and
// counts the requests as in flight.
func (s *Session) admit(ctx context.Context, round []*item) (sent []*item, writes []cloud.Write, err error) {
	g := s.g
	g.mu.Lock()
	defer g.mu.Unlock()
	var rs []ledger.Record
	for _, it := range round {
		if v, refused := s.barred(it); refused {
			it.v, it.done = v, true
			continue
		}
		w := it.v.Writes[it.next]
		if w.CloudID == "" {
			w.CloudID = it.cloudID
		}
		if err := w.Valid(); err != nil { // before the intent: a write that cannot be sent would be in doubt after a crash
			it.fail(engine.Failed, cloud.CodeImpossible, cloud.Result{Message: fmt.Sprintf("%s of %s: %v", w.Op, it.p.Name, err)})
			continue
		}
		it.epoch = g.auth.Epoch // entitled now
		s.placeHere(it)
		w.ID = g.o.NewID()
		rs = append(rs, s.intent(it, w))
		sent, writes = append(sent, it), append(writes, w)
	}
	if err := g.record(ctx, rs); err != nil {
		return nil, nil, err
	}
	for i, it := range sent {
		writes[i] = it.withCredential(writes[i], g.o.Ledger.Seq-uint64(len(sent)-1-i))
		g.flying[writes[i].ID] = flight{object: it.p.Object, place: it.place, kind: it.p.Kind, feature: it.p.Feature}
	}
	return sent, writes, nil
}

// placeHere sets the place in an item's claim to where the object is by now, if its engine owns it there too: it may have moved while the item
// waited, and transfers go by the recorded place (rule L1). g.mu is held.
func (s *Session) placeHere(it *item) {
	sight := s.g.o.Census.Sight(it.p.Object)
	if it.v.Claim == nil || it.p.Want != engine.Present || !sight.Known || sight.Deleted {
		return
	}
	if s.g.auth.Owner(sight.Place(it.p.Object.Directory), it.p.Kind, it.p.Feature).Engine != s.engine {
		return
	}
	here := *it.v.Claim
	here.Place, here.Chain, here.Chosen = sight.Parent, sight.Chain, sight.Chosen
	it.v.Claim = &here
}

func (s *Session) intent(it *item, w cloud.Write) ledger.Record {
	in := ledger.Intent{Write: w, Final: it.next == len(it.v.Writes)-1 && (it.v.Closed || it.p.Want != engine.Present) && len(it.parts) == 0}
	in.Class, in.Grave, in.Approved = it.v.of(it.next)
	if !it.paired { // once for all writes of an item that are done: in a large group the pair covers all members
		if pair, ok := pairOf(it.v); ok {
			pair.Fresh = s.o.Asked
			in.Pair = &pair
		}
	}
	if it.v.Claim != nil {
		in.Claim = *it.v.Claim
	}
	if w.Op == cloud.Restore {
		in.Claim.State = ledger.Live
	}
	in.Assignment = s.g.auth.Owner(it.place, it.p.Kind, it.p.Feature).Assignment
	return ledger.Record{Type: ledger.IntentType, Engine: s.engine, Wave: s.o.Wave, Run: s.o.Run, Object: &it.p.Object, Kind: it.p.Kind, Name: it.p.Name,
		Feature: it.p.Feature, Op: string(w.Op), Before: it.v.Before, After: w.Set, Epoch: s.epochFor(it), Intent: &in}
}

// barred reports whether a write may not be sent now; the verdict is its answer. g.mu is held.
func (s *Session) barred(it *item) (Verdict, bool) {
	g := s.g
	sight := g.o.Census.Sight(it.p.Object)
	row := g.o.Ledger.Rows.Get(it.p.Object)
	st := g.standing(s, it.p, sight, row)
	owner := st.Owner
	if !g.o.Without.ownsTombstones() && it.p.Want == engine.Gone {
		owner = s.engine
	} else if it.p.Want == engine.Gone && st.Recorded && st.Record != scoping.None {
		owner = st.Record
	}
	switch {
	case s.ceiling != engine.ModeOwn:
		return answer(engine.Shadowed, CodeCeiling, "the run was only to be judged"), true
	case st.Stopped != "":
		return answer(engine.Deferred, CodeStopped, st.Stopped), true
	case st.Frozen:
		return answer(engine.Deferred, CodeFrozen, "the scope changes hands"), true
	case it.p.Feature != scoping.Base(it.p.Kind) && row != nil && row.State == ledger.DeletedByTandem: // deleted in this session, with its links
		return answer(engine.Unchanged, CodeNotLinked, ""), true
	case !g.o.Without.checksAttempts(), st.Farewell && owner == scoping.None:
	case st.Farewell && it.p.Want != engine.Gone: // last values are not meant for an object that is owned again
		return answer(engine.Deferred, CodePlace, "it came back while it was seen off"), true
	case owner != s.engine:
		return rejectNonOwner(engine.Released, CodeMoved, "the object belongs to "+owner+" now"), true
	case st.Owner == s.engine && st.Granted.Compare(st.Epoch) < 0:
		return answer(engine.Stale, CodeEpoch, fmt.Sprintf("read under grant %s, which changed at %s", st.Granted, st.Epoch)), true
	}
	if it.p.Want == engine.Gone && sight.Known && !sight.Deleted && g.o.Without.provesDeletes() {
		return answer(engine.Deferred, CodeNotGone, "the object came back while its delete waited"), true // the evidence is older than this
	}
	if it.p.Want == engine.Present && sight.Deleted && !st.Farewell { // [an update was throttled, its object moved to another engine's and was deleted: the next attempt went out]
		v := answer(engine.Deferred, CodeGone, "the object was deleted while its write waited")
		v.NeedSight = true
		return v, true
	}
	if o, ok := g.o.Ledger.Pending(it.p.Object); ok {
		code, out := CodeInFlight, engine.Deferred
		if o.Doubt {
			code, out = CodeInDoubt, engine.InDoubt
		}
		return answer(out, code, "an earlier write to this object has no answer yet"), true
	}
	if row != nil && it.v.Writes[it.next].Op == cloud.Delete && max(row.Quiet[ledger.QuietDelete], row.Quiet[it.p.Feature]) > g.steady() {
		return answer(engine.Deferred, CodeQuiet, "an earlier request about this object may still arrive"), true
	}
	if it.v.Writes[it.next].Op == cloud.SetPassword {
		if v, bad := outdated(row, it.p); bad && g.o.Without.ordersPasswords() { // another engine's newer one was written meanwhile
			return v, true
		}
	}
	if left := g.o.Tenure(); left < g.o.RequestTime {
		return answer(engine.Deferred, CodeTenure, fmt.Sprintf("only %s of the right to write are left", left)), true
	}
	return Verdict{}, false
}

// takeAnswers makes the tenant's answers durable and works out what follows for each item.
func (s *Session) takeAnswers(ctx context.Context, sent []*item, writes []cloud.Write, results []cloud.Result) (pause time.Duration, conflicts []*item, err error) {
	g := s.g
	g.mu.Lock()
	defer g.mu.Unlock()
	rs := make([]ledger.Record, len(sent))
	for i, it := range sent {
		delete(g.flying, writes[i].ID)
		r := results[i]
		st := ledger.Settlement{Intent: writes[i].ID, Result: r}
		if r.Status == cloud.InDoubt {
			st.Until = g.after(g.o.GhostLife)
		}
		if g.o.Without.lays() {
			g.o.Cache.Settled(writes[i], r, g.steadyTime())
		}
		rs[i] = ledger.Record{Type: ledger.SettleType, Engine: s.engine, Wave: s.o.Wave, Run: s.o.Run, Object: &it.p.Object, Kind: it.p.Kind, Name: it.p.Name,
			Feature: it.p.Feature, Op: string(writes[i].Op), Epoch: s.epochFor(it), Settle: &st}
		if p := s.follow(it, r); p > pause {
			pause = p
		}
		if it.again && !it.redone {
			conflicts = append(conflicts, it)
		}
	}
	return pause, conflicts, g.record(state.WithReserve(ctx), rs) // what was sent has to be answered in the log, even on a full disk
}

// follow advances an item after an answer, and returns how long to wait before its next attempt. g.mu is held.
func (s *Session) follow(it *item, r cloud.Result) time.Duration {
	it.tries++
	switch r.Status {
	case cloud.Done:
		if r.CloudID != "" {
			it.cloudID = r.CloudID
		}
		w := it.v.Writes[it.next]
		it.paired = true
		it.links, it.parted = it.links.Plus(linksOf(w)), append(it.parted, partedBy(w, it.v.Before)...)
		it.next++
		it.tries = 0
		if it.next == len(it.v.Writes) {
			s.sawOff(it)
		}
		return 0
	case cloud.Throttled, cloud.NotSent:
		if it.tries < maxAttempts {
			return min(max(r.RetryAfter, time.Second<<(it.tries-1)/2), maxPause)
		}
		it.fail(engine.Failed, Code(r.Status.String()), r)
	case cloud.InDoubt:
		it.fail(engine.InDoubt, CodeInDoubt, r)
	default:
		it.tries = 0
		s.rejected(it, r)
	}
	return 0
}

func (it *item) fail(o engine.Outcome, code Code, r cloud.Result) {
	it.done = true
	old := it.v
	it.v = answer(o, code, reasonOf(r))
	it.v.Op, it.v.Before, it.v.After, it.v.Waiting, it.v.Claim, it.v.Writes = old.Op, old.Before, old.After, old.Waiting, old.Claim, old.Writes
}

// decideAgain reads the object that a create or a new member ran into, and decides those items once more: a conflict on the anchor means that the
// object exists (rule J3).
func (s *Session) decideAgain(ctx context.Context, items []*item) error {
	if len(items) == 0 {
		return nil
	}
	for _, it := range items {
		it.redone, it.again = true, false
		if err := s.g.look(ctx, s.g.keysFor(it)); err != nil {
			return err
		}
	}
	fresh, err := s.anew(ctx, items)
	if err != nil {
		return err
	}
	for i, it := range items {
		if sameWrites(fresh[i].v, it.v) || it.proof != nil && fresh[i].v.Class != ledger.Ordinary {
			it.done = it.v.Outcome == engine.Failed // the same write would be refused again, and a graver one was not weighed
			continue
		}
		it.v, it.next, it.tries, it.done, it.cloudID = fresh[i].v, 0, 0, false, ""
		it.saw = fresh[i].saw
		it.parts = slices.DeleteFunc(it.parts, func(p ledger.Part) bool { return p.What == "" })
	}
	return nil
}

// anew decides items once more, each in the way that it was decided before: an item judged by its evidence is judged, not parked again.
func (s *Session) anew(ctx context.Context, items []*item) ([]*item, error) {
	fresh := make([]*item, len(items))
	var ps []engine.Proposal
	var at []int
	for i, it := range items {
		if it.proof == nil {
			ps, at = append(ps, it.p), append(at, i)
			continue
		}
		s.g.mu.Lock()
		c := s.g.caseOf(s, it.p)
		fresh[i] = &item{p: it.p, v: Judge(c, it.p, *it.proof)}
		fresh[i].saw = c.saw(it.p, fresh[i].v)
		s.g.mu.Unlock()
	}
	decided, err := s.decide(ctx, ps)
	for n, i := range at {
		if err == nil {
			fresh[i] = decided[n]
		}
	}
	return fresh, err
}

// sameWrites reports whether two verdicts would send the same requests.
func sameWrites(a, b Verdict) bool {
	return slices.EqualFunc(a.Writes, b.Writes, func(x, y cloud.Write) bool {
		return x.Op == y.Op && x.CloudID == y.CloudID && cloud.Equal(x.Set, y.Set) && slices.Equal(x.Refs, y.Refs)
	})
}

// keysFor returns what to read after a conflict.
func (g *Gate) keysFor(it *item) []cloud.Key {
	g.mu.Lock()
	defer g.mu.Unlock()
	if row := g.o.Ledger.Rows.Get(it.p.Object); row != nil && row.CloudID != "" {
		return []cloud.Key{{Kind: it.p.Kind, ID: row.CloudID}}
	}
	a := g.o.Census.Sight(it.p.Object).Anchor
	return anchorKeys(it.p.Kind, a)
}
