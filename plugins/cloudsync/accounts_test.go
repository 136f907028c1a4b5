package cloudsync_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	lab "github.com/tandem-sync/tandem/examples/lab/directory"
	"github.com/tandem-sync/tandem/plugins/cloudsync"
	"github.com/tandem-sync/tandem/plugins/cloudsync/agent"
	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/plugins/secret"
	"github.com/tandem-sync/tandem/plugins/secret/secrettest"
	"github.com/tandem-sync/tandem/scoping"
)

const resetPassword = "Reset-Passw0rd!"

// resetter adds an account that has no rights yet, and the file with its password.
func (w *world) resetter() (user, file string) {
	w.t.Helper()
	dn := w.addUser("Engineering", "svc-reset")
	check(w.t, w.model.SetPassword(dn, resetPassword))
	file = filepath.Join(w.t.TempDir(), "reset")
	check(w.t, os.WriteFile(file, []byte(resetPassword+"\r\n"), 0o600))
	return dn, file
}

// lacking are parts of what is said of an account that may not reset passwords.
var lacking = []string{"lacks \"Reset Password\" (00299570-246d-11d0-a768-00aa006e0529) on users under OU=Sales,", "lacks \"pwdLastSet\"", "lacks \"lockoutTime\"", "dsacls \"OU=Sales,", "samba-tool dsacl set"}

