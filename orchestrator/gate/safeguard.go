package gate

// Safeguard names one check that a simulation leaves out, to prove that it would be missed. Nothing else sets one: there is no way to do so from
// a configuration or a command.
type Safeguard string

// The safeguards that can be left out.
const (
	AttemptCheck    Safeguard = "owner and epoch before each attempt" // invariant 1
	DeleteEvidence  Safeguard = "evidence of deletes"                 // D1
	LinkEvidence    Safeguard = "evidence of removed links"           // D3
	FreezeAdmission Safeguard = "a freeze that closes admission"      // waves
	StopAdmission   Safeguard = "a stop that closes admission"        // §11
	TombstoneOwner  Safeguard = "the owner of record of a tombstone"  // D1
	RestoreFirst    Safeguard = "restoring before creating"           // J1
	OneTransaction  Safeguard = "a cutover in one transaction"        // waves
	Unclaimed       Safeguard = "silence is not consent"              // P4
	ChosenOnly      Safeguard = "whom choices give to others"         // T1
	ChosenPlaces    Safeguard = "the record of what took an object"   // L1
	LeftAlone       Safeguard = "what does not last is left alone"    // S10
	CrashDoubts     Safeguard = "doubts that outlive their process"   // X3
	Thresholds      Safeguard = "thresholds"                          // D2
	FrozenGroups    Safeguard = "groups that freeze"                  // T3
	DomainsHeard    Safeguard = "verified domains are followed"       // J6
	BeforeImages    Safeguard = "before-images after a rollback"      // invariant 4
)
