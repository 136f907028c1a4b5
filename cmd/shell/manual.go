// Package shell makes what shells and man read of a program from its commands: completion for bash, zsh and fish, and the manual page. Whatever a program learns is in both.
package shell

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"
)

// Section is a part of a manual beside what the commands say themselves.
type Section struct {
	Title string // such as "EXIT STATUS"
	Lines []string
}

// Manual returns the manual page of a program, in roff: its commands with their flags, and the sections.
func Manual(app *cli.App, sections ...Section) (string, error) {
	text, err := app.ToManWithSection(1)
	if err != nil {
		return "", fmt.Errorf("make the manual of %s: %w", app.Name, err)
	}
	var b strings.Builder
	b.WriteString(strings.TrimRight(text, "\n") + "\n")
	for _, s := range sections {
		fmt.Fprintf(&b, "\n.SH %s\n", s.Title)
		for _, l := range s.Lines {
			b.WriteString(strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(l) + "\n.br\n")
		}
	}
	return b.String(), nil
}

// Commands are the command that prints completions, and the hidden one that prints the manual. fail makes the error of a wrong use.
func Commands(fail func(format string, args ...any) error, sections ...Section) []*cli.Command {
	return []*cli.Command{
		{Name: "completion", Usage: "completion of a shell, to be sourced: bash, zsh or fish", ArgsUsage: "SHELL", Action: func(c *cli.Context) error {
			if c.Args().Len() != 1 {
				return fail("completion takes one of %s", strings.Join(Shells(), ", "))
			}
			text, err := Completion(c.App, c.Args().First())
			if err != nil {
				return fail("%v", err)
			}
			_, err = fmt.Fprint(c.App.Writer, text)
			return err
		}},
		{Name: "man", Usage: "the manual page, for man", Hidden: true, Action: func(c *cli.Context) error {
			if c.Args().Present() {
				return fail("man takes no arguments")
			}
			text, err := Manual(c.App, sections...)
			if err == nil {
				_, err = fmt.Fprint(c.App.Writer, text)
			}
			return err
		}},
	}
}
