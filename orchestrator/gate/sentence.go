package gate

// sentences tell people why an answer left something unsettled and, where that helps, what to do.
var sentences = map[Code]string{
	CodeUnknownFeature:   "no such feature is switched on",
	CodeWrongKind:        "the directory says that the object is of another kind than its engine says",
	CodeWrongFeature:     "the feature is not one of this kind of object",
	CodeForeignAttribute: "its engine wants to write an attribute of another feature",
	CodeSecret:           "its engine proposes as a secret what cannot be one",
	CodeUnknownWant:      "its engine wants something that nobody knows",
	CodeSeveralManagers:  "its engine names more than one manager",
	CodeInvalidValue:     "a value is not one that the tenant takes: fix it in the directory",
	CodeTooLarge:         "its values are more than a proposal may have",
	CodeRepeated:         "its engine proposed it too often in one run",
	CodeExcess:           "its engine proposes too much that is not its own",
	CodeUnknown:          "its engine cannot say what it wants of it",

	CodeNotOwner:       "it belongs to another engine",
	CodeMoved:          "it belongs to another engine now",
	CodeNotChosen:      "it belongs to another engine, by what chooses it",
	CodeOutOfScope:     "it left for where another engine owns it",
	CodeEpoch:          "its engine read it before its owner changed; the next run reads it again",
	CodeCeiling:        "the run was only to be judged",
	CodeCloudMastered:  "it was made of an object of the tenant, whose values go to the directory",
	CodeCloudMasteredQ: "it lies where objects of the tenant are brought, or shows the link of one, and the ledger does not know it by that",
	CodeNobodyKnows:    "its password was made with the account, and nobody knows it: set one",

	CodeUnclaimed: "it moved here from another engine, and the rules of this one leave it out",

	CodeStopped:    "writing was stopped by a person: `tandem start` ends it",
	CodeFrozen:     "a wave has frozen it for a moment; the next run goes on",
	CodeTenure:     "this host's right to write was about to end; the next run goes on",
	CodeInDoubt:    "an earlier write had no answer; it is settled when the tenant shows what came of it",
	CodeInFlight:   "an earlier write is on its way",
	CodeQuiet:      "an earlier request may still arrive; it is written when that is over",
	CodeSwapWaits:  "others of its ring of sign-in names have to change first",
	CodeParked:     "it has a temporary sign-in name while others of its ring get theirs",
	CodeHalfDone:   "it moved between two of its writes; its new owner ends them",
	CodeThreshold:  "it waits in a held set: `tandem held list`",
	CodeRejected:   "a person rejected it",
	CodeNotKept:    "what was written did not last in the tenant; `tandem errors retry` tries once more",
	CodeNotShown:   "the tenant does not show yet what was written a moment ago",
	CodeIncomplete: "the tenant creates nothing without what is missing: fix it in the directory",

	CodeNotSeen:        "the host's account does not see it in the directory",
	CodeGone:           "it is deleted in the directory",
	CodePlace:          "its engine and the host see it in different places; the next run looks again",
	CodeNotGone:        "its engine wants to delete it, and the host sees it alive",
	CodeNoEvidence:     "there is no evidence that it was deleted: may the account see deleted objects?",
	CodeAliveElsewhere: "it lives, and belongs to another engine",

	CodeDelete:      "it is deleted when the run that said so is complete",
	CodeLeaving:     "it left for where no engine writes, and is removed when the run is complete",
	CodeLeft:        "it left for where no engine writes",
	CodeExcluded:    "its engine's rules leave it out",
	CodeFiltered:    "its engine wants to delete what lives in its own scope: `tandem held list`",
	CodeNotLinked:   "it is linked with nothing in the tenant",
	CodeGoneAlready: "it is gone from the tenant already",
	CodeDeleted:     "the tenant object is deleted",
	CodeStaysLinked: "its engine's rules leave it out; it stays in the tenant and its members go on",
	CodeStaysAsIs:   "its engine's rules leave it out; it stays in the tenant as it is",

	CodeAnchorInvalid:      "the source anchor cannot be used: fix mS-DS-ConsistencyGuid in the directory",
	CodeDuplicateAnchor:    "another living object has the same source anchor: fix mS-DS-ConsistencyGuid in the directory",
	CodeAnchorChanged:      "the directory says another source anchor now than the one that it was joined under",
	CodeUnverifiedSuffix:   "its sign-in name has a domain that the tenant has not verified",
	CodeUPNTaken:           "somebody else in the tenant has its sign-in name",
	CodeAddressQuarantined: "somebody else in the tenant has its mail address, so it has none there",
	CodeDeletedByOthers:    "somebody else deleted it in the tenant: `tandem restore` brings it back from the deleted items; or delete it in the directory",
	CodeSynced:             "another synchronization engine owns the tenant object",
	CodeVanished:           "the tenant does not show it any more; somebody else deleted it for good",
	CodeMatchMissing:       "the file of matches names a tenant object that is not there",
	CodeMatchContradicts:   "the file of matches names another tenant object than the source anchor",
	CodeAmbiguous:          "several tenant objects could be it: name the right one in a file of matches",
	CodeLinkedElsewhere:    "the tenant object belongs to another object of the directory",
	CodeJoinRefused:        "the tenant object is one that nobody may join",

	CodePasswordWanted:    "its engine was asked for the password and did not bring it; the next run asks again",
	CodePasswordLeftOut:   "it has no password that could be handed over",
	CodeTemporaryPassword: "its password has to be changed at the next sign-in, and is not handed over before that",
	CodeTenantHasOlder:    "its password is not handed over, and the tenant keeps the one before it",
	CodeOlderPassword:     "the controller that its engine reads shows an older password than the tenant has; the next run reads it again",

	CodeWaitsForBase:     "the object itself is not in the tenant yet",
	CodeReferenceMissing: "an object that it refers to is not in the tenant yet",
	CodeReferenceLater:   "an object that it refers to may come into the tenant later",
	CodeReferenceDying:   "an object that it refers to is deleted in the directory, and not yet in the tenant",
	CodeReferenceLives:   "its engine wants to remove a reference that the directory still has",
}

// Sentence returns the code's sentence for people; "" for codes of the tenant.
func (c Code) Sentence() string { return sentences[c] }

// waitsForPerson are the findings about one object that stay until directory or tenant change. Held sets are not among them, since each run makes
// them anew, nor conflicts between two objects, since they may end by the other one: those are asked for again.
var waitsForPerson = map[Code]bool{CodeDeletedByOthers: true, CodeVanished: true, CodeUnclaimed: true, CodeAnchorChanged: true, CodeAnchorInvalid: true, CodeCloudMasteredQ: true}

// WaitsForPerson reports whether an object with this last answer is asked for again only after a change of directory or tenant.
func (c Code) WaitsForPerson() bool { return waitsForPerson[c] }
