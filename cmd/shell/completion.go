package shell

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// Shells lists the shells for which there is completion.
func Shells() []string { return []string{"bash", "zsh", "fish"} }

// values are what flags take that take one of few words.
var values = map[string]string{"output": "table json", "log-level": "debug info warn error", "log-format": "text json", "profile": "delta full", "directory": "embedded samba none"}

// Completion returns what a shell sources to complete the commands and flags of a program. Nothing is run while somebody types.
func Completion(app *cli.App, of string) (string, error) {
	switch of {
	case "bash":
		return bash(app), nil
	case "zsh": // zsh understands bash's completions
		return "#compdef " + app.Name + "\nautoload -U +X bashcompinit && bashcompinit\n" + bash(app), nil
	case "fish":
		text, err := app.ToFishCompletion()
		if err != nil {
			return "", fmt.Errorf("make the completion of %s: %w", app.Name, err)
		}
		return text, nil
	}
	return "", fmt.Errorf("there is no completion for %q: there is one for %s", of, strings.Join(Shells(), ", "))
}

// word is a place in the tree of commands: what may follow there.
type word struct {
	path     string // the words before, joined by /; "" at the top
	commands []string
	flags    []string
}

// words lists all places in the tree of commands, the top first.
func words(app *cli.App) []word {
	var out []word
	var walk func(path string, cs []*cli.Command, flags []string)
	walk = func(path string, cs []*cli.Command, flags []string) {
		w := word{path: path, flags: slices.Compact(slices.Sorted(slices.Values(append(slices.Clone(flags), "--help"))))}
		out = append(out, w)
		at := len(out) - 1
		for _, c := range cs {
			if c.Hidden || c.Name == "help" {
				continue
			}
			out[at].commands = append(out[at].commands, c.Name)
			walk(strings.TrimPrefix(path+"/"+c.Name, "/"), c.Subcommands, slices.Concat(flags, flagsOf(c.Flags)))
		}
	}
	walk("", app.Commands, flagsOf(app.Flags))
	return out
}

// Spelling is a flag as it is offered: by its longest name.
func Spelling(f cli.Flag) string {
	n := slices.MaxFunc(f.Names(), func(a, b string) int { return len(a) - len(b) })
	if len(n) == 1 {
		return "-" + n
	}
	return "--" + n
}

func flagsOf(fs []cli.Flag) []string {
	var out []string
	for _, f := range fs {
		if v, ok := f.(cli.VisibleFlag); ok && !v.IsVisible() {
			continue
		}
		out = append(out, Spelling(f))
	}
	return out
}

// bash is a function that finds the place in the tree of commands, and offers what may follow there. Files are offered where nothing else is.
func bash(app *cli.App) string {
	name := "_" + strings.ReplaceAll(app.Name, "-", "_")
	var b, at, flags strings.Builder
	var paths []string
	for _, w := range words(app) {
		if w.path != "" {
			paths = append(paths, w.path)
		}
		if len(w.commands) > 0 {
			fmt.Fprintf(&at, "\t%q) words=%q ;;\n", w.path, strings.Join(w.commands, " "))
		}
		fmt.Fprintf(&flags, "\t\t%q) words=%q ;;\n", w.path, strings.Join(w.flags, " "))
	}
	fmt.Fprintf(&b, "%s() {\n\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} path= next words= i\n", name)
	fmt.Fprintf(&b, "\tfor ((i = 1; i < COMP_CWORD; i++)); do\n\t\tnext=${path:+$path/}${COMP_WORDS[i]}\n\t\tcase \"$next\" in\n\t\t%s) path=$next ;;\n\t\tesac\n\tdone\n", strings.Join(paths, "|"))
	fmt.Fprintf(&b, "\tcase \"$path\" in\n%s\tesac\n", at.String())
	fmt.Fprintf(&b, "\tif [[ $cur == -* ]]; then\n\t\tcase \"$path\" in\n%s\t\tesac\n\tfi\n", flags.String())
	b.WriteString("\tcase \"$prev\" in\n")
	for _, f := range slices.Sorted(maps.Keys(values)) {
		fmt.Fprintf(&b, "\t--%s) words=%q ;;\n", f, values[f])
	}
	b.WriteString("\tesac\n\tCOMPREPLY=()\n\tif [[ -n $words ]]; then\n\t\tCOMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n\tfi\n}\n")
	fmt.Fprintf(&b, "complete -o bashdefault -o default -F %s %s\n", name, app.Name)
	return b.String()
}
