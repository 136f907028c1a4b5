package cloudsync_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tandem-sync/tandem/plugins/cloudsync"
	"github.com/tandem-sync/tandem/plugins/cloudsync/agent"
	"github.com/tandem-sync/tandem/plugins/engine"
)

// watched is an agent whose failures and pauses the test sees.
type watched struct {
	down   chan error
	mu     sync.Mutex
	pauses []time.Duration
	cancel context.CancelFunc
	ended  chan error
}

// watch runs an agent whose pauses between attempts take no time.
func (w *world) watch(id agent.Identity, o agent.Options) *watched {
	ctx, cancel := context.WithCancel(context.Background())
	x := &watched{down: make(chan error, 1000), cancel: cancel, ended: make(chan error, 1)}
	o.Down = func(err error) {
		select {
		case x.down <- err:
		default: // nobody counts so many, and an agent must not wait for the test
		}
	}
	o.Wait = func(ctx context.Context, d time.Duration) error {
		if d >= time.Hour {
			<-ctx.Done() // until the certificate is renewed
			return ctx.Err()
		}
		x.mu.Lock()
		x.pauses = append(x.pauses, d)
		x.mu.Unlock()
		return ctx.Err()
	}
	go func() { x.ended <- agent.Run(ctx, id, o) }()
	w.t.Cleanup(func() { cancel(); x.ended <- <-x.ended })
	return x
}

// refused waits for n refusals and gives the last.
func (x *watched) refused(n int) error {
	var err error
	for range n {
		err = <-x.down
	}
	return err
}

func TestCopiedFolderIsRefusedAndBothMachinesAreNamed(t *testing.T) {
	c := newHandClock(t)
	w := newWorld(t, 1, c.options(), noEmbedded)
	id := w.enrol()
	first := w.watch(id, agent.Options{Machine: "machine-one"})
	w.waitAgents(1)
	since := w.info(id.Agent).Since
	second := w.watch(id, agent.Options{Machine: "machine-two"})
	err := second.refused(12)
	if !strings.Contains(err.Error(), "machine-one") || !strings.Contains(err.Error(), "machine-two") || !strings.Contains(err.Error(), "twice") {
		t.Errorf("the second is told: %v", err)
	}
	second.cancel()
	if err := <-second.ended; err != nil {
		t.Errorf("the second ended: %v", err)
	}
	second.ended <- nil
	// No storm: the pauses grow to half a minute, each with its share of chance.
	back := 250 * time.Millisecond
	for i, d := range second.pauses {
		if d < back/2 || d > back {
			t.Errorf("pause %d is %s, not between %s and %s", i, d, back/2, back)
		}
		back = min(2*back, 30*time.Second)
	}
	a := w.info(id.Agent)
	if a.State != "good" || !a.Since.Equal(since) || len(first.down) > 0 || a.Machine != "machine-one" || !strings.Contains(a.Trouble, "machine-two") {
		t.Errorf("the first: %+v", a)
	}
	w.waitHealth(func(h engine.Health) bool { return h.OK && strings.Contains(h.Message, "machine-two") })
	c.pass(5 * time.Minute) // it tries no more
	w.waitHealth(func(h engine.Health) bool { return h.OK && h.Message == "ready" })
}

func TestAnAgentThatReturnsReplacesItsOldLine(t *testing.T) {
	w := newWorld(t, 1, cloudsync.Options{}, noEmbedded)
	id := w.enrol()
	cord := newCable(t, id.Server)
	through := id
	through.Server = cord.address()
	stop := w.attend(through)
	w.waitAgents(1)
	cord.cut() // the service does not know yet
	check(t, stop())
	again := w.watch(id, agent.Options{})
	w.waitHealth(func(h engine.Health) bool { return h.Agents == 0 }) // it notices by itself
	w.waitAgents(1)
	for len(again.down) > 0 {
		if err := <-again.down; !strings.Contains(err.Error(), "another process on this host") {
			t.Error(err)
		}
	}
}

