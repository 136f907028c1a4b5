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

// newTransport returns a transport that never sends a request twice by itself. net/http repeats a request on a new connection only if its method is idempotent or its body can be
// read again; writes are POST, with a body that cannot be. HTTP/2 is off, since it repeats by rules of its own.
// The dialer connects through an HTTP proxy by CONNECT, so that net/http does not know of the proxy and each connection counts the bytes of its requests.
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

// countedConn counts its writes, so that after an error it is known whether anything of the request has left this machine.
type countedConn struct {
	*tls.Conn
	writes atomic.Int64
}

func (c *countedConn) Write(b []byte) (int, error) {
	c.writes.Add(1)
	return c.Conn.Write(b)
}

// dialTimeout bounds connecting and the TLS handshake. It is shorter than the timeout of an answer, since a server that accepts connections and stays silent is broken.
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

// departure records whether one request can have left this machine.
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

// nothingLeft reports whether a request that failed certainly never left this machine: it got no connection, or the connection was found closed before a byte was written. A
// canceled request may still be written by another goroutine, so there the count proves nothing.
func (d *departure) nothingLeft(ctx context.Context) bool {
	if !d.got {
		return true
	}
	return ctx.Err() == nil && d.conn != nil && d.conn.writes.Load() == d.before
}
