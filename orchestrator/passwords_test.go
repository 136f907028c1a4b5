package orchestrator_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/tandem-sync/tandem/examples/lab/delegation"
	labdirectory "github.com/tandem-sync/tandem/examples/lab/directory"
	"github.com/tandem-sync/tandem/examples/lab/samba"
	"github.com/tandem-sync/tandem/examples/lab/tenant"
	"github.com/tandem-sync/tandem/orchestrator/alarm"
	"github.com/tandem-sync/tandem/orchestrator/run"
	"github.com/tandem-sync/tandem/orchestrator/wave"
	"github.com/tandem-sync/tandem/plugins/credential"
	"github.com/tandem-sync/tandem/plugins/secret"
	"github.com/tandem-sync/tandem/plugins/secret/secrettest"
)

const passwordPolicy = "version: 1\nfeatures: [users, groups, password-hash]\nassignments:\n  - {name: everything, under: %q, engine: connect, features: [users, groups, password-hash]}\n"

// withPasswords is a world over Samba in which passwords are handed over, with an account that has exactly the two rights for it.
func withPasswords(t *testing.T, s site) *world {
	w := emptyWorld(t, s)
	name := "svc-hash"
	_, sid, err := delegation.Account(w.conn, "CN=Users,"+s.base, name, "Replicating-Passw0rd!")
	w.must(err)
	w.must(delegation.Grant(w.conn, s.base, sid, delegation.Replicate["Replicating Directory Changes"], delegation.Replicate["Replicating Directory Changes All"]))
	w.file("hash-password", "Replicating-Passw0rd!\n")
	w.more = "    replicate: {user: " + name + "@" + s.domain + ", passwordFile: ./hash-password, port: " + strconv.Itoa(s.replication) + "}\n"
	for _, ou := range []string{"Sales", "Lab"} {
		w.add("OU="+ou+","+s.base, map[string][]string{"objectClass": {"organizationalUnit"}})
	}
	w.write()
	w.open()
	return w
}

// overSamba runs a story over Samba alone: the lab's own directory has no replication.
func overSamba(t *testing.T, f func(s site)) {
	if samba.LeftOut() {
		t.Log("not checked: TANDEM_NO_SAMBA=1")
		return
	}
	f(sambaSite(t))
}

func (w *world) importText(policy string) {
	w.t.Helper()
	if _, err := w.tandem.Host().Import(w.t.Context(), "policy.yaml", []byte(policy), "test"); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) rollback(x wave.Wave) {
	w.t.Helper()
	if _, err := w.tandem.Host().DecideWave(w.t.Context(), x.ID, wave.RollBack, "test", "because"); err != nil {
		w.t.Fatal(err)
	}
	if back, err := w.tandem.Host().Drive(w.t.Context(), x.ID); err != nil || back.State != wave.RolledBack {
		w.t.Fatalf("the rollback: %v %+v", err, back)
	}
}

// signsIn fails the test unless a person signs in to the tenant with a password, or is refused with a code.
func (w *world) signsIn(upn, password, code string) {
	w.t.Helper()
	_, err := w.model.SignIn(upn, secret.Take([]byte(password)))
	var refused *tenant.SignInError
	switch {
	case code == "" && err == nil:
	case code != "" && errors.As(err, &refused) && strings.Contains(err.Error(), code):
	default:
		w.t.Errorf("%s signs in with %q: %v, not %q", upn, password, err, code)
	}
}

// hands lets an engine hand passwords over and returns how many.
func (w *world) hands(name string) int {
	w.t.Helper()
	r, err := w.tandem.Host().Passwords(w.t.Context(), name, run.SyncOptions{})
	if err != nil || !r.Complete || r.Failed+r.Refused > 0 {
		w.t.Fatalf("passwords of %s: %v %+v", name, err, r)
	}
	return r.Applied
}

func (w *world) set(dn, password string) {
	w.t.Helper()
	w.modify(dn, "unicodePwd", labdirectory.EncodePassword(password))
}

