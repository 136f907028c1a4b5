package gate

// Code is a word for why a proposal was answered as it was; a Judgement's reason is the sentence for people. Log, reports and engines have codes as
// text. Codes that begin with "http-", and those of package cloud, come from the tenant.
type Code string

// What is wrong with a proposal, whichever engine owns the object.
const (
	CodeUnknownFeature   Code = "unknown-feature"   // no such feature is switched on
	CodeWrongKind        Code = "wrong-kind"        // the directory says that the object is of another kind
	CodeWrongFeature     Code = "wrong-feature"     // the feature is not one of this kind, or cannot be asked for so
	CodeForeignAttribute Code = "foreign-attribute" // it belongs to another feature
	CodeSecret           Code = "secret"            // for an attribute that cannot be one
	CodeUnknownWant      Code = "unknown-want"
	CodeSeveralManagers  Code = "several-managers"
	CodeInvalidValue     Code = "invalid-value" // no write may hold it
	CodeTooLarge         Code = "too-large"     // more bytes than the gate takes
	CodeRepeated         Code = "repeated"      // proposed too often in one run
	CodeExcess           Code = "excess"        // of the record that counts such proposals
	CodeUnknown          Code = "unknown"       // the engine cannot say what it wants
)

// Whether the proposer may speak for the object, and under which grant.
const (
	CodeNotOwner   Code = "not-owner"
	CodeMoved      Code = "moved"        // it belongs to another engine now
	CodeNotChosen  Code = "not-chosen"   // choices assign it to another engine
	CodeOutOfScope Code = "out-of-scope" // it left for where another engine owns it
	CodeEpoch      Code = "epoch"        // it was read under a grant that changed since
	CodeCeiling    Code = "ceiling"      // the run was only to be judged
	CodeUnclaimed  Code = "unclaimed"    // its new owner leaves it out, or does not mention it

	CodeCloudMastered  Code = "cloud-mastered"  // it was made of an object of the tenant: values go from the tenant to the directory
	CodeCloudMasteredQ Code = "cloud-mastered?" // it is where objects of the tenant are brought, and the ledger does not know it
)

// What keeps a write from being sent now.
const (
	CodeStopped    Code = "stopped"     // by a person
	CodeFrozen     Code = "frozen"      // the scope changes hands
	CodeTenure     Code = "tenure"      // the right to write is about to end
	CodeInDoubt    Code = "in-doubt"    // an earlier write had no answer
	CodeInFlight   Code = "on-the-wire" // an earlier write is in flight
	CodeQuiet      Code = "quiet"       // an earlier request may still arrive
	CodeSwapWaits  Code = "swap-waits"  // its ring of sign-in names cannot be solved yet
	CodeParked     Code = "name-parked" // it has its temporary name while others of its ring get theirs
	CodeHalfDone   Code = "half-done"   // it moved between two of its writes
	CodeThreshold  Code = "threshold"   // it waits in a held set
	CodeRejected   Code = "rejected"    // by a person, until its grave part changes
	CodeNotKept    Code = "not-kept"    // the value does not last in the tenant
	CodeNotShown   Code = "not-shown"   // the tenant does not show the last write yet
	CodeIncomplete Code = "incomplete"  // an attribute that a create needs is missing
)

// Where host, engine and directory disagree about an object, or know too little of it.
const (
	CodeNotSeen        Code = "not-seen" // the host does not see it
	CodeGone           Code = "gone"     // the host sees a tombstone
	CodePlace          Code = "place"    // engine and census see it in different places
	CodeNotGone        Code = "not-gone" // the host sees that it is not deleted
	CodeNoEvidence     Code = "no-evidence"
	CodeAliveElsewhere Code = "alive-elsewhere" // it exists, and belongs to another engine
)

// What happens to an object that is to be deleted or left out.
const (
	CodeDelete      Code = "delete"
	CodeLeaving     Code = "leaving" // as the policy says for objects that leave
	CodeLeft        Code = "left"    // it left, and is not written any more
	CodeExcluded    Code = "excluded"
	CodeFiltered    Code = "filtered" // its engine leaves it out of its own scope
	CodeNotLinked   Code = "not-linked"
	CodeGoneAlready Code = "gone-already" // from the tenant
	CodeDeleted     Code = "deleted"      // the wave's rollback has no tenant object to write
)

// The codes of linked groups that their owner's rules leave out from now on and that stay linked: deleting a group because it got an address, or
// grew, would take access away from all its members.
const (
	CodeStaysLinked Code = "stays-linked"   // its memberships are still written
	CodeStaysAsIs   Code = "stays-as-it-is" // nothing of it is written until it shrinks
)

// What is in the way in the tenant, and in joining.
const (
	CodeAnchorInvalid      Code = "anchor-invalid"
	CodeDuplicateAnchor    Code = "duplicate-anchor" // two objects have it
	CodeAnchorChanged      Code = "anchor-changed"   // since the object was joined
	CodeUnverifiedSuffix   Code = "unverified-suffix"
	CodeUPNTaken           Code = "upn-taken"
	CodeAddressQuarantined Code = "address-quarantined" // a user is made, or kept, without its mail address
	CodeDeletedByOthers    Code = "deleted-by-others"
	CodeSynced             Code = "synced" // Microsoft's engines own the tenant object
	CodeVanished           Code = "vanished"
	CodeMatchMissing       Code = "match-missing"     // the object that the file of matches names does not exist
	CodeMatchContradicts   Code = "match-contradicts" // the file of matches names another object than the anchor's
	CodeAmbiguous          Code = "ambiguous"
	CodeLinkedElsewhere    Code = "linked-elsewhere"
	CodeJoinRefused        Code = "join-refused"
)

// Codes of passwords.
const (
	CodePasswordWanted    Code = "password-wanted"   // the engine has to propose it again with its credential
	CodeNobodyKnows       Code = "nobody-knows"      // the password was made with the account
	CodePasswordLeftOut   Code = "password-left-out" // by the engine's rules
	CodeTemporaryPassword Code = "temporary-password"
	CodeTenantHasOlder    Code = "tenant-has-older-password" // the tenant keeps an older one, since the newer is left out
	CodeOlderPassword     Code = "older-password"            // than the tenant's: the engine's controller is behind
)

// Codes of references.
const (
	CodeWaitsForBase     Code = "waits-for-base"    // the object itself is not in the tenant yet
	CodeReferenceMissing Code = "reference-missing" // an end is not in the tenant yet
	CodeReferenceLater   Code = "reference-later"   // an end may come later; the judging engine has nothing else to do
	CodeReferenceDying   Code = "reference-dying"   // an end is deleted in the directory, and not yet in the tenant
	CodeReferenceLives   Code = "reference-lives"   // the host still reads what the engine wants to remove
)
