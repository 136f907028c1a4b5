package service

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// Folders of unit files: those of the administrator and those of packages (systemd.unit(5)).
const (
	ownUnits     = "/etc/systemd/system"
	packageUnits = "/usr/lib/systemd/system"
)

// Host is where units are installed: the running system, or one below a folder, such as an image that is being made.
type Host struct {
	Root string // "" is the running system
}

// ErrNoSystemd means that the running system is not run by systemd.
var ErrNoSystemd = errors.New("systemd does not run here")

// ErrNotInstalled means that there is no such unit.
var ErrNotInstalled = errors.New("the service is not installed")

// Installed says what Install found and made.
type Installed struct {
	Unit     string `json:"unit"`     // path of the unit file
	Packaged bool   `json:"packaged"` // it is a package's, and was left as it is
	User     string `json:"user"`
	Started  bool   `json:"started"`
}

// Install makes the user, writes the unit unless a package brought one, and lets it begin with the system. On the running system it starts it, too.
func (h Host) Install(ctx context.Context, u Unit) (Installed, error) {
	out := Installed{User: u.User}
	if err := h.check(); err != nil {
		return out, err
	}
	if err := h.makeUser(ctx, u); err != nil {
		return out, err
	}
	out.Unit, out.Packaged = h.find(packageUnits, u.Name)
	if !out.Packaged {
		out.Unit = h.path(ownUnits, u.Name)
		if err := os.MkdirAll(filepath.Dir(out.Unit), 0o755); err != nil {
			return out, fmt.Errorf("install the service: %w", err)
		}
		if err := os.WriteFile(out.Unit, []byte(u.Text()), 0o644); err != nil {
			return out, fmt.Errorf("install the service: %w", err)
		}
	}
	if h.Root != "" {
		_, err := h.systemctl(ctx, "enable", u.Name+".service")
		return out, err
	}
	if _, err := h.systemctl(ctx, "daemon-reload"); err != nil {
		return out, err
	}
	_, err := h.systemctl(ctx, "enable", "--now", u.Name+".service")
	out.Started = err == nil
	return out, err
}

// Prepare makes the user of a unit, and the folder that it writes in the user's own.
func (h Host) Prepare(ctx context.Context, u Unit, dir string) error {
	if err := h.check(); err != nil {
		return err
	}
	if err := h.makeUser(ctx, u); err != nil {
		return err
	}
	return Give(dir, u.User)
}

// Uninstall stops the service and removes the unit that Install wrote; a package's is only disabled. User and state stay. ErrNotInstalled if there is none.
func (h Host) Uninstall(ctx context.Context, name string) error {
	if err := h.check(); err != nil {
		return err
	}
	own, is := h.find(ownUnits, name)
	if _, packaged := h.find(packageUnits, name); !is && !packaged {
		return fmt.Errorf("%s.service: %w", name, ErrNotInstalled)
	}
	stop := []string{"disable", "--now", name + ".service"}
	if h.Root != "" {
		stop = []string{"disable", name + ".service"}
	}
	if _, err := h.systemctl(ctx, stop...); err != nil {
		return err
	}
	if !is {
		return nil
	}
	if err := os.Remove(own); err != nil {
		return fmt.Errorf("uninstall the service: %w", err)
	}
	if h.Root != "" {
		return nil
	}
	_, err := h.systemctl(ctx, "daemon-reload")
	return err
}

// State is a service as systemd sees it.
type State struct {
	Installed bool   `json:"installed"`
	Unit      string `json:"unit,omitempty"`   // path of the unit file
	Enabled   string `json:"enabled"`          // systemd's word: enabled, disabled, …
	Active    string `json:"active"`           // systemd's word: active, activating, failed, inactive, …; "unknown" where systemd does not run
	Sub       string `json:"sub,omitempty"`    // in more detail
	PID       string `json:"pid,omitempty"`    // of the main process
	Since     string `json:"since,omitempty"`  // of the state
	User      string `json:"user,omitempty"`   // that it runs as
	Result    string `json:"result,omitempty"` // of the last run
	Restarts  string `json:"restarts,omitempty"`
	Says      string `json:"says,omitempty"` // what the service says of itself
}

// State asks systemd about a service. Below a root, and where systemd does not run, only the files are looked at.
func (h Host) State(ctx context.Context, name string) (State, error) {
	out := State{Active: "unknown", Enabled: "unknown"}
	for _, dir := range []string{ownUnits, packageUnits} {
		if p, is := h.find(dir, name); is && !out.Installed {
			out.Installed, out.Unit = true, p
		}
	}
	if h.check() != nil || h.Root != "" {
		return out, nil
	}
	text, err := h.systemctl(ctx, "show", name+".service", "--property=LoadState,FragmentPath,UnitFileState,ActiveState,SubState,MainPID,StateChangeTimestamp,User,Result,NRestarts,StatusText")
	if err != nil {
		return out, err
	}
	p := properties(text)
	out.Installed = p["LoadState"] != "not-found"
	out.Enabled, out.Active, out.Sub, out.Since = p["UnitFileState"], p["ActiveState"], p["SubState"], p["StateChangeTimestamp"]
	out.User, out.Result, out.Restarts, out.Says = p["User"], p["Result"], p["NRestarts"], p["StatusText"]
	if p["FragmentPath"] != "" {
		out.Unit = p["FragmentPath"]
	}
	if p["MainPID"] != "0" {
		out.PID = p["MainPID"]
	}
	return out, nil
}

// properties reads what systemctl show prints.
func properties(text string) map[string]string {
	out := map[string]string{}
	for line := range strings.Lines(text) {
		if k, v, ok := strings.Cut(strings.TrimRight(line, "\n"), "="); ok {
			out[k] = v
		}
	}
	return out
}

// check refuses where there is no systemd to ask.
func (h Host) check() error {
	if runtime.GOOS != "linux" {
		return ErrNoSystemd
	}
	if h.Root != "" {
		if i, err := os.Stat(h.Root); err != nil || !i.IsDir() {
			return fmt.Errorf("--root %s is no folder", h.Root)
		}
		return nil
	}
	if _, err := os.Stat("/run/systemd/system"); err != nil { // sd_booted(3)
		return ErrNoSystemd
	}
	if os.Geteuid() != 0 {
		return errors.New("root is needed to change the system's services")
	}
	return nil
}

func (h Host) path(dir, name string) string { return filepath.Join(h.Root, dir, name+".service") }

// find returns the path of a unit file, and whether it is there.
func (h Host) find(dir, name string) (string, bool) {
	p := h.path(dir, name)
	_, err := os.Lstat(p)
	return p, !errors.Is(err, fs.ErrNotExist)
}

// Account is the line of sysusers.d(5) that makes the user of a unit.
func (u Unit) Account() string {
	return fmt.Sprintf("u %s - %q /var/lib/%s", u.User, u.Description, u.State)
}

// makeUser makes the user of a unit with its group, unless they are there.
func (h Host) makeUser(ctx context.Context, u Unit) error {
	args := []string{"--inline", u.Account()}
	if h.Root != "" {
		args = append([]string{"--root=" + h.Root}, args...)
	}
	if _, err := command(ctx, "systemd-sysusers", args...); err != nil {
		return fmt.Errorf("make the user %s: %w", u.User, err)
	}
	return nil
}

func (h Host) systemctl(ctx context.Context, args ...string) (string, error) {
	if h.Root != "" {
		args = append([]string{"--root=" + h.Root}, args...)
	}
	return command(ctx, "systemctl", args...)
}

func command(ctx context.Context, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(said.String()))
	}
	return out.String(), nil
}
