package faults_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"

	"github.com/tandem-sync/tandem/plugins/cloudsync/line"
)

// brisk lets take-overs wait for seconds.
func (w *world) brisk() {
	w.edit("tandem.yaml", `delay: 2s.*`, "delay: 1s")
	w.edit("tandem.yaml", `ghostLife: 10s.*`, "ghostLife: 1s")
	w.edit("tandem.yaml", `tenure: 6s.*`, "tenure: 3s")
}

// titled changes a user of an OU in the directory, so that somebody has something to write.
func (w *world) titled(ou, title string) {
	w.Helper()
	c, err := w.lab.Dial()
	w.check(err)
	defer c.Close()
	found, err := c.Search(ldap.NewSearchRequest(w.lab.OU(ou), ldap.ScopeWholeSubtree, ldap.NeverDerefAliases, 1, 0, false, "(&(objectClass=user)(userPrincipalName=*))", []string{"cn"}, nil))
	if err != nil && !ldap.IsErrorWithCode(err, ldap.LDAPResultSizeLimitExceeded) || len(found.Entries) == 0 {
		w.Fatalf("a user in %s: %v", ou, err)
	}
	m := ldap.NewModifyRequest(found.Entries[0].DN, nil)
	m.Replace("title", []string{title})
	w.check(c.Modify(m))
}

// silent runs f and wants the tenant to see no write meanwhile.
func (w *world) silent(what string, f func()) {
	w.Helper()
	before := w.lab.Writes()
	f()
	if n := w.lab.Writes() - before; n != 0 {
		w.Errorf("%s wrote %d times", what, n)
	}
}

// banned wants a host to say wherever one looks that it writes nothing, and why.
func (w *world) banned(words []string, flags ...string) {
	w.Helper()
	var s struct {
		Healthy  bool
		ReadOnly string
		Mark     struct{ Problem, Host, At string }
	}
	w.answers(0, nil, &s, append(flags, "status")...)
	for _, x := range words {
		if s.Healthy || !strings.Contains(s.Mark.Problem, x) && !strings.Contains(s.ReadOnly, x) {
			w.Errorf("the status does not say %q: %+v", x, s)
		}
	}
	w.answers(1, words, new(any), append(flags, "check")...)
	r := w.run(append(flags, "errors", "list")...)
	w.says(r, 0, append([]string{"nothing is written to the tenant"}, words...), append(flags, "errors", "list"))
}

// unready wants a daemon to answer its monitoring that it is not ready, and why.
func (w *world) unready(words []string, flags ...string) {
	w.Helper()
	c := w.command(append(flags, "serve")...)
	said, err := c.StderrPipe()
	w.check(err)
	w.check(c.Start())
	defer func() {
		w.check(c.Process.Signal(os.Interrupt))
		_, _ = io.Copy(io.Discard, said)
		_ = c.Wait()
	}()
	socket := ""
	for lines := bufio.NewScanner(said); socket == "" && lines.Scan(); {
		_, socket, _ = strings.Cut(lines.Text(), "serving on ")
	}
	client := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}}
	r, err := client.Get("http://tandem/readyz")
	w.check(err)
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	w.check(err)
	for _, x := range words {
		if r.StatusCode != http.StatusServiceUnavailable || !strings.Contains(string(b), x) {
			w.Errorf("readyz answers %s %q, and not %q", r.Status, b, x)
		}
	}
}

