// Package rpctest plays a server of DCE/RPC that takes sign-ins by NTLM, for tests of what clients make of good and bad
// servers.
package rpctest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/tandem-sync/tandem/plugins/directory/drsr/ntlm"
	"github.com/tandem-sync/tandem/plugins/directory/drsr/ntlm/ntlmtest"
)

// Server answers calls. Its fields are set before [Server.Serve]; the zero value takes anybody who does not sign in.
type Server struct {
	NTLM      ntlmtest.Server
	Hash      []byte // NT hash of the account; nil: nobody signs in
	Refuse    uint16 // reason with which bind is refused
	NoHeaders bool   // headers are not signed
	Fragment  int    // bytes of an answer in one PDU; 0: 4000
	// Call answers an operation.
	Call func(operation uint16, arguments []byte) Answer
	// Change changes each PDU before it is sent; nil leaves them. Nil PDUs are not sent.
	Change func(pdu []byte) []byte

	// Key is the session key, once a client has signed in.
	Key []byte
	// Accepted is what the client said.
	Accepted ntlmtest.Accepted
}

// Answer is the answer to a call: results, or a fault.
type Answer struct {
	Results []byte
	Fault   uint32
}

type pdu struct {
	kind byte
	call uint32
	b    []byte
	auth int
}

func read(conn net.Conn) (pdu, error) {
	head := make([]byte, 16)
	if _, err := io.ReadFull(conn, head); err != nil {
		return pdu{}, err
	}
	b := append(head, make([]byte, int(binary.LittleEndian.Uint16(head[8:]))-len(head))...)
	_, err := io.ReadFull(conn, b[16:])
	return pdu{kind: b[2], call: binary.LittleEndian.Uint32(b[12:]), b: b, auth: int(binary.LittleEndian.Uint16(b[10:]))}, err
}

func (s *Server) send(conn net.Conn, kind, flags byte, call uint32, body, token []byte) error {
	b := []byte{5, 0, kind, flags, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
	binary.LittleEndian.PutUint32(b[12:], call)
	b = append(append(b, body...), token...)
	binary.LittleEndian.PutUint16(b[8:], uint16(len(b)))
	if n := len(token) - 8; n > 0 {
		binary.LittleEndian.PutUint16(b[10:], uint16(n))
	}
	if s.Change != nil {
		b = s.Change(b)
	}
	_, err := conn.Write(b)
	return err
}

// Serve serves one connection until the client ends it, which is no error.
func (s *Server) Serve(conn net.Conn) error {
	defer conn.Close()
	err := s.serve(conn)
	if errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) || errors.Is(err, io.ErrClosedPipe) {
		return nil
	}
	return err
}

func (s *Server) serve(conn net.Conn) error {
	bind, err := read(conn)
	if err != nil {
		return err
	}
	if s.Refuse != 0 {
		return s.send(conn, 13, 3, bind.call, binary.LittleEndian.AppendUint16(nil, s.Refuse), nil)
	}
	flags, trailer := byte(3), []byte(nil)
	if bind.auth > 0 {
		trailer = append([]byte{10, 6, 0, 0, 1, 0, 0, 0}, s.NTLM.Challenge()...)
		if !s.NoHeaders {
			flags |= 4
		}
	}
	ack := []byte{0xd0, 0x16, 0xd0, 0x16, 1, 0, 0, 0, 4, 0, '1', '3', '5', 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0}
	ack = append(ack, bind.b[len(bind.b)-bind.auth-min(bind.auth, 1)*8-20:][:20]...) // the transfer syntax
	if err := s.send(conn, 12, flags, bind.call, ack, trailer); err != nil {
		return err
	}
	var seal *ntlm.Seal
	if bind.auth > 0 {
		auth3, err := read(conn)
		if err != nil {
			return err
		}
		if s.Accepted, err = s.NTLM.Accept(bind.b[len(bind.b)-bind.auth:], auth3.b[len(auth3.b)-auth3.auth:], s.Hash); err == nil {
			seal, s.Key = s.Accepted.Seal, s.Accepted.Key
		}
	}
	return s.answer(conn, seal, bind.auth > 0)
}

// answer answers calls. Who did not sign in well is told with the first one, as Samba does.
func (s *Server) answer(conn net.Conn, seal *ntlm.Seal, protected bool) error {
	var arguments []byte
	for {
		p, err := read(conn)
		if err != nil {
			return err
		}
		if protected && seal == nil {
			return s.send(conn, 3, 3, p.call, fault(0x1c01000b), nil)
		}
		end := len(p.b)
		if seal != nil {
			end -= p.auth
			if err := seal.Open(p.b[:end], 24, end-8, p.b[end:]); err != nil {
				return fmt.Errorf("a request: %w", err)
			}
			end -= 8 + int(p.b[end-6])
		}
		arguments = append(arguments, p.b[24:end]...)
		if p.b[3]&2 == 0 {
			continue
		}
		if err := s.respond(conn, seal, p.call, s.Call(binary.LittleEndian.Uint16(p.b[22:]), arguments)); err != nil {
			return err
		}
		arguments = nil
	}
}

func fault(status uint32) []byte {
	return binary.LittleEndian.AppendUint32(make([]byte, 8), status)
}

func (s *Server) respond(conn net.Conn, seal *ntlm.Seal, call uint32, a Answer) error {
	if a.Fault != 0 {
		return s.protect(conn, seal, 3, 3, call, fault(a.Fault))
	}
	size := s.Fragment
	if size == 0 {
		size = 4000
	}
	flags := byte(1)
	for rest := a.Results; ; flags = 0 {
		part := rest[:min(size, len(rest))]
		rest = rest[len(part):]
		if len(rest) == 0 {
			flags |= 2
		}
		if err := s.protect(conn, seal, 2, flags, call, append(make([]byte, 8), part...)); err != nil || len(rest) == 0 {
			return err
		}
	}
}

// protect seals a response or fault of which the body begins with eight bytes that stay plain.
func (s *Server) protect(conn net.Conn, seal *ntlm.Seal, kind, flags byte, call uint32, body []byte) error {
	if seal == nil {
		return s.send(conn, kind, flags, call, body, nil)
	}
	pad := (16 - (len(body)-8)%16) % 16
	b := []byte{5, 0, kind, flags, 0x10, 0, 0, 0, 0, 0, ntlm.SignatureSize, 0, 0, 0, 0, 0}
	binary.LittleEndian.PutUint32(b[12:], call)
	b = append(append(b, body...), make([]byte, pad)...)
	b = append(b, 10, 6, byte(pad), 0, 1, 0, 0, 0)
	binary.LittleEndian.PutUint16(b[8:], uint16(len(b)+ntlm.SignatureSize))
	signature, err := seal.Seal(b, 24, len(b)-8)
	if err != nil {
		return err
	}
	b = append(b, signature...)
	if s.Change != nil {
		b = s.Change(b)
	}
	_, err = conn.Write(b)
	return err
}
