package tandem_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
)

// TestDocumentsNameEveryAlertAndMetric holds the page about monitoring to the file of alerts and to the table of metrics.
func TestDocumentsNameEveryAlertAndMetric(t *testing.T) {
	const page = "examples/handbook/monitoring.md"
	b, err := os.ReadFile("examples/monitoring/alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var alerts struct {
		Groups []struct {
			Rules []struct {
				Alert       string
				For         string
				Labels      map[string]string
				Annotations map[string]string
			}
		}
	}
	if err := yaml.Load(b, &alerts); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	out.WriteString("| alert |  | says | do |\n|---|---|---|---|\n")
	rows := 0
	for _, g := range alerts.Groups {
		for _, r := range g.Rules {
			rows++
			if r.Annotations["description"] == "" {
				t.Errorf("alert %s does not say what to do", r.Alert)
			}
			fmt.Fprintf(&out, "| `%s` | %s | %s | %s |\n", r.Alert, r.Labels["severity"], filled(r.Annotations["summary"]), filled(r.Annotations["description"]))
		}
	}
	out.WriteString("\nThe metrics, beside those of the Go runtime and the process:\n\n| metric | labels | is |\n|---|---|---|\n")
	metrics := families(t)
	for _, m := range metrics {
		out.WriteString(m)
	}
	if rows < 10 || len(metrics) < 30 {
		t.Errorf("only %d alerts and %d metrics are found: are they written in another way now?", rows, len(metrics))
	}
	made(t, page, out.String())
}

var labelIn, valueIn = regexp.MustCompile(`\{\{ *\$labels\.(\w+) *\}\}`), regexp.MustCompile(`\{\{[^}]*\}\}`)

// filled is the text of an alert with words for what Prometheus fills in.
func filled(s string) string {
	return cell(valueIn.ReplaceAllString(labelIn.ReplaceAllStringFunc(s, func(l string) string { return strings.ToUpper(labelIn.FindStringSubmatch(l)[1]) }), "N"))
}

// families returns the rows of the table of metrics, which is read as text.
func families(t *testing.T) (rows []string) {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), "orchestrator/metrics/families.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(f, func(n ast.Node) bool {
		lit, ok := n.(*ast.CompositeLit)
		if !ok {
			return true
		}
		values, labels := map[string]string{}, []string{}
		for _, e := range lit.Elts {
			kv, ok := e.(*ast.KeyValueExpr)
			if !ok {
				return true
			}
			key, ok := kv.Key.(*ast.Ident)
			if !ok {
				return true
			}
			if s, ok := text(kv.Value); ok {
				values[key.Name] = s
			}
			if call, ok := kv.Value.(*ast.CallExpr); ok {
				for _, a := range call.Args {
					if s, ok := text(a); ok {
						labels = append(labels, "`"+s+"`")
					}
				}
			}
		}
		if values["name"] != "" {
			rows = append(rows, fmt.Sprintf("| `%s` | %s | %s |\n", values["name"], strings.Join(labels, ", "), cell(values["help"])))
		}
		return true
	})
	return rows
}
