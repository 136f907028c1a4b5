// Package rpc calls operations of a Windows server by DCE/RPC over TCP (C706, MS-RPCE), signed in by NTLM with packet
// privacy: each PDU is sealed, and signed with its header.
//
// [Conn.Port] asks the endpoint mapper where an interface listens; [Bind] binds to it; [Conn.Call] calls. A connection is for one
// call at a time. It ends with the first error that is no [Fault], and with a context that ends in the middle of a call,
// since the sealing of both sides goes on from PDU to PDU.
//
// The server is trusted with nothing but its answers' content: lengths are bounded ([MaxAnswer]), a silent server is given
// up, and what is not signed is refused.
package rpc

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"time"

	"github.com/tandem-sync/tandem/plugins/directory/drsr/ntlm"
	"github.com/tandem-sync/tandem/plugins/secret"
)

// MaxAnswer bounds the length of one call's answer.
const MaxAnswer = 64 << 20

// The kinds of errors. Those of a broken connection are the net package's.
var (
	ErrProtocol    = errors.New("the server does not keep to DCE/RPC")
	ErrWeak        = errors.New("the server offers DCE/RPC without what protects it")
	ErrNoInterface = errors.New("the server does not offer the interface at this port")
	ErrTooLong     = errors.New("the server's answer is too long")
	ErrSilent      = errors.New("the server stopped answering")
)

// Refused is the server's refusal to bind (C706 12.6.3.1, provider reject reasons).
type Refused struct{ Reason uint16 }

// ReasonAuthentication is the reason for a kind of sign-in that the server does not know (MS-RPCE 2.2.2.5).
const ReasonAuthentication = 8

// Error names the reason.
func (r *Refused) Error() string {
	return fmt.Sprintf("the server refuses to bind (reason %d)", r.Reason)
}

// Fault is the server's answer to a call that failed (C706 appendix E, MS-RPCE 2.2.2.9). The connection can go on.
type Fault struct{ Status uint32 }

// Statuses of faults.
const (
	StatusAccessDenied = 0x00000005
	StatusAuthUnknown  = 0x000006d3 // RPC_S_UNKNOWN_AUTHN_SERVICE
	StatusSecurity     = 0x00000721 // RPC_S_SEC_PKG_ERROR
	StatusProtocol     = 0x1c01000b // nca_s_proto_error, with which Samba answers who did not sign in well
)

// Error names the status.
func (f *Fault) Error() string { return fmt.Sprintf("the server answers with fault %#08x", f.Status) }

// Interface is an interface and its version.
type Interface struct {
	ID           [16]byte // as it goes over the wire
	Major, Minor uint16
}

// transferSyntax is NDR 2.0 (C706 14).
var transferSyntax = Interface{ID: [16]byte{0x04, 0x5d, 0x88, 0x8a, 0xeb, 0x1c, 0xc9, 0x11, 0x9f, 0xe8, 0x08, 0x00, 0x2b, 0x10, 0x48, 0x60}, Major: 2}

// Conn is a connection that is bound to one interface.
type Conn struct {
	net      net.Conn
	in       *bufio.Reader
	silence  time.Duration
	seal     *ntlm.Seal // nil where nobody signed in
	fragment int        // the longest that the server takes
	calls    uint32
	longest  int // answer: MaxAnswer, save in tests
	closed   atomic.Bool
}

