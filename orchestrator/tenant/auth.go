package tenant

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	abs "github.com/microsoft/kiota-abstractions-go"
)

// publicAuthorities are known to the identity library. Any other is private, and trusted as it is configured.
var publicAuthorities = map[string]bool{
	"login.microsoftonline.com": true, "login.microsoftonline.us": true, "login.partner.microsoftonline.cn": true,
}

// tokens gets access tokens, and authenticates the SDK's requests with them. The credential caches the tokens.
type tokens struct {
	make   func() (azcore.TokenCredential, error)
	scope  string
	client string // for errors

	connection *lastFailure // the identity library keeps only the text of an error

	mu   sync.Mutex
	cred azcore.TokenCredential
}

// lastFailure is a transport that remembers why the last request got no answer.
type lastFailure struct {
	next http.RoundTripper
	mu   sync.Mutex
	err  error
}

// RoundTrip implements http.RoundTripper.
func (l *lastFailure) RoundTrip(r *http.Request) (*http.Response, error) {
	a, err := l.next.RoundTrip(r)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err = err; err != nil {
		l.err = &url.Error{Op: r.Method, URL: r.URL.String(), Err: err}
	}
	return a, err
}

func (l *lastFailure) get() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

func newTokens(c Config, transport http.RoundTripper) (*tokens, error) {
	t := &tokens{scope: strings.TrimSuffix(c.Endpoint, "/") + "/.default", client: c.ClientID}
	t.connection = &lastFailure{next: transport}
	transport = t.connection
	t.make = func() (azcore.TokenCredential, error) { return credential(c, transport) }
	cred, err := t.make()
	t.cred = cred
	return t, err
}

// credential makes the one way to authenticate that is configured.
func credential(c Config, transport http.RoundTripper) (azcore.TokenCredential, error) {
	options := policy.ClientOptions{
		Transport: &http.Client{Transport: transport},
		Retry:     policy.RetryOptions{MaxRetries: -1}, // the caller of get repeats
		Telemetry: policy.TelemetryOptions{Disabled: true},
	}
	private := false
	if c.Authority != "" {
		u, err := url.Parse(c.Authority)
		if err != nil || u.Scheme != "https" {
			return nil, fmt.Errorf("tenant.authority %q is not an https URL", c.Authority)
		}
		options.Cloud = cloud.Configuration{ActiveDirectoryAuthorityHost: strings.TrimSuffix(c.Authority, "/") + "/"}
		private = !publicAuthorities[u.Host]
	}
	switch {
	case c.ManagedIdentity:
		o := &azidentity.ManagedIdentityCredentialOptions{}
		if c.ClientID != "" {
			o.ID = azidentity.ClientID(c.ClientID)
		}
		return azidentity.NewManagedIdentityCredential(o)
	case len(c.CertificatePEM) > 0:
		certs, key, err := azidentity.ParseCertificates(c.CertificatePEM, nil)
		if err != nil {
			return nil, fmt.Errorf("tenant certificate: %w", err)
		}
		return azidentity.NewClientCertificateCredential(c.TenantID, c.ClientID, certs, key,
			&azidentity.ClientCertificateCredentialOptions{ClientOptions: options, DisableInstanceDiscovery: private})
	case c.ClientSecret != "":
		return azidentity.NewClientSecretCredential(c.TenantID, c.ClientID, c.ClientSecret,
			&azidentity.ClientSecretCredentialOptions{ClientOptions: options, DisableInstanceDiscovery: private})
	}
	return nil, errors.New("the tenant has no credential: set a client secret, a certificate or managedIdentity")
}

// get returns a token that stays valid for some minutes.
func (t *tokens) get(ctx context.Context) (string, error) {
	t.mu.Lock()
	cred := t.cred
	t.mu.Unlock()
	tok, err := cred.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{t.scope}, EnableCAE: true})
	if err != nil {
		return "", t.failed(err)
	}
	return tok.Token, nil
}

func (t *tokens) failed(err error) error {
	if cause := t.connection.get(); cause != nil {
		err = cause
	}
	e := &GraphError{Op: "get an access token for application " + t.client, Err: err, Kind: ErrUnreachable, Message: withoutAnswer(err),
		Hint: connectionHint(err, "see that this host reaches the tenant's authority")}
	var failed *azidentity.AuthenticationFailedError
	if errors.As(err, &failed) && failed.RawResponse != nil {
		e.HTTP, e.RequestID = failed.RawResponse.StatusCode, failed.RawResponse.Header.Get("x-ms-request-id")
		e.Message = refusalOf(failed)
		if e.HTTP < 500 && e.HTTP != http.StatusTooManyRequests {
			e.Kind, e.Hint = ErrUnauthorized, "see tenant id, client id and secret or certificate, and whether the secret has expired"
		}
	}
	return e
}

// refusalOf returns Entra's message (AADSTS…), without the trace that follows it.
func refusalOf(failed *azidentity.AuthenticationFailedError) string {
	var doc struct {
		Description string `json:"error_description"`
	}
	body, err := runtime.Payload(failed.RawResponse)
	if err != nil || json.Unmarshal(body, &doc) != nil || doc.Description == "" {
		line, _, _ := strings.Cut(failed.Error(), "\n")
		return strings.TrimSpace(line)
	}
	words, _, _ := strings.Cut(doc.Description, " Trace ID:")
	return strings.TrimSpace(words)
}

// renew drops all cached tokens. It is called after Graph refused one, which may have been revoked before its end.
func (t *tokens) renew() {
	cred, err := t.make()
	if err != nil {
		return // cannot happen: the credential in use was made from the same configuration
	}
	t.mu.Lock()
	t.cred = cred
	t.mu.Unlock()
}

// AuthenticateRequest implements the SDK's authentication provider.
func (t *tokens) AuthenticateRequest(ctx context.Context, request *abs.RequestInformation, _ map[string]any) error {
	token, err := t.get(ctx)
	if err != nil {
		return err
	}
	request.Headers.Remove("Authorization")
	request.Headers.Add("Authorization", "Bearer "+token)
	return nil
}
