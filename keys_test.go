package tandem_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"

	"github.com/tandem-sync/tandem/scoping/policy"
)

// The lines between which a page is made of the code.
const (
	beginKeys = "<!-- made of the parser: go test . -run Documents -update -->\n"
	endKeys   = "<!-- end -->\n"
)

func TestDocumentsNameEveryKeyOfTheConfiguration(t *testing.T) {
	var k keys
	k.t = t
	k.structure(structsOf(t, "orchestrator"), "Config", "", "yaml")
	k.structure(structsOf(t, "plugins/cloudsync"), "settings", "engines[].settings.", "json")
	mappings := structsOf(t, "plugins/cloudsync/mapping")
	delete(mappings, "Assignments") // they have what stands above them
	k.structure(mappings, "Settings", "engines[].settings.provisioning.", "json")
	if len(k.rows) < 60 {
		t.Errorf("only %d keys are found: is the configuration read in another way now?", len(k.rows))
	}
	made(t, "examples/handbook/tandem-yaml.md", "| key | value | meaning |\n|---|---|---|\n"+strings.Join(k.rows, ""))
}

func TestDocumentsNameEveryKeyOfPolicies(t *testing.T) {
	var doc yaml.Node // JSON is YAML, and a node keeps the order
	if err := yaml.Load(policy.Schema(), &doc); err != nil {
		t.Fatal(err)
	}
	var k keys
	k.t = t
	k.schema(doc.Content[0], "")
	if len(k.rows) < 30 {
		t.Errorf("only %d keys are found: is the schema made in another way now?", len(k.rows))
	}
	made(t, "examples/handbook/policy.md", "| key | value | default | meaning |\n|---|---|---|---|\n"+strings.Join(k.rows, ""))
}

// made compares the part of a page that is made of the code, or writes it.
func made(t *testing.T, file, want string) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, begins := strings.Cut(string(b), beginKeys)
	have, after, ends := strings.Cut(rest, endKeys)
	if !begins || !ends {
		t.Fatalf("%s lacks the lines between which the keys stand", file)
	}
	if have == want {
		return
	}
	if *update {
		if err := os.WriteFile(file, []byte(before+beginKeys+want+endKeys+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Errorf("the keys in %s are not those that are read; go test . -run Documents -update writes:\n%s", file, want)
}

// keys are the rows of a reference.
type keys struct {
	t    *testing.T
	rows []string
}

// structsOf returns the struct types of a package by their names.
func structsOf(t *testing.T, dir string) map[string]*ast.StructType {
	t.Helper()
	files, err := filepath.Glob(dir + "/*.go")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]*ast.StructType{}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if d, ok := n.(*ast.TypeSpec); ok {
				if s, ok := d.Type.(*ast.StructType); ok {
					out[d.Name.Name] = s
				}
			}
			return true
		})
	}
	return out
}

// structure adds the fields of a struct that the decoder fills, each with its comment, and what is in them.
func (k *keys) structure(structs map[string]*ast.StructType, name, path, tag string) {
	s := structs[name]
	if s == nil {
		k.t.Fatalf("there is no struct %s any more", name)
	}
	for _, f := range s.Fields.List {
		if f.Tag == nil {
			continue
		}
		tags, err := strconv.Unquote(f.Tag.Value)
		if err != nil {
			k.t.Fatal(err)
		}
		key, _, _ := strings.Cut(reflect.StructTag(tags).Get(tag), ",")
		if key == "" || key == "-" {
			continue
		}
		words, inner, suffix := valueOf(f.Type)
		about := strings.TrimSpace(f.Comment.Text())
		if about == "" {
			about = strings.TrimSpace(f.Doc.Text())
		}
		if about == "" {
			k.t.Errorf("%s%s: the field of %s has no comment that says what it means", path, key, name)
		}
		at := path + key + suffix
		k.rows = append(k.rows, fmt.Sprintf("| `%s` | %s | %s |\n", at, words, cell(about)))
		if structs[inner] != nil {
			k.structure(structs, inner, at+".", tag)
		}
	}
}

// valueOf says in words what a field takes, which struct it may be made of, and how a path goes on.
func valueOf(e ast.Expr) (words, inner, suffix string) {
	switch e := e.(type) {
	case *ast.StarExpr:
		return valueOf(e.X)
	case *ast.ArrayType:
		words, inner, _ = valueOf(e.Elt)
		return "list of " + strings.Replace(words, "mapping", "mappings", 1), inner, "[]"
	case *ast.MapType:
		_, inner, suffix = valueOf(e.Value)
		return "mapping", inner, ".NAME" + suffix
	case *ast.SelectorExpr:
		if e.Sel.Name == "Duration" {
			return "duration, such as `90s` or `2m`", "", ""
		}
		if e.Sel.Name == "Node" || e.Sel.Name == "RawMessage" {
			return "mapping", "", ""
		}
		return "text", "", ""
	case *ast.Ident:
		switch e.Name {
		case "string", "MappingType":
			return "text", "", ""
		case "bool":
			return "`true` or `false`", "", ""
		case "int", "int64":
			return "number", "", ""
		case "any":
			return "anything", "", ""
		case "duration":
			return "duration, such as `90s` or `2m`", "", ""
		case "urls":
			return "URL, or a list of URLs", "", ""
		}
		return "mapping", e.Name, ""
	}
	return "anything", "", ""
}