// Bind binds a fresh connection to an interface and takes it over, also when it fails. handshake is nil for an interface
// that takes anybody. silence is how long the server may say nothing. That a password was wrong shows only with the first call, as a [Fault].
// Errors are [Refused], the kinds above, and those of package ntlm.
func Bind(ctx context.Context, connection net.Conn, i Interface, handshake *ntlm.Handshake, silence time.Duration) (*Conn, error) {
	c := &Conn{net: connection, in: bufio.NewReaderSize(connection, 64<<10), silence: silence, calls: 1, longest: MaxAnswer}
	err := c.during(ctx, func() error { return c.bind(i, handshake) })
	if err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

func (c *Conn) bind(i Interface, handshake *ntlm.Handshake) error {
	var token []byte
	if handshake != nil {
		token = handshake.Negotiate()
	}
	if err := c.send(bind(i, c.calls, token)); err != nil {
		return err
	}
	p, err := c.receive()
	if err != nil {
		return err
	}
	var challenge []byte
	if challenge, c.fragment, err = p.acknowledged(handshake != nil); err != nil || handshake == nil {
		return err
	}
	answer, seal, err := handshake.Authenticate(challenge)
	if err != nil {
		return err
	}
	c.seal = seal
	return c.send(auth3(c.calls, answer))
}

// Key returns the session key of the sign-in, with which some interfaces seal values; nil where nobody signed in. It is wiped when
// the connection closes.
func (c *Conn) Key() *secret.Value {
	if c.seal == nil {
		return nil
	}
	return c.seal.Key()
}

// Close ends the connection and wipes its keys. It may be called more than once.
func (c *Conn) Close() {
	if c.closed.Swap(true) {
		return
	}
	_ = c.net.Close() // nothing is in flight that an error could tell of
	if c.seal != nil {
		c.seal.Wipe()
	}
}

// Call calls an operation with its marshalled arguments and returns its marshalled results. The result is the caller's.
// Errors are [Fault], after which the connection goes on, the kinds above, ntlm.ErrSignature, the context's, and net.ErrClosed
// once the connection has ended.
func (c *Conn) Call(ctx context.Context, operation uint16, arguments []byte) ([]byte, error) {
	if c.closed.Load() {
		return nil, fmt.Errorf("call %s: %w", c.net.RemoteAddr(), net.ErrClosed)
	}
	var results []byte
	err := c.during(ctx, func() (err error) {
		results, err = c.call(operation, arguments)
		return err
	})
	var fault *Fault
	if err != nil && !errors.As(err, &fault) {
		c.Close()
	}
	return results, err
}

// during runs f, and closes the connection when ctx ends meanwhile: nothing else ends a read.
func (c *Conn) during(ctx context.Context, f func() error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	stop := context.AfterFunc(ctx, func() { _ = c.net.Close() })
	err := f()
	if !stop() {
		return errors.Join(context.Cause(ctx), err)
	}
	return err
}

func (c *Conn) call(operation uint16, arguments []byte) ([]byte, error) {
	c.calls++
	room := (c.fragment - bodyAt - trailerSize - ntlm.SignatureSize) / padding * padding
	flags := byte(flagFirst)
	for rest := arguments; ; flags = 0 {
		part := rest[:min(room, len(rest))]
		rest = rest[len(part):]
		if len(rest) == 0 {
			flags |= flagLast
		}
		b, err := request(c.seal, c.calls, flags, operation, len(rest)+len(part), part)
		if err != nil {
			return nil, err
		}
		if err := c.send(b); err != nil {
			return nil, err
		}
		if len(rest) == 0 {
			return c.results()
		}
	}
}

// results puts the fragments of an answer together.
func (c *Conn) results() ([]byte, error) {
	var all []byte
	for first := true; ; first = false {
		p, err := c.receive()
		if err != nil {
			return nil, err
		}
		if p.call != c.calls || (p.flags&flagFirst != 0) != first {
			return nil, fmt.Errorf("%w: a fragment of call %d with flags %#x, in call %d", ErrProtocol, p.call, p.flags, c.calls)
		}
		if p.kind == typeFault {
			return nil, c.fault(p)
		}
		if p.kind != typeResponse {
			return nil, fmt.Errorf("%w: a PDU of type %d", ErrProtocol, p.kind)
		}
		body, err := p.open(c.seal)
		if err != nil {
			return nil, err
		}
		if len(all)+len(body) > c.longest {
			return nil, fmt.Errorf("%w: more than %d bytes", ErrTooLong, c.longest)
		}
		all = append(all, body...)
		if p.flags&flagLast != 0 {
			return all, nil
		}
	}
}

// fault reads a fault's status. It may come unprotected, from a server that did not accept the sign-in.
func (c *Conn) fault(p pdu) error {
	body := p.whole
	if p.auth > 0 && c.seal != nil {
		opened, err := p.open(c.seal)
		if err != nil {
			return err
		}
		body = append(p.whole[:bodyAt:bodyAt], opened...)
	}
	if len(body) < bodyAt+4 {
		return fmt.Errorf("%w: a fault of %d bytes", ErrProtocol, len(body))
	}
	fault := &Fault{Status: uint32(body[bodyAt]) | uint32(body[bodyAt+1])<<8 | uint32(body[bodyAt+2])<<16 | uint32(body[bodyAt+3])<<24}
	if c.seal != nil && p.auth == 0 {
		c.Close() // both sides' sealing cannot go on
	}
	return fault
}

func (c *Conn) send(b []byte) error {
	if err := c.net.SetDeadline(time.Now().Add(c.silence)); err != nil {
		return fmt.Errorf("send to %s: %w", c.net.RemoteAddr(), err)
	}
	if _, err := c.net.Write(b); err != nil {
		return fmt.Errorf("send to %s: %w", c.net.RemoteAddr(), silent(err))
	}
	return nil
}

// receive reads one PDU: at most 64 KiB, by the form of its header.
func (c *Conn) receive() (pdu, error) {
	if err := c.net.SetDeadline(time.Now().Add(c.silence)); err != nil {
		return pdu{}, fmt.Errorf("receive from %s: %w", c.net.RemoteAddr(), err)
	}
	head := make([]byte, headerSize)
	if _, err := io.ReadFull(c.in, head); err != nil {
		return pdu{}, fmt.Errorf("receive from %s: %w", c.net.RemoteAddr(), silent(err))
	}
	p, size, err := parseHeader(head)
	if err != nil {
		return pdu{}, err
	}
	p.whole = append(head, make([]byte, size-headerSize)...)
	if _, err := io.ReadFull(c.in, p.whole[headerSize:]); err != nil {
		return pdu{}, fmt.Errorf("receive from %s: %w", c.net.RemoteAddr(), silent(err))
	}
	return p, nil
}

// silent gives a deadline that passed its kind.
func silent(err error) error {
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return fmt.Errorf("%w: %w", ErrSilent, err)
	}
	return err
}
