package tandem_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/tandem-sync/tandem/orchestrator/gate"
	"github.com/tandem-sync/tandem/orchestrator/objects"
	"github.com/tandem-sync/tandem/orchestrator/standing"
)

const troubleshooting = "examples/handbook/troubleshooting.md"

// chapter is one table of codes in the troubleshooting page.
type chapter struct {
	title string
	from  []string                 // "package Type" or "package name-prefix*" whose constants are its codes; "package func" for what a function returns
	says  func(code string) string // the sentence that Tandem says itself, which the page repeats; nil: the page's own
}

var chapters = []chapter{
	{"Ends of commands", []string{"orchestrator/api Kind*"}, nil},
	{"What a run says of an object", []string{"orchestrator/gate Code", "orchestrator/objects Code", "orchestrator/run code*", "orchestrator/tenant/cloud Code*", "plugins/cloudsync Code*", "plugins/connect fail()", "plugins/connect failures", "plugins/engine Code*", "plugins/engine engine.go *", "plugins/passwordhash/handover codeOf()"},
		func(c string) string { return gate.Code(c).Sentence() }},
	{"Why an object is not settled", []string{"orchestrator/standing Code"}, func(c string) string { return standing.Code(c).Sentence() }},
	{"What held sets hold", []string{"orchestrator/ledger Class"}, nil},
	{"What plans and waves find", []string{"orchestrator/plan Code", "orchestrator/plan ou-*", "orchestrator/plan group-*"}, nil},
	{"What an assessment finds", []string{"orchestrator/assess Code"}, nil},
	{"What a wave waits for", []string{"orchestrator/wave For"}, nil},
	{"What is told", []string{"orchestrator/alarm Event", "orchestrator/alarm Level", "orchestrator/notify Event"}, nil},
	{"Why an object is left out", []string{"plugins/expression Excluded()", "plugins/expression excludedUser()", "plugins/expression excludedContact()", "plugins/expression excludedGroup()", "plugins/expression *", "plugins/connect Clause{}", "plugins/connect evaluate()", "orchestrator/objects Reason"}, func(c string) string { return objects.Reason(c).Sentence() }},
	{"Passwords", []string{"plugins/directory/password Code", "orchestrator/tenant/cloud PasswordAnswer", "plugins/engine Delivery*", "orchestrator/gate Denial"}, nil},
	{"From the tenant into a directory", []string{"orchestrator/provisioning Code", "plugins/cloudsync/mapping Code"}, nil},
	{"Writes into a directory", []string{"plugins/provision Code", "orchestrator/ledger Code*"}, nil},
	{"Accounts of a directory", []string{"plugins/directory/rights *", "plugins/directory/drsr Code"}, nil},
	{"Agents", []string{"plugins/cloudsync/line Code*"}, nil},
	{"What the tenant can do", []string{"orchestrator/tenant capabilities"}, nil},
}

// noCodes are constants that look like codes and are none that a person sees.
var noCodes = map[string][]string{
	"orchestrator/plan":        {"tenant-cannot-", "ou-", "group-"},
	"orchestrator/standing":    {""},
	"orchestrator/ledger":      {""},
	"orchestrator/gate":        {""},
	"plugins/cloudsync":        {""},
	"plugins/connect":          {""},
	"plugins/engine":           {"delta", "full", "objects"}, // profiles of runs
	"plugins/directory/rights": {"ok", "note", "warning", "failure"},
}

// composed are codes that are made when they are said: a prefix, and what became of a container or of a group of the policy.
var composed = map[string][]string{
	"orchestrator/plan ou-":    {"scoping drift.go *"},
	"orchestrator/plan group-": {"scoping drift.go *", "orchestrator/census choose.go *"},
}

// numbered are codes of which a part is said in place: a status, a feature.
var numbered = map[string]string{"orchestrator/gate Code": "http-NNN", "orchestrator/plan Code": "tenant-cannot-FEATURE"}

