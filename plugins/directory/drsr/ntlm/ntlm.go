// Package ntlm signs in by NTLMv2 and protects what follows (MS-NLMP), as the client of a connection that signs and seals.
//
// A [Handshake] begins with its NEGOTIATE message, takes the server's CHALLENGE and gives the AUTHENTICATE message and the
// [Seal] with which both sides protect the messages that follow. Whatever protects the client is always on: a message
// integrity code over all three messages, the name of the server that is meant, channel bindings, 128-bit keys, sealing. A
// challenge without them is refused as [ErrWeak], so that nobody in between can take them away.
//
// It is not for signing in at web servers or for NTLMv1, and takes no part in deciding whether NTLM should be used.
package ntlm

import (
	"bytes"
	"crypto/hmac"
	"crypto/md5"
	"crypto/rc4"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/tandem-sync/tandem/plugins/credential"
	"github.com/tandem-sync/tandem/plugins/secret"
)

// The kinds of errors.
var (
	ErrMalformed = errors.New("the server's NTLM challenge is malformed")
	ErrWeak      = errors.New("the server offers NTLM without what protects it")
	ErrSignature = errors.New("a message does not carry the signature that it has to")
)

// Account is who signs in.
type Account struct {
	User   string        // a user principal name, or a name of the domain
	Domain string        // empty: the server's own; a user principal name needs none
	Hash   *secret.Value // the NT hash of its password
}

// Options are what a handshake takes from outside.
type Options struct {
	Target string           // service principal name of the server that is meant, such as "ldap/dc1.contoso.test"
	Random io.Reader        // crypto/rand.Reader, save in tests
	Now    func() time.Time // asked only where the server does not tell its own time
}

// Flags of NEGOTIATE_FLAGS (MS-NLMP 2.2.2.5).
const (
	flagUnicode         = 0x00000001
	flagRequestTarget   = 0x00000004
	flagSign            = 0x00000010
	flagSeal            = 0x00000020
	flagNTLM            = 0x00000200
	flagAlwaysSign      = 0x00008000
	flagExtendedSession = 0x00080000
	flagTargetInfo      = 0x00800000
	flagVersion         = 0x02000000
	flag128             = 0x20000000
	flagKeyExchange     = 0x40000000
	flag56              = 0x80000000

	offered = flagUnicode | flagRequestTarget | flagSign | flagSeal | flagNTLM | flagAlwaysSign | flagExtendedSession | flagTargetInfo |
		flagVersion | flag128 | flagKeyExchange | flag56
	required = flagUnicode | flagSign | flagSeal | flagExtendedSession | flagTargetInfo | flag128 | flagKeyExchange
)

const (
	signature = "NTLMSSP\x00"
	keySize   = 16
)

// version is Windows 7's with revision 15 (MS-NLMP 2.2.2.10): what it says is for people, the revision is checked.
var version = []byte{6, 1, 0xb1, 0x1d, 0, 0, 0, 15}

// between is nil; tests set it, to panic while keys are at hand.
var between func()

func reached() {
	if between != nil {
		between()
	}
}

// Handshake is one sign-in. It is used once, by one goroutine.
type Handshake struct {
	account   Account
	options   Options
	negotiate []byte
}

// Begin begins a sign-in.
func Begin(a Account, o Options) *Handshake {
	b := append([]byte(signature), 1, 0, 0, 0)
	b = binary.LittleEndian.AppendUint32(b, offered)
	b = append(b, make([]byte, 16)...) // neither domain nor workstation
	return &Handshake{account: a, options: o, negotiate: append(b, version...)}
}

// Negotiate returns the first message, NEGOTIATE.
func (h *Handshake) Negotiate() []byte { return bytes.Clone(h.negotiate) }

