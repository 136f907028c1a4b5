package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/user"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"github.com/tandem-sync/tandem/orchestrator/api"
	"github.com/tandem-sync/tandem/scoping"
)

func stateCommand() *cli.Command {
	return &cli.Command{Name: "state", Usage: "backup, restore and check of the state folder", Subcommands: []*cli.Command{
		{Name: "backup", Usage: "write a backup, also while the state is in use", ArgsUsage: "FILE",
			Flags: []cli.Flag{&cli.BoolFlag{Name: "force", Usage: "replace FILE if it is there"}}, Action: backupState},
		{Name: "restore", Usage: "a backup into an empty state folder; nothing is written to the tenant until --activate", ArgsUsage: "FILE",
			Flags: []cli.Flag{&cli.BoolFlag{Name: "activate", Usage: "let a restored state write again, once a full run of each engine was seen"}, &cli.StringFlag{Name: "reason", Usage: "why, for the journal"},
				&cli.BoolFlag{Name: "force", Usage: "put aside what the state folder holds"}},
			Action: restoreState},
		{Name: "check", Usage: "read everything; exit 4 when something is wrong", Action: checkState},
		{Name: "rebuild-index", Usage: "drop what can be read again from directory, tenant and journal", Action: rebuildIndex},
	}}
}

func backupState(c *cli.Context) error {
	if err := arguments(c, "FILE"); err != nil {
		return err
	}
	f, err := filepath.Abs(c.Args().First())
	if err != nil {
		return fmt.Errorf("the backup's file: %w", err)
	}
	if _, err := os.Lstat(f); err == nil && !c.Bool("force") {
		e := api.Usage("%s is there already", f)
		e.Hint = "name another file, or replace it with --force"
		return e
	}
	var b api.Backup
	var o api.Outcome
	err = makeFile(f, func(w io.Writer) error {
		var err error
		o, err = stream(c, "state/backup", api.None{}, &b, func(item json.RawMessage) error {
			var p api.BackupPart
			if err := json.Unmarshal(item, &p); err != nil {
				return fmt.Errorf("a part of the backup: %w", err)
			}
			_, err := w.Write(p.Data)
			return err
		})
		return err
	})
	if err != nil {
		return err
	}
	b.File = f
	err = printResult(c, b, func(w io.Writer, b api.Backup) {
		fmt.Fprintf(w, "%s: %s, %d bytes\n", b.File, scoping.Many(b.Files, "file", "files"), b.Bytes)
	})
	return end(o, err)
}

func restoreState(c *cli.Context) error {
	if c.Bool("activate") {
		if err := arguments(c); err != nil {
			return err
		}
		return ask(c, request{command: "state/activate", body: api.ActivateRequest{Reason: c.String("reason")}, view: view(func(w io.Writer, _ api.None) { fmt.Fprintln(w, "in force") })})
	}
	if err := arguments(c, "FILE"); err != nil {
		return err
	}
	dir, err := api.StateDir(options(c))
	if err != nil {
		return err
	}
	by := fmt.Sprintf("uid %d", os.Getuid())
	if u, err := user.Current(); err == nil {
		by = u.Username + " (" + by + ")"
	}
	r, err := api.RestoreState(c.Context, dir, c.Args().First(), c.Bool("force"), by)
	if err != nil {
		return err
	}
	return printResult(c, r, func(w io.Writer, r api.Restored) {
		if r.Aside != "" {
			fmt.Fprintf(w, "what the folder held lies in %s now; %s\n", r.Aside, r.Since)
		}
		fmt.Fprintf(w, "restored into %s; it writes nothing yet: run every engine with --profile full, look at what it would write, then tandem state restore --activate\n", r.State)
	})
}

func checkState(c *cli.Context) error {
	if err := arguments(c); err != nil {
		return err
	}
	dir, err := api.StateDir(options(c))
	if err != nil {
		return err
	}
	p, o, err := api.CheckState(c.Context, dir)
	if err != nil && api.AsError(err).Kind == api.KindHeld { // whoever holds it checks what it can beside its work
		return ask(c, request{command: "state/check", body: api.None{}, view: view(showProblems)})
	}
	if err != nil {
		return err
	}
	return end(o, printResult(c, p, showProblems))
}

func showProblems(w io.Writer, p api.Problems) {
	for _, x := range p.Problems {
		fmt.Fprintf(w, "%s: %s\n  → %s\n", x.File, x.Problem, x.Next)
	}
	if len(p.Problems) == 0 {
		fmt.Fprintf(w, "%s is whole\n", p.State)
	}
}

func rebuildIndex(c *cli.Context) error {
	if err := arguments(c); err != nil {
		return err
	}
	dir, err := api.StateDir(options(c))
	if err != nil {
		return err
	}
	dropped, err := api.RebuildIndex(dir, "tandem state rebuild-index")
	if err != nil {
		return err
	}
	return printResult(c, map[string][]string{"dropped": dropped}, func(w io.Writer, m map[string][]string) {
		fmt.Fprintf(w, "dropped %v: the next command reads them anew; engines read everything with `tandem sync ENGINE --profile full`\n", m["dropped"])
	})
}

func serveCommand() *cli.Command {
	return &cli.Command{Name: "serve", Usage: "the daemon: schedules, notifications, and the local socket",
		Flags: []cli.Flag{&cli.StringFlag{Name: "listen", Usage: "serve /metrics, /healthz and /readyz on `HOST:PORT` too; that takes `listen` in tandem.yaml"}},
		Action: func(c *cli.Context) error {
			if err := arguments(c); err != nil {
				return err
			}
			o := options(c)
			o.Listen = c.String("listen")
			o.Tell = teller(c, o.Logger)
			defer context.AfterFunc(c.Context, func() { o.Tell("ending after the step under way") })()
			return daemon(c.Context, o)
		}}
}
