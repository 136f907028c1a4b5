package engine

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
)

// Fingerprint tells two sets of rules apart: equal rules have equal ones, across restarts and machines. The zero one says
// nothing.
type Fingerprint [16]byte

// FingerprintOf returns the fingerprint of parts in their order, such as the rules as JSON and the version of the code that
// interprets them.
func FingerprintOf(parts ...[]byte) Fingerprint {
	h := sha256.New()
	for _, p := range parts {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(p)))) // so that no two lists of parts look alike
		h.Write(p)
	}
	return Fingerprint(h.Sum(nil)[:16])
}

// IsZero reports whether the fingerprint says nothing.
func (f Fingerprint) IsZero() bool { return f == Fingerprint{} }

// String returns the fingerprint in hexadecimal.
func (f Fingerprint) String() string { return hex.EncodeToString(f[:]) }
