// Package proxytest is the proxy's half of HTTP CONNECT, for tests.
package proxytest

import (
	"io"
	"net"
	"net/http"
)

// Tunnel answers a CONNECT that is admitted: it carries bytes between the client and an address until one side ends. An address that cannot be reached is answered by 502.
func Tunnel(w http.ResponseWriter, address string) {
	to, err := net.Dial("tcp", address)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	defer to.Close()
	conn, buffered, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, "HTTP/1.1 200 Connection established\r\n\r\n") // a client that is gone learns nothing
	go func() { _, _ = io.Copy(to, buffered) }()                               // ends with either connection
	_, _ = io.Copy(conn, to)
}
