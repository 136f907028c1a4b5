//go:build linux

package faults_test

import (
	"bufio"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// serves runs the daemon until the test ends, and returns what it said until it served.
func (w *world) serves(t *testing.T, flags ...string) string {
	t.Helper()
	c := w.command(append([]string{"serve"}, flags...)...)
	said, err := c.StderrPipe()
	w.check(err)
	w.check(c.Start())
	all, serving := "", false
	for lines := bufio.NewScanner(said); !serving && lines.Scan(); {
		all += lines.Text() + "\n"
		serving = strings.Contains(lines.Text(), map[bool]string{true: "serving on ", false: "monitoring on "}[len(flags) == 0])
	}
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		_, _ = io.Copy(io.Discard, said) // ends with the process
	}()
	t.Cleanup(func() {
		_ = c.Process.Signal(os.Interrupt) // it may have ended
		<-drained
		_ = c.Wait() // how it ends is not what is tested
	})
	if !serving {
		t.Fatalf("it does not serve: %s", all)
	}
	return all
}

// as runs a command as another user of the operating system, who is in no group.
func (w *world) as(uid uint32, args ...string) result {
	w.Helper()
	c := w.command(args...)
	c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: 65534}}
	return w.end(c, args)
}

// The roles of the contract, with real users: daemon reads, bin operates, sys approves, mail sets passwords, and games was granted nothing.
func TestOthersDoWhatTheyWereGrantedAndNothingElse(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("not checked: it takes root rights to run commands as other users")
	}
	const daemon, bin, sys, mail, games = 1, 2, 3, 8, 5
	w := synced(t, 12)
	w.check(os.Chmod(filepath.Dir(w.dir), 0o755)) // people may read the configuration, and none of its secrets
	w.check(os.Chmod(w.path("tandem.yaml"), 0o644))
	w.edit("tandem.yaml", `\z`, "access: {socket: ./people.sock, read: [daemon], operate: [bin], approve: [sys], passwords: [mail]}\n")

	r := w.as(daemon, "status")
	if r.code == 0 || !strings.Contains(r.err, "nobody serves at") || !strings.Contains(r.err, "tandem serve") {
		t.Errorf("without a daemon: %d %s", r.code, r.err)
	}
	w.serves(t)
	const refused = "not-granted"
	for _, c := range []struct {
		uid  uint32
		line string
		want string // empty: it is carried out
	}{
		{daemon, "status", ""}, {daemon, "held list", ""}, {daemon, "audit list", ""}, {daemon, "wave list", ""},
		{daemon, "sync connect", "access.operate"}, {daemon, "stop --all --reason because", "access.operate"}, {daemon, "agent invite", "access.operate"},
		{daemon, "held approve nosuch", "access.approve"}, {daemon, "password set x --unlock", "access.passwords"},
		{bin, "status", ""}, {bin, "sync connect", ""}, {bin, "stop --engine connect --reason because", ""}, {bin, "start --engine connect --reason because", ""},
		{bin, "state backup " + filepath.Join(os.TempDir(), "of-an-operator.tar"), "owns the state folder"},
		{bin, "held approve nosuch", "access.approve"}, {bin, "migrate --under OU=Sales,DC=contoso,DC=test --to cloudsync --auto-approve", "access.approve"},
		{sys, "status", ""}, {sys, "sync connect", "access.operate"},
		{mail, "status", "access.read"}, {mail, "sync connect", "access.operate"},
		{games, "status", "access.read"}, {games, "sync connect", "access.operate"}, {games, "password set x --unlock", "access.passwords"},
	} {
		r := w.as(c.uid, append([]string{"--output", "json"}, strings.Fields(c.line)...)...)
		switch {
		case c.want == "" && r.code != 0:
			t.Errorf("user %d may not %s: %d %s%s", c.uid, c.line, r.code, r.out, r.err)
		case c.want != "" && (r.code != 1 || !strings.Contains(r.out, refused) || !strings.Contains(r.err, c.want)):
			t.Errorf("user %d asks for %s: %d %s%s, not refused with %s", c.uid, c.line, r.code, r.out, r.err, c.want)
		}
	}
	if r := w.as(bin, "migrate", "--under", "OU=Sales,DC=contoso,DC=test", "--to", "cloudsync", "--hold-before", "cutover"); r.code != 3 {
		t.Fatalf("a wave that waits: %d %s%s", r.code, r.out, r.err)
	}
	var all struct{ Waves []struct{ ID string } }
	w.answers(0, nil, &all, "wave", "list")
	id := all.Waves[0].ID
	for uid, refusal := range map[uint32]string{daemon: "access.approve", bin: "access.approve"} {
		if r := w.as(uid, "wave", "approve", id); r.code != 1 || !strings.Contains(r.err, refusal) {
			t.Errorf("user %d approves: %d %s", uid, r.code, r.err)
		}
	}
	if r := w.as(sys, "wave", "pause", id); r.code != 1 || !strings.Contains(r.err, "access.operate") {
		t.Errorf("who only approves pauses: %d %s", r.code, r.err)
	}
	if r := w.as(sys, "wave", "approve", id); r.code != 0 {
		t.Errorf("who approves: %d %s%s", r.code, r.out, r.err)
	}
	// Whoever may answer may do so, and is told what is wrong with the answer; whoever may set passwords gets as far as the user who is not there.
	for uid, line := range map[uint32]string{sys: "held approve nosuch", mail: "password set nosuch --unlock"} {
		if r := w.as(uid, append([]string{"--output", "json"}, strings.Fields(line)...)...); r.code == 0 || strings.Contains(r.out, refused) {
			t.Errorf("user %d asks for %s: %d %s%s", uid, line, r.code, r.out, r.err)
		}
	}
	if r := w.run("--output", "json", "password", "set", "x", "--unlock"); !strings.Contains(r.out, refused) {
		t.Errorf("the owner of the state sets passwords without being named: %d %s", r.code, r.out)
	}
}

func TestASocketForOthersIsToldWithItsPlace(t *testing.T) {
	t.Parallel()
	w := looking(t)
	w.edit("tandem.yaml", `\z`, "access: {socket: ./people.sock}\n")
	w.fails(2, []string{"access.socket: nobody is named who may use it"}, "status")
	w.edit("tandem.yaml", `socket: ./people.sock`, "socket: ./tandem.yaml, read: [root]")
	r := w.run("serve")
	if r.code == 0 || !strings.Contains(r.err, "is there and is no socket") {
		t.Errorf("%d %s", r.code, r.err)
	}
}
