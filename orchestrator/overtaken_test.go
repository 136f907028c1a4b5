//go:build unix

package orchestrator_test

import (
	"fmt"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/tandem-sync/tandem/orchestrator/run"
)

const overtakenPolicy = "version: 1\nfeatures: [users, groups, password-hash]\nassignments:\n  - {name: everything, under: %q, engine: cloudsync, features: [users, groups, password-hash]}\n"

// middle is how much of the controller's replication an agent has read when it is in the middle of it, in bytes: of forty people it is some hundred thousand.
const middle = 20_000

// narrows stands between agents and a controller's replication interface. Of whoever reads first, it lets pass what lies before the middle and then calls hit; what the
// others read passes.
type narrows struct {
	to   string
	once sync.Once
	hit  func(agent int)
	read [2]atomic.Int64
	wg   sync.WaitGroup
	end  chan struct{}
}

// opens returns the port at which the narrows take the connections of an agent.
func (n *narrows) opens(t *testing.T, agent int) int {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() }) // its error tells nothing
	n.wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			n.wg.Go(func() { n.carry(c, agent) })
		}
	})
	return l.Addr().(*net.TCPAddr).Port
}

func (n *narrows) carry(c net.Conn, agent int) {
	defer c.Close()
	up, err := net.Dial("tcp", n.to)
	if err != nil {
		return
	}
	n.wg.Go(func() { // ends with the agent, and with the test
		<-n.end
		_, _ = c.Close(), up.Close()
	})
	n.wg.Go(func() {
		pour(up, c, func(int) {})
		_ = up.Close()
	})
	pour(c, up, func(got int) {
		if n.read[agent].Add(int64(got)) > middle {
			n.once.Do(func() { n.hit(agent) })
		}
	})
	_ = up.Close()
}

// pour copies, and tells how much is about to be passed on.
func pour(to, from net.Conn, about func(int)) {
	b := make([]byte, 4096)
	for {
		got, err := from.Read(b)
		if got > 0 {
			about(got)
			if _, err := to.Write(b[:got]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// Issue 9, it works when 1: an agent takes over in the middle of a reading of hashes, whether the other one is dead or stands still.
func TestAnAgentThatEndsInTheMiddleOfAReadingOfHashesIsOvertaken(t *testing.T) {
	exe := built(t, "github.com/tandem-sync/tandem/cmd/tandem-agent")
	for name, signal := range map[string]syscall.Signal{"killed": syscall.SIGKILL, "frozen": syscall.SIGSTOP} {
		t.Run(name, func(t *testing.T) {
			overSamba(t, func(s site) {
				w := withPasswords(t, s)
				w.close()
				w.agents = 0
				w.write()
				w.open()
				var upns []string
				for i := range 40 {
					_, upn := w.person(fmt.Sprintf("p%d", i), "OU=Sales,"+s.base)
					upns = append(upns, upn)
				}
				var agents [2]*agent
				n := &narrows{to: net.JoinHostPort("127.0.0.1", strconv.Itoa(s.replication)), end: make(chan struct{})}
				var hit atomic.Int32 // 1 + the agent's number
				n.hit = func(a int) {
					hit.Store(int32(a) + 1)
					if err := agents[a].cmd.Process.Signal(signal); err != nil {
						t.Errorf("agent %d: %v", a, err)
					}
				}
				t.Cleanup(func() { close(n.end); n.wg.Wait() }) // after the listeners are closed
				for a := range agents {
					port := n.opens(t, a)
					agents[a] = w.enroll(exe, "--replicate-user", "svc-hash@"+s.domain, "--replicate-password-file", w.dir+"/hash-password", "--replicate-port", strconv.Itoa(port))
				}
				n.read[0].Store(0) // what enrolment looked at
				n.read[1].Store(0)
				for a := range agents {
					agents[a].start(t)
					defer agents[a].kill()
				}
				w.attended()
				w.importText(fmt.Sprintf(overtakenPolicy, s.base))
				r, err := w.tandem.Host().SyncAll(t.Context(), "cloudsync", run.SyncOptions{})
				if err != nil || !r.Complete || r.Failed+r.Refused > 0 {
					t.Fatalf("%v %+v", err, r)
				}
				first := int(hit.Load()) - 1
				if first < 0 {
					t.Fatalf("nobody was in the middle: %d and %d bytes were read", n.read[0].Load(), n.read[1].Load())
				}
				if n.read[1-first].Load() == 0 {
					t.Error("the other agent read nothing")
				}
				w.hands("cloudsync") // what a cycle that was broken off left
				for _, upn := range upns {
					w.signsIn(upn, "Some-Passw0rd!", "")
				}
				if n := w.hands("cloudsync"); n != 0 {
					t.Errorf("%d were sent needlessly", n)
				}
			})
		})
	}
}
