package directory

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// ServerOptions say how a model is served. The zero value listens on free loopback ports with a certificate of its own
// authority and with AD's limits.
type ServerOptions struct {
	// Secure is the listener for LDAP over TLS; a free port of 127.0.0.1 if nil. The server closes it.
	Secure net.Listener
	// Plain is the listener for LDAP on which a bind needs StartTLS first; a free port of 127.0.0.1 if nil.
	Plain net.Listener
	// TLS holds the server's certificate. Nil makes an authority and a certificate for loopback; see [Server.CAPEM].
	TLS *tls.Config
	// MaxPageSize is how many entries a search or a page returns at most; 1000 if 0, as in AD.
	MaxPageSize int
	// MaxValRange is how many values of an attribute are returned at once; 1500 if 0, as in AD.
	MaxValRange int
	// MaxDirSync is how many entries one round of DirSync returns; 1000 if 0.
	MaxDirSync int
	// Writes is told of each request that writes ("add", "modify", "delete", "rename"), of which client: when it has arrived, and, with done, when its answer is about to be sent. nil: nobody is.
	Writes func(op string, from net.Addr, done bool)
}

func (o ServerOptions) withDefaults() (ServerOptions, error) {
	for n, standard := range map[*int]int{&o.MaxPageSize: 1000, &o.MaxValRange: 1500, &o.MaxDirSync: 1000} {
		if *n == 0 {
			*n = standard
		}
	}
	for _, l := range []*net.Listener{&o.Secure, &o.Plain} {
		if *l != nil {
			continue
		}
		fresh, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return o, fmt.Errorf("listening for LDAP: %w", err)
		}
		*l = fresh
	}
	return o, nil
}

// Server answers LDAP for a [Model].
type Server struct {
	model   *Model
	opts    ServerOptions
	caPEM   []byte
	working sync.WaitGroup
	cancel  context.CancelFunc
	mu      sync.Mutex
	open    map[net.Conn]struct{} // nil once closed
	budget  atomic.Int64          // entries until all connections are dropped; negative: no limit
}

// Serve answers until Close is called or ctx ends.
func Serve(ctx context.Context, m *Model, o ServerOptions) (*Server, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Server{model: m, opts: o, open: map[net.Conn]struct{}{}}
	s.budget.Store(-1)
	if o.TLS == nil {
		if s.opts.TLS, s.caPEM, err = ownCertificate(m.hostName()); err != nil {
			return nil, fmt.Errorf("making a certificate for %s: %w", m.hostName(), err)
		}
	}
	ctx, s.cancel = context.WithCancel(ctx)
	s.working.Go(func() { s.accept(o.Secure, true) })
	s.working.Go(func() { s.accept(o.Plain, false) })
	s.working.Go(func() {
		<-ctx.Done()
		s.shut()
	})
	return s, nil
}

// Addr is host:port of LDAP over TLS.
func (s *Server) Addr() string { return s.opts.Secure.Addr().String() }

// URL is Addr as "ldaps://host:port".
func (s *Server) URL() string { return "ldaps://" + s.Addr() }

// PlainURL is "ldap://host:port" of the port for StartTLS.
func (s *Server) PlainURL() string { return "ldap://" + s.opts.Plain.Addr().String() }

// CAPEM is the authority of the server's own certificate; nil if ServerOptions.TLS was given.
func (s *Server) CAPEM() []byte { return s.caPEM }

// Model is what is served.
func (s *Server) Model() *Model { return s.model }

// DropConnections cuts all connections, as a restart of the domain controller does. New ones are accepted.
func (s *Server) DropConnections() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.open {
		_ = c.Close()
	}
}

// DropAfter cuts all connections once, after n more entries have been sent.
func (s *Server) DropAfter(n int) { s.budget.Store(int64(n)) }

// spend counts an entry that is about to be sent, and says whether it may be.
func (s *Server) spend() bool {
	for {
		left := s.budget.Load()
		if left < 0 {
			return true
		}
		if !s.budget.CompareAndSwap(left, left-1) {
			continue
		}
		if left == 0 {
			s.DropConnections()
		}
		return left > 0
	}
}

// Close ends all connections and waits for what serves them.
func (s *Server) Close() error {
	s.cancel()
	s.working.Wait()
	return nil
}

func (s *Server) shut() {
	_ = s.opts.Secure.Close()
	_ = s.opts.Plain.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.open {
		_ = c.Close()
	}
	s.open = nil
}

func (s *Server) accept(l net.Listener, secure bool) {
	for {
		raw, err := l.Accept()
		if err != nil {
			return // closed
		}
		if !s.track(raw) {
			return
		}
		s.working.Go(func() {
			defer s.drop(raw)
			newSession(s, raw, secure).serve()
		})
	}
}

func (s *Server) track(c net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open == nil {
		_ = c.Close()
		return false
	}
	s.open[c] = struct{}{}
	return true
}

func (s *Server) drop(c net.Conn) {
	_ = c.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, c)
}

// ownCertificate makes an authority and a certificate of it for name and loopback.
func ownCertificate(name string) (*tls.Config, []byte, error) {
	now := time.Now()
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Tandem lab CA"}, NotBefore: now.Add(-time.Hour),
		NotAfter: now.AddDate(1, 0, 0), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, NotBefore: ca.NotBefore, NotAfter: ca.NotAfter,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames: []string{name, "localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, caKey.Public(), caKey)
	if err != nil {
		return nil, nil, err
	}
	leafDER, err := x509.CreateCertificate(rand.Reader, leaf, ca, key.Public(), caKey)
	if err != nil {
		return nil, nil, err
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{{Certificate: [][]byte{leafDER}, PrivateKey: key}}}
	return config, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: caDER}), nil
}
