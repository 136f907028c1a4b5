package gate

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/standing"
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// Manages returns the attributes that an engine's claim of a key covers, sorted; none where it has no claim.
func (g *Gate) Manages(name string, k ledger.Key) []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	if c := g.o.Claims.Get(name, k); c != nil {
		return c.Attrs
	}
	return nil
}

// Forget drops all engines' claims of keys, durably: for events that no comparison shows.
func (g *Gate) Forget(ctx context.Context, keys []ledger.Key) error {
	g.mu.Lock()
	for _, e := range g.o.Claims.Engines() {
		for _, k := range keys {
			g.o.Claims.Drop(e, k)
		}
	}
	g.mu.Unlock()
	return g.commitClaims(ctx)
}

// ruledBy names a stream of an engine and the directory that it reads.
type ruledBy struct {
	engine    string
	stream    engine.Stream
	directory string
}

// Begins notes the rules by which the engine now makes values of what it reads in a directory. Claims made under others expire (standing S2).
func (s *Session) Begins(b engine.RunBegin) {
	g, rules := s.g, standing.RulesOf(b.Rules)
	g.mu.Lock()
	defer g.mu.Unlock()
	s.ruled[b.Directory] = rules
	by := ruledBy{s.engine, s.o.Stream, b.Directory}
	was := g.ruled[by]
	g.ruled[by] = rules
	g.note(g.judgedOtherwise(by, was, rules), false)
}

// judgedOtherwise returns the objects whose claims are good by some rules of their engine and not by others. g.mu is held.
func (g *Gate) judgedOtherwise(by ruledBy, was, now uint64) map[scoping.ObjectID]struct{} {
	out := map[scoping.ObjectID]struct{}{}
	if was == now {
		return out
	}
	for k, made := range g.o.Claims.Rules(by.engine) {
		c := standing.Claim{Rules: made}
		if k.Object.Directory == by.directory && engine.StreamOf(k.Feature) == by.stream && c.Good(0, g.rulesWith(k.Feature, was)) != c.Good(0, g.rulesWith(k.Feature, now)) {
			out[k.Object] = struct{}{}
		}
	}
	return out
}

// claim stores what an engine said about a key, if it said it under a grant. g.mu is held.
func (s *Session) claim(it *item) {
	g := s.g
	k := ledger.Key{Object: it.p.Object, Feature: it.p.Feature}
	sight := g.o.Census.Brief(it.p.Object)
	switch {
	case s.o.Restores != "", s.farewell[it.p.Object], s.claimed[it.p.Object], s.o.Managed != nil: // the host speaks, or the engine about an object that it no longer owns, or by rules that are not in force
		return
	case !sight.Known, sight.Deleted, !g.covers(g.auth, s.engine, k, it.p.Kind, sight):
		return
	}
	x := standing.Claim{Want: it.p.Want, Reading: s.reading, Rules: g.rulesWith(k.Feature, s.ruled[k.Object.Directory])}
	switch {
	case it.v.NeedSight, it.p.Want == engine.OutOfScope, it.p.Want == engine.Gone: // engine and host see different things: it is asked again, whichever is right
		g.o.Claims.Drop(s.engine, k)
		for _, f := range []scoping.Feature{scoping.References, scoping.Extensions} { // the engine does not propose these again by itself
			g.o.Claims.Drop(s.engine, ledger.Key{Object: k.Object, Feature: f})
		}
		return
	case it.v.Outcome == engine.Refused && it.v.Quietly, it.p.Want == engine.Unknown: // malformed or unknown: asking again leads nowhere
		x.Want, x.At = engine.Unknown, g.o.Clock.Now().UnixMilli()
	case it.p.Feature == scoping.PasswordHash && it.v.Code == CodeWaitsForBase: // it is asked for when the user is in the tenant
		g.o.Claims.Drop(s.engine, k)
		return
	case it.p.Feature != scoping.Base(it.p.Kind) && it.v.Code == CodeWaitsForBase && g.o.Ledger.Rows.Get(k.Object) == nil:
		return // the claim of the base feature covers it
	default:
		x.Agrees = it.v.Closed || it.v.Outcome == engine.Partial && it.p.Feature == scoping.References && !it.v.Dying && it.v.Code != CodeWaitsForBase || it.v.Outcome == engine.Unchanged && it.v.Judged
		if _, open := g.o.Ledger.Pending(k.Object); open { // the end of its doubt may show that the tenant's state was misread
			x.Agrees = false
		}
		tried := it.v.Outcome == engine.Partial || it.v.Outcome == engine.Applied // what was only judged or parked may be more than what waits for the deleted end
		if x.Person = !x.Agrees && (it.v.Outcome == engine.Held && it.v.Code.WaitsForPerson() || it.v.Code == CodeWaitsForBase || it.v.Dying && tried); x.Person {
			x.At = g.o.Clock.Now().UnixMilli()
		}
		x.Attrs, x.Waits, x.SignIn = attrsOf(it.p), it.saw.waits, it.saw.signIn
		if it.v.Code == CodeNotKept && it.v.Claim != nil {
			x.Unkept = standing.UnkeptOf(it.v.Claim.Hash)
		}
		if it.p.Feature == scoping.PasswordHash {
			x.Target = agreedPassword(g.o.Ledger.Rows.Get(k.Object))
			if it.p.Password == nil || !it.p.Password.MustChange || g.rules.Temporary {
				x.Attrs = []string{string(scoping.PasswordHash)}
			}
			break
		}
		x.Target = cloud.Digest(after(it.saw.there, it.v.Writes[:min(it.next, len(it.v.Writes))]), x.Attrs)
	}
	g.o.Claims.Put(s.engine, k, x)
}

