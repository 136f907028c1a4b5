package cloudsync_test

import (
	"context"
	"io"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tandem-sync/tandem/plugins/cloudsync"
)

// handClock is a service's clock that only the test moves.
type handClock struct {
	t     *testing.T
	mu    sync.Mutex
	at    time.Time
	armed []*handTimer
	news  chan struct{}
}

type handTimer struct {
	due time.Time
	d   time.Duration
	c   chan time.Time
}

func newHandClock(t *testing.T) *handClock {
	return &handClock{t: t, at: time.Now(), news: make(chan struct{})}
}

func (c *handClock) options() cloudsync.Options {
	return cloudsync.Options{Now: c.now, After: c.after}
}

func (c *handClock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *handClock) after(d time.Duration) (<-chan time.Time, func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	x := &handTimer{due: c.at.Add(d), d: d, c: make(chan time.Time, 1)}
	c.armed = append(c.armed, x)
	close(c.news)
	c.news = make(chan struct{})
	return x.c, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.armed = slices.DeleteFunc(c.armed, func(y *handTimer) bool { return x == y })
	}
}

// fire waits until a timer of this duration is armed, and lets just that one run out. Time stands still for all others. Once done
// is closed there is nothing to wait for: false.
func (c *handClock) fire(d time.Duration, done <-chan struct{}) bool {
	c.t.Helper()
	x := c.wait(d, done)
	if x == nil {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.armed = slices.DeleteFunc(c.armed, func(y *handTimer) bool { return x == y })
	x.c <- x.due
	return true
}

// wait waits until a timer of this duration is armed; nil if done was closed before.
func (c *handClock) wait(d time.Duration, done <-chan struct{}) *handTimer {
	c.t.Helper()
	limit := time.NewTimer(30 * time.Second)
	defer limit.Stop()
	for {
		c.mu.Lock()
		i := slices.IndexFunc(c.armed, func(x *handTimer) bool { return x.d == d })
		var found *handTimer
		if i >= 0 {
			found = c.armed[i]
		}
		var have []time.Duration
		for _, x := range c.armed {
			have = append(have, x.d)
		}
		news := c.news
		c.mu.Unlock()
		if found != nil {
			return found
		}
		select {
		case <-news:
		case <-done:
			return nil
		case <-limit.C:
			c.t.Fatalf("nobody waits for %s; waited for is %v", d, have)
		}
	}
}

// pass moves the clock, and lets run out what is due.
func (c *handClock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
	c.armed = slices.DeleteFunc(c.armed, func(x *handTimer) bool {
		if x.due.After(c.at) {
			return false
		}
		x.c <- c.at
		return true
	})
}

// cable is a TCP connection's way to a server that can be cut without either end being told.
type cable struct {
	listener net.Listener
	target   string
	ctx      context.Context
	cut      context.CancelFunc
	work     sync.WaitGroup
	sent     atomic.Int64 // pieces that went to the server
}

func newCable(t *testing.T, target string) *cable {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	c := &cable{listener: l, target: target}
	c.ctx, c.cut = context.WithCancel(context.Background())
	ended, end := context.WithCancel(context.Background())
	c.work.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			c.work.Go(func() { c.carry(ended, conn) })
		}
	})
	t.Cleanup(func() { c.cut(); l.Close(); end(); c.work.Wait() })
	return c
}

func (c *cable) address() string { return c.listener.Addr().String() }

// carry carries bytes until the cable is cut, and then nothing, with both ends open until the test ends.
func (c *cable) carry(ended context.Context, a net.Conn) {
	defer a.Close()
	b, err := net.Dial("tcp", c.target)
	if err != nil {
		return
	}
	defer b.Close()
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{a, b}, {b, a}} {
		both.Go(func() {
			w := cutWriter{w: way[1], cut: c.ctx}
			if way[1] == b {
				w.sent = &c.sent
			}
			_, _ = io.Copy(w, way[0])
			if c.ctx.Err() != nil {
				<-ended.Done()
			}
			a.Close()
			b.Close()
		})
	}
	both.Wait()
}

// cutWriter swallows everything once its cable is cut.
type cutWriter struct {
	w    io.Writer
	cut  context.Context
	sent *atomic.Int64
}

func (w cutWriter) Write(b []byte) (int, error) {
	if w.cut.Err() != nil {
		return len(b), nil
	}
	if w.sent != nil {
		w.sent.Add(1)
	}
	return w.w.Write(b)
}
