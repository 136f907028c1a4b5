//go:build linux

package faults_test

import (
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// Monitoring beyond the socket, over a real process: TLS and the token, what monitoring asks, and no command.
func TestMonitoringTakesTheTokenAndNoCommand(t *testing.T) {
	t.Parallel()
	w := looking(t)
	cert, ca := certificate(t, time.Now().Add(time.Hour))
	key, err := x509.MarshalECPrivateKey(cert.PrivateKey.(*ecdsa.PrivateKey))
	w.check(err)
	w.write("monitor.pem", ca)
	w.write("monitor-key.pem", string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: key})))
	w.write("monitor-token", "Token-Of-Monitoring\n")
	w.edit("tandem.yaml", `\z`, "listen: {certificateFile: ./monitor.pem, keyFile: ./monitor-key.pem, tokenFile: ./monitor-token}\n")
	said := w.serves(t, "--listen", "127.0.0.1:0")
	_, address, _ := strings.Cut(said, "monitoring on ")
	address = strings.TrimSpace(address)
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM([]byte(ca))
	client := http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}
	defer client.CloseIdleConnections()
	ask := func(method, path, token string) (int, string) {
		r, err := http.NewRequestWithContext(t.Context(), method, "https://"+address+path, strings.NewReader("{}"))
		w.check(err)
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		res, err := client.Do(r)
		w.check(err)
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		w.check(err)
		return res.StatusCode, string(b)
	}
	for _, c := range []struct {
		method, path, token string
		status              int
		words               string
	}{
		{"GET", "/metrics", "", http.StatusUnauthorized, "listen.tokenFile"},
		{"GET", "/metrics", "another", http.StatusUnauthorized, "listen.tokenFile"},
		{"GET", "/metrics", "Token-Of-Monitoring", http.StatusOK, "tandem_policy_revision"},
		{"GET", "/healthz", "Token-Of-Monitoring", http.StatusOK, ""},
		{"POST", "/v1/status", "Token-Of-Monitoring", http.StatusNotFound, ""},
		{"POST", "/v1/stop", "Token-Of-Monitoring", http.StatusNotFound, ""},
		{"GET", "/v1/hello", "Token-Of-Monitoring", http.StatusNotFound, ""},
	} {
		if status, body := ask(c.method, c.path, c.token); status != c.status || !strings.Contains(body, c.words) {
			t.Errorf("%s %s with %q: %d %.200s, not %d with %q", c.method, c.path, c.token, status, body, c.status, c.words)
		}
	}
	if _, err := http.Get("http://" + address + "/metrics"); err == nil {
		if res, _ := http.Get("http://" + address + "/metrics"); res != nil && res.StatusCode == http.StatusOK {
			t.Error("it answers without TLS")
		}
	}
}
