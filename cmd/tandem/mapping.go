package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/tandem-sync/tandem/orchestrator/api"
	"github.com/tandem-sync/tandem/plugins/cloudsync/mapping"
	"github.com/tandem-sync/tandem/plugins/expression/language"
)

func mappingCommand() *cli.Command {
	return &cli.Command{Name: "mapping", Usage: "what objects of the tenant become in a directory", Subcommands: []*cli.Command{
		{Name: "check", Usage: "say what is wrong with mappings, what they amount to, or what they make of somebody; FILE is a tandem.yaml, or what stands under settings.provisioning there", ArgsUsage: "FILE", Action: checkMapping,
			Flags: []cli.Flag{
				&cli.StringFlag{Name: "source", Usage: "show step by step what becomes of the user or group in `FILE`, JSON as Graph answers it; - is standard input"},
				&cli.StringFlag{Name: "object", Usage: "the same for an object of the tenant by its id, sign-in name or display name, as the tenant was read last"},
				&cli.StringFlag{Name: "kind", Usage: "of the source, user or group; default what it looks like"},
				&cli.StringFlag{Name: "assignment", Usage: "by the mappings of the assignment `NAME` of the policy"},
				&cli.StringFlag{Name: "container", Usage: "`DN` of the assignment's container", Value: "OU=Provisioned,DC=contoso,DC=test"},
				&cli.StringFlag{Name: "domain", Usage: "DNS `NAME` of the directory's domain", Value: "contoso.test"},
				&cli.StringFlag{Name: "engine", Usage: "`NAME` of the engine, if a tandem.yaml has several with mappings"},
			}},
		{Name: "functions", Usage: "the functions of expressions", Action: func(c *cli.Context) error {
			if err := arguments(c); err != nil {
				return err
			}
			return printResult(c, language.Functions(), showFunctions)
		}},
	}}
}

// checkMapping needs no configuration, state, directory or tenant.
func checkMapping(c *cli.Context) error {
	if err := arguments(c, "FILE"); err != nil {
		return err
	}
	text, err := readFile(c.Args().First())
	if err != nil {
		return err
	}
	files, err := mapping.ReadFile(c.Args().First(), text)
	if err != nil {
		e := api.AsError(err)
		e.Kind = api.KindConfig
		return e
	}
	switch source, object := c.String("source"), c.String("object"); {
	case source != "" && object != "":
		return api.Usage("--source and --object are two sources")
	case source != "" || object != "":
		return showSource(c, files)
	}
	var all []mapping.Effective
	for _, f := range files {
		all = append(all, f.Effective()...)
	}
	return printResult(c, all, showEffective)
}

func showSource(c *cli.Context, files []mapping.File) error {
	object, err := mappingSource(c)
	if err != nil {
		return err
	}
	var names []string
	for _, f := range files {
		if names = append(names, f.Engine); c.String("engine") != f.Engine && (c.String("engine") != "" || len(files) > 1) {
			continue
		}
		shown, err := f.Show(object, mapping.Example{Kind: c.String("kind"), Assignment: c.String("assignment"), Place: mapping.Place{Container: c.String("container"), Domain: c.String("domain")}})
		if err != nil {
			return api.Usage("%s%s: %s", c.String("source"), c.String("object"), err)
		}
		if err := printResult(c, shown, showMapped); err != nil {
			return err
		}
		if shown.Want == "unknown" {
			return end(api.Outcome{Exit: api.ExitDifferences, Message: "it cannot be mapped: " + shown.Reason}, nil)
		}
		return nil
	}
	e := api.Usage("the mappings of which engine?")
	e.Hint = "--engine NAME, one of " + strings.Join(names, ", ")
	return e
}

// mappingSource reads the source of which a mapping is shown.
func mappingSource(c *cli.Context) ([]byte, error) {
	switch name := c.String("source"); name {
	case "-":
		return io.ReadAll(io.LimitReader(os.Stdin, 1<<20))
	case "":
	default:
		return readFile(name)
	}
	var o api.TenantSource
	to := options(c)
	to.Glance = true
	if _, err := streamTo(c, to, "mapping/source", api.RefRequest{Ref: c.String("object")}, &o, nil); err != nil {
		return nil, err
	}
	if c.String("kind") == "" {
		if err := c.Set("kind", string(o.Kind)); err != nil {
			return nil, err
		}
	}
	all := map[string]any{"id": o.ID}
	for name, v := range o.Values {
		all[name] = v
	}
	return json.Marshal(all)
}

func showFunctions(w io.Writer, all []language.Function) {
	rows := make([][]string, len(all))
	for i, f := range all {
		rows[i] = []string{f.Signature, f.About}
	}
	table(w, "FUNCTION|GIVES", rows)
}

func showEffective(w io.Writer, all []mapping.Effective) {
	for i, e := range all {
		if i > 0 {
			fmt.Fprintln(w)
		}
		title := e.Kind + "s"
		if e.Assignment != "" {
			title += " of assignment " + e.Assignment
		}
		if e.Engine != "" {
			title = e.Engine + ": " + title
		}
		fmt.Fprintf(w, "%s, base %s\n", title, e.Base)
		rows := make([][]string, len(e.Mappings))
		for j, m := range e.Mappings {
			by := "base"
			if m.Own {
				by = "own"
			}
			if m.Default != "" {
				m.Expression += "; a new one without: " + m.Default
			}
			rows[j] = []string{m.Target, m.Apply, by, m.Expression}
		}
		table(w, "TARGET|APPLIES|BY|EXPRESSION", rows)
	}
}

// showMapped tells of each attribute how it came about: its pieces from the inside to the outside, and what becomes of it.
func showMapped(w io.Writer, s mapping.Shown) {
	fmt.Fprintf(w, "%s %s: %s", s.Kind, s.Object, s.Want)
	if s.Reason != "" {
		fmt.Fprintf(w, ": %s", s.Reason)
	}
	fmt.Fprintln(w)
	if s.Container != "" {
		fmt.Fprintf(w, "in %s\n", s.Container)
	}
	for _, a := range s.Attributes {
		fmt.Fprintf(w, "\n%s = %s\n", bold(a.Target), a.Expression)
		for _, step := range a.Steps {
			fmt.Fprintf(w, "  %s  →  %s\n", step.Expression, step.Value)
		}
		switch {
		case a.Mistake != "":
			fmt.Fprintf(w, "  failed: %s\n", a.Mistake)
		case len(a.Values) == 0:
			fmt.Fprintf(w, "  %s\n", a.State)
		default:
			fmt.Fprintf(w, "  %s: %s\n", a.State, strings.Join(a.Values, " | "))
		}
	}
	for name, of := range s.References {
		fmt.Fprintf(w, "\n%s = [%s], a reference\n", bold(name), of)
	}
}
