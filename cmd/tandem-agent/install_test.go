//go:build linux

package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// runs carries out a command of the program.
func runs(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	err := app(&out, &out).RunContext(t.Context(), append([]string{"tandem-agent"}, args...))
	return out.String(), err
}

func TestTheServiceOfAnAgentIsShownAndHardened(t *testing.T) {
	text, err := runs(t, "install", "--print", "--dir", "/srv/agent")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"User=tandem-agent\n", "ReadWritePaths=/srv/agent\n", " run --dir /srv/agent\n", "RestartPreventExitStatus=2 5\n", "PrivateUsers=yes\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in:\n%s", want, text)
		}
	}
	file := filepath.Join(t.TempDir(), "tandem-agent.service")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold=30", file).CombinedOutput(); err != nil {
		t.Errorf("systemd-analyze (package systemd, see .ci/needs): %v\n%s", err, out)
	}
}

func TestAnAgentIsInstalledIntoAnImage(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("users are made by root")
	}
	root := t.TempDir()
	for _, d := range []string{"etc", "usr/lib", "var/lib"} {
		if err := os.MkdirAll(filepath.Join(root, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := runs(t, "install", "--root", root, "--program", "/usr/bin/tandem-agent"); err != nil || !strings.Contains(out, "runs as user tandem-agent") {
		t.Fatalf("%v: %s", err, out)
	}
	text, err := os.ReadFile(filepath.Join(root, "etc/systemd/system/tandem-agent.service"))
	if err != nil || !bytes.Contains(text, []byte("ExecStart=/usr/bin/tandem-agent run")) {
		t.Errorf("%v:\n%s", err, text)
	}
	if _, err := runs(t, "uninstall", "--root", root); err != nil {
		t.Error(err)
	}
	if _, err := runs(t, "uninstall", "--root", root); err == nil || !strings.Contains(err.Error(), "not installed") {
		t.Errorf("a second time: %v", err)
	}
}

func TestAWrongFormatOfTheLogIsWrongUse(t *testing.T) {
	if _, err := logFormat("xml", 0); err == nil || codeOf(err) != exitUsage {
		t.Errorf("exit code %d for %v", codeOf(err), err)
	}
}
