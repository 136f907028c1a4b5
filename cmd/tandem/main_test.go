package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/tandem-sync/tandem/examples/lab"
	"github.com/tandem-sync/tandem/examples/lab/delegation"
	"github.com/tandem-sync/tandem/state"
)

// The test binary is the command under test, and serves its built-in engines.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "plugin" {
		os.Exit(servePlugin(os.Args[2]))
	}
	testscript.Main(m, map[string]func(){"tandem": main})
}

// Each script in testdata tells one behaviour of the command.
func TestCommands(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata", RequireExplicitExec: true,
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"exits": exits, "lab": startLab, "json": isJSON, "appears": appears, "hold": hold, "set": setAttribute, "setall": setAll, "exchange": exchangeNames, "delete": deleteObjects, "move": moveUsers, "wave": waveID, "nothing": nothingLeft, "held": heldID, "soaks": soaks, "serves": serves, "resets": resets, "binds": binds, "smalldisk": smallDisk, "fills": fills, "hangup": hangUp, "tells": tells, "replace": replaceIn, "agent": agentID, "binned": binObject, "purged": purgeBinned, "taken": takeName,
		},
		Condition: func(name string) (bool, error) { return name == "root" && os.Getuid() == 0, nil },
	})
}

// smalldisk DIR MiB lays a disk of that size over a folder until the script ends.
func smallDisk(ts *testscript.TestScript, _ bool, args []string) {
	dir := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(dir, 0o700))
	out, err := exec.Command("mount", "-t", "tmpfs", "-o", "mode=700,size="+args[1]+"m", "tandem-test", dir).CombinedOutput()
	if err != nil {
		ts.Fatalf("mount: %v: %s", err, out)
	}
	ts.Defer(func() { ts.Check(exec.Command("umount", "--lazy", dir).Run()) })
}

// agent waits until an agent is enrolled, and takes its id as $AGENT.
func agentID(ts *testscript.TestScript, _ bool, _ []string) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	for ctx.Err() == nil {
		ts.Check(ts.Exec("tandem", "agent", "list"))
		if _, rest, listed := strings.Cut(ts.ReadFile("stdout"), "agent-"); listed {
			id, _, _ := strings.Cut(rest, " ")
			ts.Setenv("AGENT", "agent-"+id)
			return
		}
	}
	ts.Fatalf("no agent is enrolled")
}

// fills DIR takes what is free on the disk of a folder, in DIR/filler.
func fills(ts *testscript.TestScript, _ bool, args []string) {
	f, err := os.Create(filepath.Join(ts.MkAbs(args[0]), "filler"))
	ts.Check(err)
	defer f.Close()
	for size := 1 << 20; size >= 512; size /= 2 {
		for err = nil; err == nil; {
			_, err = f.Write(make([]byte, size))
		}
		if !errors.Is(err, syscall.ENOSPC) {
			ts.Fatalf("filling the disk: %v", err)
		}
	}
}

// hangup sends SIGHUP to what runs in the background.
func hangUp(ts *testscript.TestScript, _ bool, _ []string) {
	for _, c := range ts.BackgroundCmds() {
		ts.Check(c.Process.Signal(syscall.SIGHUP))
	}
}

// tells FILE TEXT waits until a file holds a text.
func tells(ts *testscript.TestScript, _ bool, args []string) {
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !strings.Contains(ts.ReadFile(args[0]), args[1]) {
		select {
		case <-ctx.Done():
			ts.Fatalf("%s does not tell %q", args[0], args[1])
		case <-tick.C:
		}
	}
}

// replace OLD NEW FILE replaces text in a file, which has to be there.
func replaceIn(ts *testscript.TestScript, _ bool, args []string) {
	text := ts.ReadFile(args[2])
	if !strings.Contains(text, args[0]) {
		ts.Fatalf("%s is not in %s:\n%s", args[0], args[2], text)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[2]), []byte(strings.ReplaceAll(text, args[0], args[1])), 0o600))
}

