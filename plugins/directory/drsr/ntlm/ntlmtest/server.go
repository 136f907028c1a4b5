// Package ntlmtest plays the server of a sign-in by NTLM, for tests of what clients make of good and bad servers.
package ntlmtest

import (
	"bytes"
	"crypto/hmac"
	"crypto/md5"
	"crypto/rc4"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"unicode/utf16"

	"github.com/tandem-sync/tandem/plugins/directory/drsr/ntlm"
)

// Flags are those of a server that protects everything.
const Flags = 0xe2898235

// Server is one sign-in, seen from the server.
type Server struct {
	Flags uint32 // zero: [Flags]
	Nonce [8]byte
	Pairs [][2]any // id (int) and value ([]byte) of the target's information; nil: a domain and a time

	challenge []byte
}

// Challenge returns the CHALLENGE message.
func (s *Server) Challenge() []byte {
	if s.Flags == 0 {
		s.Flags = Flags
	}
	if s.Pairs == nil {
		s.Pairs = [][2]any{{1, Wide("SERVER")}, {2, Wide("CONTOSO")}, {7, make([]byte, 8)}}
	}
	var info []byte
	for _, p := range append(s.Pairs, [2]any{0, []byte(nil)}) {
		info = binary.LittleEndian.AppendUint16(info, uint16(p[0].(int)))
		info = binary.LittleEndian.AppendUint16(info, uint16(len(p[1].([]byte))))
		info = append(info, p[1].([]byte)...)
	}
	b := append([]byte("NTLMSSP\x00"), 2, 0, 0, 0)
	b = append(b, make([]byte, 8)...) // target name
	b = binary.LittleEndian.AppendUint32(b, s.Flags)
	b = append(b, s.Nonce[:]...)
	b = append(b, make([]byte, 8)...)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(info)))
	b = binary.LittleEndian.AppendUint16(b, uint16(len(info)))
	b = binary.LittleEndian.AppendUint32(b, 56)
	b = append(b, 6, 1, 0xb1, 0x1d, 0, 0, 0, 15)
	s.challenge = append(b, info...)
	return s.challenge
}

// Wide is text in UTF-16LE.
func Wide(s string) []byte {
	var out []byte
	for _, u := range utf16.Encode([]rune(s)) {
		out = binary.LittleEndian.AppendUint16(out, u)
	}
	return out
}

// Accepted is what an accepted sign-in said.
type Accepted struct {
	User, Domain string
	Target       string // service principal name that the client means
	Seal         *ntlm.Seal
	Key          []byte // the exported session key
}

// Accept checks AUTHENTICATE as MS-NLMP 3.2.5.1.2 tells: the response, the message integrity code, and that the client said
// that it sends one. hash is the account's NT hash.
func (s *Server) Accept(negotiate, authenticate, hash []byte) (Accepted, error) {
	field := func(at int) []byte {
		return authenticate[binary.LittleEndian.Uint32(authenticate[at+4:]):][:binary.LittleEndian.Uint16(authenticate[at:])]
	}
	response, wrapped := field(20), field(52)
	a := Accepted{Domain: narrow(field(28)), User: narrow(field(36))}
	key := keyed(hash, Wide(strings.ToUpper(a.User)+a.Domain))
	if !hmac.Equal(response[:16], keyed(key, s.Nonce[:], response[16:])) {
		return a, fmt.Errorf("wrong password for %s in %q", a.User, a.Domain)
	}
	cipher, err := rc4.NewCipher(keyed(key, response[:16]))
	if err != nil {
		return a, err
	}
	a.Key = make([]byte, 16)
	cipher.XORKeyStream(a.Key, wrapped)
	unsigned := bytes.Clone(authenticate)
	clear(unsigned[72:88])
	if !hmac.Equal(authenticate[72:88], keyed(a.Key, negotiate, s.challenge, unsigned)) {
		return a, errors.New("wrong message integrity code")
	}
	pairs := pairsOf(response[44:])
	if len(pairs[6]) != 4 || pairs[6][0]&2 == 0 || !bytes.Equal(pairs[10], make([]byte, 16)) {
		return a, fmt.Errorf("flags %x, channel bindings %x", pairs[6], pairs[10])
	}
	a.Target = narrow(pairs[9])
	a.Seal, err = ntlm.ServerSeal(a.Key)
	return a, err
}

func pairsOf(b []byte) map[uint16][]byte {
	out := map[uint16][]byte{}
	for len(b) >= 4 && binary.LittleEndian.Uint16(b) != 0 {
		size := binary.LittleEndian.Uint16(b[2:])
		out[binary.LittleEndian.Uint16(b)] = b[4:][:size]
		b = b[4+size:]
	}
	return out
}

func narrow(b []byte) string {
	var units []uint16
	for i := 0; i+1 < len(b); i += 2 {
		units = append(units, binary.LittleEndian.Uint16(b[i:]))
	}
	return string(utf16.Decode(units))
}

func keyed(key []byte, parts ...[]byte) []byte {
	m := hmac.New(md5.New, key)
	for _, p := range parts {
		m.Write(p)
	}
	return m.Sum(nil)
}
