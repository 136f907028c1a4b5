package connect

import (
	"context"
	"slices"

	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/plugins/expression"
	"github.com/tandem-sync/tandem/scoping"
	"github.com/tandem-sync/tandem/state"
)

// page is a part of what one pass proposes, made in one transaction.
type page struct {
	proposals []engine.Proposal
	owe       []engine.Proposal // those of them that carry no mark yet
	settled   []scoping.GUID    // marked objects that nothing is to be proposed of
}

// pageSize is how many proposals are prepared at once.
const pageSize = 1000

// export proposes one pass (base features or references) of one directory: every object of the scopes for a full run, what
// is owed for a delta, what was asked for otherwise.
func (r *run) export(ctx context.Context, p *part, pass byte, x *exporter) error {
	prefixes := everyPrefix()
	if r.request.Profile == engine.ProfileObjects {
		prefixes = []string{""}
	}
	var next page
	for i, prefix := range prefixes {
		made, err := r.prepare(ctx, p, pass, prefix)
		if err != nil {
			return err
		}
		next.proposals = append(next.proposals, made.proposals...)
		next.owe = append(next.owe, made.owe...)
		next.settled = append(next.settled, made.settled...)
		if len(next.proposals) < pageSize && i < len(prefixes)-1 {
			continue
		}
		if err := x.page(ctx, p.directory.Name, next, r.bits(pass)); err != nil {
			return err
		}
		next = page{}
	}
	return nil
}

// bits are what a pass takes off marks: where nobody is asked for extensions, they are settled with the base feature.
func (r *run) bits(pass byte) byte {
	if pass == pendingBase && !r.extends {
		return pendingBase | pendingExtensions
	}
	return pass
}

// prepare makes the proposals of the objects whose objectGUID begins with prefix.
func (r *run) prepare(ctx context.Context, p *part, pass byte, prefix string) (page, error) {
	var out page
	err := r.engine.store.View(ctx, func(tx state.Tx) error {
		out = page{}
		s := space{p.directory.Name, tx}
		guids, err := r.candidates(s, p, prefix)
		if err != nil {
			return err
		}
		for _, g := range guids {
			if err := r.propose(s, p, g, pass, &out); err != nil {
				return err
			}
		}
		return nil
	})
	return out, err
}

// everyPrefix divides the objects into 256 parts, so that no transaction stays open while proposals go out.
func everyPrefix() []string {
	out := make([]string, 256)
	for i := range out {
		out[i] = string([]byte{byte(i)})
	}
	return out
}

func (r *run) candidates(s space, p *part, prefix string) ([]scoping.GUID, error) {
	bucket := s.bucket("o")
	switch r.request.Profile {
	case engine.ProfileObjects:
		return p.objects, nil
	case engine.ProfileDelta:
		bucket = s.bucket("p")
	}
	var out []scoping.GUID
	err := s.tx.Each(bucket, prefix, func(key string, _ []byte) error {
		g, err := scoping.GUIDFromBytes([]byte(key))
		out = append(out, g)
		return err
	})
	return out, err
}