// exits CODE COMMAND… runs a command and wants it to end with that exit code.
func exits(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	var failed *exec.ExitError
	if err := ts.Exec(args[1], args[2:]...); errors.As(err, &failed) {
		got = failed.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// lab USERS starts a lab in the folder lab and points the commands to it.
func startLab(ts *testscript.TestScript, _ bool, args []string) {
	users, err := strconv.Atoi(args[0])
	ts.Check(err)
	l, err := lab.Up(context.Background(), lab.Options{Dir: ts.MkAbs("lab"), Users: users, Seed: 1})
	ts.Check(err)
	ts.Defer(func() { ts.Check(l.Close()) })
	ts.Setenv("TANDEM_CONFIG", l.ConfigFile)
	labs[ts.Name()+ts.Getenv("WORK")] = l
}

// labs are the labs of the scripts; scripts run one after the other in their setup, and each looks only at its own.
var labs = map[string]*lab.Lab{}

func labOf(ts *testscript.TestScript) *lab.Lab { return labs[ts.Name()+ts.Getenv("WORK")] }

// json [KEY=VALUE] wants standard output to be one JSON document, with that text in it if given.
func isJSON(ts *testscript.TestScript, _ bool, args []string) {
	d := json.NewDecoder(strings.NewReader(ts.ReadFile("stdout")))
	var v any
	ts.Check(d.Decode(&v))
	if d.More() {
		ts.Fatalf("more than one document on standard output")
	}
	b, err := json.Marshal(v)
	ts.Check(err)
	for _, a := range args {
		if !bytes.Contains(b, []byte(a)) {
			ts.Fatalf("%s does not hold %s", b, a)
		}
	}
}

// appears FILE waits until a file is there.
func appears(ts *testscript.TestScript, _ bool, args []string) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if _, err := os.Stat(ts.MkAbs(args[0])); err == nil {
			return
		}
		select {
		case <-ctx.Done():
			ts.Fatalf("%s does not appear", args[0])
		case <-tick.C:
		}
	}
}

// hold DIR holds a state folder without serving anything.
func hold(ts *testscript.TestScript, _ bool, args []string) {
	s, err := state.Open(ts.MkAbs(args[0]), state.Options{Command: "somebody's test"})
	ts.Check(err)
	ts.Defer(func() { ts.Check(s.Close()) })
}

func dial(ts *testscript.TestScript) *ldap.Conn {
	c, err := labOf(ts).Dial()
	ts.Check(err)
	return c
}

// set OU ATTRIBUTE VALUE changes the first user of an OU that has a sign-in name.
func setAttribute(ts *testscript.TestScript, _ bool, args []string) {
	c := dial(ts)
	defer c.Close()
	for _, dn := range usersOf(ts, args[0])[:1] {
		r := ldap.NewModifyRequest(dn, nil)
		r.Replace(args[1], []string{args[2]})
		ts.Check(c.Modify(r))
	}
}

// setall OU ATTRIBUTE VALUE changes every user of an OU that has a sign-in name.
func setAll(ts *testscript.TestScript, _ bool, args []string) {
	c := dial(ts)
	defer c.Close()
	for _, dn := range usersOf(ts, args[0]) {
		r := ldap.NewModifyRequest(dn, nil)
		r.Replace(args[1], []string{args[2]})
		ts.Check(c.Modify(r))
	}
}

// exchange OU lets the first two users of an OU exchange their sign-in names, and sets $ONE and $OTHER to what they were.
func exchangeNames(ts *testscript.TestScript, _ bool, args []string) {
	c := dial(ts)
	defer c.Close()
	dns := usersOf(ts, args[0])[:2]
	var names []string
	for _, dn := range dns {
		r, err := c.Search(ldap.NewSearchRequest(dn, ldap.ScopeBaseObject, ldap.NeverDerefAliases, 0, 0, false, "(objectClass=*)", []string{"userPrincipalName"}, nil))
		ts.Check(err)
		names = append(names, r.Entries[0].GetAttributeValue("userPrincipalName"))
	}
	for _, step := range [][2]string{{dns[0], "for-now@contoso.test"}, {dns[1], names[0]}, {dns[0], names[1]}} { // the directory gives no name twice either
		r := ldap.NewModifyRequest(step[0], nil)
		r.Replace("userPrincipalName", []string{step[1]})
		ts.Check(c.Modify(r))
	}
	ts.Setenv("ONE", names[0])
	ts.Setenv("OTHER", names[1])
}

// delete OU N deletes users of an OU.
func deleteObjects(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	c := dial(ts)
	defer c.Close()
	for _, dn := range usersOf(ts, args[0])[:n] {
		ts.Check(c.Del(ldap.NewDelRequest(dn, nil)))
	}
}

// move OU TO moves every user of an OU that has a sign-in name.
func moveUsers(ts *testscript.TestScript, _ bool, args []string) {
	c := dial(ts)
	defer c.Close()
	for _, dn := range usersOf(ts, args[0]) {
		rdn, _, _ := strings.Cut(dn, ",OU=")
		ts.Check(c.ModifyDN(ldap.NewModifyDNRequest(dn, rdn, true, labOf(ts).OU(args[1]))))
	}
}

