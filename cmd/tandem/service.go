package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/tandem-sync/tandem/cmd/service"
	"github.com/tandem-sync/tandem/orchestrator/api"
)

// serviceName is the name of the service, of its user, and of its folder below /var/lib.
const serviceName = "tandem"

// serviceState is the state folder that systemd makes for the service.
const serviceState = "/var/lib/" + serviceName

// serviceConfig is the configuration of the service, unless --config names another.
const serviceConfig = "/etc/tandem/tandem.yaml"

func serviceCommand() *cli.Command {
	root := &cli.PathFlag{Name: "root", Usage: "the system below `DIR`, such as an image, instead of the one that runs"}
	return &cli.Command{Name: "service", Usage: "tandem serve as a service of the operating system (systemd), with a user of its own", Subcommands: []*cli.Command{
		{Name: "install", Usage: "make user and unit, and start it; what --config and --state say counts for the service", Flags: []cli.Flag{root,
			&cli.BoolFlag{Name: "print", Usage: "print the unit, and change nothing"},
			&cli.PathFlag{Name: "program", Usage: "`PATH` of the program, instead of this one's", Hidden: true}}, Action: installService},
		{Name: "uninstall", Usage: "stop it and remove the unit; configuration, state and user stay", Flags: []cli.Flag{root}, Action: uninstallService},
		{Name: "status", Usage: "the service as systemd sees it; tandem status tells what it does", Flags: []cli.Flag{root}, Action: serviceStatus},
	}}
}

// serviceUnit is the unit for what the global flags say. With printed, a configuration that is not there yet is no mistake.
func serviceUnit(c *cli.Context, printed bool) (u service.Unit, stateDir string, err error) {
	config, err := filepath.Abs(cmp.Or(c.String("config"), os.Getenv("TANDEM_CONFIG"), serviceConfig))
	if err != nil {
		return u, "", fmt.Errorf("the configuration's path: %w", err)
	}
	o := options(c)
	o.Config = config
	stateDir = serviceState
	program := c.Path("program")
	if _, missing := os.Stat(config); !printed || (missing == nil && program == "") || o.State != "" {
		if stateDir, err = api.StateDir(o); err != nil {
			return u, "", err
		}
	}
	if stateDir, err = filepath.Abs(stateDir); err != nil {
		return u, "", fmt.Errorf("the state folder's path: %w", err)
	}
	if program == "" {
		if program, err = os.Executable(); err != nil {
			return u, "", fmt.Errorf("the program's path: %w", err)
		}
	}
	u = service.Unit{Name: serviceName, Description: "Tandem directory synchronization", Manual: "tandem(1)", Program: program,
		Args: []string{"--config", config, "--log-level", "info"}, User: serviceName, State: serviceName, Reads: []string{config},
		Notifies: true, Watchdog: 3 * time.Minute, Reloads: true, Stops: time.Minute, Final: []int{api.ExitUsage}, Peers: true}
	if o.State != "" {
		u.Args = append(u.Args, "--state", stateDir)
	}
	u.Args = append(u.Args, "serve")
	if stateDir != serviceState {
		u.Writable = []string{stateDir}
	}
	return u, stateDir, nil
}

func installService(c *cli.Context) error {
	if err := arguments(c); err != nil {
		return err
	}
	u, stateDir, err := serviceUnit(c, c.Bool("print"))
	if err != nil {
		return err
	}
	if c.Bool("print") {
		_, err := io.WriteString(os.Stdout, u.Text())
		return err
	}
	h := service.Host{Root: c.Path("root")}
	if h.Root == "" { // systemd makes only its own folder, and a state that a person began belongs to that person
		if err := h.Prepare(c.Context, u, stateDir); err != nil {
			return serviceError(err)
		}
	}
	done, err := h.Install(c.Context, u)
	if err != nil {
		return serviceError(err)
	}
	return printResult(c, done, func(w io.Writer, i service.Installed) {
		if i.Packaged {
			fmt.Fprintf(w, "the package's unit %s is used as it is\n", i.Unit)
		} else {
			fmt.Fprintf(w, "%s installed\n", i.Unit)
		}
		if !i.Started {
			fmt.Fprintf(w, "it begins with the system, as user %s\n", i.User)
			return
		}
		fmt.Fprintf(w, "started as user %s, which has to be able to read the configuration and the files that it names\ntandem service status and journalctl --unit %s tell how it goes\n", i.User, serviceName)
	})
}

func uninstallService(c *cli.Context) error {
	if err := arguments(c); err != nil {
		return err
	}
	if err := (service.Host{Root: c.Path("root")}).Uninstall(c.Context, serviceName); err != nil {
		return serviceError(err)
	}
	return printResult(c, map[string]string{"uninstalled": serviceName}, func(w io.Writer, _ map[string]string) {
		fmt.Fprintln(w, "uninstalled; configuration, state and the user tandem are as they were")
	})
}

func serviceStatus(c *cli.Context) error {
	if err := arguments(c); err != nil {
		return err
	}
	s, err := service.Host{Root: c.Path("root")}.State(c.Context, serviceName)
	if err != nil {
		return err
	}
	return printResult(c, s, func(w io.Writer, s service.State) {
		if !s.Installed {
			fmt.Fprintln(w, "not installed: tandem service install")
			return
		}
		fmt.Fprintf(w, "unit        %s, %s\nstate       %s", s.Unit, cmp.Or(s.Enabled, "unknown"), s.Active)
		for _, more := range [][2]string{{" (%s)", s.Sub}, {" since %s", s.Since}, {", process %s", s.PID}, {", %s restarts", s.Restarts}} {
			if more[1] != "" {
				fmt.Fprintf(w, more[0], more[1])
			}
		}
		fmt.Fprintln(w)
		if s.Says != "" {
			fmt.Fprintln(w, "says        "+s.Says)
		}
	})
}

// serviceError adds what can be done where systemd does not run.
func serviceError(err error) error {
	if errors.Is(err, service.ErrNoSystemd) {
		e := api.Unavailable("installing a service", "let your service manager run `tandem serve`; --print shows the unit for systemd, --root DIR installs it into an image")
		e.Message = "installing a service: " + err.Error()
		return e
	}
	return err
}
