// Package secrettest searches output for secrets, in the forms in which they get there by accident.
package secrettest

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/tandem-sync/tandem/plugins/secret/internal/taken"
)

// inChild names the test that a child process of [Crash] runs.
const inChild = "TANDEM_TEST_CRASH"

// Found returns the forms in which output contains the secret: as it is, in UTF-16, in hexadecimal and base64 of either,
// as fmt prints bytes, and as words of eight bytes, as a panic's trace prints arguments. Secrets under eight bytes are refused, since
// they would be found everywhere.
func Found(output, secret []byte) []string {
	if len(secret) < 8 {
		return []string{"cannot be searched for: it has less than eight bytes"}
	}
	var forms []string
	look := func(form string, b []byte) {
		if bytes.Contains(output, b) {
			forms = append(forms, form)
		}
	}
	lower := bytes.ToLower(output)
	for _, as := range spellings(secret) {
		look(as.name, as.bytes)
		look(as.name+", base64", []byte(base64.RawStdEncoding.EncodeToString(as.bytes)[:len(as.bytes)])) // what padding cannot change
		if bytes.Contains(lower, []byte(hex.EncodeToString(as.bytes))) {
			forms = append(forms, as.name+", hexadecimal")
		}
	}
	look("as fmt prints bytes", []byte(strings.Trim(fmt.Sprint(secret), "[]")))
	look("as fmt prints a slice in Go's syntax", []byte(strings.TrimSuffix(strings.TrimPrefix(fmt.Sprintf("%#v", secret), "[]byte{"), "}")))
	for at := 0; at+8 <= len(secret); at++ {
		for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
			if bytes.Contains(lower, fmt.Appendf(nil, "0x%x", order.Uint64(secret[at:]))) {
				forms = append(forms, fmt.Sprintf("the word at byte %d", at))
			}
		}
	}
	return forms
}

type spelling struct {
	name  string
	bytes []byte
}

func spellings(secret []byte) []spelling {
	out := []spelling{{"as it is", secret}}
	if !utf8.Valid(secret) {
		return out
	}
	var wide []byte
	for _, u := range utf16.Encode([]rune(string(secret))) {
		wide = binary.LittleEndian.AppendUint16(wide, u)
	}
	return append(out, spelling{"in UTF-16", wide})
}

// Absent fails the test if output contains one of the secrets in any form.
func Absent(t testing.TB, output []byte, secrets ...[]byte) {
	t.Helper()
	for i, s := range secrets {
		for _, form := range Found(output, s) {
			t.Errorf("secret %d is in the output: %s", i, form)
		}
	}
}

// CrashTaking runs f in a child process as [Crash] does, and ends the process where a secret is taken over for the nth time, while whoever decoded it stands there with its
// bytes. The trace has to show the function that is named, so that it is known who did.
func CrashTaking(t *testing.T, nth int, function string, f func()) []byte {
	t.Helper()
	out := Crash(t, func() {
		taken.Now = func() {
			if nth--; nth == 0 {
				go panic("forced while a secret is taken over") // a server would recover it in its own goroutine
				select {}
			}
		}
		f()
	})
	if !bytes.Contains(out, []byte(function+"(")) {
		t.Fatalf("the process did not end in %s:\n%s", function, out)
	}
	return out
}

// Crash runs f in a child process, in which f has to panic, and returns all that the child printed, with the traces of all
// goroutines. The calling test must be one that reaches this call again when it is run alone.
func Crash(t *testing.T, f func()) []byte {
	t.Helper()
	if os.Getenv(inChild) == t.Name() {
		f()
		fmt.Println("no panic came")
		os.Exit(0)
	}
	pattern := "^" + strings.ReplaceAll(t.Name(), "/", "$/^") + "$"
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run="+pattern)
	child.Env = append(os.Environ(), inChild+"="+t.Name(), "GOTRACEBACK=system")
	out, err := child.CombinedOutput()
	if err == nil || !bytes.Contains(out, []byte("panic: ")) || !bytes.Contains(out, []byte("goroutine ")) {
		t.Fatalf("the child did not panic: %v\n%s", err, out)
	}
	return out
}
