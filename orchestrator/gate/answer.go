package gate

import (
	"slices"

	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// said returns how a person answered a grave write of the case's object, and in which held set.
func (c Case) said(g ledger.Grave) (ledger.HoldState, string) {
	if c.Answered == nil {
		return ledger.HoldOpen, ""
	}
	return c.Answered(g)
}

// deletion is the grave part of a delete. why keeps different questions about deletes of one object apart.
func deletion(c Case, why string) ledger.Grave {
	g := ledger.Grave{Op: "delete", Detail: why}
	if c.Row != nil {
		g.Target = c.Row.CloudID
	}
	return g
}

// parting is the grave part of a reference that is removed: the pair of holder and end.
func parting(c Case, op, end string) ledger.Grave {
	return ledger.Grave{Op: op, Target: c.Row.CloudID, End: end}
}

// changing is the grave part of an update: its grave attributes, in order of their names.
func changing(op, target string, before, set cloud.Values, grave func(name string) bool) ledger.Grave {
	g := ledger.Grave{Op: op, Target: target}
	for _, k := range sortedKeys(set) {
		if grave(k) {
			g.Changes = append(g.Changes, ledger.Change{Attribute: k, Old: before[k], New: set[k]})
		}
	}
	return g
}

// answered applies a person's answers to the grave parts of a verdict: approved parts are marked, rejected ones left out. Where nothing else is left,
// the key counts as settled until the grave part changes (standing S9).
func answered(c Case, v Verdict) Verdict {
	if v.Class == ledger.Ordinary || len(v.Writes) == 0 && v.Ask == "" {
		return v
	}
	if len(v.Graves) == 0 { // a class without grave parts: the question is about the write as such
		v.Graves = []ledger.Grave{{Op: v.Op, Target: v.Writes[0].CloudID}}
	}
	v.Approved = make([]string, len(v.Graves))
	rejected := ""
	for i, g := range v.Graves {
		switch s, id := c.said(g); s {
		case ledger.HoldApproved:
			v.Approved[i] = id
		case ledger.HoldRejected:
			rejected = id
		}
	}
	if rejected == "" || v.Class == ledger.Memberships { // rejected pairs were left out before (kept)
		return v
	}
	if rest, some := v.without(v.Graves[0]); some {
		return rest
	}
	return refusedByPerson(rejected)
}

// refusedByPerson answers a proposal that a person rejected. No record is written unless the key was owed.
func refusedByPerson(id string) Verdict {
	v := answer(engine.Refused, CodeRejected, "held set "+id+" was rejected: `tandem held forget "+id+"` lets it be judged again")
	v.Nothing = true
	return v
}

// without returns an update without its grave attributes: rejecting those says nothing about the others.
func (v Verdict) without(g ledger.Grave) (Verdict, bool) {
	if v.Op != "update" || len(v.Writes) != 1 || (v.Class != ledger.Destructive && v.Class != ledger.SignIns) {
		return v, false
	}
	w := v.Writes[0]
	w.Set, v.After = cloud.Values{}, cloud.Values{}
	for k, x := range v.Writes[0].Set {
		if !slices.ContainsFunc(g.Changes, func(c ledger.Change) bool { return c.Attribute == k }) {
			w.Set[k], v.After[k] = x, x
		}
	}
	v.Writes, v.Class, v.Graves, v.Approved = []cloud.Write{w}, ledger.Ordinary, nil, nil
	return v, len(w.Set) > 0
}

// await parks a verdict until its run ends, unless a person rejected every grave part of it.
func await(c Case, v Verdict) Verdict {
	rejected := ""
	for _, g := range v.Graves {
		s, id := c.said(g)
		if s != ledger.HoldRejected {
			return v
		}
		rejected = id
	}
	if rejected == "" {
		return v
	}
	no := refusedByPerson(rejected)
	if c.Standing.Farewell && c.Standing.Owner == scoping.None { // it stays in the tenant without an owner
		no.Outcome, no.Nothing = engine.Unchanged, false
		no.Claim = &ledger.Claim{Owner: scoping.None, State: ledger.ParkedRow, Place: c.Sight.Parent, Chain: c.Sight.Chain, Chosen: c.Sight.Chosen, Version: c.Sight.Version}
	}
	return no
}

// kept removes the ends whose removal a person rejected.
func kept(c Case, op string, ends []string) []string {
	return slices.DeleteFunc(slices.Clone(ends), func(id string) bool {
		s, _ := c.said(parting(c, op, id))
		return s == ledger.HoldRejected
	})
}

// ordinary returns the number of a verdict's writes that precede the grave ones: of memberships, the additions.
func (v Verdict) ordinary() int {
	if v.Class != ledger.Memberships {
		return 0
	}
	return len(v.Writes) - len(v.Graves)
}

// of returns the class of write i, the digest of its grave part ("" if it has none), and whether a person approved it.
func (v Verdict) of(i int) (class ledger.Class, digest string, approved bool) {
	n := 0
	switch {
	case len(v.Graves) == 0:
		return v.Class, "", false
	case v.Class == ledger.Memberships:
		if n = i - v.ordinary(); n < 0 {
			return ledger.Ordinary, "", false
		}
	case i < len(v.Writes)-1:
		return v.Class, "", v.approved(0)
	}
	return v.Class, v.Graves[n].Digest(), v.approved(n)
}

func (v Verdict) approved(i int) bool { return i < len(v.Approved) && v.Approved[i] != "" }

// admitted reduces a verdict to the grave parts whose digests are in through: those that thresholds and people let pass. Memberships pass one by one,
// everything else as a whole.
func (v Verdict) admitted(through map[string]bool) Verdict {
	adds := v.ordinary()
	out := v
	out.Writes, out.Graves, out.Approved = slices.Clone(v.Writes[:adds]), nil, nil
	for i, g := range v.Graves {
		if !through[g.Digest()] {
			continue
		}
		if v.Class != ledger.Memberships {
			return v
		}
		out.Writes, out.Graves, out.Approved = append(out.Writes, v.Writes[adds+i]), append(out.Graves, g), append(out.Approved, v.Approved[i])
	}
	held := len(v.Graves) - len(out.Graves)
	if held == 0 {
		return v
	}
	out.Outcome, out.Code, out.Closed = engine.Held, CodeThreshold, false
	out.Reason = "part of a held set of " + string(v.Class)
	if len(out.Writes) > 0 {
		out.Reason = plural(held, "of its removals is", "of its removals are") + " " + out.Reason
		return out
	}
	return Verdict{Outcome: out.Outcome, Code: out.Code, Reason: out.Reason, Op: v.Op, Before: v.Before, After: v.After}
}
