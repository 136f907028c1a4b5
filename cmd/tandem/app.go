package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"sort"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/tandem-sync/tandem/cmd/build"
	"github.com/tandem-sync/tandem/cmd/shell"
	"github.com/tandem-sync/tandem/orchestrator/api"
	"github.com/tandem-sync/tandem/scoping"
)

func newApp() *cli.App {
	app := &cli.App{
		Name: "tandem", Version: build.Version(), HideHelpCommand: true, UseShortOptionHandling: false,
		Usage: "two directory synchronizations over one Active Directory and one Entra tenant, and staged moves between them",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "config", Usage: "`FILE`, default $TANDEM_CONFIG, then ./tandem.yaml, then /etc/tandem/tandem.yaml"},
			&cli.StringFlag{Name: "state", Usage: "state folder `DIR`, instead of the configuration's"},
			&cli.StringFlag{Name: "output", Usage: "table or json", Value: "table"},
			&cli.StringFlag{Name: "log-level", Usage: "debug, info, warn or error", Value: "warn"},
			&cli.StringFlag{Name: "log-format", Usage: "of the log on standard error: text or json", Value: "text"},
			&cli.BoolFlag{Name: "no-progress", Usage: "no progress on standard error"},
		},
		Commands: []*cli.Command{
			demoCommand(), labCommand(), checkCommand(), assessCommand(), statusCommand(), policyCommand(), importCommand(), explainCommand(), planCommand(), reportCommand(),
			applyCommand(), migrateCommand(), waveCommand(), syncCommand(), diffCommand(), objectCommand(), leftOutCommand(), heldCommand(), stopCommand(), startCommand(),
			errorsCommand(), historyCommand(), restoreCommand(), engineCommand(), agentCommand(), auditCommand(), stateCommand(), takeoverCommand(), serveCommand(),
			benchCommand(), versionCommand(), passwordCommand(), mappingCommand(), serviceCommand(), notifyCommand(),
		},
		Before:         checkGlobals,
		Action:         noSuchCommand,
		ExitErrHandler: func(*cli.Context, error) {},
		OnUsageError:   usageError,
		Writer:         os.Stdout, ErrWriter: os.Stderr,
	}
	app.Commands = append(app.Commands, shell.Commands(func(format string, args ...any) error { return api.Usage(format, args...) }, manualSections()...)...)
	strict(app.Commands)
	return app
}

// strict makes every wrong flag an error of kind usage, and every group refuse words that it does not know. Help lists by name.
func strict(cs []*cli.Command) {
	slices.SortFunc(cs, func(a, b *cli.Command) int { return strings.Compare(a.Name, b.Name) })
	for _, c := range cs {
		sort.Sort(cli.FlagsByName(c.Flags))
		c.OnUsageError, c.HideHelpCommand = usageError, true
		if len(c.Subcommands) > 0 {
			c.Action = noSuchCommand
		}
		strict(c.Subcommands)
	}
}

func usageError(c *cli.Context, err error, _ bool) error {
	e := api.Usage("%s", strings.TrimSpace(err.Error()))
	e.Hint = hintFor(c)
	return e
}

func hintFor(c *cli.Context) string {
	if c.Command == nil || c.Command.Name == "" || c.Command.Name == c.App.Name {
		return "tandem --help"
	}
	return commandName(c) + " --help"
}

// commandName is what a person types for a command, such as "tandem wave show".
func commandName(c *cli.Context) string { return c.Command.HelpName }

// noSuchCommand answers a group of commands without one of its words.
func noSuchCommand(c *cli.Context) error {
	if !c.Args().Present() {
		return errors.Join(cli.ShowSubcommandHelp(c), nil)
	}
	e := api.Usage("there is no command %q", strings.Join(c.Args().Slice(), " "))
	e.Hint = "tandem --help"
	return e
}

func checkGlobals(c *cli.Context) error {
	if o := c.String("output"); o != "table" && o != "json" {
		return api.Usage("--output %q is neither table nor json", o)
	}
	var l slog.Level
	if err := l.UnmarshalText([]byte(c.String("log-level"))); err != nil {
		return api.Usage("--log-level %q is none of debug, info, warn, error", c.String("log-level"))
	}
	if f := c.String("log-format"); f != "text" && f != "json" {
		return api.Usage("--log-format %q is neither text nor json", f)
	}
	collect(c.Args().First())
	return nil
}

