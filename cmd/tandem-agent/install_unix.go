//go:build !windows

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/tandem-sync/tandem/cmd/service"
	"github.com/tandem-sync/tandem/plugins/cloudsync/agent"
)

// unit is the service of an agent. It needs nothing but its folder and the network. An agent that a person removed ends for good, and its service with it.
func unit(program, dir string) service.Unit {
	u := service.Unit{Name: serviceName, Description: "Tandem agent", Manual: "tandem-agent(1)", Program: program, Args: []string{"run", "--dir", dir},
		User: serviceName, State: serviceName, Stops: 30 * time.Second, Final: []int{exitUsage, exitRemoved}}
	if dir != defaultDir() {
		u.Writable = []string{dir}
	}
	return u
}

func install(c *cli.Context) error {
	dir, err := filepath.Abs(c.String("dir"))
	if err != nil {
		return err
	}
	program := c.Path("program")
	if program == "" {
		if program, err = os.Executable(); err != nil {
			return err
		}
	}
	u := unit(program, dir)
	if c.Bool("print") {
		_, err := fmt.Fprint(c.App.Writer, u.Text())
		return err
	}
	h := service.Host{Root: c.Path("root")}
	if h.Root == "" {
		if _, err := agent.Load(dir); err != nil {
			return err
		}
		if err := h.Prepare(c.Context, u, dir); err != nil {
			return advised(err)
		}
	}
	done, err := h.Install(c.Context, u)
	if err != nil {
		return advised(err)
	}
	what := "installed"
	if done.Started {
		what = "installed and started"
	}
	fmt.Fprintf(c.App.Writer, "%s %s.service (%s), which runs as user %s\n", what, serviceName, done.Unit, done.User)
	return nil
}

func uninstall(c *cli.Context) error {
	if err := (service.Host{Root: c.Path("root")}).Uninstall(c.Context, serviceName); err != nil {
		return advised(err)
	}
	fmt.Fprintf(c.App.Writer, "removed %s.service; the agent's identity is still in its folder\n", serviceName)
	return nil
}

// advised adds what can be done where this program does not know how to make a service.
func advised(err error) error {
	if errors.Is(err, service.ErrNoSystemd) {
		return fmt.Errorf("%w: have your service manager run \"tandem-agent run --dir DIR\"; --print shows the unit for systemd", err)
	}
	return err
}

// managed runs the agent; systemd needs nothing else.
func managed(ctx context.Context, work func(context.Context) error) error { return work(ctx) }