func TestASecondInstallationMayNotTakeTheTenantButByATakeover(t *testing.T) {
	t.Parallel()
	first := synced(t, 20)
	first.brisk()
	name, err := os.Hostname()
	first.check(err)
	second := over(t, first.lab)
	second.brisk()
	second.silent("a second installation", func() {
		second.fails(1, []string{"fed by installation ", name, "which began to write at ", "tandem takeover --reason"}, "import", "policy.yaml")
		var s struct {
			Healthy bool
			Mark    struct{ Problem, Host, Installation string }
		}
		second.answers(0, nil, &s, "status")
		if s.Healthy || s.Mark.Installation == "" || s.Mark.Host == "" || !strings.Contains(s.Mark.Problem, "tandem takeover") {
			t.Errorf("the status of the second installation: %+v", s)
		}
		second.answers(1, []string{"fed by installation ", "tandem takeover"}, new(any), "check")
		second.fails(2, []string{"--reason"}, "takeover")
	})
	first.titled("Sales", "Still the first's")
	first.done("sync", "connect")
	var took struct {
		From string
		Next []string
	}
	r := second.answers(0, nil, &took, "takeover", "--reason", "the first machine is lost")
	if r.took < 5*time.Second || !strings.Contains(took.From, name) || len(took.Next) == 0 {
		t.Errorf("the take-over took %s: %+v", r.took, took)
	}
	first.titled("Sales", "Whose now?")
	first.silent("the first installation", func() {
		first.fails(1, []string{"fed by installation ", "tandem takeover"}, "sync", "connect")
		first.banned([]string{"fed by installation ", "tandem takeover"})
	})
	second.silent("an installation that waits for its activation", func() {
		second.fails(2, nil, "state", "restore", "--activate", "--reason", "now")
		// The policy is put in force, and its engines read everything; only the mark is renewed.
	})
	second.done("import", "policy.yaml")
	second.silent("an installation that waits for its activation", func() {
		second.fails(2, []string{"connect"}, "state", "restore", "--activate", "--reason", "nobody looked")
		var s struct {
			Shadowed    int
			ReadOnly    string
			Differences []struct{ Object, Op string }
		}
		second.answers(0, nil, &s, "sync", "connect", "--profile", "full")
		if s.ReadOnly == "" || s.Shadowed == 0 || len(s.Differences) != s.Shadowed {
			t.Errorf("what would be written is not shown: %+v", s)
		}
	})
	second.done("state", "restore", "--activate", "--reason", "seen")
	var asked struct {
		HeldSets []string
	}
	second.answers(3, []string{"held"}, &asked, "sync", "connect") // what the first installation made is not this one's own: it asks once (rule J5)
	if len(asked.HeldSets) != 1 {
		t.Fatalf("held sets %v", asked.HeldSets)
	}
	var done struct{ Run run }
	second.answers(0, nil, &done, "held", "approve", asked.HeldSets[0])
	if done.Run.Applied == 0 {
		t.Error("the activated installation writes nothing")
	}
	if out := second.done("audit", "list"); !strings.Contains(out, "the first machine is lost") || !strings.Contains(out, "activate") {
		t.Error("the journal does not tell of the take-over and its reason")
	}
	first.fails(1, []string{"fed by installation "}, "sync", "connect")
}

