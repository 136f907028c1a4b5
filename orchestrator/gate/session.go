package gate

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"iter"
	"slices"

	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// SessionOptions are the engine and the rules of a session.
type SessionOptions struct {
	Engine   string
	Stream   engine.Stream // the kind of features that the engine proposes
	Run      uint64
	Wave     string
	Ceiling  engine.Mode                 // ModeShadow: everything is only judged
	Silent   bool                        // no record is written (plan, diff); only with ModeShadow
	Manages  bool                        // judgements name the attributes that the engine manages
	Asked    bool                        // a person asked: pauses after refusals do not count
	Farewell map[scoping.ObjectID]bool   // objects whose last values their former owner may write (T2)
	Returns  map[scoping.ObjectID]string // objects that a person wants back, with the deleted object of the tenant for each
	Restores string                      // the wave whose values are taken back: thresholds do not count these writes, and the engine's own keys stay as they are
	Managed  *Managed                    // in place of the managed attributes of the policy in force, for plans; only with Silent
	Progress func(done int)
}

// Judgement is a session's last answer about one object and feature, for reports.
type Judgement struct {
	Key     ledger.Key
	Kind    scoping.Kind
	Name    string
	Want    engine.Want
	Outcome engine.Outcome
	Code    Code
	Reason  string
	Op      string       // the operation that would be or was carried out; "" for none
	Before  cloud.Values // Before and After are only set for judgements in shadow
	After   cloud.Values
	Links   Links    // those written, or that would be
	Parted  []string // ends of references that were removed: cloud ids
	Foreign []string // references in the tenant that Tandem did not write and that stay (rule D3): cloud ids
	Manages []string // the attributes that the engine gave a value or declared empty; only if the session's options ask for it
}

// Summary is a session's result.
type Summary struct {
	Judgements []Judgement // those made in shadow, in order of object, then feature; All has the others too
	Unknown    []Judgement // objects that the engine could not answer for, which are not among Judgements
	Held       []ledger.Hold
	said       words
}

// All yields the last answer about each key, in order of object, then feature.
func (s Summary) All() iter.Seq[Judgement] { return s.said.each() }

// Session is one run of one engine, as the gate sees it. Its methods are called by one goroutine at a time.
type Session struct {
	g        *Gate
	o        SessionOptions
	engine   string
	ceiling  engine.Mode
	farewell map[scoping.ObjectID]bool
	away     map[scoping.ObjectID]bool // those of farewell whose last values this session wrote, or found in the tenant: their record names no engine any more
	grants   map[uint32]engine.Grant
	power    map[string]string
	parked   []engine.Proposal
	named    []engine.Proposal // with a sign-in name that was refused before and is not tried now
	waiting  []engine.Proposal
	said     words
	unknown  map[ledger.Key]Judgement // keys that the engine could not answer for
	claimed  map[scoping.ObjectID]bool
	refused  map[ledger.Key][]ledger.Part // parts that were refused in this session
	held     []ledger.Hold
	excess   excess
	refs     map[scoping.ObjectID]int // number of proposed references of objects that are not in the tenant yet
	reading  uint64                   // the newest of the directories when the session began
	ruled    map[string]uint64        // by directory, the rules that the engine makes values by (standing.RulesOf)
}

// Begin opens a session. Its grants are those of this moment: the run begins to read after it (rule P5).
func (g *Gate) Begin(o SessionOptions) *Session {
	if o.Ceiling == engine.ModeNone {
		o.Ceiling = engine.ModeOwn
	}
	s := &Session{g: g, o: o, engine: o.Engine, ceiling: o.Ceiling, farewell: o.Farewell, away: map[scoping.ObjectID]bool{}, grants: map[uint32]engine.Grant{},
		power: map[string]string{}, unknown: map[ledger.Key]Judgement{}, claimed: map[scoping.ObjectID]bool{}, refused: map[ledger.Key][]ledger.Part{},
		refs: map[scoping.ObjectID]int{}, excess: excess{times: map[uint64]uint8{}, seed: maphash.MakeSeed()}, reading: g.o.Census.Reading(), ruled: map[string]uint64{}}
	for _, gr := range g.Authority().Grants(o.Engine) {
		s.grants[gr.ID] = gr
	}
	return s
}

