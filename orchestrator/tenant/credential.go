package tenant

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	abs "github.com/microsoft/kiota-abstractions-go"

	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/plugins/secret"
)

// SendCredentials makes one physical attempt to store up to cloud.MaxCredentials credentials, and returns the results in the order of
// the items. Like Send it never repeats. A credential is done, rejected (cloud.CodeOlder: the tenant has a newer one; Missing: there is no such
// user), throttled, not sent, or in doubt, which Credential ends. An error means that the call itself is wrong and nothing was sent. The caller wipes the credentials.
func (c *Client) SendCredentials(ctx context.Context, items []cloud.CredentialItem) ([]cloud.Result, error) {
	if len(items) > cloud.MaxCredentials {
		return nil, fmt.Errorf("send credentials: %d at once, of at most %d", len(items), cloud.MaxCredentials)
	}
	if len(items) == 0 {
		return nil, nil
	}
	switch err := c.open(ctx, DoorCredentials); {
	case errors.Is(err, ErrNoDoor):
		return all(items, cloud.Result{Status: cloud.Rejected, Code: cloud.CodeImpossible, Message: noHashes}), nil
	case err != nil:
		return all(items, cloud.Result{Status: cloud.NotSent, Message: err.Error()}), nil
	}
	var body secret.Buffer
	defer body.Wipe()
	if err := cloud.WriteCredentials(&body, items); err != nil {
		return nil, fmt.Errorf("send credentials: %w", err)
	}
	outer, a := c.sendSecret(ctx, c.labPath("/credentials"), &body, len(items))
	if outer != nil {
		return all(items, *outer), nil
	}
	return c.credentialResults(items, a), nil
}

func all(items []cloud.CredentialItem, r cloud.Result) []cloud.Result {
	out := make([]cloud.Result, len(items))
	for i := range out {
		out[i] = r
	}
	return out
}

// sendSecret posts a body once. It returns the answer if that is 200, and otherwise the result of all writes (outer). When it returns, the body is no longer read.
func (c *Client) sendSecret(ctx context.Context, address string, body *secret.Buffer, writes int) (outer *cloud.Result, a *answer) {
	ctx, cancel := context.WithTimeout(ctx, c.config.Timeout)
	defer cancel()
	if _, err := c.tokens.get(ctx); err != nil {
		return &cloud.Result{Status: cloud.NotSent, Message: err.Error()}, nil
	}
	r, err := c.request(abs.POST, address, body.Bytes())
	if err != nil {
		return &cloud.Result{Status: cloud.NotSent, Message: err.Error()}, nil
	}
	c.writes.Add(uint64(writes))
	var d departure
	guarded, released := guardBody(d.trace(ctx))
	a, err = c.exchange(guarded, r)
	stayed := d.nothingLeft(ctx)
	cancel() // ends a goroutine of net/http that still writes the body
	released()
	switch {
	case err != nil && stayed:
		return &cloud.Result{Status: cloud.NotSent, Message: err.Error()}, nil
	case err != nil:
		return &cloud.Result{Status: cloud.InDoubt, Message: err.Error()}, nil
	case a.Status != http.StatusOK:
		return c.wholeBatch(a, writes), nil
	}
	return nil, a
}

// credentialResults returns the results in an answer. All are in doubt if their number is wrong, and each that names another user than its item.
func (c *Client) credentialResults(items []cloud.CredentialItem, a *answer) []cloud.Result {
	var doc struct {
		Results []struct {
			User    string `json:"user"`
			Status  int    `json:"status"`
			Code    string `json:"code"`
			Message string `json:"message"`
		} `json:"results"`
	}
	request := a.Header.Get("request-id")
	if err := json.Unmarshal(a.Body, &doc); err != nil || len(doc.Results) != len(items) {
		return all(items, cloud.Result{Status: cloud.InDoubt, HTTP: a.Status, RequestID: request, Message: "the answer does not hold a result for each credential"})
	}
	out := make([]cloud.Result, len(items))
	for i, x := range doc.Results {
		out[i] = cloud.Result{Status: cloud.Done, CloudID: items[i].CloudID, HTTP: x.Status, RequestID: request}
		if x.User != items[i].CloudID {
			out[i].Status, out[i].Message = cloud.InDoubt, "the answer names another user here"
			continue
		}
		if x.Status != http.StatusOK {
			out[i].Status, out[i].Code, out[i].Message = refusal(x.Status, true), x.Code, x.Message
			out[i].Missing = x.Status == http.StatusNotFound
		}
		if out[i].Status == cloud.Throttled {
			out[i].RetryAfter = defaultRetryAfter
		}
	}
	return out
}

// Credential reads the state of a user's credential in the tenant, to end a doubt. found is false if none was stored, or the tenant does not show it yet (rule V2).
func (c *Client) Credential(ctx context.Context, cloudID string) (s cloud.CredentialState, found bool, err error) {
	op := "read the credential's state of user " + cloudID
	if err := c.open(ctx, DoorCredentials); err != nil {
		return s, false, fmt.Errorf("%s: %w", op, err)
	}
	err = c.patient().get(ctx, op, "", c.labPath("/credentials/"+url.PathEscape(cloudID)), &s)
	if errors.Is(err, ErrNotFound) {
		return cloud.CredentialState{}, false, nil
	}
	return s, err == nil, err
}
