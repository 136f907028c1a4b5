//go:build linux

package samba

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// authority is the lab's own certificate authority and where the server's certificate lies. Samba's own certificate would
// not do: it has no subject alternative name and can have a negative serial number, which Go refuses.
type authority struct {
	certFile string
	certPEM  []byte
}

// openAuthority returns the authority in dir and makes it, with a server certificate for fqdn and loopback, if there is none.
func openAuthority(dir, fqdn string) (*authority, error) {
	folder := filepath.Join(dir, "tls")
	a := &authority{certFile: filepath.Join(folder, "ca.pem")}
	var err error
	if a.certPEM, err = os.ReadFile(a.certFile); err == nil {
		return a, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("reading the lab's certificate authority: %w", err)
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, fmt.Errorf("making the folder for certificates: %w", err)
	}
	if err := a.issue(folder, fqdn); err != nil {
		return nil, fmt.Errorf("issuing the certificate of %s: %w", fqdn, err)
	}
	return a, nil
}

func (a *authority) issue(folder, fqdn string) error {
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	ca := template(1, "Tandem lab CA")
	ca.IsCA, ca.BasicConstraintsValid, ca.KeyUsage = true, true, x509.KeyUsageCertSign|x509.KeyUsageDigitalSignature
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, caKey.Public(), caKey)
	if err != nil {
		return err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	leaf := template(2, fqdn)
	leaf.KeyUsage, leaf.ExtKeyUsage = x509.KeyUsageDigitalSignature, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	leaf.DNSNames, leaf.IPAddresses = []string{fqdn, "localhost"}, []net.IP{net.IPv4(127, 0, 0, 1)}
	leafDER, err := x509.CreateCertificate(rand.Reader, leaf, ca, key.Public(), caKey)
	if err != nil {
		return err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	return a.write(folder, caDER, leafDER, keyDER)
}

// write stores the authority last, because its file says that the others are complete. The authority's key is dropped:
// nothing else is to be issued.
func (a *authority) write(folder string, ca, leaf, key []byte) error {
	a.certPEM = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca})
	keyPEM := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})
	leafPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leaf})
	// Samba refuses to start with a key that others may read.
	return errors.Join(
		os.WriteFile(filepath.Join(folder, "key.pem"), keyPEM, 0o600),
		os.WriteFile(filepath.Join(folder, "cert.pem"), leafPEM, 0o600),
		os.WriteFile(a.certFile, a.certPEM, 0o644),
	)
}

func template(serial int64, name string) *x509.Certificate {
	now := time.Now()
	return &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(10 * 365 * 24 * time.Hour),
	}
}