// Authenticate takes the server's CHALLENGE and returns the last message, AUTHENTICATE, and the protection of what follows.
// Whether the server takes the password shows only in its next answer. Errors are [ErrMalformed], [ErrWeak],
// [secret.ErrWiped], and those of the source of randomness.
func (h *Handshake) Authenticate(challenge []byte) ([]byte, *Seal, error) {
	c, err := parseChallenge(challenge)
	if err != nil {
		return nil, nil, err
	}
	random := make([]byte, 8+keySize)
	defer clear(random)
	if _, err := io.ReadFull(h.options.Random, random); err != nil {
		return nil, nil, fmt.Errorf("random bytes for NTLM: %w", err)
	}
	nonce, exported := random[:8], random[8:]
	when := c.time
	if when == nil {
		when = binary.LittleEndian.AppendUint64(nil, fileTime(h.options.Now()))
	}
	user, domain, err := h.names(c)
	if err != nil {
		return nil, nil, err
	}
	info, err := c.targetInfo(h.options.Target)
	if err != nil {
		return nil, nil, err
	}
	var message []byte
	err = h.account.Hash.Use(func(hash []byte) error {
		response, base := respond(hash, append(upper(h.account.User), domain...), c.nonce, nonce, when, info)
		defer clear(base)
		wrapped := make([]byte, keySize)
		cipher, err := rc4.NewCipher(base)
		if err != nil {
			return fmt.Errorf("wrap the session key: %w", err)
		}
		cipher.XORKeyStream(wrapped, exported)
		message = compose(c.flags&offered, domain, user, response, wrapped)
		reached()
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	copy(message[micAt:], keyed(exported, h.negotiate, challenge, message))
	seal, err := newSeal(exported)
	return message, seal, err
}

// names returns the account's name and domain in UTF-16.
func (h *Handshake) names(c challenge) (user, domain []byte, err error) {
	if user, err = credential.UTF16([]byte(h.account.User)); err != nil {
		return nil, nil, fmt.Errorf("the account's name %q is not valid UTF-8", h.account.User)
	}
	if h.account.Domain == "" && !strings.Contains(h.account.User, "@") {
		return user, c.domain, nil
	}
	if domain, err = credential.UTF16([]byte(h.account.Domain)); err != nil {
		return nil, nil, fmt.Errorf("the account's domain %q is not valid UTF-8", h.account.Domain)
	}
	return user, domain, nil
}

// upper returns a valid name in capitals, in UTF-16.
func upper(name string) []byte {
	wide, err := credential.UTF16([]byte(strings.ToUpper(name)))
	if err != nil {
		return nil // names refused it
	}
	return wide
}

// respond computes the NTLMv2 response and the session base key (MS-NLMP 3.3.2). name is the user's in capitals and the
// domain's.
func respond(hash, name, serverNonce, clientNonce, when, info []byte) (response, base []byte) {
	key := keyed(hash, name)
	defer clear(key)
	rest := bytes.Join([][]byte{{1, 1, 0, 0, 0, 0, 0, 0}, when, clientNonce, make([]byte, 4), info, make([]byte, 4)}, nil)
	proof := keyed(key, serverNonce, rest)
	reached()
	return slices.Concat(proof, rest), keyed(key, proof)
}

// micAt is where the message integrity code lies in AUTHENTICATE; its fields' contents begin behind it.
const (
	micAt     = 72
	payloadAt = micAt + md5.Size
)

// compose makes AUTHENTICATE (MS-NLMP 2.2.1.3) with a message integrity code of zeros.
func compose(flags uint32, domain, user, response, wrapped []byte) []byte {
	head := append([]byte(signature), 3, 0, 0, 0)
	var payload []byte
	for _, content := range [][]byte{
		make([]byte, 24), // LMv2 response: zeros, since the response names the time (MS-NLMP 3.1.5.1.2)
		response, domain, user,
		nil, // workstation
		wrapped,
	} {
		head = binary.LittleEndian.AppendUint16(head, uint16(len(content)))
		head = binary.LittleEndian.AppendUint16(head, uint16(len(content)))
		head = binary.LittleEndian.AppendUint32(head, uint32(payloadAt+len(payload)))
		payload = append(payload, content...)
	}
	head = binary.LittleEndian.AppendUint32(head, flags)
	head = append(head, version...)
	head = append(head, make([]byte, md5.Size)...)
	return append(head, payload...)
}

// keyed is HMAC-MD5 over the parts.
func keyed(key []byte, parts ...[]byte) []byte {
	m := hmac.New(md5.New, key)
	for _, p := range parts {
		m.Write(p) // a hash never fails
	}
	return m.Sum(nil)
}

// fileTime is Windows' time: units of 100 ns since 1601.
func fileTime(t time.Time) uint64 {
	const epoch = 11644473600 // seconds from 1601 to 1970
	return uint64(t.Unix()+epoch)*1e7 + uint64(t.Nanosecond()/100)
}
