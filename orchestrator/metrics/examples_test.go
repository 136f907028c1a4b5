package metrics_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"

	"github.com/tandem-sync/tandem/orchestrator/metrics"
)

const examples = "../../examples/monitoring"

func example(t *testing.T, name string) []byte {
	b, err := os.ReadFile(filepath.Join(examples, name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// others are metrics that are not Tandem's own: of Prometheus, and of the process.
var others = []string{"up", "process_resident_memory_bytes", "process_cpu_seconds_total"}

// given are labels that Prometheus adds, and that of a histogram's buckets.
var given = []string{"instance", "job", "le"}

// functions and words of PromQL that the examples use.
var promQL = []string{"absent", "and", "or", "by", "count", "histogram_quantile", "increase", "rate", "sum", "time", "unless", "vector"}

var (
	quoted   = regexp.MustCompile(`"[^"]*"`)
	braces   = regexp.MustCompile(`([a-z_]+)?\{([^}]*)\}`)
	grouping = regexp.MustCompile(`\b(?:by|without)\s*\(([^)]*)\)`)
	ranges   = regexp.MustCompile(`\[\d+[smhd]\]`)
	word     = regexp.MustCompile(`[a-zA-Z_][a-zA-Z0-9_]*`)
)

// checkExpression wants of an expression of PromQL that each metric in it is one of the program's, and each label one of the metric's.
func checkExpression(t *testing.T, where, expr string) {
	t.Helper()
	for _, pair := range []string{"()", "{}", "[]"} {
		if strings.Count(expr, pair[:1]) != strings.Count(expr, pair[1:]) {
			t.Errorf("%s: unbalanced %s in %s", where, pair, expr)
		}
	}
	bare := quoted.ReplaceAllString(expr, `""`)
	labels := map[string]bool{}
	for _, m := range braces.FindAllStringSubmatch(bare, -1) {
		for matcher := range strings.SplitSeq(m[2], ",") {
			labels[word.FindString(matcher)] = true
		}
	}
	for _, m := range grouping.FindAllStringSubmatch(bare, -1) {
		for _, l := range word.FindAllString(m[1], -1) {
			labels[l] = true
		}
	}
	bare = grouping.ReplaceAllString(braces.ReplaceAllString(bare, "$1"), "by")
	of := map[string]bool{}
	metricsIn := 0
	for _, w := range word.FindAllString(ranges.ReplaceAllString(bare, ""), -1) {
		if slices.Contains(promQL, w) {
			continue
		}
		metricsIn++
		if slices.Contains(others, w) {
			continue
		}
		name := w
		for _, suffix := range []string{"_bucket", "_sum", "_count"} {
			if family := strings.TrimSuffix(w, suffix); family == "tandem_wave_freeze_seconds" {
				name = family
			}
		}
		has, known := metrics.Labels(name)
		if !known {
			t.Errorf("%s: there is no metric %s (%s)", where, w, expr)
		}
		for _, l := range has {
			of[l] = true
		}
	}
	if metricsIn == 0 {
		t.Errorf("%s: no metric in %s", where, expr)
	}
	for l := range labels {
		if l != "" && !of[l] && !slices.Contains(given, l) {
			t.Errorf("%s: no metric in it has the label %s (%s)", where, l, expr)
		}
	}
}

func TestEveryAlertIsAboutMetricsThatThereAre(t *testing.T) {
	var rules struct {
		Groups []struct {
			Name  string
			Rules []struct {
				Alert, Expr, For    string
				Labels, Annotations map[string]string
			}
		}
	}
	if err := yaml.Load(example(t, "alerts.yaml"), &rules, yaml.WithKnownFields()); err != nil {
		t.Fatal(err)
	}
	seen, text := map[string]bool{}, ""
	for _, r := range rules.Groups[0].Rules {
		checkExpression(t, r.Alert, r.Expr)
		text += r.Expr + "\n"
		if seen[r.Alert] || r.Annotations["summary"] == "" || r.Annotations["description"] == "" || !slices.Contains([]string{"page", "ticket"}, r.Labels["severity"]) {
			t.Errorf("%s is there twice, or says not what is wrong, what to do, and how soon", r.Alert)
		}
		seen[r.Alert] = true
		for _, m := range regexp.MustCompile(`\$labels\.(\w+)`).FindAllStringSubmatch(r.Annotations["summary"]+r.Annotations["description"], -1) {
			has := slices.Contains(given, m[1])
			for _, w := range word.FindAllString(quoted.ReplaceAllString(r.Expr, ""), -1) {
				l, _ := metrics.Labels(w)
				has = has || slices.Contains(l, m[1])
			}
			if !has {
				t.Errorf("%s names the label %s, which nothing in it has", r.Alert, m[1])
			}
		}
	}
	if len(seen) < 20 {
		t.Errorf("%d alerts", len(seen))
	}
	for _, n := range []string{"tandem_directory_up", "tandem_tenant_up", "tandem_engine_up", "tandem_agents_usable", "tandem_state_full", "tandem_certificate_expiry_timestamp_seconds", "tandem_mark_ours", "tandem_held_oldest_timestamp_seconds"} {
		if !strings.Contains(text, n) {
			t.Errorf("nobody is told of %s", n)
		}
	}
}

func TestEveryPanelShowsMetricsThatThereAre(t *testing.T) {
	var d struct {
		Title  string
		Panels []struct {
			ID      int
			Type    string
			Title   string
			GridPos struct{ H, W, X, Y int }
			Targets []struct{ Expr, LegendFormat string }
		}
	}
	if err := json.Unmarshal(example(t, "dashboard.json"), &d); err != nil {
		t.Fatal(err)
	}
	ids, taken := map[int]bool{}, map[[2]int]string{}
	for _, p := range d.Panels {
		if ids[p.ID] || p.Title == "" || (p.Type != "row" && len(p.Targets) == 0) {
			t.Errorf("panel %d %q shows nothing, or its number is taken", p.ID, p.Title)
		}
		ids[p.ID] = true
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other := taken[[2]int{x, y}]; other != "" || x >= 24 {
					t.Fatalf("%q lies over %q or beyond the grid", p.Title, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
		for _, target := range p.Targets {
			checkExpression(t, p.Title, target.Expr)
		}
	}
	if len(ids) < 20 {
		t.Errorf("%d panels", len(ids))
	}
}

func TestTheScrapeConfigurationNamesTheRules(t *testing.T) {
	var c map[string]any
	if err := yaml.Load(example(t, "prometheus.yaml"), &c); err != nil {
		t.Fatal(err)
	}
	for _, f := range c["rule_files"].([]any) {
		example(t, f.(string))
	}
}

// The check of the examples finds what it is for.
func TestAWrongExpressionIsFound(t *testing.T) {
	for _, expr := range []string{"tandem_no_such_metric > 0", `tandem_engine_up{directory="x"} == 0`, "sum by (wave) (tandem_engine_up)", "sum(tandem_engine_up", "1 > 0"} {
		inner := &testing.T{}
		done := make(chan struct{})
		go func() {
			defer close(done)
			checkExpression(inner, "a test", expr)
		}()
		<-done
		if !inner.Failed() {
			t.Errorf("%s passes", expr)
		}
	}
}
