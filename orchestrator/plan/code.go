package plan

import (
	"github.com/tandem-sync/tandem/orchestrator/gate"
	"github.com/tandem-sync/tandem/orchestrator/objects"
	"github.com/tandem-sync/tandem/orchestrator/wave"
)

// The subjects of findings.
const (
	codeNoSuchEngine  wave.Code = "no-such-engine"
	codeCannotShadow  wave.Code = "cannot-shadow"
	codeNoAccount     wave.Code = "no-account"
	codeUnhealthy     wave.Code = "engine-unhealthy"
	codeIncompleteRun wave.Code = "incomplete-run" // of the target, in shadow
	codeTenantCannot  wave.Code = "tenant-cannot-" // with the feature that it does not take

	codeWaveRunning   wave.Code = "wave-running"
	codeRevertsWave   wave.Code = "reverts-wave"
	codeWaveOrder     wave.Code = "wave-order"
	codeCrossing      wave.Code = "crossing-references" // from groups of the wave
	codeCrossAfter    wave.Code = "references-cross"    // in the directory as a whole, after the wave
	codeHeld          wave.Code = "held"
	codeContainer     wave.Code = "ou-"                  // with what happened to a container of the policy
	codeChoosing      wave.Code = "group-"               // with what happened to a group that the policy selects members of
	codeGone                    = codeContainer + "gone" // the plan itself does without it
	codeVanished                = codeContainer + "vanished"
	codeRecreated               = codeContainer + "re-created"
	codeStopped                 = wave.Code(gate.CodeStopped)
	codeInDoubt                 = wave.Code(gate.CodeInDoubt)
	codeAnchorInvalid           = wave.Code(gate.CodeAnchorInvalid)
	codeDuplicate               = wave.Code(gate.CodeDuplicateAnchor)
	codeAnchorChanged           = wave.Code(gate.CodeAnchorChanged)
	codeSynced                  = wave.Code(gate.CodeSynced)
)

// assessed are the texts of findings about single objects, for all of them together.
var assessed = map[gate.Code]string{
	objects.CodeUnreachable: "members or managers of other kinds (contacts, computers, principals of other forests) cannot be referred to in the tenant and are left out: `tandem object` names them",
	gate.CodeStaysLinked:    "these groups are mail-enabled or distribution groups in the directory now: they stay linked, and only their members are written",
	gate.CodeStaysAsIs:      "these groups have more members than their engine synchronizes: they stay as they are in the tenant until they shrink",
	gate.CodeNotKept:        "values of these objects do not last in the tenant and are left alone: `tandem errors list`",
}
