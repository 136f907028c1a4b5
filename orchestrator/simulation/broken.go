package simulation

import (
	"slices"

	"github.com/tandem-sync/tandem/orchestrator/gate"
)

// The broken variants. Each takes one safeguard out: some at a seam of the simulator, some by gate.Safeguard. A simulation that does not notice is worth
// nothing.
const (
	CookieTooEarly   Broken = "cookie saved before the proposals are stored"  // P3
	ToldTooEarly     Broken = "decisions believed before they are durable"    // P1
	DoubtIsFailure   Broken = "no answer taken for a failure"                 // P6
	CreateWithoutKey Broken = "creates without a key that the tenant keeps"   // J3
	LaggardBelieved  Broken = "deletes by absence"                            // D1
	LinksUnproved    Broken = "membership removed without evidence"           // D3
	AttemptUnchecked Broken = "no check of owner and epoch before an attempt" // invariant 1
	FreezeOpen       Broken = "freeze that does not stop admission"           // waves
	StopOpen         Broken = "stop that does not stop admission"             // §11
	RecordIgnored    Broken = "owner of record ignored for tombstones"        // L1, D1
	NewInsteadOfOld  Broken = "created anew instead of restored"              // J1
	TwoTransactions  Broken = "cutover in two transactions"                   // waves
	SilenceIsConsent Broken = "silence as consent"                            // P4
	NearMayWrite     Broken = "whoever owns some of a container writes all"   // T1
	PlacesForgotten  Broken = "transfers that do not know whom choices took"  // L1
	OthersUnheard    Broken = "foreign writes of which nobody hears"          // P2
	NeverLeftAlone   Broken = "writes that never last and never end"          // S10
	ClockBelieved    Broken = "a wall clock taken for elapsed time"           // P6
	StepsEndDoubts   Broken = "doubts that a step of the clock ends"          // P6
	DoubtsForgotten  Broken = "no doubt outlives its process"                 // X3
	FailureIsSuccess Broken = "a failed durable step taken for done"          // X1
	NoThreshold      Broken = "grave writes without a limit"                  // D2
	HollowBelieved   Broken = "an empty group that chooses nobody"            // T3
	DomainsUnheard   Broken = "verified domains of which nobody hears"        // J6
	TenantUnmarked   Broken = "a tenant whose mark nobody keeps"              // H1
	NothingPutBack   Broken = "a rollback that puts nothing back"             // invariant 4
	ApprovalResumes  Broken = "an approval that ends a pause"                 // S9
	EndsUnseen       Broken = "ends that come and nobody looks"               // S6
	DeathsUnseen     Broken = "deaths of which only engines tell"             // S2
	LeaversUnseen    Broken = "who leaves and nobody sees off"                // T4
	ClaimsUnstored   Broken = "answers before the claim is durable"           // S4
	RulesIgnored     Broken = "claims of whatever rules"                      // S2
	AskedForEver     Broken = "engines that are asked in vain for ever"       // S2a
	ChangesUnnoted   Broken = "changes that the index does not hear of"       // S3
	ReadingsIgnored  Broken = "claims of whatever reading"                    // S2
	OwnUnshown       Broken = "own writes that a lagging tenant hides"        // S7
	MovedUnseen      Broken = "whom a cutover gave and nobody adopts"         // S5
	LossesUnseen     Broken = "news that engines lose and nobody misses"      // S2
	OlderPasswords   Broken = "an older password over a newer one"            // flows §1
	NeverArrived     Broken = "a password settled that never arrived"         // P6
	SecretsWritten   Broken = "a secret in a record"                          // X4
	DeliveredTwice   Broken = "an event that is delivered twice"              // flows §0
	PermitsUnjudged  Broken = "a permit after the cutover"                    // flows §0

	MastersUnchecked Broken = "what the tenant feeds is fed back" // flows §4, as those that follow
	SinkForgets      Broken = "a lost write that is forgotten"
	OtherReadsBack   Broken = "a read-back at another controller"
	PlantedBelieved  Broken = "a planted link of which nobody is asked"
	PersonsDoubled   Broken = "a person who is there and is made again"
	SecurityUndone   Broken = "an account that is enabled over security"
	OvertakenIgnored Broken = "a lost enabling that is tried again"
	LinkMustShow     Broken = "leavers who stay, since their link was taken away"
	WrittenAnyway    Broken = "a write without its conditions"
)

// fromCloud are the variants of the other direction.
var fromCloud = []Broken{MastersUnchecked, SinkForgets, OtherReadsBack, PlantedBelieved, PersonsDoubled, SecurityUndone, OvertakenIgnored, LinkMustShow, WrittenAnyway}

