package credential_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf16"

	"pgregory.net/rapid"

	"github.com/tandem-sync/tandem/plugins/credential"
	"github.com/tandem-sync/tandem/plugins/secret"
	"github.com/tandem-sync/tandem/plugins/secret/secrettest"
)

func bytesOf(t testing.TB, v *secret.Value, err error) []byte {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	var out []byte
	if err := v.Use(func(b []byte) error { out = bytes.Clone(b); return nil }); err != nil {
		t.Fatal(err)
	}
	return out
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestNTHashesAreAsPublished(t *testing.T) {
	for password, want := range map[string]string{
		"Password":     "a4f49c406510bdcab6824ee7c30fd852", // MS-NLMP 4.2.2.1.2
		"":             "31d6cfe0d16ae931b73c59d7e0c089c0", // RFC 1320 A.5, MD4 of nothing
		"Pa$$w0rd":     "92937945b518814341de3f726500d4ff",
		"SecREt01":     "cd06ca7c7e10c99b1d33b7485a2ed808",
		"Grüße, 日本 𝄞!": "",
	} {
		got := bytesOf(t, must(credential.NTHash(secret.Take([]byte(password)))), nil)
		if want != "" && hex.EncodeToString(got) != want {
			t.Errorf("NT hash of %q: %x, want %s", password, got, want)
		}
		if len(got) != credential.HashSize {
			t.Errorf("NT hash of %q has %d bytes", password, len(got))
		}
	}
	if _, err := credential.NTHash(secret.Take([]byte("\xff\xfe-broken"))); !errors.Is(err, credential.ErrPassword) {
		t.Errorf("%v", err)
	}
}

func must(v *secret.Value, err error) *secret.Value {
	if err != nil {
		panic(err)
	}
	return v
}

func TestTextBecomesUTF16AsTheStandardLibraryMakesIt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.String().Draw(t, "text")
		var want []byte
		for _, u := range utf16.Encode([]rune(text)) {
			want = binary.LittleEndian.AppendUint16(want, u)
		}
		got, err := credential.UTF16([]byte(text))
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%x instead of %x: %v", got, want, err)
		}
	})
}

// The vector is the one in the documentation of DSInternals (ConvertTo-OrgIdHash), with the 100 iterations of its time.
func TestACredentialIsAsPublished(t *testing.T) {
	hash := secret.Take(unhex(t, "92937945b518814341de3f726500d4ff"))
	got := bytesOf(t, must(credential.DeriveWith(hash, unhex(t, "317ee9d1dec6508fa510"), 100)), nil)
	if want := "v1;PPH1_MD4,317ee9d1dec6508fa510,100,f4a257ffec53809081a605ce8ddedfbc9df9777b80256763bc0a6dd895ef404f;"; string(got) != want {
		t.Errorf("%s\ninstead of\n%s", got, want)
	}
}

// pbkdf2 is RFC 8018 5.2 written down once more, for keys of one block.
func pbkdf2(password, salt []byte, iterations int) []byte {
	prf := func(b []byte) []byte { m := hmac.New(sha256.New, password); m.Write(b); return m.Sum(nil) }
	u := prf(append(bytes.Clone(salt), 0, 0, 0, 1))
	key := bytes.Clone(u)
	for range iterations - 1 {
		u = prf(u)
		for i := range key {
			key[i] ^= u[i]
		}
	}
	return key
}

func TestCredentialsEqualAnIndependentComputation(t *testing.T) {
	// RFC 7914 11, the first half of the published key.
	if got := pbkdf2([]byte("passwd"), []byte("salt"), 1); hex.EncodeToString(got) != "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc" {
		t.Fatalf("the independent computation is wrong: %x", got)
	}
	rapid.Check(t, func(t *rapid.T) {
		hash := rapid.SliceOfN(rapid.Byte(), credential.HashSize, credential.HashSize).Draw(t, "hash")
		salt := rapid.SliceOfN(rapid.Byte(), credential.SaltSize, credential.SaltSize).Draw(t, "salt")
		wide := strings.Join(strings.Split(fmt.Sprintf("%X", hash), ""), "\x00") + "\x00"
		want := fmt.Sprintf("v1;PPH1_MD4,%x,1000,%x;", salt, pbkdf2([]byte(wide), salt, 1000))
		v, err := credential.Derive(secret.Take(hash), salt)
		if err != nil {
			t.Fatal(err)
		}
		if !v.Equal(secret.Take([]byte(want))) {
			t.Fatalf("not %s", want)
		}
	})
}

func TestWhatIsNoHashOrSaltIsRefusedWithoutBeingShown(t *testing.T) {
	salt, hash := make([]byte, credential.SaltSize), []byte("fifteen bytes..")
	_, short := credential.Derive(secret.Take(hash), salt)
	_, unsalted := credential.Derive(secret.Take(make([]byte, 16)), salt[1:])
	_, wiped := credential.Derive(&secret.Value{}, salt)
	if !errors.Is(short, credential.ErrHash) || !errors.Is(unsalted, credential.ErrSalt) || !errors.Is(wiped, secret.ErrWiped) {
		t.Errorf("%v, %v, %v", short, unsalted, wiped)
	}
	secrettest.Absent(t, []byte(errors.Join(short, unsalted, wiped).Error()), hash)
}

func TestAPanicInTheMiddleShowsNothing(t *testing.T) {
	password := []byte("correct horse battery staple")
	hash := bytesOf(t, must(credential.NTHash(secret.Take(bytes.Clone(password)))), nil)
	salt := []byte("0123456789")
	whole := bytesOf(t, must(credential.Derive(secret.Take(bytes.Clone(hash)), salt)), nil)
	key := unhex(t, string(whole[len(whole)-65:len(whole)-1]))
	for name, decode := range map[string]func() error{
		"NTHash": func() error { _, err := credential.NTHash(secret.Take(bytes.Clone(password))); return err },
		"Derive": func() error { _, err := credential.Derive(secret.Take(bytes.Clone(hash)), salt); return err },
	} {
		t.Run(name, func(t *testing.T) {
			out := secrettest.Crash(t, func() {
				credential.PanicBetween()
				fmt.Println(decode())
			})
			secrettest.Absent(t, out, password, hash, key)
		})
	}
}

// The figure is for one processor: derivations run beside each other as well as processors allow.
func BenchmarkDerive(b *testing.B) {
	hash, salt := secret.Take(make([]byte, credential.HashSize)), make([]byte, credential.SaltSize)
	if _, err := rand.Read(salt); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		v, err := credential.Derive(hash, salt)
		if err != nil {
			b.Fatal(err)
		}
		v.Wipe()
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N), "µs/credential")
}
