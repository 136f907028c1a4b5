package secret_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/tandem-sync/tandem/plugins/secret"
	"github.com/tandem-sync/tandem/plugins/secret/secrettest"
)

// open reads a secret for a test.
func open(t interface{ Fatal(...any) }, v *secret.Value) string {
	out := ""
	if err := v.Use(func(b []byte) error { out = string(b); return nil }); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestSecretsTravelThroughJSONUnchanged(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.String().Draw(t, "text")
		var w secret.Buffer
		defer w.Wipe()
		w.WriteString(`{"user":`)
		if err := errors.Join(w.WriteJSON("ann"), func() error { w.WriteString(`,"newPassword":`); return w.WriteSecret(secret.Take([]byte(want))) }()); err != nil {
			t.Fatal(err)
		}
		w.WriteString("}")
		var plain struct{ User, NewPassword string }
		if err := json.Unmarshal(w.Bytes(), &plain); err != nil || plain.NewPassword != want || plain.User != "ann" {
			t.Fatalf("another reader sees %+v, %v", plain, err)
		}
		var in struct {
			User                     string
			NewPassword, OldPassword secret.Text
		}
		if err := json.Unmarshal(w.Bytes(), &in); err != nil {
			t.Fatal(err)
		}
		if open(t, in.NewPassword.Value) != want || in.OldPassword.Value != nil {
			t.Fatal("the text changed")
		}
	})
}

func TestWhatJSONWouldReplaceIsRefused(t *testing.T) {
	for _, text := range []string{`"\ud800"`, `"\udc00\ud800"`, `"\ud800x"`, "\"\xff\"", `5`, `true`, `{}`, `["x"]`} {
		var in secret.Text
		if err := json.Unmarshal([]byte(text), &in); !errors.Is(err, secret.ErrText) || in.Value != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	var w secret.Buffer
	if err := w.WriteSecret(secret.Take([]byte("\xff"))); !errors.Is(err, secret.ErrText) {
		t.Errorf("%v", err)
	}
	if err := w.WriteSecret(nil); !errors.Is(err, secret.ErrWiped) {
		t.Errorf("%v", err)
	}
}

func TestABufferClearsWhatItOutgrows(t *testing.T) {
	word := []byte("correct horse battery staple")
	var w secret.Buffer
	if err := w.WriteSecret(secret.Take(bytes.Clone(word))); err != nil {
		t.Fatal(err)
	}
	before := w.Bytes()
	if n, err := w.ReadFrom(iotest.OneByteReader(strings.NewReader(strings.Repeat("x", 5000)))); n != 5000 || err != nil {
		t.Fatal(n, err)
	}
	secrettest.Absent(t, before, word)
	after := w.Bytes()
	if !bytes.Contains(after, word) || len(after) != len(word)+2+5000 {
		t.Fatalf("%d bytes", len(after))
	}
	w.Wipe()
	secrettest.Absent(t, after, word)
	if _, err := w.ReadFrom(iotest.ErrReader(errors.New("cut"))); err == nil || len(w.Bytes()) != 0 {
		t.Error("a failing reader", err)
	}
}

// Whatever json takes for a string is taken with the same text, or refused where json would replace a part of it.
func FuzzText(f *testing.F) {
	for _, s := range []string{`"a\n\u00e9\ud834\udd1e\/"`, `"\ud800"`, `null`, `""`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var want any
		var in secret.Text
		err := json.Unmarshal(raw, &in)
		if json.Unmarshal(raw, &want) != nil {
			if err == nil {
				t.Errorf("%q was taken", raw)
			}
			return
		}
		text, isText := want.(string)
		switch {
		case err == nil && in.Value == nil:
			if want != nil {
				t.Errorf("%q was taken for nothing", raw)
			}
		case err == nil:
			if !isText || open(t, in.Value) != text {
				t.Errorf("%q became another text", raw)
			}
		case isText && utf8.Valid(raw) && !strings.ContainsRune(text, utf8.RuneError):
			t.Errorf("%q was refused: %v", raw, err)
		}
	})
}