// arguments checks how many arguments a command got.
func arguments(c *cli.Context, names ...string) error {
	if n := c.Args().Len(); n != len(names) {
		e := api.Usage("%s takes %s; got %s", commandName(c), wanted(names), scoping.Many(n, "argument", "arguments"))
		e.Hint = commandName(c) + " --help"
		return e
	}
	return nil
}

func wanted(names []string) string {
	if len(names) == 0 {
		return "no arguments"
	}
	return strings.Join(names, " ")
}

// options are what the global flags say.
func options(c *cli.Context) api.Options {
	var l slog.Level
	_ = l.UnmarshalText([]byte(c.String("log-level"))) // was checked
	logger := slog.New(newLogHandler(os.Stderr, c.String("log-format"), l))
	warn := func(m string) { complain("warning: "+m, "") }
	if c.String("log-format") == "json" {
		warn = func(m string) { logger.Warn(m) }
	}
	return api.Options{Config: c.String("config"), State: c.String("state"), Command: commandName(c), Logger: logger, Warn: warn}
}

// newLogHandler writes the log: a line an entry, as text or as JSON. Keeping and rotating it is the system's.
func newLogHandler(w io.Writer, format string, level slog.Level) slog.Handler {
	o := &slog.HandlerOptions{Level: level}
	if format == "json" {
		return slog.NewJSONHandler(w, o)
	}
	return slog.NewTextHandler(w, o)
}

// request is one command on its way: what is asked, and how the answer is shown.
type request struct {
	command string
	body    any
	view    func(io.Writer, json.RawMessage) error
	item    func(io.Writer, json.RawMessage) error // of commands that give many
	glance  bool                                   // it only looks at what is stored
}

// ask sends a command to whoever holds the state and shows the answer.
func ask(c *cli.Context, r request) error {
	var out json.RawMessage
	to := options(c)
	to.Glance = r.glance
	o, err := streamTo(c, to, r.command, r.body, &out, func(b json.RawMessage) error { return show(c, b, r.item) })
	if err != nil {
		return err
	}
	if r.item == nil {
		if err := show(c, out, r.view); err != nil {
			return err
		}
	}
	return end(o, nil)
}

// call sends a command whose answer is not shown as it is.
func call(c *cli.Context, command string, body, out any) (api.Outcome, error) {
	return stream(c, command, body, out, nil)
}

func stream(c *cli.Context, command string, body, out any, item func(json.RawMessage) error) (o api.Outcome, err error) {
	return streamTo(c, options(c), command, body, out, item)
}

func streamTo(c *cli.Context, to api.Options, command string, body, out any, item func(json.RawMessage) error) (o api.Outcome, err error) {
	noteInterrupt("stopping at the next durable step; Ctrl-C again leaves at once")
	err = api.Do(c.Context, to, func(s *api.Session) error {
		if !c.Bool("no-progress") {
			d := newDisplay()
			s.Progress = d.show
			defer d.clear()
		}
		var err error
		o, err = s.Stream(c.Context, command, body, out, item)
		return err
	})
	return o, err
}

// printResult prints a result that this process made.
func printResult[V any](c *cli.Context, v V, f func(io.Writer, V)) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encoding the result: %w", err)
	}
	return show(c, b, view(f))
}

// show prints a result: as JSON, or as its view.
func show(c *cli.Context, b json.RawMessage, view func(io.Writer, json.RawMessage) error) error {
	if c.String("output") == "json" {
		_, err := fmt.Fprintf(os.Stdout, "%s\n", b)
		return err
	}
	return showTable(os.Stdout, b, view)
}

// showTable prints a result's view.
func showTable(w io.Writer, b json.RawMessage, view func(io.Writer, json.RawMessage) error) error {
	b, err := visibleResult(b)
	if err != nil {
		return err
	}
	return view(w, b)
}

// view makes a view of a function that takes the decoded result.
func view[V any](f func(io.Writer, V)) func(io.Writer, json.RawMessage) error {
	return func(w io.Writer, b json.RawMessage) error {
		var v V
		if err := json.Unmarshal(b, &v); err != nil {
			return fmt.Errorf("the answer is not understood: %w", err)
		}
		f(w, v)
		return nil
	}
}
