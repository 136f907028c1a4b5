package objects

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/tandem-sync/tandem/orchestrator/gate"
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/standing"
	"github.com/tandem-sync/tandem/plugins/expression"
	"github.com/tandem-sync/tandem/scoping"
)

// Reason is the code of why a living object of the directory is not in the tenant, or is left alone there: one of these, or the code of an engine's rule.
type Reason string

// The reasons of the host's own.
const (
	LeftUnmanaged     Reason = "unmanaged"       // the policy gives it to no engine
	LeftNotSwitchedOn Reason = "not-switched-on" // the policy does not switch on what brings its kind
	LeftRejected      Reason = "create-rejected" // a person rejected that it is made
	LeftUnclaimed     Reason = "unclaimed"       // its engine does not speak of it
)

var leftSentences = map[Reason]string{
	LeftUnmanaged:     "the policy gives it to no engine",
	LeftNotSwitchedOn: "the policy does not switch on the feature that brings its kind",
	LeftRejected:      "a person rejected that it is made in the tenant",
	LeftUnclaimed:     "its engine was asked and does not speak of it",
}

// Sentence returns the reason in words for administrators.
func (r Reason) Sentence() string {
	return cmp.Or(leftSentences[r], expression.Reason(string(r)), "its engine's rules leave it out")
}

// Left is a living object of a directory that is left out, and why.
type Left struct {
	Object scoping.ObjectID
	Kind   scoping.Kind
	Engine string // that leaves it out; empty: no engine is asked
	Reason Reason
	Linked bool // it is in the tenant, and left alone there
}

// AllLeft returns the living objects of all directories that are left out, in order.
func (v *View) AllLeft() []Left { return v.left(v.living(), v.Owed()) }

// RuledOut returns those among them that the rules of their engine leave out. It looks at no other object.
func (v *View) RuledOut() []Left {
	var ids []scoping.ObjectID
	v.gate.Read(func(s *ledger.State) { ids = slices.Collect(maps.Keys(s.Excluded)) })
	return slices.DeleteFunc(v.left(ids, nil), func(x Left) bool { return x.Engine == "" })
}

// LeftObject returns why one object is left out; false: it is not.
func (v *View) LeftObject(id scoping.ObjectID) (Left, bool) {
	out := v.left([]scoping.ObjectID{id}, v.gate.DebtsOf(id))
	if len(out) == 0 {
		return Left{}, false
	}
	return out[0], true
}

func (v *View) left(ids []scoping.ObjectID, debts map[ledger.Key]standing.Debt) (out []Left) {
	auth := v.gate.Authority()
	if auth.Partition == nil {
		return nil // nothing is in force that could leave anything out
	}
	ids = distinct(ids)
	v.gate.Read(func(s *ledger.State) {
		for _, id := range ids {
			if x, is := v.leftOf(s, auth, id, debts); is {
				out = append(out, x)
			}
		}
	})
	return out
}

// leftOf reports whether one object is left out, and why.
func (v *View) leftOf(s *ledger.State, auth gate.Authority, id scoping.ObjectID, debts map[ledger.Key]standing.Debt) (Left, bool) {
	sight := v.census.Brief(id)
	base := scoping.Base(sight.Kind)
	if !sight.Known || sight.Deleted || base == "" {
		return Left{}, false
	}
	row := s.Rows.Get(id)
	if row != nil && row.Cloud != 0 {
		return Left{}, false // it was made of an object of the tenant
	}
	x := Left{Object: id, Kind: sight.Kind, Linked: row != nil && (row.State == ledger.Live || row.State == ledger.ParkedRow)}
	owner := auth.Owner(sight.Place(id.Directory), sight.Kind, base).Engine
	switch {
	case !auth.Partition.On(base):
		x.Reason = LeftNotSwitchedOn
	case owner == scoping.None || owner == "":
		x.Reason = LeftUnmanaged
	case s.Excluded[id] != "":
		x.Engine, x.Reason = owner, Reason(s.Excluded[id])
	case !x.Linked && s.CreateRejected(id):
		x.Engine, x.Reason = owner, LeftRejected
	case debts[ledger.Key{Object: id, Feature: base}].Code == standing.Unclaimed:
		x.Engine, x.Reason = owner, LeftUnclaimed
	}
	return x, x.Reason != ""
}

// String returns in words why the object is left out.
func (x Left) String() string {
	out := fmt.Sprintf("%s: %s", x.Reason, x.Reason.Sentence())
	if x.Linked {
		out += "; it stays in the tenant as it is"
	}
	return out
}
