package gate

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// The questions of a first adoption (rule J5); each appears once in the reason of the engine's held set.
const (
	askJoin  = "first adoption: objects that the tenant had before are linked, and get the directory's values"
	askWrite = "first adoption: objects that Tandem did not make are written"
	askAlike = "first adoption: objects are made that look like others of the tenant"
)

// firstAdoption turns what the first full run of an engine would do to a tenant that is not empty into a question (rule J5): joins, with and without
// writes; creates that look like an unlinked object; and writes to objects that Tandem did not make.
func firstAdoption(c Case, v Verdict) Verdict {
	if !c.Standing.Adopting || v.Claim == nil || (v.Outcome != engine.Applied && v.Outcome != engine.Unchanged) {
		return v
	}
	joins := c.Row == nil || c.Row.CloudID == "" || c.Row.CloudID != v.Claim.CloudID && v.Claim.CloudID != ""
	switch {
	case v.Op == string(cloud.Restore):
		return v
	case v.Op == string(cloud.Create):
		if len(c.Alike) == 0 {
			return v
		}
		v.Ask, v.Note = askAlike, likeness(c.Alike)
	case joins && c.Tried:
		return v // Tandem made it itself, and the answer was lost
	case joins:
		v.Ask, v.Op = askJoin, "join"
	case len(v.Writes) > 0 && !madeByTandem(c):
		v.Ask = askWrite
	default:
		return v
	}
	v.Class, v.Nothing = ledger.Adoptions, false
	g := changing(v.Op, v.Claim.CloudID, v.Before, v.After, func(string) bool { return true })
	v.Graves = []ledger.Grave{g}
	return v
}

// madeByTandem reports whether an object may be written during a first adoption without a question: Tandem made it, or linked it in this adoption,
// which a person approved.
func madeByTandem(c Case) bool {
	if c.Row.Origin == ledger.Created || c.Row.Origin == ledger.Restored {
		return true
	}
	l := c.Row.Features[scoping.Base(c.Row.Kind)]
	return l != nil && l.Epoch.Compare(c.Standing.AdoptingSince) >= 0
}

// likeness describes the first of the objects that a new one looks like.
func likeness(alike []cloud.Object) string {
	o := alike[0]
	name := o.Values.First(cloud.DisplayName)
	if upn := o.Values.First(cloud.UPN); upn != "" {
		name += ", " + upn
	}
	out := fmt.Sprintf("looks like tenant object %s (%s): name both in a file of matches if they are one", o.ID, name)
	if len(alike) > 1 {
		out += fmt.Sprintf("; and like %d more", len(alike)-1)
	}
	return out
}

// alike returns the unlinked live objects of the tenant that have an identifying value of a new object: sign-in names, addresses and nicknames for
// any kind, display names for the same kind. g.mu is held.
func (g *Gate) alike(p engine.Proposal, want cloud.Values) (out []cloud.Object) {
	add := func(found []cloud.Object, sameKind bool) {
		for _, o := range found {
			if !g.o.Ledger.Links(o.ID) && (!sameKind || o.Kind == p.Kind) && !slices.ContainsFunc(out, func(x cloud.Object) bool { return x.ID == o.ID }) {
				out = append(out, o)
			}
		}
	}
	if o, ok := g.o.Cache.ByUPN(want.First(cloud.UPN)); ok {
		add([]cloud.Object{o}, false)
	}
	add(g.o.Cache.ByMail(want.First(cloud.Mail)), false)
	add(g.o.Cache.ByNickname(want.First(cloud.Nickname)), false)
	add(g.o.Cache.ByDisplayName(want.First(cloud.DisplayName), g.o.Ledger.Links), true)
	slices.SortFunc(out, func(a, b cloud.Object) int { return strings.Compare(a.ID, b.ID) })
	return out
}

// approvedAll reports whether a person approved all grave parts of a verdict.
func approvedAll(c Case, v Verdict) bool {
	return !slices.ContainsFunc(v.Graves, func(g ledger.Grave) bool { s, _ := c.said(g); return s != ledger.HoldApproved })
}
