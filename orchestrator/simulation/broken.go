package simulation

import "github.com/tandem-sync/tandem/orchestrator/gate"

// The broken variants. Each takes one safeguard out: some at a seam of the simulator, some by gate.Safeguard. A simulation that does not notice is worth
// nothing.
const (
	CookieTooEarly     Broken = "cookie saved before the proposals are stored"  // P3
	ToldTooEarly       Broken = "decisions believed before they are durable"    // P1
	DoubtIsFailure     Broken = "no answer taken for a failure"                 // P6
	CreateWithoutKey   Broken = "creates without a key that the tenant keeps"   // J3
	LaggardBelieved    Broken = "deletes by absence"                            // D1
	LinksUnproved      Broken = "membership removed without evidence"           // D3
	AttemptUnchecked   Broken = "no check of owner and epoch before an attempt" // invariant 1
	FreezeOpen         Broken = "freeze that does not stop admission"           // waves
	StopOpen           Broken = "stop that does not stop admission"             // §11
	RecordIgnored      Broken = "owner of record ignored for tombstones"        // L1, D1
	NewInsteadOfOld    Broken = "created anew instead of restored"              // J1
	TwoTransactions    Broken = "cutover in two transactions"                   // waves
	SilenceIsConsent   Broken = "silence as consent"                            // P4
	NewsBeforeVerdicts Broken = "news stored before they are concluded"         // T1
	NearMayWrite       Broken = "whoever owns some of a container writes all"   // T1
	PlacesForgotten    Broken = "transfers that do not know whom choices took"  // L1
)

// Variants lists every broken variant.
func Variants() []Broken {
	return []Broken{CookieTooEarly, ToldTooEarly, DoubtIsFailure, CreateWithoutKey, LaggardBelieved, LinksUnproved, AttemptUnchecked, FreezeOpen, StopOpen,
		RecordIgnored, NewInsteadOfOld, TwoTransactions, SilenceIsConsent, NewsBeforeVerdicts, NearMayWrite, PlacesForgotten}
}

var without = map[Broken]gate.Safeguard{
	LaggardBelieved: gate.DeleteEvidence, LinksUnproved: gate.LinkEvidence, AttemptUnchecked: gate.AttemptCheck, FreezeOpen: gate.FreezeAdmission, StopOpen: gate.StopAdmission,
	RecordIgnored: gate.TombstoneOwner, NewInsteadOfOld: gate.RestoreFirst, TwoTransactions: gate.OneTransaction, SilenceIsConsent: gate.Unclaimed,
	NewsBeforeVerdicts: gate.NewsConcluded, NearMayWrite: gate.ChosenOnly, PlacesForgotten: gate.ChosenPlaces,
}
