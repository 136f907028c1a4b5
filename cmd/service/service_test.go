package service_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tandem-sync/tandem/cmd/service"
)

// exposed is the most that `systemd-analyze security` may say of a unit, from 0 to 10.
const exposed = 3.0

func daemon() service.Unit {
	return service.Unit{Name: "tandem", Description: "Tandem", Manual: "tandem(1)", Program: "/bin/true", Args: []string{"serve"}, User: "tandem", State: "tandem",
		Notifies: true, Watchdog: 3 * time.Minute, Reloads: true, Stops: time.Minute, Final: []int{2}, Peers: true}
}

func agent() service.Unit {
	return service.Unit{Name: "tandem-agent", Description: "Tandem agent", Manual: "tandem-agent(1)", Program: "/bin/true", Args: []string{"run", "--dir", "/var/lib/tandem-agent"},
		User: "tandem-agent", State: "tandem-agent", Stops: 30 * time.Second, Final: []int{5}}
}

// analyze runs systemd-analyze over a unit in a file.
func analyze(t *testing.T, u service.Unit, verb ...string) string {
	t.Helper()
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Fatal("systemd-analyze is needed: .ci/needs installs it")
	}
	path := filepath.Join(t.TempDir(), u.Name+".service")
	if err := os.WriteFile(path, []byte(u.Text()), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("systemd-analyze", append(verb, path)...).CombinedOutput()
	if err != nil {
		t.Fatalf("systemd-analyze %v: %v: %s\n%s", verb, err, out, u.Text())
	}
	return string(out)
}

func TestUnitsAreHardened(t *testing.T) {
	for _, u := range []service.Unit{daemon(), agent()} {
		out := analyze(t, u, "security", "--offline=true", "--no-pager")
		m := regexp.MustCompile(`exposure level for \S+: ([0-9.]+)`).FindStringSubmatch(out)
		if m == nil {
			t.Fatalf("no exposure level in:\n%s", out)
		}
		level, err := strconv.ParseFloat(m[1], 64)
		if err != nil || level > exposed {
			t.Errorf("%s is exposed by %s, at most %.1f is wanted:\n%s", u.Name, m[1], exposed, out)
		}
		t.Logf("%s: exposure level %s", u.Name, m[1])
	}
}

// What systemd understands of a unit is what was meant, whatever stands in paths.
func TestUnitsAreUnderstood(t *testing.T) {
	odd := filepath.Join(t.TempDir(), `100% $HOME "odd" \ name`)
	if err := os.Mkdir(odd, 0o755); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(t.TempDir(), "a program")
	if err := os.WriteFile(program, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	u := daemon()
	u.Program, u.Writable, u.Args = program, []string{odd, "/srv/tandem"}, []string{"--config", odd + "/tandem.yaml", "serve"}
	for _, x := range []service.Unit{daemon(), agent(), u} {
		if out := analyze(t, x, "verify", "--man=no"); strings.Contains(out, x.Name) {
			t.Errorf("systemd does not understand the unit:\n%s\n%s", out, x.Text())
		}
	}
	for _, want := range []string{`ReadWritePaths="` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "%", "%%").Replace(odd) + `" /srv/tandem`, `%% $$HOME \"odd\" \\ name/tandem.yaml" serve`} {
		if !strings.Contains(u.Text(), want) {
			t.Errorf("%s is missing in:\n%s", want, u.Text())
		}
	}
}

// What lies in a home can be read there: a service that sees no homes would not start.
func TestHomesAreSeenWhereTheyAreNeeded(t *testing.T) {
	u := daemon()
	if !strings.Contains(u.Text(), "ProtectHome=yes") {
		t.Error("a service that needs nothing of homes sees them")
	}
	for _, at := range []func(*service.Unit){
		func(u *service.Unit) { u.Program = "/home/ann/tandem" }, func(u *service.Unit) { u.Writable = []string{"/root/state"} }, func(u *service.Unit) { u.Reads = []string{"/home/ann/tandem.yaml"} },
	} {
		u := daemon()
		if at(&u); !strings.Contains(u.Text(), "ProtectHome=read-only") {
			t.Errorf("homes are hidden from a service that needs them:\n%s", u.Text())
		}
	}
}

// A unit is installed into an image with its user, found there, and removed.
func TestInstallingBelowARoot(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("users are made by root")
	}
	root := t.TempDir()
	for _, d := range []string{"etc", "usr/lib", "var/lib"} {
		if err := os.MkdirAll(filepath.Join(root, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	h, u := service.Host{Root: root}, daemon()
	if err := h.Uninstall(t.Context(), "tandem"); err == nil || !strings.Contains(err.Error(), "not installed") {
		t.Errorf("removing what is not there: %v", err)
	}
	got, err := h.Install(t.Context(), u)
	if err != nil {
		t.Fatal(err)
	}
	if got.Packaged || got.Started || got.Unit != filepath.Join(root, "etc/systemd/system/tandem.service") {
		t.Errorf("installed %+v", got)
	}
	passwd, err := os.ReadFile(filepath.Join(root, "etc/passwd"))
	if err != nil || !regexp.MustCompile(`(?m)^tandem:.*:/var/lib/tandem:`).Match(passwd) {
		t.Errorf("the user was not made: %v\n%s", err, passwd)
	}
	wants := filepath.Join(root, "etc/systemd/system/multi-user.target.wants/tandem.service")
	if _, err := os.Lstat(wants); err != nil {
		t.Errorf("it does not begin with the system: %v", err)
	}
	if s, err := h.State(t.Context(), "tandem"); err != nil || !s.Installed || s.Unit != got.Unit {
		t.Errorf("state %+v, %v", s, err)
	}
	if err := h.Uninstall(t.Context(), "tandem"); err != nil {
		t.Fatal(err)
	}
	for _, gone := range []string{wants, got.Unit} {
		if _, err := os.Lstat(gone); err == nil {
			t.Errorf("%s is still there", gone)
		}
	}
	// A package's unit is used as it is.
	packaged := filepath.Join(root, "usr/lib/systemd/system/tandem.service")
	if err := os.MkdirAll(filepath.Dir(packaged), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(packaged, []byte("# of the package\n"+u.Text()), 0o644); err != nil {
		t.Fatal(err)
	}
	if got, err := h.Install(t.Context(), u); err != nil || !got.Packaged || got.Unit != packaged {
		t.Errorf("installed %+v, %v", got, err)
	}
	if err := h.Uninstall(t.Context(), "tandem"); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(packaged); err != nil {
		t.Errorf("the package's unit was taken away: %v", err)
	}
}
