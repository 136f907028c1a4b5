package ntlm_test

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/tandem-sync/tandem/plugins/credential"
	"github.com/tandem-sync/tandem/plugins/directory/drsr/ntlm"
	"github.com/tandem-sync/tandem/plugins/directory/drsr/ntlm/ntlmtest"
	"github.com/tandem-sync/tandem/plugins/secret"
	"github.com/tandem-sync/tandem/plugins/secret/secrettest"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func hashOf(t testing.TB, password string) []byte {
	t.Helper()
	v, err := credential.NTHash(secret.Take([]byte(password)))
	if err != nil {
		t.Fatal(err)
	}
	var out []byte
	if err := v.Use(func(b []byte) error { out = bytes.Clone(b); return nil }); err != nil {
		t.Fatal(err)
	}
	return out
}

// The values are those of MS-NLMP 4.2.4 (NTLMv2 authentication).
func TestResponsesAndSealsAreAsPublished(t *testing.T) {
	info := unhex(t, "02000c0044006f006d00610069006e0001000c00530065007200760065007200"+"00000000")
	nonce, client := unhex(t, "0123456789abcdef"), unhex(t, "aaaaaaaaaaaaaaaa")
	response, base := ntlm.Respond(hashOf(t, "Password"), ntlmtest.Wide("USERDomain"), nonce, client, make([]byte, 8), info)
	if got := hex.EncodeToString(response[:16]); got != "68cd0ab851e51c96aabc927bebef6a1c" {
		t.Errorf("proof %s", got)
	}
	if got := hex.EncodeToString(base); got != "8de40ccadbc14a82f15cb0ad0de95ca3" {
		t.Errorf("session base key %s", got)
	}
	seal, err := ntlm.NewSeal(bytes.Repeat([]byte{0x55}, 16))
	if err != nil {
		t.Fatal(err)
	}
	message := ntlmtest.Wide("Plaintext")
	signature, err := seal.Seal(message, 0, len(message))
	if err != nil || hex.EncodeToString(message) != "54e50165bf1936dc996020c1811b0f06fb5f" || hex.EncodeToString(signature) != "010000007fb38ec5c55d497600000000" {
		t.Errorf("sealed %x, signature %x: %v", message, signature, err)
	}
}

func options() ntlm.Options {
	return ntlm.Options{Target: "ldap/dc1.contoso.test", Random: rand.Reader, Now: time.Now}
}

func TestBothSidesAgreeAndProtectMessagesBothWays(t *testing.T) {
	for _, account := range []ntlm.Account{{User: "Ann", Domain: "CONTOSO"}, {User: "ann@contoso.test"}, {User: "Jörg"}} {
		hash := hashOf(t, "Passw0rd!")
		account.Hash = secret.Take(bytes.Clone(hash))
		h := ntlm.Begin(account, options())
		var s ntlmtest.Server
		auth, seal, err := h.Authenticate(s.Challenge())
		if err != nil {
			t.Fatal(err)
		}
		a, err := s.Accept(h.Negotiate(), auth, hash)
		if err != nil || a.User != account.User || a.Target != "ldap/dc1.contoso.test" {
			t.Fatalf("%+v, %v", a, err)
		}
		if want := map[string]string{"ann@contoso.test": "", "Ann": "CONTOSO", "Jörg": "CONTOSO"}[account.User]; a.Domain != want {
			t.Errorf("domain %q of %s", a.Domain, account.User)
		}
		if !seal.Key().Equal(secret.Take(a.Key)) {
			t.Error("other keys")
		}
		for i, text := range []string{"one", "two and more", ""} {
			for _, way := range [][2]*ntlm.Seal{{seal, a.Seal}, {a.Seal, seal}} {
				m := []byte("head:" + text)
				sig, err := way[0].Seal(m, 5, len(m))
				if err != nil {
					t.Fatal(err)
				}
				if len(text) > 2 && bytes.Contains(m, []byte(text)) {
					t.Error("not sealed")
				}
				if err := way[1].Open(m, 5, len(m), sig); err != nil || string(m) != "head:"+text {
					t.Errorf("message %d: %q, %v", i, m, err)
				}
			}
		}
	}
}

