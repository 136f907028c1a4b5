package gate

import (
	"slices"
	"strconv"
	"strings"

	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// references answers a proposal about members or manager. Additions are written at once; removals wait for the end of the run and for evidence that
// the directory says so (rule D3).
func references(c Case, p engine.Proposal) Verdict {
	if v, waits := besideBase(c); waits {
		return v
	}
	if c.Cloud.Synced || c.Cloud.Mailed {
		return answer(engine.Failed, CodeSynced, "Graph refuses to write the references of object "+c.Row.CloudID)
	}
	if p.Kind == scoping.Group {
		return members(c, p)
	}
	return manager(c, p)
}

// ends are the other ends of references, by what can be done about them (standing S6).
type ends struct {
	found   []string           // in the tenant: cloud ids, sorted
	waiting int                // will be in the tenant later
	later   []scoping.ObjectID // may come some day
	never   []scoping.ObjectID // can never be referred to: of another kind, or the group itself
}

func resolve(c Case, p engine.Proposal, ids []scoping.ObjectID) ends {
	var e ends
	for _, id := range ids {
		cid, s := c.Resolve(id)
		switch {
		case id == p.Object && p.Kind == scoping.Group, s == RefNever, s == RefOff:
			e.never = append(e.never, id)
		case s == RefLinked:
			e.found = append(e.found, cid)
		case s == RefWaits:
			e.waiting++
		case s == RefLater:
			e.later = append(e.later, id)
		}
	}
	slices.Sort(e.found)
	e.found = slices.Compact(e.found)
	slices.SortFunc(e.later, scoping.ObjectID.Compare)
	slices.SortFunc(e.never, scoping.ObjectID.Compare)
	return e
}

// neverOf returns the number of ends that can never be referred to, and some of them.
func neverOf(never []scoping.ObjectID) *ledger.Never {
	if len(never) == 0 {
		return nil
	}
	return &ledger.Never{Count: len(never), Some: slices.Clone(never[:min(len(never), ledger.MaxNever)])}
}

func members(c Case, p engine.Proposal) Verdict {
	r, managed := p.Refs[cloud.Members]
	if !managed {
		v := answer(engine.Unchanged, "", "")
		v.Nothing = true
		return v
	}
	claim := claimOf(c, p, cloud.Values{})
	claim.Attrs, claim.Hash = []string{cloud.Members}, refsHash(r)
	var add, drop, foreign []string
	waiting, dying := 0, 0
	if r.Whole {
		want := resolve(c, p, r.Targets)
		add = missing(want.found, c.Cloud.Members)
		drop, foreign, dying = removable(c, shown(c, missing(c.Cloud.Members, want.found)))
		waiting, claim.Never = want.waiting+dying, neverOf(want.never)
		tookOver(c, &claim, r, c.Cloud.Members, want.found)
	} else {
		a, d := resolve(c, p, r.Added), resolve(c, p, r.Removed)
		waiting, claim.Never = a.waiting, neverOf(a.never)
		add, drop = missing(a.found, c.Cloud.Members), shown(c, both(d.found, c.Cloud.Members))
		tookOver(c, &claim, r, c.Cloud.Members, a.found)
	}
	v := memberVerdict(c, p, claim, add, drop, waiting)
	v.Foreign, v.Dying = foreign, dying > 0
	return v
}

// tookOver notes the references that tenant and directory agree about and that the ledger does not know as Tandem's yet (rule D3). The account of a
// row from before accounts existed begins with all references to linked objects, which counted as Tandem's then; otherwise references to be removed
// now would count as written by others. A list of changes alone begins no account.
func tookOver(c Case, claim *ledger.Claim, r engine.Refs, have, want []string) {
	switch {
	case c.Row.Links != nil:
		claim.Took, claim.Tracks = slices.DeleteFunc(both(want, have), c.Row.Links.Has), true
	case r.Whole:
		claim.Took, claim.Tracks = slices.DeleteFunc(slices.Clone(have), func(id string) bool { _, linked := c.LinkedTo(id); return !linked }), true
	}
}

// accounted reports whether the ledger would learn nothing new from a claim's references.
func accounted(row *ledger.Row, claim ledger.Claim) bool {
	return !claim.Tracks || row.Links != nil && len(claim.Took) == 0
}

// shown leaves out references that the tenant removed itself when their end was deleted: removing them fails as not found, and would count as one
// more removed membership.
func shown(c Case, ids []string) []string {
	if c.Binned == nil {
		return ids
	}
	return slices.DeleteFunc(slices.Clone(ids), c.Binned)
}

// removable returns the references that Tandem may remove: those that it wrote or took over, and all others only if the policy makes the directory's
// list exclusive; foreign are those that stay for that reason. A member deleted in the directory stays until its own delete is done: leaving its
// groups before would be a delete in parts, which no threshold weighs. One whose authority is the tenant is never deleted there because its account was
// deleted [others deleted an account that was brought; a group of the directory that had it as a member in the tenant stayed open for ever].
func removable(c Case, ids []string) (drop, foreign []string, dying int) {
	for _, id := range ids {
		row, linked := c.LinkedTo(id)
		ours := linked && (c.Row.Links == nil || c.Row.Links.Has(id))
		switch {
		case linked && row.State == ledger.Live && row.Cloud == 0 && c.Deleted(row.Object):
			dying++ // the key stays open until its own delete is done, as the member may be restored
		case ours || c.Rules.Exclusive:
			drop = append(drop, id)
		default:
			foreign = append(foreign, id)
		}
	}
	return drop, foreign, dying
}

func memberVerdict(c Case, p engine.Proposal, claim ledger.Claim, add, drop []string, waiting int) Verdict {
	drop = kept(c, opMembers, drop)
	v := answer(engine.Applied, "", "")
	v.Claim = &claim
	add, waits := c.tryable(add)
	for chunk := range slices.Chunk(add, cloud.MaxMembers) {
		v.Writes = append(v.Writes, cloud.Write{Op: cloud.AddMembers, Kind: p.Kind, CloudID: c.Row.CloudID, Refs: chunk})
	}
	if len(add)+len(drop) > 0 {
		v.Op, v.Before, v.After = opMembers, cloud.Values{}, cloud.Values{}
		if len(add) > 0 {
			v.After[MembersAdded] = add
		}
		if len(drop) > 0 {
			v.Before[MembersRemoved] = drop
		}
	}
	v.Removed, v.Waiting = drop, waiting
	switch {
	case len(drop) > 0:
		v.Outcome, v.Closed = engine.Parked, false
	case waiting > 0:
		v.Outcome, v.Closed, v.Code = engine.Partial, false, CodeReferenceMissing
		v.Reason = plural(waiting, "reference") + " not in the tenant yet"
	case len(add) == 0:
		v.Outcome = engine.Unchanged
		v.Nothing = sameRecord(c.Row, p.Feature, c.Standing, claim) && accounted(c.Row, claim)
	}
	return setApart(v, nil, waits)
}

// plural returns a count with its noun; many is the plural of nouns that do not just add an s.
func plural(n int, one string, many ...string) string {
	switch {
	case n == 1:
		return "1 " + one
	case len(many) > 0:
		return strconv.Itoa(n) + " " + many[0]
	}
	return strconv.Itoa(n) + " " + one + "s"
}

func manager(c Case, p engine.Proposal) Verdict {
	r, managed := p.Refs[cloud.Manager]
	if !managed {
		v := answer(engine.Unchanged, "", "")
		v.Nothing = true
		return v
	}
	claim := claimOf(c, p, cloud.Values{})
	claim.Attrs, claim.Hash = []string{cloud.Manager}, refsHash(r)
	e := resolve(c, p, r.Targets)
	found, waits := c.tryable(e.found)
	waiting := e.waiting
	claim.Never = neverOf(e.never)
	boss := shown(c, asSet(c.Cloud.Manager))
	drop, foreign, dying := removable(c, boss)
	drop = kept(c, opManager, drop)
	tookOver(c, &claim, r, boss, e.found)
	v := answer(engine.Applied, "", "")
	v.Claim = &claim
	have := ""
	if len(boss) == 1 {
		have = boss[0]
	}
	switch {
	case len(e.found) > 1:
		return answer(engine.Failed, CodeSeveralManagers, "a user has one manager, "+plural(len(e.found), "object")+" proposed")
	case len(found) == 1 && found[0] != have:
		v.Op, v.Before, v.After = opManager, pair(have), pair(found[0])
		v.Writes = []cloud.Write{{Op: cloud.SetManager, Kind: p.Kind, CloudID: c.Row.CloudID, Refs: found}}
	case len(waits) > 0:
		return setApart(v, nil, waits)
	case len(found) == 0 && len(drop) == 1: // also while the new manager is not there at the end of the run: it may never come
		v.Op, v.Before = opManager, pair(have)
		v.Outcome, v.Closed, v.Removed, v.Waiting = engine.Parked, false, []string{have}, waiting
	case len(found) == 0 && waiting > 0:
		v.Outcome, v.Closed, v.Code, v.Reason = engine.Partial, false, CodeReferenceMissing, "the manager is not in the tenant yet"
	case len(found) == 0 && dying > 0:
		v.Outcome, v.Closed, v.Code, v.Reason = engine.Partial, false, CodeReferenceDying, "the manager is deleted in the directory, and not yet in the tenant"
		v.Dying = true
	default:
		v.Outcome = engine.Unchanged
		v.Nothing = sameRecord(c.Row, p.Feature, c.Standing, claim) && accounted(c.Row, claim)
		v.Foreign = foreign
	}
	return v
}

// asSet returns the id of a reference as a set.
func asSet(id string) []string {
	if id == "" {
		return nil
	}
	return []string{id}
}

func pair(id string) cloud.Values {
	if id == "" {
		return cloud.Values{}
	}
	return cloud.Values{cloud.Manager: {id}}
}

func refsHash(r engine.Refs) string {
	var b strings.Builder
	ids := slices.Clone(r.Targets)
	slices.SortFunc(ids, scoping.ObjectID.Compare)
	for _, id := range ids {
		b.WriteString(id.String() + "\n")
	}
	return hashOf(cloud.Values{"refs": {b.String()}})
}

// missing returns the elements of a that are not in b; both are sorted.
func missing(a, b []string) []string {
	var out []string
	for _, x := range a {
		if _, ok := slices.BinarySearch(b, x); !ok {
			out = append(out, x)
		}
	}
	return out
}

// both returns the elements of a that are in b; both are sorted.
func both(a, b []string) []string {
	var out []string
	for _, x := range a {
		if _, ok := slices.BinarySearch(b, x); ok {
			out = append(out, x)
		}
	}
	return out
}
