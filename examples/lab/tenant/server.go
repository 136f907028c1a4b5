package tenant

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/tandem-sync/tandem/examples/lab/tenant/inbound"
)

// ServeOptions says how the wire front listens and whom it knows. The zero value of each field is a usable default.
type ServeOptions struct {
	Listen       string        // default 127.0.0.1:0
	Hosts        []string      // further names or addresses of the certificate
	TenantID     string        // default the model's
	ClientID     string        // default a new id
	ClientSecret string        // default a new secret
	LabToken     string        // default a new secret
	TokenLife    time.Duration // of access tokens, on the model's clock; default 1 h
	Throttling   bool          // Entra's documented limits from the start
	TLS          *tls.Config   // with certificates of the caller's; then CAPEM is empty

	Provisioning Delays // of what HR systems send

	// After waits for the relay of password writeback, on the same clock as the model's; default time.After.
	After func(time.Duration) <-chan time.Time
}

// Delays say how long inbound provisioning takes, on the model's clock: until a request is carried out, and from then until the log tells
// of it. 0 is half a second and a second; negative is none.
type Delays struct{ Cycle, Log time.Duration }

// Server is a running wire front.
type Server struct {
	ClientID     string
	ClientSecret string
	TenantID     string
	LabToken     string // bearer for /lab/…

	front    *front
	http     *http.Server
	listener net.Listener
	caPEM    []byte
	done     chan struct{} // closed when the listener's loop has ended
	stop     func() bool
	closeErr error
}

// Serve starts the wire front and returns once it accepts connections. It ends with Close or with ctx.
func Serve(ctx context.Context, m *Model, o ServeOptions) (*Server, error) {
	if o.Listen == "" {
		o.Listen = "127.0.0.1:0"
	}
	s := &Server{ClientID: o.ClientID, ClientSecret: o.ClientSecret, TenantID: o.TenantID, LabToken: o.LabToken, done: make(chan struct{})}
	s.fill(m)
	config, err := s.tlsConfig(o)
	if err != nil {
		return nil, err
	}
	if o.TokenLife <= 0 {
		o.TokenLife = time.Hour
	}
	if o.After == nil {
		o.After = time.After
	}
	s.front = &front{model: m, tenantID: s.TenantID, clientID: s.ClientID, secret: s.ClientSecret, labToken: s.LabToken,
		tokens: &tokenStore{grants: map[string]grant{}, life: o.TokenLife}, relay: newRelay(o.After)}
	if o.Throttling {
		s.front.throttle.set(EntraLimits(), m.now())
	}
	s.front.services.set(true, m.now())
	if _, err := m.RegisterApp(s.ClientID, "Tandem"); err != nil {
		return nil, fmt.Errorf("registering the application %s: %w", s.ClientID, err)
	}
	if err := s.provision(m, o.Provisioning); err != nil {
		return nil, err
	}
	var listen net.ListenConfig
	if s.listener, err = listen.Listen(ctx, "tcp", o.Listen); err != nil {
		return nil, fmt.Errorf("listening for the lab tenant on %s: %w", o.Listen, err)
	}
	s.http = &http.Server{Handler: s.front, TLSConfig: config, ReadHeaderTimeout: 30 * time.Second,
		ErrorLog: log.New(io.Discard, "", 0)} // handshakes that clients break off are theirs to report
	go s.loop()
	s.stop = context.AfterFunc(ctx, s.shut)
	return s, nil
}

// provision gives the tenant an application of API-driven provisioning, with its job.
func (s *Server) provision(m *Model, d Delays) error {
	const name = "API-driven provisioning to Microsoft Entra ID"
	app := uuid.NewString()
	o, err := m.RegisterApp(app, name)
	if err != nil {
		return fmt.Errorf("registering the application of inbound provisioning: %w", err)
	}
	job := inbound.Job{ID: "API2AAD." + strings.ReplaceAll(s.TenantID, "-", "") + "." + uuid.NewString(), TenantID: s.TenantID, AppID: app, ServicePrincipal: o.ID, Name: name}
	s.front.inbound = inbound.New(inboundDirectory{m}, job, inbound.Options{Clock: m.now, Cycle: d.Cycle, LogDelay: d.Log})
	return nil
}