func TestAChangedMessageAndAnotherPasswordAreNoticed(t *testing.T) {
	hash := hashOf(t, "Passw0rd!")
	begin := func() (*ntlmtest.Server, *ntlm.Handshake, []byte, *ntlm.Seal) {
		var s ntlmtest.Server
		h := ntlm.Begin(ntlm.Account{User: "Ann", Hash: secret.Take(bytes.Clone(hash))}, options())
		auth, seal, err := h.Authenticate(s.Challenge())
		if err != nil {
			t.Fatal(err)
		}
		return &s, h, auth, seal
	}
	s, h, auth, _ := begin()
	if _, err := s.Accept(h.Negotiate(), auth, hashOf(t, "another")); err == nil {
		t.Error("another password is accepted")
	}
	changed := slices.Clone(auth)
	changed[60] ^= 0x10 // a flag
	if _, err := s.Accept(h.Negotiate(), changed, hash); err == nil {
		t.Error("a changed AUTHENTICATE is accepted")
	}
	a, err := s.Accept(h.Negotiate(), auth, hash)
	if err != nil {
		t.Fatal(err)
	}
	m := []byte("message")
	sig, err := a.Seal.Seal(m, 0, 4)
	if err != nil {
		t.Fatal(err)
	}
	m[6] ^= 1 // outside of what is sealed
	_, _, _, other := begin()
	if err := other.Open(m, 0, 4, sig); !errors.Is(err, ntlm.ErrSignature) {
		t.Errorf("%v", err)
	}
}

func TestAServerThatProtectsLessIsRefused(t *testing.T) {
	for _, lacks := range []uint32{0x10, 0x20, 0x80000, 0x800000, 0x20000000, 0x40000000, 1} {
		s := ntlmtest.Server{Flags: ntlmtest.Flags &^ lacks}
		h := ntlm.Begin(ntlm.Account{User: "Ann", Hash: secret.Take(hashOf(t, "x"))}, options())
		if _, _, err := h.Authenticate(s.Challenge()); !errors.Is(err, ntlm.ErrWeak) {
			t.Errorf("without %#x: %v", lacks, err)
		}
	}
}

func TestANameThatIsNoTextIsRefused(t *testing.T) {
	var s ntlmtest.Server
	for _, a := range []ntlm.Account{{User: "a\xff"}, {User: "a", Domain: "b\xff"}} {
		a.Hash = secret.Take(hashOf(t, "x"))
		if _, _, err := ntlm.Begin(a, options()).Authenticate(s.Challenge()); err == nil {
			t.Errorf("%+v is accepted", a)
		}
	}
}

func TestAPanicInTheMiddleShowsNoKey(t *testing.T) {
	hash, key := hashOf(t, "correct horse battery staple"), []byte("sixteen byte key")
	for n := range 4 { // response, message, and the keys of each direction
		t.Run(fmt.Sprint("place ", n+1), func(t *testing.T) {
			out := secrettest.Crash(t, func() {
				ntlm.PanicBetween(n + 1)
				h := ntlm.Begin(ntlm.Account{User: "Ann", Domain: "CONTOSO", Hash: secret.Take(bytes.Clone(hash))},
					ntlm.Options{Target: "t", Random: bytes.NewReader(slices.Concat([]byte("clients."), key)), Now: time.Now})
				var s ntlmtest.Server
				_, _, err := h.Authenticate(s.Challenge())
				fmt.Println(err)
			})
			secrettest.Absent(t, out, hash, key)
		})
	}
}

func TestAWipedSealProtectsNothing(t *testing.T) {
	seal, err := ntlm.NewSeal(make([]byte, 16))
	if err != nil {
		t.Fatal(err)
	}
	seal.Wipe()
	if _, err := seal.Seal([]byte("x"), 0, 1); !errors.Is(err, secret.ErrWiped) {
		t.Errorf("%v", err)
	}
	if err := seal.Open([]byte("x"), 0, 1, make([]byte, 16)); !errors.Is(err, secret.ErrWiped) {
		t.Errorf("%v", err)
	}
}

func FuzzChallenge(f *testing.F) {
	var s ntlmtest.Server
	f.Add(s.Challenge())
	f.Add((&ntlmtest.Server{Pairs: [][2]any{{7, []byte{1}}}}).Challenge())
	f.Add((&ntlmtest.Server{Pairs: [][2]any{{9, []byte("x")}, {6, make([]byte, 4)}}}).Challenge())
	f.Fuzz(func(t *testing.T, challenge []byte) {
		account := ntlm.Account{User: "Ann", Hash: secret.Take(make([]byte, 16))}
		auth, seal, err := ntlm.Begin(account, options()).Authenticate(challenge)
		if (err == nil) != (seal != nil && len(auth) > 88) {
			t.Errorf("%d bytes, %v", len(auth), err)
		}
		if err != nil && !errors.Is(err, ntlm.ErrMalformed) && !errors.Is(err, ntlm.ErrWeak) {
			t.Errorf("%v", err)
		}
	})
}
