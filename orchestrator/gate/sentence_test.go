package gate_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"testing"

	"github.com/tandem-sync/tandem/orchestrator/gate"
)

// Every code that the gate answers with has a sentence for people.
func TestEveryCodeHasASentence(t *testing.T) {
	f, err := parser.ParseFile(token.NewFileSet(), "code.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	codes := 0
	ast.Inspect(f, func(n ast.Node) bool {
		v, ok := n.(*ast.ValueSpec)
		if !ok || len(v.Values) != 1 {
			return true
		}
		text, ok := v.Values[0].(*ast.BasicLit)
		if !ok {
			return true
		}
		code, err := strconv.Unquote(text.Value)
		if err != nil {
			t.Fatal(err)
		}
		if codes++; gate.Code(code).Sentence() == "" {
			t.Errorf("%s (%s) has none", v.Names[0], code)
		}
		return true
	})
	if codes < 60 {
		t.Errorf("only %d codes were found", codes)
	}
}
