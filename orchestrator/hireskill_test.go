//go:build linux

package orchestrator_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"

	labdirectory "github.com/tandem-sync/tandem/examples/lab/directory"
)

// marked are people who must be left alone whatever happens: whom security disabled, and whose password it is.
type marked struct {
	secured, kept string // cloud ids
	set           string // pwdLastSet of kept
}

// mark brings two people, and lets security disable one.
func (w *hr) mark() (m marked) {
	w.t.Helper()
	m.secured, m.kept = w.hire(900, nil), w.hire(901, nil)
	w.sync()
	off := ldap.NewModifyRequest(w.account(m.secured).DN, nil)
	off.Replace("userAccountControl", []string{"514"})
	w.must(w.conn.Modify(off))
	w.sync()
	m.set = w.lastSet(m.kept)
	return m
}

func (w *hr) lastSet(id string) string {
	w.t.Helper()
	res, err := w.conn.Search(ldap.NewSearchRequest(w.account(id).DN, ldap.ScopeBaseObject, ldap.NeverDerefAliases, 0, 0, false, "(objectClass=user)", []string{"pwdLastSet"}, nil))
	w.must(err)
	return res.Entries[0].GetAttributeValue("pwdLastSet")
}

// calms lets what is in doubt end, and wants each of the hired to have one account that can be used, and the others to be as they were.
func (w *hr) calms(ids []string, m marked) {
	w.t.Helper()
	w.brings()
	w.clock.jump(10 * time.Minute) // nothing that was under way arrives any more
	for range 3 {
		w.sync()
	}
	if r := w.sync(); r.Applied != 0 || r.Failed+r.Deferred+r.Held > 0 || !r.Complete {
		w.t.Errorf("it does not come to rest: %+v", r)
	}
	accounts := w.accounts()
	if len(accounts) != len(ids)+2 {
		w.t.Errorf("%d accounts of %d people", len(accounts), len(ids)+2)
	}
	for n, id := range ids {
		if a := accounts["User_"+id]; a == nil || strings.HasPrefix(a.GetAttributeValue("cn"), "User_") || !w.enabled(id) {
			w.t.Errorf("%d: %+v", n, a)
		}
	}
	if w.enabled(m.secured) {
		w.t.Error("whom security disabled is enabled")
	}
	if now := w.lastSet(m.kept); now != m.set {
		w.t.Errorf("somebody's password was set: %s, and %s before", now, m.set)
	}
}

// The host is killed as soon as a permit, or the end of a write, is durable, again and again. Whoever starts it again brings everybody once.
func TestAHostThatIsKilledWhilePeopleAreHiredBringsEachOnce(t *testing.T) {
	sites(t, func(t *testing.T, s site) {
		w := newHR(t, s)
		w.open()
		w.importText(fmt.Sprintf(hiresPolicy, s.base, s.base))
		m := w.mark()
		var ids []string
		for n := range 12 {
			ids = append(ids, w.hire(n, nil))
		}
		w.close()
		killed := 0
		for _, text := range []string{`"permitted"`, `"ended"`, `"op":"rename"`, `"permitted"`, `"op":"modify"`, `"ended"`} {
			c := w.spawn("bring", text)
			for c.until("nothing says that") { // until it ends
			}
			var exit *exec.ExitError
			if err := c.cmd.Wait(); errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL {
				killed++
			}
			w.nothingLeft()
		}
		if killed < 4 {
			t.Errorf("the host was killed %d times", killed)
		}
		w.open()
		w.calms(ids, m)
	})
}

// Of two agents the one that writes is killed, or stands still, when a write has arrived at the controller, or when its answer is on its way. The other one is left, and nobody becomes two.
func TestAnAgentThatEndsWhilePeopleAreHiredLeavesTheRestToTheOther(t *testing.T) {
	exe := built(t, "github.com/tandem-sync/tandem/cmd/tandem-agent")
	for name, signal := range map[string]syscall.Signal{"killed": syscall.SIGKILL, "frozen": syscall.SIGSTOP} {
		t.Run(name, func(t *testing.T) {
			x := &striker{signal: signal}
			s := embeddedSiteWith(t, labdirectory.ServerOptions{Writes: x.writes})
			w := newHR(t, s)
			w.agents = 0
			w.write()
			w.open()
			w.importText(fmt.Sprintf(hiresPolicy, s.base, s.base))
			var agents [2]*agent
			for a := range agents {
				agents[a] = w.enroll(exe, "--provision-user", "svc-prov@"+s.domain, "--provision-password-file", filepath.Join(w.dir, "provision-password"))
				agents[a].start(t)
				defer agents[a].kill()
			}
			w.attended()
			m := w.mark()
			var ids []string
			for i, at := range []strike{{"add", false}, {"add", true}, {"rename", false}, {"rename", true}, {"modify", false}, {"modify", true}} {
				for n := range 6 {
					ids = append(ids, w.hire(6*i+n, nil))
				}
				x.arm(at, agents[0].cmd.Process.Pid, agents[1].cmd.Process.Pid)
				w.brings()
				pid := x.struck()
				if pid == 0 {
					t.Errorf("nobody was struck at %+v", at)
				}
				for _, a := range agents {
					if a.cmd.Process.Pid == pid && signal == syscall.SIGSTOP {
						w.must(syscall.Kill(pid, syscall.SIGCONT))
					} else if a.cmd.Process.Pid == pid {
						a.kill()
						a.start(t)
					}
				}
				w.attended()
			}
			w.calms(ids, m)
		})
	}
}

type strike struct {
	op   string
	done bool
}

// striker signals the agent that sends the second write of a kind.
type striker struct {
	signal syscall.Signal

	mu   sync.Mutex
	at   strike
	left int
	pids []int
	pid  int
}

func (x *striker) arm(at strike, pids ...int) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.at, x.left, x.pids, x.pid = at, 2, pids, 0
}

func (x *striker) struck() int {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.left = 0
	return x.pid
}

func (x *striker) writes(op string, from net.Addr, done bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.left == 0 || (strike{op, done}) != x.at {
		return
	}
	if pid := holds(x.pids, from.(*net.TCPAddr).Port); pid != 0 {
		if x.left--; x.left == 0 {
			_ = syscall.Kill(pid, x.signal) // one that ended meanwhile is none to strike
			x.pid = pid
		}
	}
}

// holds is the process that has the connection from a local port; 0: none of them.
func holds(pids []int, port int) int {
	b, err := os.ReadFile("/proc/thread-self/net/tcp") // the process's own is that of its main thread, which a relay to Samba may have moved into another network
	if err != nil {
		return 0
	}
	inode := ""
	for line := range strings.Lines(string(b)) { // sl, local address, remote address, …, the tenth is the inode
		if f := strings.Fields(line); len(f) > 9 && strings.HasSuffix(f[1], fmt.Sprintf(":%04X", port)) && f[9] != "0" {
			inode = f[9]
		}
	}
	for _, pid := range pids {
		fds, _ := filepath.Glob("/proc/" + strconv.Itoa(pid) + "/fd/*")
		for _, fd := range fds {
			if to, err := os.Readlink(fd); err == nil && inode != "" && to == "socket:["+inode+"]" {
				return pid
			}
		}
	}
	return 0
}
