// Package conformance checks that a directory behaves as Active Directory does in everything that Tandem's engines rely on.
//
// The same suite runs against the embedded directory and against Samba; where they differ, Samba is right. What Samba
// itself lacks (several DirSync rounds, MaxPageSize, range retrieval, ancestors first) is tested beside the embedded
// directory instead.
package conformance

import (
	"crypto/tls"
	"crypto/x509"
	"testing"

	"github.com/go-ldap/ldap/v3"
)

// Target is a running directory with an administrator and a read-only account.
type Target struct {
	// URL is "ldaps://host:port"; PlainURL is "ldap://host:port", where a bind needs StartTLS.
	URL, PlainURL string
	// CAPEM is the authority that issued the server's certificate.
	CAPEM []byte
	// Base is the domain's DN, Domain its DNS name.
	Base, Domain string
	// AdminUser may do everything; ReadOnlyUser may read everything, use DirSync, see tombstones, and write nothing.
	AdminUser, AdminPassword       string
	ReadOnlyUser, ReadOnlyPassword string
}

// scenario is one promise of the directory. It works in an OU of its own.
type scenario struct {
	name string
	run  func(*client)
}

// Run checks the directory that open returns. It is opened once; each scenario uses an OU of its own, which it
// leaves behind: the target is for this run alone.
func Run(t *testing.T, open func(t *testing.T) Target) {
	target := open(t)
	for _, group := range [][]scenario{bindScenarios, searchScenarios, nameScenarios, writeScenarios, syncScenarios, tombstoneScenarios,
		pagingScenarios, delegatedScenarios, provisionScenarios} {
		for _, s := range group {
			t.Run(s.name, func(t *testing.T) { s.run(newClient(t, target)) })
		}
	}
}

func (x Target) tls(t *testing.T) *tls.Config {
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(x.CAPEM) {
		t.Fatal("the target gives no certificate authority")
	}
	return &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12, ServerName: "localhost"}
}

// dial connects over TLS with a checked certificate and closes the connection with the test.
func (x Target) dial(t *testing.T) *ldap.Conn {
	t.Helper()
	conn, err := ldap.DialURL(x.URL, ldap.DialWithTLSConfig(x.tls(t)))
	if err != nil {
		t.Fatalf("connecting to %s: %v", x.URL, err)
	}
	t.Cleanup(func() { closeConn(t, conn) })
	return conn
}

func closeConn(t *testing.T, conn *ldap.Conn) {
	if err := conn.Close(); err != nil {
		t.Logf("closing the connection: %v", err)
	}
}
