package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/tandem-sync/tandem/cmd/build"
	"github.com/tandem-sync/tandem/cmd/service"
	"github.com/tandem-sync/tandem/cmd/shell"
	"github.com/tandem-sync/tandem/plugins/cloudsync/agent"
	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/plugins/directory/rights"
)

// serviceName is the name of the agent's service and of its user. One host has one installed agent; more are run by hand or by services of one's own.
const serviceName = "tandem-agent"

// usageError is wrong usage: exit code 2.
type usageError struct{ error }

func codeOf(err error) int {
	var usage usageError
	// The flag library has no exported kind for a required flag that is missing.
	if errors.Is(err, agent.ErrRemoved) {
		return exitRemoved
	}
	if errors.As(err, &usage) || strings.HasPrefix(err.Error(), "Required flag") {
		return exitUsage
	}
	return exitFailed
}

func app(stdout, stderr io.Writer) *cli.App {
	dir := &cli.StringFlag{Name: "dir", Usage: "folder of the agent's `DIR`", Value: defaultDir()}
	root := &cli.PathFlag{Name: "root", Usage: "the system below `DIR`, such as an image, instead of the one that runs (systemd)"}
	a := &cli.App{
		Name: "tandem-agent", Usage: "the lightweight agent of Tandem's cloudsync engine", Version: build.Version(),
		Writer: stdout, ErrWriter: stderr, HideHelpCommand: false, ExitErrHandler: func(*cli.Context, error) {},
		OnUsageError: func(_ *cli.Context, err error, _ bool) error { return usageError{err} },
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				return usageError{fmt.Errorf("no command %q: there are enroll, run, install, uninstall, version, completion", c.Args().First())}
			}
			return cli.ShowAppHelp(c)
		},
		Commands: []*cli.Command{
			{Name: "enroll", Usage: "trade a one-time token for this agent's identity", Action: enroll, OnUsageError: wrongUsage, Flags: append([]cli.Flag{
				&cli.StringFlag{Name: "server", Usage: "`HOST:PORT` of the service", Required: true},
				&cli.StringFlag{Name: "token", Usage: "what tandem agent invite printed; everybody on this machine sees it here"},
				&cli.PathFlag{Name: "token-file", Usage: "`FILE` with it instead, - for standard input"},
				&cli.StringSliceFlag{Name: "directory-url", Usage: "`URL` of a domain controller, such as ldaps://dc1.contoso.test; may be repeated", Required: true},
				&cli.StringFlag{Name: "directory-base", Usage: "`DN` of the domain", Required: true},
				&cli.StringFlag{Name: "bind-user", Usage: "account that reads the directory", Required: true},
				&cli.PathFlag{Name: "bind-password-file", Usage: "`FILE` with its password", Required: true},
				&cli.PathFlag{Name: "directory-ca", Usage: "PEM `FILE` with the CA of the domain controllers' certificates"},
				&cli.BoolFlag{Name: "directory-insecure", Usage: "do not verify the domain controllers' certificates"},
				&cli.BoolFlag{Name: "force", Usage: "replace an agent that is enrolled in DIR"},
				dir}, accountFlags()...)},
			{Name: "run", Usage: "serve until interrupted", Action: run, OnUsageError: wrongUsage, Flags: []cli.Flag{dir,
				&cli.StringFlag{Name: "log-level", Usage: "debug, info, warn or error", Value: "info"},
				&cli.StringFlag{Name: "log-format", Usage: "text or json", Value: "text"}}},
			{Name: "install", Usage: "run as a service of the operating system (systemd, Windows), with an account of its own", Action: install, OnUsageError: wrongUsage, Flags: []cli.Flag{dir, root,
				&cli.BoolFlag{Name: "print", Usage: "print the service, and change nothing"},
				&cli.PathFlag{Name: "program", Usage: "`PATH` of the program, instead of this one's", Hidden: true}}},
			{Name: "uninstall", Usage: "stop and remove that service; the agent's folder stays", Action: uninstall, OnUsageError: wrongUsage, Flags: []cli.Flag{dir, root}},
			{Name: "version", Usage: "what this program was built of", OnUsageError: wrongUsage, Flags: []cli.Flag{&cli.StringFlag{Name: "output", Usage: "table or json", Value: "table"}}, Action: showVersion},
		},
	}
	a.Commands = append(a.Commands, shell.Commands(func(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }, manualSections()...)...)
	return a
}

func showVersion(c *cli.Context) error {
	switch c.String("output") {
	case "json":
		return json.NewEncoder(c.App.Writer).Encode(build.Of())
	case "table":
		_, err := io.WriteString(c.App.Writer, build.Of().Text(c.App.Name))
		return err
	}
	return usageError{fmt.Errorf("--output %q is neither table nor json", c.String("output"))}
}