func TestFaultOfTheServiceNeverEndsAnAgent(t *testing.T) {
	w := newWorld(t, 1, cloudsync.Options{}, noEmbedded)
	id := w.enrol()
	path := filepath.Join(w.config.DataDir, "agents.json")
	kept := read(t, path)
	check(t, w.engine.Close())
	check(t, os.Remove(path)) // restored without its agents
	w.start(cloudsync.Options{})
	id.Server = w.invite().Listen
	x := w.watch(id, agent.Options{})
	if err := x.refused(3); !strings.Contains(err.Error(), "not known here") || !strings.Contains(err.Error(), "enroll --force") {
		t.Errorf("an agent that is not known: %v", err)
	}
	check(t, w.engine.Close())
	check(t, os.WriteFile(path, kept, 0o600))
	w.config.Settings = []byte(strings.Replace(noEmbedded, "127.0.0.1:0", id.Server, 1))
	w.start(cloudsync.Options{})
	w.waitAgents(1)
}

// days is a clock that tests move by days, for both sides.
type days struct {
	mu sync.Mutex
	n  int
}

func (d *days) now() time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	return time.Now().Add(time.Duration(d.n) * 24 * time.Hour)
}

func (d *days) set(n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.n = n
}

func TestCertificateIsRenewedOnALineThatLasts(t *testing.T) {
	var clock days
	w := newWorld(t, 1, cloudsync.Options{Now: clock.now}, noEmbedded)
	id := w.enrol()
	saved := make(chan agent.Identity, 10)
	waits, renew := make(chan time.Duration, 10), make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- agent.Run(ctx, id, agent.Options{Now: clock.now, Save: func(next agent.Identity) error { saved <- next; return nil },
			Wait: func(ctx context.Context, d time.Duration) error {
				if d > 6*time.Hour { // the account's rights
					<-ctx.Done()
					return ctx.Err()
				}
				waits <- d
				select {
				case <-renew:
					return nil
				case <-ctx.Done():
					return ctx.Err()
				}
			}})
	}()
	w.waitAgents(1)
	since := w.info(id.Agent).Since
	<-waits // the certificate is thought of again later, within 6 hours
	clock.set(250)
	renew <- struct{}{}
	next := <-saved
	if next.Certificate.Leaf.SerialNumber.Cmp(id.Certificate.Leaf.SerialNumber) == 0 || next.Agent != id.Agent {
		t.Error("the certificate is the old one")
	}
	a := w.info(id.Agent)
	if !a.Live || !a.Since.Equal(since) || !a.Expires.After(clock.now().Add(300*24*time.Hour)) {
		t.Errorf("after it was renewed: %+v", a)
	}
	cancel()
	check(t, <-done)
}

func TestExpiredCertificateOfAKnownAgentIsRenewedWithinItsGrace(t *testing.T) {
	for _, late := range []struct {
		days  int
		comes bool
	}{{364, true}, {366, true}, {365 + 29, true}, {365 + 31, false}} {
		var clock days
		w := newWorld(t, 1, cloudsync.Options{Now: clock.now}, noEmbedded)
		id := w.enrol()
		clock.set(late.days)
		h := w.waitHealth(func(engine.Health) bool { return true })
		if !strings.Contains(h.Details["agent."+id.Agent], "its certificate end") {
			t.Errorf("%d days: no alarm: %+v", late.days, h)
		}
		x := w.watch(id, agent.Options{Now: clock.now})
		if late.comes {
			w.waitAgents(1)
			if h := w.waitHealth(func(h engine.Health) bool { return h.OK }); h.Message != "ready" {
				t.Errorf("%d days, renewed: %+v", late.days, h)
			}
			continue
		}
		if err := x.refused(2); !strings.Contains(err.Error(), "30 days") || !strings.Contains(err.Error(), "enroll --force") {
			t.Errorf("%d days: %v", late.days, err)
		}
	}
}
