package main

import (
	"bytes"
	"encoding/json"
	"io"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/tandem-sync/tandem/orchestrator/api"
	"github.com/tandem-sync/tandem/scoping"
)

// A name from the directory never acts on the terminal of whoever looks at it, and keeps its ordinary letters.
func TestNamesDoNotActOnATerminal(t *testing.T) {
	for in, want := range map[string]string{
		"Ann Müller 李":                 "Ann Müller 李",
		"\x1b[2J\x1b]0;root\x07Ann":    `\x1b[2J\x1b]0;root\x07Ann`,
		"Ann\r\nrevision 9, epoch 9.9": `Ann\r\nrevision 9, epoch 9.9`,
		"\u009b31mAnn\u202egnp.exe":    `\x9b31mAnn\u202egnp.exe`,
		"tab\tbed":                     "tab\tbed",
	} {
		if got := visible(in, false); got != want {
			t.Errorf("visible(%q) = %q, want %q", in, got, want)
		}
	}
	if got := visible("a\nb\x1b", true); got != "a\nb\\x1b" {
		t.Errorf("with lines: %q", got)
	}
}

func TestViewsShowResultsWithoutEscapes(t *testing.T) {
	b, err := json.Marshal(api.Debts{Errors: []api.Debt{{Object: scoping.ObjectID{Directory: "contoso"}, Name: "CN=\x1b[31mAnn\nOBJECT", Code: "failed", Reason: "because\x1b[0m", Tries: 12}}})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := showTable(&out, b, view(func(w io.Writer, v api.Debts) { showDebts(w, v, true) })); err != nil {
		t.Fatal(err)
	}
	if s := out.String(); strings.ContainsRune(s, '\x1b') || !strings.Contains(s, `CN=\x1b[31mAnn\nOBJECT`) || strings.Count(s, "\n") != 3 {
		t.Fatalf("printed %q", s)
	}
	b, _ = json.Marshal(api.Formatted{Text: "version: 1\nfeatures: [users]\n"})
	out.Reset()
	if err := showTable(&out, b, view(func(w io.Writer, f api.Formatted) { _, _ = io.WriteString(w, f.Text) })); err != nil || out.String() != "version: 1\nfeatures: [users]\n" {
		t.Fatalf("a file's text is printed as %q (%v)", out.String(), err)
	}
}

// A document that is shown as it is has nothing in it that would have been made visible.
func TestOnlyDocumentsWithoutAnythingToBeMadeVisibleAreShownAsTheyAre(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringOfN(rapid.OneOf(rapid.Rune(), rapid.SampledFrom([]rune("a&<>\"\\/\n\r\t\x1b\x7f\u009b\u202e\u2028 é"))), 0, 8, -1).Draw(t, "text")
		b, err := json.Marshal(map[string]any{"name": text, text: 1})
		if err != nil {
			t.Fatal(err)
		}
		var v any
		if err := json.Unmarshal(b, &v); err != nil {
			t.Fatal(err)
		}
		if shown := visibleValue(v, false); harmless(b) && !reflect.DeepEqual(shown, v) {
			t.Fatalf("%s is shown as it is", b)
		}
	})
	if b := []byte(`{"name":"CN=R\u0026D,OU=東京","n":[1,"\"é\""]}`); !harmless(b) {
		t.Errorf("%s has nothing to be made visible", b)
	}
}
