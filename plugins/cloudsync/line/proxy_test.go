package line_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	"github.com/tandem-sync/tandem/plugins/cloudsync/line"
	"github.com/tandem-sync/tandem/plugins/cloudsync/line/linepb"
	"github.com/tandem-sync/tandem/plugins/proxy/proxytest"
)

// An agent reaches its service through the proxy that the environment names: by Probe and by the line, by the service's name, and checking the pin behind the proxy.
func TestTheLineGoesThroughAProxy(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	service := grpc.NewServer(grpc.Creds(credentials.NewTLS(&tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}})))
	linepb.RegisterLineServer(service, linepb.UnimplementedLineServer{})
	go func() { _ = service.Serve(listener) }()
	defer service.Stop()

	var asked atomic.Int64
	proxied := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodConnect || r.Host != "tandem.contoso.test:8443" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		asked.Add(1)
		proxytest.Tunnel(w, listener.Addr().String())
	}))
	defer proxied.Close()
	t.Setenv("HTTPS_PROXY", proxied.URL)
	t.Setenv("NO_PROXY", "")

	const server = "tandem.contoso.test:8443"
	pin := line.PinOf(leaf)
	if err := line.Probe(t.Context(), server, line.ClientTLS(pin, nil)); err != nil {
		t.Fatal(err)
	}
	if err := line.Probe(t.Context(), server, line.ClientTLS(line.Pin{1}, nil)); !errors.Is(err, line.ErrPin) {
		t.Errorf("another key behind the proxy: %v", err)
	}
	conn, err := line.Dial(server, line.ClientTLS(pin, nil))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := linepb.NewLineClient(conn).Enroll(t.Context(), &linepb.EnrollRequest{}); status.Code(err) != codes.Unimplemented {
		t.Errorf("the service's answer: %v", err)
	}
	if asked.Load() != 3 {
		t.Errorf("the proxy was asked %d times, want 3", asked.Load())
	}
}