func TestAPasswordFollowsItsUserThroughAWaveAndBack(t *testing.T) {
	overSamba(t, func(s site) {
		w := withPasswords(t, s)
		ann, annUPN := w.person("ann", "OU=Sales,"+s.base)
		ben, benUPN := w.person("ben", "OU=Lab,"+s.base)
		_ = ben
		w.importText(fmt.Sprintf(passwordPolicy, s.base))
		r, err := w.tandem.Host().SyncAll(t.Context(), "connect", run.SyncOptions{})
		if err != nil || !r.Complete || r.Failed > 0 {
			t.Fatalf("%v %+v", err, r)
		}
		w.signsIn(annUPN, "Some-Passw0rd!", "")
		w.signsIn(benUPN, "Some-Passw0rd!", "")
		w.signsIn(annUPN, "Wrong-Passw0rd!", "50126")
		if n := w.hands("connect"); n != 0 {
			t.Errorf("an idle cycle handed %d passwords over", n)
		}
		w.set(ann, "Second-Passw0rd!")
		if n := w.hands("connect"); n != 1 {
			t.Errorf("%d passwords handed over", n)
		}
		w.signsIn(annUPN, "Second-Passw0rd!", "")
		w.signsIn(annUPN, "Some-Passw0rd!", "50126")

		// The same password again, two resets with must change, and no must any more.
		w.set(ann, "Second-Passw0rd!")
		if n := w.hands("connect"); n != 1 {
			t.Errorf("the same password again: %d handed over", n)
		}
		for _, p := range []string{"Third-Passw0rd!", "Fourth-Passw0rd!"} {
			w.set(ann, p)
			w.modify(ann, "pwdLastSet", "0")
			if n := w.hands("connect"); n != 0 {
				t.Errorf("a temporary password: %d handed over", n)
			}
			w.signsIn(annUPN, "Second-Passw0rd!", "")
		}
		w.modify(ann, "pwdLastSet", "-1")
		if n := w.hands("connect"); n != 1 {
			t.Errorf("not temporary any more: %d handed over", n)
		}
		w.signsIn(annUPN, "Fourth-Passw0rd!", "")

		// A wave moves its user; a password set while it soaks, and one after the way back.
		x := w.migrate("OU=Sales,"+s.base, "cloudsync")
		w.signsIn(annUPN, "Fourth-Passw0rd!", "")
		w.set(ann, "Fifth-Passw0rd!")
		if n := w.hands("connect"); n != 0 {
			t.Errorf("connect handed %d passwords of cloudsync's over", n)
		}
		w.signsIn(annUPN, "Fourth-Passw0rd!", "")
		if n := w.hands("cloudsync"); n != 1 {
			t.Errorf("cloudsync handed %d passwords over", n)
		}
		w.signsIn(annUPN, "Fifth-Passw0rd!", "")
		w.rollback(x)
		w.signsIn(annUPN, "Fifth-Passw0rd!", "")
		w.set(ann, "Sixth-Passw0rd!")
		if n, m := w.hands("cloudsync"), w.hands("connect"); n != 0 || m != 1 {
			t.Errorf("after the rollback cloudsync handed %d passwords over, connect %d", n, m)
		}
		w.signsIn(annUPN, "Sixth-Passw0rd!", "")

		w.noSecretIn(w.dir, "Some-Passw0rd!", "Second-Passw0rd!", "Third-Passw0rd!", "Fourth-Passw0rd!", "Fifth-Passw0rd!", "Sixth-Passw0rd!", "PPH1_MD4")
	})
}