// seesOff reports whether the engine was asked for the last values of an object, and still is its owner of record: another engine may have become that since, and have
// seen it off itself. [An attempt to disable a leaver was not sent; a wave's target took the object over, disabled it and let go; the second attempt of the first engine
// was sent for an object that was no engine's.] g.mu is held.
func (s *Session) seesOff(p engine.Proposal) bool {
	if !s.farewell[p.Object] {
		return false
	}
	record, recorded := s.g.o.Ledger.OwnerOfRecord(p.Object, scoping.Base(p.Kind))
	return recorded && record == s.engine || s.away[p.Object]
}

// sawOff notes that the object of an item was seen off, once the item's claim says so of the base feature. g.mu is held.
func (s *Session) sawOff(it *item) {
	if it.v.Claim != nil && it.v.Claim.Owner == scoping.None && it.p.Feature == scoping.Base(it.p.Kind) && s.farewell[it.p.Object] {
		s.away[it.p.Object] = true
	}
}

// granted returns the epoch under which a proposal about a place was read: the proposal's, but at most that of its grant when the session began,
// since no reading is fresher. An engine names one grant, the nearest that covers the place. Grants are announced as complete sets, so an engine that
// has one of them as of the session's beginning has the others that cover the place too, and the newest counts. [Otherwise an engine that owned a
// container by a choice, and was granted shadow inside it by a wave, would be stale for ever.]
func (s *Session) granted(p engine.Proposal, place scoping.Place) scoping.Epoch {
	if s.claimed[p.Object] {
		return s.g.auth.Epoch
	}
	var newest scoping.Epoch
	if gr, ok := s.grants[p.Grant]; ok {
		if p.Epoch.Compare(gr.Epoch) < 0 {
			return p.Epoch
		}
		newest = gr.Epoch
	} else if p.Feature != scoping.PasswordHash { // an engine that reads passwords need not know the places of their objects
		return scoping.Epoch{}
	}
	for _, other := range s.grants {
		if other.Epoch.Compare(newest) > 0 && other.Scope.Writes(p.Kind, p.Feature) && other.Scope.Covers(place) {
			newest = other.Epoch
		}
	}
	return newest
}

// Seen reports whether the session has answered about a key.
func (s *Session) Seen(k ledger.Key) bool {
	_, heard := s.said.get(k)
	return heard
}

// Said returns the session's last answer about a key.
func (s *Session) Said(k ledger.Key) (Judgement, bool) { return s.said.get(k) }

// item is a proposal on its way to a decision.
type item struct {
	p       engine.Proposal
	v       Verdict
	place   scoping.Place
	next    int // index of the next write
	tries   int
	cloudID string
	links   Links         // those written
	parted  []string      // ends of references that were removed: cloud ids
	epoch   scoping.Epoch // the newest epoch when it was decided
	redone  bool          // decided again after a conflict
	known   bool          // to the directory or the ledger
	said    bool          // the session answered this key before, with the answer in before
	before  Judgement
	again   bool          // to be decided again: the tenant differs from what the verdict assumed
	paired  bool          // a write of it was done, and its pair counted
	proof   *Evidence     // the evidence by which it was judged at the end of its run
	removes bool          // it waits for the removal of references at the end of the run
	lacks   bool          // it lacks references that may come during the run
	parts   []ledger.Part // parts that were tried and refused
	watched bool          // a wave lets the engine be judged here, so that differences must be recorded
	done    bool
	saw     view // what its verdict saw
}

// Propose decides a batch, carries out what is to be written at once, and returns the decisions in the order of the proposals. After an error no more
// may be proposed.
func (s *Session) Propose(ctx context.Context, batch []engine.Proposal) ([]engine.Decision, error) {
	defer wipe(batch)
	out := make([]engine.Decision, len(batch))
	var taken []engine.Proposal
	var at []int
	for i, p := range batch {
		if d, refused := s.refuse(&p); refused {
			out[i] = d
			continue
		}
		taken, at = append(taken, p), append(at, i)
	}
	items, err := s.decide(ctx, taken)
	if err != nil {
		return nil, err
	}
	if err := s.carryOut(ctx, items); err != nil {
		return nil, err
	}
	for i, it := range items {
		out[at[i]] = engine.Decision{Seq: it.p.Seq, Outcome: it.v.Outcome, Code: string(it.v.Code), Reason: it.v.Reason, Owner: s.ownerOf(it)}
		failed := it.v.Outcome == engine.Failed
		if failed && waitsForName(it.v) {
			s.named = s.keep(s.named, it.p)
		}
		switch {
		case it.v.Outcome == engine.Parked, failed && it.removes:
			s.parked = s.keep(s.parked, it.p)
		case it.v.Outcome == engine.Partial, failed && it.lacks:
			s.waiting = s.keep(s.waiting, it.p)
			if it.v.Code == CodeWaitsForBase && len(s.refs) < len(s.waiting) {
				s.refs[it.p.Object] = len(it.p.Refs[cloud.Members].Targets) + len(it.p.Refs[cloud.Manager].Targets)
			}
		}
	}
	if s.o.Progress != nil {
		s.o.Progress(s.said.due)
	}
	return out, nil
}

