package cloudsync

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"time"

	"google.golang.org/grpc/credentials"

	"github.com/tandem-sync/tandem/plugins/cloudsync/line"
)

// How long certificates last. Agents renew theirs in the last third; the server's is made anew at each start, and agents pin
// its key, not its dates.
const (
	authorityLife = 30 * 365 * 24 * time.Hour
	agentLife     = 365 * 24 * time.Hour
	clockSkew     = time.Hour // certificates begin this much earlier, for hosts whose clocks differ
)

// authority is the service's own: it signs the agents' certificates and the server's. Its keys lie in the engine's folder.
type authority struct {
	certificate *x509.Certificate
	key         crypto.Signer
	server      tls.Certificate
	pin         line.Pin
}

// openAuthority reads the authority from dir, or makes it there.
func openAuthority(dir string, now time.Time) (*authority, error) {
	key, err := keyFile(filepath.Join(dir, "authority.key"))
	if err != nil {
		return nil, err
	}
	serverKey, err := keyFile(filepath.Join(dir, "server.key"))
	if err != nil {
		return nil, err
	}
	a := &authority{key: key}
	if err := a.certify(now); err != nil {
		return nil, fmt.Errorf("make the agents' certificate authority: %w", err)
	}
	der, err := a.sign(&x509.Certificate{Subject: pkix.Name{CommonName: "tandem cloudsync"},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}, serverKey.Public(), now, authorityLife)
	if err != nil {
		return nil, err
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	a.server = tls.Certificate{Certificate: [][]byte{der}, PrivateKey: serverKey, Leaf: leaf}
	a.pin = line.PinOf(leaf)
	return a, nil
}

// certify makes the authority's certificate. It is made anew at each start: what counts is the key, and agents never see it.
func (a *authority) certify(now time.Time) error {
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "tandem cloudsync agents"},
		NotBefore: now.Add(-clockSkew), NotAfter: now.Add(authorityLife), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, a.key.Public(), a.key)
	if err == nil {
		a.certificate, err = x509.ParseCertificate(der)
	}
	return err
}

func (a *authority) sign(template *x509.Certificate, key crypto.PublicKey, now time.Time, life time.Duration) ([]byte, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	template.SerialNumber = serial
	template.NotBefore, template.NotAfter = now.Add(-clockSkew), now.Add(life)
	template.KeyUsage = x509.KeyUsageDigitalSignature
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, key, a.key)
	if err != nil {
		return nil, fmt.Errorf("sign a certificate: %w", err)
	}
	return der, nil
}

// enrol signs an agent's request. The name in the certificate is the service's, whatever the request says. With the certificate
// before it, the key must be the same.
func (a *authority) enrol(csr []byte, before *x509.Certificate, agent string, now time.Time) ([]byte, error) {
	r, err := x509.ParseCertificateRequest(csr)
	if err != nil {
		return nil, fmt.Errorf("the certificate request: %w", err)
	}
	if err := r.CheckSignature(); err != nil {
		return nil, fmt.Errorf("the certificate request: %w", err)
	}
	if before != nil && !bytes.Equal(before.RawSubjectPublicKeyInfo, r.RawSubjectPublicKeyInfo) {
		return nil, errors.New("the certificate request: another key than that of the certificate which is renewed")
	}
	return a.sign(&x509.Certificate{Subject: pkix.Name{CommonName: agent},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}, r.PublicKey, now, agentLife)
}

// serverTLS asks for a client certificate and takes any: judge says what it is worth. TLS itself would refuse one that has ended
// without telling why, and without letting it be renewed.
func (a *authority) serverTLS(now func() time.Time) *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{a.server}, NextProtos: []string{"h2"},
		ClientAuth: tls.RequestClientCert, SessionTicketsDisabled: true, Time: now}
}

// judge says who has shown these certificates. TLS has proved that their key is held.
func (a *authority) judge(shown []*x509.Certificate, now time.Time) caller {
	who := caller{CommonAuthInfo: credentials.CommonAuthInfo{SecurityLevel: credentials.PrivacyAndIntegrity}}
	if len(shown) == 0 {
		who.refused = "a client certificate is needed: enrol first"
		return who
	}
	leaf := shown[0]
	until := now
	if now.After(leaf.NotAfter) {
		until = leaf.NotAfter // everything else about it must be right
	}
	pool := x509.NewCertPool()
	pool.AddCert(a.certificate)
	_, err := leaf.Verify(x509.VerifyOptions{Roots: pool, CurrentTime: until, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	switch {
	case err != nil:
		who.refused = fmt.Sprintf("the client certificate is not one that this service gave out, or its dates are wrong (%v)", err)
	case now.After(leaf.NotAfter.Add(renewalGrace)):
		who.refused = fmt.Sprintf("the client certificate ended on %s, more than %d days ago: enrol the agent again with tandem-agent enroll --force "+
			"and a new token", leaf.NotAfter.Format(time.DateOnly), renewalGraceDays)
	default:
		who.agent, who.leaf, who.lapsed = leaf.Subject.CommonName, leaf, now.After(leaf.NotAfter)
	}
	return who
}

// keyFile reads a private key, or makes it.
func keyFile(path string) (crypto.Signer, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return newKeyFile(path)
	}
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("%s is damaged, it holds no PEM key: restore it from a backup, or remove it and enrol every agent again", path)
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("%s: a key that cannot sign", path)
	}
	return signer, nil
}

func newKeyFile(path string) (crypto.Signer, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return key, replaceFile(path, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// replaceFile writes a file that only its owner reads, so that a crash leaves the old or the new one.
func replaceFile(path string, content []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
