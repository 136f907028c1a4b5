package tenant

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/tandem-sync/tandem/plugins/proxy"
)

// newTransport makes a transport that never sends a request twice by itself: net/http repeats a request on a new connection only
// if its method is idempotent, or its body can be had again; writes are POST with a body that cannot (see batch.go). HTTP/2 is
// off, for it has repetitions of its own.
// An HTTP proxy is asked by CONNECT, below what net/http knows of: so it stays known of each request whether anything of it can have left.
func newTransport(ca []byte, through *url.URL) (*http.Transport, error) {
	if through != nil {
		if err := proxy.Check(through); err != nil {
			return nil, fmt.Errorf("tenant.proxy: %w", err)
		}
	}
	roots, err := rootsOf(ca)
	if err != nil {
		return nil, err
	}
	config := &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}}
	t := &http.Transport{
		TLSClientConfig: config, IdleConnTimeout: 30 * time.Second,
		MaxIdleConnsPerHost: sendParallel, Protocols: new(http.Protocols),
		DialTLSContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			return dialCounted(ctx, proxy.Dialer{Proxy: through}, config, network, addr)
		},
	}
	t.Protocols.SetHTTP1(true)
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

func dialCounted(ctx context.Context, d proxy.Dialer, config *tls.Config, network, addr string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	conn, err := d.DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	config = config.Clone()
	if config.ServerName, _, err = net.SplitHostPort(addr); err != nil {
		return nil, errors.Join(fmt.Errorf("connect to %s: %w", addr, err), conn.Close())
	}
	secure := tls.Client(conn, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return &countedConn{Conn: secure}, nil
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
