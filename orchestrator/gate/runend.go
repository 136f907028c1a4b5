package gate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// End closes the session. With complete set, references that were missing are tried once more and what was parked is judged; an incomplete run
// deletes nothing, and what it parked stays owed (rule D2).
func (s *Session) End(ctx context.Context, complete bool) (Summary, error) {
	if complete && s.ceiling == engine.ModeOwn {
		if err := s.again(ctx); err != nil {
			return Summary{}, err
		}
		if err := s.depart(ctx); err != nil {
			return Summary{}, err
		}
	}
	if err := s.g.Record(ctx, s.untold()...); err != nil {
		return Summary{}, err
	}
	out := Summary{Held: s.held, said: s.said}
	for j := range out.All() {
		if j.Outcome == engine.Shadowed {
			out.Judgements = append(out.Judgements, j)
		}
	}
	for k, j := range s.unknown {
		if !s.Seen(k) {
			out.Unknown = append(out.Unknown, j)
		}
	}
	slices.SortFunc(out.Unknown, func(a, b Judgement) int { return a.Key.Compare(b.Key) })
	return out, nil
}

// again decides what waited for other objects of the same run.
func (s *Session) again(ctx context.Context) error {
	waiting := s.waiting
	s.waiting = nil
	for chunk := range slices.Chunk(waiting, engine.MaxBatch) {
		if _, err := s.Propose(ctx, chunk); err != nil {
			return err
		}
	}
	s.waiting = nil
	return nil
}

// depart judges what was parked together (rule D2): evidence, judgement, thresholds, and only then the writes.
func (s *Session) depart(ctx context.Context) error {
	parked, named := s.parked, s.named
	s.parked, s.named = nil, nil
	if len(parked) == 0 && len(named) < 2 { // a name exchange needs at least two
		return nil
	}
	evidence, err := s.evidence(ctx, parked)
	if err != nil {
		return err
	}
	items, departures := s.judge(slices.Concat(named, parked), evidence)
	free, held := s.weigh(departures)
	if err := s.hold(ctx, held); err != nil {
		return err
	}
	through := map[ledger.Key]map[string]bool{}
	for _, d := range free {
		k := ledger.Key{Object: d.Proposal.Object, Feature: d.Proposal.Feature}
		if through[k] == nil {
			through[k] = map[string]bool{}
		}
		through[k][d.Grave.Digest()] = true
	}
	for _, it := range items {
		if it.v.Class != ledger.Ordinary && (len(it.v.Writes) > 0 || it.v.Ask != "") {
			it.v = it.v.admitted(through[ledger.Key{Object: it.p.Object, Feature: it.p.Feature}])
		}
	}
	return s.inTurn(ctx, items)
}

// evidence lets the host read every object concerned, and the links of those whose references are to be removed; then the ends of these: a directory
// shows no links of deleted objects any more, so the tombstones have to be known (rule D3).
func (s *Session) evidence(ctx context.Context, ps []engine.Proposal) (map[ledger.Key]Evidence, error) {
	want := map[string][]scoping.ObjectID{}
	for _, p := range ps {
		want[referenceOf(p)] = append(want[referenceOf(p)], p.Object)
	}
	out := map[ledger.Key]Evidence{}
	for _, ref := range sortedKeys(want) {
		read, err := s.g.o.Census.Evidence(ctx, want[ref], ref)
		if err != nil && (ctx.Err() != nil || !errors.Is(err, ErrUnread)) {
			return nil, fmt.Errorf("reading the evidence for %d departures: %w", len(want[ref]), err)
		} // objects that could not be read have no evidence and stay owed; the others are judged
		for _, p := range ps {
			if referenceOf(p) == ref {
				out[ledger.Key{Object: p.Object, Feature: p.Feature}] = read[p.Object]
			}
		}
	}
	if ends := s.partings(ps); len(ends) > 0 {
		err := s.g.o.Census.Reread(ctx, ends)
		if err != nil && (ctx.Err() != nil || !errors.Is(err, ErrUnread)) {
			return nil, fmt.Errorf("reading %d ends of references that are to be removed: %w", len(ends), err)
		}
		for k, e := range out {
			e.LinksRead = e.LinksRead && err == nil
			out[k] = e
		}
	}
	return out, nil
}

// partings returns the ends of references that the tenant has and the proposals do not want, in order.
func (s *Session) partings(ps []engine.Proposal) (ends []scoping.ObjectID) {
	s.g.mu.Lock()
	defer s.g.mu.Unlock()
	for _, p := range ps {
		row := s.g.o.Ledger.Rows.Get(p.Object)
		if p.Feature != scoping.References || row == nil || row.CloudID == "" {
			continue
		}
		wanted := map[scoping.ObjectID]bool{}
		for _, r := range p.Refs {
			for _, id := range r.Targets {
				wanted[id] = true
			}
		}
		o, _ := s.g.o.Cache.Get(row.CloudID)
		for _, cloudID := range append(slices.Clone(o.Members), o.Manager) {
			if end, ours := s.g.o.Ledger.ByCloud(cloudID); ours && !wanted[end.Object] {
				ends = append(ends, end.Object)
			}
		}
	}
	slices.SortFunc(ends, scoping.ObjectID.Compare)
	return slices.Compact(ends)
}

