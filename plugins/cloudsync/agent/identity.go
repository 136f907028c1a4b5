package agent

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"os"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/tandem-sync/tandem/plugins/cloudsync/line"
	"github.com/tandem-sync/tandem/plugins/cloudsync/line/linepb"
	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/scoping"
)

// ErrInvitation says that the service refused the token: wrong, used before, or expired.
var ErrInvitation = errors.New("the service refuses the token")

// Identity is everything an agent needs to run: who it is, whom it serves, and the directory it reads.
type Identity struct {
	Server      string // HOST:PORT of the service
	Pin         line.Pin
	Agent       string // id that the service gave
	Group       string
	Certificate tls.Certificate // with its private key
	Connection  directory.Connection
	Accounts    map[scoping.Purpose]directory.Account // beside the one that reads; nil: none
}

// Enroll trades the token for an identity. It checks nothing of the directory; the caller does. Kinds of error:
// line.ErrToken, line.ErrPin, ErrInvitation.
func Enroll(ctx context.Context, server, token string, c directory.Connection) (Identity, error) {
	t, err := line.ParseToken(token)
	if err != nil {
		return Identity{}, err
	}
	if err := line.Probe(ctx, server, line.ClientTLS(t.Pin, nil)); err != nil {
		return Identity{}, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Identity{}, fmt.Errorf("make a key pair: %w", err)
	}
	csr, err := request(key)
	if err != nil {
		return Identity{}, err
	}
	conn, err := line.Dial(server, line.ClientTLS(t.Pin, nil))
	if err != nil {
		return Identity{}, err
	}
	defer conn.Close()
	host, _ := os.Hostname()
	reply, err := linepb.NewLineClient(conn).Enroll(ctx, &linepb.EnrollRequest{Secret: t.Secret[:], Csr: csr, Base: c.Base,
		Host: host, Version: line.Version(), Machine: MachineName()})
	if err != nil {
		return Identity{}, invitation(err)
	}
	certificate, err := certificateOf(reply.Certificate, key)
	return Identity{Server: server, Pin: t.Pin, Agent: reply.Agent, Group: reply.Group, Certificate: certificate, Connection: c}, err
}

func invitation(err error) error {
	switch status.Code(err) {
	case codes.PermissionDenied, codes.InvalidArgument:
		return fmt.Errorf("%w: %s", ErrInvitation, status.Convert(err).Message())
	}
	return fmt.Errorf("enrol: %w", err)
}

func request(key crypto.Signer) ([]byte, error) {
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "agent"}}, key)
	if err != nil {
		return nil, fmt.Errorf("make a certificate request: %w", err)
	}
	return csr, nil
}

func certificateOf(der []byte, key crypto.PrivateKey) (tls.Certificate, error) {
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("the service gave no certificate: %w", err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, nil
}

// How often renewing is thought of while the line is up, and tried again after a failure.
const (
	renewCheck = 6 * time.Hour
	renewRetry = time.Hour
)

// due is how long it is until less than a third of the certificate's life is left; 0: it is.
func (r *runner) due() time.Duration {
	leaf := r.identity().Certificate.Leaf
	at := leaf.NotAfter.Add(-leaf.NotAfter.Sub(leaf.NotBefore) / 3)
	return max(0, at.Sub(r.options.Now()))
}

func (r *runner) expired() bool {
	return r.options.Now().After(r.identity().Certificate.Leaf.NotAfter)
}

// keepRenewed renews the certificate while the line is up, which may be for years. It ends with ctx.
func (r *runner) keepRenewed(ctx context.Context) {
	for {
		wait := min(r.due(), renewCheck)
		if wait == 0 {
			if err := r.renewIfDue(ctx); err != nil {
				r.options.Logger.Warn("the certificate could not be renewed", "error", err)
				wait = renewRetry
			}
		}
		if wait > 0 && r.options.Wait(ctx, wait) != nil {
			return
		}
	}
}

// renewIfDue gets a new certificate when less than a third of the old one's life is left, or none: the service still renews one that
// ended a short time ago.
func (r *runner) renewIfDue(ctx context.Context) error {
	id := r.identity()
	if r.due() > 0 {
		return nil
	}
	ends := id.Certificate.Leaf.NotAfter.Format(time.DateOnly)
	next, err := renew(ctx, id)
	if err != nil {
		return fmt.Errorf("renew the certificate that ends on %s: %w", ends, err)
	}
	if err := r.options.Save(next); err != nil {
		return fmt.Errorf("store the certificate that replaces the one that ends on %s: %w", ends, err)
	}
	r.mu.Lock()
	r.id = next
	r.mu.Unlock()
	r.options.Logger.Info("the certificate was renewed", "until", next.Certificate.Leaf.NotAfter)
	return nil
}

func renew(ctx context.Context, id Identity) (Identity, error) {
	key, ok := id.Certificate.PrivateKey.(crypto.Signer)
	if !ok {
		return id, errors.New("the private key cannot sign")
	}
	csr, err := request(key)
	if err != nil {
		return id, err
	}
	conn, err := line.Dial(id.Server, line.ClientTLS(id.Pin, &id.Certificate))
	if err != nil {
		return id, err
	}
	defer conn.Close()
	reply, err := linepb.NewLineClient(conn).Renew(ctx, &linepb.RenewRequest{Csr: csr})
	if err != nil {
		return id, refusal(err)
	}
	id.Certificate, err = certificateOf(reply.Certificate, key)
	return id, err
}
