package gate

import (
	"github.com/tandem-sync/tandem/orchestrator/standing"
	"github.com/tandem-sync/tandem/scoping"
)

// Safeguard names one check that a simulation leaves out, to prove that it would be missed. No configuration or command can set one.
type Safeguard string

// The safeguards that can be left out.
const (
	AttemptCheck    Safeguard = "owner and epoch before each attempt"   // invariant 1
	DeleteEvidence  Safeguard = "evidence of deletes"                   // D1
	LinkEvidence    Safeguard = "evidence of removed links"             // D3
	FreezeAdmission Safeguard = "a freeze that closes admission"        // waves
	StopAdmission   Safeguard = "a stop that closes admission"          // §11
	TombstoneOwner  Safeguard = "the owner of record of a tombstone"    // D1
	RestoreFirst    Safeguard = "restoring before creating"             // J1
	OneTransaction  Safeguard = "a cutover in one transaction"          // waves
	Unclaimed       Safeguard = "silence is not consent"                // P4
	ChosenOnly      Safeguard = "whom choices give to others"           // T1
	ChosenPlaces    Safeguard = "the record of what took an object"     // L1
	LeftAlone       Safeguard = "what does not last is left alone"      // S10
	CrashDoubts     Safeguard = "doubts that outlive their process"     // X3
	Thresholds      Safeguard = "thresholds"                            // D2
	PinnedGroups    Safeguard = "groups that freeze"                    // T3
	DomainsHeard    Safeguard = "verified domains are followed"         // J6
	BeforeImages    Safeguard = "before-images after a rollback"        // invariant 4
	TargetCompared  Safeguard = "agreement is compared with the tenant" // S2
	EndsCompared    Safeguard = "ends of references are compared"       // S6
	DeathsCompared  Safeguard = "deaths are compared"                   // S2, P4
	LeaversCompared Safeguard = "leavers are compared"                  // S2, T4
	ClaimsStored    Safeguard = "claims are durable before answers"     // S4
	RulesCompared   Safeguard = "claims of other rules are not good"    // S2
	SilenceKept     Safeguard = "nobody is asked in vain again"         // S2a
	ChangesNoted    Safeguard = "what changed is looked at again"       // S3
	OwnWritesLaid   Safeguard = "own writes over what the tenant shows" // S7
	MovedCompared   Safeguard = "whom a cutover gave is adopted"        // S5
	ReadingCompared Safeguard = "claims of older readings are not good" // S2
	SourceWatched   Safeguard = "what engines read is watched"          // S2
	PasswordOrder   Safeguard = "no older password after a newer one"   // flows §1
	PasswordDoubts  Safeguard = "the tenant ends doubts of passwords"   // P6
	PermitOnce      Safeguard = "one permit for a delivery, for ever"   // flows §0
	PermitJudged    Safeguard = "a permit is judged when it is asked"   // flows §0
	MastersChecked  Safeguard = "what was made of the tenant's objects" // flows §4
	SinkDoubts      Safeguard = "writes into a directory stay in doubt" // flows §4
	SinkController  Safeguard = "a doubt is ended by its controller"    // flows §4
	SinkLinks       Safeguard = "links that nobody of us wrote"         // flows §4
	SinkPersons     Safeguard = "persons are looked for in the domain"  // flows §4
	SinkEnabling    Safeguard = "enabling follows the source alone"     // flows §4
	SinkNames       Safeguard = "names are reserved until it is known"  // flows §4
	SinkOvertaken   Safeguard = "a lost enabling is not tried again"    // flows §4
	SinkLedger      Safeguard = "the ledger's link decides"             // flows §4
	LinksChecked    Safeguard = "links of the tenant's objects"         // flows §4
)

// The seams: each tells what is not done without its safeguard, and is called where that is done. There are no others.

// compares returns the facts that standing is derived from.
func (w Safeguard) compares(f standing.Facts) standing.Facts {
	switch w {
	case TargetCompared:
		if f.Claim != nil {
			f.Target = f.Claim.Target
		}
	case EndsCompared:
		f.End = func(scoping.ObjectID) standing.End { return standing.Left }
	case DeathsCompared:
		f.Known = f.Known && !f.Deleted
	case LeaversCompared:
		f.Recorded = f.Recorded && f.Owner != scoping.None
	case DomainsHeard:
		f.SignIn = nil
	case RulesCompared:
		f.Rules = 0
	case ReadingCompared:
		f.Changed = 0
	case MovedCompared:
		f.Record = f.Owner
	case MastersChecked:
		f.Mastered = false
	}
	return f
}

// KeepsSinkDoubts reports whether an unanswered write into a directory keeps further ones for the same object waiting.
func (w Safeguard) KeepsSinkDoubts() bool { return w != SinkDoubts }

// AsksItsController reports whether a doubt about a write into a directory is ended by the controller that it was sent to.
func (w Safeguard) AsksItsController() bool { return w != SinkController }

