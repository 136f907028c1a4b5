package credential_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/tandem-sync/tandem/plugins/credential"
	"github.com/tandem-sync/tandem/plugins/secret"
	"github.com/tandem-sync/tandem/plugins/secret/secrettest"
)

func take(s string) *secret.Value { return secret.Take([]byte(s)) }

// published is the vector of DSInternals' documentation (ConvertTo-OrgIdHash), of the password Pa$$w0rd.
const published = "v1;PPH1_MD4,317ee9d1dec6508fa510,100,f4a257ffec53809081a605ce8ddedfbc9df9777b80256763bc0a6dd895ef404f;"

func TestAPublishedCredentialMatchesItsPasswordOnly(t *testing.T) {
	for password, want := range map[string]bool{"Pa$$w0rd": true, "Pa$$w0rd ": false, "pa$$w0rd": false, "": false} {
		same, err := credential.Matches(take(published), take(password))
		if err != nil || same != want {
			t.Errorf("%q: %v, %v", password, same, err)
		}
	}
	other := strings.Replace(published, "317e", "317f", 1)
	if same, err := credential.Matches(take(other), take("Pa$$w0rd")); same || err != nil {
		t.Errorf("another salt: %v, %v", same, err)
	}
}

func TestWhatIsDerivedMatches(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		password := rapid.String().Draw(t, "password")
		other := rapid.String().Draw(t, "other")
		salt := rapid.SliceOfN(rapid.Byte(), credential.SaltSize, credential.SaltSize).Draw(t, "salt")
		iterations := rapid.IntRange(credential.MinIterations, 400).Draw(t, "iterations")
		hash, err := credential.NTHash(take(password))
		if err != nil {
			t.Fatal(err)
		}
		c, err := credential.DeriveWith(hash, salt, iterations)
		if err != nil {
			t.Fatal(err)
		}
		if err := credential.Check(c); err != nil {
			t.Fatal(err)
		}
		for given, want := range map[string]bool{password: true, other: other == password} {
			if same, err := credential.Matches(c, take(given)); same != want || err != nil {
				t.Fatalf("%v, %v", same, err)
			}
		}
	})
}

func TestOneSpellingOfACredentialIsTaken(t *testing.T) {
	salt, key := strings.Repeat("0a", 10), strings.Repeat("b1", 32)
	of := func(salt, iterations, key string) string {
		return fmt.Sprintf("v1;PPH1_MD4,%s,%s,%s;", salt, iterations, key)
	}
	for name, c := range map[string]struct {
		text string
		want error
	}{
		"whole": {of(salt, "1000", key), nil}, "fewest": {of(salt, "100", key), nil}, "most": {of(salt, "10000", key), nil},
		"too few": {of(salt, "99", key), credential.ErrIterations}, "too many": {of(salt, "10001", key), credential.ErrIterations},
		"none": {of(salt, "0", key), credential.ErrIterations}, "endless": {of(salt, "99999999999999999999", key), credential.ErrForm},
		"negative": {of(salt, "-1000", key), credential.ErrForm}, "signed": {of(salt, "+1000", key), credential.ErrForm}, "zero before": {of(salt, "01000", key), credential.ErrForm},
		"spaced": {of(salt, " 1000", key), credential.ErrForm}, "no number": {of(salt, "", key), credential.ErrForm},
		"upper-case salt": {of(strings.ToUpper(salt), "1000", key), credential.ErrForm}, "upper-case key": {of(salt, "1000", strings.ToUpper(key)), credential.ErrForm},
		"short salt": {of(salt[2:], "1000", key), credential.ErrForm}, "long key": {of(salt, "1000", key+"00"), credential.ErrForm}, "odd key": {of(salt, "1000", key[1:]), credential.ErrForm},
		"another version": {"v2" + of(salt, "1000", key)[2:], credential.ErrForm}, "no end": {strings.TrimSuffix(of(salt, "1000", key), ";"), credential.ErrForm},
		"two ends": {of(salt, "1000", key) + ";", credential.ErrForm}, "a line after": {of(salt, "1000", key) + "\n", credential.ErrForm}, "nothing": {"", credential.ErrForm},
		"another field": {of(salt, "1000", key+",00"), credential.ErrForm},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := credential.Matches(take(c.text), take("x"))
			if checked := credential.Check(take(c.text)); !errors.Is(err, c.want) || !errors.Is(checked, c.want) || (err == nil) != (c.want == nil) {
				t.Errorf("%v, %v", checked, err)
			}
		})
	}
}

func TestMatchingWhatCannotMatchIsAnError(t *testing.T) {
	_, broken := credential.Matches(take(published), take("\xff\xfe"))
	_, wiped := credential.Matches(&secret.Value{}, take("x"))
	_, few := credential.DeriveWith(secret.Take(make([]byte, 16)), make([]byte, credential.SaltSize), 99)
	if !errors.Is(broken, credential.ErrPassword) || !errors.Is(wiped, secret.ErrWiped) || !errors.Is(few, credential.ErrIterations) {
		t.Errorf("%v, %v, %v", broken, wiped, few)
	}
}

func TestAPanicWhileMatchingShowsNothing(t *testing.T) {
	password := []byte("correct horse battery staple")
	text := bytesOf(t, must(credential.Derive(must(credential.NTHash(secret.Take(bytes.Clone(password)))), []byte("0123456789"))), nil)
	out := secrettest.Crash(t, func() {
		credential.PanicBetween()
		fmt.Println(credential.Matches(secret.Take(bytes.Clone(text)), secret.Take(bytes.Clone(password))))
	})
	secrettest.Absent(t, out, password, text, text[len(text)-65:len(text)-1])
}

func FuzzCheck(f *testing.F) {
	f.Add([]byte(published))
	f.Add([]byte("v1;PPH1_MD4,,,;"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if credential.Check(secret.Take(bytes.Clone(b))) != nil {
			return
		}
		// What is taken can be written in one way only.
		fields := strings.Split(strings.TrimSuffix(strings.TrimPrefix(string(b), "v1;PPH1_MD4,"), ";"), ",")
		if len(fields) != 3 || len(fields[0]) != 20 || len(fields[2]) != 64 || string(b) != "v1;PPH1_MD4,"+strings.Join(fields, ",")+";" {
			t.Errorf("%q was taken", b)
		}
		if _, err := credential.Matches(secret.Take(bytes.Clone(b)), take("x")); err != nil {
			t.Errorf("checked and then refused: %v", err)
		}
	})
}
