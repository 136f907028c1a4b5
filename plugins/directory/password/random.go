package password

import (
	"fmt"
	"io"

	"github.com/tandem-sync/tandem/plugins/secret"
)

// Of a password that nobody is to know.
const (
	randomLength = 32
	letters      = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	others       = "0123456789!#$%&*+-./:;<=>?@[]^_{|}~"
	alphabet     = letters + others
)

// Random makes a password of 32 characters that nobody is to know: with capital and small letters, digits and other characters, and without the account's name or a part of the
// displayed one in it, which controllers refuse (MS-SAMR 3.1.1.7.2). random is a source for cryptography; its error is returned. The caller wipes the password.
func Random(random io.Reader, account, displayed string) (*secret.Value, error) {
	b := make([]byte, 0, randomLength)
	for {
		var one [1]byte
		for len(b) < randomLength {
			if _, err := io.ReadFull(random, one[:]); err != nil {
				clear(b)
				return nil, fmt.Errorf("make a random password: %w", err)
			}
			if n := 256 / len(alphabet) * len(alphabet); int(one[0]) < n { // each character as likely as the others
				b = append(b, alphabet[int(one[0])%len(alphabet)])
			}
		}
		if fourClasses(b) && isComplex(b, []string{account, displayed}) {
			return secret.Take(b), nil
		}
		clear(b)
		b = b[:0]
	}
}

// fourClasses reports whether there are capital and small letters, digits and others.
func fourClasses(b []byte) bool {
	var has [4]bool
	for _, c := range b {
		switch {
		case c >= 'A' && c <= 'Z':
			has[0] = true
		case c >= 'a' && c <= 'z':
			has[1] = true
		case c >= '0' && c <= '9':
			has[2] = true
		default:
			has[3] = true
		}
	}
	return has == [4]bool{true, true, true, true}
}