// schema adds the properties of a JSON Schema, in its order.
func (k *keys) schema(n *yaml.Node, path string) {
	properties := under(n, "properties")
	if properties == nil {
		return
	}
	needed := map[string]bool{}
	if r := under(n, "required"); r != nil {
		for _, x := range r.Content {
			needed[x.Value] = true
		}
	}
	for i := 0; i+1 < len(properties.Content); i += 2 {
		key, v := properties.Content[i].Value, properties.Content[i+1]
		at, into := path+key, v
		if items := under(v, "items"); items != nil && under(items, "properties") != nil {
			at, into = at+"[]", items
		}
		preset := ""
		if d := under(v, "default"); d != nil {
			preset = "`" + d.Value + "`"
		} else if needed[key] {
			preset = "needed"
		}
		about := ""
		if d := under(v, "description"); d != nil {
			about = d.Value
		}
		if about == "" {
			k.t.Errorf("the key %s has no description", at)
		}
		k.rows = append(k.rows, fmt.Sprintf("| `%s` | %s | %s | %s |\n", at, cell(takes(v)), preset, cell(about)))
		k.schema(into, at+".")
	}
}

// takes says what a value of a schema may be, with an example.
func takes(v *yaml.Node) string {
	value := func(n *yaml.Node, key string) string {
		if x := under(n, key); x != nil {
			return x.Value
		}
		return ""
	}
	words := map[string]string{"string": "text", "integer": "number", "boolean": "`true` or `false`", "array": "list", "object": "mapping"}[value(v, "type")]
	of := v
	if items := under(v, "items"); items != nil {
		of = items
	}
	if enum := under(of, "enum"); enum != nil {
		var all []string
		for _, x := range enum.Content {
			all = append(all, "`"+x.Value+"`")
		}
		words = strings.TrimPrefix(words+" of ", "text of ") + strings.Join(all, ", ")
	}
	if c := value(v, "const"); c != "" {
		words = "`" + c + "`"
	}
	if ex := under(v, "examples"); ex != nil && len(ex.Content) > 0 && under(of, "enum") == nil {
		words += ", such as `" + example(ex.Content[0]) + "`"
	}
	return words
}

func example(n *yaml.Node) string {
	if n.Kind != yaml.SequenceNode {
		return n.Value
	}
	var all []string
	for _, x := range n.Content {
		v := x.Value
		if strings.Contains(v, ",") {
			v = strconv.Quote(v)
		}
		all = append(all, v)
	}
	return "[" + strings.Join(all, ", ") + "]"
}

// under returns the value of a key of a mapping, or nil.
func under(n *yaml.Node, key string) *yaml.Node {
	for i := 0; n.Kind == yaml.MappingNode && i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

// cell is text in a cell of a table.
func cell(s string) string {
	return strings.ReplaceAll(strings.Join(strings.Fields(s), " "), "|", `\|`)
}

// permissions returns the rows of orchestrator/tenant's table of permissions, which is read as text: the package contains the Graph SDK.
func permissions(t *testing.T) (names, rows []string) {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), "orchestrator/tenant/permission.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	value := map[string]string{}
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ValueSpec:
			if s, ok := text(n.Values[0]); ok {
				value[n.Names[0].Name] = s
			}
		case *ast.CompositeLit:
			if len(n.Elts) != 3 {
				return true
			}
			id, named := n.Elts[0].(*ast.Ident)
			must, told := n.Elts[2].(*ast.Ident)
			about, ok := text(n.Elts[1])
			if !named || !told || !ok {
				return true
			}
			names = append(names, value[id.Name])
			kind, without := "needed", "failure"
			if must.Name != "true" {
				kind, without = "optional", "warning"
			}
			rows = append(rows, fmt.Sprintf("| `%s` | %s | %s | %s |\n", value[id.Name], kind, cell(about), without))
		}
		return true
	})
	return names, rows
}

func TestDocumentsNameEveryPermission(t *testing.T) {
	names, rows := permissions(t)
	if len(names) < 5 {
		t.Fatalf("only %v: is the table of permissions written in another way now?", names)
	}
	made(t, "examples/handbook/app-registration.md", "| permission |  | for | without it, `check` says |\n|---|---|---|---|\n"+strings.Join(rows, ""))
	script, err := os.ReadFile("examples/handbook/register.sh")
	if err != nil {
		t.Fatal(err)
	}
	_, list, _ := strings.Cut(string(script), "permissions='\n")
	list, _, _ = strings.Cut(list, "'")
	if want := strings.Join(names, "\n") + "\n"; list != want {
		t.Errorf("register.sh asks for\n%sand Tandem needs\n%s", list, want)
	}
}
