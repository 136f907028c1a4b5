package faults_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/tandem-sync/tandem/state"
)

// log is the newest file of the journal.
func (w *world) log() string {
	all, err := filepath.Glob(w.path("state/log/*.log"))
	w.check(err)
	if len(all) == 0 {
		w.Fatal("there is no log")
	}
	name, err := filepath.Rel(w.dir, all[len(all)-1])
	w.check(err)
	return name
}

type problems struct {
	Problems []struct{ File, Problem, Next string }
}

func TestDamagedStateIsRefusedNamedAndComesBackFromABackup(t *testing.T) {
	t.Parallel()
	w := synced(t, 10)
	w.done("state", "check")
	w.done("state", "backup", "good.tar")
	flip := func(name string) {
		b := []byte(w.read(name))
		b[len(b)/2] ^= 1
		w.write(name, string(b))
	}
	for name, c := range map[string]struct {
		spoil func()
		words []string
	}{
		"control garbage":  {func() { w.write("state/control.db", strings.Repeat("garbage ", 4096)) }, []string{"control.db is damaged", "not a bbolt file"}},
		"control empty":    {func() { w.write("state/control.db", "") }, []string{"control.db is damaged"}},
		"control missing":  {func() { w.check(os.Remove(w.path("state/control.db"))) }, []string{"the control file is missing beside a log that has records"}},
		"log cut":          {func() { w.check(os.Truncate(w.path(w.log()), 4096)) }, []string{"the log ends at record ", "the head kept says that "}},
		"log missing":      {func() { w.check(os.RemoveAll(w.path("state/log"))) }, []string{"the log ends at record 0"}},
		"log with one bit": {func() { flip(w.log()) }, []string{w.log(), "is damaged at byte ", "checksum does not match"}},
		"log all garbage":  {func() { w.write(w.log(), strings.Repeat("garbage ", 512)) }, []string{w.log()}},
	} {
		kept := w.copyState()
		c.spoil()
		w.Log(name)
		w.fails(1, append(c.words, "→ `tandem state check`", "tandem state restore"), "status")
		w.fails(1, c.words, "sync", "connect")
		var verified struct {
			OK      bool
			Problem string
		}
		if w.answers(4, c.words, &verified, "audit", "verify"); verified.OK || verified.Problem == "" {
			t.Errorf("%s: audit verify answers %+v", name, verified)
		}
		var p problems
		r := w.answers(4, []string{"1 problem in ", "→ restore a backup (tandem state restore)"}, &p, "state", "check")
		for _, x := range c.words {
			if !strings.Contains(r.out, x) {
				t.Errorf("%s: state check does not say %q: %s", name, x, r.out)
			}
		}
		if len(p.Problems) == 0 || p.Problems[0].File == "" || !strings.Contains(p.Problems[0].Next, "tandem state restore") {
			t.Errorf("%s: %+v", name, p)
		}
		w.check(os.RemoveAll(w.path("state")))
		w.check(os.Rename(kept, w.path("state")))
	}
	w.check(os.RemoveAll(w.path("state")))
	w.fails(1, []string{"nowhere.tar", "no such file"}, "state", "restore", "nowhere.tar")
	w.write("bad.tar", "this is no archive")
	w.fails(1, []string{"bad.tar"}, "state", "restore", "bad.tar")
	w.done("state", "restore", "good.tar")
	w.done("status")
	w.fails(1, []string{"the folder holds state already: name an empty one"}, "state", "restore", "good.tar")
	w.done("state", "check")
}

