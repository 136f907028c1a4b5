// Package cable is a wire between a test and a directory that can be cut in the middle of a request, so that the request is lost, or its answer. It counts TLS records
// that hold data: go-ldap sends one request in each.
package cable

import (
	"io"
	"net"
	"net/url"
	"sync"
	"testing"
)

// Cable is a relay to a directory's LDAPS port.
type Cable struct {
	listener net.Listener
	to       string

	mu      sync.Mutex
	cutAt   int // counts down with each request; 0: never, or done
	deliver bool
	armed   bool // it is to be cut
	conns   []net.Conn
	work    sync.WaitGroup
}

// New makes a cable to a URL of LDAPS, which ends with the test.
func New(t testing.TB, to string) *Cable {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	c := &Cable{listener: l, to: u.Host}
	c.work.Go(c.accept)
	t.Cleanup(func() {
		l.Close()
		c.cut()
		c.work.Wait()
	})
	return c
}

// URL is where it begins.
func (c *Cable) URL() string { return "ldaps://" + c.listener.Addr().String() }

func (c *Cable) accept() {
	for {
		in, err := c.listener.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", c.to)
		if err != nil {
			in.Close()
			continue
		}
		c.mu.Lock()
		c.conns = append(c.conns, in, out)
		c.mu.Unlock()
		c.work.Go(func() { c.requests(in, out) })
		c.work.Go(func() { c.answers(in, out) })
	}
}

// CutAfter cuts the line with the nth request from now on. deliver: the request arrives, and the answer does not.
func (c *Cable) CutAfter(n int, deliver bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cutAt, c.deliver, c.armed = n, deliver, n > 0
}

func (c *Cable) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conn := range c.conns {
		conn.Close()
	}
	c.conns, c.armed = nil, false // it serves the next connection
}

// requests passes TLS records on (RFC 8446 5.1: type, version, length).
func (c *Cable) requests(in, out net.Conn) {
	const applicationData = 23
	for {
		record := make([]byte, 5, 5+1<<15)
		if _, err := io.ReadFull(in, record); err != nil {
			out.Close()
			return
		}
		record = record[:5+int(record[3])<<8+int(record[4])]
		if _, err := io.ReadFull(in, record[5:]); err != nil {
			out.Close()
			return
		}
		c.mu.Lock()
		last, deliver := false, c.deliver
		if c.cutAt > 0 && record[0] == applicationData {
			c.cutAt--
			last = c.cutAt == 0
		}
		c.mu.Unlock()
		if !last || deliver {
			if _, err := out.Write(record); err != nil {
				in.Close()
				return
			}
		}
		if last && !deliver {
			c.cut()
			return
		}
	}
}

// answers passes bytes on. The first answer after the last request is thrown away, and the line with it.
func (c *Cable) answers(in, out net.Conn) {
	defer in.Close()
	b := make([]byte, 1<<16)
	for {
		n, err := out.Read(b)
		if err != nil {
			return
		}
		c.mu.Lock()
		over := c.armed && c.cutAt == 0
		c.mu.Unlock()
		if over {
			c.cut()
			return
		}
		if _, err := in.Write(b[:n]); err != nil {
			return
		}
	}
}
