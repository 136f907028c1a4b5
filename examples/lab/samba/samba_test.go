//go:build linux

package samba_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"
	"github.com/tandem-sync/tandem/examples/lab/samba"
)

// TestMain lets the test binary be the runner that a test kills.
func TestMain(m *testing.M) {
	if dir := os.Getenv("TANDEM_TEST_RUNNER_DIR"); dir != "" {
		runUntilKilled(dir)
		return
	}
	os.Exit(m.Run())
}

func runUntilKilled(dir string) {
	dc, err := samba.Start(context.Background(), samba.Options{Dir: dir})
	if err != nil {
		fmt.Println("failed:", err)
		os.Exit(1)
	}
	fmt.Println("up:", dc.URL())
	<-dc.Done()
}

// needed fails where Samba cannot run; TANDEM_NO_SAMBA=1 leaves the test out on a developer's machine, never where CI=true.
func needed(t *testing.T) bool {
	t.Helper()
	if samba.LeftOut() {
		t.Log("not checked: TANDEM_NO_SAMBA=1")
		return false
	}
	if err := samba.Available(); err != nil {
		t.Fatalf("%v\n(set TANDEM_NO_SAMBA=1 to leave Samba out)", err)
	}
	return true
}

func launch(t *testing.T, o samba.Options) *samba.DC {
	t.Helper()
	dc, err := samba.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := dc.Stop(); err != nil {
			t.Error(err)
		}
	})
	return dc
}

func bind(t *testing.T, dc *samba.DC, user, password string) *ldap.Conn {
	t.Helper()
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(dc.CAPEM())
	conn, err := ldap.DialURL(dc.URL(), ldap.DialWithTLSConfig(&tls.Config{RootCAs: pool}))
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.Bind(user, password); err != nil {
		t.Fatal(err)
	}
	return conn
}

// processesOf counts the processes that work in a folder, whatever they call it in their mount namespace.
func processesOf(t *testing.T, dir string) int {
	t.Helper()
	want, err := os.Stat(dir)
	if err != nil {
		t.Fatal(err)
	}
	places, err := filepath.Glob("/proc/[0-9]*/cwd")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, p := range places {
		// A process that ends meanwhile has no folder any more.
		if got, err := os.Stat(p); err == nil && os.SameFile(got, want) {
			n++
		}
	}
	return n
}

func TestTwoDomainsRunSideBySideAndLeaveNothing(t *testing.T) {
	if !needed(t) {
		return
	}
	a, b := t.TempDir(), t.TempDir()
	first := launch(t, samba.Options{Dir: a})
	second := launch(t, samba.Options{Dir: b, Domain: "fabrikam.example", AdminPassword: "Other-Passw0rd!"})
	for _, dc := range []*samba.DC{first, second} {
		for _, user := range []string{dc.AdminUser(), dc.ReadOnlyUser()} {
			conn := bind(t, dc, user, dc.AdminPassword())
			res, err := conn.Search(ldap.NewSearchRequest("", 0, 0, 0, 0, false, "(objectClass=*)", []string{"defaultNamingContext"}, nil))
			if err != nil || res.Entries[0].GetAttributeValue("defaultNamingContext") != dc.Base() {
				t.Errorf("%s: %v, %v", dc.Domain(), res, err)
			}
			if err := conn.Close(); err != nil {
				t.Error(err)
			}
		}
	}
	if rpc, err := first.Dial(135); err != nil {
		t.Errorf("the RPC endpoint mapper: %v", err)
	} else if err := rpc.Close(); err != nil {
		t.Error(err)
	}
	if processesOf(t, a) == 0 {
		t.Fatal("the count of processes does not work")
	}
	if err := errors.Join(first.Stop(), second.Stop(), second.Stop()); err != nil {
		t.Error(err)
	}
	if n := processesOf(t, a) + processesOf(t, b); n != 0 {
		t.Errorf("%d processes are left", n)
	}
	if _, err := first.Dial(636); err == nil {
		t.Error("a stopped domain controller takes a connection")
	}
}

func TestAKilledRunnerLeavesNothingAndItsDomainStartsAgain(t *testing.T) {
	if !needed(t) {
		return
	}
	dir := t.TempDir()
	runner := exec.Command(os.Args[0])
	runner.Env = append(os.Environ(), "TANDEM_TEST_RUNNER_DIR="+dir)
	out, err := runner.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := runner.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "up:") {
		t.Fatalf("the runner says %q, %v", line, err)
	}
	if err := runner.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := runner.Wait(); err == nil {
		t.Error("the runner was not killed")
	}
	awaitNone(t, dir)
	dc := launch(t, samba.Options{Dir: dir})
	if err := bind(t, dc, dc.AdminUser(), dc.AdminPassword()).Close(); err != nil {
		t.Error(err)
	}
}

// awaitNone polls, since nobody tells of the end of another's processes.
func awaitNone(t *testing.T, dir string) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(5 * time.Second)
	for processesOf(t, dir) > 0 {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("%d processes outlive their runner", processesOf(t, dir))
		}
	}
}

func TestAStartThatIsCancelledLeavesNothing(t *testing.T) {
	if !needed(t) {
		return
	}
	dir := t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if dc, err := samba.Start(ctx, samba.Options{Dir: dir}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, %v", dc, err)
	}
	awaitNone(t, dir)
}

func TestABadDomainIsRefused(t *testing.T) {
	if !needed(t) {
		return
	}
	if _, err := samba.Start(t.Context(), samba.Options{Dir: t.TempDir(), Domain: "nodots"}); err == nil {
		t.Error("a domain of one label is accepted")
	}
}