// A copied folder, a folder carried to another machine, and a machine set back to a snapshot: whoever did not write last writes nothing, at once.
func TestACopyOfTheStateWritesNothing(t *testing.T) {
	t.Parallel()
	w := synced(t, 20)
	w.brisk()
	w.check(os.CopyFS(w.path("copy"), os.DirFS(w.path("state"))))
	w.titled("Sales", "Whose is it?")
	here := []string{"is a copy of " + w.path("state"), "tandem takeover"}
	w.silent("a copied folder", func() {
		w.fails(1, here, "--state", "copy", "sync", "connect")
		w.fails(1, here, "--state", "copy", "migrate", "--under", w.lab.OU("Sales"), "--to", "cloudsync")
		w.banned(here, "--state", "copy")
		w.unready(here, "--state", "copy")
	})
	var r run
	w.answers(0, nil, &r, "sync", "connect")
	if r.Applied != 1 {
		t.Errorf("the original applied %d", r.Applied)
	}
	carried := over(t, w.lab)
	w.check(os.CopyFS(carried.path("state"), os.DirFS(w.path("state"))))
	w.titled("Sales", "Whose now?")
	c := carried.command("sync", "connect")
	c.Env = append(c.Env, "TANDEM_MACHINE_ID=another")
	w.silent("a folder on another machine", func() {
		w.says(carried.end(c, []string{"sync"}), 1, []string{"copy of", "tandem takeover"}, []string{"sync"})
	})
	snapshot := over(t, w.lab) // the folder comes back to where it lay, older than what was written since
	w.check(os.CopyFS(snapshot.path("kept"), os.DirFS(w.path("state"))))
	w.done("sync", "connect")
	w.titled("Sales", "And now?")
	w.check(os.Rename(w.path("state"), w.path("newer")))
	w.check(os.CopyFS(w.path("state"), os.DirFS(snapshot.path("kept"))))
	w.check(os.RemoveAll(snapshot.path("kept")))
	w.silent("a snapshot", func() {
		w.fails(1, []string{"another host with a copy of this state", "tandem takeover"}, "sync", "connect")
		w.banned([]string{"another host with a copy of this state"})
	})
	w.check(os.RemoveAll(w.path("state")))
	w.check(os.Rename(w.path("newer"), w.path("state")))
	w.answers(0, nil, &r, "sync", "connect")
	if r.Applied != 1 {
		t.Errorf("who wrote last applied %d", r.Applied)
	}
	w.silent("the copy after all", func() { w.fails(1, here, "--state", "copy", "sync", "connect") })
	w.done("--state", "copy", "takeover", "--reason", "the copy is meant now")
	w.titled("Sales", "The copy's")
	w.silent("the original after the take-over", func() {
		w.fails(1, []string{"incarnation", "tandem takeover"}, "sync", "connect")
	})
	w.done("--state", "copy", "sync", "connect", "--profile", "full")
	w.done("--state", "copy", "state", "restore", "--activate", "--reason", "seen")
	w.answers(0, nil, &r, "--state", "copy", "sync", "connect")
	if r.Applied == 0 {
		t.Error("the activated copy writes nothing")
	}
}

const bothEngines = `version: 1
features: [users, groups]
assignments:
  - name: everything
    under: DC=contoso,DC=test
    engine: connect
    features: [users, groups]
  - name: sales
    under: OU=Sales,DC=contoso,DC=test
    engine: cloudsync
    features: [users, groups]
`

// A backup that is activated elsewhere takes the tenant over from the host that it was made of: both never write.
func TestAnActivatedBackupEndsTheHostItWasMadeOf(t *testing.T) {
	t.Parallel()
	w := alone(t, 20)
	w.brisk()
	w.write("policy.yaml", bothEngines)
	w.done("import", "policy.yaml")
	w.done("sync", "connect", "--profile", "full")
	w.done("sync", "cloudsync", "--profile", "full")
	token, err := line.ParseToken(strings.TrimSpace(w.done("agent", "invite")))
	w.check(err)
	w.done("state", "backup", "b.tar")
	w.fails(2, []string{"b.tar is there already", "--force"}, "state", "backup", "b.tar")
	w.done("state", "backup", "b.tar", "--force")
	w.titled("Sales", "After the backup")
	w.done("sync", "cloudsync")
	other := over(t, w.lab)
	other.brisk()
	other.write("policy.yaml", bothEngines)
	other.write("b.tar", w.read("b.tar"))
	other.done("state", "restore", "b.tar")
	again, err := line.ParseToken(strings.TrimSpace(other.done("agent", "invite")))
	if err != nil || again.Pin != token.Pin {
		t.Errorf("agents that were enrolled would not know the restored service: %v", err)
	}
	other.silent("a restored state", func() {
		other.fails(2, []string{"connect and cloudsync", "--profile full"}, "state", "restore", "--activate", "--reason", "at once")
		other.done("sync", "connect", "--profile", "full")
		other.fails(2, []string{"cloudsync", "--profile full"}, "state", "restore", "--activate", "--reason", "half")
		other.done("sync", "cloudsync", "--profile", "full")
	})
	w.titled("Sales", "The old one's still")
	w.done("sync", "cloudsync")
	other.done("state", "restore", "--activate", "--reason", "seen")
	w.titled("Sales", "Whose is it?")
	w.silent("the host that the backup was made of", func() {
		w.fails(1, []string{"incarnation", "tandem takeover"}, "sync", "cloudsync")
		w.banned([]string{"incarnation", "tandem takeover"})
	})
	var r run
	other.answers(0, nil, &r, "sync", "cloudsync")
	if r.Applied == 0 {
		t.Error("the activated backup writes nothing")
	}
}

