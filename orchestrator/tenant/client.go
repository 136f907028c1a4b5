// Package tenant is the client of a Microsoft Entra tenant over Microsoft Graph v1.0. It is the only package that imports the Graph SDK. It wraps delta queries, $batch, request
// ids and kinds of errors once.
//
// The orchestrator opens one [Client] when it opens ([Open], which sends nothing), and closes it at the end. Everything in between may be called by several goroutines at once:
// [Client.Refresh] before runs, [Client.Send] by the gate, [Client.Find] to end doubts, [Client.Check] and [Client.Capabilities] for people.
//
// A write is sent at most once per call of Send: neither the SDK (its retry, redirect and compression handlers are not in the chain) nor net/http (see newTransport) repeats it.
// Reads are repeated after throttling and passing failures. The package decides nothing about ownership; the gate does. What public Graph cannot do is listed by Capabilities,
// and refused.
//
// The lab's tenant has doors: interfaces beside Graph like those that Microsoft's engines use ([Client.Door]).
package tenant

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	khttp "github.com/microsoft/kiota-http-go"
	core "github.com/microsoftgraph/msgraph-sdk-go-core"
)

// DefaultEndpoint is Microsoft Graph of the worldwide cloud.
const DefaultEndpoint = "https://graph.microsoft.com"

// DefaultTimeout bounds one request.
const DefaultTimeout = 60 * time.Second

// Config names the tenant and how to sign in. One of ManagedIdentity, CertificatePEM and ClientSecret is used: the first in this order that is set.
type Config struct {
	Endpoint        string // of Graph, without version; default DefaultEndpoint
	Authority       string // of Entra's login; default the worldwide cloud's
	TenantID        string
	ClientID        string // of the application, or of the managed identity, where it may be empty
	ClientSecret    string
	CertificatePEM  []byte // certificate and private key
	ManagedIdentity bool
	CA              []byte        // PEM roots instead of the system's
	Proxy           *url.URL      // for requests to Graph and the authority
	Timeout         time.Duration // of one request; default DefaultTimeout
	Logger          *slog.Logger
	// Wait waits between attempts of a read, and returns early with the context's error. nil: real time.
	Wait func(ctx context.Context, d time.Duration) error
	// Alive is called after each answer with the request's context, so that a long reading shows progress. May be nil.
	Alive func(ctx context.Context)
	// Now is the clock, for the clock skew and for dates in Retry-After. nil: the system's.
	Now func() time.Time
}

// Client is a connection to one tenant. It is safe for concurrent use.
type Client struct {
	config    Config
	base      string // endpoint with version
	transport *http.Transport
	tokens    *tokens
	adapter   *core.GraphRequestAdapterBase
	graph     graph
	log       *slog.Logger

	requests, writes, throttled atomic.Uint64
	skew                        atomic.Int64 // ours minus theirs, as last seen, in nanoseconds
	noManager                   atomic.Bool  // this tenant refuses to track managers by delta
	doors                       doors
	extensions                  atomic.Pointer[[]string] // the registered extensions of users that are read
}

// Open returns a client. It checks the configuration and sends nothing, so only the first request, or Check, shows whether it works.
func Open(_ context.Context, c Config) (*Client, error) {
	c.Endpoint = strings.TrimSuffix(cmp.Or(c.Endpoint, DefaultEndpoint), "/")
	c.Timeout = cmp.Or(c.Timeout, DefaultTimeout)
	if c.Wait == nil {
		c.Wait = wait
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Alive == nil {
		c.Alive = func(context.Context) {}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("open tenant: %w", err)
	}
	transport, err := newTransport(c.CA, c.Proxy)
	if err != nil {
		return nil, fmt.Errorf("open tenant: %w", err)
	}
	tokens, err := newTokens(c, transport)
	if err != nil {
		return nil, fmt.Errorf("open tenant: %w", err)
	}
	cl := &Client{config: c, base: c.Endpoint + "/v1.0", transport: transport, tokens: tokens, log: c.Logger}
	return cl, cl.connectSDK()
}

func (c Config) check() error {
	var errs []error
	if u, err := url.Parse(c.Endpoint); err != nil || u.Scheme != "https" || u.Host == "" {
		errs = append(errs, fmt.Errorf("tenant.endpoint %q is not an https URL", c.Endpoint))
	}
	if !c.ManagedIdentity {
		if c.TenantID == "" {
			errs = append(errs, errors.New("tenant.tenantId is missing"))
		}
		if c.ClientID == "" {
			errs = append(errs, errors.New("tenant.clientId is missing"))
		}
	}
	return errors.Join(errs...)
}

// connectSDK builds the SDK's adapter on a chain of middleware without its retry handler, which retries three times even when set to zero (kiota-http-go 1.5.4), and without
// its redirect and compression handlers, which change bodies of writes.
func (c *Client) connectSDK() error {
	options := core.GraphClientOptions{GraphServiceLibraryVersion: sdkVersion()}
	chain := []khttp.Middleware{
		core.NewGraphTelemetryHandler(&options), khttp.NewParametersNameDecodingHandler(), khttp.NewUserAgentHandler(),
	}
	client := &http.Client{
		Transport:     onceTransport{c, khttp.NewCustomTransportWithParentTransport(c.transport, chain...)},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	adapter, err := core.NewGraphRequestAdapterBaseWithParseNodeFactoryAndSerializationWriterFactoryAndHttpClient(c.tokens, options, nil, nil, client)
	if err != nil {
		return fmt.Errorf("open tenant: %w", err)
	}
	c.adapter, c.graph = adapter, newGraph(adapter, c.base)
	return nil
}

// onceTransport removes the challenge of a 401 answer, since the SDK's adapter would send the request again with the claims that it asks for. It also notes the tenant's clock of
// every answer.
type onceTransport struct {
	client *Client
	next   http.RoundTripper
}

func (t onceTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := t.next.RoundTrip(watch(r))
	if err == nil {
		answer.Header.Del("WWW-Authenticate")
		t.client.noteDate(answer.Header)
	}
	return answer, err
}

func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Close closes idle connections.
func (c *Client) Close() error {
	c.transport.CloseIdleConnections()
	return nil
}

// Counters counts what was sent since Open.
type Counters struct {
	Requests  uint64 // HTTP requests to Graph
	Writes    uint64 // writes in them, each a part of a batch
	Throttled uint64 // requests and parts that were answered with 429 or 503
}

// Counters returns the present counts.
func (c *Client) Counters() Counters {
	return Counters{Requests: c.requests.Load(), Writes: c.writes.Load(), Throttled: c.throttled.Load()}
}