func TestAnAgentKeepsTheAccountsOfItsPurposesAndTellsWhatTheyLack(t *testing.T) {
	w := newWorld(t, 3, cloudsync.Options{}, noEmbedded)
	user, file := w.resetter()
	dir, out, err := w.enrolProcess("--reset-user", user, "--reset-password-file", file, "--reset-under", w.dn("OU=Sales"))
	if err != nil {
		t.Fatalf("enrolment: %v\n%s", err, out)
	}
	for _, part := range lacking {
		if !strings.Contains(out, part) {
			t.Errorf("enrolment does not say %q:\n%s", part, out)
		}
	}
	secrettest.Absent(t, []byte(out), []byte(resetPassword))
	about, err := os.ReadFile(filepath.Join(dir, "agent.json"))
	check(t, err)
	secrettest.Absent(t, about, []byte(resetPassword))
	info, err := os.Stat(filepath.Join(dir, "password-reset"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	id, err := agent.Load(dir)
	check(t, err)
	a := id.Accounts[scoping.Reset]
	if len(id.Accounts) != 1 || a.User != user || len(a.Under) != 1 || a.Under[0] != w.dn("OU=Sales") || !a.Password.Equal(secret.Take([]byte(resetPassword))) {
		t.Errorf("%+v", id.Accounts)
	}
	p := w.startProcess(dir)
	w.waitAgents(1)
	h := w.waitHealth(func(h engine.Health) bool { return h.OK && strings.Contains(h.Message, "lacks \"Reset Password\"") })
	for _, part := range append(lacking, "reset: ") {
		if !strings.Contains(h.Message, part) {
			t.Errorf("health does not say %q: %s", part, h.Message)
		}
	}
	for _, a := range answer[[]cloudsync.AgentInfo](w, "agents", nil) {
		if a.Live && (len(a.Purposes) != 1 || a.Purposes[0] != "reset" || h.Details["holds.reset."+a.ID] != a.Host) {
			t.Errorf("%+v\n%v", a, h.Details)
		}
	}
	p.kill()
	secrettest.Absent(t, p.err.Bytes(), []byte(resetPassword))
}

// As with the account that reads: what cannot sign in ends the enrolment, before the token is used up.
func TestAnAccountThatCannotSignInEndsTheEnrolment(t *testing.T) {
	w := newWorld(t, 1, cloudsync.Options{}, noEmbedded)
	user, file := w.resetter()
	check(t, os.WriteFile(file, []byte("Wrong-Passw0rd!"), 0o600))
	for purpose, hint := range map[string]string{"reset": "reset.user", "provision": "provision.user", "replicate": "replicate.user"} {
		dir, out, err := w.enrolProcess("--"+purpose+"-user", user, "--"+purpose+"-password-file", file)
		if err == nil || !strings.Contains(out, "--"+purpose+"-user") || !strings.Contains(out, "refused the sign-in of "+user) || strings.Contains(out, "bind.user") {
			t.Errorf("%s (%s): %v\n%s", purpose, hint, err, out)
		}
		secrettest.Absent(t, []byte(out), []byte("Wrong-Passw0rd!"))
		if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the folder is there: %v", err)
		}
	}
}

func TestAccountsThatAreHalfGivenAreWrongUsage(t *testing.T) {
	w := newWorld(t, 1, cloudsync.Options{}, noEmbedded)
	user, file := w.resetter()
	for name, flags := range map[string][]string{
		"no file":       {"--reset-user", user},
		"no user":       {"--provision-password-file", file},
		"absent file":   {"--replicate-user", user, "--replicate-password-file", file + "-none"},
		"port alone":    {"--replicate-port", "135"},
		"no port":       {"--replicate-user", user, "--replicate-password-file", file, "--replicate-port", "70000"},
		"a place alone": {"--reset-under", "OU=x"},
	} {
		_, out, err := w.enrolProcess(flags...)
		if code := exitCode(err); code != 2 {
			t.Errorf("%s: exit code %d\n%s", name, code, out)
		}
	}
}

func exitCode(err error) int {
	var exit interface{ ExitCode() int }
	if errors.As(err, &exit) {
		return exit.ExitCode()
	}
	return -1
}

func TestAnAgentThatIsReplacedLeavesNoPasswordsOfTheOneBefore(t *testing.T) {
	w := newWorld(t, 1, cloudsync.Options{}, noEmbedded)
	id, dir := w.enrol(), t.TempDir()
	id.Accounts = map[scoping.Purpose]directory.Account{
		scoping.Replicate: {User: "hash", Password: secret.Take([]byte("Hash-Passw0rd!")), Port: 5135},
		scoping.Provision: {User: "prov", Password: secret.Take([]byte("Prov-Passw0rd!")), Under: []string{"OU=a,DC=b"}},
	}
	check(t, agent.Save(dir, id))
	got, err := agent.Load(dir)
	check(t, err)
	if a := got.Accounts[scoping.Replicate]; len(got.Accounts) != 2 || a.Port != 5135 || !a.Password.Equal(id.Accounts[scoping.Replicate].Password) || got.Accounts[scoping.Provision].Under[0] != "OU=a,DC=b" {
		t.Errorf("%+v", got.Accounts)
	}
	delete(id.Accounts, scoping.Replicate)
	check(t, agent.Save(dir, id))
	if _, err := os.Stat(filepath.Join(dir, "password-replicate")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the password is still there: %v", err)
	}
	if got, err = agent.Load(dir); err != nil || len(got.Accounts) != 1 {
		t.Errorf("%+v, %v", got.Accounts, err)
	}
}

func TestEmbeddedAgentsHaveTheAccountsOfTheConfiguration(t *testing.T) {
	w := newWorld(t, 1, cloudsync.Options{}, noEmbedded)
	user, _ := w.resetter()
	w.config.Directories[0].Accounts = map[scoping.Purpose]engine.Account{scoping.Reset: {User: user, Password: secret.Take([]byte(resetPassword)), Under: []string{w.dn("OU=Sales")}}}
	w.config.Settings = []byte(embedded)
	check(t, w.engine.Configure(t.Context(), w.config))
	w.waitHealth(func(h engine.Health) bool { return h.OK && strings.Contains(h.Message, "lacks \"Reset Password\"") })
}

// Several agents may hold one account: were each to try a wrong password every few minutes, it would be locked out.
func TestAnAccountThatWasRefusedIsNotTriedAgainSoon(t *testing.T) {
	w := newWorld(t, 1, cloudsync.Options{}, noEmbedded)
	user, _ := w.resetter()
	check(t, w.model.Modify(w.model.Base(), lab.Change{Kind: lab.Replace, Attribute: "lockoutThreshold", Values: []string{"100"}}))
	id := w.enrol()
	id.Accounts = map[scoping.Purpose]directory.Account{scoping.Reset: {User: user, Password: secret.Take([]byte("Wrong-Passw0rd!"))}}
	var looks atomic.Int64
	enough := make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- agent.Run(ctx, id, agent.Options{Wait: func(ctx context.Context, d time.Duration) error {
			if d == 10*time.Minute { // how often rights are looked at while something is wrong with them
				n := looks.Add(1)
				if n < 20 {
					return nil
				}
				close(enough)
			}
			<-ctx.Done()
			return ctx.Err()
		}})
	}()
	<-enough
	cancel()
	check(t, <-ended)
	e, err := w.model.Lookup(user)
	check(t, err)
	if n := e.Attributes["badPwdCount"]; len(n) != 1 || n[0] != "1" {
		t.Errorf("%v wrong passwords after %d looks", n, looks.Load())
	}
}
