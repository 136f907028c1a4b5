package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
)

// settings say where the tenant is and how to sign in: lab.json has them, and so may a file of one's own.
type settings struct {
	Authority    string `json:"authority"`
	TenantID     string `json:"tenantId"`
	ClientID     string `json:"clientId"`
	ClientSecret string `json:"clientSecret"`
	CAFile       string `json:"caFile"` // only for a private certificate authority
	BulkUpload   string `json:"bulkUpload"`
}

// client speaks to one tenant. A token lasts longer than a run.
type client struct {
	settings
	http  *http.Client
	token string
	wait  func(ctx context.Context, d time.Duration) error
}

// connect reads the settings; it sends nothing yet.
func connect(file string) (*client, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, about("the tenant: " + err.Error() + " (tandem lab up writes lab/lab.json; -tenant names another file)")
	}
	c := &client{http: &http.Client{Timeout: time.Minute}, wait: pause}
	if err := json.Unmarshal(raw, &c.settings); err != nil {
		return nil, about(file + ": " + err.Error())
	}
	for name, v := range map[string]string{"authority": c.Authority, "tenantId": c.TenantID, "clientId": c.ClientID, "clientSecret": c.ClientSecret, "bulkUpload": c.BulkUpload} {
		if v == "" {
			return nil, about(file + ": " + name + " is missing")
		}
	}
	if c.CAFile == "" {
		return c, nil
	}
	pem, err := os.ReadFile(c.CAFile)
	if err != nil {
		return nil, about(file + ": caFile: " + err.Error())
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, about(c.CAFile + ": there is no certificate in it")
	}
	c.http.Transport = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}
	return c, nil
}

func (c *client) close() { c.http.CloseIdleConnections() }

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// signIn gets an access token by the application's secret.
func (c *client) signIn(ctx context.Context) error {
	api, err := url.Parse(c.BulkUpload)
	if err != nil {
		return fmt.Errorf("bulkUpload: %w", err)
	}
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {c.ClientID}, "client_secret": {c.ClientSecret}, "scope": {api.Scheme + "://" + api.Host + "/.default"}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(c.Authority, "/")+"/"+c.TenantID+"/oauth2/v2.0/token", strings.NewReader(form.Encode()))
	if err != nil {
		return fmt.Errorf("signing in: %w", err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("signing in: %w", err)
	}
	defer resp.Body.Close()
	var out struct {
		Token       string `json:"access_token"`
		Description string `json:"error_description"`
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(&out); err != nil {
		return fmt.Errorf("signing in: %s, and no JSON: %w", resp.Status, err)
	}
	if out.Token == "" {
		text, _, _ := strings.Cut(out.Description, " Trace ID")
		return fmt.Errorf("signing in: %s: %s", resp.Status, text)
	}
	c.token = out.Token
	return nil
}

// patience bounds how often a request that was put off is made again.
const patience = 30

// call makes a request, again after the time that the tenant asks for when there were too many. It returns the answer's header and body.
func (c *client) call(ctx context.Context, method, address string, body any) (http.Header, []byte, error) {
	var raw []byte
	if body != nil {
		var err error
		if raw, err = json.Marshal(body); err != nil {
			return nil, nil, fmt.Errorf("encoding the request: %w", err)
		}
	}
	for try := 0; ; try++ {
		header, answer, again, err := c.once(ctx, method, address, raw)
		if again == 0 || try == patience {
			return header, answer, err
		}
		if err := c.wait(ctx, again); err != nil {
			return nil, nil, err
		}
	}
}

// once makes one request. again > 0 says after which time it may be made again.
func (c *client) once(ctx context.Context, method, address string, raw []byte) (header http.Header, answer []byte, again time.Duration, err error) {
	req, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(raw))
	if err != nil {
		return nil, nil, 0, err
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	if raw != nil {
		req.Header.Set("Content-Type", "application/scim+json")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, nil, 0, err
	}
	defer resp.Body.Close()
	answer, err = io.ReadAll(io.LimitReader(resp.Body, 64<<20))
	if err != nil {
		return nil, nil, 0, err
	}
	if resp.StatusCode < http.StatusBadRequest {
		return resp.Header, answer, 0, nil
	}
	if resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode == http.StatusServiceUnavailable {
		again = time.Second
		if seconds, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil {
			again = time.Duration(max(1, seconds)) * time.Second
		}
	}
	return nil, nil, again, refusal(resp, answer)
}

// refusal puts an error of Graph into words.
func refusal(resp *http.Response, body []byte) error {
	var out struct {
		Error struct{ Code, Message string }
	}
	if json.Unmarshal(body, &out) != nil || out.Error.Message == "" {
		return errors.New(resp.Status)
	}
	return fmt.Errorf("%s: %s", resp.Status, out.Error.Message)
}
