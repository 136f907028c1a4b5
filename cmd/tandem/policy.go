package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/tandem-sync/tandem/orchestrator/api"
	"github.com/tandem-sync/tandem/scoping"
)

func readFile(name string) ([]byte, error) {
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, &api.Error{Kind: api.KindUsage, Message: err.Error(), Exit: api.ExitUsage}
	}
	return b, nil
}

// readPolicy reads a policy file and the file of matches that it names, whose name is relative to it; matches is nil if it names none.
func readPolicy(name string) (text, matches []byte, err error) {
	if text, err = readFile(name); err != nil {
		return nil, nil, err
	}
	file, place := api.MatchesFile(name, text)
	if file == "" {
		return text, nil, nil
	}
	if !filepath.IsAbs(file) {
		file = filepath.Join(filepath.Dir(name), file)
	}
	matches, err = os.ReadFile(file)
	if err != nil {
		return nil, nil, &api.Error{Kind: api.KindUsage, Message: place + ": matches: " + err.Error(), Hint: "its name is relative to the policy file", Exit: api.ExitUsage}
	}
	return text, append([]byte{}, matches...), nil
}

func policyCommand() *cli.Command {
	return &cli.Command{Name: "policy", Usage: "policy files and the policy in force", Subcommands: []*cli.Command{
		{Name: "validate", Usage: "compile a policy against the directory; print the partition or the errors", ArgsUsage: "FILE", Action: func(c *cli.Context) error {
			return withPolicy(c, "policy/validate", view(showPolicy))
		}},
		{Name: "show", Usage: "the policy in force", Flags: []cli.Flag{&cli.Uint64Flag{Name: "revision", Usage: "revision `N` instead"}}, Action: func(c *cli.Context) error {
			if err := arguments(c); err != nil {
				return err
			}
			return ask(c, request{command: "policy/show", body: api.PolicyRequest{Revision: c.Uint64("revision")}, view: view(showPolicy)})
		}},
		{Name: "fmt", Usage: "print a policy in the usual form; comments stay where they are", ArgsUsage: "FILE", Action: formatPolicy, Flags: []cli.Flag{
			&cli.BoolFlag{Name: "repin", Usage: "let names follow OUs and groups that were renamed or moved"}, &cli.BoolFlag{Name: "write", Aliases: []string{"w"}, Usage: "write the file instead"}}},
		suggestCommand(),
		{Name: "schema", Usage: "print the JSON Schema of policy files, for editors", Action: func(c *cli.Context) error {
			if err := arguments(c); err != nil {
				return err
			}
			_, err := os.Stdout.Write(api.PolicySchema())
			return err
		}},
	}}
}

// withPolicy sends a policy file's text.
func withPolicy(c *cli.Context, command string, v func(io.Writer, json.RawMessage) error) error {
	if err := arguments(c, "FILE"); err != nil {
		return err
	}
	f := c.Args().First()
	text, matches, err := readPolicy(f)
	if err != nil {
		return err
	}
	return ask(c, request{command: command, body: api.PolicyRequest{File: f, Text: text, Matches: matches}, view: v})
}

func showPolicy(w io.Writer, p api.Policy) {
	if p.Revision > 0 {
		fmt.Fprintf(w, "# revision %d\n", p.Revision)
	}
	fmt.Fprint(w, p.Text)
	fmt.Fprintln(w)
	var rows [][]string
	for _, x := range p.Parts {
		under := x.Under
		if len(x.Except) > 0 {
			under += " except " + strings.Join(x.Except, "; ")
		}
		if len(x.With) > 0 {
			under += ": only " + strings.Join(x.With, " that are also ")
		}
		if len(x.Without) > 0 {
			under += ": without " + strings.Join(x.Without, "; ")
		}
		fs := make([]string, len(x.Features))
		for i, f := range x.Features {
			fs[i] = string(f)
		}
		if x.Way != "" {
			under += ": " + x.Way + ", from group " + strings.Join(x.From, ", ")
		}
		rows = append(rows, []string{x.Engine, strings.Join(fs, ","), x.Directory, under})
	}
	table(w, "ENGINE|FEATURES|DIRECTORY|UNDER", rows)
	for _, d := range p.Drift {
		fmt.Fprintf(w, "drift: %s\n", api.DriftLine(d))
	}
}

func formatPolicy(c *cli.Context) error {
	if err := arguments(c, "FILE"); err != nil {
		return err
	}
	f := c.Args().First()
	text, err := readFile(f)
	if err != nil {
		return err
	}
	out := api.Formatted{File: f, Repinned: []string{}}
	if c.Bool("repin") {
		_, err = call(c, "policy/repin", api.PolicyRequest{File: f, Text: text}, &out)
	} else {
		var b []byte
		b, err = api.FormatPolicy(f, text)
		out.Text = string(b)
	}
	if err != nil {
		return err
	}
	return putFormatted(c, out)
}

func putFormatted(c *cli.Context, f api.Formatted) error {
	if c.Bool("write") {
		if err := writeFile(f.File, []byte(f.Text)); err != nil {
			return err
		}
		if c.String("output") != "json" {
			return nil
		}
	}
	return printResult(c, f, func(w io.Writer, f api.Formatted) { fmt.Fprint(w, f.Text) })
}

func importCommand() *cli.Command {
	return &cli.Command{Name: "import", Usage: "first adoption: put a policy in force without a wave", ArgsUsage: "POLICY", Action: func(c *cli.Context) error {
		return withPolicy(c, "import", view(func(w io.Writer, p api.Policy) {
			fmt.Fprintf(w, "in force as revision %d: %s\nnext: tandem sync ENGINE --profile full; in a tenant that is not empty it asks before it links or writes what was there (tandem held list)\n", p.Revision, scoping.Many(len(p.Parts), "part", "parts"))
			if len(p.Provisioning) > 0 {
				fmt.Fprintln(w, "from the tenant the next run brings what follows; `tandem stop` if that is not what was meant:")
			}
			showBringing(w, p.Provisioning)
			if p.Unforeseen != "" {
				fmt.Fprintf(w, "what the next run brings from the tenant is not known: %s\n", p.Unforeseen)
			}
		}))
	}}
}