func (s *Session) ownerOf(it *item) string {
	if it.v.Outcome != engine.Refused && it.v.Outcome != engine.Released {
		return ""
	}
	s.g.mu.Lock()
	defer s.g.mu.Unlock()
	return s.g.auth.Owner(it.place, it.p.Kind, it.p.Feature).Engine
}

// decide makes the verdicts; where the census has to read again or power has to be looked up, it does so and decides a second time.
func (s *Session) decide(ctx context.Context, batch []engine.Proposal) ([]*item, error) {
	items := make([]*item, len(batch))
	for i, p := range batch {
		items[i] = &item{p: p}
	}
	s.verdicts(items)
	var look []scoping.ObjectID
	var ask []string
	var again []*item
	for _, it := range items {
		if it.v.NeedSight {
			look = append(look, it.p.Object)
		}
		ask = append(ask, it.v.NeedPower...)
		if it.v.NeedSight || len(it.v.NeedPower) > 0 {
			again = append(again, it)
		}
	}
	if len(again) == 0 {
		return items, nil
	}
	var unread error
	if len(look) > 0 {
		if unread = s.g.o.Census.Reread(ctx, look); unread != nil && (ctx.Err() != nil || !errors.Is(unread, ErrUnread)) {
			return nil, fmt.Errorf("reading %d objects of the directory again: %w", len(look), unread)
		}
	}
	if err := s.askPower(ctx, ask); err != nil {
		return nil, err
	}
	s.verdicts(again)
	if err := s.askPower(ctx, needed(again)); err != nil { // for those whose place had to be read first
		return nil, err
	}
	s.verdicts(again)
	if unread != nil {
		return items, s.remember(again, unread)
	}
	return items, nil
}

// remember keeps keys owed whose objects the host could not read: the engine takes them as answered, and an object that the host has not seen yet,
// such as a new person, would not be reported again. Other items continue.
func (s *Session) remember(items []*item, unread error) error {
	for _, it := range items {
		if !it.v.NeedSight || it.v.Outcome.Settles() {
			continue
		}
		if s.excess.unseen >= maxUnseen { // more would be refused, and thereby forgotten
			return fmt.Errorf("%d objects have to be looked for: %w", s.excess.unseen, unread)
		}
		v := answer(it.v.Outcome, it.v.Code, it.v.Reason)
		v.Op, v.NeedSight = it.v.Op, true
		it.v, it.known = v, true
	}
	return nil
}

func needed(items []*item) (ids []string) {
	for _, it := range items {
		ids = append(ids, it.v.NeedPower...)
	}
	return ids
}

func (s *Session) askPower(ctx context.Context, ids []string) error {
	if len(ids) == 0 {
		return nil
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)
	power, err := s.g.o.Tenant.Powerful(ctx, ids)
	if err != nil {
		return fmt.Errorf("asking the tenant which of %d objects hold power: %w", len(ids), err)
	}
	for _, id := range ids {
		s.power[id] = power[id]
	}
	return nil
}

func (s *Session) verdicts(items []*item) {
	s.g.mu.Lock()
	defer s.g.mu.Unlock()
	for _, it := range items {
		it.p = s.trimmed(it.p)
		c := s.g.caseOf(s, it.p)
		if it.p.Want == engine.Gone && c.Row != nil && c.Row.Name != "" {
			it.p.Name = c.Row.Name // a tombstone's own name is of no use to people
		}
		if it.p.Name == "" && (it.p.Want == engine.Unknown || it.p.Feature == scoping.PasswordHash) { // an engine need not know the name of an object that it was asked for
			it.p.Name = nameOf(it.p.Object, c)
		}
		it.place, it.known = PlaceOf(it.p.Object, c.Sight, c.Row), c.Sight.Known || c.Row != nil
		it.v, it.epoch = Decide(c, it.p), s.g.auth.Epoch
		it.saw = c.saw(it.p, it.v)
		it.removes, it.lacks = it.v.Outcome == engine.Parked && len(it.v.Removed) > 0, it.v.Waiting > 0
		it.watched = c.Standing.Shadow && c.Standing.Engine != c.Standing.Owner
	}
}

