package main

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/tandem-sync/tandem/plugins/secret"
	"github.com/tandem-sync/tandem/plugins/secret/secrettest"
)

func plain(t *testing.T, v *secret.Value) string {
	t.Helper()
	out := ""
	if v == nil {
		return out
	}
	if err := v.Use(func(b []byte) error { out = string(b); return nil }); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestAPasswordIsTheFirstLineOfStandardInput(t *testing.T) {
	for in, want := range map[string]string{"": "", "\n": "", "word": "word", "word\n": "word", "word\r\nmore\n": "word", " a b ": " a b ", "é\x03\x7f\n": "é\x03\x7f", "a\rb\n": "a\rb",
		strings.Repeat("x", maxPassword): strings.Repeat("x", maxPassword)} {
		v, err := readPassword(iotest.OneByteReader(strings.NewReader(in)))
		if got := plain(t, v); err != nil || got != want || (v == nil) != (want == "") {
			t.Errorf("%q: %q %v", in, got, err)
		}
	}
	for _, in := range []string{strings.Repeat("x", maxPassword+1), "\xff\n"} {
		if v, err := readPassword(strings.NewReader(in)); err == nil || v != nil || strings.Contains(err.Error(), in) {
			t.Errorf("%.10q: %v", in, err)
		}
	}
	if _, err := readPassword(iotest.ErrReader(io.ErrClosedPipe)); !errors.Is(err, io.ErrClosedPipe) {
		t.Error(err)
	}
}

func TestAPersonMayMendWhatWasTypedOrGiveUp(t *testing.T) {
	k := &keys{abort: 3, erase: 0x7f, otherErase: '\b'}
	ends := func(b byte) bool { return b == '\r' }
	for in, want := range map[string]string{"word\r": "word", "worx\x7fd\r": "word", "né\be\r": "ne", "\x7f\x7fword\r": "word", "x\b\r": ""} {
		v, err := readHidden(strings.NewReader(in), ends, k)
		if got := plain(t, v); err != nil || got != want {
			t.Errorf("%q: %q %v", in, got, err)
		}
	}
	if v, err := readHidden(strings.NewReader("wor\x03d\r"), ends, k); !errors.Is(err, errAborted) || v != nil {
		t.Error(err)
	}
}

// No fuzz target: it would instrument the Graph SDK.
func TestWhateverIsGivenItsFirstLineIsThePassword(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		in := []byte(rapid.OneOf(rapid.String(), rapid.StringMatching("[a-zé\x7f\b\r\n]{0,20}")).Draw(r, "text"))
		if len(in) > 0 && rapid.Bool().Draw(r, "broken") {
			in[rapid.IntRange(0, len(in)-1).Draw(r, "at")] = rapid.Byte().Draw(r, "byte")
		}
		_, _ = readHidden(bytes.NewReader(in), func(b byte) bool { return b == '\n' }, &keys{abort: 3, erase: 0x7f, otherErase: '\b'})
		v, err := readPassword(bytes.NewReader(in))
		if err != nil {
			return
		}
		first, _, _ := bytes.Cut(in, []byte("\n"))
		if want := strings.TrimSuffix(string(first), "\r"); plain(t, v) != want || !utf8.ValidString(want) {
			r.Fatalf("%q: %q", in, plain(t, v))
		}
	})
}

func TestAPanicWhileAPasswordIsReadShowsNone(t *testing.T) {
	const word = "Secret-New-Passw0rd"
	out := secrettest.CrashTaking(t, 1, "tandem.readPassword", func() {
		_, err := readPassword(strings.NewReader(word + "\n"))
		t.Log(err)
	})
	secrettest.Absent(t, out, []byte(word))
}