// target returns the tenant object that a verdict is about, as the case shows it; nil if there is none.
func (c Case) target(v Verdict) *cloud.Object {
	if c.Cloud != nil || v.Claim == nil || v.Claim.CloudID == "" {
		return c.Cloud
	}
	for _, o := range slices.Concat(c.Live, c.Bin, c.Soft) {
		if o.ID == v.Claim.CloudID {
			return &o
		}
	}
	return c.Matched
}

// after returns an object as it is once writes are done, nil for none. An engine agreed with what its verdict saw and what was written on that, not
// with what the tenant shows by the time of the answers.
func after(o *cloud.Object, ws []cloud.Write) *cloud.Object {
	var out cloud.Object
	switch {
	case o != nil:
		out = o.Clone()
	case len(ws) == 0:
		return nil
	default:
		out.Values = cloud.Values{}
	}
	for _, w := range ws {
		out.Deleted = w.Op == cloud.Delete
		for k, v := range w.Set {
			if out.Values[k] = v; len(v) == 0 {
				delete(out.Values, k)
			}
		}
		switch w.Op {
		case cloud.AddMembers:
			out.Members = append(out.Members, missing(w.Refs, out.Members)...)
			slices.Sort(out.Members)
		case cloud.RemoveMember:
			out.Members = missing(out.Members, w.Refs)
		case cloud.SetManager:
			out.Manager = w.Refs[0]
		case cloud.ClearManager:
			out.Manager = ""
		}
	}
	return &out
}

// attrsOf returns the names of what a proposal manages, sorted.
func attrsOf(p engine.Proposal) []string {
	if p.Feature == scoping.References {
		return sortedKeys(p.Refs)
	}
	return sortedKeys(p.Desired)
}

// view is what a verdict saw, as far as a claim keeps it: the claim is not about changes that came in while its writes were in flight.
type view struct {
	there  *cloud.Object      // the tenant object that it is about, or nil
	signIn standing.SignIn    // by the rules then
	waits  []scoping.ObjectID // ends of references that were not in the tenant
}

// saw returns what a verdict about a proposal saw. g.mu is held.
func (c Case) saw(p engine.Proposal, v Verdict) view {
	return view{there: c.target(v), signIn: c.Rules.signInOf(p), waits: c.waits(p)}
}

// waits returns the ends of a proposal's references that are not in the tenant and may come. g.mu is held.
func (c Case) waits(p engine.Proposal) (out []scoping.ObjectID) {
	for _, name := range sortedKeys(p.Refs) {
		for _, id := range p.Refs[name].Targets {
			if _, st := c.Resolve(id); st == RefWaits || st == RefLater || st == RefOff {
				out = append(out, id)
			}
		}
	}
	slices.SortFunc(out, scoping.ObjectID.Compare)
	return slices.Compact(out)
}

// Silent notes that an engine was asked for keys and did not answer: it is not asked again for the same (standing S2a).
func (s *Session) Silent(ctx context.Context, keys []ledger.Key) error {
	return s.unsaid(ctx, keys, standing.Claim{Want: engine.Unknown, At: s.g.o.Clock.Now().UnixMilli()})
}

// Unable notes that an engine does not have the features of keys: they are not owed, and it is not asked.
func (s *Session) Unable(ctx context.Context, keys []ledger.Key) error {
	return s.unsaid(ctx, keys, standing.Claim{Want: engine.Excluded, Agrees: true})
}