// managed returns the managed attributes by the rules of the session. g.mu is held.
func (s *Session) managed() Managed {
	if s.o.Managed != nil {
		return *s.o.Managed
	}
	return s.g.rules.Managed
}

// trimmed removes unmanaged attributes from a proposal, except from values that a rollback restores, which are the host's own. g.mu is held.
func (s *Session) trimmed(p engine.Proposal) engine.Proposal {
	if s.o.Restores != "" {
		return p
	}
	return s.managed().trim(p)
}

// nameOf returns the best name of an object for display.
func nameOf(o scoping.ObjectID, c Case) string {
	switch {
	case c.Sight.Name != "":
		return c.Sight.Name
	case c.Row != nil && c.Row.Name != "":
		return c.Row.Name
	}
	return o.String()
}

// judgement keeps the session's last answer about a key. That an engine cannot answer is kept separately.
func (s *Session) judgement(it *item) {
	k := ledger.Key{Object: it.p.Object, Feature: it.p.Feature}
	j := Judgement{Key: k, Kind: it.p.Kind, Name: it.p.Name, Want: it.p.Want, Outcome: it.v.Outcome, Code: it.v.Code, Reason: it.v.Reason,
		Op: it.v.Op, Before: it.v.Before, After: it.v.After, Foreign: it.v.Foreign}
	if s.ceiling != engine.ModeShadow && it.v.Outcome != engine.Shadowed {
		j.Before, j.After = nil, nil // the log has them; a first run would keep every object's values in memory until it ends
		j.Links, j.Parted = it.before.Links.Plus(it.links), slices.Concat(it.before.Parted, it.parted)
	} else {
		j.Links = linksWanted(j)
	}
	if s.o.Manages {
		j.Manages = sortedKeys(it.p.Desired)
	}
	if it.p.Want == engine.Unknown {
		s.unknown[k] = j
		return
	}
	s.said.put(j)
}

// decision returns the record of a verdict; false: none is written.
func (s *Session) decision(it *item) (ledger.Record, bool) {
	v := it.v
	r := ledger.Record{Type: ledger.DecisionType, Engine: s.engine, Wave: s.o.Wave, Run: s.o.Run, Object: &it.p.Object, Kind: it.p.Kind,
		Name: it.p.Name, Feature: it.p.Feature, Op: v.Op, Outcome: v.Outcome, Code: string(v.Code), Reason: v.Reason, Before: v.Before, After: v.After,
		Closed: v.Closed, Quietly: v.Quietly, Excluded: v.Excluded, Epoch: s.epochFor(it), Parts: it.told(), Pair: v.Pair}
	if _, left := s.g.o.Ledger.Excluded[it.p.Object]; left && it.p.Want == engine.Present && it.p.Feature == scoping.Base(it.p.Kind) && (v.Outcome == engine.Held || v.Outcome == engine.Failed) {
		r.Taken = true // else its references would be answered as those of an object that is left out, and their owner asked for them in every run (simulation, seed 16685)
	}
	last, unsettled := s.g.o.Ledger.Unsettled[it.p.Object][it.p.Feature]
	if v.Code == CodeCloudMasteredQ && last.Reason == string(v.Code) {
		return r, false // each object in a container to which the tenant's are brought would be recorded each hour
	}
	if s.o.Silent && (!it.watched || v.Outcome.Settles()) {
		return r, false // after an answer the engine does not propose the object again by itself (P3), so what a wave has to catch up with must be in the log
	}
	if v.Nothing && (!unsettled || !v.Closed) || s.traceless(it, unsettled) {
		return r, false
	}
	if v.Excluded != "" && !unsettled && s.g.o.Ledger.Excluded[it.p.Object] == v.Excluded {
		return r, false
	}
	if v.Claim != nil && (v.Outcome == engine.Unchanged && v.Closed || v.Outcome == engine.Failed && v.Op == "join" || v.Outcome == engine.Partial) {
		s.placeHere(it)
		r.Claim = it.v.Claim
	}
	return r, true
}

// epochFor returns the epoch for the records of an item: the newest of all when it was decided, so that only later transfers apply. The region's own
// epoch does not suffice: a container that kept its engine may be in a scope that changed hands before.
func (s *Session) epochFor(it *item) scoping.Epoch { return it.epoch }

// Claim proposes, on the engine's behalf, deletes that the host itself saw (rule P4), with the present epoch.
func (s *Session) Claim(ctx context.Context, batch []engine.Proposal) ([]engine.Decision, error) {
	for _, p := range batch {
		s.claimed[p.Object] = true
	}
	return s.Propose(ctx, batch)
}
