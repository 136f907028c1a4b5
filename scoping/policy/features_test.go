package policy_test

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/tandem-sync/tandem/scoping"
)

// The page about features is the feature table, printed.
func TestFeaturesPageIsTheTable(t *testing.T) {
	const page = "../../examples/contoso/features.md"
	want := featuresPage()
	if *update {
		if err := os.WriteFile(page, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(page)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s is not what the feature table says (%v): go test ./scoping/policy -update writes it anew", page, err)
	}
}

func featuresPage() []byte {
	var b bytes.Buffer
	b.WriteString(`# Features

What can be assigned apart. An assignment needs an engine that can write the feature and a tenant that takes it; otherwise the
policy does not compile, and the message names the row. Connect and Cloud Sync here are Microsoft's products, on which the
engines are modelled; what the built-in engines of this version write is shown by ` + "`tandem engine show NAME`" + `: of the extensions
those of users, and contacts where the tenant has a door for them, as the lab's does and none of Microsoft's.

A feature that *follows* belongs to whoever has the object's base feature, unless an assignment names it. One that is *per
container* goes from the tenant into the directory: it belongs to the container that ` + "`under`" + ` names, and ` + "`from`" + ` says what is brought there. ` + "`password-hash`" + ` goes with ` + "`users`" + ` or to none, and
` + "`password-writeback`" + ` is the engine's that has the hashes of the whole directory.

| row | feature | of | needs | assigned | Connect | Cloud Sync | public Graph | source |
|---|---|---|---|---|---|---|---|---|
`)
	for _, r := range scoping.FeatureTable() {
		how := "per OU"
		switch {
		case r.Into:
			how = "per container, with `from`"
		case r.Follows:
			how = "follows, or per OU"
		}
		fmt.Fprintf(&b, "| %d | `%s` %s | %s | %s | %s | %s | %s | %s | %s |\n", r.Number, r.Feature, r.Title, join(r.Kinds), join(r.Needs), how,
			support(r.Connect), support(r.CloudSync), support(r.Graph), r.Source)
	}
	b.WriteString("\nAttributes: every tenant attribute stands in one row. `manager`, `members` and `owners` are references; `extension_…`,\n`extensionAttribute…` and `onPremisesExtensionAttributes` are extensions; `proxyAddresses`, `targetAddress`, `msExch…` and what else only\nExchange reads are exchange-hybrid; the rest, `mail` and `mailNickname` among it, belongs to the base feature, which creates the object.\n")
	return b.Bytes()
}

func join[T ~string](xs []T) string {
	out := make([]string, len(xs))
	for i, x := range xs {
		out[i] = string(x)
	}
	return strings.Join(out, ", ")
}

func support(s scoping.Support) string {
	word := "no"
	if s.Can {
		word = "yes"
	}
	if s.Note != "" {
		return word + ": " + s.Note
	}
	return word
}