// propose makes an object's proposal of this pass, if there is one. A mark of which nothing is to be proposed is settled: the
// object lies outside of everything that the engine was ever given, or has no say in references.
func (r *run) propose(s space, p *part, g scoping.GUID, pass byte, out *page) error {
	rec, there, err := s.get(g)
	if err != nil {
		return err
	}
	m, _, err := s.pending(g)
	if err != nil {
		return err
	}
	e, owed := rec.entry, m.bits&pass != 0
	if reason := r.unseen(p, g, there, e); reason != "" {
		switch {
		case pass == pendingBase && r.request.Profile == engine.ProfileObjects:
			out.proposals = append(out.proposals, r.unknown(p, g, e, reason))
		case owed:
			out.settled = append(out.settled, g)
		}
		return nil
	}
	// A tombstone is proposed until the host has decided; after that it is the host's business.
	if !owed && (r.request.Profile == engine.ProfileDelta || (e.Deleted && r.request.Profile == engine.ProfileFull)) {
		return nil
	}
	feature := featureOf(pass, e.Kind())
	if feature == scoping.Extensions && e.Kind() != scoping.User {
		return nil
	}
	at, err := r.placing(s, p, e, m, feature)
	if err != nil {
		return err
	}
	if !at.known && r.request.Profile == engine.ProfileObjects {
		if pass == pendingBase {
			out.proposals = append(out.proposals, r.unknown(p, g, e, engine.PlaceUnknown))
		}
		return nil
	}
	if !at.known && pass == pendingBase {
		r.unplaced(p, e)
	}
	made := r.want(s, p, e, at, feature)
	silent := made.Want == 0 || (pass != pendingBase && made.Want != engine.Present)
	if r.besideAlone(e, at) {
		silent = pass == pendingBase || !at.covered
		if made.Want == engine.Excluded && !silent { // what the rules leave out is for the base feature to say, and that was not asked for
			made.Want = engine.Unknown
		}
	}
	switch {
	case !silent:
		out.proposals = append(out.proposals, made)
		if !owed {
			out.owe = append(out.owe, made)
		}
	case owed && (made.Want != 0 || (r.told && !at.granted)):
		out.settled = append(out.settled, g)
	}
	return nil
}

// unplaced tells of an object that may lie in the scopes or not.
func (r *run) unplaced(p *part, e directory.Entry) {
	p.partial = true
	p.report.Errors = append(p.report.Errors, engine.ObjectError{Code: engine.PlaceUnknown,
		Object:  scoping.ObjectID{Directory: p.directory.Name, GUID: e.GUID},
		Message: "what holds " + e.DN + " cannot be read, so it cannot be told whether it lies in the scopes"})
}

// unseen returns why the engine has nothing to say of an object, or "".
func (r *run) unseen(p *part, g scoping.GUID, there bool, e directory.Entry) string {
	switch {
	case p.absent[g]: // known once perhaps, but neither living nor deleted now
		return engine.NotFound
	case !there, !synchronizes(e.Kind()):
		return engine.NotSynchronized
	}
	return ""
}

// unknown answers for an object that was asked for and that the engine has nothing to say of.
func (r *run) unknown(p *part, g scoping.GUID, e directory.Entry, reason string) engine.Proposal {
	made := engine.Proposal{Object: scoping.ObjectID{Directory: p.directory.Name, GUID: g}, Name: e.DN, Parent: parentOf(e),
		Version: p.report.USN, Want: engine.Unknown, Reason: reason}
	if k := e.Kind(); synchronizes(k) {
		made.Kind, made.Feature = k, scoping.Base(k)
	}
	return made
}

// besideAlone reports whether an object was asked for its references or extensions, and not for its base feature.
func (r *run) besideAlone(e directory.Entry, at placing) bool {
	return r.request.Profile == engine.ProfileObjects && !e.Deleted && !r.covered(at.now, e.Kind(), scoping.Base(e.Kind())) &&
		(r.covered(at.now, e.Kind(), scoping.References) || r.covered(at.now, e.Kind(), scoping.Extensions))
}

// placing is where an object is, and was, among the scopes.
type placing struct {
	now, before         scoping.Place
	covered, wasCovered bool // by the request's scopes
	granted             bool // by any scope of the request or any grant, now or before
	known               bool // false: the space does not tell what the object lies in
	from                scoping.GUID
}

