package password_test

import (
	"io"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/tandem-sync/tandem/plugins/directory/password"
)

// cable is a relay to the directory that can be cut after some requests. It counts TLS records that hold data: go-ldap sends one request in each.
type cable struct {
	listener net.Listener
	to       string

	mu      sync.Mutex
	cutAt   int // counts down with each request; 0: never, or done
	deliver bool
	conns   []net.Conn
	work    sync.WaitGroup
}

func newCable(t *testing.T, to string) *cable {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	c := &cable{listener: l, to: u.Host}
	c.work.Go(c.accept)
	t.Cleanup(func() {
		l.Close()
		c.cut()
		c.work.Wait()
	})
	return c
}

func (c *cable) accept() {
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

// cutAfter cuts the line with the nth request from now on. deliver: the request arrives, and the answer does not.
func (c *cable) cutAfter(n int, deliver bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cutAt, c.deliver = n, deliver
}

func (c *cable) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conn := range c.conns {
		conn.Close()
	}
}

// requests passes TLS records on (RFC 8446 5.1: type, version, length).
func (c *cable) requests(in, out net.Conn) {
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
func (c *cable) answers(in, out net.Conn) {
	defer in.Close()
	b := make([]byte, 1<<16)
	armed := false
	for {
		c.mu.Lock()
		armed = armed || c.cutAt > 0
		c.mu.Unlock()
		n, err := out.Read(b)
		if err != nil {
			return
		}
		c.mu.Lock()
		over := armed && c.cutAt == 0
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

// requestsOfALook are those before the one that writes: the user, and the domain's head.
const requestsOfALook = 2

func TestALostAnswerIsInDoubtAndALostLineBeforeItIsNot(t *testing.T) {
	everywhere(t, func(w *world) {
		direct := w.connection.URLs[0]
		for name, c := range map[string]struct {
			after   int
			deliver bool
			want    password.Code
			set     bool
		}{
			"the answer is lost":           {requestsOfALook + 1, true, password.InDoubt, true},
			"the request is lost":          {requestsOfALook + 1, false, password.InDoubt, false},
			"the look at the domain fails": {requestsOfALook, false, password.Unreachable, false},
			"the look at the user fails":   {1, false, password.Unreachable, false},
			"the answer to a look is lost": {requestsOfALook, true, password.Unreachable, false},
			"nothing is lost":              {0, true, password.OK, true},
		} {
			user := strings.ReplaceAll(name, " ", "")
			if len(user) > 15 {
				user = user[len(user)-15:]
			}
			g := w.guid(w.user(user))
			wire := newCable(w.T, direct)
			through := w.connection
			through.URLs = []string{"ldaps://" + wire.listener.Addr().String()}
			s := w.setterOver(through)
			wire.cutAfter(c.after, c.deliver)
			w.wants(name, s.Reset(w.Context(), g, value("Second-Passw0rd!"), false), c.want)
			got := w.signsIn(user, "Second-Passw0rd!") == "yes"
			if got != c.set {
				w.Errorf("%s: the new password signs in: %v", name, got)
			}
		}
	})
}