// caught is how the loss of a safeguard shows if only some simulations notice it: the eye that they need, and the shape of the violation.
var caught = map[Broken]struct {
	eye   Eye
	shape string
	also  Eye // that has to be open besides
}{
	OthersUnheard:    {Flapping, valueDiffers, ""},
	NeverLeftAlone:   {Flapping, notLeftAlone, ""},
	ClockBelieved:    {ClockSteps, soakTooShort, ""},
	StepsEndDoubts:   {ClockSteps, mayTakeEffect, ""},
	DoubtsForgotten:  {InFlight, mayTakeEffect, ""},
	FailureIsSuccess: {FailingSteps, withoutIntent, ""},
	NoThreshold:      {BigWorlds, aboveLimit, ""},
	HollowBelieved:   {Thaws, chosenNoMore, ""},
	DomainsUnheard:   {Domains, valueDiffers, ""},
	TenantUnmarked:   {OtherHosts, otherWrites, ""},
	NothingPutBack:   {BeforeImages, notPutBack, ""},
	ApprovalResumes:  {Deciders, whilePaused, ""},
	RulesIgnored:     {NewRules, valueDiffers, ""},
	LossesUnseen:     {Losses, valueDiffers, ""},
	ReadingsIgnored:  {Losses, valueDiffers, ""},
	OlderPasswords:   {Passwords, olderPassword, Laggards},
	NeverArrived:     {Passwords, passwordDiffers, ""},
	SecretsWritten:   {Passwords, secretWritten, ""},
	DeliveredTwice:   {Deliveries, permittedTwice, ""},
	PermitsUnjudged:  {Deliveries, nonOwnerDelivers, ""},
	MastersUnchecked: {FromCloud, fedBack, ""},
	SinkForgets:      {FromCloud, writeMayArrive, ""},
	OtherReadsBack:   {FromCloud, toldOfFailure, Laggards},
	PlantedBelieved:  {FromCloud, notBrought, ""},
	PersonsDoubled:   {FromCloud, personTwice, ""},
	SecurityUndone:   {FromCloud, enabledAgain, ""},
	OvertakenIgnored: {FromCloud, enabledAgain, ""},
	LinkMustShow:     {FromCloud, accountDiffers, ""},
	WrittenAnyway:    {FromCloud, writtenOver, ""},
}

// Notices reports whether a violation is the one by which the loss of a safeguard shows.
func (b Broken) Notices(v *Violation) bool {
	c, special := caught[b]
	return !special || v.Shape == c.shape
}

// Needs returns the eyes that have to be open for the loss of a safeguard to show.
func (b Broken) Needs() []Eye {
	if c, special := caught[b]; special {
		return slices.DeleteFunc([]Eye{c.eye, c.also}, func(e Eye) bool { return e == "" })
	}
	return nil
}

// Variants lists every broken variant.
func Variants() []Broken {
	return append([]Broken{CookieTooEarly, ToldTooEarly, DoubtIsFailure, CreateWithoutKey, LaggardBelieved, LinksUnproved, AttemptUnchecked, FreezeOpen, StopOpen,
		RecordIgnored, NewInsteadOfOld, TwoTransactions, SilenceIsConsent, NearMayWrite, PlacesForgotten, OthersUnheard, NeverLeftAlone, ClockBelieved, StepsEndDoubts, DoubtsForgotten, FailureIsSuccess, NoThreshold, HollowBelieved,
		DomainsUnheard, NothingPutBack, ApprovalResumes, TenantUnmarked, EndsUnseen, DeathsUnseen, LeaversUnseen, ClaimsUnstored, RulesIgnored, AskedForEver, ChangesUnnoted, LossesUnseen, ReadingsIgnored, OwnUnshown, MovedUnseen, OlderPasswords, NeverArrived, SecretsWritten, DeliveredTwice, PermitsUnjudged}, fromCloud...)
}

var without = map[Broken]gate.Safeguard{
	LaggardBelieved: gate.DeleteEvidence, LinksUnproved: gate.LinkEvidence, AttemptUnchecked: gate.AttemptCheck, FreezeOpen: gate.FreezeAdmission, StopOpen: gate.StopAdmission,
	RecordIgnored: gate.TombstoneOwner, NewInsteadOfOld: gate.RestoreFirst, TwoTransactions: gate.OneTransaction, SilenceIsConsent: gate.Unclaimed,
	NearMayWrite: gate.ChosenOnly, PlacesForgotten: gate.ChosenPlaces, NeverLeftAlone: gate.LeftAlone, DoubtsForgotten: gate.CrashDoubts, NoThreshold: gate.Thresholds,
	HollowBelieved: gate.PinnedGroups, DomainsUnheard: gate.DomainsHeard, NothingPutBack: gate.BeforeImages,
	OthersUnheard: gate.TargetCompared, EndsUnseen: gate.EndsCompared, DeathsUnseen: gate.DeathsCompared,
	LeaversUnseen: gate.LeaversCompared, ClaimsUnstored: gate.ClaimsStored,
	RulesIgnored: gate.RulesCompared, AskedForEver: gate.SilenceKept, ChangesUnnoted: gate.ChangesNoted,
	MastersUnchecked: gate.MastersChecked, SinkForgets: gate.SinkDoubts, OtherReadsBack: gate.SinkController, PlantedBelieved: gate.SinkLinks, PersonsDoubled: gate.SinkPersons,
	SecurityUndone: gate.SinkEnabling, OvertakenIgnored: gate.SinkOvertaken, LinkMustShow: gate.SinkLedger,
	DeliveredTwice: gate.PermitOnce, PermitsUnjudged: gate.PermitJudged,
	OwnUnshown: gate.OwnWritesLaid, OlderPasswords: gate.PasswordOrder, NeverArrived: gate.PasswordDoubts, MovedUnseen: gate.MovedCompared, ReadingsIgnored: gate.ReadingCompared, LossesUnseen: gate.SourceWatched, CookieTooEarly: gate.SourceWatched, ToldTooEarly: gate.SourceWatched, // what an engine loses the host finds out otherwise
}
