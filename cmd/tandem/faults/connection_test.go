package faults_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"
)

// certificate makes a self-signed certificate for names, good until end, and its PEM.
func certificate(t testing.TB, end time.Time, names ...string) (tls.Certificate, string) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "faults"}, NotBefore: end.AddDate(-2, 0, 0), NotAfter: end,
		DNSNames: names, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature}
	if len(names) > 0 {
		c.IPAddresses = nil
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// server accepts connections, does with each what is wanted, and gives its port.
func server(t testing.TB, serve func(net.Conn)) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { defer c.Close(); serve(c) })
		}
	})
	t.Cleanup(func() { l.Close(); all.Wait() })
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// greets does the TLS handshake with a certificate, and nothing more.
func greets(cert tls.Certificate) func(net.Conn) {
	return func(c net.Conn) { _ = tls.Server(c, &tls.Config{Certificates: []tls.Certificate{cert}}).Handshake() }
}

// silent reads for ever and answers nothing.
func silent(c net.Conn) { _, _ = io.Copy(io.Discard, c) }

// closed is a port of this machine on which nobody listens.
func closed(t testing.TB) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return port
}

const (
	directoryURL = `ldaps://127\.0\.0\.1:\d+`
	tenantURL    = `https://127\.0\.0\.1:\d+`
)

func TestDirectoryThatCannotBeUsedIsNamedWithTheMend(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		spoil func(w *world)
		words []string
	}{
		"wrong password": {func(w *world) { w.write("ad-password", "wrong\n") }, []string{"ldaps://127.0.0.1:", "refused the sign-in of svc-tandem@contoso.test", "→ check bind.user and the password"}},
		"unknown CA": {func(w *world) {
			_, other := certificate(w, time.Now().Add(time.Hour))
			w.write("other.pem", other)
			w.edit("tandem.yaml", `(?m)^    tls: .*$`, "    tls: {caFile: ./other.pem}")
		}, []string{"signed by an unknown CA", "→ set tls.caFile to the CA that issued the controller's certificate"}},
		"expired certificate": {func(w *world) {
			cert, ca := certificate(w, time.Now().Add(-time.Hour))
			w.write("lab-ca.pem", ca)
			w.edit("tandem.yaml", directoryURL, "ldaps://127.0.0.1:"+server(w, greets(cert)))
		}, []string{"the certificate has expired or is not valid yet", "→ renew the controller's certificate, and check this machine's clock"}},
		"wrong host name": {func(w *world) {
			cert, ca := certificate(w, time.Now().Add(time.Hour), "dc9.contoso.test")
			w.write("lab-ca.pem", ca)
			w.edit("tandem.yaml", directoryURL, "ldaps://127.0.0.1:"+server(w, greets(cert)))
		}, []string{"the certificate is for another host name", "→ use the name that the certificate holds in the URL"}},
		"closed port": {func(w *world) { w.edit("tandem.yaml", directoryURL, "ldaps://127.0.0.1:"+closed(w)) },
			[]string{"cannot be reached", "connection refused", "→ check the host name, the port, firewalls, and that the controller runs"}},
		"wrong base": {func(w *world) { w.edit("tandem.yaml", `base: .*`, "base: DC=wrong,DC=test") },
			[]string{`"DC=wrong,DC=test" is not a naming context; those are DC=contoso,DC=test`, "→ set base in tandem.yaml"}},
		"not PEM": {func(w *world) {
			w.write("no.pem", "x")
			w.edit("tandem.yaml", `(?m)^    tls: .*$`, "    tls: {caFile: ./no.pem}")
		}, []string{"the CA file holds no PEM certificate", "→ give a PEM file with the CA's certificate"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := looking(t)
			c.spoil(w)
			r := w.fails(1, c.words, "import", "policy.yaml")
			if n := strings.Count(r.err, "\n"); n > 2 {
				t.Errorf("one trouble, %d lines:\n%s", n, r.err)
			}
			w.answers(1, c.words, new(any), "check")
			w.fails(2, []string{"no policy is in force"}, "sync", "connect") // nothing was half done
		})
	}
}

