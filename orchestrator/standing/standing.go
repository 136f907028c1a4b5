package standing

import (
	"slices"

	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// Facts are what is known of one key, read from one version of all memories.
type Facts struct {
	Kind    scoping.Kind
	Feature scoping.Feature
	Now     int64 // Unix ms

	// The source.
	Known    bool // the host saw it, living or as a tombstone
	Mastered bool // it was made of the object in the target that it is linked to: the other direction writes
	Gone     bool
	Expected bool   // some engine will bring it into the target, if it has an owner
	Changed  uint64 // the reading that changed it last

	// What is in force.
	Owner string // scoping.None: no engine
	Last  string // who may delete what is gone: its owner of record, or the engine of its last place
	Ran   bool   // the owner has run

	// What was agreed.
	Row      *ledger.Row // nil: it was never linked
	Record   string      // the writer of record, as transfers since have it
	Recorded bool
	InFlight bool // a write of it has no answer yet, or none that anybody knows
	Left     bool // its owner's rules leave it out
	Rejected bool // a person rejected its create
	Partial  bool // all of it is in the target but what an end keeps back that died in the source and is not deleted in the target yet
	Answered bool // a person answered about it since its engine was asked

	Claim     *Claim                          // of the owner, nil for none
	Rules     uint64                          // the owner's rules, as it said last; 0: it did not say yet
	Target    uint64                          // Digest over the claim's attributes of the linked object, as the target shows it
	Unkept    uint64                          // UnkeptOf what is remembered of this key as not lasting in the target; 0: nothing
	Temporary bool                            // of a password: also one that has to be changed at the next sign-in is handed over
	SignIn    func(domain string) (as string) // what the host makes of the domain of a sign-in name now; nil: nothing
	End       func(scoping.ObjectID) End      // of references that were not in the target
}

// End says what can be done about an end of a reference that was not in the target when its claim was made (rule S6).
type End uint8

// The ends.
const (
	There End = iota + 1
	Waits     // it will be there, and is not yet
	Left      // nobody knows whether it will be
)

// Code names a debt.
type Code string

// The debts. Each has a sentence in Sentence.
const (
	Settled   Code = ""
	Unasked   Code = "unasked"
	Unclaimed Code = "unclaimed"
	Differs   Code = "differs"
	Foreign   Code = "foreign"
	Moved     Code = "moved"
	Died      Code = "died"
	Leaves    Code = "leaves"
	Returned  Code = "returned"
	EndCame   Code = "end-came"
	Answered  Code = "answered"
	EndWaits  Code = "end-waits"
	InFlight  Code = "in-flight"
)

// Addressee is who has to do something about a debt.
type Addressee uint8

// The addressees.
const (
	Nobody Addressee = iota // another key, which is owed itself
	Owner                   // its engine is asked for the object
	Person
	Time // a write has no end yet
)

// Debt is why a key is not settled.
type Debt struct {
	Code   Code
	To     Addressee
	Engine string // whom it is addressed to, if that is an engine
	Timed  bool   // time alone may make it another one, also a clock that is set back
	News   bool   // of what is unasked: its engine said what it wants by its present rules, and the source changed since; its next run is to say more by itself
}

// Of says what is owed for a key. It is pure, and complete: what it does not say is not owed (rules S1, S2).
func Of(f Facts) Debt {
	base := f.Feature == scoping.Base(f.Kind) || f.Feature.Provisions()
	switch {
	case !f.Known:
		return Debt{} // until it is read
	case f.Mastered:
		return Debt{}
	case f.InFlight:
		return Debt{Code: InFlight, To: Time, Engine: f.Owner}
	case f.Gone:
		return gone(f, base)
	case f.Owner == scoping.None:
		return left(f, base)
	case !f.Ran && f.Claim == nil:
		return Debt{} // its first run is a full one
	case !base && (f.Row == nil || f.Row.State != ledger.Live || f.Left && f.Claim == nil):
		return Debt{} // the base answers for it
	case f.Row == nil && (!f.Expected || f.Rejected):
		return Debt{}
	}
	return living(f, base)
}

// gone is owed for what died in the source: its delete, by who wrote it last (rule L1).
func gone(f Facts, base bool) Debt {
	if !base || f.Row == nil || f.Last == scoping.None || (f.Row.State != ledger.Live && f.Row.State != ledger.ParkedRow) {
		return Debt{}
	}
	return Debt{Code: Died, To: Owner, Engine: f.Last}
}

// left is owed for what went where no engine writes: its last values, or its end, by who wrote it last (rules T2, T4).
func left(f Facts, base bool) Debt {
	if !base || f.Row == nil || f.Row.State != ledger.Live || !f.Recorded || f.Record == scoping.None {
		return Debt{}
	}
	return Debt{Code: Leaves, To: Owner, Engine: f.Record}
}

func living(f Facts, base bool) Debt {
	ask := func(c Code) Debt { return Debt{Code: c, To: Owner, Engine: f.Owner} }
	c := f.Claim
	switch {
	case !c.Good(f.Changed, f.Rules) && base && f.Row != nil && f.Row.State == ledger.DeletedByTandem && f.Rejected:
		return Debt{}
	case !c.Good(f.Changed, f.Rules) && base && f.Row != nil && f.Row.State == ledger.DeletedByTandem:
		return ask(Returned)
	case !c.Good(f.Changed, f.Rules):
		d := ask(Unasked)
		d.News = c.Good(0, f.Rules)
		return d
	case f.Answered:
		return ask(Answered)
	case c.Want == engine.Unknown && f.Now-c.At >= Patience.Milliseconds():
		return Debt{Code: Unasked, To: Owner, Engine: f.Owner, Timed: true}
	case c.Want == engine.Unknown:
		return Debt{Code: Unclaimed, To: Person, Engine: f.Owner, Timed: true}
	case f.SignIn != nil && c.SignIn.Domain != "" && f.SignIn(c.SignIn.Domain) != c.SignIn.As:
		return ask(Unasked)
	case f.Temporary && c.Want == engine.Present && c.Agrees && len(c.Attrs) == 0: // it was left out, by another policy
		return ask(Unasked)
	case c.Want == engine.Excluded && c.Agrees:
		return Debt{}
	case f.Row == nil && c.Person && f.Now-c.At < Patience.Milliseconds(): // of what it found nothing else tells when it changes
		return Debt{Code: Differs, To: Person, Engine: f.Owner, Timed: true}
	case f.Row == nil:
		return Debt{Code: Differs, To: Owner, Engine: f.Owner, Timed: c.Person}
	case f.Row.State == ledger.DeletedByOthers:
		return Debt{Code: Differs, To: Person, Engine: f.Owner}
	case !c.Agrees && f.Partial && c.Person && f.Target == c.Target && f.Now-c.At < Patience.Milliseconds():
		return Debt{Code: EndWaits, To: Nobody, Engine: f.Owner, Timed: true} // its end is owed
	case !c.Agrees && f.Partial:
		return Debt{Code: EndWaits, To: Owner, Engine: f.Owner, Timed: c.Person}
	case !c.Agrees && c.Person && f.Target == c.Target:
		return Debt{Code: Differs, To: Person, Engine: f.Owner}
	case !c.Agrees, c.Unkept != 0 && c.Unkept != f.Unkept: // what it was left alone for is remembered no more: another engine wrote it meanwhile
		return ask(Differs)
	case f.Target != c.Target:
		return ask(Foreign)
	case slices.ContainsFunc(c.Waits, func(id scoping.ObjectID) bool { return f.End(id) == There }):
		return ask(EndCame)
	case f.Recorded && f.Record != f.Owner && len(c.Attrs) > 0,
		base && f.Row.State == ledger.ParkedRow: // it lay where no engine writes, and was given to one with everything as that one wants it
		return ask(Moved)
	case slices.ContainsFunc(c.Waits, func(id scoping.ObjectID) bool { return f.End(id) == Waits }):
		return Debt{Code: EndWaits, To: Nobody, Engine: f.Owner}
	}
	return Debt{}
}

// Answered reports whether its engine was asked, and the answer to it, which settled nothing, says why it is owed.
func (d Debt) Answered() bool {
	return d.Code == Differs || d.Code == EndWaits || d.Code == Died || d.Code == Leaves
}

// Sentence says of a debt, for people, why it is owed.
func (c Code) Sentence() string {
	switch c {
	case Unasked:
		return "its engine did not say yet what it wants since the directory or its owner changed"
	case Unclaimed:
		return "its engine was asked and did not say what it wants"
	case Differs:
		return "what its engine wants is not in the tenant"
	case Foreign:
		return "the tenant shows a change by somebody else"
	case Moved:
		return "it belongs to another engine than the one that wrote it last"
	case Died:
		return "it died in the directory and is still in the tenant"
	case Leaves:
		return "it went to where no engine writes, and the engine that wrote it last did not see it off yet"
	case Returned:
		return "it lives in the directory, and was deleted in the tenant"
	case Answered:
		return "a person answered about it"
	case EndWaits:
		return "an object that it refers to is not in the tenant yet"
	case InFlight:
		return "a write of it has no answer yet"
	case EndCame:
		return "an object that it refers to came into the tenant"
	}
	return ""
}