func referenceOf(p engine.Proposal) string {
	switch {
	case p.Feature != scoping.References:
		return ""
	case p.Kind == scoping.Group:
		return cloud.Members
	}
	return cloud.Manager
}

func (s *Session) judge(ps []engine.Proposal, evidence map[ledger.Key]Evidence) ([]*item, []Departure) {
	s.g.mu.Lock()
	defer s.g.mu.Unlock()
	seen := map[ledger.Key]bool{}
	var js []*judged
	for _, p := range slices.Backward(ps) { // the newest proposal about an object counts
		k := ledger.Key{Object: p.Object, Feature: p.Feature}
		if seen[k] {
			continue
		}
		seen[k] = true
		p = s.trimmed(p)
		c := s.g.caseOf(s, p)
		proof := evidence[k]
		it := &item{p: p, v: Judge(c, p, proof), proof: &proof, known: true, place: PlaceOf(p.Object, c.Sight, c.Row), epoch: s.g.auth.Epoch}
		it.saw = c.saw(p, it.v)
		js = append(js, &judged{item: it, c: c, wakes: it.v.Outcome == engine.Failed && waitsForName(it.v), swap: retried(c, p, proof, it.v)})
	}
	var items []*item
	var out []Departure
	for _, j := range swaps(js, s.g.rules) {
		it := j.item
		items = append(items, it)
		if it.v.Class != ledger.Ordinary && (len(it.v.Writes) > 0 || it.v.Ask != "") {
			if n := s.refs[it.p.Object]; n > 0 && it.v.Ask == askJoin {
				it.v.Note = strings.TrimPrefix(it.v.Note+"; "+plural(n, "reference")+" of the directory follow", "; ")
			}
			out = append(out, s.g.departures(j.c, it)...)
		}
	}
	byKey := func(a, b *item) int {
		return cmp.Or(a.p.Object.Compare(b.p.Object), cmp.Compare(a.p.Feature, b.p.Feature))
	}
	slices.SortFunc(items, byKey)
	slices.SortStableFunc(out, func(a, b Departure) int { return a.Proposal.Object.Compare(b.Proposal.Object) })
	return items, out
}

// departures returns the grave parts of a judged item. g.mu is held.
func (g *Gate) departures(c Case, it *item) (out []Departure) {
	for i, x := range it.v.Graves {
		d := Departure{Proposal: it.p, Verdict: it.v, Grave: x, Place: it.place, Assignment: c.Standing.Assignment, Approved: it.v.approved(i),
			Unknown: it.p.Want == engine.Gone && !c.Standing.Recorded, Leaving: leaves(c)}
		if x.End != "" {
			d.EndName = g.nameOf(x.End)
		}
		out = append(out, d)
	}
	return out
}

// nameOf returns a cloud object's name for display. g.mu is held.
func (g *Gate) nameOf(id string) string {
	if row, ok := g.o.Ledger.ByCloud(id); ok && row.Name != "" {
		return row.Name
	}
	if o, ok := g.o.Cache.Get(id); ok {
		return o.Values.First(cloud.DisplayName)
	}
	return ""
}

func (s *Session) weigh(ds []Departure) ([]Departure, []ledger.Hold) {
	s.g.mu.Lock()
	defer s.g.mu.Unlock()
	if !s.g.o.Without.weighs() {
		return ds, nil
	}
	return Weigh(s.g.rules, s.engine, s.g.auth.Epoch, s.g.o.Clock.Now().UnixMilli(), s.g.o.Ledger.History, s.g.linkedCounts(), ds)
}

// linkedCounts returns the number of linked objects per kind, and of memberships of linked groups under "members". g.mu is held.
func (g *Gate) linkedCounts() map[scoping.Kind]int {
	n := map[scoping.Kind]int{}
	for _, r := range g.o.Ledger.Rows.All() {
		if r.State != ledger.Live {
			continue
		}
		n[r.Kind]++
		if r.Kind == scoping.Group {
			if o, ok := g.o.Cache.Get(r.CloudID); ok {
				n["members"] += len(o.Members)
			}
		}
	}
	return n
}

func (s *Session) hold(ctx context.Context, held []ledger.Hold) error {
	s.g.mu.Lock()
	defer s.g.mu.Unlock()
	var rs []ledger.Record
	for i := range held {
		h := held[i]
		if old := s.g.o.Ledger.Holds[h.ID]; old != nil && old.State == ledger.HoldOpen {
			h.At = old.At
		}
		s.held = append(s.held, h)
		rs = append(rs, ledger.Record{Type: ledger.HoldType, Engine: s.engine, Wave: s.o.Wave, Run: s.o.Run, Outcome: engine.Held, Code: string(h.Class), Reason: h.Why,
			Epoch: h.Epoch, Hold: &h})
	}
	return s.g.record(ctx, rs)
}