// codesOf returns the codes of a package, by "package what", as chapter.from names them.
func codesOf(t *testing.T) map[string][]string {
	t.Helper()
	out := map[string][]string{}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			if d != nil && (d.Name() == "testdata" || d.Name() == "examples" || d.Name() == ".git" || d.Name() == "simulation") {
				return filepath.SkipDir
			}
			return err
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || strings.HasSuffix(path, ".pb.go") {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		read(f, filepath.ToSlash(filepath.Dir(path)), filepath.Base(path), out)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for prefix, from := range composed {
		for _, f := range from {
			for _, what := range out[f] {
				dir, p, _ := strings.Cut(prefix, " ")
				out[dir+" "+p+"*"] = append(out[dir+" "+p+"*"], p+what)
			}
		}
	}
	for what, code := range numbered {
		out[what] = append(out[what], code)
	}
	return out
}

var codeName = regexp.MustCompile(`^(Code|code|Kind|Delivery)[A-Z]`)

// read adds what a file says to found.
func read(f *ast.File, dir, file string, found map[string][]string) {
	add := func(what, code string) {
		if key := dir + " " + what; !slices.Contains(found[key], code) {
			found[key] = append(found[key], code)
		}
	}
	for _, d := range f.Decls {
		switch d := d.(type) {
		case *ast.GenDecl:
			for _, s := range d.Specs {
				if v, ok := s.(*ast.ValueSpec); ok && d.Tok == token.CONST {
					constants(v, file, add)
				}
			}
		case *ast.FuncDecl:
			ast.Inspect(d.Body, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.ReturnStmt:
					for _, r := range n.Results {
						if s, ok := text(r); ok && s != "" {
							add(d.Name.Name+"()", s)
						}
					}
				case *ast.AssignStmt:
					for i, l := range n.Lhs {
						if id, ok := l.(*ast.Ident); ok && (id.Name == "excluded" || id.Name == "code") && i < len(n.Rhs) {
							if s, ok := text(n.Rhs[i]); ok && s != "" {
								add(d.Name.Name+"()", s)
							}
						}
					}
				}
				return true
			})
		}
	}
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.KeyValueExpr:
			if id, ok := n.Key.(*ast.Ident); ok && id.Name == "Code" {
				if s, ok := text(n.Value); ok {
					add("Code:", s)
				}
			}
		case *ast.ValueSpec:
			at, listed := map[string]int{"capabilities": 0, "failures": 1}[n.Names[0].Name] // which element of a row is the code
			if len(n.Names) != 1 || !listed || len(n.Values) != 1 {
				return true
			}
			if table, ok := n.Values[0].(*ast.CompositeLit); ok {
				for _, e := range table.Elts {
					if row, ok := e.(*ast.CompositeLit); ok {
						if s, ok := text(row.Elts[at]); ok {
							add(n.Names[0].Name, s)
						}
					}
				}
			}
		case *ast.CompositeLit:
			if len(n.Elts) == 4 { // a Clause, whose type is mostly left out
				attribute, first := text(n.Elts[0])
				operator, second := text(n.Elts[1])
				if code, ok := text(n.Elts[3]); ok && first && second && attribute != "" && operator == strings.ToUpper(operator) && code != "" {
					add("Clause{}", code)
				}
			}
		}
		return true
	})
}

// constants adds the string constants of one specification, by their type, by the word with which their name begins, and by their package.
func constants(v *ast.ValueSpec, file string, add func(what, code string)) {
	kind := ""
	switch x := v.Type.(type) {
	case *ast.Ident:
		kind = x.Name
	case *ast.SelectorExpr:
		kind = x.Sel.Name
	}
	for i, n := range v.Names {
		if i >= len(v.Values) {
			continue
		}
		s, ok := text(v.Values[i])
		if !ok {
			continue
		}
		switch m := codeName.FindString(n.Name); {
		case kind != "":
			add(kind, s)
		case m != "":
			add(m[:len(m)-1]+"*", s)
		case codeLike.MatchString(s) && !guidLike.MatchString(s):
			add("*", s)
			add(file+" *", s)
		}
	}
}

var codeLike = regexp.MustCompile(`^[a-z]{2}[a-z0-9]*(-[a-z0-9]+){0,4}$`)
var guidLike = regexp.MustCompile(`^[0-9a-f]{8}-`)

func text(e ast.Expr) (string, bool) {
	l, ok := e.(*ast.BasicLit)
	if !ok || l.Kind != token.STRING {
		return "", false
	}
	s, err := strconv.Unquote(l.Value)
	return s, err == nil
}

// row is one entry: what the page says of a code.
type entry struct{ code, says, do string }

