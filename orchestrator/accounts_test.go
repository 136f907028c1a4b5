package orchestrator_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tandem-sync/tandem/examples/lab/delegation"
	"github.com/tandem-sync/tandem/orchestrator"
	"github.com/tandem-sync/tandem/plugins/directory/rights"
)

// file is a tandem.yaml; %s are the keys of its directory from line 9 on, and those of its only engine from the line after "engines".
const file = `version: 1
state: ./state
directories:
  - name: contoso
    url: ldaps://dc1.contoso.test
    base: DC=contoso,DC=test
    bind: {user: svc, passwordFile: p}
    tls: {%s}
%s
tenant: {tenantId: t, clientId: c, clientSecretFile: s}
engines:
  - name: acme
    kind: %s
%s
`

func TestEachMistakeOfAnAccountIsToldWithItsPlace(t *testing.T) {
	const external = "external\n    command: [/opt/acme]\n    sha256: 9f"
	for name, c := range map[string]struct{ tls, directory, kind, engine, want string }{
		"nothing wrong":           {"caFile: ca", "    replicate: {user: a, passwordFile: p, port: 135}\n    reset: {user: b, passwordEnv: E, under: ['OU=Sales,DC=contoso,DC=test']}\n    provision: {user: c, passwordFile: p}", "connect", "", ""},
		"no user":                 {"", "    reset: {passwordFile: p}", "connect", "", "9:5: directory contoso: reset: give user, and exactly one of passwordFile and passwordEnv"},
		"no password":             {"", "    replicate: {user: a}", "connect", "", "9:5: directory contoso: replicate: give user, and exactly one"},
		"two passwords":           {"", "\n    provision: {user: a, passwordFile: p, passwordEnv: E}", "connect", "", "10:5: directory contoso: provision: give user, and exactly one"},
		"nothing":                 {"", "    reset:", "connect", "", "9:5: directory contoso: reset: give user"},
		"unknown key":             {"", "    reset: {user: a, passwordFile: p, undr: x}", "connect", "", "unknown key \"undr\" (did you mean \"under\"?)"},
		"a port of a reset":       {"", "    reset:\n      user: a\n      passwordFile: p\n      port: 135", "connect", "", "12:7: directory contoso: reset.port is for replicate only"},
		"no port":                 {"", "    replicate: {user: a, passwordFile: p, port: 70000}", "connect", "", "replicate.port: 70000 is no TCP port"},
		"replication of an OU":    {"", "    replicate: {user: a, passwordFile: p, under: ['OU=Sales,DC=contoso,DC=test']}", "connect", "", "replicate.under: the right to read password hashes is the whole domain's"},
		"a place that is none":    {"", "    reset: {user: a, passwordFile: p, under: [Sales]}", "connect", "", "directory contoso: reset.under:"},
		"a place elsewhere":       {"", "    reset: {user: a, passwordFile: p, under: ['OU=Sales,DC=fabrikam,DC=test']}", "connect", "", "does not lie in \"DC=contoso,DC=test\""},
		"an unverified directory": {"insecureSkipVerify: true", "    reset: {user: a, passwordFile: p}", "connect", "", "9:5: directory contoso: reset needs a controller whose certificate is verified"},
		"accounts of a built-in":  {"", "", "connect", "    accounts: [replicate]", "accounts is for kind external"},
		"accounts of an external": {"", "", external, "    accounts: [replicate, reset]", ""},
		"an unknown purpose":      {"", "", external, "    accounts: [replicate, everything]", "engine acme: accounts: \"everything\" is not one of replicate, reset, provision"},
	} {
		_, err := orchestrator.ParseConfig("tandem.yaml", fmt.Appendf(nil, file, c.tls, c.directory, c.kind, c.engine))
		var wrong *orchestrator.ConfigError
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case c.want != "" && (!errors.As(err, &wrong) || len(wrong.Mistakes) != 1 || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
}

// service adds an account without rights and returns its SID.
func (w *world) service(name string) []byte {
	w.t.Helper()
	_, sid, err := delegation.Account(w.conn, "CN=Users,"+w.site.base, name, w.site.password)
	w.must(err)
	return sid
}

// checked are the findings of the accounts, as NAME CODE SEVERITY.
func (w *world) checked() (out []string, all []orchestrator.Finding) {
	w.t.Helper()
	all = w.tandem.Check(w.t.Context())
	for _, f := range all {
		if f.Code != "" {
			out = append(out, strings.TrimPrefix(f.Name, "directory contoso ")+" "+f.Code+" "+f.Severity)
		}
	}
	return out, all
}

func TestCheckNamesWhatEachAccountLacksAndWhatItMayTooMuch(t *testing.T) {
	sites(t, func(t *testing.T, s site) {
		w := newWorld(t, s, 20)
		hash, reset := w.service("svc-hash"), w.service("svc-reset")
		w.close()
		w.more = fmt.Sprintf("    replicate: {user: svc-hash@%s, passwordFile: ./ad-password, port: %d}\n    reset: {user: svc-reset@%s, passwordFile: ./ad-password, under: ['OU=Sales,%s']}\n",
			s.domain, max(s.replication, 1), s.domain, s.base)
		w.write()
		w.open()
		got, all := w.checked()
		for _, want := range []string{"reset missing-right failure", "replicate " + map[bool]string{true: "missing-right failure", false: "drs-ports failure"}[s.replication != 0]} {
			if !slices.Contains(got, want) {
				t.Errorf("%q is not in %v", want, got)
			}
		}
		for _, right := range []string{rights.ResetPassword, rights.PwdLastSet, rights.LockoutTime} {
			if !slices.ContainsFunc(all, func(f orchestrator.Finding) bool {
				return strings.Contains(f.Message, right) && strings.Contains(f.Hint, "dsacls") && strings.Contains(f.Hint, "samba-tool dsacl set") && !f.OK
			}) {
				t.Errorf("%s is not named: %+v", right, all)
			}
		}
		if notes := w.tandem.TierZero(nil); len(notes) != 1 || !strings.Contains(notes[0], "tier 0") {
			t.Errorf("%v", notes)
		}
		for _, e := range delegation.Reset {
			w.must(delegation.Grant(w.conn, "OU=Sales,"+s.base, reset, e))
		}
		for _, e := range delegation.Replicate {
			w.must(delegation.Grant(w.conn, s.base, hash, e))
		}
		got, _ = w.checked()
		if !slices.Contains(got, "reset ready ok") || s.replication != 0 && (!slices.Contains(got, "replicate ready ok") || !slices.Contains(got, "replicate tier-0 note")) {
			t.Errorf("granted: %v", got)
		}
		if told := slices.Contains(got, "reset history-not-enforced warning"); told != (s.replication != 0) {
			t.Errorf("history: %v", got)
		}
		w.must(delegation.Grant(w.conn, "CN=Users,"+s.base, reset, delegation.Entry{Mask: delegation.CreateChild}))
		if got, _ = w.checked(); !slices.Contains(got, "reset writes-outside failure") {
			t.Errorf("too much: %v", got)
		}
	})
}

func TestAReadingAccountThatMayReadHashesIsAWarning(t *testing.T) {
	s := embeddedSite(t)
	s.reader = s.admin
	w := newWorld(t, s, 5)
	if got, _ := w.checked(); !slices.Equal(got, []string{"deleted objects unproven note", "bind reads-passwords warning"}) {
		t.Errorf("%v", got)
	}
}

func TestHostsOfAgentsThatHoldHashesAreTierZero(t *testing.T) {
	w := newWorld(t, embeddedSite(t), 5)
	notes := w.tandem.TierZero(map[string]map[string]string{"cloudsync": {"holds.replicate.a1": "dc2", "holds.replicate.a2": "dc2", "holds.reset.a3": "dc3"}})
	if len(notes) != 1 || !strings.HasPrefix(notes[0], "agent host dc2 ") {
		t.Errorf("%v", notes)
	}
}
