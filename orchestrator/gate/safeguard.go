package gate

import (
	"github.com/tandem-sync/tandem/orchestrator/standing"
	"github.com/tandem-sync/tandem/scoping"
)

// Safeguard names one check that a simulation leaves out, to prove that it would be missed. Nothing else sets one: there is no way to do so from
// a configuration or a command.
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
	FrozenGroups    Safeguard = "groups that freeze"                    // T3
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
	MastersHeeded   Safeguard = "what was made of the tenant's objects" // flows §4
	SinkDoubts      Safeguard = "writes into a directory stay in doubt" // flows §4
	SinkController  Safeguard = "a doubt is ended by its controller"    // flows §4
	SinkLinks       Safeguard = "links that nobody of us wrote"         // flows §4
	SinkPersons     Safeguard = "persons are looked for in the domain"  // flows §4
	SinkEnabling    Safeguard = "enabling follows the source alone"     // flows §4
	SinkNames       Safeguard = "names are reserved until it is known"  // flows §4
	SinkOvertaken   Safeguard = "a lost enabling is not tried again"    // flows §4
	SinkLedger      Safeguard = "the ledger's link decides"             // flows §4
	LinksHeeded     Safeguard = "links of the tenant's objects"         // flows §4
)

// What follows are the seams: each says what is not done without its safeguard, and is asked where that is done. There are no others.

// compares returns the facts that standing is worked out from.
func (w Safeguard) compares(f standing.Facts) standing.Facts {
	switch w {
	case TargetCompared:
		if f.Claim != nil {
			f.Target = f.Claim.Target
		}
	case EndsCompared:
		f.End = func(scoping.ObjectID) standing.End { return standing.Left }
	case DeathsCompared:
		f.Known = f.Known && !f.Gone
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
	case MastersHeeded:
		f.Mastered = false
	}
	return f
}

// KeepsSinkDoubts reports whether a write into a directory without an answer keeps another one for the same object waiting.
func (w Safeguard) KeepsSinkDoubts() bool { return w != SinkDoubts }

// AsksItsController reports whether a doubt about a write into a directory is ended by the controller that it was sent to.
func (w Safeguard) AsksItsController() bool { return w != SinkController }

// HoldsLinks reports whether an object that shows a link which no write of ours made is held.
func (w Safeguard) HoldsLinks() bool { return w != SinkLinks }

// LooksForPersons reports whether somebody in the domain who may be the person is held.
func (w Safeguard) LooksForPersons() bool { return w != SinkPersons }

// EnablesBySource reports whether an account is enabled only by what the tenant says.
func (w Safeguard) EnablesBySource() bool { return w != SinkEnabling }

// ReservesNames reports whether the names of a write without an answer are nobody else's.
func (w Safeguard) ReservesNames() bool { return w != SinkNames }

// HeedsOvertaken reports whether an account that somebody wrote to after a lost enabling is not enabled again.
func (w Safeguard) HeedsOvertaken() bool { return w != SinkOvertaken }

// LedgerDecides reports whether an account is disabled whatever its link shows.
func (w Safeguard) LedgerDecides() bool { return w != SinkLedger }

// heedsLinks reports whether what shows the link of an object of the tenant is not made again there.
func (w Safeguard) heedsLinks() bool { return w != LinksHeeded }

// heedsMasters reports whether the way from the directory to the tenant leaves alone what the other way made.
func (w Safeguard) heedsMasters() bool { return w != MastersHeeded }

// keepsSilence reports whether it is kept that an engine was asked in vain.
func (w Safeguard) keepsSilence() bool { return w != SilenceKept }

// Watches reports whether the census watches what engines read. That heals also the loss of a claim, so that it goes with claims that are not stored.
func (w Safeguard) Watches() bool { return w != SourceWatched && w != ClaimsStored }

// notes reports whether what the census says anew is compared again.
func (w Safeguard) notes() bool { return w != ChangesNoted }

// lays reports whether an own write counts as shown before the tenant shows it.
func (w Safeguard) lays() bool { return w != OwnWritesLaid }

// stores reports whether a batch of claims is stored before its engine has an answer.
func (w Safeguard) stores(batch uint64) bool { return w != ClaimsStored || batch%2 == 0 }

// checksAttempts reports whether owner and epoch are compared again before each physical attempt (Session, before it sends).
func (w Safeguard) checksAttempts() bool { return w != AttemptCheck }

// provesDeletes reports whether a delete needs the host's own evidence, in Decide and again before it is sent.
func (w Safeguard) provesDeletes() bool { return w != DeleteEvidence }

// provesLinks reports whether a reference is removed only where the directory says so.
func (w Safeguard) provesLinks() bool { return w != LinkEvidence }

// freezes reports whether a freeze keeps writes back.
func (w Safeguard) freezes() bool { return w != FreezeAdmission }

// stops reports whether a stop keeps writes back.
func (w Safeguard) stops() bool { return w != StopAdmission }

// ownsTombstones reports whether only the owner of record may delete what is deleted in the directory.
func (w Safeguard) ownsTombstones() bool { return w != TombstoneOwner }

// restoresFirst reports whether what Tandem deleted is restored when it is wanted again.
func (w Safeguard) restoresFirst() bool { return w != RestoreFirst }

// heedsChoices reports whether an engine that owns others of a subtree does not own those that choices give away.
func (w Safeguard) heedsChoices() bool { return w != ChosenOnly }

// ordersPasswords reports whether a password that is older than the tenant's is put off.
func (w Safeguard) ordersPasswords() bool { return w != PasswordOrder }

// asksPasswords reports whether a password in doubt counts as handed over only where the tenant says so.
func (w Safeguard) asksPasswords() bool { return w != PasswordDoubts }

// permitsOnce reports whether a delivery that was permitted is known again.
func (w Safeguard) permitsOnce() bool { return w != PermitOnce }

// judgesPermits reports whether a delivery is judged again when its engine is ready to write.
func (w Safeguard) judgesPermits() bool { return w != PermitJudged }

// leavesAlone reports whether a value that does not last in the tenant is not written for ever.
func (w Safeguard) leavesAlone() bool { return w != LeftAlone }

// doubtsAfterCrash reports whether a request that an earlier process left without an answer may still arrive (Recover).
func (w Safeguard) doubtsAfterCrash() bool { return w != CrashDoubts }

// weighs reports whether grave writes over a threshold are held at the end of a run.
func (w Safeguard) weighs() bool { return w != Thresholds }

// CutsAtOnce reports whether a cutover is one transaction (wave/acts).
func (w Safeguard) CutsAtOnce() bool { return w != OneTransaction }

// CountsSilence reports whether what a target did not propose is a difference (plan).
func (w Safeguard) CountsSilence() bool { return w != Unclaimed }

// RecordsChoices reports whether the ledger is told which choices take an object when only they changed (objects).
func (w Safeguard) RecordsChoices() bool { return w != ChosenPlaces }

// FreezesGroups reports whether a selector's group that vanishes or empties moves nobody (census).
func (w Safeguard) FreezesGroups() bool { return w != FrozenGroups }

// PutsBack reports whether a rollback writes the values from before its wave (wave/acts).
func (w Safeguard) PutsBack() bool { return w != BeforeImages }
