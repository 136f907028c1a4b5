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

// oddOpenings are beginnings of doc comments that Go has other phrases for: "returns", "reports whether", "is".
var oddOpenings = regexp.MustCompile(`^(?:[A-Za-z_][\w.]*) (?:gives|says|tells)\b`)

// oddWords are words that make persons of objects, riddles of sentences, or that have been replaced by another word.
var oddWords = regexp.MustCompile(`(?i)\b(?:says? whether|somebody|someone|nobody|whom|whoever|whomever|he|she|him|his|her|news|soil\w*|heed\w*|remind\w*|strangers?|gravity|` +
	`(?:on|off) the wire|wait for the wire|dead|died|dies|mend(?:s|ed)?)\b`)

// oddNames are parts of identifiers that have been replaced.
var oddNames = []string{"news", "soil", "heed", "heeds", "heeded", "remind", "reminds", "stranger", "strangers", "gravity", "whom", "somebody", "dead"}

// TestWordsOfCommentsAndNamesArePlain holds every package to plain technical English: objects are it, and each thing has one word.
func TestWordsOfCommentsAndNamesArePlain(t *testing.T) {
	packages := 0
	look := func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.IsDir() || d.Name() == "testdata" {
			return err
		}
		files, err := filepath.Glob(filepath.Join(path, "*.go"))
		if err != nil || !slices.ContainsFunc(files, productive) {
			return err
		}
		packages++
		if odd := oddities(t, files); len(odd) > 0 {
			t.Errorf("%s has words that people outside do not follow:\n%s", filepath.ToSlash(path), strings.Join(odd, "\n"))
		}
		return nil
	}
	for _, root := range []string{"orchestrator", "state"} {
		if err := filepath.WalkDir(root, look); err != nil {
			t.Fatal(err)
		}
	}
	if packages == 0 {
		t.Error("no package was found")
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