func TestControllerThatNeverAnswersIsGivenUpInBoundedTime(t *testing.T) {
	t.Parallel()
	w := looking(t)
	w.edit("tandem.yaml", directoryURL, "ldaps://127.0.0.1:"+server(t, silent))
	if r := w.fails(1, []string{"cannot be reached", "→ check the host name"}, "import", "policy.yaml"); r.took > 30*time.Second {
		t.Errorf("it took %s", r.took)
	}
}

func TestTenantThatCannotBeUsedIsNamedWithTheMend(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		spoil func(w *world)
		words []string
		sync  bool // also ask for a run
	}{
		"wrong secret": {func(w *world) { w.write("entra-secret", "wrong") }, []string{"Invalid client secret provided", "HTTP 401", "→ see tenant id, client id and secret"}, true},
		"closed port": {func(w *world) { w.edit("tandem.yaml", tenantURL, "https://127.0.0.1:"+closed(w)) },
			[]string{"no answer from 127.0.0.1:", "connection refused", "→ see that this host reaches the tenant's authority"}, false},
		"unknown CA": {func(w *world) {
			_, other := certificate(w, time.Now().Add(time.Hour))
			w.write("other.pem", other)
			w.edit("tandem.yaml", `(?m)^  tls: .*$`, "  tls: {caFile: ./other.pem}")
		}, []string{"certificate signed by unknown authority", "→ set tenant.tls.caFile"}, false},
		"silent": {func(w *world) { w.edit("tandem.yaml", tenantURL, "https://127.0.0.1:"+server(w, silent)) },
			[]string{"no answer from 127.0.0.1:", "→ see that this host reaches the tenant's authority"}, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := alone(t, 5) // each import marks its tenant
			w.done("import", "policy.yaml")
			c.spoil(w)
			if r := w.answers(1, c.words, new(any), "check"); r.took > 40*time.Second {
				t.Errorf("it took %s", r.took)
			}
			if c.sync {
				w.fails(1, c.words, "sync", "connect")
			}
		})
	}
}

func TestAccountThatCannotSeeTombstonesIsTold(t *testing.T) {
	t.Parallel()
	w := looking(t)
	c, err := w.lab.Dial()
	w.check(err)
	defer c.Close()
	add := ldap.NewAddRequest("CN=Nobody,CN=Users,"+base, nil)
	add.Attribute("objectClass", []string{"user"})
	add.Attribute("sAMAccountName", []string{"nobody"})
	add.Attribute("userPrincipalName", []string{"nobody@contoso.test"})
	if err := c.Add(add); err != nil && !errors.As(err, new(*ldap.Error)) {
		t.Fatal(err)
	}
	pw := ldap.NewModifyRequest("CN=Nobody,CN=Users,"+base, nil)
	pw.Replace("unicodePwd", []string{utf16le(`"Nob0dy-secret"`)})
	pw.Replace("userAccountControl", []string{"512"})
	w.check(c.Modify(pw))
	gone := ldap.NewAddRequest("CN=Gone,CN=Users,"+base, nil)
	gone.Attribute("objectClass", []string{"user"})
	gone.Attribute("sAMAccountName", []string{"gone"})
	w.check(c.Add(gone))
	w.check(c.Del(ldap.NewDelRequest("CN=Gone,CN=Users,"+base, nil)))
	w.write("ad-password", "Nob0dy-secret")
	w.edit("tandem.yaml", `svc-tandem@contoso.test`, "nobody@contoso.test")
	w.answers(1, []string{`nobody@contoso.test lacks "List Contents and Read Property" (LCRP) on CN=Deleted Objects,DC=contoso,DC=test`,
		"no delete can be proved, and none is carried out", `→ grant it: dsacls "CN=Deleted Objects,DC=contoso,DC=test"`}, new(any), "check")
}

// utf16le is text as AD wants a password.
func utf16le(s string) string {
	var b strings.Builder
	for _, r := range s {
		b.WriteByte(byte(r))
		b.WriteByte(byte(r >> 8))
	}
	return b.String()
}
