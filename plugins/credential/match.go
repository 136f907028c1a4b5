package credential

import (
	"bytes"
	"crypto/subtle"
	"strconv"

	"github.com/tandem-sync/tandem/plugins/secret"
)

// form is a credential taken apart. Its slices belong to it; clear wipes the key.
type form struct {
	salt, key  []byte
	iterations int
}

// prefix begins every credential of the one form that is known.
var prefix = []byte("v1;PPH1_MD4,")

// Check returns nil if credential has exactly the form that [Derive] makes, apart from its number of iterations; else
// [ErrForm], [ErrIterations] or [secret.ErrWiped]. It computes nothing, and says nothing about whose credential it is.
func Check(credential *secret.Value) error {
	return credential.Use(func(b []byte) error {
		f, err := parse(b)
		clear(f.key)
		return err
	})
}

// Matches reports whether password, in UTF-8, is the one of which credential was derived. The comparison takes the same time
// whatever differs; the whole takes the time of one derivation, whose length depends on the credential's iterations only.
// Errors are those of [Check], [ErrPassword] and [secret.ErrWiped].
func Matches(credential, password *secret.Value) (bool, error) {
	hash, err := NTHash(password)
	if err != nil {
		return false, err
	}
	defer hash.Wipe()
	same := false
	err = credential.Use(func(text []byte) error {
		f, err := parse(text)
		defer clear(f.key)
		if err != nil {
			return err
		}
		return hash.Use(func(b []byte) error {
			key, err := keyOf(b, f.salt, f.iterations)
			defer clear(key)
			reached()
			same = err == nil && subtle.ConstantTimeCompare(key, f.key) == 1
			return err
		})
	})
	return same, err
}

// parse takes a credential apart. It accepts one spelling of each: lower-case digits, no signs, no leading zeros.
func parse(b []byte) (form, error) {
	rest, ok := bytes.CutPrefix(b, prefix)
	rest, closed := bytes.CutSuffix(rest, []byte(";"))
	fields := bytes.Split(rest, []byte(","))
	if !ok || !closed || len(fields) != 3 {
		return form{}, ErrForm
	}
	f := form{salt: unhex(fields[0], SaltSize), key: unhex(fields[2], keySize)}
	iterations, counted := count(fields[1])
	if f.salt == nil || f.key == nil || !counted {
		clear(f.key)
		return form{}, ErrForm
	}
	if iterations < MinIterations || iterations > MaxIterations {
		clear(f.key)
		return form{}, ErrIterations
	}
	f.iterations = iterations
	return f, nil
}

// count reads a decimal number as strconv.Itoa writes it, below 2^30.
func count(b []byte) (int, bool) {
	n, err := strconv.ParseUint(string(b), 10, 30)
	return int(n), err == nil && strconv.Itoa(int(n)) == string(b)
}

// unhex reads size bytes of lower-case hexadecimal digits, or returns nil. encoding/hex is not used, since it takes upper case
// as well and its errors quote the text.
func unhex(b []byte, size int) []byte {
	if len(b) != 2*size {
		return nil
	}
	out := make([]byte, size)
	for i, c := range b {
		var digit byte
		switch {
		case c >= '0' && c <= '9':
			digit = c - '0'
		case c >= 'a' && c <= 'f':
			digit = c - 'a' + 10
		default:
			clear(out)
			return nil
		}
		out[i/2] = out[i/2]<<4 | digit
	}
	return out
}
