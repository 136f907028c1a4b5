package tenant

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync/atomic"
	"time"
)

// newTransport makes a transport that never sends a request twice by itself: net/http repeats a request on a new connection only
// if its method is idempotent, or its body can be had again; writes are POST with a body that cannot (see batch.go). HTTP/2 is
// off, for it has repetitions of its own.
func newTransport(ca []byte, proxy *url.URL) (*http.Transport, error) {
	roots, err := rootsOf(ca)
	if err != nil {
		return nil, err
	}
	config := &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}}
	t := &http.Transport{
		TLSClientConfig: config, IdleConnTimeout: 30 * time.Second,
		MaxIdleConnsPerHost: sendParallel, Protocols: new(http.Protocols),
		DialTLSContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			return dialCounted(ctx, config, network, addr)
		},
	}
	t.Protocols.SetHTTP1(true)
	if proxy != nil {
		t.Proxy = http.ProxyURL(proxy)
	}
	return t, nil
}

func rootsOf(ca []byte) (*x509.CertPool, error) {
	if len(ca) == 0 {
		return nil, nil // the system's
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(ca) {
		return nil, errors.New("the tenant's ca holds no PEM certificate")
	}
	return roots, nil
}

// countedConn counts the writes of requests, so that an error tells whether anything can have left.
type countedConn struct {
	*tls.Conn
	writes atomic.Int64
}

func (c *countedConn) Write(b []byte) (int, error) {
	c.writes.Add(1)
	return c.Conn.Write(b)
}

// dialTimeout bounds connecting and the TLS handshake: what accepts connections and says nothing is not waited for as long as an answer.
const dialTimeout = 15 * time.Second

func dialCounted(ctx context.Context, config *tls.Config, network, addr string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	d := tls.Dialer{Config: config}
	conn, err := d.DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	return &countedConn{Conn: conn.(*tls.Conn)}, nil
}

// departure learns of one request whether it can have left this machine.
type departure struct {
	conn   *countedConn
	before int64
	got    bool
}

func (d *departure) trace(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) {
		d.got = true
		if c, ok := info.Conn.(*countedConn); ok {
			d.conn, d.before = c, c.writes.Load()
		}
	}})
}

// nothingLeft says that the request that ended with err certainly never left: it had no connection, or its connection was found
// dead before a byte was written. A canceled request may still be being written, so it proves nothing.
func (d *departure) nothingLeft(ctx context.Context) bool {
	if !d.got {
		return true
	}
	return ctx.Err() == nil && d.conn != nil && d.conn.writes.Load() == d.before
}
