package ntlm

import (
	"bytes"
	"crypto/hmac"
	"crypto/md5"
	"crypto/rc4"
	"encoding/binary"
	"fmt"

	"github.com/tandem-sync/tandem/plugins/secret"
)

// SignatureSize is how many bytes a signature has.
const SignatureSize = 16

// Seal signs and seals the messages of one connection, in the order in which they are sent and come (MS-NLMP 3.4.4.2, with
// extended session security and key exchange). Its methods are for one goroutine at a time.
type Seal struct {
	key       *secret.Value
	out, back direction
}

// direction is one of the two; its cipher goes on from message to message.
type direction struct {
	signing *secret.Value
	cipher  *rc4.Cipher
	next    uint32
}

func newSeal(exported []byte) (*Seal, error) {
	toServer, err := newDirection(exported, "client-to-server")
	if err != nil {
		return nil, err
	}
	toClient, err := newDirection(exported, "server-to-client")
	if err != nil {
		return nil, err
	}
	return &Seal{key: secret.Take(bytes.Clone(exported)), out: toServer, back: toClient}, nil
}

// ServerSeal returns the other side's protection, for tests that play the server.
func ServerSeal(exported []byte) (*Seal, error) {
	s, err := newSeal(exported)
	if err != nil {
		return nil, err
	}
	s.out, s.back = s.back, s.out
	return s, nil
}

// newDirection derives its keys (MS-NLMP 3.4.5.2 and 3.4.5.3, for 128 bits).
func newDirection(exported []byte, way string) (direction, error) {
	derive := func(purpose string) []byte {
		h := md5.New()
		h.Write(exported) // a hash never fails
		h.Write([]byte("session key to " + way + " " + purpose + " key magic constant\x00"))
		return h.Sum(nil)
	}
	sealing := derive("sealing")
	defer clear(sealing)
	cipher, err := rc4.NewCipher(sealing)
	if err != nil {
		return direction{}, fmt.Errorf("cipher for messages: %w", err)
	}
	reached()
	return direction{signing: secret.Take(derive("signing")), cipher: cipher}, nil
}

// Key returns the session key that both sides agreed on. It is wiped with the Seal.
func (s *Seal) Key() *secret.Value { return s.key }

// Seal encrypts message[from:to] in place and returns the signature over all of the message as it was before.
func (s *Seal) Seal(message []byte, from, to int) ([]byte, error) {
	mac, err := s.out.mac(message)
	if err != nil {
		return nil, err
	}
	s.out.cipher.XORKeyStream(message[from:to], message[from:to])
	return s.out.finish(mac), nil
}

// Open decrypts message[from:to] in place and checks the signature over all of it. Its errors are [ErrSignature], after
// which the connection is of no use, and [secret.ErrWiped].
func (s *Seal) Open(message []byte, from, to int, signature []byte) error {
	s.back.cipher.XORKeyStream(message[from:to], message[from:to])
	mac, err := s.back.mac(message)
	if err != nil {
		return err
	}
	if !hmac.Equal(signature, s.back.finish(mac)) {
		return ErrSignature
	}
	return nil
}

// Wipe overwrites the keys.
func (s *Seal) Wipe() {
	s.key.Wipe()
	s.out.signing.Wipe()
	s.back.signing.Wipe()
}

func (d *direction) mac(message []byte) ([]byte, error) {
	var mac []byte
	err := d.signing.Use(func(key []byte) error {
		mac = keyed(key, binary.LittleEndian.AppendUint32(nil, d.next), message)
		reached()
		return nil
	})
	return mac, err
}

// finish makes the signature of a message's code, which goes through the same cipher behind the message.
func (d *direction) finish(mac []byte) []byte {
	out := make([]byte, SignatureSize)
	binary.LittleEndian.PutUint32(out, 1)
	d.cipher.XORKeyStream(out[4:12], mac[:8])
	binary.LittleEndian.PutUint32(out[12:], d.next)
	d.next++
	return out
}
