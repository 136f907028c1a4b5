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
		Host: host, Version: Version()})
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

// renewIfDue gets a new certificate when less than a third of the old one's life is left.
func renewIfDue(ctx context.Context, id *Identity, o Options) error {
	leaf := id.Certificate.Leaf
	life := leaf.NotAfter.Sub(leaf.NotBefore)
	if leaf.NotAfter.Sub(o.Now()) > life/3 {
		return nil
	}
	next, err := renew(ctx, *id)
	if err != nil {
		return fmt.Errorf("renew the certificate that ends on %s: %w", leaf.NotAfter.Format(time.DateOnly), err)
	}
	if err := o.Save(next); err != nil {
		return err
	}
	*id = next
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
