package rpc

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/tandem-sync/tandem/plugins/directory/drsr/ndr"
	"github.com/tandem-sync/tandem/plugins/directory/drsr/ntlm"
)

// Types of PDUs (C706 12.6.4).
const (
	typeRequest  = 0
	typeResponse = 2
	typeFault    = 3
	typeBind     = 11
	typeBindAck  = 12
	typeBindNak  = 13
	typeAuth3    = 16
)

// Flags of PDUs (C706 12.6.3.1, MS-RPCE 2.2.2.3).
const (
	flagFirst      = 0x01
	flagLast       = 0x02
	flagSignHeader = 0x04 // of bind and bind_ack: signatures cover headers too
)

const (
	headerSize   = 16
	bodyAt       = 24 // of requests and responses
	trailerSize  = 8  // sec_trailer (MS-RPCE 2.2.2.11)
	padding      = 16 // what is sealed is filled up to a multiple of it
	maxFragment  = 5840
	authNTLM     = 10 // RPC_C_AUTHN_WINNT
	levelPrivacy = 6  // RPC_C_AUTHN_LEVEL_PKT_PRIVACY
	authContext  = 1  // an id of our choice
)

// header begins a PDU; its length comes in by finish.
func header(kind, flags byte, call uint32) []byte {
	b := []byte{5, 0, kind, flags, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0} // little-endian, ASCII, IEEE
	binary.LittleEndian.PutUint32(b[12:], call)
	return b
}

// finish sets the lengths.
func finish(pdu []byte, auth int) []byte {
	binary.LittleEndian.PutUint16(pdu[8:], uint16(len(pdu)))
	binary.LittleEndian.PutUint16(pdu[10:], uint16(auth))
	return pdu
}

func trailer(pad int) []byte {
	return []byte{authNTLM, levelPrivacy, byte(pad), 0, authContext, 0, 0, 0}
}

// bind composes a bind PDU for one interface. token is nil where nobody signs in.
func bind(i Interface, call uint32, token []byte) []byte {
	flags := byte(flagFirst | flagLast)
	if token != nil {
		flags |= flagSignHeader
	}
	var w ndr.Writer
	w.Bytes(header(typeBind, flags, call))
	w.Uint16(maxFragment)
	w.Uint16(maxFragment)
	w.Uint32(0) // a new association
	w.Uint32(1) // one context …
	w.Uint16(0) // … with this id …
	w.Uint16(1) // … and one transfer syntax
	w.Bytes(i.ID[:])
	w.Uint16(i.Major)
	w.Uint16(i.Minor)
	w.Bytes(transferSyntax.ID[:])
	w.Uint32(uint32(transferSyntax.Major))
	if token == nil {
		return finish(w.Data(), 0)
	}
	w.Bytes(trailer(0))
	w.Bytes(token)
	return finish(w.Data(), len(token))
}

func auth3(call uint32, token []byte) []byte {
	b := append(header(typeAuth3, flagFirst|flagLast, call), 0, 0, 0, 0)
	b = append(b, trailer(0)...)
	return finish(append(b, token...), len(token))
}

// request composes one fragment of a request and protects it.
func request(seal *ntlm.Seal, call uint32, flags byte, operation uint16, all int, part []byte) ([]byte, error) {
	b := header(typeRequest, flags, call)
	b = binary.LittleEndian.AppendUint32(b, uint32(all))
	b = binary.LittleEndian.AppendUint16(b, 0) // the context of bind
	b = binary.LittleEndian.AppendUint16(b, operation)
	b = append(b, part...)
	if seal == nil {
		return finish(b, 0), nil
	}
	pad := (padding - len(part)%padding) % padding
	b = append(b, make([]byte, pad)...)
	b = append(b, trailer(pad)...)
	end := len(b)
	b = finish(append(b, make([]byte, ntlm.SignatureSize)...), ntlm.SignatureSize)
	signature, err := seal.Seal(b[:end], bodyAt, end-trailerSize)
	if err != nil {
		return nil, fmt.Errorf("seal a request: %w", err)
	}
	copy(b[end:], signature)
	return b, nil
}

