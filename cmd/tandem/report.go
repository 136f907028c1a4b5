package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/tandem-sync/tandem/cmd/build"
	"github.com/tandem-sync/tandem/cmd/tandem/page"
	"github.com/tandem-sync/tandem/orchestrator/api"
)

func reportCommand() *cli.Command {
	out := []cli.Flag{
		&cli.StringFlag{Name: "o", Aliases: []string{"out"}, Usage: "write the page to `FILE.html`"},
		&cli.BoolFlag{Name: "force", Usage: "replace the file that -o names"},
	}
	return &cli.Command{Name: "report", Usage: "a self-contained page for people who read rather than run", Subcommands: []*cli.Command{
		{Name: "assess", Usage: "readiness per OU and feature, and an order of waves", Flags: append([]cli.Flag{
			&cli.StringFlag{Name: "under", Usage: "only what lies under `DN`"},
			&cli.IntFlag{Name: "examples", Usage: "name `N` objects with each finding; 0: all of them", Value: namedExamples}}, out...),
			Action: func(c *cli.Context) error {
				if err := arguments(c); err != nil {
					return err
				}
				return writeReport(c, func() (page.Page, error) {
					a, err := asked[api.Assessment](c, "assess", api.AssessRequest{Under: c.String("under"), Examples: c.Int("examples")})
					return assessmentPage(a, c.String("under")), err
				})
			}},
		{Name: "plan", Usage: "a plan file", ArgsUsage: "PLAN", Flags: out, Action: func(c *cli.Context) error {
			if err := arguments(c, "PLAN"); err != nil {
				return err
			}
			return writeReport(c, func() (page.Page, error) {
				b, err := readFile(c.Args().First())
				if err != nil {
					return page.Page{}, err
				}
				p, err := api.ReadPlan(b)
				if err != nil {
					return page.Page{}, api.AsError(err)
				}
				p, err = shown(p)
				return planPage(p, visible(c.Args().First(), false)), err
			})
		}},
		{Name: "wave", Usage: "one wave", ArgsUsage: "ID", Flags: out, Action: func(c *cli.Context) error {
			if err := arguments(c, "ID"); err != nil {
				return err
			}
			return writeReport(c, func() (page.Page, error) {
				w, err := asked[api.Wave](c, "wave/show", api.WaveRequest{ID: c.Args().First()})
				return wavePage(w), err
			})
		}},
	}}
}

// asked sends a command, and makes whatever people named visible in its answer, as on a terminal.
func asked[V any](c *cli.Context, command string, body any) (v V, err error) {
	var b json.RawMessage
	if _, err = call(c, command, body, &b); err != nil {
		return v, err
	}
	if b, err = visibleResult(b); err != nil {
		return v, err
	}
	return v, json.Unmarshal(b, &v)
}

// shown makes whatever people named visible in a value.
func shown[V any](v V) (out V, err error) {
	b, err := json.Marshal(v)
	if err != nil {
		return out, err
	}
	if b, err = visibleResult(b); err != nil {
		return out, err
	}
	return out, json.Unmarshal(b, &out)
}

// written says where a report is.
type written struct {
	File  string `json:"file"`
	Bytes int    `json:"bytes"`
}

// writeReport makes a page and writes it where -o says, which must not be there yet.
func writeReport(c *cli.Context, of func() (page.Page, error)) error {
	file := c.String("o")
	if file == "" {
		e := api.Usage("%s needs -o FILE.html", commandName(c))
		e.Hint = commandName(c) + " --help"
		return e
	}
	if err := vacant(file, c.Bool("force")); err != nil {
		return err
	}
	p, err := of()
	if err != nil {
		return err
	}
	p.Version, p.Made = build.Version(), time.Now()
	var b bytes.Buffer
	if err := page.Write(&b, p); err != nil {
		return err
	}
	if err := writeFile(file, b.Bytes()); err != nil {
		return err
	}
	return printResult(c, written{file, b.Len()}, func(w io.Writer, v written) { fmt.Fprintf(w, "the report is in %s\n", v.File) })
}

// names are the examples of what is there to see, at most so many of them.
func names(objects []string) []string {
	const most = 200
	if len(objects) <= most {
		return objects
	}
	return append(objects[:most:most], fmt.Sprintf("and %d more", len(objects)-most))
}

// joined names features, or kinds with their numbers.
func joined[S ~string](list []S) string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = string(s)
	}
	return strings.Join(out, ", ")
}
