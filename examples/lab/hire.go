package lab

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/tandem-sync/tandem/examples/lab/tenant/scim"
)

// Employee is somebody as HR knows them.
type Employee struct {
	Number, GivenName, Surname string
	UserName                   string // sign-in name
	Title, Department          string
	Manager                    string // the manager's number
	Active                     bool   // the contract has begun and not ended
}

// Employed is what the provisioning log tells of somebody.
type Employed struct{ Action, Status, Reason string }

// betweenLooks keeps to what the provisioning log's interface allows.
const betweenLooks = 2100 * time.Millisecond

// Employ sends the tenant whom HR knows, as an HR system does, and waits until the provisioning log has told of each, by number.
// See examples/contoso/hr for a program that does so.
func (l *Lab) Employ(ctx context.Context, people ...Employee) (map[string]Employed, error) {
	client := l.Tenant.HTTPClient()
	defer client.CloseIdleConnections()
	token := l.Tenant.IssueToken()
	ask := func(method, address string, body []byte) (http.Header, []byte, error) {
		return asked(ctx, client, token, method, address, body)
	}
	body, err := json.Marshal(bulk(people))
	if err != nil {
		return nil, fmt.Errorf("the request of HR: %w", err)
	}
	header, _, err := ask(http.MethodPost, l.Tenant.BulkUpload(), body)
	if err != nil {
		return nil, fmt.Errorf("sending people to the tenant: %w", err)
	}
	since, err := http.ParseTime(header.Get("Date"))
	if err != nil {
		return nil, fmt.Errorf("when people were sent: %w", err)
	}
	filter := "&$orderby=" + url.QueryEscape("activityDateTime asc")
	address := header.Get("Location") + url.QueryEscape(" and activityDateTime ge "+since.UTC().Format(time.RFC3339)) + filter
	for {
		_, answer, err := ask(http.MethodGet, address, nil)
		if err != nil {
			return nil, fmt.Errorf("reading the provisioning log: %w", err)
		}
		told, err := toldOf(answer)
		if err != nil || len(told) >= len(people) {
			return told, err
		}
		t := time.NewTimer(betweenLooks)
		select {
		case <-ctx.Done():
			t.Stop()
			return nil, ctx.Err()
		case <-t.C:
		}
	}
}

func bulk(people []Employee) map[string]any {
	var operations []any
	for _, p := range people {
		operations = append(operations, map[string]any{"method": "POST", "bulkId": p.Number, "path": "/Users", "data": map[string]any{
			"schemas": []string{scim.CoreSchema, scim.EnterpriseSchema}, "externalId": p.Number, "userName": p.UserName, "displayName": p.GivenName + " " + p.Surname,
			"name": map[string]any{"givenName": p.GivenName, "familyName": p.Surname}, "title": p.Title, "active": p.Active,
			scim.EnterpriseSchema: map[string]any{"employeeNumber": p.Number, "department": p.Department, "manager": map[string]any{"value": p.Manager}}}})
	}
	return map[string]any{"schemas": []string{scim.BulkSchema}, "Operations": operations, "failOnErrors": nil}
}

// toldOf reads a page of the log: the first entry of each person, which is about what was sent.
func toldOf(page []byte) (map[string]Employed, error) {
	var in struct {
		Value []struct {
			Action string `json:"provisioningAction"`
			Source struct {
				ID string `json:"id"`
			} `json:"sourceIdentity"`
			Status struct {
				Status string `json:"status"`
				Error  struct {
					Reason string `json:"reason"`
				} `json:"errorInformation"`
			} `json:"provisioningStatusInfo"`
		} `json:"value"`
	}
	if err := json.Unmarshal(page, &in); err != nil {
		return nil, fmt.Errorf("the provisioning log: %w", err)
	}
	out := map[string]Employed{}
	for _, e := range in.Value {
		if _, known := out[e.Source.ID]; !known {
			out[e.Source.ID] = Employed{e.Action, e.Status.Status, e.Status.Error.Reason}
		}
	}
	return out, nil
}

func asked(ctx context.Context, client *http.Client, token, method, address string, body []byte) (http.Header, []byte, error) {
	r, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(body))
	if err != nil {
		return nil, nil, err
	}
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Content-Type", "application/scim+json")
	resp, err := client.Do(r)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode >= http.StatusBadRequest {
		err = fmt.Errorf("%s: %s", resp.Status, answer)
	}
	return resp.Header, answer, err
}
