// Package credential derives from a password what directories and the tenant keep of it: the NT hash, which Active Directory
// stores, and the credential, which the tenant gets.
//
// Whoever read an NT hash calls [Derive] in the same process, so that the hash never leaves it: an NT hash is as good as the
// password to sign in with, a credential is not. The functions are pure; salts come from the caller.
package credential

import (
	"bytes"
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"

	//lint:ignore SA1019 the NT hash is an MD4 digest by definition, and no choice of ours
	"golang.org/x/crypto/md4"

	"github.com/tandem-sync/tandem/plugins/secret"
)

// What the form of a credential fixes, as Microsoft's page on password hash synchronization tells it ("How password hash
// synchronization works").
const (
	SaltSize   = 10   // bytes, other ones for each credential
	Iterations = 1000 // of PBKDF2
	keySize    = 32
)

// HashSize is the length of an NT hash in bytes.
const HashSize = md4.Size

// How many iterations a credential may name. The lower bound is what Microsoft's engines began with; the upper one bounds the
// work that a foreign credential can cause.
const (
	MinIterations = 100
	MaxIterations = 10_000
)

// The kinds of errors. None of them tells anything of the value.
var (
	ErrHash       = errors.New("an NT hash has 16 bytes")
	ErrSalt       = errors.New("the salt of a credential has 10 bytes")
	ErrPassword   = errors.New("the password is not valid UTF-8")
	ErrIterations = fmt.Errorf("a credential has %d to %d iterations", MinIterations, MaxIterations)
	ErrForm       = errors.New("not a credential of the form v1;PPH1_MD4,<salt>,<iterations>,<key>;")
)

// between is nil; tests set it, to panic while plain values are at hand.
var between func()

func reached() {
	if between != nil {
		between()
	}
}

// NTHash returns the NT hash of a password that is given in UTF-8: MD4 of its UTF-16LE form (MS-NLMP 3.3.1, NTOWFv1). The
// caller wipes it. Errors are [ErrPassword] and [secret.ErrWiped].
func NTHash(password *secret.Value) (*secret.Value, error) {
	var hash *secret.Value
	err := password.Use(func(b []byte) error {
		wide, err := UTF16(b)
		defer clear(wide)
		if err != nil {
			return err
		}
		digest := md4.New()
		digest.Write(wide) // a hash never fails
		reached()
		hash = secret.Take(digest.Sum(nil))
		return nil
	})
	return hash, err
}

// UTF16 returns UTF-8 text in UTF-16LE, in a slice of its own that the caller clears. Its error is [ErrPassword].
func UTF16(b []byte) ([]byte, error) {
	if !utf8.Valid(b) {
		return nil, ErrPassword
	}
	wide := make([]byte, 0, 2*len(b)) // never grows: no copy stays behind
	for len(b) > 0 {
		r, size := utf8.DecodeRune(b)
		b = b[size:]
		if high, low := utf16.EncodeRune(r); high != utf8.RuneError {
			wide = append(wide, byte(high), byte(high>>8), byte(low), byte(low>>8))
			continue
		}
		wide = append(wide, byte(r), byte(r>>8))
	}
	return wide, nil
}

// Derive returns the credential for an NT hash: "v1;PPH1_MD4,<salt>,<iterations>,<key>;", where salt and key are lower-case
// hexadecimal and the key is PBKDF2-HMAC-SHA256 over the UTF-16LE form of the hash's 32 upper-case hexadecimal digits. It is
// a secret as well, since weak passwords can be guessed from it. The caller wipes it. Errors are [ErrHash], [ErrSalt] and
// [secret.ErrWiped].
func Derive(hash *secret.Value, salt []byte) (*secret.Value, error) {
	return DeriveWith(hash, salt, Iterations)
}

// DeriveWith is [Derive] with another number of iterations, for credentials that are not sent to anybody. Its errors are those
// of Derive and [ErrIterations].
func DeriveWith(hash *secret.Value, salt []byte, iterations int) (*secret.Value, error) {
	if len(salt) != SaltSize {
		return nil, ErrSalt
	}
	if iterations < MinIterations || iterations > MaxIterations {
		return nil, ErrIterations
	}
	var out *secret.Value
	err := hash.Use(func(b []byte) error {
		key, err := keyOf(b, salt, iterations)
		defer clear(key)
		if err != nil {
			return err
		}
		reached()
		out = secret.Take(text(salt, key, iterations))
		return nil
	})
	return out, err
}

// keyOf returns the key of a credential. The caller clears it.
func keyOf(hash, salt []byte, iterations int) ([]byte, error) {
	if len(hash) != HashSize {
		return nil, ErrHash
	}
	digits := wideDigits(hash)
	defer clear(digits)
	key, err := pbkdf2.Key(sha256.New, string(digits), salt, iterations, keySize)
	if err != nil {
		return nil, fmt.Errorf("derive a credential: %w", err)
	}
	return key, nil
}

// wideDigits returns the hash in upper-case hexadecimal, in UTF-16LE.
func wideDigits(hash []byte) []byte {
	const digits = "0123456789ABCDEF"
	wide := make([]byte, 0, 4*len(hash))
	for _, b := range hash {
		wide = append(wide, digits[b>>4], 0, digits[b&15], 0)
	}
	return wide
}

func text(salt, key []byte, iterations int) []byte {
	out := bytes.NewBuffer(make([]byte, 0, 128)) // enough for all: it never grows
	out.WriteString("v1;PPH1_MD4,")
	out.Write(hex.AppendEncode(nil, salt))
	out.WriteString("," + strconv.Itoa(iterations) + ",")
	digits := hex.AppendEncode(nil, key)
	defer clear(digits)
	out.Write(digits)
	out.WriteString(";")
	return out.Bytes()
}