// Each right that replication lacks is named by the run that meets it; nothing is lost by that.
func TestARunNamesWhatReplicationLacks(t *testing.T) {
	overSamba(t, func(s site) {
		w := withPasswords(t, s)
		_, upn := w.person("ann", "OU=Sales,"+s.base)
		w.importText(fmt.Sprintf(passwordPolicy, s.base))
		before, err := delegation.Read(w.conn, s.base)
		w.must(err)
		for i, missing := range []string{"Replicating Directory Changes", "Replicating Directory Changes All"} {
			_, sid, err := delegation.Account(w.conn, "CN=Users,"+s.base, "svc-part"+strconv.Itoa(i), "Replicating-Passw0rd!")
			w.must(err)
			var have []delegation.Entry
			for name, e := range delegation.Replicate {
				if name != missing {
					have = append(have, e)
				}
			}
			w.must(delegation.Grant(w.conn, s.base, sid, have...))
			w.more = "    replicate: {user: svc-part" + strconv.Itoa(i) + "@" + s.domain + ", passwordFile: ./hash-password, port: " + strconv.Itoa(s.replication) + "}\n"
			w.again()
			for _, name := range []string{"connect", "connect"} { // the first sync makes the users
				r, err := w.tandem.Host().SyncAll(t.Context(), name, run.SyncOptions{})
				if err != nil || r.Complete || len(r.Errors) != 1 || r.Errors[0].Code != "drs-rights" || !strings.Contains(r.Errors[0].Message, "svc-part"+strconv.Itoa(i)) {
					t.Errorf("without %s: %v %+v", missing, err, r)
				}
			}
		}
		w.must(delegation.Write(w.conn, s.base, before))
		w.file("hash-password", "Other-Passw0rd!\n")
		w.more = "    replicate: {user: svc-hash@" + s.domain + ", passwordFile: ./hash-password, port: " + strconv.Itoa(s.replication) + "}\n"
		w.again()
		r, err := w.tandem.Host().Passwords(t.Context(), "connect", run.SyncOptions{})
		if err != nil || r.Complete || len(r.Errors) != 1 || r.Errors[0].Code != "credentials" || !strings.Contains(r.Errors[0].Message, "svc-hash") {
			t.Errorf("a wrong password: %v %+v", err, r)
		}
		st, err := w.tandem.Host().Status(t.Context())
		if err != nil || !slices.ContainsFunc(alarm.Outages(alarm.Of(alarm.Facts{Status: st})), func(s string) bool { return strings.HasPrefix(s, "engine connect did not hand passwords over") }) {
			t.Errorf("%v: %+v", err, st)
		}
		w.more = ""
		w.again()
		r, err = w.tandem.Host().Passwords(t.Context(), "connect", run.SyncOptions{})
		if err != nil || r.Complete || len(r.Errors) != 1 || r.Errors[0].Code != "no-account" {
			t.Errorf("without an account: %v %+v", err, r)
		}
		w.signsIn(upn, "Some-Passw0rd!", "AADSTS")
		w.file("hash-password", "Replicating-Passw0rd!\n")
		w.more = "    replicate: {user: svc-hash@" + s.domain + ", passwordFile: ./hash-password, port: " + strconv.Itoa(s.replication) + "}\n"
		w.again()
		w.hands("connect")
		w.signsIn(upn, "Some-Passw0rd!", "")
	})
}

// again opens Tandem with its configuration as it is now.
func (w *world) again() {
	w.t.Helper()
	w.close()
	w.write()
	w.open()
}

// noSecretIn fails the test if a file below a folder has one of some passwords or its NT hash, in any form: log, journal, index files, plans, what engines and agents keep.
func (w *world) noSecretIn(dir string, texts ...string) {
	w.t.Helper()
	var secrets [][]byte
	for _, text := range texts {
		secrets = append(secrets, []byte(text))
		hash, err := credential.NTHash(secret.Take([]byte(text)))
		w.must(err)
		w.must(hash.Use(func(b []byte) error { secrets = append(secrets, bytes.Clone(b)); return nil }))
	}
	w.must(filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for i, x := range secrets {
			if len(x) < 8 && !bytes.Contains(b, x) {
				continue // too short for the other forms: they would be found by chance
			}
			for _, form := range secrettest.Found(b, x) {
				w.t.Errorf("%s has %q (or its hash) in it, %s", path, texts[i/2], form)
			}
		}
		return nil
	}))
}