func (s *Server) fill(m *Model) {
	if s.TenantID == "" {
		s.TenantID = m.TenantID()
	}
	if s.ClientID == "" {
		s.ClientID = uuid.NewString()
	}
	if s.ClientSecret == "" {
		s.ClientSecret = newToken()
	}
	if s.LabToken == "" {
		s.LabToken = newToken()
	}
}

func (s *Server) tlsConfig(o ServeOptions) (*tls.Config, error) {
	if o.TLS != nil {
		return o.TLS.Clone(), nil
	}
	ca, certificate, err := newCertificates(o.Hosts)
	if err != nil {
		return nil, err
	}
	s.caPEM = ca
	return &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}, nil
}

func (s *Server) loop() {
	defer close(s.done)
	if err := s.http.ServeTLS(s.listener, "", ""); !errors.Is(err, http.ErrServerClosed) {
		s.closeErr = fmt.Errorf("serving the lab tenant: %w", err)
	}
}

// Close ends the front: it stops listening, cuts what is open, and returns when every request's handler has ended.
func (s *Server) Close() error {
	s.stop()
	s.shut()
	<-s.done
	s.front.hand.drain()
	return s.closeErr
}

func (s *Server) shut() { _ = s.http.Close() } // closing the listener cannot usefully fail

// GraphEndpoint is Graph's root, without version: https://127.0.0.1:PORT.
func (s *Server) GraphEndpoint() string { return "https://" + s.listener.Addr().String() }

// Authority is the root of the sign-in service; here the same as GraphEndpoint.
func (s *Server) Authority() string { return s.GraphEndpoint() }

// BulkUpload is the address to which an HR system sends people.
func (s *Server) BulkUpload() string {
	j := s.front.inbound.Job()
	return s.GraphEndpoint() + "/v1.0/servicePrincipals/" + j.ServicePrincipal + "/synchronization/jobs/" + j.ID + "/bulkUpload"
}

// CAPEM is the certificate authority's certificate, to be trusted by clients.
func (s *Server) CAPEM() []byte { return append([]byte(nil), s.caPEM...) }

// HTTPClient is a client that trusts the tenant's authority. It does not sign in. Its idle connections end with the server.
func (s *Server) HTTPClient() *http.Client {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(s.caPEM)
	return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, MaxIdleConnsPerHost: 64, ForceAttemptHTTP2: true}}
}

// AddFault orders a fault and returns its id.
func (s *Server) AddFault(t Fault) (string, error) { return s.front.faults.add(t) }

// ClearFaults withdraws the fault with this id, or all when id is empty.
func (s *Server) ClearFaults(id string) { s.front.faults.clear(id) }

// Faults tells of the faults in force and how often they struck.
func (s *Server) Faults() []FaultReport { return s.front.faults.report() }

// SetLimits switches throttling on, or off with the zero value. The buckets start full.
func (s *Server) SetLimits(l Limits) { s.front.throttle.set(l, s.front.model.now()) }

// SetServiceLimits switches the limits of bulkUpload and of the reports off or on again, with full buckets. They are on from the start.
func (s *Server) SetServiceLimits(on bool) { s.front.services.set(on, s.front.model.now()) }

// SetPermissions leaves the application these permissions, where the tenant asks for any; without names it has all again.
func (s *Server) SetPermissions(names ...string) { s.front.granted.set(len(names) > 0, names) }

// RunGhosts lets late effects happen: those that are due, or all. It returns how many there were.
func (s *Server) RunGhosts(all bool) int { return s.front.runGhosts(all) }

// PendingGhosts counts requests that have yet to take effect.
func (s *Server) PendingGhosts() int { return s.front.ghosts.pending() }

// Requests returns the log of writes and the counters.
func (s *Server) Requests() ([]RequestRecord, Counters) { return s.front.log.read() }

// ResetCounters empties the log of writes and the counters.
func (s *Server) ResetCounters() { s.front.log.reset() }

// RevokeTokens refuses every access token given out so far.
func (s *Server) RevokeTokens() { s.front.tokens.revokeAll() }

// IssueToken gives out an access token without a sign-in, for tests that are not about signing in.
func (s *Server) IssueToken() string {
	token, _ := s.front.tokens.issue("", s.front.model.now())
	return token
}

// Handler is the front itself, to be called without a network; faults that cut the connection then panic with
// http.ErrAbortHandler, as they do under net/http.
func (s *Server) Handler() http.Handler { return s.front }
