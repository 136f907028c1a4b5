package policy_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/tandem-sync/tandem/scoping"
	"github.com/tandem-sync/tandem/scoping/policy"
)

// tree is the directory of the catalogue: what policies may name.
type tree []string

var catalogue = tree{"DC=contoso,DC=test", "OU=Sales,DC=contoso,DC=test", "OU=Contractors,OU=Sales,DC=contoso,DC=test", "OU=Engineering,DC=contoso,DC=test",
	"OU=Groups,DC=contoso,DC=test", "CN=Sync Pilot,OU=Groups,DC=contoso,DC=test", "CN=Managers,OU=Groups,DC=contoso,DC=test"}

func (t tree) Resolve(_ context.Context, _ string, dn scoping.DN) (scoping.Pin, error) {
	for _, name := range t {
		d := scoping.MustParseDN(name)
		if !d.Equal(dn) {
			continue
		}
		p := scoping.Pin{GUID: guid(d), DN: name}
		for a := d.Parent(); a.Depth() >= 2; a = a.Parent() {
			p.Ancestors = append(p.Ancestors, guid(a))
		}
		return p, nil
	}
	return scoping.Pin{}, policy.ErrNotFound
}

// Groups implements policy.TenantResolver: the tenant of the catalogue has one group of one name and two of another.
func (t tree) Groups(_ context.Context, name string) ([]scoping.TenantGroup, error) {
	one := scoping.TenantGroup{Name: name, ID: "5e1a0000-0000-4000-8000-000000000001"}
	switch name {
	case "Hired by HR", "Interns":
		return []scoping.TenantGroup{{Name: name, ID: "5e1a0000-0000-4000-8000-00000000000" + name[:1]}}, nil
	case "Doubled":
		return []scoping.TenantGroup{one, {Name: name, ID: "5e1a0000-0000-4000-8000-000000000002"}}, nil
	}
	return nil, nil
}

// engines are those of the catalogue.
func engines(context.Context) (map[string]scoping.EngineCaps, error) {
	contacts, _ := scoping.Row(scoping.Contacts)
	return map[string]scoping.EngineCaps{
		"connect":   {Kind: "connect", Features: everything()["connect"].Features, Refused: map[scoping.Feature]string{scoping.Contacts: contacts.Graph.Note}},
		"cloudsync": {Kind: "cloudsync", Features: []scoping.Feature{scoping.Users, scoping.References, scoping.PasswordHash, scoping.PasswordWriteback, scoping.UserProvisioning}},
	}, nil
}

// parts are the sections of the catalogue, by the first digit of the files' names.
var parts = []struct{ digit, title string }{
	{"1", "The file's form"}, {"2", "What assignments say"}, {"3", "What lies where"}, {"4", "Narrowed assignments"},
}

const catalogueHead = `# What can be wrong with a policy

Every mistake has its place in the file and says what to do, and all of them come at once. Each section below is a policy that is
wrong in one way, and what ` + "`tandem policy validate`" + ` says about it. (A test runs every one of them: scoping/policy/testdata/mistakes.)

Two engines are configured here: connect, which can write everything that the tenant takes, and cloudsync, which can write users with their references and passwords.
The directory is called contoso and holds these:

`

// TestCatalogueOfMistakes compiles every bad policy of testdata/mistakes and compares what is said about it. With -update it writes what is said
// into the files, and the catalogue for people.
func TestCatalogueOfMistakes(t *testing.T) {
	var doc strings.Builder
	doc.WriteString(catalogueHead)
	for _, name := range catalogue {
		fmt.Fprintf(&doc, "    %s\n", name)
	}
	files, err := filepath.Glob("testdata/mistakes/*.txt")
	if err != nil || len(files) < 30 {
		t.Fatalf("%d files: %v", len(files), err)
	}
	for _, part := range parts {
		fmt.Fprintf(&doc, "\n## %s\n", part.title)
		for _, f := range files {
			if strings.HasPrefix(filepath.Base(f), part.digit) {
				kind(t, f, &doc)
			}
		}
	}
	published(t, "mistakes.md", []byte(doc.String()))
}

// kind tries one kind of mistake and tells of it.
func kind(t *testing.T, file string, doc *strings.Builder) {
	a, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	at := func(name string) *txtar.File {
		i := slices.IndexFunc(a.Files, func(f txtar.File) bool { return f.Name == name })
		if i < 0 {
			return nil
		}
		return &a.Files[i]
	}
	directories := []string{"contoso"}
	if d := at("directories"); d != nil {
		directories = strings.Fields(string(d.Data))
	}
	text := at("policy.yaml").Data
	_, err = policy.Compile(context.Background(), "policy.yaml", text, directories, catalogue, engines)
	matches := at("matches.csv")
	if err == nil && matches != nil {
		_, err = policy.ParseMatches("matches.csv", matches.Data)
	}
	var mistakes scoping.Mistakes
	if !errors.As(err, &mistakes) {
		t.Errorf("%s: nothing is said to be wrong: %v", file, err)
		return
	}
	for _, m := range mistakes {
		if m.Pos.Line == 0 || m.Hint == "" {
			t.Errorf("%s: a mistake without a place or without what to do: %v", file, m)
		}
	}
	said := []byte(err.Error() + "\n")
	m := at("message")
	if *update {
		if m == nil {
			a.Files = append(a.Files, txtar.File{Name: "message"})
			m = at("message")
		}
		m.Data = said
		if err := os.WriteFile(file, txtar.Format(a), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if m == nil || !bytes.Equal(m.Data, said) {
		t.Errorf("%s: it says now:\n%s(go test ./scoping/policy -update writes that down)", file, said)
	}
	title, about, _ := strings.Cut(strings.TrimSpace(string(a.Comment)), "\n")
	fmt.Fprintf(doc, "\n### %s\n\n", title)
	if about = strings.TrimSpace(about); about != "" {
		fmt.Fprintf(doc, "%s\n\n", about)
	}
	fmt.Fprintf(doc, "```yaml\n%s```\n\n", text)
	if matches != nil {
		fmt.Fprintf(doc, "with matches.csv\n\n```text\n%s```\n\n", matches.Data)
	}
	fmt.Fprintf(doc, "```text\n%s```\n", said)
}
