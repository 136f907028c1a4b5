package language_test

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/tandem-sync/tandem/plugins/expression/language"
)

var update = flag.Bool("update", false, "write the page of functions anew")

// The page of functions is made of the table of functions, and of the examples that are tested.
func TestThePageOfFunctionsIsTrue(t *testing.T) {
	const name = "../../../examples/contoso/hr/functions.md"
	page := page()
	if *update {
		if err := os.WriteFile(name, []byte(page), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	there, err := os.ReadFile(name)
	if err != nil || string(there) != page {
		t.Errorf("%s is not what the functions are (go test ./plugins/expression/language -run Page -update writes it anew): %v", name, err)
	}
}

func page() string {
	var b strings.Builder
	b.WriteString("# The functions of mappings\n\nMade of the code; every example is a test. Names lead to Microsoft's page of the function. " +
		"What stands before an example are the attributes of its source. The [language](mappings.md#the-language) is on the page of mappings.\n\n" +
		"| function | gives | for example |\n|---|---|---|\n")
	for _, f := range language.Functions() {
		fmt.Fprintf(&b, "| [%s](%s) | %s | ", cell(f.Signature), f.Page, cell(f.About))
		for i, x := range f.Examples[:min(3, len(f.Examples))] {
			if i > 0 {
				b.WriteString("<br>")
			}
			for _, name := range slices.Sorted(maps.Keys(x.Attributes)) {
				fmt.Fprintf(&b, "%s: %s · ", name, cell(strings.Join(x.Attributes[name], " and ")))
			}
			fmt.Fprintf(&b, "`%s` → `%s`", strings.ReplaceAll(x.Expression, "|", `\|`), strings.ReplaceAll(x.Result, "|", `\|`))
		}
		b.WriteString(" |\n")
	}
	return b.String()
}

// cell writes a text into a cell of a table.
func cell(s string) string {
	return strings.NewReplacer("|", `\|`, "<", "&lt;", ">", "&gt;", "*", `\*`, "_", `\_`, "[", `\[`, "]", `\]`, "$", `\$`).Replace(s)
}