var entryRow = regexp.MustCompile("^\\| `([^`]+)` \\| (.*?) \\| (.*?) \\|$")

func TestDocumentsExplainEveryCode(t *testing.T) {
	found := codesOf(t)
	page, err := os.ReadFile(troubleshooting)
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(string(page), "\n## ")
	taken := map[string]bool{}
	var out strings.Builder
	seen := map[string]bool{}
	for n, part := range parts {
		title, body, _ := strings.Cut(part, "\n")
		i := slices.IndexFunc(chapters, func(c chapter) bool { return n > 0 && c.title == title })
		if n > 0 {
			out.WriteString("\n## ")
		}
		if i < 0 {
			out.WriteString(part)
			continue
		}
		seen[title] = true
		c := chapters[i]
		want := map[string]bool{}
		for _, from := range c.from {
			dir, _, _ := strings.Cut(from, " ")
			taken[from] = true
			if len(found[from]) == 0 {
				t.Errorf("%s: there are no codes %q: are they called something else now?", title, from)
			}
			for _, code := range found[from] {
				if !slices.Contains(noCodes[dir], code) {
					want[code] = true
				}
			}
		}
		out.WriteString(title + "\n" + chapterRows(t, title, body, want, c.says))
	}
	for _, c := range chapters {
		if !seen[c.title] {
			t.Errorf("%s has no chapter %q", troubleshooting, c.title)
		}
	}
	for _, what := range slices.Sorted(maps.Keys(found)) {
		dir, kind, _ := strings.Cut(what, " ")
		if looksLikeCodes := strings.HasSuffix(kind, "Code") || strings.HasPrefix(strings.ToLower(kind), "code"); looksLikeCodes && !taken[what] && !wholly(found[what], taken, found, dir) {
			t.Errorf("%q are codes of no chapter of %s: %v", what, troubleshooting, found[what])
		}
	}
	if *update {
		if err := os.WriteFile(troubleshooting, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// wholly reports whether all codes are told as others of the same package, or are none that people see.
func wholly(codes []string, taken map[string]bool, found map[string][]string, dir string) bool {
	for _, c := range codes {
		told := slices.Contains(noCodes[dir], c)
		for from := range taken {
			told = told || slices.Contains(found[from], c)
		}
		if !told {
			return false
		}
	}
	return true
}

// chapterRows compares the rows of a chapter with its codes, and returns the chapter with what is missing.
func chapterRows(t *testing.T, title, body string, want map[string]bool, says func(string) string) string {
	var out strings.Builder
	has := map[string]bool{}
	last := 0
	lines := strings.SplitAfter(body, "\n")
	for i, l := range lines {
		m := entryRow.FindStringSubmatch(strings.TrimSuffix(l, "\n"))
		if m == nil {
			continue
		}
		e := entry{m[1], m[2], m[3]}
		last = i + 1
		has[e.code] = true
		if !want[e.code] {
			t.Errorf("%s: the entry %q is of no code any more", title, e.code)
			if *update {
				lines[i] = ""
			}
			continue
		}
		if says != nil {
			if s := says(e.code); s != "" && s != e.says {
				if !*update {
					t.Errorf("%s: Tandem says of %q now: %s\nand not, as the page says: %s", title, e.code, s, e.says)
				}
				lines[i] = fmt.Sprintf("| `%s` | %s | %s |\n", e.code, s, e.do)
			}
		}
		if strings.TrimSpace(e.do) == "" || strings.TrimSpace(e.says) == "" {
			t.Errorf("%s: the entry %q does not say what it means and what to do", title, e.code)
		}
	}
	for i, l := range lines {
		out.WriteString(l)
		if i+1 != last && (last != 0 || !strings.HasPrefix(l, "| --- ") && !strings.HasPrefix(l, "|---")) {
			continue
		}
		for _, code := range slices.Sorted(maps.Keys(want)) {
			if has[code] {
				continue
			}
			t.Errorf("%s: the code %q has no entry", title, code)
			s := ""
			if says != nil {
				s = says(code)
			}
			if *update {
				fmt.Fprintf(&out, "| `%s` | %s |  |\n", code, s)
			}
		}
	}
	if len(want) < 3 {
		t.Errorf("%s: only %d codes: is the pattern wrong?", title, len(want))
	}
	return out.String()
}