// Unheard drops the earlier claims of granted keys that the engine did not name in a complete run over everything: it is asked for each of them once
// (standing S2a).
func (s *Session) Unheard(ctx context.Context) error {
	g := s.g
	g.mu.Lock()
	g.o.Claims.DropWhere(func(name string, k ledger.Key) bool {
		if name != s.engine || engine.StreamOf(k.Feature) != s.o.Stream || s.Seen(k) || g.o.Claims.Get(name, k).Want == engine.Unknown {
			return false
		}
		sight := g.o.Census.Brief(k.Object)
		return sight.Known && !sight.Deleted && g.covers(g.auth, name, k, sight.Kind, sight)
	})
	g.mu.Unlock()
	return g.commitClaims(ctx)
}

// unsaid stores a claim for keys that the engine is granted and did not mention.
func (s *Session) unsaid(ctx context.Context, keys []ledger.Key, x standing.Claim) error {
	if len(keys) == 0 {
		return nil
	}
	g := s.g
	g.mu.Lock()
	for _, k := range keys {
		sight := g.o.Census.Brief(k.Object)
		if !g.o.Without.keepsSilence() || s.Seen(k) || !sight.Known || sight.Deleted || !g.covers(g.auth, s.engine, k, sight.Kind, sight) {
			continue
		}
		x.Reading, x.Rules = s.reading, s.g.rulesWith(k.Feature, s.ruled[k.Object.Directory])
		g.o.Claims.Put(s.engine, k, x)
	}
	g.mu.Unlock()
	return g.commitClaims(ctx)
}

// covers reports whether an engine is granted a key under an authority, own or shadow.
func (g *Gate) covers(a Authority, name string, k ledger.Key, kind scoping.Kind, sight Sight) bool {
	p := sight.Place(k.Object.Directory)
	return a.Owner(p, kind, k.Feature).Engine == name || a.Shadowed(name, p, kind, k.Feature)
}

// commitClaims makes claims durable before their engines have an answer (standing S4).
func (g *Gate) commitClaims(ctx context.Context) error {
	g.claims.Lock() // in order: the claims that another session took have to be durable as well
	defer g.claims.Unlock()
	g.mu.Lock()
	b := g.o.Claims.Take()
	g.mu.Unlock()
	if b != nil && !g.o.Without.stores(b.Number()) {
		return nil
	}
	err := g.o.Claims.Commit(context.WithoutCancel(ctx), b)
	if err != nil {
		g.mu.Lock()
		g.o.Claims.Untake(b)
		g.mu.Unlock()
	}
	return err
}

// Cover drops the claims of engines whose grants did not cover their objects without a gap, and those of objects that the census does not know any
// more.
func (g *Gate) Cover(ctx context.Context) error {
	g.mu.Lock()
	past := g.uncovered
	g.uncovered = nil
	if len(past) > 0 {
		g.o.Claims.DropWhere(func(name string, k ledger.Key) bool {
			sight := g.o.Census.Brief(k.Object)
			return !sight.Known || slices.ContainsFunc(past, func(a Authority) bool { return !g.covers(a, name, k, sight.Kind, sight) })
		})
	}
	g.o.Claims.Cover(coverage(g.auth))
	g.mu.Unlock()
	if err := g.commitClaims(ctx); err != nil {
		return err
	}
	g.claims.Lock()
	defer g.claims.Unlock()
	g.mu.Lock()
	all := g.o.Claims.Tidy()
	g.mu.Unlock()
	return g.o.Claims.Replace(context.WithoutCancel(ctx), all)
}

// coverage identifies an authority's grants: authorities with the same text grant the same.
func coverage(a Authority) string {
	revision := uint64(0)
	if a.Partition != nil {
		revision = a.Partition.Revision()
	}
	b, err := json.Marshal(a.Shadows)
	if err != nil { // a scope is plain data
		return ""
	}
	return fmt.Sprintf("%d %s %s", revision, a.Epoch, b)
}

// took notes that another authority is in force. g.mu is held.
func (g *Gate) took(a Authority) {
	mark := coverage(a)
	switch {
	case g.cover == "" && mark != g.o.Claims.Covered(): // earlier processes changed it, perhaps more than once
		for _, e := range g.o.Claims.Engines() {
			g.o.Claims.DropAll(e)
		}
	case g.cover != "" && mark != g.cover:
		g.uncovered = append(g.uncovered, a)
	}
	g.cover = mark
}
