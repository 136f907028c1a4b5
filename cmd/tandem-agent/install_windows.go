package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"github.com/tandem-sync/tandem/cmd/service"
	"github.com/tandem-sync/tandem/plugins/cloudsync/agent"
)

func install(c *cli.Context) error {
	dir, err := filepath.Abs(c.String("dir"))
	if err != nil {
		return err
	}
	program, err := os.Executable()
	if err != nil {
		return err
	}
	w := service.WindowsService{Name: serviceName, DisplayName: "Tandem agent", Description: "The lightweight agent of Tandem's cloudsync engine: it reads the directory for it.",
		Program: program, Args: []string{"run", "--dir", dir}, Folder: dir}
	if c.Bool("print") {
		fmt.Fprintf(c.App.Writer, "%+v\n", w)
		return nil
	}
	if _, err := agent.Load(dir); err != nil {
		return err
	}
	if err := w.Install(); err != nil {
		return err
	}
	fmt.Fprintf(c.App.Writer, "installed and started service %s, which runs as NT SERVICE\\%s; only that account, SYSTEM and the administrators see %s\n", serviceName, serviceName, dir)
	return nil
}

func uninstall(c *cli.Context) error {
	if err := service.UninstallWindows(c.Context, serviceName); err != nil {
		return err
	}
	fmt.Fprintf(c.App.Writer, "removed service %s; the agent's identity is still in its folder\n", serviceName)
	return nil
}

// managed runs the agent as what the service manager wants it to be. An agent that was removed ends without a failure there: a failed service would be started again.
func managed(ctx context.Context, work func(context.Context) error) error {
	is, err := service.Managed()
	if err != nil || !is {
		return errors.Join(err, work(ctx))
	}
	return service.Run(serviceName, func(ctx context.Context) error {
		if err := work(ctx); !errors.Is(err, agent.ErrRemoved) {
			return err
		}
		return nil
	})
}
