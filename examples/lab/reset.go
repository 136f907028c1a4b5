package lab

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// passwordMethod is the id that Graph gives everybody's password among the methods of authentication.
const passwordMethod = "28c10230-6103-485e-b985-444c60001490"

// ResetPassword resets a person's password as the tenant's administrator does, by Graph, and waits until that has ended. A person of a directory has it when the
// directory took it: the error says why not.
func (l *Lab) ResetPassword(ctx context.Context, upn, password string) error {
	u, found := l.User(upn)
	if !found {
		return fmt.Errorf("the tenant has no user %s", upn)
	}
	form := url.Values{"grant_type": {"password"}, "client_id": {l.Tenant.ClientID}, "client_secret": {l.Tenant.ClientSecret}, "scope": {"User.Read"},
		"username": {l.admin.user}, "password": {l.admin.password}}
	var token struct {
		Text string `json:"access_token"`
	}
	tokens := l.Tenant.Authority() + "/" + l.Tenant.TenantID + "/oauth2/v2.0/token"
	if _, err := l.graph(ctx, http.MethodPost, tokens, "", "application/x-www-form-urlencoded", []byte(form.Encode()), &token); err != nil {
		return fmt.Errorf("signing in as the tenant's administrator: %w", err)
	}
	body, err := json.Marshal(map[string]string{"newPassword": password})
	if err != nil {
		return fmt.Errorf("encoding the request: %w", err)
	}
	at, err := l.graph(ctx, http.MethodPost, l.Tenant.GraphEndpoint()+"/v1.0/users/"+u.ID+"/authentication/methods/"+passwordMethod+"/resetPassword", token.Text, "application/json", body, nil)
	if err != nil {
		return fmt.Errorf("resetting the password of %s: %w", upn, err)
	}
	return l.operation(ctx, at, token.Text)
}

// ChangePassword changes a person's password as the person does in the portal. The person has it when the directory took it: the error says why not.
func (l *Lab) ChangePassword(ctx context.Context, upn, was, password string) error {
	body, err := json.Marshal(map[string]string{"user": upn, "oldPassword": was, "newPassword": password})
	if err != nil {
		return fmt.Errorf("encoding the request: %w", err)
	}
	if _, err = l.graph(ctx, http.MethodPost, l.Tenant.GraphEndpoint()+"/lab/sspr/change", l.Tenant.LabToken, "application/json", body, nil); err != nil {
		return fmt.Errorf("changing the password of %s: %w", upn, err)
	}
	return nil
}

// operation waits for the end of a long-running operation.
func (l *Lab) operation(ctx context.Context, at, token string) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		var o struct{ Status, StatusDetail string }
		if _, err := l.graph(ctx, http.MethodGet, at, token, "", nil, &o); err != nil {
			return fmt.Errorf("looking at the operation: %w", err)
		}
		switch o.Status {
		case "succeeded":
			return nil
		case "failed":
			return errors.New(strings.TrimSpace("the directory did not take it: " + o.StatusDetail))
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// graph sends one request to the tenant and returns where its answer says that an operation is seen.
func (l *Lab) graph(ctx context.Context, method, address, token, kind string, body []byte, out any) (location string, err error) {
	r, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	if kind != "" {
		r.Header.Set("Content-Type", kind)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := l.Tenant.HTTPClient().Do(r)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, res.Body.Close()) }()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return "", err
	}
	if res.StatusCode >= http.StatusBadRequest {
		return "", fmt.Errorf("%s: %.500s", res.Status, b)
	}
	if out != nil {
		err = json.Unmarshal(b, out)
	}
	return res.Header.Get("Location"), err
}