// pdu is a fragment that came.
type pdu struct {
	kind, flags byte
	call        uint32
	auth        int    // length of the token at its end
	whole       []byte // header included
}

// parseHeader reads the first 16 bytes. It returns how long the whole is.
func parseHeader(b []byte) (p pdu, size int, err error) {
	if b[0] != 5 || b[4]&0xf0 != 0x10 {
		return p, 0, fmt.Errorf("%w: neither version 5 nor little-endian (% x)", ErrProtocol, b[:5])
	}
	p = pdu{kind: b[2], flags: b[3], call: binary.LittleEndian.Uint32(b[12:]), auth: int(binary.LittleEndian.Uint16(b[10:]))}
	size = int(binary.LittleEndian.Uint16(b[8:]))
	need := headerSize
	if p.auth > 0 {
		need += trailerSize + p.auth
	}
	if size < need {
		return p, 0, fmt.Errorf("%w: a PDU of %d bytes with a token of %d", ErrProtocol, size, p.auth)
	}
	return p, size, nil
}

// token returns what stands at the end of a bind_ack, and what stands before that.
func (p pdu) token() (body, token []byte) {
	if p.auth == 0 {
		return p.whole, nil
	}
	at := len(p.whole) - p.auth
	return p.whole[:at-trailerSize], p.whole[at:]
}

// open checks and decrypts a response or fault and returns its body, without header and padding.
func (p pdu) open(seal *ntlm.Seal) ([]byte, error) {
	if len(p.whole) < bodyAt {
		return nil, fmt.Errorf("%w: a response of %d bytes", ErrProtocol, len(p.whole))
	}
	if seal == nil {
		if p.auth != 0 {
			return nil, fmt.Errorf("%w: a signed response, where nobody signed in", ErrProtocol)
		}
		return p.whole[bodyAt:], nil
	}
	end := len(p.whole) - p.auth
	if p.auth != ntlm.SignatureSize || end-trailerSize < bodyAt {
		return nil, fmt.Errorf("%w: a response without protection", ErrProtocol)
	}
	if err := seal.Open(p.whole[:end], bodyAt, end-trailerSize, p.whole[end:]); err != nil {
		return nil, err
	}
	pad := int(p.whole[end-trailerSize+2])
	body := p.whole[bodyAt : end-trailerSize]
	if pad > len(body) {
		return nil, fmt.Errorf("%w: a padding of %d bytes in %d", ErrProtocol, pad, len(body))
	}
	return body[:len(body)-pad], nil
}

// acknowledged checks a bind_ack and returns the server's NTLM challenge, nil where nobody signs in, and how long a fragment
// it takes.
func (p pdu) acknowledged(signIn bool) (challenge []byte, fragment int, err error) {
	switch p.kind {
	case typeBindAck:
	case typeBindNak:
		r := ndr.Read(p.whole[headerSize:])
		reason := r.Uint16()
		return nil, 0, errors.Join(&Refused{Reason: reason}, r.Err())
	default:
		return nil, 0, fmt.Errorf("%w: the answer to bind is of type %d", ErrProtocol, p.kind)
	}
	body, token := p.token()
	r := ndr.Read(body)
	r.Bytes(headerSize)
	r.Uint16()
	fragment = int(r.Uint16())
	r.Uint32()
	r.Bytes(int(r.Uint16())) // the server's second address
	r.Align(4)
	results := r.Uint32() & 0xff
	result, reason := r.Uint16(), r.Uint16()
	switch {
	case r.Err() != nil:
		return nil, 0, fmt.Errorf("%w: bind_ack: %w", ErrProtocol, r.Err())
	case results != 1 || fragment < 1024:
		return nil, 0, fmt.Errorf("%w: bind_ack with %d results and fragments of %d", ErrProtocol, results, fragment)
	case result != 0:
		return nil, 0, fmt.Errorf("%w (result %d, reason %d)", ErrNoInterface, result, reason)
	case signIn && p.flags&flagSignHeader == 0:
		return nil, 0, fmt.Errorf("%w: headers are not signed", ErrWeak)
	case signIn && token == nil:
		return nil, 0, fmt.Errorf("%w: bind_ack has no challenge", ErrProtocol)
	}
	return token, min(fragment, maxFragment), nil
}
