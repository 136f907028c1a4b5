// Package proxy connects to a server, through an HTTP proxy where there is one: the proxy is asked by CONNECT for a connection that it then only passes bytes
// over (RFC 9110 §9.3.6), so TLS still ends at the server. A Dialer is a value and safe for concurrent use.
package proxy

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	"golang.org/x/net/http/httpproxy"
)

// answerLimit bounds how long a proxy may take to answer where the context has no deadline.
const answerLimit = 30 * time.Second

// Dialer connects. The zero value goes by the environment: HTTPS_PROXY and NO_PROXY, as usual; this machine itself is never asked through a proxy.
type Dialer struct {
	Proxy *url.URL // the proxy of all connections, whatever the environment says; its scheme is http or https, and it may hold a user and a password
}

// RefusedError says that a proxy does not connect to a server.
type RefusedError struct {
	Proxy  string // without user and password
	Server string // HOST:PORT
	Status string // as the proxy answered, such as "407 Proxy Authentication Required"
}

// Error implements error.
func (e *RefusedError) Error() string {
	return fmt.Sprintf("the proxy %s does not connect to %s: %s", e.Proxy, e.Server, e.Status)
}

// Check returns why a URL does not name a proxy.
func Check(u *url.URL) error {
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return fmt.Errorf("%q is no URL of an HTTP proxy, such as http://proxy.contoso.test:3128", u.Redacted())
	}
	return nil
}

// DialContext connects to HOST:PORT.
func (d Dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	through, err := d.proxyOf(address)
	if err != nil {
		return nil, err
	}
	if through == nil {
		var direct net.Dialer
		return direct.DialContext(ctx, network, address)
	}
	conn, err := dialProxy(ctx, network, through)
	if err != nil {
		return nil, fmt.Errorf("connect to the proxy %s: %w", through.Host, err)
	}
	tunnel, err := connect(ctx, conn, through, address)
	if err != nil {
		_ = conn.Close() // what went wrong is told already
		return nil, err
	}
	return tunnel, nil
}

// proxyOf returns the proxy for a server; nil: there is none.
func (d Dialer) proxyOf(address string) (*url.URL, error) {
	if d.Proxy != nil {
		return d.Proxy, Check(d.Proxy)
	}
	u, err := httpproxy.FromEnvironment().ProxyFunc()(&url.URL{Scheme: "https", Host: address})
	if err != nil {
		return nil, fmt.Errorf("HTTPS_PROXY: %w", err)
	}
	if u == nil {
		return nil, nil
	}
	if err := Check(u); err != nil {
		return nil, fmt.Errorf("HTTPS_PROXY: %w", err)
	}
	return u, nil
}

func dialProxy(ctx context.Context, network string, u *url.URL) (net.Conn, error) {
	port := u.Port()
	if u.Scheme == "https" {
		if port == "" {
			port = "443"
		}
		var secure tls.Dialer
		return secure.DialContext(ctx, network, net.JoinHostPort(u.Hostname(), port))
	}
	if port == "" {
		port = "80"
	}
	var direct net.Dialer
	return direct.DialContext(ctx, network, net.JoinHostPort(u.Hostname(), port))
}

// connect asks a proxy for a connection to a server.
func connect(ctx context.Context, conn net.Conn, through *url.URL, server string) (net.Conn, error) {
	until := time.Now().Add(answerLimit)
	if d, ok := ctx.Deadline(); ok && d.Before(until) {
		until = d
	}
	if err := conn.SetDeadline(until); err != nil {
		return nil, fmt.Errorf("ask the proxy %s: %w", through.Host, err)
	}
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })() // the answer is not waited for any more
	r := &http.Request{Method: http.MethodConnect, URL: &url.URL{Opaque: server}, Host: server, Header: http.Header{}}
	if u := through.User; u != nil {
		password, _ := u.Password()
		r.Header.Set("Proxy-Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(u.Username()+":"+password)))
	}
	if err := r.Write(conn); err != nil {
		return nil, fmt.Errorf("ask the proxy %s: %w", through.Host, err)
	}
	read := bufio.NewReader(conn)
	answer, err := http.ReadResponse(read, r)
	if err != nil {
		return nil, fmt.Errorf("the answer of the proxy %s: %w", through.Host, err)
	}
	if answer.StatusCode/100 != 2 {
		return nil, &RefusedError{Proxy: through.Host, Server: server, Status: answer.Status}
	}
	if err := conn.SetDeadline(time.Time{}); err != nil {
		return nil, fmt.Errorf("ask the proxy %s: %w", through.Host, err)
	}
	return &tunnel{Conn: conn, read: read}, nil
}

// tunnel is a connection through a proxy, of which a server that speaks first may have been read already.
type tunnel struct {
	net.Conn
	read *bufio.Reader
}

// Read implements net.Conn.
func (t *tunnel) Read(b []byte) (int, error) { return t.read.Read(b) }
