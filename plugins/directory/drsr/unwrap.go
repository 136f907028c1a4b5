package drsr

import (
	"crypto/des"
	"crypto/md5"
	"crypto/rc4"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/tandem-sync/tandem/plugins/secret"
)

// Form of an encrypted value: ENCRYPTED_PAYLOAD (MS-DRSR 4.1.10.2.20).
const (
	saltSize  = 16
	crcSize   = 4
	hashSize  = 16
	valueSize = saltSize + crcSize + hashSize
)

// errValue is the kind of errors of values that cannot be decrypted. They say nothing of the value.
var errValue = errors.New("the value of unicodePwd cannot be decrypted")

// between is nil; tests set it, to panic while plain values are at hand.
var between func()

func reached() {
	if between != nil {
		between()
	}
}

// unwrap decrypts a value of unicodePwd: first as every secret is encrypted for the session (MS-DRSR 4.1.10.6.17), then as
// hashes are by the account's relative id (MS-SAMR 2.2.11.1).
func unwrap(session *secret.Value, id uint32, value []byte) (*secret.Value, error) {
	if len(value) != valueSize {
		return nil, fmt.Errorf("%w: it has %d bytes", errValue, len(value))
	}
	var hash *secret.Value
	err := session.Use(func(key []byte) error {
		plain, err := removeSession(key, value)
		defer clear(plain)
		if err != nil {
			return err
		}
		out := make([]byte, hashSize)
		if err := removeID(out, plain, id); err != nil {
			clear(out)
			return err
		}
		reached()
		hash = secret.Take(out)
		return nil
	})
	return hash, err
}

// removeSession removes the encryption by the session's key and checks the sum.
func removeSession(key, value []byte) ([]byte, error) {
	digest := md5.New()
	digest.Write(key) // a hash never fails
	digest.Write(value[:saltSize])
	own := digest.Sum(nil)
	defer clear(own)
	cipher, err := rc4.NewCipher(own)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errValue, err)
	}
	plain := make([]byte, len(value)-saltSize)
	cipher.XORKeyStream(plain, value[saltSize:])
	reached()
	if crc32.ChecksumIEEE(plain[crcSize:]) != binary.LittleEndian.Uint32(plain) {
		clear(plain)
		return nil, fmt.Errorf("%w: its sum is wrong", errValue)
	}
	return plain[crcSize:], nil
}

// removeID decrypts both halves of a hash by keys that are made of the account's relative id.
func removeID(out, sealed []byte, id uint32) error {
	b := binary.LittleEndian.AppendUint32(nil, id)
	for half, key := range [][]byte{{b[0], b[1], b[2], b[3], b[0], b[1], b[2]}, {b[3], b[0], b[1], b[2], b[3], b[0], b[1]}} {
		cipher, err := des.NewCipher(spread(key))
		if err != nil {
			return fmt.Errorf("%w: %w", errValue, err)
		}
		cipher.Decrypt(out[half*des.BlockSize:], sealed[half*des.BlockSize:][:des.BlockSize])
	}
	return nil
}

// spread makes a DES key of seven bytes: seven bits go into each of eight bytes, beside the bit of parity, which DES ignores.
func spread(k []byte) []byte {
	var bits uint64
	for _, b := range k {
		bits = bits<<8 | uint64(b)
	}
	key := make([]byte, des.BlockSize)
	for i := range key {
		key[i] = byte(bits>>(49-7*i)) << 1
	}
	return key
}
