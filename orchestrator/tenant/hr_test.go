package tenant_test

import (
	"context"
	"errors"
	"net/url"
	"testing"
	"time"

	abs "github.com/microsoft/kiota-abstractions-go"
	core "github.com/microsoftgraph/msgraph-sdk-go-core"
	"github.com/microsoftgraph/msgraph-sdk-go/auditlogs"
	"github.com/microsoftgraph/msgraph-sdk-go/models"
	"github.com/microsoftgraph/msgraph-sdk-go/models/odataerrors"
)

// bearer authenticates the SDK's requests with a token that is at hand.
type bearer string

// AuthenticateRequest implements kiota's provider.
func (b bearer) AuthenticateRequest(_ context.Context, r *abs.RequestInformation, _ map[string]any) error {
	r.Headers.Add("Authorization", "Bearer "+string(b))
	return nil
}

const annAndBo = `{"schemas":["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],"Operations":[
 {"method":"POST","bulkId":"1","path":"/Users","data":{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User","urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"],
  "externalId":"7","userName":"ann@contoso.test","displayName":"Ann"}},
 {"method":"POST","bulkId":"2","path":"/Users","data":{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User","urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"],
  "externalId":"8","userName":"bo@elsewhere.test","displayName":"Bo"}}]}`

// Microsoft's SDK, unchanged, sends an HR system's people to the lab's tenant and understands what its log tells of them.
func TestTheGraphSDKUploadsPeopleAndReadsTheProvisioningLog(t *testing.T) {
	w := newWorld(t)
	adapter, err := core.NewGraphRequestAdapterBaseWithParseNodeFactoryAndSerializationWriterFactoryAndHttpClient(bearer(w.server.IssueToken()), core.GraphClientOptions{}, nil, nil, w.server.HTTPClient())
	if err != nil {
		t.Fatal(err)
	}
	adapter.SetBaseUrl(w.server.GraphEndpoint() + "/v1.0")
	errorsOf := abs.ErrorMappings{"XXX": odataerrors.CreateODataErrorFromDiscriminatorValue}
	upload := func(contentType string) error {
		address, err := url.Parse(w.server.BulkUpload())
		if err != nil {
			t.Fatal(err)
		}
		r := abs.NewRequestInformation()
		r.Method = abs.POST
		r.SetUri(*address)
		r.SetStreamContentAndContentType([]byte(annAndBo), contentType)
		return adapter.SendNoContent(w.ctx, r, errorsOf)
	}
	var refused *odataerrors.ODataError
	if err := upload("application/json"); !errors.As(err, &refused) || refused.ResponseStatusCode != 400 || *refused.GetErrorEscaped().GetCode() != "BadRequest" {
		t.Fatalf("with another content type: %v", err)
	}
	if err := upload("application/scim+json"); err != nil {
		t.Fatal(err)
	}
	w.clock.pass(10 * time.Second)
	log := auditlogs.NewProvisioningRequestBuilderInternal(map[string]string{}, adapter)
	filter := "statusInfo/status eq 'failure' or sourceIdentity/id eq '7'"
	answer, err := log.Get(w.ctx, &auditlogs.ProvisioningRequestBuilderGetRequestConfiguration{QueryParameters: &auditlogs.ProvisioningRequestBuilderGetQueryParameters{Filter: &filter}})
	if err != nil {
		t.Fatal(err)
	}
	entries := answer.GetValue()
	if len(entries) != 2 {
		t.Fatalf("%d entries", len(entries))
	}
	bo, ann := entries[0], entries[1]
	if *ann.GetProvisioningAction() != models.CREATE_PROVISIONINGACTION || *ann.GetProvisioningStatusInfo().GetStatus() != models.SUCCESS_PROVISIONINGRESULT || *ann.GetTargetIdentity().GetDisplayName() != "Ann" {
		t.Errorf("Ann: %v", ann)
	}
	info := bo.GetProvisioningStatusInfo().GetErrorInformation()
	if *bo.GetSourceIdentity().GetId() != "8" || *info.GetErrorCode() != "AzureActiveDirectoryInvalidUserPrincipalName" || *info.GetErrorCategory() != models.NONSERVICEFAILURE_PROVISIONINGSTATUSERRORCATEGORY {
		t.Errorf("Bo: %v", bo)
	}
	for _, e := range entries {
		steps := e.GetProvisioningSteps()
		if len(steps) < 3 || *steps[0].GetProvisioningStepType() != models.IMPORT_PROVISIONINGSTEPTYPE || e.GetActivityDateTime() == nil {
			t.Errorf("steps: %v", steps)
		}
	}
}
