package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"

	"github.com/urfave/cli/v2"

	"github.com/tandem-sync/tandem/plugins/cloudsync/agent"
)

// unitPath is where the unit of the service lies. One host has one installed agent; more are run by hand or by units of one's own.
const unitPath = "/etc/systemd/system/tandem-agent.service"

// unit gives the systemd unit. The agent needs nothing but its folder and the network. An agent that a person removed ends for good, and
// its unit with it.
func unit(program, dir string) string {
	return fmt.Sprintf(`[Unit]
Description=Tandem agent
Wants=network-online.target
After=network-online.target

[Service]
ExecStart=%q run --dir %q
Restart=on-failure
RestartSec=5
RestartPreventExitStatus=%d
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=read-only
PrivateTmp=yes
ReadWritePaths=%q

[Install]
WantedBy=multi-user.target
`, program, dir, exitRemoved, dir)
}

func install(c *cli.Context) error {
	if err := hasSystemd(); err != nil {
		return err
	}
	dir, err := filepath.Abs(c.String("dir"))
	if err != nil {
		return err
	}
	if _, err := agent.Load(dir); err != nil {
		return err
	}
	program, err := os.Executable()
	if err != nil {
		return err
	}
	if err := os.WriteFile(unitPath, []byte(unit(program, dir)), 0o644); err != nil {
		return fmt.Errorf("install the service (root is needed): %w", err)
	}
	if err := systemctl(c.Context, "daemon-reload"); err != nil {
		return err
	}
	if err := systemctl(c.Context, "enable", "--now", "tandem-agent.service"); err != nil {
		return err
	}
	fmt.Fprintln(c.App.Writer, "installed and started tandem-agent.service")
	return nil
}

func uninstall(c *cli.Context) error {
	if err := hasSystemd(); err != nil {
		return err
	}
	if _, err := os.Stat(unitPath); errors.Is(err, fs.ErrNotExist) {
		return errors.New("tandem-agent.service is not installed")
	}
	if err := systemctl(c.Context, "disable", "--now", "tandem-agent.service"); err != nil {
		return err
	}
	if err := os.Remove(unitPath); err != nil {
		return err
	}
	if err := systemctl(c.Context, "daemon-reload"); err != nil {
		return err
	}
	fmt.Fprintf(c.App.Writer, "removed tandem-agent.service; the agent's identity is still in its folder\n")
	return nil
}

// hasSystemd refuses where there is none: this program does not know how to make a service there.
func hasSystemd() error {
	if runtime.GOOS == "linux" {
		if _, err := os.Stat("/run/systemd/system"); err == nil {
			return nil
		}
	}
	return errors.New("install and uninstall need systemd, which does not run here: have your service manager run \"tandem-agent run --dir DIR\"")
}

func systemctl(ctx context.Context, args ...string) error {
	if out, err := exec.CommandContext(ctx, "systemctl", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("systemctl %v: %w: %s", args, err, out)
	}
	return nil
}
