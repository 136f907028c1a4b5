//go:build linux

package samba

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"sync"

	"golang.org/x/sys/unix"
)

// dialer makes TCP connections from inside a network namespace. A socket belongs for good to the namespace of the thread
// that made it, so one thread that has entered the namespace serves all.
type dialer struct {
	requests chan dialRequest
	closed   chan struct{}
	once     sync.Once
	ended    chan struct{}
}

type dialRequest struct {
	port  int
	reply chan<- dialReply
}

type dialReply struct {
	conn net.Conn
	err  error
}

// newDialer enters the network namespace of the process pid.
func newDialer(pid int) (*dialer, error) {
	ns, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", pid))
	if err != nil {
		return nil, fmt.Errorf("opening the network namespace: %w", err)
	}
	d := &dialer{requests: make(chan dialRequest), closed: make(chan struct{}), ended: make(chan struct{})}
	entered := make(chan error)
	go d.serve(ns, entered)
	if err := <-entered; err != nil {
		return nil, fmt.Errorf("entering the network namespace: %w", err)
	}
	return d, nil
}

func (d *dialer) serve(ns *os.File, entered chan<- error) {
	runtime.LockOSThread() // never unlocked: the thread must not serve the host's network again
	defer close(d.ended)
	err := errors.Join(unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET), ns.Close())
	entered <- err
	if err != nil {
		return
	}
	for {
		select {
		case r := <-d.requests:
			conn, err := connect(r.port)
			r.reply <- dialReply{conn, err}
		case <-d.closed:
			return
		}
	}
}

// connect dials loopback on the calling thread. It blocks, which on loopback lasts microseconds.
func connect(port int) (net.Conn, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("making a socket: %w", err)
	}
	file := os.NewFile(uintptr(fd), "samba")
	if err := unix.Connect(fd, &unix.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return nil, errors.Join(fmt.Errorf("connecting to port %d of the domain controller: %w", port, err), file.Close())
	}
	conn, err := net.FileConn(file) // duplicates the descriptor
	return conn, errors.Join(err, file.Close())
}

func (d *dialer) dial(port int) (net.Conn, error) {
	reply := make(chan dialReply, 1)
	select {
	case d.requests <- dialRequest{port, reply}:
		r := <-reply
		return r.conn, r.err
	case <-d.ended:
		return nil, fmt.Errorf("port %d of the domain controller: %w", port, net.ErrClosed)
	}
}

func (d *dialer) close() {
	d.once.Do(func() { close(d.closed) })
	<-d.ended
}

// relay passes connections from a loopback port of the host to a port of the namespace.
type relay struct {
	listener net.Listener
	dialer   *dialer
	port     int
	working  sync.WaitGroup
	mu       sync.Mutex
	open     map[net.Conn]struct{} // nil once closed
}

func newRelay(d *dialer, port int) (*relay, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listening for the relay to port %d: %w", port, err)
	}
	r := &relay{listener: l, dialer: d, port: port, open: map[net.Conn]struct{}{}}
	r.working.Go(r.accept)
	return r, nil
}

func (r *relay) addr() string { return r.listener.Addr().String() }

func (r *relay) accept() {
	for {
		conn, err := r.listener.Accept()
		if err != nil {
			return // closed
		}
		if !r.track(conn) {
			return
		}
		r.working.Go(func() { r.pass(conn) })
	}
}

// pass copies both ways until either side ends, and then ends both: LDAP has no half-closed state.
func (r *relay) pass(client net.Conn) {
	defer r.drop(client)
	server, err := r.dialer.dial(r.port)
	if err != nil || !r.track(server) {
		return
	}
	defer r.drop(server)
	var other sync.WaitGroup
	other.Go(func() { copyAndEnd(server, client) })
	copyAndEnd(client, server)
	other.Wait()
}

// copyAndEnd ends both connections with the first that ends; how it ended is seen by the peers.
func copyAndEnd(to, from net.Conn) {
	_, _ = io.Copy(to, from)
	_ = to.Close()
	_ = from.Close()
}

func (r *relay) track(c net.Conn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.open == nil {
		_ = c.Close()
		return false
	}
	r.open[c] = struct{}{}
	return true
}

func (r *relay) drop(c net.Conn) {
	_ = c.Close()
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.open, c)
}

func (r *relay) close() {
	_ = r.listener.Close()
	r.mu.Lock()
	for c := range r.open {
		_ = c.Close()
	}
	r.open = nil
	r.mu.Unlock()
	r.working.Wait()
}
