package tandem_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
)

// plain are the packages whose comments and names keep to plain technical English: objects are it, and each thing has one word.
var plain = []string{
	"orchestrator", "orchestrator/alarm", "orchestrator/answer", "orchestrator/api", "orchestrator/assess", "orchestrator/census",
	"orchestrator/control", "orchestrator/gate", "orchestrator/host", "orchestrator/journal", "orchestrator/ledger", "orchestrator/metrics",
	"orchestrator/notify", "orchestrator/objects", "orchestrator/plan", "orchestrator/problem", "orchestrator/provisioning", "orchestrator/reach",
	"orchestrator/run", "orchestrator/schedule", "orchestrator/standing", "orchestrator/standing/changes", "orchestrator/standing/table",
	"orchestrator/supervisor", "orchestrator/tenancy", "orchestrator/tenant", "orchestrator/tenant/cloud", "orchestrator/trace", "orchestrator/wave",
	"orchestrator/wave/acts", "orchestrator/writeback", "state", "state/statetest",
}

// unrevised are the packages that do not yet. A package that does has to move to plain, and none is added here.
var unrevised = []string{
	"orchestrator/simulation",
}

// oddOpenings are beginnings of doc comments that Go has other phrases for: "returns", "reports whether", "is".
var oddOpenings = regexp.MustCompile(`^(?:[A-Za-z_][\w.]*) (?:gives|says|tells)\b`)

// oddWords are words that make persons of objects, riddles of sentences, or that have been replaced by another word.
var oddWords = regexp.MustCompile(`(?i)\b(?:says? whether|somebody|someone|nobody|whom|whoever|whomever|he|she|him|his|her|news|soil\w*|heed\w*|remind\w*|strangers?|gravity|` +
	`(?:on|off) the wire|wait for the wire|dead|died|dies|mend(?:s|ed)?)\b`)

// oddNames are parts of identifiers that have been replaced.
var oddNames = []string{"news", "soil", "heed", "heeds", "heeded", "remind", "reminds", "stranger", "strangers", "gravity", "whom", "somebody", "dead"}

func TestWordsOfCommentsAndNamesArePlain(t *testing.T) {
	var found []string
	look := func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.IsDir() || d.Name() == "testdata" {
			return err
		}
		files, err := filepath.Glob(filepath.Join(path, "*.go"))
		if err != nil || !slices.ContainsFunc(files, productive) {
			return err
		}
		name := filepath.ToSlash(path)
		found = append(found, name)
		odd := oddities(t, files)
		switch {
		case slices.Contains(plain, name) && len(odd) > 0:
			t.Errorf("%s has words that people outside do not follow:\n%s", name, strings.Join(odd, "\n"))
		case slices.Contains(unrevised, name) && len(odd) == 0:
			t.Errorf("%s is plain by now: move it to that list", name)
		}
		return nil
	}
	for _, root := range []string{"orchestrator", "state"} {
		if err := filepath.WalkDir(root, look); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range found {
		if slices.Contains(plain, name) == slices.Contains(unrevised, name) {
			t.Errorf("%s has to be in one list", name)
		}
	}
	for _, name := range slices.Concat(plain, unrevised) {
		if !slices.Contains(found, name) {
			t.Errorf("%s is listed and has no code", name)
		}
	}
}

func productive(file string) bool { return !strings.HasSuffix(file, "_test.go") }

// oddities returns the comments and declared names of files that are not plain, with their places.
func oddities(t *testing.T, files []string) (out []string) {
	t.Helper()
	set := token.NewFileSet()
	for _, file := range files {
		if !productive(file) {
			continue
		}
		f, err := parser.ParseFile(set, file, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		note := func(at token.Pos, what string) { out = append(out, set.Position(at).String()+": "+what) }
		for _, g := range f.Comments {
			if m := oddOpenings.FindString(g.Text()); m != "" {
				note(g.Pos(), m)
			}
			for _, c := range g.List {
				for _, m := range oddWords.FindAllString(c.Text, -1) {
					note(c.Pos(), m)
				}
			}
		}
		for _, id := range declared(f) {
			if strings.HasSuffix(id.Name, "_") && id.Name != "_" {
				note(id.Pos(), id.Name)
			}
			for _, part := range parts(id.Name) {
				if slices.Contains(oddNames, part) {
					note(id.Pos(), id.Name)
				}
			}
		}
	}
	return out
}

// declared returns the names that a file declares: functions, types, fields, parameters, constants and variables.
func declared(f *ast.File) (out []*ast.Ident) {
	ast.Inspect(f, func(n ast.Node) bool {
		switch x := n.(type) {
		case *ast.FuncDecl:
			out = append(out, x.Name)
		case *ast.TypeSpec:
			out = append(out, x.Name)
		case *ast.ValueSpec:
			out = append(out, x.Names...)
		case *ast.Field:
			out = append(out, x.Names...)
		}
		return true
	})
	return out
}

// parts splits a name in mixed case into words, in lower case.
func parts(name string) (out []string) {
	begin := 0
	rs := []rune(name)
	for i := 1; i <= len(rs); i++ {
		if i == len(rs) || unicode.IsUpper(rs[i]) {
			out, begin = append(out, strings.ToLower(string(rs[begin:i]))), i
		}
	}
	return out
}