func (r *run) placing(s space, p *part, e directory.Entry, m mark, f scoping.Feature) (placing, error) {
	at := placing{from: parentOf(e)}
	if !m.from.IsZero() {
		at.from = m.from
	}
	up, known, err := p.tree.up(s, parentOf(e))
	if err != nil {
		return at, err
	}
	at.now = scoping.Place{Directory: p.directory.Name, Ancestors: up}
	before, _, err := p.tree.up(s, at.from)
	if err != nil {
		return at, err
	}
	at.before = scoping.Place{Directory: p.directory.Name, Ancestors: before}
	if e.Deleted { // its place is where it was when last seen alive
		at.now, known = at.before, true
	}
	at.covered, at.wasCovered = r.covered(at.now, e.Kind(), f), r.covered(at.before, e.Kind(), f)
	_, nowGranted := r.grant(at.now, e.Kind(), f)
	_, wasGranted := r.grant(at.before, e.Kind(), f)
	at.granted = at.covered || at.wasCovered || nowGranted || wasGranted || !known
	at.known = known
	return at, nil
}

// covered says whether the request is about objects at a place.
func (r *run) covered(at scoping.Place, k scoping.Kind, f scoping.Feature) bool {
	return slices.ContainsFunc(r.request.Scopes, func(s scoping.Scope) bool { return s.Covers(at) && s.Writes(k, f) })
}

// grant gives the grant that covers a place, the nearest one if there are several.
func (r *run) grant(at scoping.Place, k scoping.Kind, f scoping.Feature) (engine.Grant, bool) {
	best, depth := engine.Grant{}, -1
	for _, g := range r.grants {
		if g.Mode == engine.ModeNone || !g.Scope.Covers(at) || !g.Scope.Writes(k, f) {
			continue
		}
		if d := slices.Index(at.Ancestors, g.Scope.Under); depth < 0 || d < depth || (d == depth && g.Scope.Has(f) && !best.Scope.Has(f)) {
			best, depth = g, d
		}
	}
	return best, depth >= 0
}

// want decides what the engine wants of an object's feature; without a Want it has no say.
func (r *run) want(s space, p *part, e directory.Entry, at placing, f scoping.Feature) engine.Proposal {
	asked := r.request.Profile == engine.ProfileObjects
	place := at.now
	made := engine.Proposal{Object: scoping.ObjectID{Directory: p.directory.Name, GUID: e.GUID}, Kind: e.Kind(), Name: e.DN,
		Parent: parentOf(e), Version: p.report.USN, Feature: f}
	switch {
	case e.Deleted && (at.covered || asked):
		made.Want, made.Parent = engine.Gone, at.from
	case e.Deleted:
		return made
	case !at.covered && (asked || at.wasCovered):
		made.Want = engine.OutOfScope
		if at.wasCovered {
			place = at.before
		}
	case !at.covered:
		return made
	default:
		r.fill(&made, s, e, p.domain)
	}
	if g, ok := r.grant(place, e.Kind(), f); ok {
		made.Grant, made.Epoch = g.ID, g.Epoch
	}
	return made
}

// fill puts in what the rules make of a living object in scope.
func (r *run) fill(made *engine.Proposal, s space, e directory.Entry, domain string) {
	result := Evaluate(e, domain)
	switch {
	case result.Excluded != "" && (made.Feature != scoping.References || !expression.KeepsMembers(result.Excluded)):
		made.Want, made.Reason = engine.Excluded, result.Excluded
	case made.Feature == scoping.Extensions:
		made.Want, made.Desired = engine.Present, extensionsOf(e, r.request.Extensions)
	case made.Feature == scoping.References:
		made.Want = engine.Present
		made.Refs = referencesOf(e, func(g scoping.GUID) scoping.ObjectID { return r.locate(s, made.Object.Directory, g) })
	default:
		made.Want, made.Desired = engine.Present, result.Desired
	}
}

// locate names a link's end: in the object's own directory, or in another one that holds it.
func (r *run) locate(s space, own string, g scoping.GUID) scoping.ObjectID {
	for _, d := range r.config.Directories {
		if d.Name == own || len(r.config.Directories) == 1 {
			continue
		}
		if (space{own, s.tx}).tx.Get("o/"+own, string(g[:])) == nil && s.tx.Get("o/"+d.Name, string(g[:])) != nil {
			return scoping.ObjectID{Directory: d.Name, GUID: g}
		}
	}
	return scoping.ObjectID{Directory: own, GUID: g}
}
