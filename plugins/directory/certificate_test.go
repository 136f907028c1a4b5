package directory_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"net"
	"testing"
	"time"

	labdirectory "github.com/tandem-sync/tandem/examples/lab/directory"
	"github.com/tandem-sync/tandem/plugins/directory"
)

// negativeSerial returns a certificate for loopback, signed by itself, whose serial number is negative: Samba's own are one half of the time.
func negativeSerial(t *testing.T) (tls.Certificate, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := x509.Certificate{SerialNumber: big.NewInt(0x7a11), Subject: pkix.Name{CommonName: "dc1"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature, DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	var c struct {
		TBS       asn1.RawValue
		Algorithm asn1.RawValue
		Signature asn1.BitString
	}
	if _, err := asn1.Unmarshal(der, &c); err != nil {
		t.Fatal(err)
	}
	tbs := c.TBS.FullBytes
	at := -1
	for i := range len(tbs) - 4 { // INTEGER 0x7a11, whose sign bit is set: Go makes no such certificate by itself
		if tbs[i] == 2 && tbs[i+1] == 2 && tbs[i+2] == 0x7a && tbs[i+3] == 0x11 {
			at = i + 2
			break
		}
	}
	if at < 0 {
		t.Fatal("no serial number in the certificate")
	}
	tbs[at] |= 0x80
	digest := sha256.Sum256(tbs)
	signature, err := key.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	c.Signature = asn1.BitString{Bytes: signature, BitLength: 8 * len(signature)}
	if der, err = asn1.Marshal(c); err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// A controller whose certificate has a negative serial number is spoken to (RFC 5280 §4.1.2.2 asks users of certificates to take them).
func TestANegativeSerialNumberIsAccepted(t *testing.T) {
	cert, ca := negativeSerial(t)
	m := labdirectory.New(labdirectory.Options{})
	server, err := labdirectory.Serve(context.Background(), m, labdirectory.ServerOptions{TLS: &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	for _, insecure := range []bool{false, true} {
		s, err := directory.Dial(t.Context(), directory.Connection{Name: "contoso", URLs: []string{server.URL()}, Base: m.Base(), User: m.ReadOnlyUser(), Password: m.AdminPassword(), CA: ca, Insecure: insecure})
		if err != nil {
			t.Fatalf("insecure %v: %v", insecure, err)
		}
		s.Close()
	}
}