// HoldsLinks reports whether an object is held if it shows a link that Tandem did not write.
func (w Safeguard) HoldsLinks() bool { return w != SinkLinks }

// LooksForPersons reports whether accounts in the domain that may belong to the same person are held.
func (w Safeguard) LooksForPersons() bool { return w != SinkPersons }

// EnablesBySource reports whether an account is enabled only by the tenant's state of it.
func (w Safeguard) EnablesBySource() bool { return w != SinkEnabling }

// ReservesNames reports whether the names of an unanswered write are kept from other objects.
func (w Safeguard) ReservesNames() bool { return w != SinkNames }

// ChecksOvertaken reports whether an account that was changed by others after a lost enabling is not enabled again.
func (w Safeguard) ChecksOvertaken() bool { return w != SinkOvertaken }

// LedgerDecides reports whether an account is disabled whatever its link shows.
func (w Safeguard) LedgerDecides() bool { return w != SinkLedger }

// checksLinks reports whether an object that shows the link of an object of the tenant is not made there again.
func (w Safeguard) checksLinks() bool { return w != LinksChecked }

// checksMasters reports whether writes from the directory to the tenant leave alone what the other direction made.
func (w Safeguard) checksMasters() bool { return w != MastersChecked }

// keepsSilence reports whether an engine's silence about a key is remembered.
func (w Safeguard) keepsSilence() bool { return w != SilenceKept }

// Watches reports whether the census watches what engines read. Watching also makes up for lost claims, so it is left out together with storing them.
func (w Safeguard) Watches() bool { return w != SourceWatched && w != ClaimsStored }

// notes reports whether changes of the census are compared again.
func (w Safeguard) notes() bool { return w != ChangesNoted }

// lays reports whether an own write counts as shown before the tenant shows it.
func (w Safeguard) lays() bool { return w != OwnWritesLaid }

// stores reports whether a batch of claims is stored before its engine has an answer.
func (w Safeguard) stores(batch uint64) bool { return w != ClaimsStored || batch%2 == 0 }

// checksAttempts reports whether owner and epoch are compared again before each physical attempt.
func (w Safeguard) checksAttempts() bool { return w != AttemptCheck }

// provesDeletes reports whether a delete needs the host's own evidence, in Decide and again before it is sent.
func (w Safeguard) provesDeletes() bool { return w != DeleteEvidence }

// provesLinks reports whether a reference is removed only where the directory says so.
func (w Safeguard) provesLinks() bool { return w != LinkEvidence }

// freezes reports whether a freeze stops writes.
func (w Safeguard) freezes() bool { return w != FreezeAdmission }

// stops reports whether a stop stops writes.
func (w Safeguard) stops() bool { return w != StopAdmission }

// ownsTombstones reports whether only the owner of record may delete an object that is deleted in the directory.
func (w Safeguard) ownsTombstones() bool { return w != TombstoneOwner }

// restoresFirst reports whether an object that Tandem deleted is restored when it is wanted again.
func (w Safeguard) restoresFirst() bool { return w != RestoreFirst }

// checksChoices reports whether an engine does not own the objects of its subtree that choices assign to others.
func (w Safeguard) checksChoices() bool { return w != ChosenOnly }

// ordersPasswords reports whether a password older than the tenant's is deferred.
func (w Safeguard) ordersPasswords() bool { return w != PasswordOrder }

// asksPasswords reports whether a password in doubt counts as handed over only where the tenant confirms it.
func (w Safeguard) asksPasswords() bool { return w != PasswordDoubts }

// permitsOnce reports whether a permitted delivery is recognized when it comes again.
func (w Safeguard) permitsOnce() bool { return w != PermitOnce }

// judgesPermits reports whether a delivery is judged again when its engine is ready to write.
func (w Safeguard) judgesPermits() bool { return w != PermitJudged }

// leavesAlone reports whether a value that does not last in the tenant is given up at some point.
func (w Safeguard) leavesAlone() bool { return w != LeftAlone }

// doubtsAfterCrash reports whether an unanswered request of an earlier process may still arrive (Recover).
func (w Safeguard) doubtsAfterCrash() bool { return w != CrashDoubts }

// weighs reports whether grave writes over a threshold are held at the end of a run.
func (w Safeguard) weighs() bool { return w != Thresholds }

// CutsAtOnce reports whether a cutover is one transaction (wave/acts).
func (w Safeguard) CutsAtOnce() bool { return w != OneTransaction }

// CountsSilence reports whether an object that a target did not propose is a difference (plan).
func (w Safeguard) CountsSilence() bool { return w != Unclaimed }

// RecordsChoices reports whether the ledger is told the choices of an object when only these changed (objects).
func (w Safeguard) RecordsChoices() bool { return w != ChosenPlaces }

// PinsGroups reports whether membership of a selector's group is pinned when the group is deleted or emptied (census).
func (w Safeguard) PinsGroups() bool { return w != PinnedGroups }

// PutsBack reports whether a rollback writes the values from before its wave (wave/acts).
func (w Safeguard) PutsBack() bool { return w != BeforeImages }
