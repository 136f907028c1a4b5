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
	Known    bool // the host read it, as an object or as a tombstone
	Mastered bool // it was made of its linked object in the target: the other direction writes
	Deleted  bool
	Expected bool   // it will come into the target if an engine owns it
	Changed  uint64 // the reading that changed it last

	// What is in force.
	Owner string // scoping.None: no engine
	Last  string // the engine that may delete it once it is deleted in the source: its owner of record, or the engine of its last place
	Ran   bool   // the owner has run

	// What was agreed.
	Row      *ledger.Row // nil: it was never linked
	Record   string      // the writer of record, as transfers since have it
	Recorded bool
	InFlight bool // a write of it has no known answer
	Left     bool // its owner's rules leave it out
	Rejected bool // a person rejected its create
	Partial  bool // it agrees, except for an end that is deleted in the source and not yet in the target
	Answered bool // a person answered about it since its engine was asked

	Claim     *Claim                          // of the owner, or nil
	Rules     uint64                          // the owner's rules, as it declared them last; 0: unknown
	Target    uint64                          // cloud.Digest over the claim's attributes of the linked object, as the target shows it
	Unkept    uint64                          // UnkeptOf the values that are remembered as not lasting in the target, if the claim tells of such; 0: none
	Temporary bool                            // of a password: one that has to be changed at the next sign-in is handed over too
	SignIn    func(domain string) (as string) // the present replacement of a sign-in name's domain; nil: not compared
	End       func(scoping.ObjectID) End      // of references that were not in the target
}

// End is what can be done about an end of a reference that was not in the target when its claim was made (rule S6).
type End uint8

const (
	There End = iota + 1
	Waits     // it will be there, and is not yet
	Left      // it may never be
)

// Code is the name of a debt.
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

// Addressee is what can end a debt.
type Addressee uint8

const (
	OtherKey Addressee = iota // another key, which is owed itself
	Owner                     // its engine is asked for the object
	Person
	Time // a write has no end yet
)

// Debt is why a key is not settled.
type Debt struct {
	Code     Code
	To       Addressee
	Engine   string // the engine that is asked
	Timed    bool   // it may change by time alone, also by a clock that is set back
	Expected bool   // of Unasked: the source changed since the engine's claim, and its next run is expected to report it without being asked
}

// Of returns what is owed for a key. It is pure and complete: without a debt nothing is owed (rules S1, S2).
func Of(f Facts) Debt {
	base := f.Feature == scoping.Base(f.Kind) || f.Feature.Provisions()
	switch {
	case !f.Known:
		return Debt{} // until it is read
	case f.Mastered:
		return Debt{}
	case f.InFlight:
		return Debt{Code: InFlight, To: Time, Engine: f.Owner}
	case f.Deleted:
		return deleted(f, base)
	case f.Owner == scoping.None:
		return left(f, base)
	case !f.Ran && f.Claim == nil:
		return Debt{} // its first run is a full one
	case !base && (f.Row == nil || f.Row.State != ledger.Live || f.Left && f.Claim == nil):
		return Debt{} // the base feature answers for it
	case f.Row == nil && !f.Expected:
		return Debt{}
	}
	return living(f, base)
}

// deleted is the debt of an object that is deleted in the source: its delete, by the engine that wrote it last (rule L1).
func deleted(f Facts, base bool) Debt {
	if !base || f.Row == nil || f.Last == scoping.None || (f.Row.State != ledger.Live && f.Row.State != ledger.ParkedRow) {
		return Debt{}
	}
	return Debt{Code: Died, To: Owner, Engine: f.Last}
}

// left is the debt of an object that moved to where no engine writes: its last values or its delete, by the engine that wrote it last (rules T2, T4).
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
	case !c.Good(f.Changed, f.Rules) && base && f.Row != nil && f.Row.State == ledger.DeletedByTandem:
		return ask(Returned)
	case !c.Good(f.Changed, f.Rules):
		d := ask(Unasked)
		d.Expected = c.Good(0, f.Rules)
		return d
	case f.Answered:
		return ask(Answered)
	case c.Want == engine.Unknown && f.Now-c.At >= Patience.Milliseconds():
		return Debt{Code: Unasked, To: Owner, Engine: f.Owner, Timed: true}
	case c.Want == engine.Unknown:
		return Debt{Code: Unclaimed, To: Person, Engine: f.Owner, Timed: true}
	case f.SignIn != nil && c.SignIn.Domain != "" && f.SignIn(c.SignIn.Domain) != c.SignIn.As:
		return ask(Unasked)
	case f.Temporary && c.Want == engine.Present && c.Agrees && len(c.Attrs) == 0: // it was left out under another policy
		return ask(Unasked)
	case c.Want == engine.Excluded && c.Agrees:
		return Debt{}
	case f.Rejected && c.Agrees && (f.Row == nil || base && f.Row.State == ledger.DeletedByTandem): // what the engine wants was rejected; until it said so, its wish may be another one (rule S9)
		return Debt{}
	case f.Row == nil && c.Person && f.Now-c.At < Patience.Milliseconds(): // no change of what it found would be noticed
		return Debt{Code: Differs, To: Person, Engine: f.Owner, Timed: true}
	case f.Row == nil:
		return Debt{Code: Differs, To: Owner, Engine: f.Owner, Timed: c.Person}
	case f.Row.State == ledger.DeletedByOthers:
		return Debt{Code: Differs, To: Person, Engine: f.Owner}
	case !c.Agrees && f.Partial && c.Person && f.Target == c.Target && f.Now-c.At < Patience.Milliseconds():
		return Debt{Code: EndWaits, To: OtherKey, Engine: f.Owner, Timed: true} // its end is owed
	case !c.Agrees && f.Partial:
		return Debt{Code: EndWaits, To: Owner, Engine: f.Owner, Timed: c.Person}
	case !c.Agrees && c.Person && f.Target == c.Target:
		return Debt{Code: Differs, To: Person, Engine: f.Owner}
	case !c.Agrees, c.Unkept != 0 && c.Unkept != f.Unkept: // that the values did not last is not remembered any more: another engine wrote it since
		return ask(Differs)
	case f.Target != c.Target:
		return ask(Foreign)
	case slices.ContainsFunc(c.Waits, func(id scoping.ObjectID) bool { return f.End(id) == There }):
		return ask(EndCame)
	case f.Recorded && f.Record != f.Owner && len(c.Attrs) > 0,
		base && f.Row.State == ledger.ParkedRow: // it was where no engine writes, and its new owner wants it as it is
		return ask(Moved)
	case slices.ContainsFunc(c.Waits, func(id scoping.ObjectID) bool { return f.End(id) == Waits }):
		return Debt{Code: EndWaits, To: OtherKey, Engine: f.Owner}
	}
	return Debt{}
}

// Answered reports whether the engine was asked and its answer, which did not settle the key, tells why it is owed.
func (d Debt) Answered() bool {
	return d.Code == Differs || d.Code == EndWaits || d.Code == Died || d.Code == Leaves
}

// Sentence returns for people why something is owed.
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