func usersOf(ts *testscript.TestScript, ou string) []string {
	l := labOf(ts)
	var out []string
	for _, u := range l.World.Users {
		if len(u.Attributes["userPrincipalName"]) == 1 && directlyUnder(u.DN, l.OU(ou)) {
			out = append(out, u.DN)
		}
	}
	return out
}

// wave sets $WAVE to the id of the newest wave, by the state that the commands use.
func waveID(ts *testscript.TestScript, _ bool, _ []string) {
	ts.Check(ts.Exec("tandem", "wave", "list", "--output", "json"))
	var v struct{ Waves []struct{ ID string } }
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &v))
	if len(v.Waves) == 0 {
		ts.Fatalf("no wave is known")
	}
	ts.Setenv("WAVE", v.Waves[len(v.Waves)-1].ID)
}

// held CLASS sets $HELD to the id of the held set of that class.
func heldID(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(ts.Exec("tandem", "held", "list", "--output", "json"))
	var v struct{ Held []struct{ ID, Class string } }
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &v))
	for _, h := range v.Held {
		if h.Class == args[0] {
			ts.Setenv("HELD", h.ID)
			return
		}
	}
	ts.Fatalf("no held set of class %s", args[0])
}

// nothing PATTERN wants no file that matches.
func nothingLeft(ts *testscript.TestScript, _ bool, args []string) {
	found, err := filepath.Glob(ts.MkAbs(args[0]))
	ts.Check(err)
	if len(found) > 0 {
		ts.Fatalf("left behind: %v", found)
	}
}

// resets gives the lab's directory an account that sets passwords, lets this person use it, and sets $USER1 to the sign-in name of a user. nobody.yaml and others.yaml
// grant it to nobody, and to somebody else.
func resets(ts *testscript.TestScript, _ bool, _ []string) {
	l, c := labOf(ts), dial(ts)
	defer c.Close()
	const word = "Resetting-Passw0rd!"
	base := l.OU("")[strings.Index(l.OU(""), "DC="):]
	_, sid, err := delegation.Account(c, "CN=Users,"+base, "svc-reset", word)
	ts.Check(err)
	for _, e := range delegation.Reset {
		ts.Check(delegation.Grant(c, base, sid, e))
	}
	ts.Check(c.Modify(&ldap.ModifyRequest{DN: base, Changes: []ldap.Change{{Operation: ldap.ReplaceAttribute, Modification: ldap.PartialAttribute{Type: "minPwdLength", Vals: []string{"8"}}}}}))
	b, err := os.ReadFile(l.ConfigFile)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs("lab/reset"), []byte(word), 0o600))
	text := strings.Replace(string(b), "    bind:", "    reset: {user: svc-reset@contoso.test, passwordFile: ./reset}\n    bind:", 1)
	me, err := user.Current()
	ts.Check(err)
	for file, access := range map[string]string{l.ConfigFile: "access: {passwords: [no-such-group, " + me.Username + "]}\n", ts.MkAbs("lab/nobody.yaml"): "", ts.MkAbs("lab/others.yaml"): "access: {passwords: [no-such-user]}\n"} {
		ts.Check(os.WriteFile(file, []byte(text+access), 0o600))
	}
	r, err := c.Search(ldap.NewSearchRequest(usersOf(ts, "Sales")[0], ldap.ScopeBaseObject, ldap.NeverDerefAliases, 0, 0, false, "(objectClass=*)", []string{"userPrincipalName"}, nil))
	ts.Check(err)
	ts.Setenv("USER1", r.Entries[0].GetAttributeValue("userPrincipalName"))
}

// binds UPN PASSWORD yes|CODE signs in to the directory.
func binds(ts *testscript.TestScript, _ bool, args []string) {
	c := dial(ts)
	defer c.Close()
	err := c.Bind(args[0], args[1])
	if args[2] == "yes" {
		ts.Check(err)
	} else if err == nil || !strings.Contains(err.Error(), "data "+args[2]) {
		ts.Fatalf("signing in: %v", err)
	}
}

// soaks waits until a wave soaks.
func soaks(ts *testscript.TestScript, _ bool, _ []string) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	for ctx.Err() == nil {
		ts.Check(ts.Exec("tandem", "wave", "list"))
		if strings.Contains(ts.ReadFile("stdout"), "soak") {
			return
		}
	}
	ts.Fatalf("no wave soaks")
}

// serves waits until the daemon holds the state.
func serves(ts *testscript.TestScript, _ bool, _ []string) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	for ctx.Err() == nil {
		ts.Check(ts.Exec("tandem", "status", "--output", "json"))
		if strings.Contains(ts.ReadFile("stdout"), `"command":"tandem serve"`) {
			return
		}
	}
	ts.Fatalf("the daemon does not hold the state")
}
