package proxy_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/tandem-sync/tandem/plugins/proxy"
	"github.com/tandem-sync/tandem/plugins/proxy/proxytest"
)

// greeter is a server that speaks first, and then repeats what it hears.
func greeter(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_, _ = io.WriteString(c, "hello\n")
				_, _ = io.Copy(c, c)
			}()
		}
	}()
	return l.Addr().String()
}

// through is a proxy that connects those who say the password to a server, whatever name they ask for.
func through(t *testing.T, server string, asked *atomic.Pointer[string]) *url.URL {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, ok := parse(r.Header.Get("Proxy-Authorization")); r.Method != http.MethodConnect || !ok || user != "ann" || password != "p@ss" {
			w.WriteHeader(http.StatusProxyAuthRequired)
			return
		}
		asked.Store(&r.Host)
		proxytest.Tunnel(w, server)
	}))
	t.Cleanup(s.Close)
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func parse(header string) (user, password string, ok bool) {
	return (&http.Request{Header: http.Header{"Authorization": {header}}}).BasicAuth()
}

// talks wants a connection to carry bytes both ways.
func talks(t *testing.T, c net.Conn) {
	t.Helper()
	defer c.Close()
	r := bufio.NewReader(c)
	if line, err := r.ReadString('\n'); err != nil || line != "hello\n" {
		t.Fatalf("the server says %q, %v", line, err)
	}
	if _, err := io.WriteString(c, "and back\n"); err != nil {
		t.Fatal(err)
	}
	if line, err := r.ReadString('\n'); err != nil || line != "and back\n" {
		t.Fatalf("the server says %q, %v", line, err)
	}
}

func TestAProxyCarriesTheConnection(t *testing.T) {
	var asked atomic.Pointer[string]
	u := through(t, greeter(t), &asked)
	u.User = url.UserPassword("ann", "p@ss")
	c, err := proxy.Dialer{Proxy: u}.DialContext(t.Context(), "tcp", "tandem.contoso.test:8443")
	if err != nil {
		t.Fatal(err)
	}
	talks(t, c)
	if got := *asked.Load(); got != "tandem.contoso.test:8443" { // the name is the proxy's to resolve
		t.Errorf("the proxy was asked for %q", got)
	}
}

func TestTheEnvironmentNamesTheProxy(t *testing.T) {
	var asked atomic.Pointer[string]
	server := greeter(t)
	u := through(t, server, &asked)
	u.User = url.UserPassword("ann", "p@ss")
	t.Setenv("HTTPS_PROXY", u.String())
	t.Setenv("NO_PROXY", ".internal.test")
	c, err := proxy.Dialer{}.DialContext(t.Context(), "tcp", "tandem.contoso.test:443")
	if err != nil {
		t.Fatal(err)
	}
	talks(t, c)
	asked.Store(nil)
	if c, err = (proxy.Dialer{}).DialContext(t.Context(), "tcp", server); err != nil { // this machine
		t.Fatal(err)
	}
	talks(t, c)
	if asked.Load() != nil {
		t.Error("this machine was asked through the proxy")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := (proxy.Dialer{}).DialContext(ctx, "tcp", "dc1.internal.test:443"); err == nil || asked.Load() != nil {
		t.Errorf("NO_PROXY does not count: %v", err)
	}
}

func TestARefusalSaysWhoRefuses(t *testing.T) {
	var asked atomic.Pointer[string]
	u := through(t, greeter(t), &asked)
	u.User = url.UserPassword("ann", "a wrong secret")
	_, err := proxy.Dialer{Proxy: u}.DialContext(t.Context(), "tcp", "tandem.contoso.test:443")
	var refused *proxy.RefusedError
	if !errors.As(err, &refused) || refused.Status != "407 Proxy Authentication Required" || refused.Proxy != u.Host {
		t.Errorf("refused with %v", err)
	}
	if err != nil && strings.Contains(err.Error(), "secret") {
		t.Errorf("the password is told: %v", err)
	}
	if err := proxy.Check(&url.URL{Scheme: "socks5", Host: "proxy:1080"}); err == nil {
		t.Error("a proxy of another kind is taken")
	}
}

// A proxy that says nothing is not waited for longer than the caller waits.
func TestASilentProxyEndsWithTheCaller(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		_, _ = bufio.NewReader(c).ReadString('\n') // it was asked
		cancel()
		_, _ = io.Copy(io.Discard, c)
	}()
	if _, err := (proxy.Dialer{Proxy: &url.URL{Scheme: "http", Host: l.Addr().String()}}).DialContext(ctx, "tcp", "tandem.contoso.test:443"); err == nil {
		t.Error("connected to nothing")
	}
}
