package gate

// Code says in a word, for programs, why a proposal was answered as it was; a Judgement's reason says it for people. Log, reports and engines have codes as text.
// One that begins with "http-", and those of package cloud, are the tenant's.
type Code string

// What is wrong with a proposal, whoever owns the object.
const (
	CodeUnknownFeature   Code = "unknown-feature"   // no such feature is switched on
	CodeWrongKind        Code = "wrong-kind"        // the directory says that the object is of another kind
	CodeWrongFeature     Code = "wrong-feature"     // the feature is not one of this kind, or cannot be asked for so
	CodeForeignAttribute Code = "foreign-attribute" // it belongs to another feature
	CodeSecret           Code = "secret"            // of an attribute that cannot be one
	CodeUnknownWant      Code = "unknown-want"
	CodeSeveralManagers  Code = "several-managers"
	CodeInvalidValue     Code = "invalid-value" // no write may hold it
	CodeTooLarge         Code = "too-large"     // more bytes than the gate takes
	CodeRepeated         Code = "repeated"      // proposed too often in one run
	CodeExcess           Code = "excess"        // of the record that counts such proposals
	CodeUnknown          Code = "unknown"       // the engine cannot say what it wants
)

// Whose matter an object is, and under which grant.
const (
	CodeNotOwner   Code = "not-owner"
	CodeMoved      Code = "moved"        // it belongs to another engine now
	CodeNotChosen  Code = "not-chosen"   // choices give it to another engine
	CodeOutOfScope Code = "out-of-scope" // it left for where another engine owns it
	CodeEpoch      Code = "epoch"        // it was read under a grant that changed since
	CodeCeiling    Code = "ceiling"      // the run was only to be judged
	CodeUnclaimed  Code = "unclaimed"    // its new owner leaves it out, or does not speak of it

	CodeCloudMastered  Code = "cloud-mastered"  // it was made of an object of the tenant: what the tenant has goes to the directory
	CodeCloudMasteredQ Code = "cloud-mastered?" // it lies where objects of the tenant are brought, and the ledger does not know it
)

// What keeps a write from being sent now.
const (
	CodeStopped    Code = "stopped"     // by a person
	CodeFrozen     Code = "frozen"      // the scope changes hands
	CodeTenure     Code = "tenure"      // the right to write is about to end
	CodeInDoubt    Code = "in-doubt"    // an earlier write had no answer
	CodeOnTheWire  Code = "on-the-wire" // an earlier write is on its way
	CodeQuiet      Code = "quiet"       // an earlier request may still arrive
	CodeSwapWaits  Code = "swap-waits"  // its ring of sign-in names cannot be solved yet
	CodeParked     Code = "name-parked" // it has its temporary name while others of its ring get theirs
	CodeHalfDone   Code = "half-done"   // it moved between two of its writes
	CodeThreshold  Code = "threshold"   // it waits in a held set
	CodeRejected   Code = "rejected"    // by a person, until its grave part changes
	CodeNotKept    Code = "not-kept"    // the value does not last in the tenant
	CodeNotShown   Code = "not-shown"   // the tenant does not show yet what was written a moment ago
	CodeIncomplete Code = "incomplete"  // the tenant creates nothing without what is missing
)

// Where host, engine and directory disagree about an object, or know too little of it.
const (
	CodeNotSeen        Code = "not-seen" // the host does not see it
	CodeGone           Code = "gone"     // the host sees that it is deleted
	CodePlace          Code = "place"    // engine and census see it in different places
	CodeNotGone        Code = "not-gone" // the host sees it alive
	CodeNoEvidence     Code = "no-evidence"
	CodeAliveElsewhere Code = "alive-elsewhere" // it lives, and belongs to another engine
)

// What becomes of an object that is to be deleted or left out.
const (
	CodeDelete      Code = "delete"
	CodeLeaving     Code = "leaving" // as the policy says of leavers
	CodeLeft        Code = "left"    // it left, and is written no more
	CodeExcluded    Code = "excluded"
	CodeFiltered    Code = "filtered" // it is left out of its own scope
	CodeNotLinked   Code = "not-linked"
	CodeGoneAlready Code = "gone-already" // from the tenant
	CodeDeleted     Code = "deleted"      // the tenant object of which a wave takes back what it wrote
)

// The codes of linked groups that their owner's rules leave out from now on and that stay linked: deleting a group because it got an address, or
// because it grew, would take access away from everybody in it.
const (
	CodeStaysLinked Code = "stays-linked"   // its members go on
	CodeStaysAsIs   Code = "stays-as-it-is" // nothing of it is written until it shrinks
)

// What is in the way in the tenant, and in joining.
const (
	CodeAnchorInvalid      Code = "anchor-invalid"
	CodeDuplicateAnchor    Code = "duplicate-anchor" // two living objects carry it
	CodeAnchorChanged      Code = "anchor-changed"   // since the object was joined
	CodeUnverifiedSuffix   Code = "unverified-suffix"
	CodeUPNTaken           Code = "upn-taken"
	CodeAddressQuarantined Code = "address-quarantined" // a user is made, or kept, without its mail address
	CodeDeletedByOthers    Code = "deleted-by-others"
	CodeSynced             Code = "synced" // Microsoft's engines own the tenant object
	CodeVanished           Code = "vanished"
	CodeMatchMissing       Code = "match-missing"     // the file of matches names nothing
	CodeMatchContradicts   Code = "match-contradicts" // … another object than the anchor
	CodeAmbiguous          Code = "ambiguous"
	CodeLinkedElsewhere    Code = "linked-elsewhere"
	CodeJoinRefused        Code = "join-refused"
)

// What is said of passwords.
const (
	CodePasswordWanted    Code = "password-wanted"   // it is to be proposed with its credential
	CodeNobodyKnows       Code = "nobody-knows"      // the password was made with the account
	CodePasswordLeftOut   Code = "password-left-out" // by the engine's rules
	CodeTemporaryPassword Code = "temporary-password"
	CodeTenantHasOlder    Code = "tenant-has-older-password" // and keeps it, since the newer one is left out
	CodeOlderPassword     Code = "older-password"            // than the tenant's: the engine's controller is behind
)

// What is said of references.
const (
	CodeWaitsForBase     Code = "waits-for-base"    // the object itself is not in the tenant yet
	CodeReferenceMissing Code = "reference-missing" // an end is not in the tenant yet
	CodeReferenceLater   Code = "reference-later"   // an end may come later; who judged has nothing else to do
	CodeReferenceDying   Code = "reference-dying"   // an end is deleted in the directory, and not yet in the tenant
	CodeReferenceLives   Code = "reference-lives"   // the host still reads what the engine wants to remove
)