// A state whose configuration leads to another tenant, or to another domain of the same name, reads and writes nothing there.
func TestStateOfAnotherTenantOrDirectoryIsRefused(t *testing.T) {
	t.Parallel()
	w := synced(t, 20)
	strange := alone(t, 5)
	w.check(os.Rename(w.path("state"), strange.path("state")))
	words := []string{"the state belongs to another tenant or directory", "tenant"}
	strange.silent("a state of another tenant", func() {
		strange.fails(1, words, "sync", "connect")
		strange.done("state", "rebuild-index")
		strange.fails(1, words, "sync", "connect", "--profile", "full")
		strange.fails(1, words, "takeover", "--reason", "by mistake")
		strange.banned([]string{"tenant"})
	})
	if objects, err := strange.lab.Objects(); err != nil || len(objects) != 0 {
		t.Errorf("%d objects in the strange tenant, %v", len(objects), err)
	}
	w.check(os.Rename(strange.path("state"), w.path("state")))
	var there struct{ DirectoryURL string }
	b, err := os.ReadFile(filepath.Join(strange.lab.Dir, "lab.json"))
	w.check(err)
	w.check(json.Unmarshal(b, &there))
	w.edit("tandem.yaml", `url: ldaps.*`, "url: "+there.DirectoryURL)
	w.write("lab-ca.pem", w.read("lab-ca.pem")+strange.read("lab-ca.pem"))
	w.write("ad-password", strange.read("ad-password"))
	w.silent("a state of another domain", func() {
		w.fails(1, []string{"the state belongs to another tenant or directory", "answers as domain"}, "sync", "connect")
		w.banned([]string{"answers as domain"})
		w.done("state", "rebuild-index")
		w.fails(1, []string{"answers as domain"}, "sync", "connect", "--profile", "full")
		w.answers(1, []string{"answers as domain"}, new(any), "check")
	})
}

// A restore of garbage leaves the folder as it was, and what --force replaces is kept.
func TestARestoreOfGarbageLeavesTheFolderAsItWas(t *testing.T) {
	t.Parallel()
	w := synced(t, 10)
	w.done("state", "backup", "good.tar")
	good := w.read("good.tar")
	w.write("cut.tar", good[:len(good)/2])
	w.write("spoilt.tar", strings.Replace(good, "TANDEMLG", "TANDEMXX", 1))
	for _, bad := range []string{"cut.tar", "spoilt.tar"} {
		w.fails(1, []string{bad}, "--state", "fresh", "state", "restore", bad)
		if _, err := os.Stat(w.path("fresh")); err == nil {
			t.Errorf("%s left a folder", bad)
		}
		w.fails(1, []string{bad}, "state", "restore", bad, "--force")
		w.done("state", "check")
	}
	w.done("--state", "fresh", "state", "restore", "good.tar")
	w.titled("Sales", "Since the backup")
	w.done("sync", "connect")
	w.fails(1, []string{"holds state already", "--force"}, "state", "restore", "good.tar")
	out := w.done("state", "restore", "good.tar", "--force")
	if !strings.Contains(out, "replaced-") || !strings.Contains(out, "wrote 1 times after the backup") {
		t.Errorf("what was there before is not told of: %s", out)
	}
	var s struct{ ReadOnly string }
	w.answers(0, nil, &s, "status")
	if !strings.Contains(s.ReadOnly, "restored from good.tar") {
		t.Errorf("after the restore: %s", fmt.Sprint(s))
	}
}
