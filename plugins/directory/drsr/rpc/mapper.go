package rpc

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/tandem-sync/tandem/plugins/directory/drsr/ndr"
)

// MapperPort is the TCP port of every endpoint mapper.
const MapperPort = 135

// Mapper is the endpoint mapper's interface, which takes anybody (C706 appendix O).
var Mapper = Interface{ID: [16]byte{0x08, 0x83, 0xaf, 0xe1, 0x1f, 0x5d, 0xc9, 0x11, 0x91, 0xa4, 0x08, 0x00, 0x2b, 0x14, 0xa0, 0xfa}, Major: 3}

const (
	operationMap = 3 // ept_map
	maxTowers    = 8

	protocolUUID   = 0x0d
	protocolNCACN  = 0x0b
	protocolTCP    = 0x07
	protocolIP     = 0x09
	towerFloors    = 5
	notRegistered  = 0x16c9a0d6 // ept_s_not_registered
	noMoreElements = 0x16c9a0cd
)

// Port asks an endpoint mapper, on a connection bound to [Mapper], at which TCP port an interface listens. Errors are those of
// [Conn.Call], and [ErrNoInterface].
func (c *Conn) Port(ctx context.Context, i Interface) (int, error) {
	var w ndr.Writer
	w.Pointer()
	w.Zeros(16) // no object
	w.Pointer()
	t := tower(i)
	w.Uint32(uint32(len(t)))
	w.Uint32(uint32(len(t)))
	w.Bytes(t)
	w.Align(4)
	w.Zeros(20) // a new look-up
	w.Uint32(maxTowers)
	answer, err := c.Call(ctx, operationMap, w.Data())
	if err != nil {
		return 0, fmt.Errorf("ask the endpoint mapper: %w", err)
	}
	return parseMap(answer)
}

// tower describes an interface over TCP (C706 appendix L).
func tower(i Interface) []byte {
	b := binary.LittleEndian.AppendUint16(nil, towerFloors)
	for _, s := range []Interface{i, transferSyntax} {
		b = append(b, 19, 0, protocolUUID)
		b = append(b, s.ID[:]...)
		b = binary.LittleEndian.AppendUint16(b, s.Major)
		b = append(b, 2, 0)
		b = binary.LittleEndian.AppendUint16(b, s.Minor)
	}
	b = append(b, 1, 0, protocolNCACN, 2, 0, 0, 0)
	b = append(b, 1, 0, protocolTCP, 2, 0, 0, 0)
	return append(b, 1, 0, protocolIP, 4, 0, 0, 0, 0, 0)
}

// parseMap reads the results of ept_map and returns the first port.
func parseMap(answer []byte) (int, error) {
	r := ndr.Read(answer)
	r.Bytes(20)
	said := r.Uint32()
	r.Uint32() // as many as were asked for
	r.Uint32()
	n := r.Count(4)
	if n > maxTowers || uint32(n) != said {
		r.Fail("%d towers instead of %d", n, said)
		n = 0
	}
	there := 0
	for range n {
		if r.Pointer() {
			there++
		}
	}
	port := 0
	for range there {
		size := r.Count(1)
		t := r.Bytes(r.Size(size, 1))
		if p, ok := portOf(t); ok && port == 0 {
			port = p
		}
	}
	status := r.Uint32()
	switch {
	case r.Err() != nil:
		return 0, fmt.Errorf("%w: the endpoint mapper's answer: %w", ErrProtocol, r.Err())
	case status == notRegistered, status == noMoreElements, status == 0 && port == 0:
		return 0, ErrNoInterface
	case status != 0:
		return 0, fmt.Errorf("%w: the endpoint mapper answers with status %#08x", ErrProtocol, status)
	}
	return port, nil
}

// portOf returns the TCP port of a tower.
func portOf(t []byte) (int, bool) {
	if len(t) < 2 {
		return 0, false
	}
	t = t[2:]
	for {
		left, rest, ok := side(t)
		if !ok {
			return 0, false
		}
		right, rest, ok := side(rest)
		if !ok {
			return 0, false
		}
		if len(left) == 1 && left[0] == protocolTCP && len(right) == 2 {
			port := int(binary.BigEndian.Uint16(right))
			return port, port != 0
		}
		t = rest
	}
}

// side cuts one side off a floor.
func side(t []byte) (content, rest []byte, ok bool) {
	if len(t) < 2 {
		return nil, nil, false
	}
	size := int(binary.LittleEndian.Uint16(t))
	if len(t) < 2+size {
		return nil, nil, false
	}
	return t[2 : 2+size], t[2+size:], true
}