// What lies beside control and log is looked at too: what stops a command is found by the check, with what to do about it.
func TestDamageOfIdentityAndEnginesIsNamedWithTheMend(t *testing.T) {
	t.Parallel()
	w := synced(t, 5)
	w.done("sync", "cloudsync")
	w.done("state", "check")
	for name, c := range map[string]struct{ engine, next string }{
		"state/identity.json":                            {"connect", "remove the file"},
		"state/engines/connect/spaces/control.db":        {"connect", "remove the folder " + w.path("state/engines/connect/spaces")},
		"state/engines/cloudsync/directories/control.db": {"cloudsync", "remove the folder " + w.path("state/engines/cloudsync/directories")},
		"state/engines/cloudsync/agents.json":            {"cloudsync", "remove it and enrol every agent again"},
		"state/engines/cloudsync/authority.key":          {"cloudsync", "remove it and enrol every agent again"},
	} {
		good := w.read(name)
		w.write(name, good[:len(good)/2])
		w.Log(name)
		var p problems
		w.answers(4, []string{"1 problem in ", c.next}, &p, "state", "check")
		if len(p.Problems) != 1 || p.Problems[0].File != w.path(name) || !strings.Contains(p.Problems[0].Next, c.next) {
			t.Errorf("%s: the check says %+v", name, p)
		}
		w.fails(1, []string{w.path(name), "damaged", "remove "}, "sync", c.engine)
		w.write(name, good)
		w.done("sync", c.engine)
	}
	for engine, folder := range map[string]string{"connect": "spaces", "cloudsync": "directories"} { // the mend is one
		w.write("state/engines/"+engine+"/"+folder+"/control.db", "")
		w.check(os.RemoveAll(w.path("state/engines/" + engine + "/" + folder)))
		w.done("sync", engine)
		w.done("state", "check")
	}
}

// copyState copies the state folder aside.
func (w *world) copyState() string {
	to := w.path("kept")
	w.check(os.CopyFS(to, os.DirFS(w.path("state"))))
	return to
}

func TestNewerFormatsAreRefusedNotGuessed(t *testing.T) {
	t.Parallel()
	w := alone(t, 5)
	w.done("import", "policy.yaml")
	b := []byte(w.read(w.log()))
	const magic = "TANDEMLG" // and after it the version, a little-endian number of four bytes
	if !strings.HasPrefix(string(b), magic) {
		t.Fatalf("the log begins with %q", b[:32])
	}
	b[len(magic)] = 9
	w.write(w.log(), string(b))
	w.fails(1, []string{w.log(), "version 9", "→ use the version of tandem that wrote it"}, "status")
	var p problems
	w.answers(4, nil, &p, "state", "check")
}

func TestDamagedIndexesAreMadeAnewWithANote(t *testing.T) {
	t.Parallel()
	w := synced(t, 10)
	all, err := filepath.Glob(w.path("state/index/*"))
	w.check(err)
	if len(all) < 3 {
		t.Fatalf("indexes: %v", all)
	}
	for _, f := range all {
		w.check(os.WriteFile(f, []byte("garbage"), 0o600))
	}
	r := w.run("status")
	w.says(r, 0, []string{"an index file cannot be used and is made anew", "index=census", "index=tenant", "index=ledger"}, []string{"status"})
	if strings.Contains(r.out, "vanished") {
		t.Errorf("an unread directory has not drifted:\n%s", r.out)
	}
	w.done("sync", "connect")
	w.settled()
}

func TestStateHeldByAnotherIsNamedWithItsHolder(t *testing.T) {
	t.Parallel()
	w := alone(t, 5)
	w.done("import", "policy.yaml")
	s, err := state.Open(w.path("state"), state.Options{Command: "somebody's test"})
	w.check(err)
	defer s.Close()
	r := w.fails(1, []string{"somebody's test", "→ wait for it to end, or stop it"}, "sync", "connect")
	if !regexp.MustCompile(`\b\d+\b`).MatchString(r.err) {
		t.Errorf("no process is named: %s", r.err)
	}
	w.fails(1, []string{"somebody's test"}, "state", "check")
	w.fails(1, []string{"somebody's test"}, "state", "rebuild-index")
}

func TestFoldersThatCannotHoldStateAreNamed(t *testing.T) {
	t.Parallel()
	w := looking(t)
	w.write("file", "x")
	w.fails(1, []string{"file"}, "--state", "file", "status")
	w.fails(1, []string{"nowhere", "no such file"}, "--state", "nowhere", "state", "check")
	w.fails(1, []string{"/nowhere/", "no such file"}, "state", "backup", "/nowhere/x.tar")
}
