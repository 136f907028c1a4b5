package ntlm

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/tandem-sync/tandem/plugins/credential"
)

// Ids of AV_PAIR (MS-NLMP 2.2.2.1).
const (
	pairEnd      = 0
	pairDomain   = 2 // NetBIOS name of the domain
	pairFlags    = 6
	pairTime     = 7
	pairTarget   = 9
	pairBindings = 10
)

// flagMIC says in pairFlags that the client sends a message integrity code.
const flagMIC = 2

// challenge is what CHALLENGE says (MS-NLMP 2.2.1.2).
type challenge struct {
	flags  uint32
	nonce  []byte
	pairs  []pair // without the end, and without those that the client says itself
	time   []byte // nil where the server does not tell it
	domain []byte // NetBIOS name of the server's domain, in UTF-16
	av     uint32 // the flags among the pairs
}

type pair struct {
	id    uint16
	value []byte
}

func parseChallenge(b []byte) (challenge, error) {
	if len(b) < 48 || string(b[:8]) != signature || binary.LittleEndian.Uint32(b[8:]) != 2 {
		return challenge{}, ErrMalformed
	}
	c := challenge{flags: binary.LittleEndian.Uint32(b[20:]), nonce: bytes.Clone(b[24:32])}
	if missing := required &^ c.flags; missing != 0 {
		return challenge{}, fmt.Errorf("%w (flags %#08x lack %#08x)", ErrWeak, c.flags, missing)
	}
	size, at := int(binary.LittleEndian.Uint16(b[40:])), binary.LittleEndian.Uint32(b[44:])
	if uint64(at)+uint64(size) > uint64(len(b)) {
		return challenge{}, ErrMalformed
	}
	return c, c.parsePairs(b[at:][:size])
}

func (c *challenge) parsePairs(b []byte) error {
	for {
		if len(b) < 4 {
			return ErrMalformed
		}
		id, size := binary.LittleEndian.Uint16(b), int(binary.LittleEndian.Uint16(b[2:]))
		if id == pairEnd {
			return nil
		}
		if len(b) < 4+size {
			return ErrMalformed
		}
		value := b[4:][:size]
		b = b[4+size:]
		switch {
		case id == pairFlags && size == 4:
			c.av = binary.LittleEndian.Uint32(value)
		case id == pairTime && size == 8:
			c.time = value
			c.pairs = append(c.pairs, pair{id, value})
		case id == pairFlags, id == pairTime:
			return ErrMalformed
		case id == pairTarget, id == pairBindings: // the client's to say
		default:
			if id == pairDomain {
				c.domain = value
			}
			c.pairs = append(c.pairs, pair{id, value})
		}
	}
}

// targetInfo returns the server's pairs with those of the client: that a message integrity code comes, which server is meant,
// and that no channel of TLS is bound, which zeros say (MS-NLMP 3.1.5.1.2).
func (c challenge) targetInfo(target string) ([]byte, error) {
	name, err := credential.UTF16([]byte(target))
	if err != nil {
		return nil, fmt.Errorf("the server's name %q is not valid UTF-8", target)
	}
	var b []byte
	for _, p := range append(slices.Clone(c.pairs), pair{pairFlags, binary.LittleEndian.AppendUint32(nil, c.av|flagMIC)},
		pair{pairBindings, make([]byte, 16)}, pair{pairTarget, name}, pair{pairEnd, nil}) {
		b = binary.LittleEndian.AppendUint16(b, p.id)
		b = binary.LittleEndian.AppendUint16(b, uint16(len(p.value)))
		b = append(b, p.value...)
	}
	return b, nil
}
