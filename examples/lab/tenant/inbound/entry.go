package inbound

import "time"

// Entry is one line of the provisioning log.
// See https://learn.microsoft.com/graph/api/resources/provisioningobjectsummary.
type Entry struct {
	ID                 string     `json:"id"`
	ActivityDateTime   time.Time  `json:"activityDateTime"`
	TenantID           string     `json:"tenantId"`
	JobID              string     `json:"jobId"`
	CycleID            string     `json:"cycleId"`
	ChangeID           string     `json:"changeId"`
	ProvisioningAction string     `json:"provisioningAction"`
	Duration           int64      `json:"durationInMilliseconds"`
	ServicePrincipal   Named      `json:"servicePrincipal"`
	SourceSystem       System     `json:"sourceSystem"`
	TargetSystem       System     `json:"targetSystem"`
	InitiatedBy        Initiator  `json:"initiatedBy"`
	SourceIdentity     Identity   `json:"sourceIdentity"`
	TargetIdentity     Identity   `json:"targetIdentity"`
	StatusInfo         StatusInfo `json:"provisioningStatusInfo"`
	Steps              []Step     `json:"provisioningSteps"`
	ModifiedProperties []Modified `json:"modifiedProperties"`

	at time.Time // what ActivityDateTime tells to the second
}

// Named is something with an id and a name.
type Named struct {
	ID          string `json:"id"`
	DisplayName string `json:"displayName"`
}

// System is a source or a target of provisioning.
type System struct {
	ID          string            `json:"id"`
	DisplayName string            `json:"displayName"`
	Details     map[string]string `json:"details"`
}

// Initiator is who provisions.
type Initiator struct {
	ID            string `json:"id"`
	DisplayName   string `json:"displayName"`
	InitiatorType string `json:"initiatorType"`
}

// Identity is a person at the source, by externalId, or a user of the target.
type Identity struct {
	ID           string            `json:"id"`
	DisplayName  string            `json:"displayName"`
	IdentityType string            `json:"identityType"`
	Details      map[string]string `json:"details"`
}

// StatusInfo is what came of an operation.
type StatusInfo struct {
	Status string     `json:"status"` // success, failure, skipped
	Error  *ErrorInfo `json:"errorInformation"`
}

// ErrorInfo is why an operation failed.
type ErrorInfo struct {
	Code              string  `json:"errorCode"`
	Reason            string  `json:"reason"`
	AdditionalDetails *string `json:"additionalDetails"`
	Category          string  `json:"errorCategory"`
	RecommendedAction string  `json:"recommendedAction"`
}

// Step is one step of an operation.
type Step struct {
	Name        string            `json:"name"`
	Type        string            `json:"provisioningStepType"` // import, scoping, matching, processing, referenceResolution, export
	Status      string            `json:"status"`
	Description string            `json:"description"`
	Details     map[string]string `json:"details"`
}

// Modified is a property that was written. A property without a value is null.
type Modified struct {
	DisplayName string  `json:"displayName"`
	OldValue    *string `json:"oldValue"`
	NewValue    *string `json:"newValue"`
}

// The values of provisioningAction and of status that the service uses.
const (
	ActionCreate  = "create"
	ActionUpdate  = "update"
	ActionDisable = "disable"
	ActionOther   = "other"

	Success = "success"
	Failure = "failure"
	Skipped = "skipped"
)