func wrongUsage(_ *cli.Context, err error, _ bool) error { return usageError{err} }

// defaultDir is where an agent lives when nobody says otherwise.
func defaultDir() string {
	if runtime.GOOS == "windows" {
		return filepath.Join(os.Getenv("ProgramData"), "Tandem", "agent")
	}
	return "/var/lib/tandem-agent"
}

func enroll(c *cli.Context) error {
	if c.Args().Present() {
		return usageError{fmt.Errorf("what is %q for? enroll takes flags alone", c.Args().First())}
	}
	if _, _, err := net.SplitHostPort(c.String("server")); err != nil {
		return usageError{fmt.Errorf("--server %q is not HOST:PORT", c.String("server"))}
	}
	dir := c.String("dir")
	if err := agent.Vacant(dir, c.Bool("force")); err != nil {
		return err
	}
	token, err := tokenOf(c)
	if err != nil {
		return err
	}
	connection, err := connectionOf(c)
	if err != nil {
		return err
	}
	accounts, err := accountsOf(c)
	if err != nil {
		return err
	}
	// The directory is tried before the token is used up.
	session, err := directory.Dial(c.Context, connection)
	if err != nil {
		return err
	}
	controller := session.Controller().URL
	lacks, err := agent.Lacks(c.Context, session, time.Now())
	if err == nil {
		show(c, rights.Bind(c.Context, session, connection.User))
	}
	session.Close()
	if err != nil {
		return fmt.Errorf("look at the rights of %s: %w", connection.User, err)
	}
	if lacks != "" {
		fmt.Fprintf(c.App.ErrWriter, "warning: %s\n", lacks)
	}
	if err := tryAccounts(c, connection, accounts); err != nil {
		return err
	}
	id, err := agent.Enroll(c.Context, c.String("server"), token, connection)
	if err != nil {
		return err
	}
	id.Accounts = accounts
	if err := errors.Join(agent.Save(dir, id), service.Keep(dir)); err != nil {
		return err
	}
	fmt.Fprintf(c.App.Writer, "enrolled as %s (group %s) for %s, reading %s\nstart it with: tandem-agent run --dir %s\n", id.Agent, id.Group,
		connection.Base, controller, dir)
	return nil
}

func connectionOf(c *cli.Context) (directory.Connection, error) {
	password, err := secretFile(c, "bind-password-file")
	if err != nil {
		return directory.Connection{}, err
	}
	out := directory.Connection{Name: c.String("directory-base"), URLs: c.StringSlice("directory-url"), Base: c.String("directory-base"),
		User: c.String("bind-user"), Password: strings.TrimRight(string(password), "\r\n"), Insecure: c.Bool("directory-insecure")}
	if out.Insecure {
		fmt.Fprintln(c.App.ErrWriter, "warning: the domain controllers' certificates are not verified (--directory-insecure)")
	}
	if ca := c.Path("directory-ca"); ca != "" {
		if out.CA, err = os.ReadFile(ca); err != nil {
			return out, usageError{fmt.Errorf("--directory-ca: %w", err)}
		}
	}
	return out, nil
}

func run(c *cli.Context) error {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.String("log-level"))); err != nil {
		return usageError{fmt.Errorf("--log-level: %w", err)}
	}
	dir := c.String("dir")
	id, err := agent.Load(dir)
	if err != nil {
		return err
	}
	format, err := logFormat(c.String("log-format"), level)
	if err != nil {
		return err
	}
	handler, end, err := journal(c.App.ErrWriter, format)
	if err != nil {
		return err
	}
	log := slog.New(handler).With("agent", id.Agent)
	if id.Connection.Insecure {
		log.Warn("the domain controllers' certificates are not verified")
	}
	err = managed(c.Context, func(ctx context.Context) error {
		return agent.Run(ctx, id, agent.Options{Logger: log, Save: func(next agent.Identity) error { return agent.Save(dir, next) }})
	})
	return errors.Join(err, end())
}

// logFormat makes the handlers of a format. Keeping and rotating what they write is the system's.
func logFormat(name string, level slog.Level) (func(io.Writer) slog.Handler, error) {
	o := &slog.HandlerOptions{Level: level}
	switch name {
	case "text":
		return func(w io.Writer) slog.Handler { return slog.NewTextHandler(w, o) }, nil
	case "json":
		return func(w io.Writer) slog.Handler { return slog.NewJSONHandler(w, o) }, nil
	}
	return nil, usageError{fmt.Errorf("--log-format %q is neither text nor json", name)}
}
