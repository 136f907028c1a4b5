package orchestrator

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/plugins/directory/rights"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/plugins/secret"
	"github.com/tandem-sync/tandem/scoping"
)

// AccountConfig is an account of a directory for one purpose, beside `bind`.
type AccountConfig struct {
	User         string   `yaml:"user"`         // as UPN, DOMAIN\name or DN; needed
	PasswordFile string   `yaml:"passwordFile"` // a file with the password and nothing else; this or passwordEnv
	PasswordEnv  string   `yaml:"passwordEnv"`  // an environment variable with the password
	Port         int      `yaml:"port"`         // of `replicate`: the controllers' TCP port for replication; 0: their endpoint mapper tells
	Under        []string `yaml:"under"`        // of the others: the containers in which it may write; none: `reset` the whole directory, `provision` is not said
}

// account returns the account of a purpose; nil: there is none.
func (d *DirectoryConfig) account(p scoping.Purpose) *AccountConfig {
	switch p {
	case scoping.Replicate:
		return d.Replicate
	case scoping.Reset:
		return d.Reset
	case scoping.Provision:
		return d.Provision
	}
	return nil
}

// problems notes every mistake of an account. at names the directory.
func (a *AccountConfig) problems(p scoping.Purpose, at string, d *DirectoryConfig, bad placer) {
	if a.User == "" || (a.PasswordFile == "") == (a.PasswordEnv == "") {
		bad("", "%s: %s: give user, and exactly one of passwordFile and passwordEnv", at, p)
	}
	if p != scoping.Replicate && a.Port != 0 {
		bad("port", "%s: %s.port is for replicate only", at, p)
	} else if a.Port < 0 || a.Port > 65535 {
		bad("port", "%s: %s.port: %d is no TCP port", at, p, a.Port)
	}
	if p == scoping.Replicate && len(a.Under) > 0 {
		bad("under", "%s: replicate.under: the right to read password hashes is the whole domain's", at)
		return
	}
	base, baseErr := scoping.ParseDN(d.Base)
	for _, dn := range a.Under {
		parsed, err := scoping.ParseDN(dn)
		switch {
		case err != nil:
			bad("under", "%s: %s.under: %v", at, p, err)
		case baseErr == nil && !base.AncestorOf(parsed, false):
			bad("under", "%s: %s.under: %q does not lie in %q", at, p, dn, d.Base)
		}
	}
	if d.TLS.InsecureSkipVerify && p != scoping.Provision {
		bad("", "%s: %s needs a controller whose certificate is verified, since passwords go to it or come from it: name the CA with tls.caFile instead of tls.insecureSkipVerify", at, p)
	}
}

// accounts reads the secrets of a directory's accounts.
func (c *Config) accounts(d DirectoryConfig, getenv func(string) string) (map[scoping.Purpose]engine.Account, error) {
	var out map[scoping.Purpose]engine.Account
	for _, p := range scoping.Purposes() {
		a := d.account(p)
		if a == nil {
			continue
		}
		password, err := c.secret(fmt.Sprintf("password of the account %s of directory %s", p, d.Name), a.PasswordFile, a.PasswordEnv, getenv)
		if err != nil {
			return nil, err
		}
		if out == nil {
			out = map[scoping.Purpose]engine.Account{}
		}
		out[p] = engine.Account{User: a.User, Password: secret.Take([]byte(password)), Port: a.Port, Under: a.Under}
	}
	return out, nil
}

// accountsOf returns the purposes of the accounts that an engine may have. An engine of a built-in kind may have all, and gets those for which it has features; an external
// engine gets only those that tandem.yaml names.
func accountsOf(e EngineConfig) []scoping.Purpose {
	switch e.Kind {
	case KindConnect, KindCloudSync:
		return scoping.Purposes()
	case KindExternal:
		return e.Accounts
	}
	return nil
}

// accountProblems notes mistakes of engines[].accounts.
func (e *EngineConfig) accountProblems(at string, bad placer) {
	if len(e.Accounts) > 0 && e.Kind != KindExternal {
		bad("accounts", "%s: accounts is for kind external; a built-in engine gets the accounts of the features that it has", at)
	}
	for _, p := range e.Accounts {
		if !slices.Contains(scoping.Purposes(), p) {
			bad("accounts", "%s: accounts: %q is not one of replicate, reset, provision", at, p)
		}
	}
}

// accountPatience bounds the check of one account.
const accountPatience = time.Minute

// checkAccounts checks the rights of a directory's accounts, except the one that reads.
func (x *Orchestrator) checkAccounts(ctx context.Context, c directory.Connection, accounts map[scoping.Purpose]engine.Account) []Finding {
	var out []Finding
	for _, p := range scoping.Purposes() {
		a, there := accounts[p]
		if !there {
			continue
		}
		timed, cancel := context.WithTimeoutCause(ctx, accountPatience, directory.ErrTimeout)
		out = append(out, findings("directory "+c.Name+" "+string(p), rights.Of(timed, p, c, directory.Account(a)))...)
		cancel()
	}
	return out
}

// findings converts findings about an account to lines of `tandem check`.
func findings(name string, found []rights.Finding) []Finding {
	var out []Finding
	for _, f := range found {
		out = append(out, Finding{Name: name, Code: f.Code, OK: f.Level != rights.Failure, Severity: string(f.Level), Message: f.Text, Hint: f.Hint})
	}
	return out
}

// TierZero returns a sentence for each machine that has an account which reads all password hashes: this one, and the machines of agents, which engines name in the details of
// their health.
func (x *Orchestrator) TierZero(details map[string]map[string]string) []string {
	const advice = " holds an account that reads every password hash: it is tier 0, and as valuable as a domain controller"
	var out []string
	for _, d := range x.config.Directories {
		if d.Replicate != nil {
			out = append(out, "this host"+advice+" of directory "+d.Name)
		}
	}
	hosts := map[string]bool{}
	for _, of := range details {
		for key, host := range of {
			if host != "" && strings.HasPrefix(key, engine.HoldsKey(scoping.Replicate)) {
				hosts["agent host "+host+advice] = true
			}
		}
	}
	for s := range hosts {
		out = append(out, s)
	}
	slices.Sort(out[len(out)-len(hosts):])
	return out
}
