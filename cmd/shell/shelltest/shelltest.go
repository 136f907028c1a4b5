// Package shelltest holds a program to what its shells and its manual promise: whatever it can be told is in both.
package shelltest

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"

	"github.com/tandem-sync/tandem/cmd/shell"
)

// Check looks for each visible command and flag of a program in the completions, which real shells read, and in its manual.
func Check(t *testing.T, app *cli.App, sections ...shell.Section) {
	t.Helper()
	manual, err := shell.Manual(app, sections...)
	if err != nil {
		t.Fatal(err)
	}
	fish, err := shell.Completion(app, "fish")
	if err != nil {
		t.Fatal(err)
	}
	offered := offers(t, app)
	plain := strings.NewReplacer(`\-`, "-", `\fB`, "", `\fP`, "", `\fR`, "").Replace(manual)
	commands := 0
	each(app.Commands, nil, func(path []string, c *cli.Command) {
		commands++
		before, name := strings.Join(path[:len(path)-1], " "), path[len(path)-1]
		if !slices.Contains(offered[before], name) {
			t.Errorf("bash offers %q after %q, and not %s", offered[before], app.Name+" "+before, name)
		}
		if !strings.Contains(fish, "-a '"+name+"'") {
			t.Errorf("fish knows no command %v", path)
		}
		if !strings.Contains(plain, "\n.SH "+name+"\n") && !strings.Contains(plain, "\n.SS "+name+"\n") {
			t.Errorf("the manual has no command %v", path)
		}
		for _, f := range c.Flags {
			if v, ok := f.(cli.VisibleFlag); ok && !v.IsVisible() {
				continue
			}
			flag := shell.Spelling(f)
			if all := strings.Join(path, " ") + " -"; !slices.Contains(offered[all], flag) {
				t.Errorf("bash offers %q after %q, and not %s", offered[all], app.Name+" "+all, flag)
			}
			if !strings.Contains(plain, flag) {
				t.Errorf("the manual has no flag %s of %v", flag, path)
			}
		}
	})
	if commands < 4 {
		t.Errorf("only %d commands were looked for", commands)
	}
	for _, s := range sections {
		if !strings.Contains(manual, ".SH "+s.Title) {
			t.Errorf("the manual has no section %s", s.Title)
		}
	}
	syntax(t, app)
}

// each calls f for each visible command with the words that lead to it.
func each(cs []*cli.Command, path []string, f func(path []string, c *cli.Command)) {
	for _, c := range cs {
		if c.Hidden {
			continue
		}
		here := append(slices.Clone(path), c.Name)
		f(here, c)
		each(c.Subcommands, here, f)
	}
}

// offers lets bash complete after each command, and after each command and "-", and returns what it offers by the words typed before.
func offers(t *testing.T, app *cli.App) map[string][]string {
	t.Helper()
	text, err := shell.Completion(app, "bash")
	if err != nil {
		t.Fatal(err)
	}
	var script bytes.Buffer
	script.WriteString(text)
	ask := func(path []string, typed string) {
		words := append(append([]string{app.Name}, path...), typed)
		fmt.Fprintf(&script, "COMP_WORDS=(%s '%s'); COMP_CWORD=%d; _%s; echo \"%s|${COMPREPLY[*]}\"\n", strings.Join(words[:len(words)-1], " "), typed, len(words)-1,
			strings.ReplaceAll(app.Name, "-", "_"), strings.TrimSpace(strings.Join(words[1:], " ")))
	}
	ask(nil, "")
	each(app.Commands, nil, func(path []string, _ *cli.Command) {
		ask(path, "")
		ask(path, "-")
	})
	cmd := exec.Command("bash", "--norc", "-u")
	cmd.Stdin = &script
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("bash: %v: %s", err, out)
	}
	found := map[string][]string{}
	for line := range strings.Lines(string(out)) {
		typed, offered, ok := strings.Cut(strings.TrimSpace(line), "|")
		if !ok {
			t.Fatalf("bash says %s", line)
		}
		found[typed] = strings.Fields(offered)
	}
	return found
}

// syntax lets the other shells read their completions. Where one is not installed it is said; with CI=true all are.
func syntax(t *testing.T, app *cli.App) {
	t.Helper()
	for _, name := range []string{"zsh", "fish"} {
		text, err := shell.Completion(app, name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := exec.LookPath(name); err != nil {
			if os.Getenv("CI") == "true" {
				t.Errorf("%s is not installed: .ci/needs does that", name)
			}
			t.Logf("%s is not installed: its completion was not read", name)
			continue
		}
		file := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command(name, "-n", file).CombinedOutput(); err != nil {
			t.Errorf("%s: %v: %s", name, err, out)
		}
	}
}
